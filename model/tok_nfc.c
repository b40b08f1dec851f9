/* SPDX-License-Identifier: ISC */
/* The normal forms of Unicode, with where each character comes from. */
#include "model/tok_fold_table.h"
#include "model/tok_int.h"
#include "model/tok_nfc_table.h"
#include "util/utf8.h"

#include <stdlib.h>
#include <string.h>

#define L_BASE 0x1100u /* Hangul: a syllable is L V or L V T */
#define V_BASE 0x1161u
#define T_BASE 0x11a7u
#define S_BASE 0xac00u
#define N_L 19u
#define N_V 21u
#define N_T 28u

/* A character on its way, and the bytes of the input it comes from. */
struct nf_char {
	uint32_t cp, class, from, to, order;
	uint32_t at; /* of what it was read from */
};

struct nf_source {
	const struct tok_text *text;
	size_t at, n_bytes; /* of the character being decomposed */
	bool compat;
};

/* Which of n sorted ranges (rows of width numbers, the first two its ends)
 * holds cp; n if none does. */
static size_t
range_of(const uint32_t *ranges, size_t n, size_t width, uint32_t cp)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (ranges[middle * width + 1] < cp)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && ranges[low * width] <= cp ? low : n;
}

static bool
is_safe(uint32_t cp)
{
	return cp < 0x300 ||
		range_of(nfc_unsafe[0], NFC_N_UNSAFE, 2, cp) == NFC_N_UNSAFE;
}

static uint32_t
class_of(uint32_t cp)
{
	size_t i = range_of(nfc_class[0], NFC_N_CLASS, 3, cp);

	return i < NFC_N_CLASS ? nfc_class[i][2] : 0;
}

/* The row of n runs {first, n, width, start} that cp is in, or NULL. */
static const uint32_t *
run_of(const uint32_t (*runs)[4], size_t n, uint32_t cp)
{
	size_t low = 0, high = n;

	while (low < high) { /* the last run that begins at or before cp */
		size_t middle = (low + high) / 2;

		if (runs[middle][0] <= cp)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || cp - runs[low - 1][0] >= runs[low - 1][1])
		return NULL;
	return runs[low - 1];
}

bool
nf_is(const char *p, size_t n_bytes, bool compat, bool join)
{
	/* What lies below the first byte of U+00A0, U+00C0, U+0300 stays. */
	uint8_t least = compat ? 0xc2 : join ? 0xcc : 0xc3;
	uint32_t cp;

	for (size_t i = 0; i < n_bytes;) {
		if ((uint8_t)p[i] < least || ((uint8_t)p[i] & 0xc0) == 0x80) {
			i++;
			continue;
		}
		i += utf8_next(p + i, n_bytes - i, &cp);
		if (compat || !join || !is_safe(cp))
			return false;
	}
	return true;
}

/* The two halves (or one: *b is 0) that cp decomposes into, one step. */
static bool
decompose(uint32_t cp, uint32_t *a, uint32_t *b)
{
	const uint32_t *run;

	if (cp >= S_BASE && cp < S_BASE + N_L * N_V * N_T) {
		uint32_t s = cp - S_BASE, t = s % N_T;

		*a = t ? cp - t : L_BASE + s / (N_V * N_T);
		*b = t ? T_BASE + t : V_BASE + s / N_T % N_V;
		return true;
	}
	run = run_of(nfc_run, NFC_N_RUN, cp);
	if (run) {
		const uint32_t *value = nfc_value + run[3] + (cp - run[0]) * run[2];

		*a = value[0];
		*b = run[2] == 2 ? value[1] : 0;
	}
	return run != NULL;
}

