/* SPDX-License-Identifier: ISC */
/*
 * Rules of tokenizers that are easily taken wrongly, one at a time; and files that
 * cannot be used: each gives one error that names the file and the place in it.
 */
#include "model/tok.h"
#include "tests/model/fixture.h"

#define MARK "\xe2\x96\x81"

static void
put_text(const char *name, const char *text)
{
	put_file(at(name), text, strlen(text));
}

/* ---- rules -------------------------------------------------------------- */

#define VOCAB \
	"\"vocab\":{\"<u>\":0,\"<s>\":1,\"a\":2,\"b\":3,\"" MARK "\":4,\"" MARK \
	"a\":5,\"ab\":6,\"" MARK MARK "\":7,\"aa\":8,\"<0xC3>\":9,\"<0xA9>\":10," \
	"\"B\":11,\"ba\":12,\"x\":13,\"<0xC4>\":14}"
#define TOKENIZER(rest, merges, options) \
	"{\"added_tokens\":[{\"id\":1,\"content\":\"<s>\",\"special\":true}]" rest \
	",\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[" merges "]" options "}}"
#define LEGACY \
	",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":" \
	"\"Prepend\"," \
	"\"prepend\":\"" MARK \
	"\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"}," \
	"\"content\":\"" MARK "\"}]}"
#define META(scheme, split) \
	",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" MARK \
	"\",\"prepend_scheme\":\"" scheme "\",\"split\":" split "}"
#define MERGES "\"" MARK " a\",\"" MARK " " MARK "\",\"a a\",\"a b\""

static const struct {
	const char *json, *text;
	const char *ids; /* as letters: A is 0 */
} rules[] = {
	/* Prepend: each piece, whatever it begins with; merges by rank. */
	{TOKENIZER(LEGACY, MERGES, ""), "a", "F"},
	{TOKENIZER(LEGACY, MERGES, ""), " a", "EF"},
	{TOKENIZER(LEGACY, "\"" MARK " " MARK "\",\"" MARK " a\"", ""), " a", "HC"},
	{TOKENIZER(LEGACY, MERGES, ""), "a<s>a", "FBF"},
	{TOKENIZER(LEGACY, MERGES, ""), "a<s>", "FB"},
	/* Metaspace: at the start of the text only, and not before a mark. */
	{TOKENIZER(META("first", "false"), MERGES, ""), "a<s>a", "FBC"},
	{TOKENIZER(META("always", "false"), MERGES, ""), "a<s>a", "FBF"},
	{TOKENIZER(META("never", "false"), MERGES, ""), "a<s>a", "CBC"},
	{TOKENIZER(META("first", "false"), MERGES, ""), " a", "F"},
	{TOKENIZER(META("always", "false"), MERGES, ""), MARK "a", "F"},
	/* Split: a mark begins a word. */
	{TOKENIZER(META("never", "false"), "\"" MARK " " MARK "\"", ""), "  a", "HC"},
	{TOKENIZER(META("never", "true"), "\"" MARK " " MARK "\"", ""), "  a", "EEC"},
	/* add_prefix_space, as older files say it. */
	{TOKENIZER(",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" MARK
		   "\",\"add_prefix_space\":false}",
		 MERGES, ""),
		"a", "C"},
	/* The leftmost of equals first. */
	{TOKENIZER("", "\"a a\"", ""), "aaa", "IC"},
	/* Lower rank first, not longer, not further left. */
	{TOKENIZER("", "\"b a\",\"a b\"", ""), "aba", "CM"},
	{TOKENIZER("", "\"a b\",\"b a\"", ""), "aba", "GC"},
	{TOKENIZER("", "[\"a\",\"b\"]", ""), "ab", "G"},
	/* <0xHH> only if all bytes have one, else unk, fused or not, else nothing. */
	{TOKENIZER("", "", ",\"byte_fallback\":true"), "a\xc3\xa9", "CJK"},
	{TOKENIZER("", "", ",\"byte_fallback\":true"), "a\xc4\x80", "C"},
	{TOKENIZER("", "", ""), "a\xc3\xa9", "C"},
	{TOKENIZER("", "", ",\"unk_token\":\"<u>\""), "a\xc3\xa9\xc3\xa9", "CAA"},
	{TOKENIZER("", "", ",\"unk_token\":\"<u>\",\"fuse_unk\":true"),
		"a\xc3\xa9\xc3\xa9", "CA"},
	{TOKENIZER("", "", ",\"byte_fallback\":true,\"unk_token\":\"<u>\""),
		"\xc4\x80\xc3\xa9z", "JKAA"},
	/* A whole word, though no merge makes it. */
	{TOKENIZER("", "", ",\"ignore_merges\":true"), "ab", "G"},
	{TOKENIZER("", "", ",\"ignore_merges\":true"), "abx", "CDN"},
	/* Normal forms and letters. */
	{TOKENIZER(",\"normalizer\":{\"type\":\"Lowercase\"}", "", ""), "BA", "DC"},
	{TOKENIZER(",\"normalizer\":{\"type\":\"NFKC\"}", "", ""), "\xef\xbd\x81", "C"},
	{TOKENIZER(",\"normalizer\":{\"type\":\"NFC\"}", "", ""), "\xef\xbd\x81", ""},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
		   "\"NFD\"},{\"type\":\"StripAccents\"}]}",
		 "", ""),
		"\xc3\xa1", "C"},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Strip\",\"strip_left\":false,"
		   "\"strip_right\":true}" META("never", "false"),
		 "", ""),
		" a ", "EC"},
};

