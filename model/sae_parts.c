/* SPDX-License-Identifier: ISC */
/*
 * Tensors of an SAE's file, checked against what its config says, brought to
 * their places: one row per feature.
 */
#include "model/sae_int.h"
#include "util/mem.h"
#include "util/paged.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
sae_note(struct sae_loading *l, const char *fmt, ...)
{
	struct sae_info *n = &l->s->info;
	size_t at = strlen(n->rules);
	va_list ap;

	if (at > 0 && at + 2 < sizeof(n->rules)) {
		memcpy(n->rules + at, "; ", 3);
		at += 2;
	}
	va_start(ap, fmt);
	vsnprintf(n->rules + at, sizeof(n->rules) - at, fmt, ap);
	va_end(ap);
}

/* ---- shapes ---------------------------------------------------------------- */

static size_t
axis_size(const struct sae_info *n, enum sae_axis a)
{
	return a == AXIS_IN ? n->d_in : a == AXIS_SAE ? n->d_sae : n->d_out;
}

int
sae_check_dims(const struct sae_loading *l, struct err *e)
{
	const struct sae_info *n = &l->s->info;

	if (n->d_in < 1 || n->d_sae < 1 || n->d_in > SAE_DIM_MAX ||
		n->d_sae > SAE_DIM_MAX)
		return err_set(e, ERR_FORMAT,
			"%s: d_in (%u) or d_sae (%u) is out of range", l->says, n->d_in,
			n->d_sae);
	if (n->d_out < 1 || n->d_out > SAE_DIM_MAX)
		return err_set(e, ERR_FORMAT, "%s: d_out (%u) is out of range", l->says,
			n->d_out);
	return 0;
}

static const struct tensor *
need(const struct sae_loading *l, const char *name, size_t rank, struct err *e)
{
	const struct tensor *t = tensors_find(l->t, name);

	if (!t)
		err_set(e, ERR_MISMATCH, "%s: tensor %s is missing, which a %s SAE has",
			l->path, name, l->family);
	else if (t->rank != rank)
		err_set(e, ERR_MISMATCH,
			"%s: tensor %s has %zu dimensions, but a %s SAE has %zu there",
			t->path, name, t->rank, l->family, rank);
	else
		return t;
	return NULL;
}

int
sae_dims(struct sae_loading *l, const char *enc, const char *enc_bias,
	const char *dec_bias, struct err *e)
{
	struct sae_info *n = &l->s->info;
	const struct tensor *w = need(l, enc, 2, e), *be, *bd;
	size_t in;

	if (!w || !(be = need(l, enc_bias, 1, e)) || !(bd = need(l, dec_bias, 1, e)))
		return e->code;
	if (w->shape[0] != be->shape[0] && w->shape[1] != be->shape[0])
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s is %zu by %zu, but %s has %zu values", l->path,
			enc, w->shape[0], w->shape[1], enc_bias, be->shape[0]);
	in = w->shape[0] == be->shape[0] ? w->shape[1] : w->shape[0];
	if (in > SAE_DIM_MAX || be->shape[0] > SAE_DIM_MAX ||
		bd->shape[0] > SAE_DIM_MAX)
		return err_set(e, ERR_FORMAT, "%s: tensor %s is out of range", l->path,
			enc);
	n->d_in = (uint32_t)in;
	n->d_sae = (uint32_t)be->shape[0];
	n->d_out = (uint32_t)bd->shape[0];
	return sae_check_dims(l, e);
}

static int
check_shape(const struct sae_loading *l, const struct sae_part *p,
	const struct tensor *t, struct err *e)
{
	static const char *const names[] = {
		[AXIS_NONE] = "",
		[AXIS_IN] = "d_in",
		[AXIS_SAE] = "d_sae",
		[AXIS_OUT] = "d_out",
	};
	const struct sae_info *n = &l->s->info;
	size_t rank = p->axis[1] == AXIS_NONE ? 1 : 2;

	if (t->rank != rank)
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s has %zu dimensions, but a %s SAE has %zu "
			"there",
			t->path, t->name, t->rank, n->architecture, rank);
	for (size_t i = 0; i < rank; i++) {
		bool same = p->axis[i] == AXIS_OUT && !n->transcoder;

		if (t->shape[i] != axis_size(n, p->axis[i]))
			return err_set(e, ERR_MISMATCH,
				"%s: tensor %s has %zu in dimension %zu, but %s says "
				"%s is %zu",
				t->path, t->name, t->shape[i], i, l->says,
				same ? "d_in" : names[p->axis[i]],
				axis_size(n, p->axis[i]));
	}
	return 0;
}

