/* SPDX-License-Identifier: ISC */
#include "tests/model/session.h"

static void
test_goldens(void **state)
{
	static const char *const names[] = {"lm-f32", "lm-f16-bare", "lm-sharded",
		"lm-long"};
	static const char *const dtypes[] = {"F32", "F16", "F32", "BF16"};
	struct session s;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		start(&s, fixture(names[i]) ? names[i] : "");
		check_hooks(&s);
		if (tensors_find(s.golden, "logprobs"))
			check_logits(&s);
		assert_string_equal(lm_info(s.m)->dtype_file, dtypes[i]);
		assert_string_equal(lm_info(s.m)->family, "gpt2");
		assert_string_equal(lm_info(s.m)->architecture, "GPT2LMHeadModel");
		assert_non_null(lm_final_gain(s.m));
		stop(&s);
	}
}

/* The bits at a hook do not depend on which windows share a call, on which
 * hooks are asked for besides, or on what a window goes on with. */
static void
test_batches(void **state)
{
	struct err e = ERR_INIT;
	struct hook hooks[2];
	struct session s;
	float *out[2], *alone[2];
	size_t d, size;

	(void)state;
	start(&s, "lm-long");
	d = lm_info(s.m)->d_model;
	size = s.n_tokens * d * sizeof(float);
	assert_int_equal(hook_parse(&hooks[0], "blocks.1.hook_resid_post", &e), 0);
	assert_int_equal(hook_parse(&hooks[1], "blocks.0.hook_attn_out", &e), 0);
	for (size_t i = 0; i < 2; i++) {
		out[i] = mem_new(1, size);
		alone[i] = mem_new(1, size);
	}
	assert_int_equal(lm_forward(s.m, s.w, s.ids, s.window_start, s.n_windows, hooks,
				 2, out, &e),
		0);
	for (size_t i = 0; i < s.n_windows; i++) {
		uint32_t from = s.window_start[i], n = s.window_start[i + 1] - from;
		uint32_t window[2] = {0, n};
		uint32_t prefix[3] = {0, n / 2, n / 2 + n};

		assert_int_equal(lm_forward(s.m, s.w, s.ids + from, window, 1, hooks, 1,
					 alone, &e),
			0);
		assert_memory_equal(alone[0], out[0] + from * d, n * d * sizeof(float));
		assert_int_equal(lm_forward(s.m, s.w, s.ids + from, window, 1,
					 hooks + 1, 1, alone, &e),
			0);
		assert_memory_equal(alone[0], out[1] + from * d, n * d * sizeof(float));
		if (n / 2 + n > s.n_tokens - from)
			continue;
		assert_int_equal(/* the first half as a window of its own */
			lm_forward(s.m, s.w, s.ids + from, prefix, 1, hooks, 2, alone,
				&e),
			0);
		assert_memory_equal(alone[0], out[0] + from * d,
			n / 2 * d * sizeof(float));
	}
	for (size_t i = 0; i < 2; i++) {
		mem_free(out[i]);
		mem_free(alone[i]);
	}
	stop(&s);
}

static void
test_arguments(void **state)
{
	struct err e = ERR_INIT;
	struct session s;
	struct hook h;
	float *out;
	uint32_t ids[200] = {0};
	uint32_t long_window[2] = {0, 141}, falling[3] = {0, 5, 3},
		 many[3] = {0, 100, 200};
	uint32_t one[2] = {0, 1};

	(void)state;
	start(&s, "lm-long");
	out = mem_new(200, lm_info(s.m)->d_model * sizeof(float));
	assert_int_equal(hook_parse(&h, "blocks.0.hook_resid_pre", &e), 0);
	assert_int_equal(lm_forward(s.m, s.w, ids, long_window, 1, &h, 1, &out, &e),
		ERR_ARG);
	assert_non_null(strstr(e.text, "140"));
	assert_int_equal(lm_forward(s.m, s.w, ids, falling, 2, &h, 1, &out, &e),
		ERR_ARG);
	assert_int_equal(lm_forward(s.m, s.w, ids, many, 2, &h, 1, &out, &e), ERR_ARG);
	ids[0] = lm_info(s.m)->n_vocab;
	assert_int_equal(lm_forward(s.m, s.w, ids, one, 1, &h, 1, &out, &e), ERR_ARG);
	assert_non_null(strstr(e.text, "id 37") ? "" : strstr(e.text, "id 33"));
	ids[0]--;
	assert_int_equal(lm_forward(s.m, s.w, ids, one, 1, &h, 1, &out, &e), 0);
	h.layer = 2;
	assert_int_equal(lm_forward(s.m, s.w, ids, one, 1, &h, 1, &out, &e),
		ERR_NOTFOUND);
	assert_non_null(strstr(e.text, "0 to 1"));
	mem_free(out);
	stop(&s);
}

