/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include "util/pool.h"
#include "util/utf8.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

int
h_label_get(struct req *q, struct out *o, struct err *e)
{
	const struct store_label *label;
	struct err unsought = ERR_INIT;
	struct target t;
	uint32_t n = 0;
	int rc = find_feature(q, &t, e);

	/* people's labels are the SAE's, whether or not a run sought the feature */
	if (rc == 0 && find_run_of_feature(q, &t, &unsought) < 0)
		rc = find_run(q, &t, e);
	if (rc == 0)
		rc = read_labels(q, &t, t.index, &label, &n, e);
	if (rc < 0)
		return rc;
	put_head_run(o, q, &t, 1);
	out_key(o, "labels");
	out_array(o, n);
	for (uint32_t i = 0; i < n; i++)
		put_label(o, &label[i], t.s, false);
	out_end(o);
	out_end(o);
	return 0;
}

/* ---- writing -------------------------------------------------------------- */

static int
check_label(const struct store_label *l, const char *arg, struct err *e)
{
	size_t n = strlen(l->text);

	if (n == 0 || n > LIMIT_LABEL_BYTES)
		return err_arg(e, ERR_ARG, arg, "a label must have 1 to %d bytes",
			LIMIT_LABEL_BYTES);
	if (utf8_valid(l->text, n) != n)
		return err_arg(e, ERR_ARG, arg, "a label must be UTF-8");
	if (strcasecmp(l->source, LABEL_KEYWORDS) == 0)
		return err_arg(e, ERR_ARG, arg,
			"the source \"%s\" is for labels computed at "
			"index time",
			LABEL_KEYWORDS);
	return 0;
}

static int
put(struct req *q, const struct store_label *labels, size_t n, int64_t *ids,
	struct err *e)
{
	int rc;

	mutex_lock(q->daemon->writing);
	rc = store_label_put(q->daemon->store, labels, n, ids, e);
	atomic_fetch_add(&q->daemon->label_epoch, 1);
	mutex_unlock(q->daemon->writing);
	return rc;
}

int
h_label_set(struct req *q, struct out *o, struct err *e)
{
	struct store_label l = {
		.text = args_str(&q->args, "text"),
		.source = args_str(&q->args, "source"),
		.author = args_str(&q->args, "author"),
		.time_s = (int64_t)time(NULL),
		.has_score = args_has(&q->args, "score"),
		.score = args_float(&q->args, "score"),
	};
	struct target t;
	int64_t id = 0;
	int rc = find_feature(q, &t, e);

	if (rc == 0)
		rc = check_label(&l, "text", e);
	if (rc < 0)
		return rc;
	memcpy(l.sae_hash, t.s->hash, sizeof(l.sae_hash));
	l.feature = t.index;
	rc = put(q, &l, 1, &id, e);
	if (rc < 0)
		return rc;
	put_head(o, q, 1);
	out_key_int(o, "id", id);
	out_end(o);
	return 0;
}

int
h_label_delete(struct req *q, struct out *o, struct err *e)
{
	int rc;

	mutex_lock(q->daemon->writing);
	rc = store_label_delete(q->daemon->store, args_int(&q->args, "id"), e);
	atomic_fetch_add(&q->daemon->label_epoch, 1);
	mutex_unlock(q->daemon->writing);
	if (rc == ERR_NOTFOUND)
		snprintf(e->arg, sizeof(e->arg), "id");
	if (rc < 0)
		return rc;
	put_head(o, q, 0);
	out_end(o);
	return 0;
}

/* ---- import --------------------------------------------------------------- */

static int
bad_item(struct err *e, uint32_t i, const char *what)
{
	return err_arg(e, ERR_ARG, "labels", "label %u: %s", i, what);
}

/* A string of the map under any of several keys; "" where there is none. */
static int
item_str(struct req *q, const struct value *map, const char *const *keys, size_t max,
	const char **out, uint32_t i, struct err *e)
{
	const struct value *v = NULL;
	char what[64];

	for (; v == NULL && *keys != NULL; keys++)
		v = value_get(map, *keys);
	*out = "";
	if (v == NULL || v->type == VALUE_NIL)
		return 0;
	if (v->type != VALUE_STR || v->n > max || memchr(v->str, '\0', v->n) != NULL) {
		snprintf(what, sizeof(what), "%s must be a string of at most %zu bytes",
			keys[-1], max);
		return bad_item(e, i, what);
	}
	*out = arena_strndup(q->arena, v->str, v->n);
	return *out != NULL ? 0 : err_set(e, ERR_NOMEM, "no memory for the labels");
}

static bool
read_hash(const struct value *v, uint8_t out[32])
{
	char pair[3] = "";
	unsigned byte;

	if (v->type != VALUE_STR || v->n != 64)
		return false;
	for (size_t i = 0; i < 32; i++) {
		memcpy(pair, v->str + 2 * i, 2);
		if (strspn(pair, "0123456789abcdefABCDEF") != 2 ||
			sscanf(pair, "%x", &byte) != 1)
			return false;
		out[i] = (uint8_t)byte;
	}
	return true;
}

static int
item_feature(struct req *q, const struct value *map, struct store_label *l, uint32_t i,
	struct err *e)
{
	const struct value *v = value_get(map, "feature"),
			   *hash = value_get(map, "sae_hash");
	struct target t;
	int64_t index;
	int rc;

