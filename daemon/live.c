/* SPDX-License-Identifier: ISC */
#include "daemon/live_int.h"

#include "analysis/recorded.h"
#include "daemon/daemon.h"
#include "schema/value.h"
#include "util/file.h"
#include "util/log.h"
#include "util/pool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 10000 /* that a request waits for what is being opened */
#define AGAIN_MS 30000 /* until what failed is tried again */
#define MIB 0x1p20

struct live {
	char *model; /* --model; NULL: as recorded */
	bool off;
	size_t most_bytes, n_workers;
	struct queue *queue; /* one thread that opens */
	struct mutex *running; /* of m, while it is used or changed; before lock */
	struct mutex *lock; /* of all below */
	struct cond *changed;
	struct live_model m;
	uint64_t turn, n_bytes;
	size_t n_asking;
	bool opening, stop;
	char failed_id[STORE_ID_CHARS]; /* the model that could not be opened: */
	struct err why;
	int64_t failed_ms;
};

/* ---- opening, on the thread of the queue ----------------------------------- */

struct job { /* what is to be opened, with nothing borrowed from a view */
	struct live *l;
	struct arena arena;
	const char *id, *weights, *tokenizer, *provenance;
	struct cat_sae *sae; /* (n) */
	uint32_t *slot; /* (n) in the provenance's "saes" */
	uint32_t n;
	size_t model_bytes;
	uint64_t turn; /* before it was wanted */
};

static void
job_free(void *p)
{
	struct job *j = p;

	arena_clear(&j->arena);
	mem_free(j);
}

static void
model_close(struct live_model *m)
{
	for (uint32_t i = 0; i < m->n_saes; i++)
		sae_close(m->sae[i].sae);
	tok_close(m->tok);
	lm_close(m->lm);
	*m = (struct live_model){0};
}

static int
too_large(const struct live *l, size_t n_bytes, const char *what, struct err *e)
{
	return err_set(e, ERR_LIMIT,
		"%s takes %.0f MiB of memory, and --model-memory allows %.0f", what,
		(double)n_bytes / MIB, (double)l->most_bytes / MIB);
}

size_t
live_sae_bytes(const struct cat_sae *s)
{
	/* rows as floats, the encoder's as bytes beside them */
	return (size_t)s->d_sae *
		((s->d_in + (size_t)s->d_out) * sizeof(float) + s->d_in);
}

static int
open_model(struct job *j, const struct value *provenance, struct live_model *m,
	struct err *e)
{
	const struct recorded_sha256 catalog = {j->weights, j->tokenizer};
	int rc = 0;

	if (j->l->most_bytes < j->model_bytes)
		rc = too_large(j->l, j->model_bytes, "the model", e);
	if (rc == 0)
		rc = recorded_model(&m->lm, &m->tok, provenance, j->l->model, &catalog,
			e);
	snprintf(m->id, sizeof(m->id), "%s", j->id);
	snprintf(m->tokenizer, sizeof(m->tokenizer), "%s", j->tokenizer);
	return rc;
}

static void
open_sae(struct job *j, const struct value *provenance, uint32_t i,
	struct live_slot *out)
{
	const struct value *saes = value_get(provenance, "saes");
	size_t n_bytes = live_sae_bytes(&j->sae[i]) + j->model_bytes;
	char path[PATH_BYTES];
	int rc;

	*out = (struct live_slot){.at_ms = daemon_now_ms()};
	memcpy(out->hash, j->sae[i].hash, sizeof(out->hash));
	if (saes == NULL || saes->type != VALUE_ARRAY || j->slot[i] >= saes->n)
		rc = recorded_lacks("saes", &out->why);
	else if (n_bytes > j->l->most_bytes)
		rc = too_large(j->l, n_bytes, "the model with this SAE", &out->why);
	else
		rc = recorded_sae(&out->sae, &saes->v[j->slot[i]], NULL, j->sae[i].hash,
			path, &out->why);
	if (rc == 0)
		return;
	sae_close(out->sae);
	out->sae = NULL;
}

static uint64_t
bytes_of_sae(const struct sae *s)
{
	return (uint64_t)s->info.d_sae *
		((s->info.d_in + (uint64_t)s->info.d_out) * sizeof(float) +
			s->info.d_in);
}

