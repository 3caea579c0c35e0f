/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow hash must spread what real traffic is made of: ports in sequence, addresses in sequence, one NAT address
 * with all its ports. Weak hashes show here as z-scores in the tens and hundreds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "lb/abi.h"
#include "lb/hash.h"

#define FLOWS 400000u
#define CELLS 4093u

static struct lb_hash_keys keys;

enum pattern { PORTS, ADDRESSES, NAT, ADDRESS_STEP_256, BOTH, VIPS, PATTERNS };
static const char *const names[] = { "sequential ports", "sequential addresses", "one address, all ports of many VIP ports",
				     "addresses 256 apart", "addresses and ports together", "many VIPs, one client" };

struct flow {
	__u32 saddr, daddr;
	__u16 sport, dport;
};

static struct flow flow_of(enum pattern p, __u32 i)
{
	struct flow f = { 0xc0000201, 0xcb00710a, 40000, 443 };

	switch (p) {
	case PORTS:
		f.sport = (__u16)(1024 + i % 60000);
		f.saddr += i / 60000;
		break;
	case ADDRESSES:
		f.saddr += i;
		break;
	case NAT:
		f.sport = (__u16)i;
		f.dport = (__u16)(i >> 16);
		break;
	case ADDRESS_STEP_256:
		f.saddr += i << 8;
		break;
	case BOTH:
		f.saddr += i;
		f.sport = (__u16)(1024 + i);
		break;
	default:
		f.daddr += i;
		break;
	}
	return f;
}

static __u64 hash4(const struct flow *f)
{
	return lb_hash4(&keys, (__u64)htonl(f->saddr) | (__u64)htons(f->sport) << 32,
			LB_SVC4_KEY(htonl(f->daddr), htons(f->dport), 6));
}

/* The same flow in IPv6: the IPv4 addresses are the last 32 bits of addresses in two sites. */
static __u64 hash6(const struct flow *f)
{
	__u8 a[32] = { 0x20, 0x01, 0x0d, 0xb8, 0, 1, [16] = 0x20, [17] = 0x01, [18] = 0x0d, [19] = 0xb8, [21] = 2 };
	__u32 s = htonl(f->saddr), d = htonl(f->daddr);
	__u64 w[4];

	memcpy(a + 12, &s, 4);
	memcpy(a + 28, &d, 4);
	memcpy(w, a, sizeof(w));
	return lb_hash6(&keys, w[0], w[1], w[2], w[3], LB_SVC4_KEY(0, htons(f->dport), 6) | htons(f->sport));
}

/* Chi-square of the counts, as a z-score. */
static double z_score(const __u32 *count, __u32 cells, double total)
{
	double expected = total / cells, chi = 0, df = cells - 1.0;
	__u32 i;

	for (i = 0; i < cells; i++)
		chi += (count[i] - expected) * (count[i] - expected) / expected;
	return (chi - df) / sqrt(2 * df);
}

static void assert_even(const char *what, const char *pattern, const __u32 *count, __u32 cells, double total)
{
	double z = z_score(count, cells, total);

	/* 72 tests: |z| of 4.5 comes by chance once in 2,000 runs of them, and the seeds are fixed. */
	if (fabs(z) > 4.5)
		fail_msg("%s, %s: z = %.1f", what, pattern, z);
}

static void test_even_slots_buckets_and_tags(void **state)
{
	static __u32 slots[CELLS], buckets[4096], tags[4096];
	enum pattern p;
	__u32 i;
	int v6, seed;

	for (seed = 0; seed < 2; seed++) {
		lb_hash_init(&keys, (__u64[2]){ 0x1234567 + (__u64)seed, 99 });
		for (v6 = 0; v6 < 2; v6++) {
			for (p = 0; p < PATTERNS; p++) {
				memset(slots, 0, sizeof(slots));
				memset(buckets, 0, sizeof(buckets));
				memset(tags, 0, sizeof(tags));
				for (i = 0; i < FLOWS; i++) {
					struct flow f = flow_of(p, i);
					__u64 h = v6 ? hash6(&f) : hash4(&f);

					slots[lb_hash_slot(h, CELLS)]++;
					buckets[lb_hash_bucket(h) & 4095]++;
					tags[lb_hash_tag(h) & 4095]++;
				}
				assert_even("slots", names[p], slots, CELLS, FLOWS);
				assert_even("buckets", names[p], buckets, 4096, FLOWS);
				assert_even("tags", names[p], tags, 4096, FLOWS);
			}
		}
	}
}

