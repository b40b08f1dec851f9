/* SPDX-License-Identifier: ISC */
/* Characters as people look for them; the expected ones are Unicode's. */
#include "model/fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_plain(void **state)
{
	static const uint32_t pair[][2] = {
		{'A', 'a'}, {'z', 'z'}, {'[', '['}, {'0', '0'},
		{0xc9, 'e'}, /* E with acute */
		{0xe9, 'e'}, {0x130, 'i'}, {0x1ebf, 'e'}, /* circumflex and acute */
		{0x301, 0}, /* acute by itself */
		{0x391, 0x3b1}, {0x3ac, 0x3b1}, /* alpha with tonos */
		{0x416, 0x436}, {0x451, 0x435}, /* Cyrillic io */
		{0xdf, 0xdf}, {0xf8, 0xf8}, /* sharp s, o with stroke: letters */
		{0x6f22, 0x6f22}, {0x10ffff, 0x10ffff}, {0x10400, 0x10428},
		{0x1e9e, 0xdf}, {0x212b, 'a'}, /* Angstrom sign */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++)
		if (fold_plain(pair[i][0]) != pair[i][1])
			fail_msg("U+%04X becomes U+%04X", pair[i][0],
				fold_plain(pair[i][0]));
}

static void
test_is_word(void **state)
{
	static const uint32_t word[] = {'a', 'Z', '7', 0xe9, 0x3b1, 0x6f22, 0x660};
	static const uint32_t other[] = {' ', '-', '_', '"', 0, 0xa0, 0xbf, 0x2019,
		0x3002, 0x3000, 0x200b, 0x2028, 0xfeff};

	(void)state;
	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		if (!fold_is_word(word[i]))
			fail_msg("U+%04X is no letter", word[i]);
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		if (fold_is_word(other[i]))
			fail_msg("U+%04X is a letter", other[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_is_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
