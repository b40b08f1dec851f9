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

int
feed_image(struct feed *f, const void *p, size_t n_bytes, uint32_t *number,
	struct err *e)
{
	struct feed_image x = {.arrival = f->n_images,
		.at = f->images.n_bytes,
		.n_bytes = n_bytes,
		.type = image_type(p, n_bytes)};
	size_t cap = f->n_images;
	void *more;

	if (x.type == NULL)
		return err_set(e, ERR_UNSUPPORTED,
			"an image is none of PNG, JPEG, GIF and WebP");
	if (n_bytes > LIMIT_IMAGE_BYTES)
		return err_set(e, ERR_LIMIT,
			"an image of %zu bytes; the limit is %u: store a smaller one",
			n_bytes, LIMIT_IMAGE_BYTES);
	if (sha256_of(p, n_bytes, x.sha256, e) < 0)
		return e->code;
	for (uint32_t i = 0; i < f->n_images; i++)
		if (memcmp(f->image[i].sha256, x.sha256, 32) == 0) {
			*number = i;
			return 0;
		}
	/* a power of two is full */
	if ((cap & (cap - 1)) == 0) {
		more = mem_resize(f->image, cap ? cap * 2 : 1, sizeof(*f->image));
		if (more == NULL)
			return no_memory(e);
		f->image = more;
	}
	*number = f->n_images;
	f->image[f->n_images++] = x;
	return scratch_put(&f->images, p, n_bytes, e);
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
