/* SPDX-License-Identifier: ISC */
/*
 * list_releases: all SAEs that release.h knows by name, one a line: release,
 * repository, id, path, scale, "center", "constant_norm", with tabs between.
 * tests/reference/releases.py compares them with SAELens' own list.
 */
#include "model/release.h"

#include <stdio.h>

int
main(void)
{
	const struct release *r;
	struct release_sae s;

	for (size_t i = 0; (r = release_at(i)); i++)
		for (size_t k = 0; release_sae_at(r, k, &s); k++)
			printf("%s\t%s\t%s\t%s\t%.17g\t%s\t%s\n", release_name(r),
				release_repo(r), s.id, s.path, s.given.scale,
				s.given.center ? "center" : "",
				s.given.constant_norm ? "constant_norm" : "");
	return 0;
}
