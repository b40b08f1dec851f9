/* SPDX-License-Identifier: ISC */
/* The only file of this room that includes jansson. */
#include "schema/limits.h"
#include "schema/value.h"

#include <jansson.h>
#include <string.h>

static int convert(struct value *v, json_t *j, size_t depth, struct arena *arena,
	struct err *e);

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory for JSON");
}

static int
convert_str(struct value *v, const char *s, size_t n_bytes, struct arena *arena,
	struct err *e)
{
	char *copy = arena_alloc(arena, n_bytes + 1, 1);

	if (copy == NULL)
		return no_memory(e);
	memcpy(copy, s, n_bytes);
	copy[n_bytes] = '\0';
	*v = (struct value){.type = VALUE_STR, .n = (uint32_t)n_bytes, .str = copy};
	return 0;
}

static int
convert_array(struct value *v, json_t *j, size_t depth, struct arena *arena,
	struct err *e)
{
	size_t n = json_array_size(j);
	struct value *child = arena_alloc(arena, n, sizeof(*child));
	int rc = 0;

	if (child == NULL)
		return no_memory(e);
	*v = (struct value){.type = VALUE_ARRAY, .n = (uint32_t)n, .v = child};
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = convert(&child[i], json_array_get(j, i), depth + 1, arena, e);
	return rc;
}

static int
convert_map(struct value *v, json_t *j, size_t depth, struct arena *arena,
	struct err *e)
{
	size_t n = json_object_size(j);
	struct value *child = arena_alloc(arena, n, 2 * sizeof(*child));
	int rc = 0;

	if (child == NULL)
		return no_memory(e);
	*v = (struct value){.type = VALUE_MAP, .n = (uint32_t)n, .v = child};
	for (void *it = json_object_iter(j); it != NULL && rc == 0;
		it = json_object_iter_next(j, it)) {
		const char *key = json_object_iter_key(it);

		rc = convert_str(child++, key, strlen(key), arena, e);
		if (rc == 0)
			rc = convert(child++, json_object_iter_value(it), depth + 1,
				arena, e);
	}
	return rc;
}

static int
convert(struct value *v, json_t *j, size_t depth, struct arena *arena, struct err *e)
{
	bool nests = json_is_array(j) || json_is_object(j);

	if (nests && depth >= LIMIT_DEPTH)
		return err_set(e, ERR_LIMIT, "JSON is nested deeper than %d",
			LIMIT_DEPTH);
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return convert_map(v, j, depth, arena, e);
	case JSON_ARRAY:
		return convert_array(v, j, depth, arena, e);
	case JSON_STRING:
		return convert_str(v, json_string_value(j), json_string_length(j),
			arena, e);
	case JSON_INTEGER:
		*v = (struct value){.type = VALUE_INT, .i = json_integer_value(j)};
		return 0;
	case JSON_REAL:
		*v = (struct value){.type = VALUE_F64, .f = json_real_value(j)};
		return 0;
	case JSON_NULL:
		*v = (struct value){.type = VALUE_NIL};
		return 0;
	default:
		*v = (struct value){.type = VALUE_BOOL, .boolean = json_is_true(j)};
		return 0;
	}
}

int
value_parse_json(const struct value **out, const char *p, size_t n_bytes,
	struct arena *arena, struct err *e)
{
	struct value *v = arena_alloc(arena, 1, sizeof(*v));
	json_error_t why;
	json_t *j;
	int rc;

	if (v == NULL)
		return no_memory(e);
	if (n_bytes > UINT32_MAX)
		return err_set(e, ERR_LIMIT, "JSON of %zu bytes is too large", n_bytes);
	j = json_loadb(p, n_bytes,
		JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
	if (j == NULL)
		return err_set(e, ERR_FORMAT, "line %d, column %d of the JSON: %s",
			why.line, why.column, why.text);
	rc = convert(v, j, 0, arena, e);
	json_decref(j);
	if (rc == 0)
		*out = v;
	return rc;
}
