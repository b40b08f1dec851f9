/* SPDX-License-Identifier: ISC */
#include "indexer/source.h"

#include "indexer/stop.h"
#include "model/json.h"
#include "util/file.h"
#include "util/log.h"
#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PREFIX_BYTES 8 /* the length of a safetensors header */
#define HEADER_BYTES (64u << 20)
#define HEADER_DEPTH 4
#define NAME_BYTES 300
#define FORMAT "shards 1"

struct place { /* of a shard in a directory */
	char *path;
	uint64_t number, n_bytes;
};

struct source {
	char *path; /* as given */
	char name[NAME_BYTES]; /* of the shard being read, for errors */
	uint64_t max_bytes;
	int fd; /* -1: a directory */
	bool is_socket;
	uint8_t *data; /* (cap) the shard that was read from fd */
	size_t cap;
	struct place *place; /* (n_places) of a directory, by number */
	size_t n_places;
	struct tensors *tensors; /* of the shard given out */
	uint64_t next; /* the number that comes next */
	bool ended; /* the last one was given out */
	uint64_t done_bytes, total_bytes;
};

/* ---- one shard among the others ------------------------------------------- */

static const char *
shown(const struct source *s)
{
	return strcmp(s->path, "-") == 0 ? "standard input" : s->path;
}

static void
name_shard(struct source *s)
{
	snprintf(s->name, sizeof(s->name), "%.200s, shard %" PRIu64, shown(s), s->next);
}

