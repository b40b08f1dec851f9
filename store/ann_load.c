/* SPDX-License-Identifier: ISC */
/*
 * Approximate indexes in use: loaded once their bytes have matched the catalogue, and
 * asked for candidates, which are scored again by the canonical product.
 */
#include "kernel/kernel.h"
#include "store/ann_inner.h"
#include "util/hash.h"

#include "config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct ann_loaded {
	struct store_ann about; /* its state under the object's lock */
	struct ann *index;
};

void
ann_loaded_free(struct ann_loaded *x)
{
	if (x == NULL)
		return;
	ann_free(x->index);
	mem_free(x);
}

const char *
store_faiss(void)
{
	return FAISS_VERSION " " FAISS_LEVEL;
}

bool
ann_unit(float *out, const float *x, uint32_t d)
{
	float norm = kernel_norm(x, d);
	bool good = norm > 0 && isfinite(norm);

	for (uint32_t i = 0; i < d; i++)
		out[i] = good ? x[i] / norm : 0;
	return !isnan(norm);
}

/* ---- what it is -------------------------------------------------------------- */

/* The record, which must be of this SAE's rows. */
static int
read_about(struct object *o, const struct cat_sae *sae, enum store_direction direction,
	struct store_ann *out, struct err *e)
{
	const struct map *map;
	size_t i = 0;
	int rc = object_part(o, FILE_ANN_ABOUT, &i, e);

	if (rc == 0)
		rc = object_map(o, i, &map, e);
	if (rc != 0)
		return rc;
	if (ann_about_read(out, map->data, map->n_bytes, e) != 0)
		return err_wrap(e, "%s/" FILE_ANN_ABOUT, o->dir);
	if (strcmp(out->sae_id, sae->id) != 0 || out->direction != direction)
		return err_set(e, ERR_CORRUPT,
			"%s: an index of another SAE: of %s, not %s", o->dir,
			out->sae_id, sae->id);
	if (out->n_rows != sae->d_sae ||
		(direction == STORE_DECODER && out->d != sae->d_out))
		return err_set(e, ERR_CORRUPT, "%s: an index of %u x %u, not %u x %u",
			o->dir, out->n_rows, out->d, sae->d_sae, sae->d_out);
	rc = object_part(o, FILE_ANN_INDEX, &i, e);
	if (rc == 0)
		out->n_bytes = o->part[i].n_bytes;
	return rc;
}

int
store_ann_about(struct store_view *v, uint32_t ann, struct store_ann *out,
	struct err *e)
{
	const struct store_catalog *c = &v->gen->catalog;
	const struct cat_ann *x;
	struct object *o;
	struct err mine = ERR_INIT;
	bool known;
	int rc;

	if (ann >= c->n_anns)
		return err_set(e, ERR_NOTFOUND, "there is no index %u", ann);
	x = &c->ann[ann];
	o = v->gen->object[KIND_ANN][ann];
	mutex_lock(o->lock);
	known = o->loaded != NULL && o->loaded->about.state != STORE_ANN_WAITING;
	if (known)
		*out = o->loaded->about;
	mutex_unlock(o->lock);
	if (known)
		return 0;
	rc = read_about(o, &c->sae[x->sae], (enum store_direction)x->direction, out,
		&mine);
	if (rc != 0)
		return err_set(e, rc, "%s", mine.text);
	return 0;
}

/* ---- loading ------------------------------------------------------------------ */

/* The whole file against the catalogue, then FAISS reads the bytes that matched. */
static int
read_index(struct object *o, const struct store_ann *about, struct ann **out,
	bool (*stop)(void *ctx), void *ctx, struct err *e)
{
	char path[PATH_BYTES];
	struct map m;
	size_t i;
	int rc = object_part(o, FILE_ANN_INDEX, &i, e);

	if (rc == 0)
		rc = part_path(path, o, i, e);
	if (rc == 0)
		rc = map_open(&m, path, e);
	if (rc != 0)
		return rc == ERR_NOTFOUND
			? err_set(e, ERR_CORRUPT, "%s: the file is missing", path)
			: rc;
	if (m.n_bytes != o->part[i].n_bytes)
		rc = err_set(e, ERR_CORRUPT, "%s: %zu bytes where there were %llu",
			path, m.n_bytes, (unsigned long long)o->part[i].n_bytes);
	else if (hash64(m.data != NULL ? (const void *)m.data : "", m.n_bytes, 0) !=
		o->part[i].hash)
		rc = err_set(e, ERR_CORRUPT, "%s: the file does not match its checksum",
			path);
	else if (stop != NULL && stop(ctx))
		rc = err_set(e, ERR_CANCELLED, "stopped");
	else if (ann_read(out, m.data, m.n_bytes, about->n_rows, about->d, e) != 0)
		rc = err_wrap(e, "%s", path);
	map_close(&m);
	if (rc == 0 && about->parameter[0] != '\0')
		rc = ann_set(*out, about->parameter, about->value, e);
	return rc;
}

