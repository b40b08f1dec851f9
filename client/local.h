/* SPDX-License-Identifier: ISC */
/*
 * local: a daemon for a store that is opened directly: the one that serves it
 * already, or one started for us, on a socket of its own, and stopped at the end
 * (also by signals). One for each process.
 */
#ifndef CLIENT_LOCAL_H
#define CLIENT_LOCAL_H

#include "client/saedb.h"
#include "util/err.h"

#include <stdbool.h>

/* Connects db to the daemon of the store. */
int local_open(struct saedb *db, const char *store, struct err *e);
void local_close(void); /* stops the daemon if we started it */
bool local_is_ours(void); /* whether we did */

#endif
