/* SPDX-License-Identifier: ISC */
/*
 * Each kind of tokenizer against the ids and offsets that the Python libraries
 * gave (make_fixtures_tok.py), and files that cannot be used.
 */
#include "model/json.h"
#include "tests/model/tok_session.h"
#include "util/utf8.h"

static const char *const kinds[] = {"llama", "llama-first", "llama-always", "gemma",
	"split", "fused", "dropped", "ignore", "lacking", "merged-bytes", "nfkd-lower",
	"nfkc", "nfd-strip", "lower-first", "nfc-word", "files-gpt2",
	"files-gpt2-added", "spm-llama", "spm-legacy", "spm-gemma"};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void
start_kind(struct session *s, const char *kind)
{
	char name[64];

	snprintf(name, sizeof(name), "tokk-%s", kind);
	start(s, fixture(name));
}

/* ---- goldens ------------------------------------------------------------ */

static void
check_ids(const struct tok_ids *got, const struct js *want, const char *kind, size_t i)
{
	uint64_t id = 0;

	for (size_t k = 0; k < got->n && k < js_n(want); k++) {
		js_u64(js_at(want, k), &id);
		if (got->id[k] != id)
			fail_msg("%s, text %zu: token %zu is %u, not %u", kind, i, k,
				got->id[k], (unsigned)id);
	}
	if (got->n != js_n(want))
		fail_msg("%s, text %zu: %zu tokens, not %zu", kind, i, got->n,
			js_n(want));
}

static size_t
number(const struct js *list, size_t i)
{
	uint64_t u = 0;

	js_u64(js_at(list, i), &u);
	return (size_t)u;
}

/* As the libraries have it, which know whole characters only, and give to what
 * a normalizer put in the place of its neighbour. how: "exact"; "inside" where a
 * token may stand for more than they say, since they forget what a character was
 * joined from; "none" where they count wrongly. */
static void
check_offsets(const struct tok_ids *got, const struct js *want, const char *how,
	const char *p, size_t n, const char *kind, size_t i)
{
	const struct js *sizes = js_get(want, "n"), *jumps = js_get(want, "at");
	size_t c, d = 0, jump = 0;

	for (size_t k = 0; k < got->n; k++) {
		size_t a = got->start[k], b = got->end[k];
		bool none = a == b, ok;

		while (a > 0 && a < n && ((uint8_t)p[a] & 0xc0) == 0x80)
			a--;
		while (b < n && ((uint8_t)p[b] & 0xc0) == 0x80)
			b++;
		c = d;
		if (jump < js_n(jumps) && number(jumps, jump) == k) {
			c = number(jumps, jump + 1);
			jump += 2;
		}
		d = c + number(sizes, k);
		ok = how[0] == 'i' ? a <= c && b >= d : a == c && b == d;
		if (how[0] != 'n' && (none ? a < c || (a > d && d > 0) : !ok))
			fail_msg("%s, text %zu: token %zu at %zu to %zu, not %zu to "
				 "%zu",
				kind, i, k, a, b, c, d);
		if (k > 0 &&
			(got->start[k] < got->start[k - 1] ||
				got->end[k] < got->end[k - 1]))
			fail_msg("%s, text %zu: token %zu is out of order", kind, i, k);
	}
}

static void
check_cases(struct session *s, const char *kind)
{
	struct tok_ids ids = {0};
	struct err e = ERR_INIT;
	struct js_doc golden;
	struct buf texts;
	char name[128];
	const char *p, *how;
	size_t n_texts;

	snprintf(name, sizeof(name), "tokk-%s/golden.json", kind);
	assert_int_equal(js_open(&golden, fixture(name), 1 << 24, 9, &e), 0);
	assert_int_equal(file_read(fixture("tokk-texts"), 1 << 20, &texts, &e), 0);
	how = js_str(js_get(golden.root, "offsets"), NULL);
	assert_non_null(how);
	n_texts = js_n(js_get(golden.root, "cases"));
	assert_true(n_texts > 80);
	p = buf_str(&texts);
	for (size_t i = 0; i < n_texts; i++) {
		const struct js *want = js_at(js_get(golden.root, "cases"), i);
		const struct js *plain = js_get(want, "plain");
		size_t left = (size_t)((char *)texts.data + texts.n_bytes - p);
		const char *end = memchr(p, 0x1e, left);
		size_t n = end ? (size_t)(end - p) : left;

		for (int again = 0; again < 2; again++) { /* from the cache */
			encode(s, p, n, true, &ids);
			check_ids(&ids, js_get(want, "ids"), kind, i);
			check_offsets(&ids, want, how, p, n, kind, i);
		}
		encode(s, p, n, false, &ids);
		check_ids(&ids, plain ? plain : js_get(want, "ids"), kind, i);
		p += n + 1;
	}
	assert_int_equal(p - (char *)texts.data, texts.n_bytes + 1);
	tok_ids_clear(&ids);
	buf_clear(&texts);
	js_close(&golden);
}

