/* SPDX-License-Identifier: ISC */
/*
 * tensors: named arrays in a file of safetensors, .npy, .npz or PyTorch's .pt,
 * mapped, every rule of the format checked before a byte of data is believed.
 * Pickles are read as data and never executed. Values are converted to float32
 * when copied out.
 */
#ifndef MODEL_TENSORS_H
#define MODEL_TENSORS_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dtype {
	DTYPE_F32,
	DTYPE_F16,
	DTYPE_BF16,
	DTYPE_F64,
	DTYPE_I64,
	DTYPE_I32,
	DTYPE_U8,
	DTYPE_I16,
	DTYPE_I8,
	DTYPE_BOOL,
	DTYPE_U16, /* these three as integers alone, not as floats */
	DTYPE_U32,
	DTYPE_U64,
	DTYPE_OTHER
};

#define TENSOR_MAX_RANK 8

struct tensor {
	const char *name; /* borrowed from the set */
	const char *path; /* of the file it stands in; borrowed from the set */
	enum dtype dtype;
	char dtype_name[12];
	size_t rank;
	size_t shape[TENSOR_MAX_RANK];
	size_t n_values;
	const uint8_t *data; /* borrowed from the set; unaligned, little-endian */
	size_t n_bytes;
};

enum meta_type { META_NONE, META_BOOL, META_INT, META_REAL, META_STR };

/* A value that stands among the tensors of a .pt file: a number, a text. */
struct tensor_meta {
	const char *name; /* dotted, as tensors' are; borrowed from the set */
	enum meta_type type;
	int64_t i; /* BOOL (0, 1), INT */
	double real; /* REAL */
	const char *str; /* STR, UTF-8; borrowed from the set */
};

struct tensors; /* opaque: one file, or the shards an index names */

/* path: a safetensors, .npy, .npz or .pt file, told by its bytes and not by
 * its name. The array of an .npy file, and the tensor of a .pt file that holds
 * just one, is called as the file without its suffix; in a .pt file, what
 * stands in dicts and lists has a dotted name ("model.encoder.weight",
 * "W_dec.0"). new: tensors_close(). */
int tensors_open(struct tensors **out, const char *path, struct err *e);
/* dir/model.safetensors, the shards of dir/model.safetensors.index.json, or
 * dir/pytorch_model.bin. */
int tensors_open_dir(struct tensors **out, const char *dir, struct err *e);
/* A safetensors file that is in memory; name is for errors. borrowed: p, until
 * tensors_close(). */
int tensors_of_bytes(struct tensors **out, const char *name, const void *p,
	size_t n_bytes, struct err *e);
/* The same where files may be missing, or some of the shards: the tensors that are
 * there. *out is NULL where there are none of these files. */
int tensors_open_some(struct tensors **out, const char *dir, struct err *e);
void tensors_close(struct tensors *t);

/* The suffixes of the files that are read, one by one; NULL past the last. */
const char *tensors_container_at(size_t i);
/* Where all tensors stand below prefix (such as "state_dict."), they and the values
 * there lose it, and the values elsewhere are gone. Else changes nothing. */
void tensors_enter(struct tensors *t, const char *prefix);

size_t tensors_n(const struct tensors *t);
const struct tensor *tensors_at(const struct tensors *t, size_t i); /* by name order */
const struct tensor *tensors_find(const struct tensors *t,
	const char *name); /* or NULL */
size_t tensors_n_meta(const struct tensors *t);
const struct tensor_meta *tensors_meta_at(const struct tensors *t,
	size_t i); /* by name order */
const struct tensor_meta *tensors_meta(const struct tensors *t,
	const char *name); /* or NULL */
/* What safetensors' __metadata__ says under key, borrowed; NULL when it does not.
 * Of shards, the first one's. */
const char *tensors_note(const struct tensors *t, const char *key);
/* Copies n_values floats to out (converted; F16, BF16 exactly). A NaN or an
 * infinity is ERR_FORMAT naming file, tensor and index, unless allowed. */
int tensor_floats(const struct tensor *t, float *out, bool allow_nonfinite,
	struct err *e);
/* The same for values [from, from + n), which the tensor has. */
int tensor_floats_some(const struct tensor *t, size_t from, size_t n, float *out,
	bool allow_nonfinite, struct err *e);
/* The values where they stand, borrowed from the set, where these are aligned float32,
 * else NULL. A NaN or an infinity is ERR_FORMAT. */
int tensor_mapped(const struct tensor *t, const float **out, struct err *e);
/* The rows [first, first + n) of dimension 0, which must be there (assert). */
struct tensor tensor_rows(const struct tensor *t, size_t first, size_t n);
/* Whether its values are integers of at most 64 bits. */
bool tensor_is_int(const struct tensor *t);
/* Value i of such a tensor; what no int64_t holds is INT64_MAX. */
int64_t tensor_int(const struct tensor *t, size_t i);
/* SHA-256 over the file (all shards, in name order). */
int tensors_sha256(const struct tensors *t, uint8_t out[32], struct err *e);
const char *tensors_path(const struct tensors *t);

#endif
