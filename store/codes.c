/* SPDX-License-Identifier: ISC */
/*
 * codes: the directions of a SAE, as rows of floats, and the same rows in bytes
 * (kernel/scan.h), by which they are searched. Bytes decide what is looked at, so a
 * file of them is hashed whole before its first use, however large.
 */
#include "kernel/scan.h"
#include "store/inner.h"
#include "util/hash.h"
#include "util/paged.h"

#include <string.h>

#define MAGIC "saedbcod"
#define VERSION 1u
#define HEAD_BYTES ((size_t)64)
#define HEAD_USED ((size_t)40) /* then zeros, then the sum */

static const struct {
	const char *rows, *codes;
} file_of[] = {
	[STORE_DECODER] = {FILE_DECODER, FILE_DECODER_CODES},
	[STORE_ENCODER] = {FILE_ENCODER, FILE_ENCODER_CODES},
};

static uint32_t
width_of(const struct cat_sae *x, enum store_direction direction)
{
	return direction == STORE_ENCODER ? x->d_in : x->d_out;
}

uint64_t
store_codes_bytes(uint32_t n, uint32_t d)
{
	uint64_t n_panels = ((uint64_t)n + KERNEL_CODES_ROWS - 1) / KERNEL_CODES_ROWS;

	return kernel_codes_possible(d) ? HEAD_BYTES + n_panels * kernel_codes_bytes(d)
					: 0;
}

/* ---- writing ----------------------------------------------------------------- */

struct coding {
	const struct cat_sae *info;
	enum store_direction direction;
	const float *rows; /* (n, d) */
	uint32_t n, d, at;
};

static void
put_head(struct buf *b, const struct coding *c)
{
	static const uint8_t zeros[HEAD_BYTES - HEAD_USED - 8];
	char id[STORE_ID_CHARS];

	hash_hex(c->info->hash, 8, id);
	buf_put(b, MAGIC, 8);
	buf_u32(b, VERSION);
	buf_u32(b, c->direction);
	buf_u32(b, c->n);
	buf_u32(b, c->d);
	buf_put(b, id, STORE_ID_CHARS - 1);
	buf_put(b, zeros, sizeof(zeros));
	buf_u64(b, b->failed ? 0 : hash64(b->data, b->n_bytes, 0));
}

/* The head and the first panel, then a panel at a time. */
static int
give_panel(void *ctx, struct buf *b, struct err *e)
{
	struct coding *c = ctx;
	uint32_t n =
		c->n - c->at < KERNEL_CODES_ROWS ? c->n - c->at : KERNEL_CODES_ROWS;
	void *panel;

	if (n == 0)
		return 0;
	if (c->at == 0)
		put_head(b, c);
	panel = buf_extend(b, kernel_codes_bytes(c->d));
	if (panel == NULL)
		return err_set(e, ERR_NOMEM, "no memory for rows in bytes");
	paged_passed((size_t)n * c->d * sizeof(float));
	if (kernel_codes_fill(panel, c->rows + (size_t)c->at * c->d, n, c->d, e) < 0)
		return e->code;
	c->at += n;
	return 1;
}

int
codes_write(const struct pending *p, const struct cat_sae *info,
	enum store_direction direction, const float *rows, struct err *e)
{
	struct coding c = {info, direction, rows, info->d_sae,
		width_of(info, direction), 0};
	char path[PATH_BYTES];
	size_t n;
	int rc = path_join(path, e, "%s/%s", p->dir, file_of[direction].rows);

	if (rc != 0)
		return rc;
	if (!mem_mul(c.n, c.d, &n) || !mem_mul(n, sizeof(float), &n) || n == 0)
		return err_set(e, ERR_ARG, "%s: %s of %u x %u", info->name,
			direction == STORE_DECODER ? "a decoder" : "an encoder", c.n,
			c.d);
	rc = file_write_atomic(path, rows, n, e);
	if (rc == 0)
		rc = path_join(path, e, "%s/%s", p->dir, file_of[direction].codes);
	if (rc == 0 && kernel_codes_possible(c.d))
		rc = file_write_blocks(path, give_panel, &c, e);
	return rc;
}

/* ---- reading ----------------------------------------------------------------- */