static uint64_t
bytes_of(const struct live_model *m)
{
	uint64_t n = m->lm != NULL ? lm_info(m->lm)->n_params * sizeof(float) : 0;

	for (uint32_t i = 0; i < m->n_saes; i++)
		if (m->sae[i].sae != NULL)
			n += bytes_of_sae(m->sae[i].sae);
	return n;
}

/* Room for one more of n_bytes: those longest not asked for go, but for those that
 * were since turn. */
static bool
make_room(struct live *l, uint64_t n_bytes, uint64_t turn)
{
	struct live_model *m = &l->m;

	while (m->n_saes == LIMIT_SAES || bytes_of(m) + n_bytes > l->most_bytes) {
		uint32_t oldest = 0;

		for (uint32_t i = 1; i < m->n_saes; i++)
			if (m->sae[i].used < m->sae[oldest].used)
				oldest = i;
		if (m->n_saes == 0 || m->sae[oldest].used > turn)
			return false;
		sae_close(m->sae[oldest].sae);
		m->sae[oldest] = m->sae[--m->n_saes];
	}
	return true;
}

static void
install_sae(struct live *l, struct live_slot *s, uint64_t turn)
{
	struct live_slot *old = live_find(&l->m, s->hash);
	size_t n_bytes = s->sae != NULL ? (size_t)bytes_of_sae(s->sae) : 0;

	if (old != NULL) {
		sae_close(old->sae);
		*old = l->m.sae[--l->m.n_saes];
	}
	if (!make_room(l, n_bytes, turn)) {
		too_large(l, (size_t)bytes_of(&l->m) + n_bytes,
			"the model with these SAEs", &s->why);
		sae_close(s->sae);
		s->sae = NULL;
		if (!make_room(l, 0, UINT64_MAX))
			return;
	}
	s->used = ++l->turn;
	l->m.sae[l->m.n_saes++] = *s;
}

/* The model first, unless it is open; then what is wanted of its SAEs. */
static int
open_all(struct job *j, struct err *e)
{
	const struct value *provenance;
	struct live *l = j->l;
	struct live_model m = {0};
	struct live_slot s;
	int rc = value_parse_json(&provenance, j->provenance, strlen(j->provenance),
		&j->arena, e);

	if (rc == 0 &&
		(l->m.lm == NULL || strcmp(l->m.id, j->id) != 0 ||
			strcmp(l->m.tokenizer, j->tokenizer) != 0)) {
		mutex_lock(l->running); /* one at a time in memory */
		mutex_lock(l->lock);
		model_close(&l->m);
		mutex_unlock(l->lock);
		mutex_unlock(l->running);
		rc = open_model(j, provenance, &m, e);
		if (rc < 0) {
			model_close(&m);
			return rc;
		}
		mutex_lock(l->running);
		mutex_lock(l->lock);
		l->m = m;
		mutex_unlock(l->lock);
		mutex_unlock(l->running);
	}
	for (uint32_t i = 0; i < j->n && rc == 0; i++) {
		open_sae(j, provenance, i, &s);
		mutex_lock(l->running);
		mutex_lock(l->lock);
		install_sae(l, &s, j->turn);
		mutex_unlock(l->lock);
		mutex_unlock(l->running);
	}
	return rc;
}

static void
job_run(void *p)
{
	struct job *j = p;
	struct live *l = j->l;
	struct err e = ERR_INIT;
	int rc = open_all(j, &e);

	mutex_lock(l->lock);
	l->opening = false;
	l->n_bytes = bytes_of(&l->m);
	l->why = e;
	l->failed_id[0] = '\0';
	if (rc < 0) {
		l->failed_ms = daemon_now_ms();
		snprintf(l->failed_id, sizeof(l->failed_id), "%s", j->id);
		log_put(LOG_NOTICE, "no model for texts: %s", e.text);
	}
	cond_wake(l->changed);
	mutex_unlock(l->lock);
	job_free(j);
}

/* ---- asking for it --------------------------------------------------------- */

struct live_slot *
live_find(struct live_model *m, const uint8_t hash[32])
{
	for (uint32_t i = 0; i < m->n_saes; i++)
		if (memcmp(m->sae[i].hash, hash, 32) == 0)
			return &m->sae[i];
	return NULL;
}

static bool
model_is_open(const struct live *l, const struct live_want *w)
{
	const struct cat_run *r = &w->cat->run[w->run];

	return l->m.lm != NULL && strcmp(l->m.id, w->cat->model[r->model].id) == 0 &&
		strcmp(l->m.tokenizer, w->cat->cut[r->cut].tokenizer_sha256) == 0;
}

