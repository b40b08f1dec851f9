/* SPDX-License-Identifier: ISC */
/*
 * indexer: the room of saedb-index, from a corpus to a store. It calls model/
 * for the maths and store/ for the disk, and never serves anything. The flow,
 * file by file, is in ARCHITECTURE.md; index.c walks it.
 */
#ifndef INDEXER_INDEXER_H
#define INDEXER_INDEXER_H

/* The whole program: parses argv, runs the command, prints one line on failure.
 * Returns the exit status: 0, 1 for a failure, 2 for wrong usage, 130 or 143
 * after SIGINT or SIGTERM. */
int indexer_main(int argc, char **argv);

#endif
