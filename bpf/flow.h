/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * flow.h - the flow table and the SYN-seen filter as data structures. The rules for their use are in steer.h.
 *
 * All CPUs share the table. A way changes by one compare-and-exchange, so that of two CPUs that want the same way one
 * loses and no word is ever a mixture: refreshing a flow cannot undo the making of another.
 */
#pragma once
#include "maps.h"

/* LB clock, tenths of a second. */
AI __u32 lb_now_ds(void)
{
	return (__u32)(bpf_jiffies64() * lb_params.clock_mul >> 32);
}

AI struct lb_flow_bucket *lb_flow_bucket(__u64 h)
{
	__u32 i = lb_hash_bucket(h) & lb_params.flow_mask;

	return bpf_map_lookup_elem(&flows, &i);
}

/*
 * The word of a way. The mask is for the verifier of older kernels (6.1), which has lost sight of the range of @way by
 * the time it is used; the compiler, which knows it, would leave the mask out.
 */
AI __u64 *lb_flow_word(struct lb_flow_bucket *b, __u32 way)
{
	lb_opaque(way);
	return &b->e[way & (LB_FLOW_WAYS - 1)];
}

AI __u64 lb_flow_read(struct lb_flow_bucket *b, __u32 way)
{
	return *(const volatile __u64 *)lb_flow_word(b, way);
}

/* Way of the flow with @tag, or LB_FLOW_WAYS. */
AI __u32 lb_flow_find(const struct lb_flow_bucket *b, __u32 tag)
{
	__u32 way;

#pragma unroll
	for (way = 0; way < LB_FLOW_WAYS; way++)
		if (LB_FLOW_TAG(*(const volatile __u64 *)&b->e[way]) == tag)
			break;
	return way;
}

/* How long the flows of a service may be silent, in ticks. */
AI __u32 lb_idle_ticks(const struct lb_service *s, bool udp)
{
	return lb_flow_idle_ticks(udp ? s->udp_idle_s : s->flow_idle_s);
}

/* How far an entry is beyond its idle time: 0 = live, 1.. = closing or dead, ~0 = void, its backend is gone. */
AI __u32 lb_flow_overdue(__u64 e, __u32 tick)
{
	__u32 bidx = LB_FLOW_BIDX(e), sid, age = lb_flow_age(e, tick), idle, idle_udp;
	const struct lb_backend *b = bpf_map_lookup_elem(&backends, &bidx);
	const struct lb_service *s;

	if (!b || b->gen != LB_FLOW_GEN(e))
		return ~0u;
	sid = b->sid;
	s = bpf_map_lookup_elem(&services, &sid);
	if (!s)
		return ~0u;
	/* The word does not say TCP or UDP: where a service has both, the longer time holds. */
	idle = lb_idle_ticks(s, false);
	idle_udp = LB_SVC_FLAGS(s->val) & LB_SVC_UDP_TRACK ? lb_idle_ticks(s, true) : 0;
	if (idle_udp > idle)
		idle = idle_udp;
	return age > idle ? age - idle : 0;
}

/*
 * A way for a new entry: an empty one, else the flow that is dead or closing for longest; LB_FLOW_WAYS when all hold
 * live flows. A live flow is never given up for a new one: whoever floods the table could else choose which one.
 * A global function: the verifier looks at it once, not once for every path that leads here.
 */
__noinline __u32 lb_flow_victim(const struct lb_flow_bucket *b, __u32 tick)
{
	__u32 best = LB_FLOW_WAYS, best_over = 0, way;

	if (!b)
		return LB_FLOW_WAYS;
#pragma unroll
	for (way = 0; way < LB_FLOW_WAYS; way++)
		if (!*(const volatile __u64 *)&b->e[way])
			return way;
#pragma clang loop unroll(disable)
	for (way = 0; way < LB_FLOW_WAYS; way++) {
		__u32 over = lb_flow_overdue(*(const volatile __u64 *)&b->e[way], tick);

		if (over > best_over) {
			best_over = over;
			best = way;
		}
	}
	return best;
}

/* Replace word @old of @way; false when another CPU was there first. */
AI bool lb_flow_replace(struct lb_flow_bucket *b, __u32 way, __u64 old, __u64 new)
{
	return __sync_val_compare_and_swap(lb_flow_word(b, way), old, new) == old;
}

/* ---- SYN-seen ---- */
AI __u64 *lb_syn_cell(__u64 h)
{
	__u32 i = lb_hash_bucket(h) & lb_params.syn_mask;
	struct lb_flow_bucket *b = bpf_map_lookup_elem(&syn_seen, &i);

	return b ? &b->e[lb_hash_way(h)] : 0;
}
