/* SPDX-License-Identifier: ISC */
/*
 * stop: SIGINT and SIGTERM set a flag that long loops ask for. Never exits.
 */
#ifndef INDEXER_STOP_H
#define INDEXER_STOP_H

#include "util/err.h"

/* Installs the handlers, for a command whose loops ask; without, a signal ends the
 * process as usual. */
void stop_init(void);
/* SIGPIPE and SIGXFSZ become errors of write(). */
void stop_pipes(void);
/* The signal that came, or 0. Thread: any. */
int stop_signal(void);
/* 0, or ERR_CANCELLED once a signal came. */
int stop_check(struct err *e);

#endif
