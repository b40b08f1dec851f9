/* SPDX-License-Identifier: ISC */
/*
 * Normalizers of a tokenizer.json at work: each rewrites a text, and keeps where
 * its bytes come from. What they put in stands where it was put, over no byte.
 */
#include "model/tok_norm.h"

#include "model/tok_fold_table.h"
#include "util/utf8.h"

#include <string.h>

int
norm_all(const struct norm *n, size_t n_norms, struct re_work *re,
	struct tok_map maps[2], const struct tok_text *in, struct tok_text *out,
	struct err *e)
{
	size_t turn = 0;

	*out = *in;
	for (size_t i = 0; i < n_norms; i++) {
		int rc;

		map_reset(&maps[turn]);
		rc = n[i].run(&n[i], re, out, &maps[turn], e);
		if (rc > 0) {
			rc = map_text(&maps[turn], out, e);
			turn ^= 1;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

void
norm_clear(struct norm *n)
{
	re_free(n->re);
	buf_clear(&n->find);
	buf_clear(&n->put);
}

int
norm_form(const struct norm *n, struct re_work *re, const struct tok_text *in,
	struct tok_map *out, struct err *e)
{
	(void)re;
	(void)e;
	if (nf_is(in->p, in->n_bytes, n->compat, n->join))
		return 0;
	nf_put(out, in, n->compat, n->join);
	return 1;
}

/* ---- characters one by one ---------------------------------------------- */

static uint32_t
lower(uint32_t cp)
{
	size_t low = 0, high = FOLD_N_LOWER;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if ((uint32_t)fold_lower[middle][1] < cp)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == FOLD_N_LOWER || (uint32_t)fold_lower[low][0] > cp ||
		(cp - (uint32_t)fold_lower[low][0]) % (uint32_t)fold_lower[low][2] != 0)
		return cp;
	return cp + (uint32_t)fold_lower[low][3];
}

int
norm_lowercase(const struct norm *n, struct re_work *re, const struct tok_text *in,
	struct tok_map *out, struct err *e)
{
	static const char dotted_i[] = "i\xcc\x87"; /* U+0130 is two */
	uint32_t cp = 0;
	char bytes[4];

	(void)n;
	(void)re;
	(void)e;
	for (size_t i = 0, step; i < in->n_bytes; i += step) {
		uint32_t from = text_from(in, i), to;

		step = utf8_next(in->p + i, in->n_bytes - i, &cp);
		to = text_to(in, i + step - 1);
		if (cp == 0x130)
			map_put(out, dotted_i, sizeof(dotted_i) - 1, from, to);
		else if (lower(cp) == cp)
			map_copy(out, in, i, i + step);
		else
			map_put(out, bytes, map_utf8(bytes, lower(cp)), from, to);
	}
	return 1;
}

static bool
is_mark(uint32_t cp)
{
	size_t low = 0, high = FOLD_N_MARK;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (fold_mark[middle][1] < cp)
			low = middle + 1;
		else
			high = middle;
	}
	return low < FOLD_N_MARK && fold_mark[low][0] <= cp;
}

int
norm_strip_accents(const struct norm *n, struct re_work *re, const struct tok_text *in,
	struct tok_map *out, struct err *e)
{
	uint32_t cp = 0;

	(void)n;
	(void)re;
	(void)e;
	for (size_t i = 0, step; i < in->n_bytes; i += step) {
		step = utf8_next(in->p + i, in->n_bytes - i, &cp);
		if (!is_mark(cp))
			map_copy(out, in, i, i + step);
	}
	return 1;
}

int
norm_strip(const struct norm *n, struct re_work *re, const struct tok_text *in,
	struct tok_map *out, struct err *e)
{
	size_t a = n->left ? space_after(in, 0) : 0;
	size_t b = n->right ? space_before(in, in->n_bytes) : in->n_bytes;

	(void)re;
	(void)e;
	if (a == 0 && b == in->n_bytes)
		return 0;
	if (a < b)
		map_copy(out, in, a, b);
	return 1;
}

/* ---- putting in --------------------------------------------------------- */

int
norm_prepend(const struct norm *n, struct re_work *re, const struct tok_text *in,
	struct tok_map *out, struct err *e)
{
	uint32_t at = text_edge(in, 0);

	(void)re;
	(void)e;
	if (in->n_bytes == 0)
		return 0;
	map_put(out, (const char *)n->put.data, n->put.n_bytes, at, at);
	map_copy(out, in, 0, in->n_bytes);
	return 1;
}

/* The next place of what is looked for: 1, 0, or a code. */
static int
find_next(const struct norm *n, struct re_work *re, const struct tok_text *in,
	size_t at, size_t *a, size_t *b, struct err *e)
{
	const char *p = in->p + at, *end = in->p + in->n_bytes;

	if (n->re)
		return re_search(n->re, re, in->p, in->n_bytes, at, a, b, e);
	while ((size_t)(end - p) >= n->find.n_bytes &&
		(p = memchr(p, n->find.data[0],
			 (size_t)(end - p) - n->find.n_bytes + 1))) {
		if (memcmp(p, n->find.data, n->find.n_bytes) == 0) {
			*a = (size_t)(p - in->p);
			*b = *a + n->find.n_bytes;
			return 1;
		}
		p++;
	}
	return 0;
}

/* What stands for a match that ends at b: it has the place of the last character, as
 * in tokenizers; of the one before where nothing was matched. */
static void
put_replaced(const struct norm *n, const struct tok_text *in, size_t b,
	struct tok_map *out)
{
	uint32_t from = text_edge(in, 0), to = from;

	if (b > 0) {
		size_t last = b - 1;

		while (last > 0 && ((uint8_t)in->p[last] & 0xc0) == 0x80)
			last--;
		from = text_from(in, last);
		to = text_to(in, b - 1);
	}
	map_put(out, (const char *)n->put.data, n->put.n_bytes, from, to);
}

static size_t
char_after(const struct tok_text *in, size_t at)
{
	do
		at++;
	while (at < in->n_bytes && ((uint8_t)in->p[at] & 0xc0) == 0x80);
	return at;
}

int
norm_replace(const struct norm *n, struct re_work *re, const struct tok_text *in,
	struct tok_map *out, struct err *e)
{
	size_t at = 0, done = 0, last_end = SIZE_MAX, a, b;
	bool any = false;

	/* In nothing, tokenizers does not even find nothing. */
	while (in->n_bytes > 0 && at <= in->n_bytes) {
		int found = find_next(n, re, in, at, &a, &b, e);

		if (found < 0)
			return found;
		if (found == 0)
			break;
		if (a == b && a == last_end) { /* empty, right behind a match */
			at = char_after(in, at);
			continue;
		}
		any = true;
		map_copy(out, in, done, a);
		put_replaced(n, in, b, out);
		at = done = last_end = b;
	}
	if (any && done < in->n_bytes)
		map_copy(out, in, done, in->n_bytes);
	return any;
}
