/* SPDX-License-Identifier: ISC */
/*
 * record: what stands in the store's values, packed and unpacked in one place
 * (doc/disk.md is its twin). Little-endian; integers as LEB128 varints unless
 * a width is named; float32 as raw bits. No I/O. Unpacking checks every length:
 * ERR_CORRUPT otherwise. Arrays of unpacked records are borrowed from the value
 * or allocated in the arena that is passed.
 */
#ifndef SCHEMA_RECORD_H
#define SCHEMA_RECORD_H

#include "schema/limits.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- a window of a cut corpus ---------------------------------------------- */

/* A stretch of a window that comes from one document. By-document windows have
 * one; joined windows have one per document they touch. */
struct rec_segment {
	uint32_t document; /* number in the cut */
	uint32_t token; /* first token of the stretch in the window */
	uint32_t text_start; /* first byte of the stretch in the window's text */
	uint64_t doc_start; /* that byte's offset in the document */
};

struct rec_window {
	uint32_t n_tokens;
	uint32_t n_segments;
	const uint32_t *token; /* (n_tokens) ids, BOS included */
	const uint32_t *text_start; /* (n_tokens) byte span of each token in text; */
	const uint32_t *text_end; /* BOS and other inserted tokens: empty spans */
	const struct rec_segment *segment;
	const char *text; /* n_text_bytes, as in the documents, byte for byte */
	uint32_t n_text_bytes;
};
void rec_window_pack(struct buf *b, const struct rec_window *w);
int rec_window_unpack(struct rec_window *w, const void *p, size_t n_bytes,
	struct arena *a, struct err *e);

/* ---- a feature's statistics (at most LIMIT_SMALL_BYTES) -------------------- */

/* Log bins: bin b holds values v > 0 whose float32 bits >> 21 equal b, so four
 * bins an octave with edges 2^e * {1, 1.25, 1.5, 1.75}; 0 <= b < 1024. */
#define REC_HIST_BINS 1024
uint32_t rec_hist_bin(float value);
float rec_hist_edge(uint32_t bin); /* lower edge */

struct rec_bin {
	uint32_t bin;
	uint64_t count;
};

struct rec_feature {
	uint64_t count; /* positions where it fires, excluded tokens left out */
	uint64_t n_windows; /* windows, documents where it fires */
	uint64_t n_documents;
	double sum; /* of values, exact, rounded once */
	double sum_squares;
	float max; /* 0 when count is 0 */
	uint32_t max_window, max_offset;
	uint64_t
		interval[LIMIT_INTERVALS]; /* populations of (max*i/10, max*(i+1)/10] */
	const struct rec_bin *bin; /* (n_bins) nonempty log bins, ascending */
	uint32_t n_bins;
};
void rec_feature_pack(struct buf *b, const struct rec_feature *f);
int rec_feature_unpack(struct rec_feature *f, const void *p, size_t n_bytes,
	struct arena *a, struct err *e);

/* The interval (0 to LIMIT_INTERVALS - 1) of a value of a feature whose maximum
 * is max: ceil(value * 10 / max) - 1 in double, clamped. */
uint32_t rec_interval(float value, float max);

/* ---- a feature's examples -------------------------------------------------- */

#define REC_BEST 255u /* rec_example.interval of the k best */

struct rec_at { /* one activation of the feature in the example's window */
	uint32_t offset;
	float value;
};

struct rec_example {
	uint32_t interval; /* REC_BEST, or 0 to LIMIT_INTERVALS - 1 */
	uint32_t window, offset; /* where; for the best, the window's maximum */
	float value;
	const struct rec_at
		*at; /* (n_at) all its activations in that window that count */
	uint32_t n_at;
};
struct rec_examples {
	const struct rec_example
		*example; /* best first, then by interval, then sample */
	uint32_t n_examples;
};
void rec_examples_pack(struct buf *b, const struct rec_examples *x);
int rec_examples_unpack(struct rec_examples *x, const void *p, size_t n_bytes,
	struct arena *a, struct err *e);

/* ---- the active features of a stretch of a window's tokens ----------------- */

