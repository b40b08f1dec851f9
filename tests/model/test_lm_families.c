/* SPDX-License-Identifier: ISC */
#include "tests/model/session.h"

/* ---- against transformers ------------------------------------------------ */

static const struct {
	const char *name, *family, *architecture;
} models[] = {
	{"lm-llama", "llama", "LlamaForCausalLM"},
	{"lm-llama-v4", "llama", "LlamaForCausalLM"},
	{"lm-llama-dynamic", "llama", "LlamaForCausalLM"},
	{"lm-mistral", "mistral", "MistralForCausalLM"},
	{"lm-mistral-long", "mistral", "MistralForCausalLM"},
	{"lm-qwen2", "qwen2", "Qwen2ForCausalLM"},
	{"lm-qwen2-v4", "qwen2", "Qwen2ForCausalLM"},
	{"lm-qwen3", "qwen3", "Qwen3ForCausalLM"},
	{"lm-neox", "gpt_neox", "GPTNeoXForCausalLM"},
	{"lm-neox-serial", "gpt_neox", "GPTNeoXForCausalLM"},
	{"lm-gemma", "gemma", "GemmaForCausalLM"},
	{"lm-gemma2", "gemma2", "Gemma2ForCausalLM"},
	{"lm-gemma2-v4", "gemma2", "Gemma2ForCausalLM"},
	{"lm-gemma3", "gemma3_text", "Gemma3ForCausalLM"},
	{"lm-gemma3-v4", "gemma3_text", "Gemma3ForCausalLM"},
	{"lm-gemma3-images", "gemma3", "Gemma3ForConditionalGeneration"},
	{"lm-neo", "gpt_neo", "GPTNeoForCausalLM"},
	{"lm-neo-global", "gpt_neo", "GPTNeoForCausalLM"},
	{"lm-lean-llama", "llama", "LlamaForCausalLM"},
	{"lm-lean-mistral", "mistral", "MistralForCausalLM"},
	{"lm-lean-qwen2", "qwen2", "Qwen2ForCausalLM"},
	{"lm-lean-qwen3", "qwen3", "Qwen3ForCausalLM"},
	{"lm-lean-neox", "gpt_neox", "GPTNeoXForCausalLM"},
	{"lm-lean-gemma", "gemma", "GemmaForCausalLM"},
	{"lm-lean-gemma2", "gemma2", "Gemma2ForCausalLM"},
	{"lm-lean-gemma3", "gemma3_text", "Gemma3ForCausalLM"},
};

#define N_MODELS (sizeof(models) / sizeof(models[0]))

static void
test_goldens(void **state)
{
	struct session s;

	(void)state;
	for (size_t i = 0; i < N_MODELS; i++) {
		double worst;

		start(&s, models[i].name);
		worst = check_hooks(&s);
		if (tensors_find(s.golden, "logprobs"))
			check_logits(&s);
		assert_string_equal(lm_info(s.m)->family, models[i].family);
		assert_string_equal(lm_info(s.m)->architecture, models[i].architecture);
		assert_non_null(lm_final_gain(s.m));
		print_message("# %s: off by at most %.2g\n", models[i].name, worst);
		stop(&s);
	}
}

/* The bits at a hook depend neither on the windows of a call nor on the other
 * hooks. */
static void
check_alone(struct session *s, const char *name)
{
	struct err e = ERR_INIT;
	struct hook h[2];
	float *all[2], *alone;
	size_t d;

	assert_int_equal(hook_parse(&h[0], name, &e), 0);
	assert_int_equal(hook_parse(&h[1], "blocks.0.ln2.hook_normalized", &e), 0);
	d = lm_hook_width(s->m, &h[0]);
	all[0] = mem_new(s->n_tokens, d * sizeof(float));
	all[1] = mem_new(s->n_tokens, lm_info(s->m)->d_model * sizeof(float));
	alone = mem_new(s->n_tokens, d * sizeof(float));
	assert_int_equal(lm_forward(s->m, s->w, s->ids, s->window_start, s->n_windows,
				 h, 2, all, &e),
		0);
	for (size_t i = 0; i < s->n_windows; i++) {
		uint32_t from = s->window_start[i];
		uint32_t window[2] = {0, s->window_start[i + 1] - from};

		assert_int_equal(lm_forward(s->m, s->w, s->ids + from, window, 1, h, 1,
					 &alone, &e),
			0);
		assert_memory_equal(alone, all[0] + from * d,
			window[1] * d * sizeof(float));
	}
	mem_free(all[0]);
	mem_free(all[1]);
	mem_free(alone);
}