static void
check_kind(const char *kind)
{
	struct session s;

	start_kind(&s, kind);
	check_cases(&s, kind);
	stop(&s);
}

static void
test_goldens(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KINDS; i++)
		check_kind(kinds[i]);
}

/* A real SentencePiece model, where it is at hand. */
static void
test_stories(void **state)
{
	const char *src = getenv("srcdir");
	struct err e = ERR_INIT;
	char path[PATH_BYTES];
	struct session s;
	struct buf b;

	(void)state;
	snprintf(path, sizeof(path), "%s/../shared/data/stories260k/tok512.model",
		src ? src : ".");
	if (!file_exists(path)) {
		print_message("# skip: there is no ../shared/data/stories260k\n");
		skip();
	}
	assert_int_equal(file_read(path, 1 << 20, &b, &e), 0);
	put_file(at("tokenizer.model"), b.data, b.n_bytes);
	buf_clear(&b);
	start(&s, scratch);
	assert_int_equal(tok_n_vocab(s.t), 512);
	assert_int_equal(tok_bos(s.t), 1);
	assert_int_equal(tok_eos(s.t), 2);
	check_cases(&s, "stories");
	stop(&s);
}

/* ---- what tokens stand for ---------------------------------------------- */

static void
expect_bytes(const struct session *s, uint32_t id, const char *want, size_t n_want)
{
	size_t n;
	const char *p = tok_bytes(s->t, id, &n);

	assert_non_null(p);
	assert_int_equal(n, n_want);
	assert_memory_equal(p, want, n);
}

static void
test_bytes(void **state)
{
	struct tok_ids ids = {0};
	struct session s;
	size_t n;

	(void)state;
	start_kind(&s, "llama"); /* <0xHH> has the id 3 + HH */
	expect_bytes(&s, 3 + 0x1f, "\x1f", 1);
	expect_bytes(&s, 3 + 0xff, "\xff", 1);
	assert_int_equal(tok_find(s.t, "\x1f", 1), 3 + 0x1f);
	assert_int_equal(tok_find(s.t, "<0x1F>", 6), -1);
	assert_true(tok_find(s.t, "a", 1) > 258); /* the letter, not its byte */
	encode(&s, "the", 3, true, &ids);
	assert_int_equal(ids.n, 1);
	expect_bytes(&s, ids.id[0], " the", 4);
	assert_int_equal(tok_find(s.t, " the", 4), ids.id[0]);
	assert_int_equal(tok_find(s.t, "\xe2\x96\x81the", 6), -1);
	for (uint32_t id = 0; id < tok_n_vocab(s.t); id++) {
		const char *p = tok_bytes(s.t, id, &n);

		expect_bytes(&s, (uint32_t)tok_find(s.t, p, n), p, n);
	}
	tok_ids_clear(&ids);
	stop(&s);
}

static void
test_around(void **state)
{
	static const struct {
		const char *kind;
		int64_t bos, eos;
	} want[] = {
		{"llama", 1, -1}, /* from the template */
		{"llama-first", 1, -1}, /* a template in a Sequence */
		{"gemma", 2, 1}, /* tokenizer_config.json */
		{"nfkd-lower", 1, 2}, /* RobertaProcessing */
		{"nfkc", 1, 2}, /* BertProcessing */
		{"split", -1, -1},
		{"files-gpt2", 0, 0},
		{"files-gpt2-added", 1, 0},
		{"spm-llama", 1, 2},
		{"spm-gemma", 2, 1},
	};
	struct session s;

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		start_kind(&s, want[i].kind);
		if (tok_bos(s.t) != want[i].bos || tok_eos(s.t) != want[i].eos)
			fail_msg("%s: bos %d, eos %d", want[i].kind, (int)tok_bos(s.t),
				(int)tok_eos(s.t));
		stop(&s);
	}
}

/* ---- bytes that are no text --------------------------------------------- */

