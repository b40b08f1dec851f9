/* SPDX-License-Identifier: ISC */
/*
 * machine: what this process runs on, as the kernel tells it. What it does not tell is
 * 0 or "".
 */
#ifndef INDEXER_MACHINE_H
#define INDEXER_MACHINE_H

#include <stddef.h>
#include <stdint.h>

void machine_cpu_model(char *out, size_t size);
uint64_t machine_memory_bytes(void); /* of the machine */
uint64_t machine_peak_bytes(void); /* most memory that was resident */
/* Free, to us, on the disk that path is on, or would be. */
uint64_t machine_free_bytes(const char *path);

#endif
