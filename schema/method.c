/* SPDX-License-Identifier: ISC */
#include "schema/method.h"

#include "schema/limits.h"

#include <math.h>
#include <string.h>

/* Rows of parameters. Bounds of numbers are values, of strings, bins and lists
 * lengths (of strings in bytes). */
#define WHOLE 9007199254740992.0 /* 2^53: every integer up to it is a double */
#define U32 4294967295.0
#define ADDR_BYTES 300 /* MODEL/SAE/INDEX */
#define TEXT_BYTES 4096

/* clang-format off */
#define STR(n, lo, hi, preset, doc) {n, PARAM_STR, false, lo, hi, preset, doc}
#define INT(n, lo, hi, preset, doc) {n, PARAM_INT, false, lo, hi, preset, doc}
#define FLOAT(n, lo, hi, preset, doc) {n, PARAM_FLOAT, false, lo, hi, preset, doc}
#define ANY(n, doc) {n, PARAM_ANY, false, 0, INFINITY, NULL, doc}
#define BOOL(n, preset, doc) {n, PARAM_BOOL, false, 0, 1, preset, doc}
#define STR_(n, lo, hi, doc) {n, PARAM_STR, true, lo, hi, NULL, doc}
#define INT_(n, lo, hi, doc) {n, PARAM_INT, true, lo, hi, NULL, doc}
#define LIST(n, lo, hi, doc) {n, PARAM_LIST, false, lo, hi, NULL, doc}
#define LIST_(n, lo, hi, doc) {n, PARAM_LIST, true, lo, hi, NULL, doc}
#define ANY_(n, doc) {n, PARAM_ANY, true, 0, INFINITY, NULL, doc}
/* clang-format on */
#define FEATURE_ STR_("feature", 1, ADDR_BYTES, "address: SAE/INDEX or MODEL/SAE/INDEX")
#define SAE_ STR_("sae", 1, LIMIT_NAME_BYTES, "name or id of an SAE")
#define SAE STR("sae", 1, LIMIT_NAME_BYTES, NULL, "name or id of an SAE; default all")
#define RUN ANY("run", "number or id of a run; default the newest")
#define LIMIT(hi, preset) INT("limit", 1, hi, preset, "rows at most")
#define CURSOR STR("cursor", 1, 256, NULL, "next of the page before")
/* Where and how neighbors are searched. */
#define IN_SAES(required, doc) \
	{ \
		"sae", PARAM_ANY, required, 0, INFINITY, NULL, doc \
	}
#define SEARCH \
	STR("of", 1, 16, "\"decoder\"", \
		"decoder or encoder: the directions compared"), \
		STR("metric", 1, 24, "\"cosine\"", \
			"cosine, or ip (inner_product, dot)"), \
		STR("engine", 1, 16, "\"auto\"", "auto, exact, faiss or approximate")
#define FILTERS \
	BOOL("alive", NULL, "only those that fired, or only others"), \
		FLOAT("min_density", 0, 1, "0", \
			"share of tokens they fire on, at least"), \
		FLOAT("max_density", 0, 1, "1", \
			"share of tokens they fire on, at most"), \
		BOOL("labelled", NULL, \
			"only those labelled by people or imports, or only others"), \
		LIST("features", 0, LIMIT_NODES, \
			"only among these: indexes or addresses")
#define RAW BOOL("raw", "false", "bytes as they are, not shown as text")
#define QUERY_ \
	STR_("query", 1, TEXT_BYTES, "words, \"a phrase\", prefix*, AND, OR, NOT")
#define DOCUMENT_ STR_("document", 1, TEXT_BYTES, "id of a document")
#define TOP INT("top", 0, U32, "0", "the strongest on each token; 0 = all")
#define WITH_LABELS BOOL("labels", "false", "with the labels of what fires")

