/* SPDX-License-Identifier: ISC */
#include "tests/model/fixture.h"
#include "util/hash.h"

/* Writes header and data bytes (0, 1, 2, ...) as a safetensors file. */
static void
put_tensors(const char *name, const char *header, size_t n_data)
{
	struct buf b;

	buf_init(&b);
	buf_u64(&b, strlen(header));
	buf_puts(&b, header);
	for (size_t i = 0; i < n_data; i++)
		buf_u8(&b, (uint8_t)i);
	put_file(at(name), b.data, b.n_bytes);
	buf_clear(&b);
}

static void
expect(const char *header, size_t n_data, int code, const char *says)
{
	struct err e = ERR_INIT;
	struct tensors *t = NULL;
	int rc;

	put_tensors("t.safetensors", header, n_data);
	rc = tensors_open(&t, at("t.safetensors"), &e);
	if (rc == 0)
		tensors_close(t);
	if (rc != code || (says && !strstr(e.text, says)))
		fail_msg("%s: %d \"%s\", not %d \"%s\"", header, rc, e.text, code,
			says ? says : "");
	if (rc < 0)
		assert_non_null(strstr(e.text, "t.safetensors"));
}

#define T(name, dtype, shape, from, to) \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape \
	",\"data_offsets\":[" from "," to "]}"

static void
test_good(void **state)
{
	(void)state;
	expect("{}", 0, 0, NULL);
	expect("{" T("a", "F32", "[2,3]", "0", "24") "}", 24, 0, NULL);
	expect("{" T("a", "F32", "[]", "0", "4") "}   ", 4, 0, NULL);
	expect("{" T("b", "U8", "[3]", "2", "5") "," T("a", "F16", "[1]", "0", "2") "}",
		5, 0, NULL);
	expect("{" T("a", "F32", "[0,7]", "0", "0") "," T("b", "U8", "[1]", "0",
		       "1") "}",
		1, 0, NULL);
	expect("{\"__metadata__\":{\"format\":\"pt\"}," T("a", "U8", "[1]", "0",
		       "1") "}",
		1, 0, NULL);
	expect("{" T("a", "F4", "[2]", "0", "1") "}", 1, 0, NULL);
}

static void
test_bad_header(void **state)
{
	(void)state;
	expect("", 0, ERR_FORMAT, "'{'");
	expect(" {}", 0, ERR_FORMAT, "'{'");
	expect("[]", 0, ERR_FORMAT, "'{'");
	expect("\"a\"", 0, ERR_FORMAT, "'{'");
	expect("{}\n{}", 0, ERR_FORMAT, "JSON");
	expect("{\"a\":NaN}", 0, ERR_FORMAT, "JSON");
	expect("{", 0, ERR_FORMAT, "JSON");
	expect("{}x", 0, ERR_FORMAT, "JSON");
	expect("{\"a\xff\":1}", 0, ERR_FORMAT, "JSON");
	expect("{\"a\":1}", 0, ERR_FORMAT, "object");
	expect("{" T("a", "U8", "[1]", "0", "1") "," T("a", "U8", "[1]", "0", "1") "}",
		1, ERR_FORMAT, "duplicate");
	expect("{\"__metadata__\":{\"n\":1}}", 0, ERR_FORMAT, "__metadata__");
	expect("{\"__metadata__\":[]}", 0, ERR_FORMAT, "__metadata__");
	expect("{\"__metadata__\":null}", 0, ERR_FORMAT, "__metadata__");
	expect("{\"__metadata__\":{\"n\":\"1\",\"n\":\"2\"}}", 0, ERR_FORMAT,
		"duplicate");
	expect("{\"a\":[[[[[[[[]]]]]]]]}", 0, ERR_LIMIT, "deep");
}

