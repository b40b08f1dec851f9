/* SPDX-License-Identifier: ISC */
/*
 * map_svg: a picture of a map, from the answer of map.feature. Text is escaped, nothing
 * runs, and the same answer gives the same bytes.
 */
#ifndef CLIENT_MAP_SVG_H
#define CLIENT_MAP_SVG_H

#include "client/saedb.h"
#include "util/buf.h"
#include "util/err.h"

/* Appends the document. */
int map_svg(struct buf *b, const struct saedb_value *map, struct err *e);

#endif
