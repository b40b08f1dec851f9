/* SPDX-License-Identifier: ISC */
#include "model/zip.h"

#include "util/stream_gz.h"
#include "util/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_BYTES 30
#define CENTRAL_BYTES 46
#define END_BYTES 22
#define END64_BYTES 56
#define LOCATOR_BYTES 20
#define COMMENT_MAX_BYTES 65535
#define MEMBERS_MAX 1000000
#define NAME_MAX_BYTES 1024
#define DEFLATE_MOST 1032 /* no deflated byte gives more */

#define SIG_LOCAL 0x04034b50u
#define SIG_CENTRAL 0x02014b50u
#define SIG_END 0x06054b50u
#define SIG_END64 0x06064b50u
#define SIG_LOCATOR 0x07064b50u

#define FLAG_DESCRIPTOR 0x0008u /* sizes stand behind the data */
#define FLAGS_UNSUPPORTED 0x2061u /* encrypted, patched, masked */
#define EXTRA_ZIP64 1
#define IN_EXTRA 0xffffffffu /* the value stands in the zip64 extra */

/* Where the central directory lies. */
struct directory {
	uint64_t n_members;
	uint64_t n_bytes;
	uint64_t at;
	size_t end; /* where the records behind it begin */
};

/* The fields that a member's two headers share. */
struct header {
	uint16_t flags, method;
	uint32_t crc;
	uint64_t n_packed, n_bytes, at;
	const char *name;
	size_t n_name;
};

static struct cur
cur_at(const struct map *map, size_t at)
{
	return cur_of(map->data + at, map->n_bytes - at);
}

static int
bad_end(const char *path, struct err *e)
{
	return err_set(e, ERR_FORMAT,
		"%s: the zip file's directory does not lie where its end says; it is "
		"truncated or damaged",
		path);
}

/* The end record is the last one whose comment reaches to the end. */
static int
find_end(size_t *at, const struct map *map, const char *path, struct err *e)
{
	size_t most = COMMENT_MAX_BYTES + END_BYTES;
	size_t low = map->n_bytes > most ? map->n_bytes - most : 0;

	for (size_t i = map->n_bytes; i-- > low;) {
		struct cur c = cur_at(map, i);

		if (map->data[i] != 'P' || cur_u32(&c) != SIG_END)
			continue;
		cur_take(&c, END_BYTES - 6);
		if (cur_u16(&c) == cur_left(&c) && !c.failed) {
			*at = i;
			return 0;
		}
	}
	return err_set(e, ERR_FORMAT,
		"%s: a zip file without the directory at its end; it is truncated",
		path);
}

/* Reads the zip64 end, which must repeat what the plain end has room for. */
static int
read_end64(struct directory *d, size_t end, const struct map *map, const char *path,
	struct err *e)
{
	struct cur c = cur_at(map, end - LOCATOR_BYTES);
	struct directory wide;
	uint64_t at, n_record, n_here;
	uint32_t disk;

	if (cur_u32(&c) != SIG_LOCATOR)
		return 0;
	disk = cur_u32(&c);
	at = cur_u64(&c);
	if (disk != 0 || at > end - LOCATOR_BYTES ||
		end - LOCATOR_BYTES - at < END64_BYTES)
		return bad_end(path, e);
	c = cur_at(map, (size_t)at);
	if (cur_u32(&c) != SIG_END64)
		return bad_end(path, e);
	n_record = cur_u64(&c);
	cur_take(&c, 4); /* versions */
	disk = cur_u32(&c) | cur_u32(&c);
	n_here = cur_u64(&c);
	wide = (struct directory){.n_members = cur_u64(&c), .end = (size_t)at};
	wide.n_bytes = cur_u64(&c);
	wide.at = cur_u64(&c);
	if (n_record != end - LOCATOR_BYTES - at - 12 || disk != 0 ||
		n_here != wide.n_members)
		return bad_end(path, e);
	if ((d->n_members != 0xffff && d->n_members != wide.n_members) ||
		(d->n_bytes != IN_EXTRA && d->n_bytes != wide.n_bytes) ||
		(d->at != IN_EXTRA && d->at != wide.at))
		return bad_end(path, e);
	*d = wide;
	return 0;
}

