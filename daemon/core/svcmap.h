/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svcmap.h - the service look-up arrays (svc4, svc6) as a map of (VIP, port, protocol) -> val.
 *
 * Pure, over plain memory that packets may be reading: each call leaves the arrays right at every instant (order of
 * stores: include/lb/abi.h). An entry that was removed may be used again only after packets in flight are done; the
 * caller sees to that (plan.h: QUIESCE).
 */
#pragma once
#include "core/addr.h"
#include "lb/abi.h"
#include "lb/hash.h"

struct svcmap {
	struct lb_svc4_bucket *v4;
	struct lb_svc6_bucket *v6;
	__u32 n_buckets; /* of each; a power of two, at least 2 */
	struct lb_svc_hash hash;
};

void svcmap_init(struct svcmap *m, struct lb_svc4_bucket *v4, struct lb_svc6_bucket *v6, __u32 n_buckets, __u32 seed);
/* Add or change a key. -ENOSPC when its bucket is full: the caller must move to more buckets. */
int svcmap_set(const struct svcmap *m, const struct lb_addr *vip, __u16 port, __u8 protocol, __u64 val);
/* 0 or -ENOENT. */
int svcmap_remove(const struct svcmap *m, const struct lb_addr *vip, __u16 port, __u8 protocol);
/* 0 (and *@val) or -ENOENT. */
int svcmap_get(const struct svcmap *m, const struct lb_addr *vip, __u16 port, __u8 protocol, __u64 *val);

typedef void (*svcmap_visit_fn)(const struct lb_addr *vip, __u16 port, __u8 protocol, __u64 val, void *userdata);
void svcmap_visit(const struct svcmap *m, svcmap_visit_fn fn, void *userdata);
