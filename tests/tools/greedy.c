/* SPDX-License-Identifier: ISC */
/*
 * greedy MODEL N [ID]: the N token ids that the model finds likeliest, one after
 * the other, behind ID (0 if absent); for checks against known text.
 */
#include "model/lm.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t
likeliest(const float *logits, uint32_t n)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < n; i++)
		best = logits[i] > logits[best] ? i : best;
	return best;
}

static int
run(const struct lm *m, struct lm_work *w, uint32_t *ids, uint32_t n, struct err *e)
{
	uint32_t n_vocab = lm_info(m)->n_vocab;
	float *logits = mem_new(n, n_vocab * sizeof(*logits));
	int rc = logits ? 0 : err_set(e, ERR_NOMEM, "no memory");

	for (uint32_t i = 1; rc == 0 && i <= n; i++) {
		rc = lm_logits(m, w, ids, i, logits, e);
		if (rc == 0)
			ids[i] = likeliest(logits + (i - 1) * (size_t)n_vocab, n_vocab);
		if (rc == 0)
			printf("%u\n", ids[i]);
	}
	mem_free(logits);
	return rc;
}

int
main(int argc, char **argv)
{
	uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	uint32_t *ids = mem_new((size_t)n + 1, sizeof(*ids));
	struct err e = ERR_INIT;
	struct lm_work *w = NULL;
	struct lm *m = NULL;
	int rc = -1;

	if (argc < 3 || !ids) {
		fprintf(stderr, "usage: greedy MODEL N [ID]\n");
		goto out;
	}
	ids[0] = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	rc = lm_open(&m, argv[1], &e);
	if (rc == 0)
		rc = lm_work_new(&w, m, (size_t)n + 1, &e);
	if (rc == 0)
		rc = run(m, w, ids, n, &e);
	if (rc < 0)
		fprintf(stderr, "%s\n", e.text);
out:
	lm_work_free(w);
	lm_close(m);
	mem_free(ids);
	return rc < 0;
}
