/* SPDX-License-Identifier: ISC */
#include "indexer/scan.h"

#include "indexer/stop.h"

static int
read_window(const struct scan *s, uint32_t i, struct rec_window *w, struct rec_acts *a,
	struct arena *arena, struct err *e)
{
	arena_reset(arena);
	windows_get(s->windows, i, w);
	if (stop_check(e) < 0 ||
		run_writer_read_acts(s->writer, s->slot, i, a, arena, e) < 0)
		return e->code;
	if (a->n_tokens != w->n_tokens)
		return err_set(e, ERR_INTERNAL, "window %u has %u tokens, %u stored", i,
			w->n_tokens, a->n_tokens);
	return 0;
}

static int
add_row(const struct scan *s, struct by_feature *b, const struct rec_acts *a,
	uint32_t i, struct err *e)
{
	uint32_t lo = a->row_start[i], hi = a->row_start[i + 1], end = hi;

	while (lo < hi) { /* the first feature of the range */
		uint32_t mid = lo + (hi - lo) / 2;

		if (a->feature[mid] < s->first)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < end && a->feature[lo] - s->first < s->count; lo++)
		if (by_feature_add(b, a->feature[lo], i, a->value[lo], e) < 0)
			return e->code;
	return 0;
}

int
scan_features(const struct scan *s,
	int (*visit)(void *ctx, uint32_t window, const struct rec_window *w,
		const struct by_feature *b, struct err *e),
	void *ctx, struct err *e)
{
	struct by_feature b;
	struct arena arena;
	struct rec_window w;
	struct rec_acts a;
	int rc = by_feature_init(&b, s->first, s->count, e);

	arena_init(&arena, 0);
	for (uint32_t i = 0; i < s->windows->n_windows && rc == 0; i++) {
		rc = read_window(s, i, &w, &a, &arena, e);
		by_feature_reset(&b);
		for (uint32_t t = 0; rc == 0 && t < w.n_tokens; t++)
			if (windows_counts(s->windows, w.token[t]))
				rc = add_row(s, &b, &a, t, e);
		if (rc < 0)
			break;
		by_feature_build(&b);
		rc = visit(ctx, i, &w, &b, e);
	}
	by_feature_clear(&b);
	arena_clear(&arena);
	return rc;
}

int
scan_rows(const struct scan *s,
	int (*visit)(void *ctx, const struct rec_window *w, const struct rec_acts *a,
		struct err *e),
	void *ctx, struct err *e)
{
	struct arena arena;
	struct rec_window w;
	struct rec_acts a;
	int rc = 0;

	arena_init(&arena, 0);
	for (uint32_t i = 0; i < s->windows->n_windows && rc == 0; i++) {
		rc = read_window(s, i, &w, &a, &arena, e);
		if (rc == 0)
			rc = visit(ctx, &w, &a, e);
	}
	arena_clear(&arena);
	return rc;
}
