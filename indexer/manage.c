/* SPDX-License-Identifier: ISC */
#include "indexer/manage.h"

#include "indexer/stats.h"
#include "store/store.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
time_text(char out[32], int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M", &tm) == 0)
		strcpy(out, "?");
}

static const char *
bytes_text(char out[32], uint64_t n)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)n;
	size_t i = 0;

	for (; v >= 1024 && i + 1 < sizeof(unit) / sizeof(unit[0]); i++)
		v /= 1024;
	snprintf(out, 32, i == 0 ? "%.0f %s" : "%.1f %s", v, unit[i]);
	return out;
}

static void
list_run(const struct store_catalog *c, const struct cat_run *run)
{
	const struct cat_cut *cut = &c->cut[run->cut];
	char when[32];

	time_text(when, run->created_s);
	printf("run %u  %s  %s  %s on %s: %llu tokens in %u windows, %u documents, "
	       "context %u%s%s\n",
		run->number, run->id, when, c->model[run->model].name, cut->name,
		(unsigned long long)cut->n_tokens, cut->n_windows, cut->n_documents,
		cut->context, cut->prepend_bos ? ", BOS" : "",
		cut->joined ? ", joined" : "");
	for (uint32_t i = 0; i < run->n_saes; i++) {
		const struct cat_run_sae *x = &run->sae[i];
		const struct cat_sae *s = &c->sae[x->sae];
		char explained[STATS_CHARS], range[48] = "";

		if (!cat_sought_all(c, x))
			snprintf(range, sizeof(range), "%u to %u alone of ", x->first,
				x->end - 1);
		stats_explained(explained, x->explained);
		printf("  %-16s %s  %s  %s  %s%u features, %llu alive, L0 %.1f, "
		       "explained variance %s\n",
			s->name, s->id, s->kind, s->hook, range, s->d_sae,
			(unsigned long long)x->n_alive, x->l0, explained);
	}
}

static void
list_all(const struct store_catalog *c)
{
	for (uint32_t i = 0; i < c->n_models; i++) {
		const struct cat_model *m = &c->model[i];

		printf("model %-16s %s  %s, %u layers, d_model %u, ", m->name, m->id,
			m->architecture, m->n_layers, m->d_model);
		if (m->n_params > 0)
			printf("%llu parameters\n", (unsigned long long)m->n_params);
		else
			printf("not run by saedb\n");
	}
	for (uint32_t i = 0; i < c->n_runs; i++)
		list_run(c, &c->run[i]);
	if (c->n_runs == 0)
		printf("no runs\n");
}

/* What an interrupted index left. */
static int
list_resumable(struct store *s, const char *verb, struct err *e)
{
	struct store_usage *list = NULL;
	size_t n = 0;
	char text[32];
	int rc = store_resumable(s, &list, &n, e);

	for (size_t i = 0; i < n && rc == 0; i++)
		printf("%s %-5s %s  %s\n", verb, list[i].name, list[i].id,
			bytes_text(text, list[i].n_bytes));
	mem_free(list);
	return rc;
}

int
manage_list(const struct options *o, struct err *e)
{
	struct store_view *view = NULL;
	struct store *s = NULL;
	int rc = store_open(&s, o->store, STORE_READ, e);

	if (rc == 0)
		rc = store_view_open(&view, s, e);
	if (rc == 0)
		list_all(store_view_catalog(view));
	if (rc == 0)
		rc = list_resumable(s, "resumable", e);
	store_view_close(view);
	store_close(s);
	return rc;
}

/* A run by its number or id. */
static int
find_run(struct store *s, const char *name, uint32_t *number, struct err *e)
{
	struct store_view *view;
	const struct store_catalog *c;
	int64_t found = -1;

	if (store_view_open(&view, s, e) < 0)
		return e->code;
	c = store_view_catalog(view);
	for (uint32_t i = 0; i < c->n_runs; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", c->run[i].number);
		if (strcmp(text, name) == 0 || strcmp(c->run[i].id, name) == 0)
			found = c->run[i].number;
	}
	store_view_close(view);
	if (found < 0)
		return err_set(e, ERR_NOTFOUND, "there is no run %s; see list", name);
	*number = (uint32_t)found;
	return 0;
}

int
manage_rm(const struct options *o, struct err *e)
{
	struct store *s = NULL;
	uint32_t number = 0;
	int rc = store_open(&s, o->store, STORE_WRITE, e);

	if (rc == 0)
		rc = find_run(s, o->arg[0], &number, e);
	if (rc == 0)
		rc = store_remove_run(s, number, e);
	store_close(s);
	if (rc == 0)
		printf("removed run %u; gc frees the space that nothing else needs\n",
			number);
	return rc;
}

int
manage_rename(const struct options *o, struct err *e)
{
	struct store *s = NULL;
	int rc = store_open(&s, o->store, STORE_WRITE, e);

	if (rc == 0)
		rc = store_rename_sae(s, o->arg[0], o->arg[1], e);
	store_close(s);
	if (rc == 0)
		printf("%s is now called %s\n", o->arg[0], o->arg[1]);
	return rc;
}

int
manage_gc(const struct options *o, struct err *e)
{
	struct store *s = NULL;
	uint64_t freed = 0;
	char text[32];
	int rc = store_open(&s, o->store, STORE_WRITE, e);

	if (rc == 0)
		rc = list_resumable(s, "removing resumable", e);
	if (rc == 0)
		rc = store_gc(s, &freed, e);
	store_close(s);
	if (rc == 0)
		printf("freed %s\n", bytes_text(text, freed));
	return rc;
}

int
manage_du(const struct options *o, struct err *e)
{
	struct store_usage *list = NULL;
	struct store *s = NULL;
	uint64_t sum = 0;
	char text[32];
	size_t n = 0;
	int rc = store_open(&s, o->store, STORE_READ, e);

	if (rc == 0)
		rc = store_du(s, &list, &n, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		printf("%12s  %-8s %s  %s\n", bytes_text(text, list[i].n_bytes),
			list[i].what, list[i].id, list[i].name);
		sum += list[i].n_bytes;
	}
	if (rc == 0)
		printf("%12s  in all\n", bytes_text(text, sum));
	mem_free(list);
	store_close(s);
	return rc;
}
