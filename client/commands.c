/* SPDX-License-Identifier: ISC */
/* The one table of the command line. Help, completion and checks read it. */
#include "client/cli.h"

/* Options that several commands have. */
#define RUN \
	"run", 0, OPTION_TEXT, "RUN", "run", NULL, \
		"of that run, by number or id (default: the newest)"
#define SAE(doc) "sae", 's', OPTION_TEXT, "SAE", "sae", NULL, doc
#define LIMIT(doc) "limit", 'n', OPTION_INT, "N", "limit", NULL, doc
#define ALL(doc) "all", 'a', OPTION_FLAG, NULL, NULL, NULL, doc
#define FORMAT \
	"format", 'f', OPTION_TEXT, "FORMAT", NULL, "csv|jsonl", \
		"csv or jsonl (JSON Lines)"
#define END .name = NULL

const struct option global_option[] = {
	{"store", 'S', OPTION_TEXT, "DIR", NULL, NULL,
		"the store to open (default: $SAEDB_STORE, then ./saedb.store)"},
	{"connect", 'c', OPTION_TEXT, "ADDRESS", NULL, NULL,
		"the daemon to ask: unix:PATH, tcp:HOST:PORT, or a socket's path"},
	{"json", 'j', OPTION_FLAG, NULL, NULL, NULL,
		"the answer as one JSON document, in the shapes of the protocol"},
	{"color", 0, OPTION_TEXT, "WHEN", NULL, "auto|always|never",
		"auto (default), always or never"},
	{"timeout", 0, OPTION_FLOAT, "SECONDS", NULL, NULL,
		"how long to wait for an answer (default: 60)"},
	{"help", 'h', OPTION_FLAG, NULL, NULL, NULL, "show help"},
	{"version", 'V', OPTION_FLAG, NULL, NULL, NULL, "show the version"},
	{END},
};

static const struct option of_saes[] = {
	{"model", 'm', OPTION_TEXT, "MODEL", "model", NULL, "only those of this model"},
	{END},
};

static const struct option of_features[] = {
	{"sort", 0, OPTION_TEXT, "KEY", "sort", "index|count|density|max|mean",
		"index (default), count, density, max or mean"},
	{"descending", 'r', OPTION_FLAG, "true", "descending", NULL, "largest first"},
	{"min-density", 0, OPTION_FLOAT, "X", "min_density", NULL,
		"fires on at least this share of tokens: 0.001 or 0.1%"},
	{"max-density", 0, OPTION_FLOAT, "X", "max_density", NULL, "... at most"},
	{"min-max", 0, OPTION_FLOAT, "X", "min_max", NULL, "has at least this maximum"},
	{"max-max", 0, OPTION_FLOAT, "X", "max_max", NULL, "... at most"},
	{"min-count", 0, OPTION_INT, "N", "min_count", NULL,
		"fires on at least so many tokens"},
	{"max-count", 0, OPTION_INT, "N", "max_count", NULL, "... at most"},
	{"dead", 0, OPTION_FLAG, "true", "dead", NULL, "only those that never fired"},
	{"alive", 0, OPTION_FLAG, "false", "dead", NULL, "only those that did"},
	{"labelled", 0, OPTION_FLAG, "true", "labelled", NULL,
		"only those with a label by a person or an import"},
	{"unlabelled", 0, OPTION_FLAG, "false", "labelled", NULL, "only those without"},
	{RUN},
	{LIMIT("so many (default: 20)")},
	{ALL("all of them")},
	{END},
};

static const struct option of_feature[] = {
	{RUN},
	{"brief", 'b', OPTION_FLAG, NULL, NULL, NULL, "without examples and neighbors"},
	{END},
};

