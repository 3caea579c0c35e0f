/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prop.h - what the property tests share: seeded random numbers and random sets of backends.
 *
 * LBD_PROP_CASES sets the number of cases (the default keeps a test within seconds), LBD_PROP_SEED the seed. Each case
 * has a seed of its own, printed when it fails: LBD_PROP_SEED=<that> LBD_PROP_CASES=1 repeats it.
 */
#pragma once
#include "core/maglev.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

struct rng {
	__u64 state;
};

static inline __u64 rng_u64(struct rng *r)
{
	__u64 x = r->state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* 0..n-1 */
static inline __u32 rng_below(struct rng *r, __u32 n)
{
	return (__u32)(((rng_u64(r) >> 32) * n) >> 32);
}

static inline bool rng_chance(struct rng *r, __u32 percent)
{
	return rng_below(r, 100) < percent;
}

static inline __u64 prop_env(const char *name, __u64 otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static char prop_label[40]; /* how to repeat the present case */

/* Run @body(rng) for every case; a body that fails calls fail_msg or an assertion of cmocka. */
static inline void prop_run(const char *what, __u64 default_cases, void (*body)(struct rng *))
{
	__u64 cases = prop_env("LBD_PROP_CASES", default_cases), seed = prop_env("LBD_PROP_SEED", 1);

	print_message("%s: %llu cases from seed %llu\n", what, (unsigned long long)cases, (unsigned long long)seed);
	for (__u64 i = 0; i < cases; i++) {
		struct rng r = { seed + i };

		(void)snprintf(prop_label, sizeof(prop_label), "LBD_PROP_SEED=%llu", (unsigned long long)(seed + i));
		rng_u64(&r);
		body(&r);
	}
}

/* Assertion of a property; prints the seed that shows it. */
#define prop_check(condition, ...)                                                            \
	do {                                                                                  \
		if (!(condition)) {                                                           \
			print_error("%s: property does not hold: %s\n  ", prop_label, #condition); \
			print_error(__VA_ARGS__);                                             \
			print_error("\n");                                                    \
			fail();                                                               \
		}                                                                             \
	} while (0)

#define PROP_N_MAX 320
#define PROP_M_MAX 16381

struct prop_set {
	struct maglev_backend b[PROP_N_MAX];
	unsigned int n;
	__u32 m;
	__u64 total; /* weight */
	struct maglev_seed seed;
};

static inline __u32 prop_weight(struct rng *r, unsigned int kind)
{
	switch (kind) {
	case 0:
		return 100;
	case 1:
		return 1 + rng_below(r, 200);
	case 2:
		return rng_chance(r, 30) ? 0 : 1 + rng_below(r, 10);
	default:
		return 1u << rng_below(r, 17) >> rng_below(r, 2) ? 1 + rng_below(r, MAGLEV_WEIGHT_MAX) : 1;
	}
}

/* A set with at least one weight above 0, IPv4 and IPv6 mixed, more slots than backends. */
static inline void prop_set_random(struct rng *r, struct prop_set *s)
{
	static const __u32 sizes[] = { 101, 251, 1021, 2039, 4093, 4093, 4093, PROP_M_MAX };
	unsigned int kind = rng_below(r, 4);

	s->m = sizes[rng_below(r, sizeof(sizes) / sizeof(sizes[0]))];
	s->n = 1 + rng_below(r, rng_chance(r, 20) ? PROP_N_MAX : rng_chance(r, 50) ? 40 : 6);
	s->n = s->n > s->m ? s->m : s->n;
	s->seed = (struct maglev_seed){ { rng_u64(r), rng_u64(r) } };
	s->total = 0;
	for (unsigned int i = 0; i < s->n; i++) {
		__u64 h = rng_u64(r);

		if (rng_chance(r, 70)) {
			addr_from_v4_be(&s->b[i].addr, (__be32)(i << 16 | (h & 0xffff)));
		} else {
			for (unsigned int k = 0; k < 8; k++)
				s->b[i].addr.b[k] = s->b[i].addr.b[8 + k] = (__u8)(h >> (8 * k));
			s->b[i].addr.b[0] = 0xfd;
			s->b[i].addr.b[14] = (__u8)(i >> 8);
			s->b[i].addr.b[15] = (__u8)i;
		}
		s->b[i].weight = prop_weight(r, kind);
		s->total += s->b[i].weight;
	}
	if (!s->total) {
		s->b[0].weight = 1;
		s->total = 1;
	}
}

/* A random order: @perm[k] is the old index of what stands at k now. */
static inline void prop_shuffle(struct rng *r, const struct prop_set *from, struct prop_set *to, __u16 *perm)
{
	*to = *from;
	for (unsigned int i = 0; i < from->n; i++)
		perm[i] = (__u16)i;
	for (unsigned int i = from->n; i > 1; i--) {
		unsigned int k = rng_below(r, i);
		__u16 t = perm[i - 1];

		perm[i - 1] = perm[k];
		perm[k] = t;
	}
	for (unsigned int i = 0; i < from->n; i++)
		to->b[i] = from->b[perm[i]];
}