static const struct param sae_list[] = {
	STR("model", 1, LIMIT_NAME_BYTES, NULL, "name or id of a model; default all"),
};
static const struct param run_get[] = {
	ANY_("run", "number or id of a run"),
};
static const struct param feature_get[] = {FEATURE_, RUN};
static const struct param feature_many[] = {
	LIST_("features", 0, LIMIT_BATCH, "addresses"),
	RUN,
};
static const struct param feature_list[] = {
	SAE_,
	RUN,
	STR("sort", 1, 16, "\"index\"", "index, count, density, max or mean"),
	BOOL("descending", "false", "largest first"),
	FLOAT("min_density", 0, 1, "0", "share of tokens it fires on, at least"),
	FLOAT("max_density", 0, 1, "1", "share of tokens it fires on, at most"),
	FLOAT("min_max", 0, INFINITY, "0", "its maximum, at least"),
	FLOAT("max_max", 0, INFINITY, NULL, "its maximum, at most"),
	INT("min_count", 0, WHOLE, "0", "tokens it fires on, at least"),
	INT("max_count", 0, WHOLE, NULL, "tokens it fires on, at most"),
	BOOL("dead", NULL, "only those that never fired, or only others"),
	BOOL("labelled", NULL,
		"only those labelled by people or imports, or only others"),
	LIMIT(LIMIT_PAGE, "100"),
	CURSOR,
};
static const struct param feature_examples[] = {
	FEATURE_,
	RUN,
	INT("interval", -2, LIMIT_INTERVALS - 1, "-1",
		"-1 the best, 0 to 9 the sample of one interval, -2 all"),
	LIMIT(100, "20"),
	INT("context", 0, LIMIT_CONTEXT, "10", "tokens on either side of the peak"),
	RAW,
};
static const struct param feature_neighbors[] = {
	FEATURE_,
	RUN,
	IN_SAES(false,
		"in that SAE, in a list of them, or in \"all\"; default its own"),
	INT("k", 1, LIMIT_PAGE, "10", "neighbors at most"),
	SEARCH,
	FILTERS,
	BOOL("exclude_self", "true", "the feature itself is no neighbor"),
};
static const struct param feature_cooccurrence[] = {
	FEATURE_,
	RUN,
	ANY("sae", "an SAE, a list of them, or \"all\" of its corpus; default its own"),
	INT("k", 1, LIMIT_PAGE, "10", "neighbors at most"),
	STR("sort", 1, 16, "\"jaccard\"", "jaccard, pmi or count"),
	INT("min_count", 1, WHOLE, "5", "tokens on which both fire, at least"),
};
static const struct param feature_splitting[] = {
	FEATURE_,
	RUN,
	STR("direction", 1, 16, "\"children\"",
		"children in wider SAEs, or parents in narrower ones"),
	STR("by", 1, 16, "\"cosine\"", "cosine, cooccurrence or both"),
	FLOAT("min_cosine", -1, 1, "0.5", "of decoder rows, at least"),
	FLOAT("min_share", 0, 1, "0.5",
		"of the wider one's tokens, those on which the narrower one fires"),
	INT("min_count", 1, WHOLE, "5", "tokens on which both fire, at least"),
	INT("k", 1, LIMIT_NEIGHBORS, "8", "of each feature in the next SAE, at most"),
};
static const struct param map_feature[] = {
	FEATURE_,
	RUN,
	STR("sae", 1, LIMIT_NAME_BYTES, NULL,
		"with features of that SAE; default all that have neighbors"),
	INT("points", 1, LIMIT_MAP_POINTS, "100", "features at most, its own included"),
	INT("seed", 0, WHOLE, "0", "of the layout"),
};
static const struct param feature_vector[] = {FEATURE_};
static const struct param feature_documents[] = {
	FEATURE_,
	RUN,
	LIMIT(LIMIT_PAGE, "100"),
	INT("offset", 0, U32, "0", "documents to leave out at the front"),
};
static const struct param vector_neighbors[] = {
	ANY_("vector", "little-endian float32, or a list of numbers"),
	IN_SAES(true, "in that SAE, in a list of them, or in \"all\""),
	INT("k", 1, LIMIT_PAGE, "10", "neighbors at most"),
	RUN,
	SEARCH,
	FILTERS,
};
static const struct param concept_neighbors[] = {
	STR_("text", 1, TEXT_BYTES, "what is looked for, in words"),
	ANY("sae", "name of an SAE, or a list of them; default all"),
	RUN,
	STR("via", 1, 16, "\"auto\"", "auto, labels, examples or model"),
	INT("k", 1, 200, "10", "features at most"),
	INT("neighbors", 0, LIMIT_NEIGHBORS, "5", "of each, in each SAE"),
	INT("top", 0, 200, "3", "how many of them with neighbors"),
	BOOL("as_is", "false",
		"the model reads the text as a document, not inside one"),
	INT("windows", 1, LIMIT_PAGE, "200", "windows of examples looked at, at most"),
};
static const struct param document_list[] = {
	RUN,
	STR("key", 1, 256, NULL, "only documents whose metadata has this key"),
	STR("value", 0, TEXT_BYTES, NULL, "and this value of it"),
	LIMIT(LIMIT_PAGE, "100"),
	CURSOR,
};
static const struct param document_get[] = {DOCUMENT_, RUN, RAW};
static const struct param document_activations[] = {
	DOCUMENT_,
	SAE_,
	RUN,
	INT("first", 0, U32, "0",
		"first token, counted through the document's windows"),
	INT("n", 1, LIMIT_CONTEXT, "256", "tokens at most"),
	TOP,
	WITH_LABELS,
	RAW,
};
static const struct param window_activations[] = {
	INT_("window", 0, U32, "number of a window"),
	SAE_,
	RUN,
	INT("first", 0, U32, "0", "first token of the window"),
	INT("n", 1, LIMIT_CONTEXT, "8192", "tokens at most"),
	TOP,
	WITH_LABELS,
	RAW,
};
static const struct param image_get[] = {
	STR_("image", 8, 64, "its SHA-256 in hexadecimal, or the first digits"),
	RUN,
};
static const struct param feature_activations[] = {
	FEATURE_,
	RUN,
	INT("after", -1, U32, "-1", "only windows behind this one"),
	INT("limit", 1, 10000, "1000", "windows at most"),
};
static const struct param token_features[] = {
	STR_("token", 1, TEXT_BYTES, "the token's text, leading space included"),
	SAE_,
	RUN,
	FLOAT("min_share", 0, 1, "0", "share of its occurrences, at least"),
	STR("sort", 1, 16, "\"share\"", "share or mean"),
	LIMIT(LIMIT_TOKEN_FEATURES, "20"),
};
static const struct param label_get[] = {FEATURE_, RUN};
static const struct param label_set[] = {
	FEATURE_,
	STR_("text", 1, LIMIT_LABEL_BYTES, "the label"),
	STR("author", 0, LIMIT_NAME_BYTES, "\"\"", "who says so"),
	STR("source", 1, 64, "\"person\"", "person, import or another word"),
	FLOAT("score", -INFINITY, INFINITY, NULL, "how good it is, on any scale"),
};
static const struct param label_delete[] = {
	INT_("id", 1, WHOLE, "of a label"),
};
static const struct param label_import[] = {
	LIST_("labels", 0, LIMIT_BATCH,
		"maps with feature, or sae_hash and index, and text"),
};
static const struct param label_export[] = {
	SAE,
	CURSOR,
	LIMIT(LIMIT_PAGE, "1000"),
};
static const struct param label_search[] = {
	QUERY_,
	SAE,
	LIMIT(LIMIT_PAGE, "20"),
	CURSOR,
};
static const struct param text_search[] = {
	QUERY_,
	RUN,
	LIMIT(LIMIT_PAGE, "20"),
	CURSOR,
};