static const struct option of_neighbors[] = {
	{"sae", 's', OPTION_TEXT, "SAE,...", NULL, NULL,
		"in that SAE, in several, or in all (default: its own)"},
	{"k", 'k', OPTION_INT, "N", "k", NULL, "so many (default: 10)"},
	{"text", 't', OPTION_TEXT, "WORDS", NULL, NULL,
		"of the features for these words, found by labels, examples and the "
		"model"},
	{"via", 0, OPTION_TEXT, "WAY", NULL, "auto|labels|examples|model",
		"... by all ways at hand (default: auto), or by one"},
	{"neighbors", 'N', OPTION_INT, "N", NULL, NULL,
		"... and so many neighbors in each SAE (default: 5)"},
	{"top", 0, OPTION_INT, "N", NULL, NULL,
		"... of the first N of them (default: 3)"},
	{"of", 0, OPTION_TEXT, "ROWS", "of", "decoder|encoder",
		"decoder (default) or encoder"},
	{"metric", 0, OPTION_TEXT, "METRIC", "metric", "cosine|ip|inner_product|dot",
		"cosine (default), or ip: inner product"},
	{"alive", 0, OPTION_FLAG, "true", "alive", NULL, "only those that ever fired"},
	{"dead", 0, OPTION_FLAG, "false", "alive", NULL, "only those that never did"},
	{"min-density", 0, OPTION_FLOAT, "X", "min_density", NULL,
		"fire on at least this share of tokens: 0.001 or 0.1%"},
	{"max-density", 0, OPTION_FLOAT, "X", "max_density", NULL, "... at most"},
	{"labelled", 0, OPTION_FLAG, "true", "labelled", NULL,
		"only those with a label by a person or an import"},
	{"unlabelled", 0, OPTION_FLAG, "false", "labelled", NULL, "only those without"},
	{"features", 0, OPTION_TEXT, "LIST", NULL, NULL,
		"only among these: 3,17 or 8k/3,1k/17, or @FILE of them"},
	{"self", 0, OPTION_FLAG, NULL, NULL, NULL, "with the feature itself"},
	{"engine", 0, OPTION_TEXT, "ENGINE", "engine", "auto|exact|faiss|approximate",
		"auto (default), exact, faiss or approximate"},
	{FORMAT},
	{RUN},
	{END},
};

static const struct option of_cooccurrence[] = {
	{SAE("those of that SAE, or of all over the same corpus (default: its own)")},
	{"k", 'k', OPTION_INT, "N", "k", NULL, "so many (default: 10)"},
	{"sort", 0, OPTION_TEXT, "KEY", "sort", "jaccard|pmi|count",
		"jaccard (default), pmi or count"},
	{"min-count", 0, OPTION_INT, "N", "min_count", NULL,
		"both fire on at least so many tokens (default: 5)"},
	{RUN},
	{END},
};

static const struct option of_splitting[] = {
	{"direction", 0, OPTION_TEXT, "WHERE", "direction", "children|parents",
		"children in wider SAEs (default), or parents in narrower ones"},
	{"by", 0, OPTION_TEXT, "WHAT", "by", "cosine|cooccurrence|both",
		"cosine (default), cooccurrence or both"},
	{"min-cosine", 0, OPTION_FLOAT, "X", "min_cosine", NULL,
		"of decoder rows, at least (default: 0.5)"},
	{"min-share", 0, OPTION_FLOAT, "X", "min_share", NULL,
		"of the wider one's tokens, those of the narrower one, at least "
		"(default: 0.5)"},
	{"min-count", 0, OPTION_INT, "N", "min_count", NULL,
		"both fire on at least so many tokens (default: 5)"},
	{"k", 'k', OPTION_INT, "N", "k", NULL,
		"so many of each feature in the next SAE (default: 8)"},
	{RUN},
	{END},
};

static const struct option of_map[] = {
	{"output", 'o', OPTION_TEXT, "FILE", NULL, NULL,
		"to that file: a picture (.svg), or .json or .csv; - is standard "
		"output"},
	{"format", 'f', OPTION_TEXT, "FORMAT", NULL, "svg|json|csv",
		"svg, json or csv (default: by the file's name)"},
	{"points", 'n', OPTION_INT, "N", "points", NULL,
		"so many features, its own included (default: 100)"},
	{"seed", 0, OPTION_INT, "N", "seed", NULL, "of the layout (default: 0)"},
	{SAE("with features of that SAE (default: all that have neighbors)")},
	{RUN},
	{END},
};

static const struct option of_examples[] = {
	{"interval", 'i', OPTION_INT, "I", "interval", NULL,
		"a sample of tenth I (0 to 9) of (0, max] in place of the best"},
	{"intervals", 'I', OPTION_FLAG, NULL, NULL, NULL,
		"the best and a sample of each tenth"},
	{LIMIT("so many (default: 20)")},
	{"context", 'C', OPTION_INT, "N", "context", NULL,
		"tokens on either side (default: 10)"},
	{RUN},
	{END},
};

