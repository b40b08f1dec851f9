/* SPDX-License-Identifier: ISC */
#include "indexer/approximate.h"

#include "indexer/machine.h"
#include "indexer/stop.h"
#include "util/log.h"
#include "util/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int
tell(void *ctx, const char *stage, uint64_t done, uint64_t total, struct err *e)
{
	struct progress *p = ctx;

	if (strcmp(p->phase, stage) != 0)
		progress_phase(p, stage);
	progress_part(p, done, total);
	return stop_check(e);
}

static void
print(const char *name, const struct store_ann *x, bool have)
{
	printf("%s, %s: %s: recall@10 %.4f of %" PRIu32 " queries, %.1f MiB, ", name,
		x->direction == STORE_ENCODER ? "encoder" : "decoder", x->text,
		x->recall, x->n_queries, (double)x->n_bytes / 0x1p20);
	if (have)
		printf("there already\n");
	else
		printf("built in %.1f s with %.0f MiB\n", x->build_s,
			(double)x->build_bytes / 0x1p20);
	fflush(stdout);
	if (x->recall < STORE_RECALL)
		log_put(LOG_NOTICE,
			"%s: a recall below %.2f: it answers only when it is asked for",
			name, STORE_RECALL);
}

static int
build(struct store *s, struct store_ann_job *job, const char *name,
	struct progress *progress, struct err *e)
{
	struct store_ann x;
	bool have;
	int rc = store_ann_build(s, job, &have, &x, e);

	progress_wipe(progress);
	if (rc == 0)
		print(name, &x, have);
	return rc;
}

/* ---- with an index ------------------------------------------------------------- */

static bool
is_wanted(uint64_t rule, const struct cat_sae *x)
{
	if (rule == ANN_AUTO)
		return (uint64_t)x->d_sae * x->d_out >= STORE_SLOW_NUMBERS;
	return rule == ANN_ALL && x->d_sae >= STORE_ANN_ROWS;
}

/* Its index and name. */
static int
find_sae(struct store *s, const char *id, int64_t *sae, struct cat_sae *out,
	struct err *e)
{
	struct store_view *view;
	const struct store_catalog *c;

	if (store_view_open(&view, s, e) < 0)
		return e->code;
	c = store_view_catalog(view);
	*sae = cat_find_sae(c, id, strlen(id));
	if (*sae >= 0)
		*out = c->sae[*sae];
	store_view_close(view);
	return *sae >= 0
		? 0
		: err_arg(e, ERR_NOTFOUND, "sae", "there is no SAE %.100s", id);
}

int
approximate_write(const struct approximate_job *job, const char *sae_id, struct err *e)
{
	struct cat_sae info;
	int64_t sae;
	struct store_ann_job build_job = {.direction = STORE_DECODER,
		.memory_bytes = job->memory_bytes,
		.n_threads = (uint32_t)job->n_threads,
		.tell = tell,
		.ctx = job->progress};
	int rc = find_sae(job->store, sae_id, &sae, &info, e);

	if (rc != 0 || !is_wanted(job->rule, &info))
		return rc;
	build_job.sae = (uint32_t)sae;
	rc = build(job->store, &build_job, info.name, job->progress, e);
	if (job->rule != ANN_AUTO || (rc != ERR_NOMEM && rc != ERR_UNSUPPORTED))
		return rc;
	log_put(LOG_WARNING, "no approximate index of %s: %s", info.name, e->text);
	*e = ERR_INIT;
	return 0;
}

/* ---- alone ------------------------------------------------------------------------ */

static int
all_ids(struct store *s, char (**id)[STORE_ID_CHARS], uint32_t *n, struct err *e)
{
	struct store_view *view;
	const struct store_catalog *c;
	int rc = 0;

	if (store_view_open(&view, s, e) < 0)
		return e->code;
	c = store_view_catalog(view);
	*id = mem_new(c->n_saes, sizeof(**id));
	if (*id == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory for the SAEs");
	for (uint32_t i = 0; rc == 0 && i < c->n_saes; i++)
		memcpy((*id)[i], c->sae[i].id, STORE_ID_CHARS);
	*n = c->n_saes;
	store_view_close(view);
	return rc;
}

static int
build_named(struct store *s, const struct options *o, struct store_ann_job *job,
	const char *name, struct err *e)
{
	struct cat_sae info;
	int64_t sae;
	int rc = find_sae(s, name, &sae, &info, e);

	if (rc != 0)
		return rc;
	/* of all that are there: those that can have one */
	if (o->dir.n == 1 && info.d_sae < STORE_ANN_ROWS) {
		printf("%s: %u features need no index\n", info.name, info.d_sae);
		return 0;
	}
	job->sae = (uint32_t)sae;
	rc = build(s, job, info.name, job->ctx, e);
	return rc == 0 ? stop_check(e) : rc;
}

int
approximate_run(const struct options *o, struct err *e)
{
	char(*id)[STORE_ID_CHARS] = NULL;
	struct progress progress;
	struct store *s = NULL;
	uint32_t n = 0;
	struct store_ann_job job = {.direction = o->direction == 1 ? STORE_ENCODER
								   : STORE_DECODER,
		.factory = o->factory,
		.memory_bytes = o->memory_bytes > 0 ? o->memory_bytes
						    : machine_memory_bytes() / 2,
		.n_threads = (uint32_t)(o->threads > 0 ? o->threads : pool_cpus()),
		.tell = tell,
		.ctx = &progress};
	int rc;

	progress_init(&progress, o->quiet, o->progress_interval_s);
	rc = store_open(&s, o->dir.item[0], STORE_WRITE, e);
	if (rc == 0 && o->dir.n == 1)
		rc = all_ids(s, &id, &n, e);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = build_named(s, o, &job, id[i], e);
	for (size_t i = 1; rc == 0 && i < o->dir.n; i++)
		rc = build_named(s, o, &job, o->dir.item[i], e);
	progress_wipe(&progress);
	mem_free(id);
	store_close(s);
	return rc;
}
