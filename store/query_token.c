/* SPDX-License-Identifier: ISC */
#include "store/inner.h"

#include <string.h>

static const char by_id[] = "SELECT bytes, special FROM token WHERE id=?1";
static const char by_bytes[] =
	"SELECT id FROM token WHERE bytes=?1 ORDER BY id LIMIT ?2";

/* One row into t, if there is one. */
static int
get_token(struct stmt *s, struct store_token *t, struct arena *arena, struct err *e)
{
	int rc = stmt_step(s, e);
	const void *p;
	size_t n;
	char *copy;

	if (rc <= 0)
		return rc;
	p = row_blob(s, 0, &n);
	copy = arena_alloc(arena, n + 1, 1);
	if (copy != NULL && n > 0)
		memcpy(copy, p, n);
	t->bytes = copy;
	t->n_bytes = (uint32_t)n;
	t->special = row_i64(s, 1) != 0;
	stmt_reset(s);
	return copy != NULL ? 0 : err_set(e, ERR_NOMEM, "no memory for a token");
}

int
store_tokens(struct store_view *v, uint32_t cut, const uint32_t *ids, size_t n,
	struct store_token *out, struct arena *arena, struct err *e)
{
	struct stmt *s;
	int rc = view_cut_stmt(v, cut, by_id, &s, e);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		out[i] = (struct store_token){.id = ids[i]};
		stmt_i64(s, 1, ids[i]);
		rc = get_token(s, &out[i], arena, e);
	}
	return rc;
}

int
store_n_tokens(struct store_view *v, uint32_t cut, uint32_t *n, struct err *e)
{
	struct stmt *s;
	int rc = view_cut_stmt(v, cut, "SELECT max(id) FROM token", &s, e);

	*n = 0;
	if (rc == 0)
		rc = stmt_step(s, e);
	if (rc < 0)
		return rc;
	if (rc == 1 && !row_null(s, 0) && row_i64(s, 0) >= 0 &&
		row_i64(s, 0) < UINT32_MAX)
		*n = (uint32_t)row_i64(s, 0) + 1;
	stmt_reset(s);
	return 0;
}

int
store_token_find(struct store_view *v, uint32_t cut, const char *bytes, size_t n_bytes,
	uint32_t limit, uint32_t *ids, uint32_t *n_out, struct err *e)
{
	struct stmt *s;
	uint32_t n = 0;
	int rc = view_cut_stmt(v, cut, by_bytes, &s, e);

	*n_out = 0;
	if (rc != 0)
		return rc;
	stmt_blob(s, 1, bytes, n_bytes);
	stmt_i64(s, 2, limit);
	while (n < limit && (rc = stmt_step(s, e)) == 1)
		ids[n++] = (uint32_t)row_i64(s, 0);
	stmt_reset(s);
	*n_out = n;
	return rc < 0 ? rc : 0;
}
