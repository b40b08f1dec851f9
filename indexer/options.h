/* SPDX-License-Identifier: ISC */
/*
 * options: the command line of saedb-index as one table, from which it is
 * parsed, checked and explained. Opens nothing.
 */
#ifndef INDEXER_OPTIONS_H
#define INDEXER_OPTIONS_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bos_rule { BOS_AUTO, BOS_YES, BOS_NO };
enum cooccur_rule { COOCCUR_AUTO, COOCCUR_NONE };
enum neighbors_rule { NEIGHBORS_AUTO, NEIGHBORS_EXACT, NEIGHBORS_NONE };
enum ann_rule { ANN_AUTO, ANN_NONE, ANN_ALL };

struct option_list {
	const char **item; /* borrowed from argv */
	size_t n;
};

struct options {
	const char *command; /* "index" when none was named */
	const char *arg[2]; /* what follows the sub-command's name */
	size_t n_args;
	struct option_list dir; /* inspect: what to look at; merge: STORE[@RUN]; ann:
				  * STORE, then SAEs */
	const char *store, *model;
	struct option_list sae; /* [NAME=]DIR */
	const char *hook; /* NULL = as the SAEs say */
	bool saelens_rule; /* for Llama Scope */
	struct option_list corpus; /* paths, "-" once */
	/* Streams of shards that take the corpus' and the model's place: one of both. */
	struct option_list activations, latents;
	const char *text_field, *id_field;
	const char *model_name, *corpus_name; /* NULL = from the path */
	const char *run; /* verify: number or id */
	const char *report; /* file for JSON, "-"; NULL = none */
	uint64_t bos; /* enum bos_rule */
	uint64_t neighbors; /* enum neighbors_rule */
	uint64_t ann; /* enum ann_rule */
	uint64_t direction; /* ann: 0 decoder rows, 1 encoder rows */
	const char *factory; /* ann: NULL = by size and memory */
	uint64_t cooccurrence; /* enum cooccur_rule */
	uint64_t context; /* tokens; 0 = the SAE's */
	uint64_t max_tokens; /* 0 = all */
	uint64_t examples, dedup_radius, interval_samples, seed;
	uint64_t memory_bytes; /* 0 = half of the machine's */
	uint64_t threads; /* 0 = all CPUs */
	uint64_t batch_tokens;
	uint64_t progress_interval_s;
	uint64_t checkpoint_s; /* 0 = none are made */
	uint64_t features; /* verify: how many */
	uint64_t range
		[2]; /* index: features sought, from the first to before the last */
	uint64_t sample; /* diagnose: tokens */
	bool fresh; /* nothing is taken from other runs */
	bool strict, lines, joined, count_special, quiet;
	bool help, version;
};

/* Fills o with defaults, then from argv. Wrong usage is ERR_ARG. new:
 * options_clear(). */
int options_parse(struct options *o, int argc, char **argv, struct err *e);
void options_clear(struct options *o);
/* Appends the help text: usage, commands, each option of the table. */
void options_help(struct buf *b);
/* "1073741824", "512M", "2GiB": powers of 1024. false if it is no size. */
bool options_size(const char *text, uint64_t *out);

#endif
