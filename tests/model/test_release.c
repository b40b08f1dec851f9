/* SPDX-License-Identifier: ISC */
/*
 * SAELens' names: what they stand for, by facts copied from its list, and looked up in
 * a cache laid out as huggingface_hub lays it out. Every id is compared with SAELens
 * itself by tests/reference/releases.py.
 */
#include "model/release.h"
#include "tests/model/sae_session.h"

#define COMMIT "607a30d783dfa663caf39e06633721c8d4cfcd7e"
#define OTHER "57014d0c23b4d4ae84b2ad4f3ae4d7a58f2bd1ee"
#define JB "models--jbloom--GPT2-Small-SAEs-Reformatted"
#define QWEN "models--Qwen--SAE-Res-Qwen3-1.7B-Base-W32K-L0_50"

#define CLT "models--mntss--clt-gemma-2-2b-2.5M"

static struct release_found found;

static const struct release *
release_of(const char *name)
{
	const struct release *r;

	for (size_t i = 0; (r = release_at(i)) != NULL; i++)
		if (strcmp(release_name(r), name) == 0)
			return r;
	fail_msg("no release %s", name);
	return NULL;
}

static size_t
n_saes(const struct release *r)
{
	struct release_sae s;
	size_t n = 0;

	while (release_sae_at(r, n, &s))
		n++;
	return n;
}

/* ---- the list --------------------------------------------------------------- */

static void
test_whole(void **unused)
{
	const struct release *r, *last = NULL;
	size_t n = 0, n_releases = 0;

	(void)unused;
	for (; (r = release_at(n_releases)) != NULL; n_releases++, last = r) {
		assert_true(n_saes(r) > 0);
		n += n_saes(r);
		if (last)
			assert_true(strcmp(release_name(last), release_name(r)) < 0);
	}
	assert_int_equal(n_releases, 170);
	assert_int_equal(n, 13857);
}

static void
test_known(void **unused)
{
	static const struct {
		const char *release, *repo, *id, *path;
		struct sae_given given;
	} known[] = {
		{"gpt2-small-res-jb", "jbloom/GPT2-Small-SAEs-Reformatted",
			"blocks.11.hook_resid_post", "blocks.11.hook_resid_post",
			{.center = true}},
		{"gpt2-small-mlp-tm", "tommmcgrath/gpt2-small-mlp-out-saes",
			"blocks.11.hook_mlp_out",
			"sae_group_gpt2_blocks.11.hook_mlp_out_24576:v2",
			{.center = true, .scale = 0.2851548652550073}},
		{"mistral-7b-res-wg", "JoshEngels/Mistral-7B-Residual-Stream-SAEs",
			"blocks.16.hook_resid_pre", "mistral_7b_layer_16",
			{.constant_norm = true}},
		{"gemma-2b-res-jb", "jbloom/Gemma-2b-Residual-Stream-SAEs",
			"blocks.12.hook_resid_post",
			"gemma_2b_blocks.12.hook_resid_post_16384",
			{.scale = 0.21381938399317255}},
		{"gemma-scope-2b-pt-res-canonical", "google/gemma-scope-2b-pt-res",
			"layer_20/width_16k/canonical",
			"layer_20/width_16k/average_l0_71", {0}},
		{"gemma-scope-2-4b-it-transcoders-all", "google/gemma-scope-2-4b-it",
			"layer_33_width_262k_l0_small_affine",
			"transcoder_all/layer_33_width_262k_l0_small_affine", {0}},
		{"llama_scope_r1_distill", "fnlp/Llama-Scope-R1-Distill",
			"l1r_800m_slimpajama", "800M-Slimpajama-0-OpenR1-Math-220k/L1R",
			{.scale = 37.07457226753229}},
		{"pythia-70m-deduped-res-sm",
			"ctigges/pythia-70m-deduped__res-sm_"
			"processed",
			"blocks.0.hook_resid_pre", "e-res-sm", {0}},
		{"gpt2-small-res_scefr-ajt", "neuronpedia/gpt2-small__res_scefr-ajt",
			"blocks.10.hook_resid_pre", "10-res_scefr-ajt", {0}},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct release *r = release_of(known[i].release);
		struct release_sae s;
		size_t k = 0;

		assert_string_equal(release_repo(r), known[i].repo);
		while (release_sae_at(r, k++, &s) && strcmp(s.id, known[i].id) != 0)
			;
		assert_string_equal(s.id, known[i].id);
		assert_string_equal(s.path, known[i].path);
		assert_int_equal(s.given.center, known[i].given.center);
		assert_int_equal(s.given.constant_norm, known[i].given.constant_norm);
		assert_true(s.given.scale == known[i].given.scale);
	}
}

