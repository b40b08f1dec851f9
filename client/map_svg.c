/* SPDX-License-Identifier: ISC */
#include "client/map_svg.h"

#include "client/cli.h"
#include "util/mem.h"
#include "util/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 1000.0
#define HEIGHT 760.0
#define LEFT 28.0 /* of what is drawn on */
#define TOP 78.0
#define RIGHT (WIDTH - 28.0)
#define BOTTOM (HEIGHT - 52.0)
#define INSET 34.0 /* of points, from its edge */
#define FONT 11.0
#define LABEL_COLUMNS 34u
#define HEAD_COLUMNS 60u

/* Okabe and Ito's colors, which the color-blind tell apart; then again. */
static const char *const palette[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
	"#E69F00", "#56B4E9", "#000000"};
#define N_COLORS (sizeof(palette) / sizeof(palette[0]))

struct box {
	double x0, y0, x1, y1;
};
struct dot {
	double x, y, r;
	int64_t cluster; /* -1: none */
	size_t sae; /* in picture.sae */
	const char *label; /* or NULL */
	const struct saedb_value *row;
};
struct picture {
	struct buf *b;
	const struct saedb_value *map;
	struct dot *dot; /* (n), the middle first */
	size_t n;
	const char *sae[N_COLORS]; /* (n_saes) those after are drawn as the last */
	size_t n_saes;
	struct box *taken; /* (n_taken) labels that are placed */
	size_t n_taken;
};

/* ---- text ------------------------------------------------------------------------ */

/* What XML cannot hold, and what turns the order of text around, is replaced. */
static void
put_char(struct buf *b, const char *p, size_t n, uint32_t cp)
{
	if (cp == '<')
		buf_puts(b, "&lt;");
	else if (cp == '>')
		buf_puts(b, "&gt;");
	else if (cp == '&')
		buf_puts(b, "&amp;");
	else if (cp == '"')
		buf_puts(b, "&quot;");
	else if (cp < ' ' || (cp >= 0x7f && cp < 0xa0))
		buf_puts(b, " ");
	else if (cp >= 0xfffe || (cp >= 0x200e && cp <= 0x200f) ||
		(cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069))
		buf_puts(b, cp > 0xffff ? "" : "\xef\xbf\xbd");
	else
		buf_put(b, p, n);
}

static void
put_text(struct buf *b, const char *s, size_t columns)
{
	size_t n = strlen(s), at = 0, width = 0;

	while (at < n) {
		uint32_t cp;
		size_t n_char = utf8_next(s + at, n - at, &cp);
		int w;

		if (n_char == 0) {
			n_char = 1;
			cp = 0xfffd;
		}
		w = utf8_width(cp);
		width += w > 0 ? (size_t)w : 0;
		if (width > columns) {
			buf_puts(b, "\xe2\x80\xa6");
			return;
		}
		if (cp > 0xffff) /* all of them are fine in XML */
			buf_put(b, s + at, n_char);
		else
			put_char(b, s + at, n_char, cp);
		at += n_char;
	}
}

/* How wide it will be, on the safe side for common fonts. */
static double
wide(const char *s, size_t columns, double font)
{
	size_t n = text_width(s, strlen(s));

	return (double)(n > columns ? columns + 1 : n) * font * 0.56;
}

/* ---- what is where ------------------------------------------------------------------ */

static size_t
color_of(struct picture *p, const char *sae)
{
	for (size_t i = 0; i < p->n_saes; i++)
		if (strcmp(p->sae[i], sae) == 0)
			return i;
	if (p->n_saes == N_COLORS)
		return N_COLORS - 1;
	p->sae[p->n_saes] = sae;
	return p->n_saes++;
}

static double
radius_of(const struct saedb_value *row)
{
	double density = saedb_float(saedb_get(row, "density"), 0);
	double r = 3.2 + 40 * sqrt(density > 0 ? density : 0);

	return r < 11 ? r : 11;
}

/* The layout's directions mean nothing: its longest goes from left to right. */
struct turned {
	double x, y, cos, sin; /* the middle, and the direction */
};

