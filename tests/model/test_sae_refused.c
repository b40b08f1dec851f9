/* SPDX-License-Identifier: ISC */
/* What contradicts itself, or is not supported, in the files of SAEs. */
#include "model/sae.h"
#include "tests/model/fixture.h"

static void
scratch_clean(void)
{
	struct err e = ERR_INIT;

	assert_int_equal(dir_remove(scratch, &e), 0);
	assert_int_equal(dir_make(scratch, &e), 0);
}

static void
expect_open(const char *path, const struct sae_options *o, int code, const char *says)
{
	struct err e = ERR_INIT;
	struct sae *s = NULL;
	int rc = sae_open_with(&s, path, o, &e);

	if (rc == 0)
		sae_close(s);
	if (rc != code || (says && !strstr(e.text, says)))
		fail_msg("%d \"%s\", not %d %s", rc, e.text, code, says ? says : "");
}

/* The SAE name with config and weights, the config edited. */
static void
expect_edit(const char *name, const char *config, const char *weights, const char *what,
	const char *by, int code, const char *says)
{
	char path[160];

	scratch_clean();
	snprintf(path, sizeof(path), "%s/%s", name, config);
	copy_fixture(path, config);
	snprintf(path, sizeof(path), "%s/%s", name, weights);
	copy_fixture(path, weights);
	if (what)
		edit_file(config, what, by);
	expect_open(scratch, NULL, code, says);
}

static void
edit_saelens(const char *name, const char *what, const char *by, int code,
	const char *says)
{
	expect_edit(name, "cfg.json", "sae_weights.safetensors", what, by, code, says);
}

static void
test_saelens_wrong(void **state)
{
	const char *topk = "fam-saelens-old-topk", *old = "fam-saelens-old",
		   *trans = "fam-saelens-jumprelu-transcoder";

	(void)state;
	edit_saelens(topk, "\"k\": 5", "\"kk\": 5", ERR_FORMAT, "\"k\"");
	edit_saelens(topk, "\"k\": 5", "\"k\": 0", ERR_MISMATCH, "k is 0");
	edit_saelens(topk, "\"k\": 5", "\"k\": 25", ERR_MISMATCH, "k is 25");
	edit_saelens(topk, "\"topk\"", "\"tanh-relu\"", ERR_UNSUPPORTED, "tanh-relu");
	edit_saelens("fam-saelens-old-jumprelu", "\"activation_fn_str\": \"relu\"",
		"\"activation_fn_str\": \"topk\"", ERR_MISMATCH, "contradicts");
	edit_saelens(old, "\"normalize_activations\": \"none\"",
		"\"normalize_activations\": true", ERR_UNSUPPORTED,
		"activation_scaler.json");
	edit_saelens(old, "\"hook_name\"", "\"hook_nome\"", ERR_FORMAT, "hook_name");
	edit_saelens(old, "\"hook_head_index\": null", "\"hook_head_index\": 2",
		ERR_UNSUPPORTED, "hook_head_index");
	edit_saelens("fam-saelens-old-finetuned", "\"finetuning_scaling_factor\": true",
		"\"finetuning_scaling_factor\": false", ERR_MISMATCH,
		"finetuning_scaling_factor");
	edit_saelens("fam-saelens-old-jumprelu", "\"jumprelu\"", "\"standard\"",
		ERR_MISMATCH, "threshold");
	edit_saelens(trans, "\"d_out\": 10", "\"d_out\": 12", ERR_MISMATCH,
		"d_out is 12");
	edit_saelens(trans, "\"d_out\"", "\"d_ou\"", ERR_FORMAT, "d_out");
	edit_saelens(trans, "\"apply_b_dec_to_input\": false",
		"\"apply_b_dec_to_input\": true", ERR_MISMATCH, "b_dec");
	edit_saelens(trans, "\"hook_name_out\"", "\"hook_name_ou\"", ERR_UNSUPPORTED,
		"hook_name_out");
	edit_saelens(trans, "jumprelu_transcoder", "jumprelu_skip_transcoder",
		ERR_MISMATCH, "W_skip");
	edit_saelens("fam-saelens-batchtopk", "\"architecture\": \"batchtopk\"",
		"\"architecture\": \"jumprelu\"", ERR_MISMATCH, "topk_threshold");
	edit_saelens(old, "\"sae_lens_training_version\"", "\"architecture\"",
		ERR_UNSUPPORTED, "3.11.1");
	edit_saelens(old, "\"device\": \"cpu\"", "\"architecture\": \"temporal\"",
		ERR_UNSUPPORTED, "temporal");
	edit_saelens(old, "\"device\": \"cpu\"",
		"\"architecture\": \"matching_pursuit\"", ERR_UNSUPPORTED,
		"matching_pursuit");
}

