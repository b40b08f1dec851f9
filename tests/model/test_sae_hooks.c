/* SPDX-License-Identifier: ISC */
/* Where SAEs read and write, by every name and path that families give it. */
#include "model/sae.h"
#include "tests/model/fixture.h"

/* A file of a fixture at dir/to in scratch; makes dir. */
static void
lay(const char *from, const char *dir, const char *to)
{
	char path[PATH_BYTES], part[PATH_BYTES] = "";
	struct err e = ERR_INIT;

	for (const char *p = dir; p; p = strchr(p + 1, '/')) {
		const char *end = strchr(p + 1, '/');

		snprintf(part, sizeof(part), "%.*s",
			(int)(end ? (size_t)(end - dir) : strlen(dir)), dir);
		if (!file_exists(at(part)))
			assert_int_equal(dir_make(at(part), &e), 0);
	}
	assert_int_equal(path_join(path, &e, "%s/%s", dir, to), 0);
	copy_fixture(from, path);
}

static void
fresh(void)
{
	struct err e = ERR_INIT;

	assert_int_equal(dir_remove(scratch, &e), 0);
	assert_int_equal(dir_make(scratch, &e), 0);
}

/* The SAE in dir reads hook and, if it is a transcoder, gives out. hook NULL: it is
 * refused, and the error says out. */
static void
expect_hook(const char *dir, const char *hook, const char *out)
{
	struct err e = ERR_INIT;
	struct sae *s = NULL;
	int rc = sae_open(&s, at(dir), &e);

	if (!hook) {
		if (rc == 0 || !strstr(e.text, out))
			fail_msg("%s: \"%s\", not %s", dir, e.text, out);
		return;
	}
	if (rc < 0)
		fail_msg("%s: %s", dir, e.text);
	if (strcmp(s->info.hook.name, hook) != 0)
		fail_msg("%s reads %s, not %s", dir, s->info.hook.name, hook);
	assert_int_equal(s->info.transcoder, out != NULL);
	if (out && strcmp(s->info.hook_out.name, out) != 0)
		fail_msg("%s gives %s, not %s", dir, s->info.hook_out.name, out);
	sae_close(s);
}

/* ---- Gemma Scope --------------------------------------------------------------- */

#define RES \
	"fam-gemma-scope-2b-pt-res/gemma-scope-2b-pt-res/layer_1/width_16k/" \
	"average_l0_5"

static void
test_gemma(void **state)
{
	static const struct {
		const char *repo, *hook, *out, *model;
	} repos[] = {
		{"gemma-scope-2b-pt-res", "blocks.3.hook_resid_post", NULL,
			"google/gemma-2-2b"},
		{"gemma-scope-9b-pt-mlp", "blocks.3.hook_mlp_out", NULL,
			"google/gemma-2-9b"},
		{"gemma-scope-27b-pt-att", "blocks.3.attn.hook_z", NULL,
			"google/gemma-2-27b"},
		{"gemma-scope-9b-it-res", "blocks.3.hook_resid_post", NULL,
			"google/gemma-2-9b-it"},
		{"gemma-scope-2b-pt-transcoders", "blocks.3.ln2.hook_normalized",
			"blocks.3.hook_mlp_out", "google/gemma-2-2b"},
	};
	struct err e = ERR_INIT;
	struct sae *s;
	char dir[PATH_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(repos) / sizeof(repos[0]); i++) {
		fresh();
		assert_int_equal(path_join(dir, &e, "%s/layer_3/width_16k/average_l0_7",
					 repos[i].repo),
			0);
		lay(RES "/params.safetensors", dir, "params.safetensors");
		expect_hook(dir, repos[i].hook, repos[i].out);
		assert_int_equal(sae_open(&s, at(dir), &e), 0);
		assert_string_equal(s->info.model_name, repos[i].model);
		assert_false(s->info.subtract_b_dec);
		assert_true(s->info.prepend_bos);
		sae_close(s);
	}
}

static void
test_gemma_refused(void **state)
{
	const struct sae_options o = {.hook = "blocks.0.hook_resid_pre"};
	static const char dir[] =
		"gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6";
	struct err e = ERR_INIT;
	struct sae *s;

	(void)state;
	fresh();
	lay(RES "/params.safetensors", dir, "params.safetensors");
	expect_hook(dir, NULL, "hook_embed");
	assert_int_equal(sae_open_with(&s, at(dir), &o, &e), ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "embeddings"));
	fresh(); /* a transcoder between two widths, in the directory of an SAE */
	lay("fam-gemma-scope-2-transcoder/transcoder/layer_1_width_16k_l0_small/"
	    "params.safetensors",
		"resid_post/layer_1_width_16k_l0_small", "params.safetensors");
	expect_hook("resid_post/layer_1_width_16k_l0_small", NULL, "no transcoder");
}

/* ---- Gemma Scope 2, and Hugging Face's modules ------------------------------------ */

#define RES2 "fam-gemma-scope-2-resid-post/resid_post/layer_1_width_16k_l0_small/"

