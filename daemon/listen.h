/* SPDX-License-Identifier: ISC */
/*
 * listen: the sockets saedbd waits on. Unix sockets have mode 0600, and that of a
 * dead daemon is replaced; TCP is bound to loopback only.
 */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include "util/err.h"
#include "util/file.h"

struct listener {
	int fd; /* -1 = not open */
	struct lock lock; /* of a Unix socket's path */
	char path[PATH_BYTES]; /* of a Unix socket, else "" */
	char name[PATH_BYTES + 8]; /* for people: the path, or ADDR:PORT */
};

#define LISTENER_INIT ((struct listener){.fd = -1, .lock = {.fd = -1}})
/* ERR_BUSY when another daemon listens there. */
int listen_unix(struct listener *l, const char *path, struct err *e);
/* where: ADDR:PORT; ADDR numeric, [IPv6] or localhost; port 0 takes any. */
int listen_tcp(struct listener *l, const char *where, struct err *e);
/* Also removes a Unix socket's file. */
void listen_close(struct listener *l);

#endif
