/* SPDX-License-Identifier: ISC */
#include "client/fmt.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct fmt
fmt_count(uint64_t n)
{
	struct fmt f;
	char digits[24];
	int n_digits = snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;

	for (int i = 0; i < n_digits; i++) {
		if (i > 0 && (n_digits - i) % 3 == 0)
			f.s[at++] = ',';
		f.s[at++] = digits[i];
	}
	f.s[at] = '\0';
	return f;
}

struct fmt
fmt_short(uint64_t n)
{
	static const char unit[] = " KMGTPE";
	double x = (double)n;
	size_t u = 0;
	struct fmt f;

	if (n < 10000)
		return fmt_count(n);
	while (x >= 999.5 && unit[u + 1] != '\0') {
		x /= 1000;
		u++;
	}
	snprintf(f.s, sizeof(f.s), "%.*f%c",
		x < 9.995           ? 2
			: x < 99.95 ? 1
				    : 0,
		x, unit[u]);
	return f;
}

/* Two digits that count, and no more: 12%, 3.4%, 0.42%, 0.0012%. */
struct fmt
fmt_percent(double share)
{
	double p = share * 100;
	struct fmt f;
	int digits;

	if (!(p > 0) || p >= 100) {
		snprintf(f.s, sizeof(f.s), "%.0f%%", p >= 100 ? p : 0.0);
		return f;
	}
	digits = 1 - (int)floor(log10(p));
	if (digits < 0)
		digits = 0;
	if (digits > 6)
		snprintf(f.s, sizeof(f.s), "%.1e%%", p);
	else
		snprintf(f.s, sizeof(f.s), "%.*f%%", digits, p);
	return f;
}

struct fmt
fmt_value(double v)
{
	double size = fabs(v);
	struct fmt f;
	int digits;

	if (v == 0 || isnan(v) || isinf(v)) {
		snprintf(f.s, sizeof(f.s), v == 0 ? "0" : "%f", v);
	} else if (size >= 99999.5 || size < 0.0001) {
		snprintf(f.s, sizeof(f.s), "%.2e", v);
	} else {
		digits = size >= 99.95 ? 0 : 2 - (int)floor(log10(size));
		snprintf(f.s, sizeof(f.s), "%.*f", digits, v);
	}
	return f;
}

struct fmt
fmt_bytes(uint64_t n)
{
	static const char *const unit[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double x = (double)n;
	size_t u = 0;
	struct fmt f;

	while (x >= 1000 && u < 5) {
		x /= 1024;
		u++;
	}
	snprintf(f.s, sizeof(f.s), "%.*f %s", u > 0 && x < 99.95, x, unit[u]);
	return f;
}

struct fmt
fmt_seconds(double s)
{
	static const struct {
		double s;
		const char *name;
	} unit[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	struct fmt f;
	size_t i = 0;
	double big, rest;

	if (!(s >= 1)) {
		snprintf(f.s, sizeof(f.s), "%.0f ms", s > 0 ? s * 1000 : 0);
		return f;
	}
	while (i < 3 && s < unit[i].s)
		i++;
	big = floor(s / unit[i].s);
	rest = i < 3 ? floor((s - big * unit[i].s) / unit[i + 1].s) : 0;
	if (rest > 0)
		snprintf(f.s, sizeof(f.s), "%.0f %s %.0f %s", big, unit[i].name, rest,
			unit[i + 1].name);
	else
		snprintf(f.s, sizeof(f.s), "%.0f %s", big, unit[i].name);
	return f;
}

struct fmt
fmt_time(int64_t time_s)
{
	time_t t = (time_t)time_s;
	struct fmt f = {"-"};
	struct tm tm;

	if (time_s > 0 && gmtime_r(&t, &tm) != NULL)
		strftime(f.s, sizeof(f.s), "%Y-%m-%d %H:%M", &tm);
	return f;
}
