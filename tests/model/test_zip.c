/* SPDX-License-Identifier: ISC */
/* .npy and .npz as numpy writes them, and zip files as nobody should. */
#include "tests/model/zip_maker.h"

#include "util/hash.h"

/* A .npy of one byte, the value 5. */
static const char npy[] = "\x93NUMPY\1\0\x40\0"
			  "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }"
			  "      \n"
			  "\5";
#define NPY_BYTES (sizeof(npy) - 1)

static void
test_numpy(void **state)
{
	(void)state;
	expect_fixture("stored.npz", "stored");
	expect_fixture("deflated.npz", "deflated");
	expect_fixture("pipe.npz", "pipe");
	expect_fixture("pipe-deflated.npz", "pipe-deflated");
	expect_fixture("zip64.npz", "zip64");
	expect_fixture("v1.npy", "v1");
	expect_fixture("v2.npy", "v2");
	expect_fixture("v3.npy", "v3");
	expect_fixture("order.npy", "order");
}

/* Stored members lie in the map; the hash is of the file. */
static void
test_borrowed(void **state)
{
	struct err e = ERR_INIT;
	struct tensors *t;
	uint8_t a[32], b[32];

	(void)state;
	assert_int_equal(tensors_open(&t, fixture("files/stored.npz"), &e), 0);
	assert_int_equal(tensors_n_meta(t), 0);
	assert_null(tensors_meta(t, "k"));
	assert_null(tensors_meta_at(t, 0));
	assert_int_equal(tensors_sha256(t, a, &e), 0);
	assert_int_equal(sha256_file(tensors_path(t), b, &e), 0);
	assert_memory_equal(a, b, 32);
	tensors_close(t);
}

static void
test_bad_numpy(void **state)
{
	(void)state;
	expect_open(fixture("files/bad-big.npy"), ERR_UNSUPPORTED, "big-endian");
	expect_open(fixture("files/bad-object.npy"), ERR_UNSUPPORTED, "objects");
	expect_open(fixture("files/bad-records.npy"), ERR_UNSUPPORTED, "records");
	expect_open(fixture("files/bad-complex.npy"), ERR_UNSUPPORTED, "\"<c8\"");
	expect_open(fixture("files/bad-text.npy"), ERR_UNSUPPORTED, "\"<U2\"");
}

/* A .npy with this literal and n bytes of values. */
static void
literal(const char *text, size_t n, int code, const char *says)
{
	struct buf b;

	buf_init(&b);
	buf_put(&b, "\x93NUMPY\1\0", 8);
	buf_u16(&b, (uint16_t)strlen(text));
	buf_puts(&b, text);
	for (size_t i = 0; i < n; i++)
		buf_u8(&b, 1);
	put_file(at("a.npy"), b.data, b.n_bytes);
	buf_clear(&b);
	expect_open(at("a.npy"), code, says);
}

#define L(descr, order, shape) \
	"{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }"

static void
test_literals(void **state)
{
	(void)state;
	literal(L("<f4", "False", "(2,)"), 8, 0, NULL);
	literal("{\"shape\":(2 , ),\"fortran_order\":True,\"descr\":\"<f4\"}  \n", 8, 0,
		NULL);
	literal(L("<f4", "False", "(2L,)"), 8, 0, NULL);
	literal(L("<f4", "False", "()"), 4, 0, NULL);
	literal(L("<f4", "False", "(0,5)"), 0, 0, NULL);
	literal(L("<f4", "False", "(2,)"), 9, ERR_FORMAT, "do not fill 9 bytes");
	literal(L("<f4", "False", "(2,)"), 7, ERR_FORMAT, "do not fill 7 bytes");
	literal(L("<f4", "False", "(2"), 8, ERR_FORMAT, "shape");
	literal(L("<f4", "False", "(-2,)"), 8, ERR_FORMAT, "shape");
	literal(L("<f4", "False", "[2]"), 8, ERR_FORMAT, "shape");
	literal(L("<f4", "False", "(1,1,1,1,1,1,1,1,1)"), 4, ERR_LIMIT, "8 dimensions");
	literal(L("<f4", "False", "(4294967296,4294967296)"), 0, ERR_FORMAT,
		"overflows");
	literal(L("<f4", "False", "(4611686018427387904,)"), 0, ERR_FORMAT,
		"overflows");
	literal(L("<f4", "False", "(99999999999999999999,)"), 0, ERR_FORMAT, "shape");
	literal(L("<f4", "1", "(2,)"), 8, ERR_FORMAT, "fortran_order");
	literal(L("<f4", "False", "(2,)") "x", 8, ERR_FORMAT, "behind");
	literal(L("<V2", "False", "(2,)"), 4, ERR_UNSUPPORTED, "bfloat16");
	literal(L("", "False", "(2,)"), 4, ERR_UNSUPPORTED, "\"\"");
	literal(L("<f4<f4<f4<f4<f4<f4", "False", "(2,)"), 4, ERR_FORMAT, "descr");
	literal("{'descr': '<f4', 'shape': (2,)}", 8, ERR_FORMAT, "lacks");
	literal("{'shape': (2,), 'shape': (2,)}", 8, ERR_FORMAT, "repeats");
	literal("{'shapes': (2,)}", 8, ERR_FORMAT, "unknown");
	literal("{'descr' '<f4'}", 8, ERR_FORMAT, "dict");
	literal("{'descr': '<f4'", 8, ERR_FORMAT, "dict");
	literal("('descr')", 8, ERR_FORMAT, "no dict");
	literal("", 8, ERR_FORMAT, "no dict");
	put_file(at("v"), "\x93NUMPY\4\0\1\0\0\0 ", 13);
	expect_open(at("v"), ERR_UNSUPPORTED, "version 4");
	put_file(at("v"), "\x93NUMPY\2\0\xff\xff\xff\xff ", 13);
	expect_open(at("v"), ERR_LIMIT, "4294967295");
}

