/* SPDX-License-Identifier: ISC */
#include "indexer/windows.h"

#include "store/store.h"
#include "util/mem.h"
#include "util/paged.h"

#include <string.h>

/* What stands in front of a window's arrays; all is aligned to 8 bytes. */
struct window_head {
	uint32_t n_tokens, n_segments, n_text_bytes, zero;
};

int
windows_init(struct windows *w, const char *scratch_dir, const uint8_t *excluded,
	uint32_t n_vocab, struct err *e)
{
	*w = (struct windows){.excluded = excluded,
		.n_vocab = n_vocab,
		.patch = UINT32_MAX};
	return scratch_open(&w->file, scratch_dir, "windows", e);
}

static int
grow(struct windows *w, struct err *e)
{
	uint32_t cap = w->cap ? w->cap * 2 : 1024;
	uint64_t *at = mem_resize(w->at, cap, sizeof(*at));
	uint64_t *token_at;

	if (at == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u windows", cap);
	w->at = at;
	token_at = mem_resize(w->token_at, (size_t)cap + 1, sizeof(*token_at));
	if (token_at == NULL)
		return err_set(e, ERR_NOMEM, "no memory for %u windows", cap);
	w->token_at = token_at;
	w->token_at[0] = 0;
	w->cap = cap;
	return 0;
}

static int
check_tokens(const struct windows *w, const struct rec_window *r, struct err *e)
{
	for (uint32_t i = 0; i < r->n_tokens; i++)
		if (r->token[i] >= w->n_vocab)
			return err_set(e, ERR_CORRUPT,
				"window %u holds token id %u, past the vocabulary of "
				"%u",
				w->n_windows, r->token[i], w->n_vocab);
	return 0;
}

int
windows_add(struct windows *w, const struct rec_window *r, struct err *e)
{
	struct window_head head = {r->n_tokens, r->n_segments, r->n_text_bytes, 0};
	struct scratch *f = &w->file;
	size_t n = r->n_tokens * sizeof(*r->token);

	if (w->n_windows == w->cap && grow(w, e) < 0)
		return e->code;
	if (check_tokens(w, r, e) < 0)
		return e->code;
	w->at[w->n_windows] = f->n_bytes;
	w->token_at[w->n_windows + 1] = w->token_at[w->n_windows] + r->n_tokens;
	w->n_windows++;
	if (r->n_tokens > w->max_tokens)
		w->max_tokens = r->n_tokens;
	if (scratch_put(f, &head, sizeof(head), e) < 0 ||
		scratch_put(f, r->token, n, e) < 0 ||
		scratch_put(f, r->text_start, n, e) < 0 ||
		scratch_put(f, r->text_end, n, e) < 0 || scratch_align(f, 8, e) < 0 ||
		scratch_put(f, r->segment, r->n_segments * sizeof(*r->segment), e) <
			0 ||
		scratch_put(f, r->text, r->n_text_bytes, e) < 0)
		return e->code;
	return scratch_align(f, 8, e);
}

int
windows_map(struct windows *w, struct err *e)
{
	return scratch_map(&w->file, e);
}

void
windows_clear(struct windows *w)
{
	scratch_close(&w->file);
	mem_free(w->at);
	mem_free(w->token_at);
	*w = (struct windows){.file.fd = -1};
}

void
windows_get(const struct windows *w, uint32_t i, struct rec_window *out)
{
	const uint8_t *p = w->file.map.data + w->at[i];
	struct window_head head;
	const uint32_t *array = (const uint32_t *)(p + sizeof(head));
	size_t n_arrays;

	paged_touched(1);
	memcpy(&head, p, sizeof(head));
	n_arrays = ((size_t)head.n_tokens * 3 * sizeof(*array) + 7) / 8 * 8;
	out->n_tokens = head.n_tokens;
	out->n_segments = head.n_segments;
	out->token = array;
	out->text_start = array + head.n_tokens;
	out->text_end = array + 2 * (size_t)head.n_tokens;
	out->segment = (const struct rec_segment *)(p + sizeof(head) + n_arrays);
	out->text = (const char *)(out->segment + head.n_segments);
	out->n_text_bytes = head.n_text_bytes;
}

uint64_t
windows_n_tokens(const struct windows *w)
{
	return w->n_windows > 0 ? w->token_at[w->n_windows] : 0;
}

int
windows_load(struct windows *w, struct store *s, const char *cut_id, uint32_t n_windows,
	const uint8_t *excluded, uint32_t n_vocab, struct err *e)
{
	struct cut_reader *r = NULL;
	struct rec_window window;
	struct arena arena;
	char tmp[PATH_BYTES];
	int rc = path_join(tmp, e, "%s/tmp", store_dir(s));

	arena_init(&arena, 0);
	if (rc == 0)
		rc = windows_init(w, tmp, excluded, n_vocab, e);
	if (rc == 0)
		rc = cut_reader_open(&r, s, cut_id, e);
	for (uint32_t i = 0; i < n_windows && rc == 0; i++) {
		arena_reset(&arena);
		rc = cut_reader_window(r, i, &window, &arena, e);
		if (rc == 0)
			rc = windows_add(w, &window, e);
	}
	if (rc == 0)
		rc = windows_map(w, e);
	cut_reader_close(r);
	arena_clear(&arena);
	return rc;
}
