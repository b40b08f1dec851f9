/* SPDX-License-Identifier: ISC */
/* pickle_int: between pickle.c, the machine, and pickle_op.c, its operations. */
#ifndef MODEL_PICKLE_INT_H
#define MODEL_PICKLE_INT_H

#include "model/pickle.h"
#include "util/buf.h"

struct machine {
	const char *where;
	const uint8_t *begin;
	struct cur c;
	size_t at; /* of the operation under way */
	const struct pk_global *globals;
	struct arena *arena;
	size_t n_nodes;
	struct pk **stack;
	size_t n, cap;
	size_t *mark; /* heights of the stack */
	size_t n_marks, cap_marks;
	struct pk **memo; /* NULL: not set */
	size_t n_memo, cap_memo;
	bool stopped;
	struct err *e;
};

/* Operations return 0 or a code; what they give goes on the stack. */
typedef int pk_op(struct machine *m);
extern pk_op *const pk_ops[256];
/* Of an operation that is known and refused, or NULL. */
const char *pk_refused(uint8_t op);

/* Sets the error, with the place in front. Returns code. */
int pk_bad(struct machine *m, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A new value on the stack, or NULL after an error. */
struct pk *pk_push_new(struct machine *m, enum pk_type type);
int pk_push(struct machine *m, struct pk *v);
/* The top, not below the last mark; NULL after an error. */
struct pk *pk_pop(struct machine *m);
struct pk *pk_top(struct machine *m);
int pk_mark(struct machine *m);
/* Takes what lies above the last mark and the mark: *item is good until the
 * next push. */
int pk_pop_mark(struct machine *m, struct pk ***item, size_t *n);
int pk_append(struct machine *m, struct pk *v, struct pk *const *item, size_t n);
int pk_memo_put(struct machine *m, size_t i);
int pk_memo_get(struct machine *m, size_t i);

#endif
