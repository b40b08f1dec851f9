/* SPDX-License-Identifier: ISC */
#include "tests/model/sae_session.h"

/* As in test_lm.c: another order of summation, and nothing else. An activation
 * that is 0 on one side only must lie that close to its threshold. */
#define CLOSE 1e-5

static void
start(struct session *t, const char *name)
{
	session_open(t, name, name, NULL);
}

static void
check_decode(const struct session *t, const float *dense, const float *scale,
	const float *shift)
{
	float *back = mem_new(t->m * t->d, sizeof(*back));

	for (size_t q = 0; q < t->m; q++) {
		session_decode(t, q, dense, scale[q], shift[q], back + q * t->d);
		/* SAELens multiplies 0 by infinity there */
		if (t->s->info.norm == SAE_NORM_CONSTANT && scale[q] == 1)
			memcpy(back + q * t->d, t->back + q * t->d,
				t->d * sizeof(*back));
	}
	assert_true(worst_row(back, t->back, t->m, t->d) < CLOSE);
	mem_free(back);
}

static void
check_one(const char *name)
{
	struct session t;
	float *y, *scale, *shift, *got, *other;
	double off;

	start(&t, name);
	y = mem_new(t.m * t.d, sizeof(*y));
	scale = mem_new(t.m, sizeof(*scale));
	shift = mem_new(t.m, sizeof(*shift));
	got = mem_new(t.m * t.f, sizeof(*got));
	other = mem_new(t.m * t.f, sizeof(*other));
	sae_prepare(t.s, y, t.x, t.m, scale, shift);
	session_encode(&t, y, 1000000, got);
	if (t.s->info.norm == SAE_NORM_CONSTANT) /* the token of zeros, see above */
		memset(got + 3 * t.f, 0, t.f * sizeof(*got));
	off = worst_row(got, t.acts, t.m, t.f);
	if (!(off < CLOSE))
		fail_msg("%s: off by %g", name, off);
	check_decode(&t, got, scale, shift);
	/* ranges and batches change no bit, and the plain path has the same */
	session_encode(&t, y, 7, other);
	if (t.s->info.norm == SAE_NORM_CONSTANT)
		memset(other + 3 * t.f, 0, t.f * sizeof(*got));
	assert_memory_equal(got, other, t.m * t.f * sizeof(*got));
	for (size_t q = 0; q < t.m; q++) {
		sae_encode_plain(t.s, t.x + q * t.d, other);
		if (t.s->info.norm != SAE_NORM_CONSTANT || q != 3)
			assert_memory_equal(got + q * t.f, other, t.f * sizeof(*got));
	}
	mem_free(y);
	mem_free(scale);
	mem_free(shift);
	mem_free(got);
	mem_free(other);
	session_close(&t);
}

static const char *const names[] = {
	"sae-standard",
	"sae-standard-plain-input",
	"sae-standard-expected",
	"sae-standard-centred",
	"sae-jumprelu",
	"sae-jumprelu-constant",
	"sae-topk",
	"sae-topk-rescaled",
	"sae-topk-layer",
	"sae-gated",
	"sae-batchtopk",
};

static void
test_goldens(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_one(names[i]);
}

static void
test_info(void **state)
{
	struct session t;

	(void)state;
	start(&t, "sae-topk-rescaled");
	assert_string_equal(t.s->info.family, "saelens");
	assert_int_equal(t.s->info.version[0], '6');
	assert_string_equal(t.s->info.architecture, "topk");
	assert_string_equal(t.s->info.hook.name, "blocks.1.hook_resid_pre");
	assert_string_equal(t.s->info.model_name, "tiny");
	assert_string_equal(t.s->info.dtype_file, "F32");
	assert_int_equal(t.s->info.k, 7);
	assert_int_equal(t.s->info.context_size, 24);
	assert_true(t.s->info.prepend_bos && t.s->info.rescale_by_decoder_norm);
	assert_non_null(strstr(t.s->info.rules, "x - b_dec"));
	assert_non_null(strstr(t.s->info.rules, "k largest"));
	assert_non_null(strstr(t.s->info.rules, "|W_dec row|"));
	session_close(&t);
	start(&t, "sae-standard-expected");
	assert_non_null(strstr(t.s->info.rules, "expected_average_only_in"));
	session_close(&t);
	start(&t, "sae-standard-plain-input");
	assert_null(strstr(t.s->info.rules, "b_dec"));
	session_close(&t);
	start(&t, "sae-batchtopk");
	assert_string_equal(sae_kind_name(t.s->info.kind), "jumprelu");
	session_close(&t);
}

