/* SPDX-License-Identifier: ISC */
/*
 * fold: characters as people look for them, without case and marks. As SQLite's
 * unicode61 with remove_diacritics=2, but for rare letters. Knows no language.
 */
#ifndef MODEL_FOLD_H
#define MODEL_FOLD_H

#include <stdbool.h>
#include <stdint.h>

/* Lower case, without its marks; 0 for a mark by itself. */
uint32_t fold_plain(uint32_t cp);
/* Letters, digits and marks, of any script. */
bool fold_is_word(uint32_t cp);

#endif