static void
test_rules(void **state)
{
	struct tok_ids ids = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		char got[64] = "";
		struct tok_work *w;
		struct tok *t;

		put_text("tokenizer.json", rules[i].json);
		if (tok_open(&t, scratch, &e) < 0 || tok_work_new(&w, t, &e) < 0)
			fail_msg("rule %zu: %s", i, e.text);
		ids.n = 0;
		assert_int_equal(tok_encode(t, w, rules[i].text, strlen(rules[i].text),
					 true, &ids, &e),
			0);
		assert_true(ids.n < sizeof(got));
		for (size_t k = 0; k < ids.n; k++)
			got[k] = (char)('A' + ids.id[k]);
		if (strcmp(got, rules[i].ids) != 0)
			fail_msg("rule %zu: \"%s\" gives %s, not %s", i, rules[i].text,
				got, rules[i].ids);
		tok_work_free(w);
		tok_close(t);
	}
	tok_ids_clear(&ids);
}

/* A letter composed of h and a dot below is three bytes long, as they are: none
 * of its bytes is one of theirs. */
static void
test_composed(void **state)
{
	static const char json[] =
		"{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":"
		"\"ByteLevel\",\"use_regex\":false},\"model\":{\"type\":\"BPE\","
		"\"vocab\":{\"\xc3\xa1\":0,\"\xc2\xb8\":1,\"\xc2\xa5\":2,\"x\":3},"
		"\"merges\":[]}}";
	struct tok_ids ids = {0};
	struct err e = ERR_INIT;
	struct tok_work *w;
	struct tok *t;

	(void)state;
	put_text("tokenizer.json", json);
	if (tok_open(&t, scratch, &e) < 0 || tok_work_new(&w, t, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(tok_encode(t, w, "xh\xcc\xa3\xe1\xb8\xa5", 7, true, &ids, &e),
		0);
	assert_int_equal(ids.n, 7);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(ids.id[1 + i], i);
		assert_int_equal(ids.start[1 + i], 1);
		assert_int_equal(ids.end[1 + i], 4);
		assert_int_equal(ids.start[4 + i], 4 + i); /* that stays as it is */
		assert_int_equal(ids.end[4 + i], 5 + i);
	}
	tok_ids_clear(&ids);
	tok_work_free(w);
	tok_close(t);
}

/* Thousands of added tokens that begin alike, as Gemma has: the longest that
 * stands there, and no look at each of them wherever one might begin. */
static void
test_many_added(void **state)
{
	static const char head[] = "<unused12><unused123><unused1234<";
	size_t n = (size_t)1 << 20;
	char *text = mem_new(n, 1);
	struct tok_ids ids = {0};
	struct err e = ERR_INIT;
	struct buf b = {0};
	struct tok_work *w;
	struct tok *t;

	(void)state;
	buf_puts(&b, "{\"added_tokens\":[");
	for (int i = 0; i < 6000; i++)
		buf_printf(&b, "%s{\"id\":%d,\"content\":\"<unused%d>\"}", i ? "," : "",
			i + 1, i);
	buf_puts(&b,
		"],\"model\":{\"type\":\"BPE\",\"vocab\":{\"<\":0},"
		"\"merges\":[]}}");
	put_file(at("tokenizer.json"), b.data, b.n_bytes);
	buf_clear(&b);
	if (tok_open(&t, scratch, &e) < 0 || tok_work_new(&w, t, &e) < 0)
		fail_msg("%s", e.text);
	memset(text, '<', n);
	memcpy(text, head, sizeof(head) - 1);
	assert_int_equal(tok_encode(t, w, text, n, true, &ids, &e), 0);
	assert_int_equal(ids.n, 2 + 1 + (n - (sizeof(head) - 2)));
	assert_int_equal(ids.id[0], 13);
	assert_int_equal(ids.id[1], 124);
	assert_int_equal(ids.id[2], 0);
	tok_ids_clear(&ids);
	tok_work_free(w);
	tok_close(t);
	mem_free(text);
}

/* ---- files that cannot be used ------------------------------------------ */

/* Opens the scratch directory: code, and what the error says. */
static void
expect(int code, const char *file, const char *says, const char *what)
{
	struct err e = ERR_INIT;
	struct tok *t = NULL;
	int rc = tok_open(&t, scratch, &e);

	if (rc == 0)
		tok_close(t);
	if (rc != code || (rc < 0 && (!strstr(e.text, file) || !strstr(e.text, says))))
		fail_msg("%s: %d \"%s\", not %d with %s and %s", what, rc, e.text, code,
			file, says);
}

static const struct {
	const char *json;
	int code;
	const char *says;
} wrong[] = {
	{TOKENIZER("", "", ""), 0, ""},
	{TOKENIZER(",\"normalizer\":7", "", ""), ERR_UNSUPPORTED, "normalizer: "},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Nmt\"}", "", ""), ERR_UNSUPPORTED,
		"Nmt"},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Precompiled\"}", "", ""),
		ERR_UNSUPPORTED, "normalizer: the normalizer \"Precompiled\""},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Prepend\"}", "", ""), ERR_FORMAT,
		"normalizer.prepend: "},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Strip\",\"strip_left\":1}", "", ""),
		ERR_FORMAT, "normalizer.strip_left: "},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Sequence\"}", "", ""), ERR_FORMAT,
		"normalizer.normalizers: "},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
		   "\"NFC\"},3]}",
		 "", ""),
		ERR_FORMAT, "normalizer.normalizers[1]: "},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
		   "\"NFC\"},{\"type\":\"Replace\",\"pattern\":{},\"content\":\"\"}]}",
		 "", ""),
		ERR_FORMAT, "normalizer.normalizers[1].pattern: "},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"}"
		   ","
		   "\"content\":\"\"}",
		 "", ""),
		ERR_UNSUPPORTED, "normalizer.pattern: "},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"}"
		   ","
		   "\"content\":\"\"}",
		 "", ""),
		ERR_UNSUPPORTED, "normalizer.pattern: "},
	{TOKENIZER(",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":"
		   "\"a\"}}",
		 "", ""),
		ERR_FORMAT, "normalizer.content: "},
	{TOKENIZER(META("last", "true"), "", ""), ERR_FORMAT,
		"pre_tokenizer.prepend_scheme: "},
	{TOKENIZER(META("first", "0"), "", ""), ERR_FORMAT, "pre_tokenizer.split: "},
	{TOKENIZER(",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}",
		 "", ""),
		ERR_FORMAT, "pre_tokenizer.replacement: "},
	{TOKENIZER(",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"a\","
		   "\"add_prefix_space\":false,\"prepend_scheme\":\"first\"}",
		 "", ""),
		ERR_FORMAT, "pre_tokenizer.prepend_scheme: "},
	{TOKENIZER(",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}", "", ""),
		ERR_UNSUPPORTED, "UnicodeScripts"},
	{TOKENIZER(",\"pre_tokenizer\":{\"type\":\"CharDelimiterSplit\"}", "", ""),
		ERR_FORMAT, "pre_tokenizer.delimiter: "},
	{TOKENIZER(",\"pre_tokenizer\":{\"type\":\"Punctuation\",\"behavior\":\"x\"}",
		 "", ""),
		ERR_UNSUPPORTED, "pre_tokenizer.behavior: "},
	{TOKENIZER(",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{"
		   "\"type\":\"ByteLevel\"},{\"type\":\"Digits\"}]}",
		 "", ""),
		ERR_UNSUPPORTED, "pre_tokenizer.pretokenizers[1]: "},
	{TOKENIZER(",\"decoder\":{\"type\":\"WordPiece\"}", "", ""), ERR_UNSUPPORTED,
		"decoder: the decoder \"WordPiece\""},
	{TOKENIZER(",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":"
		   "\"Fuse\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a\"},"
		   "\"content\":\"\"}]}",
		 "", ""),
		ERR_UNSUPPORTED, "decoder.decoders[1]: "},
	{TOKENIZER(",\"post_processor\":{\"type\":\"X\"}", "", ""), ERR_UNSUPPORTED,
		"post_processor: "},
	{TOKENIZER(",\"post_processor\":{\"type\":\"TemplateProcessing\"}", "", ""),
		ERR_FORMAT, "post_processor.single: "},
	{TOKENIZER(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
		   "\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}],"
		   "\"special_tokens\":{}}",
		 "", ""),
		ERR_FORMAT, "post_processor.single[0].SpecialToken: "},
	{TOKENIZER(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
		   "\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}],"
		   "\"special_tokens\":{\"<s>\":{\"ids\":[99]}}}",
		 "", ""),
		ERR_FORMAT, "post_processor.special_tokens.<s>.ids[0]: "},
	{TOKENIZER(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
		   "\"Sequence\":{\"id\":\"B\"}}]}",
		 "", ""),
		ERR_FORMAT, "post_processor.single[0]: "},
	{TOKENIZER(",\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",1],"
		   "\"sep\":[\"a\",-1]}",
		 "", ""),
		ERR_FORMAT, "post_processor.sep[1]: "},
	{TOKENIZER(",\"post_processor\":{\"type\":\"Sequence\",\"processors\":[0]}", "",
		 ""),
		ERR_FORMAT, "post_processor.processors[0]: "},
	{TOKENIZER("", "\"a z\"", ""), ERR_FORMAT, "model.merges[0]: "},
	{TOKENIZER("", "\"a b\",\"ab\"", ""), ERR_FORMAT, "model.merges[1]: "},
	{TOKENIZER("", "\"a b\",[\"a\",\"b\",\"c\"]", ""), ERR_FORMAT,
		"model.merges[1]: "},
	{TOKENIZER("", "", ",\"fuse_unk\":\"no\""), ERR_FORMAT, "model.fuse_unk: "},
	{TOKENIZER("", "", ",\"unk_token\":3"), ERR_FORMAT, "model.unk_token: "},
	{TOKENIZER("", "", ",\"unk_token\":\"y\""), ERR_FORMAT, "model.unk_token: "},
	{TOKENIZER("", "", ",\"dropout\":\"x\""), ERR_FORMAT, "model.dropout: "},
	{TOKENIZER("", "", ",\"continuing_subword_prefix\":\"##\""), ERR_UNSUPPORTED,
		"continuing_subword_prefix"},
	{"{\"model\":{\"type\":\"WordPiece\"}}", ERR_UNSUPPORTED, "WordPiece"},
	{"{\"model\":{\"type\":\"Unigram\"}}", ERR_UNSUPPORTED, "Unigram"},
	{"{\"added_tokens\":{},\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[]}}",
		ERR_FORMAT, "added_tokens: "},
	{"{\"added_tokens\":[{\"id\":1,\"content\":\"<s>\",\"lstrip\":null,\"rstrip\":"
	 "0}],"
	 "\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[]}}",
		ERR_FORMAT, "added_tokens[0].rstrip: "},
	{"{\"added_tokens\":[{\"id\":1,\"content\":7}],\"model\":{\"type\":"
	 "\"BPE\"," VOCAB ",\"merges\":[]}}",
		ERR_FORMAT, "added_tokens[0].content: "},
};

