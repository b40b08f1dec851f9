/* SPDX-License-Identifier: ISC */
/* The features' state against brute force, and the monoid law: however windows are
 * dealt to states and merged, the result is the same to the bit. */
#include "indexer/state.h"
#include "tests/util/scratch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FEATURES 6
#define WINDOWS 300
#define TOKENS 20
#define K 7
#define RADIUS 2

struct window {
	uint32_t token[TOKENS], n_tokens;
	struct rec_at at[FEATURES][TOKENS];
	uint32_t n[FEATURES];
};
static struct window windows[WINDOWS];

/* Few distinct tokens and values, so that ties and equal surroundings are many. */
static void
make_windows(unsigned seed)
{
	srand(seed);
	memset(windows, 0, sizeof(windows));
	for (int w = 0; w < WINDOWS; w++) {
		windows[w].n_tokens = 1 + (uint32_t)rand() % TOKENS;
		for (uint32_t t = 0; t < windows[w].n_tokens; t++) {
			windows[w].token[t] = (uint32_t)rand() % 3;
			for (int f = 0; f < FEATURES; f++)
				if (rand() % (2 + 4 * f) == 0)
					windows[w].at[f][windows[w].n[f]++] =
						(struct rec_at){t,
							(float)(1 + rand() % 9) / 7};
		}
	}
}

static void
add_window(struct state *s, uint32_t w)
{
	struct err e = ERR_INIT;

	for (uint32_t f = 0; f < FEATURES; f++)
		assert_int_equal(state_add(s, f, w, windows[w].token,
					 windows[w].n_tokens, windows[w].at[f],
					 windows[w].n[f], &e),
			0);
}

static void
assert_same(struct state *a, struct state *b)
{
	struct rec_bin x[REC_HIST_BINS], y[REC_HIST_BINS];

	for (uint32_t i = 0; i < FEATURES; i++) {
		struct feature_state *f = &a->feature[i], *g = &b->feature[i];
		uint32_t n = state_bins(f, x);

		assert_int_equal(f->count, g->count);
		assert_int_equal(f->n_windows, g->n_windows);
		assert_true(exact32_get(&f->sum) == exact32_get(&g->sum));
		assert_true(
			exact64_get(&f->sum_squares) == exact64_get(&g->sum_squares));
		assert_true(f->max == g->max);
		assert_int_equal(f->max_window, g->max_window);
		assert_int_equal(f->max_offset, g->max_offset);
		assert_int_equal(n, state_bins(g, y));
		for (uint32_t j = 0; j < n; j++)
			assert_true(x[j].bin == y[j].bin && x[j].count == y[j].count);
		assert_int_equal(f->n_best, g->n_best);
		for (uint32_t j = 0; j < f->n_best; j++) {
			assert_true(f->best[j].key == g->best[j].key);
			assert_false(best_before(&f->best[j], &g->best[j]));
			assert_false(best_before(&g->best[j], &f->best[j]));
		}
	}
}

static int
by_order(const void *a, const void *b)
{
	return best_before(a, b) ? -1 : best_before(b, a);
}

/* Whether two peaks have the same tokens around them, token by token. */
static bool
alike(const struct best *a, const struct best *b)
{
	const struct window *x = &windows[a->window], *y = &windows[b->window];

	for (int i = -RADIUS; i <= RADIUS; i++) {
		int p = (int)a->offset + i, q = (int)b->offset + i;
		bool in_x = p >= 0 && p < (int)x->n_tokens;
		bool in_y = q >= 0 && q < (int)y->n_tokens;

		if (in_x != in_y || (in_x && x->token[p] != y->token[q]))
			return false;
	}
	return true;
}

static uint32_t
brute_best(uint32_t f, struct best *best)
{
	uint32_t n = 0, kept = 0;

	for (uint32_t w = 0; w < WINDOWS; w++) {
		struct best b = {0, 0, w, 0};

		for (uint32_t i = 0; i < windows[w].n[f]; i++)
			if (windows[w].at[f][i].value > b.value) {
				b.value = windows[w].at[f][i].value;
				b.offset = windows[w].at[f][i].offset;
			}
		if (b.value > 0)
			best[n++] = b;
	}
	qsort(best, n, sizeof(*best), by_order);
	for (uint32_t i = 0; i < n && kept < K; i++) {
		bool seen = false;

		for (uint32_t j = 0; j < kept; j++)
			seen |= alike(&best[i], &best[j]);
		if (!seen)
			best[kept++] = best[i];
	}
	return kept;
}

