/* SPDX-License-Identifier: ISC */
#include "indexer/verify.h"

int
verify_run(const struct options *o, struct err *e)
{
	(void)o;
	return err_set(e, ERR_UNSUPPORTED, "verify is not there yet");
}
