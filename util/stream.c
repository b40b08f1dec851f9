/* SPDX-License-Identifier: ISC */
#include "util/stream.h"

#include "util/mem.h"
#include "util/stream_codec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES ((size_t)1 << 18)

/* Bytes [at, n) of text are decoded and not yet handed out. */
struct stream {
	struct stream_in in;
	const struct stream_codec *codec; /* NULL = plain */
	void *state; /* the codec's */
	char *path;
	char *text;
	size_t at;
	size_t n;
	size_t cap;
	uint64_t n_lines;
	uint64_t total_bytes; /* of the file; 0 = unknown */
	int failed; /* the code of the error that ended it */
	bool newline; /* ended the last line */
	bool end;
};

int
stream_in_fill(struct stream_in *in, struct err *e)
{
	ssize_t n;

	if (in->at < in->n || in->end)
		return 0;
	do
		n = read(in->fd, in->data, STREAM_IN_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "%s: cannot read", in->path);
	in->at = 0;
	in->n = (size_t)n;
	in->n_read += (uint64_t)n;
	in->end = n == 0;
	return 0;
}

/* The first four bytes, also from a pipe that gives one at a time. */
static int
fill_head(struct stream_in *in, struct err *e)
{
	ssize_t n;

	while (in->n < 4 && !in->end) {
		do
			n = read(in->fd, in->data + in->n, STREAM_IN_BYTES - in->n);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return err_sys(e, "%s: cannot read", in->path);
		in->n += (size_t)n;
		in->n_read += (uint64_t)n;
		in->end = n == 0;
	}
	return 0;
}

static const struct stream_codec *
codec_of(const struct stream_in *in)
{
	const uint8_t *d = in->data;

	if (in->n >= 3 && d[0] == 0x1f && d[1] == 0x8b && d[2] == 8)
		return &stream_gz;
	if (in->n >= 4 && d[0] == 0x28 && d[1] == 0xb5 && d[2] == 0x2f && d[3] == 0xfd)
		return &stream_zst;
	/* a skippable frame, as pzstd puts in front */
	if (in->n >= 4 && (d[0] & 0xf0) == 0x50 && d[1] == 0x2a && d[2] == 0x4d &&
		d[3] == 0x18)
		return &stream_zst;
	return NULL;
}

static int
open_input(struct stream *s, const char *path, struct err *e)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct stat st;

	s->path = mem_strdup(is_stdin ? "standard input" : path);
	s->in.data = mem_new(STREAM_IN_BYTES, 1);
	s->text = mem_new(TEXT_BYTES, 1);
	s->cap = TEXT_BYTES;
	if (s->path == NULL || s->in.data == NULL || s->text == NULL)
		return err_set(e, ERR_NOMEM, "%s: no memory to read it", path);
	s->in.path = s->path;
	s->in.fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (s->in.fd < 0)
		return err_sys(e, "%s: cannot open", path);
	if (fstat(s->in.fd, &st) == 0 && S_ISREG(st.st_mode))
		s->total_bytes = (uint64_t)st.st_size;
	return fill_head(&s->in, e);
}

