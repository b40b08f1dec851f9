/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

#include <math.h>

/* Filters, then rows behind (key, index) in the order of the sort; ties go by
 * ascending index in both directions. ?1 least and ?2 most count, ?3 and ?4
 * density, ?5 and ?6 maximum, ?7 tokens, ?8 dead, ?9 labelled (0 any, 1 no, 2
 * yes), ?10 the SAE's hash and ?11 the label source left out, ?12 whether ?13 and
 * ?14 (key, index) count, ?15 limit. */
#define FILTERS \
	" count BETWEEN ?1 AND ?2 AND count/?7 BETWEEN ?3 AND ?4" \
	" AND max BETWEEN ?5 AND ?6" \
	" AND (?8=0 OR (count=0)=(?8=2))" \
	" AND (?9=0 OR EXISTS(SELECT 1 FROM labels.label AS l WHERE l.sae_hash=?10" \
	" AND l.feature=f.feature AND l.source<>?11)=(?9=2))"
#define SELECT(index, key) \
	"SELECT feature, count, max, mean, " key " FROM feature AS f " index \
	" WHERE" FILTERS
#define UP(index, key) \
	SELECT(index, key) \
	" AND (?12=0 OR (" key ">=?13 AND (" key ">?13 OR feature>?14)))" \
	" ORDER BY " key ", feature LIMIT ?15"
#define DOWN(index, key) \
	SELECT(index, key) \
	" AND (?12=0 OR (" key "<=?13 AND (" key "<?13 OR feature>?14)))" \
	" ORDER BY " key " DESC, feature LIMIT ?15"

static const char *const sql[][2] = {
	[FEATURE_BY_INDEX] = {UP("", "feature"), DOWN("", "feature")},
	[FEATURE_BY_COUNT] = {UP("INDEXED BY by_count", "count"),
		DOWN("INDEXED BY by_count_down", "count")},
	[FEATURE_BY_MAX] = {UP("INDEXED BY by_max", "max"),
		DOWN("INDEXED BY by_max_down", "max")},
	[FEATURE_BY_MEAN] = {UP("INDEXED BY by_mean", "mean"),
		DOWN("INDEXED BY by_mean_down", "mean")},
};

static int64_t
clamp_i64(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static void
bind(struct stmt *s, const struct feature_query *q, const struct cat_run_sae *x,
	const uint8_t *sae_hash)
{
	stmt_i64(s, 1, clamp_i64(q->min_count));
	stmt_i64(s, 2, clamp_i64(q->max_count));
	stmt_f64(s, 3, q->min_density);
	stmt_f64(s, 4, q->max_density);
	stmt_f64(s, 5, q->min_max);
	stmt_f64(s, 6, q->max_max);
	stmt_f64(s, 7, x->n_tokens > 0 ? (double)x->n_tokens : 1);
	stmt_i64(s, 8, q->dead);
	stmt_i64(s, 9, q->labelled);
	stmt_blob(s, 10, sae_hash, 32);
	stmt_str(s, 11, LABEL_KEYWORDS);
	stmt_i64(s, 12, q->has_after);
	stmt_f64(s, 13, q->after_key);
	stmt_i64(s, 14, q->after_index);
	stmt_i64(s, 15, q->limit);
}

int
store_features(struct store_view *v, uint32_t run, uint32_t slot,
	const struct feature_query *q, struct feature_row *out, uint32_t *n_out,
	struct err *e)
{
	const struct cat_run_sae *x;
	struct stmt *s;
	struct db *db;
	uint32_t n = 0;
	int rc = view_has_run(v, run, slot, e);

	*n_out = 0;
	if (rc == 0 && (q->sort > FEATURE_BY_MEAN || isnan(q->after_key)))
		rc = err_arg(e, ERR_ARG, "sort", "there is no such sort");
	if (rc == 0)
		rc = view_db(v, KIND_RUN, run, FILE_FEATURE_DB, slot, &db, e);
	if (rc == 0)
		rc = db_prepare(db, &s, sql[q->sort][q->descending], e);
	if (rc != 0)
		return rc;
	x = &v->gen->catalog.run[run].sae[slot];
	bind(s, q, x, v->gen->catalog.sae[x->sae].hash);
	while (n < q->limit && (rc = stmt_step(s, e)) == 1) {
		out[n] = (struct feature_row){
			.index = (uint32_t)row_i64(s, 0),
			.count = (uint64_t)row_i64(s, 1),
			.max = (float)row_f64(s, 2),
			.mean = row_f64(s, 3),
			.key = row_f64(s, 4),
		};
		out[n].density = (double)out[n].count /
			(x->n_tokens > 0 ? (double)x->n_tokens : 1);
		n++;
	}
	stmt_reset(s);
	*n_out = n;
	return rc < 0 ? rc : 0;
}
