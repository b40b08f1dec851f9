/* SPDX-License-Identifier: ISC */
/*
 * disk: whether there is room. The libraries below tell a full disk from a
 * broken one only sometimes.
 */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#include <stdbool.h>

/* Whether path's file system has no room, or path has reached the limit on the
 * size of files. */
bool disk_is_full(const char *path);

#endif
