/* SPDX-License-Identifier: ISC */
/*
 * image: which kind of image file some bytes are, by the first of them. Decodes
 * nothing.
 */
#ifndef SCHEMA_IMAGE_H
#define SCHEMA_IMAGE_H

#include <stddef.h>

/* The media type: "image/png", "image/jpeg", "image/gif" or "image/webp"; NULL when
 * it is none of them. */
const char *image_type(const void *p, size_t n_bytes);

#endif
