/* SPDX-License-Identifier: ISC */
/* A cursor is 32 bytes in hexadecimal: run id (8), question (8), key (8), index (8). */
#include "daemon/req.h"

#include "util/hash.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CURSOR_BYTES 32

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint64_t
id_number(const char *id)
{
	uint64_t v = 0;

	for (; *id != '\0'; id++)
		v = v << 4 | (uint64_t)(digit(*id) & 15);
	return v;
}

void
cursor_write(const struct cursor *c, char out[CURSOR_CHARS])
{
	uint64_t word[4] = {id_number(c->run_id), c->check, 0, c->index};

	memcpy(&word[2], &c->key, sizeof(c->key));
	hash_hex((const uint8_t *)word, sizeof(word), out);
}

static bool
decode(const struct value *v, uint64_t word[4])
{
	uint8_t *p = (uint8_t *)word;

	if (v->n != 2 * CURSOR_BYTES)
		return false;
	for (size_t i = 0; i < CURSOR_BYTES; i++) {
		int hi = digit(v->str[2 * i]), lo = digit(v->str[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		p[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

int
cursor_read(struct req *q, uint64_t check, struct cursor *c, struct err *e)
{
	const struct value *v = args_get(&q->args, "cursor");
	uint64_t word[4];

	*c = (struct cursor){0};
	if (v == NULL)
		return 0;
	if (!decode(v, word))
		return err_arg(e, ERR_ARG, "cursor",
			"cursor is not what an answer's next was");
	if (word[1] != check)
		return err_arg(e, ERR_ARG, "cursor",
			"cursor belongs to another question");
	if (word[0] != 0)
		snprintf(c->run_id, sizeof(c->run_id), "%016llx",
			(unsigned long long)word[0]);
	c->check = word[1];
	memcpy(&c->key, &word[2], sizeof(c->key));
	c->index = word[3];
	if (!isfinite(c->key))
		return err_arg(e, ERR_ARG, "cursor",
			"cursor is not what an answer's next was");
	return 1;
}

int
cursor_run(struct req *q, const struct cursor *c, uint32_t *run, struct err *e)
{
	char text[FIND_RUN_BYTES], number[16];
	int rc = find_run_text(q, text, e);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < q->cat->n_runs; i++) {
		if (strcmp(q->cat->run[i].id, c->run_id) != 0)
			continue;
		snprintf(number, sizeof(number), "%u", q->cat->run[i].number);
		if (text[0] != '\0' && strcmp(text, number) != 0 &&
			strcmp(text, c->run_id) != 0)
			return err_arg(e, ERR_ARG, "cursor",
				"cursor belongs to run %s, not %s", number, text);
		*run = i;
		return 0;
	}
	return err_arg(e, ERR_STALE, "cursor",
		"the run that cursor belongs to is gone; "
		"begin again");
}
