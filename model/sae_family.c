/* SPDX-License-Identifier: ISC */
/*
 * The families of SAEs: how each is known from what lies in a directory, and
 * who loads it.
 */
#include "model/sae_int.h"
#include "util/hash.h"
#include "util/mem.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int load_fn(struct sae_loading *l, struct err *e);

/* A family, and how it is known: the config it must have, a key in it, the weights'
 * name (a pattern, without suffix), a tensor in them. NULL: not needed. */
struct row {
	struct sae_family about;
	const char *config, *key, *weights, *tensor;
	load_fn *load;
};

/* In the order of the questions; what more signs tell comes first. */
static const struct row rows[] = {
	{{"saelens", "cfg.json, sae_weights.*",
		 "relu, jumprelu, topk, gated; transcoders; SAELens 3 and later"},
		"cfg.json", NULL, "sae_weights", NULL, saelens_load},
	{{"sparsify", "cfg.json, sae.*", "topk, groupmax; transcoders"}, "cfg.json",
		NULL, "sae", NULL, sparsify_load},
	{{"dictionary_learning", "config.json with trainer, ae.*",
		 "relu, jumprelu, topk, gated"},
		"config.json", "trainer", "ae", NULL, dictionary_load},
	{{"llama-scope", "hyperparams.json, checkpoints/final.*",
		 "relu, jumprelu, topk; transcoders"},
		"hyperparams.json", NULL, "checkpoints/final", NULL, llama_scope_load},
	{{"llama-scope-r1", "config.json, sae_weights.*", "jumprelu"}, "config.json",
		NULL, "sae_weights", "log_jumprelu_threshold", llama_distill_load},
	{{"llamascopium", "config.json with sae_type, any weights",
		 "relu, jumprelu, topk; transcoders"},
		"config.json", "sae_type", "*", NULL, llamascopium_load},
	{{"gemma-scope", "params.*", "jumprelu; transcoders"}, NULL, NULL, "params",
		"W_enc", gemma_load},
	{{"gemma-scope-2", "params.*, config.json", "jumprelu; transcoders"}, NULL,
		NULL, "params", "w_enc", gemma2_load},
	{{"gemma-scope-2-clt", "params_layer_N.*",
		 "jumprelu; cross-layer transcoders, one layer each"},
		NULL, NULL, "params_layer_*", "w_enc", gemma_clt_load},
	{{"circuit-tracer-clt", "W_enc_N.*, W_dec_N.*",
		 "relu, jumprelu; cross-layer transcoders, one layer each"},
		NULL, NULL, "W_enc_*", NULL, circuit_clt_load},
	{{"circuit-tracer", "layer_N.*, config.yaml",
		 "transcoders: relu, jumprelu, topk"},
		NULL, NULL, "layer_*", "W_enc", circuit_load},
	{{"qwen-scope", "layerN.sae.*", "topk"}, NULL, NULL, "layer*.sae", "W_enc",
		qwen_load},
	{{"openai", "pre_bias in the weights", "relu, topk"}, NULL, NULL, "*",
		"pre_bias", openai_load},
	{{"goodfire", "encoder_linear in the weights", "relu"}, NULL, NULL, "*",
		"encoder_linear.weight", goodfire_load},
	{{"qresearch", "MODEL-SAE-lN.*", "relu"}, NULL, NULL, "*-SAE-l*",
		"encoder.weight", qresearch_load},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

const struct sae_family *
sae_family_at(size_t i)
{
	return i < N_ROWS ? &rows[i].about : NULL;
}

/* Some families make no use of it; a scale is for those whose files lack one. */
static int
check_given(const struct sae_loading *l, struct err *e)
{
	const struct sae_given *given = &l->options->given;
	const struct sae_info *n = &l->s->info;

	if (given->center == n->given.center &&
		given->constant_norm == n->given.constant_norm)
		return 0;
	return err_set(e, ERR_MISMATCH,
		"%s: its release says that activations are %s, but it is of the family "
		"%s, where nothing is known of that",
		l->path, given->center ? "centred" : "rescaled to one norm", l->family);
}

/* ---- what lies there ------------------------------------------------------- */

struct place {
	char **names;
	size_t n;
	const char *file; /* that was asked for, or NULL */
	struct sae_loading *l;
};

static const char *const suffixes[] = {".safetensors", ".npz", ".pt", ".pth"};

/* Whether name is pattern and one of the suffixes. */
static bool
is_weights(const char *name, const char *pattern)
{
	char stem[256];
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t k = strlen(suffixes[i]);

		if (n <= k || n >= sizeof(stem) ||
			strcmp(name + n - k, suffixes[i]) != 0)
			continue;
		memcpy(stem, name, n - k);
		stem[n - k] = '\0';
		return fnmatch(pattern, stem, 0) == 0;
	}
	return false;
}

