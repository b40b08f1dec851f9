/* SPDX-License-Identifier: ISC */
#include "model/release_int.h"

#include "model/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A layer of a cross-layer transcoder: where others have a path this has its number. */
#define CLT_LAYER "mntss_clt_layer_transcoder"

/* What SAELens' loaders need to know beyond where it lies. */
static const struct loader {
	const char *name;
	bool is_file; /* an id is a file, not a folder */
	const char *beside; /* what else the file needs */
	const char *site; /* where it reads if a file that may be missing tells */
	const char *refused; /* why it does not load */
} loaders[] = {
	{"mwhanna_transcoder", true, " config.yaml", "mlp.hook_in", NULL},
	{"qwen_scope", true, "", NULL, NULL},
	{"goodfire", true, "", NULL, NULL},
	{"deepseek_r1", true, "", NULL, NULL},
	{"connor_rob_hook_z", true, "", NULL,
		"its files, NAME.pt beside NAME_cfg.json, are of no family that saedb "
		"knows"},
	{CLT_LAYER, true, " config.yaml", NULL, NULL},
	{"temporal", false, "", NULL,
		"a feature depends on the tokens before as well (temporal)"},
};

static const struct loader *
loader_of(const struct release *r)
{
	static const struct loader plain = {"", false, "", NULL, NULL};

	for (size_t i = 0; i < sizeof(loaders) / sizeof(loaders[0]); i++)
		if (strcmp(loaders[i].name, r->loader) == 0)
			return &loaders[i];
	return &plain;
}

const struct release *
release_at(size_t i)
{
	return i < release_count ? &release_table[i] : NULL;
}

const char *
release_name(const struct release *r)
{
	return r->name;
}

const char *
release_repo(const struct release *r)
{
	return r->repo;
}

/* ---- rows ----------------------------------------------------------------- */

#define MAX_BRACES 4

/* The braces of an id's pattern. */
struct braces {
	const char *at[MAX_BRACES]; /* behind the { */
	size_t n_choices[MAX_BRACES];
	size_t n;
};

static bool
is_range(const char *list)
{
	return list[strspn(list, "0123456789")] == '-';
}

static size_t
n_words(const char *list)
{
	size_t n = 1;
	char *end;

	if (is_range(list)) {
		size_t first = strtoul(list, &end, 10);

		return strtoul(end + 1, NULL, 10) - first + 1;
	}
	for (; *list && !strchr("}>", *list); list++)
		n += *list == ',';
	return n;
}

/* Appends word i of a list. */
static size_t
put_word(char out[RELEASE_TEXT_BYTES], size_t at, const char *list, size_t i)
{
	size_t n;

	if (is_range(list))
		n = (size_t)snprintf(out + at, RELEASE_TEXT_BYTES - at, "%zu",
			strtoul(list, NULL, 10) + i);
	else {
		for (; i > 0; i--)
			list += strcspn(list, ",") + 1;
		n = (size_t)snprintf(out + at, RELEASE_TEXT_BYTES - at, "%.*s",
			(int)strcspn(list, ",}>"), list);
	}
	return at + n < RELEASE_TEXT_BYTES ? at + n : RELEASE_TEXT_BYTES - 1;
}

/* How many ids a row stands for. */
static size_t
row_count(const struct release_row *row, struct braces *b)
{
	size_t n = 1;

	b->n = 0;
	for (const char *p = strchr(row->id, '{'); p && b->n < MAX_BRACES;
		p = strchr(p + 1, '{')) {
		b->at[b->n] = p + 1;
		b->n_choices[b->n] = n_words(p + 1);
		n *= b->n_choices[b->n++];
	}
	return n;
}

/* A pattern with the choices of one id put in; i is its number in the row. */
static void
expand(char out[RELEASE_TEXT_BYTES], const char *pattern, bool is_path,
	const struct braces *b, size_t i)
{
	size_t choice[MAX_BRACES], rest = i, at = 0, next = 0;

	for (size_t k = b->n; k-- > 0; rest /= b->n_choices[k])
		choice[k] = rest % b->n_choices[k];
	for (const char *p = pattern; *p && at < RELEASE_TEXT_BYTES - 1; p++) {
		if (*p == '{') {
			size_t k = is_path ? (size_t)(p[1] - '1') : next++;

			at = put_word(out, at, b->at[k], choice[k]);
		} else if (*p == '<') {
			at = put_word(out, at, p + 1, i);
		} else {
			out[at++] = *p;
			continue;
		}
		p += strcspn(p, "}>");
	}
	out[at] = '\0';
}

