/* SPDX-License-Identifier: ISC */
#include "daemon/daemon.h"

#include "config.h"
#include "daemon/listen.h"
#include "daemon/loop.h"
#include "daemon/options.h"
#include "store/store.h"
#include "util/file.h"
#include "util/log.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

int64_t
daemon_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
open_daemon(struct daemon *d, const struct options *o, size_t n_workers, struct err *e)
{
	const struct live_options live = {
		.model = o->model,
		.off = o->no_model,
		.most_bytes = (size_t)o->model_mib << 20,
		.n_workers = n_workers,
	};
	int rc;

	*d = (struct daemon){.start_ms = daemon_now_ms(), .label_epoch = 1};
	rc = store_open(&d->store, o->store, STORE_READ, e);
	if (rc == 0)
		rc = views_new(&d->views, d->store, e);
	if (rc == 0)
		rc = indexes_new(&d->indexes, d->store, e);
	if (rc == 0)
		rc = mutex_new(&d->writing, e);
	if (rc == 0)
		rc = live_new(&d->live, &live, e);
	return rc;
}

/* Whoever has the labels' lock writes them; without it the daemon still answers. */
static void
lock_labels(struct daemon *d)
{
	struct err e = ERR_INIT;

	d->labels = store_labels_lock(d->store, &e) == 0;
	if (!d->labels)
		log_put(LOG_NOTICE, "labels can be read only: %s", e.text);
}

static void
close_daemon(struct daemon *d)
{
	live_free(d->live);
	mutex_free(d->writing);
	indexes_free(d->indexes);
	views_free(d->views);
	if (d->store != NULL)
		store_close(d->store);
}

static int
open_listeners(const struct options *o, struct listener *local, struct listener *tcp,
	struct err *e)
{
	char path[PATH_BYTES];
	int rc = 0;

	if (o->socket == NULL)
		rc = path_join(path, e, "%s/saedbd.sock", o->store);
	if (rc == 0)
		rc = listen_unix(local, o->socket != NULL ? o->socket : path, e);
	if (rc == 0 && o->listen != NULL)
		rc = listen_tcp(tcp, o->listen, e);
	return rc;
}

static int
serve(const struct options *o, struct err *e)
{
	struct listener local = LISTENER_INIT, tcp = LISTENER_INIT;
	struct loop_options how = {
		.idle_exit_s = o->idle_exit_s,
		.n_workers = o->n_workers > 0 ? (size_t)o->n_workers : pool_cpus(),
	};
	struct daemon d;
	int rc = open_daemon(&d, o, how.n_workers, e);

	if (rc == 0)
		rc = open_listeners(o, &local, &tcp, e);
	if (rc == 0) {
		lock_labels(&d);
		indexes_look(d.indexes);
		log_put(LOG_NOTICE, "serving %s on %s%s%s", o->store, local.name,
			tcp.fd >= 0 ? " and " : "", tcp.fd >= 0 ? tcp.name : "");
		how.listener[0] = &local;
		how.listener[1] = tcp.fd >= 0 ? &tcp : NULL;
		rc = loop_run(&d, &how, e);
	}
	listen_close(&local);
	listen_close(&tcp);
	close_daemon(&d);
	return rc;
}

int
daemon_main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct options o;

	log_set_name("saedbd");
	if (options_read(&o, argc, argv, &e) < 0) {
		fprintf(stderr, "saedbd: %s\n", e.text);
		return 2;
	}
	if (o.help) {
		options_help(stdout);
		return 0;
	}
	if (o.version) {
		printf("saedbd %s\nFAISS %s\n", PACKAGE_VERSION, store_faiss());
		return 0;
	}
	if (o.verbose)
		log_set_level(LOG_DBG);
	signal(SIGPIPE, SIG_IGN);
	if (serve(&o, &e) < 0) {
		log_put(LOG_ERR, "%s", e.text);
		return 1;
	}
	return 0;
}
