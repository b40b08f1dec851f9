/* SPDX-License-Identifier: ISC */
/*
 * child: work that a library might not survive, tried in a process of its own first.
 * Only its answer comes back. Never for work that is to have an effect.
 */
#ifndef UTIL_CHILD_H
#define UTIL_CHILD_H

#include "util/err.h"

/* What fn returned there, and its error; ERR_CORRUPT, naming what, where a signal ended
 * it. fn takes no lock that another thread may hold. 0 where no process can be made:
 * then nothing is known. */
int child_try(int (*fn)(void *ctx, struct err *e), void *ctx, const char *what,
	struct err *e);

#endif
