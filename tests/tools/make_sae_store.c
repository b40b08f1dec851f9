/* SPDX-License-Identifier: ISC */
/*
 * make_sae_store DIR NAME D ROWS: a store, or one more SAE in it, of given directions:
 * decoder rows of D float32 each from the file ROWS.
 * make_sae_store DIR NAME D N PULL [SEED]: N rows around random centres (clusters.h).
 *
 * For searches of any size. A run over one window makes the SAE one that can be asked
 * for: every eighth feature is dead, the others have counts by a formula, and no
 * example.
 */
#include "store/store.h"
#include "tests/tools/clusters.h"
#include "util/file.h"
#include "util/paged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_ID "00000000000000aa"
#define N_TOKENS 1000000u

struct given {
	const char *name;
	const float *rows; /* (n, d) */
	uint32_t n, d;
	struct map map;
	float *made; /* rows, where they are no file's */
	struct cat_sae info;
	struct cat_cut cut;
	char run_id[STORE_ID_CHARS];
	bool cut_is_new;
};

static int
rows_make(struct given *g, float pull, uint64_t seed, struct err *e)
{
	g->made = paged_new((size_t)g->n * g->d, sizeof(float), e);
	if (g->made == NULL)
		return e->code;
	for (uint32_t i = 0; i < g->n; i++)
		clusters_row(g->made + (size_t)i * g->d, i, g->n, g->d, pull, seed);
	g->rows = g->made;
	return 0;
}

static int
rows_get(struct given *g, int argc, char **argv, struct err *e)
{
	char *end;

	g->name = argv[2];
	g->d = (uint32_t)strtoul(argv[3], NULL, 10);
	if (g->d == 0)
		return err_set(e, ERR_ARG, "%s: not a width", argv[3]);
	if (argc > 5) {
		g->n = (uint32_t)strtoul(argv[4], &end, 10);
		return rows_make(g, strtof(argv[5], NULL),
			argc > 6 ? strtoull(argv[6], NULL, 10) : 0, e);
	}
	if (map_open(&g->map, argv[4], e) < 0)
		return e->code;
	g->rows = (const float *)(const void *)g->map.data;
	g->n = (uint32_t)(g->map.n_bytes / sizeof(float) / g->d);
	return 0;
}

static int
write_sae(struct given *g, struct store *s, struct err *e)
{
	struct cat_sae *x = &g->info;
	struct sae_writer *w = NULL;
	int64_t have;
	int rc;

	*x = (struct cat_sae){.d_in = g->d,
		.d_out = g->d,
		.d_sae = g->n,
		.context = 2,
		.created_s = 6};
	rc = sha256_of(g->rows, (size_t)g->n * g->d * sizeof(float), x->hash, e);
	hash_hex(x->hash, 8, x->id);
	snprintf(x->name, sizeof(x->name), "%s", g->name);
	strcpy(x->model_id, MODEL_ID);
	strcpy(x->hook, "blocks.1.hook_resid_pre");
	strcpy(x->kind, "standard");
	if (rc == 0)
		rc = sae_writer_new(&w, &have, s, x, g->rows, NULL, e);
	if (rc == 0 && w == NULL)
		rc = err_set(e, ERR_ARG, "the store has these rows already");
	if (rc == 0)
		rc = sae_writer_finish(w, e);
	sae_writer_free(w);
	return rc;
}

