/* SPDX-License-Identifier: ISC */
#include "indexer/indexer.h"

#include "config.h"
#include "indexer/approximate.h"
#include "indexer/diagnose.h"
#include "indexer/estimate.h"
#include "indexer/formats.h"
#include "indexer/index.h"
#include "indexer/inspect.h"
#include "indexer/manage.h"
#include "indexer/merge.h"
#include "indexer/options.h"
#include "indexer/stop.h"
#include "indexer/verify.h"
#include "store/approximate.h"
#include "util/log.h"

#include <stdio.h>
#include <string.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_SIGNAL 128 /* and the signal's number */

static const struct {
	const char *name;
	int (*run)(const struct options *o, struct err *e);
	bool stops; /* itself, when a signal comes: it has something to leave in order */
} commands[] = {
	{"index", index_run, true},
	{"merge", merge_run, true},
	{"plan", estimate_run, true},
	{"ann", approximate_run, true},
	{"list", manage_list, false},
	{"rm", manage_rm, true},
	{"rename", manage_rename, true},
	{"gc", manage_gc, true},
	{"du", manage_du, false},
	{"verify", verify_run, true},
	{"inspect", inspect_run, false},
	{"diagnose", diagnose_run, false},
	{"formats", formats_run, false},
};

static int
run_command(const struct options *o, struct err *e)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, o->command) == 0) {
			if (commands[i].stops)
				stop_init();
			return commands[i].run(o, e);
		}
	return err_set(e, ERR_INTERNAL, "no command %s", o->command);
}

static int
print_help(void)
{
	struct buf b;
	int rc;

	buf_init(&b);
	options_help(&b);
	rc = b.failed || fwrite(b.data, 1, b.n_bytes, stdout) != b.n_bytes ? EXIT_FAILED
									   : 0;
	buf_clear(&b);
	return rc;
}

static int
failed(const struct err *e)
{
	fprintf(stderr, "saedb-index: %s\n", e->text);
	if (e->code == ERR_CANCELLED && stop_signal() != 0)
		return EXIT_SIGNAL + stop_signal();
	return EXIT_FAILED;
}

int
indexer_main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct options o;
	int status = 0;

	log_set_name("saedb-index");
	stop_pipes();
	if (options_parse(&o, argc, argv, &e) < 0) {
		fprintf(stderr, "saedb-index: %s\n", e.text);
		status = EXIT_USAGE;
	} else if (o.help) {
		status = print_help();
	} else if (o.version) {
		printf("saedb-index %s\nFAISS %s\n", PACKAGE_VERSION, store_faiss());
	} else {
		if (o.quiet)
			log_set_level(LOG_WARNING);
		if (run_command(&o, &e) < 0)
			status = failed(&e);
	}
	options_clear(&o);
	if (fflush(stdout) != 0 && status == 0)
		status = EXIT_FAILED;
	return status;
}
