/* SPDX-License-Identifier: ISC */
/*
 * lm_name: language models by the names that people and SAEs call them:
 * TransformerLens', and those from which repositories on Hugging Face's hub have
 * moved. Finds them in the cache on this machine; never uses the network.
 */
#ifndef MODEL_LM_NAME_H
#define MODEL_LM_NAME_H

#include "util/err.h"
#include "util/file.h"

#include <stdbool.h>
#include <stddef.h>

/* The table of lm_name_table.c. */
struct lm_name {
	const char *repo;
	const char
		*others; /* besides the repository's last part, with spaces between */
};
extern const struct lm_name lm_names[];
extern const size_t lm_names_n;

/* The repository that a name stands for, whatever its case; NULL when it is not
 * known. */
const char *lm_name_repo(const char *name);
/* Whether two names stand for one model. */
bool lm_name_same(const char *a, const char *b);
/* The directory of a model: what hub_find() takes, or such a name, with @REVISION
 * behind if wanted. */
int lm_name_find(char out[PATH_BYTES], const char *name, struct err *e);

#endif
