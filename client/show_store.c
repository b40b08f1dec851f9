/* SPDX-License-Identifier: ISC */
/* What is in a store: info, models, saes, runs. */
#include "client/cli.h"
#include "client/fmt.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static uint64_t
natural(const struct saedb_value *map, const char *key)
{
	int64_t i = int_of(map, key);

	return i > 0 ? (uint64_t)i : 0;
}

static void
put_count(struct table *t, const struct saedb_value *map, const char *key)
{
	table_put(t, fmt_count(natural(map, key)).s);
}

/* Features that the newest run sought. */
static uint64_t
n_sought(const struct saedb_value *sae)
{
	uint64_t end = natural(sae, "end_feature");

	return end > 0 ? end - natural(sae, "first_feature") : natural(sae, "d_sae");
}

/* Of a model that is only described, 0 is not known. */
static void
put_known(struct table *t, const struct saedb_value *map, const char *key,
	struct fmt (*fmt)(uint64_t n))
{
	uint64_t n = natural(map, key);

	table_put(t, n > 0 ? fmt(n).s : "-");
}

/* nil: not known, of latents made elsewhere. */
static bool
is_nil(struct table *t, const struct saedb_value *map, const char *key)
{
	if (saedb_type(saedb_get(map, key)) != SAEDB_NIL)
		return false;
	table_put(t, "-");
	return true;
}

static void fact(struct table *t, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void
fact(struct table *t, const char *name, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	table_put(t, name);
	table_text(t, text);
}

static const struct column fact_columns[] = {
	{"", false, STYLE_DIM},
	{"", false, STYLE_PLAIN},
	{NULL, false, STYLE_PLAIN},
};

static void
show_indexes(struct table *t, const struct saedb_value *list)
{
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *x = saedb_at(list, i);

		fact(t, i == 0 ? "indexes" : "", "%s (%s) %s: %s",
			str_of(x, "sae", "?"), str_of(x, "of", "?"),
			str_of(x, "state", "?"),
			str_of(x, "error", str_of(x, "index", "?")));
		if (saedb_type(saedb_get(x, "error")) == SAEDB_NIL)
			fact(t, "", "  recall@10 %.4f of %s queries, %s",
				float_of(x, "recall"),
				fmt_count(natural(x, "queries")).s,
				fmt_bytes(natural(x, "bytes")).s);
	}
}

void
show_info(struct cli *c, const struct saedb_value *r)
{
	const struct saedb_value *n = saedb_get(r, "counters");
	struct table t;

	table_init(&t, fact_columns, c->term.utf8);
	t.no_titles = true;
	fact(&t, "store", "%s", str_of(r, "store", "?"));
	fact(&t, "", "version %" PRId64 ", generation %" PRId64,
		int_of(r, "store_version"), int_of(r, "generation"));
	fact(&t, "daemon", "%s %s, protocol %" PRId64 ", %s, up %s",
		str_of(r, "name", "saedbd"), str_of(r, "version", "?"),
		int_of(r, "protocol"), str_of(r, "path", "?"),
		fmt_seconds(float_of(r, "uptime_s")).s);
	if (saedb_get(r, "memory") != NULL)
		fact(&t, "memory", "%s own, %s of mapped files",
			fmt_bytes(natural(saedb_get(r, "memory"), "own_bytes")).s,
			fmt_bytes(natural(saedb_get(r, "memory"), "mapped_bytes")).s);
	if (saedb_get(r, "faiss") != NULL)
		fact(&t, "FAISS", "%s", str_of(r, "faiss", "?"));
	show_indexes(&t, saedb_get(r, "indexes"));
	fact(&t, "labels", "%s",
		saedb_bool(saedb_get(r, "read_only"), true)
			? "may be read on this connection"
			: "may be read and written");
	fact(&t, "requests", "%s, %s failed, %s refused; %s connections",
		fmt_count(natural(n, "requests")).s, fmt_count(natural(n, "errors")).s,
		fmt_count(natural(n, "refused")).s,
		fmt_count(natural(n, "connections")).s);
	fact(&t, "traffic", "%s in, %s out", fmt_bytes(natural(n, "bytes_in")).s,
		fmt_bytes(natural(n, "bytes_out")).s);
	show_table(c, &t);
}

