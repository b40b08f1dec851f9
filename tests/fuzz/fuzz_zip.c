/* SPDX-License-Identifier: ISC */
/* An .npy, .npz or .pt file. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tensors.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	return fuzz_tensors(p, n_bytes);
}
