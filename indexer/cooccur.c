/* SPDX-License-Identifier: ISC */
#include "indexer/cooccur.h"

#include "analysis/cooccur.h"
#include "indexer/options.h"
#include "indexer/stop.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

/* Counting is a step for each pair of features on each token: with this many active on
 * a token it is still a small part of what finding them took. */
#define MOST_ACTIVE 256
#define MOST_FEATURES (UINT32_C(1) << 18)
#define MOST_ENTRIES (UINT32_C(1) << 30) /* in memory at a time */
#define PART_FEATURES 32
#define BLOCK_WINDOWS 128
#define NONE UINT32_MAX

/* Features that fire, of all slots, are numbered through. */
struct alive {
	uint32_t slot, feature;
	uint64_t count;
};
struct found {
	uint32_t other, n_both; /* other: a number */
};
struct counting {
	const struct cooccur_job *job;
	uint32_t *number[LIMIT_SAES]; /* (d_sae) by feature, NONE where it is dead */
	struct alive *alive; /* (n_alive) by slot, then feature */
	uint32_t n_alive;
	uint64_t n_entries, n_tokens; /* activations of all slots; tokens that count */
	bool whole; /* all of it is in memory at a time */
	uint32_t chunk_tokens, share; /* else so many tokens, and so many features */
	/* of a chunk of windows: numbers of the features active on each token */
	uint32_t *row_start; /* (n_rows + 1) */
	uint32_t *feature; /* (n) */
	uint32_t *token; /* (n) of the features of the share, by feature */
	uint32_t n_rows, cap_tokens, n, cap;
	/* of features [first, end) */
	uint32_t first, end;
	uint32_t *token_at; /* (share) the end of each in token */
	uint32_t *n_both; /* (threads or share, n_alive) */
	struct found *found; /* (share, LIMIT_COOCCURRENCE) */
	uint32_t *n_found, *n_all; /* (share) */
};

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory to count what fires together");
}

/* ---- which features, and how many at a time ----------------------------------------- */

static int
number_features(struct counting *c, struct err *e)
{
	const struct pass_result *pass = c->job->pass;
	uint64_t n = 0;

	for (uint32_t s = 0; s < c->job->n_slots; s++)
		n += pass[s].n_alive;
	c->alive = mem_new(n, sizeof(*c->alive));
	if (c->alive == NULL)
		return no_memory(e);
	for (uint32_t s = 0; s < c->job->n_slots; s++) {
		const struct state *state = &pass[s].state;

		c->number[s] = mem_new(state->n_features, sizeof(**c->number));
		if (c->number[s] == NULL)
			return no_memory(e);
		for (uint32_t f = 0; f < state->n_features; f++) {
			uint64_t count = state->feature[f].count;

			c->number[s][f] = count > 0 ? c->n_alive : NONE;
			if (count > 0)
				c->alive[c->n_alive++] = (struct alive){s, f, count};
		}
	}
	return 0;
}

/* Tokens and features at a time. In the whole, each thread counts the partners of one
 * feature after another; else there is a row of counts for each feature of a share. */
static void
plan_shares(struct counting *c)
{
	size_t counts = (size_t)c->n_alive * sizeof(uint32_t);
	size_t each = LIMIT_COOCCURRENCE * sizeof(struct found) + 3 * sizeof(uint32_t);
	size_t token = sizeof(uint32_t);
	const char *told = getenv("SAEDB_COOCCUR_BYTES"); /* for tests */
	size_t most = told != NULL ? strtoul(told, NULL, 10) : c->job->memory_bytes / 2;
	uint64_t n_tokens = c->n_tokens > 0 ? c->n_tokens : 1;
	uint64_t per_token = c->n_entries / n_tokens + 1;

	c->share = c->n_alive;
	c->whole = c->n_entries <= MOST_ENTRIES && c->n_tokens <= MOST_ENTRIES &&
		c->n_entries * 2 * sizeof(uint32_t) + c->n_tokens * token +
				counts * pool_n_threads(c->job->pool) +
				each * c->n_alive <=
			most;
	c->chunk_tokens = (uint32_t)n_tokens;
	if (c->whole)
		return;
	n_tokens = most / 3 / (per_token * 2 * sizeof(uint32_t) + token);
	if (n_tokens > MOST_ENTRIES / per_token)
		n_tokens = MOST_ENTRIES / per_token;
	c->chunk_tokens = n_tokens > 0 ? (uint32_t)n_tokens : 1;
	if (most / 2 / (counts + each) < c->share)
		c->share = (uint32_t)(most / 2 / (counts + each));
	if (c->share == 0)
		c->share = 1;
}