static struct turned
main_axis(const struct saedb_value *list)
{
	double n = (double)saedb_length(list), xx = 0, xy = 0, yy = 0, angle;
	struct turned t = {0};

	for (size_t i = 0; i < saedb_length(list); i++) {
		t.x += float_of(saedb_at(list, i), "x") / n;
		t.y += float_of(saedb_at(list, i), "y") / n;
	}
	for (size_t i = 0; i < saedb_length(list); i++) {
		double x = float_of(saedb_at(list, i), "x") - t.x;
		double y = float_of(saedb_at(list, i), "y") - t.y;

		xx += x * x;
		xy += x * y;
		yy += y * y;
	}
	angle = atan2(2 * xy, xx - yy) / 2;
	t.cos = cos(angle);
	t.sin = sin(angle);
	return t;
}

static void
read_dot(struct picture *p, size_t i, const struct saedb_value *row,
	const struct turned *t)
{
	double x = float_of(row, "x") - t->x, y = float_of(row, "y") - t->y;

	p->dot[i] = (struct dot){.x = x * t->cos + y * t->sin,
		.y = y * t->cos - x * t->sin,
		.r = radius_of(row),
		.cluster = saedb_int(saedb_get(row, "cluster"), -1),
		.sae = color_of(p, str_of(row, "sae", "?")),
		.label = saedb_str(saedb_get(row, "label"), NULL),
		.row = row};
}

/* To where it is drawn on, in one scale. */
static void
fit(struct picture *p)
{
	struct box at = {INFINITY, INFINITY, -INFINITY, -INFINITY};
	double scale;

	for (size_t i = 0; i < p->n; i++)
		at = (struct box){fmin(at.x0, p->dot[i].x), fmin(at.y0, p->dot[i].y),
			fmax(at.x1, p->dot[i].x), fmax(at.y1, p->dot[i].y)};
	scale = fmin((RIGHT - LEFT - 2 * INSET) / fmax(at.x1 - at.x0, 1e-3),
		(BOTTOM - TOP - 2 * INSET) / fmax(at.y1 - at.y0, 1e-3));
	for (size_t i = 0; i < p->n; i++) {
		struct dot *d = &p->dot[i];

		d->x = (LEFT + RIGHT) / 2 + scale * (d->x - (at.x0 + at.x1) / 2);
		d->y = (TOP + BOTTOM) / 2 - scale * (d->y - (at.y0 + at.y1) / 2);
	}
}

