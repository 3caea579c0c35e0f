// SPDX-License-Identifier: Apache-2.0
/* svcmap.c - see svcmap.h. Both families are reduced to (pointer to key word, pointer to val word) of an entry. */
#include "core/svcmap.h"

#include "core/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

struct slot_ref {
	__u64 *key;
	__u64 *val;
	__u64 *hi, *lo; /* IPv6 only */
};

struct wanted {
	bool v4;
	__u64 key, hi, lo;
	__u32 bucket;
};

void svcmap_init(struct svcmap *m, struct lb_svc4_bucket *v4, struct lb_svc6_bucket *v6, __u32 n_buckets, __u32 seed)
{
	*m = (struct svcmap){ .v4 = v4, .v6 = v6, .n_buckets = n_buckets };
	lb_svc_hash_init(&m->hash, seed, n_buckets);
}

static struct wanted want(const struct svcmap *m, const struct lb_addr *vip, __u16 port, __u8 protocol)
{
	struct wanted w = { .v4 = addr_is_v4(vip) };

	w.key = LB_SVC4_KEY(w.v4 ? addr_v4_be(vip) : 0, htons(port), protocol);
	if (w.v4) {
		w.bucket = lb_svc4_bucket(&m->hash, w.key);
		return w;
	}
	memcpy(&w.hi, vip->b, 8);
	memcpy(&w.lo, vip->b + 8, 8);
	w.bucket = lb_svc6_bucket(&m->hash, w.hi, w.lo, w.key);
	return w;
}

static unsigned int ways(bool v4)
{
	return v4 ? ARRAY_SIZE(((struct lb_svc4_bucket *)0)->e) : ARRAY_SIZE(((struct lb_svc6_bucket *)0)->e);
}

static struct slot_ref ref(const struct svcmap *m, bool v4, __u32 bucket, unsigned int way)
{
	if (v4) {
		struct lb_svc4 *e = &m->v4[bucket].e[way];

		return (struct slot_ref){ .key = &e->key, .val = &e->val };
	} else {
		struct lb_svc6 *e = &m->v6[bucket].e[way];

		return (struct slot_ref){ &e->key, &e->val, &e->vip_hi, &e->vip_lo };
	}
}

/* The entry that holds @w, else (with @or_free) a free one, else all NULL. */
static struct slot_ref find(const struct svcmap *m, const struct wanted *w, bool or_free)
{
	struct slot_ref free_ref = { 0 };

	for (unsigned int i = 0; i < ways(w->v4); i++) {
		struct slot_ref r = ref(m, w->v4, w->bucket, i);

		if (*r.key == w->key && (w->v4 || (*r.hi == w->hi && *r.lo == w->lo)))
			return r;
		if (*r.key == 0 && !free_ref.key)
			free_ref = r;
	}
	return or_free ? free_ref : (struct slot_ref){ 0 };
}

int svcmap_set(const struct svcmap *m, const struct lb_addr *vip, __u16 port, __u8 protocol, __u64 val)
{
	struct wanted w = want(m, vip, port, protocol);
	struct slot_ref r = find(m, &w, true);

	if (!r.key)
		return -ENOSPC;
	if (!w.v4 && *r.key == 0) {
		__atomic_store_n(r.hi, w.hi, __ATOMIC_RELAXED);
		__atomic_store_n(r.lo, w.lo, __ATOMIC_RELAXED);
	}
	__atomic_store_n(r.val, val, __ATOMIC_RELEASE);
	__atomic_store_n(r.key, w.key, __ATOMIC_RELEASE);
	return 0;
}

int svcmap_remove(const struct svcmap *m, const struct lb_addr *vip, __u16 port, __u8 protocol)
{
	struct wanted w = want(m, vip, port, protocol);
	struct slot_ref r = find(m, &w, false);

	if (!r.key)
		return -ENOENT;
	__atomic_store_n(r.key, 0, __ATOMIC_RELEASE);
	return 0;
}

int svcmap_get(const struct svcmap *m, const struct lb_addr *vip, __u16 port, __u8 protocol, __u64 *val)
{
	struct wanted w = want(m, vip, port, protocol);
	struct slot_ref r = find(m, &w, false);

	if (!r.key)
		return -ENOENT;
	*val = *r.val;
	return 0;
}

static void visit_family(const struct svcmap *m, bool v4, svcmap_visit_fn fn, void *userdata)
{
	for (__u32 b = 0; b < m->n_buckets; b++) {
		for (unsigned int i = 0; i < ways(v4); i++) {
			struct slot_ref r = ref(m, v4, b, i);
			struct lb_addr vip;

			if (*r.key == 0)
				continue;
			if (v4) {
				addr_from_v4_be(&vip, (__be32)*r.key);
			} else {
				memcpy(vip.b, r.hi, 8);
				memcpy(vip.b + 8, r.lo, 8);
			}
			fn(&vip, ntohs((__u16)(*r.key >> 32)), (__u8)(*r.key >> 48), *r.val, userdata);
		}
	}
}

void svcmap_visit(const struct svcmap *m, svcmap_visit_fn fn, void *userdata)
{
	visit_family(m, true, fn, userdata);
	visit_family(m, false, fn, userdata);
}