static void
test_bad_entry(void **state)
{
	(void)state;
	expect("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, ERR_FORMAT,
		"dtype");
	expect("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, ERR_FORMAT,
		"shape");
	expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, ERR_FORMAT,
		"data_offsets");
	expect("{" T("a", "F33", "[1]", "0", "4") "}", 4, ERR_FORMAT, "F33");
	expect("{" T("a", "f32", "[1]", "0", "4") "}", 4, ERR_FORMAT, "f32");
	expect("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
		ERR_FORMAT, "dtype");
	expect("{" T("a", "U8", "1", "0", "1") "}", 1, ERR_FORMAT, "shape");
	expect("{" T("a", "U8", "[true]", "0", "1") "}", 1, ERR_FORMAT, "dimension 0");
	expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 2,
		ERR_FORMAT, "data_offsets");
	expect("{" T("a", "U8", "[1]", "0", "1.0") "}", 1, ERR_FORMAT, "data_offsets");
	expect("{" T("a", "U8", "[0]", "3", "3") "}", 2, ERR_FORMAT, "bytes 3 to 3");
	expect("{" T("a", "U8", "[-1]", "0", "1") "}", 1, ERR_FORMAT, "dimension 0");
	expect("{" T("a", "U8", "[1.0]", "0", "1") "}", 1, ERR_FORMAT, "dimension 0");
	expect("{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", 1, ERR_LIMIT,
		"9 dimensions");
	expect("{" T("a", "U8", "[4294967296,4294967296]", "0", "0") "}", 0, ERR_FORMAT,
		"overflows");
	expect("{" T("a", "F64", "[1152921504606846976,4]", "0", "0") "}", 0,
		ERR_FORMAT, "do not fill"); /* 2^62 values of 64 bits overflow */
	expect("{" T("a", "U8", "[99999999999999999999]", "0", "1") "}", 1, ERR_FORMAT,
		NULL);
	expect("{" T("a", "F32", "[2]", "0", "7") "}", 7, ERR_FORMAT, "do not fill");
	expect("{" T("a", "F32", "[2]", "0", "4") "}", 4, ERR_FORMAT, "do not fill");
	expect("{" T("a", "F4", "[1]", "0", "1") "}", 1, ERR_FORMAT, "do not fill");
	expect("{" T("a", "F4", "[3]", "0", "1") "}", 1, ERR_FORMAT, "do not fill");
	expect("{" T("a", "F6_E2M3", "[5]", "0", "3") "}", 3, ERR_FORMAT,
		"do not fill"); /* 30 bits */
	expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":{}}}", 1,
		ERR_FORMAT, "data_offsets");
	expect("{" T("a", "U8", "[1]", "1", "0") "}", 1, ERR_FORMAT, "bytes 1 to 0");
	expect("{" T("a", "U8", "[1]", "-1", "0") "}", 1, ERR_FORMAT, "data_offsets");
	expect("{" T("a", "U8", "[1]", "0", "18446744073709551615") "}", 1, ERR_FORMAT,
		NULL);
	expect("{" T("a", "U8", "[9]", "0", "9") "}", 8, ERR_FORMAT, "truncated");
}

/* Every dtype of the format has its size; what is not read is refused by name, and
 * not before its values are asked for. */
static void
test_dtypes(void **state)
{
	static const struct {
		const char *name;
		unsigned n_bits;
		bool is_read;
	} dtypes[] = {
		{"BOOL", 8, true},
		{"U8", 8, true},
		{"I8", 8, true},
		{"I16", 16, true},
		{"F16", 16, true},
		{"BF16", 16, true},
		{"I32", 32, true},
		{"F32", 32, true},
		{"I64", 64, true},
		{"F64", 64, true},
		{"U16", 16, false},
		{"U32", 32, false},
		{"U64", 64, false},
		{"C64", 64, false},
		{"F8_E5M2", 8, false},
		{"F8_E4M3", 8, false},
		{"F8_E8M0", 8, false},
		{"F8_E4M3FNUZ", 8, false},
		{"F8_E5M2FNUZ", 8, false},
		{"F4", 4, false},
		{"F6_E2M3", 6, false},
		{"F6_E3M2", 6, false},
	};
	char header[200];
	float out[8];

	(void)state;
	for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
		struct err e = ERR_INIT;
		struct tensors *t = NULL;
		unsigned n = dtypes[i].n_bits; /* bytes of 8 values */
		int rc;

		snprintf(header, sizeof(header), "{" T("a", "%s", "[8]", "0", "%u") "}",
			dtypes[i].name, n + 1);
		expect(header, n + 1, ERR_FORMAT, "do not fill");
		snprintf(header, sizeof(header), "{" T("a", "%s", "[8]", "0", "%u") "}",
			dtypes[i].name, n);
		expect(header, n, 0, NULL);
		assert_int_equal(tensors_open(&t, at("t.safetensors"), &e), 0);
		rc = tensor_floats(tensors_at(t, 0), out, true, &e);
		if (rc != (dtypes[i].is_read ? 0 : ERR_UNSUPPORTED) ||
			(rc < 0 && !strstr(e.text, dtypes[i].name)))
			fail_msg("%s: %d %s", dtypes[i].name, rc, e.text);
		tensors_close(t);
	}
}

