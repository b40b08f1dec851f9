/* SPDX-License-Identifier: ISC */
/* The method table, and doc/protocol.md against it: the same methods, parameters,
 * types, defaults and bounds, in the same order, and the same error codes. */
#include "schema/method.h"

#include "util/err.h"
#include "util/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf doc;

static int
read_doc(void **state)
{
	const char *dir = getenv("srcdir");
	char path[PATH_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	buf_init(&doc);
	if (path_join(path, &e, "%s/doc/protocol.md", dir != NULL ? dir : ".") < 0)
		return -1;
	if (file_read(path, 1 << 20, &doc, &e) < 0 || buf_str(&doc) == NULL)
		fprintf(stderr, "%s\n", e.text);
	return doc.data == NULL ? -1 : 0;
}

static int
drop_doc(void **state)
{
	(void)state;
	buf_clear(&doc);
	return 0;
}

/* ---- reading the document ------------------------------------------------ */

struct told { /* a parameter as the document has it */
	char name[64], type[16], preset[64], rest[512];
	bool required;
};

/* Copies what stands in (...) at s, parentheses inside included; returns what is
 * behind it. */
static const char *
in_parens(const char *s, char *out, size_t cap)
{
	size_t n = 0;

	for (int depth = 0; *s != '\0'; s++) {
		depth += *s == '(' ? 1 : *s == ')' ? -1 : 0;
		if (depth == 0)
			return s + 1;
		if ((depth > 1 || *s != '(') && n + 1 < cap)
			out[n++] = *s == '\n' ? ' ' : *s;
		out[n] = '\0';
	}
	return s;
}

static void
split(struct told *t, const char *inside)
{
	size_t n = strspn(inside, "abcdefghijklmnopqrstuvwxyz");

	snprintf(t->type, sizeof(t->type), "%.*s", (int)n, inside);
	inside += n;
	t->preset[0] = '\0';
	if (!t->required && strncmp(inside, ", ", 2) == 0) {
		inside += 2;
		n = strcspn(inside, ",:;");
		snprintf(t->preset, sizeof(t->preset), "%.*s", (int)n, inside);
		inside += n;
	}
	snprintf(t->rest, sizeof(t->rest), "%s", inside);
}

/* The next `name`* (...) of the paragraph's first sentence, which is about the
 * parameters. */
static bool
next_told(const char **at, struct told *t)
{
	char inside[512];
	const char *s = *at, *end;

	for (; *s != '\0' && strncmp(s, "\n\n", 2) != 0; s++) {
		if (*s == '.' && (s[1] == ' ' || s[1] == '\n'))
			return false;
		if (*s == '(')
			s = in_parens(s, inside, sizeof(inside)) - 1;
		if (*s != '`' || (end = strchr(s + 1, '`')) == NULL)
			continue;
		snprintf(t->name, sizeof(t->name), "%.*s", (int)(end - s - 1), s + 1);
		t->required = end[1] == '*';
		s = end + 1 + t->required;
		if ((*s != ' ' && *s != '\n') || s[1] != '(')
			return false; /* a result */
		*at = in_parens(s + 1, inside, sizeof(inside));
		split(t, inside);
		return true;
	}
	return false;
}

static const char *
section(const char *name)
{
	char head[96];
	const char *s;

	snprintf(head, sizeof(head), "\n### %s\n", name);
	s = strstr((char *)doc.data, head);
	return s != NULL ? s + strlen(head) : NULL;
}

/* ---- tests --------------------------------------------------------------- */

static void
compare(const struct method *m, const struct param *p, const struct told *t)
{
	double lo, hi;

	if (strcmp(p->name, t->name) != 0)
		fail_msg("%s: %s in the table, %s in the document", m->name, p->name,
			t->name);
	if (strcmp(param_type_name(p->type), t->type) != 0)
		fail_msg("%s: %s is %s in the table, %s in the document", m->name,
			p->name, param_type_name(p->type), t->type);
	if (p->required != t->required)
		fail_msg("%s: is %s required?", m->name, p->name);
	if (!p->required &&
		strcmp(p->preset != NULL ? p->preset : "nil", t->preset) != 0)
		fail_msg("%s: %s defaults to %s in the table, %s in the document",
			m->name, p->name, p->preset, t->preset);
	if (sscanf(t->rest, ", %lf to %lf", &lo, &hi) == 2 &&
		(lo != p->min || hi != p->max))
		fail_msg("%s: %s goes from %g to %g in the table, %g to %g in the "
			 "document",
			m->name, p->name, p->min, p->max, lo, hi);
}

static void
test_document_has_the_table(void **state)
{
	struct told t;

	(void)state;
	for (size_t i = 0; i < method_n; i++) {
		const struct method *m = &method_table[i];
		const char *at = section(m->name);

		if (at == NULL)
			fail_msg("%s is not in doc/protocol.md", m->name);
		for (size_t j = 0; j < m->n_params; j++) {
			if (!next_told(&at, &t))
				fail_msg("%s: %s is not in the document", m->name,
					m->param[j].name);
			compare(m, &m->param[j], &t);
		}
		if (next_told(&at, &t))
			fail_msg("%s: %s is not in the table", m->name, t.name);
	}
}

static void
test_table_has_the_document(void **state)
{
	size_t n = 0;

	(void)state;
	for (const char *s = (char *)doc.data; (s = strstr(s, "\n### ")) != NULL; n++) {
		s += 5;
		if (method_find(s, strcspn(s, "\n")) < 0)
			fail_msg("%.*s is not in the table", (int)strcspn(s, "\n"), s);
	}
	assert_int_equal(n, method_n);
}

static void
test_document_has_the_codes(void **state)
{
	char row[64];
	size_t n = 0;

	(void)state;
	for (int code = ERR_NOMEM; code >= ERR_INTERNAL; code--) {
		snprintf(row, sizeof(row), "\n| %d | %s | ", code, err_name(code));
		if (strstr((char *)doc.data, row) == NULL)
			fail_msg("no row \"%s\" in doc/protocol.md", row + 1);
	}
	for (const char *s = (char *)doc.data; (s = strstr(s, "\n| -")) != NULL; s++)
		n++;
	assert_int_equal(n, -ERR_INTERNAL);
}

static void
test_rows_are_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < method_n; i++) {
		const struct method *m = &method_table[i];

		assert_true(m->n_params <= METHOD_MAX_PARAMS);
		assert_int_equal(method_find(m->name, strlen(m->name)), (int)i);
		assert_true(m->doc[0] != '\0' && strchr(m->doc, '\n') == NULL);
		for (size_t j = 0; j < m->n_params; j++) {
			const struct param *p = &m->param[j];

			assert_true(p->min <= p->max && !isnan(p->min));
			assert_true(p->doc[0] != '\0');
			assert_true(!p->required || p->preset == NULL);
			if (j > 0)
				assert_true(!p->required || m->param[j - 1].required);
		}
	}
}

