/* SPDX-License-Identifier: ISC */
#include "store/inner.h"
#include "util/hash.h"

#include <string.h>
#include <strings.h>

struct sae_writer {
	struct pending *pending;
	struct kv *kv;
	struct buf packed;
	uint32_t d_sae;
};

/* One that an earlier program wrote: 1. */
static int
take_whole(struct store *s, enum kind kind, const char *id, const char *extra,
	struct err *e)
{
	struct pending *p;
	struct buf b;
	int rc;

	buf_init(&b);
	rc = pending_take(&p, s, kind, id, extra, &b, e);
	buf_clear(&b);
	return rc;
}

static int
check_new(const struct store *s, const struct cat_sae *info, struct err *e)
{
	const struct store_catalog *c = &s->gen->catalog;
	int rc = cat_check_name(info->name, e);

	for (uint32_t i = 0; rc == 0 && i < c->n_saes; i++)
		if (strcasecmp(c->sae[i].name, info->name) == 0)
			rc = err_arg(e, ERR_ARG, "name",
				"another SAE of this store has the name %s: give"
				" this one another with NAME=DIR",
				c->sae[i].name);
	return rc;
}

int
sae_writer_new(struct sae_writer **out, int64_t *have, struct store *s,
	const struct cat_sae *info, const float *decoder, const float *encoder,
	struct err *e)
{
	char id[STORE_ID_CHARS];
	struct sae_writer *w;
	int rc = store_need_write(s, e);

	*out = NULL;
	*have = -1;
	if (rc != 0)
		return rc;
	hash_hex(info->hash, 8, id);
	*have = cat_find_sae_id(&s->gen->catalog, id);
	if (*have >= 0)
		return 0;
	rc = check_new(s, info, e);
	if (rc == 0)
		rc = take_whole(s, KIND_SAE, id, info->hook, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	w = mem_new(1, sizeof(*w));
	if (w == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a SAE");
	w->d_sae = info->d_sae;
	rc = pending_new(&w->pending, s, KIND_SAE, id, info->hook, e);
	if (rc == 0)
		rc = codes_write(w->pending, info, STORE_DECODER, decoder, e);
	if (rc == 0 && encoder != NULL)
		rc = codes_write(w->pending, info, STORE_ENCODER, encoder, e);
	if (rc == 0)
		rc = pending_kv(&w->kv, w->pending, "", &layout_logits, e);
	if (rc != 0) {
		sae_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

int
sae_writer_logits(struct sae_writer *w, uint32_t feature, const struct rec_logits *r,
	struct err *e)
{
	if (feature >= w->d_sae)
		return err_set(e, ERR_INTERNAL, "a SAE of %u has feature %u", w->d_sae,
			feature);
	buf_reset(&w->packed);
	rec_logits_pack(&w->packed, r);
	if (w->packed.failed)
		return err_set(e, ERR_NOMEM, "no memory for logit effects");
	return kv_put(w->kv, KV_LOGITS, feature, w->packed.data, w->packed.n_bytes, e);
}

int
sae_writer_finish(struct sae_writer *w, struct err *e)
{
	int rc = kv_finish(w->kv, e);

	kv_close(w->kv);
	w->kv = NULL;
	return rc == 0 ? pending_finish(w->pending, &(struct buf){0}, e) : rc;
}

void
sae_writer_free(struct sae_writer *w)
{
	if (w == NULL)
		return;
	kv_close(w->kv);
	buf_clear(&w->packed);
	mem_free(w);
}

/* ---- neighbor graphs ------------------------------------------------------- */

struct graph_writer {
	struct pending *pending;
	struct kv *kv;
	struct buf packed;
};

static bool
graph_known(const struct store_catalog *c, const char *from_id, const char *to_id,
	uint32_t k)
{
	for (uint32_t i = 0; i < c->n_graphs; i++)
		if (strcmp(c->sae[c->graph[i].from].id, from_id) == 0 &&
			strcmp(c->sae[c->graph[i].to].id, to_id) == 0 &&
			c->graph[i].k == k)
			return true;
	return false;
}

int
graph_writer_new(struct graph_writer **out, bool *have, struct store *s,
	const char *from_id, const char *to_id, uint32_t k, struct err *e)
{
	char id[OBJECT_ID_CHARS];
	struct graph_writer *w;
	int rc = store_need_write(s, e);

	*out = NULL;
	*have = false;
	if (rc != 0)
		return rc;
	*have = graph_known(&s->gen->catalog, from_id, to_id, k);
	if (*have)
		return 0;
	graph_id(id, from_id, to_id, k);
	rc = take_whole(s, KIND_GRAPH, id, "", e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	w = mem_new(1, sizeof(*w));
	if (w == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a graph");
	rc = pending_new(&w->pending, s, KIND_GRAPH, id, "", e);
	if (rc == 0)
		rc = pending_kv(&w->kv, w->pending, "", &layout_neighbors, e);
	if (rc != 0) {
		graph_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

int
graph_writer_put(struct graph_writer *w, uint32_t feature, const struct rec_scored *x,
	size_t n, struct err *e)
{
	buf_reset(&w->packed);
	rec_neighbors_pack(&w->packed, x, n);
	if (w->packed.failed)
		return err_set(e, ERR_NOMEM, "no memory for neighbors");
	return kv_put(w->kv, KV_NEIGHBORS, feature, w->packed.data, w->packed.n_bytes,
		e);
}

int
graph_writer_finish(struct graph_writer *w, struct err *e)
{
	int rc = kv_finish(w->kv, e);

	kv_close(w->kv);
	w->kv = NULL;
	return rc == 0 ? pending_finish(w->pending, &(struct buf){0}, e) : rc;
}

void
graph_writer_free(struct graph_writer *w)
{
	if (w == NULL)
		return;
	kv_close(w->kv);
	buf_clear(&w->packed);
	mem_free(w);
}
