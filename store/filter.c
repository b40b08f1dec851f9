/* SPDX-License-Identifier: ISC */
/*
 * filter: which features of a run's SAE a search may find, as bits. The counts are read
 * once, all of them, and stay with the open run, so that a filter is one pass over
 * numbers; labels may change and are read each time.
 */
#include "store/inner.h"

#include <string.h>

#define UNKNOWN UINT64_MAX /* the count of a feature that the run did not seek */

/* Every feature's, from the index that has nothing else. */
static const char counts_sql[] =
	"SELECT feature, count FROM feature INDEXED BY by_count";
static const char labelled_sql[] =
	"SELECT feature FROM label WHERE sae_hash=?1 AND source<>?2";

struct counts { /* of one SAE of a run */
	struct counts *next;
	uint32_t slot;
	uint64_t count[]; /* (d_sae) */
};

void
counts_free(struct counts *x)
{
	struct counts *next;

	for (; x != NULL; x = next) {
		next = x->next;
		mem_free(x);
	}
}

static int
bad_row(const struct object *o, uint32_t slot, long long feature, struct err *e)
{
	return err_set(e, ERR_CORRUPT,
		"%s/%02u/%s: feature %lld should not be there, or there only once",
		o->dir, slot, FILE_FEATURE_DB, feature);
}

static int
counts_read(struct store_view *v, const struct object *o, uint32_t run, uint32_t slot,
	struct counts *x, struct err *e)
{
	const struct cat_run_sae *rs = &v->gen->catalog.run[run].sae[slot];
	uint32_t n = 0;
	struct stmt *s;
	struct db *db;
	int rc = view_db(v, KIND_RUN, run, FILE_FEATURE_DB, slot, &db, e);

	if (rc == 0)
		rc = db_prepare(db, &s, counts_sql, e);
	if (rc != 0)
		return rc;
	while ((rc = stmt_step(s, e)) == 1) {
		int64_t f = row_i64(s, 0), count = row_i64(s, 1);

		if (f < rs->first || f >= rs->end || count < 0 ||
			x->count[f] != UNKNOWN) {
			stmt_reset(s);
			return bad_row(o, slot, (long long)f, e);
		}
		x->count[f] = (uint64_t)count;
		n++;
	}
	if (rc == 0 && n != rs->end - rs->first)
		rc = err_set(e, ERR_CORRUPT, "%s/%02u/%s: %u features where %u are",
			o->dir, slot, FILE_FEATURE_DB, n, rs->end - rs->first);
	return rc;
}

static const struct counts *
counts_kept(struct object *o, uint32_t slot)
{
	const struct counts *x;

	mutex_lock(o->lock);
	for (x = o->counts; x != NULL && x->slot != slot;)
		x = x->next;
	mutex_unlock(o->lock);
	return x;
}

/* Read without the lock, which others need meanwhile: at worst it is done twice, and
 * kept twice. Borrowed from the run. */
static int
counts_get(struct store_view *v, uint32_t run, uint32_t slot, const struct counts **out,
	struct err *e)
{
	const struct store_catalog *c = &v->gen->catalog;
	uint32_t n = c->sae[c->run[run].sae[slot].sae].d_sae;
	struct object *o = v->gen->object[KIND_RUN][run];
	struct counts *x;
	size_t n_bytes;
	int rc;

	*out = counts_kept(o, slot);
	if (*out != NULL)
		return 0;
	if (!mem_mul(n, sizeof(x->count[0]), &n_bytes) ||
		(x = mem_new(1, sizeof(*x) + n_bytes)) == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the counts of %u features",
			n);
	x->slot = slot;
	memset(x->count, 0xff, n_bytes);
	rc = counts_read(v, o, run, slot, x, e);
	if (rc != 0) {
		mem_free(x);
		return rc;
	}
	mutex_lock(o->lock);
	x->next = o->counts;
	o->counts = x;
	mutex_unlock(o->lock);
	*out = x;
	return 0;
}

/* ---- bounds of counts -------------------------------------------------------- */

/* The counts whose share of n is from min to max, as feature.list has it: the quotient
 * is compared, rounded as it is. None: lo > hi. */
