/* SPDX-License-Identifier: ISC */
#include "store/inner.h"
#include "util/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int64_t
cat_find_model_id(const struct store_catalog *c, const char *id)
{
	for (uint32_t i = 0; i < c->n_models; i++)
		if (strcmp(c->model[i].id, id) == 0)
			return i;
	return -1;
}

int64_t
cat_find_cut_id(const struct store_catalog *c, const char *id)
{
	for (uint32_t i = 0; i < c->n_cuts; i++)
		if (strcmp(c->cut[i].id, id) == 0)
			return i;
	return -1;
}

int64_t
cat_find_sae_id(const struct store_catalog *c, const char *id)
{
	for (uint32_t i = 0; i < c->n_saes; i++)
		if (strcmp(c->sae[i].id, id) == 0)
			return i;
	return -1;
}

int64_t
cat_find_run_id(const struct store_catalog *c, const char *id)
{
	for (uint32_t i = 0; i < c->n_runs; i++)
		if (strcmp(c->run[i].id, id) == 0)
			return i;
	return -1;
}

int64_t
cat_find_sae(const struct store_catalog *c, const char *name, size_t n_name)
{
	int64_t found = -1;

	for (uint32_t i = 0; i < c->n_saes; i++)
		if (strlen(c->sae[i].name) == n_name &&
			memcmp(c->sae[i].name, name, n_name) == 0)
			return i;
	for (uint32_t i = 0; i < c->n_saes; i++) {
		if (strlen(c->sae[i].name) != n_name ||
			strncasecmp(c->sae[i].name, name, n_name) != 0)
			continue;
		if (found >= 0)
			return -1;
		found = i;
	}
	for (uint32_t i = 0; found < 0 && i < c->n_saes; i++)
		if (strlen(c->sae[i].id) == n_name &&
			memcmp(c->sae[i].id, name, n_name) == 0)
			found = i;
	return found;
}

static bool
run_is(const struct cat_run *r, const char *name)
{
	char *end;
	unsigned long number;

	if (strcmp(r->id, name) == 0)
		return true;
	if (*name < '0' || *name > '9' || strlen(name) > 10)
		return false;
	number = strtoul(name, &end, 10);
	return *end == '\0' && number == r->number;
}

bool
cat_sought(const struct cat_run_sae *x, uint32_t feature)
{
	return feature >= x->first && feature < x->end;
}

bool
cat_sought_all(const struct store_catalog *c, const struct cat_run_sae *x)
{
	return x->first == 0 && x->end >= c->sae[x->sae].d_sae;
}

/* What a run must have sought of an SAE: a feature, or (NULL) anything. */
struct sought {
	uint32_t sae;
	const uint32_t *feature;
};

/* The newest run of that name, of all features before one of a range: true. */
static bool
newest_run(const struct store_catalog *c, const struct sought *what,
	const char *run_name, uint32_t *run, uint32_t *slot)
{
	bool found = false;

	for (uint32_t i = c->n_runs; i-- > 0;) {
		if (run_name != NULL && !run_is(&c->run[i], run_name))
			continue;
		for (uint32_t j = 0; j < c->run[i].n_saes; j++) {
			const struct cat_run_sae *x = &c->run[i].sae[j];
			bool all = cat_sought_all(c, x);

			if (x->sae != what->sae || (found && !all) ||
				(what->feature != NULL &&
					!cat_sought(x, *what->feature)))
				continue;
			found = true;
			*run = i;
			*slot = j;
			if (all)
				return true;
		}
	}
	return found;
}

int
cat_find_run(const struct store_catalog *c, uint32_t sae, const char *run_name,
	uint32_t *run, uint32_t *slot, struct err *e)
{
	bool any = run_name == NULL || *run_name == '\0', known = any;
	struct sought what = {.sae = sae};

	if (sae >= c->n_saes)
		return err_arg(e, ERR_NOTFOUND, "sae", "no such SAE");
	if (newest_run(c, &what, any ? NULL : run_name, run, slot))
		return 0;
	for (uint32_t i = 0; i < c->n_runs && !known; i++)
		known = run_is(&c->run[i], run_name);
	if (!known)
		return err_arg(e, ERR_NOTFOUND, "run", "there is no run %.40s",
			run_name);
	if (any)
		return err_arg(e, ERR_NOTFOUND, "run", "no run has the SAE %s",
			c->sae[sae].name);
	return err_arg(e, ERR_NOTFOUND, "run", "run %.40s does not have the SAE %s",
		run_name, c->sae[sae].name);
}

int
cat_find_feature_run(const struct store_catalog *c, uint32_t sae, uint32_t feature,
	const char *run_name, uint32_t *run, uint32_t *slot, struct err *e)
{
	bool any = run_name == NULL || *run_name == '\0';
	struct sought what = {.sae = sae, .feature = &feature};
	const struct cat_run_sae *x;
	int rc = cat_find_run(c, sae, run_name, run, slot, e);

	if (rc < 0 || newest_run(c, &what, any ? NULL : run_name, run, slot))
		return rc;
	x = &c->run[*run].sae[*slot];
	return err_arg(e, ERR_NOTFOUND, any ? "feature" : "run",
		"run %u sought features %u to %u of %s alone, not %u%s",
		c->run[*run].number, x->first, x->end - 1, c->sae[sae].name, feature,
		any ? ", and no other run did" : "");
}

int
cat_check_name(const char *name, struct err *e)
{
	size_t n = strnlen(name, LIMIT_NAME_BYTES);

	if (n == 0 || n >= LIMIT_NAME_BYTES)
		return err_arg(e, ERR_ARG, "name", "a name has 1 to %d bytes",
			LIMIT_NAME_BYTES - 1);
	if (utf8_valid(name, n) != n)
		return err_arg(e, ERR_ARG, "name", "a name is UTF-8");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f || name[i] == '/')
			return err_arg(e, ERR_ARG, "name",
				"a name has no slash, space or control character");
	return 0;
}
