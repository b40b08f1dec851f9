/* SPDX-License-Identifier: ISC */
#include "store/inner.h"
#include "util/hash.h"
#include "util/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char catalog_schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE model(id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " family TEXT NOT NULL, architecture TEXT NOT NULL, dtype_file TEXT NOT NULL,"
    " n_layers INTEGER, d_model INTEGER, n_vocab INTEGER, n_ctx INTEGER,"
    " n_params INTEGER, weights_sha256 TEXT NOT NULL, tokenizer_sha256 TEXT NOT NULL,"
    " created_s INTEGER);"
    "CREATE TABLE cut(id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " tokenizer_sha256 TEXT NOT NULL, corpus_sha256 TEXT NOT NULL, context INTEGER,"
    " n_documents INTEGER, n_windows INTEGER, prepend_bos INTEGER, joined INTEGER,"
    " bos INTEGER, n_tokens INTEGER, n_bytes INTEGER, created_s INTEGER);"
    "CREATE TABLE sae(id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL,"
    " name TEXT NOT NULL COLLATE NOCASE UNIQUE, model_id TEXT NOT NULL,"
    " hook TEXT NOT NULL, kind TEXT NOT NULL, family TEXT NOT NULL,"
    " architecture TEXT NOT NULL, rules TEXT NOT NULL, d_in INTEGER, d_sae INTEGER,"
    " k INTEGER, context INTEGER, prepend_bos INTEGER, weights_sha256 TEXT NOT NULL,"
    " created_s INTEGER);"
    "CREATE TABLE run(number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE, model_id TEXT NOT NULL, cut_id TEXT NOT NULL,"
    " created_s INTEGER, provenance TEXT NOT NULL);"
    "CREATE TABLE run_sae(run INTEGER NOT NULL, slot INTEGER NOT NULL,"
    " sae_id TEXT NOT NULL, n_tokens INTEGER, n_active INTEGER, n_alive INTEGER,"
    " l0 REAL, explained REAL, mse REAL, PRIMARY KEY(run, slot)) WITHOUT ROWID;"
    "CREATE TABLE graph(from_id TEXT NOT NULL, to_id TEXT NOT NULL, k INTEGER NOT NULL,"
    " UNIQUE(from_id, to_id));"
    "CREATE TABLE file(kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,"
    " n_bytes INTEGER NOT NULL, xxh3 INTEGER NOT NULL, PRIMARY KEY(kind, id, name))"
    " WITHOUT ROWID;"
    "PRAGMA user_version=1;";

/* ---- rows and structs -------------------------------------------------------- */

/* Columns in the table's order, and where they stand in the struct. */
struct column {
	char type; /* s string, u u32, U u64, i i64, b bool, d double, h 32 bytes */
	size_t offset, size;
};
#define COLUMN(type, s, f)                                                               \
	{                                                                                \
		type, offsetof(struct s, f), sizeof(((struct s *)0)->f)                  \
	}
#define N(array) (sizeof(array) / sizeof((array)[0]))