static int
make_tables(struct counting *c, struct err *e)
{
	size_t n = c->whole ? pool_n_threads(c->job->pool) : c->share, n_counts;

	if (!mem_mul(n, c->n_alive, &n_counts))
		return no_memory(e);
	c->n_both = mem_new(n_counts, sizeof(*c->n_both));
	c->found = mem_new((size_t)c->share * LIMIT_COOCCURRENCE, sizeof(*c->found));
	c->n_found = mem_new(c->share, sizeof(*c->n_found));
	c->n_all = mem_new(c->share, sizeof(*c->n_all));
	c->token_at = mem_new(c->share, sizeof(*c->token_at));
	if (c->n_both == NULL || c->found == NULL || c->n_found == NULL ||
		c->n_all == NULL || c->token_at == NULL)
		return no_memory(e);
	return 0;
}

static void
counting_clear(struct counting *c)
{
	for (uint32_t s = 0; s < c->job->n_slots; s++)
		mem_free(c->number[s]);
	mem_free(c->row_start);
	mem_free(c->feature);
	mem_free(c->token);
	mem_free(c->alive);
	mem_free(c->n_both);
	mem_free(c->found);
	mem_free(c->n_found);
	mem_free(c->n_all);
	mem_free(c->token_at);
}

/* ---- the rows of a chunk ------------------------------------------------------------- */

static int
grow(uint32_t **p, uint32_t *cap, uint64_t need, struct err *e)
{
	uint64_t more = need + need / 8 + 1024;
	void *grown;

	if (need <= *cap)
		return 0;
	if (more > UINT32_MAX)
		return no_memory(e);
	grown = mem_resize(*p, more, sizeof(**p));
	if (grown == NULL)
		return no_memory(e);
	*p = grown;
	*cap = (uint32_t)more;
	return 0;
}

/* A block of windows, each read by one thread: what counts, of all slots. */
struct block {
	const struct counting *c;
	uint32_t first, n; /* windows */
	struct {
		uint32_t n_tokens, n;
		uint32_t *end; /* (n_tokens) of each token's features */
		uint32_t *feature; /* (n) numbers */
		struct arena arena;
		struct err err;
	} window[BLOCK_WINDOWS];
};

static int
read_slots(const struct counting *c, uint32_t window, const struct rec_window *w,
	struct rec_acts *acts, struct arena *arena, uint64_t *n, struct err *e)
{
	*n = 0;
	for (uint32_t s = 0; s < c->job->n_slots; s++) {
		if (run_writer_read_acts(c->job->writer, s, window, &acts[s], arena,
			    e) < 0)
			return e->code;
		if (acts[s].n_tokens != w->n_tokens)
			return err_set(e, ERR_INTERNAL,
				"window %u has %u tokens, %u stored", window,
				w->n_tokens, acts[s].n_tokens);
		*n += acts[s].row_start[w->n_tokens];
	}
	return 0;
}

/* Puts the numbers of a token's features of one slot at out. */
static int
number_row(const uint32_t *number, const struct rec_acts *a, uint32_t token,
	uint32_t *out, uint32_t window, struct err *e)
{
	for (uint32_t j = a->row_start[token]; j < a->row_start[token + 1]; j++) {
		*out = number[a->feature[j]];
		if (*out++ == NONE)
			return err_set(e, ERR_INTERNAL,
				"feature %u fires in window %u and was not counted",
				a->feature[j], window);
	}
	return 0;
}

