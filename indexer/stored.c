/* SPDX-License-Identifier: ISC */
#include "indexer/stored.h"

#include "util/mem.h"

#include <float.h>
#include <string.h>

int
stored_init(struct stored *s, const struct stored_run *run, uint32_t n_windows,
	struct err *e)
{
	*s = (struct stored){.run = run, .n_windows = n_windows};
	s->window = mem_new(n_windows, sizeof(*s->window));
	s->of = mem_new(n_windows, sizeof(*s->of));
	s->arena = mem_new(1, sizeof(*s->arena));
	if (s->arena != NULL)
		arena_init(s->arena, 0);
	if (s->window == NULL || s->of == NULL || s->arena == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u windows", n_windows);
	for (uint32_t i = 0; i < n_windows; i++)
		s->window[i] = STORED_NONE;
	return 0;
}

void
stored_clear(struct stored *s)
{
	if (s->arena != NULL)
		arena_clear(s->arena);
	mem_free(s->arena);
	mem_free(s->window);
	mem_free(s->of);
	*s = (struct stored){0};
}

/* What the store's own checks do not see: another SAE's features, another window's
 * tokens. */
static int
check(const struct stored *s, uint32_t sae, uint32_t w, const struct rec_acts *a,
	struct err *e)
{
	uint64_t n = s->windows->token_at[w + 1] - s->windows->token_at[w];

	if (a->n_tokens != n || a->first_token != 0)
		return err_set(e, ERR_CORRUPT,
			"window %u has activations of %u tokens where there are %llu",
			s->window[w], a->n_tokens, (unsigned long long)n);
	for (uint32_t i = 0; i < a->n_tokens; i++)
		for (uint32_t j = a->row_start[i]; j < a->row_start[i + 1]; j++)
			if (a->feature[j] >= s->d_sae[sae] ||
				(j > a->row_start[i] &&
					a->feature[j] <= a->feature[j - 1]) ||
				!(a->value[j] > 0 && a->value[j] <= FLT_MAX))
				return err_set(e, ERR_CORRUPT,
					"window %u, token %u: no activation of the SAE",
					s->window[w], i);
	return 0;
}

static int
read_one(const struct stored *s, uint32_t sae, uint32_t w, struct rec_acts *out,
	struct err *e)
{
	const struct stored_run *r = &s->run[s->of[w]];
	int rc;

	if (r->n_parts > 0)
		rc = ranges_acts(r->part, r->n_parts, sae, s->window[w], out, s->arena,
			e);
	else
		rc = store_acts_all(r->view, r->run, r->slot[sae], s->window[w], out,
			s->arena, e);
	if (rc < 0 || check(s, sae, w, out, e) < 0)
		return err_wrap(e, "%s", r->name);
	return 0;
}

static bool
has(const void *ctx, uint32_t window)
{
	const struct stored *s = ctx;

	return s->window[window] != STORED_NONE;
}

/* Its tokens, and nothing of them. */
static int
read_none(const struct stored *s, uint32_t w, struct rec_acts *out, struct err *e)
{
	size_t n = s->windows->token_at[w + 1] - s->windows->token_at[w];
	uint32_t *row = arena_alloc(s->arena, n + 1, sizeof(*row));

	if (row == NULL)
		return err_set(e, ERR_NOMEM, "no memory for stored activations");
	memset(row, 0, (n + 1) * sizeof(*row));
	*out = (struct rec_acts){.n_tokens = (uint32_t)n, .row_start = row};
	return 0;
}

static int
get(const void *ctx, uint32_t sae, uint32_t first, uint32_t n, struct sparse *out,
	struct err *e)
{
	const struct stored *s = ctx;
	uint32_t n_tokens = 0;
	struct rec_acts *a;
	size_t n_all = 0;

	arena_reset(s->arena);
	a = arena_alloc(s->arena, n, sizeof(*a));
	if (a == NULL)
		return err_set(e, ERR_NOMEM, "no memory for stored activations");
	for (uint32_t i = 0; i < n; i++) {
		if ((has(s, first + i) ? read_one(s, sae, first + i, &a[i], e)
				       : read_none(s, first + i, &a[i], e)) < 0)
			return e->code;
		n_tokens += a[i].n_tokens;
		n_all += a[i].row_start[a[i].n_tokens];
	}
	if (sparse_reserve(out, n_tokens, n_all, e) < 0)
		return e->code;
	n_tokens = 0;
	for (uint32_t i = 0; i < n; i++) {
		sparse_append(out, n_tokens, a[i].row_start, a[i].feature, a[i].value,
			a[i].n_tokens);
		n_tokens += a[i].n_tokens;
	}
	return 0;
}

struct act_source
stored_source(const struct stored *s, bool some)
{
	return (struct act_source){.get = get, .has = some ? has : NULL, .ctx = s};
}
