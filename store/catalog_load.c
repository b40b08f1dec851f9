/* SPDX-License-Identifier: ISC */
#include "store/ann_inner.h"
#include "store/columns.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* All rows of a select into an array of the arena, by columns from first on. each
 * (may be NULL) fills in what columns do not. */
struct loader {
	const char *sql;
	const struct columns *columns;
	size_t size;
	int first;
	int (*each)(struct generation *g, const struct stmt *s, void *row,
		struct err *e);
};

static int
count_rows(struct db *db, const char *sql, uint32_t *n, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, sql, e);

	*n = 0;
	while (rc == 0 && (rc = stmt_step(s, e)) == 1) {
		rc = 0;
		if (++*n == UINT32_MAX)
			return err_set(e, ERR_LIMIT, "too many rows");
		continue;
	}
	return rc;
}

static int
load(struct db *db, struct generation *g, const struct loader *l, const void **out,
	uint32_t *n_out, struct err *e)
{
	struct stmt *s;
	uint32_t n, i = 0;
	char *rows;
	int rc = count_rows(db, l->sql, &n, e);

	if (rc == 0)
		rc = db_prepare(db, &s, l->sql, e);
	if (rc != 0)
		return rc;
	rows = arena_alloc(&g->arena, n, l->size);
	if (rows == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the catalogue");
	memset(rows, 0, n * l->size);
	while ((rc = stmt_step(s, e)) == 1 && i < n) {
		char *row = rows + i++ * l->size;

		rc = l->columns != NULL ? columns_get(s, l->first, l->columns, row, e)
					: 0;
		if (rc == 0 && l->each != NULL)
			rc = l->each(g, s, row, e);
		if (rc != 0) {
			stmt_reset(s);
			return rc;
		}
	}
	*out = rows;
	*n_out = n;
	return rc;
}

static int
unknown(const char *what, const char *id, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "the catalogue names a %s %.40s that it lacks",
		what, id);
}

