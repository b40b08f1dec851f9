/* SPDX-License-Identifier: ISC */
#include "model/json.h"
#include "tests/model/tok_session.h"

/* Tokens tile the text, and are the bytes they cover. Not so where the text
 * was normalised, a space put in front, or something dropped. */
static void
check_offsets(const struct session *s, const char *p, size_t n,
	const struct tok_ids *ids)
{
	size_t at = 0, n_bytes;

	for (size_t i = 0; i < ids->n; i++) {
		const char *bytes = tok_bytes(s->t, ids->id[i], &n_bytes);

		assert_int_equal(ids->start[i], at);
		at = ids->end[i];
		assert_true(at <= n && at > ids->start[i]);
		assert_non_null(bytes);
		if (n_bytes != at - ids->start[i] ||
			memcmp(bytes, p + ids->start[i], n_bytes) != 0)
			assert_true(tok_is_special(s->t, ids->id[i]) ||
				n_bytes < at - ids->start[i]); /* swallowed space */
	}
	assert_int_equal(at, n);
}

static void
check_ids(const struct tok_ids *got, const struct js *want, const char *dir, size_t i)
{
	uint64_t id = 0;

	for (size_t k = 0; k < got->n && k < js_n(want); k++) {
		js_u64(js_at(want, k), &id);
		if (got->id[k] != id)
			fail_msg("%s, text %zu: token %zu is %u, not %u", dir, i, k,
				got->id[k], (unsigned)id);
	}
	if (got->n != js_n(want))
		fail_msg("%s, text %zu: %zu tokens, not %zu", dir, i, got->n,
			js_n(want));
}

static void
check_goldens(const char *name, bool exact_offsets)
{
	char golden_name[128];
	struct js_doc texts, cases;
	struct tok_ids ids = {0};
	struct err e = ERR_INIT;
	struct session s;

	start(&s, fixture(name));
	snprintf(golden_name, sizeof(golden_name), "%s/golden.json", name);
	assert_int_equal(js_open(&texts, fixture("tok-texts.json"), 1 << 24, 9, &e), 0);
	assert_int_equal(js_open(&cases, fixture(golden_name), 1 << 24, 9, &e), 0);
	assert_true(js_n(cases.root) > 50);
	assert_int_equal(js_n(texts.root), js_n(cases.root));
	for (size_t i = 0; i < js_n(cases.root); i++) {
		const struct js *want = js_at(cases.root, i);
		const struct js *plain = js_get(want, "ids_ordinary");
		size_t n;
		const char *p = js_str(js_at(texts.root, i), &n);

		encode(&s, p, n, true, &ids);
		check_ids(&ids, js_get(want, "ids"), name, i);
		if (exact_offsets)
			check_offsets(&s, p, n, &ids);
		encode(&s, p, n, false, &ids);
		check_ids(&ids, plain ? plain : js_get(want, "ids"), name, i);
	}
	tok_ids_clear(&ids);
	js_close(&texts);
	js_close(&cases);
	stop(&s);
}

static void
test_goldens(void **state)
{
	(void)state;
	check_goldens("tok-gpt2", true);
	check_goldens("tok-llama3", true);
	check_goldens("tok-nfc-prefix", false);
	check_goldens("tok-split-removed", false);
	check_goldens("tok-split-merged-with-previous", true);
	check_goldens("tok-split-merged-with-next", true);
	check_goldens("tok-split-contiguous", true);
}

/* Bytes that are not UTF-8: one token each, and the text around them as if it
 * stood alone. */
