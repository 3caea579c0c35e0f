/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cold.h - programs behind a tail call: everything that is rare, or costly to parse, costs the common path one branch.
 *
 * A cold program begins from the packet as it came (nothing was changed, nothing counted) and ends by itself through
 * lb_finish(). The slots are filled by libbpf when the object is loaded. An entry that is missing (kernel refused the
 * map, map was unpinned) is counted drop_internal.
 */
#pragma once
#include "packet.h"

enum lb_cold {
	LB_COLD_SLOW,     /* anything whose headers are not plain Ethernet + IP + TCP or UDP: the general parser */
	LB_COLD_ICMP,     /* ICMP and ICMPv6 to a VIP: icmp.h */
	LB_COLD_FRAGMENT, /* fragments to a VIP: fragment.h */
	LB_COLD_TOO_BIG,  /* longer than the way to its backend carries: toobig.h; lb_go_too_big() leads here */
	LB_COLD_MAX
};

/* cold_programs.h */
int lb_slow(struct xdp_md *ctx);
int lb_icmp(struct xdp_md *ctx);
int lb_fragment(struct xdp_md *ctx);
int lb_too_big(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 16); /* room to append */
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} cold SEC(".maps") = {
	.values = {
		[LB_COLD_SLOW] = (void *)&lb_slow,
		[LB_COLD_ICMP] = (void *)&lb_icmp,
		[LB_COLD_FRAGMENT] = (void *)&lb_fragment,
		[LB_COLD_TOO_BIG] = (void *)&lb_too_big,
	},
};

/* Hand the packet over. Returns only when there is nobody to hand it to. */
AI int lb_go_cold(struct xdp_md *ctx, enum lb_cold to)
{
	bpf_tail_call(ctx, &cold, to);
	return LB_END(XDP_DROP, DROP_INTERNAL);
}

/* What a tail call takes along, since nothing else survives it. One packet at a time per CPU. */
struct lb_scratch {
	__u32 l2_len;
	__u32 len; /* of the IP packet */
	__u16 mtu;
	__u8 v6;
	__u8 pad;
};
LB_PERCPU_ARRAY(scratch, struct lb_scratch, 1);

/* @p is longer than @mtu, the largest packet that fits the way to its backend. */
AI int lb_go_too_big(struct xdp_md *ctx, const struct lb_pkt *p, __u16 mtu)
{
	struct lb_scratch *s;
	__u32 zero = 0;

	if (p->passive)
		return LB_END(XDP_DROP, DROP_TOO_BIG);
	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s)
		return LB_END(XDP_DROP, DROP_INTERNAL);
	s->l2_len = p->l2_len;
	s->len = p->len;
	s->mtu = mtu;
	s->v6 = p->v6;
	return lb_go_cold(ctx, LB_COLD_TOO_BIG);
}
