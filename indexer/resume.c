/* SPDX-License-Identifier: ISC */
#include "indexer/resume.h"

#include "util/hash.h"
#include "util/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ids tell of tensors and texts. This tells of what else goes into logit effects and
 * activations: the model and its vocabulary; and whether there are logit effects. */
int
resume_keep(struct store *s, const struct plan *p, struct err *e)
{
	char inputs[192];

	snprintf(inputs, sizeof(inputs), "%s %s %u%s", p->weights_sha256,
		p->tokenizer_sha256, p->n_vocab, p->end != 0 ? " range" : "");
	return store_keep(s, inputs, e);
}

void
resume_init(struct checkpoints *c, const struct plan *p, const struct plan_group *g)
{
	const char *ms = getenv("SAEDB_CHECKPOINT_MS"); /* for tests */

	*c = (struct checkpoints){.interval_s = (double)p->options->checkpoint_s};
	if (ms != NULL && atof(ms) > 0) {
		c->interval_s = atof(ms) / 1e3;
		c->as_told = true;
	}
	if (p->n_sources > 0)
		c->interval_s = 0;
	for (uint32_t i = 0; i < g->n_saes; i++)
		c->order = hash64(p->sae[g->sae[i]].id, sizeof(p->sae[0].id) - 1,
			c->order);
}

/* At a checkpoint that was made with the windows of another run; then, giving these up,
 * at one that was made without. */
static int
find_checkpoint(struct run_writer **out, struct checkpoints *c, struct reuse *reuse,
	struct store *s, const char *id, uint32_t n_slots, const uint32_t *d_sae,
	struct err *e)
{
	uint64_t plain = c->order;
	struct err mine = ERR_INIT;
	int rc;

	if (reuse->cat != NULL) {
		c->order = hash64(reuse->cat->id, strlen(reuse->cat->id), plain);
		rc = run_writer_resume(out, &c->from, s, id, n_slots, d_sae, c->order,
			&mine);
		if (rc != ERR_CORRUPT) {
			*e = mine;
			return rc;
		}
	}
	rc = run_writer_resume(out, &c->from, s, id, n_slots, d_sae, plain, e);
	if (rc == 0 && *out != NULL && reuse->cat != NULL) {
		reuse_clear(reuse);
		c->order = plain;
	}
	return rc;
}

int
resume_run(struct run_writer **out, struct checkpoints *c, struct reuse *reuse,
	uint32_t *have, struct store *s, const char *id, uint32_t n_slots,
	const uint32_t *d_sae, struct err *e)
{
	struct err mine = ERR_INIT;
	int rc = find_checkpoint(out, c, reuse, s, id, n_slots, d_sae, &mine);

	*have = 0;
	if (rc == 0 && *out != NULL)
		return 0;
	if (rc == ERR_CORRUPT)
		log_put(LOG_WARNING, "%s; run %s starts anew", mine.text, id);
	else if (rc < 0) {
		*e = mine;
		return rc;
	}
	c->from = 0;
	return run_writer_new(out, have, s, id, n_slots, d_sae, e);
}

void
resume_tell(const struct checkpoints *c, const char *id, const struct windows *w,
	struct progress *p)
{
	if (c->from == 0 || c->from > w->n_windows)
		return;
	progress_wipe(p);
	printf("resuming run %s at %llu of %llu tokens\n", id,
		(unsigned long long)w->token_at[c->from],
		(unsigned long long)windows_n_tokens(w));
	fflush(stdout);
	progress_from(p, w->token_at[c->from]);
}
