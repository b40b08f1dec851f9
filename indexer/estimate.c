/* SPDX-License-Identifier: ISC */
#include "indexer/estimate.h"

#include "config.h"
#include "indexer/estimate_int.h"
#include "indexer/machine.h"
#include "indexer/rows.h"
#include "indexer/stop.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_S 2.0 /* that the largest part takes at least, if the corpus has as much */
#define FIRST_TOKENS 4096 /* of the smallest part */

/* ---- from parts to the whole ------------------------------------------------------ */

/* A straight line through two parts. Work for a feature grows less than its tokens: it
 * has so many examples and no more; but what is faster with more tokens is noise. */
static double
extend(double few, double many, double n_few, double n_many, double n)
{
	double straight = many / n_many, slope = straight;

	if (n_many > n_few)
		slope = (many - few) / (n_many - n_few);
	if (slope > straight)
		slope = straight;
	if (slope < straight / 4)
		slope = straight / 4;
	return many + slope * (n - n_many);
}

/* The same of bytes, in which there is no noise. */
static double
extend_bytes(double few, double many, double n_few, double n_many, double n)
{
	double slope = n_many > n_few ? (many - few) / (n_many - n_few) : 0;

	if (slope < 0)
		slope = 0;
	return many + slope * (n - n_many);
}

/* Both parts together tell what a token takes. */
static double
each(double few, double many, double n_few, double n_many, double n)
{
	return (few + many) / (n_few + n_many) * n;
}

typedef double (*rule)(double few, double many, double n_few, double n_many, double n);

static struct pool_time
time_of(const struct estimate_part *few, const struct estimate_part *many, enum stage s,
	rule f, double n)
{
	const struct pool_time *a = &few->of[s], *b = &many->of[s];
	double from = few->n_tokens, to = many->n_tokens;
	double busy = f(a->busy_s, b->busy_s, from, to, n);
	double cpu = f(a->cpu_s, b->cpu_s, from, to, n);

	/* each by a line of its own; but what computes is busy */
	return (struct pool_time){f(a->wall_s, b->wall_s, from, to, n),
		busy > cpu ? busy : cpu, cpu};
}

static void
add_time(struct pool_time *sum, struct pool_time t, double factor)
{
	sum->wall_s += factor * t.wall_s;
	sum->busy_s += factor * t.busy_s;
	sum->cpu_s += factor * t.cpu_s;
}

static const struct {
	enum stage stage;
	rule rule;
} rules[] = {
	{STAGE_CUT, extend},
	{STAGE_FORWARD, each},
	{STAGE_ENCODE, each},
	{STAGE_COUNT, extend},
	{STAGE_WRITE, each},
	{STAGE_FEATURES, extend},
};

static void
extend_all(struct estimate *x, const struct estimate_part *few,
	const struct estimate_part *many, double n)
{
	struct estimate_part *all = &x->whole;

	double peak = extend_bytes(few->peak_bytes, many->peak_bytes, few->n_tokens,
		many->n_tokens, n);

	all->n_tokens += n;
	if (all->peak_bytes < peak)
		all->peak_bytes = peak;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		add_time(&all->of[rules[i].stage],
			time_of(few, many, rules[i].stage, rules[i].rule, n), 1);
	for (size_t k = 0; k < ESTIMATE_FILES; k++)
		all->file_bytes[k] += extend_bytes(few->file_bytes[k],
			many->file_bytes[k], few->n_tokens, many->n_tokens, n);
}

static void
add_directions(struct estimate *x, const struct estimate_part *p)
{
	for (size_t s = 0; s < STAGES; s++)
		add_time(&x->whole.of[s], p->of[s], 1);
	for (size_t k = 0; k < ESTIMATE_FILES; k++)
		x->whole.file_bytes[k] += p->file_bytes[k];
}

/* ---- one group ---------------------------------------------------------------------- */

/* CPU seconds of a thread, which do not depend on what else the machine does. */
static double
cpu_s(const struct estimate *x, const struct estimate_part *p)
{
	double sum = 0;

	for (size_t s = 0; s < STAGES; s++)
		sum += p->of[s].cpu_s;
	return sum / (double)x->plan.n_threads;
}

/* Twice as many tokens each time, until it took long enough to tell, or there are no
 * more of them. */
static int
try_parts(struct estimate *x, const struct plan_group *g, double n_sample, double n,
	struct err *e)
{
	double most = n < n_sample ? n : n_sample;
	double tokens = FIRST_TOKENS > 2 * g->context ? FIRST_TOKENS : 2 * g->context;
	struct estimate_part few, many;

	if (tokens > most) /* a part of so little may have no window */
		tokens = most;
	if (estimate_pass(x, g, (uint64_t)tokens, &many, e) < 0)
		return e->code;
	few = many;
	while (tokens < most && cpu_s(x, &many) < PART_S / x->plan.n_groups) {
		few = many;
		tokens = 2 * tokens < most ? 2 * tokens : most;
		if (estimate_pass(x, g, (uint64_t)tokens, &many, e) < 0)
			return e->code;
	}
	extend_all(x, &few, &many, n);
	return 0;
}

