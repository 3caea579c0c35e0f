// SPDX-License-Identifier: Apache-2.0
/*
 * maglev.c - see maglev.h.
 *
 * Every backend walks its own permutation of the slots and claims the next free one whenever it has a turn. Exact quotas
 * come from the turns: a backend with quota q has its k-th turn in round ceil((k + 1) * Q / q), Q the largest quota, so
 * that all finish together and each has claimed exactly its quota. The turns are sorted by counting, which keeps the
 * cost at O(m) even when one weight is 65535 and the other 999 are 1 (asking all backends in each of Q rounds is not).
 */
#include "core/maglev.h"

#include "core/cleanup.h"
#include "core/hash.h"
#include "lb/abi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const __u32 maglev_primes[] = { 4093, 16381, 65537, 655373, 0 };

bool maglev_m_is_offered(__u32 m)
{
	for (const __u32 *p = maglev_primes; *p; p++)
		if (*p == m)
			return true;
	return false;
}

__u32 maglev_m_by_rule(const struct maglev_backend *b, unsigned int n)
{
	__u64 total = 0, smallest = 0;
	const __u32 *p = maglev_primes;

	for (unsigned int i = 0; i < n; i++) {
		total += b[i].weight;
		if (b[i].weight && (!smallest || b[i].weight < smallest))
			smallest = b[i].weight;
	}
	while (p[1] && *p * smallest < 100 * total)
		p++;
	return *p;
}

struct sort_key {
	__u64 key;
	__u16 index;
	const struct lb_addr *addr;
};

static int compare_keys(const void *l, const void *r)
{
	const struct sort_key *a = l, *b = r;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return addr_cmp(a->addr, b->addr);
}

int maglev_order(const struct maglev_backend *b, unsigned int n, const struct maglev_seed *seed, __u16 *order)
{
	_cleanup_free_ struct sort_key *keys = NULL;

	if (n >= MAGLEV_NONE)
		return -EINVAL;
	keys = calloc(n ? n : 1, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++) {
		if (b[i].weight > MAGLEV_WEIGHT_MAX)
			return -EINVAL;
		keys[i] = (struct sort_key){ hash_addr(seed->k, HASH_ORDER, &b[i].addr), (__u16)i, &b[i].addr };
	}
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (unsigned int i = 1; i < n; i++)
		if (compare_keys(&keys[i - 1], &keys[i]) == 0)
			return -EINVAL;
	for (unsigned int i = 0; i < n; i++)
		order[i] = keys[i].index;
	return 0;
}

/*
 * Give one slot to each backend whose share of what is left is below one, until none is: every pinned backend takes
 * more than its share, so the share of the others can only shrink and a pinned one stays below one.
 * On return *@m and *@weight are what the others divide.
 */
static void pin_small_shares(const struct maglev_backend *b, unsigned int n, __u32 *m, __u64 *weight, __u32 *quota)
{
	bool again = true;

	while (again) {
		__u64 taken_weight = 0;
		__u32 taken = 0;

		for (unsigned int i = 0; i < n; i++) {
			if (quota[i] || !b[i].weight || (__u64)b[i].weight * *m >= *weight)
				continue;
			quota[i] = 1;
			taken++;
			taken_weight += b[i].weight;
		}
		*m -= taken;
		*weight -= taken_weight;
		again = taken > 0;
	}
}

struct remainder {
	__u64 value;
	__u16 rank, index;
};

static int compare_remainders(const void *l, const void *r)
{
	const struct remainder *a = l, *b = r;

	if (a->value != b->value)
		return a->value > b->value ? -1 : 1;
	return (int)a->rank - (int)b->rank;
}

static int quotas_in_order(const struct maglev_backend *b, const __u16 *order, unsigned int n, __u32 m, __u32 *quota)
{
	_cleanup_free_ struct remainder *rest = NULL;
	unsigned int weighted = 0, candidates = 0;
	__u64 weight = 0;

	for (unsigned int i = 0; i < n; i++) {
		quota[i] = 0;
		weight += b[i].weight;
		weighted += b[i].weight > 0;
	}
	if (weighted > m)
		return -E2BIG;
	if (!weighted)
		return 0;
	rest = calloc(weighted, sizeof(*rest));
	if (!rest)
		return -ENOMEM;
	pin_small_shares(b, n, &m, &weight, quota);
	__u32 left = m;
	for (unsigned int r = 0; r < n; r++) {
		unsigned int i = order[r];
		__u64 share = (__u64)b[i].weight * m;

		if (quota[i] || !b[i].weight)
			continue;
		quota[i] = (__u32)(share / weight);
		left -= quota[i];
		rest[candidates++] = (struct remainder){ share % weight, (__u16)r, (__u16)i };
	}
	qsort(rest, candidates, sizeof(*rest), compare_remainders);
	for (__u32 k = 0; k < left; k++)
		quota[rest[k].index]++;
	return 0;
}

int maglev_quotas(const struct maglev_backend *b, unsigned int n, __u32 m, const struct maglev_seed *seed, __u32 *quota)
{
	_cleanup_free_ __u16 *order = calloc(n ? n : 1, sizeof(*order));
	int r;

	if (!order)
		return -ENOMEM;
	r = maglev_order(b, n, seed, order);
	return r ? r : quotas_in_order(b, order, n, m, quota);
}

/* Walks the rounds in which a backend with @quota has its turns, without a division per turn. */
struct turns {
	__u32 step, step_rest, quota, round, rest;
};

