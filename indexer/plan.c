/* SPDX-License-Identifier: ISC */
#include "indexer/plan.h"

#include "indexer/machine.h"
#include "indexer/rows.h"
#include "model/lm_name.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/paged.h"
#include "util/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
plan_name_of(char out[LIMIT_NAME_BYTES], const char *path)
{
	static const char *const endings[] = {".zst", ".zstd", ".gz", ".jsonl",
		".ndjson", ".json", ".txt"};
	size_t n = strlen(path), from;

	while (n > 1 && path[n - 1] == '/')
		n--;
	for (from = n; from > 0 && path[from - 1] != '/'; from--)
		;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t m = strlen(endings[i]);

		if (n - from > m && memcmp(path + n - m, endings[i], m) == 0)
			n -= m;
	}
	if (strcmp(path, "-") == 0) {
		strcpy(out, "stdin");
		return;
	}
	if (n - from >= LIMIT_NAME_BYTES)
		n = from + LIMIT_NAME_BYTES - 1;
	for (size_t i = from; i < n; i++)
		out[i - from] =
			(unsigned char)path[i] > ' ' && path[i] != 0x7f ? path[i] : '_';
	out[n - from] = '\0';
}

static int
set_name(char out[LIMIT_NAME_BYTES], const char *option, const char *given,
	const char *path, struct err *e)
{
	if (given == NULL) {
		char real[PATH_BYTES];

		/* "." and ".." have names of their own */
		if (strcmp(path, "-") != 0 && strlen(path) < sizeof(real) &&
			realpath(path, real) != NULL)
			path = real;
		plan_name_of(out, path);
		return 0;
	}
	if (strlen(given) >= LIMIT_NAME_BYTES)
		return err_arg(e, ERR_LIMIT, option,
			"--%s: a name has at most %d bytes", option,
			LIMIT_NAME_BYTES - 1);
	strcpy(out, given);
	return 0;
}

uint8_t *
plan_excluded(const struct tok *t, uint32_t n_vocab, bool count_special)
{
	uint8_t *excluded = mem_new(n_vocab, 1);

	if (excluded != NULL && !count_special)
		for (uint32_t id = 0; id < n_vocab && id < tok_n_vocab(t); id++)
			excluded[id] = tok_is_special(t, id);
	return excluded;
}

/* ---- SAEs ---------------------------------------------------------------------- */

/* A release's SAE is called RELEASE:ID, without the slashes that an id may have. */
static void
name_release(struct plan_sae *s, const char *release)
{
	snprintf(s->name, sizeof(s->name), "%.*s", LIMIT_NAME_BYTES - 1, release);
	for (char *p = s->name; *p; p++)
		if (*p == '/')
			*p = '_';
}

/* NAME=DIR, or DIR with a name from its last part. A path may hold "=" too: what
 * stands in front of the first one is a name if it has no slash. */
static int
read_address(struct plan_sae *s, const char *given, struct sae_given *rules,
	struct err *e)
{
	size_t n = strcspn(given, "=/");
	bool named = given[n] == '=';
	struct release_found found;
	int rc;

	if (named && (n == 0 || n >= LIMIT_NAME_BYTES || given[n + 1] == '\0'))
		return err_arg(e, ERR_ARG, "sae",
			"--sae %s: NAME=DIR needs a name of 1 to %d bytes and a "
			"directory",
			given, LIMIT_NAME_BYTES - 1);
	if (named)
		memcpy(s->name, given, n);
	rc = release_find(&found, named ? given + n + 1 : given, e);
	if (rc < 0)
		return rc;
	*rules = found.given;
	strcpy(s->dir, found.path);
	snprintf(s->release, sizeof(s->release), "%s", found.name);
	if (named)
		return 0;
	if (!found.name[0])
		return set_name(s->name, "sae", NULL, given, e);
	name_release(s, found.name);
	return 0;
}

