/* SPDX-License-Identifier: ISC */
/* The verbs about features, documents and tokens. */
#include "client/cli.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>

#define ROWS 20 /* shown when nothing else is said */

int
run_features(struct cli *c)
{
	const char *sae = NULL;
	int rc = c->n_words == 0 ? cli_sae(c, NULL, &sae) : 0;

	return rc != 0 ? rc : cli_pages(c, sae, ROWS);
}

/* ---- one feature: four questions at once ---- */

enum { ASK_FEATURE, ASK_EXAMPLES, ASK_NEIGHBORS, N_ASK };

static int
send_all(struct cli *c, uint32_t *id)
{
	static const char *const method[N_ASK] = {"feature.get", "feature.examples",
		"feature.neighbors"};
	int rc = 0;

	for (int i = 0; i < N_ASK && rc == 0; i++) {
		struct saedb_args *a = saedb_args_new();

		saedb_args_str(a, "feature", c->word[0]);
		saedb_args_str(a, "run", cli_option(c, "run"));
		if (i == ASK_EXAMPLES) {
			saedb_args_int(a, "limit", 5);
			saedb_args_bool(a, "raw", true);
		} else if (i == ASK_NEIGHBORS) {
			saedb_args_int(a, "k", 5);
		}
		if (saedb_send(c->db, method[i], a, &id[i]) != 0)
			rc = cli_db_error(c);
		saedb_args_free(a);
	}
	return rc;
}

static void
show_parts(struct cli *c, struct saedb_reply *const *r)
{
	const struct saedb_value *near = saedb_result(r[ASK_NEIGHBORS]);

	show_feature(c, saedb_result(r[ASK_FEATURE]));
	if (saedb_length(saedb_get(saedb_result(r[ASK_EXAMPLES]), "examples")) > 0) {
		term_printf(&c->term, "\n");
		show_heading(c, "  strongest examples");
		show_example_list(c, saedb_result(r[ASK_EXAMPLES]), false);
	}
	if (saedb_length(saedb_get(near, "neighbors")) > 0) {
		term_printf(&c->term, "\n");
		c->indent = 2;
		show_neighbors(c, near);
		c->indent = 0;
	}
}

int
run_feature(struct cli *c)
{
	struct saedb_reply *r[N_ASK] = {NULL};
	uint32_t id[N_ASK] = {0};
	int rc;

	if (c->json || cli_flag(c, "brief"))
		return run_once(c);
	rc = send_all(c, id);
	for (int i = 0; i < N_ASK && rc == 0; i++) {
		int got = saedb_receive(c->db, id[i], &r[i]);

		/* A store may lack the neighbors, but not the feature. */
		if (got != 0 && (i == ASK_FEATURE || got != SAEDB_NOT_FOUND))
			rc = cli_db_error(c);
	}
	if (rc == 0)
		show_parts(c, r);
	for (int i = 0; i < N_ASK; i++)
		saedb_reply_free(r[i]);
	return rc != 0 ? rc : c->err.code;
}

/* ---- neighbors ---- */

/* A vector from standard input: little-endian float32. */
static int
run_vector_neighbors(struct cli *c)
{
	const char *sae = cli_option(c, "sae");
	struct saedb_args *a = saedb_args_new();
	struct saedb_reply *r = NULL;
	char bytes[1 << 16];
	size_t n = fread(bytes, 1, sizeof(bytes), stdin);
	int rc;

	if (sae == NULL)
		rc = cli_usage(c, "neighbors -: --sae SAE is needed");
	else if (n == 0 || n % 4 != 0 || !feof(stdin))
		rc = cli_usage(c,
			"neighbors -: standard input is no vector of float32");
	else {
		saedb_args_bin(a, "vector", bytes, n);
		saedb_args_str(a, "sae", sae);
		saedb_args_int(a, "k", cli_int(c, "k", 10));
		rc = cli_call(c, "vector.neighbors", a, &r);
		if (rc == 0)
			rc = cli_show(c, r);
	}
	saedb_reply_free(r);
	saedb_args_free(a);
	return rc;
}