static const struct column model_columns[] = {
	COLUMN('s', cat_model, id),	   COLUMN('s', cat_model, name),
	COLUMN('s', cat_model, family),	   COLUMN('s', cat_model, architecture),
	COLUMN('s', cat_model, dtype_file), COLUMN('u', cat_model, n_layers),
	COLUMN('u', cat_model, d_model),   COLUMN('u', cat_model, n_vocab),
	COLUMN('u', cat_model, n_ctx),	   COLUMN('U', cat_model, n_params),
	COLUMN('s', cat_model, weights_sha256),
	COLUMN('s', cat_model, tokenizer_sha256),
	COLUMN('i', cat_model, created_s),
};
static const struct column cut_columns[] = {
	COLUMN('s', cat_cut, id),	   COLUMN('s', cat_cut, name),
	COLUMN('s', cat_cut, tokenizer_sha256),
	COLUMN('s', cat_cut, corpus_sha256), COLUMN('u', cat_cut, context),
	COLUMN('u', cat_cut, n_documents), COLUMN('u', cat_cut, n_windows),
	COLUMN('b', cat_cut, prepend_bos), COLUMN('b', cat_cut, joined),
	COLUMN('i', cat_cut, bos),	   COLUMN('U', cat_cut, n_tokens),
	COLUMN('U', cat_cut, n_bytes),	   COLUMN('i', cat_cut, created_s),
};
static const struct column sae_columns[] = {
	COLUMN('s', cat_sae, id),	COLUMN('h', cat_sae, hash),
	COLUMN('s', cat_sae, name),	COLUMN('s', cat_sae, model_id),
	COLUMN('s', cat_sae, hook),	COLUMN('s', cat_sae, kind),
	COLUMN('s', cat_sae, family),	COLUMN('s', cat_sae, architecture),
	COLUMN('s', cat_sae, rules),	COLUMN('u', cat_sae, d_in),
	COLUMN('u', cat_sae, d_sae),	COLUMN('u', cat_sae, k),
	COLUMN('u', cat_sae, context),	COLUMN('b', cat_sae, prepend_bos),
	COLUMN('s', cat_sae, weights_sha256), COLUMN('i', cat_sae, created_s),
};
/* behind (run, slot, sae_id) */
static const struct column run_sae_columns[] = {
	COLUMN('U', cat_run_sae, n_tokens), COLUMN('U', cat_run_sae, n_active),
	COLUMN('U', cat_run_sae, n_alive),  COLUMN('d', cat_run_sae, l0),
	COLUMN('d', cat_run_sae, explained), COLUMN('d', cat_run_sae, mse),
};

/* Column i of the row, into the field at p. */
static int
get_column(const struct stmt *s, int i, const struct column *c, void *p)
{
	size_t n_bytes;
	const void *blob;

	switch (c->type) {
	case 's':
		if (strlen(row_str(s, i)) >= c->size)
			return ERR_CORRUPT;
		strcpy(p, row_str(s, i));
		return 0;
	case 'u':
		if (row_i64(s, i) < 0 || row_i64(s, i) > UINT32_MAX)
			return ERR_CORRUPT;
		*(uint32_t *)p = (uint32_t)row_i64(s, i);
		return 0;
	case 'b':
		*(bool *)p = row_i64(s, i) != 0;
		return 0;
	case 'd':
		*(double *)p = row_f64(s, i);
		return 0;
	case 'h':
		blob = row_blob(s, i, &n_bytes);
		if (n_bytes != c->size)
			return ERR_CORRUPT;
		memcpy(p, blob, n_bytes);
		return 0;
	default:
		*(int64_t *)p = row_i64(s, i);
		return 0;
	}
}

static int
get_row(const struct stmt *s, int first, const struct column *c, size_t n, void *row,
	struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (get_column(s, first + (int)i, &c[i], (char *)row + c[i].offset) != 0)
			return err_set(e, ERR_CORRUPT,
				       "the catalogue has a value that does not fit");
	return 0;
}

static void
bind_row(struct stmt *s, int first, const struct column *c, size_t n, const void *row)
{
	for (size_t i = 0; i < n; i++) {
		const void *p = (const char *)row + c[i].offset;
		int at = first + (int)i;

		switch (c[i].type) {
		case 's': stmt_str(s, at, p); break;
		case 'u': stmt_i64(s, at, *(const uint32_t *)p); break;
		case 'b': stmt_i64(s, at, *(const bool *)p); break;
		case 'd': stmt_f64(s, at, *(const double *)p); break;
		case 'h': stmt_blob(s, at, p, c[i].size); break;
		default: stmt_i64(s, at, *(const int64_t *)p); break;
		}
	}
}

