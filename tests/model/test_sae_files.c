/* SPDX-License-Identifier: ISC */
/*
 * SAEs in the containers they are published in, .npz and PyTorch's .pt, beside the
 * same weights as safetensors, which other tests hold against references.
 */
#include "model/sae.h"
#include "tests/model/fixture.h"

/* data/sae-files/from laid at dir/weights in the scratch directory, with the
 * config of data/fam. */
struct laid {
	const char *from, *dir, *weights;
	const char *fam, *config; /* config: its name, or NULL */
};

#define GEMMA "gemma-scope-2b-pt-res/layer_1/width_16k/average_l0_5"
#define V5 "resid_post_mlp_v5_32k/autoencoders"
#define V4 "resid_delta_mlp_v4/autoencoders"
#define QWEN "SAE-Res-Qwen3-1.7B-Base-W32K-L0_5"
#define LLAMA "Llama-3.1-8B-Instruct-SAE-l19.pth"
#define GOOD(x) "goodfire" x ".pth", "sae", LLAMA, "fam-goodfire/sae", NULL
#define OPENAI(x) "openai-" x ".pt", V5, "1.pt", "fam-openai-v5/" V5, NULL
#define DICT(x, y) \
	"dictionary-" x ".pt", "d", "ae.pt", "fam-dictionary-" y, "config.json"
#define OLD(x) "saelens-" x ".pt", "d", "sae_weights.pt", "fam-saelens-old", "cfg.json"

static const char *
lay(const struct laid *l)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	struct err e = ERR_INIT;

	assert_int_equal(dir_remove(scratch, &e), 0);
	assert_int_equal(dir_make(at(l->dir), &e), 0);
	assert_int_equal(path_join(from, &e, "sae-files/%s", l->from), 0);
	assert_int_equal(path_join(to, &e, "%s/%s", l->dir, l->weights), 0);
	copy_fixture(from, to);
	if (l->config) {
		assert_int_equal(path_join(from, &e, "%s/%s", l->fam, l->config), 0);
		assert_int_equal(path_join(to, &e, "%s/%s", l->dir, l->config), 0);
		copy_fixture(from, to);
	}
	return at(l->dir);
}

/* ---- as the twin ----------------------------------------------------------- */

static const struct laid twins[] = {
	{"gemma.npz", GEMMA, "params.npz", "fam-gemma-scope-2b-pt-res/" GEMMA, NULL},
	{OPENAI("v5")},
	{"openai-v4.pt", V4, "1.pt", "fam-openai-v4/" V4, NULL},
	{OPENAI("below")},
	{DICT("standard", "standard")},
	{DICT("new", "new")},
	{DICT("gated", "gated")},
	{DICT("topk", "topk")},
	{DICT("topk-int", "topk")},
	{DICT("batchtopk", "batchtopk")},
	{DICT("batchtopk-real", "batchtopk")},
	{DICT("matryoshka", "matryoshka")},
	{DICT("jumprelu", "jumprelu")},
	{GOOD("")},
	{GOOD("-below")},
	{"qwen.pt", QWEN, "layer3.sae.pt",
		"fam-qwen-scope/" QWEN "/layer3.sae.safetensors", NULL},
	{OLD("old")},
	{OLD("below")},
};

static void
test_twins(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
		struct sae *s = NULL, *twin = NULL;
		struct err e = ERR_INIT;

		if (sae_open(&s, lay(&twins[i]), &e) < 0 ||
			sae_open(&twin, fixture(twins[i].fam), &e) < 0)
			fail_msg("%s: %s", twins[i].from, e.text);
		if (memcmp(s->hash, twin->hash, sizeof(s->hash)) != 0)
			fail_msg("%s: other values or rules: \"%s\", not \"%s\"",
				twins[i].from, s->info.rules, twin->info.rules);
		assert_memory_not_equal(s->file_hash, twin->file_hash,
			sizeof(s->file_hash));
		assert_string_equal(s->info.family, twin->info.family);
		assert_string_equal(s->info.architecture, twin->info.architecture);
		assert_string_equal(s->info.hook.name, twin->info.hook.name);
		assert_string_equal(s->info.model_name, twin->info.model_name);
		assert_string_equal(s->info.dtype_file, twin->info.dtype_file);
		sae_close(s);
		sae_close(twin);
	}
}

/* Where no path tells the release, the file does. */
static void
test_told_by_file(void **state)
{
	static const struct laid files[] = {
		{"openai-v5.pt", "d", "1.pt", NULL, NULL},
		{"openai-v4.pt", "d", "1.pt", NULL, NULL},
	};
	const struct sae_options o = {.hook = "blocks.1.hook_resid_post"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sae *s = NULL;
		struct err e = ERR_INIT;

		if (sae_open_with(&s, lay(&files[i]), &o, &e) < 0)
			fail_msg("%s: %s", files[i].from, e.text);
		assert_int_equal(s->info.kind, i == 0 ? SAE_TOPK : SAE_RELU);
		assert_int_equal(s->info.norm, i == 0 ? SAE_NORM_LAYER : SAE_NORM_NONE);
		assert_int_equal(s->info.k, i == 0 ? 6 : 0);
		sae_close(s);
	}
}

