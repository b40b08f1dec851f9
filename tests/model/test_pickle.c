/* SPDX-License-Identifier: ISC */
/* .pt files as PyTorch writes them, and pickles as nobody should. */
#include "tests/model/zip_maker.h"

static void
expect_meta(const struct tensors *t, const char *base)
{
	static const char *const types[] = {"none", "bool", "int", "real", "str"};
	char name[200];
	struct buf got, want;

	snprintf(name, sizeof(name), "files/%s.meta", base);
	want = read_fixture(name);
	buf_init(&got);
	for (size_t i = 0; i < tensors_n_meta(t); i++) {
		const struct tensor_meta *m = tensors_meta_at(t, i);

		assert_ptr_equal(tensors_meta(t, m->name), m);
		buf_printf(&got, "%s\t%s\t", m->name, types[m->type]);
		if (m->type == META_BOOL || m->type == META_INT)
			buf_printf(&got, "%lld", (long long)m->i);
		else if (m->type == META_REAL)
			buf_printf(&got, "%.17g", m->real);
		else if (m->type == META_STR)
			buf_puts(&got, m->str);
		buf_puts(&got, "\n");
	}
	assert_string_equal(buf_str(&got), buf_str(&want));
	buf_clear(&got);
	buf_clear(&want);
}

static void
test_torch(void **state)
{
	static const char *const files[][2] = {{"all.pt", "all"},
		{"all-deflated.pt", "all"}, {"protocol2.pt", "protocol2"},
		{"protocol3.pt", "protocol3"}, {"protocol4.pt", "protocol4"},
		{"protocol5.pt", "protocol5"}};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct tensors *t;
		char name[200];

		snprintf(name, sizeof(name), "files/%s", files[i][0]);
		if (tensors_open(&t, fixture(name), &e) < 0)
			fail_msg("%s", e.text);
		expect_tensors(t, files[i][1]);
		expect_meta(t, files[i][1]);
		assert_null(tensors_meta(t, "none such"));
		assert_null(tensors_meta_at(t, tensors_n_meta(t)));
		tensors_close(t);
	}
	expect_fixture("tensor.pt", "tensor");
}

/* Nothing is executed, and what is refused is named. */
static void
test_refused(void **state)
{
	(void)state;
	expect_open(fixture("files/bad-evil.pt"), ERR_UNSUPPORTED, "posix.system");
	expect_open(fixture("files/bad-evil4.pt"), ERR_UNSUPPORTED, "posix.system");
	assert_false(file_exists("saedb-pickle-was-run"));
	expect_open(fixture("files/bad-module.pt"), ERR_UNSUPPORTED,
		"torch.nn.modules.linear.Linear");
	expect_open(fixture("files/bad-expand.pt"), ERR_UNSUPPORTED, "contiguous");
	expect_open(fixture("files/bad-overlap.pt"), ERR_UNSUPPORTED, "contiguous");
	expect_open(fixture("files/bad-float8.pt"), ERR_UNSUPPORTED, "tensor_v3");
	expect_open(fixture("files/bad-complex.pt"), ERR_UNSUPPORTED,
		"torch.ComplexFloatStorage");
	expect_open(fixture("files/bad-numpy.pt"), ERR_UNSUPPORTED, "numpy");
	expect_open(fixture("files/bad-sparse.pt"), ERR_UNSUPPORTED, "sparse");
	expect_open(fixture("files/bad-set.pt"), ERR_UNSUPPORTED, "__builtin__.set");
	expect_open(fixture("files/bad-long.pt"), ERR_UNSUPPORTED, "13 bytes");
	expect_open(fixture("files/bad-loop.pt"), ERR_LIMIT, "holds itself");
	expect_open(fixture("files/bad-twice.pt"), ERR_FORMAT, "a.b");
	expect_open(fixture("files/bad-key.pt"), ERR_UNSUPPORTED, "a tuple as a key");
	expect_open(fixture("files/bad-script.pt"), ERR_UNSUPPORTED, "TorchScript");
}

