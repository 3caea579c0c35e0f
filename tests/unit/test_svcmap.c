// SPDX-License-Identifier: Apache-2.0
/* test_svcmap.c - the service table as a map: against a plain list, with full buckets, both families. */
#include "core/cleanup.h"
#include "core/svcmap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define BUCKETS 64

static struct svcmap make(void)
{
	struct svcmap m;

	svcmap_init(&m, calloc(BUCKETS, sizeof(struct lb_svc4_bucket)), calloc(BUCKETS, sizeof(struct lb_svc6_bucket)),
		    BUCKETS, 0x5eed);
	return m;
}

static void done(struct svcmap *m)
{
	free(m->v4);
	free(m->v6);
}

static struct lb_addr addr(const char *text)
{
	struct lb_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void keys_are_told_apart(void **state)
{
	static const struct {
		const char *vip;
		__u16 port;
		__u8 protocol;
	} keys[] = {
		{ "192.0.2.1", 80, 6 },    { "192.0.2.1", 80, 17 },   { "192.0.2.1", 443, 6 }, { "192.0.2.2", 80, 6 },
		{ "192.0.2.1", 0, 0 },     { "2001:db8::1", 80, 6 },  { "2001:db8::1", 80, 17 }, { "2001:db8::1", 443, 6 },
		{ "2001:db8::2", 80, 6 },  { "2001:db8:1::1", 80, 6 }, { "2001:db8::1", 0, 0 },
	};
	struct svcmap m = make();
	__u64 val;

	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		struct lb_addr a = addr(keys[i].vip);

		assert_int_equal(svcmap_get(&m, &a, keys[i].port, keys[i].protocol, &val), -ENOENT);
		assert_int_equal(svcmap_set(&m, &a, keys[i].port, keys[i].protocol, 1000 + i), 0);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		struct lb_addr a = addr(keys[i].vip);

		assert_int_equal(svcmap_get(&m, &a, keys[i].port, keys[i].protocol, &val), 0);
		assert_int_equal(val, 1000 + i);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i += 2) {
		struct lb_addr a = addr(keys[i].vip);

		assert_int_equal(svcmap_remove(&m, &a, keys[i].port, keys[i].protocol), 0);
		assert_int_equal(svcmap_remove(&m, &a, keys[i].port, keys[i].protocol), -ENOENT);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		struct lb_addr a = addr(keys[i].vip);

		assert_int_equal(svcmap_get(&m, &a, keys[i].port, keys[i].protocol, &val), i % 2 ? 0 : -ENOENT);
	}
	done(&m);
}

static void count(const struct lb_addr *vip, __u16 port, __u8 protocol, __u64 val, void *userdata)
{
	unsigned int *n = userdata;

	assert_int_equal(port, val);
	assert_int_equal(protocol, 6);
	(*n)++;
}

/* Keys are added until a bucket is full: that one is refused, nothing else changes, and a removal makes room. */
static void a_full_bucket_is_refused(const char *vip)
{
	struct svcmap m = make();
	struct lb_addr a = addr(vip);
	unsigned int n = 0, seen = 0;
	__u16 port = 1;
	__u64 val;

	while (svcmap_set(&m, &a, port, 6, port) == 0) {
		n++;
		port++;
		assert_true(n < 10000);
	}
	assert_int_equal(svcmap_get(&m, &a, port, 6, &val), -ENOENT);
	svcmap_visit(&m, count, &seen);
	assert_int_equal(seen, n);
	/* A change of a key that is there needs no room. */
	assert_int_equal(svcmap_set(&m, &a, 1, 6, 77), 0);
	assert_int_equal(svcmap_get(&m, &a, 1, 6, &val), 0);
	assert_int_equal(val, 77);
	for (__u16 p = 1; p < port; p++)
		assert_int_equal(svcmap_remove(&m, &a, p, 6), 0);
	assert_int_equal(svcmap_set(&m, &a, port, 6, port), 0);
	done(&m);
}

static void a_full_bucket_is_refused_v4(void **state)
{
	a_full_bucket_is_refused("198.51.100.7");
}
static void a_full_bucket_is_refused_v6(void **state)
{
	a_full_bucket_is_refused("2001:db8::7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_told_apart),
		cmocka_unit_test(a_full_bucket_is_refused_v4),
		cmocka_unit_test(a_full_bucket_is_refused_v6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
