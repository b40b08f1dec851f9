// SPDX-License-Identifier: ISC
#include "client/saedb.h"
#include "config.h"

const char *
saedb_version(void)
{
	return PACKAGE_VERSION;
}
