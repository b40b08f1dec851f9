/* SPDX-License-Identifier: ISC */
#include "indexer/inspect.h"

#include "indexer/inspect_odd.h"
#include "model/json.h"
#include "model/lm.h"
#include "model/lm_name.h"
#include "model/release.h"
#include "model/sae.h"
#include "model/tok.h"
#include "util/file.h"
#include "util/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_MAX_BYTES ((size_t)16 << 20)
#define CONFIG_MAX_DEPTH 64
#define HEX_CHARS 65

static void
line(const char *what, const char *text)
{
	printf("  %-11s %s\n", what, text);
}

static void
hash_line(const char *what, const uint8_t hash[32])
{
	char text[HEX_CHARS];

	hash_hex(hash, 32, text);
	line(what, text);
}

/* ---- an SAE -------------------------------------------------------------- */

static void
spread_line(const char *what, const struct odd_spread *s)
{
	if (s->n > 0)
		printf("  %-11s %.4g to %.4g, median %.4g\n", what, (double)s->min,
			(double)s->max, (double)s->median);
}

static void
print_odd(const struct odd *o)
{
	if (o->n == 0)
		line("odd", "nothing");
	for (size_t i = 0; i < o->n; i++)
		line(i == 0 ? "odd" : "", o->text[i]);
}

static void
print_sae(const char *dir, const struct sae *s, const struct odd *o)
{
	const struct sae_info *n = &s->info;
	char gives[128] = "";

	if (n->transcoder)
		sae_gives(n, gives, sizeof(gives));
	printf("%s: %s\n", dir,
		n->cross_layer          ? "a layer of a cross-layer transcoder"
			: n->transcoder ? "a transcoder"
					: "an SAE");
	printf("  %-11s %s%s%s, %s (%s)\n", "family", n->family,
		n->version[0] ? " " : "", n->version, n->architecture,
		sae_kind_name(n->kind));
	printf("  %-11s d_in %" PRIu32 ", %" PRIu32 " features, d_out %" PRIu32
	       ", %s\n",
		"shape", n->d_in, n->d_sae, n->d_out, n->dtype_file);
	printf("  %-11s %s%s%s%s%s\n", "hook", n->hook.name, n->transcoder ? ">" : "",
		gives, n->model_name[0] ? " of " : "", n->model_name);
	if (n->cross_layer)
		printf("  %-11s %" PRIu32 ", %" PRIu32
		       " dimensions each: a part of what stands there\n",
			"targets", n->n_targets, n->d_out / n->n_targets);
	printf("  %-11s %" PRIu32 " tokens, %s BOS\n", "context", n->context_size,
		n->prepend_bos ? "with" : "without");
	line("rules", n->rules);
	if (n->k > 0)
		printf("  %-11s %" PRIu32 "\n", "k", n->k);
	spread_line("threshold", &o->threshold);
	spread_line("|W_enc row|", &o->enc_norm);
	spread_line("|W_dec row|", &o->dec_norm);
	spread_line("enc.dec cos", &o->cosine);
	print_odd(o);
	hash_line("file", s->file_hash);
	hash_line("SAE", s->hash);
}

static int
inspect_sae(const struct options *options, const struct release_found *at,
	struct err *e)
{
	const struct sae_options given = {.hook = options->hook,
		.saelens_rule = options->saelens_rule,
		.given = at->given};
	struct sae *s = NULL;
	struct odd o = {0};
	int rc = sae_open_with(&s, at->path, &given, e);

	if (rc == 0)
		rc = odd_find(&o, s, e);
	if (rc == 0)
		print_sae(at->path, s, &o);
	sae_close(s);
	return rc;
}

/* ---- a language model ---------------------------------------------------- */

static void
print_model(const char *dir, const struct lm *m, const uint8_t hash[32])
{
	const struct lm_info *n = lm_info(m);

	printf("%s: a language model\n", dir);
	printf("  %-11s %s (%s)\n", "family", n->family, n->architecture);
	printf("  %-11s %" PRIu32 " layers, d_model %" PRIu32 ", %" PRIu32
	       " heads of %" PRIu32 ", MLP %" PRIu32 "\n",
		"shape", n->n_layers, n->d_model, n->n_heads, n->d_head, n->d_mlp);
	printf("  %-11s %" PRIu32 " tokens\n", "context", n->n_ctx);
	printf("  %-11s %" PRIu32 "\n", "vocabulary", n->n_vocab);
	printf("  %-11s %" PRIu64 ", %s\n", "parameters", n->n_params, n->dtype_file);
	printf("  %-11s blocks.0 to blocks.%" PRIu32 "\n", "hooks", n->n_layers - 1);
	hash_line("weights", hash);
}

/* A model without a tokenizer can still be looked at. */
static void
print_tokenizer(const char *dir, uint32_t n_vocab)
{
	struct err e = ERR_INIT;
	struct tok *t = NULL;
	uint8_t hash[32];

	if (tok_open(&t, dir, &e) < 0 || tok_sha256(t, hash, &e) < 0) {
		line("tokenizer", e.text);
	} else {
		printf("  %-11s %zu ids, BOS %" PRId64 "%s\n", "tokenizer",
			tok_n_vocab(t), tok_bos(t),
			tok_n_vocab(t) > n_vocab ? ": more than the model has rows for"
						 : "");
		hash_line("", hash);
	}
	tok_close(t);
}

static int
inspect_model(const char *dir, struct err *e)
{
	struct lm *m = NULL;
	uint8_t hash[32];
	int rc = lm_open(&m, dir, e);

	if (rc == 0)
		rc = lm_sha256(m, hash, e);
	if (rc == 0) {
		print_model(dir, m, hash);
		print_tokenizer(dir, lm_info(m)->n_vocab);
	}
	lm_close(m);
	return rc;
}

/* A config.json that names a type of model; SAEs of some families have a
 * config.json too. */
static bool
is_model(const char *dir)
{
	struct js_doc config = {0};
	struct err e = ERR_INIT; /* opened as an SAE, it errs again */
	char path[PATH_BYTES];
	bool is;

	if (path_join(path, &e, "%s/config.json", dir) < 0 || !file_exists(path) ||
		js_open(&config, path, CONFIG_MAX_BYTES, CONFIG_MAX_DEPTH, &e) < 0)
		return false;
	is = js_get(config.root, "model_type") || js_get(config.root, "architectures");
	js_close(&config);
	return is;
}

static int
find(struct release_found *at, const char *name, struct err *e)
{
	*at = (struct release_found){.name = ""};
	return lm_name_repo(name) ? lm_name_find(at->path, name, e)
				  : release_find(at, name, e);
}

int
inspect_run(const struct options *o, struct err *e)
{
	size_t n_bad = 0;

	for (size_t i = 0; i < o->dir.n; i++) {
		struct err own = ERR_INIT;
		struct release_found at;

		if (find(&at, o->dir.item[i], &own) < 0 ||
			(is_model(at.path) ? inspect_model(at.path, &own)
					   : inspect_sae(o, &at, &own)) < 0) {
			printf("%s\n", own.text);
			n_bad++;
		}
	}
	return n_bad == 0
		? 0
		: err_set(e, ERR_FORMAT, "%zu of %zu directories would not be indexed",
			  n_bad, o->dir.n);
}
