/* SPDX-License-Identifier: ISC */
/*
 * int8: the cheap pass in products of bytes. Within kernel/ only.
 *
 * A quad is four bytes of one row or query that follow one another, as an
 * int32. A panel of rows is stored (n_quads, PANEL) quads, each byte plus its
 * offset and unsigned; a strip of queries (n_quads, n_rows) quads, signed. Both end
 * in zeros where d is no multiple of 4.
 */
#ifndef KERNEL_INT8_H
#define KERNEL_INT8_H

#include "kernel/ops.h"

#define INT8_D_MOST 65536 /* sums of d products fit 32 bits */
#define INT8_PAD 64 /* bytes of a quantised vector are padded to a multiple */
#define INT8_SIDE_MOST 16 /* directions taken out of the queries */

/* Rows have bytes from -INT8_MOST to INT8_MOST and that offset + 1, as queries have
 * them; or from -INT7_MOST, where the CPU adds two products of bytes in 16 bits:
 * 2 * 127 * 127 fits. */
#define INT8_MOST 127
#define INT7_MOST 63

/* A float vector v as scale * q, q of signed bytes. */
struct kernel_quantized {
	float scale;
	float rest; /* >= ||v - scale q|| */
	float norm; /* >= ||scale q|| */
	int32_t sum; /* of q */
};

/* What bounds and scales one query; see int8.c. */
struct kernel_query {
	float scale;
	float slack_norm; /* times a row's norm ... */
	float slack_rest; /* ... and times what quantising left of the row */
	int32_t start; /* undoes the offset of rows */
};

struct kernel_scan8 {
	const int32_t *a; /* (n_quads, n_rows): a strip */
	const int32_t *b; /* (n_quads, PANEL): a panel */
	size_t n_quads;
	size_t n_rows;
	const struct kernel_query *query; /* (n_rows) */
	const float *row_scale; /* (PANEL) */
	const float *row_norm; /* (PANEL) */
	const float *row_rest; /* (PANEL) */
	const float *side_a; /* (n_side, n_rows) */
	const float *side_b; /* (n_side, PANEL) */
	size_t n_side;
	const float *cut; /* as in struct kernel_scan */
	const float *bias;
	const float *scale;
	const float *kth;
	const float *least;
	uint32_t mask[STRIP_MOST];
};

struct kernel_int8_ops {
	bool fast; /* by instructions of its own: worth it */
	bool try; /* perhaps: who wants to know measures */
	int row_most; /* INT8_MOST or INT7_MOST */
	size_t mr; /* rows of a strip, at most STRIP_MOST */
	/* q has n bytes from -most to most, padded to a multiple of INT8_PAD; n at
	 * most INT8_D_MOST. */
	void (*quantize)(int8_t *q, struct kernel_quantized *out, const float *v,
		size_t n, int most);
	bool (*scan_above)(struct kernel_scan8 *s);
	bool (*scan_best)(struct kernel_scan8 *s);
	bool (*scan_ends)(struct kernel_scan8 *s);
	bool (*scan_pairs)(struct kernel_scan8 *s);
};

extern const struct kernel_int8_ops kernel_int8_portable;
extern const struct kernel_int8_ops kernel_int8_avx2; /* with AVX-VNNI */
extern const struct kernel_int8_ops kernel_int7_avx2; /* without */
extern const struct kernel_int8_ops kernel_int8_avx512;

/* The table for the path in use. */
const struct kernel_int8_ops *kernel_int8(void);

struct kernel_rows;
struct kernel_pass;

/* Rows in bytes. */
struct kernel_bytes {
	int most; /* of a byte */
	size_t n_quads;
	int32_t *panels; /* (n / PANEL rounded up, n_quads, PANEL) */
	float *scale; /* (n padded to PANEL) */
	float *norm; /* (n padded to PANEL) */
	float *rest; /* (n padded to PANEL) */
};

/* r->bytes from r->w; -1 and the error when there is no room. */
int kernel_bytes_fill(struct kernel_rows *r, struct err *e);
void kernel_bytes_clear(struct kernel_bytes *b);

/* Scratch of one thread. */
struct kernel_int8_work {
	int8_t *q; /* one vector */
	size_t cap_q;
	float *left; /* one query without its side */
	size_t cap_left;
	int32_t *strips; /* queries of a chunk */
	size_t cap_strips;
	struct kernel_query *query; /* of a chunk */
	size_t cap_query;
	float *side_strips; /* (n_side, n_rows) for each strip */
	size_t cap_side_strips;
	/* Directions and what the rows have of them; see side.c. */
	uint64_t serial; /* of the rows they are for; 0 = none */
	size_t n_side;
	float *side; /* (n_side, d) */
	size_t cap_side;
	float *side_norm; /* (n_side): >= their norms */
	size_t cap_side_norm;
	float *side_panels; /* (panels of the rows, n_side, PANEL) */
	size_t cap_side_panels;
	uint8_t *side_done; /* (panels of the rows) */
	size_t cap_side_done;
	float *sample; /* of queries */
	size_t cap_sample;
};

void kernel_int8_clear(struct kernel_int8_work *k);

/* Queries [query + at, query + end) of a chunk that begins at query. */
int kernel_int8_run(struct kernel_pass *p, size_t query, size_t at, size_t end,
	struct err *e);

/* Chooses directions from the n queries at `query`. */
int kernel_side_learn(struct kernel_pass *p, size_t query, size_t n, struct err *e);
/* side_panels of a panel, computed once. */
const float *kernel_side_panel(struct kernel_pass *p, size_t panel);

#endif