static void
test_bad_bytes(void **state)
{
	static const char text[] = "abc\xff\xc3 x\xe2\x82\xac\xe2\x82";
	struct tok_ids ids = {0};
	struct session s;
	size_t n_bytes, n_alone;

	(void)state;
	start(&s, fixture("tok-gpt2"));
	encode(&s, "abc", 3, true, &ids);
	n_alone = ids.n;
	encode(&s, text, sizeof(text) - 1, true, &ids);
	check_offsets(&s, text, sizeof(text) - 1, &ids);
	assert_int_equal(ids.start[n_alone], 3);
	assert_int_equal(ids.end[n_alone], 4);
	assert_int_equal(ids.end[n_alone + 1], 5);
	assert_int_equal(ids.start[ids.n - 2], 10);
	assert_int_equal(ids.start[ids.n - 1], 11);
	assert_memory_equal(tok_bytes(s.t, ids.id[n_alone], &n_bytes), "\xff", 1);
	/* every byte value by itself, and all of them */
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;

		encode(&s, &byte, 1, true, &ids);
		assert_int_equal(ids.n, 1);
		assert_memory_equal(tok_bytes(s.t, ids.id[0], &n_bytes), &byte, 1);
		assert_int_equal(n_bytes, 1);
		assert_int_equal(tok_find(s.t, &byte, 1), ids.id[0]);
	}
	tok_ids_clear(&ids);
	stop(&s);
}

/* 1 MiB of one letter, and a word longer than the limit: no quadratic time. */
static void
test_long(void **state)
{
	size_t n = ((size_t)1 << 20) + 12345, n_alone;
	char *text = mem_new(n, 1);
	struct tok_ids ids = {0};
	struct session s;

	(void)state;
	memset(text, 'a', n);
	start(&s, fixture("tok-gpt2"));
	encode(&s, text, 1000, true, &ids);
	n_alone = ids.n;
	encode(&s, text, (size_t)1 << 20, true, &ids);
	check_offsets(&s, text, (size_t)1 << 20, &ids);
	assert_true(ids.n <= (((size_t)1 << 20) / 1000 + 1) * n_alone);
	encode(&s, text, n, true, &ids);
	check_offsets(&s, text, n, &ids);
	tok_ids_clear(&ids);
	stop(&s);
	mem_free(text);
}

static void
test_lookups(void **state)
{
	struct session s;
	size_t n;
	int64_t end, sep;

	(void)state;
	start(&s, fixture("tok-gpt2"));
	end = tok_find(s.t, "<|end|>", 7);
	sep = tok_find(s.t, "<|sep|>", 7);
	assert_int_equal(end, 0);
	assert_true(sep > 0);
	assert_int_equal(tok_bos(s.t), end);
	assert_int_equal(tok_eos(s.t), sep);
	assert_true(tok_is_special(s.t, (uint32_t)sep));
	assert_false(tok_is_special(s.t, (uint32_t)tok_find(s.t, "word", 4)));
	assert_false(tok_is_special(s.t, UINT32_MAX));
	assert_int_equal(tok_find(s.t, "no such token", 13), -1);
	assert_null(tok_bytes(s.t, (uint32_t)tok_n_vocab(s.t), &n));
	for (uint32_t id = 0; id < tok_n_vocab(s.t); id++) {
		const char *p = tok_bytes(s.t, id, &n);

		const char *found;
		size_t n_found;

		found = tok_bytes(s.t, (uint32_t)tok_find(s.t, p, n), &n_found);
		assert_true(n_found == n && memcmp(found, p, n) == 0);
	}
	stop(&s);
	start(&s, fixture("tok-llama3")); /* two special tokens, no config */
	assert_int_equal(tok_bos(s.t), -1);
	assert_int_equal(tok_eos(s.t), -1);
	stop(&s);
}

/* ---- files that cannot be used ------------------------------------------ */

static void
expect(const char *json, int code, const char *says)
{
	struct err e = ERR_INIT;
	struct tok *t = NULL;
	int rc;

	put_file(at("tokenizer.json"), json, strlen(json));
	rc = tok_open(&t, scratch, &e);
	if (rc == 0)
		tok_close(t);
	if (rc != code || (says && !strstr(e.text, says)))
		fail_msg("%s: %d \"%s\", not %d \"%s\"", json, rc, e.text, code,
			says ? says : "");
	if (rc < 0)
		assert_non_null(strstr(e.text, "tokenizer.json"));
}