/* What a and b join to, or 0. */
static uint32_t
compose(uint32_t a, uint32_t b)
{
	size_t low = 0, high = NFC_N_JOINED;

	if (a - L_BASE < N_L && b - V_BASE < N_V)
		return S_BASE + ((a - L_BASE) * N_V + (b - V_BASE)) * N_T;
	if (a - S_BASE < N_L * N_V * N_T && (a - S_BASE) % N_T == 0 && b > T_BASE &&
		b < T_BASE + N_T)
		return a + (b - T_BASE);
	while (low < high) {
		size_t middle = (low + high) / 2;
		uint32_t x = 0, y = 0;

		decompose(nfc_joined[middle], &x, &y);
		if (x == a && y == b)
			return nfc_joined[middle];
		if (x < a || (x == a && y < b))
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

static void
put_char(struct buf *seq, uint32_t cp, const struct nf_source *x)
{
	struct nf_char c = {.cp = cp,
		.from = text_from(x->text, x->at),
		.to = text_to(x->text, x->at + x->n_bytes - 1),
		.at = (uint32_t)x->at};

	c.class = class_of(cp);
	c.order = (uint32_t)(seq->n_bytes / sizeof(c));
	buf_put(seq, &c, sizeof(c));
}

/* Appends cp, fully decomposed, to seq. */
static void
decompose_into(struct buf *seq, uint32_t cp, const struct nf_source *x)
{
	const uint32_t *run = x->compat ? run_of(fold_compat, FOLD_N_COMPAT, cp) : NULL;
	uint32_t a, b;

	if (run) {
		const uint32_t *v = fold_compat_value + run[3] + (cp - run[0]) * run[2];

		for (size_t i = 0; i < run[2]; i++)
			put_char(seq, v[i], x);
	} else if (decompose(cp, &a, &b)) { /* at most four steps deep */
		decompose_into(seq, a, x);
		if (b)
			decompose_into(seq, b, x);
	} else {
		put_char(seq, cp, x);
	}
}

static int
by_class(const void *a, const void *b)
{
	const struct nf_char *x = a, *y = b;

	if (x->class != y->class)
		return x->class < y->class ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* Orders each run of marks by class. */
static void
order_all(struct nf_char *c, size_t n)
{
	size_t first;

	for (size_t i = 0; i < n; i++) {
		if (c[i].class == 0)
			continue;
		for (first = i; i < n && c[i].class != 0; i++)
			;
		qsort(c + first, i - first, sizeof(*c), by_class);
	}
}

/* Joins what can be joined. Returns how many characters are left. */
static size_t
join_all(struct nf_char *c, size_t n)
{
	size_t n_out = 0, starter = SIZE_MAX;
	int64_t last = -1; /* class of what stands between the starter and here */

	for (size_t i = 0; i < n; i++) {
		uint32_t joined = 0;

		if (starter != SIZE_MAX && last < (int64_t)c[i].class)
			joined = compose(c[starter].cp, c[i].cp);
		if (joined) {
			c[starter].cp = joined;
			if (c[i].to > c[starter].to)
				c[starter].to = c[i].to;
			continue;
		}
		if (c[i].class == 0)
			starter = n_out;
		last = c[i].class == 0 ? -1 : (int64_t)c[i].class;
		c[n_out++] = c[i];
	}
	return n_out;
}

/* Marks that changed places stand for all of the bytes they passed, so that
 * tokens stay in order. */
static void
places_settle(struct nf_char *c, size_t n)
{
	for (size_t i = n; i-- > 1;) {
		if (c[i].from < c[i - 1].from)
			c[i - 1].from = c[i].from;
	}
	for (size_t i = 1; i < n; i++) {
		if (c[i].to < c[i - 1].to)
			c[i].to = c[i - 1].to;
	}
}

/* Appends one character: byte by byte where it is as it was. */
static void
put_one(struct tok_map *out, const struct nf_char *c, const struct tok_text *text)
{
	char bytes[4];
	size_t n_bytes = map_utf8(bytes, c->cp);

	if (c->to - c->from == n_bytes && text->n_bytes - c->at >= n_bytes &&
		memcmp(text->p + c->at, bytes, n_bytes) == 0)
		map_copy(out, text, c->at, c->at + n_bytes);
	else
		map_put(out, bytes, n_bytes, c->from, c->to);
}

static void
put_segment(struct buf *seq, struct tok_map *out, const struct tok_text *text,
	bool join)
{
	struct nf_char *c = (void *)seq->data;
	size_t n = seq->n_bytes / sizeof(*c);

	order_all(c, n);
	if (join)
		n = join_all(c, n);
	places_settle(c, n);
	for (size_t i = 0; i < n; i++)
		put_one(out, &c[i], text);
	buf_reset(seq);
}

void
nf_put(struct tok_map *out, const struct tok_text *text, bool compat, bool join)
{
	struct nf_source x = {.text = text, .compat = compat};
	struct buf seq; /* struct nf_char: from a safe character up to the next */
	uint32_t cp;

	buf_init(&seq);
	for (; x.at < text->n_bytes; x.at += x.n_bytes) {
		x.n_bytes = utf8_next(text->p + x.at, text->n_bytes - x.at, &cp);
		if (seq.n_bytes > 0 && is_safe(cp) &&
			!(compat && run_of(fold_compat, FOLD_N_COMPAT, cp)))
			put_segment(&seq, out, text, join);
		decompose_into(&seq, cp, &x);
		if (seq.failed) {
			out->p.failed = true;
			break;
		}
	}
	if (seq.n_bytes > 0 && !seq.failed)
		put_segment(&seq, out, text, join);
	buf_clear(&seq);
}
