/* SPDX-License-Identifier: ISC */
#include "daemon/vocab.h"

#include "util/hash.h"

#include <string.h>

void
vocab_init(struct vocab *c)
{
	*c = (struct vocab){0};
	arena_init(&c->text, 0);
}

void
vocab_clear(struct vocab *c)
{
	mem_free(c->slot);
	mem_free(c->cut);
	arena_clear(&c->text);
	vocab_init(c);
}

void
vocab_trim(struct vocab *c)
{
	if (c->text.used_bytes > VOCAB_TEXT_BYTES)
		vocab_clear(c);
}

/* Room for the slots, when they are first needed; without it all still works. */
static bool
ready(struct vocab *c)
{
	if (c->slot != NULL)
		return true;
	c->cut = mem_new(VOCAB_SLOTS, sizeof(*c->cut));
	c->slot = c->cut != NULL ? mem_new(VOCAB_SLOTS, sizeof(*c->slot)) : NULL;
	if (c->slot == NULL)
		vocab_clear(c);
	return c->slot != NULL;
}

static void
keep(struct vocab *c, size_t at, uint32_t cut, const struct store_token *t)
{
	char *copy = arena_alloc(&c->text, (size_t)t->n_bytes + 1, 1);

	if (copy == NULL || t->bytes == NULL)
		return;
	memcpy(copy, t->bytes, t->n_bytes);
	c->slot[at] = *t;
	c->slot[at].bytes = copy;
	c->cut[at] = cut + 1;
}

int
vocab_get(struct vocab *c, struct store_view *v, uint32_t cut, const uint32_t *ids,
	size_t n, struct store_token *out, struct arena *arena, struct err *e)
{
	bool kept = ready(c);
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		size_t at = hash_mix(0, cut, ids[i], 0) % VOCAB_SLOTS;

		if (kept && c->cut[at] == cut + 1 && c->slot[at].id == ids[i]) {
			out[i] = c->slot[at];
			continue;
		}
		rc = store_tokens(v, cut, &ids[i], 1, &out[i], arena, e);
		if (rc == 0 && kept)
			keep(c, at, cut, &out[i]);
	}
	return rc;
}