/* ---- what contradicts itself, or cannot be used -------------------------- */

static void
expect_edit(const char *name, const char *what, const char *by, int code,
	const char *says)
{
	struct err e = ERR_INIT;
	struct sae *s = NULL;
	char path[128];
	int rc;

	snprintf(path, sizeof(path), "%s/cfg.json", name);
	copy_fixture(path, "cfg.json");
	snprintf(path, sizeof(path), "%s/sae_weights.safetensors", name);
	copy_fixture(path, "sae_weights.safetensors");
	if (what)
		edit_file("cfg.json", what, by);
	rc = sae_open(&s, scratch, &e);
	if (rc == 0)
		sae_close(s);
	if (rc != code || (says && !strstr(e.text, says)))
		fail_msg("%s: %d \"%s\", not %d", by, rc, e.text, code);
	if (rc < 0)
		assert_non_null(strstr(e.text, "cfg.json"));
}

static void
test_contradictions(void **state)
{
	(void)state;
	expect_edit("sae-topk", NULL, NULL, 0, NULL);
	expect_edit("sae-topk", "\"d_in\": 16", "\"d_in\": 17", ERR_MISMATCH,
		"d_in is 17");
	expect_edit("sae-topk", "\"d_sae\": 48", "\"d_sae\": 47", ERR_MISMATCH,
		"d_sae is 47");
	expect_edit("sae-topk", "\"d_sae\": 48", "\"d_sae\": 0", ERR_FORMAT, "d_sae");
	expect_edit("sae-topk", "\"d_sae\": 48", "\"d_sae\": -1", ERR_FORMAT, "d_sae");
	expect_edit("sae-topk", "\"d_sae\"", "\"d_sea\"", ERR_FORMAT, "d_sae");
	expect_edit("sae-topk", "\"k\": 7", "\"k\": 0", ERR_MISMATCH, "k is 0");
	expect_edit("sae-topk", "\"k\": 7", "\"k\": 49", ERR_MISMATCH, "k is 49");
	expect_edit("sae-topk", "\"k\": 7", "\"k\": 48", 0, NULL);
	expect_edit("sae-topk", "\"k\": 7", "\"kk\": 7", ERR_FORMAT, "\"k\"");
	expect_edit("sae-topk", "\"architecture\": \"topk\"",
		"\"architecture\": \"gated\"", ERR_MISMATCH, "b_enc");
	expect_edit("sae-jumprelu", "\"architecture\": \"jumprelu\"",
		"\"architecture\": \"standard\"", ERR_MISMATCH, "threshold");
	expect_edit("sae-standard", "\"architecture\": \"standard\"",
		"\"architecture\": \"jumprelu\"", ERR_MISMATCH, "threshold is missing");
}

static void
test_unsupported(void **state)
{
	(void)state;
	expect_edit("sae-standard", "\"architecture\": \"standard\"",
		"\"architecture\": \"temporal\"", ERR_UNSUPPORTED, "temporal");
	expect_edit("sae-standard", "\"normalize_activations\": \"none\"",
		"\"normalize_activations\": \"covariance_whitening\"", ERR_UNSUPPORTED,
		"covariance_whitening");
	expect_edit("sae-standard", "\"reshape_activations\": \"none\"",
		"\"reshape_activations\": \"hook_z\"", ERR_UNSUPPORTED, "hook_z");
	expect_edit("sae-standard", "\"sae_lens_version\": \"6",
		"\"sae_lens_version\": \"5", ERR_MISMATCH, "metadata");
	expect_edit("sae-standard", "\"sae_lens_version\"", "\"x\"", ERR_MISMATCH,
		"metadata");
	expect_edit("sae-standard", "blocks.1.hook_resid_pre", "blocks.1.attn.hook_k",
		ERR_ARG, "hook_name");
	expect_edit("sae-standard", "\"hook_name\"", "\"hook\"", ERR_FORMAT,
		"hook_name");
	expect_edit("sae-standard", "\"prepend_bos\": true",
		"\"prepend_bos\": true, \"hook_head_index\": 3", ERR_UNSUPPORTED,
		"hook_head_index");
}