/* The flows of a few slots in transition must fill the whole flow table, not a corner of it. */
static void test_flows_of_one_slot_spread_over_all_buckets(void **state)
{
	static __u32 buckets[256];
	double total = 0;
	__u32 i;

	lb_hash_init(&keys, (__u64[2]){ 5, 6 });
	for (i = 0; i < 8 * FLOWS; i++) {
		struct flow f = flow_of(BOTH, i);
		__u64 h = hash4(&f);

		if (lb_hash_slot(h, 61) != 17)
			continue;
		buckets[lb_hash_bucket(h) & 255]++;
		total++;
	}
	assert_true(total > 8.0 * FLOWS / 61 * 0.95);
	assert_even("buckets of one slot", "one slot", buckets, 256, total);
}

/* Each input bit turns over each output bit in half of the cases. */
static void test_every_bit_matters(void **state)
{
	static __u32 flips[112][64];
	const __u32 rounds = 4000;
	__u64 x = 88172645463325252ull;
	__u32 r, in, out;

	lb_hash_init(&keys, (__u64[2]){ 7, 8 });
	for (r = 0; r < rounds; r++) {
		__u64 src, key, h;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		src = x & 0xffffffffffffull;
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		key = x | 1ull << 56;
		h = lb_hash4(&keys, src, key);
		for (in = 0; in < 104; in++) {
			__u64 d = in < 48 ? lb_hash4(&keys, src ^ 1ull << in, key) :
					    lb_hash4(&keys, src, key ^ 1ull << (in - 48));

			for (out = 0; out < 64; out++)
				flips[in][out] += (h ^ d) >> out & 1;
		}
	}
	for (in = 0; in < 104; in++)
		for (out = 0; out < 64; out++)
			if (fabs(flips[in][out] - rounds / 2.0) > 6 * sqrt(rounds / 4.0))
				fail_msg("input bit %u turns output bit %u over in %u of %u", in, out, flips[in][out], rounds);
}

static void test_seeds_and_families_differ(void **state)
{
	struct flow f = flow_of(PORTS, 1);
	struct lb_hash_keys other;
	unsigned int i;
	__u64 h;

	lb_hash_init(&keys, (__u64[2]){ 1, 2 });
	h = hash4(&f);
	assert_int_not_equal(h, hash6(&f));
	lb_hash_init(&keys, (__u64[2]){ 1, 3 });
	assert_int_not_equal(h, hash4(&f));
	lb_hash_init(&keys, (__u64[2]){ 2, 2 });
	assert_int_not_equal(h, hash4(&f));
	lb_hash_init(&other, (__u64[2]){ 0, 0 });
	for (i = 0; i < 5; i++)
		assert_true(other.mul[i] & 1 && other.mul[i] != 1 && (!i || other.mul[i] != other.mul[0]));
}

/* With eight buckets for a key a service bucket of four hardly ever overflows, so a fitting seed is soon found. */
static void test_service_buckets_fit(void **state)
{
	static __u8 used[32768];
	struct lb_svc_hash h;
	__u32 seed, i, tries = 0;

	for (seed = 1; seed <= 20; seed++) {
		bool fits = true;

		lb_svc_hash_init(&h, seed, 32768);
		assert_int_equal(h.shift, 64 - 15);
		memset(used, 0, sizeof(used));
		for (i = 0; i < 4096; i++) {
			/* 512 VIPs in sequence, 7 ports and the VIP's own key */
			__u64 key = i % 8 ? LB_SVC4_KEY(htonl(0xcb007100 + i / 8), htons((__u16)(8000 + i % 8)), 6) :
					    LB_SVC4_KEY(htonl(0xcb007100 + i / 8), 0, 0);
			__u32 b = lb_svc4_bucket(&h, key);

			assert_true(b < 32768);
			if (++used[b] > 4)
				fits = false;
		}
		tries += !fits;
	}
	assert_true(tries <= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_even_slots_buckets_and_tags),
		cmocka_unit_test(test_flows_of_one_slot_spread_over_all_buckets),
		cmocka_unit_test(test_every_bit_matters),
		cmocka_unit_test(test_seeds_and_families_differ),
		cmocka_unit_test(test_service_buckets_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