static void
test_wrong_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		put_text("tokenizer.json", wrong[i].json);
		expect(wrong[i].code, "tokenizer.json: ", wrong[i].says, wrong[i].json);
	}
	assert_int_equal(remove(at("tokenizer.json")), 0);
}

/* ---- vocab.json and merges.txt ------------------------------------------ */

static void
expect_gpt2(const char *vocab, const char *merges, const char *config, int code,
	const char *file, const char *says)
{
	put_text("vocab.json", vocab);
	put_text("merges.txt", merges);
	put_text("tokenizer_config.json", config);
	expect(code, file, says, says);
}

static void
test_wrong_gpt2(void **state)
{
	static const char vocab[] = "{\"a\":0,\"b\":1,\"ab\":2}";

	(void)state;
	expect(ERR_NOTFOUND, "tokenizer.json", "merges.txt", "nothing");
	put_text("vocab.json", vocab);
	expect(ERR_NOTFOUND, "merges.txt", "", "no merges");
	expect_gpt2(vocab, "#version: 0.2\na b\n", "{}", 0, "", "");
	expect_gpt2(vocab, "a b\r\n", "{}", 0, "", "");
	expect_gpt2(vocab, "", "{}", 0, "", "");
	expect_gpt2("[]", "a b\n", "{}", ERR_FORMAT, "vocab.json", "object");
	expect_gpt2("{\"a\":\"b\"}", "", "{}", ERR_FORMAT, "vocab.json", "\"a\"");
	expect_gpt2("{\"a\":0,\"b\":0}", "", "{}", ERR_FORMAT, "vocab.json", "id 0");
	expect_gpt2("{}", "", "{}", ERR_FORMAT, "vocab.json", "empty");
	expect_gpt2(vocab, "a b\nab\n", "{}", ERR_FORMAT, "merges.txt", "line 2: ");
	expect_gpt2(vocab, "a  b\n", "{}", ERR_FORMAT, "merges.txt", "line 1: ");
	expect_gpt2(vocab, "a b\n\n", "{}", ERR_FORMAT, "merges.txt", "line 2: ");
	expect_gpt2(vocab, "#version\nb a", "{}", ERR_FORMAT, "merges.txt", "line 2: ");
	expect_gpt2(vocab, "", "[]", ERR_FORMAT, "tokenizer_config.json", "object");
	expect_gpt2(vocab, "", "{\"tokenizer_class\":\"Qwen2Tokenizer\"}",
		ERR_UNSUPPORTED, "tokenizer_config.json", "Qwen2Tokenizer");
	expect_gpt2(vocab, "", "{\"bos_token\":\"<x>\"}", ERR_UNSUPPORTED, "",
		"bos_token");
	expect_gpt2(vocab, "", "{\"add_prefix_space\":3}", ERR_FORMAT,
		"tokenizer_config.json", "add_prefix_space");
	expect_gpt2(vocab, "", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"c\"}}}",
		ERR_FORMAT, "tokenizer_config.json", "added_tokens_decoder.x: ");
	expect_gpt2(vocab, "",
		"{\"added_tokens_decoder\":{\"3\":{\"content\":\"c\",\"lstrip\":1}}}",
		ERR_FORMAT, "tokenizer_config.json", "added_tokens_decoder.3.lstrip: ");
	expect_gpt2(vocab, "", "{\"added_tokens_decoder\":{\"2\":{\"content\":\"c\"}}}",
		ERR_MISMATCH, "vocab.json", "\"c\"");
	put_text("added_tokens.json", "{\"d\":3}");
	expect_gpt2(vocab, "", "{}", ERR_UNSUPPORTED, "added_tokens.json", "\"d\"");
	put_text("added_tokens.json", "{}");
	assert_int_equal(remove(at("vocab.json")), 0);
}

