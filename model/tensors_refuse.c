/* SPDX-License-Identifier: ISC */
/* What a file is that holds no tensors we read, told by its first bytes. */
#include "model/tensors_int.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define TAR_MAGIC_AT 257

static const struct {
	const char *magic; /* case is ignored */
	size_t n_bytes;
	int code;
	const char *says;
} others[] = {
	{"version https://git-lfs", 23, ERR_FORMAT,
		"a Git LFS pointer and not the file itself; run `git lfs pull`"},
	{"<!doctype", 9, ERR_FORMAT, "an HTML page, no tensors; download it again"},
	{"<html", 5, ERR_FORMAT, "an HTML page, no tensors; download it again"},
	{"<?xml", 5, ERR_FORMAT,
		"an XML document (a server's error?), no tensors; download it again"},
	{"\x1f\x8b", 2, ERR_UNSUPPORTED, "compressed by gzip; run gunzip on it"},
	{"\x28\xb5\x2f\xfd", 4, ERR_UNSUPPORTED,
		"compressed by zstd; run unzstd on it"},
	{"BZh", 3, ERR_UNSUPPORTED, "compressed by bzip2; run bunzip2 on it"},
	{"\xfd"
	 "7zXZ",
		5, ERR_UNSUPPORTED, "compressed by xz; run unxz on it"},
	{"GGUF", 4, ERR_UNSUPPORTED, "a GGUF file; use the model's safetensors"},
	{"\x89HDF", 4, ERR_UNSUPPORTED,
		"an HDF5 file; convert it to safetensors or .npz"},
	/* PROTO 2, LONG1 of 10 bytes: torch.save's old magic number */
	{"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14,
		ERR_UNSUPPORTED,
		"saved by PyTorch before 1.6 (or in its legacy format); load and "
		"save it again with a current PyTorch, or convert it to safetensors"},
	{"\x80\x02", 2, ERR_UNSUPPORTED,
		"a bare pickle; save its tensors with torch.save or as safetensors"},
	{"\x80\x03", 2, ERR_UNSUPPORTED,
		"a bare pickle; save its tensors with torch.save or as safetensors"},
	{"\x80\x04\x95", 3, ERR_UNSUPPORTED,
		"a bare pickle; save its tensors with torch.save or as safetensors"},
	{"\x80\x05\x95", 3, ERR_UNSUPPORTED,
		"a bare pickle; save its tensors with torch.save or as safetensors"},
};

static bool
is_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!isprint(p[i]) && !isspace(p[i]))
			return false;
	}
	return true;
}

int
tensors_refuse(const char *path, const uint8_t *p, size_t n_bytes, struct err *e)
{
	size_t blank = 0;

	if (n_bytes == 0)
		return err_set(e, ERR_FORMAT, "%s: the file is empty", path);
	while (blank < 64 && blank < n_bytes && isspace(p[blank]))
		blank++;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		size_t n = others[i].n_bytes;

		if (n_bytes - blank >= n &&
			strncasecmp((const char *)p + blank, others[i].magic, n) == 0)
			return err_set(e, others[i].code, "%s: this is %s", path,
				others[i].says);
	}
	if (n_bytes >= TAR_MAGIC_AT + 5 && memcmp(p + TAR_MAGIC_AT, "ustar", 5) == 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: this is a tar file; if PyTorch wrote it, load and save it "
			"again with a current PyTorch, or convert it to safetensors",
			path);
	if (n_bytes > 16 && is_text(p, 16))
		return err_set(e, ERR_FORMAT,
			"%s: this is text that begins with \"%.16s\", and no file of "
			"tensors (safetensors, .npy, .npz or PyTorch's zip)",
			path, (const char *)p);
	return 0;
}