static int
put_row(struct db *db, const char *sql, const struct column *c, size_t n, const void *row,
	struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, sql, e);

	if (rc != 0)
		return rc;
	bind_row(s, 1, c, n, row);
	return stmt_done(s, e);
}

int
catalog_put_model(struct db *db, const struct cat_model *m, struct err *e)
{
	return put_row(db,
		       "INSERT INTO model SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13"
		       " WHERE NOT EXISTS(SELECT 1 FROM model WHERE id=?1)",
		       model_columns, N(model_columns), m, e);
}

int
catalog_put_cut(struct db *db, const struct cat_cut *c, struct err *e)
{
	return put_row(db, "INSERT INTO cut VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)", cut_columns,
		       N(cut_columns), c, e);
}

int
catalog_put_sae(struct db *db, const struct cat_sae *x, struct err *e)
{
	return put_row(db, "INSERT INTO sae VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		       sae_columns, N(sae_columns), x, e);
}

int
catalog_put_run_sae(struct db *db, uint32_t run, uint32_t slot, const char *sae_id,
		    const struct cat_run_sae *x, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, "INSERT INTO run_sae VALUES(?,?,?,?,?,?,?,?,?)", e);

	if (rc != 0)
		return rc;
	stmt_i64(s, 1, run);
	stmt_i64(s, 2, slot);
	stmt_str(s, 3, sae_id);
	bind_row(s, 4, run_sae_columns, N(run_sae_columns), x);
	return stmt_done(s, e);
}

int
catalog_put_parts(struct db *db, enum kind kind, const char *id, const struct part *part,
		  size_t n_parts, struct err *e)
{
	struct stmt *s;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n_parts; i++) {
		rc = db_prepare(db, &s, "INSERT OR REPLACE INTO file VALUES(?,?,?,?,?)", e);
		if (rc != 0)
			break;
		stmt_str(s, 1, kind_name[kind]);
		stmt_str(s, 2, id);
		stmt_str(s, 3, part[i].name);
		stmt_i64(s, 4, (int64_t)part[i].n_bytes);
		stmt_i64(s, 5, (int64_t)part[i].hash);
		rc = stmt_done(s, e);
	}
	return rc;
}

/* ---- the sum over everything ---------------------------------------------------- */

static const char *const all_rows[] = {
	"SELECT * FROM model ORDER BY rowid",
	"SELECT * FROM cut ORDER BY rowid",
	"SELECT * FROM sae ORDER BY rowid",
	"SELECT * FROM run ORDER BY number",
	"SELECT * FROM run_sae ORDER BY run, slot",
	"SELECT * FROM graph ORDER BY rowid",
	"SELECT * FROM file ORDER BY kind, id, name",
	"SELECT * FROM meta WHERE key<>'sum' ORDER BY key",
};

static int
sum_rows(struct db *db, uint64_t *sum, struct err *e)
{
	int rc = 0;

	*sum = 0;
	for (size_t i = 0; i < N(all_rows); i++) {
		struct stmt *s;

		rc = db_prepare(db, &s, all_rows[i], e);
		if (rc != 0)
			return rc;
		while ((rc = stmt_step(s, e)) == 1)
			*sum = row_hash(s, 0, row_n(s), *sum);
		if (rc != 0)
			return rc;
		*sum = hash_mix(*sum, i, 0, 0);
	}
	return 0;
}

static int
get_meta(struct db *db, const char *key, int64_t *value, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, "SELECT value FROM meta WHERE key=?", e);

	if (rc != 0)
		return rc;
	stmt_str(s, 1, key);
	rc = stmt_step(s, e);
	if (rc == 0)
		return err_set(e, ERR_CORRUPT, "the catalogue has no %s", key);
	if (rc < 0)
		return rc;
	*value = row_i64(s, 0);
	stmt_reset(s);
	return 0;
}

