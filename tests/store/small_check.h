/* SPDX-License-Identifier: ISC */
/*
 * small_check: the store of small.h read back, every value against its formula. Only
 * small.h includes it.
 */
#ifndef TESTS_STORE_SMALL_CHECK_H
#define TESTS_STORE_SMALL_CHECK_H

/* Parts of small_check(): a code, and the error in e. */
static inline int
small_check_cut(struct store_view *v, uint32_t cut, struct arena *a, struct err *e)
{
	uint32_t ids[WINDOWS + 1];
	struct store_value x[WINDOWS + 1];
	int rc;

	for (uint32_t i = 0; i <= WINDOWS; i++)
		ids[i] = i;
	rc = store_mget(v, (struct store_place){TABLE_WINDOW, cut, 0}, ids, WINDOWS + 1,
		x, a, e);
	if (rc == 0)
		assert_null(x[WINDOWS].p);
	for (uint32_t w = 0; rc == 0 && w < WINDOWS; w++) {
		struct store_document d;
		struct rec_window r, want;
		char text[64];

		rc = rec_window_unpack(&r, x[w].p, x[w].n_bytes, a, e);
		if (rc != 0)
			break;
		small_window(w, &want, text);
		assert_int_equal(r.n_tokens, TOKENS);
		assert_int_equal(r.n_text_bytes, want.n_text_bytes);
		assert_memory_equal(r.text, text, r.n_text_bytes);
		assert_memory_equal(r.token, want.token, sizeof(uint32_t) * TOKENS);
		assert_memory_equal(r.text_start, want.text_start,
			sizeof(uint32_t) * TOKENS);
		assert_memory_equal(r.text_end, want.text_end,
			sizeof(uint32_t) * TOKENS);
		assert_int_equal(r.segment[0].document, w / 2);
		rc = store_document(v, cut, w / 2, &d, a, e);
		if (rc == 0)
			assert_int_equal(d.first_window, w / 2 * 2);
	}
	return rc;
}

static inline int
small_check_features(struct store_view *v, uint32_t run, uint32_t slot, unsigned seed,
	struct arena *a, struct err *e)
{
	struct feature_query q = {.max_density = 1,
		.max_max = INFINITY,
		.max_count = UINT64_MAX,
		.limit = 64};
	struct store_place place = {TABLE_FEATURE, run, slot};
	struct store_value x[64], y[64];
	struct feature_row row[64];
	uint32_t ids[64], n = small_d_sae[slot], n_rows = 0;
	int rc;

	for (uint32_t i = 0; i < 64; i++)
		ids[i] = i;
	rc = store_mget(v, place, ids, n + 1, x, a, e);
	place.table = TABLE_EXAMPLES;
	if (rc == 0)
		rc = store_mget(v, place, ids, n, y, a, e);
	if (rc == 0)
		rc = store_features(v, run, slot, &q, row, &n_rows, e);
	if (rc != 0)
		return rc;
	assert_null(x[n].p);
	assert_int_equal(n_rows, n);
	for (uint32_t f = 0; rc == 0 && f < n; f++) {
		struct small_stats want = small_stats_of(seed, slot, f);
		struct rec_feature r = {0};
		struct rec_examples examples;

		rc = rec_feature_unpack(&r, x[f].p, x[f].n_bytes, a, e);
		if (rc != 0)
			break;
		assert_int_equal(r.count, want.count);
		assert_true(r.sum == want.sum && r.max == want.max);
		assert_int_equal(row[f].count, want.count);
		assert_int_equal(y[f].p != NULL, want.count > 0);
		if (y[f].p == NULL)
			continue;
		rc = rec_examples_unpack(&examples, y[f].p, y[f].n_bytes, a, e);
		if (rc == 0)
			assert_true(examples.example[0].value == want.max);
	}
	return rc;
}

/* The rows, and that a search by them finds the one that it asks for. */
static inline int
small_check_rows(struct store_view *v, uint32_t sae, uint32_t slot,
	enum store_direction direction, struct err *e)
{
	uint32_t n = small_d_sae[slot], d;
	struct store_search s = {.sae = sae, .direction = direction, .k = 3};
	struct store_nearest found;
	struct err none = ERR_INIT;
	struct rec_scored x[3];
	const float *rows;
	int rc;

