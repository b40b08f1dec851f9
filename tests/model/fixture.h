/* SPDX-License-Identifier: ISC */
/* What the tests of model/ share: the committed fixtures and their goldens. */
#ifndef TESTS_MODEL_FIXTURE_H
#define TESTS_MODEL_FIXTURE_H

#include "model/tensors.h"
#include "tests/util/scratch.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>

/* tests/model/data/NAME, in one of a few static buffers. */
static inline const char *
fixture(const char *name)
{
	static char path[4][PATH_BYTES];
	static size_t i;
	const char *src = getenv("srcdir");

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/tests/model/data/%s", src ? src : ".",
		name);
	return path[i];
}

/* The tensor of a golden file as new floats. */
static inline float *
golden(const struct tensors *t, const char *name, size_t *n)
{
	const struct tensor *x = tensors_find(t, name);
	struct err e = ERR_INIT;
	float *out;

	if (!x)
		fail_msg("no golden %s", name);
	out = mem_new(x->n_values, sizeof(*out));
	assert_int_equal(tensor_floats(x, out, true, &e), 0);
	if (n)
		*n = x->n_values;
	return out;
}

/* The largest |a - b| of a row over the row's norm of b, for (m, d) each. */
static inline double
worst_row(const float *a, const float *b, size_t m, size_t d)
{
	double worst = 0;

	for (size_t i = 0; i < m; i++) {
		double most = 0, norm = 0;

		for (size_t j = i * d; j < (i + 1) * d; j++) {
			double off = fabs((double)a[j] - (double)b[j]);

			most = off > most || isnan(off) ? off : most;
			norm += (double)b[j] * (double)b[j];
		}
		if (isnan(most))
			return most;
		norm = sqrt(norm) + 1e-30;
		worst = most / norm > worst ? most / norm : worst;
	}
	return worst;
}

/* Copies a fixture file into the scratch directory, changed by hand later. */
static inline void
copy_fixture(const char *from, const char *to)
{
	struct err e = ERR_INIT;
	struct buf b;

	if (file_read(fixture(from), (size_t)1 << 24, &b, &e) < 0)
		fail_msg("%s", e.text);
	put_file(at(to), b.data, b.n_bytes);
	buf_clear(&b);
}

/* Puts one string for another (once) in a scratch file. */
static inline void
edit_file(const char *name, const char *what, const char *by)
{
	struct err e = ERR_INIT;
	struct buf b, c;
	const char *s, *found;

	assert_int_equal(file_read(at(name), (size_t)1 << 24, &b, &e), 0);
	s = buf_str(&b);
	found = strstr(s, what);
	if (!found)
		fail_msg("%s has no %s", name, what);
	buf_init(&c);
	buf_put(&c, s, (size_t)(found - s));
	buf_puts(&c, by);
	buf_puts(&c, found + strlen(what));
	put_file(at(name), c.data, c.n_bytes);
	buf_clear(&b);
	buf_clear(&c);
}

#endif