#define BYTES "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define MODEL(more) "\"model\":{\"type\":\"BPE\"," more "}"
#define SMALL MODEL("\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]")

static void
test_hostile(void **state)
{
	(void)state;
	expect("{" BYTES "," SMALL "}", 0, NULL);
	expect("", ERR_FORMAT, NULL);
	expect("[]", ERR_FORMAT, "model");
	expect("{" BYTES "}", ERR_FORMAT, "model");
	expect("{" BYTES "," SMALL "," SMALL "}", ERR_FORMAT, "duplicate");
	expect("{" SMALL "}", 0, NULL);
	expect("{\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}," SMALL "}",
		ERR_UNSUPPORTED, "BertPreTokenizer");
	expect("{\"normalizer\":{\"type\":\"Precompiled\"}," BYTES "," SMALL "}",
		ERR_UNSUPPORTED, "Precompiled");
	expect("{\"decoder\":{\"type\":\"CTC\"}," BYTES "," SMALL "}", ERR_UNSUPPORTED,
		"CTC");
	expect("{" BYTES ",\"model\":{\"type\":\"Unigram\"}}", ERR_UNSUPPORTED,
		"Unigram");
	expect("{" BYTES "," MODEL("\"vocab\":{},\"merges\":[]") "}", ERR_FORMAT,
		"empty");
	expect("{" BYTES "," MODEL("\"vocab\":[],\"merges\":[]") "}", ERR_FORMAT,
		"vocab");
	expect("{" BYTES "," MODEL("\"vocab\":{\"a\":-1},\"merges\":[]") "}",
		ERR_FORMAT, "\"a\"");
	expect("{" BYTES "," MODEL("\"vocab\":{\"a\":4294967295},\"merges\":[]") "}",
		ERR_FORMAT, "\"a\"");
	expect("{" BYTES "," MODEL("\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]") "}",
		ERR_FORMAT, "id 0");
	expect("{" BYTES "," MODEL("\"vocab\":{\"a\":0},\"merges\":[\"a a\"]") "}",
		ERR_FORMAT, "merges[0]");
	expect("{" BYTES "," MODEL("\"vocab\":{\"a\":0},\"merges\":[\"aa\"]") "}",
		ERR_FORMAT, "pair");
	expect("{" BYTES "," MODEL("\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]") "}",
		ERR_FORMAT, "pair");
	expect("{" BYTES "," MODEL("\"vocab\":{\"a\":0},\"merges\":{}") "}", ERR_FORMAT,
		"merges");
	expect("{" BYTES
	       "," MODEL("\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":0.1") "}",
		ERR_UNSUPPORTED, "dropout");
	expect("{" BYTES
	       "," MODEL("\"vocab\":{\"a\":0},\"merges\":[],\"end_of_word_suffix\":"
			 "\"</w>\"") "}",
		ERR_UNSUPPORTED, "end_of_word_suffix");
	expect("{" BYTES "," MODEL(
		       "\"vocab\":{\"a\":0},\"merges\":[],\"byte_fallback\":true") "}",
		ERR_UNSUPPORTED, "byte_fallback");
	expect("{" BYTES
	       "," MODEL("\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"x\"") "}",
		ERR_FORMAT, "unk_token");
	expect("{\"added_tokens\":[{\"id\":9,\"content\":\"a\"}]," BYTES "," SMALL "}",
		ERR_MISMATCH, "\"a\"");
	expect("{\"added_tokens\":[{\"id\":1,\"content\":\"x\"}]," BYTES "," SMALL "}",
		ERR_MISMATCH, "\"x\"");
	expect("{\"added_tokens\":[{\"id\":9,\"content\":\"\"}]," BYTES "," SMALL "}",
		ERR_FORMAT, "content");
	expect("{\"added_tokens\":[{\"content\":\"x\"}]," BYTES "," SMALL "}",
		ERR_FORMAT, "added_tokens[0]");
}