static int
read_end(struct directory *d, const struct map *map, const char *path, struct err *e)
{
	size_t end = 0;
	struct cur c;
	uint32_t disks, n_here;
	int rc = find_end(&end, map, path, e);

	if (rc < 0)
		return rc;
	c = cur_at(map, end + 4);
	disks = cur_u32(&c);
	n_here = cur_u16(&c);
	*d = (struct directory){.n_members = cur_u16(&c), .end = end};
	d->n_bytes = cur_u32(&c);
	d->at = cur_u32(&c);
	if ((disks != 0 && disks != IN_EXTRA) || n_here != d->n_members)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: a zip file split over several files", path);
	if (end >= LOCATOR_BYTES)
		rc = read_end64(d, end, map, path, e);
	if (rc == 0 && (d->at > d->end || d->n_bytes != d->end - d->at))
		rc = bad_end(path, e);
	if (rc == 0 && d->n_members > MEMBERS_MAX)
		rc = err_set(e, ERR_LIMIT, "%s: %" PRIu64 " members, at most %d", path,
			d->n_members, MEMBERS_MAX);
	return rc;
}

/* Takes from the zip64 extra, in its order, what the header has no room for. */
static bool
read_extra(struct header *h, struct cur c)
{
	while (cur_left(&c) >= 4) {
		uint16_t id = cur_u16(&c), n = cur_u16(&c);
		const void *p = cur_take(&c, n);
		struct cur v = cur_of(p, p ? n : 0);

		if (!p)
			return false;
		if (id != EXTRA_ZIP64)
			continue;
		if (h->n_bytes == IN_EXTRA)
			h->n_bytes = cur_u64(&v);
		if (h->n_packed == IN_EXTRA)
			h->n_packed = cur_u64(&v);
		if (h->at == IN_EXTRA)
			h->at = cur_u64(&v);
		return !v.failed;
	}
	return true; /* fewer than 4 bytes: padding */
}

static int
bad_member(const struct zip *z, const struct header *h, const char *what, struct err *e)
{
	char name[120];

	snprintf(name, sizeof(name), "%.*s", (int)(h->n_name > 100 ? 100 : h->n_name),
		h->name);
	return err_set(e, ERR_FORMAT, "%s: member %s: %s; the zip file is damaged",
		z->path, name, what);
}

/* A relative path downward: it may become the name of a tensor. */
static bool
name_ok(const char *s, size_t n)
{
	if (n == 0 || n > NAME_MAX_BYTES || utf8_valid(s, n) != n || s[0] == '/')
		return false;
	for (size_t i = 0; i < n; i++) {
		size_t part = i;

		if ((unsigned char)s[i] < 0x20 || s[i] == '\\' || s[i] == 0x7f)
			return false;
		if (i > 0 && s[i - 1] != '/')
			continue;
		while (part < n && s[part] != '/')
			part++;
		if (part == i || (part == i + 2 && s[i] == '.' && s[i + 1] == '.') ||
			(part == i + 1 && s[i] == '.'))
			return false;
	}
	return true;
}

static int
check_central(const struct zip *z, const struct header *h, struct err *e)
{
	if (!name_ok(h->name, h->n_name))
		return err_set(e, ERR_FORMAT,
			"%s: the name of the member at byte %" PRIu64 " is empty, too "
			"long, not UTF-8 or no plain path downward",
			z->path, h->at);
	if (h->flags & FLAGS_UNSUPPORTED)
		return err_set(e, ERR_UNSUPPORTED, "%s: member %.*s is encrypted",
			z->path, (int)h->n_name, h->name);
	if (h->method != 0 && h->method != 8)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: member %.*s is compressed by method %u; only stored and "
			"deflated members are read",
			z->path, (int)h->n_name, h->name, h->method);
	if (h->method == 0 && h->n_packed != h->n_bytes)
		return bad_member(z, h, "it is stored, and its two sizes differ", e);
	if (h->n_bytes / DEFLATE_MOST > h->n_packed)
		return bad_member(z, h,
			"its size is more than its deflated bytes can give", e);
	return 0;
}

