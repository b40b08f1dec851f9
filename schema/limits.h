/* SPDX-License-Identifier: ISC */
/*
 * limits: every number that bounds an input or a record, in one place.
 */
#ifndef SCHEMA_LIMITS_H
#define SCHEMA_LIMITS_H

#define LIMIT_FRAME_BYTES (1u << 20) /* one request or reply frame by default */
#define LIMIT_REPLY_BYTES (64u << 20)
#define LIMIT_DEPTH 16 /* nesting of a MessagePack or JSON value */
#define LIMIT_NODES 100000 /* values in one frame */
#define LIMIT_CHUNK_BYTES (64u << 10) /* one LMDB value; longer ones are split */
#define LIMIT_SMALL_BYTES 1984 /* a record that must not spill over a page */
#define LIMIT_LINE_BYTES (64u << 20) /* one line of a corpus file */
#define LIMIT_NAME_BYTES 128 /* names of SAEs, models, runs */
#define LIMIT_LABEL_BYTES 2000 /* a label's text */
#define LIMIT_META_BYTES 65536 /* a document's metadata as JSON */
#define LIMIT_IMAGE_BYTES (32u << 20) /* one image file, as base64 less than a reply */
#define LIMIT_CONTEXT 8192 /* tokens in a window */
#define LIMIT_BATCH 1000 /* features or windows in one call */
#define LIMIT_PAGE 1000 /* rows in one page of a list */
#define LIMIT_EXAMPLES 100 /* best examples kept per feature at most */
#define LIMIT_INTERVALS 10 /* equal-width intervals of [0, maximum] */
#define LIMIT_INTERVAL_SAMPLES 5 /* sampled per interval */
#define LIMIT_NEIGHBORS 32 /* in a stored neighbor list */
#define LIMIT_COOCCURRENCE 32 /* in a stored list of what fires together */
#define LIMIT_MAP_POINTS 500 /* in the map around a feature */
#define LIMIT_LOGITS 10 /* promoted, and suppressed, tokens kept */
#define LIMIT_TOKEN_FEATURES 256 /* kept per token id */
#define LIMIT_SAES 64 /* in one run */
#define LIMIT_SOURCES 64 /* streams of shards in one run */

#endif
