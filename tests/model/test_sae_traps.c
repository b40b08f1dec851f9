/* SPDX-License-Identifier: ISC */
/* Rules of SAEs that are nearly the same as wrong ones, and what configs leave out. */
#include "tests/model/sae_session.h"

/* As in test_sae.c: another order of summation, and nothing else. */
#define CLOSE 1e-5

/* ---- against SAELens -------------------------------------------------------- */

static void
check_golden(const char *name, const char *dir)
{
	struct session t;
	float *y, *got, *scale, *shift, *back;
	double acts, decoded;

	session_open(&t, name, dir, NULL);
	y = mem_new(t.m * t.d, sizeof(*y));
	got = mem_new(t.m * t.f, sizeof(*got));
	back = mem_new(t.m * t.d, sizeof(*back));
	scale = mem_new(t.m, sizeof(*scale));
	shift = mem_new(t.m, sizeof(*shift));
	sae_prepare(t.s, y, t.x, t.m, scale, shift);
	session_encode(&t, y, 1000000, got);
	for (size_t q = 0; q < t.m; q++)
		session_decode(&t, q, got, scale[q], shift[q], back + q * t.d);
	acts = worst_row(got, t.acts, t.m, t.f);
	decoded = worst_row(back, t.back, t.m, t.d);
	if (!(acts < CLOSE && decoded < CLOSE))
		fail_msg("%s: off by %g, decoded by %g", dir, acts, decoded);
	mem_free(y);
	mem_free(got);
	mem_free(back);
	mem_free(scale);
	mem_free(shift);
	session_close(&t);
}

static void
test_log_threshold(void **state)
{
	(void)state;
	check_golden("trap-log-threshold", "trap-log-threshold");
}

/* The model's stream is centred before the SAE normalises it, and both are undone. */
static void
test_centred_first(void **state)
{
	(void)state;
	check_golden("trap-centred-layer", "trap-centred-layer");
	check_golden("trap-centred-constant", "trap-centred-constant");
}

/* (x - mean) / (sd + 1e-5): eps stands outside of the root, and is not squared. */
static void
test_layer_eps(void **state)
{
	(void)state;
	check_golden("sae-topk-layer", "trap-layer-small");
}

/* ---- what no reference tells ---------------------------------------------------- */

/* SAELens divides by 0 there. */
static void
test_zero_token(void **state)
{
	static const char *const names[] = {"sae-jumprelu-constant", "sae-topk-layer"};
	float y[16], x[16] = {0}, scale, shift;
	struct session t;

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		session_open(&t, names[k], names[k], NULL);
		assert_int_equal(t.d, 16);
		sae_prepare(t.s, y, x, 1, &scale, &shift);
		for (size_t i = 0; i < t.d; i++)
			assert_true(y[i] == -t.s->b_dec[i]);
		assert_true(isfinite(scale) && shift == 0);
		session_close(&t);
	}
}

/* The plain path's threshold is strict too: pre at it, in its bits, is not above. */
static void
test_strict_plain(void **state)
{
	struct session t;
	float *got;

	(void)state;
	session_open(&t, "sae-jumprelu", "sae-jumprelu", NULL);
	got = mem_new(t.f, sizeof(*got));
	for (size_t f = 0; f < t.f; f++)
		t.s->threshold[f] = -1;
	sae_encode_plain(t.s, t.x, got);
	memcpy(t.s->threshold, got, t.f * sizeof(*got));
	sae_encode_plain(t.s, t.x, got);
	for (size_t f = 0; f < t.f; f++)
		assert_true(got[f] == 0);
	mem_free(got);
	session_close(&t);
}

/* Fewer than k stay where fewer lie above 0. */
static void
test_topk_fewer(void **state)
{
	struct kernel_hit hits[] = {{3, 0, -1}, {1, 0, 2}, {2, 0, 0}, {0, 0, 1}};
	struct session t;

	(void)state;
	session_open(&t, "sae-topk", "sae-topk", NULL); /* k is 7 */
	assert_int_equal(sae_topk_merge(t.s, hits, 4), 2);
	assert_int_equal(hits[0].row, 0);
	assert_int_equal(hits[1].row, 1);
	session_close(&t);
}

/* ---- what a config leaves out ------------------------------------------------------ */

/* Both files of a fixture in scratch, a word of the config changed. */
static struct sae *
open_edited(const char *name, const char *config, const char *weights, const char *what,
	const char *by)
{
	struct sae *s = NULL;
	struct err e = ERR_INIT;
	char path[160];

	assert_int_equal(dir_remove(scratch, &e), 0);
	assert_int_equal(dir_make(scratch, &e), 0);
	snprintf(path, sizeof(path), "%s/%s", name, config);
	copy_fixture(path, config);
	snprintf(path, sizeof(path), "%s/%s", name, weights);
	copy_fixture(path, weights);
	if (what)
		edit_file(config, what, by);
	if (sae_open_with(&s, scratch,
		    &(struct sae_options){.hook = "blocks.0.hook_resid_pre"}, &e) < 0)
		fail_msg("%s with %s: %s", name, by, e.text);
	return s;
}