static void
test_scaler_wrong(void **state)
{
	(void)state;
	edit_saelens("fam-saelens-scaled-json", NULL, NULL, ERR_UNSUPPORTED,
		"activation_scaler.json");
	put_file(at("activation_scaler.json"), "{\"scaling_factor\": null}", 24);
	expect_open(scratch, NULL, ERR_UNSUPPORTED, "activation_scaler.json");
	put_file(at("activation_scaler.json"), "{\"scaling_factor\": -1.0}", 24);
	expect_open(scratch, NULL, ERR_FORMAT, "is -1");
	put_file(at("activation_scaler.json"), "{\"scaling_factor\": 0.5}", 23);
	expect_open(scratch, NULL, 0, NULL);
}

/* Of one other family: its config and weights copied, the config edited. */
struct wrong {
	const char *from, *config, *weights, *what, *by;
	int code;
	const char *says;
};

#define CIRCUIT "fam-circuit-jumprelu/set", "config.yaml", "layer_1.safetensors"
#define DICT(x) "fam-dictionary-" x, "config.json", "ae.safetensors"
#define GEMMA2 \
	"fam-gemma-scope-2-resid-post/resid_post/layer_1_width_16k_l0_small", \
		"config.json", "params.safetensors"
#define LLAMA "fam-llama-scope", "hyperparams.json", "checkpoints/final.safetensors"
#define MOSS "fam-llamascopium/sae", "config.json", "sae_weights.safetensors"
#define OPENAI(x, y) \
	"fam-openai-" x "/" y "/autoencoders", "1.safetensors", "1.safetensors"
#define QWEN \
	"fam-qwen-scope/SAE-Res-Qwen3-1.7B-Base-W32K-L0_5", "layer3.sae.safetensors", \
		"layer3.sae.safetensors"
#define SPARSE(x) "fam-sparsify-" x, "cfg.json", "sae.safetensors"

