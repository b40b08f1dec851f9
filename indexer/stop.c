/* SPDX-License-Identifier: ISC */
#include "indexer/stop.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t came;

static void
on_signal(int signal_number)
{
	came = signal_number;
}

void
stop_init(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

void
stop_pipes(void)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	sigemptyset(&action.sa_mask);
	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGXFSZ, &action, NULL);
}

int
stop_signal(void)
{
	return came;
}

int
stop_check(struct err *e)
{
	if (came == 0)
		return 0;
	return err_set(e, ERR_CANCELLED, "stopped by a signal; the store is as it was");
}
