/* SPDX-License-Identifier: ISC */
#include "indexer/fit.h"

#include "util/mem.h"

#include <math.h>
#include <string.h>

struct fit_work { /* of one thread */
	double *acc; /* (d_out) squared errors of a window */
	float *x_hat; /* (d_out) */
	struct sae_act *acts; /* (cap) of one token */
	size_t cap;
};

int
fit_init(struct fit *f, const struct sae *sae, size_t n_threads, struct err *e)
{
	*f = (struct fit){.sae = sae, .n_threads = n_threads};
	f->error = mem_new(n_threads, sizeof(*f->error));
	f->work = mem_new(n_threads, sizeof(*f->work));
	if (f->error == NULL || f->work == NULL)
		return err_set(e, ERR_NOMEM, "no memory for reconstructions");
	for (size_t i = 0; i < n_threads; i++) {
		f->work[i].acc = mem_new(sae->info.d_out, sizeof(double));
		f->work[i].x_hat = mem_new(sae->info.d_out, sizeof(float));
		if (f->work[i].acc == NULL || f->work[i].x_hat == NULL)
			return err_set(e, ERR_NOMEM, "no memory for reconstructions");
	}
	return 0;
}

void
fit_clear(struct fit *f)
{
	for (size_t i = 0; f->work != NULL && i < f->n_threads; i++) {
		mem_free(f->work[i].acc);
		mem_free(f->work[i].x_hat);
		mem_free(f->work[i].acts);
	}
	mem_free(f->error);
	mem_free(f->work);
	*f = (struct fit){0};
}

static const struct sae_act *
acts_of(struct fit_work *work, const struct sparse *a, uint32_t i, struct err *e)
{
	uint32_t from = a->row_start[i], n = a->row_start[i + 1] - from;

	if (n > work->cap || work->acts == NULL) {
		mem_free(work->acts);
		work->cap = n + 64;
		work->acts = mem_new(work->cap, sizeof(*work->acts));
		if (work->acts == NULL) {
			work->cap = 0;
			err_set(e, ERR_NOMEM, "no memory for a token's activations");
			return NULL;
		}
	}
	for (uint32_t j = 0; j < n; j++)
		work->acts[j] =
			(struct sae_act){a->feature[from + j], a->value[from + j]};
	return work->acts;
}

int
fit_window(struct fit *f, const struct encoder *c, const float *x, const float *y,
	const uint8_t *counts, uint32_t from, uint32_t to, size_t thread, struct err *e)
{
	struct fit_work *work = &f->work[thread];
	size_t d = f->sae->info.d_out;
	double sum = 0;

	if (f->sae->info.cross_layer)
		return 0;
	memset(work->acc, 0, d * sizeof(*work->acc));
	for (uint32_t i = from; i < to; i++) {
		const struct sae_act *acts;

		if (counts[i] == 0)
			continue;
		acts = acts_of(work, &c->acts, i, e);
		if (acts == NULL)
			return e->code;
		sae_decode(f->sae, work->x_hat, acts,
			c->acts.row_start[i + 1] - c->acts.row_start[i], c->scale[i],
			c->shift[i]);
		sae_skip(f->sae, work->x_hat, x + i * f->sae->info.d_in);
		stats_error(work->acc, y + i * d, work->x_hat, d);
	}
	for (size_t j = 0; j < d; j++)
		sum += work->acc[j];
	if (!(sum <= 1e300))
		return err_set(e, ERR_FORMAT,
			"the SAE's reconstruction is not finite: its weights leave the "
			"range of float32");
	stats_add(&f->error[thread], sum);
	return 0;
}

void
fit_gather(struct fit *f)
{
	for (size_t i = 1; i < f->n_threads; i++) {
		exact64_merge(&f->error[0], &f->error[i]);
		f->error[i] = (struct exact64){0};
	}
}

void
fit_conclude(struct fit *f, const struct stream_stats *y, double *explained,
	double *mse)
{
	fit_gather(f);
	stats_fit(y, &f->error[0], explained, mse);
	if (f->sae->info.cross_layer)
		*explained = *mse = (double)NAN;
}
