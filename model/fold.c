/* SPDX-License-Identifier: ISC */
#include "model/fold.h"

#include "model/tok_fold_table.h"
#include "model/tok_nfc_table.h"

#include <stddef.h>

static bool
in_ranges(const uint32_t (*range)[2], size_t n, uint32_t cp)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (range[mid][1] < cp)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && range[lo][0] <= cp;
}

/* The first of what it decomposes to. */
static uint32_t
without_marks(uint32_t cp)
{
	size_t lo = 0, hi = NFC_N_RUN;
	const uint32_t *r;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (nfc_run[mid][0] + nfc_run[mid][1] <= cp)
			lo = mid + 1;
		else
			hi = mid;
	}
	r = nfc_run[lo < NFC_N_RUN ? lo : 0];
	if (cp < r[0] || cp - r[0] >= r[1])
		return cp;
	return nfc_value[r[3] + (cp - r[0]) * r[2]];
}

static uint32_t
lower(uint32_t cp)
{
	size_t lo = 0, hi = FOLD_N_LOWER;
	const int32_t *r;
	int32_t at;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if ((uint32_t)fold_lower[mid][1] < cp)
			lo = mid + 1;
		else
			hi = mid;
	}
	r = fold_lower[lo < FOLD_N_LOWER ? lo : 0];
	at = (int32_t)cp - r[0];
	return at >= 0 && (int32_t)cp <= r[1] && at % r[2] == 0
		? (uint32_t)((int32_t)cp + r[3])
		: cp;
}

uint32_t
fold_plain(uint32_t cp)
{
	uint32_t before;

	if (cp < 0x80)
		return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
	if (cp == 0x130)
		return 'i';
	if (in_ranges(fold_mark, FOLD_N_MARK, cp))
		return 0;
	do {
		before = cp;
		cp = without_marks(cp);
	} while (cp != before);
	return lower(cp);
}

static bool
is_space(uint32_t cp)
{
	return cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
		(cp >= 0x2000 && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202f) ||
		(cp >= 0x205f && cp <= 0x206f) || cp == 0x3000 || cp == 0xfeff ||
		(cp >= 0x80 && cp < 0xa0);
}

bool
fold_is_word(uint32_t cp)
{
	if (cp < 0x80)
		return (cp >= '0' && cp <= '9') || (cp >= 'a' && cp <= 'z') ||
			(cp >= 'A' && cp <= 'Z');
	return !is_space(cp) && !in_ranges(fold_punct, FOLD_N_PUNCT, cp);
}