static const struct option of_tokens[] = {
	{SAE("features of that SAE (default: the largest)")},
	{"top", 't', OPTION_INT, "N", "top", NULL,
		"the N strongest on each token, 0 for all (default: 3)"},
	{"first", 0, OPTION_INT, "N", "first", NULL, "from that token on"},
	{"n", 'n', OPTION_INT, "N", "n", NULL, "so many tokens (default: 256)"},
	{RUN},
	{END},
};

static const struct option of_documents[] = {
	{"key", 0, OPTION_TEXT, "KEY", "key", NULL,
		"only those whose metadata has KEY"},
	{"value", 0, OPTION_TEXT, "VALUE", "value", NULL, "... and KEY is VALUE"},
	{"feature", 0, OPTION_TEXT, "ADDRESS", NULL, NULL,
		"those where that feature fires, strongest first"},
	{RUN},
	{LIMIT("so many (default: 20)")},
	{ALL("all of them")},
	{END},
};

static const struct option of_document[] = {
	{RUN},
	{"raw", 0, OPTION_FLAG, NULL, NULL, NULL,
		"only its bytes, as they were indexed"},
	{END},
};

static const struct option of_search[] = {
	{SAE("labels of that SAE (default: all)")},
	{"labels", 'l', OPTION_FLAG, NULL, NULL, NULL, "only labels"},
	{"texts", 't', OPTION_FLAG, NULL, NULL, NULL, "only texts"},
	{LIMIT("so many of each (default: 10)")},
	{"run", 0, OPTION_TEXT, "RUN", NULL, NULL,
		"texts of that run, by number or id (default: the newest)"},
	{END},
};

static const struct option of_token[] = {
	{SAE("features of that SAE (default: the largest)")},
	{"sort", 0, OPTION_TEXT, "KEY", "sort", "share|mean",
		"share (default) or mean"},
	{"min-share", 0, OPTION_FLOAT, "X", "min_share", NULL,
		"fires on at least this share of the token's occurrences"},
	{LIMIT("so many (default: 20)")},
	{RUN},
	{END},
};

static const struct option of_label[] = {
	{"author", 0, OPTION_TEXT, "NAME", "author", NULL, "who says so"},
	{"source", 0, OPTION_TEXT, "WORD", "source", NULL,
		"person (default) or another word"},
	{"score", 0, OPTION_FLOAT, "X", "score", NULL, "how good it is"},
	{"delete", 'd', OPTION_FLAG, NULL, NULL, NULL,
		"delete the label of this author and source"},
	{"id", 0, OPTION_INT, "ID", NULL, NULL, "... the one of that id"},
	{END},
};

static const struct option of_labels_export[] = {
	{SAE("of that SAE (default: all)")},
	{FORMAT},
	{END},
};

static const struct option of_labels_import[] = {
	{"format", 'f', OPTION_TEXT, "FORMAT", NULL, "csv|jsonl",
		"csv or jsonl (default: by the file's name)"},
	{"sae", 's', OPTION_TEXT, "SAE", NULL, NULL,
		"of rows that have an index and no address"},
	{"source", 0, OPTION_TEXT, "WORD", NULL, NULL,
		"of rows that have none (default: import)"},
	{"author", 0, OPTION_TEXT, "NAME", NULL, NULL, "of rows that have none"},
	{END},
};

static const struct option of_image[] = {
	{"output", 'o', OPTION_TEXT, "FILE", NULL, NULL,
		"to that file (default: standard output, unless a terminal)"},
	{RUN},
	{END},
};

static const struct option of_vector[] = {
	{"raw", 0, OPTION_FLAG, NULL, NULL, NULL,
		"little-endian float32, and nothing else"},
	{END},
};

static const struct option of_export[] = {{FORMAT}, {RUN}, {END}};

static const struct option of_export_examples[] = {
	{FORMAT},
	{RUN},
	{LIMIT("so many of each feature (default: 20)")},
	{"context", 'C', OPTION_INT, "N", "context", NULL,
		"tokens on either side (default: 10)"},
	{END},
};

#define FEATURE_WORDS "An ADDRESS is SAE/INDEX or MODEL/SAE/INDEX, such as 8k/697."
#define QUERY_WORDS \
	"All words must occur. \"A phrase\", prefix*, AND, OR and NOT are understood."

