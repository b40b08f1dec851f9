/* SPDX-License-Identifier: ISC */
/*
 * choose: in bytes or in floats. Bytes multiply faster, but their wider bound
 * leaves more pairs to the canonical dot. Both ways give the same answers, so
 * the choice may follow the data: the first queries are tried in bytes, and
 * while the pairs in vain cost less than was saved, it stays so.
 */
#include "kernel/pass.h"

#include "util/stopwatch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define D_LEAST 32 /* below, bytes save nothing */
#define PROBE 48 /* queries; a multiple of every mr */
#define FEW 8 /* queries, for which packing rows in floats never pays */
#define WORTH 1.2 /* times faster, for what bytes leave to the canonical dot */
#define PATIENCE 64 /* chunks in floats before the next trial */

static atomic_int in_use = -1; /* an enum kernel_pass_kind; -1 = not decided */

static enum kernel_pass_kind
pass_kind(void)
{
	int kind = atomic_load_explicit(&in_use, memory_order_relaxed);
	const char *asked;

	if (kind >= 0)
		return (enum kernel_pass_kind)kind;
	asked = getenv("SAEDB_PASS");
	kind = KERNEL_PASS_AUTO;
	if (asked != NULL && strcmp(asked, "f32") == 0)
		kind = KERNEL_PASS_F32;
	if (asked != NULL && strcmp(asked, "int8") == 0)
		kind = KERNEL_PASS_INT8;
	atomic_store_explicit(&in_use, kind, memory_order_relaxed);
	return (enum kernel_pass_kind)kind;
}

void
kernel_use_pass(enum kernel_pass_kind kind)
{
	atomic_store(&in_use, kind);
}

/* ---- where it is not known what bytes are worth ---------------------------- */

#define TRIAL_D 256
#define TRIALS 15

/* Of tiles of zeros, the quickest of several: what else runs does not count. */
static bool
measure(void)
{
	static const float a[TRIAL_D * STRIP_MOST], b[TRIAL_D * PANEL];
	static const int32_t qa[TRIAL_D / 4 * STRIP_MOST], qb[TRIAL_D / 4 * PANEL];
	static const struct kernel_query query[STRIP_MOST];
	const struct kernel_ops *ops = kernel_ops();
	const struct kernel_int8_ops *bytes = kernel_int8();
	struct kernel_scan s = {.a = a, .b = b, .k = TRIAL_D, .n_rows = ops->mr};
	struct kernel_scan8 s8 = {.a = qa, .b = qb, .n_quads = TRIAL_D / 4};
	double floats = 1, found = 1, t;

	s8.n_rows = bytes->mr;
	s8.query = query;
	s8.row_scale = s8.row_norm = s8.row_rest = s8.cut = b;
	s.slack = s.row_slack = s.cut = b;
	for (int i = 0; i < TRIALS; i++) {
		t = stopwatch_now_s();
		for (int j = 0; j < 4; j++)
			ops->scan_above(&s);
		t = stopwatch_now_s() - t;
		floats = t < floats ? t : floats;
		t = stopwatch_now_s();
		for (int j = 0; j < 4; j++)
			bytes->scan_above(&s8);
		t = stopwatch_now_s() - t;
		found = t < found ? t : found;
	}
	return found * WORTH < floats;
}

static bool
is_fast(void)
{
	static atomic_int known[KERNEL_N_PATHS]; /* 1 no, 2 yes */
	const struct kernel_int8_ops *bytes = kernel_int8();
	atomic_int *k = &known[kernel_path()];
	int is;

	if (!bytes->try)
		return bytes->fast;
	is = atomic_load_explicit(k, memory_order_relaxed);
	if (is == 0) {
		is = measure() ? 2 : 1;
		atomic_store_explicit(k, is, memory_order_relaxed);
	}
	return is == 2;
}

/* ---- which ------------------------------------------------------------------ */

bool
kernel_pass_wants_bytes(size_t d)
{
	enum kernel_pass_kind kind = pass_kind();

	if (kind == KERNEL_PASS_F32 || d > INT8_D_MOST)
		return false;
	return kind == KERNEL_PASS_INT8 || (is_fast() && d >= D_LEAST);
}

/*
 * A pair in vain costs a canonical dot, 0.15 ns an element and 50 ns; a pair
 * multiplied in bytes saves 0.01 ns an element (both on Sapphire Rapids). The
 * share in vain that is worth it is their ratio, about:
 */
static double
waste_most(size_t d)
{
	return (double)d / (12.0 * (double)d + 8192);
}

/* Whether the next n queries go in bytes; *probe: only to see. */
static bool
choose_bytes(struct kernel_pass *p, size_t n, bool *probe)
{
	struct kernel_stat *s = &p->work->stat;

	*probe = false;
	if (!p->r->in_bytes || p->r->bytes.most != kernel_int8()->row_most ||
		pass_kind() == KERNEL_PASS_F32)
		return false;
	if (pass_kind() == KERNEL_PASS_INT8)
		return true;
	if (!is_fast())
		return false;
	if (n < FEW)
		return true;
	if (s->serial != p->r->serial)
		*s = (struct kernel_stat){.serial = p->r->serial};
	if (s->known && s->waste > waste_most(p->r->d) && ++s->n_passed >= PATIENCE)
		*s = (struct kernel_stat){.serial = p->r->serial};
	*probe = !s->known;
	return !s->known || s->waste <= waste_most(p->r->d);
}

static int
run_bytes(struct kernel_pass *p, size_t query, size_t at, size_t end, struct err *e)
{
	struct kernel_counts *c = &p->work->counts;
	struct kernel_stat *s = &p->work->stat;
	uint64_t tried = c->tried, kept = c->kept;
	int rc = kernel_int8_run(p, query, at, end, e);

	c->queries_int8 += end - at;
	s->known = true;
	s->waste = (double)(c->tried - tried - (c->kept - kept)) / (double)(end - at) /
		(double)p->count;
	return rc;
}

int
kernel_pass_run(struct kernel_pass *p, size_t query, size_t n, struct err *e)
{
	size_t at = 0, end;
	bool probe;
	int rc = 0;

	p->work->counts.queries += n;
	for (; rc == 0 && at < n; at = end) {
		bool bytes = p->count > 0 && choose_bytes(p, n, &probe);

		end = bytes && probe && n - at > PROBE ? at + PROBE : n;
		if (bytes && (probe || p->work->int8.serial != p->r->serial))
			rc = kernel_side_learn(p, query, n, e);
		if (rc == 0)
			rc = bytes ? run_bytes(p, query, at, end, e)
				   : kernel_float_run(p, query, at, end, e);
	}
	return rc;
}
