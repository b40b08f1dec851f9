/* SPDX-License-Identifier: ISC */
#include "daemon/views.h"

#include "util/mem.h"
#include "util/pool.h"

#define MAX_IDLE 64

struct views {
	struct store *store;
	struct mutex *lock; /* of all below, and of opening, closing and refreshing */
	struct view *idle[MAX_IDLE];
	size_t n_idle;
	uint64_t generation; /* of the newest view opened */
	int64_t polled_ms;
};

int
views_new(struct views **out, struct store *s, struct err *e)
{
	struct views *v = mem_new(1, sizeof(*v));
	int rc;

	*out = v;
	if (v == NULL)
		return err_set(e, ERR_NOMEM, "no memory for views");
	v->store = s;
	rc = mutex_new(&v->lock, e);
	if (rc < 0) {
		mem_free(v);
		*out = NULL;
	}
	return rc;
}

static int
view_open(struct view **out, struct store *s, struct err *e)
{
	struct view *view = mem_new(1, sizeof(*view));
	int rc;

	if (view == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a view");
	vocab_init(&view->vocab);
	labels_init(&view->labels);
	rc = store_view_open(&view->store, s, e);
	if (rc < 0)
		mem_free(view);
	else
		*out = view;
	return rc;
}

static void
view_close(struct view *view)
{
	store_view_close(view->store);
	vocab_clear(&view->vocab);
	labels_clear(&view->labels);
	mem_free(view);
}

static uint64_t
generation_of(const struct view *view)
{
	return store_view_catalog(view->store)->generation;
}

static void
close_idle(struct views *v)
{
	while (v->n_idle > 0)
		view_close(v->idle[--v->n_idle]);
}

void
views_free(struct views *v)
{
	if (v == NULL)
		return;
	close_idle(v);
	mutex_free(v->lock);
	mem_free(v);
}

int
views_take(struct views *v, struct view **out, struct err *e)
{
	int rc = 0;

	mutex_lock(v->lock);
	if (v->n_idle > 0)
		*out = v->idle[--v->n_idle];
	else {
		rc = view_open(out, v->store, e);
		if (rc == 0)
			v->generation = generation_of(*out);
	}
	mutex_unlock(v->lock);
	return rc;
}

void
views_give(struct views *v, struct view *view)
{
	if (view == NULL)
		return;
	vocab_trim(&view->vocab);
	labels_trim(&view->labels);
	mutex_lock(v->lock);
	if (v->n_idle < MAX_IDLE && generation_of(view) == v->generation)
		v->idle[v->n_idle++] = view;
	else
		view_close(view);
	mutex_unlock(v->lock);
}

int
views_poll(struct views *v, int64_t now_ms, int64_t every_ms, struct err *e)
{
	int rc = 0;

	mutex_lock(v->lock);
	if (now_ms - v->polled_ms >= every_ms) {
		v->polled_ms = now_ms;
		if (store_has_newer(v->store)) {
			rc = store_refresh(v->store, e);
			if (rc == 0) {
				close_idle(v);
				v->generation = 0; /* those lent are not kept */
			}
		}
	}
	mutex_unlock(v->lock);
	return rc;
}