/* ---- SentencePiece ------------------------------------------------------ */

static void
test_wrong_spm(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int code;
		const char *says;
	} models[] = {
#define FILE(s) s, sizeof(s) - 1
		{FILE(""), ERR_FORMAT, "pieces: "},
		{FILE("\x0a\x05\x0a"), ERR_FORMAT, "byte 2: "},
		{FILE("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), ERR_FORMAT,
			"byte "},
		{FILE("\x0b"), ERR_FORMAT, "byte 1: "},
		{FILE("\x08\x01"), ERR_FORMAT, "another type"},
		{FILE("\x0a\x02\x0a\x00"), ERR_FORMAT, "pieces[0].piece: "},
		{FILE("\x0a\x03\x0a\x01\xff"), ERR_FORMAT, "pieces[0].piece: "},
		{FILE("\x0a\x08\x0a\x01"
		      "a\x15\x00\x00\xc0\x7f"),
			ERR_FORMAT, "pieces[0].score: "},
		{FILE("\x0a\x05\x0a\x01"
		      "a\x18\x09"),
			ERR_FORMAT, "pieces[0].type: "},
		{FILE("\x0a\x03\x0a\x01"
		      "a"),
			ERR_UNSUPPORTED, "unigram"},
		{FILE("\x0a\x03\x0a\x01"
		      "a\x12\x02\x18\x02"),
			ERR_UNSUPPORTED, "byte_fallback"},
		{FILE("\x0a\x03\x0a\x01"
		      "a\x12\x05\x18\x02\x98\x02\x01"),
			0, ""},
		{FILE("\x0a\x03\x0a\x01"
		      "a\x0a\x03\x0a\x01"
		      "a\x12\x05\x18\x02\x98\x02\x01"),
			ERR_FORMAT, "pieces[1].piece: "},
		{FILE("\x0a\x03\x0a\x01"
		      "a\x0a\x08\x0a\x01"
		      "b\x15\x00\x00\x80\x3f\x12\x05\x18\x02\x98\x02\x01"),
			ERR_UNSUPPORTED, "pieces[1].score: "},
		{FILE("\x0a\x03\x0a\x01"
		      "a\x12\x05\x18\x02\x98\x02\x01\x1a\x06\x0a\x01N\x12\x01x"),
			ERR_UNSUPPORTED, "normalizer_spec.name: \"N\""},
		{FILE("\x0a\x03\x0a\x01"
		      "a\x12\x08\x18\x02\x98\x02\x01\xc0\x01\x01"),
			ERR_UNSUPPORTED, "treat_whitespace_as_suffix"},
#undef FILE
	};

	(void)state;
	put_text("tokenizer_config.json", "{}");
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		char what[32];

		snprintf(what, sizeof(what), "model %zu", i);
		put_file(at("tokenizer.model"), models[i].bytes, models[i].n);
		expect(models[i].code, "tokenizer.model", models[i].says, what);
	}
	put_text("tokenizer_config.json", "{\"tokenizer_class\":\"T5Tokenizer\"}");
	put_file(at("tokenizer.model"), models[11].bytes, models[11].n);
	expect(ERR_UNSUPPORTED, "tokenizer_config.json", "T5Tokenizer", "class");
	put_text("tokenizer_config.json", "{}");
	copy_fixture("tokk-spm-refused/unigram.model", "tokenizer.model");
	expect(ERR_UNSUPPORTED, "tokenizer.model", "\"unigram\"", "unigram");
	copy_fixture("tokk-spm-refused/word.model", "tokenizer.model");
	expect(ERR_UNSUPPORTED, "tokenizer.model", "\"word\"", "word");
	copy_fixture("tokk-spm-refused/nmt.model", "tokenizer.model");
	expect(ERR_UNSUPPORTED, "tokenizer.model", "\"nmt_nfkc\"", "nmt_nfkc");
	assert_int_equal(remove(at("tokenizer.model")), 0);
}

