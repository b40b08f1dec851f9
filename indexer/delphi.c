/* SPDX-License-Identifier: ISC */
#include "indexer/delphi.h"

#include "model/tensors.h"
#include "util/file.h"
#include "util/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_PER_ENTRY 8 /* of a block of rows: feature and value */

struct part { /* one file */
	struct tensors *tensors;
	const struct tensor *place; /* (n, 3): row, position, feature - first */
	const struct tensor *value; /* (n) */
	uint32_t first; /* feature */
};

struct delphi {
	const char *dir;
	struct part *part; /* (n_parts) by first feature */
	size_t n_parts;
	const struct tensor *tokens; /* (n_rows, n_cols) */
	size_t n_rows, n_cols;
	uint32_t d_sae;
	uint64_t *of_row; /* (n_rows) entries */
	struct sparse acts; /* of a block of rows */
	uint32_t *at; /* (tokens of the block) where the next entry goes */
	uint32_t *ids; /* (n_cols) */
};

bool
delphi_is(const char *dir)
{
	char **names, path[PATH_BYTES];
	size_t n;
	bool found = false, looked = false;

	if (dir_list(dir, &names, &n, NULL) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct tensors *t;

		if (!looked && path_ends(names[i], ".safetensors") &&
			path_join(path, NULL, "%s/%s", dir, names[i]) == 0 &&
			tensors_open(&t, path, NULL) == 0) {
			found = tensors_find(t, "locations") != NULL &&
				tensors_find(t, "activations") != NULL;
			tensors_close(t);
			looked = true;
		}
		mem_free(names[i]);
	}
	mem_free(names);
	return found;
}

/* ---- files ------------------------------------------------------------------- */

/* "1024_2047.safetensors" begins with feature 1024; another name with 0. */
static uint32_t
first_feature(const char *name)
{
	unsigned first = 0, last = 0;
	int n = 0;

	if (sscanf(name, "%9u_%9u.safetensors%n", &first, &last, &n) == 2 && n > 0 &&
		name[n] == '\0')
		return first;
	return 0;
}

static int
check_part(const struct delphi *d, const struct part *p, struct err *e)
{
	const char *path = tensors_path(p->tensors);
	const struct tensor *tokens = tensors_find(p->tensors, "tokens");

	if (p->place == NULL || p->value == NULL || p->place->rank != 2 ||
		p->place->shape[1] != 3 || p->value->rank != 1 ||
		p->value->shape[0] != p->place->shape[0] || !tensor_is_int(p->place))
		return err_set(e, ERR_FORMAT,
			"%s: needs locations (n, 3) of integers and activations (n)",
			path);
	if (tokens == NULL)
		return err_set(e, ERR_MISMATCH,
			"%s: has no tokens: cache them, with save_tokens=True", path);
	if (tokens->rank != 2 || !tensor_is_int(tokens) || tokens->shape[0] == 0 ||
		tokens->shape[1] == 0 || tokens->shape[1] > LIMIT_CONTEXT)
		return err_set(e, ERR_FORMAT,
			"%s: tokens must be (rows, columns) of integers, at most %d "
			"columns",
			path, LIMIT_CONTEXT);
	if (d->tokens != NULL &&
		(tokens->n_bytes != d->tokens->n_bytes ||
			tokens->shape[1] != d->tokens->shape[1] ||
			memcmp(tokens->data, d->tokens->data, tokens->n_bytes) != 0))
		return err_set(e, ERR_MISMATCH,
			"%s: its tokens are not those of the other files in %s: they "
			"are of two runs",
			path, d->dir);
	return 0;
}

static int
add_part(struct delphi *d, const char *name, struct err *e)
{
	struct part *more = mem_resize(d->part, d->n_parts + 1, sizeof(*more));
	char path[PATH_BYTES];
	struct part *p;

	if (more == NULL)
		return err_set(e, ERR_NOMEM, "%s: no memory for its files", d->dir);
	d->part = more;
	p = &more[d->n_parts];
	*p = (struct part){.first = first_feature(name)};
	if (path_join(path, e, "%s/%s", d->dir, name) < 0 ||
		tensors_open(&p->tensors, path, e) < 0)
		return e->code;
	d->n_parts++;
	p->place = tensors_find(p->tensors, "locations");
	p->value = tensors_find(p->tensors, "activations");
	if (check_part(d, p, e) < 0)
		return e->code;
	d->tokens = tensors_find(p->tensors, "tokens");
	return 0;
}

