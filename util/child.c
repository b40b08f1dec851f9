/* SPDX-License-Identifier: ISC */
#include "util/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* An error fits into a pipe, so that it is written at once. */
static void
work(int fd, int (*fn)(void *ctx, struct err *e), void *ctx)
{
	struct rlimit none = {0, 0};
	struct err mine = ERR_INIT;
	ssize_t n;

	setrlimit(RLIMIT_CORE, &none);
	mine.code = fn(ctx, &mine);
	n = write(fd, &mine, sizeof(mine));
	_exit(n != (ssize_t)sizeof(mine));
}

static bool
answer(int fd, struct err *e)
{
	size_t n = 0;
	ssize_t more;

	do {
		more = read(fd, (char *)e + n, sizeof(*e) - n);
		if (more > 0)
			n += (size_t)more;
	} while (n < sizeof(*e) && (more > 0 || (more < 0 && errno == EINTR)));
	return n == sizeof(*e);
}

int
child_try(int (*fn)(void *ctx, struct err *e), void *ctx, const char *what,
	struct err *e)
{
	struct err theirs;
	int fd[2], status = 0;
	bool answered;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return 0;
	pid = fork();
	if (pid == 0)
		work(fd[1], fn, ctx);
	close(fd[1]);
	answered = pid > 0 && answer(fd[0], &theirs);
	close(fd[0]);
	if (pid < 0)
		return 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!answered)
		return err_set(e, ERR_CORRUPT, "%s: a signal ended what reads it: %s",
			what,
			WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "none");
	if (theirs.code != 0 && e != NULL)
		*e = theirs;
	return theirs.code;
}