/* Writers align tensors, readers must not count on it. */
static void
test_unaligned(void **state)
{
	static const struct {
		const char *dtype, *to;
		size_t n;
	} odd[] = {{"F64", "9", 8}, {"F32", "5", 4}, {"I64", "9", 8}, {"BF16", "3", 2},
		{"F16", "3", 2}};
	struct err e = ERR_INIT;
	char header[200];

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct tensors *t = NULL;
		const struct tensor *a;
		struct tensor copy;
		uint64_t aligned = 0;
		float got, want;

		snprintf(header, sizeof(header),
			"{" T("a", "U8", "[1]", "0", "1") "," T("b", "%s", "[1]", "1",
				"%s") "}",
			odd[i].dtype, odd[i].to);
		put_tensors("t.safetensors", header, odd[i].n + 1);
		assert_int_equal(tensors_open(&t, at("t.safetensors"), &e), 0);
		a = tensors_find(t, "b");
		memcpy(&aligned, a->data, odd[i].n);
		copy = *a;
		copy.data = (const uint8_t *)&aligned;
		assert_int_equal(tensor_floats(a, &got, true, &e), 0);
		assert_int_equal(tensor_floats(&copy, &want, true, &e), 0);
		assert_memory_equal(&got, &want, sizeof(got));
		tensors_close(t);
	}
}

static void
test_bad_layout(void **state)
{
	(void)state;
	expect("{" T("a", "U8", "[2]", "1", "3") "}", 3, ERR_FORMAT, "hole of 1 bytes");
	expect("{" T("a", "U8", "[1]", "0", "1") "," T("b", "U8", "[1]", "2", "3") "}",
		3, ERR_FORMAT, "hole");
	expect("{" T("a", "U8", "[2]", "0", "2") "," T("b", "U8", "[2]", "1", "3") "}",
		3, ERR_FORMAT, "overlap");
	expect("{" T("a", "U8", "[2]", "0", "2") "," T("b", "U8", "[2]", "0", "2") "}",
		2, ERR_FORMAT, "overlap");
	expect("{" T("a", "U8", "[1]", "0", "1") "}", 2, ERR_FORMAT,
		"belong to no tensor");
	expect("{}", 1, ERR_FORMAT, "belong to no tensor");
}

/* Every prefix of a good file is refused, and so is a length that lies. */
static void
test_truncated(void **state)
{
	struct err e = ERR_INIT;
	struct tensors *t;
	struct buf b;

	(void)state;
	assert_int_equal(file_read(fixture("sae-topk/sae_weights.safetensors"), 1 << 20,
				 &b, &e),
		0);
	for (size_t n = 0; n < b.n_bytes; n += n < 700 ? 1 : 97) {
		put_file(at("t"), b.data, n);
		assert_int_equal(tensors_open(&t, at("t"), &e), ERR_FORMAT);
	}
	memset(b.data, 0xff, 8);
	put_file(at("t"), b.data, b.n_bytes);
	assert_int_equal(tensors_open(&t, at("t"), &e), ERR_FORMAT);
	assert_non_null(strstr(e.text, "18446744073709551615"));
	buf_clear(&b);
	assert_int_equal(tensors_open(&t, at("none"), &e), ERR_NOTFOUND);
}

/* A header of more bytes than the format allows, a name too long, and trailing
 * spaces, which are allowed. */
static void
test_limits(void **state)
{
	struct err e = ERR_INIT;
	struct tensors *t = NULL;
	size_t n = ((size_t)64 << 20) + 1;
	uint8_t *big = mem_new(n + 8, 1);
	char name[2000];

	(void)state;
	memset(big, ' ', n + 8);
	memcpy(big, "\1\0\0\4\0\0\0\0{}", 10);
	put_file(at("big"), big, n + 8);
	assert_int_equal(tensors_open(&t, at("big"), &e), ERR_LIMIT);
	assert_non_null(strstr(e.text, "67108865 bytes"));
	mem_free(big);
	snprintf(name, sizeof(name),
		"{\"%01500d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
		0);
	expect(name, 1, ERR_LIMIT, "1500 bytes");
	expect("{}      ", 0, 0, NULL);
}

