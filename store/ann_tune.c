/* SPDX-License-Identifier: ISC */
#include "store/ann_tune.h"

#include "util/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CANDIDATES 2560u
/* A row that is scored again is read from anywhere: dearer than codes in a stretch. */
#define RANDOM_COST 4.0

/* ---- the queries and their nearest ---------------------------------------------- */

void
ann_tune_clear(struct ann_tune *t)
{
	mem_free(t->query);
	mem_free(t->truth);
	mem_free(t->part);
	kernel_work_free(t->work);
	*t = (struct ann_tune){0};
}

/* About normal, by a hash: the same for every build. */
static float
noise(uint64_t query, uint32_t i)
{
	uint64_t h = hash_mix(7, query, i, 0);

	return ((float)(h & 0xffff) + (float)(h >> 16 & 0xffff) +
		       (float)(h >> 32 & 0xffff) + (float)(h >> 48) - 131070.0f) /
		37837.0f;
}

static bool
is_zero(const float *x, uint32_t d)
{
	for (uint32_t i = 0; i < d; i++)
		if (x[i] != 0)
			return false;
	return true;
}

static void
perturb(float *x, uint64_t query, uint32_t d)
{
	float scale = 1 / sqrtf((float)d);

	for (uint32_t i = 0; i < d; i++)
		x[i] += noise(query, i) * scale;
	ann_unit(x, x, d);
}

int
ann_tune_init(struct ann_tune *t, const float *rows, uint32_t n, uint32_t d,
	struct err *e)
{
	size_t n_query = 0, n_truth = (size_t)ANN_QUERIES * ANN_RECALL_AT;

	*t = (struct ann_tune){.d = d};
	if (mem_mul(ANN_QUERIES, d, &n_query))
		t->query = mem_new_aligned(n_query, sizeof(*t->query));
	t->truth = mem_new(n_truth, sizeof(*t->truth));
	t->part = mem_new(n_truth, sizeof(*t->part));
	if (t->query == NULL || t->truth == NULL || t->part == NULL)
		return err_set(e, ERR_NOMEM, "no memory for an index' queries");
	for (uint32_t i = 0; i < ANN_QUERIES && i < n; i++) {
		float *x = t->query + (size_t)t->n_queries * d;
		uint64_t row = ((uint64_t)n * i + hash_mix(5, i, 0, 0) % n) /
			(n < ANN_QUERIES ? n : ANN_QUERIES);

		ann_unit(x, rows + row * d, d);
		if (is_zero(x, d))
			continue;
		if (i % 2 == 1)
			perturb(x, i, d);
		t->n_queries++;
	}
	for (size_t i = 0; i < n_truth; i++)
		t->truth[i] = (struct kernel_hit){.row = UINT32_MAX};
	if (t->n_queries == 0)
		return err_set(e, ERR_ARG,
			"all rows are zero: there is nothing to search");
	return kernel_work_new(&t->work, e);
}

int
ann_tune_block(struct ann_tune *t, const float *unit, uint32_t first, uint32_t n,
	struct err *e)
{
	struct kernel_rows *r = NULL;
	int rc = kernel_rows_new(&r, unit, n, t->d, e);

	if (rc == 0)
		rc = kernel_best(t->part, ANN_RECALL_AT, r, 0, n, t->query, t->d,
			t->n_queries, NULL, NULL, false, NULL, t->work, e);
	for (uint32_t i = 0; rc == 0 && i < t->n_queries; i++) {
		struct kernel_hit *part = t->part + (size_t)i * ANN_RECALL_AT;

		for (uint32_t j = 0; j < ANN_RECALL_AT; j++)
			if (part[j].row != UINT32_MAX)
				part[j].row += first;
		kernel_best_merge(t->truth + (size_t)i * ANN_RECALL_AT, part,
			ANN_RECALL_AT, false);
	}
	kernel_rows_free(r);
	return rc;
}

/* ---- parameters ------------------------------------------------------------------ */

uint32_t
ann_n_lists(const char *factory)
{
	const char *at = strstr(factory, "IVF");
	unsigned long n = at != NULL ? strtoul(at + 3, NULL, 10) : 0;

	return n < UINT32_MAX ? (uint32_t)n : 0;
}

/* Of the ten nearest, what share each query has among its first candidates: for those
 * that parameters are chosen on, and for the others. */
struct share {
	double chosen, told;
};

static bool
is_told(uint32_t query)
{
	return query / 2 % 2 == 1;
}

static void
count_found(const struct ann_tune *t, const int64_t *id, size_t k, const uint32_t *size,
	size_t n_sizes, struct share *out)
{
	uint64_t found[2][16] = {{0}}, n_true[2] = {0};

	for (uint32_t q = 0; q < t->n_queries; q++)
		for (uint32_t j = 0; j < ANN_RECALL_AT; j++) {
			uint32_t row = t->truth[(size_t)q * ANN_RECALL_AT + j].row;
			size_t at = 0;

			if (row == UINT32_MAX)
				continue;
			n_true[is_told(q)]++;
			while (at < k && id[q * k + at] != (int64_t)row)
				at++;
			for (size_t i = 0; i < n_sizes && at < k; i++)
				found[is_told(q)][i] += at < size[i];
		}
	for (size_t i = 0; i < n_sizes; i++) {
		out[i].chosen =
			n_true[0] > 0 ? (double)found[0][i] / (double)n_true[0] : 0;
		out[i].told =
			n_true[1] > 0 ? (double)found[1][i] / (double)n_true[1] : 0;
	}
}