static void
test_nan(void **state)
{
	const float nan_value = NAN;
	struct err e = ERR_INIT;
	struct sae *s;
	struct buf b;

	(void)state;
	copy_fixture("sae-topk/cfg.json", "cfg.json");
	assert_int_equal(file_read(fixture("sae-topk/sae_weights.safetensors"), 1 << 24,
				 &b, &e),
		0);
	memcpy(b.data + b.n_bytes - 4, &nan_value, sizeof(nan_value));
	put_file(at("sae_weights.safetensors"), b.data, b.n_bytes);
	buf_clear(&b);
	assert_int_equal(sae_open(&s, scratch, &e), ERR_FORMAT);
	assert_non_null(strstr(e.text, "NaN"));
	assert_non_null(strstr(e.text, "sae_weights.safetensors"));
}

/* The hash is the content's: the same for another name or hook, another for
 * another weight or rule. */
static void
test_hash(void **state)
{
	struct err e = ERR_INIT;
	uint8_t first[32];
	struct sae *s;
	struct buf b;

	(void)state;
	expect_edit("sae-topk", "\"tiny\"", "\"another\"", 0, NULL);
	assert_int_equal(sae_open(&s, fixture("sae-topk"), &e), 0);
	memcpy(first, s->hash, 32);
	sae_close(s);
	assert_int_equal(sae_open(&s, scratch, &e), 0);
	assert_memory_equal(first, s->hash, 32);
	sae_close(s);
	edit_file("cfg.json", "\"k\": 7", "\"k\": 8");
	assert_int_equal(sae_open(&s, scratch, &e), 0);
	assert_memory_not_equal(first, s->hash, 32);
	sae_close(s);
	expect_edit("sae-topk", "\"apply_b_dec_to_input\": true",
		"\"apply_b_dec_to_input\": false", 0, NULL);
	assert_int_equal(sae_open(&s, scratch, &e), 0);
	assert_memory_not_equal(first, s->hash, 32);
	sae_close(s);
	expect_edit("sae-topk", NULL, NULL, 0, NULL);
	assert_int_equal(file_read(at("sae_weights.safetensors"), 1 << 24, &b, &e), 0);
	b.data[b.n_bytes - 4] ^= 1; /* the last bit of a weight */
	put_file(at("sae_weights.safetensors"), b.data, b.n_bytes);
	buf_clear(&b);
	assert_int_equal(sae_open(&s, scratch, &e), 0);
	assert_memory_not_equal(first, s->hash, 32);
	sae_close(s);
}

/* TopK with ties: the lowest index wins, whatever the ranges. */
static void
test_ties(void **state)
{
	struct kernel_hit hits[] = {{9, 0, 1}, {3, 0, 1}, {5, 0, 1}, {4, 0, 2},
		{7, 0, 1}, {8, 0, -1}, {2, 0, 1}, {1, 0, 1}, {6, 0, 1}, {0, 0, 1}};
	struct session t;

	(void)state;
	start(&t, "sae-topk"); /* k is 7 */
	assert_int_equal(sae_topk_merge(t.s, hits, 10), 7);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(hits[i].row, i);
	assert_int_equal(hits[6].row, 6); /* 0 to 5 with value 1 or 2, then 6 */
	session_close(&t);
}

static void
test_sweep(void **state)
{
	struct err e = ERR_INIT;
	int rc = -1;

	(void)state;
	for (long n = 0; rc < 0; n++) {
		struct kernel_hits hits = {0};
		struct sae_work *w = NULL;
		struct sae *s = NULL;
		float y[16] = {1, 2, 3};

		mem_fail_at(n);
		rc = sae_open(&s, fixture("sae-gated"), &e);
		if (rc == 0)
			rc = sae_work_new(&w, s, &e);
		if (rc == 0)
			rc = sae_encode_range(s, &hits, y, 1, 0, 48, w, &e);
		mem_fail_at(-1);
		if (rc < 0 && rc != ERR_NOMEM)
			fail_msg("allocation %ld: %d %s", n, rc, e.text);
		kernel_hits_clear(&hits);
		sae_work_free(w);
		sae_close(s);
		assert_true(n < 10000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goldens),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_nan),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