static void
test_brute_force(void **unused)
{
	static struct best best[WINDOWS];
	struct state s;
	struct err e = ERR_INIT;

	(void)unused;
	for (unsigned seed = 1; seed <= 20; seed++) {
		make_windows(seed);
		assert_int_equal(state_init(&s, FEATURES, K, RADIUS, &e), 0);
		for (uint32_t w = 0; w < WINDOWS; w++)
			add_window(&s, w);
		for (uint32_t f = 0; f < FEATURES; f++) {
			struct feature_state *x = &s.feature[f];
			uint64_t count = 0, n_windows = 0;
			double sum = 0;

			for (uint32_t w = 0; w < WINDOWS; w++) {
				count += windows[w].n[f];
				n_windows += windows[w].n[f] > 0;
				for (uint32_t i = 0; i < windows[w].n[f]; i++)
					sum += (double)windows[w].at[f][i].value;
			}
			assert_int_equal(x->count, count);
			assert_int_equal(x->n_windows, n_windows);
			assert_true(fabs(exact32_get(&x->sum) - sum) < 1e-9 * sum);
			assert_int_equal(x->n_best, brute_best(f, best));
			for (uint32_t i = 0; i < x->n_best; i++) {
				assert_true(x->best[i].value == best[i].value);
				assert_int_equal(x->best[i].window, best[i].window);
				assert_int_equal(x->best[i].offset, best[i].offset);
			}
			assert_true(x->max == best[0].value);
			assert_int_equal(x->max_window, best[0].window);
		}
		state_clear(&s);
	}
}

static void
test_monoid(void **unused)
{
	struct state whole, part[3];
	struct err e = ERR_INIT;

	(void)unused;
	for (unsigned seed = 1; seed <= 20; seed++) {
		make_windows(seed);
		assert_int_equal(state_init(&whole, FEATURES, K, RADIUS, &e), 0);
		for (uint32_t w = 0; w < WINDOWS; w++)
			add_window(&whole, w);
		for (int i = 0; i < 3; i++)
			assert_int_equal(state_init(&part[i], FEATURES, K, RADIUS, &e),
				0);
		for (uint32_t w = WINDOWS; w-- > 0;) /* another order */
			add_window(&part[rand() % 3], w);
		assert_int_equal(state_merge(&part[2], &part[0], &e), 0);
		assert_int_equal(state_merge(&part[1], &part[2], &e), 0);
		assert_same(&whole, &part[1]);
		assert_int_equal(state_n_alive(&whole), state_n_alive(&part[1]));
		for (int i = 0; i < 3; i++)
			state_clear(&part[i]);
		state_clear(&whole);
	}
}

static void
test_empty(void **unused)
{
	struct state a, b;
	struct err e = ERR_INIT;

	(void)unused;
	make_windows(5);
	assert_int_equal(state_init(&a, FEATURES, K, RADIUS, &e), 0);
	assert_int_equal(state_init(&b, FEATURES, K, RADIUS, &e), 0);
	assert_int_equal(state_n_alive(&a), 0);
	for (uint32_t w = 0; w < WINDOWS; w++)
		add_window(&a, w);
	assert_int_equal(state_merge(&b, &a, &e), 0);
	assert_same(&a, &b);
	state_clear(&b);
	assert_int_equal(state_init(&b, FEATURES, K, RADIUS, &e), 0);
	assert_int_equal(state_merge(&a, &b, &e), 0);
	assert_true(a.feature[0].count > 0);
	state_clear(&a);
	state_clear(&b);
}

static void
test_bins(void **unused)
{
	static const float value[] = {1e-30f, 3, 3.1f, 1e30f, 0x1p-149f, 1.25f};
	struct rec_bin bin[REC_HIST_BINS];
	uint32_t token[6] = {1, 2, 3, 4, 5, 6}, n;
	uint64_t sum = 0;
	struct rec_at at[6];
	struct state s;
	struct err e = ERR_INIT;

	(void)unused;
	for (uint32_t i = 0; i < 6; i++)
		at[i] = (struct rec_at){i, value[i]};
	assert_int_equal(state_init(&s, 1, 1, 0, &e), 0);
	assert_int_equal(state_add(&s, 0, 9, token, 6, at, 6, &e), 0);
	n = state_bins(&s.feature[0], bin);
	assert_int_equal(n, 5); /* 3 and 3.1 share one */
	for (uint32_t i = 0; i < n; i++) {
		assert_true(i == 0 || bin[i].bin > bin[i - 1].bin);
		sum += bin[i].count;
	}
	assert_int_equal(sum, 6);
	assert_true(s.feature[0].max == 1e30f);
	assert_int_equal(s.feature[0].max_offset, 3);
	state_clear(&s);
}