static int
by_first(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int
open_parts(struct delphi *d, struct err *e)
{
	char **names;
	size_t n;
	int rc = dir_list(d->dir, &names, &n, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && path_ends(names[i], ".safetensors"))
			rc = add_part(d, names[i], e);
		mem_free(names[i]);
	}
	mem_free(names);
	if (rc < 0)
		return rc;
	qsort(d->part, d->n_parts, sizeof(*d->part), by_first);
	d->n_rows = d->tokens->shape[0];
	d->n_cols = d->tokens->shape[1];
	return 0;
}

/* ---- entries ------------------------------------------------------------------- */

struct entry {
	uint64_t row, col, feature;
};

static int
read_entry(const struct delphi *d, const struct part *p, size_t i, struct entry *x,
	struct err *e)
{
	*x = (struct entry){(uint64_t)tensor_int(p->place, 3 * i),
		(uint64_t)tensor_int(p->place, 3 * i + 1),
		(uint64_t)tensor_int(p->place, 3 * i + 2) + p->first};
	if (x->row < d->n_rows && x->col < d->n_cols && x->feature < d->d_sae)
		return 0;
	return err_set(e, ERR_MISMATCH,
		"%s: location %zu is feature %" PRIu64 " at row %" PRIu64
		", position %" PRIu64
		"; the SAE has %u features, and the tokens are %zu rows of %zu",
		tensors_path(p->tensors), i, x->feature, x->row, x->col, d->d_sae,
		d->n_rows, d->n_cols);
}

static int
count_rows(struct delphi *d, struct err *e)
{
	struct entry x;

	d->of_row = mem_new(d->n_rows, sizeof(*d->of_row));
	d->ids = mem_new(d->n_cols, sizeof(*d->ids));
	if (d->of_row == NULL || d->ids == NULL)
		return err_set(e, ERR_NOMEM, "%s: no memory for %zu rows", d->dir,
			d->n_rows);
	for (size_t p = 0; p < d->n_parts; p++)
		for (size_t i = 0; i < d->part[p].value->n_values; i++) {
			if (read_entry(d, &d->part[p], i, &x, e) < 0)
				return e->code;
			d->of_row[x.row]++;
		}
	return 0;
}

/* Rows [first, first + n) hold as many entries as fit; one at least. */
static size_t
block_of(const struct delphi *d, size_t first, size_t most, size_t *n_entries)
{
	size_t n = 0, sum = 0;

	while (first + n < d->n_rows &&
		(n == 0 || sum + d->of_row[first + n] <= most) &&
		(n + 1) * d->n_cols < UINT32_MAX)
		sum += d->of_row[first + n++];
	*n_entries = sum;
	return n;
}

/* Counts, then places: the entries of the block by token. */
static int
place_entries(struct delphi *d, size_t first, size_t n, bool count, struct err *e)
{
	struct entry x;

	for (size_t p = 0; p < d->n_parts; p++) {
		const struct part *part = &d->part[p];

		for (size_t i = 0; i < part->value->n_values; i++) {
			struct tensor one;
			size_t token;

			if (read_entry(d, part, i, &x, e) < 0)
				return e->code;
			if (x.row < first || x.row >= first + n)
				continue;
			token = (x.row - first) * d->n_cols + x.col;
			if (count) {
				d->acts.row_start[token + 1]++;
				continue;
			}
			one = tensor_rows(part->value, i, 1);
			d->acts.feature[d->at[token]] = (uint32_t)x.feature;
			if (tensor_floats(&one, &d->acts.value[d->at[token]++], false,
				    e) < 0)
				return e->code;
		}
	}
	return 0;
}

/* By feature; few, and mostly in order already. */
static int
sort_token(const struct delphi *d, size_t row, uint32_t from, uint32_t to,
	struct err *e)
{
	uint32_t *feature = d->acts.feature;
	float *value = d->acts.value;

