/* SPDX-License-Identifier: ISC */
#include "util/pool.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/* CPUs that "quota period" in a cpu.max allows, rounded up; 0 = no limit. */
static size_t
quota_of(const char *path)
{
	FILE *f = fopen(path, "re");
	long quota = 0, period = 0;
	int n;

	if (f == NULL)
		return 0;
	n = fscanf(f, "%ld %ld", &quota, &period);
	fclose(f);
	if (n != 2 || quota <= 0 || period <= 0)
		return 0;
	return (size_t)((quota + period - 1) / period);
}

/* The least of this process's group and the groups above it (version 2). */
static size_t
quota_least(char *group)
{
	char path[4200];
	size_t least = 0, q;
	char *slash;

	for (;;) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
		q = quota_of(path);
		if (q > 0 && (least == 0 || q < least))
			least = q;
		slash = strrchr(group, '/');
		if (slash == NULL)
			return least;
		*slash = '\0';
	}
}

static size_t
quota(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096];
	size_t q = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "0::", 3) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		q = quota_least(line + 3);
	}
	if (f != NULL)
		fclose(f);
	return q;
}

size_t
pool_cpus(void)
{
	cpu_set_t set;
	size_t n = 1, q = quota();

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		n = (size_t)CPU_COUNT(&set);
	return q > 0 && q < n ? q : n;
}
