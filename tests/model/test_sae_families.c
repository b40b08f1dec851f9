/* SPDX-License-Identifier: ISC */
#include "tests/model/sae_session.h"

/* Ranges change no bit, and the plain path has the same. */
static void
check_paths(const struct session *t)
{
	float *y = mem_new(t->m * t->d, sizeof(*y));
	float *whole = mem_new(t->m * t->f, sizeof(*whole));
	float *other = mem_new(t->m * t->f, sizeof(*other));
	uint32_t some[] = {3, 0, 7};
	float of_some[3];

	sae_prepare(t->s, y, t->x, t->m, NULL, NULL);
	session_encode(t, y, 1000000, whole);
	session_encode(t, y, 5, other);
	assert_memory_equal(whole, other, t->m * t->f * sizeof(*whole));
	for (size_t q = 0; q < t->m; q++) {
		sae_encode_plain(t->s, t->x + q * t->d, other);
		assert_memory_equal(whole + q * t->f, other, t->f * sizeof(*whole));
		sae_encode_plain_some(t->s, t->x + q * t->d, some, 3, of_some);
		for (size_t i = 0; i < 3; i++) {
			float value = of_some[i] > 0 ? of_some[i] : 0;

			assert_true(value == other[some[i]]);
		}
	}
	mem_free(y);
	mem_free(whole);
	mem_free(other);
}

#define RES "blocks.1.hook_resid_post"
#define MLP "blocks.1.hook_mlp_out"

struct known {
	const char *name; /* of the SAE below data/ */
	const char *golden; /* its directory, or NULL: the same */
	const char *family, *hook, *rule; /* rule: part of info.rules, or NULL */
};

/* hook_parse may know the module's output by its own name. */
static bool
same_hook(const char *name, const char *hook)
{
	return strcmp(name, hook) == 0 ||
		(strcmp(name, "layers.1.mlp") == 0 && strcmp(hook, MLP) == 0);
}

static void
check_known(const struct known *k, const struct sae_options *options)
{
	struct session t;
	double off;

	session_open(&t, k->name, k->golden ? k->golden : k->name, options);
	off = session_distance(&t);
	if (!(off < CLOSE))
		fail_msg("%s: off by %g", k->name, off);
	check_paths(&t);
	assert_string_equal(t.s->info.family, k->family);
	if (!same_hook(t.s->info.hook.name, k->hook))
		fail_msg("%s: hook %s", k->name, t.s->info.hook.name);
	if (k->rule && !strstr(t.s->info.rules, k->rule))
		fail_msg("%s: rules %s", k->name, t.s->info.rules);
	session_close(&t);
}

/* The reference tells that rule from a wrong one. */
static void
expect_far(struct session *t, const char *what)
{
	double off = session_distance(t);

	if (off < 1e-3)
		fail_msg("%s changes nothing: off by %g", what, off);
}

/* ---- SAELens --------------------------------------------------------------- */

static const struct known saelens[] = {
	{"fam-saelens-old", NULL, "saelens", "blocks.1.hook_resid_pre", "x - b_dec"},
	{"fam-saelens-old-points", NULL, "saelens", "blocks.0.hook_mlp_out", NULL},
	{"fam-saelens-old-topk", NULL, "saelens", "blocks.1.hook_resid_pre",
		"k largest"},
	{"fam-saelens-old-topk-fn", NULL, "saelens", "blocks.1.hook_resid_pre",
		"sd unbiased"},
	{"fam-saelens-old-jumprelu", NULL, "saelens", "blocks.1.hook_resid_pre",
		"pre > threshold"},
	{"fam-saelens-old-constant", NULL, "saelens", "blocks.1.hook_resid_pre",
		"sqrt(d)/|x|"},
	{"fam-saelens-old-ones", NULL, "saelens", "blocks.1.hook_resid_pre", NULL},
	{"fam-saelens-old-finetuned", NULL, "saelens", "blocks.1.hook_resid_pre",
		"W_dec rows times scaling_factor"},
	{"fam-saelens-scaled-json", NULL, "saelens", "blocks.1.hook_resid_pre",
		"folded, x * 0.37"},
	{"fam-saelens-scaled-state", NULL, "saelens", "blocks.1.hook_resid_pre",
		"folded, x * 0.37"},
	{"fam-saelens-transcoder", NULL, "saelens", "blocks.1.hook_resid_mid",
		"gives blocks.1.hook_mlp_out"},
	{"fam-saelens-skip-transcoder", NULL, "saelens", "blocks.1.hook_resid_mid",
		"W_skip x"},
	{"fam-saelens-jumprelu-transcoder", NULL, "saelens", "blocks.1.hook_resid_mid",
		"pre > threshold"},
	{"fam-saelens-jumprelu-skip-transcoder", NULL, "saelens",
		"blocks.1.hook_resid_mid", "W_skip x"},
	{"fam-saelens-batchtopk", NULL, "saelens", "blocks.1.hook_resid_pre",
		"decoder norms folded"},
	{"fam-saelens-batchtopk-plain", NULL, "saelens", "blocks.1.hook_resid_pre",
		"topk_threshold"},
	{"fam-saelens-batchtopk-scaled", NULL, "saelens", "blocks.1.hook_resid_pre",
		"folded, x * 0.37"},
	{"fam-saelens-matryoshka", NULL, "saelens", "blocks.1.hook_resid_pre",
		"decoder norms folded"},
};

