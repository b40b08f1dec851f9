/* SPDX-License-Identifier: ISC */
/* The names of hooks, which of them a model has, and what is copied to them. */
#include "model/lm_int.h"

#include <stdio.h>
#include <string.h>

#define LAYER_MAX 100000

/* In the order in which a layer passes them; enum hook_site has another. */
static const struct {
	const char *name;
	enum hook_site site;
	int depth; /* see lm_wants_depth() */
} sites[] = {
	{"hook_resid_pre", HOOK_RESID_PRE, 0},
	{"attn.hook_z", HOOK_Z, 1},
	{"hook_attn_out", HOOK_ATTN_OUT, 2},
	{"hook_resid_mid", HOOK_RESID_MID, 2},
	{"hook_mlp_in", HOOK_MLP_IN, 3},
	{"ln2.hook_normalized", HOOK_MLP_NORMALIZED, 3},
	{"mlp.hook_in", HOOK_MLP_INPUT, 3},
	{"hook_mlp_out", HOOK_MLP_OUT, 4},
	{"hook_resid_post", HOOK_RESID_POST, 4},
	{"the output of attention", HOOK_ATTN_MODULE, 2},
	{"the output of the MLP", HOOK_MLP_MODULE, 4},
};

#define N_SITES (sizeof(sites) / sizeof(sites[0]))
#define N_NAMED (N_SITES - 2)

const char *
hook_name_at(size_t i)
{
	return i < N_NAMED ? sites[i].name : NULL;
}

/* "8" and then the end or a dot: the number and what follows the dot. */
static const char *
layer_number(const char *p, uint32_t *layer)
{
	uint32_t n = 0;

	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint32_t)(*p - '0');
		if (n > LAYER_MAX)
			return NULL;
	}
	*layer = n;
	if (*p == '\0')
		return p;
	return *p == '.' && p[1] != '\0' ? p + 1 : NULL;
}

static const char *
after(const char *name, const char *start)
{
	size_t n = strlen(start);

	return name && strncmp(name, start, n) == 0 ? name + n : NULL;
}

/* "layers.8", "transformer.h.8.mlp": a module by Hugging Face's path, which
 * stands for its output. */
static bool
parse_module(struct hook *h, const char *name)
{
	static const char *const models[] = {"model.", "transformer.", "gpt_neox.",
		"language_model.model.", "model.language_model."};
	static const char *const lists[] = {"layers.", "h."};
	static const struct {
		const char *name;
		enum hook_site site;
	} modules[] = {
		{"", HOOK_RESID_POST},
		{"mlp", HOOK_MLP_MODULE},
		{"attn", HOOK_ATTN_MODULE},
		{"self_attn", HOOK_ATTN_MODULE},
		{"attention", HOOK_ATTN_MODULE},
	};
	const char *rest = name, *number = NULL;

	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (after(name, models[i]))
			rest = after(name, models[i]);
	for (size_t i = 0; !number && i < 2; i++)
		number = after(rest, lists[i]);
	rest = number ? layer_number(number, &h->layer) : NULL;
	for (size_t i = 0; rest && i < sizeof(modules) / sizeof(modules[0]); i++) {
		if (strcmp(rest, modules[i].name) != 0)
			continue;
		h->site = modules[i].site;
		if (h->site == HOOK_RESID_POST)
			snprintf(h->name, sizeof(h->name), "blocks.%u.hook_resid_post",
				h->layer);
		else
			snprintf(h->name, sizeof(h->name), "layers.%u.%s", h->layer,
				h->site == HOOK_MLP_MODULE ? "mlp" : "self_attn");
		return true;
	}
	return false;
}

static int
no_hook(const char *name, const char *site, uint32_t layer, struct err *e)
{
	char list[256] = "";
	size_t n = 0;

	for (size_t i = 0; i < N_NAMED; i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s",
			i == 0                     ? ""
				: i + 1 == N_NAMED ? " and "
						   : ", ",
			sites[i].name);
	if (site)
		return err_arg(e, ERR_ARG, "hook", "no hook \"%.80s\": layer %u has %s",
			name, layer, list);
	return err_arg(e, ERR_ARG, "hook",
		"no hook \"%.80s\": a hook is written blocks.LAYER.NAME, where NAME is "
		"one of %s, or as a module: layers.LAYER, layers.LAYER.mlp",
		name, list);
}

