/* SPDX-License-Identifier: ISC */
#include "indexer/shard.h"

#include "schema/out.h"
#include "schema/value.h"

#include <inttypes.h>
#include <string.h>

/* ---- integers -------------------------------------------------------------- */

static int
no_memory(const struct shard_windows *w, struct err *e)
{
	return err_set(e, ERR_NOMEM, "%s: no memory for its windows", w->name);
}

int
shard_check_ints(const struct shard_windows *w, const struct tensor *t, size_t rows,
	size_t cols, struct err *e)
{
	size_t rank = cols > 0 ? 2 : 1;

	if (!tensor_is_int(t))
		return err_set(e, ERR_FORMAT, "%s: %s is of %s, not of integers",
			w->name, t->name, t->dtype_name);
	if (t->rank != rank || t->shape[0] != rows ||
		(rank == 2 && t->shape[1] != cols))
		return err_set(e, ERR_FORMAT,
			"%s: %s has %zu values in %zu dimensions, not (%zu%s%.0zu)",
			w->name, t->name, t->n_values, t->rank, rows,
			rank > 1 ? ", " : "", cols);
	return 0;
}

struct range {
	int64_t min, max;
};

/* All its values as u32, those below 0 as UINT32_MAX. */
static int
read_ints(struct shard_windows *w, const struct tensor *t, struct range range,
	uint32_t **out, struct err *e)
{
	uint32_t *v = arena_alloc(&w->arena, t->n_values, sizeof(*v));

	if (v == NULL)
		return no_memory(w, e);
	for (size_t i = 0; i < t->n_values; i++) {
		int64_t x = tensor_int(t, i);

		if (x < range.min || x > range.max)
			return err_set(e, ERR_FORMAT,
				"%s: value %zu of %s is %" PRId64
				", which is not from %" PRId64 " to %" PRId64,
				w->name, i, t->name, x, range.min, range.max);
		v[i] = x < 0 ? UINT32_MAX : (uint32_t)x;
	}
	*out = v;
	return 0;
}

static int
need(const struct shard_windows *w, const char *name, const struct tensor **out,
	struct err *e)
{
	*out = tensors_find(w->tensors, name);
	return *out != NULL ? 0
			    : err_set(e, ERR_FORMAT, "%s: there is no tensor \"%s\"",
				      w->name, name);
}

/* ---- tokens and windows ------------------------------------------------------ */

static int
read_windows(struct shard_windows *w, struct err *e)
{
	const struct tensor *t;

	if (need(w, "windows", &t, e) < 0)
		return e->code;
	if (t->rank != 1 || t->n_values < 1 || t->n_values > UINT32_MAX)
		return err_set(e, ERR_FORMAT,
			"%s: windows must have one value more than there are windows",
			w->name);
	w->n_windows = (uint32_t)t->n_values - 1;
	if (shard_check_ints(w, t, t->n_values, 0, e) < 0 ||
		read_ints(w, t, (struct range){0, w->n_tokens}, &w->start, e) < 0)
		return e->code;
	if (w->start[0] != 0 || w->start[w->n_windows] != w->n_tokens)
		return err_set(e, ERR_FORMAT,
			"%s: windows go from %u to %u, but the tokens from 0 to %u",
			w->name, w->start[0], w->start[w->n_windows], w->n_tokens);
	for (uint32_t i = 0; i < w->n_windows; i++)
		if (w->start[i] >= w->start[i + 1] ||
			w->start[i + 1] - w->start[i] > LIMIT_CONTEXT)
			return err_set(e, ERR_FORMAT,
				"%s: window %u goes from token %u to %u; a window has "
				"1 "
				"to %d tokens",
				w->name, i, w->start[i], w->start[i + 1],
				LIMIT_CONTEXT);
	return 0;
}

static int
read_tokens(struct shard_windows *w, uint32_t patch_id, struct err *e)
{
	const struct tensor *t;

	if (need(w, "tokens", &t, e) < 0)
		return e->code;
	if (t->n_values >= UINT32_MAX)
		return err_set(e, ERR_LIMIT, "%s: %zu tokens are too many for a shard",
			w->name, t->n_values);
	if (shard_check_ints(w, t, t->n_values, 0, e) < 0 ||
		read_ints(w, t, (struct range){-1, UINT32_MAX - 1}, &w->token, e) < 0)
		return e->code;
	w->n_tokens = (uint32_t)t->n_values;
	if (w->image_of != NULL && w->n_patches != w->n_tokens)
		return err_set(e, ERR_FORMAT,
			"%s: image_patches has %zu rows for %u tokens", w->name,
			w->n_patches, w->n_tokens);
	for (uint32_t i = 0; i < w->n_tokens; i++) {
		if (w->image_of != NULL && w->image_of[i] != UINT32_MAX)
			w->token[i] = patch_id;
		else if (w->token[i] >= patch_id)
			return err_set(e, ERR_MISMATCH,
				"%s: token %u has the id %" PRId64
				", but the vocabulary %u entries: it is of another "
				"model",
				w->name, i, tensor_int(t, i), patch_id);
	}
	return 0;
}

