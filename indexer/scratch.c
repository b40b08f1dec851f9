/* SPDX-License-Identifier: ISC */
#include "indexer/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FLUSH_BYTES ((size_t)1 << 20)

int
scratch_open(struct scratch *s, const char *dir, const char *name, struct err *e)
{
	*s = (struct scratch){.fd = -1};
	if (dir_make(dir, e) < 0 ||
		path_join(s->path, e, "%s/%s-%ld", dir, name, (long)getpid()) < 0) {
		s->path[0] = '\0';
		return e->code;
	}
	buf_init(&s->buf);
	s->fd = open(s->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (s->fd < 0)
		return err_sys(e, "%s: cannot create", s->path);
	return 0;
}

static int
flush(struct scratch *s, struct err *e)
{
	size_t at = 0;

	if (s->buf.failed)
		return err_set(e, ERR_NOMEM, "%s: no memory", s->path);
	while (at < s->buf.n_bytes) {
		ssize_t n = write(s->fd, s->buf.data + at, s->buf.n_bytes - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s: cannot write", s->path);
		at += (size_t)n;
	}
	buf_reset(&s->buf);
	return 0;
}

int
scratch_put(struct scratch *s, const void *p, size_t n_bytes, struct err *e)
{
	buf_put(&s->buf, p, n_bytes);
	s->n_bytes += n_bytes;
	return s->buf.n_bytes < FLUSH_BYTES && !s->buf.failed ? 0 : flush(s, e);
}

int
scratch_align(struct scratch *s, size_t to_bytes, struct err *e)
{
	static const char zeros[64];
	size_t over = s->n_bytes % to_bytes;

	return over == 0 ? 0 : scratch_put(s, zeros, to_bytes - over, e);
}

int
scratch_map(struct scratch *s, struct err *e)
{
	int rc = flush(s, e);

	buf_clear(&s->buf);
	close(s->fd);
	s->fd = -1;
	if (rc == 0)
		rc = map_open(&s->map, s->path, e);
	unlink(s->path);
	s->path[0] = '\0';
	return rc;
}

void
scratch_close(struct scratch *s)
{
	if (s->path[0] != '\0') {
		if (s->fd >= 0)
			close(s->fd);
		unlink(s->path);
	}
	buf_clear(&s->buf);
	if (s->map.data != NULL)
		map_close(&s->map);
	*s = (struct scratch){.fd = -1};
}
