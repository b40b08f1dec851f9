/* SPDX-License-Identifier: ISC */
/*
 * stopwatch: what one thread's time goes to, by stage: on the wall and on the CPU.
 * Two readings of a clock each time the stage changes; no lock, since each thread has
 * its own, and others read it only while it rests.
 */
#ifndef UTIL_STOPWATCH_H
#define UTIL_STOPWATCH_H

#include <stdbool.h>

#define STOPWATCH_STAGES 16

struct stopwatch_time {
	double busy_s; /* on the wall: beside computing, waits for disks and CPUs */
	double cpu_s;
};

struct stopwatch {
	bool runs;
	unsigned stage;
	double wall_at, cpu_at; /* of the last change */
	struct stopwatch_time of[STOPWATCH_STAGES];
};

/* From now on the thread's time is the stage's; what ran before is added up. */
void stopwatch_go(struct stopwatch *w, unsigned stage);
void stopwatch_rest(struct stopwatch *w);
/* Adds up what ran until now, and runs on. */
void stopwatch_lap(struct stopwatch *w);
double stopwatch_now_s(void); /* a clock that never goes back */
double stopwatch_cpu_s(void); /* of this thread */

#endif
