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

static const struct lm_family *const families[] = {&lm_gpt2, &lm_llama, &lm_mistral,
	&lm_qwen2, &lm_qwen3, &lm_neox, &lm_gemma, &lm_gemma2, &lm_gemma3_text,
	&lm_gemma3, &lm_neo};

#define N_FAMILIES (sizeof(families) / sizeof(families[0]))

const struct lm_kind *
lm_kind_at(size_t i)
{
	return i < N_FAMILIES ? &families[i]->kind : NULL;
}

/* ---- loading ------------------------------------------------------------ */

static int
unknown_family(const struct lm_config *c, const char *type, struct err *e)
{
	char list[256] = "";
	size_t n = 0;

	for (size_t i = 0; i < N_FAMILIES; i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s",
			i > 0 ? ", " : "", families[i]->kind.model_type);
	return err_set(e, ERR_UNSUPPORTED,
		"%s: models of type \"%s\" are not supported (%s %s)", c->doc->name,
		type, list, N_FAMILIES > 1 ? "are" : "is");
}

int
lm_read_type(struct lm *m, const struct lm_config *c, struct err *e)
{
	const struct js *a = js_at(js_get(c->c, "architectures"), 0);
	int rc = js_need_str(c->doc, c->c, "model_type", m->type, sizeof(m->type), e);

	for (size_t i = 0; rc == 0 && i < N_FAMILIES; i++) {
		if (strcmp(m->type, families[i]->kind.model_type) == 0)
			m->family = families[i];
	}
	snprintf(m->architecture, sizeof(m->architecture), "%s",
		js_str(a, NULL) ? js_str(a, NULL) : "");
	m->info.family = m->type;
	m->info.architecture = m->architecture;
	m->info.dtype_file = m->dtype_file;
	return rc;
}

int
lm_configure(struct lm *m, const struct lm_config *c, struct err *e)
{
	const struct lm_family *f = m->family;
	int rc = js_opt_bool(c->doc, c->c, "tie_word_embeddings", f->tied, &m->tied, e);

	if (rc == 0 && f->kind.parallel)
		rc = js_opt_bool(c->doc, c->c, f->kind.parallel, true, &m->parallel, e);
	return rc == 0 ? f->configure(m, c, e) : rc;
}

/* Can it be run at all? */
static int
check_type(const struct lm *m, const struct lm_config *c, struct err *e)
{
	const struct js *q = js_get(c->c, "quantization_config");

	if (strcmp(m->type, LM_HEAD_TYPE) == 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: a model of type \"%s\" is only described, and its "
			"activations are made elsewhere; use --activations or "
			"--latents",
			c->doc->name, m->type);
	if (!m->family)
		return unknown_family(c, m->type, e);
	if (js_type(q) != JS_ABSENT && js_type(q) != JS_NULL)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: quantization_config is not supported: the weights must "
			"be floats",
			c->doc->name);
	return 0;
}

static int
open_whole(struct lm *m, const struct lm_config *c, struct err *e)
{
	int rc = lm_read_type(m, c, e);

	if (rc == 0)
		rc = check_type(m, c, e);
	if (rc == 0)
		rc = lm_configure(m, c, e);
	if (rc == 0)
		rc = tensors_open_dir(&m->tensors, m->dir, e);
	if (rc == 0)
		rc = m->family->load(m, e);
	return rc == 0 ? lm_load_unembed(m, e) : rc;
}

int
lm_open_by(struct lm **out, const char *dir,
	int (*how)(struct lm *m, const struct lm_config *c, struct err *e),
	struct err *e)
{
	struct err own = ERR_INIT;
	struct js_doc doc = {0};
	struct lm_config c = {.doc = &doc};
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
		rc = js_open(&doc, path, CONFIG_MAX_BYTES, CONFIG_MAX_DEPTH, e);
	if (rc < 0)
		return rc;
	c.c = doc.root;
	m = mem_new(1, sizeof(*m));
	if (m)
		m->dir = mem_strdup(dir);
	rc = m && m->dir ? how(m, &c, e)
			 : err_set(e, ERR_NOMEM, "%s: memory ran out", dir);
	js_close(&doc);
	if (rc < 0)
		lm_close(m);
	else
		*out = m;
	return rc;
}

