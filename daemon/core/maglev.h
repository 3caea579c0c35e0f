/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maglev.h - the full table T: Maglev consistent hashing (Eisenbud et al., NSDI 2016) with exact weighted quotas.
 *
 * Pure. The result depends only on (set of identities, weights, m, seed): never on the order of the input, on names
 * or on history, so that every balancer of a fleet builds identical bytes. T covers the whole configured set, healthy
 * or not; health is the overlay's business (overlay.h).
 */
#pragma once
#include "core/addr.h"

struct maglev_seed {
	__u64 k[2];
};

struct maglev_backend {
	struct lb_addr addr; /* identity */
	__u32 weight;        /* 0..MAGLEV_WEIGHT_MAX; 0: gets no slot */
};

#define MAGLEV_WEIGHT_MAX 65535u

/* In place of an ordinal: nobody. Also one more than the largest number of backends that a table can have. */
#define MAGLEV_NONE 0xffffu

/* Table sizes on offer, ascending primes; ends with 0. */
extern const __u32 maglev_primes[];
bool maglev_m_is_offered(__u32 m);
/*
 * Table size by rule: the smallest offered prime >= 100 * total weight / smallest non-zero weight (1% steps for the
 * smallest backend; after a fourfold growth of the set still 25 slots each, a quota within 4%). The largest when none is.
 */
__u32 maglev_m_by_rule(const struct maglev_backend *b, unsigned int n);

/*
 * The canonical order of a set: @order[@n] becomes the indices into @b, sorted by keyed hash of the identity (equal
 * hashes: by address). -EINVAL when two identities are equal, a weight is above its maximum or @n >= MAGLEV_NONE;
 * -ENOMEM.
 */
int maglev_order(const struct maglev_backend *b, unsigned int n, const struct maglev_seed *seed, __u16 *order);

/*
 * Quotas: exact shares of @m by largest remainder (equal remainders: by canonical order), at least 1 for weight > 0,
 * sum == m (0 everywhere when all weights are 0). What the guaranteed single slots cost is taken from the others in
 * proportion. -E2BIG when there are more backends with weight than slots, else as maglev_order.
 */
int maglev_quotas(const struct maglev_backend *b, unsigned int n, __u32 m, const struct maglev_seed *seed, __u32 *quota);

/*
 * Fill @table[@m] with ordinals (indices into @b). @b may come in any order; no two identities may be equal; @m is a
 * prime of at most LB_M_MAX. All weights 0: every entry is MAGLEV_NONE. 0, -EINVAL, -E2BIG or -ENOMEM; @table is
 * written on success only. About 1 ms for n = 1000, m = 65537.
 */
int maglev_build(const struct maglev_backend *b, unsigned int n, __u32 m, const struct maglev_seed *seed, __u16 *table);

/* 64-bit digest of a table in terms of identities (not ordinals): equal on two hosts iff the tables are equal. */
__u64 maglev_digest(const struct maglev_backend *b, unsigned int n, const __u16 *table, __u32 m);
