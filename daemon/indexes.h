/* SPDX-License-Identifier: ISC */
/*
 * indexes: loads the store's approximate indexes beside everything else, on a thread of
 * its own: those that are there at the start, and those of generations to come. Until
 * one is loaded, searches are exact.
 */
#ifndef DAEMON_INDEXES_H
#define DAEMON_INDEXES_H

#include "store/approximate.h"
#include "util/err.h"

struct indexes; /* opaque */

/* Borrows s. new: indexes_free(), which waits for what is being read. */
int indexes_new(struct indexes **out, struct store *s, struct err *e);
void indexes_free(struct indexes *x);
/* Starts loading where something waits to be loaded. Cheap. Thread: one. */
void indexes_look(struct indexes *x);

#endif