/* ---- applied ------------------------------------------------------------------ */

static void
given_of(const char *release, const char *id, struct sae_given *out)
{
	const struct release *r = release_of(release);
	struct release_sae s;

	for (size_t k = 0; release_sae_at(r, k, &s); k++)
		if (strcmp(s.id, id) == 0) {
			*out = s.given;
			return;
		}
	fail_msg("no %s", id);
}

/* As SAELens' from_pretrained() applies them, to files that do not tell; without
 * them it is another SAE, or none. */
static void
test_applied(void **unused)
{
	static const struct {
		const char *sae, *golden, *release, *id, *rule;
		int alone; /* what comes of the files without the release */
	} applied[] = {
		{"rel-mlp-tm", "rel-mlp-tm", "gpt2-small-mlp-tm",
			"blocks.3.hook_mlp_out", "folded, x * 1.89585222",
			ERR_UNSUPPORTED},
		{"rel-res-jb", "rel-res-jb", "gpt2-small-res-jb",
			"blocks.1.hook_resid_pre", "x - mean(x)", 0},
		{"rel-mistral", "rel-mistral", "mistral-7b-res-wg",
			"blocks.8.hook_resid_pre", "sqrt(d)/|x|", 0},
		{"fam-llama-scope-r1/L1R", "rel-r1", "llama_scope_r1_distill",
			"l1r_800m_slimpajama", "x * 37.0745723", 0},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(applied) / sizeof(applied[0]); i++) {
		struct sae_options o = {0};
		struct err e = ERR_INIT;
		struct sae *s = NULL;
		struct session t;

		given_of(applied[i].release, applied[i].id, &o.given);
		session_open(&t, applied[i].sae, applied[i].golden, &o);
		if (!(session_distance(&t) < CLOSE))
			fail_msg("%s: off by %g", applied[i].sae, session_distance(&t));
		assert_non_null(strstr(t.s->info.rules, applied[i].rule));
		assert_int_equal(t.s->info.given.center, o.given.center);
		assert_int_equal(t.s->info.given.constant_norm, o.given.constant_norm);
		assert_true(t.s->info.given.scale == o.given.scale);
		session_close(&t);
		assert_int_equal(sae_open(&s, fixture(applied[i].sae), &e),
			applied[i].alone);
		sae_close(s);
		if (applied[i].alone == 0) {
			session_open(&t, applied[i].sae, applied[i].golden, NULL);
			assert_true(session_distance(&t) > 1e-3);
			session_close(&t);
		}
	}
}

/* Without its config.yaml a transcoder does not tell where it reads; a release may,
 * and what is recorded then opens it again. */