static void
test_batches(void **state)
{
	struct session s;
	char name[64];

	(void)state;
	for (size_t i = 0; i < N_MODELS; i++) {
		start(&s, models[i].name);
		snprintf(name, sizeof(name), "blocks.%u.hook_resid_post",
			lm_info(s.m)->n_layers - 1);
		check_alone(&s, name);
		check_alone(&s, "blocks.0.attn.hook_z");
		stop(&s);
	}
}

/* Everything that lm_work_new takes is in lm_work_bytes. */
static void
test_work_small(void **state)
{
	uint32_t window[2] = {0, 3};
	struct err e = ERR_INIT;
	struct lm_work *w;
	struct session s;

	(void)state;
	start(&s, "lm-llama");
	assert_true(lm_work_bytes(s.m, 1000) > lm_work_bytes(s.m, 10));
	assert_true(lm_work_bytes(s.m, SIZE_MAX / 2) == SIZE_MAX);
	assert_int_equal(lm_work_new(&w, s.m, 2, &e), 0);
	assert_int_equal(lm_forward(s.m, w, s.ids, window, 1, NULL, 0, NULL, &e),
		ERR_ARG); /* 3 tokens where 2 are the most */
	lm_work_free(w);
	stop(&s);
}

/* ---- hooks --------------------------------------------------------------- */

static void
test_module_names(void **state)
{
	static const struct {
		const char *path, *name;
	} good[] = {
		{"layers.5", "blocks.5.hook_resid_post"},
		{"model.layers.0", "blocks.0.hook_resid_post"},
		{"h.3", "blocks.3.hook_resid_post"},
		{"transformer.h.10", "blocks.10.hook_resid_post"},
		{"gpt_neox.layers.2.mlp", "layers.2.mlp"},
		{"layers.5.mlp", "layers.5.mlp"},
		{"h.3.attn", "layers.3.self_attn"},
		{"layers.3.self_attn", "layers.3.self_attn"},
		{"layers.3.attention", "layers.3.self_attn"},
		{"model.language_model.layers.7.mlp", "layers.7.mlp"},
	};
	static const char *const bad[] = {"layers", "layers.", "layers.x", "layers.1.",
		"layers.01", "layers.1.mlp.up_proj", "embed_tokens", "model.h",
		"layers.1.mlp.", "wte", "layers.-1", "blocks.1.mlp",
		"model.model.layers.1", "layers.4294967297", "layers.1.hook_resid_pre"};
	struct err e = ERR_INIT;
	struct hook h;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (hook_parse(&h, good[i].path, &e) < 0)
			fail_msg("%s", e.text);
		assert_string_equal(h.name, good[i].name);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (hook_parse(&h, bad[i], &e) != ERR_ARG)
			fail_msg("\"%s\" is taken for a hook", bad[i]);
		assert_non_null(strstr(e.text, bad[i]));
	}
}

/* ---- contradictions ------------------------------------------------------ */

/* The fixture with one change in config.json opens with this code and text. */
static void
expect_edit(const char *name, const char *what, const char *by, int code,
	const char *says)
{
	struct err e = ERR_INIT;
	struct lm *m = NULL;
	char path[128];
	int rc;

	snprintf(path, sizeof(path), "%s/config.json", name);
	copy_fixture(path, "config.json");
	snprintf(path, sizeof(path), "%s/model.safetensors", name);
	copy_fixture(path, "model.safetensors");
	if (what)
		edit_file("config.json", what, by);
	rc = lm_open(&m, scratch, &e);
	if (rc == 0)
		lm_close(m);
	if (rc != code || (says && !strstr(e.text, says)))
		fail_msg("%s with %s: %d \"%s\", not %d %s", name, by, rc, e.text, code,
			says ? says : "");
	if (code < 0 && !strstr(e.text, scratch))
		fail_msg("\"%s\" does not name the file", e.text);
}