/* ---- memory that runs out anywhere -------------------------------------- */

static void
sweep(const char *dir)
{
	static const char text[] = "a <s> the ships word e\xcc\x81\xef\xac\x81 \xff";
	struct err e = ERR_INIT;
	int rc = -1;

	for (long n = 0; rc < 0; n++) {
		struct tok_ids ids = {0};
		struct tok_work *w = NULL;
		struct tok *t = NULL;

		/* Many of one kind: far in, most may be left out. */
		n += n > 400 ? n / 16 : 0;
		mem_fail_at(n);
		rc = tok_open(&t, dir, &e);
		if (rc == 0)
			rc = tok_work_new(&w, t, &e);
		if (rc == 0)
			rc = tok_encode(t, w, text, sizeof(text) - 1, true, &ids, &e);
		mem_fail_at(-1);
		if (rc < 0 && rc != ERR_NOMEM)
			fail_msg("%s: allocation %ld: %d %s", dir, n, rc, e.text);
		tok_ids_clear(&ids);
		tok_work_free(w);
		tok_close(t);
	}
}

static void
test_sweep(void **state)
{
	(void)state;
	sweep(fixture("tokk-llama"));
	sweep(fixture("tokk-llama-first"));
	sweep(fixture("tokk-nfkd-lower"));
	sweep(fixture("tokk-nfd-strip"));
	sweep(fixture("tokk-files-gpt2-added"));
	sweep(fixture("tokk-spm-llama"));
	sweep(fixture("tokk-spm-gemma"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_composed),
		cmocka_unit_test(test_many_added),
		cmocka_unit_test(test_wrong_json),
		cmocka_unit_test(test_wrong_gpt2),
		cmocka_unit_test(test_wrong_spm),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
