/* SPDX-License-Identifier: ISC */
#include "tests/model/head_session.h"
#include "util/hash.h"

/* ---- families ---------------------------------------------------------------- */

static const char *const families[] = {"lm-f32", "lm-f16-bare", "lm-sharded", "lm-long",
	"lm-llama", "lm-llama-v4", "lm-llama-dynamic", "lm-mistral", "lm-mistral-long",
	"lm-qwen2", "lm-qwen2-v4", "lm-qwen3", "lm-neox", "lm-neox-serial", "lm-gemma",
	"lm-gemma2", "lm-gemma2-v4", "lm-gemma3", "lm-gemma3-v4", "lm-gemma3-images",
	"lm-neo", "lm-neo-global", "lm-lean-llama", "lm-lean-mistral", "lm-lean-qwen2",
	"lm-lean-qwen3", "lm-lean-neox", "lm-lean-gemma", "lm-lean-gemma2",
	"lm-lean-gemma3"};

#define N_FAMILIES (sizeof(families) / sizeof(families[0]))

static void
same_info(const struct lm *a, const struct lm *b)
{
	const struct lm_info *x = lm_info(a), *y = lm_info(b);

	assert_string_equal(x->family, y->family);
	assert_string_equal(x->architecture, y->architecture);
	assert_int_equal(x->n_layers, y->n_layers);
	assert_int_equal(x->d_model, y->d_model);
	assert_int_equal(x->n_heads, y->n_heads);
	assert_int_equal(x->d_head, y->d_head);
	assert_int_equal(x->n_ctx, y->n_ctx);
	assert_int_equal(x->n_vocab, y->n_vocab);
}

/* Every hook of every layer, and the one behind. */
static void
same_hooks(const struct lm *a, const struct lm *b)
{
	struct err e = ERR_INIT;
	const char *name;

	for (uint32_t layer = 0; layer <= lm_info(a)->n_layers; layer++)
		for (size_t i = 0; (name = hook_name_at(i)) != NULL; i++) {
			char full[96];
			struct hook h;

			snprintf(full, sizeof(full), "blocks.%u.%s", layer, name);
			h = hook_of(full);
			assert_int_equal(lm_check_hook(a, &h, &e),
				lm_check_hook(b, &h, &e));
			assert_int_equal(lm_hook_width(a, &h), lm_hook_width(b, &h));
			assert_int_equal(lm_has_directions(a, &h), h.site != HOOK_Z);
			assert_true(lm_has_directions(b, &h));
		}
}

static void
test_families(void **state)
{
	uint8_t one[32], other[32];
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < N_FAMILIES; i++) {
		struct lm *h = head(fixture(families[i]));
		struct lm *m = whole(fixture(families[i]));
		size_t d = lm_info(m)->d_model, n = d * lm_info(m)->n_vocab;

		same_info(h, m);
		same_hooks(h, m);
		assert_string_equal(lm_info(h)->dtype_file, lm_info(m)->dtype_file);
		assert_true(lm_has_unembed(h) && lm_has_unembed(m));
		assert_memory_equal(lm_unembed(h), lm_unembed(m), n * sizeof(float));
		assert_memory_equal(lm_final_gain(h), lm_final_gain(m),
			d * sizeof(float));
		assert_int_equal(lm_info(h)->n_params, n + d);
		assert_true(lm_info(m)->n_params > n + d);
		assert_int_equal(lm_sha256(h, one, &e), 0);
		assert_int_equal(lm_sha256(m, other, &e), 0);
		assert_memory_equal(one, other, 32);
		lm_close(h);
		lm_close(m);
	}
}

static void
test_without_weights(void **state)
{
	static const uint8_t none[32] = {0};
	uint8_t hash[32], want[32];
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < N_FAMILIES; i++) {
		struct lm *m = whole(fixture(families[i])), *h;

		only_config_of(families[i]);
		h = head(scratch);
		same_info(h, m);
		same_hooks(h, m);
		assert_false(lm_has_unembed(h));
		assert_null(lm_unembed(h));
		assert_null(lm_final_gain(h));
		assert_int_equal(lm_info(h)->n_params, 0);
		assert_string_equal(lm_info(h)->dtype_file, "");
		assert_int_equal(sha256_file(at("config.json"), want, &e), 0);
		assert_int_equal(lm_sha256(h, hash, &e), 0);
		assert_memory_equal(hash, want, 32);
		assert_memory_not_equal(hash, none, 32);
		assert_int_equal(lm_open(&m, scratch, &e), ERR_NOTFOUND);
		lm_close(h);
		lm_close(m);
	}
}

