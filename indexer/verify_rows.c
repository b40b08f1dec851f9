/* SPDX-License-Identifier: ISC */
#include "indexer/feed_cut.h"
#include "indexer/rows.h"
#include "indexer/stop.h"
#include "indexer/verify_int.h"

#include <string.h>

static int
tick(void *ctx, uint64_t done, uint64_t total, struct err *e)
{
	(void)ctx;
	(void)done;
	(void)total;
	return stop_check(e);
}

static void
compare(struct verify *v, const struct feed *f)
{
	for (uint32_t i = 0; i < f->n_windows; i++) {
		struct feed_window now;
		struct rec_window stored;

		feed_get(f, i, &now);
		windows_get(&v->windows, i, &stored);
		if (now.n_tokens != stored.n_tokens ||
			memcmp(now.token, stored.token,
				now.n_tokens * sizeof(*now.token)) != 0)
			verify_wrong(v, "window %u: stored are other tokens than read",
				i);
	}
}

int
verify_rows(struct verify *v, const char *const *paths, size_t n,
	const char *scratch_dir, struct err *e)
{
	char hex[65];
	struct feed f;
	int rc = feed_init(&f, scratch_dir, v->tok, lm_info(v->lm)->n_vocab, 0, e);

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = rows_read(paths[i], &f, v->cut->context, lm_info(v->lm)->n_ctx,
			tick, NULL, e);
	if (rc == 0)
		rc = feed_done(&f, e);
	if (rc == 0)
		rc = feed_sha256(&f, hex, e);
	if (rc == 0 &&
		(strcmp(hex, v->cut->corpus_sha256) != 0 ||
			f.n_windows != v->windows.n_windows))
		rc = err_set(e, ERR_MISMATCH,
			"the corpus is not the one that was indexed: its SHA-256 is "
			"%s, recorded is %s",
			hex, v->cut->corpus_sha256);
	if (rc == 0)
		compare(v, &f);
	feed_clear(&f);
	return rc;
}
