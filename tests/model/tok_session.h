/* SPDX-License-Identifier: ISC */
/* A tokenizer and its scratch, for the tests that encode. */
#ifndef TESTS_MODEL_TOK_SESSION_H
#define TESTS_MODEL_TOK_SESSION_H

#include "model/tok.h"
#include "tests/model/fixture.h"

struct session {
	struct tok *t;
	struct tok_work *w;
};

static inline void
start(struct session *s, const char *dir)
{
	struct err e = ERR_INIT;

	if (tok_open(&s->t, dir, &e) < 0 || tok_work_new(&s->w, s->t, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void
stop(struct session *s)
{
	tok_work_free(s->w);
	tok_close(s->t);
}

static inline void
encode(struct session *s, const char *p, size_t n, bool parse_special,
	struct tok_ids *ids)
{
	struct err e = ERR_INIT;

	ids->n = 0;
	if (tok_encode(s->t, s->w, p, n, parse_special, ids, &e) < 0)
		fail_msg("%s", e.text);
}

#endif