/* Whether an SAE has to be opened, now or once more. */
static bool
sae_is_due(struct live *l, const struct cat_sae *s)
{
	const struct live_slot *x = live_find(&l->m, s->hash);

	return x == NULL || (x->sae == NULL && daemon_now_ms() - x->at_ms > AGAIN_MS);
}

static bool
all_open(struct live *l, const struct live_want *w)
{
	const struct cat_run *r = &w->cat->run[w->run];

	if (!model_is_open(l, w))
		return false;
	for (uint32_t i = 0; i < w->n_slots; i++)
		if (sae_is_due(l, &w->cat->sae[r->sae[w->slot[i]].sae]))
			return false;
	return true;
}

static const char *
copy(struct job *j, const char *s)
{
	return arena_strndup(&j->arena, s, strlen(s));
}

static int
job_fill(struct job *j, const struct live_want *w, struct err *e)
{
	const struct cat_run *r = &w->cat->run[w->run];
	const struct cat_model *m = &w->cat->model[r->model];
	bool fresh = !model_is_open(j->l, w);

	j->model_bytes = (size_t)m->n_params * sizeof(float);
	j->id = copy(j, m->id);
	j->weights = copy(j, m->weights_sha256);
	j->tokenizer = copy(j, w->cat->cut[r->cut].tokenizer_sha256);
	j->provenance = copy(j, r->provenance);
	j->sae = arena_alloc(&j->arena, w->n_slots, sizeof(*j->sae));
	j->slot = arena_alloc(&j->arena, w->n_slots, sizeof(*j->slot));
	if (j->id == NULL || j->weights == NULL || j->tokenizer == NULL ||
		j->provenance == NULL || j->sae == NULL || j->slot == NULL)
		return err_set(e, ERR_NOMEM, "no memory to open a model");
	j->turn = j->l->turn++;
	for (uint32_t i = 0; i < w->n_slots; i++) {
		const struct cat_sae *s = &w->cat->sae[r->sae[w->slot[i]].sae];
		struct live_slot *x = live_find(&j->l->m, s->hash);

		if (x != NULL)
			x->used = j->l->turn;
		if (!fresh && !sae_is_due(j->l, s))
			continue;
		j->slot[j->n] = w->slot[i];
		j->sae[j->n++] = *s;
	}
	return 0;
}

/* With the lock. */
static int
begin_opening(struct live *l, const struct live_want *w, struct err *e)
{
	struct job *j = mem_new(1, sizeof(*j));
	int rc;

	if (j == NULL)
		return err_set(e, ERR_NOMEM, "no memory to open a model");
	arena_init(&j->arena, 0);
	j->l = l;
	rc = job_fill(j, w, e);
	if (rc == 0)
		rc = queue_push(l->queue, job_run, job_free, j, e);
	if (rc < 0)
		job_free(j);
	else
		l->opening = true;
	return rc;
}

static int
no_model(const struct live *l, const char *why, struct err *e)
{
	if (l == NULL || l->off)
		return err_set(e, ERR_NOTFOUND,
			"no model is at hand: saedbd was started with --no-model");
	if (l->model != NULL)
		return err_set(e, ERR_NOTFOUND,
			"no model is at hand: %.500s; start saedbd --model DIR with "
			"the directory of the model that was indexed",
			why);
	return err_set(e, ERR_NOTFOUND,
		"no model is at hand: %.500s; start saedbd --model DIR", why);
}

static bool
has_failed(const struct live *l, const struct live_want *w)
{
	return strcmp(l->failed_id, w->cat->model[w->cat->run[w->run].model].id) == 0 &&
		daemon_now_ms() - l->failed_ms < AGAIN_MS;
}

/* With the lock: until it is open, or for some time where that blocks nobody. */
static int
wait_open(struct live *l, const struct live_want *w, struct err *e)
{
	int64_t end = daemon_now_ms() + WAIT_MS;
	bool waits = l->n_workers > 1;
	int rc = 0;

	while (!all_open(l, w)) {
		int64_t left = end - daemon_now_ms();

		if (!l->opening && has_failed(l, w) && !model_is_open(l, w))
			return no_model(l, l->why.text, e);
		if (!l->opening)
			rc = begin_opening(l, w, e);
		if (rc < 0)
			return rc;
		if (l->stop || !waits || left <= 0)
			return err_set(e, ERR_BUSY,
				"the model is being opened; ask again");
		cond_wait(l->changed, l->lock, (long)left);
	}
	return 0;
}

