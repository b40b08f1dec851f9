/* SPDX-License-Identifier: ISC */
/*
 * report: what a command prints of an SAE when its run is done.
 */
#ifndef INDEXER_REPORT_H
#define INDEXER_REPORT_H

#include "indexer/pass.h"

/* One line; features [first, end) alone were sought, end 0: all. */
void report_sae(const char *name, const struct pass_result *x, uint32_t first,
	uint32_t end);

#endif
