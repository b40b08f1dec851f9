/* SPDX-License-Identifier: ISC */
/*
 * Layers of cross-layer transcoders against circuit-tracer, and SAELens' heads, which
 * it lays side by side: make_fixtures_clt.py.
 */
#include "tests/model/sae_session.h"

/* A value may be off by this much of |y| |w| + |b|; the active sets are equal: no
 * pre-activation lies closer to its threshold than 1e-3. */
#define CLOSE 1e-5
#define N_LAYERS 3
#define N_FEATURES 24
#define D 12

#define GEMMA "clt/width_262k_l0_big"

static const struct set {
	const char *name, *dir, *prefix;
	const char *family, *in; /* its site */
	enum sae_kind kind;
	bool skip;
} sets[] = {
	{"fam-clt-relu", "set", "W_enc_", "circuit-tracer-clt", "hook_resid_mid",
		SAE_RELU, false},
	{"fam-clt-jumprelu", "set", "W_enc_", "circuit-tracer-clt", "mlp.hook_in",
		SAE_JUMPRELU, false},
	{"fam-clt-skip", "set", "W_enc_", "circuit-tracer-clt", "hook_resid_mid",
		SAE_RELU, true},
	{"fam-clt-gemma", GEMMA, "params_layer_", "gemma-scope-2-clt", "mlp.hook_in",
		SAE_JUMPRELU, false},
	{"fam-clt-gemma-affine", GEMMA "_affine", "params_layer_", "gemma-scope-2-clt",
		"mlp.hook_in", SAE_JUMPRELU, true},
};
#define N_SETS (sizeof(sets) / sizeof(sets[0]))

static void
open_layer(struct session *t, const struct set *s, uint32_t layer)
{
	char name[160], dir[160];

	snprintf(name, sizeof(name), "%s/%s/%s%u.safetensors", s->name, s->dir,
		s->prefix, layer);
	snprintf(dir, sizeof(dir), "%s/%u", s->name, layer);
	session_open(t, name, dir, NULL);
}

static double
norm(const float *v, size_t n)
{
	return (double)kernel_norm(v, n);
}

/* The furthest activation from the reference; infinite when one is active on one
 * side only. */
static double
worst_act(const struct session *t, const float *got)
{
	const struct sae *s = t->s;
	double worst = 0;

	for (size_t i = 0; i < t->m * t->f; i++) {
		size_t q = i / t->f, f = i % t->f;
		double by =
			norm(t->x + q * t->d, t->d) * norm(s->w_enc + f * t->d, t->d) +
			fabs((double)s->b_enc[f]);
		double off = fabs((double)got[i] - (double)t->acts[i]) / by;

		if ((got[i] > 0) != (t->acts[i] > 0) || isnan(off))
			return INFINITY;
		worst = off > worst ? off : worst;
	}
	return worst;
}

/* new: what each token's activations decode to, (m, o). */
static float *
decode(const struct session *t, const float *acts)
{
	float *back = mem_new(t->m * t->o, sizeof(*back));

	for (size_t q = 0; q < t->m; q++)
		session_decode(t, q, acts, 1, 0, back + q * t->o);
	return back;
}

/* How far the SAE is from its reference, in activations and decoded. */
static double
distance(const struct session *t)
{
	float *y = mem_new(t->m * t->d, sizeof(*y));
	float *got = mem_new(t->m * t->f, sizeof(*got)), *back;
	double worst, off;

	sae_prepare(t->s, y, t->x, t->m, NULL, NULL);
	session_encode(t, y, 7, got);
	worst = worst_act(t, got);
	back = decode(t, got);
	off = worst_row(back, t->back, t->m, t->o);
	mem_free(y);
	mem_free(got);
	mem_free(back);
	return off > worst ? off : worst;
}

/* ---- a layer ----------------------------------------------------------------- */

static void
check_rows(const struct session *t)
{
	size_t n;
	float *dec = golden(t->golden, "dec", &n);

	assert_int_equal(n, t->f * t->o);
	assert_memory_equal(dec, t->s->w_dec, n * sizeof(*dec));
	mem_free(dec);
}

