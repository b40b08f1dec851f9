/* SPDX-License-Identifier: ISC */
#include "indexer/rows.h"

#include "model/tensors.h"
#include "util/file.h"
#include "util/mem.h"

#include <inttypes.h>

#define TICK 256 /* rows */

struct rows {
	const char *path;
	struct feed *feed;
	const struct tensor *ids, *mask; /* mask may be NULL */
	size_t n_rows, n_cols, n_all; /* the last row may be shorter */
	uint32_t *id; /* (n_cols) */
};

bool
rows_is(const char *path)
{
	return path_ends(path, ".npy") || path_ends(path, ".safetensors");
}

static const struct tensor *
find_ids(const struct tensors *t)
{
	const struct tensor *x = tensors_find(t, "input_ids");

	if (x == NULL)
		x = tensors_find(t, "tokens");
	return x == NULL && tensors_n(t) == 1 ? tensors_at(t, 0) : x;
}

static int
check(struct rows *r, uint32_t context, uint32_t n_ctx, struct err *e)
{
	const struct tensor *t = r->ids;

	if (t == NULL)
		return err_set(e, ERR_FORMAT,
			"%s: none of its tensors is called input_ids or tokens",
			r->path);
	if (!tensor_is_int(t) || t->rank < 1 || t->rank > 2 || t->n_values == 0)
		return err_set(e, ERR_FORMAT,
			"%s: %s is no array of integers (rows, columns) or (tokens)",
			r->path, t->name);
	if (r->mask != NULL &&
		(!tensor_is_int(r->mask) || r->mask->rank != t->rank ||
			r->mask->n_values != t->n_values))
		return err_set(e, ERR_FORMAT, "%s: attention_mask is not shaped as %s",
			r->path, t->name);
	r->n_all = t->n_values;
	r->n_cols = t->rank == 2 ? t->shape[1] : context;
	if (r->n_cols > n_ctx)
		return err_set(e, ERR_MISMATCH,
			"%s: rows of %zu tokens, and the model takes %u: cut them "
			"shorter",
			r->path, r->n_cols, n_ctx);
	r->n_rows = (r->n_all + r->n_cols - 1) / r->n_cols;
	return 0;
}

/* Tokens of a row: without those at its end that the mask leaves out. */
static size_t
row_length(const struct rows *r, size_t row)
{
	size_t at = row * r->n_cols;
	size_t n = r->n_all - at < r->n_cols ? r->n_all - at : r->n_cols;

	while (r->mask != NULL && n > 0 && tensor_int(r->mask, at + n - 1) == 0)
		n--;
	return n;
}

static int
put_row(struct rows *r, size_t row, struct err *e)
{
	const struct document document = {.meta = "{}", .n_meta = 2};
	struct feed_window w = {.n_tokens = (uint32_t)row_length(r, row),
		.token = r->id,
		.document = r->feed->n_documents};

	for (uint32_t i = 0; i < w.n_tokens; i++) {
		int64_t id = tensor_int(r->ids, row * r->n_cols + i);

		if (id < 0 || id >= r->feed->n_vocab)
			return err_set(e, ERR_MISMATCH,
				"%s: row %zu, column %u has the id %" PRId64
				", but the vocabulary %u entries: it is of another "
				"model",
				r->path, row, i, id, r->feed->n_vocab);
		r->id[i] = (uint32_t)id;
	}
	if (w.n_tokens == 0)
		return 0;
	if (feed_document(r->feed, &document, e) < 0 || feed_window(r->feed, &w, e) < 0)
		return err_wrap(e, "%s", r->path);
	return 0;
}

int
rows_read(const char *path, struct feed *feed, uint32_t context, uint32_t n_ctx,
	int (*tick)(void *ctx, uint64_t done, uint64_t total, struct err *e), void *ctx,
	struct err *e)
{
	struct rows r = {.path = path, .feed = feed};
	struct tensors *t;
	int rc = tensors_open(&t, path, e);

	if (rc < 0)
		return rc;
	r.ids = find_ids(t);
	r.mask = tensors_find(t, "attention_mask");
	rc = check(&r, context, n_ctx, e);
	if (rc == 0) {
		r.id = mem_new(r.n_cols, sizeof(*r.id));
		if (r.id == NULL)
			rc = err_set(e, ERR_NOMEM, "%s: no memory for a row", path);
	}
	for (size_t row = 0; rc == 0 && row < r.n_rows; row++) {
		rc = put_row(&r, row, e);
		if (rc == 0 && row % TICK == 0)
			rc = tick(ctx, row, r.n_rows, e);
	}
	mem_free(r.id);
	tensors_close(t);
	return rc;
}
