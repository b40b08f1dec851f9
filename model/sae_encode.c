/* SPDX-License-Identifier: ISC */
#include "model/sae.h"
#include "util/mem.h"
#include "util/paged.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LAYER_EPS 1e-5f
#define TOPK_TOKENS 480 /* that are searched together; a multiple of 12 */

struct sae_work {
	struct kernel_work *kernel;
	struct kernel_hit *best; /* (TOPK_TOKENS, k); GroupMax: (TOPK_TOKENS) */
	float *bar; /* (d_sae) max(0, threshold), JumpReLU only */
};

int
sae_work_new(struct sae_work **out, const struct sae *s, struct err *e)
{
	struct sae_work *w = mem_new(1, sizeof(*w));
	int rc;

	if (!w)
		return err_set(e, ERR_NOMEM, "memory ran out");
	rc = kernel_work_new(&w->kernel, e);
	if (rc == 0 && sae_chooses(s)) {
		size_t each = s->info.kind == SAE_TOPK ? s->info.k : 1;

		w->best = mem_new(TOPK_TOKENS, each * sizeof(*w->best));
		rc = w->best ? 0 : err_set(e, ERR_NOMEM, "memory ran out");
	}
	if (rc == 0 && s->threshold) {
		w->bar = paged_new(s->info.d_sae, sizeof(*w->bar), e);
		rc = w->bar ? 0 : ERR_NOMEM;
		for (size_t i = 0; rc == 0 && i < s->info.d_sae; i++)
			w->bar[i] = s->threshold[i] > 0 ? s->threshold[i] : 0;
	}
	if (rc < 0)
		sae_work_free(w);
	else
		*out = w;
	return rc;
}

void
sae_work_free(struct sae_work *w)
{
	if (!w)
		return;
	kernel_work_free(w->kernel);
	mem_free(w->best);
	mem_free(w->bar);
	mem_free(w);
}

/* ---- what the encoder reads --------------------------------------------- */

static float
subtract_mean(const struct sae *s, float *y)
{
	size_t d = s->info.d_in;
	float mean = kernel_dot(y, s->ones, d) / (float)d;

	for (size_t i = 0; i < d; i++)
		y[i] -= mean;
	return mean;
}

/* y becomes y / by; *scale undoes what divides the reconstruction. */
static void
normalize(const struct sae *s, float *y, float *scale, float *shift)
{
	size_t d = s->info.d_in;
	float norm, by = 1;

	if (s->info.norm == SAE_NORM_CONSTANT) { /* y * sqrt(d) / |y| */
		norm = kernel_norm(y, d);
		by = norm > 0 ? norm / sqrtf((float)d) : 1;
		*scale = by;
	} else if (s->info.norm == SAE_NORM_LAYER) {
		*shift += subtract_mean(s, y);
		*scale = sqrtf(kernel_dot(y, y, d) / (float)(d > 1 ? d - 1 : 1));
		by = *scale + LAYER_EPS;
	}
	for (size_t i = 0; by != 1 && i < d; i++)
		y[i] /= by;
}

void
sae_prepare(const struct sae *s, float *y, const float *x, size_t m, float *scale,
	float *shift)
{
	size_t d = s->info.d_in;

	for (size_t t = 0; t < m; t++) {
		float *row = y + t * d, a = 1, b = 0;

		memmove(row, x + t * d, d * sizeof(*row));
		if (s->info.center)
			b = subtract_mean(s, row);
		normalize(s, row, &a, &b);
		if (s->info.transcoder) { /* what it gives stands elsewhere */
			a = 1;
			b = 0;
		}
		for (size_t i = 0; s->info.subtract_b_dec && i < d; i++)
			row[i] -= s->b_dec[i];
		if (scale)
			scale[t] = a;
		if (shift)
			shift[t] = b;
	}
}

/* ---- encoding a range of features --------------------------------------- */

static float
gated_value(const struct sae *s, const float *y, size_t i)
{
	float dot = kernel_dot(y, s->w_enc + i * s->info.d_in, s->info.d_in);
	float magnitude = dot * s->mag_scale[i];

	return magnitude + s->mag_bias[i];
}

/* Of the hits from first on, whose value is the gate's, keeps those with a
 * magnitude above 0, which becomes the value. */
