/* SPDX-License-Identifier: ISC */
/* What our hooks' names mean, by TransformerLens' own forward pass: its goldens were
 * made by make_fixtures_lens.py, which says where it has other names. */
#include "model/sae.h"
#include "tests/model/session.h"

static const char *const models[] = {"f32", "f16-bare", "sharded", "long", "neo",
	"neo-global", "neox", "llama", "lean-llama", "mistral", "qwen2", "qwen3",
	"gemma", "gemma2", "gemma3"};
static const char *const centred[] = {"long", "neo", "neox"};

static void
open_lens(struct session *s, const char *name, const char *kind)
{
	char model[64], lens[64];

	snprintf(model, sizeof(model), "lm-%s", name);
	snprintf(lens, sizeof(lens), "lens/%s%s.safetensors", name, kind);
	start_with(s, model, lens);
}

static void
test_hooks(void **state)
{
	static const char *const names[] = {"hook_resid_pre", "attn.hook_z",
		"hook_attn_out", "hook_mlp_in", "ln2.hook_normalized", "mlp.hook_in"};
	struct session s;
	char name[64];

	(void)state;
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		open_lens(&s, models[i], "");
		for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
			snprintf(name, sizeof(name), "blocks.0.%s", names[j]);
			if (!tensors_find(s.golden, name))
				fail_msg("%s has no %s", models[i], name);
		}
		print_message("# %s: off by at most %.2g\n", models[i],
			check_hooks(&s));
		stop(&s);
	}
}

/* One hook as the model gives it, centred by the rule that SAEs have. */
static void
check_centred(struct session *s, const char *name)
{
	struct sae sae = {.info = {.center = true}};
	struct err e = ERR_INIT;
	struct hook h;
	size_t n, d = lm_info(s->m)->d_model;
	float *want = golden(s->golden, name, &n), *got = mem_new(n, sizeof(*got));
	double raw;

	assert_int_equal(n, s->n_tokens * d);
	assert_int_equal(hook_parse(&h, name, &e), 0);
	assert_int_equal(lm_forward(s->m, s->w, s->ids, s->window_start, s->n_windows,
				 &h, 1, &got, &e),
		0);
	raw = worst_row(got, want, s->n_tokens, d);
	sae.info.d_in = (uint32_t)d;
	sae.ones = mem_new_aligned(d, sizeof(*sae.ones));
	for (size_t i = 0; i < d; i++)
		sae.ones[i] = 1;
	sae_prepare(&sae, got, got, s->n_tokens, NULL, NULL);
	if (!(worst_row(got, want, s->n_tokens, d) < CLOSE))
		fail_msg("%s is off by %g, %g before", name,
			worst_row(got, want, s->n_tokens, d), raw);
	assert_true(raw > 100 * CLOSE); /* else this tells nothing */
	mem_free(sae.ones);
	mem_free(got);
	mem_free(want);
}

/* SAELens' center_writing_weights: the stream less its mean is what the model has
 * whose weights TransformerLens centred. */
static void
test_centred(void **state)
{
	struct session s;
	size_t n_checked = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(centred) / sizeof(centred[0]); i++) {
		open_lens(&s, centred[i], "-centred");
		for (size_t j = 0; j < tensors_n(s.golden); j++) {
			struct hook h;
			const char *name = tensors_at(s.golden, j)->name;

			if (!golden_hook(&h, name))
				continue;
			check_centred(&s, name);
			n_checked++;
		}
		stop(&s);
	}
	assert_true(n_checked >= 3 * 2 * 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_centred),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
