/* SPDX-License-Identifier: ISC */
/*
 * list_models: for each name on a line of standard input, that and the repository of
 * the model, with a tab between. tests/reference/models.py compares them with
 * TransformerLens' own.
 */
#include "model/lm_name.h"

#include <stdio.h>
#include <string.h>

int
main(void)
{
	char name[256];

	while (fgets(name, sizeof(name), stdin)) {
		const char *repo;

		name[strcspn(name, "\n")] = '\0';
		repo = lm_name_repo(name);
		printf("%s\t%s\n", name, repo ? repo : "");
	}
	return 0;
}
