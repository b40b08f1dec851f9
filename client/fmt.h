/* SPDX-License-Identifier: ISC */
/*
 * fmt: numbers as people read them. Each gives a small string by value, so that
 * fmt_count(n).s can stand in an argument list.
 */
#ifndef CLIENT_FMT_H
#define CLIENT_FMT_H

#include <stdint.h>

struct fmt {
	char s[48];
};

struct fmt fmt_count(uint64_t n); /* 1,234,567 */
struct fmt fmt_short(uint64_t n); /* 1.23M */
struct fmt fmt_percent(double share); /* 0.0042 -> 0.42% */
struct fmt fmt_value(double v); /* three digits: 12.3, 0.0412, 1.2e+05 */
struct fmt fmt_bytes(uint64_t n); /* 1.2 KiB */
struct fmt fmt_seconds(double s); /* 3 d 4 h */
struct fmt fmt_time(int64_t time_s); /* 2026-01-31 12:00, UTC */

#endif
