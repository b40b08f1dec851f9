/* SPDX-License-Identifier: ISC */
#include "client/local.h"

#include "util/file.h"
#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 60000 /* a store may be large, a machine slow */
#define STOP_MS 5000
#define IDLE_SECONDS "20" /* it ends by itself if we are killed */

/* Static, since signals end the daemon too. */
static volatile pid_t child;
static char dir[64], sock_path[80], lock_path[80], log_path[80];

static void
sleep_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* Only calls that a signal handler may make. */
static void
sweep(void)
{
	if (child > 0)
		kill(child, SIGTERM);
	if (dir[0] != '\0') {
		unlink(sock_path);
		unlink(lock_path);
		unlink(log_path);
		rmdir(dir);
		dir[0] = '\0';
	}
}

static void
on_signal(int number)
{
	sweep();
	signal(number, SIG_DFL);
	raise(number);
}

static void
catch_signals(void)
{
	static const int number[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction old, act = {.sa_handler = on_signal};

	for (size_t i = 0; i < sizeof(number) / sizeof(*number); i++)
		if (sigaction(number[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(number[i], &act, NULL);
}

/* ---- finding saedbd ---- */

static bool
runnable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Beside this program, where it was built or installed. */
static bool
beside(char out[PATH_BYTES])
{
	static const char *const where[] = {"saedbd", "../saedbd", "../sbin/saedbd"};
	static const char libs[] = "/.libs";
	char self[PATH_BYTES];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;
	bool in_libs;

	if (n <= 0)
		return false;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	in_libs =
		strlen(self) > strlen(libs) && strcmp(slash - strlen(libs), libs) == 0;
	for (size_t i = 0; i < sizeof(where) / sizeof(*where); i++) {
		/* .libs has the program that is behind libtool's script. */
		if (i == 0 && in_libs)
			continue;
		if (path_join(out, NULL, "%s/%s", self, where[i]) == 0 && runnable(out))
			return true;
	}
	return false;
}

static bool
on_path(char out[PATH_BYTES])
{
	const char *path = getenv("PATH");
	char all[PATH_BYTES], *rest = all, *one;

	snprintf(all, sizeof(all), "%s:/usr/local/sbin:/usr/sbin",
		path != NULL ? path : "/usr/local/bin:/usr/bin");
	while ((one = strsep(&rest, ":")) != NULL)
		if (path_join(out, NULL, "%s/saedbd", *one != '\0' ? one : ".") == 0 &&
			runnable(out))
			return true;
	return false;
}

static int
find_daemon(char out[PATH_BYTES], struct err *e)
{
	const char *set = getenv("SAEDBD");

	if (set != NULL && set[0] != '\0') {
		if (!runnable(set))
			return err_set(e, ERR_NOTFOUND,
				"$SAEDBD is %s, which cannot be run", set);
		return path_join(out, e, "%s", set);
	}
	if (beside(out) || on_path(out))
		return 0;
	return err_set(e, ERR_NOTFOUND,
		"saedbd is not to be found; set $SAEDBD to where it is");
}

/* ---- starting and stopping it ---- */

static int
make_dir(struct err *e)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	if (base == NULL || access(base, W_OK) != 0)
		base = getenv("TMPDIR");
	if (base == NULL || strlen(base) > sizeof(dir) - 20 || access(base, W_OK) != 0)
		base = "/tmp";
	snprintf(dir, sizeof(dir), "%s/saedb.XXXXXX", base);
	if (mkdtemp(dir) == NULL) {
		dir[0] = '\0';
		return err_sys(e, "cannot make a directory in %s", base);
	}
	snprintf(sock_path, sizeof(sock_path), "%s/sock", dir);
	snprintf(lock_path, sizeof(lock_path), "%s/sock.lock", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	return 0;
}

static _Noreturn void
become_daemon(const char *program, const char *store)
{
	int log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int null = open("/dev/null", O_RDWR);

	dup2(null, 0);
	dup2(null, 1);
	dup2(log, 2);
	signal(SIGPIPE, SIG_DFL);
	execl(program, "saedbd", "--store", store, "--socket", sock_path, "--idle-exit",
		IDLE_SECONDS, (char *)NULL);
	dprintf(2, "saedbd: %s: %s\n", program, strerror(errno));
	_exit(127);
}

/* A line of its log without the time, its name and the level. */
static char *
without_head(char *line)
{
	static const char *const head[] = {"saedbd: ", "error: "};

	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++) {
		char *p = strstr(line, head[i]);

		if (p != NULL && p - line < 40)
			line = p + strlen(head[i]);
	}
	return line;
}

/* The last line that it has said. */
static int
died(const char *store, struct err *e)
{
	struct buf b;
	char *text, *last;

	buf_init(&b);
	if (file_read(log_path, 1 << 20, &b, NULL) != 0 || buf_str(&b) == NULL)
		buf_puts(&b, "");
	text = buf_str(&b);
	while (b.n_bytes > 0 && text[b.n_bytes - 1] == '\n')
		text[--b.n_bytes] = '\0';
	last = text != NULL ? strrchr(text, '\n') : NULL;
	last = last != NULL ? last + 1 : text;
	last = last != NULL ? without_head(last) : NULL;
	if (last == NULL || *last == '\0')
		err_set(e, ERR_IO, "%s: saedbd ended at once and said nothing", store);
	else if (strstr(last, store) != NULL)
		err_set(e, ERR_IO, "%s", last);
	else
		err_set(e, ERR_IO, "%s: %s", store, last);
	buf_clear(&b);
	return ERR_IO;
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
wait_for(struct saedb *db, const char *store, struct err *e)
{
	int64_t deadline = now_ms() + START_MS;
	struct saedb_reply *r;

	for (long nap = 2; now_ms() < deadline; nap = nap < 50 ? nap * 2 : nap) {
		if (saedb_connect(db, sock_path) == 0) {
			int rc = saedb_call(db, &r, "server.ping", NULL);

			saedb_reply_free(r);
			return rc == 0 ? 0 : err_set(e, rc, "%s", saedb_error(db));
		}
		if (waitpid(child, NULL, WNOHANG) == child) {
			child = 0;
			return died(store, e);
		}
		sleep_ms(nap);
	}
	return err_set(e, ERR_TIMEOUT, "%s: saedbd did not answer within %d s", store,
		START_MS / 1000);
}

static int
start(struct saedb *db, const char *store, struct err *e)
{
	char program[PATH_BYTES];
	int rc = find_daemon(program, e);
	pid_t pid;

	if (rc == 0)
		rc = make_dir(e);
	if (rc != 0)
		return rc;
	catch_signals();
	pid = fork();
	if (pid == 0)
		become_daemon(program, store);
	if (pid < 0)
		return err_sys(e, "cannot start saedbd");
	child = pid;
	return wait_for(db, store, e);
}

void
local_close(void)
{
	int64_t deadline = now_ms() + STOP_MS;

	if (child > 0)
		kill(child, SIGTERM);
	while (child > 0) {
		pid_t got = waitpid(child, NULL, WNOHANG);

		if (got == child || (got < 0 && errno != EINTR))
			child = 0;
		else if (now_ms() > deadline)
			kill(child, SIGKILL);
		if (child > 0)
			sleep_ms(2);
	}
	if (dir[0] != '\0')
		dir_remove(dir, NULL); /* whatever it has left there */
	dir[0] = '\0';
}

bool
local_is_ours(void)
{
	return child > 0;
}

int
local_open(struct saedb *db, const char *store, struct err *e)
{
	char path[PATH_BYTES];
	int rc;

	if (!file_is_dir(store))
		return err_set(e, ERR_NOTFOUND,
			"%s: no store there (--store DIR or $SAEDB_STORE)", store);
	rc = path_join(path, e, "%s/saedbd.sock", store);
	if (rc != 0)
		return rc;
	if (file_exists(path) && saedb_connect(db, path) == 0)
		return 0;
	rc = start(db, store, e);
	if (rc != 0)
		local_close();
	return rc;
}
