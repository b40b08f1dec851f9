/* SPDX-License-Identifier: ISC */
/* Zip files made by hand for tests: stored members, and every field at will. */
#ifndef TESTS_MODEL_ZIP_MAKER_H
#define TESTS_MODEL_ZIP_MAKER_H

#include "tests/model/fixture.h"
#include "util/stream_gz.h"

#include <sys/mman.h>

struct zip_maker {
	struct buf file, central;
	size_t n_members;
};

/* What a member's two headers say; zip_put() takes the first three as true. */
struct zip_says {
	uint16_t method, flags;
	uint32_t n_bytes, n_packed; /* 0: the truth */
	uint32_t crc; /* 0: the truth */
	const char *own_name; /* in the member's own header; NULL: the same */
};

static inline void
zip_put_as(struct zip_maker *z, const char *name, const void *p, size_t n,
	struct zip_says says)
{
	const char *own = says.own_name ? says.own_name : name;
	uint32_t crc = says.crc ? says.crc : stream_gz_crc32(p, n);
	uint32_t n_bytes = says.n_bytes ? says.n_bytes : (uint32_t)n;
	uint32_t n_packed = says.n_packed ? says.n_packed : (uint32_t)n;
	uint32_t header_at = (uint32_t)z->file.n_bytes;
	struct buf *both[2] = {&z->file, &z->central};

	for (int i = 0; i < 2; i++) {
		const char *s = i == 0 ? own : name;

		buf_u32(both[i], i == 0 ? 0x04034b50 : 0x02014b50);
		if (i == 1)
			buf_u16(both[i], 20);
		buf_u16(both[i], 20);
		buf_u16(both[i], says.flags);
		buf_u16(both[i], says.method);
		buf_u32(both[i], 0);
		buf_u32(both[i], crc);
		buf_u32(both[i], n_packed);
		buf_u32(both[i], n_bytes);
		buf_u16(both[i], (uint16_t)strlen(s));
		buf_u16(both[i], 0);
		for (int j = 0; i == 1 && j < 5; j++)
			buf_u16(both[i], 0);
		if (i == 1)
			buf_u32(both[i], header_at);
		buf_puts(both[i], s);
	}
	buf_put(&z->file, p, n);
	z->n_members++;
}

static inline void
zip_put(struct zip_maker *z, const char *name, const void *p, size_t n)
{
	zip_put_as(z, name, p, n, (struct zip_says){0});
}

/* Writes the file and forgets it. */
static inline void
zip_finish(struct zip_maker *z, const char *path)
{
	size_t at = z->file.n_bytes;

	buf_put(&z->file, z->central.data, z->central.n_bytes);
	buf_u32(&z->file, 0x06054b50);
	buf_u32(&z->file, 0);
	buf_u16(&z->file, (uint16_t)z->n_members);
	buf_u16(&z->file, (uint16_t)z->n_members);
	buf_u32(&z->file, (uint32_t)z->central.n_bytes);
	buf_u32(&z->file, (uint32_t)at);
	buf_u16(&z->file, 0);
	put_file(path, z->file.data, z->file.n_bytes);
	buf_clear(&z->file);
	buf_clear(&z->central);
	*z = (struct zip_maker){0};
}

/* Opens NAME and expects what it says; what opens is closed. */
static inline void
expect_open(const char *path, int code, const char *says)
{
	struct err e = ERR_INIT;
	struct tensors *t = NULL;
	int rc = tensors_open(&t, path, &e);

	if (rc == 0)
		tensors_close(t);
	if (rc != code || (says && !strstr(e.text, says)))
		fail_msg("%s: %d \"%s\", not %d \"%s\"", path, rc, e.text, code,
			says ? says : "");
	if (rc < 0 && !strstr(e.text, path))
		fail_msg("\"%s\" does not name %s", e.text, path);
}

/* A whole fixture file. */
static inline struct buf
read_fixture(const char *name)
{
	struct err e = ERR_INIT;
	struct buf b;

	if (file_read(fixture(name), (size_t)1 << 24, &b, &e) < 0)
		fail_msg("%s", e.text);
	return b;
}

