/* SPDX-License-Identifier: ISC */
#include "client/term.h"

#include "util/utf8.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool
wants_color(bool tty, enum term_color when)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when != COLOR_AUTO)
		return when == COLOR_ALWAYS;
	return tty && (none == NULL || none[0] == '\0') && term != NULL &&
		strcmp(term, "dumb") != 0;
}

/* A file has lines as long as they are, unless COLUMNS says otherwise. */
static int
columns(const struct term *t)
{
	const char *set = getenv("COLUMNS");
	int n = set != NULL ? atoi(set) : 0;
	struct winsize w;

	if (n <= 0 && t->tty)
		n = ioctl(fileno(t->out), TIOCGWINSZ, &w) == 0 && w.ws_col > 0
			? w.ws_col
			: 80;
	if (n <= 0)
		return 0;
	return n < 40 ? 40 : n;
}

void
term_init(struct term *t, FILE *out, enum term_color when)
{
	t->out = out;
	t->tty = isatty(fileno(out)) == 1;
	t->color = wants_color(t->tty, when);
	t->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	t->width = columns(t);
}

void
term_put(const struct term *t, enum style style, const char *s)
{
	static const char *const code[STYLE_N] = {
		[STYLE_PLAIN] = NULL,
		[STYLE_BOLD] = "1",
		[STYLE_DIM] = "2",
		[STYLE_ADDR] = "36",
		[STYLE_LABEL] = "33",
	};

	if (t->color && code[style] != NULL && s[0] != '\0')
		fprintf(t->out, "\033[%sm%s\033[0m", code[style], s);
	else
		fputs(s, t->out);
}

void
term_printf(const struct term *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(t->out, fmt, ap);
	va_end(ap);
}

void
term_text(const struct term *t, enum style style, const char *s)
{
	struct buf b;

	if (s == NULL)
		return;
	buf_init(&b);
	text_show(&b, s, strlen(s), t->utf8);
	if (buf_str(&b) != NULL)
		term_put(t, style, (const char *)b.data);
	buf_clear(&b);
}

void
term_fit(const struct term *t, enum style style, const char *s, size_t most)
{
	struct buf b;

	if (t->width == 0 || text_width(s, strlen(s)) <= most) {
		term_put(t, style, s);
		return;
	}
	buf_init(&b);
	buf_put(&b, s, text_fit(s, most - (t->utf8 ? 1 : 3)));
	buf_puts(&b, t->utf8 ? "\u2026" : "...");
	if (buf_str(&b) != NULL)
		term_put(t, style, (const char *)b.data);
	buf_clear(&b);
}

/* From the palette of 256 colours, pale to strong; black text is legible on all. */
void
term_shade(const struct term *t, double share)
{
	static const int ramp[] = {230, 229, 228, 222, 221, 215, 214, 208};
	int n = sizeof(ramp) / sizeof(*ramp), i = (int)(share * n);

	if (!t->color)
		return;
	if (!(share > 0))
		fputs("\033[0m", t->out);
	else
		fprintf(t->out, "\033[38;5;16;48;5;%dm", ramp[i < n ? i : n - 1]);
}

/* Characters that a terminal would act on, or that turn text around. */
static bool
is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x200e || cp == 0x200f ||
		(cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) ||
		cp == 0xfeff;
}

size_t
text_show_char(struct buf *out, const char *p, size_t n_bytes, bool utf8)
{
	uint32_t cp = 0;
	size_t len = utf8_next(p, n_bytes, &cp);

	if (len == 0) {
		buf_printf(out, "\\x%02X", (unsigned char)*p);
		return 1;
	}
	if (cp == '\n')
		buf_puts(out, utf8 ? "\u21b5" : "\\n");
	else if (cp == '\t')
		buf_puts(out, utf8 ? "\u21e5" : "\\t");
	else if (cp == '\r')
		buf_puts(out, "\\r");
	else if (cp < 0x80 && is_control(cp))
		buf_printf(out, "\\x%02X", (unsigned)cp);
	else if (is_control(cp) || (cp >= 0x80 && !utf8))
		buf_printf(out, "\\u%04X", (unsigned)cp);
	else
		buf_put(out, p, len);
	return len;
}

void
text_show(struct buf *out, const char *p, size_t n_bytes, bool utf8)
{
	for (size_t i = 0; i < n_bytes;)
		i += text_show_char(out, p + i, n_bytes - i, utf8);
}

size_t
text_width(const char *p, size_t n_bytes)
{
	size_t columns_taken = 0;

	for (size_t i = 0; i < n_bytes;) {
		uint32_t cp = 0;
		size_t len = utf8_next(p + i, n_bytes - i, &cp);

		columns_taken += len > 0 ? (size_t)utf8_width(cp) : 1;
		i += len > 0 ? len : 1;
	}
	return columns_taken;
}

size_t
text_fit(const char *s, size_t most)
{
	size_t n = strlen(s), i = 0, columns_taken = 0;

	while (i < n) {
		uint32_t cp = 0;
		size_t len = utf8_next(s + i, n - i, &cp), w;

		w = len > 0 ? (size_t)utf8_width(cp) : 1;
		if (columns_taken + w > most)
			break;
		columns_taken += w;
		i += len > 0 ? len : 1;
	}
	return i;
}

void
text_bar(struct buf *out, double share, int width, bool utf8)
{
	int eighths;

	if (!(share > 0))
		return;
	eighths = (int)(share * width * 8 + 0.5);
	if (eighths == 0)
		eighths = 1;
	for (; eighths >= 8; eighths -= 8)
		buf_puts(out, utf8 ? "\u2588" : "#");
	if (eighths > 0 && utf8)
		utf8_put(out, 0x2590u - (uint32_t)eighths); /* U+2589 to U+258F */
	else if (eighths >= 4 || (eighths > 0 && share * width < 1))
		buf_puts(out, "#");
}

void
text_spark(struct buf *out, double share, bool utf8)
{
	static const char ascii[] = "_.-:=+*#";
	int i = (int)(share * 8);

	if (i > 7)
		i = 7;
	if (!(share > 0))
		buf_puts(out, " ");
	else if (utf8)
		utf8_put(out, 0x2581u + (uint32_t)i);
	else
		buf_u8(out, (uint8_t)ascii[i]);
}