/* Good or refused, it is settled then; else it may be tried again. */
static int
load(struct generation *g, uint32_t i, struct ann_loaded *x, bool (*stop)(void *ctx),
	void *ctx, struct err *e)
{
	const struct cat_ann *c = &g->catalog.ann[i];
	const struct cat_sae *sae = &g->catalog.sae[c->sae];
	struct object *o = g->object[KIND_ANN][i];
	enum store_ann_state state = STORE_ANN_LOADED;
	struct store_ann about = {0};
	struct err mine = ERR_INIT;
	struct ann *index = NULL;
	int rc = read_about(o, sae, (enum store_direction)c->direction, &about, &mine);

	memcpy(about.sae_id, sae->id, sizeof(about.sae_id));
	about.direction = (enum store_direction)c->direction;
	if (rc == 0)
		rc = read_index(o, &about, &index, stop, ctx, &mine);
	if (rc != 0) {
		ann_free(index);
		index = NULL;
		state = STORE_ANN_REFUSED;
		if (rc == ERR_CANCELLED)
			return err_set(e, rc, "%s", mine.text);
		snprintf(about.why, sizeof(about.why), "%.250s", mine.text);
	}
	about.state = state;
	mutex_lock(o->lock);
	x->index = index;
	x->about = about;
	mutex_unlock(o->lock);
	return 0;
}

/* The next that waits, made ready for load(); NULL and 0: there is none. */
static int
next_waiting(struct generation *g, uint32_t *at, struct ann_loaded **out, struct err *e)
{
	*out = NULL;
	for (uint32_t i = 0; i < g->n_objects[KIND_ANN] && *out == NULL; i++) {
		struct object *o = g->object[KIND_ANN][i];

		mutex_lock(o->lock);
		if (o->loaded == NULL)
			o->loaded = mem_new(1, sizeof(*o->loaded));
		if (o->loaded != NULL && o->loaded->about.state == STORE_ANN_WAITING)
			*out = o->loaded;
		*at = i;
		mutex_unlock(o->lock);
		if (o->loaded == NULL)
			return err_set(e, ERR_NOMEM, "no memory for an index");
	}
	return 0;
}

bool
store_ann_waits(struct store *s)
{
	bool waits = false;

	mutex_lock(s->lock);
	for (uint32_t i = 0; i < s->gen->n_objects[KIND_ANN]; i++) {
		struct object *o = s->gen->object[KIND_ANN][i];

		mutex_lock(o->lock);
		waits |= o->loaded == NULL ||
			o->loaded->about.state == STORE_ANN_WAITING;
		mutex_unlock(o->lock);
	}
	mutex_unlock(s->lock);
	return waits;
}

int
store_ann_load(struct store *s, bool (*stop)(void *ctx), void *ctx,
	struct store_ann *out, struct err *e)
{
	struct generation *g;
	struct ann_loaded *x;
	uint32_t i;
	int rc;

	mutex_lock(s->lock);
	g = s->gen;
	g->n_refs++;
	mutex_unlock(s->lock);
	rc = next_waiting(g, &i, &x, e);
	if (rc == 0 && x != NULL) {
		rc = load(g, i, x, stop, ctx, e);
		if (rc == 0) {
			*out = x->about;
			rc = 1;
		}
	}
	mutex_lock(s->lock);
	generation_unref(s, g);
	mutex_unlock(s->lock);
	return rc;
}

/* ---- asking ---------------------------------------------------------------------- */

static bool
is_better(const struct rec_scored *a, const struct rec_scored *b)
{
	return a->score != b->score ? a->score > b->score : a->id < b->id;
}

struct best {
	struct rec_scored *x; /* (k) sorted */
	uint32_t n, k;
};

static void
offer(struct best *b, struct rec_scored x)
{
	uint32_t at;

	if (isnan(x.score) || (b->n == b->k && !is_better(&x, &b->x[b->n - 1])))
		return;
	at = b->n < b->k ? b->n++ : b->n - 1;
	for (; at > 0 && is_better(&x, &b->x[at - 1]); at--)
		b->x[at] = b->x[at - 1];
	b->x[at] = x;
}