static void
mark_used(struct live *l, const struct live_want *w)
{
	const struct cat_run *r = &w->cat->run[w->run];

	l->turn++;
	for (uint32_t i = 0; i < w->n_slots; i++)
		live_find(&l->m, w->cat->sae[r->sae[w->slot[i]].sae].hash)->used =
			l->turn;
}

/* With the lock. What is open may be closed for another while this one waits for its
 * turn, as rarely as two models are asked for. */
static int
ask(struct live *l, const struct live_want *w, struct live_answer *out, struct err *e)
{
	int rc = wait_open(l, w, e);

	if (rc < 0)
		return rc;
	mutex_unlock(l->lock);
	mutex_lock(l->running);
	mutex_lock(l->lock);
	if (all_open(l, w))
		mark_used(l, w);
	else
		rc = err_set(e, ERR_BUSY, "other models are asked for; ask again");
	mutex_unlock(l->lock);
	if (rc == 0)
		rc = live_run(&l->m, w, out, e);
	mutex_unlock(l->running);
	mutex_lock(l->lock);
	return rc;
}

int
live_text(struct live *l, const struct live_want *w, struct live_answer *out,
	struct err *e)
{
	size_t most;
	int rc;

	if (l == NULL || l->off)
		return no_model(l, "", e);
	most = l->n_workers > 1 ? l->n_workers - 1 : 1;
	mutex_lock(l->lock);
	if (l->n_asking >= most) {
		rc = err_set(e, ERR_BUSY,
			"%zu texts are with the model already; ask again", most);
	} else {
		l->n_asking++;
		rc = ask(l, w, out, e);
		l->n_asking--;
	}
	mutex_unlock(l->lock);
	return rc;
}

void
live_state(struct live *l, struct live_state *out)
{
	*out = (struct live_state){.is = "off"};
	if (l == NULL || l->off)
		return;
	mutex_lock(l->lock);
	out->is = l->opening              ? "opening"
		: l->m.lm != NULL         ? "open"
		: l->failed_id[0] != '\0' ? "failed"
					  : "closed";
	out->n_bytes = l->n_bytes;
	for (uint32_t i = 0; i < l->m.n_saes; i++)
		out->n_saes += l->m.sae[i].sae != NULL;
	if (l->failed_id[0] != '\0')
		snprintf(out->why, sizeof(out->why), "%s", l->why.text);
	mutex_unlock(l->lock);
}

/* ---- life ------------------------------------------------------------------- */

int
live_new(struct live **out, const struct live_options *o, struct err *e)
{
	struct live *l = mem_new(1, sizeof(*l));
	int rc = 0;

	*out = l;
	if (l == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a model");
	l->off = o->off;
	l->n_workers = o->n_workers;
	l->most_bytes = o->most_bytes;
	if (l->most_bytes == 0)
		l->most_bytes = (size_t)sysconf(_SC_PHYS_PAGES) / 2 *
			(size_t)sysconf(_SC_PAGESIZE);
	if (o->model != NULL && !file_is_dir(o->model))
		rc = err_arg(e, ERR_NOTFOUND, "model", "--model %s: no directory there",
			o->model);
	if (rc == 0 && o->model != NULL && (l->model = mem_strdup(o->model)) == NULL)
		rc = err_set(e, ERR_NOMEM, "no memory for a model");
	if (rc == 0)
		rc = mutex_new(&l->lock, e);
	if (rc == 0)
		rc = mutex_new(&l->running, e);
	if (rc == 0)
		rc = cond_new(&l->changed, e);
	if (rc == 0 && !l->off)
		rc = queue_new(&l->queue, 1, 1, e);
	if (rc < 0) {
		live_free(l);
		*out = NULL;
	}
	return rc;
}

void
live_stop(struct live *l)
{
	if (l == NULL)
		return;
	mutex_lock(l->lock);
	l->stop = true;
	cond_wake(l->changed);
	mutex_unlock(l->lock);
}

void
live_free(struct live *l)
{
	if (l == NULL)
		return;
	queue_free(l->queue);
	model_close(&l->m);
	cond_free(l->changed);
	mutex_free(l->running);
	mutex_free(l->lock);
	mem_free(l->model);
	mem_free(l);
}