/* ---- documents ---------------------------------------------------------------- */

/* Numbers go up by 0 or 1, from the last one before this shard on. */
static int
check_numbers(struct shard_windows *w, size_t n, struct err *e)
{
	uint64_t last = w->first_begun; /* numbers seen so far: those below it */
	uint64_t previous = last > 0 ? last - 1 : UINT64_MAX;

	for (size_t i = 0; i < n; i++) {
		uint32_t d = w->document[i];

		if (d == FEED_NO_DOCUMENT)
			continue;
		if (d != previous && d != last)
			return err_set(e, ERR_FORMAT,
				"%s: documents[%zu] is %u; it must be the number "
				"before "
				"it or one more, %" PRIu64 " here",
				w->name, i, d, last);
		previous = d;
		last = (uint64_t)d + 1;
	}
	w->n_begun = (uint32_t)(last - w->first_begun);
	return 0;
}

static int
number_documents(struct shard_windows *w, struct err *e)
{
	const struct tensor *t = tensors_find(w->tensors, "documents");
	struct range range = {-1, UINT32_MAX - 1};

	if (w->first_begun + w->n_windows >= UINT32_MAX)
		return err_set(e, ERR_LIMIT, "%s: more than %u documents", w->name,
			UINT32_MAX - 1);
	if (t != NULL) {
		/* a shard of windows of one token each is not mixed */
		w->mixed = t->n_values != w->n_windows;
		range.min = w->mixed ? -1 : 0;
		if (shard_check_ints(w, t, w->mixed ? w->n_tokens : w->n_windows, 0,
			    e) < 0 ||
			read_ints(w, t, range, &w->document, e) < 0)
			return e->code;
		return check_numbers(w, t->n_values, e);
	}
	w->document = arena_alloc(&w->arena, w->n_windows, sizeof(*w->document));
	if (w->document == NULL)
		return no_memory(w, e);
	for (uint32_t i = 0; i < w->n_windows; i++)
		w->document[i] = (uint32_t)w->first_begun + i;
	w->n_begun = w->n_windows;
	return 0;
}

/* The next element of a JSON array whose elements are objects: *p is behind it. false
 * at the array's end, or where it is malformed (then *p is NULL). */
static bool
next_object(const char **p, const char **object, size_t *n_bytes)
{
	const char *s = *p + strspn(*p, " \t\r\n,[");
	bool in_text = false;
	int depth = 0;

	*object = s;
	if (*s != '{') {
		*p = *s == ']' && s[1] == '\0' ? s : NULL;
		return false;
	}
	do {
		if (*s == '\0') {
			*p = NULL;
			return false;
		}
		if (in_text && *s == '\\' && s[1] != '\0')
			s++;
		else if (*s == '"')
			in_text = !in_text;
		else if (!in_text && *s == '{')
			depth++;
		else if (!in_text && *s == '}')
			depth--;
		s++;
	} while (depth > 0);
	*n_bytes = (size_t)(s - *object);
	*p = s;
	return true;
}

