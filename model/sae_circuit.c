/* SPDX-License-Identifier: ISC */
/*
 * circuit-tracer's transcoders, one layer a file: layer_N.safetensors, and
 * config.yaml for all of them, of which a few lines "key: value" are read.
 */
#include "model/sae_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define YAML_MAX_BYTES ((size_t)1 << 20)

/* The value of a key at the line's start, without quotes and comment; "" when
 * there is none. */
static void
yaml_get(const char *text, const char *key, char *out, size_t size)
{
	size_t k = strlen(key), n;
	const char *v;

	out[0] = '\0';
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, k) != 0 || line[k] != ':')
			continue;
		v = line + k + 1;
		v += strspn(v, " \t");
		if (*v == '"' || *v == '\'') {
			n = strcspn(v + 1, *v == '"' ? "\"\n" : "'\n");
			v++;
		} else {
			n = strcspn(v, "#\r\n");
		}
		while (n > 0 && (v[n - 1] == ' ' || v[n - 1] == '\t'))
			n--;
		snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), v);
		return;
	}
}

int
circuit_config(const struct sae_loading *l, const char *kind, struct circuit_config *y,
	struct err *e)
{
	char path[PATH_BYTES];
	struct buf b = {0};
	const char *text;
	int rc = path_join(path, e, "%s/config.yaml", l->dir);

	*y = (struct circuit_config){{0}, {0}, {0}, {0}, {0}};
	if (rc < 0 || !file_exists(path))
		return rc;
	rc = file_read(path, YAML_MAX_BYTES, &b, e);
	if (rc < 0)
		return rc;
	text = buf_str(&b);
	if (text) {
		yaml_get(text, "model_kind", y->kind, sizeof(y->kind));
		yaml_get(text, "feature_input_hook", y->in, sizeof(y->in));
		yaml_get(text, "feature_output_hook", y->out, sizeof(y->out));
		yaml_get(text, "model_name", y->model, sizeof(y->model));
		yaml_get(text, "k", y->k, sizeof(y->k));
	}
	rc = text ? 0 : err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	buf_clear(&b);
	if (rc == 0 && y->kind[0] && strcmp(y->kind, kind) != 0)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: model_kind \"%s\" is not supported (%s is, beside a file "
			"such as %s)",
			path, y->kind, kind, strrchr(l->path, '/') + 1);
	return rc;
}

/* In the layer of the file, unless a whole name stands there. */
static void
hook_of(char *out, size_t size, const char *name, bool known, uint32_t layer)
{
	if (!name[0] || !known)
		out[0] = '\0';
	else if (strncmp(name, "blocks.", 7) == 0)
		snprintf(out, size, "%s", name);
	else
		snprintf(out, size, "blocks.%u.%s", layer, name);
}

int
circuit_hooks(struct sae_loading *l, const struct circuit_config *y, bool known,
	uint32_t layer, struct err *e)
{
	const char *site = l->options->given.site;
	char in[160], out[160];
	int rc;

	if (y->in[0] || l->options->hook)
		site = NULL;
	hook_of(in, sizeof(in), site ? site : y->in, known, layer);
	hook_of(out, sizeof(out), y->out[0] ? y->out : "hook_mlp_out", known, layer);
	rc = sae_hook_in(l, in, "config.yaml", e);
	l->s->info.hook_given |= site != NULL;
	return rc == 0 ? sae_hook_out(l, out, "config.yaml", e) : rc;
}

/* A threshold makes it a JumpReLU, a k a TopK. Neither has a relu there. */
static int
read_kind(struct sae_loading *l, const struct circuit_config *y, struct err *e)
{
	struct sae_info *n = &l->s->info;
	bool jump = tensors_find(l->t, "activation_function.threshold") != NULL, found;
	double k = 0;
	int rc = sae_scalar(l, "activation_function.k", &k, &found, e);

	if (rc == 0 && !found && y->k[0]) {
		found = true;
		k = strtod(y->k, NULL);
	}
	if (rc == 0 && jump && found)
		rc = err_set(e, ERR_MISMATCH,
			"%s: has a threshold, but config.yaml says k is %g", l->path,
			k);
	if (rc < 0)
		return rc;
	n->kind = jump ? SAE_JUMPRELU : found ? SAE_TOPK : SAE_RELU;
	snprintf(n->architecture, sizeof(n->architecture), "%s",
		sae_kind_name(n->kind));
	n->k = found && k >= 1 && k < 1e9 ? (uint32_t)k : 0;
	if (n->kind == SAE_TOPK)
		sae_note(l, "values not above 0 among the k are dropped");
	return n->kind == SAE_TOPK ? sae_check_k(l, e) : 0;
}

/* Below a threshold under 0 the library lets negative values through. */
int
circuit_check_threshold(const struct sae_loading *l, struct err *e)
{
	const struct sae *s = l->s;

	for (size_t i = 0; s->threshold && i < s->info.d_sae; i++) {
		if (s->threshold[i] < 0)
			return err_set(e, ERR_UNSUPPORTED,
				"%s: the threshold of feature %zu is below 0, so it "
				"would have activations below 0, which are not "
				"supported",
				l->path, i);
	}
	return 0;
}

static int
read_weights(struct sae_loading *l, struct err *e)
{
	static const char *const ignored[] = {"activation_function.k", NULL};
	struct sae *s = l->s;
	bool skip = tensors_find(l->t, "W_skip") != NULL;
	struct sae_part parts[6] = {
		{"W_enc", {AXIS_SAE, AXIS_IN}, &s->w_enc, false},
		{"W_dec", {AXIS_SAE, AXIS_OUT}, &s->w_dec, false},
		{"b_enc", {AXIS_SAE, AXIS_NONE}, &s->b_enc, false},
		{"b_dec", {AXIS_OUT, AXIS_NONE}, &s->b_dec, false},
	};
	size_t n = 4;
	int rc = sae_orient(l, &parts[0], AXIS_SAE, AXIS_IN, e);

	if (skip)
		parts[n++] = (struct sae_part){"W_skip", {AXIS_OUT, AXIS_IN},
			&s->w_skip, false};
	if (s->info.kind == SAE_JUMPRELU)
		parts[n++] = (struct sae_part){"activation_function.threshold",
			{AXIS_SAE, AXIS_NONE}, &s->threshold, false};
	if (rc == 0)
		rc = sae_parts(l, parts, n, ignored, e);
	if (rc == 0)
		sae_note(l, skip ? "gives %s, with W_skip x" : "gives %s",
			s->info.hook_out.name);
	return rc == 0 ? circuit_check_threshold(l, e) : rc;
}

int
circuit_load(struct sae_loading *l, struct err *e)
{
	struct sae_info *n = &l->s->info;
	struct circuit_config y;
	uint32_t layer = 0;
	bool known = sae_path_number(strrchr(l->path, '/'), "layer_", &layer);
	int rc = sae_dims(l, "W_enc", "b_enc", "b_dec", e);

	n->transcoder = true;
	n->prepend_bos = true;
	if (rc == 0)
		rc = circuit_config(l, "transcoder_set", &y, e);
	if (rc < 0)
		return rc;
	snprintf(n->model_name, sizeof(n->model_name), "%s", y.model);
	rc = read_kind(l, &y, e);
	if (rc == 0)
		rc = circuit_hooks(l, &y, known, layer, e);
	return rc == 0 ? read_weights(l, e) : rc;
}