static void
test_saelens(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(saelens) / sizeof(saelens[0]); i++)
		check_known(&saelens[i], NULL);
}

static void
test_saelens_info(void **state)
{
	struct session t;

	(void)state;
	session_open(&t, "fam-saelens-jumprelu-transcoder",
		"fam-saelens-jumprelu-transcoder", NULL);
	assert_true(t.s->info.transcoder);
	assert_int_equal(t.s->info.d_out, 10);
	assert_string_equal(t.s->info.hook_out.name, "blocks.1.hook_mlp_out");
	session_close(&t);
	session_open(&t, "fam-saelens-old", "fam-saelens-old", NULL);
	assert_false(t.s->info.transcoder || t.s->info.hook_given);
	assert_int_equal(t.s->info.d_out, t.s->info.d_in);
	assert_string_equal(t.s->info.hook_out.name, "blocks.1.hook_resid_pre");
	assert_string_equal(t.s->info.version, "3.11.1");
	session_close(&t);
}

/* ---- the others -------------------------------------------------------------- */

static const struct known others[] = {
	{"fam-gemma-scope-2b-pt-res/gemma-scope-2b-pt-res/layer_1/width_16k/"
	 "average_l0_5",
		"fam-gemma-scope-2b-pt-res", "gemma-scope", RES, "pre > threshold"},
	{"fam-gemma-scope-9b-it-mlp/gemma-scope-9b-it-mlp/layer_1/width_16k/"
	 "average_l0_5",
		"fam-gemma-scope-9b-it-mlp", "gemma-scope", MLP, "pre > threshold"},
	{"fam-gemma-scope-2-resid-post/resid_post/layer_1_width_16k_l0_small",
		"fam-gemma-scope-2-resid-post", "gemma-scope-2", RES,
		"pre > threshold"},
	{"fam-goodfire/sae", "fam-goodfire", "goodfire", "blocks.19.hook_resid_post",
		"relu(pre)"},
	{"fam-qwen-scope/SAE-Res-Qwen3-1.7B-Base-W32K-L0_5/layer3.sae.safetensors",
		"fam-qwen-scope", "qwen-scope", "blocks.3.hook_resid_post",
		"k by the directory's name"},
	{"fam-llama-scope", NULL, "llama-scope", RES, "decoder norms folded"},
	{"fam-llama-scope-plain", NULL, "llama-scope", RES, "the authors' rule"},
	{"fam-llama-scope-topk", NULL, "llama-scope", RES, "k largest"},
	{"fam-llama-scope-tc", NULL, "llama-scope", "blocks.1.hook_resid_mid",
		"gives " MLP},
	{"fam-llama-scope-r1/L1R", "fam-llama-scope-r1", "llama-scope-r1", RES, NULL},
	{"fam-llamascopium/sae", "fam-llamascopium", "llamascopium", RES,
		"threshold / |W_dec row|"},
	{"fam-llamascopium-topk/sae", "fam-llamascopium-topk", "llamascopium", RES,
		"|W_dec row|"},
	{"fam-llamascopium-relu/sae", "fam-llamascopium-relu", "llamascopium", RES,
		"x * 1,"},
	{"fam-llamascopium-tc/sae", "fam-llamascopium-tc", "llamascopium",
		"blocks.1.hook_resid_mid", "gives " MLP},
	{"fam-sparsify-topk/run/layers.1", "fam-sparsify-topk", "sparsify", RES,
		"x - b_dec"},
	{"fam-sparsify-groupmax/run/layers.1.mlp", "fam-sparsify-groupmax", "sparsify",
		MLP, "each of k groups"},
	{"fam-dictionary-standard", NULL, "dictionary_learning", RES,
		"from_pretrained"},
	{"fam-dictionary-new", NULL, "dictionary_learning", RES, NULL},
	{"fam-dictionary-gated", NULL, "dictionary_learning", RES, "r_mag"},
	{"fam-dictionary-topk", NULL, "dictionary_learning", RES, "k largest"},
	{"fam-dictionary-batchtopk", NULL, "dictionary_learning", RES,
		"pre > threshold"},
	{"fam-dictionary-matryoshka", NULL, "dictionary_learning", RES,
		"pre > threshold"},
	{"fam-dictionary-jumprelu", NULL, "dictionary_learning", RES,
		"pre > threshold"},
	{"fam-openai-v5/resid_post_mlp_v5_32k/autoencoders/1.safetensors",
		"fam-openai-v5", "openai", RES, "sd unbiased"},
	{"fam-openai-v5-by-path/resid_post_mlp_v5_32k/autoencoders",
		"fam-openai-v5-by-path", "openai", RES, "k by the release"},
	{"fam-openai-v4/resid_delta_mlp_v4/autoencoders", "fam-openai-v4", "openai",
		MLP, "relu(pre)"},
	{"fam-circuit-relu/set", "fam-circuit-relu", "circuit-tracer",
		"blocks.1.hook_resid_mid", "gives " MLP},
	{"fam-circuit-jumprelu/set", "fam-circuit-jumprelu", "circuit-tracer",
		"blocks.1.hook_resid_mid", "pre > threshold"},
	{"fam-circuit-topk/set/layer_1.safetensors", "fam-circuit-topk",
		"circuit-tracer", "blocks.1.hook_resid_mid", "not above 0"},
	{"fam-circuit-skip/set", "fam-circuit-skip", "circuit-tracer",
		"blocks.1.hook_resid_mid", "W_skip x"},
	{"fam-qresearch/sae", "fam-qresearch", "qresearch", "blocks.19.hook_resid_post",
		"relu(pre)"},
};

