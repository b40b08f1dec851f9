/* SPDX-License-Identifier: ISC */
#include "analysis/recorded.h"

#include "model/lm_name.h"
#include "util/file.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

int
recorded_lacks(const char *key, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "the provenance lacks \"%s\"", key);
}

int
recorded_str(const struct value *map, const char *key, char *out, size_t size,
	struct err *e)
{
	const struct value *v = map != NULL ? value_get(map, key) : NULL;

	if (v == NULL || v->type != VALUE_STR || v->n >= size)
		return recorded_lacks(key, e);
	memcpy(out, v->str, v->n);
	out[v->n] = '\0';
	return 0;
}

int
recorded_u64(const struct value *map, const char *key, uint64_t *out, struct err *e)
{
	const struct value *v = map != NULL ? value_get(map, key) : NULL;
	char text[32], *end;
	int64_t i;

	if (v != NULL && value_as_int(v, &i) && i >= 0) {
		*out = (uint64_t)i;
		return 0;
	}
	if (recorded_str(map, key, text, sizeof(text), e) < 0) /* past 2^53 */
		return e->code;
	*out = strtoull(text, &end, 10);
	return *end == '\0' && end != text ? 0 : recorded_lacks(key, e);
}

/* ---- the same to the bit ---------------------------------------------------------- */

static int
same_hash(const char *what, const char *path, const uint8_t now[32],
	const char *recorded, struct err *e)
{
	char hex[65];

	hash_hex(now, 32, hex);
	if (strcmp(hex, recorded) == 0)
		return 0;
	return err_set(e, ERR_MISMATCH,
		"%s is not %s that was indexed: its SHA-256 is %s, recorded is %s",
		path, what, hex, recorded);
}

/* Where it is now: as it was named, or as it is recorded. */
static int
model_dir(char out[PATH_BYTES], const struct value *from, const char *dir,
	struct err *e)
{
	if (dir != NULL)
		return lm_name_find(out, dir, e);
	return recorded_str(from, "path", out, PATH_BYTES, e);
}

int
recorded_model(struct lm **lm, struct tok **tok, const struct value *provenance,
	const char *dir, const struct recorded_sha256 *catalog, struct err *e)
{
	const struct value *m = value_get(provenance, "model");
	const struct value *t = value_get(provenance, "tokenizer");
	char path[PATH_BYTES], recorded[65];
	uint8_t hash[32];

	if (recorded_str(m, "sha256", recorded, sizeof(recorded), e) < 0 ||
		model_dir(path, m, dir, e) < 0 || lm_open(lm, path, e) < 0 ||
		lm_sha256(*lm, hash, e) < 0 ||
		same_hash("the model", path, hash, recorded, e) < 0 ||
		same_hash("the model", path, hash, catalog->model, e) < 0)
		return e->code;
	if (recorded_str(t, "sha256", recorded, sizeof(recorded), e) < 0 ||
		model_dir(path, t, dir, e) < 0 || tok_open(tok, path, e) < 0 ||
		tok_sha256(*tok, hash, e) < 0 ||
		same_hash("the tokenizer", path, hash, recorded, e) < 0)
		return e->code;
	return same_hash("the tokenizer", path, hash, catalog->tokenizer, e);
}

static bool
is_set(const struct value *map, const char *key)
{
	const struct value *x = value_get(map, key);

	return x != NULL && x->type == VALUE_BOOL && x->boolean;
}

int
recorded_sae(struct sae **out, const struct value *from, const char *dir,
	const uint8_t hash[32], char *path, struct err *e)
{
	char recorded[65], hex[65], hook[96];
	struct sae_options options = {0};

	if (recorded_str(from, "path", path, PATH_BYTES, e) < 0 ||
		recorded_str(from, "hash", recorded, sizeof(recorded), e) < 0 ||
		recorded_str(from, "hook", hook, sizeof(hook), e) < 0)
		return e->code;
	options.hook = is_set(from, "hook_given") ? hook : NULL;
	options.saelens_rule = is_set(from, "saelens_rule");
	options.given.center = is_set(from, "center_given");
	options.given.constant_norm = is_set(from, "constant_norm_given");
	value_as_float(value_get(from, "scale_given"), &options.given.scale);
	if (dir == NULL)
		dir = path;
	hash_hex(hash, 32, hex);
	if (sae_open_with(out, dir, &options, e) < 0 ||
		same_hash("the SAE", dir, (*out)->hash, recorded, e) < 0)
		return e->code;
	return same_hash("the SAE", dir, (*out)->hash, hex, e);
}
