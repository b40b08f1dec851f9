/* SPDX-License-Identifier: ISC */
/*
 * dump_store: prints every record of a store's runs as text, floats as their bits,
 * and nothing that may differ between two runs of the same work (times, paths), so
 * that two dumps can be compared byte by byte.
 *
 *     dump_store STORE
 *     dump_store -      stores' names by lines, each in a process of its own; for each
 *                       a line: "sum " and the dump's XXH3, "error " and the text, or
 *                       "signal " and its number
 */
#include "store/store.h"
#include "util/file.h"
#include "util/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct store_view *view;
static const struct store_catalog *cat;
static struct arena arena;
static struct err e;
static FILE *answers; /* where they are not what is dumped */

static void
must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	if (answers == NULL) {
		fprintf(stderr, "dump_store: %s: %s\n", what, e.text);
		exit(1);
	}
	fprintf(answers, "error %s: %s\n", what, e.text);
	fflush(answers);
	_exit(0); /* what is open is no leak */
}

static uint32_t
bits(float v)
{
	uint32_t b;

	memcpy(&b, &v, sizeof(b));
	return b;
}

static uint64_t
bits64(double v)
{
	uint64_t b;

	memcpy(&b, &v, sizeof(b));
	return b;
}

/* One record; NULL when there is none. */
static struct store_value
get(enum store_table table, uint32_t a, uint32_t b, uint32_t id)
{
	struct store_place place = {table, a, b};
	struct store_value v;

	arena_reset(&arena);
	must(store_mget(view, place, &id, 1, &v, &arena, &e), "mget");
	return v;
}

static void
dump_window(uint32_t cut, uint32_t i)
{
	struct store_value v = get(TABLE_WINDOW, cut, 0, i);
	struct rec_window w;

	must(rec_window_unpack(&w, v.p, v.n_bytes, &arena, &e), "window");
	printf("window %u text %016" PRIx64 "\n", i, hash64(w.text, w.n_text_bytes, 0));
	for (uint32_t t = 0; t < w.n_tokens; t++)
		printf(" %u:%u-%u", w.token[t], w.text_start[t], w.text_end[t]);
	for (uint32_t s = 0; s < w.n_segments; s++)
		printf(" [%u at %u, %u, %" PRIu64 "]", w.segment[s].document,
			w.segment[s].token, w.segment[s].text_start,
			w.segment[s].doc_start);
	printf("\n");
}

/* Nothing where the window has no patches. */
static void
dump_patches(uint32_t cut, uint32_t i)
{
	const struct rec_patch *x;
	struct store_image image;
	char hex[65];
	size_t n;

	arena_reset(&arena);
	must(store_patches(view, cut, i, &x, &n, &arena, &e), "patches");
	for (size_t k = 0; k < n; k++) {
		must(store_image_of(view, cut, x[k].image, &image, &e), "image");
		hash_hex(image.sha256, sizeof(image.sha256), hex);
		must(store_image(view, cut, hex, &image, &arena, &e), "image");
		printf("patches %u %u+%u: %u of %u x %u of image %u %s %s %zu "
		       "%016" PRIx64 "\n",
			i, x[k].token, x[k].n_tokens, x[k].first, x[k].n_rows,
			x[k].n_cols, x[k].image, hex, image.type, image.n_bytes,
			hash64(image.bytes, image.n_bytes, 0));
	}
}

static void
dump_cut(uint32_t cut)
{
	const struct cat_cut *c = &cat->cut[cut];
	struct store_document d;

	printf("cut %s corpus %s context %u bos %d %" PRId64
	       " joined %d documents %u windows %u tokens %" PRIu64 " bytes %" PRIu64
	       "\n",
		c->id, c->corpus_sha256, c->context, c->prepend_bos, c->bos, c->joined,
		c->n_documents, c->n_windows, c->n_tokens, c->n_bytes);
	for (uint32_t i = 0; i < c->n_documents; i++) {
		arena_reset(&arena);
		must(store_document(view, cut, i, &d, &arena, &e), "document");
		printf("document %u %s %s %s %" PRIu64 " %u %u\n", i, d.id, d.hash,
			d.meta, d.n_bytes, d.first_window, d.n_windows);
	}
	for (uint32_t i = 0; i < c->n_windows; i++) {
		dump_window(cut, i);
		dump_patches(cut, i);
	}
}

static void
dump_feature(uint32_t run, uint32_t slot, uint32_t id)
{
	struct store_value v = get(TABLE_FEATURE, run, slot, id);
	struct rec_feature f;

	if (v.p == NULL) /* it was not sought */
		return;
	must(rec_feature_unpack(&f, v.p, v.n_bytes, &arena, &e), "feature");
	printf("feature %u count %" PRIu64 " windows %" PRIu64 " documents %" PRIu64
	       " sum %016" PRIx64 " squares %016" PRIx64 " max %08x at %u %u intervals",
		id, f.count, f.n_windows, f.n_documents, bits64(f.sum),
		bits64(f.sum_squares), bits(f.max), f.max_window, f.max_offset);
	for (int i = 0; i < LIMIT_INTERVALS; i++)
		printf(" %" PRIu64, f.interval[i]);
	printf(" bins");
	for (uint32_t i = 0; i < f.n_bins; i++)
		printf(" %u:%" PRIu64, f.bin[i].bin, f.bin[i].count);
	printf("\n");
}

