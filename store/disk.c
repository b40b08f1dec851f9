/* SPDX-License-Identifier: ISC */
#include "store/disk.h"

#include "util/file.h"

#include <stdint.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#define ROOM_BYTES 65536u

bool
disk_is_full(const char *path)
{
	struct rlimit most;
	struct statvfs fs;
	uint64_t n_bytes = 0;

	if (statvfs(path, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < ROOM_BYTES)
		return true;
	if (getrlimit(RLIMIT_FSIZE, &most) != 0 || most.rlim_cur == RLIM_INFINITY)
		return false;
	return file_size(path, &n_bytes, NULL) == 0 &&
		n_bytes + ROOM_BYTES > most.rlim_cur;
}