#define NONE NULL, 0
#define ROW(p) p, sizeof(p) / sizeof((p)[0])

const struct method method_table[] = {
	{"server.ping", "the generation served", NEED_STORE, NONE},
	{"server.info", "what this server is and has done", NEED_STORE, NONE},
	{"server.methods", "this table of methods", NEED_STORE, NONE},
	{"model.list", "the language models", NEED_STORE, NONE},
	{"sae.list", "the sparse autoencoders", NEED_STORE, ROW(sae_list)},
	{"run.list", "the runs of SAEs over corpora", NEED_STORE, NONE},
	{"run.get", "one run with its provenance", NEED_STORE, ROW(run_get)},
	{"feature.get", "one feature's statistics, labels and logit effects",
		NEED_STORE, ROW(feature_get)},
	{"feature.many", "many features in one call", NEED_STORE | NEED_SLOW,
		ROW(feature_many)},
	{"feature.list", "features of an SAE, filtered and sorted",
		NEED_STORE | NEED_SLOW, ROW(feature_list)},
	{"feature.examples",
		"where a feature fires strongest, or a sample of an interval",
		NEED_STORE | NEED_SLOW, ROW(feature_examples)},
	{"feature.neighbors", "the features nearest to a feature",
		NEED_STORE | NEED_TRY, ROW(feature_neighbors)},
	{"feature.cooccurrence", "the features that fire on the same tokens",
		NEED_STORE | NEED_SLOW, ROW(feature_cooccurrence)},
	{"feature.splitting", "how a feature appears in wider or narrower SAEs",
		NEED_STORE | NEED_SLOW, ROW(feature_splitting)},
	{"map.feature", "what lies around a feature, laid out in the plane",
		NEED_STORE | NEED_SLOW, ROW(map_feature)},
	{"feature.vector", "a feature's decoder row", NEED_STORE, ROW(feature_vector)},
	{"feature.documents", "the documents where a feature fires",
		NEED_STORE | NEED_SLOW, ROW(feature_documents)},
	{"vector.neighbors", "the features nearest to a vector", NEED_STORE | NEED_SLOW,
		ROW(vector_neighbors)},
	{"concept.neighbors", "from words to features, and on to their neighbors",
		NEED_STORE | NEED_SLOW, ROW(concept_neighbors)},
	{"document.list", "documents of a corpus", NEED_STORE | NEED_SLOW,
		ROW(document_list)},
	{"document.get", "one document with its text", NEED_STORE | NEED_SLOW,
		ROW(document_get)},
	{"document.activations", "what fires on the tokens of a document",
		NEED_STORE | NEED_SLOW, ROW(document_activations)},
	{"window.activations", "what fires on the tokens of a window",
		NEED_STORE | NEED_SLOW, ROW(window_activations)},
	{"image.get", "an image whose patches are tokens", NEED_STORE | NEED_SLOW,
		ROW(image_get)},
	{"feature.activations", "every activation of a feature", NEED_STORE | NEED_SLOW,
		ROW(feature_activations)},
	{"token.features", "the features that fire on a token", NEED_STORE | NEED_SLOW,
		ROW(token_features)},
	{"label.get", "a feature's labels, best first", NEED_STORE, ROW(label_get)},
	{"label.set", "label a feature", NEED_STORE | NEED_WRITE | NEED_SLOW,
		ROW(label_set)},
	{"label.delete", "delete a label", NEED_STORE | NEED_WRITE | NEED_SLOW,
		ROW(label_delete)},
	{"label.import", "set many labels, all or none",
		NEED_STORE | NEED_WRITE | NEED_SLOW, ROW(label_import)},
	{"label.export", "all stored labels, page by page", NEED_STORE | NEED_SLOW,
		ROW(label_export)},
	{"label.search", "features by the words of their labels",
		NEED_STORE | NEED_SLOW, ROW(label_search)},
	{"text.search", "windows by the words of their text", NEED_STORE | NEED_SLOW,
		ROW(text_search)},
};
const size_t method_n = sizeof(method_table) / sizeof(method_table[0]);