static void
test_hook_names(void **state)
{
	static const char *const bad[] = {
		"",
		"blocks",
		"blocks.",
		"blocks.0",
		"blocks.x.hook_resid_pre",
		"blocks.00.hook_resid_pre",
		"blocks.0.hook_z",
		"blocks.0.hook_resid_pre.",
		"blocks.-1.hook_resid_pre",
		"blocks.99999999999.hook_resid_pre",
		"0.hook_resid_pre",
	};
	struct err e = ERR_INIT;
	struct hook h;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (hook_parse(&h, bad[i], &e) != ERR_ARG)
			fail_msg("\"%s\" is taken for a hook", bad[i]);
		assert_non_null(strstr(e.text, "hook_resid_pre"));
		assert_string_equal(e.arg, "hook");
	}
	assert_int_equal(hook_parse(&h, "blocks.11.hook_mlp_out", &e), 0);
	assert_int_equal(h.layer, 11);
	assert_int_equal(h.site, HOOK_MLP_OUT);
}

static void
expect_edit(const char *what, const char *by, int code, const char *says)
{
	struct err e = ERR_INIT;
	struct lm *m = NULL;
	int rc;

	copy_fixture("lm-f32/config.json", "config.json");
	copy_fixture("lm-f32/model.safetensors", "model.safetensors");
	if (what)
		edit_file("config.json", what, by);
	rc = lm_open(&m, scratch, &e);
	if (rc == 0)
		lm_close(m);
	if (rc != code || (says && !strstr(e.text, says)))
		fail_msg("%s: %d \"%s\", not %d", by, rc, e.text, code);
}

static void
test_contradictions(void **state)
{
	(void)state;
	expect_edit(NULL, NULL, 0, NULL);
	expect_edit("\"n_layer\": 2", "\"n_layer\": 3", ERR_MISMATCH,
		"h.2.ln_1.weight");
	expect_edit("\"n_layer\": 2", "\"n_layer\": 1", ERR_MISMATCH,
		"h.1.ln_1.weight");
	expect_edit("\"n_layer\": 2", "\"n_layer\": 0", ERR_FORMAT, "n_layer");
	expect_edit("\"n_layer\": 2", "\"n_layer\": \"2\"", ERR_FORMAT, "n_layer");
	expect_edit("\"n_layer\": 2", "\"n_layers\": 2", ERR_FORMAT, "n_layer");
	expect_edit("\"n_embd\": 18", "\"n_embd\": 21", ERR_MISMATCH, "wte.weight");
	expect_edit("\"n_head\": 3", "\"n_head\": 4", ERR_FORMAT, "n_head");
	expect_edit("\"n_positions\": 24", "\"n_positions\": 25", ERR_MISMATCH,
		"wpe.weight");
	expect_edit("\"vocab_size\": 37", "\"vocab_size\": 36", ERR_MISMATCH,
		"wte.weight");
	expect_edit("\"n_inner\": null", "\"n_inner\": 50", ERR_MISMATCH, "mlp.c_fc");
	expect_edit("gelu_new", "relu", ERR_UNSUPPORTED, "relu");
	expect_edit("\"model_type\": \"gpt2\"", "\"model_type\": \"mamba\"",
		ERR_UNSUPPORTED, "mamba");
	expect_edit("\"add_cross_attention\": false", "\"add_cross_attention\": true",
		ERR_UNSUPPORTED, "add_cross_attention");
}

/* One NaN anywhere in the weights. */
static void
test_nan(void **state)
{
	const float nan_value = NAN;
	struct err e = ERR_INIT;
	struct lm *m;
	struct buf b;

	(void)state;
	copy_fixture("lm-f32/config.json", "config.json");
	assert_int_equal(file_read(fixture("lm-f32/model.safetensors"), 1 << 24, &b,
				 &e),
		0);
	memcpy(b.data + b.n_bytes - 4 * 100, &nan_value, sizeof(nan_value));
	put_file(at("model.safetensors"), b.data, b.n_bytes);
	buf_clear(&b);
	assert_int_equal(lm_open(&m, scratch, &e), ERR_FORMAT);
	assert_non_null(strstr(e.text, "NaN"));
}

static void
test_sweep(void **state)
{
	struct hook h = {.site = HOOK_RESID_POST, .layer = 1};
	uint32_t ids[3] = {1, 2, 3}, window[2] = {0, 3};
	struct err e = ERR_INIT;
	float *out = mem_new(3, 18 * sizeof(float));
	int rc = -1;

	(void)state;
	for (long n = 0; rc < 0; n += n < 50 ? 1 : 7) {
		struct lm_work *w = NULL;
		struct lm *m = NULL;

		mem_fail_at(n);
		rc = lm_open(&m, fixture("lm-f32"), &e);
		if (rc == 0)
			rc = lm_work_new(&w, m, 3, &e);
		if (rc == 0)
			rc = lm_forward(m, w, ids, window, 1, &h, 1, &out, &e);
		mem_fail_at(-1);
		if (rc < 0 && rc != ERR_NOMEM)
			fail_msg("allocation %ld: %d %s", n, rc, e.text);
		lm_work_free(w);
		lm_close(m);
		assert_true(n < 10000);
	}
	mem_free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goldens),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_hook_names),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_nan),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
