/* SPDX-License-Identifier: ISC */
/*
 * zip: the members of a mapped zip file, through its central directory. Own
 * code and not libzip, because members that are stored, not deflated, must be
 * used where they lie in the map (weights are larger than memory likes), and
 * because a file that contradicts itself must be refused: members overlap,
 * names repeat or lead elsewhere, the two headers of a member differ, sizes
 * that no deflated bytes can have. Never writes, never extracts to files.
 */
#ifndef MODEL_ZIP_H
#define MODEL_ZIP_H

#include "util/err.h"
#include "util/file.h"
#include "util/mem.h"

struct zip_member {
	const char *name; /* borrowed from the zip */
	size_t header_at; /* of the member's own header in the file */
	const uint8_t *packed; /* borrowed from the map */
	size_t n_packed_bytes;
	size_t n_bytes;
	uint32_t crc;
	bool deflated;
	const uint8_t *inflated; /* for the caller's use; NULL at first */
};

struct zip {
	const char *path; /* for errors; borrowed */
	struct zip_member *member; /* by name; owned */
	size_t n_members; /* directories left out */
	struct arena names;
};

/* map and path must outlive the zip. new: zip_close(). */
int zip_open(struct zip *z, const struct map *map, const char *path, struct err *e);
void zip_close(struct zip *z); /* a zeroed one is fine */
struct zip_member *zip_find(const struct zip *z, const char *name); /* or NULL */
/* Writes the n_bytes of a deflated member. */
int zip_inflate(const struct zip *z, const struct zip_member *m, void *out,
	struct err *e);
/* Compares the checksum of a member with that of its bytes at p. */
int zip_check(const struct zip *z, const struct zip_member *m, const void *p,
	struct err *e);

#endif
