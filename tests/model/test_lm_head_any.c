/* SPDX-License-Identifier: ISC */
/* Heads of models whose family is not known, saedb_head among them. */
#include "tests/model/head_session.h"

/* ---- of any family -------------------------------------------------------------- */

#define DIMS "\"hidden_size\":6,\"num_hidden_layers\":3,\"vocab_size\":5"
#define HEAD "{\"model_type\":\"saedb_head\"," DIMS
#define OTHER "{\"model_type\":\"mamba2\"," DIMS

static void
expect_dims(const char *config, uint32_t n_layers, uint32_t d_model, uint32_t n_vocab,
	uint32_t n_ctx, uint32_t z)
{
	struct hook h = hook_of("blocks.0.attn.hook_z");
	struct err e = ERR_INIT;
	struct lm *m;
	int rc;

	only_config(config);
	m = head(scratch);
	assert_int_equal(lm_info(m)->n_layers, n_layers);
	assert_int_equal(lm_info(m)->d_model, d_model);
	assert_int_equal(lm_info(m)->n_vocab, n_vocab);
	assert_int_equal(lm_info(m)->n_ctx, n_ctx);
	rc = lm_check_hook(m, &h, &e);
	if (z > 0) {
		assert_int_equal(rc, 0);
		assert_int_equal(lm_hook_width(m, &h), z);
	} else {
		assert_int_equal(rc, ERR_NOTFOUND);
		assert_non_null(strstr(e.text, "blocks.0.attn.hook_z"));
		assert_string_equal(e.arg, "hook");
	}
	lm_close(m);
}

static void
test_any(void **state)
{
	(void)state;
	expect_dims(HEAD "}", 3, 6, 5, 0, 0);
	expect_dims(HEAD ",\"max_position_embeddings\":9}", 3, 6, 5, 9, 0);
	expect_dims(HEAD ",\"max_position_embeddings\":null}", 3, 6, 5, 0, 0);
	expect_dims(HEAD ",\"num_attention_heads\":4,\"head_dim\":8}", 3, 6, 5, 0, 32);
	expect_dims(HEAD ",\"num_attention_heads\":3}", 3, 6, 5, 0, 6);
	expect_dims(HEAD ",\"num_attention_heads\":4}", 3, 6, 5, 0, 0);
	expect_dims(HEAD ",\"head_dim\":4}", 3, 6, 5, 0, 0);
	/* values of another width than keys: what hook_z holds are values */
	expect_dims(OTHER ",\"num_attention_heads\":2,\"head_dim\":4,\"v_head_dim\":5}",
		3, 6, 5, 0, 10);
	expect_dims("{\"model_type\":\"gptj\",\"n_embd\":8,\"n_layer\":2,"
		    "\"vocab_size\":7,\"n_positions\":11,\"n_ctx\":11,\"n_head\":2}",
		2, 8, 7, 11, 8);
	expect_dims("{\"model_type\":\"mpt\",\"d_model\":8,\"n_layers\":2,"
		    "\"vocab_size\":7,\"n_heads\":2}",
		2, 8, 7, 0, 8);
	expect_dims("{\"model_type\":\"x\",\"d_model\":8,\"hidden_size\":8,"
		    "\"num_layers\":2,\"vocab_size\":7,\"n_ctx\":3,\"n_positions\":4}",
		2, 8, 7, 4, 0);
	expect_dims("{\"model_type\":\"x\",\"vocab_size\":70,\"text_config\":{" DIMS
		    ",\"n_ctx\":4}}",
		3, 6, 5, 4, 0);
	expect_dims("{\"model_type\":\"x\",\"vocab_size\":5,\"text_config\":"
		    "{\"hidden_size\":6,\"num_hidden_layers\":3}}",
		3, 6, 5, 0, 0);
	expect_dims(HEAD ",\"text_config\":null}", 3, 6, 5, 0, 0);
}