int
stream_open(struct stream **out, const char *path, struct err *e)
{
	struct stream *s = mem_new(1, sizeof(*s));
	const struct stream_codec *codec;
	int rc;

	*out = NULL;
	if (s == NULL)
		return err_set(e, ERR_NOMEM, "%s: no memory to read it", path);
	s->in.fd = -1;
	rc = open_input(s, path, e);
	if (rc == 0) {
		codec = codec_of(&s->in);
		if (codec != NULL)
			rc = codec->open(&s->state, e);
		if (rc == 0)
			s->codec = codec;
	}
	if (rc < 0) {
		stream_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
stream_close(struct stream *s)
{
	if (s == NULL)
		return;
	if (s->codec != NULL)
		s->codec->close(s->state);
	if (s->in.fd > STDIN_FILENO)
		close(s->in.fd);
	mem_free(s->in.data);
	mem_free(s->text);
	mem_free(s->path);
	mem_free(s);
}

static ssize_t
plain_read(struct stream_in *in, void *p, size_t n_bytes, struct err *e)
{
	int rc = stream_in_fill(in, e);
	size_t n = in->n - in->at;

	if (rc < 0)
		return rc;
	if (n > n_bytes)
		n = n_bytes;
	memcpy(p, in->data + in->at, n);
	in->at += n;
	return (ssize_t)n;
}

/* Decoded bytes, past what stream_line holds. An error ends the stream. */
static ssize_t
decode(struct stream *s, void *p, size_t n_bytes, struct err *e)
{
	ssize_t n;

	if (s->failed < 0)
		return err_set(e, s->failed, "%s: cannot read on after an error",
			s->path);
	if (s->end || n_bytes == 0)
		return 0;
	if (s->codec != NULL)
		n = s->codec->read(s->state, &s->in, p, n_bytes, e);
	else
		n = plain_read(&s->in, p, n_bytes, e);
	if (n < 0)
		s->failed = (int)n;
	s->end = n == 0;
	return n;
}

ssize_t
stream_read(struct stream *s, void *p, size_t n_bytes, struct err *e)
{
	size_t n = s->n - s->at;

	if (n == 0)
		return decode(s, p, n_bytes, e);
	if (n > n_bytes)
		n = n_bytes;
	memcpy(p, s->text + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

/* More decoded bytes behind text[n): moves what is left to the front, grows
 * when the line fills all. Returns how many came, 0 at the end, or a code. */
static ssize_t
more_text(struct stream *s, struct err *e)
{
	char *bigger;
	ssize_t n;

	if (s->at > 0) {
		memmove(s->text, s->text + s->at, s->n - s->at);
		s->n -= s->at;
		s->at = 0;
	}
	if (s->n == s->cap) {
		bigger = mem_resize(s->text, s->cap, 2);
		if (bigger == NULL)
			return err_set(e, ERR_NOMEM, "%s: no memory for line %llu",
				s->path, (unsigned long long)s->n_lines + 1);
		s->text = bigger;
		s->cap *= 2;
	}
	n = decode(s, s->text + s->n, s->cap - s->n, e);
	if (n > 0)
		s->n += (size_t)n;
	return n;
}

static int
too_long(struct stream *s, size_t max_bytes, struct err *e)
{
	s->failed = ERR_LIMIT;
	s->at = s->n = 0;
	return err_set(e, ERR_LIMIT,
		"%s: line %llu is longer than the limit of %zu bytes", s->path,
		(unsigned long long)s->n_lines + 1, max_bytes);
}

int
stream_line(struct stream *s, size_t max_bytes, char **line, size_t *n_bytes,
	struct err *e)
{
	size_t seen = 0; /* bytes from at known to hold no '\n' */
	char *newline = NULL;
	ssize_t n;

	for (;;) {
		if (s->n - s->at > seen)
			newline = memchr(s->text + s->at + seen, '\n',
				s->n - s->at - seen);
		seen = newline != NULL ? (size_t)(newline - s->text) - s->at
				       : s->n - s->at;
		if (seen > max_bytes)
			return too_long(s, max_bytes, e);
		if (newline != NULL)
			break;
		n = more_text(s, e);
		if (n < 0)
			return (int)n;
		if (n == 0 && seen == 0)
			return 0;
		if (n == 0)
			break;
	}
	*line = s->text + s->at;
	*n_bytes = seen;
	s->newline = newline != NULL;
	s->at += seen + s->newline;
	s->n_lines++;
	return 1;
}

uint64_t
stream_line_number(const struct stream *s)
{
	return s->n_lines;
}

bool
stream_line_ended(const struct stream *s)
{
	return s->newline;
}

void
stream_progress(const struct stream *s, uint64_t *done, uint64_t *total)
{
	*done = stream_in_offset(&s->in);
	*total = s->total_bytes;
}
