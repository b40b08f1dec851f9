/* SPDX-License-Identifier: ISC */
#include "indexer/indexer.h"

#include "config.h"
#include "indexer/diagnose.h"
#include "indexer/formats.h"
#include "indexer/index.h"
#include "indexer/inspect.h"
#include "indexer/manage.h"
#include "indexer/options.h"
#include "indexer/stop.h"
#include "indexer/verify.h"
#include "util/log.h"

#include <stdio.h>
#include <string.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_SIGNAL 128 /* and the signal's number */

static const struct {
	const char *name;
	int (*run)(const struct options *o, struct err *e);
} commands[] = {
	{"index", index_run},
	{"list", manage_list},
	{"rm", manage_rm},
	{"rename", manage_rename},
	{"gc", manage_gc},
	{"du", manage_du},
	{"verify", verify_run},
	{"inspect", inspect_run},
	{"diagnose", diagnose_run},
	{"formats", formats_run},
};

static int
run_command(const struct options *o, struct err *e)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, o->command) == 0)
			return commands[i].run(o, e);
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
	stop_init();
	if (options_parse(&o, argc, argv, &e) < 0) {
		fprintf(stderr, "saedb-index: %s\n", e.text);
		status = EXIT_USAGE;
	} else if (o.help) {
		status = print_help();
	} else if (o.version) {
		printf("saedb-index %s\n", PACKAGE_VERSION);
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
