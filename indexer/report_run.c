/* SPDX-License-Identifier: ISC */
/*
 * One run, as it is told: to people, and as JSON with the bytes that it takes.
 */
#include "indexer/provenance.h"
#include "indexer/report.h"
#include "indexer/report_sae.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

/* ---- for people ------------------------------------------------------------------ */

static bool
is_fed(const struct report_run *x)
{
	return x->plan->n_sources > 0;
}

static const struct plan_sae *
sae_of(const struct report_run *x, uint32_t i)
{
	return &x->plan->sae[x->group->sae[i]];
}

static double
l0(const struct pass_result *p)
{
	return p->n_tokens > 0 ? (double)p->n_active / (double)p->n_tokens : 0;
}

/* Tokens that another process, or another run, had done. */
static uint64_t
before(const struct report_run *x)
{
	return x->windows->token_at[x->checkpoints->from] +
		reuse_n_tokens(x->reuse, x->checkpoints->from);
}

static double
seconds(const struct report_run *x)
{
	return is_fed(x) ? x->fed->ingest.seconds : x->pass_s;
}

static double
rate(const struct report_run *x)
{
	double s = seconds(x);

	return s > 0 ? (double)(windows_n_tokens(x->windows) - before(x)) / s : 0;
}

void
report_print(const struct report_run *x)
{
	if (!x->is_new) {
		printf("run %u is there already: the same model, SAEs, corpus and "
		       "options\n",
			x->number);
		return;
	}
	printf("run %u: %llu tokens of %s in %u windows, %u documents; %.1f s of %s at "
	       "%.0f tokens/s\n",
		x->number, (unsigned long long)windows_n_tokens(x->windows),
		x->cut->name, x->cut->n_windows, x->cut->n_documents, seconds(x),
		!is_fed(x)                 ? "model"
			: x->plan->latents ? "reading"
					   : "encoding",
		rate(x));
	for (uint32_t i = 0; i < x->group->n_saes; i++)
		report_sae(sae_of(x, i)->name, &x->result[i], x->plan->first,
			x->plan->end);
	if (x->checkpoints->n > 0)
		printf("  %u checkpoints took %.2f s\n", x->checkpoints->n,
			x->checkpoints->seconds);
}

/* ---- bytes on disk ---------------------------------------------------------------- */

/* Files of one directory of the store, and what they hold something of each of. */
struct place {
	const char *kind, *dir; /* below the store */
	const char *sae; /* name, or NULL */
	uint64_t n_tokens, n_features; /* 0: it has nothing of each */
};

static void
put_file(struct out *o, const struct place *p, const char *name, uint64_t n_bytes)
{
	out_map(o,
		(size_t)3 + (p->sae != NULL) + (p->n_tokens > 0) + (p->n_features > 0));
	out_key_str(o, "object", p->kind);
	if (p->sae != NULL)
		out_key_str(o, "sae", p->sae);
	out_key(o, "file");
	out_text(o, name, strlen(name));
	out_key_uint(o, "bytes", n_bytes);
	if (p->n_tokens > 0)
		out_key_f64(o, "bytes_per_token",
			(double)n_bytes / (double)p->n_tokens);
	if (p->n_features > 0)
		out_key_f64(o, "bytes_per_feature",
			(double)n_bytes / (double)p->n_features);
	out_end(o);
}

/* Into a list of JSON texts, since arrays want their lengths first. */
static int
add_file(struct buf *list, size_t *n, const struct place *p, const char *dir,
	const char *name, struct err *e)
{
	char path[PATH_BYTES];
	uint64_t n_bytes = 0;
	struct out o;

	if (path_join(path, e, "%s/%s", dir, name) < 0 ||
		file_size(path, &n_bytes, e) < 0)
		return e->code;
	out_init_json(&o, list, 0);
	put_file(&o, p, name, n_bytes);
	buf_u8(list, '\0');
	(*n)++;
	return 0;
}

static int
add_place(struct buf *list, size_t *n, const struct place *p, const char *store,
	struct err *e)
{
	char dir[PATH_BYTES], **names = NULL;
	size_t n_names = 0;
	int rc = path_join(dir, e, "%s/%s", store, p->dir);

	if (rc == 0)
		rc = dir_list(dir, &names, &n_names, e);
	for (size_t i = 0; i < n_names; i++) {
		if (rc == 0)
			rc = add_file(list, n, p, dir, names[i], e);
		mem_free(names[i]);
	}
	mem_free(names);
	return rc;
}

/* Of neighbors of one SAE's features in it and others. */
static int
add_graphs(struct buf *list, size_t *n, const struct plan_sae *s, const char *store,
	struct err *e)
{
	char dir[PATH_BYTES], sub[128], **names = NULL;
	const struct place p = {"graph", sub, s->name, 0, s->sae->info.d_sae};
	size_t n_names = 0, n_id = strlen(s->id);
	int rc = path_join(dir, e, "%s/graph", store);

