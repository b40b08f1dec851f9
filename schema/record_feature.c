/* SPDX-License-Identifier: ISC */
#include "schema/record.h"

#include "schema/record_in.h"

#include <math.h>
#include <string.h>

#define HIST_SHIFT 21

uint32_t
rec_hist_bin(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return (bits >> HIST_SHIFT) & (REC_HIST_BINS - 1);
}

float
rec_hist_edge(uint32_t bin)
{
	uint32_t bits = (bin & (REC_HIST_BINS - 1)) << HIST_SHIFT;
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

uint32_t
rec_interval(float value, float max)
{
	double i = ceil((double)value * LIMIT_INTERVALS / (double)max) - 1;

	if (!(i > 0)) /* NaN too */
		return 0;
	return i < LIMIT_INTERVALS - 1 ? (uint32_t)i : LIMIT_INTERVALS - 1;
}

void
rec_feature_pack(struct buf *b, const struct rec_feature *f)
{
	uint32_t bin = 0;

	buf_varint(b, f->count);
	buf_varint(b, f->n_windows);
	buf_varint(b, f->n_documents);
	buf_f64(b, f->sum);
	buf_f64(b, f->sum_squares);
	buf_f32(b, f->max);
	buf_varint(b, f->max_window);
	buf_varint(b, f->max_offset);
	for (size_t i = 0; i < LIMIT_INTERVALS; i++)
		buf_varint(b, f->interval[i]);
	buf_varint(b, f->n_bins);
	for (uint32_t i = 0; i < f->n_bins; i++) {
		buf_varint(b, f->bin[i].bin - bin);
		buf_varint(b, f->bin[i].count);
		bin = f->bin[i].bin;
	}
}

int
rec_feature_unpack(struct rec_feature *f, const void *p, size_t n_bytes,
	struct arena *a, struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	struct rec_bin *list;
	uint32_t bin = 0;

	*f = (struct rec_feature){0};
	f->count = cur_varint(&c);
	f->n_windows = cur_varint(&c);
	f->n_documents = cur_varint(&c);
	f->sum = cur_f64(&c);
	f->sum_squares = cur_f64(&c);
	f->max = cur_f32(&c);
	f->max_window = rec_u32(&c);
	f->max_offset = rec_u32(&c);
	for (size_t i = 0; i < LIMIT_INTERVALS; i++)
		f->interval[i] = cur_varint(&c);
	f->n_bins = rec_count(&c, 2);
	list = rec_alloc(a, f->n_bins, sizeof(*list), e);
	if (list == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < f->n_bins; i++) {
		bin = rec_step(&c, bin);
		if (bin >= REC_HIST_BINS)
			c.failed = true;
		list[i].bin = bin;
		list[i].count = cur_varint(&c);
	}
	f->bin = list;
	return rec_end(&c, "a feature's", e);
}
