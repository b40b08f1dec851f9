/* SPDX-License-Identifier: ISC */
/*
 * hub: directories, and files in them, by the name that Hugging Face's hub knows
 * them by, found in the cache that its libraries leave on this machine. Never uses the network.
 */
#ifndef MODEL_HUB_H
#define MODEL_HUB_H

#include "util/err.h"
#include "util/file.h"

/* name: a directory or file, or what can only be a path: returned as it is; or
 * [ORG/]REPO[@REVISION][:FOLDER] (a folder, or a file in one), REVISION being a branch, a tag or a commit ("main" if absent), as
 * `hf download` or from_pretrained() left it in $HF_HUB_CACHE, $HF_HOME/hub,
 * $XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub. ERR_NOTFOUND says
 * where it looked and how to get it there. */
int hub_find(char out[PATH_BYTES], const char *name, struct err *e);

#endif
