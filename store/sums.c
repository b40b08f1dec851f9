/* SPDX-License-Identifier: ISC */
/*
 * The sums of a run: a small file beside the records of a slot, out of which the run
 * and others are put together again. Framed here; knows nothing of what it holds.
 */
#include "store/inner.h"
#include "util/hash.h"

#include <stdio.h>
#include <string.h>

#define MAGIC "saedbsum"
#define VERSION 1u
#define HEAD_BYTES ((size_t)20)

int
sums_write(const char *path, const void *p, size_t n_bytes, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b);
	buf_put(&b, MAGIC, 8);
	buf_u32(&b, VERSION);
	buf_u64(&b, n_bytes);
	buf_put(&b, p, n_bytes);
	buf_u64(&b, b.failed ? 0 : hash64(b.data, b.n_bytes, 0));
	rc = b.failed ? err_set(e, ERR_NOMEM, "%s: no memory", path)
		      : file_write_atomic(path, b.data, b.n_bytes, e);
	buf_clear(&b);
	return rc;
}

static int
unframe(const struct map *m, const char *dir, const char *name, struct store_value *out,
	struct err *e)
{
	struct cur c = cur_of(m->data, m->n_bytes);
	const void *magic = cur_take(&c, 8);
	uint32_t version = cur_u32(&c);
	uint64_t n = cur_u64(&c);

	if (c.failed || memcmp(magic, MAGIC, 8) != 0)
		return err_set(e, ERR_CORRUPT, "%s/%s: no sums of a run", dir, name);
	if (version != VERSION)
		return err_set(e, ERR_VERSION,
			"%s/%s: sums of version %u; this saedb reads %u", dir, name,
			version, VERSION);
	if (n != cur_left(&c) - 8 || cur_left(&c) < 8)
		return err_set(e, ERR_CORRUPT, "%s/%s: the sums are cut short", dir,
			name);
	*out = (struct store_value){cur_take(&c, (size_t)n), (size_t)n};
	if (cur_u64(&c) != hash64(m->data, HEAD_BYTES + (size_t)n, 0))
		return err_set(e, ERR_CORRUPT,
			"%s/%s: the sums do not match their checksum", dir, name);
	return 0;
}

int
store_sums(struct store_view *v, uint32_t run, uint32_t slot, struct store_value *out,
	struct err *e)
{
	char name[PART_NAME_CHARS];
	const struct map *map;
	struct object *o;
	size_t i = 0;
	int rc = view_has_run(v, run, slot, e);

	*out = (struct store_value){0};
	if (rc != 0)
		return rc;
	snprintf(name, sizeof(name), "%02u/" FILE_SUMS, slot);
	o = v->gen->object[KIND_RUN][run];
	while (i < o->n_parts && strcmp(o->part[i].name, name) != 0)
		i++;
	if (i == o->n_parts)
		return 0;
	rc = object_map(o, i, &map, e);
	return rc == 0 ? unframe(map, o->dir, name, out, e) : rc;
}