static int
check_fit(struct plan *p, const struct plan_sae *s, struct err *e)
{
	const struct sae_info *info = &s->sae->info;
	struct hook last;
	uint32_t width;

	sae_target(info, info->n_targets - 1, &last);
	if (lm_check_hook(p->lm, &info->hook, e) < 0 ||
		lm_check_hook(p->lm, &info->hook_out, e) < 0 ||
		lm_check_hook(p->lm, &last, e) < 0)
		return err_wrap(e, "%s", s->dir);
	if (info->center && !hook_in_stream(&info->hook))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: center_writing_weights is not supported at %s: it "
			"centres the stream and what is added to it, not what is read "
			"from it",
			s->dir, info->hook.name);
	width = lm_hook_width(p->lm, &info->hook);
	if (info->d_in != width)
		return err_set(e, ERR_MISMATCH,
			"%s reads %u dimensions, but %s of %s has %u", s->dir,
			info->d_in, info->hook.name, p->options->model, width);
	width = lm_hook_width(p->lm, &info->hook_out);
	if (info->d_out / info->n_targets != width)
		return err_set(e, ERR_MISMATCH,
			"%s gives %u dimensions, but %s of %s has %u", s->dir,
			info->d_out / info->n_targets, info->hook_out.name,
			p->options->model, width);
	if (p->model_name[0] == '\0')
		plan_name_of(p->model_name, info->model_name);
	if (info->model_name[0] != '\0' &&
		!lm_name_same(info->model_name, p->model_name))
		log_put(LOG_WARNING,
			"%s was trained on a model called %s; this one is called %s",
			s->dir, info->model_name, p->model_name);
	return 0;
}

static int
check_unlike(const struct plan *p, uint32_t i, struct err *e)
{
	for (uint32_t j = 0; j < i; j++) {
		if (strcasecmp(p->sae[i].name, p->sae[j].name) == 0)
			return err_arg(e, ERR_ARG, "sae",
				"two SAEs are called %s; give them names with NAME=DIR",
				p->sae[i].name);
		if (memcmp(p->sae[i].sae->hash, p->sae[j].sae->hash, 32) == 0)
			return err_arg(e, ERR_ARG, "sae", "%s and %s are the same SAE",
				p->sae[j].dir, p->sae[i].dir);
	}
	return 0;
}

static void
set_stream(struct plan_sae *s)
{
	const struct sae_info *n = &s->sae->info;
	char gives[128] = "";

	if (n->transcoder)
		sae_gives(n, gives, sizeof(gives));
	snprintf(s->stream, sizeof(s->stream), "%.47s%s%.47s", n->hook.name,
		n->transcoder ? ">" : "", gives);
}

