/* SPDX-License-Identifier: ISC */
#include "model/lm.h"

#include "model/lm_int.h"
#include "util/file.h"
#include "util/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_MAX_BYTES ((size_t)16 << 20)
#define CONFIG_MAX_DEPTH 64

static const struct lm_family *const families[] = {&lm_gpt2};

/* ---- hooks -------------------------------------------------------------- */

/* In the order in which a layer passes them; enum hook_site has another. */
static const struct {
	const char *name;
	enum hook_site site;
} sites[] = {
	{"hook_resid_pre", HOOK_RESID_PRE},
	{"hook_attn_out", HOOK_ATTN_OUT},
	{"hook_resid_mid", HOOK_RESID_MID},
	{"hook_mlp_out", HOOK_MLP_OUT},
	{"hook_resid_post", HOOK_RESID_POST},
};

/* "blocks.8.hook_resid_pre": the number, and where the site's name begins. */
static const char *
hook_layer(const char *name, uint32_t *layer)
{
	static const char before[] = "blocks.";
	const char *p = name + sizeof(before) - 1;
	uint32_t n = 0;

	if (strncmp(name, before, sizeof(before) - 1) != 0 || *p < '0' || *p > '9' ||
		(*p == '0' && p[1] != '.'))
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint32_t)(*p - '0');
		if (n > 100000)
			return NULL;
	}
	*layer = n;
	return *p == '.' ? p + 1 : NULL;
}

int
hook_parse(struct hook *h, const char *name, struct err *e)
{
	const char *site;
	uint32_t layer = 0;

	*h = (struct hook){0};
	site = hook_layer(name, &layer);
	for (size_t i = 0; site && i < sizeof(sites) / sizeof(sites[0]); i++) {
		if (strcmp(site, sites[i].name) != 0)
			continue;
		h->site = sites[i].site;
		h->layer = layer;
		snprintf(h->name, sizeof(h->name), "blocks.%u.%s", layer, site);
		return 0;
	}
	if (site)
		return err_arg(e, ERR_ARG, "hook",
			"no hook \"%.80s\": layer %u has hook_resid_pre, "
			"hook_attn_out, hook_resid_mid, hook_mlp_out and "
			"hook_resid_post",
			name, layer);
	return err_arg(e, ERR_ARG, "hook",
		"no hook \"%.80s\": a hook is written blocks.LAYER.hook_resid_pre (or "
		"hook_attn_out, hook_resid_mid, hook_mlp_out, hook_resid_post)",
		name);
}

int
lm_check_hook(const struct lm *m, const struct hook *h, struct err *e)
{
	if (h->layer < m->info.n_layers)
		return 0;
	return err_arg(e, ERR_NOTFOUND, "hook",
		"%s: the model has layers 0 to %u, so there is no %s",
		tensors_path(m->tensors), m->info.n_layers - 1, h->name);
}

void
lm_tap(const struct lm_pass *p, enum hook_site site, uint32_t layer, const float *x,
	size_t from, size_t n)
{
	size_t d = p->m->info.d_model;

	for (size_t i = 0; i < p->n_hooks; i++) {
		if (p->hooks[i].site == site && p->hooks[i].layer == layer)
			memcpy(p->out[i] + from * d, x, n * d * sizeof(*x));
	}
}

/* ---- loading ------------------------------------------------------------ */

const struct tensor *
lm_tensor(const struct lm *m, const char *name)
{
	char full[192];

	snprintf(full, sizeof(full), "%s%s", m->prefix, name);
	return tensors_find(m->tensors, full);
}

int
lm_floats(struct lm *m, const char *name, size_t n1, size_t n2, float **out,
	struct err *e)
{
	const struct tensor *t = lm_tensor(m, name);
	size_t rank = n2 > 0 ? 2 : 1;
	int rc;