int
sae_orient(const struct sae_loading *l, struct sae_part *p, enum sae_axis rows,
	enum sae_axis cols, struct err *e)
{
	const struct tensor *t = need(l, p->name, 2, e);
	size_t n = axis_size(&l->s->info, rows), m = axis_size(&l->s->info, cols);

	if (!t)
		return e->code;
	if (n == m)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: tensor %s is %zu by %zu, so its shape does not tell which "
			"way it lies, and %s files hold it either way",
			l->path, p->name, n, m, l->family);
	p->transpose = t->shape[0] == m;
	p->axis[0] = p->transpose ? cols : rows;
	p->axis[1] = p->transpose ? rows : cols;
	return 0;
}

/* ---- values ---------------------------------------------------------------- */

#define TILE 32 /* rows and columns that stay in cache */
#define STRIP 2048 /* columns at a time: neither matrix is in memory as a whole */

/* to (cols, rows), from its row j and column i on, = from (n_rows, n_cols). */
static void
put_transposed(float *to, size_t rows, size_t i, size_t j, const float *from,
	size_t n_rows, size_t n_cols)
{
	for (size_t at = 0; at < n_cols; at += TILE)
		for (size_t x = 0; x < n_rows; x++)
			for (size_t y = at; y < n_cols && y < at + TILE; y++)
				to[(j + y) * rows + i + x] = from[x * n_cols + y];
}

/* to (cols, rows) = t (rows, cols). */
static int
load_transposed(const struct tensor *t, float *to, struct err *e)
{
	size_t rows = t->shape[0], cols = t->shape[1];
	float *strip = mem_new_aligned(TILE * STRIP, sizeof(*strip));
	int rc = strip ? 0 : err_set(e, ERR_NOMEM, "memory ran out");

	for (size_t j = 0; rc == 0 && j < cols; j += STRIP) {
		size_t n = cols - j < STRIP ? cols - j : STRIP;

		for (size_t i = 0; rc == 0 && i < rows; i += TILE) {
			size_t m = rows - i < TILE ? rows - i : TILE;

			paged_passed(n * rows * sizeof(*to));
			for (size_t x = 0; rc == 0 && x < m; x++) {
				paged_touched(1);
				rc = tensor_floats_some(t, (i + x) * cols + j, n,
					strip + x * n, false, e);
			}
			if (rc == 0)
				put_transposed(to, rows, i, j, strip, m, n);
		}
	}
	mem_free(strip);
	return rc;
}

static int
load_part(struct sae_loading *l, const struct sae_part *p, struct err *e)
{
	const struct tensor *t = tensors_find(l->t, p->name);
	int rc;

	if (!t)
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s is missing, but %s says the architecture is "
			"\"%s\"",
			l->path, p->name, l->says, l->s->info.architecture);
	rc = check_shape(l, p, t, e);
	if (rc < 0)
		return rc;
	*p->to = paged_new(t->n_values, sizeof(float), e);
	if (!*p->to)
		return err_wrap(e, "%s: tensor %s", t->path, t->name);
	return p->transpose ? load_transposed(t, *p->to, e)
			    : tensor_floats(t, *p->to, false, e);
}

static bool
is_ignored(const char *name, const char *const *ignored)
{
	for (; ignored && *ignored; ignored++) {
		size_t n = strlen(*ignored);

		if (strcmp(name, *ignored) == 0 ||
			((*ignored)[n - 1] == '*' &&
				strncmp(name, *ignored, n - 1) == 0))
			return true;
	}
	return false;
}

/* Every tensor of the file must be one that the architecture has. */
static int
check_known(const struct sae_loading *l, const struct sae_part *parts, size_t n_parts,
	const char *const *ignored, struct err *e)
{
	for (size_t i = 0; i < tensors_n(l->t); i++) {
		const char *name = tensors_at(l->t, i)->name;
		bool known = is_ignored(name, ignored);

		for (size_t k = 0; k < n_parts; k++)
			known |= strcmp(name, parts[k].name) == 0;
		if (!known)
			return err_set(e, ERR_MISMATCH,
				"%s: holds tensor %s, but %s says the architecture is "
				"\"%s\", which has none",
				l->path, name, l->says, l->s->info.architecture);
	}
	return 0;
}

