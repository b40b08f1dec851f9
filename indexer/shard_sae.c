/* SPDX-License-Identifier: ISC */
/* What a shard says of an SAE: the activations that it reads, or its features. */
#include "indexer/shard.h"

#include "model/lm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Whether a tensor's name means this hook. */
static bool
means_hook(const char *name, const char *hook)
{
	struct hook h;

	return strcmp(name, hook) == 0 ||
		(hook_parse(&h, name, NULL) == 0 && strcmp(h.name, hook) == 0);
}

/* Names what could be meant. */
static int
no_hook(const struct shard_windows *w, const char *hook, struct err *e)
{
	char there[200] = "";

	for (size_t i = 0; i < tensors_n(w->tensors); i++) {
		const struct tensor *t = tensors_at(w->tensors, i);
		size_t n = strlen(there);

		if (t->rank == 2 && t->shape[0] == w->n_tokens && !tensor_is_int(t))
			snprintf(there + n, sizeof(there) - n, "%s%.60s", n ? ", " : "",
				t->name);
	}
	return err_set(e, ERR_MISMATCH,
		"%s: holds no activations at %s, which an SAE reads, but at %s; --hook "
		"says where an SAE reads",
		w->name, hook, there[0] != '\0' ? there : "no hook");
}

int
shard_hook(const struct shard_windows *w, const char *hook, uint32_t width,
	const struct tensor **out, struct err *e)
{
	const struct tensor *t = NULL;

	for (size_t i = 0; i < tensors_n(w->tensors) && t == NULL; i++)
		if (means_hook(tensors_at(w->tensors, i)->name, hook))
			t = tensors_at(w->tensors, i);
	*out = t;
	if (t == NULL)
		return no_hook(w, hook, e);
	if (t->rank != 2 || t->shape[0] != w->n_tokens || t->shape[1] != width)
		return err_set(e, ERR_MISMATCH,
			"%s: %s has %zu values, not (%u, %u): one row for each token, "
			"as wide as the SAE reads",
			w->name, t->name, t->n_values, w->n_tokens, width);
	if (t->dtype != DTYPE_F32 && t->dtype != DTYPE_BF16 && t->dtype != DTYPE_F16)
		return err_set(e, ERR_FORMAT,
			"%s: %s is of %s; activations are F32, BF16 or F16", w->name,
			t->name, t->dtype_name);
	return 0;
}

/* ---- active features -------------------------------------------------------------- */

static const struct tensor *
find_latents(const struct shard_windows *w, const char *sae, bool only,
	const char *part)
{
	const struct tensor *found;
	char name[LIMIT_NAME_BYTES + 16];

	snprintf(name, sizeof(name), "%s.%s", sae, part);
	found = tensors_find(w->tensors, name);
	for (size_t i = 0; found == NULL && only && i < tensors_n(w->tensors); i++) {
		const struct tensor *t = tensors_at(w->tensors, i);
		const char *dot = strrchr(t->name, '.');

		if (dot != NULL && strcmp(dot + 1, part) == 0)
			found = t;
	}
	return found;
}

static int
check_latents(const struct shard_windows *w, const struct tensor *rows,
	const struct tensor *features, const struct tensor *values, struct err *e)
{
	if (shard_check_ints(w, rows, (size_t)w->n_tokens + 1, 0, e) < 0 ||
		shard_check_ints(w, features, features->n_values, 0, e) < 0)
		return e->code;
	if (values->rank != 1 || values->n_values != features->n_values ||
		(values->dtype != DTYPE_F32 && values->dtype != DTYPE_BF16 &&
			values->dtype != DTYPE_F16))
		return err_set(e, ERR_FORMAT,
			"%s: %s must be (%zu) of F32, BF16 or F16", w->name,
			values->name, features->n_values);
	return 0;
}

static int
read_rows(const struct shard_windows *w, const struct tensor *rows, size_t n,
	struct sparse *out, struct err *e)
{
	int64_t last = 0;

	for (size_t i = 0; i <= w->n_tokens; i++) {
		int64_t at = tensor_int(rows, i);

		if (at < last || (uint64_t)at > n || (i == 0 && at != 0) ||
			(i == w->n_tokens && (uint64_t)at != n))
			return err_set(e, ERR_FORMAT,
				"%s: %s goes from 0 to %zu and never falls, but value "
				"%zu is %" PRId64,
				w->name, rows->name, n, i, at);
		out->row_start[i] = (uint32_t)at;
		last = at;
	}
	return 0;
}

static int
read_features(const struct shard_windows *w, const struct tensor *t, uint32_t d_sae,
	struct sparse *out, struct err *e)
{
	for (uint32_t i = 0; i < w->n_tokens; i++) {
		int64_t last = -1;

		for (uint32_t j = out->row_start[i]; j < out->row_start[i + 1]; j++) {
			int64_t f = tensor_int(t, j);

			if (f <= last || f >= d_sae || !(out->value[j] > 0))
				return err_set(e, ERR_FORMAT,
					"%s: token %u has feature %" PRId64
					" behind %" PRId64
					" with the activation %g; features ascend "
					"below %u, activations are above 0",
					w->name, i, f, last, (double)out->value[j],
					d_sae);
			out->feature[j] = (uint32_t)f;
			last = f;
		}
	}
	return 0;
}

int
shard_latents(const struct shard_windows *w, const char *sae, bool only, uint32_t d_sae,
	struct sparse *out, struct err *e)
{
	const struct tensor *rows = find_latents(w, sae, only, "rows");
	const struct tensor *features = find_latents(w, sae, only, "features");
	const struct tensor *values = find_latents(w, sae, only, "values");

	if (rows == NULL || features == NULL || values == NULL)
		return err_set(e, ERR_MISMATCH,
			"%s: has no %s.rows, .features and .values; --sae NAME=DIR "
			"names an SAE as the shards do",
			w->name, sae);
	if (check_latents(w, rows, features, values, e) < 0 ||
		sparse_reserve(out, w->n_tokens, values->n_values, e) < 0 ||
		tensor_floats(values, out->value, false, e) < 0 ||
		read_rows(w, rows, values->n_values, out, e) < 0)
		return e->code;
	return read_features(w, features, d_sae, out, e);
}
