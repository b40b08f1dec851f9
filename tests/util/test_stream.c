/* SPDX-License-Identifier: ISC */
#include "tests/util/scratch.h"
#include "util/stream.h"
#include "util/stream_gz.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <zlib.h>
#include <zstd.h>

enum { PLAIN, GZ, ZST, N_KINDS };

/* p as one gzip member or zstd frame, appended to out. */
static void
compress_to(struct buf *out, int kind, const void *p, size_t n)
{
	size_t bound = n + 1000, got = 0;
	uint8_t *to = buf_extend(out, bound);

	assert_non_null(to);
	if (kind == GZ) {
		z_stream z = {.next_in = (void *)(uintptr_t)p,
			.avail_in = (uInt)n,
			.next_out = to,
			.avail_out = (uInt)bound};

		assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
		assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
		got = z.total_out;
		deflateEnd(&z);
	} else if (kind == ZST) {
		got = ZSTD_compress(to, bound, p, n, 3);
		assert_false(ZSTD_isError(got));
	} else {
		memcpy(to, p, n);
		got = n;
	}
	out->n_bytes -= bound - got;
}

/* Lines of growing, hardly compressible text; every third is empty. */
static void
make_text(struct buf *b, size_t n_lines)
{
	uint32_t seed = 1;

	buf_init(b);
	for (size_t i = 0; i < n_lines; i++) {
		for (size_t j = 0; i % 3 != 0 && j < i * 3; j++) {
			seed = seed * 1664525 + 1013904223;
			buf_u8(b, (uint8_t)('!' + (seed >> 16) % 90));
		}
		buf_u8(b, '\n');
	}
}

static void
check_lines(const char *path, const struct buf *text, size_t n_lines)
{
	struct stream *s;
	size_t from = 0, n;
	uint64_t done, total;
	char *line;

	assert_int_equal(stream_open(&s, path, NULL), 0);
	for (size_t i = 0; i < n_lines; i++) {
		assert_int_equal(stream_line(s, 1 << 20, &line, &n, NULL), 1);
		assert_int_equal(n, i % 3 != 0 ? i * 3 : 0);
		assert_memory_equal(line, text->data + from, n);
		assert_int_equal(stream_line_number(s), i + 1);
		from += n + 1;
		assert_int_equal(stream_line_ended(s), from <= text->n_bytes);
	}
	assert_int_equal(stream_line(s, 1 << 20, &line, &n, NULL), 0);
	assert_int_equal(stream_line(s, 1 << 20, &line, &n, NULL), 0);
	stream_progress(s, &done, &total);
	assert_true(done == total && total > 0);
	stream_close(s);
}

/* Each kind, in one member and in several, an empty one among them. */
static void
test_lines(void **state)
{
	struct buf text, packed;

	(void)state;
	make_text(&text, 700);
	assert_true(text.n_bytes > (1 << 18)); /* more than the buffers hold */
	for (int kind = 0; kind < N_KINDS; kind++)
		for (size_t n_parts = 1; n_parts < 5; n_parts += 3) {
			size_t from = 0, step = text.n_bytes / n_parts;

			buf_init(&packed);
			for (size_t i = 0; i < n_parts; i++) {
				size_t n = i + 1 < n_parts ? step : text.n_bytes - from;

				compress_to(&packed, kind, text.data + from, n);
				compress_to(&packed, kind, "", 0);
				from += n;
			}
			put_file(at("lines"), packed.data, packed.n_bytes);
			check_lines(at("lines"), &text, 700);
			buf_clear(&packed);
		}
	buf_clear(&text);
}

static void
test_read(void **state)
{
	struct buf text, packed, got;
	struct stream *s;
	ssize_t n;
	size_t n_line;
	char *line, chunk[777];

	(void)state;
	make_text(&text, 300);
	for (int kind = 0; kind < N_KINDS; kind++) {
		buf_init(&packed);
		buf_init(&got);
		compress_to(&packed, kind, text.data, text.n_bytes);
		put_file(at("read"), packed.data, packed.n_bytes);
		assert_int_equal(stream_open(&s, at("read"), NULL), 0);
		/* a line first: what it held back is not lost */
		assert_int_equal(stream_line(s, 9, &line, &n_line, NULL), 1);
		buf_put(&got, line, n_line);
		buf_u8(&got, '\n');
		while ((n = stream_read(s, chunk, sizeof(chunk), NULL)) > 0)
			buf_put(&got, chunk, (size_t)n);
		assert_int_equal(n, 0);
		assert_int_equal(got.n_bytes, text.n_bytes);
		assert_memory_equal(got.data, text.data, text.n_bytes);
		stream_close(s);
		buf_clear(&packed);
		buf_clear(&got);
	}
	buf_clear(&text);
}