static void
dump_lists(uint32_t run, uint32_t slot, uint32_t id)
{
	struct store_value v = get(TABLE_EXAMPLES, run, slot, id);
	const struct rec_posting *p;
	struct rec_examples x;
	size_t n;

	if (v.p == NULL)
		return;
	must(rec_examples_unpack(&x, v.p, v.n_bytes, &arena, &e), "examples");
	for (uint32_t i = 0; i < x.n_examples; i++) {
		const struct rec_example *r = &x.example[i];

		printf("example %u %u: %u %u %08x", id, r->interval, r->window,
			r->offset, bits(r->value));
		for (uint32_t j = 0; j < r->n_at; j++)
			printf(" %u:%08x", r->at[j].offset, bits(r->at[j].value));
		printf("\n");
	}
	v = get(TABLE_POSTINGS, run, slot, id);
	must(rec_postings_unpack(&p, &n, v.p, v.n_bytes, &arena, &e), "postings");
	printf("postings %u", id);
	for (size_t i = 0; i < n; i++)
		printf(" %u:%u:%08x", p[i].window, p[i].n_fired, bits(p[i].max));
	printf("\n");
}

static void
dump_label(uint32_t run, uint32_t slot, uint32_t id)
{
	const struct store_label *l;
	uint32_t n;

	arena_reset(&arena);
	must(store_labels(view, run, slot, id, &l, &n, &arena, &e), "labels");
	for (uint32_t i = 0; i < n; i++)
		printf("label %u %s %s %016" PRIx64 "\n", id, l[i].source, l[i].text,
			bits64(l[i].has_score ? l[i].score : 0));
}

static void
dump_token(uint32_t run, uint32_t slot, uint32_t id)
{
	struct store_value v = get(TABLE_TOKEN, run, slot, id);
	struct rec_token t;

	if (v.p == NULL)
		return;
	must(rec_token_unpack(&t, v.p, v.n_bytes, &arena, &e), "token");
	printf("token %u %" PRIu64 " %u", id, t.n_occurrences, t.n_features_all);
	for (uint32_t i = 0; i < t.n_features; i++)
		printf(" %u:%u:%08x", t.feature[i].feature, t.feature[i].n_fired,
			bits(t.feature[i].mean));
	printf("\n");
}

/* Nothing where the run has none. */
static void
dump_pairs(uint32_t run, uint32_t slot, uint32_t id)
{
	struct store_place place = {TABLE_PAIRS, run, slot};
	struct store_value v;
	struct rec_pairs x;
	bool has;

	must(store_has(view, place, &has, &e), "has");
	if (!has)
		return;
	v = get(TABLE_PAIRS, run, slot, id);
	if (v.p == NULL) /* it never fires */
		return;
	must(rec_pairs_unpack(&x, v.p, v.n_bytes, &arena, &e), "pairs");
	printf("pairs %u %u", id, x.n_pairs_all);
	for (uint32_t i = 0; i < x.n_pairs; i++)
		printf(" %u/%u:%" PRIu64, x.pair[i].slot, x.pair[i].feature,
			x.pair[i].n_both);
	printf("\n");
}

static void
dump_acts(uint32_t run, uint32_t slot, uint32_t window)
{
	struct store_value v = get(TABLE_WINDOW, cat->run[run].cut, 0, window);
	struct rec_window w;
	struct rec_acts a;

	must(rec_window_unpack(&w, v.p, v.n_bytes, &arena, &e), "window");
	must(store_acts(view, run, slot, window, 0, w.n_tokens, &a, &arena, &e),
		"acts");
	printf("acts %u", window);
	for (uint32_t i = 0; i < a.n_tokens; i++) {
		printf(" |");
		for (uint32_t j = a.row_start[i]; j < a.row_start[i + 1]; j++)
			printf(" %u:%08x", a.feature[j], bits(a.value[j]));
	}
	printf("\n");
}