/* A .pt of this pickle, and a storage "0" of 24 bytes. */
static void
pickled_n(const void *p, size_t n, int code, const char *says)
{
	struct zip_maker z = {0};
	uint8_t storage[24];

	for (size_t i = 0; i < sizeof(storage); i++)
		storage[i] = (uint8_t)i;
	zip_put(&z, "x/data.pkl", p, n);
	zip_put(&z, "x/data/0", storage, sizeof(storage));
	zip_finish(&z, at("p.pt"));
	expect_open(at("p.pt"), code, says);
}

#define PICKLED(bytes, code, says) \
	pickled_n("\x80\2" bytes, sizeof("\x80\2" bytes) - 1, code, says)

static void
test_pickles(void **state)
{
	(void)state;
	PICKLED("N.", 0, NULL);
	PICKLED("]q\0h\0\x86.", 0, NULL);
	PICKLED("", ERR_FORMAT, "cut short");
	PICKLED(".", ERR_FORMAT, "0 values");
	PICKLED("NN.", ERR_FORMAT, "2 values");
	PICKLED("N.N", ERR_FORMAT, "1 bytes to spare");
	PICKLED("(N.", ERR_FORMAT, "damaged");
	PICKLED("\x80\2N.", ERR_UNSUPPORTED, "byte 2 of the pickle");
	PICKLED("t.", ERR_FORMAT, "mark is missing");
	PICKLED("\x86.", ERR_FORMAT, "value is missing");
	PICKLED("N(\x85.", ERR_FORMAT, "value is missing"); /* below the mark */
	PICKLED("}Na.", ERR_FORMAT, "added to a dict");
	PICKLED("]NNs.", ERR_FORMAT, "added to a list");
	PICKLED("}(Nu.", ERR_FORMAT, "added to a dict");
	PICKLED("}(Ne.", ERR_FORMAT, "added to a dict");
	PICKLED("](NNu.", ERR_FORMAT, "added to a list");
	PICKLED("](N\x90.", ERR_FORMAT, "added to a list");
	PICKLED("N(Ne.", ERR_FORMAT, "added to None");
	PICKLED("h\0.", ERR_FORMAT, "not kept");
	PICKLED("Nr\xff\xff\xff\xff.", ERR_LIMIT, "1000000 values");
	PICKLED("q\0.", ERR_FORMAT, "value is missing");
	PICKLED("X\xff\xff\xff\xff", ERR_FORMAT, "cut short");
	PICKLED("\x8d\xff\xff\xff\xff\xff\xff\xff\xff", ERR_FORMAT, "cut short");
	PICKLED("\x95\xff\xff\xff\xff\xff\xff\xff\xff", ERR_FORMAT, "frame");
	PICKLED("U\1\xff.", ERR_FORMAT, "UTF-8");
	PICKLED("U\1\0.", ERR_FORMAT, "NUL");
	PICKLED("}U\1\0Ns.", ERR_FORMAT, "NUL");
	PICKLED("C\1a.", ERR_UNSUPPORTED, "bytes");
	PICKLED("cos\nsystem\nU\4true\x85R.", ERR_UNSUPPORTED, "os.system");
	PICKLED("U\2osU\6system\x93.", ERR_UNSUPPORTED, "os.system");
	PICKLED("NU\6system\x93.", ERR_FORMAT, "no string");
	PICKLED("U\2osN\x93.", ERR_FORMAT, "no string");
	PICKLED("cos\nsystem", ERR_FORMAT, "cut short");
	PICKLED("cbuiltins\neval\n.", ERR_UNSUPPORTED, "builtins.eval");
	PICKLED("ctorch\nFloatStorage\n)R.", ERR_UNSUPPORTED, "torch.FloatStorage");
	PICKLED("ctorch\nFloatStorage\n.", ERR_UNSUPPORTED, "no tensor and no value");
	PICKLED("ctorch\nfloat32\n.", 0, NULL);
	PICKLED("ctorch\nSize\n)R.", ERR_FORMAT, "torch.Size");
	PICKLED("ctorch\nSize\n]R.", ERR_UNSUPPORTED, "calls torch.Size");
	PICKLED("N)R.", ERR_UNSUPPORTED, "calls None");
	PICKLED("ccollections\nOrderedDict\n]\x85R.", ERR_UNSUPPORTED, "arguments");
	PICKLED("]}b.", ERR_UNSUPPORTED, "attributes to a list");
	PICKLED("}]b.", ERR_UNSUPPORTED, "attributes");
	PICKLED("ctorch\nSize\n)\x81.", ERR_UNSUPPORTED, "NEWOBJ");
	PICKLED("(ios\nsystem\n.", ERR_UNSUPPORTED, "INST");
	PICKLED("\x82\1.", ERR_UNSUPPORTED, "EXT1");
	PICKLED("\xfe.", ERR_FORMAT, "0xfe");
	PICKLED("NQ.", ERR_UNSUPPORTED, "bare storage");
	pickled_n("(dp0\n.", 6, ERR_UNSUPPORTED, "protocol 2 to 5");
	pickled_n("\x80\6N.", 4, ERR_UNSUPPORTED, "protocol 6");
	pickled_n("\x80\1N.", 4, ERR_UNSUPPORTED, "protocol 1");
}