/* Against transformers: the saedb_head that it wrote of the same model. */
static void
test_against_transformers(void **state)
{
	static const char *const names[] = {"llama", "gemma2", "gemma3", "neox",
		"neo-global"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char family[64], other[64];
		struct lm *a, *b;
		size_t d;

		snprintf(family, sizeof(family), "lm-%s", names[i]);
		snprintf(other, sizeof(other), "head-%s", names[i]);
		a = head(fixture(family));
		b = head(fixture(other));
		d = lm_info(a)->d_model;
		assert_int_equal(lm_info(b)->d_model, d);
		assert_int_equal(lm_info(b)->n_layers, lm_info(a)->n_layers);
		assert_int_equal(lm_info(b)->n_vocab, lm_info(a)->n_vocab);
		assert_int_equal(lm_info(b)->n_ctx, lm_info(a)->n_ctx);
		assert_string_equal(lm_info(b)->family, "saedb_head");
		assert_memory_equal(lm_unembed(a), lm_unembed(b),
			d * lm_info(a)->n_vocab * sizeof(float));
		assert_memory_equal(lm_final_gain(a), lm_final_gain(b),
			d * sizeof(float));
		lm_close(a);
		lm_close(b);
	}
}

static void
test_cannot_run(void **state)
{
	uint32_t ids[1] = {0}, window[2] = {0, 1};
	struct hook h = hook_of("blocks.0.hook_resid_post");
	static const char *const dirs[] = {"lm-llama", "head-llama"};
	struct err e = ERR_INIT;
	struct lm_work *w = NULL;
	float out[64], *at_hook = out;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct lm *m = head(fixture(dirs[i]));

		assert_int_equal(lm_work_bytes(m, 100), 0);
		assert_int_equal(lm_work_new(&w, m, 1, &e), ERR_UNSUPPORTED);
		assert_non_null(strstr(e.text, dirs[i]));
		assert_int_equal(lm_forward(m, NULL, ids, window, 1, &h, 1, &at_hook,
					 &e),
			ERR_UNSUPPORTED);
		assert_int_equal(lm_logits(m, NULL, ids, 1, out, &e), ERR_UNSUPPORTED);
		lm_close(m);
	}
	assert_null(w);
}

/* lm_open says what to do instead. */
static void
test_not_whole(void **state)
{
	struct err e = ERR_INIT;
	struct lm *m = NULL;

	(void)state;
	assert_int_equal(lm_open(&m, fixture("head-llama"), &e), ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "saedb_head"));
	assert_non_null(strstr(e.text, "--activations"));
	assert_non_null(strstr(e.text, "--latents"));
	for (size_t i = 0; lm_kind_at(i); i++)
		assert_string_not_equal(lm_kind_at(i)->model_type, LM_HEAD_TYPE);
}

/* What saedb cannot run, a head need not. */
static void
test_cannot_be_run(void **state)
{
	struct lm *m, *whole_one = whole(fixture("lm-gemma3"));
	size_t d = lm_info(whole_one)->d_model;

	(void)state;
	copy_fixture("lm-gemma3/model.safetensors", "model.safetensors");
	copy_fixture("lm-gemma3/config.json", "config.json");
	edit_file("config.json", "\"rope_type\": \"linear\"",
		"\"rope_type\": \"longrope\"");
	m = head(scratch);
	assert_int_equal(lm_info(m)->d_model, d);
	assert_memory_equal(lm_final_gain(m), lm_final_gain(whole_one),
		d * sizeof(float));
	assert_memory_equal(lm_unembed(m), lm_unembed(whole_one),
		d * lm_info(m)->n_vocab * sizeof(float));
	lm_close(m);
	lm_close(whole_one);
	copy_fixture("lm-llama/model.safetensors", "model.safetensors");
	copy_fixture("lm-llama/config.json", "config.json");
	edit_file("config.json", "\"use_cache\": true",
		"\"quantization_config\": {\"quant_method\": \"awq\"}");
	m = head(scratch);
	assert_true(lm_has_unembed(m));
	lm_close(m);
	edit_file("config.json", "\"hidden_act\": \"silu\"",
		"\"hidden_act\": \"relu2\"");
	edit_file("config.json", "\"num_hidden_layers\": 3",
		"\"num_hidden_layers\": 2");
	refuses(ERR_MISMATCH, "layers.2.input_layernorm.weight");
}

/* ---- some of the files --------------------------------------------------------- */

static void
shards_are(unsigned which)
{
	char name[64], from[96];

	only_config_of("lm-sharded");
	copy_fixture("lm-sharded/model.safetensors.index.json",
		"model.safetensors.index.json");
	for (unsigned i = 1; i <= 3; i++) {
		if (!(which >> i & 1))
			continue;
		snprintf(name, sizeof(name), "model-0000%u-of-00003.safetensors", i);
		snprintf(from, sizeof(from), "lm-sharded/%s", name);
		copy_fixture(from, name);
	}
}