static const struct wrong wrongs[] = {
	{CIRCUIT, "transcoder_set", "cross_layer_transcoder", ERR_UNSUPPORTED,
		"cross_layer_transcoder"},
	{CIRCUIT, "transcoders:", "k: 3", ERR_MISMATCH, "k is 3"},
	{CIRCUIT, "feature_input_hook", "feature", ERR_ARG, "--hook"},
	{CIRCUIT, "hook_resid_mid", "hook_resid_mad", ERR_ARG, "hook_resid_mad"},
	{DICT("standard"), "AutoEncoder", "IdentityDict", ERR_UNSUPPORTED,
		"IdentityDict"},
	{DICT("standard"), "AutoEncoder", "GatedAutoEncoder", ERR_MISMATCH,
		"GatedAutoEncoder"},
	{DICT("standard"), "\"activation_dim\": 12", "\"activation_dim\": 13",
		ERR_MISMATCH, "d_in is 13"},
	{DICT("standard"), "\"io\": \"out\"", "\"io\": \"in_and_out\"", ERR_UNSUPPORTED,
		"in_and_out"},
	{DICT("standard"), "\"layer\"", "\"lair\"", ERR_ARG, "--hook"},
	{DICT("new"), "\"submodule_name\": null", "\"submodule_name\": \"mlp\"", 0,
		NULL},
	{DICT("topk"), "\"k\": 5", "\"k\": 6", ERR_MISMATCH, "tensor k"},
	{GEMMA2, "\"width\": 24", "\"width\": 16384", ERR_MISMATCH, "width is 16384"},
	{GEMMA2, "\"l0\": 5", "\"affine_connection\": true", ERR_MISMATCH,
		"affine_connection"},
	{GEMMA2, "jump_relu", "relu", ERR_UNSUPPORTED, "\"relu\""},
	{GEMMA2, "\"type\": \"sae\"", "\"type\": \"crosscoder\"", ERR_UNSUPPORTED,
		"crosscoder"},
	{GEMMA2, "model.layers.1.output", "model.layers.1.up_proj.output", ERR_ARG,
		"up_proj"},
	{GEMMA2, "hf_hook_point_in", "hf", ERR_ARG, "--hook"},
	{LLAMA, "\"jumprelu\"", "\"batchtopk\"", ERR_UNSUPPORTED, "batchtopk"},
	{LLAMA, "\"jump_relu_threshold\"", "\"threshold\"", ERR_FORMAT,
		"jump_relu_threshold"},
	{LLAMA, "\"dataset-wise\"", "\"token-wise\"", ERR_UNSUPPORTED, "token-wise"},
	{LLAMA, "\"in\": 9.5", "\"in\": 0", ERR_FORMAT, "norm.in is 0"},
	{LLAMA, "\"use_glu_encoder\": false", "\"use_glu_encoder\": true",
		ERR_UNSUPPORTED, "use_glu_encoder"},
	{LLAMA, "\"d_sae\": 24", "\"d_sae\": 25", ERR_MISMATCH, "d_sae is 25"},
	{LLAMA, "\"jumprelu\"", "\"topk\"", 0, NULL},
	{LLAMA, "\"use_decoder_bias\": true", "\"use_decoder_bias\": false",
		ERR_MISMATCH, "decoder.bias"},
	{"fam-llama-scope-r1/L1R", "config.json", "sae_weights.safetensors",
		"\"d_model\"", "\"act_fn\": \"relu\", \"d_model\"", ERR_MISMATCH,
		"log_jumprelu_threshold"},
	{MOSS, "\"sae_type\": \"sae\"", "\"sae_type\": \"clt\"", ERR_UNSUPPORTED,
		"clt"},
	{MOSS, "\"hook_point_in\": \"blocks.1", "\"hook_point_in\": \"blocks.0",
		ERR_MISMATCH, "blocks.0"},
	{MOSS, "\"expansion_factor\": 2.0", "\"expansion_factor\": -2.0", ERR_FORMAT,
		"d_sae"},
	{OPENAI("v5", "resid_post_mlp_v5_32k"), NULL, NULL, ERR_ARG, "--hook"},
	{OPENAI("v4", "resid_delta_mlp_v4"), NULL, NULL, ERR_UNSUPPORTED,
		"whether it is a TopK"},
	{QWEN, NULL, NULL, ERR_MISMATCH, "k is missing"},
	{SPARSE("topk/run/layers.1"), NULL, NULL, ERR_ARG, "--hook"},
	{SPARSE("topk/run/layers.1"), "\"topk\"", "\"relu\"", ERR_UNSUPPORTED,
		"\"relu\""},
	{SPARSE("topk/run/layers.1"), "\"k\": 6", "\"k\": 25", ERR_MISMATCH, "k is 25"},
	{SPARSE("topk/run/layers.1"), "\"k\": 6", "\"kk\": 6", ERR_FORMAT, "\"k\""},
	{SPARSE("topk/run/layers.1"), "\"k\": 6", "\"k\": 6, \"signed\": true",
		ERR_UNSUPPORTED, "signed"},
	{SPARSE("topk/run/layers.1"), "\"num_latents\": 24", "\"num_latents\": 0",
		ERR_ARG, "--hook"},
	{SPARSE("groupmax/run/layers.1.mlp"), "\"k\": 6", "\"k\": 7", ERR_MISMATCH,
		"groups"},
	{"fam-goodfire/sae", "Llama-3.1-8B-Instruct-SAE-l19.safetensors",
		"x.safetensors", NULL, NULL, ERR_ARG, "--hook"},
};

