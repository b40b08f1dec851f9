/* SPDX-License-Identifier: ISC */
#include "util/hash.h"

#include "util/paged.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>
#define XXH_INLINE_ALL /* one dispatch less; the same values as the library */
#include <xxhash.h>

#define PIECE_BYTES ((size_t)1 << 20) /* between two looks at what is in memory */
#define READ_BYTES ((size_t)1 << 17)

int
sha256_init(struct sha256 *h, struct err *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	h->state = NULL;
	if (ctx == NULL)
		return err_set(e, ERR_NOMEM, "no memory for a SHA-256 state");
	if (EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(ctx);
		return err_set(e, ERR_UNSUPPORTED, "libcrypto has no SHA-256 here");
	}
	h->state = ctx;
	return 0;
}

void
sha256_update(struct sha256 *h, const void *p, size_t n_bytes)
{
	const uint8_t *from = p;

	while (n_bytes > 0) {
		size_t n = n_bytes < PIECE_BYTES ? n_bytes : PIECE_BYTES;
		int ok = EVP_DigestUpdate(h->state, from, n);

		assert(ok == 1); /* cannot fail on an initialised software digest */
		(void)ok;
		from += n;
		n_bytes -= n;
		paged_passed(n);
	}
}

void
sha256_final(struct sha256 *h, uint8_t out[32])
{
	if (h->state == NULL)
		return;
	if (out != NULL) {
		unsigned n = 0;
		int ok = EVP_DigestFinal_ex(h->state, out, &n);

		assert(ok == 1 && n == 32);
		(void)ok;
	}
	EVP_MD_CTX_free(h->state);
	h->state = NULL;
}

int
sha256_of(const void *p, size_t n_bytes, uint8_t out[32], struct err *e)
{
	struct sha256 h;
	int rc = sha256_init(&h, e);

	if (rc < 0)
		return rc;
	sha256_update(&h, p, n_bytes);
	sha256_final(&h, out);
	return 0;
}

static int
sha256_fd(struct sha256 *h, int fd, const char *path, struct err *e)
{
	uint8_t chunk[READ_BYTES];
	ssize_t n;

	for (;;) {
		n = read(fd, chunk, sizeof(chunk));
		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s: cannot read", path);
		sha256_update(h, chunk, (size_t)n);
	}
}

int
sha256_file(const char *path, uint8_t out[32], struct err *e)
{
	struct sha256 h;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_sys(e, "%s: cannot open", path);
	rc = sha256_init(&h, e);
	if (rc == 0) {
		rc = sha256_fd(&h, fd, path, e);
		sha256_final(&h, rc == 0 ? out : NULL);
	}
	close(fd);
	return rc;
}

void
hash_hex(const uint8_t *p, size_t n_bytes, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n_bytes; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n_bytes] = '\0';
}

uint64_t
hash64(const void *p, size_t n_bytes, uint64_t seed)
{
	const uint8_t *from = p;
	XXH3_state_t state;

	if (n_bytes <= PIECE_BYTES)
		return XXH3_64bits_withSeed(p, n_bytes, seed);
	XXH3_INITSTATE(&state);
	XXH3_64bits_reset_withSeed(&state, seed);
	for (size_t at = 0, n; at < n_bytes; at += n) {
		n = n_bytes - at < PIECE_BYTES ? n_bytes - at : PIECE_BYTES;
		XXH3_64bits_update(&state, from + at, n);
		paged_passed(n);
	}
	return XXH3_64bits_digest(&state);
}

uint64_t
hash64_2(const void *a, size_t n_a, const void *b, size_t n_b)
{
	XXH3_state_t state;

	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, a, n_a);
	XXH3_64bits_update(&state, b, n_b);
	return XXH3_64bits_digest(&state);
}

/* The finaliser of splitmix64. */
static uint64_t
mix(uint64_t v)
{
	v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
	return v ^ (v >> 31);
}

uint64_t
hash_mix(uint64_t seed, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t h = mix(seed + step);

	h = mix(h + a + step);
	h = mix(h + b + step);
	return mix(h + c + step);
}
