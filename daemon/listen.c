/* SPDX-License-Identifier: ISC */
#include "daemon/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

/* ---- Unix ----------------------------------------------------------------- */

/* Whether somebody answers there. */
static bool
is_live(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool live;

	if (fd < 0)
		return false;
	live = connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 ||
		errno == EAGAIN;
	close(fd);
	return live;
}

/* Removes what a dead daemon left; anything but a socket stays. */
static int
make_room(const struct sockaddr_un *a, struct err *e)
{
	struct stat st;

	if (lstat(a->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", a->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_ARG, "%s is there and is not a socket",
			a->sun_path);
	if (is_live(a))
		return err_set(e, ERR_BUSY, "another daemon listens on %s",
			a->sun_path);
	if (unlink(a->sun_path) < 0 && errno != ENOENT)
		return err_sys(e, "%s", a->sun_path);
	return 0;
}

static int
bind_unix(struct listener *l, const struct sockaddr_un *a, struct err *e)
{
	mode_t old;
	int rc;

	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_sys(e, "a socket");
	old = umask(0177);
	rc = bind(l->fd, (const struct sockaddr *)a, sizeof(*a));
	umask(old);
	if (rc < 0)
		return err_sys(e, "cannot listen on %s", a->sun_path);
	snprintf(l->path, sizeof(l->path), "%s", a->sun_path);
	if (listen(l->fd, BACKLOG) < 0)
		return err_sys(e, "cannot listen on %s", a->sun_path);
	return 0;
}

int
listen_unix(struct listener *l, const char *path, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char lock[PATH_BYTES];
	size_t n = strlen(path);
	int rc;

	*l = LISTENER_INIT;
	if (n >= sizeof(a.sun_path))
		return err_set(e, ERR_LIMIT,
			"the socket's path %s has %zu bytes and may have "
			"%zu; name a shorter one with --socket",
			path, n, sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, n + 1);
	snprintf(l->name, sizeof(l->name), "%s", path);
	rc = path_join(lock, e, "%s.lock", path);
	if (rc == 0 && (rc = lock_take(&l->lock, lock, e)) < 0) {
		if (rc == ERR_BUSY)
			err_wrap(e, "another daemon listens on %s", path);
		return rc;
	}
	if (rc == 0)
		rc = make_room(&a, e);
	if (rc == 0)
		rc = bind_unix(l, &a, e);
	if (rc < 0)
		listen_close(l);
	return rc;
}

/* ---- TCP ------------------------------------------------------------------ */

static int
bad_where(struct err *e, const char *where)
{
	return err_set(e, ERR_ARG,
		"--listen must be ADDR:PORT, such as 127.0.0.1:7070 or "
		"[::1]:7070, not \"%s\"",
		where);
}

/* Splits ADDR:PORT; the brackets of an IPv6 address are dropped. */
static int
split(const char *where, char *host, size_t cap, uint16_t *port, struct err *e)
{
	const char *colon = strrchr(where, ':');
	size_t n = colon != NULL ? (size_t)(colon - where) : 0;
	unsigned long v;
	char *end;

	if (n == 0 || colon[1] < '0' || colon[1] > '9')
		return bad_where(e, where);
	v = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || v > 65535)
		return bad_where(e, where);
	if (where[0] == '[' && where[n - 1] == ']')
		where++, n -= 2;
	else if (memchr(where, ':', n) != NULL)
		return bad_where(e, where);
	if (n >= cap)
		return bad_where(e, where);
	memcpy(host, where, n);
	host[n] = '\0';
	*port = (uint16_t)v;
	return 0;
}

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static int
read_address(union address *a, socklen_t *n, const char *where, struct err *e)
{
	static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
	char host[64];
	uint16_t port;
	bool local;

	*a = (union address){0};
	if (split(where, host, sizeof(host), &port, e) < 0)
		return e->code;
	if (strcmp(host, "localhost") == 0)
		snprintf(host, sizeof(host), "127.0.0.1");
	if (inet_pton(AF_INET, host, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(port);
		*n = sizeof(a->in);
		local = ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	} else if (inet_pton(AF_INET6, host, &a->in6.sin6_addr) == 1) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons(port);
		*n = sizeof(a->in6);
		local = memcmp(&a->in6.sin6_addr, &loopback, sizeof(loopback)) == 0;
	} else
		return bad_where(e, where);
	if (!local)
		return err_set(e, ERR_DENIED,
			"saedbd listens on loopback addresses only, and "
			"%s is not one: there are no passwords yet; use a tunnel (ssh "
			"-L)",
			host);
	return 0;
}

static void
name_tcp(struct listener *l)
{
	union address a;
	socklen_t n = sizeof(a);
	char host[INET6_ADDRSTRLEN] = "?";

	if (getsockname(l->fd, &a.any, &n) < 0)
		return;
	if (a.any.sa_family == AF_INET)
		snprintf(l->name, sizeof(l->name), "%s:%u",
			inet_ntop(AF_INET, &a.in.sin_addr, host, sizeof(host)),
			ntohs(a.in.sin_port));
	else
		snprintf(l->name, sizeof(l->name), "[%s]:%u",
			inet_ntop(AF_INET6, &a.in6.sin6_addr, host, sizeof(host)),
			ntohs(a.in6.sin6_port));
}

int
listen_tcp(struct listener *l, const char *where, struct err *e)
{
	union address a;
	socklen_t n = 0;
	int on = 1, rc;

	*l = LISTENER_INIT;
	rc = read_address(&a, &n, where, e);
	if (rc < 0)
		return rc;
	l->fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_sys(e, "a socket");
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(l->fd, &a.any, n) < 0 || listen(l->fd, BACKLOG) < 0) {
		rc = errno == EADDRINUSE
			? err_set(e, ERR_BUSY, "another program listens on %s", where)
			: err_sys(e, "cannot listen on %s", where);
		listen_close(l);
		return rc;
	}
	name_tcp(l);
	return 0;
}

void
listen_close(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	if (l->path[0] != '\0')
		unlink(l->path);
	l->path[0] = '\0';
	lock_release(&l->lock);
}
