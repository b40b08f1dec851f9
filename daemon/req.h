/* SPDX-License-Identifier: ISC */
/*
 * req: one request as a handler sees it: checked arguments, a view of one
 * generation, an arena. No socket, no transaction, no bytes. A handler writes one
 * map into the sink, or returns an error; what it wrote before an error is
 * dropped.
 */
#ifndef DAEMON_REQ_H
#define DAEMON_REQ_H

#include "daemon/daemon.h"
#include "schema/out.h"
#include "schema/record.h"
#include "schema/value.h"
#include "store/store.h"
#include "util/mem.h"

struct req {
	struct daemon *daemon;
	struct store_view *view;
	struct vocab *vocab; /* of view */
	struct labels *labels; /* of view */
	const struct store_catalog *cat; /* of view */
	struct arena *arena; /* until the reply is written */
	struct args args;
	uint64_t label_epoch; /* when the request began */
	bool read_only; /* this connection */
	bool may_wait; /* on the pool; else a NEED_TRY handler may return REQ_SLOW */
};

#define REQ_SLOW 1 /* no error: the request is to be handled on the pool */

typedef int handler_fn(struct req *q, struct out *o, struct err *e);
/* The handler of method_table[i]; NULL if there is none (a mistake). */
handler_fn *handler_of(size_t i);

/* ---- find.c: what the arguments name ------------------------------------- */

struct target { /* a feature, or a SAE with index 0, in a run */
	uint32_t sae, run, slot, index;
	const struct cat_sae *s;
	const struct cat_run *r;
	const struct cat_run_sae *rs;
};
/* The argument `sae` (or another of that name); no run. */
int find_sae(struct req *q, const char *arg, struct target *t, struct err *e);
/* The run of t->sae by the argument `run`, or the newest that has the SAE. */
int find_run(struct req *q, struct target *t, struct err *e);
/* The newest run that has t->sae. */
int find_newest(struct req *q, struct target *t, struct err *e);
/* The argument `feature`: SAE and index; without and with its run. */
int find_feature(struct req *q, struct target *t, struct err *e);
int find_feature_run(struct req *q, struct target *t, struct err *e);
/* As find_run(), among runs that sought the feature t->index. */
int find_run_of_feature(struct req *q, struct target *t, struct err *e);
/* An address: its SAE and index. Errors name the argument arg. */
int find_address(struct req *q, const char *text, size_t n_bytes, const char *arg,
	struct target *t, struct err *e);
/* Any run by the argument `run`, or the newest of the store. */
int find_any_run(struct req *q, uint32_t *run, struct err *e);
/* The argument `run` as text in out (""); ERR_ARG if it is neither string nor
 * integer. */
#define FIND_RUN_BYTES 40
int find_run_text(struct req *q, char out[FIND_RUN_BYTES], struct err *e);

/* ---- put.c: what several answers share ------------------------------------ */

void *req_alloc(struct req *q, size_t n, size_t size, struct err *e);
/* Opens the result's map with n_pairs more pairs than generation (and, with a
 * target, run and sae). */
void put_head(struct out *o, const struct req *q, size_t n_pairs);
void put_head_run(struct out *o, const struct req *q, const struct target *t,
	size_t n_pairs);
void put_address(struct out *o, const struct cat_sae *s, uint32_t index);
/* Text for people, or bin of the bytes as they are. */
void put_bytes(struct out *o, const char *p, size_t n_bytes, bool raw);
/* `label` and `source`; nil where there is none: l is NULL or has no text. */
void put_best_label(struct out *o, const struct store_label *l);
/* The pairs of a feature row (PUT_ROW_PAIRS), without opening a map. */
#define PUT_ROW_PAIRS 8
void put_row(struct out *o, const struct target *t, const struct feature_row *r,
	const struct store_label *label);
/* A row from the stored record of a feature. */
void put_row_of(struct feature_row *row, uint32_t index, const struct rec_feature *f,
	uint64_t n_tokens);
void put_label(struct out *o, const struct store_label *l, const struct cat_sae *s,
	bool with_index);