const struct command command_table[] = {
	{.name = "info",
		.args = "",
		.summary = "what the daemon serves",
		.method = "server.info",
		.run = run_once,
		.show = show_info},
	{.name = "models",
		.args = "",
		.summary = "the language models",
		.method = "model.list",
		.run = run_once,
		.show = show_models},
	{.name = "saes",
		.args = "",
		.summary = "the sparse autoencoders",
		.method = "sae.list",
		.option = of_saes,
		.run = run_once,
		.show = show_saes},
	{.name = "runs",
		.args = "",
		.summary = "the runs of SAEs over corpora",
		.method = "run.list",
		.run = run_once,
		.show = show_runs},
	{.name = "run",
		.args = "RUN",
		.summary = "one run and how it came about",
		.method = "run.get",
		.word = {"run"},
		.min_words = 1,
		.max_words = 1,
		.run = run_once,
		.show = show_run},
	{.name = "features",
		.args = "[SAE]",
		.summary = "features, filtered and sorted",
		.method = "feature.list",
		.word = {"sae"},
		.max_words = 1,
		.option = of_features,
		.run = run_features,
		.show = show_features,
		.list = "features"},
	{.name = "feature",
		.args = "ADDRESS",
		.summary = "all about one feature",
		.method = "feature.get",
		.word = {"feature"},
		.min_words = 1,
		.max_words = 1,
		.option = of_feature,
		.run = run_feature,
		.show = show_feature,
		.more = FEATURE_WORDS},
	{.name = "neighbors",
		.args = "[ADDRESS|-]",
		.summary = "the nearest features",
		.method = "feature.neighbors",
		.word = {"feature"},
		.max_words = 1,
		.option = of_neighbors,
		.run = run_neighbors,
		.show = show_neighbors,
		.more = FEATURE_WORDS
		" With - the vector is read from standard input, as "
		"little-endian float32, and --sae is needed. Filters hold "
		"during the search: the N nearest of those that pass are "
		"found. Densities are of the run. With --text there is no "
		"ADDRESS: features are found for words, and the nearest of "
		"these are shown."},
	{.name = "cooccurrence",
		.args = "ADDRESS",
		.summary = "the features that fire on the same tokens",
		.method = "feature.cooccurrence",
		.word = {"feature"},
		.min_words = 1,
		.max_words = 1,
		.option = of_cooccurrence,
		.run = run_once,
		.show = show_cooccurrence,
		.more = FEATURE_WORDS
		" Jaccard: tokens on which both fire, of those on which either does. "
		"PMI: log(P(both) / (P(one) P(other))), in nats."},
	{.name = "splitting",
		.args = "ADDRESS",
		.summary = "how a feature appears in wider SAEs, as a tree",
		.method = "feature.splitting",
		.word = {"feature"},
		.min_words = 1,
		.max_words = 1,
		.option = of_splitting,
		.run = run_once,
		.show = show_splitting,
		.more = FEATURE_WORDS
		" The share is that of the wider SAE's feature's tokens on which the "
		"narrower one's fires."},
	{.name = "map",
		.args = "ADDRESS",
		.summary = "what lies around a feature, as a picture",
		.method = "map.feature",
		.word = {"feature"},
		.min_words = 1,
		.max_words = 1,
		.option = of_map,
		.run = run_map,
		.more = FEATURE_WORDS
		" The nearest features of all SAEs that read at the same place are "
		"laid "
		"out in the plane by UMAP; without -o they are listed."},
	{.name = "examples",
		.args = "ADDRESS",
		.summary = "where a feature fires",
		.method = "feature.examples",
		.word = {"feature"},
		.min_words = 1,
		.max_words = 1,
		.option = of_examples,
		.run = run_examples,
		.show = show_examples,
		.more = FEATURE_WORDS
		" Tokens are shaded by the feature's value on them; without "
		"colors the value stands behind the token, in braces. Patches of "
		"an image are shown together: [image HASH patch ROW,COL of ROWSxCOLS] "
		"VALUE, the strongest, then others."},
	{.name = "tokens",
		.args = "DOCUMENT",
		.summary = "the features on each token of a document",
		.method = "document.activations",
		.word = {"document"},
		.min_words = 1,
		.max_words = 1,
		.option = of_tokens,
		.run = run_tokens,
		.show = show_tokens},
	{.name = "documents",
		.args = "",
		.summary = "the documents of a corpus",
		.method = "document.list",
		.option = of_documents,
		.run = run_documents,
		.show = show_documents,
		.list = "documents"},
	{.name = "document",
		.args = "DOCUMENT",
		.summary = "one document",
		.method = "document.get",
		.word = {"document"},
		.min_words = 1,
		.max_words = 1,
		.option = of_document,
		.run = run_document,
		.show = show_document},
	{.name = "search",
		.args = "QUERY...",
		.summary = "labels, then texts, by their words",
		.method = "label.search",
		.min_words = 1,
		.max_words = -1,
		.option = of_search,
		.run = run_search,
		.show = show_features,
		.more = QUERY_WORDS},
	{.name = "token",
		.args = "STRING",
		.summary = "the features that fire on a token",
		.method = "token.features",
		.word = {"token"},
		.min_words = 1,
		.max_words = 1,
		.option = of_token,
		.run = run_token,
		.show = show_token,
		.more = "A token has its leading space: saedb token ' bridge'. Where "
			"there is no token STRING, it is looked for with that space."},
	{.name = "label",
		.args = "ADDRESS [TEXT...]",
		.summary = "show, set or delete a feature's labels",
		.method = "label.set",
		.word = {"feature"},
		.min_words = 1,
		.max_words = -1,
		.option = of_label,
		.run = run_label,
		.show = show_labels,
		.more = FEATURE_WORDS},
	{.name = "labels export",
		.args = "",
		.summary = "labels by people and imports, to standard output",
		.method = "label.export",
		.option = of_labels_export,
		.run = run_labels_export,
		.more = "They are the one thing that cannot be computed again. The "
			"default is JSON Lines."},
	{.name = "labels import",
		.args = "FILE",
		.summary = "labels from JSON Lines or CSV (- is standard input)",
		.method = "label.import",
		.min_words = 1,
		.max_words = 1,
		.option = of_labels_import,
		.run = run_labels_import,
		.more = "A row has feature (an address), or sae_hash and index, or "
			"index with --sae; text, explanation or description; and "
			"source, author, time_s and score where there are any."},
	{.name = "image",
		.args = "HASH",
		.summary = "the file of an image whose patches are tokens",
		.method = "image.get",
		.word = {"image"},
		.min_words = 1,
		.max_words = 1,
		.option = of_image,
		.run = run_image,
		.more = "HASH is the SHA-256 of the file, or its first digits (at "
			"least 8), as saedb examples shows them."},
	{.name = "vector",
		.args = "ADDRESS",
		.summary = "a feature's decoder row",
		.method = "feature.vector",
		.word = {"feature"},
		.min_words = 1,
		.max_words = 1,
		.option = of_vector,
		.run = run_vector,
		.more = FEATURE_WORDS},
	{.name = "export features",
		.args = "[SAE...]",
		.summary = "a row for each feature",
		.method = "feature.list",
		.max_words = -1,
		.option = of_export,
		.run = run_export_features,
		.more = "The default is all SAEs, as CSV."},
	{.name = "export examples",
		.args = "[SAE|ADDRESS...]",
		.summary = "a row for each example",
		.method = "feature.examples",
		.max_words = -1,
		.option = of_export_examples,
		.run = run_export_examples,
		.more = "The default is all SAEs, as CSV."},
	{.name = "export activations",
		.args = "ADDRESS...",
		.summary = "a row for each activation of features",
		.method = "feature.activations",
		.min_words = 1,
		.max_words = -1,
		.option = of_export,
		.run = run_export_activations,
		.more = FEATURE_WORDS},
	{.name = "methods",
		.args = "[METHOD]",
		.summary = "what a daemon can be asked",
		.method = "server.methods",
		.max_words = 1,
		.run = run_methods},
	{.name = "call",
		.args = "METHOD [JSON | NAME=VALUE...]",
		.summary = "ask any method; the answer is JSON",
		.min_words = 1,
		.max_words = -1,
		.run = run_call,
		.more = "For example: saedb call feature.get feature=8k/697, or saedb "
			"call feature.get '{\"feature\": \"8k/697\"}'."},
	{.name = "help",
		.args = "[COMMAND]",
		.summary = "this, or all about a command",
		.max_words = 2,
		.run = run_help},
	{.name = "completion",
		.args = "[bash]",
		.summary = "a script that completes commands",
		.max_words = 1,
		.run = run_completion,
		.more = "For example: eval \"$(saedb completion bash)\"."},
};
const size_t command_n = sizeof(command_table) / sizeof(*command_table);
