/* SPDX-License-Identifier: ISC */
#include "model/tok_re.h"

#include "util/buf.h"
#include "util/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdbool.h>
#include <string.h>

#define PATTERN_MAX_BYTES 65536
#define JIT_STACK_FIRST_BYTES ((size_t)32 << 10)
#define JIT_STACK_MOST_BYTES ((size_t)16 << 20)

struct re {
	pcre2_code *code;
	bool jit;
};

struct re_work {
	pcre2_match_data *match;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

static void *
re_alloc(size_t n_bytes, void *unused)
{
	(void)unused;
	return mem_new(n_bytes, 1);
}

static void
re_release(void *p, void *unused)
{
	(void)unused;
	mem_free(p);
}

/* ---- from Oniguruma's syntax to PCRE2's --------------------------------- */

/* What an escaped letter becomes outside and inside of [ ], where it differs.
 * PCRE2's \s takes U+180E for white space, and its \w lacks marks. */
static const struct {
	char letter;
	const char *outside, *inside; /* inside NULL: cannot be said */
} escapes[] = {
	{'s', "\\p{White_Space}", "\\p{White_Space}"},
	{'S', "\\P{White_Space}", "\\P{White_Space}"},
	{'d', "\\p{Nd}", "\\p{Nd}"},
	{'D', "\\P{Nd}", "\\P{Nd}"},
	{'w', "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]",
		"\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"},
	{'W', "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]", NULL},
	{'h', "[0-9A-Fa-f]", "0-9A-Fa-f"},
	{'H', "[^0-9A-Fa-f]", NULL},
};

static bool
escape_put(struct buf *out, char letter, bool in_class)
{
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		const char *s = in_class ? escapes[i].inside : escapes[i].outside;

		if (escapes[i].letter != letter)
			continue;
		if (s)
			buf_puts(out, s);
		return s != NULL;
	}
	buf_u8(out, '\\');
	buf_u8(out, (uint8_t)letter);
	return true;
}

/* Constructs that mean something else in PCRE2, at p. NULL: none. */
static const char *
foreign(const char *p, size_t n, bool in_class)
{
	if (in_class && n >= 2 && memcmp(p, "&&", 2) == 0)
		return "an intersection of classes (&&)";
	if (in_class && p[0] == '[' && !(n >= 2 && p[1] == ':'))
		return "a class inside a class";
	if (!in_class && n >= 3 && memcmp(p, "(?m", 3) == 0)
		return "the option (?m)";
	if (!in_class && n >= 3 && memcmp(p, "(?~", 3) == 0)
		return "an absence (?~)";
	return NULL;
}

static int
translate(struct buf *out, const char *p, size_t n, struct err *e)
{
	bool in_class = false;
	size_t class_at = 0;

	for (size_t i = 0; i < n; i++) {
		const char *what = foreign(p + i, n - i, in_class);

		if (what)
			return err_set(e, ERR_UNSUPPORTED, "%s in \"%.*s\"", what,
				(int)n, p);
		if (p[i] == '\\' && i + 1 < n) {
			if (!escape_put(out, p[++i], in_class))
				return err_set(e, ERR_UNSUPPORTED,
					"\\%c in a class in \"%.*s\"", p[i], (int)n, p);
			continue;
		}
		buf_u8(out, (uint8_t)p[i]);
		if (!in_class && p[i] == '[') {
			in_class = true;
			class_at = i + (i + 1 < n && p[i + 1] == '^');
		} else if (in_class && p[i] == '[') { /* [:name:] */
			do
				buf_u8(out, (uint8_t)p[++i]);
			while (i + 1 < n && p[i] != ']');
		} else if (in_class && p[i] == ']' && i > class_at + 1) {
			in_class = false;
		}
	}
	return out->failed ? err_set(e, ERR_NOMEM, "memory ran out") : 0;
}

/* ---- compiling ---------------------------------------------------------- */