static bool
read_number(const char *text, uint64_t *out)
{
	char *end;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

/* What its notes say of it. */
static int
check_notes(const struct tensors *t, const char *name, uint64_t *number, bool *last,
	struct err *e)
{
	const char *format = tensors_note(t, "saedb");
	const char *says_last = tensors_note(t, "last");

	if (format == NULL)
		return err_set(e, ERR_FORMAT,
			"%s: no shard: its __metadata__ has no \"saedb\" "
			"(doc/shards.md)",
			name);
	if (strcmp(format, FORMAT) != 0)
		return err_set(e, ERR_VERSION,
			"%s: \"saedb\" is \"%.40s\", and this program reads \"%s\"",
			name, format, FORMAT);
	if (!read_number(tensors_note(t, "shard"), number))
		return err_set(e, ERR_FORMAT,
			"%s: \"shard\" in its __metadata__ is not its number", name);
	*last = says_last != NULL && strcmp(says_last, "true") == 0;
	return 0;
}

static int
ends_early(const struct source *s, struct err *e)
{
	return err_set(e, ERR_FORMAT,
		"%.300s ends behind %" PRIu64 " shards without the last one: what "
		"wrote it did not come to its end",
		shown(s), s->next);
}

/* ---- directories ------------------------------------------------------------ */

static int
by_number(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static int
add_place(struct source *s, const char *name, struct err *e)
{
	struct place *more = mem_resize(s->place, s->n_places + 1, sizeof(*more));
	struct tensors *t;
	char path[PATH_BYTES];
	struct place *p;
	bool last;
	int rc;

	if (more == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the shards' names");
	s->place = more;
	if (path_join(path, e, "%s/%s", s->path, name) < 0)
		return e->code;
	p = &more[s->n_places];
	*p = (struct place){.path = mem_strdup(path)};
	if (p->path == NULL)
		return err_set(e, ERR_NOMEM, "no memory for the shards' names");
	s->n_places++;
	if (file_size(path, &p->n_bytes, e) < 0 || tensors_open(&t, path, e) < 0)
		return e->code;
	rc = check_notes(t, path, &p->number, &last, e);
	tensors_close(t);
	s->total_bytes += p->n_bytes;
	return rc;
}

static int
list_dir(struct source *s, struct err *e)
{
	char **names;
	size_t n;
	int rc = dir_list(s->path, &names, &n, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && path_ends(names[i], ".safetensors"))
			rc = add_place(s, names[i], e);
		mem_free(names[i]);
	}
	mem_free(names);
	if (rc == 0 && s->n_places == 0)
		rc = err_set(e, ERR_NOTFOUND, "%s: no *.safetensors in it", s->path);
	if (rc < 0)
		return rc;
	qsort(s->place, s->n_places, sizeof(*s->place), by_number);
	for (size_t i = 0; i < s->n_places && rc == 0; i++)
		if (s->place[i].number != i)
			rc = err_set(e, ERR_FORMAT, "%s: shard %zu is %s", s->path, i,
				s->place[i].number > i ? "missing"
						       : "there more than once");
	return rc;
}

static int
next_of_dir(struct source *s, struct err *e)
{
	const struct place *p;

	if (s->next == s->n_places)
		return 0;
	p = &s->place[s->next];
	s->done_bytes += p->n_bytes;
	return tensors_open(&s->tensors, p->path, e) < 0 ? e->code : 1;
}

/* ---- files, pipes, sockets -------------------------------------------------- */

/* Returns how many of n bytes came before the end, or a code. */
static ssize_t
read_some(struct source *s, void *to, size_t n, struct err *e)
{
	size_t at = 0;

	while (at < n) {
		ssize_t got = read(s->fd, (uint8_t *)to + at, n - at);

		if (got < 0 && errno != EINTR)
			return err_sys(e, "%s: cannot read", s->name);
		if (stop_check(e) < 0)
			return e->code;
		if (got == 0)
			break;
		at += got > 0 ? (size_t)got : 0;
	}
	s->done_bytes += at;
	return (ssize_t)at;
}

static int
read_all(struct source *s, void *to, size_t n, struct err *e)
{
	ssize_t got = read_some(s, to, n, e);

	if (got < 0)
		return (int)got;
	return (size_t)got == n
		? 0
		: err_set(e, ERR_FORMAT,
			  "%s: ends in its middle: %zu bytes of %zu are missing",
			  s->name, n - (size_t)got, n);
}

static int
make_room(struct source *s, size_t n, struct err *e)
{
	uint8_t *more;

	if (n > s->max_bytes)
		return err_set(e, ERR_LIMIT,
			"%s: has %zu bytes, and --memory leaves %" PRIu64
			" for one shard; write smaller ones or raise --memory",
			s->name, n, s->max_bytes);
	if (n <= s->cap)
		return 0;
	more = mem_resize(s->data, n, 1);
	if (more == NULL)
		return err_set(e, ERR_NOMEM, "%s: no memory for its %zu bytes", s->name,
			n);
	s->data = more;
	s->cap = n;
	return 0;
}

/* How many bytes of tensors a header announces; tensors_of_bytes() checks it. */
static int
data_bytes(const struct source *s, size_t n_header, uint64_t *out, struct err *e)
{
	struct js_doc doc;
	int rc = js_parse(&doc, s->name, s->data + PREFIX_BYTES, n_header, HEADER_DEPTH,
		e);

	*out = 0;
	if (rc < 0)
		return rc;
	for (void *it = js_first(doc.root); it; it = js_next(doc.root, it)) {
		const struct js *at = js_get(js_value(it), "data_offsets");
		uint64_t end;

		if (js_u64(js_at(at, 1), &end) && end > *out)
			*out = end;
	}
	js_close(&doc);
	return 0;
}

static int
next_of_stream(struct source *s, struct err *e)
{
	uint8_t prefix[PREFIX_BYTES];
	ssize_t got = read_some(s, prefix, sizeof(prefix), e);
	uint64_t n_header = 0, n_data;
	size_t head;

	if (got <= 0)
		return (int)got;
	for (size_t i = 0; i < PREFIX_BYTES; i++)
		n_header |= (uint64_t)prefix[i] << 8 * i;
	if (got < PREFIX_BYTES || n_header < 2 || n_header > HEADER_BYTES)
		return err_set(e, ERR_FORMAT,
			"%s: does not begin with the length of a safetensors header",
			s->name);
	head = PREFIX_BYTES + (size_t)n_header;
	if (make_room(s, head, e) < 0)
		return e->code;
	memcpy(s->data, prefix, sizeof(prefix));
	if (read_all(s, s->data + PREFIX_BYTES, (size_t)n_header, e) < 0 ||
		data_bytes(s, (size_t)n_header, &n_data, e) < 0)
		return e->code;
	if (n_data > SIZE_MAX - head)
		n_data = SIZE_MAX - head;
	if (make_room(s, head + (size_t)n_data, e) < 0 ||
		read_all(s, s->data + head, (size_t)n_data, e) < 0)
		return e->code;
	return tensors_of_bytes(&s->tensors, s->name, s->data, head + (size_t)n_data,
		       e) < 0
		? e->code
		: 1;
}

/* Binds, so that nobody else may connect. */
static int
bind_socket(int fd, const char *path, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	mode_t mask;
	int rc;

	if (strlen(path) == 0 || strlen(path) >= sizeof(a.sun_path))
		return err_set(e, ERR_LIMIT,
			"unix:%s: a socket's path has 1 to %zu bytes", path,
			sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path) + 1);
	mask = umask(0177);
	rc = bind(fd, (const struct sockaddr *)&a, sizeof(a));
	umask(mask);
	if (rc != 0 && errno == EADDRINUSE)
		return err_set(e, ERR_BUSY,
			"unix:%s: is there already; remove it if nobody listens on it",
			path);
	return rc == 0 ? 0 : err_sys(e, "unix:%s: cannot make the socket", path);
}

static int
wait_for_peer(struct source *s, const char *path, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return err_sys(e, "%s: cannot make a socket", s->path);
	rc = bind_socket(fd, path, e);
	if (rc == 0 && listen(fd, 1) != 0)
		rc = err_sys(e, "%s: cannot listen", s->path);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	log_put(LOG_NOTICE, "waiting for shards on %s", path);
	while (s->fd < 0 && rc == 0) {
		s->fd = accept(fd, NULL, NULL);
		if (s->fd < 0 && errno != EINTR)
			rc = err_sys(e, "%s: cannot accept", s->path);
		if (rc == 0)
			rc = stop_check(e);
	}
	unlink(path);
	close(fd);
	s->is_socket = true;
	return rc;
}

/* ---- all kinds ------------------------------------------------------------------ */

static int
open_file(struct source *s, struct err *e)
{
	struct stat st;

	if (strcmp(s->path, "-") == 0)
		s->fd = dup(STDIN_FILENO);
	else
		s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0 || fstat(s->fd, &st) != 0)
		return err_sys(e, "%s: cannot open", s->path);
	if (S_ISREG(st.st_mode))
		s->total_bytes = (uint64_t)st.st_size;
	return 0;
}

