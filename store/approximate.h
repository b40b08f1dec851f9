/* SPDX-License-Identifier: ISC */
/*
 * approximate: indexes that find most of the nearest features without going through
 * all: built once, measured, and loaded beside everything else. What they answer,
 * store_search() asks for. Never reads a file that does not match the catalogue.
 */
#ifndef STORE_APPROXIMATE_H
#define STORE_APPROXIMATE_H

#include "store/store.h"

#define STORE_RECALL 0.99 /* what an index is tuned for, and STORE_AUTO asks of it */
/* From so many numbers in the rows of a SAE on, going through them is slow: about 15
 * ms. STORE_AUTO then uses an index that has the recall, where one is loaded. */
#define STORE_SLOW_NUMBERS ((uint64_t)400 << 20)

struct store_ann {
	char sae_id[STORE_ID_CHARS];
	enum store_direction direction;
	char factory[128]; /* FAISS's description of it */
	char parameter[16]; /* nprobe or efSearch, of value; "" for neither */
	uint32_t value;
	uint32_t n_candidates; /* that are scored again, for ten nearest */
	uint32_t n_rows, d;
	double recall; /* of the ten nearest, mean over n_queries */
	uint32_t n_queries;
	double build_s;
	uint64_t build_bytes; /* most that was in memory for it, as it was counted */
	char version[16], level[16]; /* of FAISS */
	char text[192]; /* factory, parameter and candidates in one */
	/* where it is asked of a view: */
	uint64_t n_bytes; /* of the file, and about of the memory once it is loaded */
	enum store_ann_state {
		STORE_ANN_WAITING, /* nobody has loaded it yet */
		STORE_ANN_LOADED,
		STORE_ANN_REFUSED
	} state;
	char why[256]; /* it was refused */
};
/* FAISS's version and what it was compiled for: "1.7.3 avx2". */
const char *store_faiss(void);
/* Of the catalogue's index. ERR_CORRUPT where its record is damaged. */
int store_ann_about(struct store_view *v, uint32_t ann, struct store_ann *out,
	struct err *e);
/* Loads the next index of the newest generation that nobody has loaded, after its
 * hash has matched: 1 and *out; 0 where there is none. One that does not match is
 * refused (out->state, out->why) and not tried again. Slow. stop (may be NULL): asked
 * now and then, true ends it with ERR_CANCELLED. Thread: any, one at a time. */
int store_ann_load(struct store *s, bool (*stop)(void *ctx), void *ctx,
	struct store_ann *out, struct err *e);
bool store_ann_waits(struct store *s); /* whether there is one to load. Cheap */

/* ---- building (ann_build.c) */

struct store_ann_job {
	uint32_t sae; /* of the newest generation's catalogue */
	enum store_direction direction;
	const char *factory; /* NULL: by size and memory */
	uint64_t memory_bytes; /* most to use beside the mapped rows */
	uint32_t n_threads;
	/* What is done of a stage; may be NULL. Not 0: the build ends with that. */
	int (*tell)(void *ctx, const char *stage, uint64_t done, uint64_t total,
		struct err *e);
	void *ctx;
};
/* Fewer rows have no index. */
#define STORE_ANN_ROWS 1024
/* Builds an index, measures it and publishes it; what is there already (*have) stays.
 * ERR_NOMEM where memory_bytes is less than the least that would do, which the text
 * tells. What was begun and not published is gone. */
int store_ann_build(struct store *s, const struct store_ann_job *job, bool *have,
	struct store_ann *out, struct err *e);

#endif