/* {"id": .., "meta": {..}, "n_bytes": ..} */
static int
read_document(struct shard_windows *w, const char *p, size_t n, struct document *d,
	int64_t *n_text, struct err *e)
{
	const struct value *v, *id, *meta, *bytes;
	struct buf b;
	struct out o;
	int rc = value_parse_json(&v, p, n, &w->arena, e);

	if (rc < 0)
		return rc;
	id = value_get(v, "id");
	meta = value_get(v, "meta");
	bytes = value_get(v, "n_bytes");
	if ((id != NULL && id->type != VALUE_STR) ||
		(meta != NULL && meta->type != VALUE_MAP) ||
		(bytes != NULL && (!value_as_int(bytes, n_text) || *n_text < 0)))
		return err_set(e, ERR_FORMAT,
			"\"id\" must be a string, \"meta\" an object, \"n_bytes\" a "
			"whole number");
	if (id != NULL &&
		(memchr(id->str, 0, id->n) != NULL || id->n > LIMIT_META_BYTES))
		return err_set(e, ERR_FORMAT, "\"id\" is too long or holds a NUL");
	*d = (struct document){.meta = "{}", .n_meta = 2};
	if (id != NULL) {
		d->id = id->n > 0 ? id->str : "";
		d->n_id = id->n;
	}
	if (meta == NULL)
		return 0;
	buf_init(&b);
	out_init_json(&o, &b, LIMIT_META_BYTES);
	value_write(&o, meta);
	rc = out_failed(&o)
		? err_set(e, ERR_LIMIT, "\"meta\" has more than the limit of %d bytes",
			  LIMIT_META_BYTES)
		: 0;
	d->n_meta = b.n_bytes;
	d->meta = rc == 0 ? arena_strndup(&w->arena, (char *)b.data, b.n_bytes) : NULL;
	buf_clear(&b);
	return rc == 0 && d->meta == NULL ? no_memory(w, e) : rc;
}

/* Gives document i its share of the shard's text. */
static int
place_text(struct shard_windows *w, const struct tensor *text, uint32_t i,
	int64_t n_text, size_t *at, struct err *e)
{
	if (text == NULL)
		return 0;
	if (n_text < 0 || (uint64_t)n_text > text->n_bytes - *at)
		return err_set(e, ERR_FORMAT,
			"%s: document %u of the %u that begin here: \"n_bytes\" is %s",
			w->name, i, w->n_begun,
			n_text < 0 ? "missing" : "more than is left of \"text\"");
	w->begun[i].text = (const char *)text->data + *at;
	w->begun[i].n_text = (size_t)n_text;
	*at += (size_t)n_text;
	return 0;
}

static int
read_documents(struct shard_windows *w, struct err *e)
{
	const struct tensor *text = tensors_find(w->tensors, "text");
	const char *notes = tensors_note(w->tensors, "documents"), *p = notes, *object;
	size_t at = 0, n_bytes;
	uint32_t i = 0;

	w->begun = arena_alloc(&w->arena, (size_t)w->n_begun + 1, sizeof(*w->begun));
	if (w->begun == NULL)
		return no_memory(w, e);
	for (; p != NULL && next_object(&p, &object, &n_bytes); i++) {
		int64_t n_text = -1;

		if (i == w->n_begun)
			break;
		if (read_document(w, object, n_bytes, &w->begun[i], &n_text, e) < 0)
			return err_wrap(e, "%s: document %u of __metadata__", w->name,
				i);
		if (place_text(w, text, i, n_text, &at, e) < 0)
			return e->code;
	}
	if (notes != NULL && (p == NULL || i != w->n_begun || *p != ']'))
		return err_set(e, ERR_FORMAT,
			"%s: \"documents\" in __metadata__ is no array of the %u "
			"documents that begin here",
			w->name, w->n_begun);
	for (; i < w->n_begun; i++) {
		w->begun[i] = (struct document){.meta = "{}", .n_meta = 2};
		if (place_text(w, text, i, -1, &at, e) < 0)
			return e->code;
	}
	if (text != NULL && at != text->n_bytes)
		return err_set(e, ERR_FORMAT,
			"%s: %zu bytes of \"text\" belong to no document", w->name,
			text->n_bytes - at);
	return 0;
}

static int
read_text(struct shard_windows *w, struct err *e)
{
	const struct tensor *text = tensors_find(w->tensors, "text");
	const struct tensor *spans = tensors_find(w->tensors, "spans");
	uint32_t *v;

	if (text != NULL && (text->dtype != DTYPE_U8 || text->rank != 1))
		return err_set(e, ERR_FORMAT, "%s: text is not (n_bytes) of U8",
			w->name);
	if (spans == NULL)
		return text == NULL
			? 0
			: err_set(e, ERR_FORMAT, "%s: has \"text\" but no \"spans\"",
				  w->name);
	if (shard_check_ints(w, spans, w->n_tokens, 2, e) < 0 ||
		read_ints(w, spans, (struct range){0, LIMIT_LINE_BYTES}, &v, e) < 0)
		return e->code;
	/* the two columns one behind the other */
	w->text_start = arena_alloc(&w->arena, w->n_tokens, sizeof(*v));
	w->text_end = arena_alloc(&w->arena, w->n_tokens, sizeof(*v));
	if (w->text_start == NULL || w->text_end == NULL)
		return no_memory(w, e);
	for (uint32_t i = 0; i < w->n_tokens; i++) {
		w->text_start[i] = v[2 * (size_t)i];
		w->text_end[i] = v[2 * (size_t)i + 1];
	}
	return 0;
}

