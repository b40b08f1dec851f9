// SPDX-License-Identifier: ISC
// Keeps the room from being empty; goes with the first real file.
typedef int indexer_placeholder;
