/* SPDX-License-Identifier: ISC */
/*
 * small: a store small enough to be recomputed: a model, a cut of 6 documents in
 * 12 windows of 10 tokens, two SAEs and a run, every value by a formula.
 */
#ifndef TESTS_STORE_SMALL_H
#define TESTS_STORE_SMALL_H

#include "store/store.h"
#include "tests/util/scratch.h"
#include "util/hash.h"

#include <math.h>

enum { DOCUMENTS = 6, WINDOWS = 12, TOKENS = 10, D_IN = 8, N_SAES = 2 };
static const uint32_t small_d_sae[N_SAES] = {40, 20};
static const char *const small_name[N_SAES] = {"alpha", "Beta"};
static const char small_sums[] = "what the indexer puts in";
static const char *const small_word[DOCUMENTS] = {"golden gate bridge",
	"caf\xc3\xa9 noir", "ORANGE cat", "\xff\xfe raw", "bridge and tunnel",
	"tail's end"};

#define OK(call) \
	do { \
		struct err ok_e = ERR_INIT, *e = &ok_e; \
		int ok_rc = (call); \
		if (ok_rc != 0) \
			fail_msg("%s: %d: %s", #call, ok_rc, ok_e.text); \
	} while (0)
#define FAILS(want, call) \
	do { \
		struct err ok_e = ERR_INIT, *e = &ok_e; \
		int ok_rc = (call); \
		if (ok_rc != (want) || ok_e.code != (want) || ok_e.text[0] == '\0') \
			fail_msg("%s: %d (%d), not %d: %s", #call, ok_rc, ok_e.code, \
				(want), ok_e.text); \
	} while (0)

/* The first error of what follows; nothing is done after it. */
static struct err small_error;
#define TRY(call) \
	do { \
		struct err *e = &small_error; \
		if (e->code == 0) \
			(void)(call); \
	} while (0)

/* Features whose number ends in 9 are dead. seed tells one run from another. */
static inline bool
small_fires(unsigned seed, uint32_t slot, uint32_t w, uint32_t t, uint32_t f)
{
	return f % 10 != 9 && t > 0 &&
		hash_mix(seed, slot, (uint64_t)w << 32 | t, f) % (3 + f % 10) == 0;
}

static inline float
small_value(unsigned seed, uint32_t slot, uint32_t w, uint32_t t, uint32_t f)
{
	return 0.5f +
		(float)(hash_mix(seed + 1, slot, (uint64_t)w << 32 | t, f) % 512) / 64;
}

static inline float
small_decoder(uint32_t slot, uint32_t f, uint32_t i)
{
	return (float)((int)(hash_mix(9, slot, f, i) % 2001) - 1000) / 500;
}

/* The second SAE is one whose encoder is not known. */
static inline const float *
small_encoder(uint32_t slot)
{
	static _Thread_local float rows[40 * D_IN];

	for (uint32_t i = 0; i < 40 * D_IN; i++)
		rows[i] = 1 - small_decoder(0, i / D_IN, i % D_IN);
	return slot == 0 ? rows : NULL;
}

static inline void
small_text(uint32_t w, char text[64])
{
	snprintf(text, 64, "window %u of %s %u", w, small_word[w / 2], w * 7);
}

static inline struct cat_cut
small_cut_info(unsigned seed)
{
	struct cat_cut c = {.context = TOKENS,
		.n_documents = DOCUMENTS,
		.n_windows = WINDOWS,
		.prepend_bos = true,
		.bos = 1,
		.n_tokens = WINDOWS * TOKENS,
		.n_bytes = 400,
		.created_s = 5};

	strcpy(c.name, "corpus");
	memset(c.tokenizer_sha256, 'a', 64);
	memset(c.corpus_sha256, 'b', 64);
	snprintf(c.corpus_sha256, sizeof(c.corpus_sha256), "%064u", seed);
	return c;
}

static inline void
small_window(uint32_t w, struct rec_window *r, char text[64])
{
	static _Thread_local uint32_t token[TOKENS], start[TOKENS], end[TOKENS];
	static _Thread_local struct rec_segment segment;
	uint32_t n;

	small_text(w, text);
	n = (uint32_t)strlen(text);
	segment = (struct rec_segment){.document = w / 2, .doc_start = (w % 2) * 64};
	for (uint32_t t = 0; t < TOKENS; t++) {
		token[t] = t == 0 ? 1 : w * 100 + t;
		start[t] = t == 0 ? 0 : (t - 1) * n / (TOKENS - 1);
		end[t] = t == 0 ? 0 : t * n / (TOKENS - 1);
	}
	*r = (struct rec_window){TOKENS, 1, token, start, end, &segment, text, n};
}

#include "tests/store/small_image.h"

static inline void
small_document(uint32_t d, struct store_document *out, char id[16])
{
	static const char *const meta[] = {
		"{\"lang\":\"en\",\"tags\":[\"sf\",\"bridge\"],\"n\":1}",
		"{\"lang\":\"fr\",\"n\":2.5}",
		"{\"lang\":\"en\",\"ok\":true}",
		"{}",
		"{\"lang\":\"en\",\"tags\":[\"bridge\"]}",
		"{\"lang\":\"de\",\"none\":null,\"o\":{\"lang\":\"en\"}}",
	};

	snprintf(id, 16, "doc-%u", d);
	*out = (struct store_document){d, id, meta[d],
		"00112233445566778899aabbccddeeff", 60 + d, d * 2, 2};
}

static bool small_elsewhere; /* no logit effects; explained is not known */
/* Of the first SAE these features alone were sought; end 0: all. */
static uint32_t small_first, small_end;

/* *have >= 0: the store has it. */
static inline void
small_cut(struct store *s, unsigned seed, struct cat_cut *info, int64_t *have)
{
	struct cut_writer *w = NULL;

	*info = small_cut_info(seed);
	TRY(cut_writer_new(&w, have, s, info, e));
	if (w == NULL)
		return;
	for (uint32_t i = 0; i < WINDOWS; i++) {
		struct store_document d;
		struct rec_window r;
		char text[64], id[16];

		if (i % 2 == 0) {
			small_document(i / 2, &d, id);
			TRY(cut_writer_document(w, &d, e));
		}
		small_window_of(seed, i, &r, text);
		TRY(cut_writer_window(w, &r, e));
	}
	for (uint32_t i = 0; i < 4; i++) {
		static const char bytes[] = "a\0b";

		TRY(cut_writer_token(w, i * 10, bytes, i, i == 3, e));
	}
	TRY(cut_writer_token(w, 1000, "a", 1, false, e));
	if (seed >= SMALL_IMAGES)
		small_images(w);
	TRY(cut_writer_finish(w, info, e));
	cut_writer_free(w);
}

static inline struct cat_sae
small_sae_info(uint32_t slot)
{
	struct cat_sae x = {.d_in = D_IN,
		.d_out = D_IN,
		.d_sae = small_d_sae[slot],
		.k = 0,
		.context = TOKENS,
		.prepend_bos = true,
		.created_s = 6};

	memset(x.hash, 0x10 + (int)slot, sizeof(x.hash));
	hash_hex(x.hash, 8, x.id);
	strcpy(x.name, small_name[slot]);
	strcpy(x.model_id, "00000000000000aa");
	strcpy(x.hook, "blocks.1.hook_resid_pre");
	strcpy(x.kind, "standard");
	return x;
}

static inline void
small_sae(struct store *s, uint32_t slot, struct cat_sae *info, int64_t *have)
{
	uint32_t n = small_d_sae[slot];
	float rows[40 * D_IN];
	struct sae_writer *w = NULL;

	for (uint32_t f = 0; f < n; f++)
		for (uint32_t i = 0; i < D_IN; i++)
			rows[f * D_IN + i] = small_decoder(slot, f, i);
	*info = small_sae_info(slot);
	TRY(sae_writer_new(&w, have, s, info, rows, small_encoder(slot), e));
	if (w == NULL)
		return;
	for (uint32_t f = 0; f < n && !small_elsewhere; f++) {
		struct rec_scored up = {f, 1.5f}, down = {f + 1, -2.5f};
		struct rec_logits l = {&up, &down, 1, 1};

		TRY(sae_writer_logits(w, f, &l, e));
	}
	TRY(sae_writer_finish(w, e));
	sae_writer_free(w);
}

struct small_stats {
	uint64_t count;
	double sum, sum_squares;
	float max;
	uint32_t max_window, max_offset;
};

static inline struct small_stats
small_stats_of(unsigned seed, uint32_t slot, uint32_t f)
{
	struct small_stats x = {0};

	for (uint32_t w = 0; w < WINDOWS; w++)
		for (uint32_t t = 0; t < TOKENS; t++) {
			float v = small_value(seed, slot, w, t, f);

			if (!small_fires(seed, slot, w, t, f))
				continue;
			x.count++;
			x.sum += (double)v;
			x.sum_squares += (double)v * (double)v;
			if (v > x.max) {
				x.max = v;
				x.max_window = w;
				x.max_offset = t;
			}
		}
	return x;
}

static inline void
small_acts(struct run_writer *w, unsigned seed, uint32_t slot)
{
	uint32_t row[TOKENS + 1], feature[TOKENS * 40];
	float value[TOKENS * 40];

	for (uint32_t i = 0; i < WINDOWS; i++) {
		struct rec_acts x = {0, TOKENS, row, feature, value};
		uint32_t n = 0;

		row[0] = 0;
		for (uint32_t t = 0; t < TOKENS; t++) {
			for (uint32_t f = 0; f < small_d_sae[slot]; f++)
				if (small_fires(seed, slot, i, t, f)) {
					feature[n] = f;
					value[n++] = small_value(seed, slot, i, t, f);
				}
			row[t + 1] = n;
		}
		/* in two stretches */
		x.n_tokens = 4;
		TRY(run_writer_acts(w, slot, i, &x, e));
		x.first_token = 4;
		x.n_tokens = TOKENS - 4;
		x.row_start = row + 4;
		TRY(run_writer_acts(w, slot, i, &x, e));
	}
}

static inline void
small_feature(struct run_writer *w, unsigned seed, uint32_t slot, uint32_t f)
{
	struct small_stats x = small_stats_of(seed, slot, f);
	struct rec_bin bin = {rec_hist_bin(x.max), x.count};
	struct rec_feature r = {.count = x.count,
		.n_windows = x.count,
		.sum = x.sum,
		.sum_squares = x.sum_squares,
		.max = x.max,
		.max_window = x.max_window,
		.max_offset = x.max_offset,
		.bin = &bin,
		.n_bins = x.count > 0};
	struct rec_at here[TOKENS] = {{x.max_offset, x.max}};
	struct rec_example example = {REC_BEST, x.max_window, x.max_offset, x.max, here,
		1};
	struct rec_examples examples = {&example, 1};
	struct rec_posting posting = {x.max_window, 1, x.max};
	char label[64];

	small_fired(seed, slot, f, &example, here);
	TRY(run_writer_feature(w, slot, f, &r, e));
	if (x.count == 0)
		return;
	TRY(run_writer_examples(w, slot, f, &examples, e));
	TRY(run_writer_postings(w, slot, f, &posting, 1, e));
	snprintf(label, sizeof(label), "%s, number%u",
		f % 2 ? "odd bridge" : "even gate", f);
	TRY(run_writer_keywords(w, slot, f, label, f, e));
}

static inline void
small_run(struct store *s, unsigned seed, char id[STORE_ID_CHARS], uint32_t *have)
{
	struct run_writer *w = NULL;

	snprintf(id, STORE_ID_CHARS, "%016x", seed + 1);
	TRY(run_writer_new(&w, have, s, id, N_SAES, small_d_sae, e));
	if (w == NULL)
		return;
	for (uint32_t slot = 0; slot < N_SAES; slot++)
		small_acts(w, seed, slot);
	TRY(run_writer_acts_done(w, e));
	for (uint32_t slot = 0; slot < N_SAES; slot++) {
		struct rec_token_feature tf = {3, 2, 1.5f};
		struct rec_token t = {5, &tf, 1, 1};

		for (uint32_t f = 0; f < small_d_sae[slot]; f++)
			if (slot != 0 || small_end == 0 ||
				(f >= small_first && f < small_end))
				small_feature(w, seed, slot, f);
		TRY(run_writer_token(w, slot, 101, &t, e));
	}
	/* the second slot has none, as runs of before */
	TRY(run_writer_sums(w, 0, small_sums, sizeof(small_sums), e));
	TRY(run_writer_finish(w, e));
	run_writer_free(w);
}

static inline void
small_graph(struct store *s, const char *from, const char *to, bool *have)
{
	struct graph_writer *w = NULL;

	TRY(graph_writer_new(&w, have, s, from, to, 4, e));
	if (w == NULL)
		return;
	for (uint32_t f = 0; f < small_d_sae[0]; f++) {
		struct rec_scored x[2] = {{f % 20, 0.9f}, {(f + 1) % 20, 0.25f}};

		TRY(graph_writer_put(w, f, x, 2, e));
	}
	TRY(graph_writer_finish(w, e));
	graph_writer_free(w);
}

/* Writes what the store lacks and publishes a run; its number. seed makes another
 * run over another cut. Returns store_publish()'s code. */
static inline int
small_publish(struct store *s, unsigned seed, uint32_t *number, struct err *e_out)
{
	struct cat_model model = {.n_layers = 2,
		.d_model = D_IN,
		.n_vocab = 1000,
		.n_ctx = 64,
		.created_s = 4};
	struct cat_cut cut;
	struct cat_sae sae[N_SAES], info;
	struct cat_run_sae run_sae[N_SAES];
	const char *sae_id[N_SAES];
	char ids[N_SAES][STORE_ID_CHARS], run_id[STORE_ID_CHARS];
	struct store_publish p = {0};
	int64_t have = -1;
	uint32_t have_run = 0;
	bool have_graph = false;

	small_error = ERR_INIT;
	strcpy(model.id, "00000000000000aa");
	strcpy(model.name, "tiny");
	p.model = &model;
	small_cut(s, seed, &cut, &have);
	p.cut = have < 0 ? &cut : NULL;
	p.run_cut_id = cut.id;
	for (uint32_t i = 0; i < N_SAES; i++) {
		small_sae(s, i, &info, &have);
		if (have < 0)
			sae[p.n_saes++] = info;
		memcpy(ids[i], info.id, sizeof(ids[i]));
		sae_id[i] = ids[i];
		run_sae[i] = (struct cat_run_sae){.n_tokens = WINDOWS * (TOKENS - 1),
			.n_alive = 1,
			.l0 = 2.5,
			.explained = small_elsewhere ? NAN : 0.75,
			.mse = small_elsewhere ? NAN : 0.5,
			.first = i == 0 ? small_first : 0,
			.end = i == 0 ? small_end : 0};
		for (uint32_t f = 0; f < small_d_sae[i]; f++)
			run_sae[i].n_active += small_stats_of(seed, i, f).count;
	}
	p.sae = sae;
	small_run(s, seed, run_id, &have_run);
	assert_int_equal(have_run, 0);
	small_graph(s, ids[0], ids[1], &have_graph);
	p.graph = calloc(1, sizeof(*p.graph));
	p.graph[0].from_id = ids[0];
	p.graph[0].to_id = ids[1];
	p.graph[0].k = 4;
	p.n_graphs = !have_graph;
	p.run_id = run_id;
	p.provenance = "{\"seed\":1}";
	p.run_sae_id = sae_id;
	p.run_sae = run_sae;
	p.n_run_saes = N_SAES;
	TRY(store_publish(s, &p, number, e));
	free(p.graph);
	*e_out = small_error;
	return small_error.code;
}

/* A store with one run, under the scratch directory. */
static inline char *
small_store(const char *name)
{
	char *dir = at(name);
	struct store *s;
	uint32_t number;

	OK(store_open(&s, dir, STORE_CREATE, e));
	OK(small_publish(s, 0, &number, e));
	assert_int_equal(number, 1);
	store_close(s);
	return dir;
}

#include "tests/store/small_check.h"

/* The k nearest decoder rows of a SAE by cosine. */
static inline int
nearest(struct store_view *v, uint32_t sae, const float *vector, uint32_t k,
	struct rec_scored *out, uint32_t *n, struct err *e)
{
	struct store_search s = {.sae = sae, .vector = vector, .k = k};
	struct store_nearest found;
	int rc = store_search(v, &s, out, &found, e);

	*n = found.n;
	return rc;
}

#endif
