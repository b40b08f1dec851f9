/* SPDX-License-Identifier: ISC */
/* The images of a cut, and the patches of its windows. */
#include "store/inner.h"
#include "util/hash.h"

#include <string.h>

#define HASH_DIGITS 64
#define LEAST_DIGITS 8 /* that name an image */

/* *kv is NULL for a cut without images. */
static int
open_images(struct store_view *v, uint32_t cut, struct kv_view **kv, struct err *e)
{
	size_t part;
	int rc = view_has_cut(v, cut, e);

	*kv = NULL;
	if (rc != 0 ||
		object_part(v->gen->object[KIND_CUT][cut], layout_image.file, &part,
			NULL) != 0)
		return rc;
	return view_kv(v, KIND_CUT, cut, &layout_image, 0, kv, e);
}

static int
lacks(const struct store_view *v, uint32_t cut, const char *what, uint32_t id,
	struct err *e)
{
	return err_set(e, ERR_CORRUPT, "%s/%s: lacks %s %u",
		v->gen->object[KIND_CUT][cut]->dir, layout_image.file, what, id);
}

/* An image of that number, without its bytes. */
static int
get_image(struct store_view *v, struct kv_view *kv, uint32_t cut, uint32_t number,
	struct store_image *out, struct err *e)
{
	struct rec_image r;
	struct kv_value x;
	struct arena none;
	int rc;

	arena_init(&none, 0);
	rc = kv != NULL ? kv_get(kv, KV_IMAGE, number, &x, &none, e) : 0;
	if (rc == 0)
		rc = lacks(v, cut, "image", number, e);
	else if (rc == 1)
		rc = rec_image_unpack(&r, x.p, x.n_bytes, e);
	arena_clear(&none);
	if (rc != 0)
		return rc;
	*out = (struct store_image){.number = number, .n_bytes = r.n_bytes};
	memcpy(out->sha256, r.sha256, sizeof(out->sha256));
	memcpy(out->type, r.type, sizeof(out->type));
	return 0;
}

int
store_image_of(struct store_view *v, uint32_t cut, uint32_t number,
	struct store_image *out, struct err *e)
{
	struct kv_view *kv;
	int rc = open_images(v, cut, &kv, e);

	return rc == 0 ? get_image(v, kv, cut, number, out, e) : rc;
}

/* ---- by hash --------------------------------------------------------------- */

/* The image at a place in the order of the hashes. */
static int
get_ranked(struct store_view *v, struct kv_view *kv, uint32_t cut, uint32_t rank,
	struct store_image *out, struct err *e)
{
	struct kv_value x;
	struct arena none;
	struct cur c;
	uint64_t number;
	int rc;

	arena_init(&none, 0);
	rc = kv_get(kv, KV_HASH, rank, &x, &none, e);
	if (rc == 1) {
		c = cur_of(x.p, x.n_bytes);
		number = cur_varint(&c);
		rc = c.failed || number > UINT32_MAX
			? lacks(v, cut, "hash", rank, e)
			: get_image(v, kv, cut, (uint32_t)number, out, e);
	} else if (rc == 0)
		rc = lacks(v, cut, "hash", rank, e);
	arena_clear(&none);
	return rc;
}

/* The first image whose hash is not below the digits; *equal: it begins with them.
 * *rank is the number of hashes when there is none. */
static int
search(struct store_view *v, struct kv_view *kv, uint32_t cut, const char *digits,
	uint32_t *rank, bool *equal, struct store_image *out, struct err *e)
{
	uint32_t low = 0, high = (uint32_t)kv_entries(kv, KV_HASH);
	size_t n = strlen(digits);
	struct store_image x;

	*equal = false;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		char hex[HASH_DIGITS + 1];
		int rc = get_ranked(v, kv, cut, mid, &x, e), order;

		if (rc != 0)
			return rc;
		hash_hex(x.sha256, sizeof(x.sha256), hex);
		order = strncmp(hex, digits, n);
		if (order < 0) {
			low = mid + 1;
			continue;
		}
		high = mid;
		*equal = order == 0;
		*out = x;
	}
	*rank = low;
	return 0;
}

/* Lower-case digits of a hash, or of its beginning. */
static int
read_digits(const char *s, char out[HASH_DIGITS + 1], struct err *e)
{
	size_t n = strlen(s);

	if (n < LEAST_DIGITS || n > HASH_DIGITS ||
		strspn(s, "0123456789abcdefABCDEF") != n)
		return err_arg(e, ERR_ARG, "image",
			"an image is named by its SHA-256, %d hexadecimal digits, or "
			"the first of them, at least %d",
			HASH_DIGITS, LEAST_DIGITS);
	for (size_t i = 0; i <= n; i++)
		out[i] = (char)(s[i] >= 'A' && s[i] <= 'F' ? s[i] - 'A' + 'a' : s[i]);
	return 0;
}

static int
find_image(struct store_view *v, struct kv_view *kv, uint32_t cut, const char *digits,
	struct store_image *out, struct err *e)
{
	struct store_image next;
	uint32_t rank, again;
	bool equal;
	char hex[HASH_DIGITS + 1];
	int rc = search(v, kv, cut, digits, &rank, &equal, out, e);

	if (rc != 0)
		return rc;
	if (!equal)
		return err_arg(e, ERR_NOTFOUND, "image",
			"there is no image %s in the corpus", digits);
	again = rank + 1;
	if (strlen(digits) == HASH_DIGITS || again >= kv_entries(kv, KV_HASH))
		return 0;
	rc = get_ranked(v, kv, cut, again, &next, e);
	if (rc != 0)
		return rc;
	hash_hex(next.sha256, sizeof(next.sha256), hex);
	if (strncmp(hex, digits, strlen(digits)) == 0)
		return err_arg(e, ERR_ARG, "image",
			"several images begin with %s; give more digits", digits);
	return 0;
}

int
store_image(struct store_view *v, uint32_t cut, const char *sha256_hex,
	struct store_image *out, struct arena *arena, struct err *e)
{
	char digits[HASH_DIGITS + 1];
	struct kv_view *kv;
	struct kv_value x;
	int rc = read_digits(sha256_hex, digits, e);

	if (rc == 0)
		rc = open_images(v, cut, &kv, e);
	if (rc != 0)
		return rc;
	if (kv == NULL)
		return err_arg(e, ERR_NOTFOUND, "image", "the corpus has no images");
	rc = find_image(v, kv, cut, digits, out, e);
	if (rc != 0)
		return rc;
	rc = kv_get(kv, KV_BYTES, out->number, &x, arena, e);
	if (rc < 0)
		return rc;
	if (rc == 0 || x.n_bytes != out->n_bytes)
		return lacks(v, cut, "bytes of image", out->number, e);
	out->bytes = x.p;
	return 0;
}

/* ---- patches --------------------------------------------------------------- */

int
store_patches(struct store_view *v, uint32_t cut, uint32_t window,
	const struct rec_patch **x, size_t *n, struct arena *arena, struct err *e)
{
	struct kv_view *kv;
	struct kv_value value;
	int rc = open_images(v, cut, &kv, e);

	*x = NULL;
	*n = 0;
	if (rc != 0 || kv == NULL)
		return rc;
	rc = kv_get(kv, KV_PATCHES, window, &value, arena, e);
	return rc == 1 ? rec_patches_unpack(x, n, value.p, value.n_bytes, arena, e)
		       : rc;
}
