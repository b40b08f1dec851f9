/* SPDX-License-Identifier: ISC */
/*
 * What belongs to the SAEs alone: logit effects and neighbors, tried on some rows.
 */
#include "indexer/describe.h"
#include "indexer/directions.h"
#include "indexer/estimate_int.h"
#include "indexer/graphs.h"
#include "indexer/stop.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

#define ROWS 1920 /* tried, of those that there are */
#define ROWS_LEAST 240
#define PRODUCTS_MOST 2e11 /* multiplications of one try: a second or two */

#define VALUE_BYTES 42.0 /* of a value in LMDB, beside what it holds */
#define SCORED_BYTES 6.2 /* of a token or neighbor and its score */

/* Time of a stage from a moment on. */
struct since {
	struct pool *pool;
	enum stage stage;
	struct pool_time before[STOPWATCH_STAGES];
};

static void
begin(struct since *s, struct pool *pool, enum stage stage)
{
	s->pool = pool;
	s->stage = stage;
	pool_stage(pool, stage);
	pool_times(pool, s->before);
}

/* Adds what it took, times factor. */
static void
end(const struct since *s, double factor, struct estimate_part *out)
{
	struct pool_time after[STOPWATCH_STAGES], *sum = &out->of[s->stage];
	struct stages_span span;

	pool_times(s->pool, after);
	pool_stage(s->pool, STAGE_OTHER);
	stages_span(&span, s->before, after);
	sum->wall_s += factor * span.of[s->stage].wall_s;
	sum->busy_s += factor * span.of[s->stage].busy_s;
	sum->cpu_s += factor * span.of[s->stage].cpu_s;
}

/* What one direction takes when both are found in one pass, of what it takes alone. */
#define BOTH_WAYS 0.6

/* How many of n rows to try where each is multiplied with all of n_others. */
static uint32_t
rows_of(uint32_t n, double n_others, double d)
{
	double most = PRODUCTS_MOST / (n_others * d);
	uint32_t rows = most < ROWS ? (uint32_t)most : ROWS;

	if (rows < ROWS_LEAST)
		rows = ROWS_LEAST;
	return rows < n ? rows : n;
}

/* ---- logit effects ---------------------------------------------------------------- */

/* As if the SAE had so many features. */
static int
try_logits(struct estimate *x, const struct plan_sae *s, uint32_t rows, struct err *e)
{
	uint32_t n_vocab = x->plan.n_vocab;
	struct sae_writer *w = NULL;
	struct sae few = *s->sae;
	struct cat_sae info;
	int64_t have;
	int rc;

	if (tok_n_vocab(x->plan.tok) < n_vocab)
		n_vocab = (uint32_t)tok_n_vocab(x->plan.tok);
	describe_sae(&info, &x->plan, s);
	info.d_sae = few.info.d_sae = rows;
	snprintf(info.id, sizeof(info.id), "%016x", ++x->n_parts);
	snprintf(info.name, sizeof(info.name), "part%u", x->n_parts);
	memcpy(info.hash, &x->n_parts, sizeof(x->n_parts));
	rc = sae_writer_new(&w, &have, x->store, &info, s->sae->w_dec, s->sae->w_enc,
		e);
	if (rc == 0 && w != NULL)
		rc = logits_write(w, x->plan.lm, &few, n_vocab, x->pool, e);
	if (rc == 0 && w != NULL)
		rc = sae_writer_finish(w, e);
	sae_writer_free(w);
	return rc;
}

static void
add_rows(const struct sae_info *x, struct estimate_part *out)
{
	double n = x->d_sae;

	out->file_bytes[FILE_DECODER] += n * x->d_out * sizeof(float);
	out->file_bytes[FILE_ENCODER] += n * x->d_in * sizeof(float);
	out->file_bytes[FILE_DECODER_CODES] +=
		(double)store_codes_bytes(x->d_sae, x->d_out);
	out->file_bytes[FILE_ENCODER_CODES] +=
		(double)store_codes_bytes(x->d_sae, x->d_in);
}