/* A name in the file is changed: what config.json asks for is not there. */
static void
lacks(const char *fixture_name, const char *tensor, const char *says)
{
	struct err e = ERR_INIT;
	struct lm *m = NULL;
	char path[128];
	struct buf b;
	size_t n = strlen(tensor);
	bool found = false;

	snprintf(path, sizeof(path), "%s/config.json", fixture_name);
	copy_fixture(path, "config.json");
	snprintf(path, sizeof(path), "%s/model.safetensors", fixture_name);
	assert_int_equal(file_read(fixture(path), 1 << 24, &b, &e), 0);
	for (size_t i = 0; !found && i + n < b.n_bytes; i++) {
		found = memcmp(b.data + i, tensor, n) == 0;
		if (found)
			b.data[i + n - 1] = '_';
	}
	put_file(at("model.safetensors"), b.data, b.n_bytes);
	buf_clear(&b);
	assert_true(found);
	if (lm_open(&m, scratch, &e) != ERR_MISMATCH || !strstr(e.text, says))
		fail_msg("without %s: %d \"%s\"", tensor, e.code, e.text);
}

static void
test_llama_contradictions(void **state)
{
	static const char f[] = "lm-llama";

	(void)state;
	expect_edit(f, NULL, NULL, 0, NULL);
	expect_edit(f, "_value_heads\": 2", "_value_heads\": 3", ERR_FORMAT,
		"num_key_value_heads (3)");
	expect_edit(f, "_value_heads\": 2", "_value_heads\": 4", ERR_MISMATCH,
		"k_proj.weight");
	expect_edit(f, "_value_heads\": 2", "_value_heads\": 0", ERR_FORMAT,
		"num_key_value_heads");
	expect_edit(f, "_value_heads\": 2", "_value_heads\": null", ERR_MISMATCH,
		"k_proj.weight");
	expect_edit(f, "\"head_dim\": 6", "\"head_dim\": 7", ERR_FORMAT, "head_dim");
	expect_edit(f, "\"head_dim\": 6", "\"head_dim\": 8", ERR_MISMATCH, "q_proj");
	expect_edit(f, "\"head_dim\": 6", "\"head_dim\": null", ERR_MISMATCH, "q_proj");
	expect_edit(f, "\"head_dim\": 6", "\"head_dim\": 1048577", ERR_FORMAT,
		"head_dim");
	expect_edit(f, "\"head_dim\": 6,", "\"head_dim\": null, \"x\": [", ERR_FORMAT,
		NULL);
	expect_edit(f, "hidden_layers\": 3", "hidden_layers\": 2", ERR_MISMATCH,
		"layers.2.input_layernorm.weight");
	expect_edit(f, "hidden_layers\": 3", "hidden_layers\": 4", ERR_MISMATCH,
		"layers.3.input_layernorm.weight");
	expect_edit(f, "hidden_layers\": 3", "hidden_layers\": 5000", ERR_FORMAT,
		"num_hidden_layers");
	expect_edit(f, "\"intermediate_size\": 28", "\"intermediate_size\": 29",
		ERR_MISMATCH, "mlp.gate_proj.weight");
	expect_edit(f, "\"vocab_size\": 37", "\"vocab_size\": 38", ERR_MISMATCH,
		"embed_tokens.weight");
	expect_edit(f, "\"vocab_size\"", "\"vocab\"", ERR_FORMAT, "vocab_size");
	expect_edit(f, "\"hidden_act\": \"silu\"", "\"hidden_act\": \"relu2\"",
		ERR_UNSUPPORTED, "hidden_act \"relu2\"");
	expect_edit(f, "\"attention_bias\": true", "\"attention_bias\": false",
		ERR_MISMATCH, "q_proj.bias");
	expect_edit(f, "\"mlp_bias\": true", "\"mlp_bias\": false", ERR_MISMATCH,
		"mlp.gate_proj.bias");
	expect_edit(f, "\"mlp_bias\": true", "\"mlp_bias\": 1", ERR_FORMAT, "mlp_bias");
	expect_edit(f, "\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": -1", ERR_FORMAT,
		"rms_norm_eps");
	expect_edit(f, "\"use_cache\": true",
		"\"quantization_config\": {\"quant_method\": \"awq\"}", ERR_UNSUPPORTED,
		"quantization_config");
	expect_edit("lm-llama-dynamic", "\"tie_word_embeddings\": false",
		"\"tie_word_embeddings\": true", 0, NULL);
	expect_edit("lm-llama-dynamic", "\"head_dim\": 4", "\"head_dim\": null", 0,
		NULL);
	expect_edit("lm-llama-dynamic", "\"num_attention_heads\": 4",
		"\"num_attention_heads\": 3", ERR_FORMAT, "num_key_value_heads");
}

