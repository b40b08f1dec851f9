/* SPDX-License-Identifier: ISC */
#include "indexer/formats.h"

#include "model/lm.h"
#include "model/sae.h"
#include "model/tensors.h"
#include "model/tok.h"

#include <stdio.h>
#include <string.h>

static bool
same_row(const struct lm_kind *a, const struct lm_kind *b)
{
	return a && b && strcmp(a->models, b->models) == 0 &&
		(a->parallel != NULL) == (b->parallel != NULL);
}

/* One row for the families that people call alike. */
static void
print_models(void)
{
	const struct lm_kind *k;

	printf("| models | `model_type` | hooks |\n|---|---|---|\n");
	for (size_t i = 0; (k = lm_kind_at(i)); i++) {
		printf("| %s | `%s`", k->models, k->model_type);
		for (; same_row(k, lm_kind_at(i + 1)); i++)
			printf(", `%s`", lm_kind_at(i + 1)->model_type);
		if (k->parallel)
			printf(" | all; `hook_resid_mid` if `%s` is false |\n",
				k->parallel);
		else
			printf(" | all |\n");
	}
}

static void
print_saes(void)
{
	printf("| SAEs | known by | loaded |\n|---|---|---|\n");
	const struct sae_family *f;

	for (size_t i = 0; (f = sae_family_at(i)) != NULL; i++)
		printf("| %s | `%s` | %s |\n", f->name, f->needs, f->kinds);
}

static void
print_part(const char *what, enum tok_part part)
{
	const char *name;

	for (size_t i = 0; (name = tok_known_at(part, i)); i++)
		printf("%s%s", i > 0 ? ", " : what, name);
}

static void
print_lists(void)
{
	const char *name;

	for (size_t i = 0; (name = hook_name_at(i)); i++)
		printf("%s`%s`", i > 0 ? ", " : "- Hooks: ", name);
	print_part("\n- Tokenizers: ", TOK_MODELS);
	print_part(" from ", TOK_FILES);
	print_part("; normalizers ", TOK_NORMALIZERS);
	print_part("; pre-tokenizers ", TOK_PRE_TOKENIZERS);
	print_part("; post-processors ", TOK_POST_PROCESSORS);
	print_part("; decoders ", TOK_DECODERS);
	for (size_t i = 0; (name = tensors_container_at(i)); i++)
		printf("%s%s", i > 0 ? ", " : "\n- Files of tensors: ", name);
	printf("\n");
}

int
formats_run(const struct options *o, struct err *e)
{
	(void)o;
	(void)e;
	print_models();
	printf("\n");
	print_saes();
	printf("\n");
	print_lists();
	return 0;
}