static int
try_group(struct estimate *x, const struct plan_group *g, struct err *e)
{
	double factor = x->n_text_bytes / (double)x->spool.n_bytes, n_sample, n;
	double max_tokens = (double)x->plan.options->max_tokens;
	struct estimate_part directions;
	struct pool_time took;

	if (estimate_tokens(x, g, &n_sample, &took, e) < 0)
		return e->code;
	n = factor * n_sample;
	if (max_tokens > 0 && max_tokens < n)
		n = max_tokens;
	add_time(&x->whole.of[STAGE_TOKENIZE], took, n / n_sample);
	if (try_parts(x, g, n_sample, n, e) < 0 ||
		estimate_directions(x, g, &directions, e) < 0)
		return e->code;
	add_directions(x, &directions);
	return 0;
}

/* ---- telling --------------------------------------------------------------------------- */

static double
disk_bytes(const struct estimate *x)
{
	double sum = 0;

	for (size_t k = 0; k < ESTIMATE_FILES; k++)
		sum += x->whole.file_bytes[k];
	return sum;
}

/* Texts, and tokens with their places in them. */
static double
scratch_bytes(const struct estimate *x)
{
	return 2 * x->n_text_bytes + 12 * x->whole.n_tokens;
}

static double
seconds(const struct estimate *x)
{
	double sum = 0;

	for (size_t s = 0; s < STAGES; s++)
		sum += x->whole.of[s].wall_s;
	return sum;
}

/* Resident: files that are mapped, too, as far as is allowed. */
static uint64_t
memory_bytes(const struct estimate *x)
{
	uint64_t most = x->plan.memory_bytes > x->least_bytes ? x->plan.memory_bytes
							      : x->least_bytes;

	return x->whole.peak_bytes < (double)most ? (uint64_t)x->whole.peak_bytes
						  : most;
}

static bool
fits_disk(const struct estimate *x)
{
	uint64_t free_bytes = machine_free_bytes(x->plan.options->store);

	return free_bytes == 0 ||
		disk_bytes(x) + scratch_bytes(x) <= (double)free_bytes;
}

static bool
fits_memory(const struct estimate *x)
{
	return x->least_bytes <= x->plan.memory_bytes;
}

static void
put_disk(struct out *o, const struct estimate *x)
{
	const struct estimate_part *w = &x->whole;

	out_key(o, "disk");
	out_map(o, 4);
	out_key_f64(o, "store_bytes", disk_bytes(x));
	out_key_f64(o, "scratch_bytes", scratch_bytes(x));
	out_key_uint(o, "free_bytes", machine_free_bytes(x->plan.options->store));
	out_key(o, "files");
	out_map(o, ESTIMATE_FILES);
	for (size_t k = 0; k < ESTIMATE_FILES; k++)
		out_key_f64(o, estimate_file_name[k], w->file_bytes[k]);
	out_end(o);
	out_end(o);
}

static int
write_report(struct estimate *x, struct err *e)
{
	struct buf b;
	struct out o;
	int rc;

	if (x->report.path == NULL)
		return 0;
	buf_init(&b);
	out_init_json(&o, &b, 0);
	out_map(&o, 15);
	report_head(&o, &x->report, "plan");
	report_machine(&o, &x->plan);
	report_options(&o, x->plan.options);
	out_key_f64(&o, "estimated_s", seconds(x));
	out_key_f64(&o, "n_tokens", x->whole.n_tokens);
	out_key_f64(&o, "n_documents", x->n_documents);
	out_key_bool(&o, "all_text_was_read", x->exact);
	out_key(&o, "memory");
	out_map(&o, 3);
	out_key_uint(&o, "limit_bytes", x->plan.memory_bytes);
	out_key_uint(&o, "least_bytes", x->least_bytes);
	out_key_uint(&o, "peak_bytes", memory_bytes(x));
	out_end(&o);
	report_stages(&o, x->whole.of, x->plan.n_threads);
	put_disk(&o, x);
	out_key_bool(&o, "fits", fits_memory(x) && fits_disk(x));
	out_end(&o);
	rc = out_failed(&o) ? err_set(e, ERR_NOMEM, "no memory for the report")
			    : report_put(&x->report, &b, e);
	buf_clear(&b);
	return rc;
}

static const char *
time_text(char out[32], double s)
{
	if (s < 90)
		snprintf(out, 32, "%.1f s", s);
	else if (s < 90 * 60)
		snprintf(out, 32, "%.0f min", s / 60);
	else
		snprintf(out, 32, "%.1f h", s / 3600);
	return out;
}

static void
print_files(const struct estimate *x)
{
	const struct estimate_part *w = &x->whole;

	for (size_t k = 0; k < ESTIMATE_FILES; k++)
		printf("  %-13s %9.1f MB\n", estimate_file_name[k],
			w->file_bytes[k] / 1e6);
	printf("  %-13s %9.1f MB  (%.0f bytes a token), and %.1f MB while it works\n",
		"all", disk_bytes(x) / 1e6, disk_bytes(x) / w->n_tokens,
		scratch_bytes(x) / 1e6);
}