/* ---- hostile zip files -------------------------------------------------- */

static void
one(const char *name, struct zip_says says, int code, const char *text)
{
	struct zip_maker z = {0};

	zip_put(&z, "a.npy", npy, NPY_BYTES);
	zip_put_as(&z, name, npy, NPY_BYTES, says);
	zip_finish(&z, at("z"));
	expect_open(at("z"), code, text);
}

static void
test_members(void **state)
{
	static const char *const bad[] = {"/a.npy", "../a.npy", "x/../a.npy", "..",
		"x//a.npy", "x\\a.npy", "./a.npy", "x\na.npy", "x\x7f.npy", "\xff.npy",
		""};
	char name[1026] = "";

	(void)state;
	one("b.npy", (struct zip_says){0}, 0, NULL);
	one("x/b.npy", (struct zip_says){0}, 0, NULL);
	one("..b.npy", (struct zip_says){0}, 0, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		one(bad[i], (struct zip_says){0}, ERR_FORMAT, "plain path");
	memset(name, 'n', sizeof(name) - 1);
	one(name, (struct zip_says){0}, ERR_FORMAT, "plain path");
	name[1024] = '\0';
	one(name, (struct zip_says){0}, ERR_UNSUPPORTED, "member nnn");
	one("a.npy", (struct zip_says){0}, ERR_FORMAT, "two members are called a.npy");
	one("readme", (struct zip_says){0}, ERR_UNSUPPORTED, "member readme");
	one("b.npy", (struct zip_says){.flags = 1}, ERR_UNSUPPORTED, "encrypted");
	one("b.npy", (struct zip_says){.method = 12}, ERR_UNSUPPORTED, "method 12");
	one("b.npy", (struct zip_says){.crc = 1}, ERR_FORMAT, "checksum");
	one("b.npy", (struct zip_says){.own_name = "c.npy"}, ERR_FORMAT, "contradicts");
	one("b.npy", (struct zip_says){.own_name = "b.npyy"}, ERR_FORMAT,
		"contradicts");
	one("b.npy", (struct zip_says){.n_bytes = 74}, ERR_FORMAT, "two sizes differ");
	one("b.npy", (struct zip_says){.n_bytes = 500, .n_packed = 500}, ERR_FORMAT,
		"beyond the data");
	one("b.npy", (struct zip_says){.method = 8}, ERR_FORMAT, "deflated bytes");
	one("b.npy", (struct zip_says){.method = 8, .n_bytes = 0xfffffff0}, ERR_FORMAT,
		"more than its deflated bytes can give");
}

/* Puts v at byte at of what follows the n-th signature sig in the file z. */
static void
patch(struct buf *b, uint32_t sig, int n, size_t at_byte, uint32_t v, size_t n_bytes)
{
	for (size_t i = 0; i + 4 <= b->n_bytes; i++) {
		if (memcmp(b->data + i, &sig, 4) != 0 || n-- > 0)
			continue;
		memcpy(b->data + i + at_byte, &v, n_bytes);
		return;
	}
	fail_msg("no signature %x", sig);
}

/* The same with a field of one header changed. */
static void
field_as(const char *from, uint32_t sig, int n, size_t at_byte, uint32_t v,
	size_t n_bytes, int code, const char *says)
{
	struct buf b = read_fixture(from);

	patch(&b, sig, n, at_byte, v, n_bytes);
	put_file(at("z"), b.data, b.n_bytes);
	buf_clear(&b);
	expect_open(at("z"), code, says);
}

static void
field(const char *from, uint32_t sig, int n, size_t at_byte, uint32_t v, size_t n_bytes,
	const char *says)
{
	field_as(from, sig, n, at_byte, v, n_bytes, ERR_FORMAT, says);
}

#define LOCAL 0x04034b50
#define CENTRAL 0x02014b50
#define END 0x06054b50
#define END64 0x06064b50
#define LOCATOR 0x07064b50

static void
test_headers(void **state)
{
	const char *f = "files/deflated.npz", *g = "files/zip64.npz";

	(void)state;
	field(f, LOCAL, 1, 18, 7, 4, "contradicts"); /* packed size */
	field(f, LOCAL, 1, 8, 0, 2, "contradicts"); /* method */
	field(f, LOCAL, 1, 14, 7, 4, "contradicts"); /* crc */
	field(f, LOCAL, 1, 6, 1, 2, "contradicts"); /* encrypted */
	field(f, LOCAL, 1, 0, 0, 4, "no header");
	field(f, CENTRAL, 0, 42, 0x7fffffff, 4, "beyond the data");
	field(f, CENTRAL, 1, 42, 0, 4, "contradicts"); /* the first one's place */
	field(f, CENTRAL, 1, 0, 0, 4, "directory");
	field(f, CENTRAL, 1, 28, 0xffff, 2, "directory"); /* name length */
	field(f, CENTRAL, 1, 34, 1, 2, "directory"); /* disk */
	field(f, END, 0, 8, 0x00010001, 4, "directory"); /* one member of many */
	field(f, END, 0, 8, 0x00ff00ff, 4, "directory");
	field(f, END, 0, 12, 1, 4, "directory");
	field(f, END, 0, 16, 0, 4, "directory");
	field(f, END, 0, 20, 1, 2, "without the directory"); /* comment */
	field(g, END, 0, 12, 1, 4, "directory"); /* contradicts zip64's */
	field(g, END64, 0, 4, 1, 4, "directory"); /* its own length */
	field(g, END64, 0, 0, 0, 4, "directory");
	field(g, END64, 0, 32, 1u << 30, 4, "directory"); /* members */
	field(g, LOCATOR, 0, 8, 0xffffffff, 4, "directory");
	field(g, CENTRAL, 0, 48 + 8, 200, 2, "directory"); /* extra length */
	field_as(f, END, 0, 4, 1, 2, ERR_UNSUPPORTED, "split over several"); /* disk */
	field_as(f, END, 0, 8, 0x00020001, 4, ERR_UNSUPPORTED, "split over several");
	field(g, LOCATOR, 0, 4, 1, 4, "directory"); /* disk */
	field(g, END64, 0, 16, 1, 4, "directory");
	field(g, END64, 0, 20, 1, 4, "directory");
	field(g, END64, 0, 24, 7, 4, "directory"); /* members here, of all */
	field(g, END, 0, 8, 0x00070007, 4, "directory"); /* contradicts zip64's */
	field(g, END, 0, 16, 1, 4, "directory");
}

/* More members than are read, and more than the directory has room for. */
static void
test_many(void **state)
{
	struct buf b = read_fixture("files/zip64.npz");

	(void)state;
	patch(&b, END64, 0, 24, 1000001, 4);
	patch(&b, END64, 0, 32, 1000001, 4);
	patch(&b, END, 0, 8, 0xffffffff, 4);
	put_file(at("z"), b.data, b.n_bytes);
	expect_open(at("z"), ERR_LIMIT, "1000001 members, at most 1000000");
	patch(&b, END64, 0, 24, 1000000, 4);
	patch(&b, END64, 0, 32, 1000000, 4);
	put_file(at("z"), b.data, b.n_bytes);
	expect_open(at("z"), ERR_FORMAT, "directory");
	buf_clear(&b);
}

/* Two entries of the directory share bytes: the classic bomb. */
static void
test_overlap(void **state)
{
	struct zip_maker z = {0};
	struct buf inner;
	struct zip_maker in = {0};

	(void)state;
	/* b.npy lies whole in a.npy's bytes, and the directory names both */
	zip_put(&in, "b.npy", npy, NPY_BYTES);
	inner = in.file;
	zip_put(&z, "a.npy", inner.data, inner.n_bytes);
	memset(in.central.data + 42, 0, 4);
	in.central.data[42] = 30 + 5;
	buf_put(&z.central, in.central.data, in.central.n_bytes);
	z.n_members++;
	zip_finish(&z, at("z"));
	expect_open(at("z"), ERR_FORMAT, "overlap");
	buf_clear(&in.file);
	buf_clear(&in.central);
}

/* Deflated bytes that give more, or less, than the headers say; more than the
 * limit in all. */
static void
test_bomb(void **state)
{
	static const struct {
		uint8_t bytes[8];
		size_t n;
		uint32_t n_bytes;
		const char *says;
	} cases[] = {
		/* a stored block of two bytes */
		{{1, 2, 0, 0xfd, 0xff, 'a', 'b'}, 7, 1, "more than was said"},
		{{1, 2, 0, 0xfd, 0xff, 'a', 'b'}, 7, 3, "1 bytes early"},
		{{1, 2, 0, 0xfd, 0xff, 'a', 'b', 0}, 8, 2, "1 bytes early"},
		{{1, 2, 0, 0xfd, 0xff, 'a'}, 6, 2, "cut short"},
		{{7, 0, 0}, 3, 2, "corrupt"},
		{{1, 2, 0, 0xfd, 0xff, 'a', 'b'}, 7, 2, "no .npy array"},
	};
	struct zip_maker z = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		zip_put_as(&z, "a.npy", cases[i].bytes, cases[i].n,
			(struct zip_says){.method = 8,
				.n_bytes = cases[i].n_bytes,
				.crc = stream_gz_crc32("ab", 2)});
		zip_finish(&z, at("z"));
		expect_open(at("z"), ERR_FORMAT, cases[i].says);
	}
	/* five members of 4 GiB, which deflate could have made so small: refused
	 * before a byte is inflated */
	for (uint32_t i = 0; i < 5; i++) {
		char name[] = "0.npy";
		uint32_t n_packed = 5u << 20;

		name[0] = (char)('0' + i);
		zip_put_as(&z, name, "", 0,
			(struct zip_says){.method = 8,
				.n_bytes = 0xfffffff0u,
				.n_packed = n_packed,
				.crc = 1});
		memset(buf_extend(&z.file, n_packed), 0, n_packed);
	}
	zip_finish(&z, at("z"));
	expect_open(at("z"), ERR_LIMIT, "more than 16 GiB");
}