int
run_neighbors(struct cli *c)
{
	if (cli_flag(c, "text"))
		return run_concept(c);
	if (cli_flag(c, "via") || cli_flag(c, "neighbors") || cli_flag(c, "top"))
		return cli_usage(c, "--via, --neighbors and --top go with --text");
	if (c->n_words == 0)
		return cli_usage(c, "usage: saedb neighbors ADDRESS|- | --text WORDS");
	return strcmp(c->word[0], "-") == 0 ? run_vector_neighbors(c) : run_once(c);
}

/* ---- examples, tokens ---- */

int
run_examples(struct cli *c)
{
	struct saedb_args *a;
	int rc = cli_args(c, &a);

	if (rc == 0 && cli_flag(c, "intervals") && cli_flag(c, "interval"))
		rc = cli_usage(c, "--interval or --intervals, not both");
	if (cli_flag(c, "intervals")) {
		saedb_args_int(a, "interval", -2);
		if (!cli_flag(c, "limit"))
			saedb_args_int(a, "limit", LIMIT_EXAMPLES);
	}
	if (!c->json) /* so that characters of several tokens can be put together */
		saedb_args_bool(a, "raw", true);
	if (rc == 0)
		rc = cli_ask(c, a);
	saedb_args_free(a);
	return rc;
}

int
run_tokens(struct cli *c)
{
	const char *given = cli_option(c, "sae"), *sae;
	struct saedb_args *a = NULL;
	int rc = cli_sae(c, given, &sae);

	if (rc == 0)
		rc = cli_args(c, &a);
	if (given == NULL)
		saedb_args_str(a, "sae", sae);
	if (!cli_flag(c, "top"))
		saedb_args_int(a, "top", 3);
	saedb_args_bool(a, "labels", true);
	if (rc == 0)
		rc = cli_ask(c, a);
	saedb_args_free(a);
	return rc;
}

static int
ask_token(struct cli *c, const char *token, const char *sae, struct saedb_reply **r)
{
	struct saedb_args *a;
	char *word = c->word[0], *copy = mem_strdup(token);
	int rc;

	if (copy == NULL)
		return err_set(&c->err, ERR_NOMEM, "no memory");
	c->word[0] = copy;
	rc = cli_args(c, &a);
	c->word[0] = word;
	if (cli_option(c, "sae") == NULL)
		saedb_args_str(a, "sae", sae);
	if (rc == 0)
		rc = cli_call(c, "token.features", a, r);
	saedb_args_free(a);
	mem_free(copy);
	return rc;
}

/* Most words are tokens only with the space before them. */
int
run_token(struct cli *c)
{
	const char *sae, *word = c->word[0];
	struct saedb_reply *r = NULL;
	char spaced[256];
	int rc = cli_sae(c, cli_option(c, "sae"), &sae);

	if (rc != 0)
		return rc;
	rc = ask_token(c, word, sae, &r);
	if (rc == SAEDB_NOT_FOUND && word[0] != ' ' &&
		strlen(word) < sizeof(spaced) - 1) {
		struct err kept = c->err;

		snprintf(spaced, sizeof(spaced), " %s", word);
		rc = ask_token(c, spaced, sae, &r);
		if (rc == SAEDB_NOT_FOUND)
			c->err = kept;
		else if (rc == 0)
			c->err = ERR_INIT;
		if (rc == 0 && !c->json)
			show_heading(c, "as ' %s', with its leading space", word);
	}
	if (rc == 0)
		rc = cli_show(c, r);
	saedb_reply_free(r);
	return rc;
}

/* ---- documents, texts ---- */

int
run_documents(struct cli *c)
{
	const char *feature = cli_option(c, "feature");
	int64_t limit = cli_flag(c, "all") ? CLI_PAGE : cli_int(c, "limit", ROWS);
	struct saedb_reply *r = NULL;
	int rc;

	if (feature == NULL)
		return cli_pages(c, NULL, ROWS);
	if (cli_flag(c, "key") || cli_flag(c, "value"))
		return cli_usage(c, "--feature goes with neither --key nor --value");
	rc = saedb_ask(c->db, &r, "feature.documents", "feature=%s run=%s limit=%lld",
		feature, cli_option(c, "run"), (long long)limit);
	if (rc != 0)
		return cli_db_error(c);
	if (c->json)
		show_json(c, saedb_result(r));
	else
		show_feature_documents(c, saedb_result(r));
	saedb_reply_free(r);
	return c->err.code;
}

