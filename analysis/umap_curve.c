/* SPDX-License-Identifier: ISC */
#include "analysis/umap_parts.h"

#include <math.h>

#define N_X 300
#define N_STEPS 500

struct curve {
	double x[N_X], y[N_X];
};

static void
wanted(struct curve *c, double min_dist, double spread)
{
	for (int i = 0; i < N_X; i++) {
		c->x[i] = 3 * spread * i / (N_X - 1);
		c->y[i] = c->x[i] < min_dist ? 1 : exp(-(c->x[i] - min_dist) / spread);
	}
}

/* Sum of squares at (a, b), the gradient g and J^T J of the residuals. */
static double
fit(const struct curve *c, double a, double b, double g[2], double h[3])
{
	double sum = 0;

	g[0] = g[1] = h[0] = h[1] = h[2] = 0;
	for (int i = 0; i < N_X; i++) {
		double p = i > 0 ? pow(c->x[i], 2 * b) : 0, f = 1 / (1 + a * p);
		double da = -f * f * p;
		double db = i > 0 ? -f * f * a * p * 2 * log(c->x[i]) : 0;
		double r = f - c->y[i];

		sum += r * r;
		g[0] += r * da;
		g[1] += r * db;
		h[0] += da * da;
		h[1] += da * db;
		h[2] += db * db;
	}
	return sum;
}

/* Levenberg and Marquardt's steps from a = b = 1. */
int
umap_curve(double *a, double *b, double min_dist, double spread, struct err *e)
{
	struct curve c;
	double g[2], h[3], g_next[2], h_next[3], damp = 1e-3, sum;

	if (!(spread > 0 && spread < 1e6))
		return err_arg(e, ERR_ARG, "spread", "spread must be above 0");
	if (!(min_dist >= 0 && min_dist <= spread))
		return err_arg(e, ERR_ARG, "min_dist",
			"min_dist must be at least 0 and at most spread");
	wanted(&c, min_dist, spread);
	*a = *b = 1;
	sum = fit(&c, *a, *b, g, h);
	for (int i = 0; i < N_STEPS && damp < 1e12; i++) {
		double h0 = h[0] * (1 + damp), h2 = h[2] * (1 + damp);
		double det = h0 * h2 - h[1] * h[1];
		double da = -(h2 * g[0] - h[1] * g[1]) / det;
		double db = -(h0 * g[1] - h[1] * g[0]) / det;
		double next = fit(&c, *a + da, *b + db, g_next, h_next);

		if (!(next < sum) || !(*a + da > 0) || !(*b + db > 0)) {
			damp *= 4;
			continue;
		}
		*a += da;
		*b += db;
		sum = next;
		damp /= 4;
		for (int j = 0; j < 3; j++) {
			h[j] = h_next[j];
			g[j & 1] = g_next[j & 1];
		}
		if (fabs(da) < 1e-12 * *a && fabs(db) < 1e-12 * *b)
			break;
	}
	return 0;
}