/* More of everything than can be kept. */
static void
test_limits(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	buf_put(&b, "\x80\2", 2);
	for (int i = 0; i < 1000001; i++)
		buf_u8(&b, ')');
	pickled_n(b.data, b.n_bytes, ERR_LIMIT, "1000000 values");
	memset(b.data + 2, '(', 1000001);
	pickled_n(b.data, b.n_bytes, ERR_LIMIT, "1000000 values");
	memset(b.data + 2, ']', 1000);
	memset(b.data + 1002, 'a', 999);
	b.data[2001] = '.';
	pickled_n(b.data, 2002, ERR_LIMIT, "nested deeper");
	/* each tuple holds the one before it ten times: 10^20 in all */
	buf_reset(&b);
	buf_put(&b, "\x80\2()", 4);
	for (int i = 0; i < 20; i++)
		buf_puts(&b, "q\1(h\1h\1h\1h\1h\1h\1h\1h\1h\1h\1t");
	buf_puts(&b, "t.");
	pickled_n(b.data, b.n_bytes, ERR_LIMIT, "more than 1000000 values");
	/* one value a million times and one, in one list */
	buf_reset(&b);
	buf_put(&b, "\x80\2Nq\0]", 6);
	for (int i = 0; i < 1001; i++) {
		buf_u8(&b, '(');
		for (int j = 0; j < 1000; j++)
			buf_put(&b, "h\0", 2);
		buf_u8(&b, 'e');
	}
	buf_u8(&b, '.');
	pickled_n(b.data, b.n_bytes, ERR_LIMIT, "1000000 values in one");
	/* three lists of half a million values each */
	buf_reset(&b);
	buf_put(&b, "\x80\2]", 3);
	for (int i = 0; i < 1500; i++) {
		buf_puts(&b, i % 500 == 0 ? "](" : "(");
		for (int j = 0; j < 1000; j++)
			buf_u8(&b, 'N');
		buf_puts(&b, i % 500 == 499 ? "ea" : "e");
	}
	buf_u8(&b, '.');
	pickled_n(b.data, b.n_bytes, ERR_LIMIT,
		"of the pickle: more than 1000000 values");
	/* a name past the limit */
	buf_reset(&b);
	buf_put(&b, "\x80\2}X", 4);
	buf_u32(&b, 1024);
	for (int i = 0; i < 1024; i++)
		buf_u8(&b, 'n');
	buf_put(&b, "Ns.", 3);
	pickled_n(b.data, b.n_bytes, ERR_LIMIT, "1023 bytes");
	buf_clear(&b);
}

/* A tensor of float32 over a storage that says it has n values; its hooks are a
 * plain dict. */
#define TENSOR(key, n, offset, size, stride, more) \
	"ctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\n" key \
	"U\3cpuK" n "tQ" offset "(" size "t(" stride "t\x89}" more "tR."