static void
open_gates(const struct sae *s, struct kernel_hits *out, size_t first, const float *y)
{
	size_t n = first;

	for (size_t i = first; i < out->n; i++) {
		struct kernel_hit h = out->hit[i];

		h.value = gated_value(s, y + h.query * (size_t)s->info.d_in, h.row);
		if (h.value > 0)
			out->hit[n++] = h;
	}
	out->n = n;
}

static int
by_row(const void *a, const void *b)
{
	uint32_t x = ((const struct kernel_hit *)a)->row;
	uint32_t y = ((const struct kernel_hit *)b)->row;

	return x < y ? -1 : x > y;
}

static int
hits_reserve(struct kernel_hits *h, size_t n_more, struct err *e)
{
	size_t cap = h->cap ? h->cap : 1024;
	struct kernel_hit *grown;

	if (h->n + n_more <= h->cap)
		return 0;
	while (cap < h->n + n_more)
		cap *= 2;
	grown = mem_resize(h->hit, cap, sizeof(*grown));
	if (!grown)
		return err_set(e, ERR_NOMEM, "memory ran out for %zu activations", cap);
	h->hit = grown;
	h->cap = cap;
	return 0;
}

/* The k best of the range for each token; those above 0, by feature. */
static int
encode_topk(const struct sae *s, struct kernel_hits *out, const float *y, size_t m,
	uint32_t first, uint32_t count, struct sae_work *w, struct err *e)
{
	const float *scale = s->info.rescale_by_decoder_norm ? s->dec_norm : NULL;
	size_t d = s->info.d_in, k = s->info.k < count ? s->info.k : count;
	int rc = 0;

	for (size_t at = 0; rc == 0 && at < m; at += TOPK_TOKENS) {
		size_t n = m - at < TOPK_TOKENS ? m - at : TOPK_TOKENS;

		rc = kernel_best(w->best, k, s->rows, first, count, y + at * d, d, n,
			s->b_enc, scale, false, NULL, w->kernel, e);
		if (rc == 0)
			rc = hits_reserve(out, n * k, e);
		for (size_t t = 0; rc == 0 && t < n; t++) {
			size_t from = out->n;

			for (size_t i = 0; i < k && w->best[t * k + i].value > 0; i++) {
				out->hit[out->n] = w->best[t * k + i];
				out->hit[out->n++].query = (uint32_t)(at + t);
			}
			qsort(out->hit + from, out->n - from, sizeof(*out->hit),
				by_row);
		}
	}
	return rc;
}

/* ---- the largest of each group ------------------------------------------- */

bool
sae_chooses(const struct sae *s)
{
	return s->info.kind == SAE_TOPK || s->info.kind == SAE_GROUPMAX;
}

static int
by_query(const void *a, const void *b)
{
	const struct kernel_hit *x = a, *y = b;

	if (x->query != y->query)
		return x->query < y->query ? -1 : 1;
	return by_row(a, b);
}

/* The best of [first, first + count), part of one group, for each token. */
static int
encode_group(const struct sae *s, struct kernel_hits *out, const float *y, size_t m,
	uint32_t first, uint32_t count, struct sae_work *w, struct err *e)
{
	size_t d = s->info.d_in;
	int rc = 0;

	for (size_t at = 0; rc == 0 && at < m; at += TOPK_TOKENS) {
		size_t n = m - at < TOPK_TOKENS ? m - at : TOPK_TOKENS;

		rc = kernel_best(w->best, 1, s->rows, first, count, y + at * d, d, n,
			s->b_enc, NULL, false, NULL, w->kernel, e);
		if (rc == 0)
			rc = hits_reserve(out, n, e);
		for (size_t t = 0; rc == 0 && t < n; t++) {
			if (!(w->best[t].value > 0))
				continue;
			out->hit[out->n] = w->best[t];
			out->hit[out->n++].query = (uint32_t)(at + t);
		}
	}
	return rc;
}