bool
release_sae_at(const struct release *r, size_t i, struct release_sae *out)
{
	for (size_t k = 0; k < r->n_rows; k++) {
		const struct release_row *row = &release_rows[r->first_row + k];
		bool same = strcmp(row->path, "=") == 0;
		char scale[RELEASE_TEXT_BYTES] = "";
		struct braces b;
		size_t n = row_count(row, &b);

		if (i >= n) {
			i -= n;
			continue;
		}
		expand(out->id, row->id, false, &b, i);
		expand(out->path, same ? row->id : row->path, !same, &b, i);
		if (row->scales)
			put_word(scale, 0, row->scales, i);
		out->given = (struct sae_given){
			.center = r->flags & RELEASE_CENTER,
			.constant_norm = r->flags & RELEASE_CONSTANT_NORM,
			.scale = strtod(scale, NULL),
			.site = loader_of(r)->site,
		};
		return true;
	}
	return false;
}

/* ---- near names ------------------------------------------------------------- */

#define NEAR 3

/* Letters to change, drop or add to make b of a, whatever their case. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[RELEASE_TEXT_BYTES + 1], m = strlen(b), n = strlen(a);

	if (n >= RELEASE_TEXT_BYTES || m >= RELEASE_TEXT_BYTES)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t put =
				diagonal + (strncasecmp(a + i - 1, b + j - 1, 1) != 0);
			size_t least = row[j] < row[j - 1] ? row[j] : row[j - 1];

			diagonal = row[j];
			row[j] = put < least + 1 ? put : least + 1;
		}
	}
	return row[m];
}

/* The names that are nearest to what was asked for. */
struct near {
	const char *asked;
	char name[NEAR][RELEASE_TEXT_BYTES];
	size_t distance[NEAR];
	size_t n;
};

static void
near_add(struct near *l, const char *name)
{
	size_t d = distance(l->asked, name), at = l->n;

	/* what was asked for may be the beginning of it, or a part */
	if (l->asked[0] && strstr(name, l->asked))
		d /= 4;
	while (at > 0 && d < l->distance[at - 1])
		at--;
	if (at == NEAR)
		return;
	l->n += l->n < NEAR;
	for (size_t i = l->n - 1; i > at; i--) {
		memcpy(l->name[i], l->name[i - 1], RELEASE_TEXT_BYTES);
		l->distance[i] = l->distance[i - 1];
	}
	snprintf(l->name[at], RELEASE_TEXT_BYTES, "%s", name);
	l->distance[at] = d;
}

/* "a, b or c", of those at most so far; "" when there is none. */
static void
near_text(const struct near *l, size_t most, char out[RELEASE_TEXT_BYTES * NEAR])
{
	size_t n = 0, at = 0;

	while (n < l->n && l->distance[n] <= most)
		n++;
	out[0] = '\0';
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(out + at, RELEASE_TEXT_BYTES * NEAR - at, "%s%s",
			i == 0               ? ""
				: i + 1 == n ? " or "
					     : ", ",
			l->name[i]);
}

/* ---- names ------------------------------------------------------------------- */

/* RELEASE[@REVISION][:ID] in parts; id is NULL without a colon. */
struct parts {
	char copy[PATH_BYTES];
	const char *release, *revision, *id;
};

static int
split(struct parts *s, const char *name, struct err *e)
{
	char *colon, *at;
	int rc = path_join(s->copy, e, "%s", name);

	if (rc < 0)
		return rc;
	colon = strchr(s->copy, ':');
	if (colon)
		*colon = '\0';
	at = strchr(s->copy, '@');
	if (at)
		*at = '\0';
	s->release = s->copy;
	s->revision = at ? at + 1 : NULL;
	s->id = colon ? colon + 1 : NULL;
	return 0;
}

