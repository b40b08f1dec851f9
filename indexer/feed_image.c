/* SPDX-License-Identifier: ISC */
/* A feed's images: kept once for the same bytes, numbered by their hashes. */
#include "indexer/feed.h"

#include "schema/image.h"
#include "util/hash.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory for images");
}

/* Where an image of that hash is, or would be. */
static uint32_t *
find_slot(const struct feed *f, const uint8_t sha256[32])
{
	uint64_t at;

	memcpy(&at, sha256, sizeof(at));
	for (;; at++) {
		uint32_t *slot = &f->image_slot[at & (f->n_slots - 1)];

		if (*slot == 0 || memcmp(f->image[*slot - 1].sha256, sha256, 32) == 0)
			return slot;
	}
}

/* For one image more. */
static int
make_room(struct feed *f, struct err *e)
{
	size_t n = f->n_slots > 0 ? f->n_slots * 2 : 64;
	struct feed_image *more;

	if (2 * (size_t)f->n_images < f->n_slots)
		return 0;
	more = mem_resize(f->image, n / 2, sizeof(*more));
	if (more == NULL)
		return no_memory(e);
	f->image = more;
	mem_free(f->image_slot);
	f->image_slot = mem_new(n, sizeof(*f->image_slot));
	f->n_slots = f->image_slot != NULL ? n : 0;
	if (f->image_slot == NULL)
		return no_memory(e);
	for (uint32_t i = 0; i < f->n_images; i++)
		*find_slot(f, f->image[i].sha256) = i + 1;
	return 0;
}

int
feed_image(struct feed *f, const void *p, size_t n_bytes, uint32_t *number,
	struct err *e)
{
	struct feed_image x = {.arrival = f->n_images,
		.at = f->images.n_bytes,
		.n_bytes = n_bytes,
		.type = image_type(p, n_bytes)};
	uint32_t *slot;

	if (x.type == NULL)
		return err_set(e, ERR_UNSUPPORTED,
			"an image is none of PNG, JPEG, GIF and WebP");
	if (n_bytes > LIMIT_IMAGE_BYTES)
		return err_set(e, ERR_LIMIT,
			"an image of %zu bytes; the limit is %u: store a smaller one",
			n_bytes, LIMIT_IMAGE_BYTES);
	if (sha256_of(p, n_bytes, x.sha256, e) < 0)
		return e->code;
	if (make_room(f, e) < 0)
		return e->code;
	slot = find_slot(f, x.sha256);
	if (*slot == 0) {
		f->image[f->n_images] = x;
		*slot = ++f->n_images;
		*number = *slot - 1;
		return scratch_put(&f->images, p, n_bytes, e);
	}
	*number = *slot - 1;
	return 0;
}

const void *
feed_image_bytes(const struct feed *f, const struct feed_image *x)
{
	return f->images.map.data + x->at;
}

static int
by_hash(const void *a, const void *b)
{
	const struct feed_image *x = a, *y = b;

	return memcmp(x->sha256, y->sha256, sizeof(x->sha256));
}

int
feed_rank_images(struct feed *f, struct err *e)
{
	f->image_rank = mem_new(f->n_images, sizeof(*f->image_rank));
	if (f->image_rank == NULL)
		return no_memory(e);
	if (f->n_images > 0)
		qsort(f->image, f->n_images, sizeof(*f->image), by_hash);
	for (uint32_t i = 0; i < f->n_images; i++)
		f->image_rank[f->image[i].arrival] = i;
	return 0;
}