/* number, id, model_id, cut_id, created_s, provenance */
static int
each_run(struct generation *g, const struct stmt *s, void *row, struct err *e)
{
	struct cat_run *run = row;
	int64_t model = cat_find_model_id(&g->catalog, row_str(s, 2));
	int64_t cut = cat_find_cut_id(&g->catalog, row_str(s, 3));

	if (model < 0)
		return unknown("model", row_str(s, 2), e);
	if (cut < 0)
		return unknown("cut", row_str(s, 3), e);
	run->number = (uint32_t)row_i64(s, 0);
	run->model = (uint32_t)model;
	run->cut = (uint32_t)cut;
	run->created_s = row_i64(s, 4);
	run->provenance = arena_strndup(&g->arena, row_str(s, 5), SIZE_MAX);
	if (run->provenance == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the catalogue");
	return 0;
}

/* Behind the columns, if it is there. */
static int
each_sae(struct generation *g, const struct stmt *s, void *row, struct err *e)
{
	struct cat_sae *x = row;
	int at = (int)columns_sae.n;
	int64_t d_out;

	(void)g;
	x->d_out = x->d_in;
	if (row_n(s) <= at || row_null(s, at))
		return 0;
	d_out = row_i64(s, at);
	if (d_out < 1 || d_out > UINT32_MAX)
		return err_set(e, ERR_CORRUPT,
			"the catalogue has a d_out that does not fit");
	x->d_out = (uint32_t)d_out;
	return 0;
}

/* Behind the columns, if it is there: all features else. */
static int
get_range(const struct stmt *s, uint32_t d_sae, struct cat_run_sae *x, struct err *e)
{
	int at = 3 + (int)columns_run_sae.n;
	int64_t first, end;

	x->first = 0;
	x->end = d_sae;
	if (row_n(s) <= at + 1 || row_null(s, at))
		return 0;
	end = row_i64(s, at);
	first = row_i64(s, at + 1);
	if (first < 0 || first >= end || end > d_sae)
		return err_set(e, ERR_CORRUPT,
			"the catalogue has a run of features that the SAE has not");
	x->first = (uint32_t)first;
	x->end = (uint32_t)end;
	return 0;
}

static int
each_run_sae(struct generation *g, const struct stmt *s, void *row, struct err *e)
{
	struct cat_run_sae *x = row;
	int64_t sae = cat_find_sae_id(&g->catalog, row_str(s, 2));

	if (sae < 0)
		return unknown("SAE", row_str(s, 2), e);
	x->sae = (uint32_t)sae;
	return get_range(s, g->catalog.sae[sae].d_sae, x, e);
}

static int
each_graph(struct generation *g, const struct stmt *s, void *row, struct err *e)
{
	struct cat_graph *x = row;
	int64_t from = cat_find_sae_id(&g->catalog, row_str(s, 0));
	int64_t to = cat_find_sae_id(&g->catalog, row_str(s, 1));

	if (from < 0 || to < 0)
		return unknown("SAE", row_str(s, from < 0 ? 0 : 1), e);
	x->from = (uint32_t)from;
	x->to = (uint32_t)to;
	x->k = (uint32_t)row_i64(s, 2);
	return 0;
}

static const struct loader load_models = {"SELECT * FROM model ORDER BY rowid",
	&columns_model, sizeof(struct cat_model), 0, NULL};
static const struct loader load_cuts = {"SELECT * FROM cut ORDER BY rowid",
	&columns_cut, sizeof(struct cat_cut), 0, NULL};
static const struct loader load_saes = {"SELECT * FROM sae ORDER BY rowid",
	&columns_sae, sizeof(struct cat_sae), 0, each_sae};
static const struct loader load_runs = {"SELECT * FROM run ORDER BY number",
	&columns_run, sizeof(struct cat_run), 1, each_run};
static const struct loader load_run_saes = {"SELECT * FROM run_sae ORDER BY run, slot",
	&columns_run_sae, sizeof(struct cat_run_sae), 3, each_run_sae};
static const struct loader load_graphs = {"SELECT * FROM graph ORDER BY rowid", NULL,
	sizeof(struct cat_graph), 0, each_graph};

/* Hands each run its stretch of the rows of run_sae. */
static int
share_out(struct db *db, struct cat_run *run, uint32_t n_runs,
	const struct cat_run_sae *row, uint32_t n_rows, struct err *e)
{
	struct stmt *s;
	uint32_t i = 0, at = 0;
	int rc = db_prepare(db, &s, "SELECT run, slot FROM run_sae ORDER BY run, slot",
		e);

	if (rc != 0)
		return rc;
	while ((rc = stmt_step(s, e)) == 1 && at < n_rows) {
		while (i < n_runs && run[i].number != row_i64(s, 0))
			i++;
		if (i == n_runs || row_i64(s, 1) != run[i].n_saes) {
			stmt_reset(s);
			return err_set(e, ERR_CORRUPT,
				"the catalogue's slots have gaps");
		}
		if (run[i].n_saes++ == 0)
			run[i].sae = row + at;
		at++;
	}
	return rc;
}

static const char ann_rows[] =
	"SELECT DISTINCT id FROM file WHERE kind='ann' ORDER BY id";

/* Known by their files alone, so that a program that knows none reads the catalogue.
 * Such a one may have removed a SAE and left its index. */
static int
load_anns(struct db *db, struct generation *g, struct err *e)
{
	enum store_direction direction;
	struct cat_ann *x;
	struct stmt *s;
	uint32_t n, at = 0;
	int rc = count_rows(db, ann_rows, &n, e);

	if (rc == 0)
		rc = db_prepare(db, &s, ann_rows, e);
	if (rc != 0)
		return rc;
	x = arena_alloc(&g->arena, n, sizeof(*x));
	if (x == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory for the catalogue");
	while (rc == 0 && (rc = stmt_step(s, e)) == 1 && at < n) {
		char sae[STORE_ID_CHARS] = "";
		int64_t i = -1;

		rc = 0;
		if (ann_id_direction(row_str(s, 0), &direction)) {
			memcpy(sae, row_str(s, 0), sizeof(sae) - 1);
			i = cat_find_sae_id(&g->catalog, sae);
		}
		if (i < 0)
			continue;
		x[at] = (struct cat_ann){.sae = (uint32_t)i, .direction = direction};
		snprintf(x[at++].id, sizeof(x->id), "%s", row_str(s, 0));
	}
	if (rc != 0)
		stmt_reset(s);
	g->catalog.ann = x;
	g->catalog.n_anns = rc == 0 ? at : 0;
	return rc;
}

static int
load_all(struct db *db, struct generation *g, struct err *e)
{
	struct store_catalog *c = &g->catalog;
	const void *models, *cuts, *saes, *runs, *slots, *graphs;
	uint32_t n_slots;
	int rc = load(db, g, &load_models, &models, &c->n_models, e);

	c->model = rc == 0 ? models : NULL;
	if (rc == 0)
		rc = load(db, g, &load_cuts, &cuts, &c->n_cuts, e);
	c->cut = rc == 0 ? cuts : NULL;
	if (rc == 0)
		rc = load(db, g, &load_saes, &saes, &c->n_saes, e);
	c->sae = rc == 0 ? saes : NULL;
	if (rc == 0)
		rc = load(db, g, &load_runs, &runs, &c->n_runs, e);
	if (rc == 0)
		rc = load(db, g, &load_run_saes, &slots, &n_slots, e);
	if (rc == 0)
		rc = share_out(db, (struct cat_run *)runs, c->n_runs, slots, n_slots,
			e);
	c->run = rc == 0 ? runs : NULL;
	if (rc == 0)
		rc = load(db, g, &load_graphs, &graphs, &c->n_graphs, e);
	c->graph = rc == 0 ? graphs : NULL;
	return rc == 0 ? load_anns(db, g, e) : rc;
}

int
catalog_load(struct db *db, struct generation *g, struct err *e)
{
	int64_t version;
	int rc = db_version(db, &version, e);

	if (rc == 0 && version != STORE_VERSION)
		rc = err_set(e, ERR_CORRUPT,
			"no catalogue: version %" PRId64 " where %d is", version,
			STORE_VERSION);
	if (rc == 0)
		rc = db_check(db, e);
	if (rc == 0)
		rc = catalog_generation(db, &g->catalog.generation, e);
	if (rc == 0)
		rc = catalog_check(db, e);
	return rc == 0 ? load_all(db, g, e) : rc;
}