/* Where no config.json lies beside, the directory tells. */
static void
test_gemma2_dirs(void **state)
{
	static const char *const dirs[][3] = {
		{"resid_post", "blocks.7.hook_resid_post", NULL},
		{"attn_out", "blocks.7.attn.hook_z", NULL},
		{"mlp_out", "blocks.7.hook_mlp_out", NULL},
		{"resid_post_all", "blocks.7.hook_resid_post", NULL},
		{"transcoder", "blocks.7.mlp.hook_in", "blocks.7.hook_mlp_out"},
		{"transcoder_all", "blocks.7.mlp.hook_in", "blocks.7.hook_mlp_out"},
	};
	struct err e = ERR_INIT;
	char dir[PATH_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		fresh();
		assert_int_equal(path_join(dir, &e, "%s/layer_7_width_16k_l0_medium",
					 dirs[i][0]),
			0);
		lay(RES2 "params.safetensors", dir, "params.safetensors");
		expect_hook(dir, dirs[i][1], dirs[i][2]);
	}
}

static void
test_modules(void **state)
{
	static const char *const modules[][2] = {
		{"model.layers.4.output", "blocks.4.hook_resid_post"},
		{"model.layers.4.input", "blocks.4.hook_resid_pre"},
		{"language_model.layers.4.output", "blocks.4.hook_resid_post"},
		{"language_model.model.layers.4", "blocks.4.hook_resid_post"},
		{"model.language_model.layers.4.input", "blocks.4.hook_resid_pre"},
		{"language_model.model.layers.4.input", "blocks.4.hook_resid_pre"},
		{"language_model.layers.4", "blocks.4.hook_resid_post"},
		{"gpt_neox.layers.4.input", "blocks.4.hook_resid_pre"},
		{"gpt_neox.layers.4.mlp.input", "blocks.4.mlp.hook_in"},
		{"transformer.h.4.mlp.input", "blocks.4.mlp.hook_in"},
		{"h.4.input", "blocks.4.hook_resid_pre"},
		{"model.layers.4.self_attn.o_proj.input", "blocks.4.attn.hook_z"},
		{"language_model.layers.4.self_attn.o_proj.input",
			"blocks.4.attn.hook_z"},
		{"model.layers.4.post_feedforward_layernorm.output",
			"blocks.4.hook_mlp_out"},
		{"model.layers.4.pre_feedforward_layernorm.output",
			"blocks.4.mlp.hook_in"},
		{"language_model.layers.4.mlp", "blocks.4.hook_mlp_out"},
		{"language_model.layers.4.mlp.output", "blocks.4.hook_mlp_out"},
		{"language_model.layers.4.self_attn", "blocks.4.hook_attn_out"},
		{"model.layers.4.mlp.output", "layers.4.mlp"},
		{"model.layers.4.self_attn.output", "layers.4.self_attn"},
		{"transformer.h.4.attn.output", "layers.4.self_attn"},
		{"gpt_neox.layers.4.attention.output", "layers.4.self_attn"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		fresh();
		lay(RES2 "params.safetensors", "x", "params.safetensors");
		lay(RES2 "config.json", "x", "config.json");
		edit_file("x/config.json", "model.layers.1.output", modules[i][0]);
		expect_hook("x", modules[i][1], NULL);
	}
}

/* ---- the others ---------------------------------------------------------------------- */

static void
test_dictionary(void **state)
{
	static const struct {
		const char *what, *by, *hook;
	} edits[] = {
		{"\"io\": \"out\"", "\"io\": \"in\"", "blocks.1.hook_resid_pre"},
		{"null", "\"mlp\"", "layers.1.mlp"},
		{"null", "\"attn\"", "layers.1.self_attn"},
		{"null", "\"resid_post_layer_1\"", "blocks.1.hook_resid_post"},
		{"null", "\"model.layers.6\"", "blocks.6.hook_resid_post"},
		{"null", "\"transformer.h.6.mlp\"", "layers.6.mlp"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		fresh();
		lay("fam-dictionary-new/ae.safetensors", "x", "ae.safetensors");
		lay("fam-dictionary-new/config.json", "x", "config.json");
		edit_file("x/config.json", edits[i].what, edits[i].by);
		expect_hook("x", edits[i].hook, NULL);
	}
	edit_file("x/config.json", "\"io\": \"out\"", "\"io\": \"in\"");
	expect_hook("x", "blocks.6.mlp.hook_in", NULL);
}

static void
test_sparsify(void **state)
{
	static const char *const dirs[][2] = {
		{"layers.3", "blocks.3.hook_resid_post"},
		{"h.3", "blocks.3.hook_resid_post"},
		{"layers.3.mlp", "layers.3.mlp"},
		{"layers.3.attention", "layers.3.self_attn"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		fresh();
		lay("fam-sparsify-topk/run/layers.1/sae.safetensors", dirs[i][0],
			"sae.safetensors");
		lay("fam-sparsify-topk/run/layers.1/cfg.json", dirs[i][0], "cfg.json");
		expect_hook(dirs[i][0], dirs[i][1], NULL);
	}
	fresh();
	lay("fam-sparsify-transcoder/run/h.1.mlp/sae.safetensors", "h.3.mlp",
		"sae.safetensors");
	lay("fam-sparsify-transcoder/run/h.1.mlp/cfg.json", "h.3.mlp", "cfg.json");
	expect_hook("h.3.mlp", "blocks.3.mlp.hook_in", "layers.3.mlp");
	fresh();
	lay("fam-sparsify-topk/run/layers.1/sae.safetensors", "embed_tokens",
		"sae.safetensors");
	lay("fam-sparsify-topk/run/layers.1/cfg.json", "embed_tokens", "cfg.json");
	expect_hook("embed_tokens", NULL, "embed_tokens");
}

static void
test_openai(void **state)
{
	static const char *const places[][2] = {
		{"resid_delta_attn", "blocks.8.hook_attn_out"},
		{"resid_delta_mlp", "blocks.8.hook_mlp_out"},
		{"resid_post_attn", "blocks.8.hook_resid_mid"},
		{"resid_post_mlp", "blocks.8.hook_resid_post"},
		{"mlp_post_act", NULL},
	};
	struct err e = ERR_INIT;
	char dir[PATH_BYTES];
	struct sae *s;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		fresh();
		assert_int_equal(path_join(dir, &e, "%s_v5_32k/autoencoders",
					 places[i][0]),
			0);
		lay("fam-openai-v5/resid_post_mlp_v5_32k/autoencoders/1.safetensors",
			dir, "8.safetensors");
		expect_hook(dir, places[i][1], places[i][1] ? NULL : "mlp.hook_post");
		if (!places[i][1])
			continue;
		assert_int_equal(sae_open(&s, at(dir), &e), 0);
		assert_int_equal(s->info.context_size, 64);
		assert_false(s->info.prepend_bos || s->info.center);
		sae_close(s);
	}
}

static void
test_saelens(void **state)
{
	static const char *const edits[][3] = {
		{"\"hook_point\": \"blocks.0.hook_mlp_out\"",
			"\"hook_point\": \"model.layers.2\"",
			"blocks.2.hook_resid_post"},
		{"\"hook_point\"", "\"hook_name\"", "blocks.0.hook_mlp_out"},
		{"\"hook_point_head_index\": null", "\"hook_point_head_index\": 2",
			NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		fresh();
		lay("fam-saelens-old-points/sae_weights.safetensors", "x",
			"sae_weights.safetensors");
		lay("fam-saelens-old-points/cfg.json", "x", "cfg.json");
		edit_file("x/cfg.json", edits[i][0], edits[i][1]);
		expect_hook("x", edits[i][2],
			edits[i][2] ? NULL : "hook_point_head_index");
	}
}

/* hook_mlp_in is before the norm, unless Hugging Face's module says where it is. */
static void
test_saelens_hf(void **state)
{
	static const struct {
		const char *hook, *hf, *reads;
	} cases[] = {
		{"blocks.1.hook_mlp_in", NULL, "blocks.1.hook_mlp_in"},
		{"blocks.1.hook_mlp_in", "null", "blocks.1.hook_mlp_in"},
		{"blocks.1.hook_mlp_in",
			"\"model.layers.1.pre_feedforward_layernorm.output\"",
			"blocks.1.mlp.hook_in"},
		{"blocks.1.hook_mlp_in",
			"\"model.language_model.layers.1.pre_feedforward_layernorm."
			"output\"",
			"blocks.1.mlp.hook_in"},
		{"blocks.1.hook_mlp_in", "\"model.layers.1.q_proj\"", NULL},
		{"blocks.1.hook_resid_mid", "\"model.layers.1\"",
			"blocks.1.hook_resid_mid"},
	};
	char by[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fresh();
		lay("fam-saelens-jumprelu-transcoder/sae_weights.safetensors", "x",
			"sae_weights.safetensors");
		lay("fam-saelens-jumprelu-transcoder/cfg.json", "x", "cfg.json");
		snprintf(by, sizeof(by), "%s\"%s%s", cases[i].hook,
			cases[i].hf ? ", \"hf_hook_name\": " : "",
			cases[i].hf ? cases[i].hf : "");
		edit_file("x/cfg.json", "blocks.1.hook_resid_mid\"", by);
		expect_hook("x", cases[i].reads,
			cases[i].reads ? "blocks.1.hook_mlp_out" : "hf_hook_name");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gemma),
		cmocka_unit_test(test_gemma_refused),
		cmocka_unit_test(test_gemma2_dirs),
		cmocka_unit_test(test_modules),
		cmocka_unit_test(test_dictionary),
		cmocka_unit_test(test_sparsify),
		cmocka_unit_test(test_openai),
		cmocka_unit_test(test_saelens),
		cmocka_unit_test(test_saelens_hf),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
