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
		assert_memory_equal(x, y, n * sizeof(*x));
		assert_int_equal(f->n_best, g->n_best);
		assert_memory_equal(f->best, g->best, f->n_best * sizeof(*f->best));
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brute_force),
		cmocka_unit_test(test_monoid),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_bins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