static void
test_wrong(void **state)
{
	struct err e = ERR_INIT;
	char from[200];

	(void)state;
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		const struct wrong *w = &wrongs[i];
		bool goodfire = strcmp(w->weights, "x.safetensors") == 0;

		scratch_clean();
		assert_int_equal(dir_make(at("checkpoints"), &e), 0);
		snprintf(from, sizeof(from), "%s/%s", w->from, w->config);
		copy_fixture(from, goodfire ? w->weights : w->config);
		snprintf(from, sizeof(from), "%s/%s", w->from, w->weights);
		if (!goodfire)
			copy_fixture(from, w->weights);
		if (w->what)
			edit_file(w->config, w->what, w->by);
		expect_open(scratch, NULL, w->code, w->says);
	}
}

static void
test_refused(void **state)
{
	(void)state;
	expect_open(fixture("fam-refused-circuit-square"), NULL, ERR_UNSUPPORTED,
		"which way it lies");
	expect_open(fixture("fam-refused-circuit-negative"), NULL, ERR_UNSUPPORTED,
		"feature 0 is below 0");
	expect_open(fixture("fam-refused-dictionary-unset"), NULL, ERR_UNSUPPORTED,
		"never set");
	expect_open(fixture("fam-refused-dictionary-checkpoint"), NULL, ERR_UNSUPPORTED,
		"checkpoint");
	expect_open(fixture("fam-refused-dictionary-crosscoder"), NULL, ERR_UNSUPPORTED,
		"crosscoder");
	expect_open(fixture("fam-qwen-scope/SAE-Res-Qwen3-1.7B-Base-W32K-L0_5"), NULL,
		ERR_ARG, "give the file of one");
}

/* What stands before a layer's MLP, before the norm behind it in Gemma 2, or in the
 * heads, is read where the hooks of models have it. */
static void
test_modules(void **state)
{
	const char *known = "fam-dictionary-new";
	char path[96];

	(void)state;
	expect_open(fixture("fam-sparsify-transcoder/run/h.1.mlp"), NULL, 0, NULL);
	edit_saelens("fam-saelens-old", "blocks.1.hook_resid_pre",
		"blocks.1.attn.hook_z\", \"reshape_activations\": \"hook_z", 0, NULL);
	scratch_clean();
	snprintf(path, sizeof(path), "%s/config.json", known);
	copy_fixture(path, "config.json");
	snprintf(path, sizeof(path), "%s/ae.safetensors", known);
	copy_fixture(path, "ae.safetensors");
	edit_file("config.json", "EleutherAI/pythia-70m-deduped", "google/gemma-2-2b");
	edit_file("config.json", "\"submodule_name\": null",
		"\"submodule_name\": \"mlp\"");
	expect_open(scratch, NULL, 0, NULL);
}

/* ---- which family ------------------------------------------------------------ */

static void
test_unknown(void **state)
{
	const struct sae_family *f;

	(void)state;
	scratch_clean();
	expect_open(scratch, NULL, ERR_NOTFOUND, "seen there: nothing; known: saelens");
	put_file(at("model.bin"), "x", 1);
	copy_fixture("fam-saelens-old/cfg.json", "cfg.json");
	expect_open(scratch, NULL, ERR_NOTFOUND, "seen there: cfg.json, model.bin;");
	expect_open(at("nowhere"), NULL, ERR_NOTFOUND, "nowhere");
	scratch_clean();
	for (size_t i = 0; (f = sae_family_at(i)) != NULL; i++)
		expect_open(scratch, NULL, ERR_NOTFOUND, f->needs);
}

static void
test_hook_wrong(void **state)
{
	(void)state;
	expect_open(fixture("fam-saelens-old"),
		&(struct sae_options){.hook = "blocks.0.hook_rsid"}, ERR_ARG, "given");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saelens_wrong),
		cmocka_unit_test(test_scaler_wrong),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_modules),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_hook_wrong),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