/* ---- images -------------------------------------------------------------------- */

static int
place_images(struct shard_windows *w, const struct tensor *bytes, const uint32_t *ends,
	const uint32_t *grids, struct err *e)
{
	size_t at = 0;

	w->image = arena_alloc(&w->arena, w->n_images, sizeof(*w->image));
	if (w->image == NULL)
		return no_memory(w, e);
	for (uint32_t i = 0; i < w->n_images; i++) {
		if (ends[i] <= at || ends[i] > bytes->n_bytes)
			return err_set(e, ERR_FORMAT,
				"%s: image %u ends at byte %u of %zu, and begins at "
				"%zu",
				w->name, i, ends[i], bytes->n_bytes, at);
		w->image[i] = (struct shard_image){bytes->data + at, ends[i] - at,
			grids[2 * (size_t)i], grids[2 * (size_t)i + 1]};
		at = ends[i];
	}
	return at == bytes->n_bytes ? 0
				    : err_set(e, ERR_FORMAT,
					      "%s: %zu bytes of \"images\" belong to "
					      "no image",
					      w->name, bytes->n_bytes - at);
}

static int
place_patches(struct shard_windows *w, const uint32_t *pairs, size_t n, struct err *e)
{
	w->n_patches = n;
	w->image_of = arena_alloc(&w->arena, n, sizeof(*w->image_of));
	w->patch = arena_alloc(&w->arena, n, sizeof(*w->patch));
	if (w->image_of == NULL || w->patch == NULL)
		return no_memory(w, e);
	for (size_t i = 0; i < n; i++) {
		uint32_t of = pairs[2 * i], patch = pairs[2 * i + 1];

		w->image_of[i] = of;
		w->patch[i] = patch;
		if (of == UINT32_MAX)
			continue;
		if (of >= w->n_images ||
			patch >= w->image[of].n_rows * w->image[of].n_cols)
			return err_set(e, ERR_FORMAT,
				"%s: token %zu is patch %" PRId32
				" of image %u: there is no such patch",
				w->name, i, (int32_t)patch, of);
	}
	return 0;
}

static int
read_images(struct shard_windows *w, struct err *e)
{
	const struct tensor *bytes = tensors_find(w->tensors, "images"), *t;
	struct range any = {-1, UINT32_MAX - 1};
	uint32_t *ends, *grids, *pairs;

	if (bytes == NULL)
		return 0;
	if (bytes->dtype != DTYPE_U8 || bytes->rank != 1)
		return err_set(e, ERR_FORMAT, "%s: images is not (n_bytes) of U8",
			w->name);
	if (need(w, "image_ends", &t, e) < 0 ||
		shard_check_ints(w, t, t->n_values, 0, e) < 0 ||
		read_ints(w, t, (struct range){0, UINT32_MAX - 1}, &ends, e) < 0)
		return e->code;
	w->n_images = (uint32_t)t->n_values;
	if (need(w, "image_grids", &t, e) < 0 ||
		shard_check_ints(w, t, w->n_images, 2, e) < 0 ||
		read_ints(w, t, (struct range){1, 1 << 15}, &grids, e) < 0 ||
		place_images(w, bytes, ends, grids, e) < 0)
		return e->code;
	if (need(w, "image_patches", &t, e) < 0 ||
		shard_check_ints(w, t, t->n_values / 2, 2, e) < 0 ||
		read_ints(w, t, any, &pairs, e) < 0)
		return e->code;
	return place_patches(w, pairs, t->shape[0], e);
}

/* ---- the whole ------------------------------------------------------------------- */

int
shard_open(struct shard_windows *w, const struct source_shard *s, uint64_t n_documents,
	uint32_t patch_id, struct err *e)
{
	*w = (struct shard_windows){.tensors = s->tensors,
		.name = tensors_path(s->tensors),
		.first_begun = n_documents};
	arena_init(&w->arena, 0);
	/* images first: their patches have no ids to check */
	if (read_images(w, e) < 0 || read_tokens(w, patch_id, e) < 0)
		return e->code;
	if (read_windows(w, e) < 0 || number_documents(w, e) < 0 ||
		read_documents(w, e) < 0)
		return e->code;
	return read_text(w, e);
}

void
shard_clear(struct shard_windows *w)
{
	arena_clear(&w->arena);
}
