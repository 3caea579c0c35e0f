/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * service.h - (VIP, port, protocol) -> service. One cache line is read; no probing goes on behind it.
 */
#pragma once
#include "packet.h"

AI const struct lb_svc4 *lb_service4(__u64 key)
{
	__u32 i = lb_svc4_bucket(&lb_params.svc, key);
	const struct lb_svc4_bucket *b = bpf_map_lookup_elem(&svc4, &i);

	if (!b)
		return 0;
	if (b->e[0].key == key)
		return &b->e[0];
	if (b->e[1].key == key)
		return &b->e[1];
	if (b->e[2].key == key)
		return &b->e[2];
	if (b->e[3].key == key)
		return &b->e[3];
	return 0;
}

AI const struct lb_svc6 *lb_service6(__u64 vip_hi, __u64 vip_lo, __u64 key)
{
	__u32 i = lb_svc6_bucket(&lb_params.svc, vip_hi, vip_lo, key);
	const struct lb_svc6_bucket *b = bpf_map_lookup_elem(&svc6, &i);

	if (!b)
		return 0;
	/* The low half first: it differs between VIPs where the high half, the site's prefix, does not. */
	if (b->e[0].vip_lo == vip_lo && b->e[0].key == key && b->e[0].vip_hi == vip_hi)
		return &b->e[0];
	if (b->e[1].vip_lo == vip_lo && b->e[1].key == key && b->e[1].vip_hi == vip_hi)
		return &b->e[1];
	return 0;
}

/* Is the address a VIP at all? (Its key with port 0 and protocol 0.) */
AI bool lb_is_vip4(__u32 daddr)
{
	return lb_service4(LB_SVC4_KEY(daddr, 0, 0));
}

AI bool lb_is_vip6(__u64 vip_hi, __u64 vip_lo)
{
	return lb_service6(vip_hi, vip_lo, LB_SVC4_KEY(0, 0, 0));
}

enum lb_found {
	LB_FOUND_NO_VIP,  /* the address is none of ours */
	LB_FOUND_NO_PORT, /* a VIP, but nothing on this port and protocol */
	LB_FOUND_SERVICE, /* p->svc, p->h and p->slot_h are set */
};

/* The service and hashes of a flow of either family: for the general path, ICMP errors and fragments. */
AI enum lb_found lb_find4(const struct lb_tuple *t, struct lb_pkt *p)
{
	__u64 key = LB_SVC4_KEY((__u32)t->vip_lo, t->ports >> 16, t->proto);
	const struct lb_svc4 *s = lb_service4(key);

	if (!s)
		return lb_is_vip4((__u32)t->vip_lo) ? LB_FOUND_NO_PORT : LB_FOUND_NO_VIP;
	p->svc = *(const volatile __u64 *)&s->val;
	p->h = lb_hash4(&lb_params.hash, (__u32)t->src_lo | (__u64)(t->ports & 0xffff) << 32, key);
	p->slot_h = p->h;
	if (LB_SVC_FLAGS(p->svc) & LB_SVC_HASH_SRC)
		p->slot_h = lb_hash4_source(&lb_params.hash, (__u32)t->src_lo, (__u32)t->vip_lo);
	return LB_FOUND_SERVICE;
}

AI enum lb_found lb_find6(const struct lb_tuple *t, struct lb_pkt *p)
{
	__u64 key = LB_SVC4_KEY(0, t->ports >> 16, t->proto);
	const struct lb_svc6 *s = lb_service6(t->vip_hi, t->vip_lo, key);

	if (!s)
		return lb_is_vip6(t->vip_hi, t->vip_lo) ? LB_FOUND_NO_PORT : LB_FOUND_NO_VIP;
	p->svc = *(const volatile __u64 *)&s->val;
	p->h = lb_hash6(&lb_params.hash, t->src_hi, t->src_lo, t->vip_hi, t->vip_lo, key | (t->ports & 0xffff));
	p->slot_h = p->h;
	if (LB_SVC_FLAGS(p->svc) & LB_SVC_HASH_SRC)
		p->slot_h = lb_hash6_source(&lb_params.hash, t->src_hi, t->src_lo, t->vip_hi, t->vip_lo);
	return LB_FOUND_SERVICE;
}

AI enum lb_found lb_find(const struct lb_tuple *t, struct lb_pkt *p)
{
	return t->v6 ? lb_find6(t, p) : lb_find4(t, p);
}

AI bool lb_is_vip(const struct lb_tuple *t)
{
	return t->v6 ? lb_is_vip6(t->vip_hi, t->vip_lo) : lb_is_vip4((__u32)t->vip_lo);
}
