/* SPDX-License-Identifier: ISC */
#include "analysis/umap.h"

#include "analysis/umap_parts.h"

#include <math.h>

#define FEW_POINTS 10000

void
umap_params_init(struct umap_params *p)
{
	*p = (struct umap_params){
		.min_dist = 0.1,
		.spread = 1,
		.learning_rate = 1,
		.negative_rate = 5,
		.repulsion = 1,
		.init = UMAP_SPECTRAL,
	};
}

static int
check_params(const struct umap_params *p, uint32_t n, struct err *e)
{
	if (n > UMAP_MOST_POINTS)
		return err_set(e, ERR_LIMIT, "%u points; a layout has at most %u", n,
			UMAP_MOST_POINTS);
	if (!(p->learning_rate > 0 && p->learning_rate < 1e6))
		return err_arg(e, ERR_ARG, "learning_rate",
			"learning_rate must be above 0");
	if (!(p->repulsion >= 0 && p->repulsion < 1e6))
		return err_arg(e, ERR_ARG, "repulsion", "repulsion must be at least 0");
	if (p->negative_rate > 1000)
		return err_arg(e, ERR_ARG, "negative_rate",
			"negative_rate must be at most 1000");
	if (p->n_epochs > 1000000)
		return err_arg(e, ERR_ARG, "n_epochs",
			"n_epochs must be at most 1000000");
	return 0;
}

static int
check_xy(const float *xy, uint32_t n, struct err *e)
{
	for (size_t i = 0; i < 2 * (size_t)n; i++)
		if (!isfinite(xy[i]))
			return err_arg(e, ERR_ARG, "xy", "point %zu: it starts nowhere",
				i / 2);
	return 0;
}

int
umap_layout(float *xy, uint32_t n, uint32_t k, const uint32_t *neighbor,
	const float *distance, const struct umap_params *p, struct pool *pool,
	int (*progress)(void *ctx, uint32_t epoch, uint32_t n_epochs, struct err *e),
	void *ctx, struct err *e)
{
	struct umap_course c = {.params = p, .progress = progress, .ctx = ctx};
	struct umap_graph g = {0};
	int rc = check_params(p, n, e);

	c.n_epochs = p->n_epochs > 0 ? p->n_epochs : n <= FEW_POINTS ? 500 : 200;
	if (rc == 0)
		rc = umap_curve(&c.a, &c.b, p->min_dist, p->spread, e);
	if (rc == 0 && p->init == UMAP_PCA_XY)
		rc = check_xy(xy, n, e);
	if (rc == 0)
		rc = umap_graph_make(&g, n, k, neighbor, distance, pool, e);
	if (rc == 0) {
		umap_graph_prune(&g, c.n_epochs);
		rc = umap_start(xy, &g, p, pool, e);
	}
	if (rc == 0)
		rc = umap_descend(xy, &g, &c, pool, e);
	if (rc == 0 && n == 1)
		xy[0] = xy[1] = 0;
	umap_graph_clear(&g);
	return rc;
}