	for (uint32_t i = from; i < to; i++) {
		uint32_t f = feature[i], j = i;
		float v = value[i];

		if (!(v > 0))
			return err_set(e, ERR_FORMAT,
				"%s: row %zu has the activation %g of feature %u; they "
				"are above 0",
				d->dir, row, (double)v, f);
		for (; j > from && feature[j - 1] > f; j--) {
			feature[j] = feature[j - 1];
			value[j] = value[j - 1];
		}
		feature[j] = f;
		value[j] = v;
		if (j > from && feature[j - 1] == f)
			return err_set(e, ERR_FORMAT,
				"%s: row %zu has feature %u twice at one position",
				d->dir, row, f);
	}
	return 0;
}

static int
fill_block(struct delphi *d, size_t first, size_t n, size_t n_entries, struct err *e)
{
	uint32_t n_tokens = (uint32_t)(n * d->n_cols);
	uint32_t *at;

	if (n_entries > UINT32_MAX)
		return err_set(e, ERR_LIMIT, "%s: row %zu has too many features",
			d->dir, first);
	if (sparse_reserve(&d->acts, n_tokens, n_entries, e) < 0)
		return e->code;
	at = mem_resize(d->at, n_tokens, sizeof(*at));
	if (at == NULL)
		return err_set(e, ERR_NOMEM, "%s: no memory for %zu rows", d->dir, n);
	d->at = at;
	if (place_entries(d, first, n, true, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < n_tokens; i++) {
		at[i] = d->acts.row_start[i];
		d->acts.row_start[i + 1] += d->acts.row_start[i];
	}
	if (place_entries(d, first, n, false, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < n_tokens; i++)
		if (sort_token(d, first + i / d->n_cols, d->acts.row_start[i],
			    d->acts.row_start[i + 1], e) < 0)
			return e->code;
	return 0;
}

/* ---- the whole -------------------------------------------------------------------- */

static int
put_row(const struct delphi *d, struct feed *feed, size_t row, size_t in_block,
	struct err *e)
{
	const struct document document = {.meta = "{}", .n_meta = 2};
	struct feed_window w = {.n_tokens = (uint32_t)d->n_cols,
		.token = d->ids,
		.document = feed->n_documents};

	for (size_t i = 0; i < d->n_cols; i++) {
		int64_t id = tensor_int(d->tokens, row * d->n_cols + i);

		if (id < 0 || id >= feed->n_vocab)
			return err_set(e, ERR_MISMATCH,
				"%s: row %zu has the token id %" PRId64
				", but the vocabulary %u entries: it is of another "
				"model",
				d->dir, row, id, feed->n_vocab);
		d->ids[i] = (uint32_t)id;
	}
	if (feed_document(feed, &document, e) < 0 || feed_window(feed, &w, e) < 0)
		return err_wrap(e, "%s", d->dir);
	return feed_acts(feed, 0, &d->acts, (uint32_t)(in_block * d->n_cols), e);
}

static void
delphi_clear(struct delphi *d)
{
	for (size_t i = 0; i < d->n_parts; i++)
		tensors_close(d->part[i].tensors);
	mem_free(d->part);
	mem_free(d->of_row);
	mem_free(d->at);
	mem_free(d->ids);
	sparse_clear(&d->acts);
}

int
delphi_read(const char *dir, struct feed *feed, uint32_t d_sae, size_t memory_bytes,
	int (*tick)(void *ctx, uint64_t done, uint64_t total, struct err *e), void *ctx,
	struct err *e)
{
	struct delphi d = {.dir = dir, .d_sae = d_sae};
	size_t n_entries = 0, n = 0;
	int rc = open_parts(&d, e);

	if (rc == 0)
		rc = count_rows(&d, e);
	for (size_t first = 0; rc == 0 && first < d.n_rows; first += n) {
		n = block_of(&d, first, memory_bytes / BYTES_PER_ENTRY, &n_entries);
		rc = fill_block(&d, first, n, n_entries, e);
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = put_row(&d, feed, first + i, i, e);
		if (rc == 0)
			rc = tick(ctx, (first + n) * d.n_cols, d.n_rows * d.n_cols, e);
	}
	delphi_clear(&d);
	return rc;
}