/* The file, mapped; NULL: the SAE has none of that name. */
static int
map_part(struct store_view *v, uint32_t sae, const char *name, bool whole,
	const struct map **map, struct err *e)
{
	struct object *o = v->gen->object[KIND_SAE][sae];
	size_t i = 0;

	*map = NULL;
	while (i < o->n_parts && strcmp(o->part[i].name, name) != 0)
		i++;
	if (i == o->n_parts)
		return 0;
	return view_stale(v, (whole ? object_map_whole : object_map)(o, i, map, e), e);
}

int
store_rows(struct store_view *v, uint32_t sae, enum store_direction direction,
	const float **rows, uint32_t *d, struct err *e)
{
	const struct cat_sae *x;
	const struct map *map;
	size_t n;
	int rc = view_has_sae(v, sae, e);

	if (rc == 0)
		rc = map_part(v, sae, file_of[direction].rows, false, &map, e);
	if (rc != 0)
		return rc;
	x = &v->gen->catalog.sae[sae];
	if (map == NULL && direction == STORE_ENCODER)
		return err_arg(e, ERR_NOTFOUND, "of",
			"this store has no encoder rows of %s: it was made by an "
			"earlier saedb-index, or without the SAE's weights; an index "
			"of its weights into another store has them",
			x->name);
	*d = width_of(x, direction);
	if (map == NULL || !mem_mul(x->d_sae, *d, &n) ||
		!mem_mul(n, sizeof(float), &n) || n != map->n_bytes)
		return err_set(e, ERR_CORRUPT, "%s/%s: not %u x %u floats",
			v->gen->object[KIND_SAE][sae]->dir, file_of[direction].rows,
			x->d_sae, *d);
	*rows = (const float *)(const void *)map->data;
	return 0;
}

int
store_decoder(struct store_view *v, uint32_t sae, const float **rows, struct err *e)
{
	uint32_t d;

	return store_rows(v, sae, STORE_DECODER, rows, &d, e);
}

static int
check_head(const struct map *m, const struct cat_sae *x, enum store_direction direction,
	const char *path, struct err *e)
{
	uint32_t d = width_of(x, direction);
	struct cur c = cur_of(m->data, m->n_bytes);
	const void *magic = cur_take(&c, 8), *id;
	uint32_t version = cur_u32(&c), of = cur_u32(&c), n = cur_u32(&c),
		 width = cur_u32(&c);

	id = cur_take(&c, STORE_ID_CHARS - 1);
	if (c.failed || m->n_bytes < HEAD_BYTES || memcmp(magic, MAGIC, 8) != 0)
		return err_set(e, ERR_CORRUPT, "%s: no rows in bytes", path);
	if (version != VERSION)
		return err_set(e, ERR_VERSION,
			"%s: rows in bytes of version %u; this saedb reads %u", path,
			version, VERSION);
	c = cur_of(m->data + HEAD_BYTES - 8, 8);
	if (cur_u64(&c) != hash64(m->data, HEAD_BYTES - 8, 0))
		return err_set(e, ERR_CORRUPT, "%s: the head is damaged", path);
	if (of != (uint32_t)direction || n != x->d_sae || width != d ||
		memcmp(id, x->id, STORE_ID_CHARS - 1) != 0 ||
		m->n_bytes != store_codes_bytes(n, width))
		return err_set(e, ERR_CORRUPT,
			"%s: %u x %u rows of the SAE %.16s, not the %u x %u of %s (%s)",
			path, n, width, (const char *)id, x->d_sae, d, x->name, x->id);
	return 0;
}

int
codes_map(struct store_view *v, uint32_t sae, enum store_direction direction,
	const void **codes, struct err *e)
{
	const char *name = file_of[direction].codes;
	char path[PATH_BYTES];
	const struct map *map;
	int rc = map_part(v, sae, name, true, &map, e);

	*codes = NULL;
	if (rc != 0 || map == NULL)
		return rc;
	rc = path_join(path, e, "%s/%s", v->gen->object[KIND_SAE][sae]->dir, name);
	if (rc == 0)
		rc = check_head(map, &v->gen->catalog.sae[sae], direction, path, e);
	if (rc == 0)
		*codes = map->data + HEAD_BYTES;
	return rc;
}
