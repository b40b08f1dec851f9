/* SPDX-License-Identifier: ISC */
#include "indexer/progress.h"

#include "util/stopwatch.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DRAW_S 0.2 /* between two drawings of the bar */
#define BAR 8 /* columns */
#define COLUMNS 80 /* of a terminal that does not say */
#define LEAST_SHARE 0.02 /* of the threads' time: a stage below is not shown */

void
progress_init(struct progress *p, bool quiet, uint64_t interval_s)
{
	*p = (struct progress){.quiet = quiet,
		.terminal = isatty(STDERR_FILENO) == 1,
		.interval_s = interval_s};
	progress_phase(p, "");
}

void
progress_watch(struct progress *p, struct pool *pool)
{
	p->pool = pool;
	pool_times(pool, p->last);
}

void
progress_phase(struct progress *p, const char *phase)
{
	progress_wipe(p);
	if (p->pool != NULL)
		pool_times(p->pool, p->last);
	p->last_done = 0;
	snprintf(p->phase, sizeof(p->phase), "%s", phase);
	p->start_s = p->shown_s = stopwatch_now_s();
	p->from = 0;
}

void
progress_from(struct progress *p, uint64_t done)
{
	p->from = p->last_done = done;
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
	return stopwatch_now_s() - p->start_s;
}