int
run_document(struct cli *c)
{
	struct saedb_args *a;
	int rc = cli_args(c, &a);

	if (!c->json)
		saedb_args_bool(a, "raw", true);
	if (rc == 0)
		rc = cli_ask(c, a);
	saedb_args_free(a);
	return rc;
}

/* Labels and texts in one answer: maps by their methods. */
static void
show_found(struct cli *c, const struct saedb_value *labels,
	const struct saedb_value *texts)
{
	char *a = NULL, *b = NULL;
	struct buf all;

	if (!c->json) {
		if (labels != NULL) {
			show_heading(c, "labels");
			show_features(c, labels);
		}
		if (labels != NULL && texts != NULL)
			term_printf(&c->term, "\n");
		if (texts != NULL) {
			show_heading(c, "texts");
			show_texts(c, texts);
		}
		return;
	}
	buf_init(&all);
	saedb_json(labels, &a);
	saedb_json(texts, &b);
	buf_puts(&all, "{");
	if (labels != NULL && a != NULL) {
		buf_puts(&all, "\"label.search\":");
		buf_puts(&all, a);
	}
	if (texts != NULL && b != NULL) {
		buf_puts(&all,
			labels != NULL ? ",\"text.search\":" : "\"text.search\":");
		buf_puts(&all, b);
	}
	buf_puts(&all, "}");
	if (buf_str(&all) != NULL)
		show_json_text(c, (const char *)all.data);
	buf_clear(&all);
	saedb_text_free(a);
	saedb_text_free(b);
}

int
run_search(struct cli *c)
{
	struct saedb_reply *labels = NULL, *texts = NULL;
	long long limit = (long long)cli_int(c, "limit", 10);
	char *query = cli_join(c, 0);
	int rc = query == NULL ? c->err.code : 0;

	if (rc == 0 && cli_flag(c, "labels") && cli_flag(c, "texts"))
		rc = cli_usage(c, "--labels or --texts, not both");
	if (rc == 0 && !cli_flag(c, "texts") &&
		saedb_ask(c->db, &labels, "label.search", "query=%s sae=%s limit=%lld",
			query, cli_option(c, "sae"), limit) != 0)
		rc = cli_db_error(c);
	if (rc == 0 && !cli_flag(c, "labels") &&
		saedb_ask(c->db, &texts, "text.search", "query=%s run=%s limit=%lld",
			query, cli_option(c, "run"), limit) != 0)
		rc = cli_db_error(c);
	if (rc == 0)
		show_found(c, saedb_result(labels), saedb_result(texts));
	saedb_reply_free(labels);
	saedb_reply_free(texts);
	mem_free(query);
	return rc != 0 ? rc : c->err.code;
}

/* ---- the decoder row ---- */

static void
show_vector(struct cli *c, const float *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		term_printf(&c->term, "%s%12.9g%s", i % 6 == 0 ? "" : " ", (double)v[i],
			i % 6 == 5 || i + 1 == n ? "\n" : "");
}

int
run_vector(struct cli *c)
{
	struct saedb_reply *r = NULL;
	const void *bytes;
	size_t n_bytes = 0, n;
	float *v;
	int rc = saedb_ask(c->db, &r, "feature.vector", "feature=%s", c->word[0]);

	if (rc != 0)
		return cli_db_error(c);
	bytes = saedb_bin(saedb_get(saedb_result(r), "vector"), &n_bytes);
	n = n_bytes / 4;
	v = mem_new(n, sizeof(*v));
	if (v == NULL) {
		rc = err_set(&c->err, ERR_NOMEM, "no memory for a vector");
	} else if (c->json) {
		show_json(c, saedb_result(r));
	} else if (cli_flag(c, "raw")) {
		if (c->term.tty)
			rc = cli_usage(c,
				"--raw writes bytes, which a terminal cannot show");
		else
			fwrite(bytes, 1, n_bytes, c->term.out);
	} else {
		saedb_floats(saedb_get(saedb_result(r), "vector"), v, n);
		show_vector(c, v, n);
	}
	mem_free(v);
	saedb_reply_free(r);
	return rc != 0 ? rc : c->err.code;
}