static void
check_info(const struct session *t, const struct set *s, uint32_t layer)
{
	static const char *const gives[N_LAYERS] = {"blocks.0-2.hook_mlp_out",
		"blocks.1-2.hook_mlp_out", "blocks.2.hook_mlp_out"};
	const struct sae_info *n = &t->s->info;
	char text[128];
	struct hook last;

	assert_string_equal(n->family, s->family);
	assert_int_equal(n->kind, s->kind);
	assert_true(n->cross_layer && n->transcoder && n->prepend_bos);
	assert_int_equal(n->n_targets, N_LAYERS - layer);
	assert_int_equal(n->d_in, D);
	assert_int_equal(n->d_out, (N_LAYERS - layer) * D);
	assert_int_equal(t->s->w_skip != NULL, s->skip);
	snprintf(text, sizeof(text), "blocks.%u.%s", layer, s->in);
	assert_string_equal(n->hook.name, text);
	snprintf(text, sizeof(text), "blocks.%u.hook_mlp_out", layer);
	assert_string_equal(n->hook_out.name, text);
	sae_gives(n, text, sizeof(text));
	assert_string_equal(text, gives[layer]);
	assert_non_null(strstr(n->rules, text));
	sae_target(n, n->n_targets - 1, &last);
	assert_string_equal(last.name, "blocks.2.hook_mlp_out");
	assert_int_equal(last.layer, 2);
}

static void
test_layers(void **state)
{
	uint8_t seen[N_SETS * N_LAYERS][32];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < N_SETS; i++) {
		for (uint32_t layer = 0; layer < N_LAYERS; layer++) {
			struct session t;
			double off;

			open_layer(&t, &sets[i], layer);
			off = distance(&t);
			print_message("# %s layer %u: off by %.2g\n", sets[i].name,
				layer, off);
			if (!(off < CLOSE))
				fail_msg("%s layer %u: off by %g", sets[i].name, layer,
					off);
			check_rows(&t);
			check_info(&t, &sets[i], layer);
			for (size_t j = 0; j < n; j++)
				assert_memory_not_equal(seen[j], t.s->hash, 32);
			memcpy(seen[n++], t.s->hash, 32);
			session_close(&t);
		}
	}
}

/* What all layers give, together, is what the library decodes from all. */
static void
test_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SETS; i++) {
		char path[160];
		struct err e = ERR_INIT;
		struct tensors *g = NULL;
		float *want, *sum;
		size_t n, m;

		snprintf(path, sizeof(path), "%s/golden.safetensors", sets[i].name);
		assert_int_equal(tensors_open(&g, fixture(path), &e), 0);
		want = golden(g, "back", &n); /* (layers, m, D) */
		m = n / N_LAYERS / D;
		sum = mem_new(n, sizeof(*sum));
		for (uint32_t layer = 0; layer < N_LAYERS; layer++) {
			struct session t;
			float *part;

			open_layer(&t, &sets[i], layer);
			assert_int_equal(t.m, m);
			part = decode(&t, t.acts);
			for (size_t q = 0; q < m; q++)
				for (size_t o = 0; o < t.o; o++)
					sum[((layer + o / D) * m + q) * D + o % D] +=
						part[q * t.o + o];
			mem_free(part);
			session_close(&t);
		}
		assert_true(worst_row(sum, want, N_LAYERS * m, D) < CLOSE);
		mem_free(sum);
		mem_free(want);
		tensors_close(g);
	}
}

/* The references tell each rule from a wrong one. */
static void
test_traps(void **state)
{
	struct session t;
	float *skip;

	(void)state;
	open_layer(&t, &sets[1], 1);
	t.s->info.kind = SAE_RELU;
	mem_free(t.s->threshold);
	t.s->threshold = NULL;
	sae_work_free(t.w);
	t.w = NULL;
	assert_int_equal(sae_work_new(&t.w, t.s, &(struct err)ERR_INIT), 0);
	assert_true(distance(&t) > 1e-3);
	session_close(&t);
	open_layer(&t, &sets[2], 0);
	skip = mem_new(D * D, sizeof(*skip));
	for (size_t i = 0; i < D * D; i++)
		skip[i] = t.s->w_skip[i % D * D + i / D];
	memcpy(t.s->w_skip, skip, D * D * sizeof(*skip));
	assert_true(distance(&t) > 1e-3);
	mem_free(skip);
	session_close(&t);
	open_layer(&t, &sets[0], 0);
	for (size_t i = 0; i < D; i++) { /* targets in another order */
		float x = t.s->w_dec[i];

		t.s->w_dec[i] = t.s->w_dec[D + i];
		t.s->w_dec[D + i] = x;
	}
	assert_true(distance(&t) > 1e-3);
	session_close(&t);
}