static bool
has_file(const struct place *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->names[i], name) == 0)
			return true;
	}
	return false;
}

/* The weights of a directory below, such as checkpoints/final. */
static int
find_below(struct place *p, const char *pattern, bool *found, struct err *e)
{
	struct sae_loading *l = p->l;
	int rc = 0;

	for (size_t i = 0; rc == 0 && !*found && !p->file &&
		i < sizeof(suffixes) / sizeof(suffixes[0]);
		i++) {
		rc = path_join(l->path, e, "%s/%s%s", l->dir, pattern, suffixes[i]);
		*found = rc == 0 && file_exists(l->path);
	}
	return rc;
}

/* l->path becomes the weights'. Several are an error, unless any file would do. */
static int
find_weights(struct place *p, const char *pattern, bool *found, struct err *e)
{
	const char *name = NULL, *other = NULL;

	*found = false;
	if (strchr(pattern, '/'))
		return find_below(p, pattern, found, e);
	for (size_t i = 0; i < p->n; i++) {
		if (!is_weights(p->names[i], pattern) ||
			(p->file && strcmp(p->names[i], p->file) != 0))
			continue;
		other = name ? name : other;
		name = p->names[i];
	}
	if (!name || (other && strcmp(pattern, "*") == 0))
		return 0;
	if (other)
		return err_set(e, ERR_ARG,
			"%s: holds several SAEs (%s, %s, ...); give the file of one",
			p->l->dir, other, name);
	*found = true;
	return path_join(p->l->path, e, "%s/%s", p->l->dir, name);
}

/* ---- which family ---------------------------------------------------------- */

int
sae_config(struct sae_loading *l, const char *name, struct err *e)
{
	char path[PATH_BYTES];
	int rc = path_join(path, e, "%s/%s", l->dir, name);

	if (rc < 0 || !file_exists(path))
		return rc;
	rc = js_open(&l->cfg, path, SAE_CFG_MAX_BYTES, SAE_CFG_MAX_DEPTH, e);
	if (rc == 0)
		l->says = l->cfg.name;
	return rc;
}

/* Links in the directory are followed, the weights' own name stays. */
int
sae_full_path(const struct sae_loading *l, char out[PATH_BYTES], struct err *e)
{
	char *dir = realpath(l->dir, NULL);
	const char *base = strrchr(l->path, '/');
	int rc;

	if (!dir)
		return err_sys(e, "%s", l->dir);
	rc = path_join(out, e, "%s%s", dir, base);
	free(dir);
	return rc;
}

static void
let_go(struct sae_loading *l)
{
	tensors_close(l->t);
	tensors_close(l->more);
	js_close(&l->cfg);
	l->t = l->more = NULL;
	l->cfg = (struct js_doc){0};
	l->says = l->path;
}

