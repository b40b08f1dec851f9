/* SPDX-License-Identifier: ISC */
#include "indexer/reading.h"

#include "indexer/corpus.h"
#include "indexer/rows.h"
#include "indexer/stop.h"
#include "util/file.h"

#include <stdio.h>

struct reading {
	struct spool *spool;
	struct corpus *corpus;
	struct progress *progress;
};

static int
tick(void *ctx, struct err *e)
{
	struct reading *r = ctx;
	uint64_t done, total;

	if (progress_due(r->progress)) {
		corpus_progress(r->corpus, &done, &total);
		progress_read(r->progress, r->spool->n_docs, done, total);
	}
	return stop_check(e);
}

int
reading_corpus(const struct options *o, struct spool *spool, struct progress *progress,
	struct err *e)
{
	struct corpus_rules rules = {o->text_field, o->id_field, o->strict, o->lines};
	struct reading r = {spool, NULL, progress};
	char tmp[PATH_BYTES];
	int rc = path_join(tmp, e, "%s/tmp", o->store);

	if (rc == 0)
		rc = corpus_open(&r.corpus, o->corpus.item, o->corpus.n, &rules, e);

	progress_phase(progress, "reading");
	if (rc == 0)
		rc = spool_fill(spool, tmp, r.corpus, tick, &r, e);
	corpus_close(r.corpus);
	return rc;
}

int
reading_shards(struct fed *f, const struct plan *p, struct pool *pool,
	struct progress *progress, struct err *e)
{
	const struct plan_group *g = &p->group[0];
	struct ingest_job job = {.plan = p,
		.group = g,
		.pool = pool,
		.progress = progress,
		.feed = &f->feed};

	*f = (struct fed){0};
	/* n_vocab counts <patch>, which is the last */
	if (path_join(f->scratch, e, "%s/tmp", p->options->store) < 0 ||
		feed_init(&f->feed, f->scratch, p->tok, p->n_vocab - 1, g->n_saes, e) <
			0 ||
		ingest_run(&job, &f->ingest, e) < 0)
		return e->code;
	return feed_done(&f->feed, e);
}

static int
tick_rows(void *ctx, uint64_t done, uint64_t total, struct err *e)
{
	progress_part(ctx, done, total);
	return stop_check(e);
}

int
reading_rows(struct fed *f, const struct plan *p, struct progress *progress,
	struct err *e)
{
	const struct option_list *corpus = &p->options->corpus;
	int rc;

	*f = (struct fed){0};
	progress_phase(progress, "reading");
	if (path_join(f->scratch, e, "%s/tmp", p->options->store) < 0)
		return e->code;
	rc = feed_init(&f->feed, f->scratch, p->tok, p->n_vocab, 0, e);
	for (size_t i = 0; i < corpus->n && rc == 0; i++)
		rc = rows_read(corpus->item[i], &f->feed, p->group[0].context,
			lm_info(p->lm)->n_ctx, tick_rows, progress, e);
	return rc == 0 ? feed_done(&f->feed, e) : rc;
}

void
fed_clear(struct fed *f, uint32_t run, const struct err *e)
{
	char line[sizeof(e->text) + 16];

	if (e->code == 0)
		snprintf(line, sizeof(line), "ok %u\n", run);
	else
		snprintf(line, sizeof(line), "error %s\n", e->text);
	ingest_clear(&f->ingest, line);
	feed_clear(&f->feed);
}
