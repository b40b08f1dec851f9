/* SPDX-License-Identifier: ISC */
#include "schema/value.h"

#include <string.h>

static int
bad(struct err *e, const char *text, size_t n_bytes)
{
	int n = n_bytes < 200 ? (int)n_bytes : 200;

	return err_arg(e, ERR_ARG, "feature",
		"\"%.*s\" is no feature's address (SAE/INDEX, or MODEL/SAE/INDEX)", n,
		text);
}

/* Where the index begins behind the last / or _, or 0. */
static size_t
index_start(const char *text, size_t n_bytes)
{
	size_t i = n_bytes;

	while (i > 0 && text[i - 1] >= '0' && text[i - 1] <= '9')
		i--;
	if (i < 2 || i == n_bytes || (text[i - 1] != '/' && text[i - 1] != '_'))
		return 0;
	return i;
}

static bool
copy_name(char *out, size_t cap, const char *p, size_t n)
{
	if (n == 0 || n >= cap)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			return false;
	memcpy(out, p, n);
	out[n] = '\0';
	return true;
}

int
addr_parse(struct addr *a, const char *text, size_t n_bytes, struct err *e)
{
	size_t at = index_start(text, n_bytes), end, sae;
	uint64_t index = 0;

	*a = (struct addr){0};
	if (at == 0 || n_bytes - at > 10)
		return bad(e, text, n_bytes);
	for (size_t i = at; i < n_bytes; i++)
		index = index * 10 + (uint64_t)(text[i] - '0');
	if (index > UINT32_MAX)
		return bad(e, text, n_bytes);
	a->index = (uint32_t)index;
	end = at - 1;
	for (sae = end; sae > 0 && text[sae - 1] != '/';)
		sae--;
	if (!copy_name(a->sae, sizeof(a->sae), text + sae, end - sae))
		return bad(e, text, n_bytes);
	if (sae > 0 && !copy_name(a->model, sizeof(a->model), text, sae - 1))
		return bad(e, text, n_bytes);
	return 0;
}