static void
read_window(void *ctx, size_t i, size_t thread)
{
	struct block *b = ctx;
	const struct counting *c = b->c;
	struct rec_acts acts[LIMIT_SAES];
	struct arena *arena = &b->window[i].arena;
	struct err *e = &b->window[i].err;
	uint32_t window = b->first + (uint32_t)i, *end, *feature, n = 0, n_tokens = 0;
	struct rec_window w;
	uint64_t most;

	(void)thread;
	arena_reset(arena);
	windows_get(c->job->windows, window, &w);
	if (read_slots(c, window, &w, acts, arena, &most, e) < 0)
		return;
	end = arena_alloc(arena, w.n_tokens, sizeof(*end));
	feature = arena_alloc(arena, most, sizeof(*feature));
	if (end == NULL || feature == NULL) {
		no_memory(e);
		return;
	}
	for (uint32_t t = 0; t < w.n_tokens; t++) {
		if (!windows_counts(c->job->windows, w.token[t]))
			continue;
		for (uint32_t s = 0; s < c->job->n_slots; s++) {
			if (number_row(c->number[s], &acts[s], t, feature + n, window,
				    e) < 0)
				return;
			n += acts[s].row_start[t + 1] - acts[s].row_start[t];
		}
		end[n_tokens++] = n;
	}
	b->window[i].n_tokens = n_tokens;
	b->window[i].n = n;
	b->window[i].end = end;
	b->window[i].feature = feature;
}

static int
append(struct counting *c, const struct block *b, struct err *e)
{
	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t n = b->window[i].n, n_tokens = b->window[i].n_tokens;

		if (b->window[i].err.code != 0) {
			*e = b->window[i].err;
			return e->code;
		}
		if (grow(&c->row_start, &c->cap_tokens,
			    (uint64_t)c->n_rows + n_tokens + 1, e) < 0 ||
			grow(&c->feature, &c->cap, (uint64_t)c->n + n, e) < 0)
			return e->code;
		for (uint32_t t = 0; t < n_tokens; t++)
			c->row_start[++c->n_rows] = c->n + b->window[i].end[t];
		memcpy(c->feature + c->n, b->window[i].feature, n * sizeof(uint32_t));
		c->n += n;
	}
	return 0;
}

/* Windows [first, end). */
static int
read_chunk(struct counting *c, struct block *b, uint32_t first, uint32_t end,
	struct err *e)
{
	c->n = c->n_rows = 0;
	if (grow(&c->row_start, &c->cap_tokens, 1, e) < 0)
		return e->code;
	c->row_start[0] = 0;
	for (b->first = first; b->first < end; b->first += b->n) {
		b->n = end - b->first < BLOCK_WINDOWS ? end - b->first : BLOCK_WINDOWS;
		if (stop_check(e) < 0)
			return e->code;
		pool_run(c->job->pool, b->n, read_window, b);
		if (append(c, b, e) < 0)
			return e->code;
	}
	mem_free(c->token);
	c->token = mem_new(c->n, sizeof(*c->token));
	return c->token != NULL ? 0 : no_memory(e);
}

/* In the whole sizes are known. */
static int
reserve(struct counting *c, struct err *e)
{
	uint64_t n_tokens = c->n_tokens + 1;

	if (!c->whole)
		return 0;
	c->row_start = mem_new(n_tokens, sizeof(*c->row_start));
	c->feature = mem_new(c->n_entries, sizeof(*c->feature));
	c->cap_tokens = (uint32_t)n_tokens;
	c->cap = (uint32_t)c->n_entries;
	return c->row_start != NULL && c->feature != NULL ? 0 : no_memory(e);
}

/* The tokens of each feature of a part of the share: counted, then put in their
 * places. */
static void
list_tokens(void *ctx, size_t part, size_t thread)
{
	struct counting *c = ctx;
	uint32_t n_parts = (uint32_t)pool_n_threads(c->job->pool),
		 n = c->end - c->first;
	uint32_t from = c->first + (uint32_t)((uint64_t)n * part / n_parts);
	uint32_t to = c->first + (uint32_t)((uint64_t)n * (part + 1) / n_parts);
	uint32_t sum = 0, *at = c->token_at + (from - c->first);

	(void)thread;
	for (uint32_t i = 0; i < to - from; i++)
		at[i] = 0;
	for (uint32_t j = 0; j < c->n; j++) {
		sum += c->feature[j] < from && c->feature[j] >= c->first;
		if (c->feature[j] >= from && c->feature[j] < to)
			at[c->feature[j] - from]++;
	}
	for (uint32_t i = 0; i < to - from; i++) { /* where each begins */
		uint32_t n_here = at[i];

		at[i] = sum;
		sum += n_here;
	}
	for (uint32_t t = 0; t < c->n_rows; t++)
		for (uint32_t j = c->row_start[t]; j < c->row_start[t + 1]; j++)
			if (c->feature[j] >= from && c->feature[j] < to)
				c->token[at[c->feature[j] - from]++] = t;
	/* now each stands at its end, which is where the next begins */
}

