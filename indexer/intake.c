/* SPDX-License-Identifier: ISC */
#include "indexer/intake.h"

#include "util/mem.h"

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory for the windows of a shard");
}

void
intake_stream(struct intake *g)
{
	g->n_documents = 0;
	g->document_base = g->feed->n_documents;
}

void
intake_clear(struct intake *g)
{
	mem_free(g->image);
	mem_free(g->document);
	mem_free(g->patch);
	*g = (struct intake){0};
}

int
intake_shard(struct intake *g, const struct shard_windows *s, struct err *e)
{
	g->shard = s;
	if (s->n_images > g->cap_images) {
		mem_free(g->image);
		g->image = mem_new(s->n_images, sizeof(*g->image));
		g->cap_images = g->image != NULL ? s->n_images : 0;
		if (g->image == NULL)
			return no_memory(e);
	}
	for (uint32_t i = 0; i < s->n_images; i++)
		if (feed_image(g->feed, s->image[i].p, s->image[i].n_bytes,
			    &g->image[i], e) < 0)
			return err_wrap(e, "%s, image %u", s->name, i);
	return 0;
}

static int
room_for_window(struct intake *g, size_t n, struct err *e)
{
	if (n <= g->cap_window)
		return 0;
	mem_free(g->document);
	mem_free(g->patch);
	g->document = mem_new(n, sizeof(*g->document));
	g->patch = mem_new(n, sizeof(*g->patch));
	g->cap_window = g->document != NULL && g->patch != NULL ? n : 0;
	return g->cap_window > 0 ? 0 : no_memory(e);
}

/* Positions that are patches one after another, as few stretches. */
static uint32_t
gather_patches(struct intake *g, uint32_t from, uint32_t n)
{
	const struct shard_windows *s = g->shard;
	uint32_t count = 0;

	for (uint32_t i = 0; s->image_of != NULL && i < n; i++) {
		uint32_t of = s->image_of[from + i], patch = s->patch[from + i];
		struct feed_patch *last = count > 0 ? &g->patch[count - 1] : NULL;

		if (of == UINT32_MAX)
			continue;
		if (last != NULL && last->image == g->image[of] &&
			last->token + last->n_tokens == i &&
			last->first + last->n_tokens == patch) {
			last->n_tokens++;
			continue;
		}
		g->patch[count++] = (struct feed_patch){i, 1, g->image[of], patch,
			s->image[of].n_rows, s->image[of].n_cols};
	}
	return count;
}

/* Documents up to the one of that number in the stream begin. */
static int
begin_documents(struct intake *g, uint32_t number, struct err *e)
{
	const struct shard_windows *s = g->shard;

	if (number == FEED_NO_DOCUMENT)
		return 0;
	for (; g->n_documents <= number; g->n_documents++)
		if (feed_document(g->feed, &s->begun[g->n_documents - s->first_begun],
			    e) < 0)
			return err_wrap(e, "%s", s->name);
	return 0;
}

static uint32_t
in_feed(const struct intake *g, uint32_t number)
{
	return number == FEED_NO_DOCUMENT ? number : g->document_base + number;
}

int
intake_window(struct intake *g, uint32_t i, struct err *e)
{
	const struct shard_windows *s = g->shard;
	uint32_t from = s->start[i], n = s->start[i + 1] - from;
	struct feed_window w = {.n_tokens = n, .token = s->token + from};

	if (room_for_window(g, n, e) < 0)
		return e->code;
	if (s->text_start != NULL) {
		w.start = s->text_start + from;
		w.end = s->text_end + from;
	}
	for (uint32_t j = 0; s->mixed && j < n; j++) {
		if (begin_documents(g, s->document[from + j], e) < 0)
			return e->code;
		g->document[j] = in_feed(g, s->document[from + j]);
	}
	if (!s->mixed && begin_documents(g, s->document[i], e) < 0)
		return e->code;
	w.document = s->mixed ? 0 : in_feed(g, s->document[i]);
	w.documents = s->mixed ? g->document : NULL;
	w.patch = g->patch;
	w.n_patches = gather_patches(g, from, n);
	return feed_window(g->feed, &w, e) < 0 ? err_wrap(e, "%s", s->name) : 0;
}
