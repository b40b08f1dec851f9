/* SPDX-License-Identifier: ISC */
#include "schema/record.h"

#include "schema/record_in.h"

#include <string.h>

/* ---- an image, without its bytes ------------------------------------------- */

void
rec_image_pack(struct buf *b, const struct rec_image *x)
{
	size_t n = strnlen(x->type, sizeof(x->type) - 1);

	buf_put(b, x->sha256, sizeof(x->sha256));
	buf_varint(b, x->n_bytes);
	buf_u8(b, (uint8_t)n);
	buf_put(b, x->type, n);
}

int
rec_image_unpack(struct rec_image *x, const void *p, size_t n_bytes, struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	const void *hash, *type;
	size_t n;

	*x = (struct rec_image){0};
	hash = cur_take(&c, sizeof(x->sha256));
	x->n_bytes = rec_u32(&c);
	n = cur_u8(&c);
	type = cur_take(&c, n);
	if (hash == NULL || type == NULL || n >= sizeof(x->type) ||
		memchr(type, '\0', n) != NULL)
		return err_set(e, ERR_CORRUPT, "an image's record is malformed");
	memcpy(x->sha256, hash, sizeof(x->sha256));
	memcpy(x->type, type, n);
	return rec_end(&c, "an image's", e);
}

/* ---- the patches of a window ----------------------------------------------- */

bool
rec_patch_fits(const struct rec_patch *x, uint64_t end)
{
	return x->n_tokens > 0 && x->token >= end &&
		(uint64_t)x->token + x->n_tokens <= UINT32_MAX &&
		(uint64_t)x->first + x->n_tokens <= (uint64_t)x->n_rows * x->n_cols;
}

void
rec_patches_pack(struct buf *b, const struct rec_patch *x, size_t n)
{
	uint32_t end = 0;

	buf_varint(b, n);
	for (size_t i = 0; i < n; i++) {
		buf_varint(b, x[i].token - end);
		buf_varint(b, x[i].n_tokens);
		buf_varint(b, x[i].image);
		buf_varint(b, x[i].first);
		buf_varint(b, x[i].n_rows);
		buf_varint(b, x[i].n_cols);
		end = x[i].token + x[i].n_tokens;
	}
}

int
rec_patches_unpack(const struct rec_patch **x, size_t *n, const void *p, size_t n_bytes,
	struct arena *a, struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	struct rec_patch *list;
	uint32_t end = 0;

	*n = rec_count(&c, 6);
	list = rec_alloc(a, *n, sizeof(*list), e);
	if (list == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < *n && !c.failed; i++) {
		list[i].token = rec_step(&c, end);
		list[i].n_tokens = rec_u32(&c);
		list[i].image = rec_u32(&c);
		list[i].first = rec_u32(&c);
		list[i].n_rows = rec_u32(&c);
		list[i].n_cols = rec_u32(&c);
		if (!rec_patch_fits(&list[i], end))
			c.failed = true;
		else
			end = list[i].token + list[i].n_tokens;
	}
	*x = list;
	return rec_end(&c, "a patches'", e);
}