static void
count_range(uint64_t n, double min, double max, uint64_t *lo, uint64_t *hi)
{
	double d = n > 0 ? (double)n : 1;

	*lo = min > 0 ? (uint64_t)(min * d) : 0;
	while (*lo > 0 && (double)(*lo - 1) / d >= min)
		--*lo;
	while ((double)*lo / d < min)
		++*lo;
	*hi = (uint64_t)(max * d) + 1;
	while (*hi > 0 && (double)*hi / d > max)
		--*hi;
}

static void
keep_counts(const uint64_t *count, uint32_t n, uint64_t lo, uint64_t hi,
	uint64_t *allowed)
{
	for (uint32_t i = 0; i < n; i += 64) {
		uint32_t end = n - i < 64 ? n - i : 64;
		uint64_t bits = 0;

		for (uint32_t j = 0; j < end; j++)
			bits |= (uint64_t)(count[i + j] - lo <= hi - lo) << j;
		allowed[i / 64] &= bits;
	}
}

static int
filter_counts(struct store_view *v, uint32_t run, uint32_t slot,
	const struct store_filter *f, uint32_t n, uint64_t *allowed, struct err *e)
{
	const struct cat_run_sae *rs = &v->gen->catalog.run[run].sae[slot];
	const struct counts *x;
	uint64_t lo, hi;
	int rc;

	if (f->alive == ANY && !(f->min_density > 0) && !(f->max_density < 1))
		return 0;
	rc = counts_get(v, run, slot, &x, e);
	if (rc != 0)
		return rc;
	count_range(rs->n_tokens, f->min_density, f->max_density, &lo, &hi);
	if (f->alive == YES && lo == 0)
		lo = 1;
	if (f->alive == NO)
		hi = 0;
	if (lo <= hi)
		keep_counts(x->count, n, lo, hi, allowed);
	else
		memset(allowed, 0, (n + 63) / 64 * sizeof(*allowed));
	return 0;
}

/* ---- labels ------------------------------------------------------------------- */

static int
labelled_bits(struct store_view *v, const uint8_t *sae_hash, uint32_t n, uint64_t *bits,
	struct err *e)
{
	struct stmt *s;
	struct db *db;
	int rc = view_labels(v, &db, e);

	if (rc == 0)
		rc = db_prepare(db, &s, labelled_sql, e);
	if (rc != 0)
		return rc;
	stmt_blob(s, 1, sae_hash, 32);
	stmt_str(s, 2, LABEL_KEYWORDS);
	while ((rc = stmt_step(s, e)) == 1) {
		int64_t f = row_i64(s, 0);

		if (f >= 0 && f < n)
			bits[f / 64] |= (uint64_t)1 << f % 64;
	}
	return rc;
}

static int
filter_labels(struct store_view *v, uint32_t sae, enum tristate labelled,
	uint64_t *allowed, struct err *e)
{
	const struct cat_sae *info = &v->gen->catalog.sae[sae];
	size_t n_words = ((size_t)info->d_sae + 63) / 64;
	uint64_t *bits;
	int rc;

	if (labelled == ANY)
		return 0;
	bits = mem_new(n_words, sizeof(*bits));
	if (bits == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a filter");
	rc = labelled_bits(v, info->hash, info->d_sae, bits, e);
	for (size_t i = 0; rc == 0 && i < n_words; i++)
		allowed[i] &= labelled == YES ? bits[i] : ~bits[i];
	mem_free(bits);
	return rc;
}

int
store_filter(struct store_view *v, uint32_t run, uint32_t slot,
	const struct store_filter *f, uint64_t *allowed, struct err *e)
{
	uint32_t sae;
	int rc = view_has_run(v, run, slot, e);

	if (rc != 0)
		return rc;
	sae = v->gen->catalog.run[run].sae[slot].sae;
	rc = filter_counts(v, run, slot, f, v->gen->catalog.sae[sae].d_sae, allowed, e);
	return rc == 0 ? filter_labels(v, sae, f->labelled, allowed, e) : rc;
}
