/* SPDX-License-Identifier: ISC */
/*
 * The config of an SAE, beside weights that are as they should be: refused, or the
 * SAE encodes. The first byte tells the family.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/place.h"

#include "model/sae.h"
#include "util/mem.h"

#include <stdlib.h>

static const struct place families[] = {
	{"cfg.json", "sae_weights.safetensors", "fam-saelens-jumprelu-skip-transcoder"},
	{"cfg.json", "sae.safetensors", "fam-sparsify-topk/run/layers.1"},
	{"config.json", "ae.safetensors", "fam-dictionary-topk"},
	{"hyperparams.json", "checkpoints/final.safetensors", "fam-llama-scope"},
	{"config.json", "sae_weights.safetensors", "fam-llamascopium/sae"},
	{"config.json", "params.safetensors",
		"fam-gemma-scope-2-resid-post/resid_post/layer_1_width_16k_l0_small"},
	{"config.yaml", "layer_1.safetensors", "fam-circuit-topk/set"},
	{"config.json", "params_layer_1.safetensors",
		"fam-clt-gemma/clt/width_262k_l0_big"},
};

enum { N = sizeof(families) / sizeof(families[0]) };

static void
encode(const struct sae *s)
{
	float *x = mem_new(s->info.d_in, sizeof(*x));
	float *f = mem_new(s->info.d_sae, sizeof(*f));

	if (!x || !f || sae_kind_name(s->info.kind) == NULL)
		abort();
	for (size_t i = 0; i < s->info.d_in; i++)
		x[i] = (float)i;
	sae_encode_plain(s, x, f);
	mem_free(x);
	mem_free(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	const struct sae_options own = {.hook = "blocks.1.hook_resid_post"};
	struct err e = ERR_INIT;
	char path[PATH_BYTES];
	struct sae *s;

	if (!place_config(families, N, p, n_bytes, path))
		return 0;
	if (sae_open_with(&s, path, p[0] & 64 ? &own : NULL, &e) < 0) {
		if (e.text[0] == '\0' || e.code >= 0)
			abort();
		return 0;
	}
	encode(s);
	sae_close(s);
	return 0;
}
