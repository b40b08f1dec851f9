/* SPDX-License-Identifier: ISC */
#include "indexer/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DRAW_S 0.2 /* between two drawings of the bar */
#define BAR 16 /* columns */

double
progress_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void
progress_init(struct progress *p, bool quiet, uint64_t interval_s)
{
	*p = (struct progress){.quiet = quiet,
		.terminal = isatty(STDERR_FILENO) == 1,
		.interval_s = interval_s};
	progress_phase(p, "");
}

void
progress_phase(struct progress *p, const char *phase)
{
	progress_wipe(p);
	snprintf(p->phase, sizeof(p->phase), "%s", phase);
	p->start_s = p->shown_s = progress_now_s();
	p->from = 0;
}

void
progress_from(struct progress *p, uint64_t done)
{
	p->from = done;
}

/* Units a second, of those done in this phase. */
static double
rate(const struct progress *p, uint64_t done)
{
	double elapsed = progress_elapsed_s(p);

	return elapsed > 0 && done > p->from ? (double)(done - p->from) / elapsed : 0;
}

double
progress_elapsed_s(const struct progress *p)
{
	return progress_now_s() - p->start_s;
}

bool
progress_due(const struct progress *p)
{
	double wait = p->terminal ? DRAW_S : (double)p->interval_s;

	return !p->quiet && progress_now_s() - p->shown_s >= wait;
}

void
progress_wipe(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}

static void
draw_bar(char out[BAR + 1], double share)
{
	int n = (int)(share * BAR);

	for (int i = 0; i < BAR; i++)
		out[i] = i < n ? '#' : '.';
	out[BAR] = '\0';
}

static void
left_text(char *out, size_t size, double seconds)
{
	long s = (long)(seconds + 0.5);

	if (s >= 3600)
		snprintf(out, size, "%ld:%02ld:%02ld left", s / 3600, s / 60 % 60,
			s % 60);
	else
		snprintf(out, size, "%ld:%02ld left", s / 60, s % 60);
}

__attribute__((format(printf, 4, 5))) static void
show(struct progress *p, uint64_t done, uint64_t total, const char *fmt, ...)
{
	double share = total > 0 && done <= total ? (double)done / (double)total : 0;
	char bar[BAR + 1], text[160], left[40] = "";
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (share > 0 && rate(p, done) > 0)
		left_text(left, sizeof(left), (double)(total - done) / rate(p, done));
	draw_bar(bar, share);
	if (p->terminal)
		fprintf(stderr, "\r\033[K%-8s [%s] %3.0f%%  %s  %s", p->phase, bar,
			share * 100, text, left);
	else
		fprintf(stderr, "%s: %.0f%%, %s%s%s\n", p->phase, share * 100, text,
			left[0] ? ", " : "", left);
	fflush(stderr);
	p->drawn = p->terminal;
	p->shown_s = progress_now_s();
}

void
progress_read(struct progress *p, uint64_t n_docs, uint64_t done_bytes,
	uint64_t total_bytes)
{
	if (progress_due(p))
		show(p, done_bytes, total_bytes, "%llu documents, %.1f MB",
			(unsigned long long)n_docs, (double)done_bytes / 1e6);
}

void
progress_cut(struct progress *p, uint64_t done, uint64_t total)
{
	if (progress_due(p))
		show(p, done, total, "%llu documents", (unsigned long long)done);
}

void
progress_tokens(struct progress *p, uint64_t done, uint64_t total, uint64_t n_alive,
	uint64_t n_features)
{
	if (progress_due(p))
		show(p, done, total, "%.0f tokens/s, %llu of %llu features alive",
			rate(p, done), (unsigned long long)n_alive,
			(unsigned long long)n_features);
}

void
progress_stream(struct progress *p, uint64_t done, uint64_t total, uint64_t done_bytes,
	uint64_t total_bytes)
{
	double elapsed = progress_elapsed_s(p);

	if (progress_due(p))
		show(p, total > 0 ? done : done_bytes, total > 0 ? total : total_bytes,
			"%llu tokens, %.0f tokens/s, %.1f MB", (unsigned long long)done,
			elapsed > 0 ? (double)done / elapsed : 0,
			(double)done_bytes / 1e6);
}

void
progress_part(struct progress *p, uint64_t done, uint64_t total)
{
	if (progress_due(p))
		show(p, done, total, "%llu of %llu", (unsigned long long)done,
			(unsigned long long)total);
}