int
lm_open(struct lm **out, const char *dir, struct err *e)
{
	return lm_open_by(out, dir, open_whole, e);
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

static void
layer_clear(struct lm_layer *y)
{
	norm_clear(&y->norm1);
	norm_clear(&y->norm2);
	norm_clear(&y->post1);
	norm_clear(&y->post2);
	norm_clear(&y->q_norm);
	norm_clear(&y->k_norm);
	linear_clear(&y->qkv);
	linear_clear(&y->out);
	linear_clear(&y->gate);
	linear_clear(&y->up);
	linear_clear(&y->down);
}

void
lm_close(struct lm *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; m->layer && i < m->info.n_layers; i++)
		layer_clear(&m->layer[i]);
	for (size_t i = 0; i < LM_N_ROPES; i++)
		mem_free(m->rope[i].freq);
	norm_clear(&m->final);
	mem_free(m->layer);
	mem_free(m->embed.copy);
	mem_free(m->position.copy);
	mem_free(m->unembed.copy);
	tensors_close(m->tensors);
	mem_free(m->dir);
	mem_free(m);
}

const struct lm_info *
lm_info(const struct lm *m)
{
	return &m->info;
}

bool
lm_can_run(const struct lm *m)
{
	return !m->head;
}

const float *
lm_unembed(const struct lm *m)
{
	return m->unembed.row ? m->unembed.row : m->embed.row;
}

bool
lm_has_unembed(const struct lm *m)
{
	return lm_unembed(m) != NULL;
}

const float *
lm_final_gain(const struct lm *m)
{
	return m->final.gain;
}

int
lm_sha256(const struct lm *m, uint8_t out[32], struct err *e)
{
	if (m->tensors)
		return tensors_sha256(m->tensors, out, e);
	memcpy(out, m->config_sha256, sizeof(m->config_sha256));
	return 0;
}

/* ---- forward ------------------------------------------------------------ */

int
lm_need_run(const struct lm *m, struct err *e)
{
	if (lm_can_run(m))
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
		"%s: of this model only the head was loaded, which cannot be run",
		lm_path(m));
}

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
	int rc = lm_need_run(m, e);

	if (rc == 0)
		rc = check_pass(&p, e);
	return rc == 0 && n_hooks > 0 ? lm_decode(&p, e) : rc;
}

/* logits (n_vocab) of one final residual x becomes log-probabilities. */
static void
log_probs(const struct lm *m, const float *x, float *norm, float *logits)
{
	size_t d = m->info.d_model, n = m->info.n_vocab;
	float most = -INFINITY;
	double sum = 0;

	lm_norm_rows(m, &m->final, norm, x, 1, d);
	for (size_t i = 0; i < n; i++)
		logits[i] = kernel_dot(norm, lm_unembed(m) + i * d, d);
	lm_cap(logits, n, 1, m->logit_cap);
	for (size_t i = 0; i < n; i++)
		most = logits[i] > most ? logits[i] : most;
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
	int rc = lm_need_run(m, e);
	float *x;

	if (rc < 0)
		return rc;
	x = mem_new_aligned(n_tokens, m->info.d_model * sizeof(*x));
	if (!x)
		return err_set(e, ERR_NOMEM, "memory ran out for %zu tokens", n_tokens);
	rc = lm_forward(m, w, ids, window, 1, &last, 1, &x, e);
	for (size_t i = 0; rc == 0 && i < n_tokens; i++)
		log_probs(m, x + i * m->info.d_model, w->norm,
			logits + i * (size_t)m->info.n_vocab);
	mem_free(x);
	return rc;
}
