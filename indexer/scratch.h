/* SPDX-License-Identifier: ISC */
/*
 * scratch: a temporary file that is written once from front to back, then mapped
 * and unlinked. What a kill leaves of it under STORE/tmp, the next writer sweeps.
 */
#ifndef INDEXER_SCRATCH_H
#define INDEXER_SCRATCH_H

#include "util/buf.h"
#include "util/err.h"
#include "util/file.h"

#include <stddef.h>
#include <stdint.h>

struct scratch {
	char path[PATH_BYTES];
	int fd; /* -1 once mapped */
	uint64_t n_bytes; /* written so far */
	struct buf buf; /* of those, not yet in the file */
	struct map map; /* after scratch_map */
};

/* dir: where it is made, such as STORE/tmp. name: of the file, the process id is
 * put behind. new: scratch_close(). */
int scratch_open(struct scratch *s, const char *dir, const char *name, struct err *e);
int scratch_put(struct scratch *s, const void *p, size_t n_bytes, struct err *e);
int scratch_align(struct scratch *s, size_t to_bytes, struct err *e); /* with zeros */
/* Ends writing: s->map.data is valid until scratch_close. */
int scratch_map(struct scratch *s, struct err *e);
void scratch_close(struct scratch *s); /* of a zeroed or closed one is fine */

#endif