	if (!t)
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s%s is missing, which config.json asks for",
			tensors_path(m->tensors), m->prefix, name);
	if (t->rank != rank || t->shape[0] != n1 || (rank == 2 && t->shape[1] != n2))
		return err_set(e, ERR_MISMATCH,
			"%s: tensor %s has shape (%zu%s%.0zu), but config.json asks "
			"for (%zu%s%.0zu)",
			t->path, t->name, t->rank > 0 ? t->shape[0] : 1,
			t->rank > 1 ? ", " : "", t->rank > 1 ? t->shape[1] : 0, n1,
			rank > 1 ? ", " : "", n2);
	*out = mem_new_aligned(t->n_values, sizeof(**out));
	if (!*out)
		return err_set(e, ERR_NOMEM, "%s: memory ran out for tensor %s",
			t->path, t->name);
	rc = tensor_floats(t, *out, false, e);
	m->info.n_params += t->n_values;
	return rc;
}

static int
load_unembed(struct lm *m, bool tied, struct err *e)
{
	const char *prefix = m->prefix;
	int rc;

	if (tied || !tensors_find(m->tensors, "lm_head.weight"))
		return 0;
	m->prefix = "";
	rc = lm_floats(m, "lm_head.weight", m->info.n_vocab, m->info.d_model,
		&m->unembed, e);
	m->prefix = prefix;
	return rc;
}

static int
find_family(struct lm *m, const struct js_doc *config, struct err *e)
{
	const struct js *a = js_at(js_get(config->root, "architectures"), 0);
	char type[64];
	int rc = js_need_str(config, config->root, "model_type", type, sizeof(type), e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		if (strcmp(type, families[i]->model_type) == 0)
			m->family = families[i];
	}
	if (!m->family)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: models of type \"%s\" are not supported (gpt2 is)",
			config->name, type);
	snprintf(m->architecture, sizeof(m->architecture), "%s",
		js_str(a, NULL) ? js_str(a, NULL) : "");
	m->info.family = m->family->model_type;
	m->info.architecture = m->architecture;
	return 0;
}

static int
open_config(struct lm *m, const struct js_doc *config, const char *dir, struct err *e)
{
	const struct tensor *first;
	bool tied = true;
	int rc = find_family(m, config, e);

	if (rc == 0)
		rc = js_opt_bool(config, config->root, "tie_word_embeddings", true,
			&tied, e);
	if (rc == 0)
		rc = m->family->configure(m, config, e);
	if (rc == 0)
		rc = tensors_open_dir(&m->tensors, dir, e);
	if (rc == 0)
		rc = m->family->load(m, e);
	if (rc == 0)
		rc = load_unembed(m, tied, e);
	if (rc < 0)
		return rc;
	first = lm_tensor(m, "wte.weight");
	memcpy(m->dtype_file, first ? first->dtype_name : "?", first ? 12 : 2);
	m->info.dtype_file = m->dtype_file;
	return 0;
}

int
lm_open(struct lm **out, const char *dir, struct err *e)
{
	struct err own = ERR_INIT;
	struct js_doc config = {0};
	char path[PATH_BYTES];
	struct lm *m;
	int rc;

	e = e ? e : &own;
	rc = path_join(path, e, "%s/config.json", dir);
	if (rc == 0 && !file_exists(path))
		rc = err_set(e, ERR_NOTFOUND,
			"%s: no config.json there; a Hugging Face model directory has "
			"config.json, model.safetensors and tokenizer.json",
			dir);
	if (rc == 0)
		rc = js_open(&config, path, CONFIG_MAX_BYTES, CONFIG_MAX_DEPTH, e);
	if (rc < 0)
		return rc;
	m = mem_new(1, sizeof(*m));
	rc = m ? open_config(m, &config, dir, e)
	       : err_set(e, ERR_NOMEM, "%s: memory ran out", dir);
	js_close(&config);
	if (rc < 0)
		lm_close(m);
	else
		*out = m;
	return rc;
}

static void
norm_clear(struct lm_norm *n)
{
	mem_free(n->gain);
	mem_free(n->bias);
}

