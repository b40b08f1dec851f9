/* SPDX-License-Identifier: ISC */
/* Windows against a cut written down token by token, as SAELens' activation store
 * concatenates, and against what each rule promises. */
#include "indexer/cutter.h"
#include "tests/util/scratch.h"

#include <stdlib.h>
#include <string.h>

#define DOCS 60
#define BOS 0u

static struct tok_ids doc[DOCS];
static char text[DOCS][64];

/* What came out. */
static uint32_t out[100000], out_start[20000];
static uint32_t n_out, n_windows;

static int
put(void *ctx, const struct rec_window *w, struct err *e)
{
	(void)ctx;
	(void)e;
	out_start[n_windows++] = n_out;
	memcpy(out + n_out, w->token, w->n_tokens * sizeof(*out));
	n_out += w->n_tokens;
	/* every token's span holds its text: the id is its letter */
	for (uint32_t i = 0; i < w->n_tokens; i++) {
		uint32_t n = w->text_end[i] - w->text_start[i];

		assert_true(w->text_end[i] <= w->n_text_bytes);
		assert_int_equal(n, w->token[i] == BOS && n == 0 ? 0 : 1);
		if (n == 1)
			assert_int_equal(w->text[w->text_start[i]], 'a' + w->token[i]);
	}
	for (uint32_t s = 0; s < w->n_segments; s++) {
		const struct rec_segment *g = &w->segment[s];

		assert_true(g->token < w->n_tokens);
		assert_int_equal(text[g->document][g->doc_start],
			w->text[g->text_start]);
		assert_int_equal(w->text_start[g->token], g->text_start);
		assert_true(s == 0 || g->document > g[-1].document);
	}
	return 0;
}

/* Documents of 0 to 39 tokens with ids 0 (a BOS of the text's own) to 5. */
static void
make_documents(unsigned seed)
{
	srand(seed);
	for (int i = 0; i < DOCS; i++) {
		size_t n = (size_t)rand() % 40;

		tok_ids_clear(&doc[i]);
		doc[i].id = mem_new(n, 4);
		doc[i].start = mem_new(n, 4);
		doc[i].end = mem_new(n, 4);
		doc[i].n = doc[i].cap = n;
		for (uint32_t t = 0; t < n; t++) {
			doc[i].id[t] = (uint32_t)rand() % 6;
			doc[i].start[t] = t;
			doc[i].end[t] = t + 1;
			text[i][t] = (char)('a' + doc[i].id[t]);
		}
	}
}

static uint32_t
run(const struct cut_rule *rule)
{
	struct window_sink sink = {put, NULL};
	struct cutter c;
	struct err e = ERR_INIT;
	uint32_t left;

	n_out = n_windows = 0;
	assert_int_equal(cutter_init(&c, rule, sink, &e), 0);
	for (uint32_t i = 0; i < DOCS; i++) {
		uint64_t want = rule->joined ? 0 : cutter_windows_of(&c, doc[i].n);
		uint32_t before = n_windows;

		assert_int_equal(cutter_document(&c, i, text[i], &doc[i], &e), 0);
		if (!rule->joined)
			assert_int_equal(n_windows - before, want);
	}
	assert_int_equal(c.n_windows, n_windows);
	assert_int_equal(c.n_tokens_all, n_out);
	left = cutter_left(&c);
	cutter_clear(&c);
	out_start[n_windows] = n_out;
	return left;
}

/* The store's way: a window being filled; BOS in front of it, and as separator. */
static void
joined_plainly(uint32_t context, bool prepend, uint32_t *want, uint32_t *n_want,
	uint32_t *left)
{
	uint32_t window[64], n = 0;

	*n_want = 0;
	for (int i = 0; i < DOCS; i++) {
		size_t t = 0;

		while (t < doc[i].n) {
			bool begin = n == 0 ? prepend : true;

			if (begin && doc[i].id[t] != BOS)
				window[n++] = BOS;
			while (n < context && t < doc[i].n)
				window[n++] = doc[i].id[t++];
			if (n == context) {
				memcpy(want + *n_want, window, n * sizeof(*want));
				*n_want += n;
				n = 0;
			}
		}
	}
	*left = n;
}

static void
test_joined(void **unused)
{
	static uint32_t want[100000];
	uint32_t n_want, left;

	(void)unused;
	for (unsigned seed = 1; seed < 30; seed++)
		for (int prepend = 0; prepend < 2; prepend++) {
			struct cut_rule rule = {.context = 2 + seed % 17,
				.prepend_bos = prepend,
				.joined = true,
				.bos = BOS};

			make_documents(seed);
			joined_plainly(rule.context, prepend, want, &n_want, &left);
			assert_int_equal(run(&rule), left);
			assert_int_equal(n_out, n_want);
			assert_memory_equal(out, want, n_out * sizeof(*out));
			for (uint32_t w = 0; w < n_windows; w++)
				assert_int_equal(out_start[w + 1] - out_start[w],
					rule.context);
		}
}

static void
test_by_document(void **unused)
{
	(void)unused;
	for (unsigned seed = 1; seed < 30; seed++)
		for (uint32_t prepend = 0; prepend < 2; prepend++) {
			struct cut_rule rule = {.context = 2 + seed % 17,
				.prepend_bos = prepend,
				.bos = BOS};
			size_t step = rule.context - prepend;
			uint32_t w = 0;

			make_documents(seed);
			run(&rule);
			for (int i = 0; i < DOCS; i++)
				for (size_t t = 0; t < doc[i].n; t += step, w++) {
					size_t n = doc[i].n - t < step ? doc[i].n - t
								       : step;
					const uint32_t *got = out + out_start[w];

					assert_int_equal(out_start[w + 1] -
							out_start[w],
						n + prepend);
					if (prepend)
						assert_int_equal(got[0], BOS);
					assert_memory_equal(got + prepend,
						doc[i].id + t, n * sizeof(*got));
				}
			assert_int_equal(w, n_windows);
		}
}

static void
test_max_tokens(void **unused)
{
	struct cut_rule rule = {.context = 10, .prepend_bos = true, .bos = BOS};
	static uint32_t all[100000];
	uint32_t n_all;

	(void)unused;
	for (int joined = 0; joined < 2; joined++) {
		make_documents(3);
		rule.joined = joined;
		rule.max_tokens = 0;
		run(&rule);
		n_all = n_out;
		memcpy(all, out, n_all * sizeof(*all));
		for (uint64_t most = 1; most < n_all + 20; most += 13) {
			rule.max_tokens = most;
			run(&rule);
			assert_true(n_out <= most);
			assert_true(n_out == n_all || n_out + rule.context > most);
			assert_memory_equal(out, all, n_out * sizeof(*out));
		}
	}
}

static void
test_too_short(void **unused)
{
	struct cut_rule rule = {.context = 1, .prepend_bos = true, .bos = BOS};
	struct window_sink sink = {put, NULL};
	struct cutter c;
	struct err e = ERR_INIT;

	(void)unused;
	assert_int_equal(cutter_init(&c, &rule, sink, &e), ERR_ARG);
	assert_string_equal(e.arg, "context");
	rule.prepend_bos = false;
	assert_int_equal(cutter_init(&c, &rule, sink, &e), 0);
	cutter_clear(&c);
}

static int
forget(void **unused)
{
	(void)unused;
	for (int i = 0; i < DOCS; i++)
		tok_ids_clear(&doc[i]);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_by_document),
		cmocka_unit_test(test_max_tokens),
		cmocka_unit_test(test_too_short),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