static struct turns turns_begin(__u32 quota, __u32 largest)
{
	return (struct turns){ .step = largest / quota, .step_rest = largest % quota, .quota = quota };
}

/* ceil((k + 1) * Q / q) - 1 for k = 0, 1, ...: rounds 0..Q-1. */
static __u32 turns_next(struct turns *t)
{
	t->round += t->step;
	t->rest += t->step_rest;
	if (t->rest >= t->quota) {
		t->rest -= t->quota;
		t->round++;
	}
	return t->rest ? t->round : t->round - 1;
}

/* @turn[@m] becomes the ranks of the backends in the order of their turns; @start has room for Q + 1. */
static void sort_turns(const __u32 *quota, const __u16 *order, unsigned int n, __u32 largest, __u32 *start, __u16 *turn)
{
	memset(start, 0, (largest + 1) * sizeof(*start));
	for (unsigned int r = 0; r < n; r++) {
		struct turns t = quota[order[r]] ? turns_begin(quota[order[r]], largest) : (struct turns){ 0 };

		for (__u32 k = 0; k < quota[order[r]]; k++)
			start[turns_next(&t) + 1]++;
	}
	for (__u32 i = 1; i <= largest; i++)
		start[i] += start[i - 1];
	for (unsigned int r = 0; r < n; r++) {
		struct turns t = quota[order[r]] ? turns_begin(quota[order[r]], largest) : (struct turns){ 0 };

		for (__u32 k = 0; k < quota[order[r]]; k++)
			turn[start[turns_next(&t)]++] = (__u16)r;
	}
}

struct walker {
	__u32 pos, skip;
};

static void fill(const __u16 *turn, __u32 m, struct walker *walkers, __u64 *taken, const __u16 *order, __u16 *table)
{
	for (__u32 k = 0; k < m; k++) {
		struct walker *w = &walkers[turn[k]];
		__u32 pos = w->pos;

		while (taken[pos / 64] >> (pos % 64) & 1) {
			pos += w->skip;
			pos = pos >= m ? pos - m : pos;
		}
		taken[pos / 64] |= 1ull << (pos % 64);
		table[pos] = order[turn[k]];
		w->pos = pos; /* taken now: the next turn goes on from here */
	}
}

/* A permutation needs a skip that is prime to m; with a composite m some backend would search for ever. */
static bool is_prime(__u32 m)
{
	for (__u32 d = 2; d * d <= m; d++)
		if (m % d == 0)
			return false;
	return m >= 2;
}

int maglev_build(const struct maglev_backend *b, unsigned int n, __u32 m, const struct maglev_seed *seed, __u16 *table)
{
	_cleanup_free_ __u16 *order = NULL, *turn = NULL;
	_cleanup_free_ __u32 *quota = NULL, *start = NULL;
	_cleanup_free_ struct walker *walkers = NULL;
	_cleanup_free_ __u64 *taken = NULL;
	__u32 largest = 0;
	int r;

	if (n >= MAGLEV_NONE || m > LB_M_MAX || !is_prime(m))
		return -EINVAL;
	order = calloc(n + 1, sizeof(*order));
	quota = calloc(n + 1, sizeof(*quota));
	walkers = calloc(n + 1, sizeof(*walkers));
	turn = calloc(m, sizeof(*turn));
	taken = calloc(m / 64 + 1, sizeof(*taken));
	if (!order || !quota || !walkers || !turn || !taken)
		return -ENOMEM;
	r = maglev_order(b, n, seed, order);
	if (!r)
		r = quotas_in_order(b, order, n, m, quota);
	if (r)
		return r;
	for (unsigned int i = 0; i < n; i++)
		largest = quota[i] > largest ? quota[i] : largest;
	if (!largest) {
		memset(table, 0xff, m * sizeof(*table)); /* MAGLEV_NONE */
		return 0;
	}
	start = calloc(largest + 1, sizeof(*start));
	if (!start)
		return -ENOMEM;
	sort_turns(quota, order, n, largest, start, turn);
	for (unsigned int i = 0; i < n; i++) {
		__u64 h = hash_addr(seed->k, HASH_PERMUTATION, &b[order[i]].addr);

		walkers[i].pos = hash_reduce(h, m);
		walkers[i].skip = 1 + hash_reduce(hash_mix64(h), m - 1);
	}
	fill(turn, m, walkers, taken, order, table);
	return 0;
}

__u64 maglev_digest(const struct maglev_backend *b, unsigned int n, const __u16 *table, __u32 m)
{
	static const __u64 key[2] = { 0x6c62642d64696765ull, 0x73742d7461626c65ull }; /* fixed: hosts compare digests */
	__u64 *name = calloc(n + 1, sizeof(*name));
	__u64 d = hash_u64(key, HASH_DIGEST, m);

	/* Without memory fall back to hashing identities again for each slot: slow, but the same value. */
	for (unsigned int i = 0; name && i < n; i++)
		name[i] = hash_addr(key, HASH_DIGEST, &b[i].addr);
	for (__u32 s = 0; s < m; s++) {
		__u64 h = 1;

		if (table[s] < n)
			h = name ? name[table[s]] : hash_addr(key, HASH_DIGEST, &b[table[s]].addr);
		d = (d << 7 | d >> 57) * 0x9e3779b97f4a7c15ull ^ h;
	}
	free(name);
	return hash_mix64(d);
}
