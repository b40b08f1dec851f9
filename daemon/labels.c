/* SPDX-License-Identifier: ISC */
#include "daemon/labels.h"

#include "util/hash.h"

#include <string.h>

struct labels_slot {
	uint64_t epoch; /* 0 = empty */
	uint32_t run, slot, feature;
	uint32_t n;
	struct store_label *label; /* (n) */
};

void
labels_init(struct labels *c)
{
	*c = (struct labels){0};
	arena_init(&c->text, 0);
}

void
labels_clear(struct labels *c)
{
	mem_free(c->slot);
	arena_clear(&c->text);
	labels_init(c);
}

void
labels_trim(struct labels *c)
{
	if (c->text.used_bytes > LABELS_TEXT_BYTES)
		labels_clear(c);
}

static bool
copy_str(struct arena *a, const char **s)
{
	if (*s != NULL)
		*s = arena_strndup(a, *s, strlen(*s));
	return *s != NULL;
}

/* Without memory it is not kept, and that is all. */
static void
keep(struct labels *c, struct labels_slot *s, const struct labels_slot *key,
	const struct store_label *label)
{
	struct store_label *copy = arena_alloc(&c->text, key->n, sizeof(*copy));
	bool ok = copy != NULL;

	for (uint32_t i = 0; i < key->n && ok; i++) {
		copy[i] = label[i];
		ok = copy_str(&c->text, &copy[i].text) &&
			copy_str(&c->text, &copy[i].source) &&
			copy_str(&c->text, &copy[i].author);
	}
	if (!ok)
		return;
	*s = *key;
	s->label = copy;
}

int
labels_get(struct labels *c, const struct labels_of *of, uint32_t feature,
	const struct store_label **out, uint32_t *n_out, struct arena *arena,
	struct err *e)
{
	uint64_t at = hash_mix(of->run, of->slot, feature, 0) % LABELS_SLOTS;
	struct labels_slot key = {of->epoch, of->run, of->slot, feature, 0, NULL}, *s;
	int rc;

	if (of->epoch != 0 && c->slot == NULL)
		c->slot = mem_new(LABELS_SLOTS, sizeof(*c->slot));
	s = of->epoch != 0 && c->slot != NULL ? &c->slot[at] : NULL;
	if (s != NULL && s->epoch == of->epoch && s->run == of->run &&
		s->slot == of->slot && s->feature == feature) {
		*out = s->label;
		*n_out = s->n;
		return 0;
	}
	rc = store_labels(of->view, of->run, of->slot, feature, out, n_out, arena, e);
	key.n = *n_out;
	if (rc == 0 && s != NULL)
		keep(c, s, &key, *out);
	return rc;
}

int
labels_best(struct labels *c, const struct labels_of *of, const uint32_t *ids, size_t n,
	struct store_label *out, struct arena *arena, struct err *e)
{
	const struct store_label *list;
	uint32_t n_list;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = labels_get(c, of, ids[i], &list, &n_list, arena, e);
		if (rc == 0)
			out[i] = n_list > 0 ? list[0]
					    : (struct store_label){.feature = ids[i]};
	}
	return rc;
}