void
show_models(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"model", false, STYLE_ADDR},
		{"family", false, STYLE_PLAIN},
		{"layers", true, STYLE_PLAIN},
		{"d_model", true, STYLE_PLAIN},
		{"vocab", true, STYLE_PLAIN},
		{"context", true, STYLE_PLAIN},
		{"parameters", true, STYLE_PLAIN},
		{"weights", false, STYLE_PLAIN},
		{"sha256", false, STYLE_DIM},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "models");
	struct table t;

	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *m = saedb_at(list, i);
		const char *dtype = str_of(m, "dtype", "?");

		table_text(&t, str_of(m, "name", "?"));
		table_text(&t, str_of(m, "family", "?"));
		put_count(&t, m, "n_layers");
		put_count(&t, m, "d_model");
		put_count(&t, m, "n_vocab");
		put_known(&t, m, "n_ctx", fmt_count);
		put_known(&t, m, "n_params", fmt_short);
		table_text(&t, dtype[0] != '\0' ? dtype : "-");
		table_printf(&t, "%.12s", str_of(m, "weights_sha256", ""));
	}
	show_table(c, &t);
}

static void
put_share(struct table *t, uint64_t part, uint64_t all)
{
	if (all == 0)
		table_put(t, "-");
	else
		table_printf(t, "%s", fmt_percent((double)part / (double)all).s);
}

void
show_saes(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"sae", false, STYLE_ADDR},
		{"model", false, STYLE_PLAIN},
		{"hook", false, STYLE_PLAIN},
		{"kind", false, STYLE_PLAIN},
		{"d_in", true, STYLE_PLAIN},
		{"features", true, STYLE_PLAIN},
		{"dead", true, STYLE_PLAIN},
		{"L0", true, STYLE_PLAIN},
		{"explained", true, STYLE_PLAIN},
		{"tokens", true, STYLE_PLAIN},
		{"runs", true, STYLE_PLAIN},
		{"hash", false, STYLE_DIM},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "saes");
	struct table t;

	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *s = saedb_at(list, i);
		uint64_t k = natural(s, "k");

		table_text(&t, str_of(s, "name", "?"));
		table_text(&t, str_of(s, "model", "?"));
		table_text(&t, str_of(s, "hook", "?"));
		if (k > 0)
			table_printf(&t, "%.40s %" PRIu64,
				str_of(s, "architecture", "?"), k);
		else
			table_text(&t, str_of(s, "architecture", "?"));
		put_count(&t, s, "d_in");
		put_count(&t, s, "d_sae");
		put_share(&t, natural(s, "n_dead"),
			natural(s, "n_tokens") > 0 ? n_sought(s) : 0);
		table_put(&t, fmt_value(float_of(s, "l0")).s);
		if (!is_nil(&t, s, "explained"))
			table_printf(&t, "%.1f%%", 100 * float_of(s, "explained"));
		put_count(&t, s, "n_tokens");
		table_put(&t, fmt_count(saedb_length(saedb_get(s, "runs"))).s);
		table_printf(&t, "%.12s", str_of(s, "hash", ""));
	}
	show_table(c, &t);
}

/* "1k, 8k" */
static void
put_saes(struct table *t, const struct saedb_value *list)
{
	char text[256];
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < saedb_length(list) && at < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
			i > 0 ? ", " : "", str_of(saedb_at(list, i), "sae", "?"));
	table_text(t, text);
}

void
show_runs(struct cli *c, const struct saedb_value *r)
{
	static const struct column columns[] = {
		{"run", true, STYLE_ADDR},
		{"model", false, STYLE_PLAIN},
		{"corpus", false, STYLE_PLAIN},
		{"documents", true, STYLE_PLAIN},
		{"windows", true, STYLE_PLAIN},
		{"tokens", true, STYLE_PLAIN},
		{"context", true, STYLE_PLAIN},
		{"made (UTC)", false, STYLE_PLAIN},
		{"saes", false, STYLE_ADDR},
		{NULL, false, STYLE_PLAIN},
	};
	const struct saedb_value *list = saedb_get(r, "runs");
	struct table t;

	table_init(&t, columns, c->term.utf8);
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *run = saedb_at(list, i);

		table_printf(&t, "%" PRId64, int_of(run, "run"));
		table_text(&t, str_of(run, "model", "?"));
		table_text(&t, str_of(run, "corpus", "?"));
		put_count(&t, run, "n_documents");
		put_count(&t, run, "n_windows");
		put_count(&t, run, "n_tokens");
		put_count(&t, run, "context");
		table_put(&t, fmt_time(int_of(run, "created_s")).s);
		put_saes(&t, saedb_get(run, "saes"));
	}
	show_table(c, &t);
}

