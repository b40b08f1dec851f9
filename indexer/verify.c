/* SPDX-License-Identifier: ISC */
#include "indexer/verify.h"

#include "indexer/verify_int.h"
#include "util/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 20 /* differences printed at most */

void
verify_wrong(struct verify *v, const char *fmt, ...)
{
	va_list args;

	if (++v->n_wrong > SHOWN)
		return;
	fprintf(stderr, "run %u: ", v->cat->number);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

static void
clear_run(struct verify *v)
{
	for (uint32_t s = 0; s < v->cat->n_saes; s++) {
		struct verify_sae *x = &v->sae[s];

		for (uint32_t f = 0; x->list != NULL && f < x->n_features; f++)
			mem_free(x->list[f].found);
		mem_free(x->list);
		mem_free(x->feature);
		sae_close(x->sae);
		*x = (struct verify_sae){0};
	}
	windows_clear(&v->windows);
	mem_free(v->excluded);
	v->excluded = NULL;
	tok_close(v->tok);
	lm_close(v->lm);
	v->tok = NULL;
	v->lm = NULL;
	arena_clear(&v->arena);
}

static void
report(const struct verify *v)
{
	for (uint32_t s = 0; s < v->cat->n_saes; s++) {
		uint64_t n = 0;

		for (uint32_t f = 0; f < v->sae[s].n_features; f++)
			n += v->sae[s].list[f].n;
		printf("run %u: %u features of %s, %llu activations: equal\n",
			v->cat->number, v->sae[s].n_features,
			v->catalog->sae[v->sae[s].index].name, (unsigned long long)n);
	}
}

static int
verify_one(struct verify *v, struct err *e)
{
	int rc;

	arena_init(&v->arena, 0);
	rc = value_parse_json(&v->provenance, v->cat->provenance,
		strlen(v->cat->provenance), &v->arena, e);
	if (rc == 0 && value_get(v->provenance, "elsewhere") != NULL) {
		printf("run %u: not recomputed: its activations were made elsewhere\n",
			v->cat->number);
		arena_clear(&v->arena);
		return 0;
	}
	if (rc == 0)
		rc = verify_inputs(v, e);
	if (rc == 0)
		rc = verify_cut(v, e);
	if (rc == 0 && v->n_wrong == 0)
		rc = verify_pass(v, e);
	for (uint32_t s = 0; s < v->cat->n_saes && rc == 0 && v->n_wrong == 0; s++)
		rc = verify_features(v, s, e);
	if (rc == 0 && v->n_wrong == 0)
		report(v);
	if (rc == 0 && v->n_wrong > 0)
		rc = err_set(e, ERR_MISMATCH, "%zu differences", v->n_wrong);
	clear_run(v);
	return rc < 0 ? err_wrap(e, "run %u", v->cat->number) : 0;
}

static bool
is_wanted(const struct verify *v, const struct cat_run *run)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", run->number);
	return v->options->run == NULL || strcmp(v->options->run, number) == 0 ||
		strcmp(v->options->run, run->id) == 0;
}

static int
verify_all(struct verify *v, struct err *e)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->catalog->n_runs; i++) {
		v->run = i;
		v->cat = &v->catalog->run[i];
		v->cut = &v->catalog->cut[v->cat->cut];
		v->n_wrong = 0;
		if (!is_wanted(v, v->cat))
			continue;
		if (verify_one(v, e) < 0)
			return e->code;
		n++;
	}
	if (n == 0 && v->options->run != NULL)
		return err_set(e, ERR_NOTFOUND, "there is no run %s", v->options->run);
	return n > 0 ? 0 : err_set(e, ERR_NOTFOUND, "the store has no run to verify");
}

int
verify_run(const struct options *o, struct err *e)
{
	struct verify v = {.options = o};
	int rc = store_open(&v.store, o->store, STORE_READ, e);

	if (rc == 0)
		rc = store_view_open(&v.view, v.store, e);
	if (rc == 0)
		rc = pool_new(&v.pool,
			o->threads != 0 ? (size_t)o->threads : pool_cpus(), e);
	if (rc == 0) {
		v.catalog = store_view_catalog(v.view);
		rc = verify_all(&v, e);
	}
	pool_free(v.pool);
	store_view_close(v.view);
	store_close(v.store);
	return rc;
}
