/* SPDX-License-Identifier: ISC */
#include "indexer/sums.h"

#include <assert.h>
#include <math.h>
#include <string.h>

int
sums_copy(struct sums *s, const struct stream_stats *stream,
	const struct exact64 *error, struct err *e)
{
	*s = (struct sums){.error = *error};
	if (stream_stats_init(&s->stream, stream->d, e) < 0)
		return e->code;
	stream_stats_merge(&s->stream, stream);
	return 0;
}

void
sums_clear(struct sums *s)
{
	stream_stats_clear(&s->stream);
	*s = (struct sums){0};
}

void
sums_merge(struct sums *into, const struct sums *from)
{
	assert(into->stream.d == from->stream.d);
	stream_stats_merge(&into->stream, &from->stream);
	exact64_merge(&into->error, &from->error);
}

void
sums_save(const struct sums *s, struct buf *b)
{
	buf_varint(b, s->stream.n);
	buf_varint(b, s->stream.d);
	exact64_save(&s->stream.sum_squares, b);
	exact64_save(&s->error, b);
	for (size_t j = 0; j < s->stream.d; j++)
		exact64_save(&s->stream.sum[j], b);
}

int
sums_load(struct sums *s, const void *p, size_t n_bytes, uint32_t d, struct err *e)
{
	struct cur c = cur_of(p, n_bytes);
	uint64_t n = cur_varint(&c), width = cur_varint(&c);

	*s = (struct sums){0};
	if (c.failed || width != d || d == 0)
		return err_set(e, ERR_CORRUPT,
			"its sums are of %llu dimensions where the SAE has %u",
			(unsigned long long)width, d);
	if (stream_stats_init(&s->stream, d, e) < 0)
		return e->code;
	s->stream.n = n;
	exact64_load(&s->stream.sum_squares, &c);
	exact64_load(&s->error, &c);
	for (size_t j = 0; j < d; j++)
		exact64_load(&s->stream.sum[j], &c);
	if (c.failed || cur_left(&c) != 0)
		return err_set(e, ERR_CORRUPT, "its sums are malformed");
	return 0;
}

void
sums_conclude(const struct sums *s, double *explained, double *mse)
{
	if (s->stream.d > 0)
		stats_fit(&s->stream, &s->error, explained, mse);
	else
		*explained = *mse = (double)NAN;
}
