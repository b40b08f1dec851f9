/* SPDX-License-Identifier: ISC */
/*
 * small_image: the images of the small store, for seeds from SMALL_IMAGES on, in
 * every other window. A part of small.h.
 */
#ifndef TESTS_STORE_SMALL_IMAGE_H
#define TESTS_STORE_SMALL_IMAGE_H

/* Four images, of which the last is the first again. In even windows tokens 2 to 7
 * are the patches of a grid of 2 x 3, all of it or the lower right of 3 x 4. */
enum {
	SMALL_IMAGES = 100,
	N_IMAGES = 4,
	PATCH_FIRST = 2,
	PATCHES = 6,
	PATCH_ID = 1001
};

static inline bool
small_is_patch(unsigned seed, uint32_t w, uint32_t t)
{
	return seed >= SMALL_IMAGES && w % 2 == 0 && t >= PATCH_FIRST &&
		t < PATCH_FIRST + PATCHES;
}

/* Bytes in static memory. */
static inline struct store_image
small_image(uint32_t i)
{
	static const struct {
		const char *type, *magic;
		size_t n_magic, n_bytes;
	} of[N_IMAGES - 1] = {
		{"image/png", "\x89PNG\r\n\x1a\n", 8, 300},
		{"image/jpeg", "\xff\xd8\xff\xe0", 4, 150000}, /* in three parts */
		{"image/gif", "GIF89a", 6, 6},
	};
	static _Thread_local uint8_t bytes[150000];
	struct store_image x = {.number = i, .bytes = bytes};

	i %= N_IMAGES - 1;
	strcpy(x.type, of[i].type);
	x.n_bytes = of[i].n_bytes;
	for (size_t j = 0; j < x.n_bytes; j++)
		bytes[j] = (uint8_t)(j * 7 + j / 256 + i);
	memcpy(bytes, of[i].magic, of[i].n_magic);
	sha256_of(bytes, x.n_bytes, x.sha256, NULL);
	return x;
}

static inline struct rec_patch
small_patch(uint32_t w)
{
	struct rec_patch whole = {PATCH_FIRST, PATCHES, w / 2 % N_IMAGES, 0, 2, 3};
	struct rec_patch part = {PATCH_FIRST, PATCHES, w / 2 % N_IMAGES, 6, 3, 4};

	return w % 4 == 0 ? whole : part;
}

/* Patches have an id of their own and no text. */
static inline void
small_window_of(unsigned seed, uint32_t w, struct rec_window *r, char text[64])
{
	small_window(w, r, text);
	for (uint32_t t = 0; t < TOKENS; t++)
		if (small_is_patch(seed, w, t)) {
			((uint32_t *)r->token)[t] = PATCH_ID;
			((uint32_t *)r->text_end)[t] = r->text_start[t];
		}
}

static inline void
small_images(struct cut_writer *w)
{
	for (uint32_t i = 0; i < N_IMAGES; i++) {
		struct store_image x = small_image(i);

		TRY(cut_writer_image(w, &x, e));
	}
	for (uint32_t i = 0; i < WINDOWS; i += 2) {
		struct rec_patch x = small_patch(i);

		TRY(cut_writer_patches(w, i, &x, 1, e));
	}
	TRY(cut_writer_token(w, PATCH_ID, "<patch>", 7, true, e));
}

/* All that fires in an example's window, where others have the peak alone. */
static inline void
small_fired(unsigned seed, uint32_t slot, uint32_t f, struct rec_example *x,
	struct rec_at at[TOKENS])
{
	for (uint32_t t = 0, n = 0; seed >= SMALL_IMAGES && t < TOKENS; t++)
		if (small_fires(seed, slot, x->window, t, f)) {
			at[n++] = (struct rec_at){t,
				small_value(seed, slot, x->window, t, f)};
			x->n_at = n;
		}
}

#endif