static void
dump_run(uint32_t run)
{
	const struct cat_run *r = &cat->run[run];
	const struct cat_cut *c = &cat->cut[r->cut];

	printf("run %s model %s cut %s\n", r->id, cat->model[r->model].id, c->id);
	for (uint32_t s = 0; s < r->n_saes; s++) {
		const struct cat_run_sae *x = &r->sae[s];
		const struct cat_sae *sae = &cat->sae[x->sae];

		printf("slot %u %s %s tokens %" PRIu64 " active %" PRIu64
		       " alive %" PRIu64 " l0 %016" PRIx64 " explained %016" PRIx64
		       " mse %016" PRIx64 "\n",
			s, sae->name, sae->id, x->n_tokens, x->n_active, x->n_alive,
			bits64(x->l0), bits64(x->explained), bits64(x->mse));
		for (uint32_t i = 0; i < sae->d_sae; i++) {
			dump_feature(run, s, i);
			dump_lists(run, s, i);
			dump_pairs(run, s, i);
			dump_label(run, s, i);
		}
		for (uint32_t i = 0; i < cat->model[r->model].n_vocab; i++)
			dump_token(run, s, i);
		for (uint32_t i = 0; i < c->n_windows; i++)
			dump_acts(run, s, i);
	}
}

static void
print_scored(const struct rec_scored *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf(" %u:%08x", x[i].id, bits(x[i].score));
	printf("\n");
}

static void
dump_rows(uint32_t sae, enum store_direction direction, const char *name)
{
	const float *rows;
	uint32_t d;
	int rc = store_rows(view, sae, direction, &rows, &d, &e);

	if (rc == ERR_NOTFOUND) {
		e = ERR_INIT;
		return;
	}
	must(rc, name);
	printf("%s %016" PRIx64 "\n", name,
		hash64(rows, (size_t)cat->sae[sae].d_sae * d * sizeof(*rows), 0));
}

static void
dump_sae(uint32_t sae)
{
	const struct cat_sae *s = &cat->sae[sae];
	struct rec_logits l;

	printf("sae %s %s\n", s->name, s->id);
	dump_rows(sae, STORE_DECODER, "decoder");
	dump_rows(sae, STORE_ENCODER, "encoder");
	for (uint32_t i = 0; i < s->d_sae; i++) {
		struct store_value v = get(TABLE_LOGITS, sae, 0, i);

		if (v.p == NULL) /* the model's unembedding was not known */
			continue;
		must(rec_logits_unpack(&l, v.p, v.n_bytes, &arena, &e), "logits");
		printf("promoted %u", i);
		print_scored(l.promoted, l.n_promoted);
		printf("suppressed %u", i);
		print_scored(l.suppressed, l.n_suppressed);
	}
}

static void
dump_graph(uint32_t graph)
{
	const struct cat_graph *g = &cat->graph[graph];
	const struct rec_scored *x;
	size_t n;

	printf("graph %s %s %u\n", cat->sae[g->from].id, cat->sae[g->to].id, g->k);
	for (uint32_t i = 0; i < cat->sae[g->from].d_sae; i++) {
		struct store_value v = get(TABLE_NEIGHBORS, graph, 0, i);

		must(rec_neighbors_unpack(&x, &n, v.p, v.n_bytes, &arena, &e), "graph");
		printf("neighbors %u", i);
		print_scored(x, n);
	}
}

static void
dump(const char *dir)
{
	struct store *s;

	arena_init(&arena, 0);
	must(store_open(&s, dir, STORE_READ, &e), "open");
	must(store_view_open(&view, s, &e), "view");
	cat = store_view_catalog(view);
	for (uint32_t i = 0; i < cat->n_cuts; i++)
		dump_cut(i);
	for (uint32_t i = 0; i < cat->n_saes; i++)
		dump_sae(i);
	for (uint32_t i = 0; i < cat->n_graphs; i++)
		dump_graph(i);
	for (uint32_t i = 0; i < cat->n_runs; i++)
		dump_run(i);
	arena_clear(&arena);
	store_view_close(view);
	store_close(s);
}

static void
answer(const char *dir)
{
	size_t n_bytes = 0;
	char *text = NULL;

	answers = stdout;
	stdout = open_memstream(&text, &n_bytes);
	if (stdout == NULL)
		abort();
	dump(dir);
	fclose(stdout);
	stdout = answers;
	printf("sum %016" PRIx64 "\n", hash64(text, n_bytes, 0));
	free(text);
	fflush(stdout);
}

static int
answer_all(void)
{
	char dir[PATH_BYTES];
	int status;
	pid_t pid;

	while (fgets(dir, sizeof(dir), stdin) != NULL) {
		dir[strcspn(dir, "\n")] = '\0';
		pid = fork();
		if (pid < 0)
			return 1;
		if (pid == 0) {
			close(STDIN_FILENO); /* or exit() puts back what was read of it */
			answer(dir);
			exit(0);
		}
		if (waitpid(pid, &status, 0) != pid)
			return 1;
		if (WIFSIGNALED(status))
			printf("signal %d\n", WTERMSIG(status));
		else if (WEXITSTATUS(status) != 0) /* a sanitizer's */
			printf("status %d\n", WEXITSTATUS(status));
		fflush(stdout);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: dump_store STORE|-\n");
		return 2;
	}
	if (strcmp(argv[1], "-") == 0)
		return answer_all();
	dump(argv[1]);
	return ferror(stdout) || fflush(stdout) != 0;
}
