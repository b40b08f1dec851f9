/* SPDX-License-Identifier: ISC */
#include "indexer/machine.h"

#include "util/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What stands behind "key...: " in a file of lines; "" where it does not. */
static void
find_line(char *out, size_t size, const char *path, const char *key)
{
	char line[512];
	FILE *f = fopen(path, "re");

	out[0] = '\0';
	while (f != NULL && out[0] == '\0' && fgets(line, sizeof(line), f) != NULL) {
		char *colon = strchr(line, ':');

		if (strncmp(line, key, strlen(key)) != 0 || colon == NULL)
			continue;
		colon += 1 + strspn(colon + 1, " \t");
		colon[strcspn(colon, "\n")] = '\0';
		snprintf(out, size, "%s", colon);
	}
	if (f != NULL)
		fclose(f);
}

void
machine_cpu_model(char *out, size_t size)
{
	find_line(out, size, "/proc/cpuinfo", "model name");
}

uint64_t
machine_memory_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), each = sysconf(_SC_PAGESIZE);

	return pages > 0 && each > 0 ? (uint64_t)pages * (uint64_t)each : 0;
}

uint64_t
machine_peak_bytes(void)
{
	char text[64];

	find_line(text, sizeof(text), "/proc/self/status", "VmHWM"); /* in kB */
	return strtoull(text, NULL, 10) * 1024;
}

uint64_t
machine_free_bytes(const char *path)
{
	char dir[PATH_BYTES];
	struct statvfs fs;

	if (path_join(dir, NULL, "%s", path) < 0)
		return 0;
	while (statvfs(dir, &fs) != 0) { /* what is there of it */
		char *slash = strrchr(dir, '/');

		if (strcmp(dir, ".") == 0 || strcmp(dir, "/") == 0)
			return 0;
		if (slash == NULL)
			strcpy(dir, ".");
		else
			slash[slash == dir] = '\0';
	}
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}