/* Whether row g is it; then the config and the tensors are open. */
static int
try_family(struct place *p, const struct row *g, bool *is, struct err *e)
{
	struct sae_loading *l = p->l;
	int rc = 0;

	*is = false;
	if (g->config && !has_file(p, g->config))
		return 0;
	rc = find_weights(p, g->weights, is, e);
	if (rc < 0 || !*is)
		return rc;
	l->says = l->path;
	if (g->config)
		rc = sae_config(l, g->config, e);
	if (rc == 0 && g->key)
		*is = js_get(l->cfg.root, g->key) != NULL;
	if (rc == 0 && *is)
		rc = tensors_open(&l->t, l->path, e);
	if (l->t) /* as training scripts save it, beside an epoch and the like */
		tensors_enter(l->t, "state_dict.");
	if (rc == 0 && *is && g->tensor)
		*is = tensors_find(l->t, g->tensor) != NULL;
	if (rc < 0 || !*is)
		let_go(l);
	return rc;
}

static int
unknown(const struct place *p, struct err *e)
{
	char seen[90] = "nothing", known[600] = "";
	size_t at = 0;

	for (size_t i = 0; i < p->n && at < sizeof(seen) - 1; i++)
		at += (size_t)snprintf(seen + at, sizeof(seen) - at, "%s%s",
			i ? ", " : "", p->names[i]);
	if (at >= sizeof(seen) - 1)
		memcpy(seen + sizeof(seen) - 4, "...", 4);
	at = 0;
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct sae_family *f = &rows[i].about;

		if (at < sizeof(known))
			at += (size_t)snprintf(known + at, sizeof(known) - at,
				"%s%s (%s)", at ? "; " : "", f->name, f->needs);
	}
	return err_set(e, ERR_NOTFOUND,
		"%s: no SAE that saedb knows; seen there: %s; known: %s", p->l->dir,
		seen, known);
}

static int
hash_files(struct sae_loading *l, struct err *e)
{
	uint8_t both[64];
	int rc = tensors_sha256(l->t, l->s->file_hash, e);

	if (rc < 0 || !l->more)
		return rc;
	memcpy(both, l->s->file_hash, 32);
	rc = tensors_sha256(l->more, both + 32, e);
	return rc < 0 ? rc : sha256_of(both, sizeof(both), l->s->file_hash, e);
}

static int
load_known(struct place *p, struct err *e)
{
	struct sae_loading *l = p->l;
	struct sae_info *n = &l->s->info;
	bool is = false;
	size_t i;
	int rc = 0;

	for (i = 0; i < N_ROWS; i++) {
		rc = try_family(p, &rows[i], &is, e);
		if (rc < 0 || is)
			break;
	}
	if (rc < 0)
		return rc;
	if (!is)
		return unknown(p, e);
	l->family = rows[i].about.name;
	snprintf(n->family, sizeof(n->family), "%s", l->family);
	rc = rows[i].load(l, e);
	if (rc == 0)
		rc = check_given(l, e);
	if (rc == 0)
		rc = hash_files(l, e);
	let_go(l);
	return rc;
}

/* dir/file, or a directory alone. */
static int
split_path(struct place *p, const char *path, struct err *e)
{
	struct sae_loading *l = p->l;
	int rc = path_join(l->dir, e, "%s", path);
	char *slash = rc == 0 ? strrchr(l->dir, '/') : NULL;

	if (rc < 0 || file_is_dir(path) || !file_exists(path))
		return rc;
	if (!slash) {
		p->file = path;
		return path_join(l->dir, e, ".");
	}
	p->file = strrchr(path, '/') + 1;
	slash[slash == l->dir] = '\0'; /* "/" stays */
	return 0;
}

int
sae_family_load(struct sae *s, const char *path, const struct sae_options *options,
	struct err *e)
{
	struct sae_loading *l = mem_new(1, sizeof(*l));
	struct place p = {.l = l};
	int rc;

	if (!l)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	l->s = s;
	l->options = options;
	s->info.n_targets = 1;
	rc = split_path(&p, path, e);
	if (rc == 0)
		rc = dir_list(l->dir, &p.names, &p.n, e);
	if (rc == 0)
		rc = load_known(&p, e);
	for (size_t i = 0; i < p.n; i++)
		mem_free(p.names[i]);
	mem_free(p.names);
	mem_free(l);
	if (rc == 0 && !s->info.transcoder)
		s->info.hook_out = s->info.hook;
	return rc;
}
