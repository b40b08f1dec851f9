/* SPDX-License-Identifier: ISC */
#include "indexer/cut_copy.h"

#include "indexer/stop.h"

#include <string.h>

#define AT_A_TIME 256

struct copying {
	struct cut_writer *w;
	struct store_view *from;
	uint32_t cut;
	const struct cat_cut *info;
	struct progress *progress;
	struct arena arena;
};

static int
copy_documents(struct copying *c, struct err *e)
{
	struct store_document d[AT_A_TIME];
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->info->n_documents; i += n) {
		arena_reset(&c->arena);
		if (store_documents(c->from, c->cut, i, NULL, NULL, AT_A_TIME, d, &n,
			    &c->arena, e) < 0)
			return e->code;
		if (n == 0)
			return err_set(e, ERR_CORRUPT, "%s: document %u is lost",
				c->info->name, i);
		for (uint32_t j = 0; j < n; j++)
			if (cut_writer_document(c->w, &d[j], e) < 0)
				return e->code;
	}
	return 0;
}

static int
copy_tokens(struct copying *c, struct err *e)
{
	struct store_token t[AT_A_TIME];
	uint32_t ids[AT_A_TIME], n_all, n;

	if (store_n_tokens(c->from, c->cut, &n_all, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < n_all; i += n) {
		n = n_all - i < AT_A_TIME ? n_all - i : AT_A_TIME;
		for (uint32_t j = 0; j < n; j++)
			ids[j] = i + j;
		arena_reset(&c->arena);
		if (store_tokens(c->from, c->cut, ids, n, t, &c->arena, e) < 0)
			return e->code;
		for (uint32_t j = 0; j < n; j++)
			if (t[j].bytes != NULL &&
				cut_writer_token(c->w, t[j].id, t[j].bytes,
					t[j].n_bytes, t[j].special, e) < 0)
				return e->code;
	}
	return 0;
}

static int
copy_window(struct copying *c, uint32_t i, const struct store_value *v, struct err *e)
{
	const struct rec_patch *patch;
	struct rec_window w;
	size_t n_patches;

	if (rec_window_unpack(&w, v->p, v->n_bytes, &c->arena, e) < 0 ||
		store_patches(c->from, c->cut, i, &patch, &n_patches, &c->arena, e) < 0)
		return e->code;
	if (n_patches > 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s has images; cuts with images are not copied",
			c->info->name);
	return cut_writer_window(c->w, &w, e);
}

static int
copy_windows(struct copying *c, struct err *e)
{
	struct store_place place = {TABLE_WINDOW, c->cut, 0};
	struct store_value v[AT_A_TIME];
	uint32_t ids[AT_A_TIME], n;

	for (uint32_t i = 0; i < c->info->n_windows; i += n) {
		n = c->info->n_windows - i < AT_A_TIME ? c->info->n_windows - i
						       : AT_A_TIME;
		for (uint32_t j = 0; j < n; j++)
			ids[j] = i + j;
		arena_reset(&c->arena);
		if (store_mget(c->from, place, ids, n, v, &c->arena, e) < 0)
			return e->code;
		for (uint32_t j = 0; j < n; j++)
			if (copy_window(c, i + j, &v[j], e) < 0)
				return e->code;
		progress_part(c->progress, i + n, c->info->n_windows);
		if (stop_check(e) < 0)
			return e->code;
	}
	return 0;
}

int
cut_copy(struct store *to, struct store_view *from, uint32_t cut,
	struct progress *progress, struct cat_cut *info, bool *is_new, struct err *e)
{
	struct copying c = {.from = from, .cut = cut, .progress = progress};
	struct store_view *view = NULL;
	int64_t have;
	int rc;

	*info = store_view_catalog(from)->cut[cut];
	c.info = &store_view_catalog(from)->cut[cut];
	rc = cut_writer_new(&c.w, &have, to, info, e);
	*is_new = have < 0;
	if (rc == 0 && strcmp(info->id, c.info->id) != 0)
		rc = err_set(e, ERR_CORRUPT, "%s: the cut %s is %s by what it holds",
			info->name, c.info->id, info->id);
	arena_init(&c.arena, 0);
	if (rc == 0 && c.w != NULL)
		rc = copy_documents(&c, e);
	if (rc == 0 && c.w != NULL)
		rc = copy_tokens(&c, e);
	if (rc == 0 && c.w != NULL)
		rc = copy_windows(&c, e);
	if (rc == 0 && c.w != NULL)
		rc = cut_writer_finish(c.w, info, e);
	arena_clear(&c.arena);
	cut_writer_free(c.w);
	if (rc < 0 || have < 0)
		return rc;
	rc = store_view_open(&view, to, e);
	if (rc == 0)
		*info = store_view_catalog(view)->cut[have];
	store_view_close(view);
	return rc;
}
