/* SPDX-License-Identifier: ISC */
#include "util/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const err_names[] = {
	"ok",
	"no_memory",
	"bad_argument",
	"missing_argument",
	"not_found",
	"bad_format",
	"unsupported",
	"mismatch",
	"io",
	"full",
	"corrupt",
	"busy",
	"version",
	"limit",
	"denied",
	"no_method",
	"stale",
	"cancelled",
	"timeout",
	"internal",
};

/* One sentence on one line: control characters become spaces. */
static void
flatten(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

static void
fill(struct err *e, int code, const char *fmt, va_list ap)
{
	e->code = code;
	e->arg[0] = '\0';
	if (vsnprintf(e->text, sizeof(e->text), fmt, ap) < 0)
		snprintf(e->text, sizeof(e->text), "%s", err_name(code));
	flatten(e->text);
}

int
err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return code;
	va_start(ap, fmt);
	fill(e, code, fmt, ap);
	va_end(ap);
	return code;
}

int
err_arg(struct err *e, int code, const char *arg, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return code;
	va_start(ap, fmt);
	fill(e, code, fmt, ap);
	va_end(ap);
	snprintf(e->arg, sizeof(e->arg), "%s", arg);
	return code;
}

static int
code_of_errno(int number)
{
	switch (number) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG: /* a limit on file sizes */
		return ERR_FULL;
	case ENOMEM:
		return ERR_NOMEM;
	case ENOENT:
		return ERR_NOTFOUND;
	default:
		return ERR_IO;
	}
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	int number = errno, code = code_of_errno(number);
	char why[128];
	size_t n;
	va_list ap;

	if (e == NULL)
		return code;
	va_start(ap, fmt);
	fill(e, code, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	/* the GNU strerror_r: returns its text, perhaps not in why */
	snprintf(e->text + n, sizeof(e->text) - n, ": %s",
		strerror_r(number, why, sizeof(why)));
	return code;
}

int
err_wrap(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->text)];
	size_t n;
	va_list ap;

	if (e == NULL)
		return ERR_INTERNAL;
	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	if (vsnprintf(e->text, sizeof(e->text), fmt, ap) < 0)
		e->text[0] = '\0';
	va_end(ap);
	flatten(e->text);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", old);
	return e->code;
}

const char *
err_name(int code)
{
	size_t i = (size_t)(-(long)code);

	if (code > 0 || i >= sizeof(err_names) / sizeof(err_names[0]))
		return "unknown";
	return err_names[i];
}