/* ---- refused ----------------------------------------------------------------- */

static void
expect_refused(const char *path, const char *weights, int code, const char *says)
{
	struct err e = ERR_INIT;
	struct sae *s = NULL;
	int rc = sae_open(&s, path, &e);

	if (rc == 0)
		sae_close(s);
	if (rc != code || !strstr(e.text, says) || !strstr(e.text, weights))
		fail_msg("%d \"%s\", not %d %s: %s", rc, e.text, code, weights, says);
}

static void
test_refused(void **state)
{
	static const struct {
		struct laid laid;
		int code;
		const char *says;
	} wrong[] = {
		{{GOOD("-lacking")}, ERR_MISMATCH,
			"tensor encoder_linear.bias is missing"},
		{{GOOD("-shape")}, ERR_MISMATCH,
			"tensor encoder_linear.weight is 24 by 12, but "
			"encoder_linear.bias has 23 values"},
		{{GOOD("-nan")}, ERR_FORMAT, "decoder_linear.weight"},
		{{GOOD("-more")}, ERR_MISMATCH, "holds tensor other"},
		{{"module.pth", "sae", LLAMA, NULL, NULL}, ERR_UNSUPPORTED,
			"save a state_dict, or convert it to safetensors"},
		{{OPENAI("identity")}, ERR_UNSUPPORTED,
			"activation \"Identity\" is not supported"},
		{{OPENAI("postact")}, ERR_UNSUPPORTED,
			"activation_state_dict.postact_fn \"Identity\""},
		{{OPENAI("text")}, ERR_MISMATCH,
			"activation_state_dict.k is a text, but openai SAEs have a "
			"number"},
		{{OPENAI("fraction")}, ERR_MISMATCH,
			"activation_state_dict.k is 6.5, which is no count"},
		{{OPENAI("no-k")}, ERR_MISMATCH, "activation_state_dict.k is missing"},
		{{OPENAI("relu-k")}, ERR_MISMATCH, "activation is \"ReLU\", but"},
		{{DICT("batchtopk-none", "batchtopk")}, ERR_MISMATCH,
			"tensor threshold is missing"},
		{{DICT("batchtopk-nan", "batchtopk")}, ERR_FORMAT,
			"value threshold is nan"},
		{{DICT("checkpoint", "batchtopk")}, ERR_UNSUPPORTED,
			"a checkpoint of training"},
		/* of another class than config.json says */
		{{DICT("gated", "standard")}, ERR_MISMATCH, "holds tensor"},
		{{DICT("matryoshka", "batchtopk")}, ERR_MISMATCH, "holds tensor"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_refused(lay(&wrong[i].laid), wrong[i].laid.weights,
			wrong[i].code, wrong[i].says);
}

/* Wherever the file ends, one error and no more. */
static void
test_truncated(void **state)
{
	static const struct laid files[] = {
		{GOOD("")},
		{"gemma.npz", GEMMA, "params.npz", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *dir = lay(&files[i]);
		char path[PATH_BYTES];
		struct err e = ERR_INIT;
		struct buf b;

		assert_int_equal(path_join(path, &e, "%s/%s", dir, files[i].weights),
			0);
		assert_int_equal(file_read(path, (size_t)1 << 20, &b, &e), 0);
		for (size_t n = 0; n < b.n_bytes; n += 97) {
			put_file(path, b.data, n);
			expect_refused(dir, files[i].weights, ERR_FORMAT, "");
		}
		buf_clear(&b);
	}
}

/* ---- a level above the tensors ------------------------------------------------- */

static void
test_enter(void **state)
{
	const struct laid l = {OPENAI("below")};
	struct err e = ERR_INIT;
	struct tensors *t = NULL;
	char path[PATH_BYTES];
	size_t n, n_meta;

	(void)state;
	assert_int_equal(path_join(path, &e, "%s/1.pt", lay(&l)), 0);
	assert_int_equal(tensors_open(&t, path, &e), 0);
	assert_non_null(tensors_meta(t, "epoch"));
	n = tensors_n(t);
	n_meta = tensors_n_meta(t);
	tensors_enter(t, "state_dict.encoder."); /* not all stand there */
	assert_non_null(tensors_find(t, "state_dict.pre_bias"));
	tensors_enter(t, "state_dict.");
	assert_int_equal(tensors_n(t), n);
	assert_int_equal(tensors_n_meta(t), n_meta - 1); /* less the epoch */
	for (size_t i = 0; i < n; i++)
		assert_ptr_equal(tensors_find(t, tensors_at(t, i)->name),
			tensors_at(t, i));
	assert_non_null(tensors_find(t, "pre_bias"));
	assert_null(tensors_meta(t, "epoch"));
	assert_string_equal(tensors_meta(t, "activation")->str, "TopK");
	assert_int_equal(tensors_meta(t, "activation_state_dict.k")->i, 6);
	tensors_close(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_twins),
		cmocka_unit_test(test_told_by_file),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_enter),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
