/* SPDX-License-Identifier: ISC */
/*
 * options: saedbd's command line, one table for reading it and for --help.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "util/err.h"

#include <stdbool.h>
#include <stdio.h>

struct options {
	const char *store; /* NULL = not given */
	const char *listen; /* ADDR:PORT; NULL = no TCP */
	const char *socket; /* NULL = STORE/saedbd.sock */
	long idle_exit_s; /* 0 = never */
	long n_workers; /* 0 = as many as CPUs */
	const char *model; /* NULL = where the run says */
	long model_mib; /* weights in memory at most; 0 = half of it */
	bool no_model;
	bool verbose, help, version;
};

/* Strings are borrowed from argv. ERR_ARG and ERR_MISSING say what is wrong. */
int options_read(struct options *o, int argc, char **argv, struct err *e);
void options_help(FILE *f);

#endif