static void
test_rope_contradictions(void **state)
{
	static const char f[] = "lm-llama", v4[] = "lm-llama-dynamic";

	(void)state;
	expect_edit(f, "\"rope_type\": \"llama3\"", "\"rope_type\": \"yarn\"",
		ERR_UNSUPPORTED, "rope_type \"yarn\"");
	expect_edit(f, "\"rope_type\": \"llama3\"", "\"rope_type\": 3", ERR_FORMAT,
		"rope_type");
	expect_edit(f, "\"factor\": 8.0", "\"factor\": 0", ERR_FORMAT, "factor");
	expect_edit(f, "\"factor\": 8.0", "\"factors\": 8.0", ERR_FORMAT, "factor");
	expect_edit(f, "\"high_freq_factor\": 4.0", "\"high_freq_factor\": 1",
		ERR_FORMAT, "high_freq_factor");
	expect_edit(f, "\"original_max_position_embeddings\": 256",
		"\"original_max_position_embeddings\": \"256\"", ERR_FORMAT,
		"original_max_position_embeddings");
	expect_edit(f, "\"rope_theta\": 10000.0", "\"rope_theta\": 0", ERR_FORMAT,
		"rope_theta");
	expect_edit(f, "\"factor\": 8.0",
		"\"factor\": 8.0, \"partial_rotary_factor\": 0.5", ERR_UNSUPPORTED,
		"partial_rotary_factor");
	expect_edit(f, "\"factor\": 8.0", "\"factor\": 8.0, \"full_attention\": {}",
		ERR_UNSUPPORTED, "each type of layer");
	expect_edit(v4, "\"type\": \"dynamic\"", "\"type\": \"su\"", ERR_UNSUPPORTED,
		"\"su\"");
	expect_edit(v4, "\"rope_scaling\": {", "\"rope_scaling\": 2, \"x\": {",
		ERR_FORMAT, "rope_scaling");
	expect_edit(v4, "\"rope_scaling\": {", "\"rope_scaling\": null, \"x\": {", 0,
		NULL);
}

static void
test_window_contradictions(void **state)
{
	static const char mistral[] = "lm-mistral", qwen[] = "lm-qwen2";

	(void)state;
	expect_edit(mistral, "\"sliding_window\": 5", "\"sliding_window\": 0",
		ERR_FORMAT, "sliding_window");
	expect_edit(mistral, "\"sliding_window\": 5", "\"sliding_window\": null", 0,
		NULL);
	expect_edit(mistral, "\"sliding_window\": 5",
		"\"sliding_window\": 5, \"layer_types\": [\"full_attention\"]",
		ERR_UNSUPPORTED, "layer_types");
	expect_edit(qwen, "\"full_attention\"", "\"chunked_attention\"",
		ERR_UNSUPPORTED, "layer_types[0] \"chunked_attention\"");
	expect_edit(qwen, "\"full_attention\"", "4", ERR_UNSUPPORTED, "layer_types[0]");
	expect_edit(qwen, "\"use_sliding_window\": true",
		"\"use_sliding_window\": false", ERR_FORMAT, "sliding_window");
	expect_edit(qwen, "\"full_attention\",", "", ERR_FORMAT, "layer_types");
}