/* Does the member's own header say what the directory says? */
static bool
same_header(const struct header *own, const struct header *h)
{
	bool behind = own->flags & FLAG_DESCRIPTOR;

	if (own->method != h->method || own->n_name != h->n_name ||
		((own->flags ^ h->flags) & FLAGS_UNSUPPORTED) ||
		memcmp(own->name, h->name, h->n_name) != 0)
		return false;
	if (behind && own->n_bytes == 0 && own->n_packed == 0)
		return own->crc == 0 || own->crc == h->crc;
	return own->n_bytes == h->n_bytes && own->n_packed == h->n_packed &&
		(own->crc == h->crc || (behind && own->crc == 0));
}

static int
read_local(struct zip_member *m, const struct zip *z, const struct header *h,
	const struct map *map, size_t end, struct err *e)
{
	struct header own = {.at = 0};
	struct cur c;
	uint16_t n_extra;
	const void *extra;

	if (h->at > end || end - h->at < LOCAL_BYTES)
		return bad_member(z, h, "it lies beyond the data", e);
	c = cur_of(map->data + h->at, end - (size_t)h->at);
	if (cur_u32(&c) != SIG_LOCAL)
		return bad_member(z, h, "no header where it should begin", e);
	cur_u16(&c); /* version */
	own.flags = cur_u16(&c);
	own.method = cur_u16(&c);
	cur_u32(&c); /* time */
	own.crc = cur_u32(&c);
	own.n_packed = cur_u32(&c);
	own.n_bytes = cur_u32(&c);
	own.n_name = cur_u16(&c);
	n_extra = cur_u16(&c);
	own.name = cur_take(&c, own.n_name);
	extra = cur_take(&c, n_extra);
	if (c.failed || !read_extra(&own, cur_of(extra, n_extra)))
		return bad_member(z, h, "its header is cut short", e);
	if (!same_header(&own, h))
		return bad_member(z, h, "its header contradicts the directory", e);
	if (h->n_packed > cur_left(&c))
		return bad_member(z, h, "its bytes reach beyond the data", e);
	m->packed = c.p;
	m->header_at = (size_t)h->at;
	m->n_packed_bytes = (size_t)h->n_packed;
	m->n_bytes = (size_t)h->n_bytes;
	m->crc = h->crc;
	m->deflated = h->method == 8;
	return 0;
}

/* The next entry of the directory; a name that ends in '/' is left out. */
static int
read_central(struct zip *z, struct cur *c, const struct map *map, size_t end,
	struct err *e)
{
	struct header h = {.name = ""};
	struct zip_member *m = &z->member[z->n_members];
	uint16_t n_extra, n_comment, disk;
	const void *extra;
	int rc;

	if (cur_u32(c) != SIG_CENTRAL)
		return bad_end(z->path, e);
	cur_u32(c); /* versions */
	h.flags = cur_u16(c);
	h.method = cur_u16(c);
	cur_u32(c); /* time */
	h.crc = cur_u32(c);
	h.n_packed = cur_u32(c);
	h.n_bytes = cur_u32(c);
	h.n_name = cur_u16(c);
	n_extra = cur_u16(c);
	n_comment = cur_u16(c);
	disk = cur_u16(c);
	cur_take(c, 6); /* attributes */
	h.at = cur_u32(c);
	h.name = cur_take(c, h.n_name);
	extra = cur_take(c, n_extra);
	cur_take(c, n_comment);
	if (c->failed || !read_extra(&h, cur_of(extra, n_extra)) || disk != 0)
		return bad_end(z->path, e);
	if (h.n_name > 1 && h.name[h.n_name - 1] == '/' && h.n_bytes == 0)
		return 0;
	rc = check_central(z, &h, e);
	if (rc == 0)
		rc = read_local(m, z, &h, map, end, e);
	if (rc < 0)
		return rc;
	m->name = arena_strndup(&z->names, h.name, h.n_name);
	if (!m->name)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", z->path);
	z->n_members++;
	return 0;
}