static void
test_broken(void **state)
{
	static const char *const files[] = {"stored.npz", "deflated.npz", "pipe.npz",
		"pipe-deflated.npz", "zip64.npz", "v1.npy", "order.npy"};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		expect_truncated(files[i]);
		expect_sweep(files[i]);
	}
	expect_robust("zip64.npz");
	expect_robust("pipe-deflated.npz");
	expect_robust("order.npy");
}

/* ---- what is no file of tensors ----------------------------------------- */

static void
seen(const char *bytes, size_t n, int code, const char *says)
{
	put_file(at("x"), bytes, n);
	expect_open(at("x"), code, says);
}

#define SEEN(bytes, code, says) seen(bytes, sizeof(bytes) - 1, code, says)

static void
test_refused(void **state)
{
	char tar[512] = "data";

	(void)state;
	SEEN("", ERR_FORMAT, "empty");
	SEEN("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ERR_FORMAT,
		"git lfs pull");
	SEEN("<!DOCTYPE html><html></html>", ERR_FORMAT, "HTML");
	SEEN("\n\n  <HTML><head>", ERR_FORMAT, "HTML");
	SEEN("<?xml version=\"1.0\"?><Error>", ERR_FORMAT, "XML");
	SEEN("\x1f\x8b\x08\0\0\0\0\0\0\3", ERR_UNSUPPORTED, "gunzip");
	SEEN("\x28\xb5\x2f\xfd\0\0\0\0\0\0", ERR_UNSUPPORTED, "unzstd");
	SEEN("GGUF\3\0\0\0\0\0\0\0", ERR_UNSUPPORTED, "GGUF");
	SEEN("\x89HDF\r\n\x1a\n", ERR_UNSUPPORTED, "HDF5");
	SEEN("\x80\2}q\0.", ERR_UNSUPPORTED, "bare pickle");
	SEEN("Entry not found, says this server", ERR_FORMAT, "Entry not found,");
	SEEN("\1\2\3\4\5\6\7\1\2\3\4\5\6\7\1\2\3\4", ERR_FORMAT,
		"it is truncated or no safetensors file");
	SEEN("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 0, NULL);
	SEEN("PK\5\6\0\0\0\0\1\0\1\0\0\0\0\0\0\0\0\0\0\0", ERR_FORMAT, "directory");
	expect_open(fixture("files/bad-legacy.pt"), ERR_UNSUPPORTED,
		"load and save it again with a current PyTorch");
	memcpy(tar + 257, "ustar", 5);
	put_file(at("x"), tar, sizeof(tar));
	expect_open(at("x"), ERR_UNSUPPORTED, "tar file");
	/* a safetensors header of 35,615 bytes begins as gzip does */
	memset(tar, 0, 16);
	memcpy(tar, "\x1f\x8b\0\0\0\0\0\0{", 9);
	put_file(at("x"), tar, sizeof(tar));
	expect_open(at("x"), ERR_FORMAT, "a header of 35615 bytes");
	expect_open(at("missing"), ERR_NOTFOUND, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numpy),
		cmocka_unit_test(test_borrowed),
		cmocka_unit_test(test_bad_numpy),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