/* Compressed rows: token i of the chunk has [row_start[i], row_start[i + 1]). */
struct rec_acts {
	uint32_t first_token; /* of the chunk, in the window */
	uint32_t n_tokens;
	const uint32_t *row_start; /* (n_tokens + 1) */
	const uint32_t *feature; /* (nnz) ascending in each row */
	const float *value; /* (nnz) float32, exact */
};
void rec_acts_pack(struct buf *b, const struct rec_acts *x);
int rec_acts_unpack(struct rec_acts *x, const void *p, size_t n_bytes, struct arena *a,
	struct err *e);

/* ---- lists ----------------------------------------------------------------- */

struct rec_posting { /* a window where the feature fires */
	uint32_t window;
	uint32_t n_fired; /* positions in it */
	float max;
};
void rec_postings_pack(struct buf *b, const struct rec_posting *x, size_t n);
int rec_postings_unpack(const struct rec_posting **x, size_t *n, const void *p,
	size_t n_bytes, struct arena *a, struct err *e);

struct rec_scored { /* a neighbor (cosine), or a token and its logit effect */
	uint32_t id;
	float score;
};
struct rec_logits { /* direct effect of a feature's decoder row on the logits */
	const struct rec_scored *promoted; /* largest first */
	const struct rec_scored *suppressed; /* smallest first */
	uint32_t n_promoted, n_suppressed;
};
void rec_logits_pack(struct buf *b, const struct rec_logits *x);
int rec_logits_unpack(struct rec_logits *x, const void *p, size_t n_bytes,
	struct arena *a, struct err *e);

void rec_neighbors_pack(struct buf *b, const struct rec_scored *x, size_t n);
int rec_neighbors_unpack(const struct rec_scored **x, size_t *n, const void *p,
	size_t n_bytes, struct arena *a, struct err *e);

struct rec_token_feature {
	uint32_t feature;
	uint32_t n_fired; /* occurrences of the token on which it fires */
	float mean; /* mean value over those */
};
struct rec_token { /* the features that fire on a token id */
	uint64_t n_occurrences; /* of the token in the cut, excluded ones left out */
	const struct rec_token_feature *feature; /* n_fired descending, then feature */
	uint32_t n_features;
	uint32_t n_features_all; /* before the list was cut to LIMIT_TOKEN_FEATURES */
};
void rec_token_pack(struct buf *b, const struct rec_token *x);
int rec_token_unpack(struct rec_token *x, const void *p, size_t n_bytes,
	struct arena *a, struct err *e);

struct rec_pair { /* a feature that fires on the same tokens as another */
	uint32_t slot, feature;
	uint64_t n_both; /* tokens on which both fire, excluded ones left out */
};
struct rec_pairs { /* those of one feature */
	const struct rec_pair *pair; /* by Jaccard index, largest first */
	uint32_t n_pairs;
	uint32_t n_pairs_all; /* before the list was cut to LIMIT_COOCCURRENCE */
};
void rec_pairs_pack(struct buf *b, const struct rec_pairs *x);
int rec_pairs_unpack(struct rec_pairs *x, const void *p, size_t n_bytes,
	struct arena *a, struct err *e);

/* ---- images whose patches are tokens --------------------------------------- */

struct rec_image { /* an image file of a cut, without its bytes */
	uint8_t sha256[32]; /* of its bytes */
	uint32_t n_bytes;
	char type[16]; /* "image/png" */
};
void rec_image_pack(struct buf *b, const struct rec_image *x);
int rec_image_unpack(struct rec_image *x, const void *p, size_t n_bytes, struct err *e);

/* Positions [token, token + n_tokens) of a window are the patches first, first + 1,
 * ... of an image of n_rows rows of n_cols patches, row by row from the upper left. */
struct rec_patch {
	uint32_t token, n_tokens;
	uint32_t image; /* number in the cut */
	uint32_t first;
	uint32_t n_rows, n_cols;
};
/* Whether one fits its grid, and behind the positions before end. */
bool rec_patch_fits(const struct rec_patch *x, uint64_t end);
/* Of a window: ascending, and none overlaps the next. */
void rec_patches_pack(struct buf *b, const struct rec_patch *x, size_t n);
int rec_patches_unpack(const struct rec_patch **x, size_t *n, const void *p,
	size_t n_bytes, struct arena *a, struct err *e);

#endif