bool
progress_due(const struct progress *p)
{
	double wait = p->terminal ? DRAW_S : (double)p->interval_s;

	return !p->quiet && stopwatch_now_s() - p->shown_s >= wait;
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

/* ---- what is shown ------------------------------------------------------------- */

/* Parts of a line, the weightiest first: on a terminal those that fit. */
struct line {
	char text[256];
	size_t n, room;
};

__attribute__((format(printf, 2, 3))) static void
add(struct line *l, const char *fmt, ...)
{
	char part[128];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(part, sizeof(part), fmt, args);
	va_end(args);
	if (n <= 0 || (size_t)n >= sizeof(part) || l->n + (size_t)n > l->room)
		return;
	memcpy(l->text + l->n, part, (size_t)n + 1);
	l->n += (size_t)n;
}

static size_t
columns(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
		return w.ws_col;
	return COLUMNS;
}

static struct line
line_new(const struct progress *p)
{
	struct line l = {.room = sizeof(l.text) - 1};

	if (p->terminal && columns() - 1 < l.room)
		l.room = columns() - 1; /* the last column would wrap */
	return l;
}

/* "1.24M", "98k", "9.8k", "512" */
static const char *
short_text(char out[16], double n)
{
	if (n >= 1e6)
		snprintf(out, 16, "%.2fM", n / 1e6);
	else if (n >= 1e3)
		snprintf(out, 16, "%.*fk", n < 1e4, n / 1e3);
	else
		snprintf(out, 16, "%.0f", n);
	return out;
}

/* What was done since something was shown. */
static void
take_span(struct progress *p, struct stages_span *s)
{
	struct pool_time now[STOPWATCH_STAGES];

	pool_times(p->pool, now);
	stages_span(s, p->last, now);
	memcpy(p->last, now, sizeof(now));
}

/* The stages' own rates: what all threads would do if they did nothing else. The one
 * that takes most stands first. */
static void
add_rates(const struct progress *p, struct line *l, struct stages_span *s, double units)
{
	double n = (double)pool_n_threads(p->pool);
	const char *before = p->terminal ? "  " : ", alone ";
	char text[16];

	for (unsigned k = 0; k < STAGES && units > 0; k++) {
		unsigned i = stages_bound(s, pool_n_threads(p->pool)).stage;
		double busy_s = s->of[i].busy_s;

		s->of[i].busy_s = 0;
		if (busy_s < LEAST_SHARE * s->wall_s * n || busy_s <= 0)
			break;
		if (i == STAGE_OTHER)
			continue;
		add(l, "%s%s %s", before, stage_name((enum stage)i),
			short_text(text, units * n / busy_s));
		before = p->terminal ? " " : ", ";
	}
}

/* "CPU 97%", "waiting 60%", "one thread": what bounds it. */
static void
add_bound(const struct progress *p, struct line *l, const struct stages_span *s)
{
	size_t n = pool_n_threads(p->pool);
	struct stages_bound b = stages_bound(s, n);
	double cpu = stages_cpu(s, n), busy = stages_busy(s, n);

	if (s->wall_s <= 0)
		return;
	add(l, "%s%s %.0f%%", p->terminal ? "  " : ", bound by ",
		stages_bound_name(b.by),
		100 * (b.by == BOUND_WAITING ? busy - cpu : cpu));
	if (!p->terminal)
		add(l, " (%s)", stage_name(b.stage));
}

static void
put_line(struct progress *p, const struct line *l)
{
	if (p->terminal)
		fprintf(stderr, "\r\033[K%s", l->text);
	else
		fprintf(stderr, "%s\n", l->text);
	fflush(stderr);
	p->drawn = p->terminal;
	p->shown_s = stopwatch_now_s();
}

/* rates: units are tokens, and each stage has its rate of them. */
__attribute__((format(printf, 5, 6))) static void
show(struct progress *p, uint64_t done, uint64_t total, bool rates, const char *fmt,
	...)
{
	double share = total > 0 && done <= total ? (double)done / (double)total : 0;
	struct line l = line_new(p), tail = line_new(p);
	char bar[BAR + 1], text[160], left[40] = "";
	struct stages_span span = {.wall_s = 0};
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (share > 0 && rate(p, done) > 0)
		left_text(left, sizeof(left), (double)(total - done) / rate(p, done));
	draw_bar(bar, share);
	if (p->pool != NULL)
		take_span(p, &span);
	if (p->terminal)
		add(&l, "%s [%s] %3.0f%%  %s", p->phase, bar, share * 100, text);
	else
		add(&l, "%s: %.0f%%, %s", p->phase, share * 100, text);
	if (left[0] != '\0')
		add(&tail, "%s%s", p->terminal ? "  " : ", ", left);
	l.room -= tail.n < l.room ? tail.n : l.room;
	if (p->pool != NULL)
		add_bound(p, &l, &span);
	if (p->pool != NULL && rates && done > p->last_done)
		add_rates(p, &l, &span, (double)(done - p->last_done));
	l.room += tail.n;
	add(&l, "%s", tail.text);
	p->last_done = done;
	put_line(p, &l);
}

void
progress_read(struct progress *p, uint64_t n_docs, uint64_t done_bytes,
	uint64_t total_bytes)
{
	if (progress_due(p))
		show(p, done_bytes, total_bytes, false,
			"%llu documents, %.1f MB, %.1f MB/s",
			(unsigned long long)n_docs, (double)done_bytes / 1e6,
			rate(p, done_bytes) / 1e6);
}

void
progress_cut(struct progress *p, uint64_t done, uint64_t total)
{
	if (progress_due(p))
		show(p, done, total, false, "%llu documents, %.0f/s",
			(unsigned long long)done, rate(p, done));
}

void
progress_tokens(struct progress *p, uint64_t done, uint64_t total, uint64_t n_alive,
	uint64_t n_features)
{
	char text[16];

	if (!progress_due(p))
		return;
	if (p->terminal)
		show(p, done, total, true, "%s tokens/s",
			short_text(text, rate(p, done)));
	else
		show(p, done, total, true, "%.0f tokens/s, %llu of %llu features alive",
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
			total > 0, "%llu tokens, %.0f tokens/s, %.1f MB",
			(unsigned long long)done,
			elapsed > 0 ? (double)done / elapsed : 0,
			(double)done_bytes / 1e6);
}

void
progress_part(struct progress *p, uint64_t done, uint64_t total)
{
	if (progress_due(p))
		show(p, done, total, false, "%llu of %llu", (unsigned long long)done,
			(unsigned long long)total);
}
