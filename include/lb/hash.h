/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * hash.h - the keyed hashes of flows and service keys, the same code in the program, the daemon and the tests.
 *
 * Flow hash: a sum of products with secret odd multipliers (independent multiplications: their latencies overlap),
 * then a finaliser of two multiply-xorshift rounds that brings every input bit to every output bit. All balancers of
 * a fleet have the same seed and so agree on every flow. It is no cryptographic function: it keeps an attacker who
 * does not know the seed from aiming flows at one slot, and costs about 2.5 ns.
 *
 * Words are taken from packets as they stand (network order bytes in a host order load), hence the little-endian
 * assumption below: fleets of mixed byte order are not supported.
 */
#pragma once
#include <linux/types.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "lbd supports little-endian machines only"
#endif

struct lb_hash_keys {
	__u64 add;
	__u64 mul[5]; /* odd */
};

static inline __attribute__((always_inline)) __u64 lb_splitmix64(__u64 x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* Multipliers from the fleet's 128-bit seed. User space calls this once and hands the result to the program. */
static inline void lb_hash_init(struct lb_hash_keys *k, const __u64 seed[2])
{
	__u64 a = seed[0], b = lb_splitmix64(seed[1] ^ 0x6c62642d666c6f77ull);
	unsigned int i;

	k->add = lb_splitmix64(a ^ b);
	for (i = 0; i < sizeof(k->mul) / sizeof(k->mul[0]); i++) {
		a = lb_splitmix64(a + i + 1);
		b = lb_splitmix64(b ^ a);
		k->mul[i] = (a ^ (b << 32 | b >> 32)) | 1;
	}
}

static inline __attribute__((always_inline)) __u64 lb_hash_finish(__u64 x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 29;
	x *= 0x9e3779b97f4a7c15ull;
	return x ^ x >> 32;
}

/* @src: source address | source port << 32, both as in the packet. @key: LB_SVC4_KEY of the packet's destination. */
static inline __attribute__((always_inline)) __u64 lb_hash4(const volatile struct lb_hash_keys *k, __u64 src, __u64 key)
{
	return lb_hash_finish(k->add + src * k->mul[0] + key * k->mul[1]);
}

/* @key_sport: LB_SVC4_KEY(0, port, protocol) | source port as in the packet (in the bits of the absent address). */
static inline __attribute__((always_inline)) __u64 lb_hash6(const volatile struct lb_hash_keys *k, __u64 src_hi,
							    __u64 src_lo, __u64 vip_hi, __u64 vip_lo, __u64 key_sport)
{
	return lb_hash_finish(k->add + src_hi * k->mul[0] + src_lo * k->mul[1] + vip_hi * k->mul[2] +
			      vip_lo * k->mul[3] + key_sport * k->mul[4]);
}

/* Source affinity (LB_SVC_HASH_SRC): neither ports nor protocol take part. */
static inline __attribute__((always_inline)) __u64 lb_hash4_source(const volatile struct lb_hash_keys *k, __u32 saddr,
								   __u32 vip)
{
	return lb_hash4(k, saddr, vip);
}

static inline __attribute__((always_inline)) __u64 lb_hash6_source(const volatile struct lb_hash_keys *k, __u64 src_hi,
								   __u64 src_lo, __u64 vip_hi, __u64 vip_lo)
{
	return lb_hash6(k, src_hi, src_lo, vip_hi, vip_lo, 0);
}

/* The slot of a hash in a table of @m slots: multiply-shift of the low half; no division. */
static inline __attribute__((always_inline)) __u32 lb_hash_slot(__u64 h, __u32 m)
{
	return (__u32)((__u64)(__u32)h * m >> 32);
}

/*
 * Which bits name a flow in the flow table: the tag is the top 24, the bucket comes from the next 8 and the low 16.
 * The slot is decided by bits 31 and below from the top (20 bits at most matter), so that flows of one slot spread
 * over all buckets, and of the 40 bits of tag and bucket none is lost to it.
 */
static inline __attribute__((always_inline)) __u32 lb_hash_tag(__u64 h)
{
	__u32 tag = (__u32)(h >> 40);

	return tag ? tag : 1; /* a word of 0 is an empty one */
}
static inline __attribute__((always_inline)) __u32 lb_hash_bucket(__u64 h)
{
	return (__u32)((h >> 32 & 0xff) | (h & 0xffff) << 8);
}
static inline __attribute__((always_inline)) __u32 lb_hash_way(__u64 h)
{
	return (__u32)(h >> 16) & 7;
}

/* ---- service buckets ---------------------------------------------------------------------------------------- */
struct lb_svc_hash {
	__u64 mul[3]; /* odd */
	__u32 shift;  /* 64 - log2(number of buckets) */
	__u32 pad;
};

/* @buckets: a power of two, at least 2. @seed: LB_META.svc_seed. */
static inline void lb_svc_hash_init(struct lb_svc_hash *h, __u32 seed, __u32 buckets)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		h->mul[i] = lb_splitmix64((__u64)seed << 8 | i) | 1;
	h->shift = 64;
	while (buckets > 1) {
		buckets >>= 1;
		h->shift--;
	}
	h->pad = 0;
}

static inline __attribute__((always_inline)) __u32 lb_svc4_bucket(const volatile struct lb_svc_hash *h, __u64 key)
{
	return (__u32)(key * h->mul[0] >> h->shift);
}

static inline __attribute__((always_inline)) __u32 lb_svc6_bucket(const volatile struct lb_svc_hash *h, __u64 vip_hi,
								  __u64 vip_lo, __u64 key)
{
	return (__u32)((vip_hi * h->mul[0] + vip_lo * h->mul[1] + key * h->mul[2]) >> h->shift);
}
