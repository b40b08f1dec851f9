/* SPDX-License-Identifier: ISC */
#include "indexer/indexer.h"

int
main(int argc, char **argv)
{
	return indexer_main(argc, argv);
}