/* Their own hooks are before a layer's mlp, where saedb does not read. */
static const struct known elsewhere[] = {
	{"fam-gemma-scope-2b-pt-transcoders/gemma-scope-2b-pt-transcoders/layer_1/"
	 "width_16k/average_l0_5",
		"fam-gemma-scope-2b-pt-transcoders", "gemma-scope", MLP, "gives " MLP},
	{"fam-gemma-scope-2-transcoder/transcoder/layer_1_width_16k_l0_small",
		"fam-gemma-scope-2-transcoder", "gemma-scope-2", MLP, "gives " MLP},
	{"fam-gemma-scope-2-transcoder-affine/transcoder/"
	 "layer_1_width_16k_l0_small_affine",
		"fam-gemma-scope-2-transcoder-affine", "gemma-scope-2", MLP,
		"W_skip x"},
	{"fam-sparsify-transcoder/run/h.1.mlp", "fam-sparsify-transcoder", "sparsify",
		MLP, "gives "},
	{"fam-sparsify-skip/run/layers.1.mlp", "fam-sparsify-skip", "sparsify", MLP,
		"W_skip x"},
};

static void
test_others(void **state)
{
	const struct sae_options o = {.hook = MLP};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		check_known(&others[i], NULL);
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		check_known(&elsewhere[i], &o);
}

/* The same files, and the other rule. */
static void
test_llama_rules(void **state)
{
	const struct known k = {"fam-llama-scope", "fam-llama-scope-saelens",
		"llama-scope", RES, "SAELens' rule"};
	const struct sae_options o = {.saelens_rule = true};
	struct session t, u;

	(void)state;
	check_known(&k, &o);
	session_open(&t, "fam-llama-scope", "fam-llama-scope", NULL);
	session_open(&u, "fam-llama-scope", "fam-llama-scope-saelens", &o);
	assert_memory_not_equal(t.s->hash, u.s->hash, 32);
	session_close(&t);
	session_close(&u);
}

static void
test_models(void **state)
{
	static const char *const expected[][2] = {
		{"fam-gemma-scope-9b-it-mlp/gemma-scope-9b-it-mlp/layer_1/width_16k/"
		 "average_l0_5",
			"google/gemma-2-9b-it"},
		{"fam-goodfire/sae", "Llama-3.1-8B-Instruct"},
		{"fam-qresearch/sae", "DeepSeek-R1-Distill-Llama-8B"},
		{"fam-qwen-scope/SAE-Res-Qwen3-1.7B-Base-W32K-L0_5/"
		 "layer4.sae.safetensors",
			"Qwen/Qwen3-1.7B-Base"},
		{"fam-sparsify-topk/run/layers.1", "EleutherAI/pythia-160m"},
		{"fam-dictionary-new", "EleutherAI/pythia-70m-deduped"},
		{"fam-circuit-relu/set", "Qwen/Qwen3-0.6B"},
		{"fam-openai-v4/resid_delta_mlp_v4/autoencoders", "gpt2"},
	};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct sae *s = NULL;

		assert_int_equal(sae_open(&s, fixture(expected[i][0]), &e), 0);
		assert_string_equal(s->info.model_name, expected[i][1]);
		/* OpenAI's was trained without BOS, the others with it */
		assert_int_equal(s->info.prepend_bos,
			strcmp(s->info.family, "openai") != 0);
		sae_close(s);
	}
}