static void
test_shards(void **state)
{
	struct lm *m = whole(fixture("lm-sharded")), *h;
	size_t d = lm_info(m)->d_model, n = d * lm_info(m)->n_vocab, n_with = 0;
	uint8_t hash[8][32];
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned which = 0; which < 8; which++) {
		shards_are(which << 1);
		h = head(scratch);
		same_info(h, m);
		if (lm_has_unembed(h)) {
			n_with++;
			assert_memory_equal(lm_unembed(h), lm_unembed(m),
				n * sizeof(float));
		}
		if (lm_final_gain(h))
			assert_memory_equal(lm_final_gain(h), lm_final_gain(m),
				d * sizeof(float));
		assert_int_equal(lm_sha256(h, hash[which], &e), 0);
		for (unsigned i = 0; i < which; i++)
			assert_memory_not_equal(hash[i], hash[which], 32);
		lm_close(h);
	}
	assert_int_equal(n_with, 4); /* one of three shards has it */
	lm_close(m);
	/* a shard that is there must hold what the index says */
	shards_are(2);
	edit_file("model.safetensors.index.json", "transformer.h.0.ln_1.bias",
		"transformer.h.0.ln_9.bias");
	refuses(ERR_MISMATCH, "transformer.h.0.ln_9.bias");
	only_config_of("lm-sharded");
	put_file(at("pytorch_model.bin.index.json"), "{}", 2);
	refuses(ERR_UNSUPPORTED, "pickled shards");
	only_config_of("lm-sharded");
	put_file(at("model.safetensors"), "x", 1);
	refuses(ERR_FORMAT, "model.safetensors");
}

/* lm-llama is not tied: 37 rows of 16 floats. */
static void
test_parts_of_weights(void **state)
{
	struct lm *m;

	(void)state;
	only_config_of("lm-llama");
	put_weights("{" T("model.norm.weight", "F32", "[16]", "0", "64") "}", 64);
	m = head(scratch);
	assert_false(lm_has_unembed(m));
	assert_non_null(lm_final_gain(m));
	lm_close(m);
	put_weights("{" T("lm_head.weight", "BF16", "[37,16]", "0", "1184") "}", 1184);
	m = head(scratch);
	assert_true(lm_has_unembed(m));
	assert_null(lm_final_gain(m));
	assert_string_equal(lm_info(m)->dtype_file, "BF16");
	lm_close(m);
	/* not tied: the embedding does not stand for it */
	put_weights("{" T("model.embed_tokens.weight", "F32", "[37,16]", "0",
			    "2368") "}",
		2368);
	m = head(scratch);
	assert_false(lm_has_unembed(m));
	lm_close(m);
	edit_file("config.json", "\"tie_word_embeddings\": false",
		"\"tie_word_embeddings\": true");
	m = head(scratch);
	assert_true(lm_has_unembed(m));
	lm_close(m);
	/* tied, and saved by its other name */
	put_weights("{" T("lm_head.weight", "F32", "[37,16]", "0", "2368") "}", 2368);
	m = head(scratch);
	assert_true(lm_has_unembed(m));
	lm_close(m);
	put_weights("{" T("lm_head.weight", "F32", "[36,16]", "0", "2304") "}", 2304);
	refuses(ERR_MISMATCH, "(36, 16)");
	put_weights("{" T("lm_head.weight", "I8", "[37,16]", "0", "592") "}", 592);
	refuses(ERR_UNSUPPORTED, "I8");
	put_weights("{" T("model.norm.weight", "U8", "[16]", "0", "16") "}", 16);
	refuses(ERR_UNSUPPORTED, "U8");
	put_weights("{" T("model.norm.weight", "F32", "[17]", "0", "68") "}", 68);
	refuses(ERR_MISMATCH, "(17)");
}

/* ---- memory ----------------------------------------------------------------------- */

static void
sweep(const char *dir)
{
	struct err e = ERR_INIT;
	int rc = -1;

	for (long n = 0; rc < 0; n++) {
		struct lm *m = NULL;

		mem_fail_at(n);
		rc = lm_open_head(&m, dir, &e);
		mem_fail_at(-1);
		if (rc < 0 && rc != ERR_NOMEM)
			fail_msg("allocation %ld: %d %s", n, rc, e.text);
		lm_close(m);
		assert_true(n < 10000);
	}
}

static void
test_sweep(void **state)
{
	(void)state;
	sweep(fixture("head-gemma2"));
	sweep(fixture("lm-gemma3"));
	sweep(fixture("lm-llama"));
	shards_are(4);
	sweep(scratch);
	only_config_of("lm-gemma3");
	edit_file("config.json", "\"rope_type\": \"linear\"",
		"\"rope_type\": \"longrope\"");
	sweep(scratch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_without_weights),
		cmocka_unit_test(test_against_transformers),
		cmocka_unit_test(test_cannot_run),
		cmocka_unit_test(test_not_whole),
		cmocka_unit_test(test_cannot_be_run),
		cmocka_unit_test(test_shards),
		cmocka_unit_test(test_parts_of_weights),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
