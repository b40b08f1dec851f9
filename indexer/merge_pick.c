/* SPDX-License-Identifier: ISC */
#include "indexer/merge_features.h"

#include "util/log.h"
#include "util/mem.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* ---- the command line --------------------------------------------------------- */

/* STORE or STORE@RUN; a directory that is there is a store, whatever its name. */
static int
parse(struct merge_input *in, const char *text, struct err *e)
{
	const char *at = strrchr(text, '@');

	if (file_is_dir(text) || at == NULL || at == text || at[1] == '\0')
		return path_join(in->dir, e, "%s", text);
	in->run = at + 1;
	return path_join(in->dir, e, "%.*s", (int)(at - text), text);
}

static int
open_input(struct merge_input *in, const char *text, struct err *e)
{
	if (parse(in, text, e) < 0 ||
		store_open(&in->store, in->dir, STORE_READ, e) < 0 ||
		store_view_open(&in->view, in->store, e) < 0)
		return e->code;
	in->catalog = store_view_catalog(in->view);
	if (in->catalog->n_runs == 0)
		return err_set(e, ERR_NOTFOUND, "%s: the store has no run to merge",
			in->dir);
	return 0;
}

/* ---- runs ------------------------------------------------------------------------- */

int
merge_shard_of(struct merge_shard *s, const struct merge_input *in, uint32_t i,
	struct arena *arena, struct err *e)
{
	*s = (struct merge_shard){.in = in, .run = i, .cat = &in->catalog->run[i]};
	s->cut = &in->catalog->cut[s->cat->cut];
	snprintf(s->name, sizeof(s->name), "%s, run %u", in->dir, s->cat->number);
	for (uint32_t slot = 0; slot < s->cat->n_saes; slot++)
		s->slot[slot] = slot;
	if (value_parse_json(&s->provenance, s->cat->provenance,
		    strlen(s->cat->provenance), arena, e) < 0)
		return err_wrap(e, "%s", s->name);
	return 0;
}

static bool
is_named(const struct merge_input *in, const struct cat_run *run)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", run->number);
	return in->run == NULL || strcmp(in->run, number) == 0 ||
		strcmp(in->run, run->id) == 0;
}

static int
no_such_run(const struct merge_input *in, struct err *e)
{
	return err_set(e, ERR_NOTFOUND, "%s: there is no run %s; see list", in->dir,
		in->run);
}

/* Whether the first input's run is of a set that a newer one of its runs leads. */
static bool
is_led(const struct merge *m, const struct merge_shard *s)
{
	struct merge_shard copy = *s;
	struct err ignored = ERR_INIT;

	for (uint32_t set = 0; set < m->n_sets; set++)
		if (merge_match(&m->shard[(size_t)set * m->n_inputs], &copy,
			    &ignored) == 0)
			return true;
	return false;
}

/* The runs of the first input, each the first of a set; newest first. */
static int
lead(struct merge *m, struct err *e)
{
	const struct merge_input *in = &m->input[0];
	struct err why = ERR_INIT;

	m->shard =
		mem_new((size_t)in->catalog->n_runs * m->n_inputs, sizeof(*m->shard));
	if (m->shard == NULL)
		return err_set(e, ERR_NOMEM, "no memory to merge");
	for (uint32_t i = in->catalog->n_runs; i-- > 0;) {
		struct merge_shard *s = &m->shard[(size_t)m->n_sets * m->n_inputs];
		struct err mine = ERR_INIT;

		if (!is_named(in, &in->catalog->run[i]))
			continue;
		if (merge_shard_of(s, in, i, &m->arena, e) < 0)
			return e->code;
		if (merge_check(s, &mine) < 0) {
			if (why.code != 0)
				log_put(LOG_WARNING, "%s; left out", mine.text);
			else
				why = mine;
		} else if (!is_led(m, s))
			m->n_sets++;
	}
	if (m->n_sets > 0 && why.code != 0)
		log_put(LOG_WARNING, "%s; left out", why.text);
	if (m->n_sets > 0)
		return 0;
	if (why.code == 0)
		return no_such_run(in, e);
	*e = why;
	return e->code;
}

/* The newest run of an input that fits the set's first, or why its newest does not. */
static int
follow(struct merge *m, struct merge_shard *first, uint32_t input, struct err *e)
{
	const struct merge_input *in = &m->input[input];
	struct merge_shard *s = first + input;
	struct err why = ERR_INIT;

	for (uint32_t i = in->catalog->n_runs; i-- > 0;) {
		struct err mine = ERR_INIT;

		if (!is_named(in, &in->catalog->run[i]))
			continue;
		if (merge_shard_of(s, in, i, &m->arena, e) < 0)
			return e->code;
		if (merge_check(s, &mine) == 0 && merge_match(first, s, &mine) == 0)
			return 0;
		if (why.code == 0)
			why = mine;
	}
	if (why.code == 0)
		return no_such_run(in, e);
	*e = why;
	return e->code;
}

/* Not wrong, but hardly meant. */
static void
warn_of_doubles(const struct merge *m, const struct merge_shard *first)
{
	for (uint32_t i = 0; i < m->n_inputs; i++)
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(first[i].cat->id, first[j].cat->id) == 0)
				log_put(LOG_WARNING,
					"%s and %s are the same run: its documents "
					"count twice",
					first[j].name, first[i].name);
}

/* Many stores are many files: as many as the system lets us have. */
static void
raise_files(void)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_NOFILE, &most) != 0)
		return;
	most.rlim_cur = most.rlim_max;
	setrlimit(RLIMIT_NOFILE, &most);
}

int
merge_pick(struct merge *m, struct err *e)
{
	const struct option_list *dir = &m->options->dir;

	raise_files();
	arena_init(&m->arena, 0);
	if (dir->n > MERGE_MOST)
		return err_set(e, ERR_LIMIT,
			"%zu stores; merge takes %d at a time: merge some, then what "
			"that gives",
			dir->n, MERGE_MOST);
	m->input = mem_new(dir->n, sizeof(*m->input));
	if (m->input == NULL)
		return err_set(e, ERR_NOMEM, "no memory to merge");
	for (; m->n_inputs < dir->n; m->n_inputs++)
		if (open_input(&m->input[m->n_inputs], dir->item[m->n_inputs], e) < 0) {
			m->n_inputs++;
			return e->code;
		}
	if (lead(m, e) < 0)
		return e->code;
	for (uint32_t set = 0; set < m->n_sets; set++) {
		struct merge_shard *first = &m->shard[(size_t)set * m->n_inputs];

		for (uint32_t i = 1; i < m->n_inputs; i++)
			if (follow(m, first, i, e) < 0)
				return e->code;
		if (merge_features_check(first, m->n_inputs, e) < 0)
			return e->code;
		if (!ranges_is_part(first->in->catalog, first->run))
			warn_of_doubles(m, first);
	}
	return 0;
}

void
merge_unpick(struct merge *m)
{
	for (uint32_t i = 0; i < m->n_inputs; i++) {
		store_view_close(m->input[i].view);
		store_close(m->input[i].store);
	}
	mem_free(m->input);
	mem_free(m->shard);
	arena_clear(&m->arena);
	m->input = NULL;
	m->shard = NULL;
	m->n_inputs = 0;
}