#define ZERO "U\1\x30" /* the key "0" */

static void
test_tensors(void **state)
{
	(void)state;
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\2K\3", "K\3K\1", ""), 0, NULL);
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\3K\2", "K\1K\3", ""), 0, NULL);
	PICKLED(TENSOR(ZERO, "\6", "K\5", "K\1K\1", "K\x63K\x63", ""), 0, NULL);
	PICKLED(TENSOR(ZERO, "\6", "K\x63", "K\0", "K\1", ""), 0, NULL);
	PICKLED(TENSOR(ZERO, "\6", "K\1", "K\2K\3", "K\3K\1", ""), ERR_FORMAT,
		"beyond its storage of 6 values");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\7", "K\1", ""), ERR_FORMAT, "beyond");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\2", "K\6", ""), ERR_FORMAT, "beyond");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\2",
			"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", ""),
		ERR_FORMAT, "beyond");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\3",
			"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", ""),
		ERR_FORMAT, "beyond"); /* overflows */
	PICKLED(TENSOR(ZERO, "\6", "J\xff\xff\xff\xff", "K\2", "K\1", ""), ERR_FORMAT,
		"no tensor as PyTorch");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "J\xff\xff\xff\xff", "K\1", ""), ERR_FORMAT,
		"non-negative");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\2", "J\xff\xff\xff\xff", ""), ERR_FORMAT,
		"non-negative");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\6", "K\0", ""), ERR_UNSUPPORTED,
		"contiguous");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\2K\2", "K\1K\1", ""), ERR_UNSUPPORTED,
		"contiguous");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\2K\3", "K\1", ""), ERR_FORMAT,
		"2 sizes and 1 strides");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\1K\1K\1K\1K\1K\1K\1K\1K\1", "K\1", ""),
		ERR_LIMIT, "9 dimensions");
	PICKLED(TENSOR(ZERO, "\6", "K\0",
			"J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f",
			"K\1K\1K\1", ""),
		ERR_FORMAT, "overflows");
	PICKLED(TENSOR(ZERO, "\5", "K\0", "K\1", "K\1", ""), ERR_FORMAT,
		"24 bytes, not 5 values");
	PICKLED(TENSOR("U\1\x31", "\6", "K\0", "K\1", "K\1", ""), ERR_FORMAT,
		"no member x/data/1");
	PICKLED(TENSOR("U\15../data/../..", "\6", "K\0", "K\1", "K\1", ""), ERR_FORMAT,
		"no member");
	PICKLED(TENSOR("K\0", "\6", "K\0", "K\1", "K\1", ""), ERR_FORMAT,
		"not as PyTorch writes");
	PICKLED(TENSOR(ZERO, "\6", "K\0", "K\1", "K\1", "}"), ERR_UNSUPPORTED,
		"metadata");
	PICKLED("ctorch._utils\n_rebuild_tensor_v2\n)R.", ERR_FORMAT,
		"no tensor as PyTorch");
	PICKLED("ctorch._utils\n_rebuild_parameter\n(N\x88}tR.", ERR_FORMAT,
		"without its tensor");
	PICKLED("ctorch._utils\n_rebuild_parameter\n)R.", ERR_FORMAT,
		"without its tensor");
	PICKLED("ctorch._utils\n_rebuild_parameter\n(ctorch\nSize\n(K\1t\x85R\x88}tR.",
		ERR_FORMAT, "without its tensor");
	PICKLED("ctorch\nSize\n]\x85R.", ERR_FORMAT, "torch.Size of no tuple");
	PICKLED("ctorch\nSize\n))\x86R.", ERR_FORMAT, "torch.Size of no tuple");
}

/* The same over another persistent id, of two values. */
#define OVER(id) "ctorch._utils\n_rebuild_tensor_v2\n(" id "K\0(K\2t(K\1t\x89}tR."
#define FLOATS "ctorch\nFloatStorage\n"
#define CPU "U\3cpu"