static void
test_neox_contradictions(void **state)
{
	static const char f[] = "lm-neox", serial[] = "lm-neox-serial";
	struct err e = ERR_INIT;
	struct session s;
	struct hook h;

	(void)state;
	expect_edit(f, "_attention_heads\": 2", "_attention_heads\": 3", ERR_FORMAT,
		"num_attention_heads (3)");
	expect_edit(f, "\"partial_rotary_factor\": 0.25",
		"\"partial_rotary_factor\": 0.4", ERR_FORMAT, "3 of the 8");
	expect_edit(f, "\"partial_rotary_factor\": 0.25",
		"\"partial_rotary_factor\": 1.5", ERR_FORMAT, "1.5");
	expect_edit(serial, "\"rotary_pct\": 0.5", "\"rotary_pct\": 0", ERR_FORMAT,
		"turns");
	expect_edit(f, "\"attention_bias\": true", "\"attention_bias\": false",
		ERR_MISMATCH, "query_key_value.bias");
	expect_edit(f, "hidden_layers\": 2", "hidden_layers\": 1", ERR_MISMATCH,
		"layers.1.input_layernorm.weight");
	start(&s, f);
	assert_int_equal(hook_parse(&h, "blocks.1.hook_resid_mid", &e), 0);
	assert_int_equal(lm_check_hook(s.m, &h, &e), ERR_NOTFOUND);
	assert_non_null(strstr(e.text, "blocks.1.hook_resid_mid"));
	stop(&s);
}

static void
test_gemma_contradictions(void **state)
{
	static const char one[] = "lm-gemma", two[] = "lm-gemma2",
			  three[] = "lm-gemma3", v4[] = "lm-gemma3-v4",
			  images[] = "lm-gemma3-images";

	(void)state;
	expect_edit(one, "\"hidden_act\": \"gelu_pytorch_tanh\"",
		"\"hidden_act\": \"gelu\"", 0, NULL);
	expect_edit(one, "\"hidden_act\": \"gelu_pytorch_tanh\"",
		"\"hidden_act\": \"silu\"", ERR_UNSUPPORTED, "silu");
	expect_edit(one, "\"head_dim\": 6", "\"head_dims\": 6", ERR_FORMAT, "head_dim");
	expect_edit(one, "\"tie_word_embeddings\": true",
		"\"tie_word_embeddings\": false", ERR_MISMATCH, "lm_head.weight");
	expect_edit(two, "\"attn_logit_softcapping\": 2.5",
		"\"attn_logit_softcapping\": 0", ERR_FORMAT, "attn_logit_softcapping");
	expect_edit(two, "\"attn_logit_softcapping\": 2.5",
		"\"attn_logit_softcapping\": null", 0, NULL);
	expect_edit(two, "\"query_pre_attn_scalar\": 3",
		"\"query_pre_attn_scalar\": -3", ERR_FORMAT, "query_pre_attn_scalar");
	expect_edit(two, "\"use_bidirectional_attention\": null",
		"\"use_bidirectional_attention\": true", ERR_UNSUPPORTED,
		"use_bidirectional_attention");
	expect_edit(two, "\"sliding_window\": 5", "\"sliding_window\": null",
		ERR_FORMAT, "sliding_window");
	expect_edit(three, "\"head_dim\": 6", "\"head_dim\": 5", ERR_FORMAT,
		"head_dim");
	expect_edit(three, "\"rope_parameters\": {",
		"\"rope_parameters\": {\"rope_type\": \"default\"}, \"x\": {",
		ERR_FORMAT, "full_attention");
	expect_edit(three, "\"rope_type\": \"linear\"", "\"rope_type\": \"longrope\"",
		ERR_UNSUPPORTED, "longrope");
	expect_edit(v4, "\"sliding_window_pattern\": 2",
		"\"sliding_window_pattern\": 0", ERR_FORMAT, "sliding_window_pattern");
	expect_edit(images, "\"text_config\": {", "\"text\": {", ERR_FORMAT,
		"text_config");
	lacks(two, "layers.1.post_feedforward_layernorm.weight", "is missing");
	lacks(three, "layers.1.self_attn.k_norm.weight", "is missing");
}

