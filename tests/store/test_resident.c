/* SPDX-License-Identifier: ISC */
/*
 * What is read of an LMDB file leaves memory again where resident memory is bounded. In
 * a program of its own, for the most that was ever resident is what counts.
 */
#include "store/kv.h"
#include "tests/store/small.h"
#include "util/paged.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_BYTES ((uint64_t)100 << 20)
#define N_VALUES 3200u /* of VALUE_BYTES: twice the limit */
#define VALUE_BYTES 65000u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* shadows of memory are resident, too */
#else
#define SANITIZED 0
#endif

static uint64_t
peak_bytes(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long long kib = 0;
	char line[256];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmHWM: %llu", &kib) == 1)
			break;
	fclose(f);
	return kib * 1024;
}

static void
fill(struct kv *kv)
{
	static char value[VALUE_BYTES];

	for (uint32_t i = 0; i < N_VALUES; i++) {
		memset(value, (int)(i & 0x7f), sizeof(value));
		OK(kv_put(kv, 0, i, value, sizeof(value), e));
	}
	OK(kv_finish(kv, e));
}

static void
read_all(struct kv *kv)
{
	struct kv_view *v;
	struct arena arena;
	struct kv_value x;

	arena_init(&arena, 0);
	OK(kv_view_open(&v, kv, e));
	for (uint32_t i = 0; i < N_VALUES; i++) {
		assert_int_equal(kv_get(v, 0, i, &x, &arena, NULL), 1);
		assert_int_equal(((const char *)x.p)[x.n_bytes - 1], i & 0x7f);
		arena_reset(&arena);
	}
	kv_view_close(v);
	arena_clear(&arena);
}

static void
test_maps(void **unused)
{
	static const char *const names[] = {"values"};
	char *path = at("values.mdb");
	struct kv *kv;

	(void)unused;
	if (SANITIZED)
		skip();
	OK(paged_begin(at("."), LIMIT_BYTES, LIMIT_BYTES / 8, e));
	OK(kv_create(&kv, path, names, 1, e));
	fill(kv);
	kv_close(kv);
	OK(kv_open(&kv, path, names, 1, e));
	read_all(kv);
	kv_close(kv);
	paged_end();
	assert_in_range(peak_bytes(), 1, LIMIT_BYTES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_maps)};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
