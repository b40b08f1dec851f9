/* SPDX-License-Identifier: ISC */
#include "indexer/report.h"

#include <stdio.h>

void
report_sae(const char *name, const struct pass_result *x, uint32_t first, uint32_t end)
{
	uint32_t n = end != 0 ? end - first : x->state.n_features;
	char explained[STATS_CHARS], range[64] = "";

	if (end != 0)
		snprintf(range, sizeof(range), "features %u to %u of %u alone: ", first,
			end - 1, x->state.n_features);
	stats_explained(explained, x->explained);
	printf("  %-16s %sL0 %.1f, explained variance %s, %llu of %u features dead "
	       "among %llu tokens\n",
		name, range,
		x->n_tokens ? (double)x->n_active / (double)x->n_tokens : 0, explained,
		(unsigned long long)(n - x->n_alive), n,
		(unsigned long long)x->n_tokens);
}
