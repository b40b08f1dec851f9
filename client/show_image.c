/* SPDX-License-Identifier: ISC */
/* Tokens that are patches of images, as words; and the files of images. */
#include "client/cli.h"
#include "client/fmt.h"
#include "util/file.h"
#include "util/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_SHOWN 8 /* of an image's digits: enough to ask for it */
#define FIRED_SHOWN 6 /* patches named at most */

static void
put_hash(struct buf *b, const char *image)
{
	text_show(b, image, strnlen(image, HASH_SHOWN), false);
}

void
put_patch_name(struct buf *b, const struct saedb_value *patch)
{
	buf_puts(b, "[");
	put_hash(b, str_of(patch, "image", "?"));
	buf_printf(b, " %" PRId64 ",%" PRId64 "]", int_of(patch, "row"),
		int_of(patch, "col"));
}

/* ---- all patches of one image in an example --------------------------------- */

struct fired {
	const struct saedb_value *patch;
	double value;
};

static int
by_value(const void *a, const void *b)
{
	const struct fired *x = a, *y = b;

	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return x->patch < y->patch ? -1 : x->patch > y->patch;
}

/* Those that fire, strongest first. new: mem_free(); NULL without memory. */
static struct fired *
fired_of(const struct saedb_value *row, const char *image, size_t *n)
{
	const struct saedb_value *list = saedb_get(row, "patches");
	const struct saedb_value *values = saedb_get(row, "values");
	struct fired *x = mem_new(saedb_length(list), sizeof(*x));

	*n = 0;
	for (size_t i = 0; x != NULL && i < saedb_length(list); i++) {
		const struct saedb_value *patch = saedb_at(list, i);
		size_t at = (size_t)(int_of(patch, "token") - int_of(row, "first"));
		double value = saedb_float(saedb_at(values, at), 0);

		if (value > 0 && strcmp(str_of(patch, "image", ""), image) == 0)
			x[(*n)++] = (struct fired){patch, value};
	}
	if (*n > 1)
		qsort(x, *n, sizeof(*x), by_value);
	return x;
}

double
put_patches(struct buf *b, const struct saedb_value *row,
	const struct saedb_value *patch)
{
	const char *image = str_of(patch, "image", "?");
	double most = 0;
	size_t n;
	struct fired *x = fired_of(row, image, &n);

	buf_puts(b, "[image ");
	put_hash(b, image);
	if (n > 0) {
		patch = x[0].patch;
		most = x[0].value;
		buf_printf(b, " patch %" PRId64 ",%" PRId64, int_of(patch, "row"),
			int_of(patch, "col"));
	}
	buf_printf(b, " of %" PRId64 "x%" PRId64 "]", int_of(patch, "n_rows"),
		int_of(patch, "n_cols"));
	if (n > 0)
		buf_printf(b, " %s", fmt_value(most).s);
	for (size_t i = 1; i < n && i < FIRED_SHOWN; i++)
		buf_printf(b, "; %" PRId64 ",%" PRId64 " %s", int_of(x[i].patch, "row"),
			int_of(x[i].patch, "col"), fmt_value(x[i].value).s);
	if (n > FIRED_SHOWN)
		buf_printf(b, "; %zu more", n - FIRED_SHOWN);
	mem_free(x);
	return most;
}

/* ---- saedb image ------------------------------------------------------------- */

static int
write_image(struct cli *c, const char *path, const struct saedb_value *r)
{
	size_t n_bytes = 0;
	const void *bytes = saedb_bin(saedb_get(r, "bytes"), &n_bytes);

	if (bytes == NULL)
		return err_set(&c->err, ERR_FORMAT, "the answer holds no image");
	if (path != NULL)
		return file_write_atomic(path, bytes, n_bytes, &c->err);
	fwrite(bytes, 1, n_bytes, c->term.out);
	return 0;
}

int
run_image(struct cli *c)
{
	const char *path = cli_option(c, "output");
	struct saedb_reply *r = NULL;
	struct saedb_args *a = NULL;
	int rc = 0;

	if (path != NULL && strcmp(path, "-") == 0)
		path = NULL;
	if (path == NULL && c->term.tty && !c->json)
		rc = cli_usage(c,
			"an image is bytes, which a terminal cannot show; "
			"-o FILE writes it to a file");
	if (rc == 0)
		rc = cli_args(c, &a);
	if (rc == 0)
		rc = cli_call(c, "image.get", a, &r);
	if (rc == 0 && c->json)
		show_json(c, saedb_result(r));
	else if (rc == 0)
		rc = write_image(c, path, saedb_result(r));
	saedb_reply_free(r);
	saedb_args_free(a);
	return rc != 0 ? rc : c->err.code;
}
