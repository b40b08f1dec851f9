/* SPDX-License-Identifier: ISC */
/* Addresses of features: what is read can be written and read again. */
#include "tests/fuzz/fuzz.h"

#include "schema/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	struct addr a, b;
	char text[300];
	int n;

	if (addr_parse(&a, (const char *)p, n_bytes, NULL) < 0)
		return 0;
	n = snprintf(text, sizeof(text), "%s%s%s/%u", a.model, a.model[0] ? "/" : "",
		a.sae, a.index);
	if (addr_parse(&b, text, (size_t)n, NULL) < 0 || memcmp(&a, &b, sizeof(a)) != 0)
		abort();
	return 0;
}
