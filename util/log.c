/* SPDX-License-Identifier: ISC */
#include "util/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic(enum log_level) most = LOG_NOTICE;
static const char *_Atomic name = "saedb";

static const char *const words[] = {"error", "warning", "notice", "info", "debug"};

void
log_set_level(enum log_level level)
{
	atomic_store(&most, level);
}

void
log_set_name(const char *program)
{
	atomic_store(&name, program);
}

/* One write() a line, so that lines of several threads do not mix. */
void
log_put(enum log_level level, const char *fmt, ...)
{
	char line[2048], stamp[32];
	struct timespec now;
	struct tm tm;
	int head, body;
	size_t n;
	va_list ap;

	if (level > atomic_load_explicit(&most, memory_order_relaxed))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	head = snprintf(line, sizeof(line), "%s.%03ldZ %s: %s: ", stamp,
		now.tv_nsec / 1000000, atomic_load(&name), words[level]);
	if (head < 0 || (size_t)head >= sizeof(line) - 2)
		return;
	va_start(ap, fmt);
	body = vsnprintf(line + head, sizeof(line) - 1 - (size_t)head, fmt, ap);
	va_end(ap);
	if (body < 0)
		return;
	n = strlen(line);
	for (size_t i = 0; i < n; i++)
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nowhere is left to say so */
}
