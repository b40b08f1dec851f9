/* SPDX-License-Identifier: ISC */
/*
 * manage: the commands that look at a store or take things out of it: list, rm,
 * rename, gc, du. They print to standard output.
 */
#ifndef INDEXER_MANAGE_H
#define INDEXER_MANAGE_H

#include "indexer/options.h"

int manage_list(const struct options *o, struct err *e);
int manage_rm(const struct options *o, struct err *e);
int manage_rename(const struct options *o, struct err *e);
int manage_gc(const struct options *o, struct err *e);
int manage_du(const struct options *o, struct err *e);

#endif