static int
open_saes(struct plan *p, struct err *e)
{
	const struct option_list *list = &p->options->sae;
	struct sae_options given = {.hook = p->options->hook,
		.saelens_rule = p->options->saelens_rule};

	p->sae = mem_new(list->n, sizeof(*p->sae));
	if (p->sae == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %zu SAEs", list->n);
	p->n_saes = (uint32_t)list->n;
	for (uint32_t i = 0; i < p->n_saes; i++) {
		struct plan_sae *s = &p->sae[i];

		if (read_address(s, list->item[i], &given.given, e) < 0 ||
			sae_open_with(&s->sae, s->dir, &given, e) < 0 ||
			check_fit(p, s, e) < 0 || check_unlike(p, i, e) < 0)
			return e->code;
		hash_hex(s->sae->hash, 8, s->id);
		set_stream(s);
	}
	return 0;
}

/* --features: of SAEs that look at each feature by itself, and of one width. A range
 * that is all of them is none. */
static int
check_range(struct plan *p, struct err *e)
{
	const uint64_t *range = p->options->range;

	for (uint32_t i = 0; i < p->n_saes && range[1] != 0; i++) {
		const struct plan_sae *s = &p->sae[i];
		uint32_t n = s->sae->info.d_sae;

		if (n != p->sae[0].sae->info.d_sae)
			return err_arg(e, ERR_MISMATCH, "features",
				"--features: %s has %u features, %s has %u; index SAEs "
				"of one width at a time",
				p->sae[0].name, p->sae[0].sae->info.d_sae, s->name, n);
		if (range[1] > n)
			return err_arg(e, ERR_ARG, "features",
				"--features %llu:%llu: %s has only features 0 to %u, "
				"so END is at most %u",
				(unsigned long long)range[0],
				(unsigned long long)range[1], s->name, n - 1, n);
		if (sae_chooses(s->sae))
			return err_arg(e, ERR_UNSUPPORTED, "features",
				"--features: %s is of kind %s, which chooses among all "
				"features of a token; share out the corpus instead, "
				"and "
				"join the runs with saedb-index merge",
				s->name, sae_kind_name(s->sae->info.kind));
	}
	if (range[1] != 0 && (range[0] > 0 || range[1] < p->sae[0].sae->info.d_sae)) {
		p->first = (uint32_t)range[0];
		p->end = (uint32_t)range[1];
	}
	return 0;
}

/* ---- groups -------------------------------------------------------------------- */

static int
context_of(const struct plan *p, const struct plan_sae *s, uint32_t *out, struct err *e)
{
	uint32_t n_ctx = lm_info(p->lm)->n_ctx, n = s->sae->info.context_size;

	if (p->options->context > n_ctx)
		return err_arg(e, ERR_ARG, "context",
			"--context %llu is longer than the %u tokens of the model",
			(unsigned long long)p->options->context, n_ctx);
	if (p->options->context != 0)
		n = (uint32_t)p->options->context;
	if (n == 0 || n > n_ctx)
		n = n_ctx;
	if (n > LIMIT_CONTEXT)
		n = LIMIT_CONTEXT;
	*out = n;
	return 0;
}

uint32_t
plan_add_hook(struct plan_group *g, const struct hook *hook)
{
	for (uint32_t i = 0; i < g->n_hooks; i++)
		if (strcmp(g->hook[i].name, hook->name) == 0)
			return i;
	g->hook[g->n_hooks] = *hook;
	return g->n_hooks++;
}

static void
join(struct plan *p, struct plan_group *g, uint32_t i)
{
	struct plan_sae *s = &p->sae[i];

	s->hook = plan_add_hook(g, &s->sae->info.hook);
	/* what a layer gives in part is held against nothing */
	s->out = s->sae->info.cross_layer ? s->hook
					  : plan_add_hook(g, &s->sae->info.hook_out);
	g->sae[g->n_saes++] = i;
}

/* Windows are as they came: one group. */
static int
make_fed_group(struct plan *p, struct err *e)
{
	struct plan_group *g = &p->group[p->n_groups++];

	if (p->rows && context_of(p, &p->sae[0], &g->context, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < p->n_saes; i++)
		join(p, g, i);
	return 0;
}

static struct plan_group *
find_group(struct plan *p, uint32_t context, bool prepend_bos)
{
	for (uint32_t i = 0; i < p->n_groups; i++)
		if (p->group[i].context == context &&
			p->group[i].prepend_bos == prepend_bos)
			return &p->group[i];
	p->group[p->n_groups] =
		(struct plan_group){.context = context, .prepend_bos = prepend_bos};
	return &p->group[p->n_groups++];
}

static int
make_groups(struct plan *p, struct err *e)
{
	p->group = mem_new(p->n_saes, sizeof(*p->group));
	if (p->group == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u SAEs", p->n_saes);
	if (p->n_sources > 0 || p->rows)
		return make_fed_group(p, e);
	for (uint32_t i = 0; i < p->n_saes; i++) {
		struct plan_sae *s = &p->sae[i];
		bool bos = p->options->bos == BOS_AUTO ? s->sae->info.prepend_bos
						       : p->options->bos == BOS_YES;
		struct plan_group *g;
		uint32_t context = 0;

		if (context_of(p, s, &context, e) < 0)
			return e->code;
		if (bos && tok_bos(p->tok) < 0)
			return err_arg(e, ERR_MISMATCH, "bos",
				"%s wants BOS in front of each window, but the "
				"tokenizer "
				"names no bos_token; see --bos",
				s->dir);
		g = find_group(p, context, bos);
		s->group = (uint32_t)(g - p->group);
		join(p, g, i);
	}
	return 0;
}

/* ---- the whole ------------------------------------------------------------------ */

/* As it was named, or what lies beside the shards. */
static int
find_model(struct plan *p, struct err *e)
{
	char dir[PATH_BYTES];

	if (p->options->model != NULL)
		return lm_name_find(p->model_dir, p->options->model, e);
	for (uint32_t i = 0; i < p->n_sources; i++)
		if (path_join(dir, e, "%s/model", p->source[i]) == 0 &&
			file_is_dir(dir)) {
			strcpy(p->model_dir, dir);
			return 0;
		}
	return err_arg(e, ERR_MISSING, "model",
		"--model is missing, and there is no directory \"model\" beside the "
		"shards");
}

static int
open_model(struct plan *p, struct err *e)
{
	const char *dir = p->model_dir;
	uint8_t hash[32];

	if (find_model(p, e) < 0 ||
		(p->n_sources > 0 ? lm_open_head(&p->lm, dir, e)
				  : lm_open(&p->lm, dir, e)) < 0 ||
		tok_open(&p->tok, dir, e) < 0 || lm_sha256(p->lm, hash, e) < 0)
		return e->code;
	hash_hex(hash, 32, p->weights_sha256);
	hash_hex(hash, 8, p->model_id);
	if (tok_sha256(p->tok, hash, e) < 0)
		return e->code;
	hash_hex(hash, 32, p->tokenizer_sha256);
	p->n_vocab = lm_info(p->lm)->n_vocab;
	if (p->n_sources > 0) {
		if (tok_n_vocab(p->tok) > p->n_vocab)
			p->n_vocab = (uint32_t)tok_n_vocab(p->tok);
		p->n_vocab++;
	}
	p->excluded = plan_excluded(p->tok, p->n_vocab, p->options->count_special);
	return p->excluded != NULL
		? 0
		: err_set(e, ERR_NOMEM, "no memory for %u token ids", p->n_vocab);
}

/* Token ids and text do not mix, and windows that stand as they are are not cut by
 * rules. */
static int
check_corpus(struct plan *p, struct err *e)
{
	const struct options *o = p->options;
	size_t n_rows = 0;
	const char *rule;

	for (size_t i = 0; i < o->corpus.n; i++)
		n_rows += rows_is(o->corpus.item[i]);
	if (n_rows > 0 && n_rows < o->corpus.n)
		return err_arg(e, ERR_ARG, "corpus",
			"some files are token ids and some are text; index them one "
			"after the other");
	p->rows = n_rows > 0;
	if (!p->rows && p->n_sources == 0)
		return 0;
	rule = o->joined                             ? "joined"
		: o->max_tokens != 0                 ? "max-tokens"
		: o->bos != BOS_AUTO                 ? "bos"
		: p->n_sources > 0 && o->context > 0 ? "context"
						     : NULL;
	return rule == NULL
		? 0
		: err_arg(e, ERR_ARG, rule,
			  "--%s is of no use here: the windows are there already",
			  rule);
}

int
plan_open(struct plan *p, const struct options *o, struct err *e)
{
	int rc = 0;

	*p = (struct plan){.options = o, .memory_bytes = o->memory_bytes};
	p->latents = o->latents.n > 0;
	p->source = p->latents ? o->latents.item : o->activations.item;
	p->n_sources = (uint32_t)(o->latents.n + o->activations.n);
	p->n_threads = o->threads != 0 ? (size_t)o->threads : pool_cpus();
	if (p->memory_bytes == 0)
		p->memory_bytes = machine_memory_bytes() / 2;
	if (check_corpus(p, e) < 0 ||
		plan_memory_begin(o->store, p->memory_bytes, e) < 0)
		return e->code;
	if (o->model_name != NULL)
		rc = set_name(p->model_name, "model-name", o->model_name, "", e);
	if (rc == 0)
		rc = set_name(p->corpus_name, "corpus-name", o->corpus_name,
			p->n_sources > 0 ? p->source[0] : o->corpus.item[0], e);
	if (rc == 0)
		rc = open_model(p, e);
	if (rc == 0)
		rc = open_saes(p, e);
	if (rc == 0)
		rc = check_range(p, e);
	if (rc == 0 && p->model_name[0] == '\0')
		rc = set_name(p->model_name, "model-name", NULL,
			o->model != NULL ? o->model : p->model_dir, e);
	if (rc == 0)
		rc = make_groups(p, e);
	return rc;
}

void
plan_close(struct plan *p)
{
	for (uint32_t i = 0; p->sae != NULL && i < p->n_saes; i++)
		sae_close(p->sae[i].sae);
	mem_free(p->sae);
	mem_free(p->group);
	mem_free(p->excluded);
	tok_close(p->tok);
	lm_close(p->lm);
	paged_end();
	*p = (struct plan){0};
}
