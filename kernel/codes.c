/* SPDX-License-Identifier: ISC */
#include "kernel/codes.h"

#include "kernel/int8.h"
#include "kernel/scan.h"
#include "util/mem.h"

#include <math.h>
#include <string.h>

#define NORM_LEAST 0x1p-40f
#define NORM_MOST 0x1p50f

bool
kernel_codes_possible(size_t d)
{
	return d > 0 && d <= INT8_D_MOST;
}

size_t
kernel_codes_bytes(size_t d)
{
	return (CODES_TERMS + codes_quads(d)) * PANEL * sizeof(int32_t);
}

void
kernel_unit(float *out, const float *x, size_t d)
{
	float norm = kernel_norm(x, d);

	if (norm == 0)
		memset(out, 0, d * sizeof(*out));
	else
		kernel_codes()->unit(out, x, norm, d);
}

void
codes_rest(float *rest, float *steps, const float *v, const int8_t *q, float scale,
	size_t d)
{
	for (size_t i = 0; i < d; i++)
		steps[i] = q[i];
	if (rest != v)
		memcpy(rest, v, d * sizeof(*rest));
	kernel_axpy(rest, steps, -scale, d);
}

static bool
is_zero(const float *v, size_t d)
{
	while (d > 0 && v[d - 1] == 0)
		d--;
	return d == 0;
}

int
codes_scratch_init(struct codes_scratch *c, size_t d, struct err *e)
{
	size_t padded = (d + INT8_PAD - 1) / INT8_PAD * INT8_PAD;

	c->v = mem_new_aligned(2 * padded, sizeof(float));
	c->q = mem_new_aligned(padded, 1);
	if (c->v == NULL || c->q == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a row of %zu floats", d);
	c->steps = c->v + padded;
	return 0;
}

void
codes_scratch_clear(struct codes_scratch *c)
{
	mem_free(c->v);
	mem_free(c->q);
}

static void
fill_row(float *terms, uint8_t *bytes, struct codes_scratch *c, const float *row,
	size_t d)
{
	float norm = kernel_norm(row, d);
	struct kernel_quantized z;

	if (is_zero(row, d))
		return;
	if (!(norm >= NORM_LEAST && norm <= NORM_MOST)) {
		terms[CODES_REST * PANEL] = INFINITY;
		terms[CODES_NORM * PANEL] = 1;
		return;
	}
	kernel_unit(c->v, row, d);
	kernel_int8()->quantize(c->q, &z, c->v, d, INT8_MOST);
	codes_rest(c->v, c->steps, c->v, c->q, z.scale, d);
	terms[CODES_SCALE * PANEL] = z.scale;
	terms[CODES_REST * PANEL] = codes_up((double)kernel_norm_up(c->v, d) * ROOM +
		0x1p-23 * UNIT_MOST + SLACK_LEAST);
	terms[CODES_NORM * PANEL] = norm;
	memcpy(terms + CODES_SUM * PANEL, &z.sum, sizeof(z.sum));
	for (size_t i = 0; i < codes_quads(d); i++)
		memcpy(bytes + i * 4 * PANEL, c->q + 4 * i, 4);
}

int
kernel_codes_fill(void *out, const float *rows, size_t n, size_t d, struct err *e)
{
	struct codes_scratch c = {0};
	float *terms = out;
	int rc = codes_scratch_init(&c, d, e);

	memset(out, 0, kernel_codes_bytes(d));
	for (size_t i = 0; i < n && rc == 0; i++)
		fill_row(terms + i, (uint8_t *)(terms + CODES_TERMS * PANEL) + 4 * i,
			&c, rows + i * d, d);
	codes_scratch_clear(&c);
	return rc;
}
