/* SPDX-License-Identifier: ISC */
/*
 * A whole program on libsaedb: what a feature is, where it fires most, and which
 * features are near.
 *
 *	cc example.c $(pkg-config --cflags --libs libsaedb) -o example
 *	./example unix:my.store/saedbd.sock 8k/697
 */
#include <inttypes.h>
#include <saedb.h>
#include <stdio.h>

static void
print_example(const struct saedb_value *row)
{
	struct saedb_example x;

	if (saedb_read_example(row, &x) < 0)
		return;
	printf("%10.3f  ", x.value);
	for (size_t i = 0; i < x.n_tokens; i++)
		printf("%s", saedb_str(saedb_at(x.tokens, i), ""));
	printf("\n");
}

static int
print_feature(struct saedb *db, const char *address)
{
	struct saedb_reply *r;
	struct saedb_feature f;
	const struct saedb_value *list;
	int rc;

	rc = saedb_ask(db, &r, "feature.get", "feature=%s", address);
	if (rc < 0)
		return rc;
	saedb_read_feature(saedb_result(r), &f);
	printf("%s: %s, fires %" PRIu64 " times, max %.3f\n", f.address,
		f.label != NULL ? f.label : "no label", f.count, f.max);
	saedb_reply_free(r);

	rc = saedb_ask(db, &r, "feature.examples", "feature=%s limit=%d", address, 5);
	if (rc < 0)
		return rc;
	list = saedb_get(saedb_result(r), "examples");
	for (size_t i = 0; i < saedb_length(list); i++)
		print_example(saedb_at(list, i));
	saedb_reply_free(r);

	rc = saedb_ask(db, &r, "feature.neighbors", "feature=%s k=%d", address, 5);
	if (rc < 0) /* a store may be without them */
		return rc == SAEDB_NOT_FOUND ? 0 : rc;
	list = saedb_get(saedb_result(r), "neighbors");
	for (size_t i = 0; i < saedb_length(list); i++) {
		saedb_read_feature(saedb_at(list, i), &f);
		printf("%10.3f  %s  %s\n", f.cosine, f.address,
			f.label != NULL ? f.label : "");
	}
	saedb_reply_free(r);
	return 0;
}

int
main(int argc, char **argv)
{
	struct saedb *db = saedb_new();
	int rc;

	if (argc != 3) {
		fprintf(stderr, "usage: %s ADDRESS FEATURE\n", argv[0]);
		return 2;
	}
	rc = saedb_connect(db, argv[1]);
	if (rc == 0)
		rc = print_feature(db, argv[2]);
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", argv[0], saedb_error(db));
	saedb_free(db);
	return rc < 0;
}