/* ---- one run ---- */

static void
show_run_saes(struct cli *c, const struct saedb_value *list)
{
	static const struct column columns[] = {
		{"sae", false, STYLE_ADDR},
		{"features", true, STYLE_PLAIN},
		{"tokens", true, STYLE_PLAIN},
		{"activations", true, STYLE_PLAIN},
		{"alive", true, STYLE_PLAIN},
		{"dead", true, STYLE_PLAIN},
		{"L0", true, STYLE_PLAIN},
		{"explained", true, STYLE_PLAIN},
		{"mse", true, STYLE_PLAIN},
		{NULL, false, STYLE_PLAIN},
	};
	struct table t;

	table_init(&t, columns, c->term.utf8);
	t.indent = 2;
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *s = saedb_at(list, i);

		table_text(&t, str_of(s, "sae", "?"));
		if (natural(s, "end_feature") == 0)
			table_put(&t, "-");
		else
			table_printf(&t, "%" PRIu64 "-%" PRIu64,
				natural(s, "first_feature"),
				natural(s, "end_feature") - 1);
		put_count(&t, s, "n_tokens");
		put_count(&t, s, "n_active");
		put_count(&t, s, "n_alive");
		put_count(&t, s, "n_dead");
		table_put(&t, fmt_value(float_of(s, "l0")).s);
		if (!is_nil(&t, s, "explained"))
			table_printf(&t, "%.1f%%", 100 * float_of(s, "explained"));
		if (!is_nil(&t, s, "mse"))
			table_put(&t, fmt_value(float_of(s, "mse")).s);
	}
	show_table(c, &t);
}

/* Any value as indented lines "key  value"; lists of scalars on one line. */
static void
show_tree(struct cli *c, const struct saedb_value *v, int indent)
{
	for (size_t i = 0; i < saedb_length(v); i++) {
		bool map = saedb_type(v) == SAEDB_MAP;
		const struct saedb_value *x = map ? saedb_pair(v, i) : saedb_at(v, i);
		const struct saedb_value *first = saedb_at(x, 0);
		bool nested =
			saedb_type(x) == SAEDB_MAP || saedb_type(first) == SAEDB_MAP;
		char *text = NULL;

		term_printf(&c->term, "%*s", indent, "");
		if (map) {
			term_text(&c->term, STYLE_DIM, saedb_str(saedb_key(v, i), "?"));
			term_printf(&c->term, "  ");
		} else {
			term_put(&c->term, STYLE_DIM, "-");
			term_printf(&c->term, " ");
		}
		if (nested) {
			term_printf(&c->term, "\n");
			show_tree(c, x, indent + 2);
			continue;
		}
		if (saedb_type(x) == SAEDB_STR)
			term_text(&c->term, STYLE_PLAIN, saedb_str(x, ""));
		else if (saedb_json(x, &text) == 0)
			term_text(&c->term, STYLE_PLAIN, text);
		saedb_text_free(text);
		term_printf(&c->term, "\n");
	}
}

void
show_run(struct cli *c, const struct saedb_value *r)
{
	struct table t;

	table_init(&t, fact_columns, c->term.utf8);
	t.no_titles = true;
	fact(&t, "run", "%" PRId64 " (%s)", int_of(r, "run"), str_of(r, "id", "?"));
	fact(&t, "model", "%s", str_of(r, "model", "?"));
	fact(&t, "corpus", "%s: %s documents in %s windows of at most %s tokens%s",
		str_of(r, "corpus", "?"), fmt_count(natural(r, "n_documents")).s,
		fmt_count(natural(r, "n_windows")).s,
		fmt_count(natural(r, "context")).s,
		saedb_bool(saedb_get(r, "joined"), false) ? ", documents joined" : "");
	fact(&t, "tokens", "%s", fmt_count(natural(r, "n_tokens")).s);
	fact(&t, "made", "%s UTC", fmt_time(int_of(r, "created_s")).s);
	show_table(c, &t);
	term_printf(&c->term, "\n");
	show_run_saes(c, saedb_get(r, "saes"));
	term_printf(&c->term, "\n");
	show_heading(c, "  provenance");
	show_tree(c, saedb_get(r, "provenance"), 4);
}