int
source_open(struct source **out, const char *path, uint64_t max_bytes, struct err *e)
{
	struct source *s = mem_new(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (s == NULL)
		return err_set(e, ERR_NOMEM, "no memory to read shards");
	s->fd = -1;
	s->max_bytes = max_bytes;
	s->path = mem_strdup(path);
	if (s->path == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory to read shards");
	else if (strncmp(path, "unix:", 5) == 0)
		rc = wait_for_peer(s, path + 5, e);
	else
		rc = file_is_dir(path) ? list_dir(s, e) : open_file(s, e);
	if (rc < 0) {
		source_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
source_close(struct source *s)
{
	if (s == NULL)
		return;
	tensors_close(s->tensors);
	for (size_t i = 0; i < s->n_places; i++)
		mem_free(s->place[i].path);
	if (s->fd >= 0)
		close(s->fd);
	mem_free(s->place);
	mem_free(s->data);
	mem_free(s->path);
	mem_free(s);
}

int
source_next(struct source *s, struct source_shard *out, struct err *e)
{
	int rc;

	tensors_close(s->tensors);
	s->tensors = NULL;
	name_shard(s);
	rc = s->fd < 0 ? next_of_dir(s, e) : next_of_stream(s, e);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return s->ended ? 0 : ends_early(s, e);
	*out = (struct source_shard){.tensors = s->tensors};
	if (s->ended)
		return err_set(e, ERR_FORMAT, "%s: comes behind the last one", s->name);
	if (check_notes(s->tensors, tensors_path(s->tensors), &out->number, &out->last,
		    e) < 0)
		return e->code;
	if (out->number != s->next)
		return err_set(e, ERR_FORMAT,
			"%s: calls itself shard %" PRIu64 ": one is missing, or they "
			"are out of order",
			s->name, out->number);
	s->ended = out->last;
	s->next++;
	return 1;
}

void
source_progress(const struct source *s, uint64_t *done, uint64_t *total)
{
	*done = s->done_bytes;
	*total = s->total_bytes;
}

/* What cannot be sent is nobody's loss: who waited is gone. */
void
source_answer(struct source *s, const char *line)
{
	if (s->is_socket && send(s->fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		log_put(LOG_WARNING, "%s: nobody waits for the answer", s->path);
}