/* Preparing the unembedding is done once, whatever the rows: a few rows tell it. */
static int
logits(struct estimate *x, const struct plan_sae *s, struct estimate_part *out,
	struct err *e)
{
	uint32_t n = s->sae->info.d_sae, d = lm_info(x->plan.lm)->d_model;
	uint32_t many = rows_of(n, 2.0 * x->plan.n_vocab, d), few = many / 4;
	double more = many > few ? (double)(n - many) / (double)(many - few) : 0;
	struct since since;

	add_rows(&s->sae->info, out);
	out->file_bytes[FILE_LOGITS] +=
		(double)n * (VALUE_BYTES + 2 * SCORED_BYTES * LIMIT_LOGITS);
	begin(&since, x->pool, STAGE_LOGITS);
	if (try_logits(x, s, many, e) < 0)
		return e->code;
	end(&since, 1 + more, out);
	if (many == n || few == 0)
		return 0;
	begin(&since, x->pool, STAGE_LOGITS);
	if (try_logits(x, s, few, e) < 0)
		return e->code;
	end(&since, -more, out);
	return 0;
}

/* ---- neighbors -------------------------------------------------------------------- */

static int
neighbors(struct estimate *x, const struct directions *from, struct directions *to,
	struct estimate_part *out, struct err *e)
{
	struct directions few = {.rows = from->rows, .d = from->d};
	int rc;
	struct since since;
	char id[STORE_ID_CHARS];
	bool have;

	few.n = rows_of(from->n, to->n, from->d);
	if (neighbors_k(from, to) == 0 ||
		!graphs_wanted(x->plan.options->neighbors, from, to))
		return 0;
	snprintf(id, sizeof(id), "%016x", ++x->n_parts);
	few.id = id;
	begin(&since, x->pool, STAGE_NEIGHBORS);
	rc = neighbors_write(x->store, &few, to, x->pool, &have, e);
	directions_clear(&few);
	if (rc < 0)
		return rc;
	end(&since, BOTH_WAYS * (double)from->n / few.n, out);
	out->file_bytes[FILE_NEIGHBORS] +=
		(double)from->n * (VALUE_BYTES + SCORED_BYTES * neighbors_k(from, to));
	return stop_check(e);
}

static int
all_neighbors(struct estimate *x, const struct plan_group *g, struct directions *dir,
	struct estimate_part *out, struct err *e)
{
	for (uint32_t i = 0; i < g->n_saes; i++) {
		const struct plan_sae *s = &x->plan.sae[g->sae[i]];

		dir[i] = (struct directions){.id = s->id,
			.rows = s->sae->w_dec,
			.n = s->sae->info.d_sae,
			.d = s->sae->info.d_out};
	}
	for (uint32_t i = 0; i < g->n_saes; i++)
		for (uint32_t j = 0; j < g->n_saes; j++)
			if (strcmp(x->plan.sae[g->sae[i]].stream,
				    x->plan.sae[g->sae[j]].stream) == 0 &&
				neighbors(x, &dir[i], &dir[j], out, e) < 0)
				return e->code;
	return 0;
}

int
estimate_directions(struct estimate *x, const struct plan_group *g,
	struct estimate_part *out, struct err *e)
{
	struct directions *dir = mem_new(g->n_saes, sizeof(*dir));
	int rc = 0;

	*out = (struct estimate_part){0};
	if (dir == NULL)
		return err_set(e, ERR_NOMEM, "no memory for neighbors");
	for (uint32_t i = 0; i < g->n_saes && rc == 0; i++)
		rc = logits(x, &x->plan.sae[g->sae[i]], out, e);
	if (rc == 0)
		rc = all_neighbors(x, g, dir, out, e);
	for (uint32_t i = 0; i < g->n_saes; i++)
		directions_clear(&dir[i]);
	mem_free(dir);
	return rc;
}