/* ---- counting ------------------------------------------------------------------------ */

/* Row i of the share's counts: what fires on the tokens of this feature. */
static void
count_feature(const struct counting *c, uint32_t i, uint32_t *n_both)
{
	struct cooccur_rows rows = {c->row_start, c->feature};
	uint32_t from = i > 0 ? c->token_at[i - 1] : 0;

	cooccur_add(n_both, &rows, c->token + from, c->token_at[i] - from);
}

/* The best of one feature so far, and the least n_both that can be among them. */
struct choice {
	struct cooccur_pair pair[LIMIT_COOCCURRENCE];
	struct cooccur_best best;
	uint32_t least;
};

static void
choose(struct choice *x, const struct counting *c, uint32_t f, uint32_t n_both)
{
	const struct cooccur_pair *last = &x->pair[LIMIT_COOCCURRENCE - 1];
	uint64_t either;

	if (n_both < x->least)
		return;
	cooccur_offer(&x->best,
		(struct cooccur_pair){.sae = c->alive[f].slot,
			.feature = f,
			.n_both = n_both,
			.count = c->alive[f].count});
	if (x->best.n < x->best.k)
		return;
	/* a Jaccard index is at most n_both of the one feature's count */
	either = x->best.count + last->count - last->n_both;
	x->least = (uint32_t)((last->n_both * x->best.count + either - 1) / either);
}

/* Of eight counts: how many are not 0, and whether one reaches least. */
static uint32_t
look(const uint32_t *n_both, uint32_t least, bool *reaches)
{
	uint32_t n = 0, hit = 0;

	for (int i = 0; i < 8; i++) {
		n += n_both[i] != 0;
		hit |= n_both[i] >= least;
	}
	*reaches = hit != 0;
	return n;
}

/* The strongest of a row, which is all 0 after. */
static void
take_best(const struct counting *c, uint32_t i, uint32_t *n_both)
{
	struct choice x = {.least = 1};
	uint32_t f = 0;
	bool reaches;

	x.best = (struct cooccur_best){.pair = x.pair,
		.k = LIMIT_COOCCURRENCE,
		.sort = COOCCUR_BY_JACCARD,
		.count = c->alive[c->first + i].count};
	c->n_all[i] = 0;
	n_both[c->first + i] = 0; /* itself */
	for (; f + 8 <= c->n_alive; f += 8) {
		c->n_all[i] += look(n_both + f, x.least, &reaches);
		for (uint32_t j = 0; reaches && j < 8; j++)
			choose(&x, c, f + j, n_both[f + j]);
	}
	for (; f < c->n_alive; f++) {
		c->n_all[i] += n_both[f] != 0;
		choose(&x, c, f, n_both[f]);
	}
	memset(n_both, 0, c->n_alive * sizeof(*n_both));
	c->n_found[i] = (uint32_t)x.best.n;
	for (size_t j = 0; j < x.best.n; j++)
		c->found[(size_t)i * LIMIT_COOCCURRENCE + j] =
			(struct found){x.pair[j].feature, (uint32_t)x.pair[j].n_both};
}

static void
count_part(void *ctx, size_t part, size_t thread)
{
	struct counting *c = ctx;
	uint32_t n = c->end - c->first, i = (uint32_t)part * PART_FEATURES;
	uint32_t end = n - i < PART_FEATURES ? n : i + PART_FEATURES;

	for (; i < end && stop_signal() == 0; i++) {
		uint32_t *row = c->n_both + (c->whole ? thread : i) * c->n_alive;

		count_feature(c, i, row);
		if (c->whole)
			take_best(c, i, row);
	}
}

static void
best_part(void *ctx, size_t part, size_t thread)
{
	struct counting *c = ctx;
	uint32_t n = c->end - c->first, i = (uint32_t)part * PART_FEATURES;
	uint32_t end = n - i < PART_FEATURES ? n : i + PART_FEATURES;

	(void)thread;
	for (; i < end; i++)
		take_best(c, i, c->n_both + (size_t)i * c->n_alive);
}

/* The window behind those that hold so many tokens, one window at least. */
static uint32_t
chunk_end(const struct counting *c, uint32_t first)
{
	const struct windows *w = c->job->windows;
	uint32_t end = first + 1;

	if (c->whole)
		return w->n_windows;
	while (end < w->n_windows &&
		w->token_at[end + 1] - w->token_at[first] <= c->chunk_tokens)
		end++;
	return end;
}