#define SPLIT(pattern, behavior) \
	"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":" \
	"\"Split\"," \
	"\"pattern\":" pattern ",\"behavior\":\"" behavior "\",\"invert\":false}," \
	"{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}" \
	"," SMALL "}"

static void
test_patterns(void **state)
{
	(void)state;
	expect(SPLIT("{\"Regex\":\"a|b\"}", "Isolated"), 0, NULL);
	expect(SPLIT("{\"String\":\"(\"}", "Removed"), 0, NULL);
	expect(SPLIT("{\"Regex\":\"(\"}", "Isolated"), ERR_UNSUPPORTED,
		"pretokenizers[0]");
	expect(SPLIT("{\"Regex\":\"[a&&b]\"}", "Isolated"), ERR_UNSUPPORTED, "&&");
	expect(SPLIT("{\"Regex\":\"[a[b]]\"}", "Isolated"), ERR_UNSUPPORTED, "class");
	expect(SPLIT("{\"Regex\":\"[[:alpha:]]\"}", "Isolated"), 0, NULL);
	expect(SPLIT("{\"Regex\":\"[\\\\W]\"}", "Isolated"), ERR_UNSUPPORTED, "\\W");
	expect(SPLIT("{\"Regex\":\"[[:\"}", "Isolated"), ERR_UNSUPPORTED, NULL);
	expect(SPLIT("{\"Regex\":\"a\"}", "Sideways"), ERR_UNSUPPORTED, "Sideways");
	expect(SPLIT("{}", "Isolated"), ERR_FORMAT, "pattern");
}

/* A vocabulary that lacks bytes: unk, fused or not, or nothing. */
static void
test_unknown(void **state)
{
	static const char *const models[] = {
		"{" BYTES "," MODEL("\"vocab\":{\"a\":0,\"?\":1},\"merges\":[]") "}",
		"{" BYTES
		"," MODEL("\"vocab\":{\"a\":0,\"?\":1},\"merges\":[],\"unk_token\":"
			  "\"?\"") "}",
		"{" BYTES
		"," MODEL("\"vocab\":{\"a\":0,\"?\":1},\"merges\":[],\"unk_token\":"
			  "\"?\",\"fuse_unk\":true") "}",
	};
	static const size_t n_ids[] = {2, 5, 3};
	struct tok_ids ids = {0};
	struct session s;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		put_file(at("tokenizer.json"), models[i], strlen(models[i]));
		start(&s, scratch);
		for (int again = 0; again < 2;
			again++) { /* the second from the cache */
			encode(&s, "axyza", 5, true, &ids);
			assert_int_equal(ids.n, n_ids[i]);
			assert_int_equal(ids.start[ids.n - 1], 4);
			assert_int_equal(ids.id[ids.n - 1], 0);
		}
		stop(&s);
	}
	tok_ids_clear(&ids);
}

static void
test_sweep(void **state)
{
	struct err e = ERR_INIT;
	struct tok_ids ids = {0};
	struct tok *t = NULL;
	struct tok_work *w = NULL;
	int rc = -1;

	(void)state;
	put_file(at("tokenizer.json"), "{" BYTES "," SMALL "}",
		strlen("{" BYTES "," SMALL "}"));
	for (long n = 0; rc < 0; n++) {
		mem_fail_at(n);
		rc = tok_open(&t, scratch, &e);
		if (rc == 0)
			rc = tok_work_new(&w, t, &e);
		if (rc == 0)
			rc = tok_encode(t, w, "abba ab", 7, true, &ids, &e);
		mem_fail_at(-1);
		if (rc < 0 && rc != ERR_NOMEM)
			fail_msg("allocation %ld: %d %s", n, rc, e.text);
		tok_work_free(w);
		tok_close(t);
		tok_ids_clear(&ids);
		w = NULL;
		t = NULL;
		assert_true(n < 10000);
	}
}

