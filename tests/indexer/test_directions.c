/* SPDX-License-Identifier: ISC */
/* Logit effects by a model, by its head, and by one that has no unembedding. */
#include "indexer/directions.h"
#include "tests/model/fixture.h"
#include "tests/store/small.h"

enum { N = 40 };

/* An SAE in a new store, with the logit effects that lm gives its rows. */
static struct store_view *
written(struct store **s, const char *name, const struct lm *lm, const char *hook_name)
{
	struct cat_model model = {.d_model = D_IN};
	struct cat_sae info = small_sae_info(0);
	struct store_publish p = {.model = &model, .sae = &info, .n_saes = 1};
	struct sae_writer *w;
	struct store_view *v;
	struct pool *pool;
	struct sae sae = {.info = {.n_targets = 1, .d_sae = N}};
	struct hook hook;
	uint32_t number, d;
	int64_t have;
	float *rows;

	OK(hook_parse(&hook, hook_name, e));
	OK(lm_check_hook(lm, &hook, e));
	d = info.d_in = info.d_out = lm_hook_width(lm, &hook);
	rows = mem_new(N, d * sizeof(*rows));
	for (uint32_t i = 0; i < N * d; i++)
		rows[i] = (float)(i * 37 % 101) / 50 - 1;
	strcpy(model.id, info.model_id);
	OK(pool_new(&pool, 2, e));
	OK(store_open(s, at(name), STORE_CREATE, e));
	OK(sae_writer_new(&w, &have, *s, &info, rows, NULL, e));
	sae.info.hook = sae.info.hook_out = hook;
	sae.info.d_in = sae.info.d_out = d;
	sae.w_dec = rows;
	OK(logits_write(w, lm, &sae, lm_info(lm)->n_vocab, pool, e));
	OK(sae_writer_finish(w, e));
	sae_writer_free(w);
	OK(store_publish(*s, &p, &number, e));
	OK(store_view_open(&v, *s, e));
	pool_free(pool);
	mem_free(rows);
	return v;
}

/* Those of all features, in one piece; the number of features that have any. */
static size_t
effects(struct store_view *v, struct buf *out)
{
	struct store_value value[N];
	uint32_t ids[N];
	struct arena a;
	size_t n = 0;

	arena_init(&a, 0);
	buf_init(out);
	for (uint32_t i = 0; i < N; i++)
		ids[i] = i;
	OK(store_mget(v, (struct store_place){TABLE_LOGITS, 0, 0}, ids, N, value, &a,
		e));
	for (uint32_t i = 0; i < N; i++) {
		if (value[i].p == NULL)
			continue;
		n++;
		buf_put(out, value[i].p, value[i].n_bytes);
	}
	arena_clear(&a);
	return n;
}

/* How many features of a store made by this model have effects. */
static size_t
with(const struct lm *lm, const char *store, const char *hook, struct buf *out)
{
	struct store *s;
	struct store_view *v = written(&s, store, lm, hook);
	size_t n = effects(v, out);

	store_view_close(v);
	store_close(s);
	return n;
}

static void
test_head(void **state)
{
	static const char *const dirs[] = {"lm-llama", "lm-gemma2"},
				 *const heads[] = {"head-llama", "head-gemma2"};
	static const char resid[] = "blocks.1.hook_resid_post";
	char store[3][32];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct lm *lm, *head, *other;
		struct buf a, b, c;

		for (size_t j = 0; j < 3; j++)
			snprintf(store[j], sizeof(store[j]), "s%zu%zu", i, j);
		OK(lm_open(&lm, fixture(dirs[i]), e));
		OK(lm_open_head(&head, fixture(dirs[i]), e));
		OK(lm_open_head(&other, fixture(heads[i]), e));
		assert_int_equal(with(lm, store[0], resid, &a), N);
		assert_int_equal(with(head, store[1], resid, &b), N);
		assert_int_equal(with(other, store[2], resid, &c), N);
		assert_int_equal(a.n_bytes, b.n_bytes);
		assert_int_equal(a.n_bytes, c.n_bytes);
		assert_memory_equal(a.data, b.data, a.n_bytes);
		assert_memory_equal(a.data, c.data, a.n_bytes);
		buf_clear(&a);
		buf_clear(&b);
		buf_clear(&c);
		lm_close(lm);
		lm_close(head);
		lm_close(other);
	}
}

/* No unembedding, or no weights to bring what a hook holds into the stream. */
static void
test_none(void **state)
{
	struct lm *lm, *head;
	struct buf b;

	(void)state;
	copy_fixture("lm-llama/config.json", "config.json");
	OK(lm_open_head(&head, scratch, e));
	assert_int_equal(with(head, "bare", "blocks.1.hook_resid_post", &b), 0);
	buf_clear(&b);
	lm_close(head);
	OK(lm_open_head(&head, fixture("lm-llama"), e));
	assert_int_equal(with(head, "z", "blocks.1.attn.hook_z", &b), 0);
	buf_clear(&b);
	lm_close(head);
	OK(lm_open(&lm, fixture("lm-llama"), e));
	assert_int_equal(with(lm, "zlm", "blocks.1.attn.hook_z", &b), N);
	buf_clear(&b);
	lm_close(lm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
