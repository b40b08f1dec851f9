/* SPDX-License-Identifier: ISC */
#include "store/disk.h"

#include "util/file.h"

#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#define ROOM_BYTES (1u << 20) /* file systems keep some of the last for themselves */

/* Of the file system with path, or, where there is no such file yet, its directory. */
static bool
ask(const char *path, struct statvfs *fs)
{
	char dir[PATH_BYTES];
	char *slash;

	if (statvfs(path, fs) == 0)
		return true;
	if (path_join(dir, NULL, "%s", path) != 0)
		return false;
	slash = strrchr(dir, '/');
	if (slash == NULL)
		return statvfs(".", fs) == 0;
	slash[slash == dir] = '\0';
	return statvfs(dir, fs) == 0;
}

bool
disk_is_full(const char *path)
{
	struct rlimit most;
	struct statvfs fs;
	uint64_t n_bytes = 0;

	if (ask(path, &fs) &&
		((uint64_t)fs.f_bavail * fs.f_frsize < ROOM_BYTES ||
			(fs.f_files > 0 && fs.f_favail == 0)))
		return true;
	if (getrlimit(RLIMIT_FSIZE, &most) != 0 || most.rlim_cur == RLIM_INFINITY)
		return false;
	return file_size(path, &n_bytes, NULL) == 0 &&
		n_bytes + ROOM_BYTES > most.rlim_cur;
}
