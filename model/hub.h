/* SPDX-License-Identifier: ISC */
/*
 * hub: directories, and files in them, by the name that Hugging Face's hub knows
 * them by, found in the cache that its libraries leave on this machine. Never uses the network.
 */
#ifndef MODEL_HUB_H
#define MODEL_HUB_H

#include "util/err.h"
#include "util/file.h"

/* Where something is on the hub. */
struct hub_place {
	const char *repo; /* [ORG/]REPO */
	const char *revision; /* a branch, a tag or a commit; NULL: main */
	const char *part; /* a folder or file of it; "" for the whole */
	const char *want; /* what `hf download` must be told to get it */
};

/* Looks where `hf download` or from_pretrained() left it: in $HF_HUB_CACHE,
 * $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub.
 * ERR_NOTFOUND says where it looked and how to get it there, and ERR_ARG that
 * these cannot be names. */
int hub_locate(char out[PATH_BYTES], const struct hub_place *p, struct err *e);

/* name: what is there, or what can only be a path: returned as it is; or
 * [ORG/]REPO[@REVISION][:FOLDER] (a folder, or a file in one), looked up as
 * hub_locate does. */
int hub_find(char out[PATH_BYTES], const char *name, struct err *e);

#endif
