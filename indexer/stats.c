/* SPDX-License-Identifier: ISC */
#include "indexer/stats.h"

#include "util/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SMALLEST 0x1p-200 /* far above what an exact64 can hold */

int
stream_stats_init(struct stream_stats *s, size_t d, struct err *e)
{
	*s = (struct stream_stats){.d = d};
	s->sum = mem_new(d, sizeof(*s->sum));
	s->row = mem_new(d, 2 * sizeof(*s->row));
	if (s->sum != NULL && s->row != NULL)
		return 0;
	stream_stats_clear(s);
	return err_set(e, ERR_NOMEM, "no memory for the variance of %zu dimensions", d);
}

void
stream_stats_clear(struct stream_stats *s)
{
	mem_free(s->sum);
	mem_free(s->row);
	*s = (struct stream_stats){0};
}

void
stats_add(struct exact64 *sum, double v)
{
	if (fabs(v) >= SMALLEST)
		exact64_add(sum, v);
}

void
stream_stats_add(struct stream_stats *s, const float *x, size_t ld,
	const uint8_t *counts, size_t n)
{
	double *sum = s->row, *squares = s->row + s->d;
	double all = 0;

	memset(s->row, 0, 2 * s->d * sizeof(*s->row));
	for (size_t i = 0; i < n; i++) {
		const float *row = x + i * ld;

		if (counts[i] == 0)
			continue;
		s->n++;
		for (size_t j = 0; j < s->d; j++) {
			double v = (double)row[j];

			sum[j] += v;
			squares[j] += v * v;
		}
	}
	for (size_t j = 0; j < s->d; j++) {
		stats_add(&s->sum[j], sum[j]);
		all += squares[j];
	}
	stats_add(&s->sum_squares, all);
}

void
stream_stats_merge(struct stream_stats *into, const struct stream_stats *from)
{
	for (size_t j = 0; j < into->d; j++)
		exact64_merge(&into->sum[j], &from->sum[j]);
	exact64_merge(&into->sum_squares, &from->sum_squares);
	into->n += from->n;
}

void
stream_stats_reset(struct stream_stats *s)
{
	memset(s->sum, 0, s->d * sizeof(*s->sum));
	s->sum_squares = (struct exact64){0};
	s->n = 0;
}

double
stream_stats_variance(const struct stream_stats *s)
{
	double of_mean = 0;

	if (s->n == 0)
		return 0;
	for (size_t j = 0; j < s->d; j++) {
		double sum = exact64_get(&s->sum[j]);

		of_mean += sum * sum / (double)s->n;
	}
	return exact64_get(&s->sum_squares) - of_mean;
}

void
stats_fit(const struct stream_stats *s, const struct exact64 *error, double *explained,
	double *mse)
{
	double sum = exact64_get(error), variance = stream_stats_variance(s);

	*explained = variance > 0 ? 1 - sum / variance : 0;
	*mse = s->n > 0 ? sum / (double)s->n : 0;
}

void
stats_explained(char out[STATS_CHARS], double explained)
{
	if (isnan(explained))
		strcpy(out, "not known");
	else
		snprintf(out, STATS_CHARS, "%.3f", explained);
}

void
stats_error(double *acc, const float *x, const float *x_hat, size_t d)
{
	for (size_t j = 0; j < d; j++) {
		double diff = (double)x[j] - (double)x_hat[j];

		acc[j] += diff * diff;
	}
}
