/* SPDX-License-Identifier: ISC */
#include "indexer/report.h"

#include "config.h"
#include "indexer/machine.h"
#include "kernel/kernel.h"
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPORT_FORMAT 1 /* changes when a key goes or means something else */

/* ---- the file ------------------------------------------------------------------- */

/* Standard output is the report's alone. */
static int
take_stdout(struct report *r, struct err *e)
{
	fflush(stdout);
	r->fd = dup(STDOUT_FILENO);
	if (r->fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return err_sys(e, "--report: standard output");
	return 0;
}

int
report_open(struct report *r, const char *path, struct err *e)
{
	*r = (struct report){.path = path,
		.fd = -1,
		.start_s = stopwatch_now_s(),
		.started_s = (int64_t)time(NULL)};
	buf_init(&r->runs);
	if (path == NULL)
		return 0;
	if (strcmp(path, "-") == 0)
		return take_stdout(r, e);
	if (file_is_dir(path))
		return err_arg(e, ERR_ARG, "report", "--report: %s is a directory",
			path);
	if (path_join(r->beside, e, "%s.%ld.part", path, (long)getpid()) < 0)
		return e->code;
	r->fd = open(r->beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (r->fd < 0) {
		r->beside[0] = '\0';
		return err_sys(e, "--report: %s cannot be written", path);
	}
	return 0;
}

void
report_clear(struct report *r)
{
	if (r->path == NULL)
		return;
	if (r->fd >= 0)
		close(r->fd);
	if (r->beside[0] != '\0')
		unlink(r->beside);
	buf_clear(&r->runs);
	*r = (struct report){.fd = -1};
}

static int
write_all(int fd, const char *path, const uint8_t *p, size_t n, struct err *e)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, "--report: %s", path);
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

int
report_put(struct report *r, const struct buf *json, struct err *e)
{
	int rc = write_all(r->fd, r->path, json->data, json->n_bytes, e);

	if (rc == 0)
		rc = write_all(r->fd, r->path, (const uint8_t *)"\n", 1, e);
	if (rc < 0 || r->beside[0] == '\0')
		return rc;
	if (fsync(r->fd) < 0)
		return err_sys(e, "--report: %s", r->path);
	rc = file_rename(r->beside, r->path, e);
	if (rc == 0)
		r->beside[0] = '\0';
	return rc;
}

/* ---- parts ---------------------------------------------------------------------- */

void
report_head(struct out *o, const struct report *r, const char *command)
{
	out_key_str(o, "saedb", PACKAGE_VERSION);
	out_key_str(o, "command", command);
	out_key_uint(o, "format", REPORT_FORMAT);
	out_key_int(o, "started_s", r->started_s);
	out_key_f64(o, "seconds", stopwatch_now_s() - r->start_s);
}

void
report_machine(struct out *o, const struct plan *p)
{
	char model[256];

	machine_cpu_model(model, sizeof(model));
	out_key(o, "machine");
	out_map(o, 5);
	out_key(o, "cpu");
	out_text(o, model, strlen(model));
	out_key_uint(o, "cpus", pool_cpus());
	out_key_uint(o, "threads", p->n_threads);
	out_key_str(o, "cpu_path", kernel_path_name(kernel_path()));
	out_key_uint(o, "memory_bytes", machine_memory_bytes());
	out_end(o);
}

void
report_options(struct out *o, const struct options *opt)
{
	out_key(o, "options");
	out_map(o, 12);
	out_key_uint(o, "context", opt->context);
	out_key_uint(o, "max_tokens", opt->max_tokens);
	out_key_uint(o, "examples", opt->examples);
	out_key_uint(o, "dedup_radius", opt->dedup_radius);
	out_key_uint(o, "interval_samples", opt->interval_samples);
	out_key_uint(o, "seed", opt->seed);
	out_key_bool(o, "count_special", opt->count_special);
	out_key_bool(o, "joined", opt->joined);
	out_key_uint(o, "memory_bytes", opt->memory_bytes);
	out_key_uint(o, "threads", opt->threads);
	out_key_uint(o, "batch_tokens", opt->batch_tokens);
	out_key_uint(o, "checkpoint_s", opt->checkpoint_s);
	out_end(o);
}

void
report_stages(struct out *o, const struct pool_time *t, size_t n_threads)
{
	double wall_s = 0, all_s;

	for (unsigned s = 0; s < STAGES; s++)
		wall_s += t[s].wall_s;
	all_s = wall_s * (double)n_threads;
	out_key(o, "stages");
	out_map(o, STAGES);
	for (unsigned s = 0; s < STAGES; s++) {
		out_key(o, stage_name((enum stage)s));
		out_map(o, 4);
		out_key_f64(o, "wall_s", t[s].wall_s);
		out_key_f64(o, "busy_s", t[s].busy_s);
		out_key_f64(o, "cpu_s", t[s].cpu_s);
		out_key_f64(o, "share", all_s > 0 ? t[s].busy_s / all_s : 0);
		out_end(o);
	}
	out_end(o);
}

int
report_list(struct out *o, const char *key, const struct buf *list, size_t n,
	struct err *e)
{
	int rc = 0;

	out_key(o, key);
	out_array(o, n);
	for (size_t at = 0; at < list->n_bytes;) {
		const char *json = (const char *)list->data + at;
		int this = out_json_text(o, json, e);

		if (rc == 0)
			rc = this;
		at += strlen(json) + 1;
	}
	out_end(o);
	return rc;
}

static int
write_report(struct report *r, const struct plan *p, const struct pool_time *t,
	struct err *e)
{
	struct buf b;
	struct out o;
	int rc;

	if (r->path == NULL)
		return 0;
	buf_init(&b);
	out_init_json(&o, &b, 0);
	out_map(&o, 10);
	report_head(&o, r, "index");
	report_machine(&o, p);
	report_options(&o, p->options);
	out_key(&o, "memory");
	out_map(&o, 2);
	out_key_uint(&o, "limit_bytes", p->memory_bytes);
	out_key_uint(&o, "peak_bytes", machine_peak_bytes());
	out_end(&o);
	report_stages(&o, t, p->n_threads);
	rc = report_list(&o, "runs", &r->runs, r->n_runs, e);
	out_end(&o);
	if (rc == 0 && out_failed(&o))
		rc = err_set(e, ERR_NOMEM, "no memory for the report");
	if (rc == 0)
		rc = report_put(r, &b, e);
	buf_clear(&b);
	return rc;
}

int
report_end(struct report *r, const struct plan *p, struct pool *pool,
	const struct stopwatch *open, bool quiet, struct err *e)
{
	const struct stopwatch_time *opened = &open->of[STAGE_OPEN];
	struct pool_time t[STOPWATCH_STAGES];
	struct buf b;

	pool_times(pool, t);
	t[STAGE_OPEN] =
		(struct pool_time){opened->busy_s, opened->busy_s, opened->cpu_s};
	buf_init(&b);
	stages_table(&b, t, p->n_threads);
	if (!quiet && buf_str(&b) != NULL)
		fputs(buf_str(&b), stdout);
	buf_clear(&b);
	return write_report(r, p, t, e);
}