static void
linear_clear(struct lm_linear *l)
{
	kernel_packed_free(l->w);
	mem_free(l->bias);
}

void
lm_close(struct lm *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; m->layer && i < m->info.n_layers; i++) {
		norm_clear(&m->layer[i].norm1);
		norm_clear(&m->layer[i].norm2);
		linear_clear(&m->layer[i].qkv);
		linear_clear(&m->layer[i].out);
		linear_clear(&m->layer[i].up);
		linear_clear(&m->layer[i].down);
	}
	norm_clear(&m->final);
	mem_free(m->layer);
	mem_free(m->embed);
	mem_free(m->position);
	mem_free(m->unembed);
	tensors_close(m->tensors);
	mem_free(m);
}

const struct lm_info *
lm_info(const struct lm *m)
{
	return &m->info;
}

const float *
lm_unembed(const struct lm *m)
{
	return m->unembed ? m->unembed : m->embed;
}

const float *
lm_final_gain(const struct lm *m)
{
	return m->final.gain;
}

int
lm_sha256(const struct lm *m, uint8_t out[32], struct err *e)
{
	return tensors_sha256(m->tensors, out, e);
}

/* ---- one thread's buffers ----------------------------------------------- */

static size_t
n_blocks(const struct lm *m)
{
	return (m->info.n_ctx + LM_BLOCK_KEYS - 1) / LM_BLOCK_KEYS;
}

/* Floats a token takes, and floats all else takes. */
static size_t
floats_per_token(const struct lm *m)
{
	return 5 * (size_t)m->info.d_model;
}

static size_t
floats_fixed(const struct lm *m)
{
	return LM_BLOCK_ROWS * (2 * (size_t)m->info.d_model + m->info.d_mlp) +
		LM_BLOCK_KEYS * (size_t)m->info.n_ctx;
}

size_t
lm_work_bytes(const struct lm *m, size_t max_tokens)
{
	size_t n;

	if (!mem_mul(max_tokens, floats_per_token(m), &n) ||
		!mem_add(n, floats_fixed(m), &n) || !mem_mul(n, sizeof(float), &n) ||
		!mem_add(n, sizeof(struct lm_work) + 2 * n_blocks(m) * sizeof(void *),
			&n))
		return SIZE_MAX;
	return n;
}

int
lm_work_new(struct lm_work **out, const struct lm *m, size_t max_tokens, struct err *e)
{
	size_t d = m->info.d_model;
	struct lm_work *w = NULL;

	if (lm_work_bytes(m, max_tokens) < SIZE_MAX)
		w = mem_new(1, sizeof(*w));
	if (!w)
		return err_set(e, ERR_NOMEM, "memory ran out for batches of %zu tokens",
			max_tokens);
	w->max_tokens = max_tokens;
	w->x = mem_new_aligned(max_tokens, d * sizeof(float));
	w->qkv = mem_new_aligned(max_tokens, 3 * d * sizeof(float));
	w->z = mem_new_aligned(max_tokens, d * sizeof(float));
	w->norm = mem_new_aligned(LM_BLOCK_ROWS, d * sizeof(float));
	w->mid = mem_new_aligned(LM_BLOCK_ROWS, m->info.d_mlp * sizeof(float));
	w->add = mem_new_aligned(LM_BLOCK_ROWS, d * sizeof(float));
	w->score = mem_new_aligned(LM_BLOCK_KEYS, m->info.n_ctx * sizeof(float));
	w->keys = mem_new(n_blocks(m), sizeof(*w->keys));
	w->values = mem_new(n_blocks(m), sizeof(*w->values));
	if (!w->x || !w->qkv || !w->z || !w->norm || !w->mid || !w->add || !w->score ||
		!w->keys || !w->values) {
		lm_work_free(w);
		return err_set(e, ERR_NOMEM, "memory ran out for batches of %zu tokens",
			max_tokens);
	}
	*out = w;
	return 0;
}