static int
compile(struct re **out, const char *p, size_t n, uint32_t options, struct err *e)
{
	pcre2_general_context *g =
		pcre2_general_context_create(re_alloc, re_release, NULL);
	pcre2_compile_context *c = g ? pcre2_compile_context_create(g) : NULL;
	struct re *r = mem_new(1, sizeof(*r));
	PCRE2_UCHAR text[128];
	PCRE2_SIZE at = 0;
	int code = 0, rc = 0;

	if (!c || !r) {
		rc = err_set(e, ERR_NOMEM, "memory ran out");
		goto out;
	}
	pcre2_set_newline(c, PCRE2_NEWLINE_LF);
	pcre2_set_bsr(c, PCRE2_BSR_UNICODE);
	r->code = pcre2_compile((PCRE2_SPTR)p, n, options, &code, &at, c);
	if (!r->code && code == PCRE2_ERROR_HEAP_FAILED) {
		rc = err_set(e, ERR_NOMEM, "memory ran out");
	} else if (!r->code) {
		pcre2_get_error_message(code, text, sizeof(text));
		rc = err_set(e, ERR_UNSUPPORTED, "%s at byte %zu of \"%.*s\"",
			(const char *)text, (size_t)at, (int)n, p);
	}
	if (rc < 0)
		goto out;
	r->jit = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0;
	*out = r;
	r = NULL;
out:
	re_free(r);
	pcre2_compile_context_free(c);
	pcre2_general_context_free(g);
	return rc;
}

int
re_new(struct re **out, const char *pattern, size_t n_bytes, struct err *e)
{
	struct buf b;
	int rc;

	if (n_bytes > PATTERN_MAX_BYTES)
		return err_set(e, ERR_LIMIT,
			"a regular expression of %zu bytes, at most %d", n_bytes,
			PATTERN_MAX_BYTES);
	buf_init(&b);
	rc = translate(&b, pattern, n_bytes, e);
	if (rc == 0)
		rc = compile(out, b.data ? (const char *)b.data : "", b.n_bytes,
			PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE |
				PCRE2_NEVER_BACKSLASH_C,
			e);
	buf_clear(&b);
	return rc;
}

int
re_new_literal(struct re **out, const char *text, size_t n_bytes, struct err *e)
{
	return compile(out, text, n_bytes, PCRE2_UTF | PCRE2_LITERAL, e);
}

void
re_free(struct re *r)
{
	if (!r)
		return;
	pcre2_code_free(r->code);
	mem_free(r);
}

/* ---- matching ----------------------------------------------------------- */

int
re_work_new(struct re_work **out, struct err *e)
{
	pcre2_general_context *g =
		pcre2_general_context_create(re_alloc, re_release, NULL);
	struct re_work *w = mem_new(1, sizeof(*w));

	if (g && w) {
		w->match = pcre2_match_data_create(1, g);
		w->context = pcre2_match_context_create(g);
		w->stack = pcre2_jit_stack_create(JIT_STACK_FIRST_BYTES,
			JIT_STACK_MOST_BYTES, g);
	}
	pcre2_general_context_free(g);
	if (!w || !w->match || !w->context) {
		re_work_free(w);
		return err_set(e, ERR_NOMEM, "memory ran out");
	}
	if (w->stack) /* else the 32 KiB on the machine's stack have to do */
		pcre2_jit_stack_assign(w->context, NULL, w->stack);
	*out = w;
	return 0;
}

void
re_work_free(struct re_work *w)
{
	if (!w)
		return;
	pcre2_match_data_free(w->match);
	pcre2_match_context_free(w->context);
	pcre2_jit_stack_free(w->stack);
	mem_free(w);
}

int
re_search(const struct re *r, struct re_work *w, const char *p, size_t n_bytes,
	size_t from, size_t *a, size_t *b, struct err *e)
{
	const PCRE2_SIZE *place = pcre2_get_ovector_pointer(w->match);
	int rc;

	if (r->jit)
		rc = pcre2_jit_match(r->code, (PCRE2_SPTR)p, n_bytes, from,
			PCRE2_NO_UTF_CHECK, w->match, w->context);
	else
		rc = pcre2_match(r->code, (PCRE2_SPTR)p, n_bytes, from,
			PCRE2_NO_UTF_CHECK, w->match, w->context);
	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	if (rc < 0)
		return err_set(e, ERR_LIMIT,
			"the tokenizer's regular expression gave up at byte %zu of "
			"a piece of %zu (PCRE2 error %d)",
			from, n_bytes, rc);
	*a = place[0];
	*b = place[1];
	return 1;
}