/* ---- the traps: a wrong rule is seen ---------------------------------------- */

static void
test_traps(void **state)
{
	struct session t;

	(void)state;
	session_open(&t, "fam-saelens-old", "fam-saelens-old", NULL);
	t.s->info.subtract_b_dec = false;
	expect_far(&t, "b_dec not subtracted");
	session_close(&t);
	session_open(&t, "fam-saelens-old-jumprelu", "fam-saelens-old-jumprelu", NULL);
	t.s->info.subtract_b_dec = true;
	expect_far(&t, "b_dec subtracted");
	session_close(&t);
	session_open(&t, "fam-saelens-old-topk", "fam-saelens-old-topk", NULL);
	t.s->info.kind = SAE_RELU;
	expect_far(&t, "relu for topk");
	session_close(&t);
	session_open(&t, "fam-saelens-skip-transcoder", "fam-saelens-skip-transcoder",
		NULL);
	for (size_t i = 0; i < t.d; i++) {
		for (size_t j = 0; j < i; j++) {
			float *w = t.s->w_skip, v = w[i * t.d + j];

			w[i * t.d + j] = w[j * t.d + i];
			w[j * t.d + i] = v;
		}
	}
	expect_far(&t, "W_skip the other way round");
	session_close(&t);
	session_open(&t, "fam-saelens-old-topk-fn", "fam-saelens-old-topk-fn", NULL);
	t.s->info.norm = SAE_NORM_NONE;
	expect_far(&t, "no layer norm");
	session_close(&t);
}

/* One rule of one SAE changed after loading. */
enum change {
	SUBTRACT, /* b_dec: what is not done is done */
	NORM, /* nothing normalised */
	CHOICE, /* relu, no threshold and no choice */
	BIAS, /* b_enc times 1.5, as without a scale */
	THRESHOLD, /* times 1.5 */
	SKIP /* W_skip (square) the other way round */
};

static void
change(struct sae *s, enum change c)
{
	size_t d = s->info.d_in;

	if (c == SUBTRACT)
		s->info.subtract_b_dec = !s->info.subtract_b_dec;
	else if (c == NORM)
		s->info.norm = SAE_NORM_NONE;
	else if (c == CHOICE)
		s->info.kind = SAE_RELU;
	for (size_t i = 0; i < s->info.d_sae; i++) {
		if (c == BIAS)
			s->b_enc[i] *= 1.5f;
		else if (c == THRESHOLD || c == CHOICE)
			*(s->threshold ? &s->threshold[i] : &(float){0}) *=
				c == CHOICE ? 0 : 1.5f;
	}
	for (size_t i = 0; c == SKIP && i < d * d; i++) {
		size_t j = i % d * d + i / d;
		float v = s->w_skip[i];

		if (i < j) {
			s->w_skip[i] = s->w_skip[j];
			s->w_skip[j] = v;
		}
	}
}

static void
expect_change(const char *name, const char *dir, enum change c)
{
	const struct sae_options o = {.hook = MLP};
	struct err e = ERR_INIT;
	struct session t;

	session_open(&t, name, dir ? dir : name, &o);
	change(t.s, c);
	sae_work_free(t.w); /* holds thresholds */
	t.w = NULL;
	assert_int_equal(sae_work_new(&t.w, t.s, &e), 0);
	expect_far(&t, name);
	session_close(&t);
}

