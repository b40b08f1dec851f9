/* SPDX-License-Identifier: ISC */
/*
 * Records: the first byte chooses the kind. What unpacks is packed again, and
 * that unpacks to a record that packs to the same bytes.
 */
#include "tests/fuzz/fuzz.h"

#include "schema/record.h"

#include <stdlib.h>
#include <string.h>

typedef int again_fn(struct buf *out, const uint8_t *p, size_t n_bytes,
	struct arena *a);

#define AGAIN(kind) \
	static int kind(struct buf *out, const uint8_t *p, size_t n_bytes, \
		struct arena *a) \
	{ \
		struct rec_##kind x; \
		int rc = rec_##kind##_unpack(&x, p, n_bytes, a, NULL); \
\
		if (rc == 0) \
			rec_##kind##_pack(out, &x); \
		return rc; \
	}
#define AGAIN_LIST(kind, item) \
	static int kind(struct buf *out, const uint8_t *p, size_t n_bytes, \
		struct arena *a) \
	{ \
		const struct rec_##item *x; \
		size_t n; \
		int rc = rec_##kind##_unpack(&x, &n, p, n_bytes, a, NULL); \
\
		if (rc == 0) \
			rec_##kind##_pack(out, x, n); \
		return rc; \
	}
AGAIN(window)
AGAIN(feature)
AGAIN(examples)
AGAIN(acts)
AGAIN(logits)
AGAIN(token)
AGAIN_LIST(postings, posting)
AGAIN_LIST(neighbors, scored)
AGAIN_LIST(patches, patch)

static int
image(struct buf *out, const uint8_t *p, size_t n_bytes, struct arena *a)
{
	struct rec_image x;
	int rc = rec_image_unpack(&x, p, n_bytes, NULL);

	(void)a;
	if (rc == 0)
		rec_image_pack(out, &x);
	return rc;
}

static again_fn *const kinds[] = {window, feature, examples, acts, logits, token,
	postings, neighbors, patches, image};

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	struct arena a;
	struct buf once, twice;
	again_fn *again;

	if (n_bytes == 0)
		return 0;
	again = kinds[p[0] % (sizeof(kinds) / sizeof(kinds[0]))];
	arena_init(&a, 64u << 20);
	buf_init(&once);
	buf_init(&twice);
	if (again(&once, p + 1, n_bytes - 1, &a) == 0) {
		if (again(&twice, once.data, once.n_bytes, &a) != 0 ||
			once.n_bytes != twice.n_bytes ||
			memcmp(once.data, twice.data, once.n_bytes) != 0)
			abort();
	}
	buf_clear(&once);
	buf_clear(&twice);
	arena_clear(&a);
	return 0;
}
