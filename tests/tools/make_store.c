/* SPDX-License-Identifier: ISC */
/*
 * make_store DIR [RUNS [images|elsewhere]]: makes the small store of
 * tests/store/small.h, or adds RUNS runs (1 by default) to it. images: over a corpus of
 * its own, with images; elsewhere: of latents made elsewhere, of SAEs without logit
 * effects. Deterministic; prints the number of each run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/store/small.h"

int
main(int argc, char **argv)
{
	int n_runs = argc > 2 ? atoi(argv[2]) : 1;
	struct err e = ERR_INIT;
	struct store *s;
	struct store_view *v;
	uint32_t number;
	unsigned first;

	if (argc < 2) {
		fprintf(stderr, "usage: make_store DIR [RUNS [images|elsewhere]]\n");
		return 2;
	}
	small_elsewhere = argc > 3 && strcmp(argv[3], "elsewhere") == 0;
	if (store_open(&s, argv[1], STORE_CREATE, &e) < 0 ||
		store_view_open(&v, s, &e) < 0) {
		fprintf(stderr, "make_store: %s\n", e.text);
		return 1;
	}
	first = store_view_catalog(v)->n_runs;
	if (argc > 3 && strcmp(argv[3], "images") == 0)
		first += SMALL_IMAGES;
	store_view_close(v);
	for (int i = 0; i < n_runs; i++) {
		if (small_publish(s, first + (unsigned)i, &number, &e) < 0) {
			fprintf(stderr, "make_store: %s\n", e.text);
			return 1;
		}
		printf("%u\n", number);
	}
	store_close(s);
	return 0;
}
