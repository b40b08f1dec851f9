/* SPDX-License-Identifier: ISC */
#include "tests/model/sae_session.h"

/* A value may be off by this much of |y| |w| + |b|; the active sets are equal:
 * make_fixtures_sae.py sees to it that no value lies close to its threshold. */
#define CLOSE 1e-5

static double
row_norm(const float *v, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)v[i] * (double)v[i];
	return sqrt(sum);
}

/* The furthest activation from the reference; infinite when one is active on one
 * side only. */
static double
worst_act(const struct session *t, const float *y, const float *got)
{
	const struct sae *s = t->s;
	double worst = 0;

	for (size_t i = 0; i < t->m * t->f; i++) {
		size_t q = i / t->f, f = i % t->f;
		double by = row_norm(y + q * t->d, t->d) *
				row_norm(s->w_enc + f * t->d, t->d) +
			fabs((double)s->b_enc[f]);
		double off = fabs((double)got[i] - (double)t->acts[i]);

		if ((got[i] > 0) != (t->acts[i] > 0))
			return INFINITY;
		if (s->mag_scale)
			by = by * (1 + (double)s->mag_scale[f]) +
				fabs((double)s->mag_bias[f]);
		if (s->info.rescale_by_decoder_norm)
			by *= 1 + (double)s->dec_norm[f];
		worst = off / by > worst ? off / by : worst;
	}
	return worst;
}

/* How far the SAE is from its reference, in activations and decoded. */
static double
distance(const struct session *t)
{
	float *y = mem_new(t->m * t->d, sizeof(*y));
	float *scale = mem_new(t->m, sizeof(*scale));
	float *shift = mem_new(t->m, sizeof(*shift));
	float *got = mem_new(t->m * t->f, sizeof(*got));
	float *back = mem_new(t->m * t->o, sizeof(*back));
	double worst, off;

	sae_prepare(t->s, y, t->x, t->m, scale, shift);
	session_encode(t, y, 1000000, got);
	worst = worst_act(t, y, got);
	for (size_t q = 0; q < t->m; q++)
		session_decode(t, q, got, scale[q], shift[q], back + q * t->o);
	off = worst_row(back, t->back, t->m, t->o);
	mem_free(y);
	mem_free(scale);
	mem_free(shift);
	mem_free(got);
	mem_free(back);
	return off > worst ? off : worst;
}

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

struct known {
	const char *name; /* of the SAE below data/ */
	const char *golden; /* its directory, or NULL: the same */
	const char *family, *hook, *rule; /* rule: part of info.rules, or NULL */
};

static void
check_known(const struct known *k, const struct sae_options *options)
{
	struct session t;
	double off;

	session_open(&t, k->name, k->golden ? k->golden : k->name, options);
	off = distance(&t);
	if (!(off < CLOSE))
		fail_msg("%s: off by %g", k->name, off);
	check_paths(&t);
	assert_string_equal(t.s->info.family, k->family);
	if (strcmp(t.s->info.hook.name, k->hook) != 0)
		fail_msg("%s: hook %s", k->name, t.s->info.hook.name);
	if (k->rule && !strstr(t.s->info.rules, k->rule))
		fail_msg("%s: rules %s", k->name, t.s->info.rules);
	session_close(&t);
}

/* The reference tells that rule from a wrong one. */
static void
expect_far(struct session *t, const char *what)
{
	double off = distance(t);

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

/* ---- what contradicts itself, or cannot be used ----------------------------- */

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

/* ---- which family ------------------------------------------------------------ */

static void
test_unknown(void **state)
{
	(void)state;
	scratch_clean();
	expect_open(scratch, NULL, ERR_NOTFOUND, "seen there: nothing; known: saelens");
	put_file(at("model.bin"), "x", 1);
	copy_fixture("fam-saelens-old/cfg.json", "cfg.json");
	expect_open(scratch, NULL, ERR_NOTFOUND, "seen there: cfg.json, model.bin;");
	put_file(at("params_layer_0.safetensors"), "x", 1);
	expect_open(scratch, NULL, ERR_UNSUPPORTED, "several layers");
	expect_open(at("nowhere"), NULL, ERR_NOTFOUND, "nowhere");
	for (const struct sae_family *f = sae_families(); f->name; f++)
		assert_true(f->name[0] && f->needs[0]);
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
	expect_open(fixture("fam-saelens-old"),
		&(struct sae_options){.hook = "blocks.0.hook_rsid"}, ERR_ARG, "given");
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
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saelens),
		cmocka_unit_test(test_saelens_info),
		cmocka_unit_test(test_traps),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_saelens_wrong),
		cmocka_unit_test(test_scaler_wrong),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_hook_given),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
