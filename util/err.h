/* SPDX-License-Identifier: ISC */
/*
 * err: one way to fail, for every room. A fallible function returns 0 or a
 * negative code and leaves a sentence in the struct err it was given; callers
 * put a noun in front with err_wrap(). Printed once, at the top, or sent on
 * the wire with its code. Never prints, never exits.
 */
#ifndef UTIL_ERR_H
#define UTIL_ERR_H

#include <stdarg.h>

/* Codes are wire-stable: a number is never reused. */
enum err_code {
	ERR_OK = 0,
	ERR_NOMEM = -1, /* memory ran out, or --memory would */
	ERR_ARG = -2, /* an argument has the wrong type or is out of range */
	ERR_MISSING = -3, /* a required argument is missing */
	ERR_NOTFOUND = -4, /* what was asked for is not there */
	ERR_FORMAT = -5, /* an input file or frame is malformed */
	ERR_UNSUPPORTED = -6, /* understood, but not something saedb can do */
	ERR_MISMATCH = -7, /* two inputs contradict each other */
	ERR_IO = -8, /* the operating system refused a read or write */
	ERR_FULL = -9, /* the disk, or a map, is full */
	ERR_CORRUPT = -10, /* our own data fails its check */
	ERR_BUSY = -11, /* in use by another writer; try again */
	ERR_VERSION = -12, /* a store of another version */
	ERR_LIMIT = -13, /* larger than a stated limit */
	ERR_DENIED = -14, /* not allowed on this connection */
	ERR_METHOD = -15, /* no such method */
	ERR_STALE = -16, /* a cursor or view of a generation that is gone */
	ERR_CANCELLED = -17, /* stopped by a signal or a cancel */
	ERR_TIMEOUT = -18, /* a deadline passed */
	ERR_INTERNAL = -19, /* our mistake */
};

struct err {
	int code; /* 0 or an enum err_code */
	char arg[32]; /* the argument at fault, or "" */
	char text[720]; /* one sentence, no newline, no full stop */
};

#define ERR_INIT ((struct err){0})

/* Sets code and text, and clears arg. e may be NULL. Returns code. */
int err_set(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set, naming the argument at fault. Returns code. */
int err_arg(struct err *e, int code, const char *arg, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* As err_set with ": " and strerror(errno) behind; ENOSPC and EDQUOT become
 * ERR_FULL, ENOMEM ERR_NOMEM, ENOENT ERR_NOTFOUND, others ERR_IO.
 * Returns the code. */
int err_sys(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " in front of the text. Returns e->code (ERR_INTERNAL if e is
 * NULL), so that `return err_wrap(e, "%s", path);` reads well. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The stable lower-case name of a code, such as "not_found". Never NULL. */
const char *err_name(int code);

#endif
