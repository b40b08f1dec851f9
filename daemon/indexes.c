/* SPDX-License-Identifier: ISC */
#include "daemon/indexes.h"

#include "util/log.h"
#include "util/mem.h"
#include "util/pool.h"

#include <stdatomic.h>

struct indexes {
	struct store *store;
	struct queue *queue; /* made when there is something to load */
	atomic_bool busy, stopping;
};

int
indexes_new(struct indexes **out, struct store *s, struct err *e)
{
	struct indexes *x = mem_new(1, sizeof(*x));

	*out = x;
	if (x == NULL)
		return err_set(e, ERR_NOMEM, "no memory for indexes");
	x->store = s;
	return 0;
}

void
indexes_free(struct indexes *x)
{
	if (x == NULL)
		return;
	atomic_store(&x->stopping, true);
	queue_free(x->queue);
	mem_free(x);
}

static bool
is_stopping(void *p)
{
	struct indexes *x = p;

	return atomic_load(&x->stopping);
}

static void
tell(const struct store_ann *a)
{
	if (a->state == STORE_ANN_LOADED)
		log_put(LOG_NOTICE, "the approximate index of %s is loaded: %s",
			a->sae_id, a->text);
	else
		log_put(LOG_WARNING,
			"the approximate index of %s is refused, searches go on "
			"without "
			"it: %s",
			a->sae_id, a->why);
}

static void
load_all(void *p)
{
	struct indexes *x = p;
	struct err e = ERR_INIT;
	struct store_ann a;
	int rc = 1;

	while (rc == 1 && !is_stopping(x)) {
		rc = store_ann_load(x->store, is_stopping, x, &a, &e);
		if (rc == 1)
			tell(&a);
	}
	if (rc < 0 && rc != ERR_CANCELLED)
		log_put(LOG_WARNING, "loading approximate indexes: %s", e.text);
	atomic_store(&x->busy, false);
}

void
indexes_look(struct indexes *x)
{
	struct err e = ERR_INIT;
	int rc = 0;

	if (atomic_load(&x->busy) || !store_ann_waits(x->store))
		return;
	if (x->queue == NULL)
		rc = queue_new(&x->queue, 1, 1, &e);
	atomic_store(&x->busy, rc == 0);
	if (rc == 0)
		rc = queue_push(x->queue, load_all, NULL, x, &e);
	if (rc < 0) {
		atomic_store(&x->busy, false);
		log_put(LOG_WARNING, "loading approximate indexes: %s", e.text);
	}
}