/* Compares all tensors of FILE with BASE.f32 and BASE.shapes beside it. */
static inline void
expect_tensors(struct tensors *t, const char *base)
{
	char name[200];
	struct err e = ERR_INIT;
	struct buf want, shapes, got;
	size_t at_value = 0;

	snprintf(name, sizeof(name), "files/%s.f32", base);
	want = read_fixture(name);
	snprintf(name, sizeof(name), "files/%s.shapes", base);
	shapes = read_fixture(name);
	buf_init(&got);
	for (size_t i = 0; i < tensors_n(t); i++) {
		const struct tensor *x = tensors_at(t, i);
		float *v = mem_new(x->n_values, sizeof(*v));

		assert_ptr_equal(tensors_find(t, x->name), x);
		if (tensor_floats(x, v, true, &e) < 0)
			fail_msg("%s", e.text);
		buf_printf(&got, "%s\t", x->name);
		for (size_t j = 0; j < x->rank; j++)
			buf_printf(&got, "%s%zu", j ? "," : "", x->shape[j]);
		buf_puts(&got, "\n");
		assert_true(at_value + 4 * x->n_values <= want.n_bytes);
		if (x->n_values > 0 &&
			memcmp(v, want.data + at_value, 4 * x->n_values) != 0)
			fail_msg("%s: tensor %s differs", base, x->name);
		at_value += 4 * x->n_values;
		mem_free(v);
	}
	assert_int_equal(at_value, want.n_bytes);
	assert_string_equal(buf_str(&got), buf_str(&shapes));
	buf_clear(&got);
	buf_clear(&want);
	buf_clear(&shapes);
}

static inline void
expect_fixture(const char *file, const char *base)
{
	struct err e = ERR_INIT;
	struct tensors *t;
	char name[200];

	snprintf(name, sizeof(name), "files/%s", file);
	if (tensors_open(&t, fixture(name), &e) < 0)
		fail_msg("%s", e.text);
	expect_tensors(t, base);
	tensors_close(t);
}

/* A file in memory with a fixture's bytes: changing one on a disk a thousand
 * times takes minutes. Returns its descriptor. */
static inline int
memory_file(const char *file, char path[64], struct buf *bytes)
{
	char name[200];
	int fd = memfd_create("fixture", MFD_CLOEXEC);

	assert_true(fd >= 0);
	snprintf(name, sizeof(name), "files/%s", file);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	*bytes = read_fixture(name);
	assert_int_equal(pwrite(fd, bytes->data, bytes->n_bytes, 0), bytes->n_bytes);
	return fd;
}

/* No prefix of a fixture opens, and none crashes. */
static inline void
expect_truncated(const char *file)
{
	struct err e = ERR_INIT;
	struct tensors *t;
	struct buf b;
	char path[64];
	int fd = memory_file(file, path, &b);

	for (size_t n = b.n_bytes; n-- > 0;) {
		assert_int_equal(ftruncate(fd, (off_t)n), 0);
		if (tensors_open(&t, path, &e) == 0)
			fail_msg("%s opens with %zu of %zu bytes", file, n, b.n_bytes);
		assert_non_null(strstr(e.text, path));
	}
	close(fd);
	buf_clear(&b);
}

/* No changed byte of a fixture crashes what reads it. */
static inline void
expect_robust(const char *file)
{
	static const uint8_t with[] = {0, 1, 0x7f, 0x80, 0xff};
	struct buf b;
	char path[64];
	int fd = memory_file(file, path, &b);

	for (size_t i = 0; i < b.n_bytes * 6; i++) {
		off_t place = (off_t)(i / 6);
		struct tensors *t = NULL;

		/* five changes, then the byte as it was */
		assert_int_equal(pwrite(fd, i % 6 < 5 ? &with[i % 6] : &b.data[place],
					 1, place),
			1);
		if (i % 6 < 5 && tensors_open(&t, path, NULL) == 0)
			tensors_close(t);
	}
	close(fd);
	buf_clear(&b);
}

/* Whichever allocation fails, the answer is ERR_NOMEM and nothing leaks. */
static inline void
expect_sweep(const char *file)
{
	char name[200];
	struct err e = ERR_INIT;
	struct tensors *t = NULL;
	int rc = -1;

	snprintf(name, sizeof(name), "files/%s", file);
	for (long n = 0; rc < 0; n++) {
		const char *path = fixture(name);

		mem_fail_at(n);
		rc = tensors_open(&t, path, &e);
		mem_fail_at(-1);
		if (rc < 0 && rc != ERR_NOMEM)
			fail_msg("%s: allocation %ld: %d %s", file, n, rc, e.text);
		assert_true(n < 10000);
	}
	tensors_close(t);
}

#endif