	if (direction == STORE_ENCODER && small_encoder(slot) == NULL) {
		rc = store_rows(v, sae, direction, &rows, &d, &none);
		assert_int_equal(rc, ERR_NOTFOUND);
		assert_non_null(strstr(none.text, "encoder"));
		return 0;
	}
	rc = store_rows(v, sae, direction, &rows, &d, e);
	for (uint32_t i = 0; rc == 0 && i < n * D_IN; i++)
		assert_true(rows[i] ==
			(direction == STORE_DECODER
					? small_decoder(slot, i / D_IN, i % D_IN)
					: small_encoder(slot)[i]));
	for (uint32_t f = 0; rc == 0 && f < n; f++) {
		s.vector = rows + f * D_IN;
		rc = store_search(v, &s, x, &found, e);
		if (rc != 0)
			break;
		assert_int_equal(found.n, 3);
		assert_int_equal(x[0].id, f);
	}
	return rc;
}

static inline int
small_check_sae(struct store_view *v, uint32_t sae, uint32_t slot, struct arena *a,
	struct err *e)
{
	uint32_t ids[64], n = small_d_sae[slot];
	struct store_value x[64];
	int rc;

	for (uint32_t i = 0; i < 64; i++)
		ids[i] = i;
	rc = store_mget(v, (struct store_place){TABLE_LOGITS, sae, 0}, ids, n, x, a, e);
	for (uint32_t f = 0; rc == 0 && f < n; f++) {
		struct rec_logits r;

		assert_int_equal(x[f].p == NULL, small_elsewhere);
		if (x[f].p == NULL)
			continue;
		rc = rec_logits_unpack(&r, x[f].p, x[f].n_bytes, a, e);
		if (rc == 0)
			assert_int_equal(r.promoted[0].id, f);
	}
	for (int i = 0; rc == 0 && i < STORE_DIRECTIONS; i++)
		rc = small_check_rows(v, sae, slot, (enum store_direction)i, e);
	return rc;
}

static inline int
small_check_acts(struct store_view *v, uint32_t run, uint32_t slot, unsigned seed,
	struct arena *a, struct err *e)
{
	int rc = 0;

	for (uint32_t w = 0; rc == 0 && w < WINDOWS; w++) {
		struct rec_acts r;
		uint32_t j = 0;

		rc = store_acts(v, run, slot, w, 0, TOKENS, &r, a, e);
		if (rc != 0)
			break;
		for (uint32_t i = 0; i < TOKENS * small_d_sae[slot]; i++) {
			uint32_t t = i / small_d_sae[slot], f = i % small_d_sae[slot];

			if (!small_fires(seed, slot, w, t, f))
				continue;
			assert_true(j >= r.row_start[t] && j < r.row_start[t + 1]);
			assert_int_equal(r.feature[j], f);
			assert_true(r.value[j++] == small_value(seed, slot, w, t, f));
		}
		assert_int_equal(j, r.row_start[TOKENS]);
	}
	return rc;
}

static inline int
small_check_sums(struct store_view *v, uint32_t run, uint32_t slot, struct err *e)
{
	struct store_value x;
	int rc = store_sums(v, run, slot, &x, e);

	if (rc != 0)
		return rc;
	if (slot != 0) {
		assert_null(x.p);
		return 0;
	}
	assert_int_equal(x.n_bytes, sizeof(small_sums));
	assert_memory_equal(x.p, small_sums, sizeof(small_sums));
	return 0;
}

static inline int
small_check_graph(struct store_view *v, struct arena *a, struct err *e)
{
	struct store_value x[40];
	uint32_t ids[40];
	int rc;

	for (uint32_t i = 0; i < 40; i++)
		ids[i] = i;
	rc = store_mget(v, (struct store_place){TABLE_NEIGHBORS, 0, 0}, ids, 40, x, a,
		e);
	for (uint32_t f = 0; rc == 0 && f < 40; f++) {
		const struct rec_scored *r;
		size_t n;

		rc = rec_neighbors_unpack(&r, &n, x[f].p, x[f].n_bytes, a, e);
		if (rc == 0)
			assert_int_equal(r[0].id, f % 20);
	}
	return rc;
}

/* Asks everything and compares with the formulas; a code where the store says that
 * it cannot answer, and a failed test where an answer is wrong. */
static inline int
small_check(struct store_view *v, uint32_t run, unsigned seed, struct err *e)
{
	const struct cat_run *r = &store_view_catalog(v)->run[run];
	struct arena a;
	int rc;

	arena_init(&a, 0);
	rc = small_check_cut(v, r->cut, &a, e);
	for (uint32_t slot = 0; rc == 0 && slot < N_SAES; slot++) {
		rc = small_check_features(v, run, slot, seed, &a, e);
		if (rc == 0)
			rc = small_check_sae(v, r->sae[slot].sae, slot, &a, e);
		if (rc == 0)
			rc = small_check_acts(v, run, slot, seed, &a, e);
		if (rc == 0)
			rc = small_check_sums(v, run, slot, e);
	}
	if (rc == 0)
		rc = small_check_graph(v, &a, e);
	arena_clear(&a);
	return rc;
}

#endif
