/* SPDX-License-Identifier: ISC */
#include "indexer/scan.h"

#include "indexer/stop.h"
#include "util/mem.h"

#define BLOCK_WINDOWS 128
#define BLOCK_TOKENS 8192 /* unless one window has more */

struct block {
	const struct scan *scan;
	uint32_t first, n; /* windows */
	struct rec_window window[BLOCK_WINDOWS];
	struct rec_acts acts[BLOCK_WINDOWS];
	struct arena arena[BLOCK_WINDOWS];
	struct err *err; /* of windows, then of parts: (most of both) */
	scan_visit visit;
	void *ctx;
};

/* ---- reading ------------------------------------------------------------------- */

static void
read_window(void *ctx, size_t i, size_t thread)
{
	struct block *b = ctx;
	const struct scan *s = b->scan;
	uint32_t window = b->first + (uint32_t)i;
	struct rec_window *w = &b->window[i];
	struct rec_acts *a = &b->acts[i];

	(void)thread;
	arena_reset(&b->arena[i]);
	windows_get(s->windows, window, w);
	if (run_writer_read_acts(s->writer, s->slot, window, a, &b->arena[i],
		    &b->err[i]) < 0)
		return;
	if (a->n_tokens != w->n_tokens)
		err_set(&b->err[i], ERR_INTERNAL, "window %u has %u tokens, %u stored",
			window, w->n_tokens, a->n_tokens);
}

static void
next_block(struct block *b)
{
	const struct windows *windows = b->scan->windows;
	uint64_t n_tokens = 0;
	struct rec_window w;

	b->first += b->n;
	for (b->n = 0; b->n < BLOCK_WINDOWS; b->n++) {
		if (b->first + b->n == windows->n_windows)
			break;
		windows_get(windows, b->first + b->n, &w);
		n_tokens += w.n_tokens;
		if (b->n > 0 && n_tokens > BLOCK_TOKENS)
			break;
	}
}

/* ---- visiting ------------------------------------------------------------------ */

static void
visit_part(void *ctx, size_t part, size_t thread)
{
	struct block *b = ctx;
	struct err *e = &b->err[part];

	(void)thread;
	for (uint32_t i = 0; i < b->n && e->code == 0; i++)
		b->visit(b->ctx, part, b->first + i, &b->window[i], &b->acts[i], e);
}

static int
first_error(const struct block *b, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (b->err[i].code != 0) {
			*e = b->err[i];
			return e->code;
		}
	return 0;
}

static int
run_blocks(struct block *b, struct err *e)
{
	const struct scan *s = b->scan;

	for (next_block(b); b->n > 0; next_block(b)) {
		if (stop_check(e) < 0)
			return e->code;
		pool_run(s->pool, b->n, read_window, b);
		if (first_error(b, b->n, e) < 0)
			return e->code;
		pool_run(s->pool, s->n_parts, visit_part, b);
		if (first_error(b, s->n_parts, e) < 0)
			return e->code;
	}
	return 0;
}

int
scan_rows(const struct scan *s, scan_visit visit, void *ctx, struct err *e)
{
	size_t most = s->n_parts > BLOCK_WINDOWS ? s->n_parts : BLOCK_WINDOWS;
	struct block *b = mem_new(1, sizeof(*b));
	int rc;

	if (b != NULL)
		*b = (struct block){.scan = s,
			.err = mem_new(most, sizeof(*b->err)),
			.visit = visit,
			.ctx = ctx};
	if (b == NULL || b->err == NULL) {
		mem_free(b);
		return err_set(e, ERR_NOMEM, "no memory to read activations");
	}
	for (size_t i = 0; i < BLOCK_WINDOWS; i++)
		arena_init(&b->arena[i], 0);
	rc = run_blocks(b, e);
	for (size_t i = 0; i < BLOCK_WINDOWS; i++)
		arena_clear(&b->arena[i]);
	mem_free(b->err);
	mem_free(b);
	return rc;
}

/* ---- by feature ------------------------------------------------------------------ */

static int
add_row(struct by_feature *b, const struct rec_acts *a, uint32_t i, struct err *e)
{
	uint32_t lo = a->row_start[i], hi = a->row_start[i + 1], end = hi;

	while (lo < hi) { /* the first feature of the range */
		uint32_t mid = lo + (hi - lo) / 2;

		if (a->feature[mid] < b->first)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < end && a->feature[lo] - b->first < b->count; lo++)
		if (by_feature_add(b, a->feature[lo], i, a->value[lo], e) < 0)
			return e->code;
	return 0;
}

int
scan_by_feature(const struct windows *windows, struct by_feature *b,
	const struct rec_window *w, const struct rec_acts *a, struct err *e)
{
	by_feature_reset(b);
	for (uint32_t t = 0; t < w->n_tokens; t++)
		if (windows_counts(windows, w->token[t]) && add_row(b, a, t, e) < 0)
			return e->code;
	by_feature_build(b);
	return 0;
}