static int
encode_groups(const struct sae *s, struct kernel_hits *out, const float *y, size_t m,
	uint32_t first, uint32_t count, struct sae_work *w, struct err *e)
{
	uint32_t size = s->info.d_sae / s->info.k, end = first + count, next;
	size_t n_before = out->n;
	int rc = 0;

	for (uint32_t at = first; rc == 0 && at < end; at = next) {
		next = (at / size + 1) * size;
		next = next < end ? next : end;
		rc = encode_group(s, out, y, m, at, next - at, w, e);
	}
	if (rc == 0 && out->n > n_before)
		qsort(out->hit + n_before, out->n - n_before, sizeof(*out->hit),
			by_query);
	return rc;
}

int
sae_encode_range(const struct sae *s, struct kernel_hits *out, const float *y, size_t m,
	uint32_t first, uint32_t count, struct sae_work *w, struct err *e)
{
	size_t n_before = out->n, d = s->info.d_in;
	int rc;

	if (count == 0 || m == 0)
		return 0;
	if (s->info.kind == SAE_TOPK)
		return encode_topk(s, out, y, m, first, count, w, e);
	if (s->info.kind == SAE_GROUPMAX)
		return encode_groups(s, out, y, m, first, count, w, e);
	rc = kernel_above(out, s->rows, first, count, y, d, m, s->b_enc, w->bar,
		w->kernel, e);
	if (rc == 0 && s->info.kind == SAE_GATED)
		open_gates(s, out, n_before, y);
	return rc;
}

/* ---- TopK over ranges --------------------------------------------------- */

