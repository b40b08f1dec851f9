/* SPDX-License-Identifier: ISC */
/*
 * Tensors in a zip file: numpy's .npz (an .npy for each array) or PyTorch's
 * .pt (a pickle and its storages). Members that are stored are used in place.
 * PyTorch's stored members are not held to their checksums: it does not check
 * them either, and writes wrong ones when told to save time.
 */
#include "model/tensors_int.h"

#include <stdio.h>
#include <string.h>

bool
tensors_zip_is(const uint8_t *p, size_t n_bytes)
{
	return n_bytes >= 4 && memcmp(p, "PK", 2) == 0 &&
		(memcmp(p + 2, "\3\4", 2) == 0 || memcmp(p + 2, "\5\6", 2) == 0);
}

int
tensors_member(struct tensors *t, const struct shard *s, struct zip_member *m,
	const uint8_t **p, struct err *e)
{
	uint8_t *copy;
	int rc;

	*p = m->deflated ? m->inflated : m->packed;
	if (*p)
		return 0;
	copy = tensors_own(t, s->path, m->n_bytes, 1, e);
	if (!copy)
		return e->code;
	rc = zip_inflate(&s->zip, m, copy, e);
	if (rc == 0)
		rc = zip_check(&s->zip, m, copy, e);
	if (rc == 0)
		*p = m->inflated = copy;
	return rc;
}

static int
npz_member(struct tensors *t, struct shard *s, struct zip_member *m, struct err *e)
{
	size_t n = strlen(m->name) - strlen(".npy");
	char where[PATH_BYTES + TENSOR_NAME_BYTES + 16], *name;
	const uint8_t *p = NULL;
	int rc;

	snprintf(where, sizeof(where), "%s: array %.*s", s->path, (int)n, m->name);
	name = tensors_own(t, s->path, n + 1, 1, e);
	if (!name)
		return e->code;
	memcpy(name, m->name, n);
	name[n] = '\0';
	rc = tensors_member(t, s, m, &p, e);
	if (rc == 0 && !m->deflated)
		rc = zip_check(&s->zip, m, p, e);
	if (rc == 0)
		rc = npy_array(t, s, where, name, p, m->n_bytes, e);
	return rc;
}

static int
npz_read(struct tensors *t, struct shard *s, struct err *e)
{
	for (size_t i = 0; i < s->zip.n_members; i++) {
		struct zip_member *m = &s->zip.member[i];
		int rc;

		if (!path_ends(m->name, ".npy"))
			return err_set(e, ERR_UNSUPPORTED,
				"%s: member %s: a zip file of tensors holds .npy "
				"arrays alone (.npz) or PyTorch's data.pkl (.pt)",
				s->path, m->name);
		rc = npz_member(t, s, m, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* "archive/" of the archive/data.pkl that PyTorch writes; *pkl NULL if none. */
static int
find_pickle(const struct shard *s, const struct zip_member **pkl, struct err *e)
{
	*pkl = NULL;
	for (size_t i = 0; i < s->zip.n_members; i++) {
		const struct zip_member *m = &s->zip.member[i];

		if (!path_ends(m->name, "/data.pkl") ||
			strchr(m->name, '/') != strrchr(m->name, '/'))
			continue;
		if (*pkl)
			return err_set(e, ERR_FORMAT,
				"%s: both %s and %s; which one is meant?", s->path,
				(*pkl)->name, m->name);
		*pkl = m;
	}
	return 0;
}

/* Before anything is inflated: what all members claim to become. */
static int
check_inflated(const struct shard *s, struct err *e)
{
	size_t total = 0;

	for (size_t i = 0; i < s->zip.n_members; i++) {
		const struct zip_member *m = &s->zip.member[i];

		if (m->deflated &&
			(!mem_add(total, m->n_bytes, &total) ||
				total > TENSORS_OWN_BYTES))
			return err_set(e, ERR_LIMIT,
				"%s: more than %zu GiB when inflated; save it "
				"uncompressed",
				s->path, TENSORS_OWN_BYTES >> 30);
	}
	return 0;
}

int
tensors_zip_read(struct tensors *t, struct shard *s, struct err *e)
{
	const struct zip_member *pkl = NULL;
	char prefix[TENSOR_NAME_BYTES + 1];
	int rc = zip_open(&s->zip, &s->map, s->path, e);

	if (rc == 0)
		rc = check_inflated(s, e);
	if (rc == 0)
		rc = find_pickle(s, &pkl, e);
	if (rc < 0)
		return rc;
	if (!pkl)
		return npz_read(t, s, e);
	snprintf(prefix, sizeof(prefix), "%.*s",
		(int)(strlen(pkl->name) - strlen("data.pkl")), pkl->name);
	return pt_read(t, s, prefix, e);
}