/* ---- real vocabularies, where they are at hand -------------------------- */

static const char *
shared(const char *name)
{
	static char path[2][PATH_BYTES];
	static size_t i;
	const char *src = getenv("srcdir");

	i ^= 1;
	snprintf(path[i], sizeof(path[i]), "%s/../shared/data/tokenizers/%s",
		src ? src : ".", name);
	return path[i];
}

/* Texts between __ggml_vocab_test__ lines, and a line of ids for each. */
static void
check_ggml(struct session *s, const char *name)
{
	static const char mark[] = "\n__ggml_vocab_test__\n";
	struct err e = ERR_INIT;
	struct buf in, want;
	char path[128];
	struct tok_ids ids = {0};
	char *text, *end, *line;
	size_t n_texts = 0;

	snprintf(path, sizeof(path), "golden/ggml-vocab-%s.gguf.inp", name);
	assert_int_equal(file_read(shared(path), 1 << 20, &in, &e), 0);
	snprintf(path, sizeof(path), "golden/ggml-vocab-%s.gguf.out", name);
	assert_int_equal(file_read(shared(path), 1 << 20, &want, &e), 0);
	line = buf_str(&want);
	for (text = buf_str(&in); text; text = end ? end + sizeof(mark) - 1 : NULL) {
		end = strstr(text, mark);
		encode(s, text, end ? (size_t)(end - text) : strlen(text), true, &ids);
		for (size_t i = 0; i < ids.n; i++)
			assert_int_equal(ids.id[i], strtoul(line, &line, 10));
		assert_int_equal(line[strspn(line, " ")], '\n');
		line += strspn(line, " ") + 1;
		n_texts++;
		if (!line[0])
			break;
	}
	assert_true(n_texts > 30);
	tok_ids_clear(&ids);
	buf_clear(&in);
	buf_clear(&want);
}

static void
test_neox(void **state)
{
	struct err e = ERR_INIT;
	struct session s;
	struct buf b;

	(void)state;
	if (!file_exists(shared("neox-20b/20B_tokenizer.json"))) {
		print_message("# skip: there is no ../shared/data/tokenizers\n");
		skip();
	}
	assert_int_equal(file_read(shared("neox-20b/20B_tokenizer.json"), 1 << 24, &b,
				 &e),
		0);
	put_file(at("tokenizer.json"), b.data, b.n_bytes);
	buf_clear(&b);
	start(&s, scratch);
	assert_int_equal(tok_n_vocab(s.t), 50277);
	check_ggml(&s, "mpt");
	stop(&s);
}

/* GPT-2's files are from before tokenizer.json. */
static void
test_gpt2(void **state)
{
	struct err e = ERR_INIT;
	struct session s;
	struct buf b;

	(void)state;
	if (!file_exists(shared("gpt2/encoder.json"))) {
		print_message("# skip: there is no ../shared/data/tokenizers\n");
		skip();
	}
	assert_int_equal(file_read(shared("gpt2/encoder.json"), 1 << 24, &b, &e), 0);
	put_file(at("vocab.json"), b.data, b.n_bytes);
	buf_clear(&b);
	assert_int_equal(file_read(shared("gpt2/vocab.bpe"), 1 << 24, &b, &e), 0);
	put_file(at("merges.txt"), b.data, b.n_bytes);
	buf_clear(&b);
	remove(at("tokenizer.json"));
	start(&s, scratch);
	assert_int_equal(tok_n_vocab(s.t), 50257);
	assert_int_equal(tok_bos(s.t), 50256);
	assert_int_equal(tok_eos(s.t), 50256);
	check_ggml(&s, "gpt-2");
	stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goldens),
		cmocka_unit_test(test_bad_bytes),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_neox),
		cmocka_unit_test(test_gpt2),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
