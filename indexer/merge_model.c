/* SPDX-License-Identifier: ISC */
#include "indexer/merge_model.h"

#include "analysis/recorded.h"
#include "util/log.h"

#include <string.h>

/* The directory that --sae names for an SAE of the store, NAME=DIR, or DIR where there is
 * one SAE; NULL: none. */
static const char *
named(const struct options *o, const char *name, uint32_t n_saes)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < o->sae.n; i++) {
		const char *text = o->sae.item[i];

		if (strncmp(text, name, n) == 0 && text[n] == '=')
			return text + n + 1;
		if (n_saes == 1 && o->sae.n == 1 && text[strcspn(text, "=/")] != '=')
			return text;
	}
	return NULL;
}

/* A name that no SAE has is a mistake. */
static int
check_names(const struct options *o, const struct store_catalog *c,
	const struct cat_run *run, struct err *e)
{
	for (size_t i = 0; i < o->sae.n; i++) {
		const char *text = o->sae.item[i];
		bool used = false;

		for (uint32_t j = 0; j < run->n_saes && !used; j++) {
			const char *dir =
				named(o, c->sae[run->sae[j].sae].name, run->n_saes);

			used = dir != NULL && dir >= text && dir <= text + strlen(text);
		}
		if (!used)
			return err_arg(e, ERR_ARG, "sae",
				"--sae %s: merge takes NAME=DIR, NAME being what an "
				"SAE "
				"of the runs is called, such as %s",
				text, c->sae[run->sae[0].sae].name);
	}
	return 0;
}

static void
add_hooks(struct merge_model *m)
{
	for (uint32_t i = 0; i < m->n_saes; i++) {
		const struct sae_info *info = &m->sae[i]->info;

		m->hook_of[i] = plan_add_hook(&m->group, &info->hook);
		m->out_of[i] = info->cross_layer
			? m->hook_of[i]
			: plan_add_hook(&m->group, &info->hook_out);
	}
}

static int
open_all(struct merge_model *m, const struct options *o, const struct store_catalog *c,
	const struct cat_run *run, const struct value *provenance, struct err *e)
{
	const struct recorded_sha256 catalog = {c->model[run->model].weights_sha256,
		c->cut[run->cut].tokenizer_sha256};
	const struct value *saes = value_get(provenance, "saes");
	char path[PATH_BYTES];

	if (saes == NULL || saes->type != VALUE_ARRAY || saes->n != run->n_saes)
		return recorded_lacks("saes", e);
	if (recorded_model(&m->lm, &m->tok, provenance, o->model, &catalog, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < run->n_saes; i++) {
		const struct cat_sae *sae = &c->sae[run->sae[i].sae];

		m->n_saes = i + 1;
		if (recorded_sae(&m->sae[i], &saes->v[i],
			    named(o, sae->name, run->n_saes), sae->hash, path, e) < 0)
			return e->code;
	}
	m->n_vocab = lm_info(m->lm)->n_vocab;
	if (tok_n_vocab(m->tok) < m->n_vocab)
		m->n_vocab = (uint32_t)tok_n_vocab(m->tok);
	add_hooks(m);
	return 0;
}

int
merge_model_open(struct merge_model *m, const struct options *o,
	const struct store_catalog *c, uint32_t run, const struct value *provenance,
	struct err *e)
{
	struct err why = ERR_INIT;
	int rc;

	*m = (struct merge_model){0};
	if (check_names(o, c, &c->run[run], e) < 0)
		return e->code;
	rc = open_all(m, o, c, &c->run[run], provenance, &why);
	if (rc == 0)
		return 0;
	if (rc == ERR_NOMEM || o->model != NULL || o->sae.n > 0) {
		*e = why;
		return rc;
	}
	merge_model_clear(m);
	log_put(LOG_WARNING,
		"%s; explained variance, squared error and logit effects are not known "
		"then: name the model with --model, and SAEs with --sae NAME=DIR, to "
		"have them",
		why.text);
	return 0;
}

void
merge_model_clear(struct merge_model *m)
{
	for (uint32_t i = 0; i < m->n_saes; i++)
		sae_close(m->sae[i]);
	tok_close(m->tok);
	lm_close(m->lm);
	*m = (struct merge_model){0};
}