static void
print(const struct estimate *x)
{
	struct buf b;
	char text[32];

	printf("%s%.0f tokens in %s%.0f documents: about %s, %.0f tokens/s, %u run%s\n",
		x->exact ? "" : "about ", x->whole.n_tokens, x->exact ? "" : "about ",
		x->n_documents, time_text(text, seconds(x)),
		x->whole.n_tokens / seconds(x), x->plan.n_groups,
		x->plan.n_groups == 1 ? "" : "s");
	buf_init(&b);
	stages_table(&b, x->whole.of, x->plan.n_threads);
	if (buf_str(&b) != NULL)
		fputs(buf_str(&b), stdout);
	buf_clear(&b);
	printf("memory: at least %.0f MB, about %.0f MB of the %.0f MB that --memory "
	       "allows\n",
		(double)x->least_bytes / 1e6, (double)memory_bytes(x) / 1e6,
		(double)x->plan.memory_bytes / 1e6);
	printf("disk:\n");
	print_files(x);
}

static int
judge(const struct estimate *x, struct err *e)
{
	const char *store = x->plan.options->store;

	if (!fits_memory(x))
		return err_set(e, ERR_LIMIT,
			"it does not fit: it takes at least %.0f MB of memory, and "
			"may have %.0f; raise --memory",
			(double)x->least_bytes / 1e6,
			(double)x->plan.memory_bytes / 1e6);
	if (!fits_disk(x))
		return err_set(e, ERR_FULL,
			"it does not fit: %s has %.0f MB free, and it takes %.0f",
			store, (double)machine_free_bytes(store) / 1e6,
			(disk_bytes(x) + scratch_bytes(x)) / 1e6);
	return 0;
}

/* ---- the command ------------------------------------------------------------------------ */

static int
check(const struct estimate *x, struct err *e)
{
	const struct options *o = x->plan.options;

	if (x->plan.n_sources > 0 || x->plan.rows)
		return err_arg(e, ERR_UNSUPPORTED,
			x->plan.rows ? "corpus" : "activations",
			"plan: only text can be planned for, not shards or token ids");
	for (size_t i = 0; i < o->corpus.n; i++)
		if (strcmp(o->corpus.item[i], "-") == 0)
			return err_arg(e, ERR_ARG, "corpus",
				"plan: standard input cannot be read twice; name a "
				"file");
	return 0;
}

static int
make_dir(struct estimate *x, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	char store[PATH_BYTES];

	if (path_join(x->dir, e, "%s/saedb-plan.XXXXXX",
		    tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp") < 0)
		return e->code;
	if (mkdtemp(x->dir) == NULL) {
		err_sys(e, "%s", x->dir);
		x->dir[0] = '\0';
		return e->code;
	}
	if (path_join(store, e, "%s/store", x->dir) < 0)
		return e->code;
	return store_open(&x->store, store, STORE_CREATE, e);
}

static int
open_all(struct estimate *x, const struct options *o, struct err *e)
{
	const struct stopwatch_time *t = &x->open.of[STAGE_OPEN];

	stopwatch_go(&x->open, STAGE_OPEN);
	progress_init(&x->progress, true, 1);
	if (report_open(&x->report, o->report, e) < 0 ||
		plan_open(&x->plan, o, e) < 0 || check(x, e) < 0 ||
		make_dir(x, e) < 0 || pool_new(&x->pool, x->plan.n_threads, e) < 0)
		return e->code;
	stopwatch_rest(&x->open);
	x->whole.of[STAGE_OPEN] = (struct pool_time){t->busy_s, t->busy_s, t->cpu_s};
	return 0;
}

static int
try_all(struct estimate *x, struct err *e)
{
	if (estimate_read(x, e) < 0)
		return e->code;
	add_time(&x->whole.of[STAGE_READ], x->read,
		x->n_text_bytes / (double)x->spool.n_bytes);
	for (uint32_t i = 0; i < x->plan.n_groups; i++)
		if (try_group(x, &x->plan.group[i], e) < 0)
			return e->code;
	return 0;
}

int
estimate_run(const struct options *o, struct err *e)
{
	struct estimate *x = mem_new(1, sizeof(*x));
	int rc;

	if (x == NULL)
		return err_set(e, ERR_NOMEM, "no memory to plan");
	x->spool.file.fd = -1;
	rc = open_all(x, o, e);
	if (rc == 0)
		rc = try_all(x, e);
	if (rc == 0) {
		print(x);
		rc = write_report(x, e);
	}
	if (rc == 0)
		rc = judge(x, e);
	report_clear(&x->report);
	spool_clear(&x->spool);
	pool_free(x->pool);
	store_close(x->store);
	if (x->dir[0] != '\0')
		dir_remove(x->dir, NULL);
	plan_close(&x->plan);
	mem_free(x);
	return rc;
}
