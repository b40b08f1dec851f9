/* SPDX-License-Identifier: ISC */
/*
 * tensors_int: between the files that read containers of tensors; nobody
 * else's. A container is recognised by its first bytes, maps its file and
 * appends its tensors to the set.
 */
#ifndef MODEL_TENSORS_INT_H
#define MODEL_TENSORS_INT_H

#include "model/json.h"
#include "model/tensors.h"
#include "model/zip.h"
#include "util/file.h"
#include "util/mem.h"

#define TENSORS_MAX 1000000
#define TENSOR_NAME_BYTES 1024
/* Of what is not borrowed from the file: inflated, or put in C order. */
#define TENSORS_OWN_BYTES ((size_t)16 << 30)

struct shard {
	char *path; /* owned */
	struct map map;
	bool borrowed; /* the map: it is somebody else's memory */
	struct js_doc header; /* of safetensors */
	struct zip zip; /* of .npz and .pt */
};

struct tensors {
	char *path; /* as opened: a file or a directory; owned */
	struct shard *shard;
	size_t n_shards;
	struct tensor *tensor; /* by name */
	size_t n_tensors;
	size_t cap_tensors;
	struct tensor_meta *meta; /* by name */
	size_t n_meta;
	size_t cap_meta;
	struct arena own; /* names and values that no map holds */
};

struct container {
	const char *name; /* the usual suffixes; the bytes decide */
	bool (*is)(const uint8_t *p, size_t n_bytes);
	/* Appends the tensors of s, which is mapped, to t. */
	int (*read)(struct tensors *t, struct shard *s, struct err *e);
};

bool safetensors_is(const uint8_t *p, size_t n_bytes);
int safetensors_read(struct tensors *t, struct shard *s, struct err *e);
bool npy_is(const uint8_t *p, size_t n_bytes);
int npy_read(struct tensors *t, struct shard *s, struct err *e);
bool tensors_zip_is(const uint8_t *p, size_t n_bytes);
int tensors_zip_read(struct tensors *t, struct shard *s, struct err *e);
/* prefix: of the members, such as "archive/". */
int pt_read(struct tensors *t, struct shard *s, const char *prefix, struct err *e);
/* Appends the array in p, called name; where is for errors. */
int npy_array(struct tensors *t, const struct shard *s, const char *where, char *name,
	const uint8_t *p, size_t n_bytes, struct err *e);

/* What a file is that holds no tensors we read, as an error. */
int tensors_refuse(const char *path, const uint8_t *p, size_t n_bytes, struct err *e);

/* tensors.c: the set. A pointer that tensors_add() gave is good until its next
 * call. */
struct tensors *tensors_new(const char *path, struct err *e);
int tensors_add_shard(struct tensors *t, const char *path, struct err *e);
int tensors_read_shard(struct tensors *t, struct shard *s, struct err *e);
struct tensor *tensors_add(struct tensors *t, const struct shard *s, struct err *e);
struct tensor_meta *tensors_add_meta(struct tensors *t, const struct shard *s,
	struct err *e);
/* Sorts by name; two of one name are ERR_FORMAT. */
int tensors_sort(struct tensors *t, struct err *e);
/* n * size bytes that live as long as the set; NULL after setting e. */
void *tensors_own(struct tensors *t, const char *path, size_t n, size_t size,
	struct err *e);
/* The file's name without directory and last suffix; lives as long as the set. */
char *tensors_stem(struct tensors *t, const struct shard *s, struct err *e);
/* The bytes of a member: in the map, or inflated once. */
int tensors_member(struct tensors *t, const struct shard *s, struct zip_member *m,
	const uint8_t **p, struct err *e);

/* Sets dtype and its name. Returns the bytes of one value. */
size_t tensor_set_dtype(struct tensor *x, enum dtype dtype);
/* Gives x the shape (or says why not); n_bytes is n_values * item_bytes. */
int tensor_set_shape(struct tensor *x, const char *where, const uint64_t *shape,
	size_t rank, size_t item_bytes, struct err *e);
/* The index of the last value that strides (in values) reach from offset; false
 * on overflow. x has a value. */
bool tensor_last_strided(const struct tensor *x, const size_t *stride, size_t offset,
	size_t *last);
bool tensor_in_c_order(const struct tensor *x, const size_t *stride);
/* Is no value reached twice? Only after tensor_last_strided(). */
bool tensor_is_injective(const struct tensor *x, const size_t *stride);
/* Copies values whose strides (in values) are given to out, in C order. */
void tensor_copy_strided(uint8_t *out, const uint8_t *from, const struct tensor *x,
	const size_t *stride, size_t item_bytes);

#endif