/* Only what is not 0 for the layers below is told. */
static void
test_below(void **state)
{
	struct session t;

	(void)state;
	open_layer(&t, &sets[4], 1);
	assert_non_null(strstr(t.s->info.rules, "layers below left out"));
	session_close(&t);
	open_layer(&t, &sets[4], 0);
	assert_null(strstr(t.s->info.rules, "below"));
	session_close(&t);
	open_layer(&t, &sets[3], 1);
	assert_null(strstr(t.s->info.rules, "below"));
	assert_string_equal(t.s->info.model_name, "google/gemma-3-270m-pt");
	assert_int_equal(t.s->info.context_size, 1024);
	session_close(&t);
}

/* ---- heads --------------------------------------------------------------------- */

static void
test_heads(void **state)
{
	struct session t;
	float *x;
	double off;

	(void)state;
	session_open(&t, "fam-saelens-hook-z", "fam-saelens-hook-z", NULL);
	assert_string_equal(t.s->info.hook.name, "blocks.1.attn.hook_z");
	assert_int_equal(t.d, 12); /* 3 heads of 4 */
	x = mem_new(t.m * t.d, sizeof(*x));
	memcpy(x, t.x, t.m * t.d * sizeof(*x));
	off = distance(&t);
	print_message("# heads: off by %.2g\n", off);
	assert_true(off < CLOSE);
	for (size_t i = 0; i < t.m * t.d; i++) /* dimension-major */
		t.x[i] = x[i / t.d * t.d + i % 3 * 4 + i % t.d / 3];
	assert_true(distance(&t) > 1e-3);
	mem_free(x);
	session_close(&t);
}

/* ---- refused ----------------------------------------------------------------- */

/* Lays a set in the scratch directory, one file left out. */
static void
lay(const struct set *s, const char *but)
{
	static const char *const files[] = {"W_enc_0.safetensors",
		"W_enc_1.safetensors", "W_enc_2.safetensors", "W_dec_0.safetensors",
		"W_dec_1.safetensors", "W_dec_2.safetensors", "config.yaml",
		"params_layer_0.safetensors", "params_layer_1.safetensors",
		"params_layer_2.safetensors", "config.json"};
	char from[160], to[160];
	struct err e = ERR_INIT;

	assert_int_equal(dir_remove(scratch, &e), 0);
	assert_int_equal(dir_make(at(s->dir), &e), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(from, sizeof(from), "%s/%s/%s", s->name, s->dir, files[i]);
		snprintf(to, sizeof(to), "%s/%s", s->dir, files[i]);
		if (strcmp(files[i], but) != 0 && file_exists(fixture(from)))
			copy_fixture(from, to);
	}
}

static void
expect(const struct set *s, const char *base, int code, const char *says)
{
	char path[160];
	struct err e = ERR_INIT;
	struct sae *sae = NULL;
	int rc;

	snprintf(path, sizeof(path), "%s/%s", s->dir, base);
	rc = sae_open(&sae, at(path), &e);
	if (rc == 0)
		sae_close(sae);
	if (rc != code || !strstr(e.text, says))
		fail_msg("%d \"%s\", not %d %s", rc, e.text, code, says);
}

