/* SPDX-License-Identifier: ISC */
/* One value out of its parts. */
#include "store/kv_value.h"

#include "schema/limits.h"

#include <string.h>

/* Parts 1 to n_parts - 1 behind the first one, in arena. */
static int
gather(struct kv_view *v, size_t table, uint32_t id, uint32_t n_parts,
	struct kv_value *x, struct arena *arena, struct err *e)
{
	uint8_t *all = arena_alloc(arena, n_parts, LIMIT_CHUNK_BYTES);
	size_t n = 0;

	if (all == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a value of %u parts",
			n_parts);
	for (uint32_t i = 0; i < n_parts; i++) {
		uint32_t again = n_parts;
		int rc = i == 0 ? 1 : kv_get_part(v, table, id, i, x, &again, e);

		if (rc < 0)
			return rc;
		if (rc == 0 || again != n_parts || x->n_bytes > LIMIT_CHUNK_BYTES ||
			(i + 1 < n_parts && x->n_bytes != LIMIT_CHUNK_BYTES))
			return kv_corrupt(v, table, id, i, "a part is missing", e);
		memcpy(all + n, x->p, x->n_bytes);
		n += x->n_bytes;
	}
	x->p = all;
	x->n_bytes = n;
	return 1;
}

int
kv_get(struct kv_view *v, size_t table, uint32_t id, struct kv_value *out,
	struct arena *arena, struct err *e)
{
	uint32_t n_parts;
	int rc;

	*out = (struct kv_value){0};
	rc = kv_get_part(v, table, id, 0, out, &n_parts, e);
	if (rc != 1 || n_parts == 1)
		return rc;
	if (n_parts == 0 || n_parts > UINT16_MAX)
		return kv_corrupt(v, table, id, 0, "the header is damaged", e);
	return gather(v, table, id, n_parts, out, arena, e);
}