void
lm_work_free(struct lm_work *w)
{
	if (!w)
		return;
	mem_free(w->x);
	mem_free(w->qkv);
	mem_free(w->z);
	mem_free(w->norm);
	mem_free(w->mid);
	mem_free(w->add);
	mem_free(w->score);
	mem_free(w->keys);
	mem_free(w->values);
	mem_free(w);
}

/* ---- forward ------------------------------------------------------------ */

static int
check_pass(const struct lm_pass *p, struct err *e)
{
	const struct lm_info *n = &p->m->info;
	int rc = 0;

	if (p->window_start[0] != 0 || p->n_tokens > p->w->max_tokens)
		return err_set(e, ERR_ARG, "%zu tokens in a batch of at most %zu",
			p->n_tokens, p->w->max_tokens);
	for (size_t i = 0; i < p->n_windows; i++) {
		uint32_t a = p->window_start[i], b = p->window_start[i + 1];

		if (b < a || b - a > n->n_ctx)
			return err_set(e, ERR_ARG,
				"a window from token %u to %u: the model takes at "
				"most %u tokens",
				a, b, n->n_ctx);
	}
	for (size_t i = 0; i < p->n_tokens; i++) {
		if (p->ids[i] >= n->n_vocab)
			return err_set(e, ERR_ARG,
				"token id %u, but the model knows ids below %u; is it "
				"another model's tokenizer?",
				p->ids[i], n->n_vocab);
	}
	for (size_t i = 0; rc == 0 && i < p->n_hooks; i++)
		rc = lm_check_hook(p->m, &p->hooks[i], e);
	return rc;
}

int
lm_forward(const struct lm *m, struct lm_work *w, const uint32_t *ids,
	const uint32_t *window_start, size_t n_windows, const struct hook *hooks,
	size_t n_hooks, float *const *out, struct err *e)
{
	struct lm_pass p = {.m = m,
		.w = w,
		.ids = ids,
		.window_start = window_start,
		.n_windows = n_windows,
		.n_tokens = window_start[n_windows],
		.hooks = hooks,
		.n_hooks = n_hooks,
		.out = out};
	int rc = check_pass(&p, e);

	return rc == 0 && n_hooks > 0 ? m->family->forward(&p, e) : rc;
}

/* logits (n_vocab) of one final residual x becomes log-probabilities. */
static void
log_probs(const struct lm *m, const float *x, float *norm, float *logits)
{
	size_t d = m->info.d_model, n = m->info.n_vocab;
	float most = -INFINITY;
	double sum = 0;

	kernel_layer_norm(norm, x, m->final.gain, m->final.bias, m->norm_eps, d);
	for (size_t i = 0; i < n; i++) {
		logits[i] = kernel_dot(norm, lm_unembed(m) + i * d, d);
		most = logits[i] > most ? logits[i] : most;
	}
	for (size_t i = 0; i < n; i++)
		sum += exp((double)logits[i] - (double)most);
	for (size_t i = 0; i < n; i++)
		logits[i] = (float)((double)logits[i] - (double)most - log(sum));
}

int
lm_logits(const struct lm *m, struct lm_work *w, const uint32_t *ids, size_t n_tokens,
	float *logits, struct err *e)
{
	const struct hook last = {.name = "the last hook_resid_post",
		.site = HOOK_RESID_POST,
		.layer = m->info.n_layers - 1};
	uint32_t window[2] = {0, (uint32_t)n_tokens};
	float *x = mem_new_aligned(n_tokens, m->info.d_model * sizeof(*x));
	int rc;

	if (!x)
		return err_set(e, ERR_NOMEM, "memory ran out for %zu tokens", n_tokens);
	rc = lm_forward(m, w, ids, window, 1, &last, 1, &x, e);
	for (size_t i = 0; rc == 0 && i < n_tokens; i++)
		log_probs(m, x + i * m->info.d_model, w->norm,
			logits + i * (size_t)m->info.n_vocab);
	mem_free(x);
	return rc;
}