static int
put_meta(struct db *db, const char *key, int64_t value, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, "INSERT OR REPLACE INTO meta VALUES(?,?)", e);

	if (rc != 0)
		return rc;
	stmt_str(s, 1, key);
	stmt_i64(s, 2, value);
	return stmt_done(s, e);
}

int
catalog_generation(struct db *db, uint64_t *generation, struct err *e)
{
	int64_t value = 0;
	int rc = get_meta(db, "generation", &value, e);

	*generation = (uint64_t)value;
	return rc;
}

int
catalog_seal(struct db *db, struct err *e)
{
	uint64_t generation, sum;
	int rc = catalog_generation(db, &generation, e);

	if (rc == 0)
		rc = put_meta(db, "generation", (int64_t)(generation + 1), e);
	if (rc == 0)
		rc = sum_rows(db, &sum, e);
	return rc == 0 ? put_meta(db, "sum", (int64_t)sum, e) : rc;
}

int
catalog_make(struct db *db, struct err *e)
{
	int rc = db_begin(db, e);

	if (rc == 0)
		rc = db_exec(db, catalog_schema, e);
	if (rc == 0)
		rc = put_meta(db, "generation", 0, e);
	if (rc == 0)
		rc = catalog_seal(db, e);
	return rc == 0 ? db_commit(db, e) : rc;
}

/* ---- loading ----------------------------------------------------------------------- */

/* All rows of a select into an array of the arena, by columns from first on. each
 * (may be NULL) fills in what columns do not. */
struct loader {
	const char *sql;
	const struct column *column;
	size_t n_columns, size;
	int first;
	int (*each)(struct generation *g, const struct stmt *s, void *row, struct err *e);
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

