/* SPDX-License-Identifier: ISC */
#include "store/columns.h"

#include "store/store.h"

#include <math.h>
#include <string.h>

#define COLUMN(type, s, f) \
	{ \
		type, offsetof(struct s, f), sizeof(((struct s *)0)->f) \
	}
#define N(array) (sizeof(array) / sizeof((array)[0]))

static const struct column model[] = {
	COLUMN('s', cat_model, id),
	COLUMN('s', cat_model, name),
	COLUMN('s', cat_model, family),
	COLUMN('s', cat_model, architecture),
	COLUMN('s', cat_model, dtype_file),
	COLUMN('u', cat_model, n_layers),
	COLUMN('u', cat_model, d_model),
	COLUMN('u', cat_model, n_vocab),
	COLUMN('u', cat_model, n_ctx),
	COLUMN('U', cat_model, n_params),
	COLUMN('s', cat_model, weights_sha256),
	COLUMN('s', cat_model, tokenizer_sha256),
	COLUMN('i', cat_model, created_s),
};
static const struct column cut[] = {
	COLUMN('s', cat_cut, id),
	COLUMN('s', cat_cut, name),
	COLUMN('s', cat_cut, tokenizer_sha256),
	COLUMN('s', cat_cut, corpus_sha256),
	COLUMN('u', cat_cut, context),
	COLUMN('u', cat_cut, n_documents),
	COLUMN('u', cat_cut, n_windows),
	COLUMN('b', cat_cut, prepend_bos),
	COLUMN('b', cat_cut, joined),
	COLUMN('i', cat_cut, bos),
	COLUMN('U', cat_cut, n_tokens),
	COLUMN('U', cat_cut, n_bytes),
	COLUMN('i', cat_cut, created_s),
};
static const struct column sae[] = {
	COLUMN('s', cat_sae, id),
	COLUMN('h', cat_sae, hash),
	COLUMN('s', cat_sae, name),
	COLUMN('s', cat_sae, model_id),
	COLUMN('s', cat_sae, hook),
	COLUMN('s', cat_sae, kind),
	COLUMN('s', cat_sae, family),
	COLUMN('s', cat_sae, architecture),
	COLUMN('s', cat_sae, rules),
	COLUMN('u', cat_sae, d_in),
	COLUMN('u', cat_sae, d_sae),
	COLUMN('u', cat_sae, k),
	COLUMN('u', cat_sae, context),
	COLUMN('b', cat_sae, prepend_bos),
	COLUMN('s', cat_sae, weights_sha256),
	COLUMN('i', cat_sae, created_s),
};
/* behind (run, slot, sae_id) */
static const struct column run_sae[] = {
	COLUMN('U', cat_run_sae, n_tokens),
	COLUMN('U', cat_run_sae, n_active),
	COLUMN('U', cat_run_sae, n_alive),
	COLUMN('d', cat_run_sae, l0),
	COLUMN('n', cat_run_sae, explained),
	COLUMN('n', cat_run_sae, mse),
};

static const struct column run[] = {COLUMN('s', cat_run, id)}; /* behind number */

const struct columns columns_model = {model, N(model)};
const struct columns columns_cut = {cut, N(cut)};
const struct columns columns_sae = {sae, N(sae)};
const struct columns columns_run = {run, N(run)};
const struct columns columns_run_sae = {run_sae, N(run_sae)};

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
		return row_null(s, i) ? ERR_CORRUPT : 0;
	case 'n':
		*(double *)p = row_null(s, i) ? NAN : row_f64(s, i);
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

int
columns_get(const struct stmt *s, int first, const struct columns *c, void *row,
	struct err *e)
{
	for (size_t i = 0; i < c->n; i++)
		if (get_column(s, first + (int)i, &c->list[i],
			    (char *)row + c->list[i].offset) != 0)
			return err_set(e, ERR_CORRUPT,
				"the catalogue has a value that does not fit");
	return 0;
}

void
columns_bind(struct stmt *s, int first, const struct columns *c, const void *row)
{
	for (size_t i = 0; i < c->n; i++) {
		const void *p = (const char *)row + c->list[i].offset;
		int at = first + (int)i;

		switch (c->list[i].type) {
		case 's':
			stmt_str(s, at, p);
			break;
		case 'u':
			stmt_i64(s, at, *(const uint32_t *)p);
			break;
		case 'b':
			stmt_i64(s, at, *(const bool *)p);
			break;
		case 'n':
			if (isnan(*(const double *)p)) {
				stmt_text(s, at, NULL, 0);
				break;
			}
			stmt_f64(s, at, *(const double *)p);
			break;
		case 'd':
			stmt_f64(s, at, *(const double *)p);
			break;
		case 'h':
			stmt_blob(s, at, p, c->list[i].size);
			break;
		default:
			stmt_i64(s, at, *(const int64_t *)p);
			break;
		}
	}
}
