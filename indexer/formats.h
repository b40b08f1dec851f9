/* SPDX-License-Identifier: ISC */
/*
 * formats: says which models, SAEs, tokenizers and files of tensors load, from
 * the tables by which they are loaded. Opens nothing; prints Markdown, which is a
 * section of README.md, to standard output.
 */
#ifndef INDEXER_FORMATS_H
#define INDEXER_FORMATS_H

#include "indexer/options.h"

int formats_run(const struct options *o, struct err *e);

#endif