/* A state of all windows, as bytes. */
static void
save_whole(struct state *s, struct buf *b)
{
	struct err e = ERR_INIT;

	assert_int_equal(state_init(s, FEATURES, K, RADIUS, &e), 0);
	for (uint32_t w = 0; w < WINDOWS; w++)
		add_window(s, w);
	buf_init(b);
	state_save(s, 0, 2, b);
	state_save(s, 2, FEATURES - 2, b);
	assert_false(b->failed);
}

/* Into a new state, as far as it goes; the code, and the bytes that are left. */
static int
load(struct state *s, const void *p, size_t n, uint32_t n_windows, size_t *left)
{
	struct cur c = cur_of(p, n);
	struct err e = ERR_INIT;
	int rc = state_init(s, FEATURES, K, RADIUS, &e);

	if (rc == 0)
		rc = state_load(s, 0, FEATURES, n_windows, &c, &e);
	assert_int_equal(rc, e.code);
	*left = c.failed ? 0 : cur_left(&c);
	return rc;
}

static void
test_save(void **unused)
{
	struct state s, t;
	struct err e = ERR_INIT;
	struct buf b, again;
	size_t left;

	(void)unused;
	for (unsigned seed = 1; seed <= 5; seed++) {
		make_windows(seed);
		save_whole(&s, &b);
		assert_int_equal(load(&t, b.data, b.n_bytes, WINDOWS, &left), 0);
		assert_int_equal(left, 0);
		assert_same(&s, &t);
		buf_init(&again);
		state_save(&t, 0, FEATURES, &again);
		assert_int_equal(again.n_bytes, b.n_bytes);
		assert_memory_equal(again.data, b.data, b.n_bytes);
		/* and it goes on as the other does */
		make_windows(seed + 100);
		for (uint32_t w = 0; w < WINDOWS; w++)
			for (uint32_t f = 0; f < FEATURES; f++) {
				struct window *x = &windows[w];

				assert_int_equal(state_add(&s, f, WINDOWS + w, x->token,
							 x->n_tokens, x->at[f], x->n[f],
							 &e),
					0);
				assert_int_equal(state_add(&t, f, WINDOWS + w, x->token,
							 x->n_tokens, x->at[f], x->n[f],
							 &e),
					0);
			}
		assert_same(&s, &t);
		state_clear(&s);
		state_clear(&t);
		buf_clear(&b);
		buf_clear(&again);
	}
}

/* Cut short anywhere, or of windows that are not done: refused. Any byte changed:
 * refused, or a state that can be used. Any allocation fails: said so. */
static void
test_load_damaged(void **unused)
{
	struct state s, t;
	struct buf b;
	size_t left;
	int rc;

	(void)unused;
	make_windows(3);
	save_whole(&s, &b);
	for (size_t n = 0; n < b.n_bytes; n++) {
		assert_int_equal(load(&t, b.data, n, WINDOWS, &left), ERR_CORRUPT);
		state_clear(&t);
	}
	assert_int_equal(load(&t, b.data, b.n_bytes, 0, &left), ERR_CORRUPT);
	state_clear(&t);
	assert_int_equal(load(&t, b.data, b.n_bytes, 50, &left), ERR_CORRUPT);
	state_clear(&t);
	for (size_t i = 0; i < b.n_bytes * 8; i++) {
		b.data[i / 8] ^= (uint8_t)(1u << i % 8);
		rc = load(&t, b.data, b.n_bytes, WINDOWS, &left);
		if (rc == 0)
			state_merge(&t, &s, &(struct err){0});
		else
			assert_int_equal(rc, ERR_CORRUPT);
		state_clear(&t);
		b.data[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (long n = 0;; n++) {
		mem_fail_at(n);
		rc = load(&t, b.data, b.n_bytes, WINDOWS, &left);
		mem_fail_at(-1);
		state_clear(&t);
		if (rc == 0)
			break;
		assert_int_equal(rc, ERR_NOMEM);
	}
	state_clear(&s);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brute_force),
		cmocka_unit_test(test_monoid),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_bins),
		cmocka_unit_test(test_save),
		cmocka_unit_test(test_load_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