#define SAELENS "cfg.json", "sae_weights.safetensors"

static void
test_defaults(void **state)
{
	static const struct {
		const char *name, *key, *other;
	} same[] = {
		{"fam-saelens-old", "\"apply_b_dec_to_input\"", "\"x\""},
		{"sae-standard", "\"apply_b_dec_to_input\"", "\"x\""},
		{"fam-saelens-old", "\"prepend_bos\"", "\"x\""},
		{"sae-standard", "\"prepend_bos\"", "\"x\""},
		{"sae-standard", "\"normalize_activations\"", "\"x\""},
		{"sae-standard", "\"reshape_activations\"", "\"x\""},
		{"fam-saelens-old", "\"activation_fn_str\"", "\"x\""},
		{"sae-topk", "\"rescale_acts_by_decoder_norm\"", "\"x\""},
		/* of training alone it is true */
		{"fam-saelens-batchtopk",
			"\"rescale_acts_by_decoder_norm\": true, "
			"\"topk_threshold_lr\": "
			"0.01, \"architecture\"",
			"\"architecture\""},
		/* a pre-release of 6 has what 6 has */
		{"sae-standard", "\"sae_lens_version\": \"6.54.12\"",
			"\"sae_lens_version\": \"6.0.0-rc.0\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct sae *s = open_edited(same[i].name, SAELENS, NULL, NULL);
		struct sae *t =
			open_edited(same[i].name, SAELENS, same[i].key, same[i].other);

		if (memcmp(s->hash, t->hash, sizeof(s->hash)) != 0 ||
			s->info.prepend_bos != t->info.prepend_bos)
			fail_msg("%s without %s is another", same[i].name, same[i].key);
		sae_close(s);
		sae_close(t);
	}
}

static void
test_defaults_of_others(void **state)
{
	static const char *const sparsify[] = {"\"activation\"", "\"transcode\"",
		"\"skip_connection\"", "\"expansion_factor\""};
	struct err e = ERR_INIT;
	struct sae *s;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		s = open_edited("fam-sparsify-topk/run/layers.1", "cfg.json",
			"sae.safetensors", sparsify[i], "\"x\"");
		assert_int_equal(s->info.kind, SAE_TOPK);
		assert_true(s->info.subtract_b_dec);
		sae_close(s);
	}
	/* num_latents of 0 is d_in times the factor */
	s = open_edited("fam-sparsify-topk/run/layers.1", "cfg.json", "sae.safetensors",
		"\"expansion_factor\": 32, \"normalize_decoder\": true, "
		"\"num_latents\": 24",
		"\"expansion_factor\": 2, \"num_latents\": 0");
	assert_int_equal(s->info.d_sae, 24);
	sae_close(s);
	s = open_edited("fam-dictionary-new", "config.json", "ae.safetensors", "\"io\"",
		"\"x\"");
	assert_false(s->info.subtract_b_dec);
	sae_close(s);
	assert_int_equal(dir_make(at("checkpoints"), &e), 0);
	copy_fixture("fam-llama-scope/checkpoints/final.safetensors",
		"checkpoints/final.safetensors");
	copy_fixture("fam-llama-scope/hyperparams.json", "hyperparams.json");
	assert_int_equal(remove(at("config.json")), 0);
	edit_file("hyperparams.json", "\"sparsity_include_decoder_norm\"", "\"x\"");
	assert_int_equal(sae_open(&s, scratch, &e), 0);
	assert_non_null(strstr(s->info.rules, "decoder norms folded"));
	sae_close(s);
}

/* What training left beside: frequencies, NaN where none was counted. */
static void
test_sparsity_beside(void **state)
{
	static const char file[] = "{\"sparsity\":{\"dtype\":\"F32\",\"shape\":[1],"
				   "\"data_offsets\":[0,4]}}";
	struct err e = ERR_INIT;
	struct sae *s = open_edited("sae-standard", SAELENS, NULL, NULL), *t = NULL;
	uint8_t bytes[8 + sizeof(file) - 1 + 4] = {sizeof(file) - 1};
	float value = NAN;

	(void)state;
	memcpy(bytes + 8, file, sizeof(file) - 1);
	memcpy(bytes + 8 + sizeof(file) - 1, &value, 4);
	put_file(at("sparsity.safetensors"), bytes, sizeof(bytes));
	put_file(at("runner_cfg.json"), "{}", 2);
	if (sae_open(&t, scratch, &e) < 0)
		fail_msg("%s", e.text);
	assert_memory_equal(s->hash, t->hash, sizeof(s->hash));
	sae_close(s);
	sae_close(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_threshold),
		cmocka_unit_test(test_centred_first),
		cmocka_unit_test(test_layer_eps),
		cmocka_unit_test(test_zero_token),
		cmocka_unit_test(test_strict_plain),
		cmocka_unit_test(test_topk_fewer),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_defaults_of_others),
		cmocka_unit_test(test_sparsity_beside),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
