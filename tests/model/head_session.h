/* SPDX-License-Identifier: ISC */
/* What the tests of heads share: opening them, and files made by hand. */
#ifndef TESTS_MODEL_HEAD_SESSION_H
#define TESTS_MODEL_HEAD_SESSION_H

#include "tests/model/session.h"

static inline struct lm *
head(const char *dir)
{
	struct err e = ERR_INIT;
	struct lm *m = NULL;

	if (lm_open_head(&m, dir, &e) < 0)
		fail_msg("%s", e.text);
	assert_false(lm_can_run(m));
	return m;
}

static inline struct lm *
whole(const char *dir)
{
	struct err e = ERR_INIT;
	struct lm *m = NULL;

	if (lm_open(&m, dir, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(lm_can_run(m));
	return m;
}

static inline struct hook
hook_of(const char *name)
{
	struct err e = ERR_INIT;
	struct hook h;

	if (hook_parse(&h, name, &e) < 0)
		fail_msg("%s", e.text);
	return h;
}

/* The scratch directory holds nothing but this config.json. */
static inline void
only_config(const char *text)
{
	struct err e = ERR_INIT;

	assert_int_equal(dir_remove(scratch, &e), 0);
	assert_int_equal(dir_make(scratch, &e), 0);
	put_file(at("config.json"), text, strlen(text));
}

static inline void
only_config_of(const char *name)
{
	char path[128];

	only_config("");
	snprintf(path, sizeof(path), "%s/config.json", name);
	copy_fixture(path, "config.json");
}

/* model.safetensors: this header and n bytes of 0. */
static inline void
put_weights(const char *header, size_t n)
{
	struct buf b;

	buf_init(&b);
	buf_u64(&b, strlen(header));
	buf_puts(&b, header);
	for (size_t i = 0; i < n; i++)
		buf_put(&b, "", 1);
	put_file(at("model.safetensors"), b.data, b.n_bytes);
	buf_clear(&b);
}

static inline void
refuses(int code, const char *says)
{
	struct err e = ERR_INIT;
	struct lm *m = NULL;
	int rc = lm_open_head(&m, scratch, &e);

	if (rc == 0)
		lm_close(m);
	if (rc != code || !strstr(e.text, says))
		fail_msg("%d \"%s\", not %d with %s", rc, e.text, code, says);
	if (!strstr(e.text, scratch))
		fail_msg("\"%s\" does not name the file", e.text);
}

/* A tensor in the header of model.safetensors. */
#define T(name, dtype, shape, from, to) \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape \
	",\"data_offsets\":[" from "," to "]}"

#endif