static void
test_files_wrong(void **state)
{
	static const struct {
		const struct set *set;
		const char *file, *by; /* by: of data/clt-wrong; NULL: it is missing */
		int code;
		const char *says;
	} wrong[] = {
		{&sets[0], "W_dec_1", NULL, ERR_NOTFOUND,
			"W_dec_1.safetensors is missing, which holds the decoder of"},
		{&sets[0], "W_dec_1", "dec-rank", ERR_MISMATCH,
			"tensor W_dec_1 has 2 dimensions"},
		{&sets[0], "W_dec_1", "dec-features", ERR_MISMATCH,
			"for 23 features of 12 dimensions"},
		{&sets[0], "W_dec_1", "dec-width", ERR_MISMATCH,
			"for 24 features of 11 dimensions"},
		{&sets[0], "W_dec_1", "dec-short", ERR_MISMATCH,
			"the decoder of layer 1 ends with layer 1: it lacks targets"},
		{&sets[0], "W_dec_1", "dec-long", ERR_MISMATCH,
			"of a transcoder of 3 layers, but layer 1 is of one of 4"},
		{&sets[0], "W_dec_1", "dec-none", ERR_FORMAT,
			"tensor W_dec_1 is for 0 layers"},
		{&sets[0], "W_dec_1", "dec-nan", ERR_FORMAT,
			"tensor W_dec_1 holds NaN at index 575"},
		{&sets[0], "W_dec_1", "dec-name", ERR_MISMATCH,
			"tensor W_dec_1 is missing"},
		{&sets[0], "W_dec_1", "dec-more", ERR_MISMATCH, "holds more than"},
		{&sets[0], "W_enc_1", "enc-transposed", ERR_MISMATCH,
			"tensor W_enc_1 has 12 in dimension 0"},
		{&sets[0], "W_enc_1", "enc-nan", ERR_FORMAT,
			"tensor b_enc_1 holds NaN"},
		{&sets[0], "W_enc_1", "enc-b_dec", ERR_MISMATCH,
			"reads 12 dimensions, but its b_dec has 11"},
		{&sets[0], "W_enc_1", "enc-skip", ERR_MISMATCH,
			"has no W_skip_0, unlike"},
		{&sets[0], "W_enc_1", "enc-threshold", ERR_MISMATCH,
			"has no threshold_0, unlike"},
		{&sets[0], "W_enc_1", "enc-other", ERR_MISMATCH,
			"holds tensor b_enc_2"},
		{&sets[0], "W_enc_1", "enc-lacking", ERR_MISMATCH,
			"tensor b_dec_1 is missing"},
		{&sets[1], "W_enc_1", "enc-negative", ERR_UNSUPPORTED,
			"the threshold of feature 5 is below 0"},
		{&sets[3], "params_layer_1", "gemma-rank", ERR_MISMATCH,
			"tensor w_dec has 2 dimensions"},
		{&sets[3], "params_layer_1", "gemma-width", ERR_MISMATCH,
			"for 24 features of 11 dimensions"},
		{&sets[3], "params_layer_1", "gemma-short", ERR_MISMATCH,
			"ends with layer 0: it lacks the targets from layer 1 on"},
		{&sets[3], "params_layer_1", "gemma-long", ERR_MISMATCH,
			"of a transcoder of 3 layers, but layer 1 is of one of 4"},
		{&sets[3], "params_layer_1", "gemma-nan", ERR_FORMAT,
			"tensor w_dec holds NaN at index 0"},
		{&sets[3], "params_layer_1", "gemma-affine", ERR_MISMATCH,
			"has no affine_skip_connection, unlike"},
		{&sets[3], "params_layer_1", "gemma-lacking", ERR_MISMATCH,
			"tensor threshold is missing"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct set *s = wrong[i].set;
		char file[64], from[160], to[160];

		snprintf(file, sizeof(file), "%s.safetensors", wrong[i].file);
		lay(s, file);
		if (wrong[i].by) {
			snprintf(from, sizeof(from), "clt-wrong/%s.safetensors",
				wrong[i].by);
			snprintf(to, sizeof(to), "%s/%s", s->dir, file);
			copy_fixture(from, to);
		}
		snprintf(file, sizeof(file), "%s1.safetensors", s->prefix);
		expect(s, file, wrong[i].code, wrong[i].says);
	}
}

static void
test_config_wrong(void **state)
{
	static const struct {
		const struct set *set;
		const char *file, *what, *by;
		int code;
		const char *says;
	} wrong[] = {
		{&sets[0], "config.yaml", "cross_layer_transcoder", "transcoder_set",
			ERR_UNSUPPORTED, "model_kind \"transcoder_set\""},
		{&sets[0], "config.yaml", "feature_input_hook", "f", ERR_ARG, "--hook"},
		{&sets[0], "config.yaml", "scan: tiny", "k: 5", ERR_UNSUPPORTED,
			"k is 5"},
		{&sets[0], "config.yaml", "hook_resid_mid", "blocks.0.hook_resid_mid",
			ERR_MISMATCH, "blocks.0.hook_resid_mid is not in layer 1"},
		{&sets[0], "config.yaml", "hook_mlp_out", "blocks.2.hook_mlp_out",
			ERR_MISMATCH, "blocks.2.hook_mlp_out is not in layer 1"},
		{&sets[3], "config.json", "\"clt\"", "\"crosscoder\"", ERR_UNSUPPORTED,
			"type \"crosscoder\" is not supported"},
		{&sets[3], "config.json", "{all}", "{5,9}", ERR_UNSUPPORTED,
			"\"model.layers.{5,9}.pre_feedforward_layernorm.output\""},
		{&sets[3], "config.json", "{all}", "2", ERR_MISMATCH,
			"is not in layer 1"},
		{&sets[3], "config.json", "jump_relu", "relu", ERR_UNSUPPORTED,
			"architecture \"relu\""},
		{&sets[3], "config.json", "\"width\": 72", "\"width\": 48",
			ERR_MISMATCH, "24 features in each of 3 layers"},
		{&sets[3], "config.json", "\"affine_connection\": false",
			"\"affine_connection\": true", ERR_MISMATCH,
			"affine_connection is true"},
		{&sets[3], "config.json", "\"hf_hook_point_out\"", "\"out\"",
			ERR_UNSUPPORTED, "does not tell at which hook"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct set *s = wrong[i].set;
		char file[160];

		lay(s, "");
		snprintf(file, sizeof(file), "%s/%s", s->dir, wrong[i].file);
		edit_file(file, wrong[i].what, wrong[i].by);
		snprintf(file, sizeof(file), "%s1.safetensors", s->prefix);
		expect(s, file, wrong[i].code, wrong[i].says);
	}
}

/* One layer is enough, where its files do not contradict; a directory of several is
 * asked which. */
static void
test_some_files(void **state)
{
	char path[160];

	(void)state;
	lay(&sets[0], "");
	expect(&sets[0], "", ERR_ARG, "holds several SAEs");
	expect(&sets[0], "W_dec_1.safetensors", ERR_NOTFOUND,
		"no SAE that saedb knows");
	for (size_t i = 0; i < N_LAYERS; i += 2) {
		snprintf(path, sizeof(path), "set/W_enc_%zu.safetensors", i);
		assert_int_equal(remove(at(path)), 0);
		snprintf(path, sizeof(path), "set/W_dec_%zu.safetensors", i);
		assert_int_equal(remove(at(path)), 0);
	}
	expect(&sets[0], "", 0, "");
	assert_int_equal(rename(at("set/W_enc_1.safetensors"),
				 at("set/W_enc_one.safetensors")),
		0);
	expect(&sets[0], "", ERR_UNSUPPORTED, "its name does not tell the layer");
	lay(&sets[4], "");
	assert_int_equal(dir_make(at("crosscoder"), NULL), 0);
	assert_int_equal(rename(at("clt/width_262k_l0_big_affine"), at("crosscoder/x")),
		0);
	expect(&(struct set){.dir = "crosscoder/x"}, "params_layer_1.safetensors",
		ERR_UNSUPPORTED, "type \"crosscoder\"");
	assert_int_equal(rename(at("crosscoder/x"), at("x")), 0);
	expect(&(struct set){.dir = "x"}, "params_layer_1.safetensors", ERR_ARG,
		"--hook");
}

static void
test_sweep(void **state)
{
	(void)state;
	for (size_t i = 2; i < N_SETS; i++) {
		char path[160];
		int rc = -1;

		snprintf(path, sizeof(path), "%s/%s/%s1.safetensors", sets[i].name,
			sets[i].dir, sets[i].prefix);
		for (long n = 0; rc < 0; n++) {
			struct err e = ERR_INIT;
			struct sae *s = NULL;

			mem_fail_at(n);
			rc = sae_open(&s, fixture(path), &e);
			mem_fail_at(-1);
			if (rc < 0 && rc != ERR_NOMEM)
				fail_msg("%s, allocation %ld: %d %s", path, n, rc,
					e.text);
			sae_close(s);
			assert_true(n < 10000);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_traps),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_files_wrong),
		cmocka_unit_test(test_config_wrong),
		cmocka_unit_test(test_some_files),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