static int
by_place(const void *a, const void *b)
{
	const struct zip_member *x = a, *y = b;

	return x->header_at < y->header_at ? -1 : x->header_at > y->header_at;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct zip_member *)a)->name,
		((const struct zip_member *)b)->name);
}

static int
check_members(struct zip *z, const struct map *map, struct err *e)
{
	struct zip_member *m = z->member;

	if (z->n_members == 0)
		return 0;
	qsort(m, z->n_members, sizeof(*m), by_place);
	for (size_t i = 1; i < z->n_members; i++) {
		if (m[i].header_at <
			(size_t)(m[i - 1].packed - map->data) + m[i - 1].n_packed_bytes)
			return err_set(e, ERR_FORMAT,
				"%s: members %s and %s overlap; the zip file is "
				"damaged",
				z->path, m[i - 1].name, m[i].name);
	}
	qsort(m, z->n_members, sizeof(*m), by_name);
	for (size_t i = 1; i < z->n_members; i++) {
		if (strcmp(m[i - 1].name, m[i].name) == 0)
			return err_set(e, ERR_FORMAT, "%s: two members are called %s",
				z->path, m[i].name);
	}
	return 0;
}

int
zip_open(struct zip *z, const struct map *map, const char *path, struct err *e)
{
	struct directory d = {0};
	struct cur c;
	int rc;

	*z = (struct zip){.path = path};
	arena_init(&z->names, 0);
	rc = read_end(&d, map, path, e);
	if (rc < 0)
		return rc;
	if (d.n_members > d.n_bytes / CENTRAL_BYTES)
		return bad_end(path, e);
	z->member = mem_new((size_t)d.n_members + 1, sizeof(*z->member));
	if (!z->member)
		return err_set(e, ERR_NOMEM, "%s: memory ran out", path);
	c = cur_of(map->data + d.at, (size_t)d.n_bytes);
	for (uint64_t i = 0; rc == 0 && i < d.n_members; i++)
		rc = read_central(z, &c, map, (size_t)d.at, e);
	if (rc == 0 && cur_left(&c) > 0)
		rc = bad_end(path, e);
	if (rc == 0)
		rc = check_members(z, map, e);
	if (rc < 0)
		zip_close(z);
	return rc;
}

void
zip_close(struct zip *z)
{
	mem_free(z->member);
	arena_clear(&z->names);
	*z = (struct zip){0};
}

struct zip_member *
zip_find(const struct zip *z, const char *name)
{
	struct zip_member key = {.name = name};

	if (z->n_members == 0)
		return NULL;
	return bsearch(&key, z->member, z->n_members, sizeof(key), by_name);
}

int
zip_inflate(const struct zip *z, const struct zip_member *m, void *out, struct err *e)
{
	if (stream_gz_inflate(out, m->n_bytes, m->packed, m->n_packed_bytes, e) < 0)
		return err_wrap(e, "%s: member %s", z->path, m->name);
	return 0;
}

int
zip_check(const struct zip *z, const struct zip_member *m, const void *p, struct err *e)
{
	if (stream_gz_crc32(p, m->n_bytes) != m->crc)
		return err_set(e, ERR_FORMAT,
			"%s: member %s fails its checksum; the file is damaged",
			z->path, m->name);
	return 0;
}
