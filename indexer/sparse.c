/* SPDX-License-Identifier: ISC */
#include "indexer/sparse.h"

#include "util/mem.h"

#include <assert.h>
#include <float.h>
#include <string.h>

void
sparse_clear(struct sparse *a)
{
	mem_free(a->row_start);
	mem_free(a->feature);
	mem_free(a->value);
	*a = (struct sparse){0};
}

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM,
		"no memory for activations; use a smaller "
		"--batch-tokens");
}

static int
not_finite(struct err *e)
{
	return err_set(e, ERR_FORMAT,
		"an activation is not finite: the weights leave the range of float32");
}

static int
make_rows(struct sparse *a, uint32_t n_tokens, struct err *e)
{
	size_t need = (size_t)n_tokens + 1;

	if (need > a->row_cap) {
		mem_free(a->row_start);
		a->row_start = mem_new(need, sizeof(*a->row_start));
		a->row_cap = a->row_start != NULL ? need : 0;
		if (a->row_start == NULL)
			return no_memory(e);
	}
	memset(a->row_start, 0, need * sizeof(*a->row_start));
	a->n_tokens = n_tokens;
	return 0;
}

static int
make_room(struct sparse *a, size_t n, struct err *e)
{
	if (n > UINT32_MAX)
		return no_memory(e);
	if (n <= a->cap)
		return 0;
	mem_free(a->feature);
	mem_free(a->value);
	a->cap = n + n / 4;
	a->feature = mem_new(a->cap, sizeof(*a->feature));
	a->value = mem_new(a->cap, sizeof(*a->value));
	if (a->feature != NULL && a->value != NULL)
		return 0;
	a->cap = 0;
	return no_memory(e);
}

int
sparse_reserve(struct sparse *a, uint32_t n_tokens, size_t n, struct err *e)
{
	return make_rows(a, n_tokens, e) < 0 ? e->code : make_room(a, n, e);
}

/* row_start[i + 1] holds the number of row i's members: makes it where the row
 * begins, so that filling moves it to where it ends. */
static void
begin_rows(struct sparse *a)
{
	size_t sum = 0;

	for (uint32_t i = 1; i <= a->n_tokens; i++) {
		uint32_t n = a->row_start[i];

		a->row_start[i] = (uint32_t)sum;
		sum += n;
	}
}

int
sparse_gather(struct sparse *a, const struct kernel_hits *hits, size_t n_hits,
	uint32_t n_tokens, struct err *e)
{
	size_t n = 0;
	bool bad;

	for (size_t r = 0; r < n_hits; r++)
		n += hits[r].n;
	if (make_rows(a, n_tokens, e) < 0 || make_room(a, n, e) < 0)
		return e->code;
	for (size_t r = 0; r < n_hits; r++)
		for (size_t i = 0; i < hits[r].n; i++)
			a->row_start[hits[r].hit[i].query + 1]++;
	begin_rows(a);
	bad = false;
	for (size_t r = 0; r < n_hits; r++)
		for (size_t i = 0; i < hits[r].n; i++) {
			const struct kernel_hit *h = &hits[r].hit[i];
			uint32_t at = a->row_start[h->query + 1]++;

			a->feature[at] = h->row;
			a->value[at] = h->value;
			bad |= !(h->value <= FLT_MAX);
		}
	return bad ? not_finite(e) : 0;
}

void
sparse_append(struct sparse *out, uint32_t n_rows, const uint32_t *row_start,
	const uint32_t *feature, const float *value, uint32_t n)
{
	uint32_t at = out->row_start[n_rows], from = row_start[0];
	size_t count = row_start[n] - from;

	for (uint32_t i = 1; i <= n; i++)
		out->row_start[n_rows + i] = at + (row_start[i] - from);
	if (count > 0) {
		memcpy(out->feature + at, feature + from, count * sizeof(*feature));
		memcpy(out->value + at, value + from, count * sizeof(*value));
	}
}

double
sparse_density(const struct sparse *a)
{
	return a->n_tokens > 0 ? (double)a->row_start[a->n_tokens] / a->n_tokens : 0;
}

uint32_t
sparse_from(const struct sparse *a, uint32_t i, uint32_t first)
{
	uint32_t lo = a->row_start[i], hi = a->row_start[i + 1];

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (a->feature[mid] < first)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* ---- by feature ------------------------------------------------------------ */

int
by_feature_init(struct by_feature *b, uint32_t first, uint32_t count, struct err *e)
{
	*b = (struct by_feature){.first = first, .count = count};
	b->n_of = mem_new(count, sizeof(*b->n_of));
	b->feature = mem_new(count, sizeof(*b->feature));
	b->start = mem_new((size_t)count + 1, sizeof(*b->start));
	if (b->n_of != NULL && b->feature != NULL && b->start != NULL)
		return 0;
	by_feature_clear(b);
	return no_memory(e);
}

void
by_feature_clear(struct by_feature *b)
{
	mem_free(b->n_of);
	mem_free(b->feature);
	mem_free(b->start);
	mem_free(b->raw);
	mem_free(b->at);
	mem_free(b->raw_feature);
	*b = (struct by_feature){0};
}

void
by_feature_reset(struct by_feature *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		b->n_of[b->feature[i] - b->first] = 0;
	b->n = b->n_raw = 0;
}

static int
grow(struct by_feature *b, struct err *e)
{
	uint32_t cap = b->cap ? b->cap * 2 : 4096;
	struct rec_at *raw = mem_resize(b->raw, cap, sizeof(*raw));
	struct rec_at *at;
	uint32_t *raw_feature;

	if (raw == NULL)
		return no_memory(e);
	b->raw = raw;
	at = mem_resize(b->at, cap, sizeof(*at));
	if (at == NULL)
		return no_memory(e);
	b->at = at;
	raw_feature = mem_resize(b->raw_feature, cap, sizeof(*raw_feature));
	if (raw_feature == NULL)
		return no_memory(e);
	b->raw_feature = raw_feature;
	b->cap = cap;
	return 0;
}

int
by_feature_add(struct by_feature *b, uint32_t feature, uint32_t offset, float value,
	struct err *e)
{
	uint32_t *n_of = &b->n_of[feature - b->first];

	assert(feature - b->first < b->count);
	if (b->n_raw == b->cap && grow(b, e) < 0)
		return e->code;
	if ((*n_of)++ == 0)
		b->feature[b->n++] = feature;
	b->raw[b->n_raw] = (struct rec_at){offset, value};
	b->raw_feature[b->n_raw++] = feature;
	return 0;
}

/* n_of becomes where a feature's next activation goes. */
void
by_feature_build(struct by_feature *b)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t *n_of = &b->n_of[b->feature[i] - b->first];
		uint32_t n = *n_of;

		b->start[i] = *n_of = sum;
		sum += n;
	}
	b->start[b->n] = sum;
	for (uint32_t i = 0; i < b->n_raw; i++)
		b->at[b->n_of[b->raw_feature[i] - b->first]++] = b->raw[i];
}