static void
test_values(void **state)
{
	static const struct {
		const char *dtype;
		size_t n_bytes;
		uint8_t bytes[8];
		float value;
	} cases[] = {
		{"F32", 4, {0, 0, 0xc0, 0x3f}, 1.5f},
		{"F16", 2, {0, 0x3c}, 1},
		{"F16", 2, {1, 0}, 0x1p-24f},
		{"F16", 2, {0xff, 0x83}, -0x3ffp-24f},
		{"F16", 2, {0xff, 0x7b}, 65504},
		{"F16", 2, {0, 0x04}, 0x1p-14f},
		{"F16", 2, {0, 0xfc}, -INFINITY},
		{"BF16", 2, {0xc0, 0xbf}, -1.5f},
		{"F64", 8, {0, 0, 0, 0, 0, 0, 0xf8, 0x3f}, 1.5f},
		{"I64", 8, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -2},
		{"I32", 4, {0xfd, 0xff, 0xff, 0xff}, -3},
		{"U8", 1, {200}, 200},
		{"I16", 2, {0xfe, 0xff}, -2},
		{"I8", 1, {0x80}, -128},
		{"BOOL", 1, {1}, 1},
		{"BOOL", 1, {0}, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tensor t = {.name = "a",
			.path = "p",
			.n_values = 1,
			.rank = 1,
			.shape = {1},
			.data = cases[i].bytes,
			.n_bytes = cases[i].n_bytes};
		struct err e = ERR_INIT;
		float f;

		for (enum dtype d = DTYPE_F32; d <= DTYPE_BOOL; d++) {
			static const char *const names[] = {"F32", "F16", "BF16", "F64",
				"I64", "I32", "U8", "I16", "I8", "BOOL"};
			if (strcmp(names[d], cases[i].dtype) == 0)
				t.dtype = d;
		}
		assert_int_equal(tensor_floats(&t, &f, true, &e), 0);
		if (memcmp(&f, &cases[i].value, sizeof(f)) != 0)
			fail_msg("case %zu: %a, not %a", i, (double)f,
				(double)cases[i].value);
		assert_int_equal(tensor_floats(&t, &f, false, &e),
			isinf(f) ? ERR_FORMAT : 0);
	}
}

static void
test_nan(void **state)
{
	const float data[] = {1, 2, NAN, 4};
	struct tensor t = {.name = "W_enc",
		.path = "file",
		.n_values = 4,
		.rank = 1,
		.shape = {4},
		.data = (const uint8_t *)data,
		.n_bytes = sizeof(data)};
	struct err e = ERR_INIT;
	float out[4];

	(void)state;
	assert_int_equal(tensor_floats(&t, out, false, &e), ERR_FORMAT);
	assert_non_null(strstr(e.text, "W_enc"));
	assert_non_null(strstr(e.text, "file"));
	assert_non_null(strstr(e.text, "index 2"));
	assert_int_equal(tensor_floats(&t, out, true, &e), 0);
	t.dtype = DTYPE_OTHER;
	memcpy(t.dtype_name, "F4", 3);
	assert_int_equal(tensor_floats(&t, out, true, &e), ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "F4"));
}

static void
test_find(void **state)
{
	struct err e = ERR_INIT;
	struct tensors *t;
	uint8_t a[32], b[32];

	(void)state;
	assert_int_equal(tensors_open(&t, fixture("sae-gated/sae_weights.safetensors"),
				 &e),
		0);
	assert_int_equal(tensors_n(t), 6);
	for (size_t i = 1; i < tensors_n(t); i++)
		assert_true(
			strcmp(tensors_at(t, i - 1)->name, tensors_at(t, i)->name) < 0);
	assert_null(tensors_at(t, 6));
	assert_null(tensors_find(t, "W_en"));
	assert_int_equal(tensors_find(t, "W_enc")->shape[1], 48);
	assert_int_equal(tensors_sha256(t, a, &e), 0);
	assert_int_equal(sha256_file(tensors_path(t), b, &e), 0);
	assert_memory_equal(a, b, 32);
	tensors_close(t);
}

