/* SPDX-License-Identifier: ISC */
/*
 * views: open views of the newest generation, lent to one request at a time and
 * kept for the next. When a generation is published, requests under way keep
 * theirs, and new ones get the new.
 */
#ifndef DAEMON_VIEWS_H
#define DAEMON_VIEWS_H

#include "daemon/labels.h"
#include "daemon/vocab.h"
#include "store/store.h"
#include "util/err.h"

struct views; /* opaque */

struct view {
	struct store_view *store;
	struct vocab vocab;
	struct labels labels;
};

/* Borrows s. new: views_free(), when none is lent. */
int views_new(struct views **out, struct store *s, struct err *e);
void views_free(struct views *v);
/* Lends a view of the newest generation known. Thread: any. */
int views_take(struct views *v, struct view **out, struct err *e);
void views_give(struct views *v, struct view *view);
/* Looks for a newer generation, at most once in every_ms. Thread: any. */
int views_poll(struct views *v, int64_t now_ms, int64_t every_ms, struct err *e);

#endif
