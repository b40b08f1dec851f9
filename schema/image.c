/* SPDX-License-Identifier: ISC */
#include "schema/image.h"

#include <string.h>

const char *
image_type(const void *p, size_t n_bytes)
{
	static const struct {
		const char *type;
		size_t at, n;
		const char *bytes;
	} magic[] = {
		{"image/png", 0, 8, "\x89PNG\r\n\x1a\n"},
		{"image/jpeg", 0, 3, "\xff\xd8\xff"}, {"image/gif", 0, 6, "GIF87a"},
		{"image/gif", 0, 6, "GIF89a"},
		{"image/webp", 8, 4, "WEBP"}, /* in RIFF: see below */
	};
	const char *s = p;

	for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++)
		if (n_bytes >= magic[i].at + magic[i].n &&
			memcmp(s + magic[i].at, magic[i].bytes, magic[i].n) == 0 &&
			(magic[i].at == 0 || memcmp(s, "RIFF", 4) == 0))
			return magic[i].type;
	return NULL;
}
