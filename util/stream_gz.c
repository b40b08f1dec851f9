/* SPDX-License-Identifier: ISC */
#include "util/stream_gz.h"

#include "util/mem.h"
#include "util/paged.h"
#include "util/stream_codec.h"

#include <limits.h>
#include <zlib.h>

/* gzip's own frame only: 15 bits of window, 16 asks for the gzip header. */
#define PIECE_BYTES ((size_t)1 << 20) /* between two looks at what is in memory */
#define WINDOW_BITS (15 + 16)

struct gz {
	z_stream z;
	bool inside; /* a member has begun and not ended */
	bool any; /* a member has ended */
};

static voidpf
gz_alloc(voidpf unused, uInt n, uInt size)
{
	(void)unused;
	return mem_new(n, size);
}

static void
gz_free(voidpf unused, voidpf p)
{
	(void)unused;
	mem_free(p);
}

static int
gz_open(void **state, struct err *e)
{
	struct gz *g = mem_new(1, sizeof(*g));

	*state = g;
	if (g == NULL)
		return err_set(e, ERR_NOMEM, "no memory to read gzip");
	g->z.zalloc = gz_alloc;
	g->z.zfree = gz_free;
	if (inflateInit2(&g->z, WINDOW_BITS) != Z_OK) {
		mem_free(g);
		*state = NULL;
		return err_set(e, ERR_NOMEM, "no memory to read gzip");
	}
	return 0;
}

static void
gz_close(void *state)
{
	struct gz *g = state;

	inflateEnd(&g->z);
	mem_free(g);
}

static int
gz_bad(const struct gz *g, const struct stream_in *in, const char *what, struct err *e)
{
	return err_set(e, ERR_FORMAT, "%s: %s at byte %llu%s%s", in->path, what,
		(unsigned long long)stream_in_offset(in), g->z.msg != NULL ? ": " : "",
		g->z.msg != NULL ? g->z.msg : "");
}

/* Between members: 1 when another begins, 0 at the end, or a code. Zeros
 * behind the last member are padding (tapes, block devices). */
static int
gz_next_member(struct gz *g, struct stream_in *in, struct err *e)
{
	int rc;

	for (;; in->at++) {
		rc = stream_in_fill(in, e);
		if (rc < 0 || in->at == in->n)
			return rc;
		if (in->data[in->at] != 0 || !g->any)
			break;
	}
	if (in->data[in->at] != 0x1f)
		return gz_bad(g, in, "bytes that are not gzip behind the last member",
			e);
	inflateReset(&g->z);
	g->inside = true;
	return 1;
}

static int
gz_step(struct gz *g, struct stream_in *in, struct err *e)
{
	int rc = stream_in_fill(in, e);

	if (rc < 0)
		return rc;
	if (in->at == in->n)
		return gz_bad(g, in, "gzip data is cut short", e);
	g->z.next_in = in->data + in->at;
	g->z.avail_in = (uInt)(in->n - in->at);
	rc = inflate(&g->z, Z_NO_FLUSH);
	in->at = in->n - g->z.avail_in;
	if (rc == Z_STREAM_END) {
		g->inside = false;
		g->any = true;
		return 0;
	}
	if (rc == Z_MEM_ERROR)
		return err_set(e, ERR_NOMEM, "%s: no memory to decompress it",
			in->path);
	if (rc != Z_OK && rc != Z_BUF_ERROR)
		return gz_bad(g, in, "gzip data is corrupt", e);
	return 0;
}

static ssize_t
gz_read(void *state, struct stream_in *in, void *p, size_t n_bytes, struct err *e)
{
	struct gz *g = state;
	uInt want = n_bytes < INT_MAX ? (uInt)n_bytes : INT_MAX;
	int rc;

	g->z.next_out = p;
	g->z.avail_out = want;
	while (g->z.avail_out == want && want > 0) {
		if (!g->inside) {
			rc = gz_next_member(g, in, e);
			if (rc <= 0)
				return rc;
		}
		rc = gz_step(g, in, e);
		if (rc < 0)
			return rc;
	}
	return (ssize_t)(want - g->z.avail_out);
}

const struct stream_codec stream_gz = {gz_open, gz_read, gz_close};

/* ---- in memory ---------------------------------------------------------- */

static uInt
piece(size_t n)
{
	return n < INT_MAX ? (uInt)n : INT_MAX; /* zlib counts in 32 bits */
}

/* Feeds z until it ends, fails or stands still. Returns zlib's last word;
 * *n_in and *n_out are what is left. */
static int
inflate_pieces(z_stream *z, size_t *n_in, size_t *n_out)
{
	int rc;

	do {
		uInt in = piece(*n_in), out = piece(*n_out);

		z->avail_in = in;
		z->avail_out = out;
		rc = inflate(z, Z_NO_FLUSH);
		*n_in -= in - z->avail_in;
		*n_out -= out - z->avail_out;
	} while (rc == Z_OK);
	return rc;
}

int
stream_gz_inflate(void *out, size_t n_out, const void *in, size_t n_in, struct err *e)
{
	z_stream z = {.zalloc = gz_alloc, .zfree = gz_free};
	Bytef none;
	int rc;

	if (inflateInit2(&z, -15) != Z_OK)
		return err_set(e, ERR_NOMEM, "no memory to inflate");
	z.next_in = (Bytef *)(uintptr_t)in;
	z.next_out = n_out > 0 ? out : &none;
	rc = inflate_pieces(&z, &n_in, &n_out);
	inflateEnd(&z);
	if (rc == Z_MEM_ERROR)
		return err_set(e, ERR_NOMEM, "no memory to inflate");
	if (rc == Z_BUF_ERROR && n_out == 0)
		return err_set(e, ERR_FORMAT, "deflated bytes give more than was said");
	if (rc != Z_STREAM_END)
		return err_set(e, ERR_FORMAT, "deflated bytes are %s",
			rc == Z_BUF_ERROR ? "cut short" : "corrupt");
	if (n_in > 0 || n_out > 0)
		return err_set(e, ERR_FORMAT, "deflated bytes end %zu bytes early",
			n_in > 0 ? n_in : n_out);
	return 0;
}

uint32_t
stream_gz_crc32(const void *p, size_t n_bytes)
{
	const uint8_t *from = p;
	uLong sum = crc32(0, NULL, 0);

	for (size_t at = 0, n; at < n_bytes; at += n) {
		n = n_bytes - at < PIECE_BYTES ? n_bytes - at : PIECE_BYTES;
		sum = crc32_z(sum, from + at, n);
		paged_passed(n);
	}
	return (uint32_t)sum;
}