	if (rc == 0 && file_is_dir(dir))
		rc = dir_list(dir, &names, &n_names, e);
	for (size_t i = 0; i < n_names; i++) {
		if (rc == 0 && strncmp(names[i], s->id, n_id) == 0) {
			snprintf(sub, sizeof(sub), "graph/%s", names[i]);
			rc = add_place(list, n, &p, store, e);
		}
		mem_free(names[i]);
	}
	mem_free(names);
	return rc;
}

static int
add_disk(struct buf *list, size_t *n, const struct report_run *x, struct err *e)
{
	const char *store = x->plan->options->store;
	char dir[64];
	struct place p = {"cut", dir, NULL, x->cut->n_tokens, 0};
	int rc;

	snprintf(dir, sizeof(dir), "cut/%s", x->cut->id);
	rc = add_place(list, n, &p, store, e);
	for (uint32_t i = 0; i < x->group->n_saes && rc == 0; i++) {
		const struct plan_sae *s = sae_of(x, i);

		p = (struct place){"run", dir, s->name, x->cut->n_tokens,
			s->sae->info.d_sae};
		snprintf(dir, sizeof(dir), "run/%s/%02u", x->id, i);
		rc = add_place(list, n, &p, store, e);
		p.kind = "sae";
		p.n_tokens = 0;
		snprintf(dir, sizeof(dir), "sae/%s", s->id);
		if (rc == 0)
			rc = add_place(list, n, &p, store, e);
		if (rc == 0)
			rc = add_graphs(list, n, s, store, e);
	}
	return rc;
}

/* ---- for programs ------------------------------------------------------------------- */

static void
put_sae(struct out *o, const struct report_run *x, uint32_t i)
{
	const struct plan_sae *s = sae_of(x, i);
	const struct pass_result *p = &x->result[i];

	out_map(o, 9);
	out_key_str(o, "sae", s->name);
	out_key_str(o, "id", s->id);
	out_key_uint(o, "n_features", s->sae->info.d_sae);
	out_key_uint(o, "n_tokens", p->n_tokens);
	out_key_uint(o, "n_active", p->n_active);
	out_key_uint(o, "n_alive", p->n_alive);
	out_key_f64(o, "l0", l0(p));
	out_key_f64(o, "explained", p->explained);
	out_key_f64(o, "mse", p->mse);
	out_end(o);
}

static void
put_new(struct out *o, const struct report_run *x)
{
	out_key_uint(o, "resumed_from_token", before(x));
	out_key_f64(o, "pass_s", seconds(x));
	out_key_f64(o, "tokens_per_s", rate(x));
	out_key(o, "checkpoints");
	out_map(o, 2);
	out_key_uint(o, "n", x->checkpoints->n);
	out_key_f64(o, "seconds", x->checkpoints->seconds);
	out_end(o);
	out_key_uint(o, "batch_tokens", x->memory->batch_tokens);
	out_key(o, "saes");
	out_array(o, x->group->n_saes);
	for (uint32_t i = 0; i < x->group->n_saes; i++)
		put_sae(o, x, i);
	out_end(o);
}

static int
put_run(struct out *o, const struct report_run *x, struct buf *inputs,
	const struct buf *disk, size_t n_disk, struct err *e)
{
	int rc;

	out_map(o, x->is_new ? 14 : 8);
	out_key_uint(o, "run", x->number);
	out_key_str(o, "id", x->id);
	out_key_bool(o, "was_there", !x->is_new);
	out_key_uint(o, "n_tokens", x->cut->n_tokens);
	out_key_uint(o, "n_windows", x->cut->n_windows);
	out_key_uint(o, "n_documents", x->cut->n_documents);
	if (x->is_new)
		put_new(o, x);
	rc = report_list(o, "disk", disk, n_disk, e);
	out_key(o, "provenance");
	if (rc == 0)
		rc = out_json_text(o, (const char *)inputs->data, e);
	else
		out_nil(o);
	out_end(o);
	return rc;
}

int
report_add(struct report *r, const struct report_run *x, struct err *e)
{
	struct buf inputs, disk;
	size_t n_disk = 0;
	struct out o;
	int rc;

	if (r->path == NULL)
		return 0;
	buf_init(&inputs);
	buf_init(&disk);
	rc = provenance_write(&inputs, x->plan, x->group, x->cut, x->fed, x->reuse, e);
	if (rc == 0 && x->is_new)
		rc = add_disk(&disk, &n_disk, x, e);
	if (rc == 0 && (buf_str(&inputs) == NULL || disk.failed))
		rc = err_set(e, ERR_NOMEM, "no memory for the report");
	if (rc == 0) {
		out_init_json(&o, &r->runs, 0);
		rc = put_run(&o, x, &inputs, &disk, n_disk, e);
		buf_u8(&r->runs, '\0');
		r->n_runs++;
		if (rc == 0 && out_failed(&o))
			rc = err_set(e, ERR_NOMEM, "no memory for the report");
	}
	buf_clear(&inputs);
	buf_clear(&disk);
	return rc;
}
