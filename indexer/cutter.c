/* SPDX-License-Identifier: ISC */
#include "indexer/cutter.h"

#include "util/mem.h"

#include <string.h>

int
cutter_init(struct cutter *c, const struct cut_rule *rule, struct window_sink sink,
	struct err *e)
{
	uint32_t n = rule->context;

	*c = (struct cutter){.rule = *rule, .sink = sink};
	buf_init(&c->text);
	if (n < 1u + rule->prepend_bos)
		return err_arg(e, ERR_ARG, "context",
			"a context of %u holds no token beside BOS", n);
	c->token = mem_new(n, sizeof(*c->token));
	c->text_start = mem_new(n, sizeof(*c->text_start));
	c->text_end = mem_new(n, sizeof(*c->text_end));
	c->segment = mem_new(n, sizeof(*c->segment));
	if (c->token != NULL && c->text_start != NULL && c->text_end != NULL &&
		c->segment != NULL)
		return 0;
	cutter_clear(c);
	return err_set(e, ERR_NOMEM, "no memory for windows of %u tokens", n);
}

void
cutter_clear(struct cutter *c)
{
	mem_free(c->token);
	mem_free(c->text_start);
	mem_free(c->text_end);
	mem_free(c->segment);
	buf_clear(&c->text);
	*c = (struct cutter){0};
}

/* Tokens of documents that fit one window by itself. */
static size_t
step(const struct cutter *c)
{
	return c->rule.context - c->rule.prepend_bos;
}

/* Whether a window of n tokens still fits under max_tokens. */
static bool
has_room(const struct cutter *c, uint64_t tokens_so_far, uint64_t n)
{
	return c->rule.max_tokens == 0 || tokens_so_far + n <= c->rule.max_tokens;
}

uint64_t
cutter_windows_of(const struct cutter *c, size_t n_ids)
{
	uint64_t n = 0, all = c->n_tokens_all;

	if (c->full)
		return 0;
	for (size_t at = 0; at < n_ids; at += step(c)) {
		size_t m = n_ids - at < step(c) ? n_ids - at : step(c);

		m += c->rule.prepend_bos;
		if (!has_room(c, all, m))
			break;
		all += m;
		n++;
	}
	return n;
}

uint32_t
cutter_left(const struct cutter *c)
{
	return c->n_tokens;
}

static void
put_inserted(struct cutter *c, uint32_t id)
{
	uint32_t at = (uint32_t)c->text.n_bytes, n = c->n_tokens++;

	c->token[n] = id;
	c->text_start[n] = c->text_end[n] = at;
}

/* Tokens [first, first + n) of a document, and the text they stand for, as the
 * window's next segment. */
static void
put_stretch(struct cutter *c, uint32_t number, const char *text,
	const struct tok_ids *ids, size_t first, size_t n)
{
	uint32_t base = (uint32_t)c->text.n_bytes;
	uint32_t from = ids->start[first], to = from;

	if (n == 0)
		return;
	for (size_t i = first; i < first + n; i++) {
		if (ids->start[i] < from)
			from = ids->start[i];
		if (ids->end[i] > to)
			to = ids->end[i];
	}
	c->segment[c->n_segments++] = (struct rec_segment){.document = number,
		.token = c->n_tokens,
		.text_start = base,
		.doc_start = from};
	for (size_t i = first; i < first + n; i++, c->n_tokens++) {
		c->token[c->n_tokens] = ids->id[i];
		c->text_start[c->n_tokens] = base + ids->start[i] - from;
		c->text_end[c->n_tokens] = base + ids->end[i] - from;
	}
	buf_put(&c->text, text + from, to - from);
}

static int
finish_window(struct cutter *c, struct err *e)
{
	struct rec_window w = {.n_tokens = c->n_tokens,
		.n_segments = c->n_segments,
		.token = c->token,
		.text_start = c->text_start,
		.text_end = c->text_end,
		.segment = c->segment,
		.text = c->text.n_bytes ? (const char *)c->text.data : "",
		.n_text_bytes = (uint32_t)c->text.n_bytes};
	int rc = 0;

	if (c->text.failed)
		return err_set(e, ERR_NOMEM, "no memory for a window's text");
	if (!has_room(c, c->n_tokens_all, c->n_tokens))
		c->full = true;
	if (!c->full) {
		rc = c->sink.put(c->sink.ctx, &w, e);
		c->n_windows++;
		c->n_tokens_all += c->n_tokens;
	}
	c->n_tokens = c->n_segments = 0;
	buf_reset(&c->text);
	return rc;
}

static int
cut_alone(struct cutter *c, uint32_t number, const char *text,
	const struct tok_ids *ids, struct err *e)
{
	for (size_t at = 0; at < ids->n && !c->full; at += step(c)) {
		size_t n = ids->n - at < step(c) ? ids->n - at : step(c);

		if (c->rule.prepend_bos)
			put_inserted(c, (uint32_t)c->rule.bos);
		put_stretch(c, number, text, ids, at, n);
		if (finish_window(c, e) < 0)
			return e->code;
	}
	return 0;
}

/* BOS where the text does not bring its own: in front of a window (if the rule
 * says so), and between documents inside one. The last place of a window may
 * hold a BOS whose document begins in the next. */
static int
cut_joined(struct cutter *c, uint32_t number, const char *text,
	const struct tok_ids *ids, struct err *e)
{
	for (size_t at = 0; at < ids->n && !c->full;) {
		bool wants = c->n_tokens == 0 ? c->rule.prepend_bos : c->rule.bos >= 0;
		size_t n, room;

		if (wants && ids->id[at] != (uint32_t)c->rule.bos)
			put_inserted(c, (uint32_t)c->rule.bos);
		room = c->rule.context - c->n_tokens;
		n = ids->n - at < room ? ids->n - at : room;
		put_stretch(c, number, text, ids, at, n);
		at += n;
		if (c->n_tokens == c->rule.context && finish_window(c, e) < 0)
			return e->code;
	}
	return 0;
}

int
cutter_document(struct cutter *c, uint32_t number, const char *text,
	const struct tok_ids *ids, struct err *e)
{
	return c->rule.joined ? cut_joined(c, number, text, ids, e)
			      : cut_alone(c, number, text, ids, e);
}