/* Hooks of any family: all that can be written. */
static void
test_any_hooks(void **state)
{
	static const char *const good[] = {"blocks.2.hook_resid_pre",
		"blocks.0.hook_resid_mid", "blocks.2.hook_mlp_out",
		"model.layers.1.mlp", "layers.0", "h.2.attn",
		"blocks.1.ln2.hook_normalized"};
	struct err e = ERR_INIT;
	struct hook h;
	struct lm *m;

	(void)state;
	only_config(OTHER "}");
	m = head(scratch);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		h = hook_of(good[i]);
		if (lm_check_hook(m, &h, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(lm_hook_width(m, &h), 6);
		assert_true(lm_has_directions(m, &h));
	}
	h = hook_of("blocks.3.hook_resid_pre");
	assert_int_equal(lm_check_hook(m, &h, &e), ERR_NOTFOUND);
	assert_non_null(strstr(e.text, "layers 0 to 2"));
	assert_non_null(strstr(e.text, scratch));
	lm_close(m);
}

static void
config_refused(const char *config, const char *says)
{
	only_config(config);
	refuses(ERR_FORMAT, says);
}

static void
test_any_refused(void **state)
{
	(void)state;
	config_refused("{" DIMS "}", "model_type");
	config_refused("{\"model_type\":3," DIMS "}", "model_type");
	config_refused("[]", "model_type");
	config_refused("{\"model_type\":\"saedb_head\"}", "\"hidden_size\"");
	config_refused("{\"model_type\":\"saedb_head\",\"hidden_size\":6,"
		       "\"vocab_size\":5}",
		"\"num_hidden_layers\"");
	config_refused("{\"model_type\":\"saedb_head\",\"hidden_size\":6,"
		       "\"num_hidden_layers\":5}",
		"\"vocab_size\"");
	config_refused("{\"model_type\":\"saedb_head\",\"hidden_size\":\"6\"}",
		"hidden_size");
	config_refused("{\"model_type\":\"saedb_head\",\"hidden_size\":6.5}",
		"hidden_size");
	config_refused("{\"model_type\":\"saedb_head\",\"hidden_size\":0}",
		"hidden_size");
	config_refused("{\"model_type\":\"saedb_head\",\"hidden_size\":-1}",
		"hidden_size");
	config_refused("{\"model_type\":\"saedb_head\",\"hidden_size\":1048577}",
		"between 1 and 1048576");
	config_refused("{\"model_type\":\"saedb_head\","
		       "\"hidden_size\":18446744073709551616}",
		"");
	config_refused("{\"model_type\":\"x\",\"n_embd\":6,\"n_layer\":4097}",
		"\"n_layer\"");
	config_refused("{\"model_type\":\"x\",\"n_embd\":6,\"n_layer\":4096,"
		       "\"vocab_size\":16777217}",
		"vocab_size");
	config_refused(HEAD ",\"max_position_embeddings\":0}",
		"max_position_embeddings");
	config_refused(HEAD ",\"max_position_embeddings\":4294967295}",
		"max_position_embeddings");
	config_refused(HEAD ",\"d_model\":7}", "\"hidden_size\" is 6, but \"d_model\"");
	config_refused(HEAD ",\"n_layers\":4}", "\"n_layers\" is 4");
	config_refused(HEAD ",\"text_config\":[]}", "text_config");
	config_refused(HEAD ",\"num_attention_heads\":1000,\"head_dim\":1000000}",
		"1000 heads");
	config_refused(HEAD ",\"num_attention_heads\":\"2\"}", "num_attention_heads");
	config_refused("{\"model_type\":\"saedb_head\",\"hidden_size\":", "");
}

static void
test_any_weights(void **state)
{
	struct lm *m;

	(void)state;
	only_config(HEAD "}");
	put_weights("{" T("unembed", "F16", "[5,6]", "0", "60") "}", 60);
	m = head(scratch);
	assert_true(lm_has_unembed(m));
	assert_null(lm_final_gain(m));
	assert_string_equal(lm_info(m)->dtype_file, "F16");
	lm_close(m);
	put_weights("{" T("unembed", "F32", "[6,5]", "0", "120") "}", 120);
	refuses(ERR_MISMATCH, "(6, 5)");
	put_weights("{" T("unembed", "F32", "[30]", "0", "120") "}", 120);
	refuses(ERR_MISMATCH, "unembed");
	put_weights("{" T("unembed", "F32", "[5,6,1]", "0", "120") "}", 120);
	refuses(ERR_MISMATCH, "unembed");
	put_weights("{" T("unembed", "I32", "[5,6]", "0", "120") "}", 120);
	refuses(ERR_UNSUPPORTED, "I32");
	put_weights("{" T("unembed", "F8_E4M3", "[5,6]", "0", "30") "}", 30);
	refuses(ERR_UNSUPPORTED, "F8_E4M3");
	put_weights("{" T("unembed", "F32", "[5,6]", "0", "120") "," T("final_gain",
			    "F32", "[5]", "120", "140") "}",
		140);
	refuses(ERR_MISMATCH, "final_gain");
	put_weights("{" T("unembed", "F32", "[5,6]", "0", "120") "," T("final_gain",
			    "U8", "[6]", "120", "126") "}",
		126);
	refuses(ERR_UNSUPPORTED, "final_gain");
	put_weights("{" T("W_U", "F32", "[5,6]", "0", "120") "}", 120);
	refuses(ERR_MISMATCH, "no tensor unembed (5, 6)");
	put_weights("{" T("lm_head.weight", "F32", "[5,6]", "0", "120") "}", 120);
	refuses(ERR_MISMATCH, "no tensor unembed");
	/* another model's own files */
	put_file(at("config.json"), OTHER "}", strlen(OTHER "}"));
	m = head(scratch);
	assert_true(lm_has_unembed(m));
	lm_close(m);
	put_weights("{" T("embed", "F32", "[5,6]", "0", "120") "}", 120);
	m = head(scratch);
	assert_false(lm_has_unembed(m));
	lm_close(m);
	put_weights("{" T("lm_head.weight", "F32", "[8,6]", "0", "192") "}", 192);
	refuses(ERR_MISMATCH, "(8, 6)");
}

/* A NaN in it would be in every effect. */
static void
test_nan(void **state)
{
	const float nan_value = NAN;
	struct err e = ERR_INIT;
	struct buf b;

	(void)state;
	only_config_of("head-llama");
	assert_int_equal(file_read(fixture("head-llama/model.safetensors"), 1 << 24, &b,
				 &e),
		0);
	memcpy(b.data + b.n_bytes - 4 * 5, &nan_value, sizeof(nan_value));
	put_file(at("model.safetensors"), b.data, b.n_bytes);
	buf_clear(&b);
	refuses(ERR_FORMAT, "NaN");
}

static void
test_nothing(void **state)
{
	struct err e = ERR_INIT;
	struct lm *m = NULL;

	(void)state;
	only_config(HEAD "}");
	assert_int_equal(remove(at("config.json")), 0);
	refuses(ERR_NOTFOUND, "config.json");
	assert_int_equal(lm_open_head(&m, "/nowhere", NULL), ERR_NOTFOUND);
	assert_int_equal(lm_open_head(&m, "/nowhere", &e), ERR_NOTFOUND);
	assert_null(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_any_hooks),
		cmocka_unit_test(test_any_refused),
		cmocka_unit_test(test_any_weights),
		cmocka_unit_test(test_nan),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
