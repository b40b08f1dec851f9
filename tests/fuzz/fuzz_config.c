/* SPDX-License-Identifier: ISC */
/*
 * The config.json of a language model, beside weights that are as they should be:
 * refused, or the model runs; and refused or described, as a head. The first byte
 * tells the family.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/place.h"

#include "model/lm.h"
#include "util/mem.h"

#define WEIGHTS "config.json", "model.safetensors"

static const struct place families[] = {
	{WEIGHTS, "lm-f32"},
	{WEIGHTS, "lm-llama"},
	{WEIGHTS, "lm-gemma3"},
	{WEIGHTS, "lm-neox"},
	{WEIGHTS, "lm-neo"},
};

enum { N = sizeof(families) / sizeof(families[0]), TOKENS = 6 };

static void
forward(const struct lm *m)
{
	const struct lm_info *n = lm_info(m);
	struct err e = ERR_INIT;
	struct lm_work *w = NULL;
	uint32_t ids[TOKENS];
	size_t tokens = n->n_ctx < TOKENS ? n->n_ctx : TOKENS;
	float *logits = mem_new(n->n_vocab, TOKENS * sizeof(*logits));

	if (!logits || tokens == 0 || n->n_vocab == 0)
		abort();
	for (size_t i = 0; i < TOKENS; i++)
		ids[i] = (uint32_t)(i * 5 % n->n_vocab);
	if (lm_work_new(&w, m, tokens, &e) == 0)
		lm_logits(m, w, ids, tokens, logits, &e);
	lm_work_free(w);
	mem_free(logits);
}

/* What it says of a hook holds whatever the config says. */
static void
describe(const char *path)
{
	static const struct hook z = {.site = HOOK_Z};
	struct err e = ERR_INIT;
	uint8_t hash[32];
	struct lm *m;

	if (lm_open_head(&m, path, &e) < 0) {
		if (e.text[0] == '\0' || e.code >= 0)
			abort();
		return;
	}
	if (lm_can_run(m) || lm_sha256(m, hash, &e) < 0 ||
		(lm_check_hook(m, &z, &e) == 0) != (lm_hook_width(m, &z) > 0))
		abort();
	lm_close(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	struct err e = ERR_INIT;
	char path[PATH_BYTES];
	struct lm *m;

	if (!place_config(families, N, p, n_bytes, path))
		return 0;
	describe(path);
	if (lm_open(&m, path, &e) < 0) {
		if (e.text[0] == '\0' || e.code >= 0)
			abort();
		return 0;
	}
	forward(m);
	lm_close(m);
	return 0;
}