static int
count_share(struct counting *c, struct block *b, struct err *e)
{
	const struct cooccur_job *job = c->job;
	size_t n_parts = (c->end - c->first + PART_FEATURES - 1) / PART_FEATURES;
	uint64_t all = (uint64_t)c->n_alive * job->windows->n_windows;

	for (uint32_t at = 0, end; at < job->windows->n_windows; at = end) {
		end = chunk_end(c, at);
		if (read_chunk(c, b, at, end, e) < 0)
			return e->code;
		pool_run(job->pool, pool_n_threads(job->pool), list_tokens, c);
		pool_run(job->pool, n_parts, count_part, c);
		if (stop_check(e) < 0)
			return e->code;
		progress_part(job->progress,
			(uint64_t)c->first * job->windows->n_windows +
				(uint64_t)(c->end - c->first) * end,
			all);
	}
	if (!c->whole)
		pool_run(job->pool, n_parts, best_part, c);
	return 0;
}

/* ---- writing ------------------------------------------------------------------------- */

static int
write_share(const struct counting *c, struct err *e)
{
	for (uint32_t i = 0; i < c->end - c->first; i++) {
		const struct alive *x = &c->alive[c->first + i];
		struct rec_pair pair[LIMIT_COOCCURRENCE];
		struct rec_pairs out = {pair, c->n_found[i], c->n_all[i]};

		for (uint32_t j = 0; j < c->n_found[i]; j++) {
			const struct found *f =
				&c->found[(size_t)i * LIMIT_COOCCURRENCE + j];
			const struct alive *y = &c->alive[f->other];

			pair[j] = (struct rec_pair){y->slot, y->feature, f->n_both};
		}
		if (run_writer_pairs(c->job->writer, x->slot, x->feature, &out, e) < 0)
			return e->code;
	}
	return 0;
}

/* ---- the whole ----------------------------------------------------------------------- */

/* Depends on what was found alone, so that every machine decides alike. */
static bool
is_wanted(const struct counting *c)
{
	uint64_t active = c->n_tokens > 0 ? c->n_entries / c->n_tokens : 0;

	if (c->job->rule == COOCCUR_NONE || c->n_alive == 0)
		return false;
	if (active < MOST_ACTIVE && c->n_alive <= MOST_FEATURES &&
		c->n_tokens <= UINT32_MAX)
		return true;
	progress_wipe(c->job->progress);
	log_put(LOG_NOTICE,
		"co-occurrence of %u features, %llu of them on a token, is left out: "
		"it "
		"is counted when it is asked for",
		c->n_alive, (unsigned long long)active);
	return false;
}

static int
count_all(struct counting *c, struct err *e)
{
	struct block *b = mem_new(1, sizeof(*b));
	int rc;

	if (b == NULL)
		return no_memory(e);
	b->c = c;
	for (size_t i = 0; i < BLOCK_WINDOWS; i++)
		arena_init(&b->window[i].arena, 0);
	plan_shares(c);
	rc = make_tables(c, e);
	if (rc == 0)
		rc = reserve(c, e);
	for (; rc == 0 && c->first < c->n_alive; c->first = c->end) {
		c->end = c->n_alive - c->first < c->share ? c->n_alive
							  : c->first + c->share;
		rc = count_share(c, b, e);
		if (rc == 0)
			rc = write_share(c, e);
	}
	for (size_t i = 0; i < BLOCK_WINDOWS; i++)
		arena_clear(&b->window[i].arena);
	mem_free(b);
	return rc;
}

int
cooccur_write(const struct cooccur_job *job, struct err *e)
{
	struct counting *c;
	int rc;

	if (job->rule == COOCCUR_NONE)
		return 0;
	c = mem_new(1, sizeof(*c));
	if (c == NULL)
		return no_memory(e);
	c->job = job;
	c->n_tokens = job->pass[0].n_tokens;
	for (uint32_t s = 0; s < job->n_slots; s++)
		c->n_entries += job->pass[s].n_active;
	rc = number_features(c, e);
	if (rc == 0 && is_wanted(c)) {
		progress_phase(job->progress, "together");
		rc = count_all(c, e);
	}
	counting_clear(c);
	mem_free(c);
	return rc;
}