static const struct release *
find_release(const char *name)
{
	for (size_t i = 0; i < release_count; i++)
		if (strcmp(release_table[i].name, name) == 0)
			return &release_table[i];
	return NULL;
}

/* After hub_find() failed, which spoke of a repository. */
static int
no_release(const struct parts *s, struct err *e)
{
	char text[RELEASE_TEXT_BYTES * NEAR], said[sizeof(e->text)];
	struct near l = {.asked = s->release};

	if (!e || strchr(s->release, '/'))
		return ERR_NOTFOUND;
	for (size_t i = 0; i < release_count; i++)
		near_add(&l, release_table[i].name);
	near_text(&l, strlen(s->release) / 3 + 1, text);
	snprintf(said, sizeof(said), "%s", e->text);
	if (text[0])
		return err_set(e, ERR_NOTFOUND,
			"%s; SAELens' releases that are near: %s", said, text);
	return err_set(e, ERR_NOTFOUND, "%s; and no release of SAELens' is called so",
		said);
}

static int
no_id(const struct release *r, const struct parts *s, struct err *e)
{
	char text[RELEASE_TEXT_BYTES * NEAR];
	struct near l = {.asked = s->id ? s->id : ""};
	struct release_sae sae;
	size_t n;

	for (n = 0; release_sae_at(r, n, &sae); n++)
		near_add(&l, sae.id);
	near_text(&l, SIZE_MAX, text);
	if (!s->id)
		return err_set(e, ERR_ARG,
			"%s is a release of %zu SAEs of SAELens': name one as "
			"%s:ID, such as %s",
			r->name, n, r->name, text);
	return err_set(e, ERR_NOTFOUND,
		"%s has no \"%s\" among its %zu SAEs; near are %s", r->name, s->id, n,
		text);
}

static int
find_id(const struct release *r, const struct parts *s, struct release_sae *out,
	struct err *e)
{
	for (size_t i = 0; s->id && release_sae_at(r, i, out); i++)
		if (strcmp(out->id, s->id) == 0)
			return 0;
	return no_id(r, s, e);
}

static int
locate(struct release_found *out, const struct release *r, const struct parts *s,
	const struct release_sae *sae, struct err *e)
{
	const struct loader *loader = loader_of(r);
	char want[PATH_BYTES], part[PATH_BYTES];
	struct hub_place p = {.repo = r->repo,
		.revision = s->revision,
		.part = part,
		.want = want};
	bool layer = strcmp(loader->name, CLT_LAYER) == 0;
	int rc;

	if (loader->refused)
		return err_set(e, ERR_UNSUPPORTED, "%s:%s is not supported: %s",
			r->name, sae->id, loader->refused);
	rc = path_join(part, e, "%s%s%s", layer ? "W_enc_" : "", sae->path,
		layer ? ".safetensors" : "");
	if (rc == 0 && layer)
		rc = path_join(want, e, "%s W_dec_%s.safetensors%s", part, sae->path,
			loader->beside);
	else if (rc == 0 && loader->is_file)
		rc = path_join(want, e, "\"%s\"%s", part, loader->beside);
	else if (rc == 0)
		rc = path_join(want, e, "--include \"%s/*\"", part);
	if (rc == 0)
		rc = hub_locate(out->path, &p, e);
	return rc < 0 ? err_wrap(e, "%s:%s", r->name, sae->id) : 0;
}

int
release_find(struct release_found *out, const char *name, struct err *e)
{
	const struct release *r;
	struct release_sae sae;
	struct parts s;
	int rc = split(&s, name, e);

	*out = (struct release_found){.name = ""};
	if (rc < 0)
		return rc;
	r = file_exists(name) ? NULL : find_release(s.release);
	if (!r) {
		rc = hub_find(out->path, name, e);
		return rc == ERR_NOTFOUND ? no_release(&s, e) : rc;
	}
	rc = find_id(r, &s, &sae, e);
	if (rc == 0)
		rc = locate(out, r, &s, &sae, e);
	if (rc < 0)
		return rc;
	out->given = sae.given;
	snprintf(out->name, sizeof(out->name), "%s:%s", r->name, sae.id);
	return 0;
}