static int
by_value_down(const void *a, const void *b)
{
	const struct kernel_hit *x = a, *y = b;

	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* By feature, the largest of each group. */
static size_t
group_merge(const struct sae *s, struct kernel_hit *hits, size_t n)
{
	uint32_t size = s->info.d_sae / s->info.k;
	size_t kept = 0;

	qsort(hits, n, sizeof(*hits), by_row);
	for (size_t i = 0; i < n; i++) {
		if (!(hits[i].value > 0))
			continue;
		if (kept == 0 || hits[kept - 1].row / size != hits[i].row / size)
			hits[kept++] = hits[i];
		else if (hits[i].value > hits[kept - 1].value)
			hits[kept - 1] = hits[i];
	}
	return kept;
}

size_t
sae_topk_merge(const struct sae *s, struct kernel_hit *hits, size_t n)
{
	if (s->info.kind == SAE_GROUPMAX)
		return group_merge(s, hits, n);
	qsort(hits, n, sizeof(*hits), by_value_down);
	n = n < s->info.k ? n : s->info.k;
	while (n > 0 && !(hits[n - 1].value > 0))
		n--;
	qsort(hits, n, sizeof(*hits), by_row);
	return n;
}

/* ---- back --------------------------------------------------------------- */

void
sae_decode(const struct sae *s, float *x_hat, const struct sae_act *acts, size_t n,
	float scale, float shift)
{
	size_t d = s->info.d_out;

	memcpy(x_hat, s->b_dec, d * sizeof(*x_hat));
	for (size_t i = 0; i < n; i++) {
		uint32_t f = acts[i].feature;
		float value = acts[i].value;

		paged_touched(1);
		if (s->info.rescale_by_decoder_norm && s->dec_norm[f] > 0)
			value /= s->dec_norm[f];
		kernel_axpy(x_hat, s->w_dec + f * d, value, d);
	}
	for (size_t i = 0; i < d; i++)
		x_hat[i] = x_hat[i] * scale + shift;
}

void
sae_skip(const struct sae *s, float *x_hat, const float *x)
{
	size_t d = s->info.d_in;

	for (size_t i = 0; s->w_skip && i < s->info.d_out / s->info.n_targets; i++)
		x_hat[i] += kernel_dot(s->w_skip + i * d, x, d);
}

int
sae_directions(const struct sae *s, const struct lm *m, uint32_t first, uint32_t n,
	float *out, struct err *e)
{
	const float *row = s->w_dec + (size_t)first * s->info.d_out;
	size_t d = lm_info(m)->d_model, width = s->info.d_out / s->info.n_targets;
	struct hook hook;
	float *part;

	if (s->info.n_targets == 1) {
		lm_directions(m, &s->info.hook_out, row, n, out);
		return 0;
	}
	part = mem_new_aligned(d, sizeof(*part));
	if (!part)
		return err_set(e, ERR_NOMEM, "no memory for a direction");
	memset(out, 0, n * d * sizeof(*out));
	for (size_t i = 0; i < (size_t)n * s->info.n_targets; i++) {
		float *sum = out + i / s->info.n_targets * d;

		sae_target(&s->info, (uint32_t)(i % s->info.n_targets), &hook);
		lm_directions(m, &hook, row + i * width, 1, part);
		for (size_t j = 0; j < d; j++)
			sum[j] += part[j];
	}
	mem_free(part);
	return 0;
}

/* ---- the plainest path -------------------------------------------------- */

static float
plain_value(const struct sae *s, const float *y, size_t i)
{
	size_t d = s->info.d_in;
	float pre = kernel_dot(y, s->w_enc + i * d, d) + s->b_enc[i];

	if (s->info.kind == SAE_JUMPRELU)
		return pre > 0 && pre > s->threshold[i] ? pre : 0;
	if (s->info.kind == SAE_TOPK)
		return s->info.rescale_by_decoder_norm ? pre * s->dec_norm[i] : pre;
	if (s->info.kind == SAE_GROUPMAX)
		return pre;
	if (s->info.kind == SAE_GATED) {
		float value = gated_value(s, y, i);

		return pre > 0 && value > 0 ? value : 0;
	}
	return pre > 0 ? pre : 0;
}

/* Zeroes all but the k largest above 0: k times the largest not yet taken. */
static void
keep_largest(float *v, size_t n, size_t k)
{
	float last = INFINITY, found;
	size_t last_at = 0, at;

	for (size_t taken = 0; taken < k; taken++) {
		found = 0;
		at = n;
		for (size_t i = 0; i < n; i++) {
			bool behind = v[i] < last || (v[i] == last && i > last_at);

			if (behind && v[i] > found) {
				found = v[i];
				at = i;
			}
		}
		if (at == n) { /* fewer than k lie above 0 */
			last = 0;
			last_at = n;
			break;
		}
		last = found;
		last_at = at;
	}
	for (size_t i = 0; i < n; i++) {
		if (!(v[i] > 0 && (v[i] > last || (v[i] == last && i <= last_at))))
			v[i] = 0;
	}
}

/* Zeroes all but the first largest of each group, and that where not above 0. */
static void
keep_group_largest(float *v, size_t n, size_t k)
{
	size_t size = n / k, best;

	for (size_t from = 0; from < n; from += size) {
		best = from;
		for (size_t i = from; i < from + size; i++)
			best = v[i] > v[best] ? i : best;
		for (size_t i = from; i < from + size; i++)
			v[i] = i == best && v[i] > 0 ? v[i] : 0;
	}
}

void
sae_encode_plain(const struct sae *s, const float *x, float *out)
{
	float *y = mem_new_aligned(s->info.d_in, sizeof(*y));

	if (!y) { /* NaN is no activation: the caller's check fails loudly */
		for (size_t i = 0; i < s->info.d_sae; i++)
			out[i] = NAN;
		return;
	}
	sae_prepare(s, y, x, 1, NULL, NULL);
	for (size_t i = 0; i < s->info.d_sae; i++)
		out[i] = plain_value(s, y, i);
	if (s->info.kind == SAE_TOPK)
		keep_largest(out, s->info.d_sae, s->info.k);
	else if (s->info.kind == SAE_GROUPMAX)
		keep_group_largest(out, s->info.d_sae, s->info.k);
	mem_free(y);
}

/* Who chooses among all needs all. */
void
sae_encode_plain_some(const struct sae *s, const float *x, const uint32_t *features,
	size_t n, float *out)
{
	size_t n_all = sae_chooses(s) ? s->info.d_sae : 0;
	float *y = mem_new_aligned(s->info.d_in, sizeof(*y));
	float *all = mem_new(n_all, sizeof(*all));
	bool good = y != NULL && all != NULL;

	if (good && n_all > 0)
		sae_encode_plain(s, x, all);
	else if (good)
		sae_prepare(s, y, x, 1, NULL, NULL);
	for (size_t i = 0; i < n; i++) {
		if (!good)
			out[i] = NAN;
		else
			out[i] = n_all > 0 ? all[features[i]]
					   : plain_value(s, y, features[i]);
	}
	mem_free(y);
	mem_free(all);
}
