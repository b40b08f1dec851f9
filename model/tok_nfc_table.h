/* SPDX-License-Identifier: ISC */
/*
 * tok_nfc_table: what normal form C needs to know of Unicode, for tok_nfc.c
 * alone. Hangul is left out: it is arithmetic.
 */
#ifndef MODEL_TOK_NFC_TABLE_H
#define MODEL_TOK_NFC_TABLE_H

#include <stdint.h>

#define NFC_N_UNSAFE 273
#define NFC_N_CLASS 333
#define NFC_N_RUN 264
#define NFC_N_VALUE 3085
#define NFC_N_JOINED 940

/* Ranges [first, last] of characters that are not certain to stay as they are,
 * wherever they stand: marks, second halves of compositions, and what NFC
 * replaces. */
extern const uint32_t nfc_unsafe[NFC_N_UNSAFE][2];
/* Ranges [first, last] of a combining class that is not 0. */
extern const uint32_t nfc_class[NFC_N_CLASS][3];
/* Canonical decompositions of n characters from first on, width (1 or 2)
 * characters each, at nfc_value + start: {first, n, width, start}. */
extern const uint32_t nfc_run[NFC_N_RUN][4];
extern const uint32_t nfc_value[NFC_N_VALUE];
/* Characters that their two halves join to, ordered by the halves. */
extern const uint32_t nfc_joined[NFC_N_JOINED];

#endif