static void
test_storages(void **state)
{
	static const char says[] = "not as PyTorch writes",
			  rest[] = "K\6tQK\0(K\2t(K\1t\x89}tR.";
	struct buf b;

	(void)state;
	PICKLED(OVER("(U\7storage" FLOATS ZERO CPU "K\6tQ"), 0, NULL);
	PICKLED(OVER("N"), ERR_FORMAT, says);
	PICKLED(OVER("(U\7storage" FLOATS ZERO CPU "K\6t"), ERR_FORMAT, says);
	PICKLED(OVER("NQ"), ERR_FORMAT, says);
	PICKLED(OVER("](U\7storage" FLOATS ZERO CPU "K\6eQ"), ERR_FORMAT, says);
	PICKLED(OVER("(U\7storage" FLOATS ZERO CPU "tQ"), ERR_FORMAT, says);
	PICKLED(OVER("(U\7storage" FLOATS ZERO CPU "K\6NtQ"), ERR_FORMAT, says);
	PICKLED(OVER("(U\7sturage" FLOATS ZERO CPU "K\6tQ"), ERR_FORMAT, says);
	PICKLED(OVER("(N" FLOATS ZERO CPU "K\6tQ"), ERR_FORMAT, says);
	PICKLED(OVER("(U\7storageN" ZERO CPU "K\6tQ"), ERR_FORMAT, says);
	PICKLED(OVER("(U\7storagectorch\nfloat32\n" ZERO CPU "K\6tQ"), ERR_FORMAT,
		says);
	PICKLED(OVER("(U\7storagectorch\nSize\n" ZERO CPU "K\6tQ"), ERR_FORMAT, says);
	PICKLED(OVER("(U\7storage" FLOATS "N" CPU "K\6tQ"), ERR_FORMAT, says);
	PICKLED(OVER("(U\7storage" FLOATS ZERO CPU "NtQ"), ERR_FORMAT, says);
	PICKLED(OVER("(U\7storage" FLOATS ZERO CPU "J\xff\xff\xff\xfftQ"), ERR_FORMAT,
		says);
	PICKLED(OVER("(U\7storage" FLOATS ZERO CPU
		     "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7ftQ"),
		ERR_FORMAT, "24 bytes, not"); /* times 4 overflows */
	/* its key is longer than a member's name may be */
	buf_init(&b);
	buf_put(&b, "\x80\2", 2);
	buf_puts(&b, "ctorch._utils\n_rebuild_tensor_v2\n((U\7storage" FLOATS);
	buf_puts(&b, "X");
	buf_u32(&b, 600);
	for (int i = 0; i < 600; i++)
		buf_u8(&b, '0');
	buf_puts(&b, CPU);
	buf_put(&b, rest, sizeof(rest) - 1);
	pickled_n(b.data, b.n_bytes, ERR_FORMAT, says);
	buf_clear(&b);
	/* sizes and strides are tuples */
	PICKLED("ctorch._utils\n_rebuild_tensor_v2\n((U\7storage" FLOATS ZERO CPU
		"K\6tQK\0](K\2e(K\1t\x89}tR.",
		ERR_FORMAT, "no tuple");
	PICKLED("ctorch._utils\n_rebuild_tensor_v2\n((U\7storage" FLOATS ZERO CPU
		"K\6tQK\0(K\2tK\1\x89}tR.",
		ERR_FORMAT, "no tuple");
	PICKLED("ctorch._utils\n_rebuild_tensor_v2\n((U\7storage" FLOATS ZERO CPU
		"K\6tQN(K\2t(K\1t\x89}tR.",
		ERR_FORMAT, "no tensor as PyTorch");
}

/* Opens a .pt of this pickle, which is good. */
static struct tensors *
open_pickle(const struct buf *pickle)
{
	struct err e = ERR_INIT;
	struct tensors *t = NULL;

	pickled_n(pickle->data, pickle->n_bytes, 0, NULL);
	if (tensors_open(&t, at("p.pt"), &e) < 0)
		fail_msg("%s", e.text);
	return t;
}

