/* SPDX-License-Identifier: ISC */
/* A plan against what the store holds already. */
#include "indexer/plan.h"

#include <string.h>
#include <strings.h>

/* An SAE has one place: its id does not tell where --hook has put it. */
static int
check_stream(const struct plan_sae *s, const struct store_catalog *c, struct err *e)
{
	for (uint32_t j = 0; j < c->n_saes; j++)
		if (strcmp(s->id, c->sae[j].id) == 0 &&
			strcmp(s->stream, c->sae[j].hook) != 0)
			return err_arg(e, ERR_MISMATCH, "hook",
				"the store has %s at %s, not at %s", s->dir,
				c->sae[j].hook, s->stream);
	return 0;
}

int
plan_check_store(const struct plan *p, struct store *s, struct err *e)
{
	struct store_view *view;
	const struct store_catalog *c;
	int rc = 0;

	if (store_view_open(&view, s, e) < 0)
		return e->code;
	c = store_view_catalog(view);
	for (uint32_t i = 0; i < p->n_saes && rc == 0; i++)
		for (uint32_t j = 0; j < c->n_saes && rc == 0; j++)
			if (strcasecmp(p->sae[i].name, c->sae[j].name) == 0 &&
				strcmp(p->sae[i].id, c->sae[j].id) != 0)
				rc = err_arg(e, ERR_ARG, "sae",
					"the store calls another SAE %s; give this one "
					"another name with NAME=%s",
					c->sae[j].name, p->sae[i].dir);
	for (uint32_t i = 0; i < p->n_saes && rc == 0; i++)
		rc = check_stream(&p->sae[i], c, e);
	store_view_close(view);
	return rc;
}
