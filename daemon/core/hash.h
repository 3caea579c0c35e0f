/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h - keyed 64-bit hashes for tables that every balancer of a fleet must build alike.
 *
 * Fixed functions of their arguments: no byte order, no pointer, no time enters. A change of any constant here moves
 * every table of every fleet. They are keyed against guessing (a client that knows the table can aim at one backend),
 * not meant as authenticators. Use another `domain` for each purpose, so that two uses never share a sequence.
 */
#pragma once
#include "core/addr.h"

enum hash_domain {
	HASH_ORDER = 1,   /* order of backends, ties of quotas */
	HASH_PERMUTATION, /* Maglev offset and skip */
	HASH_SLOT_U,      /* u(s) of the overlay */
	HASH_SECOND,      /* start of a backend's systematic sample of second choices */
	HASH_CHAIN,       /* rehash chain of a slot */
	HASH_DIGEST,
};

/* A bijection of 64 bits in which every input bit flips every output bit half of the time (MurmurHash3's finaliser). */
static inline __u64 hash_mix64(__u64 x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	x ^= x >> 33;
	return x;
}

static inline __u64 hash_u64(const __u64 key[2], enum hash_domain domain, __u64 x)
{
	return hash_mix64(hash_mix64(x ^ key[0]) + key[1] + (__u64)domain * 0x9e3779b97f4a7c15ull);
}

static inline __u64 hash_addr(const __u64 key[2], enum hash_domain domain, const struct lb_addr *a)
{
	__u64 hi = 0, lo = 0;

	for (int i = 0; i < 8; i++) {
		hi = hi << 8 | a->b[i];
		lo = lo << 8 | a->b[8 + i];
	}
	return hash_u64(key, domain, hash_u64(key, domain, hi) ^ lo);
}

/* Map a hash to 0..n-1 without a division, from its high 32 bits. */
static inline __u32 hash_reduce(__u64 h, __u32 n)
{
	return (__u32)(((h >> 32) * n) >> 32);
}