/* Every type of storage, and every dtype as a value. */
static void
test_types(void **state)
{
	static const struct {
		const char *storage, *dtype, *value;
		uint8_t n; /* values in 24 bytes */
	} types[] = {
		{"Float", "F32", "float32", 6},
		{"Half", "F16", "float16", 12},
		{"BFloat16", "BF16", "bfloat16", 12},
		{"Double", "F64", "float64", 3},
		{"Long", "I64", "int64", 3},
		{"Int", "I32", "int32", 6},
		{"Short", "I16", "int16", 12},
		{"Char", "I8", "int8", 24},
		{"Byte", "U8", "uint8", 24},
		{"Bool", "BOOL", "bool", 24},
	};
	static const char rest[] = "tQK\0(K\2t(K\1t\x89}tR.";
	struct tensors *t;
	struct buf b;

	(void)state;
	buf_init(&b);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		buf_reset(&b);
		buf_put(&b, "\x80\2", 2);
		buf_printf(&b, "ctorch\n%s\n.", types[i].value);
		t = open_pickle(&b);
		assert_int_equal(tensors_n_meta(t), 1);
		assert_string_equal(tensors_meta_at(t, 0)->str, types[i].value);
		tensors_close(t);
		buf_reset(&b);
		buf_put(&b, "\x80\2", 2);
		buf_puts(&b, "ctorch._utils\n_rebuild_tensor_v2\n((U\7storage");
		buf_printf(&b, "ctorch\n%sStorage\n" ZERO CPU "K%c", types[i].storage,
			types[i].n);
		buf_put(&b, rest, sizeof(rest) - 1);
		t = open_pickle(&b);
		assert_int_equal(tensors_n(t), 1);
		assert_string_equal(tensors_at(t, 0)->dtype_name, types[i].dtype);
		assert_int_equal(tensors_at(t, 0)->n_bytes, 2 * 24 / types[i].n);
		tensors_close(t);
	}
	buf_clear(&b);
}

/* What stands beside the pickle. */
static void
test_members(void **state)
{
	static const uint8_t big[70000];
	struct zip_maker z = {0};

	(void)state;
	zip_put(&z, "x/data.pkl", "\x80\2N.", 4);
	zip_put(&z, "x/byteorder", "little", 6);
	zip_put(&z, "x/.format_version", "1", 1);
	zip_put(&z, "x/.data/serialization_id", "1", 1);
	zip_finish(&z, at("p.pt"));
	expect_open(at("p.pt"), 0, NULL);
	zip_put(&z, "x/data.pkl", "\x80\2N.", 4);
	zip_put(&z, "x/byteorder", "big", 3);
	zip_finish(&z, at("p.pt"));
	expect_open(at("p.pt"), ERR_UNSUPPORTED, "\"big\"");
	zip_put(&z, "x/data.pkl", "\x80\2N.", 4);
	zip_put(&z, "y/data.pkl", "\x80\2N.", 4);
	zip_finish(&z, at("p.pt"));
	expect_open(at("p.pt"), ERR_FORMAT, "which one is meant");
	zip_put(&z, "data.pkl", "\x80\2N.", 4);
	zip_finish(&z, at("p.pt"));
	expect_open(at("p.pt"), ERR_UNSUPPORTED, "member data.pkl");
	/* a pickle of more than 64 MiB, before a byte of it is inflated */
	zip_put_as(&z, "x/data.pkl", big, sizeof(big),
		(struct zip_says){.method = 8, .n_bytes = (64u << 20) + 1});
	zip_finish(&z, at("p.pt"));
	expect_open(at("p.pt"), ERR_LIMIT, "more than 67108864 bytes");
}

static void
test_broken(void **state)
{
	(void)state;
	expect_truncated("all.pt");
	expect_truncated("all-deflated.pt");
	expect_truncated("protocol4.pt");
	expect_truncated("tensor.pt");
	expect_sweep("all.pt");
	expect_sweep("all-deflated.pt");
	expect_sweep("protocol4.pt");
	expect_robust("protocol2.pt");
	expect_robust("protocol5.pt");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torch),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_pickles),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_tensors),
		cmocka_unit_test(test_storages),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
