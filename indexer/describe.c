/* SPDX-License-Identifier: ISC */
#include "indexer/describe.h"

#include "util/hash.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void
describe_sae(struct cat_sae *out, const struct plan *p, const struct plan_sae *s)
{
	const struct sae_info *info = &s->sae->info;

	*out = (struct cat_sae){.d_in = info->d_in,
		.d_out = info->d_out,
		.d_sae = info->d_sae,
		.k = info->k,
		.context = info->context_size,
		.prepend_bos = info->prepend_bos,
		.created_s = (int64_t)time(NULL)};
	memcpy(out->hash, s->sae->hash, sizeof(out->hash));
	strcpy(out->id, s->id);
	strcpy(out->name, s->name);
	strcpy(out->model_id, p->model_id);
	strcpy(out->hook, s->stream);
	strcpy(out->family, info->family);
	strcpy(out->architecture, info->architecture);
	strcpy(out->rules, info->rules);
	snprintf(out->kind, sizeof(out->kind), "%s", sae_kind_name(info->kind));
	hash_hex(s->sae->file_hash, 32, out->weights_sha256);
}

void
describe_model(struct cat_model *m, const struct plan *p)
{
	const struct lm_info *lm = lm_info(p->lm);

	*m = (struct cat_model){.n_layers = lm->n_layers,
		.d_model = lm->d_model,
		.n_vocab = lm->n_vocab,
		.n_ctx = lm->n_ctx,
		.n_params = lm_can_run(p->lm) ? lm->n_params : 0,
		.created_s = (int64_t)time(NULL)};
	strcpy(m->id, p->model_id);
	strcpy(m->name, p->model_name);
	snprintf(m->family, sizeof(m->family), "%s", lm->family);
	snprintf(m->architecture, sizeof(m->architecture), "%s", lm->architecture);
	snprintf(m->dtype_file, sizeof(m->dtype_file), "%s", lm->dtype_file);
	strcpy(m->weights_sha256, p->weights_sha256);
	strcpy(m->tokenizer_sha256, p->tokenizer_sha256);
}