int
hook_parse(struct hook *h, const char *name, struct err *e)
{
	const char *site = after(name, "blocks.");
	uint32_t layer = 0;

	*h = (struct hook){0};
	site = site ? layer_number(site, &layer) : NULL;
	for (size_t i = 0; site && i < N_NAMED; i++) {
		if (strcmp(site, sites[i].name) != 0)
			continue;
		h->site = sites[i].site;
		h->layer = layer;
		snprintf(h->name, sizeof(h->name), "blocks.%u.%s", layer, site);
		return 0;
	}
	if (!site && parse_module(h, name))
		return 0;
	return no_hook(name, site && *site ? site : NULL, layer, e);
}

void
hook_move(struct hook *h, uint32_t layer)
{
	const char *number = strchr(h->name, '.'), *rest;
	char name[sizeof(h->name)];

	if (!number)
		return;
	rest = number + 1 + strspn(number + 1, "0123456789");
	snprintf(name, sizeof(name), "%.*s.%u%.64s", (int)(number - h->name), h->name,
		layer, rest);
	memcpy(h->name, name, sizeof(name));
	h->layer = layer;
}

int
lm_check_hook(const struct lm *m, const struct hook *h, struct err *e)
{
	if (h->layer >= m->info.n_layers)
		return err_arg(e, ERR_NOTFOUND, "hook",
			"%s: the model has layers 0 to %u, so there is no %s",
			lm_path(m), m->info.n_layers - 1, h->name);
	if (h->site == HOOK_RESID_MID && m->parallel)
		return err_arg(e, ERR_NOTFOUND, "hook",
			"%s: attention and MLP of this model read the same stream "
			"(parallel residual), so there is no %s",
			lm_path(m), h->name);
	if (h->site == HOOK_Z && lm_z_width(m) == 0)
		return err_arg(e, ERR_NOTFOUND, "hook",
			"%s: config.json does not say how many heads there are and how "
			"wide (num_attention_heads, head_dim), which %s needs",
			lm_path(m), h->name);
	return 0;
}

bool
hook_in_stream(const struct hook *h)
{
	return h->site != HOOK_Z && h->site != HOOK_MLP_NORMALIZED &&
		h->site != HOOK_MLP_INPUT;
}

uint32_t
lm_hook_width(const struct lm *m, const struct hook *h)
{
	return h->site == HOOK_Z ? (uint32_t)lm_z_width(m) : m->info.d_model;
}

void
lm_tap(const struct lm_pass *p, enum hook_site site, uint32_t layer, const float *x,
	size_t from, size_t n)
{
	for (size_t i = 0; i < p->n_hooks; i++) {
		size_t d = lm_hook_width(p->m, &p->hooks[i]);

		if (p->hooks[i].site == site && p->hooks[i].layer == layer)
			memcpy(p->out[i] + from * d, x, n * d * sizeof(*x));
	}
}

bool
lm_wants(const struct lm_pass *p, enum hook_site site, uint32_t layer)
{
	for (size_t i = 0; i < p->n_hooks; i++)
		if (p->hooks[i].site == site && p->hooks[i].layer == layer)
			return true;
	return false;
}

static int
depth_of(enum hook_site site)
{
	for (size_t i = 0; i < N_SITES; i++)
		if (sites[i].site == site)
			return sites[i].depth;
	return 2;
}

bool
lm_wants_depth(const struct lm_pass *p, uint32_t layer, int depth)
{
	for (size_t i = 0; i < p->n_hooks; i++) {
		const struct hook *h = &p->hooks[i];

		if (h->layer > layer ||
			(h->layer == layer && depth_of(h->site) >= depth))
			return true;
	}
	return false;
}
