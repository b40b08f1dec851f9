/* SPDX-License-Identifier: ISC */
/* Tokens that are patches of images, in answers. */
#include "daemon/req.h"

#include "util/hash.h"

/* A stretch of patches, cut to what is shown. */
struct shown {
	uint32_t window;
	struct rec_patch x;
};

int
read_patches(struct req *q, uint32_t cut, uint32_t window, uint32_t first, uint32_t n,
	struct buf *shown, struct err *e)
{
	const struct rec_patch *x;
	size_t n_x;
	int rc = store_patches(q->view, cut, window, &x, &n_x, q->arena, e);

	for (size_t i = 0; rc == 0 && i < n_x; i++) {
		struct shown s = {window, x[i]};
		uint32_t end = x[i].token + x[i].n_tokens; /* the record is checked */

		if (x[i].token < first)
			s.x.token = first;
		if (end > first + n)
			end = first + n;
		if (s.x.token >= end)
			continue;
		s.x.n_tokens = end - s.x.token;
		s.x.first += s.x.token - x[i].token;
		buf_put(shown, &s, sizeof(s));
	}
	if (rc == 0 && shown->failed)
		rc = err_set(e, ERR_NOMEM, "no memory for patches; ask for less");
	return rc;
}

int
widen_to_image(struct req *q, uint32_t cut, uint32_t window, uint32_t offset,
	uint32_t *first, uint32_t *end, struct err *e)
{
	const struct rec_patch *x, *at = NULL;
	size_t n;
	int rc = store_patches(q->view, cut, window, &x, &n, q->arena, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		if (offset >= x[i].token && offset - x[i].token < x[i].n_tokens)
			at = &x[i];
	for (size_t i = 0; at != NULL && i < n; i++) {
		if (x[i].image != at->image)
			continue;
		if (x[i].token < *first)
			*first = x[i].token;
		if (x[i].token + x[i].n_tokens > *end)
			*end = x[i].token + x[i].n_tokens;
	}
	return 0;
}

static void
put_patch(struct out *o, const struct shown *s, const char *hex, uint32_t i,
	bool windows)
{
	uint32_t patch = s->x.first + i;

	out_map(o, windows ? 8 : 7);
	if (windows)
		out_key_uint(o, "window", s->window);
	out_key_uint(o, "token", s->x.token + i);
	out_key_str(o, "image", hex);
	out_key_uint(o, "patch", patch);
	out_key_uint(o, "row", patch / s->x.n_cols);
	out_key_uint(o, "col", patch % s->x.n_cols);
	out_key_uint(o, "n_rows", s->x.n_rows);
	out_key_uint(o, "n_cols", s->x.n_cols);
	out_end(o);
}

int
put_patches(struct req *q, struct out *o, uint32_t cut, const struct buf *shown,
	bool windows, struct err *e)
{
	const struct shown *s = (const struct shown *)(const void *)shown->data;
	size_t n = shown->n_bytes / sizeof(*s), n_patches = 0;
	struct store_image image;
	char hex[65];

	for (size_t i = 0; i < n; i++)
		n_patches += s[i].x.n_tokens;
	if (n_patches == 0)
		return 0;
	out_key(o, "patches");
	out_array(o, n_patches);
	for (size_t i = 0; i < n; i++) {
		int rc = store_image_of(q->view, cut, s[i].x.image, &image, e);

		if (rc < 0)
			return rc;
		hash_hex(image.sha256, sizeof(image.sha256), hex);
		for (uint32_t j = 0; j < s[i].x.n_tokens; j++)
			put_patch(o, &s[i], hex, j, windows);
	}
	out_end(o);
	return 0;
}