static int
write_cut(struct given *g, struct store *s, struct err *e)
{
	static const uint32_t token[2] = {1, 2}, start[2] = {0, 1}, end[2] = {1, 2};
	static const struct rec_segment segment = {0};
	struct rec_window r = {2, 1, token, start, end, &segment, "ab", 2};
	struct store_document d = {0, "document", "{}",
		"00112233445566778899aabbccddeeff", 2, 0, 1};
	struct cut_writer *w = NULL;
	int64_t have;
	int rc;

	g->cut = (struct cat_cut){.context = 2,
		.n_documents = 1,
		.n_windows = 1,
		.bos = -1,
		.n_tokens = 2,
		.n_bytes = 2,
		.created_s = 5};
	strcpy(g->cut.name, "corpus");
	memset(g->cut.tokenizer_sha256, 'a', 64);
	memset(g->cut.corpus_sha256, 'b', 64);
	rc = cut_writer_new(&w, &have, s, &g->cut, e);
	if (rc < 0 || w == NULL)
		return rc;
	g->cut_is_new = true;
	rc = cut_writer_document(w, &d, e);
	if (rc == 0)
		rc = cut_writer_window(w, &r, e);
	if (rc == 0)
		rc = cut_writer_token(w, 1, "a", 1, false, e);
	if (rc == 0)
		rc = cut_writer_token(w, 2, "b", 1, false, e);
	if (rc == 0)
		rc = cut_writer_finish(w, &g->cut, e);
	cut_writer_free(w);
	return rc;
}

static int
write_feature(struct run_writer *w, uint32_t f, struct err *e)
{
	uint64_t count = f % 8 == 7 ? 0 : 1 + hash_mix(3, f, 0, 0) % 1000;
	float max = count > 0 ? 1 + (float)(f % 100) : 0;
	struct rec_bin bin = {rec_hist_bin(max), count};
	struct rec_feature r = {.count = count,
		.n_windows = count > 0,
		.sum = (double)count,
		.sum_squares = (double)count,
		.max = max,
		.bin = &bin,
		.n_bins = count > 0};

	return run_writer_feature(w, 0, f, &r, e);
}

static int
write_run(struct given *g, struct store *s, struct err *e)
{
	static const uint32_t row[3] = {0};
	const struct rec_acts acts = {.n_tokens = 2, .row_start = row};
	struct run_writer *w = NULL;
	uint32_t have;
	int rc;

	memcpy(g->run_id, g->info.id, sizeof(g->run_id));
	rc = run_writer_new(&w, &have, s, g->run_id, 1, &g->n, e);
	if (rc == 0)
		rc = run_writer_acts(w, 0, 0, &acts, e);
	if (rc == 0)
		rc = run_writer_acts_done(w, e);
	for (uint32_t f = 0; f < g->n && rc == 0; f++)
		rc = write_feature(w, f, e);
	if (rc == 0)
		rc = run_writer_finish(w, e);
	run_writer_free(w);
	return rc;
}

static int
publish(struct given *g, struct store *s, struct err *e)
{
	struct cat_model model = {.n_layers = 2,
		.d_model = g->d,
		.n_vocab = 3,
		.n_ctx = 64,
		.created_s = 4};
	struct cat_run_sae run_sae = {.n_tokens = N_TOKENS,
		.n_alive = g->n - g->n / 8,
		.explained = NAN,
		.mse = NAN};
	const char *id = g->info.id;
	struct store_publish p = {.model = &model,
		.cut = g->cut_is_new ? &g->cut : NULL,
		.sae = &g->info,
		.n_saes = 1,
		.run_id = g->run_id,
		.run_cut_id = g->cut.id,
		.provenance = "{}",
		.run_sae_id = &id,
		.run_sae = &run_sae,
		.n_run_saes = 1};
	uint32_t number;

	strcpy(model.id, MODEL_ID);
	strcpy(model.name, "given");
	return store_publish(s, &p, &number, e);
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct given g = {0};
	struct store *s = NULL;
	int rc;

	if (argc < 5 || argc > 7) {
		fprintf(stderr,
			"usage: make_sae_store DIR NAME D ROWS\n"
			"       make_sae_store DIR NAME D N PULL [SEED]\n");
		return 2;
	}
	rc = rows_get(&g, argc, argv, &e);
	if (rc == 0)
		rc = store_open(&s, argv[1], STORE_CREATE, &e);
	if (rc == 0)
		rc = write_sae(&g, s, &e);
	if (rc == 0)
		rc = write_cut(&g, s, &e);
	if (rc == 0)
		rc = write_run(&g, s, &e);
	if (rc == 0)
		rc = publish(&g, s, &e);
	if (rc < 0)
		fprintf(stderr, "make_sae_store: %s\n", e.text);
	store_close(s);
	map_close(&g.map);
	mem_free(g.made);
	return rc < 0;
}