static void
test_neo_contradictions(void **state)
{
	static const char f[] = "lm-neo", bare[] = "lm-neo-global";

	(void)state;
	expect_edit(f, "\"num_heads\": 4", "\"num_heads\": 3", ERR_FORMAT,
		"num_heads (3)");
	expect_edit(f, "\"num_layers\": 3", "\"num_layers\": 2", ERR_FORMAT, "more");
	expect_edit(f, "\"num_layers\": 3", "\"num_layers\": 4", ERR_FORMAT, "fewer");
	expect_edit(f, "\"attention_types\": [", "\"attention_types\": [1, ",
		ERR_FORMAT, "attention_types");
	expect_edit(f, "\"attention_types\": [",
		"\"attention_types\": [[[\"global\"], 18446744073709551615], ",
		ERR_FORMAT, NULL);
	expect_edit(f, "\"attention_types\": [",
		"\"attention_types\": [[[\"global\"], 9000000000000000000], ",
		ERR_FORMAT, "more");
	expect_edit(f, "\"attention_types\": [",
		"\"attention_types\": [[[\"globe\"], 1], ", ERR_UNSUPPORTED, "globe");
	expect_edit(f, "\"attention_types\"", "\"attention\"", ERR_FORMAT,
		"attention_types");
	expect_edit(f, "\"window_size\": 4", "\"window_size\": 0", ERR_FORMAT,
		"window_size");
	expect_edit(bare, "\"max_position_embeddings\": 16",
		"\"max_position_embeddings\": 17", ERR_MISMATCH, "wpe.weight");
	lacks(f, "h.2.attn.attention.v_proj.weight", "is missing");
	lacks(bare, "lm_head.weight", "is missing");
}

/* Checkpoints of Gemma 3 name its text model in either order. */
static void
test_prefix(void **state)
{
	static const char from[] = "language_model.model.",
			  to[] = "model.language_model.";
	struct err e = ERR_INIT;
	struct lm *m = NULL;
	size_t n = strlen(from);
	struct buf b;

	(void)state;
	copy_fixture("lm-gemma3-images/config.json", "config.json");
	assert_int_equal(file_read(fixture("lm-gemma3-images/model.safetensors"),
				 1 << 24, &b, &e),
		0);
	for (size_t i = 0; i + n < b.n_bytes; i++)
		if (memcmp(b.data + i, from, n) == 0)
			memcpy(b.data + i, to, n);
	put_file(at("model.safetensors"), b.data, b.n_bytes);
	buf_clear(&b);
	if (lm_open(&m, scratch, &e) < 0)
		fail_msg("%s", e.text);
	lm_close(m);
}

static void
test_missing(void **state)
{
	static const char *const names[] = {"model.embed_tokens.weight",
		"model.norm.weight", "layers.1.self_attn.v_proj.bias",
		"layers.2.self_attn.o_proj.weight", "layers.0.mlp.down_proj.bias",
		"layers.1.post_attention_layernorm.weight", "lm_head.weight"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		lacks("lm-llama", names[i], "is missing");
	lacks("lm-qwen2", "layers.1.self_attn.k_proj.bias", "is missing");
	lacks("lm-neox", "layers.0.attention.query_key_value.bias", "is missing");
	lacks("lm-qwen3", "layers.1.self_attn.q_norm.weight", "is missing");
}

/* ---- memory -------------------------------------------------------------- */

static void
sweep(const char *name)
{
	struct hook h = {.site = HOOK_RESID_POST};
	uint32_t ids[3] = {1, 2, 3}, window[2] = {0, 3};
	float *out = mem_new(3, 64 * sizeof(float));
	struct err e = ERR_INIT;
	int rc = -1;

	for (long n = 0; rc < 0; n++) {
		struct lm_work *w = NULL;
		struct lm *m = NULL;

		mem_fail_at(n);
		rc = lm_open(&m, fixture(name), &e);
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

static void
test_sweep(void **state)
{
	(void)state;
	sweep("lm-llama");
	sweep("lm-neox");
	sweep("lm-gemma3");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goldens),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_work_small),
		cmocka_unit_test(test_module_names),
		cmocka_unit_test(test_llama_contradictions),
		cmocka_unit_test(test_rope_contradictions),
		cmocka_unit_test(test_window_contradictions),
		cmocka_unit_test(test_neox_contradictions),
		cmocka_unit_test(test_gemma_contradictions),
		cmocka_unit_test(test_neo_contradictions),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
