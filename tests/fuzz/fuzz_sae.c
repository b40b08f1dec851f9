/* SPDX-License-Identifier: ISC */
/*
 * The config of an SAE, beside weights that are as they should be: refused, or the
 * SAE encodes. The first byte tells the family.
 */
#include "tests/fuzz/fuzz.h"

#include "model/sae.h"
#include "util/file.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A config's name, and where the weights stand in tests/model/data/. */
static const struct {
	const char *config, *weights, *from;
} families[] = {
	{"cfg.json", "sae_weights.safetensors", "fam-saelens-jumprelu-skip-transcoder"},
	{"cfg.json", "sae.safetensors", "fam-sparsify-topk/run/layers.1"},
	{"config.json", "ae.safetensors", "fam-dictionary-topk"},
	{"hyperparams.json", "checkpoints/final.safetensors", "fam-llama-scope"},
	{"config.json", "sae_weights.safetensors", "fam-llamascopium/sae"},
	{"config.json", "params.safetensors",
		"fam-gemma-scope-2-resid-post/resid_post/layer_1_width_16k_l0_small"},
	{"config.yaml", "layer_1.safetensors", "fam-circuit-topk/set"},
};

enum { N = sizeof(families) / sizeof(families[0]) };

static char dir[64];
static int fd = -1;

static void
forget(void)
{
	dir_remove(dir, NULL);
}

static void
link_to(const char *to, const char *in, const char *name)
{
	char path[PATH_BYTES];

	if (path_join(path, NULL, "%s/%s", in, name) < 0 || symlink(to, path) != 0)
		abort();
}

/* dir/0, dir/1, ...: links to the weights, and to one config in memory; a file on
 * a disk, written anew for each input, is slow. */
static void
make_places(void)
{
	const char *src = getenv("srcdir");
	char top[PATH_BYTES], to[PATH_BYTES], memory[64], *root;

	fd = memfd_create("fuzz", MFD_CLOEXEC);
	root = realpath(src ? src : ".", NULL);
	snprintf(memory, sizeof(memory), "/proc/self/fd/%d", fd);
	snprintf(dir, sizeof(dir), "/tmp/saedb-fuzz-%ld", (long)getpid());
	if (fd < 0 || !root)
		abort();
	for (size_t i = 0; i < N; i++) {
		if (path_join(top, NULL, "%s/%zu/checkpoints", dir, i) < 0 ||
			dir_make(top, NULL) < 0 ||
			path_join(top, NULL, "%s/%zu", dir, i) < 0 ||
			path_join(to, NULL, "%s/tests/model/data/%s/%s", root,
				families[i].from, families[i].weights) < 0)
			abort();
		link_to(to, top, families[i].weights);
		link_to(memory, top, families[i].config);
	}
	free(root);
	atexit(forget);
}

static void
encode(const struct sae *s)
{
	float *x = mem_new(s->info.d_in, sizeof(*x));
	float *f = mem_new(s->info.d_sae, sizeof(*f));

	if (!x || !f || sae_kind_name(s->info.kind) == NULL)
		abort();
	for (size_t i = 0; i < s->info.d_in; i++)
		x[i] = (float)i;
	sae_encode_plain(s, x, f);
	mem_free(x);
	mem_free(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n_bytes)
{
	const struct sae_options own = {.hook = "blocks.1.hook_resid_post"};
	struct err e = ERR_INIT;
	char path[PATH_BYTES];
	struct sae *s;

	if (n_bytes == 0)
		return 0;
	if (fd < 0)
		make_places();
	if (ftruncate(fd, (off_t)n_bytes - 1) != 0 ||
		pwrite(fd, p + 1, n_bytes - 1, 0) != (ssize_t)n_bytes - 1 ||
		path_join(path, &e, "%s/%u", dir, p[0] % N) < 0)
		abort();
	if (sae_open_with(&s, path, p[0] & 64 ? &own : NULL, &e) < 0) {
		if (e.text[0] == '\0' || e.code >= 0)
			abort();
		return 0;
	}
	encode(s);
	sae_close(s);
	return 0;
}
