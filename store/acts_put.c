/* SPDX-License-Identifier: ISC */
/*
 * How a window's activations are cut into values.
 */
#include "store/inner.h"

#define LEAF_BYTES 2000 /* of a value that shares a page of LMDB with another */
#define ROW_SHORT 400 /* bytes of a token, on average, from which chunks are long */
#define ACTS_HEAD_BYTES 6 /* of a chunk, at most: its first token and how many */

static int
check_rows(uint32_t d_sae, const struct rec_acts *x, struct err *e)
{
	if (x->first_token > UINT16_MAX || x->n_tokens > UINT16_MAX)
		return err_set(e, ERR_LIMIT, "a window of over %u tokens", UINT16_MAX);
	for (uint32_t i = 0; i < x->n_tokens; i++)
		for (uint32_t j = x->row_start[i]; j < x->row_start[i + 1]; j++)
			if (x->feature[j] >= d_sae ||
				(j > x->row_start[i] &&
					x->feature[j] <= x->feature[j - 1]))
				return err_set(e, ERR_INTERNAL,
					"features of a token do not ascend");
	return 0;
}

static size_t
varint_bytes(uint32_t v)
{
	return 1 + (v >= 1u << 7) + (v >= 1u << 14) + (v >= 1u << 21) + (v >= 1u << 28);
}

/* What a token takes in a chunk. */
static size_t
row_bytes(const struct rec_acts *x, uint32_t i)
{
	uint32_t from = x->row_start[i], to = x->row_start[i + 1], feature = 0;
	size_t n = varint_bytes(to - from) + (to - from) * sizeof(*x->value);

	for (uint32_t j = from; j < to; j++) {
		n += varint_bytes(x->feature[j] - feature);
		feature = x->feature[j];
	}
	return n;
}

/* Bytes of a chunk at most: two to a page of LMDB, which gives longer values pages of
 * their own; unless a token is so long that two would not fill a page. */
static size_t
chunk_bytes(const struct rec_acts *x)
{
	size_t sum = 0;

	for (uint32_t i = 0; i < x->n_tokens; i++)
		sum += row_bytes(x, i);
	return sum > (size_t)x->n_tokens * ROW_SHORT ? LIMIT_CHUNK_BYTES : LEAF_BYTES;
}

int
acts_put(struct kv *kv, struct buf *packed, uint32_t d_sae, uint32_t window,
	const struct rec_acts *x, struct err *e)
{
	size_t most = chunk_bytes(x), n_bytes;
	uint32_t at = 0;
	int rc = check_rows(d_sae, x, e);

	if (rc < 0)
		return rc;
	do {
		struct rec_acts part = {.first_token = x->first_token + at,
			.row_start = x->row_start + at,
			.feature = x->feature,
			.value = x->value};

		n_bytes = ACTS_HEAD_BYTES;
		for (; at < x->n_tokens; at++, part.n_tokens++) {
			n_bytes += row_bytes(x, at);
			if (part.n_tokens > 0 && n_bytes > most)
				break;
		}
		buf_reset(packed);
		rec_acts_pack(packed, &part);
		if (packed->failed)
			return err_set(e, ERR_NOMEM, "no memory for activations");
		rc = kv_put_part(kv, KV_ACTS, window, (uint16_t)part.first_token,
			packed->data, packed->n_bytes, e);
	} while (rc == 0 && at < x->n_tokens);
	return rc;
}
