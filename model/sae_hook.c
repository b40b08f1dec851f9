/* SPDX-License-Identifier: ISC */
/*
 * Where an SAE reads and writes, by TransformerLens' name, from the names that
 * families use: that one, a Hugging Face module, or a number in a path.
 */
#include "model/sae_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What follows the layer's number in a Hugging Face module's path, and the hook.
 * A module without .input or .output is its output. */
static const struct {
	const char *module, *hook;
} modules[] = {
	{"", "hook_resid_post"},
	{".output", "hook_resid_post"},
	{".input", "hook_resid_pre"},
	{".mlp", "hook_mlp_out"},
	{".mlp.output", "hook_mlp_out"},
	{".mlp.input", "mlp.hook_in"},
	{".post_feedforward_layernorm.output", "hook_mlp_out"},
	{".pre_feedforward_layernorm.output", "mlp.hook_in"},
	{".self_attn", "hook_attn_out"},
	{".attn", "hook_attn_out"},
	{".attention", "hook_attn_out"},
	{".self_attn.output", "hook_attn_out"},
	{".attn.output", "hook_attn_out"},
	{".attention.output", "hook_attn_out"},
	{".self_attn.o_proj.input", "attn.hook_z"},
};

/* "model.language_model.layers.7.mlp" gives 7 and ".mlp"; NULL for another form. */
static const char *
module_layer(const char *name, unsigned long *layer)
{
	static const char *const heads[] = {
		"model.",
		"language_model.",
		"transformer.",
		"gpt_neox.",
	};
	char *end;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		if (strncmp(name, heads[i], strlen(heads[i])) == 0) {
			name += strlen(heads[i]);
			i = SIZE_MAX; /* from the first on again */
		}
	}
	if (strncmp(name, "layers.", 7) == 0)
		name += 7;
	else if (strncmp(name, "h.", 2) == 0)
		name += 2;
	else
		return NULL;
	if (*name < '0' || *name > '9')
		return NULL;
	*layer = strtoul(name, &end, 10);
	return *layer < 100000 ? end : NULL;
}

/* The same in TransformerLens' words, or said itself. */
static void
translate(char *out, size_t size, const char *said)
{
	unsigned long layer = 0;
	const char *rest = module_layer(said, &layer);

	snprintf(out, size, "%s", said);
	for (size_t i = 0; rest && i < sizeof(modules) / sizeof(modules[0]); i++) {
		if (strcmp(rest, modules[i].module) == 0)
			snprintf(out, size, "blocks.%lu.%s", layer, modules[i].hook);
	}
}

/* Gemma 2 and 3 put a norm behind these modules, and the hook behind the norm. */
static bool
before_norm(const char *said, const char *model)
{
	const char *layer = strstr(said, "layers.");
	bool gemma = strstr(model, "gemma-2-") || strstr(model, "gemma-3-");

	return gemma && layer && !strstr(said, ".input") &&
		(strstr(layer, ".mlp") || strstr(layer, ".self_attn") ||
			strstr(layer, ".attn"));
}

/* As hook_parse knows it, which may know modules, or else by its other name. */
static int
set_hook(struct sae_loading *l, struct hook *h, const char *said, const char *where,
	struct err *e)
{
	const char *model = l->s->info.model_name;
	struct err ignored = ERR_INIT;
	size_t n = strlen(said);
	char name[160];

	if (n > 7 && strcmp(said + n - 7, ".output") == 0)
		n -= 7;
	snprintf(name, sizeof(name), "%.*s", (int)(n < 159 ? n : 159), said);
	if (hook_parse(h, name, &ignored) == 0)
		return 0;
	if (before_norm(said, model))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: %s of %s is before a norm, where there is no hook", where,
			said, model);
	translate(name, sizeof(name), said);
	return hook_parse(h, name, e) < 0 ? err_wrap(e, "%s", where) : 0;
}

int
sae_hook_in(struct sae_loading *l, const char *said, const char *where, struct err *e)
{
	struct sae_info *n = &l->s->info;

	if (l->options->hook) {
		n->hook_given = true;
		return set_hook(l, &n->hook, l->options->hook,
			"the hook that was given", e);
	}
	if (!said || !said[0])
		return err_arg(e, ERR_ARG, "hook",
			"%s: %s does not tell at which hook it reads; give it with "
			"--hook",
			l->dir, where);
	return set_hook(l, &n->hook, said, where, e);
}

int
sae_hook_out(struct sae_loading *l, const char *said, const char *where, struct err *e)
{
	if (!said || !said[0])
		return err_set(e, ERR_UNSUPPORTED,
			"%s: %s does not tell at which hook what this transcoder gives "
			"stands",
			l->dir, where);
	return set_hook(l, &l->s->info.hook_out, said, where, e);
}

void
sae_target(const struct sae_info *n, uint32_t i, struct hook *out)
{
	*out = n->hook_out;
	if (i > 0)
		hook_move(out, n->hook_out.layer + i);
}

void
sae_gives(const struct sae_info *n, char *out, size_t size)
{
	const char *name = n->hook_out.name, *number = strchr(name, '.');

	if (n->n_targets == 1 || !number)
		snprintf(out, size, "%s", name);
	else
		snprintf(out, size, "%.*s.%u-%u%s", (int)(number - name), name,
			n->hook_out.layer, n->hook_out.layer + n->n_targets - 1,
			number + 1 + strspn(number + 1, "0123456789"));
}

bool
sae_path_number(const char *path, const char *what, uint32_t *out)
{
	bool found = false;

	for (const char *p = path; (p = strstr(p, what)); p++) {
		const char *digits = p + strlen(what);
		unsigned long n = strtoul(digits, NULL, 10);

		if (*digits < '0' || *digits > '9' || n >= UINT32_MAX)
			continue;
		*out = (uint32_t)n;
		found = true;
	}
	return found;
}
