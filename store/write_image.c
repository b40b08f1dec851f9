/* SPDX-License-Identifier: ISC */
/* The images of a cut, and where their patches stand: a file that only cuts with
 * images have. The bytes of each hash are kept once. */
#include "store/inner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct known {
	uint8_t sha256[32];
	uint32_t number; /* of the first image with it */
};

struct image_writer {
	struct kv *kv;
	struct known *known; /* (n_known), each hash once */
	uint32_t *slot; /* (n_slots), a power of two: place in known + 1; 0 = empty */
	size_t n_known, cap_known, n_slots;
	uint32_t n_images;
	int64_t window; /* the last with patches, -1 = none */
	struct buf packed;
};

int
image_writer_new(struct image_writer **out, const struct pending *p, struct err *e)
{
	struct image_writer *w = mem_new(1, sizeof(*w));
	int rc;

	*out = NULL;
	if (w == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a cut's images");
	w->window = -1;
	rc = pending_kv(&w->kv, p, "", &layout_image, e);
	if (rc != 0) {
		image_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void
image_writer_free(struct image_writer *w)
{
	if (w == NULL)
		return;
	kv_close(w->kv);
	mem_free(w->known);
	mem_free(w->slot);
	buf_clear(&w->packed);
	mem_free(w);
}

/* ---- each hash once -------------------------------------------------------- */

/* Where a hash is in the slots, or the empty slot where it belongs. */
static size_t
slot_of(const struct image_writer *w, const uint8_t sha256[32])
{
	size_t at = 0;

	memcpy(&at, sha256, sizeof(at));
	for (at &= w->n_slots - 1; w->slot[at] != 0; at = (at + 1) & (w->n_slots - 1))
		if (memcmp(w->known[w->slot[at] - 1].sha256, sha256, 32) == 0)
			break;
	return at;
}

/* Room for one more, with half of the slots empty. */
static int
grow(struct image_writer *w, struct err *e)
{
	size_t cap = w->cap_known > 0 ? 2 * w->cap_known : 64;
	struct known *known;
	uint32_t *slot;

	if (w->n_known < w->cap_known)
		return 0;
	known = mem_resize(w->known, cap, sizeof(*known));
	if (known != NULL)
		w->known = known;
	slot = mem_new(cap, 2 * sizeof(*slot));
	if (known == NULL || slot == NULL) {
		mem_free(slot);
		return err_set(e, ERR_NOMEM, "no memory for %zu images", cap);
	}
	mem_free(w->slot);
	w->slot = slot;
	w->cap_known = cap;
	w->n_slots = 2 * cap;
	for (size_t i = 0; i < w->n_known; i++)
		w->slot[slot_of(w, w->known[i].sha256)] = (uint32_t)i + 1;
	return 0;
}

/* Whether the hash is new; it is known from now on. */
static int
is_new(struct image_writer *w, const uint8_t sha256[32], bool *new, struct err *e)
{
	int rc = grow(w, e);
	size_t at;

	if (rc != 0)
		return rc;
	at = slot_of(w, sha256);
	*new = w->slot[at] == 0;
	if (*new) {
		memcpy(w->known[w->n_known].sha256, sha256, 32);
		w->known[w->n_known].number = w->n_images;
		w->slot[at] = (uint32_t)++w->n_known;
	}
	return 0;
}

/* ---- images, patches ------------------------------------------------------- */

static int
check_image(const struct image_writer *w, const struct store_image *x, struct err *e)
{
	if (x->number != w->n_images)
		return err_set(e, ERR_INTERNAL, "image %u comes after %u", x->number,
			w->n_images);
	if (x->type[0] == '\0')
		return err_set(e, ERR_INTERNAL, "image %u has no type", x->number);
	if (x->n_bytes == 0)
		return err_set(e, ERR_FORMAT, "image %u is empty", x->number);
	if (x->n_bytes > LIMIT_IMAGE_BYTES)
		return err_set(e, ERR_LIMIT,
			"image %u has %zu bytes, more than the %u that one may have; "
			"make it smaller",
			x->number, x->n_bytes, LIMIT_IMAGE_BYTES);
	return 0;
}

int
image_writer_image(struct image_writer *w, const struct store_image *x, struct err *e)
{
	struct rec_image r = {.n_bytes = (uint32_t)x->n_bytes};
	bool new = false;
	int rc = check_image(w, x, e);

	if (rc == 0)
		rc = is_new(w, x->sha256, &new, e);
	if (rc != 0)
		return rc;
	memcpy(r.sha256, x->sha256, sizeof(r.sha256));
	memcpy(r.type, x->type, sizeof(r.type));
	buf_reset(&w->packed);
	rec_image_pack(&w->packed, &r);
	if (w->packed.failed)
		return err_set(e, ERR_NOMEM, "no memory for an image");
	rc = kv_put(w->kv, KV_IMAGE, x->number, w->packed.data, w->packed.n_bytes, e);
	if (rc == 0 && new)
		rc = kv_put(w->kv, KV_BYTES, x->number, x->bytes, x->n_bytes, e);
	if (rc == 0)
		w->n_images++;
	return rc;
}

static int
check_patches(const struct image_writer *w, uint32_t window, const struct rec_patch *x,
	size_t n, struct err *e)
{
	uint64_t end = 0;

	if (window <= w->window)
		return err_set(e, ERR_INTERNAL,
			"the patches of window %u come after those of %" PRId64, window,
			w->window);
	for (size_t i = 0; i < n; i++) {
		if (x[i].image >= w->n_images)
			return err_set(e, ERR_INTERNAL,
				"window %u has patches of image %u; there are %u "
				"images",
				window, x[i].image, w->n_images);
		if (!rec_patch_fits(&x[i], end))
			return err_set(e, ERR_FORMAT,
				"window %u: %u patches at token %u, from %u on, do not "
				"fit the %u x %u of image %u",
				window, x[i].n_tokens, x[i].token, x[i].first,
				x[i].n_rows, x[i].n_cols, x[i].image);
		end = (uint64_t)x[i].token + x[i].n_tokens;
	}
	return 0;
}

int
image_writer_patches(struct image_writer *w, uint32_t window, const struct rec_patch *x,
	size_t n, struct err *e)
{
	int rc = check_patches(w, window, x, n, e);

	if (rc != 0 || n == 0)
		return rc;
	buf_reset(&w->packed);
	rec_patches_pack(&w->packed, x, n);
	if (w->packed.failed)
		return err_set(e, ERR_NOMEM, "no memory for a window's patches");
	rc = kv_put(w->kv, KV_PATCHES, window, w->packed.data, w->packed.n_bytes, e);
	if (rc == 0)
		w->window = window;
	return rc;
}

static int
by_hash(const void *a, const void *b)
{
	return memcmp(((const struct known *)a)->sha256,
		((const struct known *)b)->sha256, 32);
}

/* The numbers by ascending hash, for searches. */
static int
put_order(struct image_writer *w, struct err *e)
{
	int rc = 0;

	if (w->n_known > 0)
		qsort(w->known, w->n_known, sizeof(*w->known), by_hash);
	for (size_t i = 0; rc == 0 && i < w->n_known; i++) {
		buf_reset(&w->packed);
		buf_varint(&w->packed, w->known[i].number);
		rc = w->packed.failed
			? err_set(e, ERR_NOMEM, "no memory for an image's number")
			: kv_put(w->kv, KV_HASH, (uint32_t)i, w->packed.data,
				  w->packed.n_bytes, e);
	}
	return rc;
}

int
image_writer_finish(struct image_writer *w, uint32_t n_windows, struct err *e)
{
	int rc;

	if (w->window >= n_windows)
		return err_set(e, ERR_INTERNAL, "window %" PRId64 " of %u has patches",
			w->window, n_windows);
	rc = put_order(w, e);
	return rc == 0 ? kv_finish(w->kv, e) : rc;
}