/* The record of a feature, of zeros where the run did not seek it. */
int read_feature(struct req *q, const struct target *t, uint32_t index,
	struct rec_feature *out, struct err *e);
int read_window(struct req *q, uint32_t cut, uint32_t window, struct rec_window *out,
	struct err *e);
/* The bytes of a window's tokens [first, first + n), special ones by their names. */
struct piece {
	const char *p;
	uint32_t n_bytes;
};
int read_pieces(struct req *q, uint32_t cut, const struct rec_window *w, uint32_t first,
	uint32_t n, struct piece **out, struct err *e);
/* The segment of token, by offset in the window. */
const struct rec_segment *window_segment(const struct rec_window *w, uint32_t offset);
/* The labels of a feature, best first; the best of each of several, text NULL where
 * there is none. */
int read_labels(struct req *q, const struct target *t, uint32_t feature,
	const struct store_label **out, uint32_t *n, struct err *e);
int read_best_labels(struct req *q, const struct target *t, const uint32_t *ids,
	size_t n, struct store_label *out, struct err *e);
/* The document of the argument `document`, by its id, and its windows. */
int find_document(struct req *q, uint32_t cut, struct store_document *out,
	struct err *e);
/* Where a feature fires, ascending windows; none if it never does. */
int read_postings(struct req *q, const struct target *t, const struct rec_posting **out,
	size_t *n, struct err *e);
/* The value of a feature on token i of acts, NULL where it does not fire. */
const float *acts_value(const struct rec_acts *acts, uint32_t i, uint32_t feature);
/* Byte offset in its document of a byte of the window's text, seen from token. */
uint64_t window_doc_byte(const struct rec_window *w, uint32_t token,
	uint32_t text_byte);
/* The first token behind a segment. */
uint32_t segment_end(const struct rec_window *w, uint32_t segment);

/* ---- patches.c: tokens that are patches of images -------------------------- */

/* Appends to shown those among tokens [first, first + n) of a window. */
int read_patches(struct req *q, uint32_t cut, uint32_t window, uint32_t first,
	uint32_t n, struct buf *shown, struct err *e);
/* Where the token at offset is a patch: makes [*first, *end) hold all patches of its
 * image in the window. */
int widen_to_image(struct req *q, uint32_t cut, uint32_t window, uint32_t offset,
	uint32_t *first, uint32_t *end, struct err *e);
/* What read_patches gathered, as the pair `patches`; nothing where there are none.
 * windows: with the window of each. */
#define N_PATCH_PAIRS(shown) ((shown)->n_bytes > 0)
int put_patches(struct req *q, struct out *o, uint32_t cut, const struct buf *shown,
	bool windows, struct err *e);

/* ---- fired.c: where things are in windows --------------------------------- */

/* A posting's window, and where in it the feature fires, as it was counted. */
int read_fired(struct req *q, const struct target *t, const struct rec_posting *p,
	struct rec_window *w, const struct rec_at **out, uint32_t *n, struct err *e);
/* Sets a document's windows where the store does not say: in joined cuts, whose
 * windows are in the order of their documents. */
int find_windows(struct req *q, uint32_t cut, struct store_document *d, struct err *e);

/* ---- cursor.c: where the next page begins --------------------------------- */

struct cursor {
	char run_id[STORE_ID_CHARS]; /* "" = of no run */
	uint64_t check; /* of the question: another one is refused */
	double key;
	uint64_t index;
};
#define CURSOR_CHARS 65 /* hexadecimal, and NUL */
void cursor_write(const struct cursor *c, char out[CURSOR_CHARS]);
/* The argument `cursor`: 1, or 0 where there is none. ERR_ARG when it is malformed
 * or belongs to another question. */
int cursor_read(struct req *q, uint64_t check, struct cursor *c, struct err *e);
/* The run that a cursor names; ERR_STALE when it is gone, ERR_ARG when the
 * argument `run` names another. */
int cursor_run(struct req *q, const struct cursor *c, uint32_t *run, struct err *e);

#endif