/* Cut at any byte, or with a byte flipped: an error or, for a cut between
 * members, less; never more than the text, and never a crash. */
static void
test_broken(void **state)
{
	struct buf text, packed;
	struct err e = ERR_INIT;
	struct stream *s;
	char chunk[5000];

	(void)state;
	make_text(&text, 60);
	for (int kind = GZ; kind < N_KINDS; kind++) {
		buf_init(&packed);
		compress_to(&packed, kind, text.data, text.n_bytes);
		for (size_t cut = 5; cut < packed.n_bytes; cut += 1 + cut / 40) {
			ssize_t n;

			put_file(at("cut"), packed.data, cut);
			assert_int_equal(stream_open(&s, at("cut"), &e), 0);
			while ((n = stream_read(s, chunk, sizeof(chunk), &e)) > 0)
				;
			assert_int_equal(n, ERR_FORMAT);
			assert_non_null(strstr(e.text, "/cut"));
			assert_non_null(strstr(e.text, "at byte"));
			assert_int_equal(stream_read(s, chunk, 1, &e), ERR_FORMAT);
			stream_close(s);
		}
		packed.data[packed.n_bytes / 2] ^= 0x55;
		put_file(at("flip"), packed.data, packed.n_bytes);
		assert_int_equal(stream_open(&s, at("flip"), &e), 0);
		for (int i = 0; i < 100 && stream_read(s, chunk, 5000, &e) > 0; i++)
			;
		if (kind == GZ) /* zstd frames made this way carry no checksum */
			assert_int_equal(stream_read(s, chunk, 1, &e), ERR_FORMAT);
		stream_close(s);
		buf_clear(&packed);
	}
	buf_clear(&text);
}

static void
test_trailing(void **state)
{
	struct err e = ERR_INIT;
	struct buf packed;
	struct stream *s;
	size_t n;
	char *line;

	(void)state;
	buf_init(&packed);
	compress_to(&packed, GZ, "a\n", 2);
	buf_put(&packed, "\0\0\0\0", 4);
	put_file(at("t"), packed.data, packed.n_bytes);
	assert_int_equal(stream_open(&s, at("t"), &e), 0);
	assert_int_equal(stream_line(s, 9, &line, &n, &e), 1);
	assert_int_equal(stream_line(s, 9, &line, &n, &e), 0);
	stream_close(s);
	buf_puts(&packed, "garbage");
	put_file(at("t"), packed.data, packed.n_bytes);
	assert_int_equal(stream_open(&s, at("t"), &e), 0);
	assert_int_equal(stream_line(s, 9, &line, &n, &e), 1);
	assert_int_equal(stream_line(s, 9, &line, &n, &e), ERR_FORMAT);
	stream_close(s);
	buf_clear(&packed);
}

/* Two million bytes on one line; the limit; no newline at the end; NULs. */
static void
test_long(void **state)
{
	size_t big = 2000000, n;
	char *text = mem_new(big + 1, 1), *line;
	struct err e = ERR_INIT;
	struct stream *s;

	(void)state;
	memset(text, 'x', big);
	text[0] = text[big - 1] = '\0';
	text[1] = '\n';
	put_file(at("long"), text, big);
	assert_int_equal(stream_open(&s, at("long"), &e), 0);
	assert_int_equal(stream_line(s, big, &line, &n, &e), 1);
	assert_true(n == 1 && line[0] == '\0');
	assert_int_equal(stream_line(s, big - 2, &line, &n, &e), 1);
	assert_int_equal(n, big - 2);
	assert_memory_equal(line, text + 2, n);
	assert_int_equal(stream_line(s, big, &line, &n, &e), 0);
	stream_close(s);
	assert_int_equal(stream_open(&s, at("long"), &e), 0);
	assert_int_equal(stream_line(s, big - 3, &line, &n, &e), 1);
	assert_int_equal(stream_line(s, big - 3, &line, &n, &e), ERR_LIMIT);
	assert_non_null(strstr(e.text, "line 2 "));
	assert_non_null(strstr(e.text, "1999997"));
	assert_int_equal(stream_line(s, big, &line, &n, &e), ERR_LIMIT);
	stream_close(s);
	mem_free(text);
}