	if (hash != NULL && hash->type != VALUE_NIL) {
		if (!read_hash(hash, l->sae_hash))
			return bad_item(e, i, "sae_hash must be 64 hexadecimal digits");
		if (!value_as_int(value_get(map, "index"), &index) || index < 0 ||
			index > UINT32_MAX)
			return bad_item(e, i, "index must be a feature's number");
		l->feature = (uint32_t)index;
		return 0;
	}
	if (v == NULL || v->type != VALUE_STR)
		return bad_item(e, i,
			"feature must be an address, or sae_hash and index be "
			"given");
	rc = find_address(q, v->str, v->n, "labels", &t, e);
	if (rc < 0) {
		err_wrap(e, "label %u", i);
		return rc;
	}
	memcpy(l->sae_hash, t.s->hash, sizeof(l->sae_hash));
	l->feature = t.index;
	return 0;
}

static int
read_item(struct req *q, const struct value *map, struct store_label *l, uint32_t i,
	struct err *e)
{
	static const char *const text[] = {"text", "explanation", "description", NULL};
	static const char *const source[] = {"source", NULL};
	static const char *const author[] = {"author", NULL};
	const struct value *time_s = value_get(map, "time_s"),
			   *score = value_get(map, "score");
	int rc;

	*l = (struct store_label){.time_s = (int64_t)time(NULL)};
	if (map->type != VALUE_MAP)
		return bad_item(e, i, "it must be a map");
	rc = item_feature(q, map, l, i, e);
	if (rc == 0)
		rc = item_str(q, map, text, LIMIT_LABEL_BYTES, &l->text, i, e);
	if (rc == 0)
		rc = item_str(q, map, source, 64, &l->source, i, e);
	if (rc == 0)
		rc = item_str(q, map, author, LIMIT_NAME_BYTES, &l->author, i, e);
	if (rc < 0)
		return rc;
	if (l->source[0] == '\0')
		l->source = LABEL_IMPORT;
	if (time_s != NULL && time_s->type != VALUE_NIL &&
		!value_as_int(time_s, &l->time_s))
		return bad_item(e, i, "time_s must be an integer");
	l->has_score = score != NULL && score->type != VALUE_NIL;
	if (l->has_score &&
		(!value_as_float(score, &l->score) || !(l->score - l->score == 0)))
		return bad_item(e, i, "score must be a finite number");
	rc = check_label(l, "labels", e);
	if (rc < 0)
		err_wrap(e, "label %u", i);
	return rc;
}

int
h_label_import(struct req *q, struct out *o, struct err *e)
{
	const struct value *list = args_get(&q->args, "labels");
	struct store_label *l = req_alloc(q, list->n, sizeof(*l), e);
	int64_t *ids = req_alloc(q, list->n, sizeof(*ids), e);
	int rc = 0;

	if (l == NULL || ids == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < list->n && rc == 0; i++)
		rc = read_item(q, &list->v[i], &l[i], i, e);
	if (rc == 0 && list->n > 0)
		rc = put(q, l, list->n, ids, e);
	if (rc < 0)
		return rc;
	put_head(o, q, 2);
	out_key_uint(o, "n", list->n);
	out_key(o, "ids");
	out_array(o, list->n);
	for (uint32_t i = 0; i < list->n; i++)
		out_int(o, ids[i]);
	out_end(o);
	out_end(o);
	return 0;
}

/* ---- export --------------------------------------------------------------- */

static const struct cat_sae *
sae_of_hash(const struct store_catalog *c, const uint8_t hash[32], uint32_t feature)
{
	for (uint32_t i = 0; i < c->n_saes; i++)
		if (memcmp(c->sae[i].hash, hash, 32) == 0 && feature < c->sae[i].d_sae)
			return &c->sae[i];
	return NULL;
}

#define EXPORT_CHECK 3

int
h_label_export(struct req *q, struct out *o, struct err *e)
{
	uint32_t limit = (uint32_t)args_int(&q->args, "limit") + 1, n = 0;
	struct store_label *l = req_alloc(q, limit, sizeof(*l), e);
	struct target t = {0};
	struct cursor c;
	bool more;
	int rc;

	if (l == NULL)
		return ERR_NOMEM;
	rc = args_has(&q->args, "sae") ? find_sae(q, "sae", &t, e) : 0;
	if (rc == 0)
		rc = cursor_read(q, EXPORT_CHECK, &c, e);
	if (rc >= 0)
		rc = store_label_list(q->view, t.s != NULL ? t.s->hash : NULL,
			(int64_t)c.index, limit, l, &n, q->arena, e);
	if (rc < 0)
		return rc;
	more = n == limit;
	n -= more;
	put_head(o, q, more ? 2 : 1);
	out_key(o, "labels");
	out_array(o, n);
	for (uint32_t i = 0; i < n; i++)
		put_label(o, &l[i], sae_of_hash(q->cat, l[i].sae_hash, l[i].feature),
			true);
	out_end(o);
	if (more) {
		char text[CURSOR_CHARS];

		c = (struct cursor){.check = EXPORT_CHECK,
			.index = (uint64_t)l[n - 1].id};
		cursor_write(&c, text);
		out_key_str(o, "next", text);
	}
	out_end(o);
	return 0;
}