static void
test_site(void **unused)
{
	static const char file[] = "fam-circuit-relu/set/layer_1.safetensors";
	struct sae_options o = {0};
	struct sae *s = NULL, *again = NULL;
	struct err e = ERR_INIT;
	struct buf b;

	(void)unused;
	buf_init(&b);
	assert_int_equal(file_read(fixture(file), 1 << 20, &b, &e), 0);
	put_file(at("layer_1.safetensors"), b.data, b.n_bytes);
	buf_clear(&b);
	assert_int_equal(sae_open_with(&s, at("layer_1.safetensors"), &o, &e), ERR_ARG);
	assert_non_null(strstr(e.text, "--hook"));
	given_of("mwhanna-qwen3-14b-transcoders", "layer_1", &o.given);
	if (sae_open_with(&s, at("layer_1.safetensors"), &o, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(s->info.hook.name, "blocks.1.mlp.hook_in");
	assert_true(s->info.hook_given);
	o = (struct sae_options){.hook = s->info.hook.name};
	assert_int_equal(sae_open_with(&again, at("layer_1.safetensors"), &o, &e), 0);
	assert_string_equal(again->info.hook.name, s->info.hook.name);
	assert_memory_equal(again->hash, s->hash, 32);
	sae_close(again);
	sae_close(s);
	s = NULL;
	/* config.yaml has the say where there is one */
	given_of("mwhanna-qwen3-14b-transcoders", "layer_1", &o.given);
	o.hook = NULL;
	assert_int_equal(sae_open_with(&s, fixture(file), &o, &e), 0);
	assert_false(s->info.hook_given);
	assert_string_equal(s->info.hook.name, "blocks.1.hook_resid_mid");
	sae_close(s);
	remove(at("layer_1.safetensors"));
}

/* What a family makes no use of is no reason to load it by other rules. */
static void
test_unused(void **unused)
{
	static const struct {
		struct sae_given given;
		const char *says;
	} others[] = {
		{{.center = true}, "centred, but it is of the family goodfire"},
		{{.constant_norm = true}, "rescaled to one norm"},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct sae_options o = {.given = others[i].given};
		struct err e = ERR_INIT;
		struct sae *s = NULL;

		assert_int_equal(sae_open_with(&s, fixture("fam-goodfire/sae"), &o, &e),
			ERR_MISMATCH);
		assert_non_null(strstr(e.text, others[i].says));
	}
}

static void
test_scale(void **unused)
{
	static const double scales[] = {-1, 1e30, NAN, INFINITY};

	(void)unused;
	for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
		const struct sae_options o = {.given.scale = scales[i]};
		struct err e = ERR_INIT;
		struct sae *s = NULL;

		assert_int_equal(sae_open_with(&s, fixture("rel-mlp-tm"), &o, &e),
			ERR_FORMAT);
		assert_int_equal(sae_open_with(&s, fixture("fam-llama-scope-r1/L1R"),
					 &o, &e),
			ERR_FORMAT);
	}
}

/* ---- looked up ---------------------------------------------------------------- */

static void
lay(const char *repo, const char *commit, const char *below)
{
	char path[512];

	snprintf(path, sizeof(path), "hub/%s/snapshots/%s/%s", repo, commit, below);
	dir_make(at(path), NULL);
	snprintf(path, sizeof(path), "hub/%s/refs", repo);
	dir_make(at(path), NULL);
	snprintf(path, sizeof(path), "hub/%s/refs/main", repo);
	put_file(at(path), COMMIT, strlen(COMMIT));
}

static int
lay_out(void **state)
{
	if (scratch_make(state) < 0)
		return -1;
	lay(JB, COMMIT, "blocks.8.hook_resid_pre");
	lay(JB, OTHER, "blocks.9.hook_resid_pre");
	lay(QWEN, COMMIT, "");
	put_file(at("hub/" QWEN "/snapshots/" COMMIT "/layer3.sae.pt"), "x", 1);
	lay(CLT, COMMIT, "");
	put_file(at("hub/" CLT "/snapshots/" COMMIT "/W_enc_3.safetensors"), "x", 1);
	return setenv("HF_HUB_CACHE", at("hub"), 1);
}

static void
good(const char *name, const char *below, const char *called)
{
	struct err e = ERR_INIT;

	if (release_find(&found, name, &e) < 0)
		fail_msg("%s: %s", name, e.text);
	assert_string_equal(found.path, at(below));
	assert_string_equal(found.name, called);
}

static void
bad(const char *name, int code, const char *const *says)
{
	struct err e = ERR_INIT;

	if (release_find(&found, name, &e) != code)
		fail_msg("%s: %s", name, e.text);
	for (; *says; says++)
		if (strstr(e.text, *says) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"", name, e.text, *says);
}
#define BAD(name, code, ...) bad(name, code, (const char *const[]){__VA_ARGS__, NULL})

static void
test_found(void **unused)
{
	(void)unused;
	good("gpt2-small-res-jb:blocks.8.hook_resid_pre",
		"hub/" JB "/snapshots/" COMMIT "/blocks.8.hook_resid_pre",
		"gpt2-small-res-jb:blocks.8.hook_resid_pre");
	assert_true(found.given.center);
	good("gpt2-small-res-jb@" OTHER ":blocks.9.hook_resid_pre",
		"hub/" JB "/snapshots/" OTHER "/blocks.9.hook_resid_pre",
		"gpt2-small-res-jb:blocks.9.hook_resid_pre");
	good("qwen-scope-3-1.7b-base-w32k-l50:layer3",
		"hub/" QWEN "/snapshots/" COMMIT "/layer3.sae.pt",
		"qwen-scope-3-1.7b-base-w32k-l50:layer3");
	assert_false(found.given.center);
	good("mntss-gemma-2-2b-2.5m-clt-as-per-layer:layer_3",
		"hub/" CLT "/snapshots/" COMMIT "/W_enc_3.safetensors",
		"mntss-gemma-2-2b-2.5m-clt-as-per-layer:layer_3");
}

/* With a slash it is a repository, whatever its name; and a directory is one. */
static void
test_others(void **unused)
{
	(void)unused;
	good("jbloom/GPT2-Small-SAEs-Reformatted:blocks.8.hook_resid_pre",
		"hub/" JB "/snapshots/" COMMIT "/blocks.8.hook_resid_pre", "");
	assert_false(found.given.center);
	good(at("hub"), "hub", "");
	dir_make(at("gpt2-small-res-jb:blocks.8.hook_resid_pre"), NULL);
	assert_int_equal(chdir(at("")), 0);
	assert_int_equal(release_find(&found,
				 "gpt2-small-res-jb:blocks.8.hook_resid_pre", NULL),
		0);
	assert_string_equal(found.name, "");
	dir_remove(at("gpt2-small-res-jb:blocks.8.hook_resid_pre"), NULL);
}

static void
test_missing(void **unused)
{
	(void)unused;
	BAD("gpt2-small-res-jb:blocks.7.hook_resid_pre", ERR_NOTFOUND,
		"gpt2-small-res-jb:blocks.7.hook_resid_pre: ",
		"hub has no jbloom/GPT2-Small-SAEs-Reformatted at revision main with "
		"blocks.7.hook_resid_pre",
		"`hf download jbloom/GPT2-Small-SAEs-Reformatted --include "
		"\"blocks.7.hook_resid_pre/*\"`");
	BAD("gpt2-small-res-jb:blocks.9.hook_resid_pre", ERR_NOTFOUND,
		"at revision " OTHER ", not at main", "@" OTHER);
	BAD("qwen-scope-3-1.7b-base-w32k-l50:layer4", ERR_NOTFOUND,
		"`hf download Qwen/SAE-Res-Qwen3-1.7B-Base-W32K-L0_50 "
		"\"layer4.sae.pt\"`");
	BAD("mwhanna-qwen3-4b-transcoders:layer_0", ERR_NOTFOUND,
		"\"layer_0.safetensors\" config.yaml`");
	BAD("gpt2-small-res-jb@v9:blocks.8.hook_resid_pre", ERR_NOTFOUND,
		"at revision " COMMIT ", not at v9");
	BAD("mistral-7b-res-wg@v9:blocks.8.hook_resid_pre", ERR_NOTFOUND,
		"--revision v9 ");
}

static void
test_wrong(void **unused)
{
	(void)unused;
	BAD("gpt2-small-res-jb", ERR_ARG, "a release of 13 SAEs",
		"gpt2-small-res-jb:ID");
	BAD("gpt2-small-res-jb:blocks.8.resid_pre", ERR_NOTFOUND,
		"no \"blocks.8.resid_pre\" among its 13 SAEs",
		"blocks.8.hook_resid_pre");
	BAD("gpt2-small-res-jb:", ERR_NOTFOUND, "no \"\"");
	BAD("gpt2-small-res-jb:../../x", ERR_NOTFOUND, "no \"../../x\"");
	BAD("gpt2-small-rs-jb:blocks.8.hook_resid_pre", ERR_NOTFOUND,
		"no gpt2-small-rs-jb at revision main", "gpt2-small-res-jb");
	BAD("GPT2-small-res-JB:blocks.8.hook_resid_pre", ERR_NOTFOUND,
		"that are near: gpt2-small-res-jb");
	BAD("zzz:x", ERR_NOTFOUND, "no release of SAELens' is called so");
	BAD("gpt2-small-res-jb@../x:blocks.8.hook_resid_pre", ERR_ARG,
		"cannot be on a hub");
	BAD("org/gpt2-small-res-jb:x", ERR_NOTFOUND, "org/gpt2-small-res-jb");
	BAD("temporal-sae-gemma-2-2b:blocks.12.hook_resid_post", ERR_UNSUPPORTED,
		"tokens before");
	BAD("mntss-gemma-2-2b-2.5m-clt-as-per-layer:layer_4", ERR_NOTFOUND,
		"W_enc_4.safetensors",
		"`hf download mntss/clt-gemma-2-2b-2.5M W_enc_4.safetensors "
		"W_dec_4.safetensors config.yaml`");
	BAD("gpt2-small-hook-z-kk:blocks.0.hook_z", ERR_UNSUPPORTED, "of no family");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_applied),
		cmocka_unit_test(test_site),
		cmocka_unit_test(test_unused),
		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, lay_out, scratch_remove);
}
