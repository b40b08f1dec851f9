// SPDX-License-Identifier: ISC
#ifndef SAEDB_H
#define SAEDB_H

const char *saedb_version(void);

#endif
