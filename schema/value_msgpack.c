/* SPDX-License-Identifier: ISC */
/* The only file that includes msgpack-c: it parses what frame_scan has measured. */
#include "schema/limits.h"
#include "schema/value.h"

#include <msgpack.h>

#define ZONE_BYTES 4096

/* Where one level of the tree is written. A request is at most LIMIT_DEPTH deep,
 * and msgpack-c itself refuses more than 32, so recursion is bounded. */
static int convert(struct value *v, const msgpack_object *m, struct arena *arena,
	struct err *e);

static int
convert_array(struct value *v, const msgpack_object_array *m, struct arena *arena,
	struct err *e)
{
	struct value *child = arena_alloc(arena, m->size, sizeof(*child));

	if (child == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u values", m->size);
	*v = (struct value){.type = VALUE_ARRAY, .n = m->size, .v = child};
	for (uint32_t i = 0; i < m->size; i++) {
		int rc = convert(&child[i], &m->ptr[i], arena, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
convert_map(struct value *v, const msgpack_object_map *m, struct arena *arena,
	struct err *e)
{
	struct value *child = arena_alloc(arena, m->size, 2 * sizeof(*child));
	int rc = 0;

	if (child == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u pairs", m->size);
	*v = (struct value){.type = VALUE_MAP, .n = m->size, .v = child};
	for (uint32_t i = 0; i < m->size && rc == 0; i++) {
		rc = convert(&child[2 * i], &m->ptr[i].key, arena, e);
		if (rc == 0)
			rc = convert(&child[2 * i + 1], &m->ptr[i].val, arena, e);
	}
	return rc;
}

static int
convert(struct value *v, const msgpack_object *m, struct arena *arena, struct err *e)
{
	switch (m->type) {
	case MSGPACK_OBJECT_NIL:
		*v = (struct value){.type = VALUE_NIL};
		return 0;
	case MSGPACK_OBJECT_BOOLEAN:
		*v = (struct value){.type = VALUE_BOOL, .boolean = m->via.boolean};
		return 0;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		if (m->via.u64 > INT64_MAX)
			*v = (struct value){.type = VALUE_UINT, .u = m->via.u64};
		else
			*v = (struct value){.type = VALUE_INT,
				.i = (int64_t)m->via.u64};
		return 0;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		*v = (struct value){.type = VALUE_INT, .i = m->via.i64};
		return 0;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		*v = (struct value){.type = m->type == MSGPACK_OBJECT_FLOAT32
				? VALUE_F32
				: VALUE_F64,
			.f = m->via.f64};
		return 0;
	case MSGPACK_OBJECT_STR:
		*v = (struct value){.type = VALUE_STR,
			.n = m->via.str.size,
			.str = m->via.str.ptr};
		return 0;
	case MSGPACK_OBJECT_BIN:
		*v = (struct value){.type = VALUE_BIN,
			.n = m->via.bin.size,
			.str = m->via.bin.ptr};
		return 0;
	case MSGPACK_OBJECT_ARRAY:
		return convert_array(v, &m->via.array, arena, e);
	case MSGPACK_OBJECT_MAP:
		return convert_map(v, &m->via.map, arena, e);
	default:
		return err_set(e, ERR_FORMAT,
			"MessagePack extension types are not used here");
	}
}

int
value_parse_msgpack(const struct value **out, const void *p, size_t n_bytes,
	struct arena *arena, struct err *e)
{
	struct value *v = arena_alloc(arena, 1, sizeof(*v));
	msgpack_unpack_return got;
	msgpack_object root;
	msgpack_zone zone;
	size_t used = 0;
	int rc;

	if (v == NULL || !msgpack_zone_init(&zone, ZONE_BYTES))
		return err_set(e, ERR_NOMEM, "no memory for a frame");
	got = msgpack_unpack(p, n_bytes, &used, &zone, &root);
	if (got == MSGPACK_UNPACK_NOMEM_ERROR)
		rc = err_set(e, ERR_NOMEM, "no memory for a frame of %zu bytes",
			n_bytes);
	else if (got != MSGPACK_UNPACK_SUCCESS || used != n_bytes)
		rc = err_set(e, ERR_FORMAT,
			"a frame of %zu bytes is not one MessagePack "
			"value",
			n_bytes);
	else
		rc = convert(v, &root, arena, e);
	msgpack_zone_destroy(&zone);
	if (rc == 0)
		*out = v;
	return rc;
}