		rc = get_row(s, l->first, l->column, l->n_columns, row, e);
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
	return err_set(e, ERR_CORRUPT, "the catalogue names a %s %.40s that it lacks", what,
		       id);
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

static int
each_run_sae(struct generation *g, const struct stmt *s, void *row, struct err *e)
{
	struct cat_run_sae *x = row;
	int64_t sae = cat_find_sae_id(&g->catalog, row_str(s, 2));

	if (sae < 0)
		return unknown("SAE", row_str(s, 2), e);
	x->sae = (uint32_t)sae;
	return 0;
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

static const struct column run_columns[] = {COLUMN('s', cat_run, id)};

static const struct loader load_models = {
	"SELECT * FROM model ORDER BY rowid", model_columns, N(model_columns),
	sizeof(struct cat_model), 0, NULL};
static const struct loader load_cuts = {"SELECT * FROM cut ORDER BY rowid", cut_columns,
					N(cut_columns), sizeof(struct cat_cut), 0, NULL};
static const struct loader load_saes = {"SELECT * FROM sae ORDER BY rowid", sae_columns,
					N(sae_columns), sizeof(struct cat_sae), 0, NULL};
static const struct loader load_runs = {"SELECT * FROM run ORDER BY number", run_columns,
					N(run_columns), sizeof(struct cat_run), 1,
					each_run};
static const struct loader load_run_saes = {
	"SELECT * FROM run_sae ORDER BY run, slot", run_sae_columns, N(run_sae_columns),
	sizeof(struct cat_run_sae), 3, each_run_sae};
static const struct loader load_graphs = {"SELECT * FROM graph ORDER BY rowid", NULL, 0,
					  sizeof(struct cat_graph), 0, each_graph};

/* Hands each run its stretch of the rows of run_sae. */
static int
share_out(struct db *db, struct cat_run *run, uint32_t n_runs,
	  const struct cat_run_sae *row, uint32_t n_rows, struct err *e)
{
	struct stmt *s;
	uint32_t i = 0, at = 0;
	int rc = db_prepare(db, &s, "SELECT run, slot FROM run_sae ORDER BY run, slot", e);

	if (rc != 0)
		return rc;
	while ((rc = stmt_step(s, e)) == 1 && at < n_rows) {
		while (i < n_runs && run[i].number != row_i64(s, 0))
			i++;
		if (i == n_runs || row_i64(s, 1) != run[i].n_saes) {
			stmt_reset(s);
			return err_set(e, ERR_CORRUPT, "the catalogue's slots have gaps");
		}
		if (run[i].n_saes++ == 0)
			run[i].sae = row + at;
		at++;
	}
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
		rc = share_out(db, (struct cat_run *)runs, c->n_runs, slots, n_slots, e);
	c->run = rc == 0 ? runs : NULL;
	if (rc == 0)
		rc = load(db, g, &load_graphs, &graphs, &c->n_graphs, e);
	c->graph = rc == 0 ? graphs : NULL;
	return rc;
}

int
catalog_load(struct db *db, struct generation *g, struct err *e)
{
	uint64_t sum;
	int64_t version, want;
	int rc = db_version(db, &version, e);

	if (rc == 0 && version != STORE_VERSION)
		rc = err_set(e, ERR_CORRUPT, "no catalogue: version %" PRId64 " where %d is",
			     version, STORE_VERSION);
	if (rc == 0)
		rc = db_check(db, e);
	if (rc == 0)
		rc = catalog_generation(db, &g->catalog.generation, e);
	if (rc == 0)
		rc = sum_rows(db, &sum, e);
	if (rc == 0)
		rc = get_meta(db, "sum", &want, e);
	if (rc == 0 && (uint64_t)want != sum)
		rc = err_set(e, ERR_CORRUPT, "the catalogue does not match its checksum");
	return rc == 0 ? load_all(db, g, e) : rc;
}

int
catalog_parts(struct db *db, enum kind kind, const char *id, struct part **part,
	      size_t *n_parts, struct err *e)
{
	struct stmt *s;
	struct part *list = NULL, *more;
	size_t n = 0;
	int rc = db_prepare(db, &s,
			    "SELECT name, n_bytes, xxh3 FROM file WHERE kind=? AND id=?"
			    " ORDER BY name",
			    e);

	if (rc != 0)
		return rc;
	stmt_str(s, 1, kind_name[kind]);
	stmt_str(s, 2, id);
	while ((rc = stmt_step(s, e)) == 1) {
		more = mem_resize(list, n + 1, sizeof(*list));
		if (more == NULL) {
			rc = err_set(e, ERR_NOMEM, "no memory for the catalogue");
			break;
		}
		list = more;
		list[n] = (struct part){.n_bytes = (uint64_t)row_i64(s, 1),
					.hash = (uint64_t)row_i64(s, 2)};
		snprintf(list[n].name, sizeof(list[n].name), "%s", row_str(s, 0));
		n++;
	}
	if (rc == 0 && n == 0)
		rc = err_set(e, ERR_CORRUPT, "the catalogue names no file of %s/%s",
			     kind_name[kind], id);
	if (rc != 0) {
		stmt_reset(s);
		mem_free(list);
		return rc;
	}
	*part = list;
	*n_parts = n;
	return 0;
}

int
catalog_names(struct db *db, enum kind kind, const char *id, bool *named, struct err *e)
{
	struct stmt *s;
	int rc = db_prepare(db, &s, "SELECT 1 FROM file WHERE kind=? AND id=? LIMIT 1", e);

	*named = false;
	if (rc != 0)
		return rc;
	stmt_str(s, 1, kind_name[kind]);
	stmt_str(s, 2, id);
	rc = stmt_step(s, e);
	*named = rc == 1;
	stmt_reset(s);
	return rc < 0 ? rc : 0;
}

int
catalog_commit(struct db *db, struct err *e)
{
	struct generation g = {0};
	int rc = catalog_seal(db, e);

	arena_init(&g.arena, 0);
	if (rc == 0)
		rc = catalog_load(db, &g, e);
	arena_clear(&g.arena);
	if (rc == 0)
		return db_commit(db, e);
	db_rollback(db);
	return rc;
}