/* Words as others spell them: FAISS, scikit-learn, and the other English. */
static const struct {
	const char *alias, *word;
} spellings[] = {
	{"neighbours", "neighbors"},
	{"n_neighbors", "k"},
	{"n_neighbours", "k"},
	{"saes", "sae"},
};

static bool
is_word(const char *word, const char *text, size_t n_bytes)
{
	return strlen(word) == n_bytes && memcmp(word, text, n_bytes) == 0;
}

const char *
method_spelling(const char *text, size_t n_bytes)
{
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
		if (is_word(spellings[i].alias, text, n_bytes))
			return spellings[i].word;
	return NULL;
}

/* By the exact name, or with another last word. */
static int
find(const char *name, size_t n_front, const char *last, size_t n_last)
{
	for (size_t i = 0; i < method_n; i++)
		if (strlen(method_table[i].name) >= n_front &&
			memcmp(method_table[i].name, name, n_front) == 0 &&
			is_word(method_table[i].name + n_front, last, n_last))
			return (int)i;
	return -1;
}

int
method_find(const char *name, size_t n_bytes)
{
	size_t n_front = n_bytes;
	const char *last;
	int at = find(name, 0, name, n_bytes);

	while (n_front > 0 && name[n_front - 1] != '.')
		n_front--;
	if (at >= 0 || n_front == 0)
		return at;
	last = method_spelling(name + n_front, n_bytes - n_front);
	return last != NULL ? find(name, n_front, last, strlen(last)) : -1;
}

const char *
param_type_name(enum param_type t)
{
	static const char *const name[] = {"str", "int", "float", "bool", "bin", "list",
		"any"};

	return name[t];
}