static void
shards(const char *index, int code, const char *says)
{
	struct err e = ERR_INIT;
	struct tensors *t = NULL;
	int rc;

	put_file(at("model.safetensors.index.json"), index, strlen(index));
	rc = tensors_open_dir(&t, scratch, &e);
	if (rc != code || (says && !strstr(e.text, says)))
		fail_msg("%s: %d \"%s\"", index, rc, e.text);
	if (rc == 0) {
		assert_int_equal(tensors_n(t), 2);
		assert_int_equal(tensors_find(t, "a")->n_values, 1);
		assert_int_equal(tensors_find(t, "c")->data[0], 0);
		assert_null(tensors_find(t, "b")); /* in the shard, not in the map */
		tensors_close(t);
	}
}

static void
test_shards(void **state)
{
	struct err e = ERR_INIT;
	struct tensors *t;

	(void)state;
	assert_int_equal(tensors_open_dir(&t, scratch, &e), ERR_NOTFOUND);
	put_file(at("pytorch_model.bin.index.json"), "{}", 2);
	assert_int_equal(tensors_open_dir(&t, scratch, &e), ERR_UNSUPPORTED);
	put_file(at("pytorch_model.bin"), "x", 1);
	assert_int_equal(tensors_open_dir(&t, scratch, &e), ERR_FORMAT);
	copy_fixture("files/all.pt", "pytorch_model.bin");
	assert_int_equal(tensors_open_dir(&t, scratch, &e), 0);
	assert_non_null(tensors_find(t, "model.encoder.weight"));
	tensors_close(t);
	put_tensors("1.safetensors",
		"{" T("a", "U8", "[1]", "0", "1") "," T("b", "U8", "[1]", "1", "2") "}",
		2);
	put_tensors("2.safetensors", "{" T("c", "U8", "[1]", "0", "1") "}", 1);
#define MAP(a, c) "{\"weight_map\":{\"a\":\"" a "\",\"c\":\"" c "\"}}"
	shards(MAP("1.safetensors", "2.safetensors"), 0, NULL);
	shards(MAP("1.safetensors", "1.safetensors"), ERR_MISMATCH, "tensor c");
	shards(MAP("1.safetensors", "3.safetensors"), ERR_NOTFOUND, "3.safetensors");
	shards(MAP("1.safetensors", "../2.safetensors"), ERR_FORMAT, "directory");
	shards(MAP("1.safetensors", "x/2.safetensors"), ERR_FORMAT, "directory");
	shards(MAP("1.safetensors", ".safetensors"), ERR_FORMAT, "directory");
	shards(MAP("1.safetensors", "2.bin"), ERR_FORMAT, "directory");
	shards(MAP("1.safetensors", "2.safetensors\\u0000.safetensors"), ERR_FORMAT,
		NULL);
	shards(MAP("1.safetensors", ".."), ERR_FORMAT, "directory");
	shards(MAP("1.safetensors", ""), ERR_FORMAT, "directory");
	put_file(at("3.safetensors"), "version https://git-lfs.github.com/spec/v1\n",
		43);
	shards(MAP("1.safetensors", "3.safetensors"), ERR_FORMAT, "git lfs pull");
	shards("{\"weight_map\":{\"a\":3}}", ERR_FORMAT, "weight_map");
	shards("{\"weight_map\":[]}", ERR_FORMAT, "weight_map");
	shards("{}", ERR_FORMAT, "weight_map");
}

/* Whichever allocation fails, the answer is ERR_NOMEM and nothing leaks. */
static void
test_sweep(void **state)
{
	const char *path = fixture("sae-topk/sae_weights.safetensors");
	struct err e = ERR_INIT;
	struct tensors *t;
	int rc = -1;

	(void)state;
	for (long n = 0; rc < 0; n++) {
		mem_fail_at(n);
		rc = tensors_open(&t, path, &e);
		mem_fail_at(-1);
		if (rc < 0 && rc != ERR_NOMEM)
			fail_msg("allocation %ld: %d %s", n, rc, e.text);
		assert_true(n < 10000);
	}
	tensors_close(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad_header),
		cmocka_unit_test(test_bad_entry),
		cmocka_unit_test(test_dtypes),
		cmocka_unit_test(test_unaligned),
		cmocka_unit_test(test_bad_layout),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_nan),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_shards),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