static void
test_find(void **state)
{
	(void)state;
	assert_int_equal(method_find("server.ping", 11), 0);
	assert_int_equal(method_find("server.pin", 10), -1);
	assert_int_equal(method_find("server.ping ", 12), -1);
	assert_int_equal(method_find("", 0), -1);
	assert_int_equal(method_find("feature.neighbours", 18),
		method_find("feature.neighbors", 17));
	assert_true(method_find("vector.neighbours", 17) > 0);
	assert_int_equal(method_find("neighbours", 10), -1);
	assert_int_equal(method_find("server.neighbours", 17), -1);
	assert_int_equal(method_find(".neighbours", 11), -1);
	/* bytes of a request: they end where they are said to */
	assert_int_equal(method_find("server.ping\0x.neighbours", 24), -1);
	assert_int_equal(method_find("feature.neighboursx", 18),
		method_find("feature.neighbors", 17));
	assert_string_equal(method_spelling("n_neighbors", 11), "k");
	assert_null(method_spelling("k", 1));
	assert_string_equal(param_type_name(PARAM_ANY), "any");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document_has_the_table),
		cmocka_unit_test(test_table_has_the_document),
		cmocka_unit_test(test_document_has_the_codes),
		cmocka_unit_test(test_rows_are_sound),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, read_doc, drop_doc);
}