static void
test_bad_bytes(void **state)
{
	static const char text[] = "a\xff\xc3 b";
	struct tok_ids ids = {0};
	struct session s;
	size_t n_a;

	(void)state;
	start_kind(&s, "llama");
	encode(&s, "a", 1, true, &ids);
	n_a = ids.n;
	encode(&s, text, 5, true, &ids);
	assert_int_equal(ids.id[n_a], 3 + 0xff);
	assert_int_equal(ids.start[n_a], 1);
	assert_int_equal(ids.end[n_a], 2);
	assert_int_equal(ids.id[n_a + 1], 3 + 0xc3);
	assert_int_equal(ids.end[n_a + 1], 3);
	assert_int_equal(ids.end[ids.n - 1], 5);
	stop(&s);
	start_kind(&s, "split"); /* no <0xHH>: unknown */
	encode(&s, text, 5, true, &ids);
	assert_int_equal(ids.id[n_a], 0);
	assert_int_equal(ids.id[n_a + 1], 0);
	stop(&s);
	start_kind(&s, "dropped");
	encode(&s, "\xff\xff", 2, true, &ids);
	assert_int_equal(ids.n, 0);
	tok_ids_clear(&ids);
	stop(&s);
}

/* A byte or a piece of text, from a fixed sequence. */
static size_t
put_random(char *p, uint64_t *seed)
{
	static const char *const pieces[] = {"<s>", "word", " ", "\xe2\x96\x81",
		"e\xcc\x81", "\xc3\xa9", "\xf0\x9f\x91\xa9\xe2\x80\x8d", "the ",
		"\xe6\xbc\xa2", "<sep>", "\n\n", "\xcc\xa3\xcc\x87", "ab",
		"\xef\xac\x81"};

	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	if (*seed >> 62 == 0) {
		*p = (char)(*seed >> 40);
		return 1;
	}
	strcpy(p, pieces[(*seed >> 33) % (sizeof(pieces) / sizeof(pieces[0]))]);
	return strlen(p);
}

static void
test_random(void **state)
{
	char text[420];
	struct tok_ids ids = {0};
	struct session s;
	uint64_t seed = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		start_kind(&s, kinds[i]);
		for (int round = 0; round < 60; round++) {
			size_t n = 0;

			while (n < 400)
				n += put_random(text + n, &seed);
			encode(&s, text, n, round % 2 == 0, &ids);
			for (size_t k = 0; k < ids.n; k++) {
				assert_true(ids.id[k] < tok_n_vocab(s.t));
				assert_true(ids.start[k] <= ids.end[k]);
				assert_true(ids.end[k] <= n);
				assert_true(k == 0 || ids.start[k] >= ids.start[k - 1]);
			}
		}
		stop(&s);
	}
	tok_ids_clear(&ids);
}

/* ---- whole texts that are one word -------------------------------------- */

/* Long texts are cut where no token can cross: doubling a text, with a space
 * between, gives the tokens of both, whatever its length. */
static void
check_long(const char *kind, const char *with, size_t n_copies)
{
	size_t n_with = strlen(with), n = n_copies * n_with;
	char *text = mem_new(n, 1);
	struct tok_ids once = {0}, ids = {0};
	struct session s;

	for (size_t i = 0; i < n_copies; i++)
		memcpy(text + i * n_with, with, n_with);
	start_kind(&s, kind);
	encode(&s, text, n, true, &ids);
	assert_int_equal(ids.start[0], 0);
	assert_int_equal(ids.end[ids.n - 1], n);
	for (size_t k = 1; k < ids.n; k++)
		assert_int_equal(ids.start[k], ids.end[k - 1]);
	encode(&s, text, n_with * 8, true, &once);
	assert_true(ids.n <= (n_copies / 8 + 1) * (once.n + 1));
	tok_ids_clear(&ids);
	tok_ids_clear(&once);
	stop(&s);
	mem_free(text);
}

static void
test_long(void **state)
{
	(void)state;
	check_long("gemma", "a", 1 << 20); /* merges all the way: one heap */
	check_long("gemma", " ", 1 << 19);
	check_long("gemma", "the ships and the sea ", 1 << 16);
	check_long("llama-first", "\xe6\xbc\xa2", 1 << 17); /* three bytes each */
	check_long("spm-gemma", "aaab", 1 << 18);
	check_long("merged-bytes", "zq\xe6\xbc\xa2", 1 << 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goldens),
		cmocka_unit_test(test_stories),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_around),
		cmocka_unit_test(test_bad_bytes),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
