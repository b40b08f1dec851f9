/* SPDX-License-Identifier: ISC */
#include "client/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int64_t
conn_clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
conn_deadline(const struct saedb *db)
{
	return db->timeout_ms < 0 ? -1 : conn_clock_ms() + db->timeout_ms;
}

int
sock_wait(int fd, short events, int64_t deadline, struct err *e)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int64_t left = deadline < 0 ? -1 : deadline - conn_clock_ms();
		int rc;

		if (deadline >= 0 && left < 0)
			left = 0;
		rc = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
		if (rc > 0)
			return 1;
		if (rc == 0 && deadline >= 0 && conn_clock_ms() >= deadline)
			return 0;
		if (rc < 0 && errno != EINTR)
			return err_sys(e, "cannot wait for the daemon");
	}
}

ssize_t
sock_send(void *user, const void *p, size_t n_bytes)
{
	const struct saedb *db = user;
	ssize_t n;

	do
		n = send(db->fd, p, n_bytes, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? SAEDB_AGAIN : SAEDB_IO;
}

ssize_t
sock_receive(void *user, void *p, size_t n_bytes)
{
	const struct saedb *db = user;
	ssize_t n;

	do
		n = recv(db->fd, p, n_bytes, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? SAEDB_AGAIN : SAEDB_IO;
}

/* Connects fd, which is taken. */
static int
finish(int fd, const struct sockaddr *sa, socklen_t n_bytes, const char *shown,
	int64_t deadline, struct err *e)
{
	int rc, number = 0;
	socklen_t n = sizeof(number);

	rc = connect(fd, sa, n_bytes);
	if (rc != 0 && (errno == EINPROGRESS || errno == EINTR || errno == EAGAIN)) {
		rc = sock_wait(fd, POLLOUT, deadline, e);
		if (rc == 0)
			rc = err_set(e, ERR_TIMEOUT, "%s: no connection in time",
				shown);
		if (rc < 0)
			goto out;
		rc = getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &n);
		if (rc == 0 && number != 0) {
			errno = number;
			rc = -1;
		}
	}
	if (rc != 0)
		rc = err_sys(e, "cannot connect to %s", shown);
out:
	if (rc < 0)
		close(fd);
	return rc < 0 ? rc : 0;
}

static int
connect_unix(int *fd, const char *path, int64_t deadline, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int s, rc;

	if (path[0] == '\0')
		return err_arg(e, ERR_ARG, "address", "the address names no socket");
	if (strlen(path) >= sizeof(sa.sun_path))
		return err_arg(e, ERR_LIMIT, "address",
			"%s: the path of a socket has at most %zu bytes", path,
			sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path));
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s < 0)
		return err_sys(e, "cannot make a socket");
	rc = finish(s, (const struct sockaddr *)&sa, sizeof(sa), path, deadline, e);
	if (rc == 0)
		*fd = s;
	return rc;
}

/* Splits "HOST:PORT" or "[HOST]:PORT" in place. */
static int
split_host(char *text, char **host, char **port, struct err *e)
{
	char *colon = strrchr(text, ':'), *end;

	if (colon == NULL || colon == text || colon[1] == '\0')
		return err_arg(e, ERR_ARG, "address", "tcp:%s: expected tcp:HOST:PORT",
			text);
	*colon = '\0';
	*port = colon + 1;
	*host = text;
	if (text[0] != '[')
		return 0;
	end = strchr(text, ']');
	if (end == NULL || end[1] != '\0')
		return err_arg(e, ERR_ARG, "address", "tcp:%s:%s: a ] is missing", text,
			*port);
	*end = '\0';
	(*host)++;
	return 0;
}

static int
connect_tcp(int *fd, const char *where, int64_t deadline, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char text[300], *host = NULL, *port = NULL;
	int rc, one = 1;

	if (strlen(where) >= sizeof(text))
		return err_arg(e, ERR_ARG, "address", "the address is too long");
	snprintf(text, sizeof(text), "%s", where);
	rc = split_host(text, &host, &port, e);
	if (rc != 0)
		return rc;
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0)
		return err_arg(e, ERR_NOTFOUND, "address", "tcp:%s: %s", where,
			gai_strerror(rc));
	rc = err_set(e, ERR_NOTFOUND, "tcp:%s: no such address", where);
	for (struct addrinfo *a = list; a != NULL && rc != 0; a = a->ai_next) {
		int s = socket(a->ai_family,
			a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (s < 0) {
			rc = err_sys(e, "cannot make a socket");
			continue;
		}
		(void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		rc = finish(s, a->ai_addr, a->ai_addrlen, where, deadline, e);
		if (rc == 0)
			*fd = s;
	}
	freeaddrinfo(list);
	return rc;
}

int
sock_connect(int *fd, const char *address, int64_t deadline, struct err *e)
{
	if (strncmp(address, "tcp:", 4) == 0)
		return connect_tcp(fd, address + 4, deadline, e);
	if (strncmp(address, "unix:", 5) == 0)
		return connect_unix(fd, address + 5, deadline, e);
	return connect_unix(fd, address, deadline, e);
}
