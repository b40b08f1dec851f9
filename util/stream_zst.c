/* SPDX-License-Identifier: ISC */
#include "util/mem.h"
#include "util/stream_codec.h"

#include <zstd.h>

struct zst {
	ZSTD_DStream *d;
	size_t hint; /* what the library said last; 0 = between frames */
};

static int
zst_open(void **state, struct err *e)
{
	struct zst *z = mem_new(1, sizeof(*z));

	*state = z;
	if (z == NULL)
		return err_set(e, ERR_NOMEM, "no memory to read zstd");
	z->d = ZSTD_createDStream();
	if (z->d == NULL) {
		mem_free(z);
		*state = NULL;
		return err_set(e, ERR_NOMEM, "no memory to read zstd");
	}
	return 0;
}

static void
zst_close(void *state)
{
	struct zst *z = state;

	ZSTD_freeDStream(z->d);
	mem_free(z);
}

/* The library limits a frame's window to 128 MiB, so a hostile header cannot
 * ask for more; files made with --long=28 and up are refused by it. */
static ssize_t
zst_read(void *state, struct stream_in *in, void *p, size_t n_bytes, struct err *e)
{
	struct zst *z = state;
	ZSTD_outBuffer out = {p, n_bytes, 0};
	int rc;

	while (out.pos == 0 && n_bytes > 0) {
		ZSTD_inBuffer from;

		rc = stream_in_fill(in, e);
		if (rc < 0)
			return rc;
		if (in->at == in->n && z->hint == 0)
			return 0;
		from = (ZSTD_inBuffer){in->data, in->n, in->at};
		z->hint = ZSTD_decompressStream(z->d, &out, &from);
		if (ZSTD_isError(z->hint))
			return err_set(e, ERR_FORMAT,
				"%s: zstd data is corrupt at byte %llu: %s", in->path,
				(unsigned long long)stream_in_offset(in),
				ZSTD_getErrorName(z->hint));
		if (in->at == in->n && z->hint != 0 && out.pos == 0)
			return err_set(e, ERR_FORMAT,
				"%s: zstd data is cut short at byte %llu", in->path,
				(unsigned long long)stream_in_offset(in));
		in->at = from.pos;
	}
	return (ssize_t)out.pos;
}

const struct stream_codec stream_zst = {zst_open, zst_read, zst_close};