int
sae_parts(struct sae_loading *l, const struct sae_part *parts, size_t n,
	const char *const *ignored, struct err *e)
{
	int rc = check_known(l, parts, n, ignored, e);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = load_part(l, &parts[i], e);
	if (rc == 0)
		memcpy(l->s->info.dtype_file,
			tensors_find(l->t, parts[0].name)->dtype_name,
			sizeof(l->s->info.dtype_file));
	return rc;
}

/* In a .pt file a number may stand there as such. */
static int
meta_number(const struct sae_loading *l, const char *name, double *out, bool *found,
	struct err *e)
{
	const struct tensor_meta *m = tensors_meta(l->t, name);

	*found = m && m->type != META_NONE;
	if (!*found)
		return 0;
	if (m->type != META_INT && m->type != META_REAL)
		return err_set(e, ERR_MISMATCH,
			"%s: value %s is %s, but %s SAEs have a number there", l->path,
			name, m->type == META_STR ? "a text" : "a bool", l->family);
	*out = m->type == META_INT ? (double)m->i : m->real;
	if (!isfinite(*out))
		return err_set(e, ERR_FORMAT, "%s: value %s is %g", l->path, name,
			*out);
	return 0;
}

int
sae_scalar(const struct sae_loading *l, const char *name, double *out, bool *found,
	struct err *e)
{
	const struct tensor *t = tensors_find(l->t, name);
	float value = 0;
	int rc;

	if (!t)
		return meta_number(l, name, out, found, e);
	*found = true;
	if (t->n_values != 1)
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s has %zu values, but a %s SAE has one there",
			t->path, name, t->n_values, l->family);
	rc = tensor_floats(t, &value, false, e);
	*out = (double)value;
	return rc;
}

int
sae_zeros(float **to, size_t n, struct err *e)
{
	*to = paged_new(n, sizeof(**to), e);
	return *to ? 0 : e->code;
}

int
sae_threshold_fill(struct sae *s, float value, struct err *e)
{
	int rc = sae_zeros(&s->threshold, s->info.d_sae, e);

	for (size_t i = 0; rc == 0 && i < s->info.d_sae; i++)
		s->threshold[i] = value;
	return rc;
}

int
sae_check_k(const struct sae_loading *l, struct err *e)
{
	const struct sae_info *n = &l->s->info;

	if (n->k < 1 || n->k > n->d_sae)
		return err_set(e, ERR_MISMATCH,
			"%s: k is %u, but it must lie between 1 and d_sae, which is %u",
			l->says, n->k, n->d_sae);
	if (n->kind == SAE_GROUPMAX && n->d_sae % n->k != 0)
		return err_set(e, ERR_MISMATCH,
			"%s: %u features do not make k = %u groups of one size",
			l->says, n->d_sae, n->k);
	return 0;
}

/* ---- folding --------------------------------------------------------------- */

void
sae_fold_scale(struct sae *s, float in, float out)
{
	size_t f = s->info.d_sae, d = s->info.d_in, o = s->info.d_out;

	for (size_t j = 0; j < f; j++) {
		paged_passed((d + o) * sizeof(float));
		for (size_t i = j * d; i < (j + 1) * d; i++)
			s->w_enc[i] *= in;
		for (size_t i = j * o; i < (j + 1) * o; i++)
			s->w_dec[i] /= out;
	}
	for (size_t i = 0; i < o; i++)
		s->b_dec[i] /= out;
}

void
sae_fold_norms(struct sae *s)
{
	size_t d = s->info.d_in, o = s->info.d_out;

	for (size_t f = 0; f < s->info.d_sae; f++) {
		float norm = kernel_norm(s->w_dec + f * o, o);

		paged_passed((d + o) * sizeof(float));
		for (size_t i = 0; i < d; i++)
			s->w_enc[f * d + i] *= norm;
		s->b_enc[f] *= norm;
		for (size_t i = 0; norm > 0 && i < o; i++)
			s->w_dec[f * o + i] /= norm;
	}
}