static void
test_rules(void **state)
{
	const char *gemma2 = "fam-gemma-scope-2-transcoder-affine/transcoder/"
			     "layer_1_width_16k_l0_small_affine",
		   *openai = "fam-openai-v5/resid_post_mlp_v5_32k/autoencoders/",
		   *sparsify = "fam-sparsify-groupmax/run/layers.1.mlp";

	(void)state;
	expect_change("fam-saelens-old-jumprelu", NULL, THRESHOLD);
	expect_change("fam-saelens-matryoshka", NULL, THRESHOLD);
	expect_change("fam-saelens-batchtopk-scaled", NULL, THRESHOLD);
	expect_change("fam-saelens-old-constant", NULL, NORM);
	expect_change(others[0].name, others[0].golden, SUBTRACT);
	expect_change(others[0].name, others[0].golden, CHOICE);
	expect_change(gemma2, "fam-gemma-scope-2-transcoder-affine", SKIP);
	expect_change("fam-sparsify-skip/run/layers.1.mlp", "fam-sparsify-skip", SKIP);
	expect_change("fam-sparsify-skip/run/layers.1.mlp", "fam-sparsify-skip",
		SUBTRACT);
	expect_change(sparsify, "fam-sparsify-groupmax", SUBTRACT);
	expect_change(sparsify, "fam-sparsify-groupmax", CHOICE);
	expect_change("fam-goodfire/sae", "fam-goodfire", SUBTRACT);
	expect_change("fam-qresearch/sae", "fam-qresearch", SUBTRACT);
	expect_change(others[4].name, others[4].golden, SUBTRACT);
	expect_change(others[4].name, others[4].golden, CHOICE);
	expect_change("fam-llama-scope", NULL, BIAS);
	expect_change("fam-llama-scope", NULL, THRESHOLD);
	expect_change("fam-llamascopium/sae", "fam-llamascopium", THRESHOLD);
	expect_change("fam-dictionary-standard", NULL, SUBTRACT);
	expect_change("fam-dictionary-new", NULL, SUBTRACT);
	expect_change("fam-dictionary-jumprelu", NULL, SUBTRACT);
	expect_change("fam-dictionary-batchtopk", NULL, CHOICE);
	expect_change("fam-dictionary-topk", NULL, CHOICE);
	expect_change(openai, "fam-openai-v5", NORM);
	expect_change(openai, "fam-openai-v5", SUBTRACT);
	expect_change("fam-circuit-skip/set", "fam-circuit-skip", SKIP);
}

/* A value at its threshold does not fire: the threshold itself, in its bits. */
static void
test_strict(void **state)
{
	struct sae_work *w = NULL;
	struct err e = ERR_INIT;
	struct session t;
	float *got;

	(void)state;
	session_open(&t, "fam-saelens-old-jumprelu", "fam-saelens-old-jumprelu", NULL);
	got = mem_new(t.m * t.f, sizeof(*got));
	for (size_t f = 0; f < t.f; f++)
		t.s->threshold[f] = -1;
	sae_encode_plain(t.s, t.x, got);
	memcpy(t.s->threshold, got, t.f * sizeof(*got));
	assert_int_equal(sae_work_new(&w, t.s, &e), 0);
	sae_work_free(t.w);
	t.w = w;
	t.m = 1;
	session_encode(&t, t.x, 1000000, got); /* nothing is done to the input */
	for (size_t f = 0; f < t.f; f++)
		assert_true(got[f] == 0);
	mem_free(got);
	session_close(&t);
}

/* The option overrules the files, and the hash does not depend on it. */
static void
test_hook_given(void **state)
{
	const struct sae_options o = {.hook = "blocks.0.hook_resid_post"};
	struct session t, u;

	(void)state;
	session_open(&t, "fam-saelens-old", "fam-saelens-old", &o);
	session_open(&u, "fam-saelens-old", "fam-saelens-old", NULL);
	assert_string_equal(t.s->info.hook.name, o.hook);
	assert_true(t.s->info.hook_given);
	assert_memory_equal(t.s->hash, u.s->hash, 32);
	session_close(&t);
	session_close(&u);
}

static void
sweep(const char *name, const struct sae_options *o)
{
	struct err e = ERR_INIT;
	int rc = -1;

	for (long n = 0; rc < 0; n++) {
		struct sae *s = NULL;

		mem_fail_at(n);
		rc = sae_open_with(&s, fixture(name), o, &e);
		mem_fail_at(-1);
		if (rc < 0 && rc != ERR_NOMEM)
			fail_msg("%s, allocation %ld: %d %s", name, n, rc, e.text);
		sae_close(s);
		assert_true(n < 10000);
	}
}

static void
test_sweep(void **state)
{
	(void)state;
	sweep("fam-saelens-old-finetuned", NULL);
	sweep("fam-saelens-scaled-state", NULL);
	sweep("fam-saelens-jumprelu-skip-transcoder", NULL);
	sweep("fam-saelens-matryoshka", NULL);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		sweep(others[i].name, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saelens),
		cmocka_unit_test(test_saelens_info),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_llama_rules),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_traps),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_hook_given),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