static void
test_kinds_of_input(void **state)
{
	struct err e = ERR_INIT;
	struct stream *s;
	size_t n;
	char *line;

	(void)state;
	assert_int_equal(stream_open(&s, at("none"), &e), ERR_NOTFOUND);
	assert_null(s);
	assert_int_equal(stream_open(&s, scratch, &e), ERR_IO);
	put_file(at("empty"), "", 0);
	assert_int_equal(stream_open(&s, at("empty"), &e), 0);
	assert_int_equal(stream_line(s, 9, &line, &n, &e), 0);
	stream_close(s);
	put_file(at("short"), "\x1f", 1); /* shorter than any magic */
	assert_int_equal(stream_open(&s, at("short"), &e), 0);
	assert_int_equal(stream_line(s, 9, &line, &n, &e), 1);
	assert_int_equal(n, 1);
	stream_close(s);
	stream_close(NULL);
}

/* gzip through a pipe that gives a few bytes at a time, as standard input. */
static void
test_stdin(void **state)
{
	struct buf text, packed;
	struct stream *s;
	size_t n, n_lines = 0;
	int fds[2], status, saved = dup(STDIN_FILENO);
	char *line;
	pid_t pid;

	(void)state;
	make_text(&text, 40);
	buf_init(&packed);
	compress_to(&packed, GZ, text.data, text.n_bytes);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < packed.n_bytes; i++)
			if (write(fds[1], packed.data + i, 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(fds[1]);
	dup2(fds[0], STDIN_FILENO);
	close(fds[0]);
	assert_int_equal(stream_open(&s, "-", NULL), 0);
	while (stream_line(s, 1000, &line, &n, NULL) == 1)
		n_lines++;
	assert_int_equal(n_lines, 40);
	stream_close(s);
	dup2(saved, STDIN_FILENO);
	close(saved);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	buf_clear(&text);
	buf_clear(&packed);
}

/* The n-th allocation fails, for every n. */
static void
test_memory(void **state)
{
	struct buf text, packed;

	(void)state;
	make_text(&text, 700);
	memset(text.data, 'x', text.n_bytes);
	for (int kind = 0; kind < N_KINDS; kind++) {
		int rc = ERR_NOMEM;

		buf_init(&packed);
		compress_to(&packed, kind, text.data, text.n_bytes);
		put_file(at("mem"), packed.data, packed.n_bytes);
		for (long i = 0; rc == ERR_NOMEM; i++) {
			struct stream *s;
			char *line;
			size_t n;

			assert_true(i < 30);
			mem_fail_at(i);
			rc = stream_open(&s, at("mem"), NULL);
			if (rc == 0)
				rc = stream_line(s, SIZE_MAX, &line, &n, NULL);
			mem_fail_at(-1);
			stream_close(s);
		}
		assert_int_equal(rc, 1);
		buf_clear(&packed);
	}
	buf_clear(&text);
}

/* Deflated bytes in memory: one stored block of "ab". */
static void
test_inflate(void **state)
{
	static const uint8_t in[] = {1, 2, 0, 0xfd, 0xff, 'a', 'b', 0};
	struct err e = ERR_INIT;
	char out[4] = "..!";

	(void)state;
	assert_int_equal(stream_gz_crc32("123456789", 9), 0xcbf43926);
	assert_int_equal(stream_gz_crc32("", 0), 0);
	assert_int_equal(stream_gz_inflate(out, 2, in, 7, &e), 0);
	assert_string_equal(out, "ab!");
	assert_int_equal(stream_gz_inflate(out, 1, in, 7, &e), ERR_FORMAT);
	assert_int_equal(stream_gz_inflate(out, 0, in, 7, &e), ERR_FORMAT);
	assert_int_equal(stream_gz_inflate(out, 3, in, 7, &e), ERR_FORMAT);
	assert_int_equal(stream_gz_inflate(out, 2, in, 8, &e), ERR_FORMAT);
	assert_int_equal(stream_gz_inflate(out, 2, in, 6, &e), ERR_FORMAT);
	assert_int_equal(stream_gz_inflate(out, 2, in, 0, &e), ERR_FORMAT);
	assert_int_equal(stream_gz_inflate(NULL, 0, "\3", 2, &e), 0);
	mem_fail_at(0);
	assert_int_equal(stream_gz_inflate(out, 2, in, 7, &e), ERR_NOMEM);
	mem_fail_at(-1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_kinds_of_input),
		cmocka_unit_test(test_stdin),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_inflate),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