/* As many more candidates as more are asked for than the index was measured with. */
static size_t
n_candidates(const struct store_ann *about, uint32_t k)
{
	uint64_t n = about->n_candidates;

	if (k > ANN_RECALL_AT)
		n = n * k / ANN_RECALL_AT;
	if (n > 65536)
		n = k > 65536 ? k : 65536;
	return n < about->n_rows ? (size_t)n : about->n_rows;
}

static int
ask(const struct ann_loaded *x, const struct store_search *s, const float *rows,
	struct rec_scored *out, uint32_t *n, struct err *e)
{
	uint32_t d = x->about.d;
	struct best b = {out, 0, s->k < x->about.n_rows ? s->k : x->about.n_rows};
	size_t most = n_candidates(&x->about, s->k);
	float *query = mem_new(2 * (size_t)d, sizeof(*query)), *unit;
	int64_t *id = mem_new(most, sizeof(*id));
	int rc = 0;

	if (query == NULL || id == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory for a search");
	if (rc == 0 && b.k > 0) {
		ann_unit(query, s->vector, d);
		ann_threads(1);
		rc = ann_candidates(x->index, query, 1, most, id, e);
	}
	for (size_t i = 0; rc == 0 && b.k > 0 && i < most; i++) {
		if (id[i] < 0 || id[i] >= x->about.n_rows)
			continue;
		unit = query + d;
		if (!ann_unit(unit, rows + (size_t)id[i] * d, d))
			continue;
		offer(&b,
			(struct rec_scored){(uint32_t)id[i],
				kernel_dot(query, unit, d)});
	}
	*n = b.n;
	mem_free(query);
	mem_free(id);
	return rc;
}

/* Why an index may not be used, where it was asked for. */
static int
find(struct store_view *v, const struct store_search *s, struct object **o,
	struct err *e)
{
	const struct store_catalog *c = &v->gen->catalog;

	*o = NULL;
	if (s->allowed != NULL || s->metric != STORE_COSINE)
		return err_arg(e, ERR_ARG, "engine",
			"an approximate index finds the nearest by cosine, among all "
			"features: the exact engine knows filters and inner products");
	for (uint32_t i = 0; i < c->n_anns; i++)
		if (c->ann[i].sae == s->sae &&
			c->ann[i].direction == (uint32_t)s->direction)
			*o = v->gen->object[KIND_ANN][i];
	if (*o == NULL)
		return err_arg(e, ERR_NOTFOUND, "engine",
			"this store has no approximate index of %s: saedb-index ann "
			"makes one",
			c->sae[s->sae].name);
	return 0;
}

/* Once it is settled, what is loaded of an object does not change. */
static int
settled(struct object *o, const char *name, const struct ann_loaded **out,
	struct err *e)
{
	enum store_ann_state state = STORE_ANN_WAITING;

	mutex_lock(o->lock);
	if (o->loaded != NULL)
		state = o->loaded->about.state;
	*out = o->loaded;
	mutex_unlock(o->lock);
	if (state == STORE_ANN_LOADED)
		return 0;
	if (state == STORE_ANN_REFUSED)
		return err_arg(e, ERR_CORRUPT, "engine",
			"the approximate index of %s is refused: %s; saedb-index ann "
			"makes another",
			name, (*out)->about.why);
	return err_arg(e, ERR_BUSY, "engine",
		"the approximate index of %s is being loaded; try again soon, or ask "
		"the exact engine",
		name);
}

int
ann_answer(struct store_view *v, const struct store_search *s, const float *rows,
	uint32_t d, struct rec_scored *out, struct store_nearest *found, struct err *e)
{
	const struct cat_sae *sae = &v->gen->catalog.sae[s->sae];
	bool asked = s->engine == STORE_APPROXIMATE;
	const struct ann_loaded *x;
	struct err mine = ERR_INIT;
	struct object *o;
	int rc;

	if (!asked &&
		(s->engine != STORE_AUTO ||
			(uint64_t)sae->d_sae * d < STORE_SLOW_NUMBERS))
		return 0;
	rc = find(v, s, &o, &mine);
	if (rc == 0)
		rc = settled(o, sae->name, &x, &mine);
	if (rc == 0 && !asked && x->about.recall < STORE_RECALL)
		return 0;
	if (rc != 0)
		return asked ? err_arg(e, rc, "engine", "%s", mine.text) : 0;
	if (x->about.d != d)
		return err_set(e, ERR_CORRUPT, "%s: an index of rows of %u, not %u",
			o->dir, x->about.d, d);
	rc = ask(x, s, rows, out, &found->n, e);
	found->engine = STORE_APPROXIMATE;
	found->index = x->about.text;
	found->recall = x->about.recall;
	return rc == 0 ? 1 : rc;
}