static int
read_dots(struct picture *p, struct err *e)
{
	const struct saedb_value *list = saedb_get(p->map, "points");
	struct turned t = main_axis(list);

	p->n = saedb_length(list);
	p->dot = mem_new(p->n, sizeof(*p->dot));
	p->taken = mem_new(2 * p->n, sizeof(*p->taken));
	if (p->dot == NULL || p->taken == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a picture");
	if (p->n == 0)
		return err_set(e, ERR_FORMAT, "the answer has no points");
	for (size_t i = 0; i < p->n; i++)
		read_dot(p, i, saedb_at(list, i), &t);
	fit(p);
	return 0;
}

/* ---- clusters: a light hull around each that has a name -------------------------------- */

struct corner {
	double x, y;
};

static int
by_place(const void *a, const void *b)
{
	const struct corner *p = a, *q = b;

	if (p->x != q->x)
		return p->x < q->x ? -1 : 1;
	return p->y < q->y ? -1 : p->y > q->y;
}

static double
turn(const struct corner *o, const struct corner *a, const struct corner *b)
{
	return (a->x - o->x) * (b->y - o->y) - (a->y - o->y) * (b->x - o->x);
}

/* Andrew's chains: from x (n), sorted here, into hull (2 n). */
static size_t
hull_of(struct corner *x, size_t n, struct corner *hull)
{
	size_t m = 0, lower;

	qsort(x, n, sizeof(*x), by_place);
	for (size_t i = 0; i < n; i++) {
		while (m >= 2 && turn(&hull[m - 2], &hull[m - 1], &x[i]) <= 0)
			m--;
		hull[m++] = x[i];
	}
	lower = m + 1;
	for (size_t i = n - 1; i-- > 0;) {
		while (m >= lower && turn(&hull[m - 2], &hull[m - 1], &x[i]) <= 0)
			m--;
		hull[m++] = x[i];
	}
	return m > 1 ? m - 1 : m;
}

static int
put_hull(struct picture *p, size_t cluster, struct err *e)
{
	struct corner *x = mem_new(3 * p->n, sizeof(*x)), *hull = x + p->n;
	size_t n = 0;

	if (x == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a picture");
	for (size_t i = 0; i < p->n; i++)
		if (p->dot[i].cluster == (int64_t)cluster)
			x[n++] = (struct corner){p->dot[i].x, p->dot[i].y};
	if (n > 0) {
		n = hull_of(x, n, hull);
		buf_puts(p->b, "<path d=\"M");
		for (size_t i = 0; i < n; i++)
			buf_printf(p->b, "%s%.1f %.1f", i > 0 ? "L" : "", hull[i].x,
				hull[i].y);
		buf_puts(p->b, "Z\"/>\n");
	}
	mem_free(x);
	return 0;
}

static const char *
cluster_name(const struct picture *p, size_t i)
{
	return saedb_str(saedb_get(saedb_at(saedb_get(p->map, "clusters"), i), "name"),
		NULL);
}

static int
put_hulls(struct picture *p, struct err *e)
{
	size_t n = saedb_length(saedb_get(p->map, "clusters"));
	int rc = 0;

	buf_puts(p->b,
		"<g fill=\"#f1efe6\" stroke=\"#f1efe6\" stroke-width=\"30\""
		" stroke-linejoin=\"round\">\n");
	for (size_t i = 0; i < n && rc == 0; i++)
		if (cluster_name(p, i) != NULL)
			rc = put_hull(p, i, e);
	buf_puts(p->b, "</g>\n");
	return rc;
}

/* ---- lines and dots ------------------------------------------------------------------------ */

static void
put_edges(struct picture *p)
{
	const struct saedb_value *list = saedb_get(p->map, "edges");

	buf_puts(p->b, "<g stroke=\"#9a9a9a\" stroke-width=\"0.7\">\n");
	for (size_t i = 0; i < saedb_length(list); i++) {
		const struct saedb_value *x = saedb_at(list, i);
		size_t a = (size_t)saedb_int(saedb_get(x, "a"), -1);
		size_t b = (size_t)saedb_int(saedb_get(x, "b"), -1);
		double c = saedb_float(saedb_get(x, "cosine"), 0);

		if (a >= p->n || b >= p->n)
			continue;
		buf_printf(p->b,
			"<path d=\"M%.1f %.1fL%.1f %.1f\" stroke-opacity=\"%.2f\"/>\n",
			p->dot[a].x, p->dot[a].y, p->dot[b].x, p->dot[b].y,
			0.25 + 0.75 * fmin(fmax(c, 0), 1));
	}
	buf_puts(p->b, "</g>\n");
}

static void
put_dot(struct picture *p, size_t i)
{
	const struct dot *d = &p->dot[i];

	buf_printf(p->b,
		"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\">"
		"<title>",
		d->x, d->y, d->r, palette[d->sae]);
	put_text(p->b, str_of(d->row, "feature", "?"), 300);
	if (d->label != NULL) {
		buf_puts(p->b, " ");
		put_text(p->b, d->label, 200);
	}
	buf_printf(p->b, " (cosine %.3f)</title></circle>\n",
		float_of(d->row, "cosine"));
}

/* The nearest last, so that they lie on top. */
static void
put_dots(struct picture *p)
{
	const struct dot *d = &p->dot[0];

	buf_puts(p->b,
		"<g stroke=\"#ffffff\" stroke-width=\"0.9\""
		" fill-opacity=\"0.9\">\n");
	for (size_t i = p->n; i-- > 0;)
		put_dot(p, i);
	buf_puts(p->b, "</g>\n");
	buf_printf(p->b,
		"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"none\""
		" stroke=\"#111111\" stroke-width=\"1.8\"/>\n",
		d->x, d->y, d->r + 3.5);
}

/* ---- labels, where there is room ---------------------------------------------------------------- */

static bool
touch(const struct box *a, const struct box *b)
{
	return a->x0 < b->x1 && b->x0 < a->x1 && a->y0 < b->y1 && b->y0 < a->y1;
}

static bool
is_free(const struct picture *p, const struct box *x)
{
	if (x->x0 < 4 || x->x1 > WIDTH - 4 || x->y0 < TOP - 12 || x->y1 > BOTTOM + 8)
		return false;
	for (size_t i = 0; i < p->n_taken; i++)
		if (touch(x, &p->taken[i]))
			return false;
	for (size_t i = 0; i < p->n; i++) {
		const struct dot *d = &p->dot[i];
		double dx = d->x - fmin(fmax(d->x, x->x0), x->x1);
		double dy = d->y - fmin(fmax(d->y, x->y0), x->y1);

		if (dx * dx + dy * dy < d->r * d->r)
			return false;
	}
	return true;
}

/* The place of a label of that size in direction k of 8, gap away from the dot. */
static struct box
place_of(const struct dot *d, int k, double gap, double w, double h)
{
	static const double to[8][2] = {{1, 0}, {-1, 0}, {0, -1}, {0, 1}, {0.8, -0.8},
		{-0.8, -0.8}, {0.8, 0.8}, {-0.8, 0.8}};
	double x = d->x + to[k][0] * (d->r + gap), y = d->y + to[k][1] * (d->r + gap);

	x -= to[k][0] > 0 ? 0 : to[k][0] < 0 ? w : w / 2;
	y -= to[k][1] > 0 ? 0 : to[k][1] < 0 ? h : h / 2;
	return (struct box){x, y, x + w, y + h};
}

/* A line from the dot's edge to the label, where that is not beside it. */
static void
put_leader(struct picture *p, const struct dot *d, const struct box *x)
{
	double to_x = fmin(fmax(d->x, x->x0), x->x1);
	double to_y = fmin(fmax(d->y, x->y0), x->y1);
	double far = hypot(to_x - d->x, to_y - d->y);

	if (far < d->r + 6)
		return;
	buf_printf(p->b,
		"<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"#555555\""
		" stroke-width=\"0.6\"/>\n",
		d->x + (to_x - d->x) * d->r / far, d->y + (to_y - d->y) * d->r / far,
		to_x, to_y);
}

/* From the side where the dot is, since fonts differ in width. */
static void
write_label(struct picture *p, const struct dot *d, const struct box *x, double font)
{
	const char *anchor = x->x0 > d->x ? "start" : x->x1 < d->x ? "end" : "middle";
	double at = x->x0 > d->x ? x->x0 : x->x1 < d->x ? x->x1 : (x->x0 + x->x1) / 2;

	put_leader(p, d, x);
	buf_printf(p->b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", at,
		x->y1 - 0.25 * font, anchor,
		d == p->dot ? " font-size=\"14\" font-weight=\"bold\"" : "");
	put_text(p->b, d->label, LABEL_COLUMNS);
	buf_puts(p->b, "</text>\n");
}

static void
put_label(struct picture *p, size_t i)
{
	static const double gaps[] = {3, 12, 24, 40};
	const struct dot *d = &p->dot[i];
	double font = i == 0 ? FONT + 3 : FONT, h = font + 1;
	double w = wide(d->label, LABEL_COLUMNS, font), ring = i == 0 ? 5 : 0;

	for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++)
		for (int k = 0; k < 8; k++) {
			struct box x = place_of(d, k, gaps[g] + ring, w, h);

			if (!is_free(p, &x))
				continue;
			p->taken[p->n_taken++] = x;
			put_leader(p, d, &x);
			write_label(p, d, &x, font);
			return;
		}
}

static void
put_labels(struct picture *p)
{
	buf_printf(p->b,
		"<g fill=\"#222222\" font-size=\"%.0f\" paint-order=\"stroke\">\n",
		FONT);
	for (size_t i = 0; i < p->n; i++)
		if (p->dot[i].label != NULL && p->dot[i].label[0] != '\0')
			put_label(p, i);
	buf_puts(p->b, "</g>\n");
}

/* Over its topmost point. */
static void
put_cluster(struct picture *p, size_t cluster, const char *name)
{
	double x = 0, y = INFINITY, n = 0, w = wide(name, HEAD_COLUMNS, FONT + 1);

	for (size_t i = 0; i < p->n; i++) {
		if (p->dot[i].cluster != (int64_t)cluster)
			continue;
		x += p->dot[i].x;
		y = fmin(y, p->dot[i].y);
		n++;
	}
	if (n == 0)
		return;
	x = fmin(fmax(x / n, LEFT + w / 2), RIGHT - w / 2);
	buf_printf(p->b, "<text x=\"%.1f\" y=\"%.1f\">", x, y - 19);
	put_text(p->b, name, HEAD_COLUMNS);
	buf_puts(p->b, "</text>\n");
	if (p->n_taken < p->n) /* labels have the other half */
		p->taken[p->n_taken++] =
			(struct box){x - w / 2, y - 19 - FONT, x + w / 2, y - 16};
}

static void
put_clusters(struct picture *p)
{
	size_t n = saedb_length(saedb_get(p->map, "clusters"));

	buf_printf(p->b,
		"<g fill=\"#7a6a3a\" font-size=\"%.0f\" font-style=\"italic\""
		" text-anchor=\"middle\">\n",
		FONT + 1);
	for (size_t i = 0; i < n; i++)
		if (cluster_name(p, i) != NULL)
			put_cluster(p, i, cluster_name(p, i));
	buf_puts(p->b, "</g>\n");
}

/* ---- around it ---------------------------------------------------------------------------------------- */

static void
put_head(struct picture *p)
{
	struct buf *b = p->b;

	buf_printf(b,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\""
		" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\""
		" font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n"
		"<title>",
		WIDTH, HEIGHT, WIDTH, HEIGHT);
	put_text(b, str_of(p->map, "feature", "?"), 300);
	buf_puts(b,
		" and what lies around it</title>\n"
		"<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n");
	buf_printf(b,
		"<text x=\"%.0f\" y=\"34\" font-size=\"20\""
		" font-weight=\"bold\" fill=\"#111111\">",
		LEFT);
	put_text(b, str_of(p->map, "feature", "?"), 40);
	if (p->dot[0].label != NULL) {
		buf_puts(b, ": ");
		put_text(b, p->dot[0].label, 50);
	}
	buf_printf(b,
		"</text>\n<text x=\"%.0f\" y=\"54\" font-size=\"12\""
		" fill=\"#555555\">",
		LEFT);
	buf_printf(b,
		"the %zu features nearest by decoder cosine; UMAP, seed %lld;"
		" lines join nearest features</text>\n",
		p->n, (long long)int_of(p->map, "seed"));
}

static void
put_legend(struct picture *p)
{
	static const double density[] = {0.0001, 0.001, 0.01};
	static const char *const text[] = {"0.01%", "0.1%", "1% of tokens"};
	double x = LEFT + 6, y = HEIGHT - 22;

	buf_puts(p->b, "<g font-size=\"12\" fill=\"#222222\">\n");
	for (size_t i = 0; i < p->n_saes; i++) {
		buf_printf(p->b,
			"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\" fill=\"%s\"/>"
			"<text x=\"%.1f\" y=\"%.1f\">",
			x, y - 4, palette[i], x + 11, y);
		put_text(p->b, p->sae[i], 24);
		buf_puts(p->b, "</text>\n");
		x += 30 + wide(p->sae[i], 24, 12);
	}
	x = RIGHT - 330;
	buf_printf(p->b, "<text x=\"%.1f\" y=\"%.1f\">size: fires on</text>\n", x, y);
	x += 92;
	for (size_t i = 0; i < 3; i++) {
		buf_printf(p->b,
			"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"#888888\"/>"
			"<text x=\"%.1f\" y=\"%.1f\">%s</text>\n",
			x, y - 4, 3.2 + 40 * sqrt(density[i]), x + 11, y, text[i]);
		x += 66;
	}
	buf_puts(p->b, "</g>\n</svg>\n");
}

int
map_svg(struct buf *b, const struct saedb_value *map, struct err *e)
{
	struct picture p = {.b = b, .map = map};
	int rc = read_dots(&p, e);

	if (rc == 0) {
		put_head(&p);
		rc = put_hulls(&p, e);
	}
	if (rc == 0) {
		put_edges(&p);
		put_dots(&p);
		put_clusters(&p);
		put_labels(&p);
		put_legend(&p);
	}
	if (rc == 0 && b->failed)
		rc = err_set(e, ERR_NOMEM, "no memory for a picture");
	mem_free(p.dot);
	mem_free(p.taken);
	return rc;
}
