/* SPDX-License-Identifier: ISC */
/*
 * fuzz: what a fuzz target is. libFuzzer calls it with bytes of its own making;
 * without libFuzzer, tests/fuzz/replay.c calls it with the files it is given.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes);

#endif
