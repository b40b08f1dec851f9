/* SPDX-License-Identifier: ISC */
/*
 * release: SAEs by the names that SAELens gives them, RELEASE:ID. A release is a
 * repository on Hugging Face's hub, and an id a folder or file of it, by a list that
 * SAELens ships and release_table.c holds. Found in the cache on this machine; never
 * uses the network.
 */
#ifndef MODEL_RELEASE_H
#define MODEL_RELEASE_H

#include "model/sae.h"
#include "util/err.h"
#include "util/file.h"

#include <stdbool.h>
#include <stddef.h>

#define RELEASE_TEXT_BYTES 256 /* ids and paths are shorter */

struct release;

const struct release *release_at(size_t i); /* NULL past the last */
const char *release_name(const struct release *r);
const char *release_repo(const struct release *r);

/* One SAE of a release. */
struct release_sae {
	char id[RELEASE_TEXT_BYTES];
	char path[RELEASE_TEXT_BYTES]; /* in the repository */
	struct sae_given given;
};

/* SAE number i of a release; false past the last. */
bool release_sae_at(const struct release *r, size_t i, struct release_sae *out);

/* Where a name leads. */
struct release_found {
	char path[PATH_BYTES];
	char name[2 * RELEASE_TEXT_BYTES]; /* RELEASE:ID, or "" if it was none */
	struct sae_given given;
};

/* name: RELEASE[@REVISION]:ID, or whatever hub_find() takes. ERR_NOTFOUND says how to
 * get it into the cache, or which names are near; ERR_UNSUPPORTED why it does not
 * load. */
int release_find(struct release_found *out, const char *name, struct err *e);

#endif