struct tuning {
	struct ann_tune *t;
	struct ann *a;
	struct store_ann *x;
	size_t row_bytes;
	uint32_t n_lists;
	bool is_hnsw;
	uint32_t size[16]; /* of candidates, ascending */
	size_t n_sizes;
	int64_t *id; /* (n_queries, the last size) */
	double recall, cost; /* of what is chosen */
};

/* Bytes that a search with these touches, dear ones counted more often. */
static double
cost_of(const struct tuning *u, uint32_t value, uint32_t n_candidates)
{
	double row = (double)u->t->d * sizeof(float) * RANDOM_COST;
	double codes = (double)u->x->n_rows * (double)u->row_bytes;

	if (u->is_hnsw)
		return value * row;
	if (u->n_lists > 0)
		codes = codes * value / u->n_lists +
			(double)u->n_lists * u->t->d * sizeof(float);
	return codes + n_candidates * row;
}

static bool
is_enough(double recall)
{
	return recall >= STORE_RECALL + ANN_MARGIN;
}

/* Takes what is better: enough recall at less cost, or, where nothing has enough, more
 * recall. */
static void
consider(struct tuning *u, uint32_t value, uint32_t n_candidates, struct share x)
{
	double cost = cost_of(u, value, n_candidates);
	bool enough = is_enough(x.chosen), had = is_enough(u->recall);

	if (u->x->n_candidates > 0 &&
		(enough && had ? cost >= u->cost : x.chosen <= u->recall))
		return;
	u->x->value = value;
	u->x->n_candidates = n_candidates;
	u->x->recall = x.told;
	u->recall = x.chosen;
	u->cost = cost;
}

static int
try_value(struct tuning *u, uint32_t value, struct err *e)
{
	size_t k = u->is_hnsw ? value : u->size[u->n_sizes - 1];
	struct share share[16];
	int rc = 0;

	if (u->x->parameter[0] != '\0')
		rc = ann_set(u->a, u->x->parameter, value, e);
	if (rc == 0)
		rc = ann_candidates(u->a, u->t->query, u->t->n_queries, k, u->id, e);
	if (rc != 0)
		return rc;
	count_found(u->t, u->id, k, u->size, u->n_sizes, share);
	for (size_t i = 0; i < u->n_sizes; i++)
		if (!u->is_hnsw || u->size[i] == value)
			consider(u, value, u->size[i], share[i]);
	return 0;
}

static void
sizes_init(struct tuning *u)
{
	uint32_t most = u->x->n_rows < MOST_CANDIDATES ? u->x->n_rows : MOST_CANDIDATES;

	for (uint32_t c = 20; c < most; c *= 2)
		u->size[u->n_sizes++] = c;
	u->size[u->n_sizes++] = most;
}

int
ann_tune_run(struct ann_tune *t, struct ann *a, struct store_ann *x, size_t row_bytes,
	int (*tell)(void *ctx, const char *stage, uint64_t done, uint64_t total,
		struct err *e),
	void *ctx, struct err *e)
{
	struct tuning u = {.t = t, .a = a, .x = x, .row_bytes = row_bytes};
	uint32_t n_values = 1, most = 1;
	int rc = 0;

	u.n_lists = ann_n_lists(x->factory);
	u.is_hnsw = u.n_lists == 0 && strstr(x->factory, "HNSW") != NULL;
	sizes_init(&u);
	if (u.n_lists > 0)
		strcpy(x->parameter, "nprobe");
	else if (u.is_hnsw)
		strcpy(x->parameter, "efSearch");
	for (most = 1; most < u.n_lists; most *= 2)
		n_values++;
	if (u.is_hnsw)
		n_values = (uint32_t)u.n_sizes;
	u.id = mem_new((size_t)t->n_queries * u.size[u.n_sizes - 1], sizeof(*u.id));
	if (u.id == NULL)
		return err_set(e, ERR_NOMEM, "no memory for an index' queries");
	for (uint32_t i = 0; i < n_values && rc == 0; i++) {
		uint32_t value = u.is_hnsw                   ? u.size[i]
			: u.n_lists > 0 && i + 1 == n_values ? u.n_lists
							     : UINT32_C(1) << i;

		if (is_enough(u.recall) && cost_of(&u, value, 0) >= u.cost)
			break;
		if (tell != NULL)
			rc = tell(ctx, "measuring", i, n_values, e);
		if (rc == 0)
			rc = try_value(&u, value, e);
	}
	mem_free(u.id);
	if (rc == 0 && x->parameter[0] != '\0')
		rc = ann_set(a, x->parameter, x->value, e);
	for (uint32_t i = 0; i < t->n_queries; i++)
		x->n_queries += is_told(i);
	return rc;
}
