/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * forward.h - a parsed packet of a known service: slot, backend, counter, outer headers, out.
 */
#pragma once
#include "cold.h"
#include "encap.h"
#include "steer.h"

/* XDP_TX or XDP_REDIRECT; XDP_DROP when the interface is not (or no longer) in the devmap. */
AI int lb_transmit(const struct lb_backend *b)
{
	__u32 port = b->tx_port;

	return likely(!port) ? XDP_TX : (int)bpf_redirect_map(&tx_ports, port, XDP_DROP);
}

AI __u8 lb_tcp_flags(struct xdp_md *ctx, const struct lb_pkt *p)
{
	void *data = lb_data(ctx);
	__u32 at = p->l4 + 13;

	if (p->proto != LB_IPPROTO_TCP || at > 512 || data + at + 1 > lb_data_end(ctx))
		return 0;
	return *(__u8 *)(data + at);
}

/* The backend of the packet's slot: 0 when the slot has none. */
AI __u32 lb_pick(struct xdp_md *ctx, const struct lb_pkt *p)
{
	__u32 slot = lb_hash_slot(p->slot_h, LB_SVC_M(p->svc));
	__u32 line = LB_SVC_LINE(p->svc) + slot / LB_SLOTS_PER_LINE;
	const struct lb_slot_line *l = bpf_map_lookup_elem(&slots, &line);
	__u32 word;

	if (!l)
		return 0;
	word = *(const volatile __u16 *)&l->s[slot % LB_SLOTS_PER_LINE];
	if (unlikely(word & LB_SLOT_TRANSITION)) {
		struct lb_steer_in in = {
			.h = p->h,
			.svc = p->svc,
			.slot = slot,
			.current = LB_SLOT_BIDX(word),
			.udp = p->proto == LB_IPPROTO_UDP,
			.tcp_flags = p->passive ? 0 : lb_tcp_flags(ctx, p),
			.peek = p->passive,
		};

		word = lb_steer(&in);
	}
	return word;
}

/* From the backend to the wire. */
AI int lb_send(struct xdp_md *ctx, const struct lb_pkt *p, __u32 bidx)
{
	__u32 encap, len = p->len;
	const struct lb_backend *b = bpf_map_lookup_elem(&backends, &bidx);
	struct lb_counter *c = bpf_map_lookup_elem(&backend_stats, &bidx);
	bool done;
	int action;

	if (!b || !c)
		return LB_END(XDP_DROP, DROP_INTERNAL);
	encap = *(const volatile __u8 *)&b->encap;
	if (unlikely(encap == LB_ENCAP_MOVED)) {
		b = bpf_map_lookup_elem(&backend_spares, &bidx);
		if (!b)
			return LB_END(XDP_DROP, DROP_INTERNAL);
		encap = *(const volatile __u8 *)&b->encap;
	}
	/* One comparison for the three that are not sent: NONE, LOCAL and (never in a spare) MOVED. */
	if (unlikely(encap - LB_ENCAP_IP4 > LB_ENCAP_L2 - LB_ENCAP_IP4)) {
		if (encap == LB_ENCAP_LOCAL)
			return LB_END(XDP_PASS, PASS_LOCAL);
		return bidx ? LB_END(XDP_DROP, DROP_NO_NEXTHOP) : LB_END(XDP_DROP, DROP_NO_BACKEND);
	}
	if (unlikely(len > b->mtu))
		return lb_go_too_big(ctx, p, b->mtu);
	if (likely(!(b->flags & LB_BACKEND_VLAN)))
		done = lb_encap(ctx, p, b, encap, 14);
	else
		done = lb_encap(ctx, p, b, encap, 18);
	if (unlikely(!done))
		return LB_END(XDP_DROP, DROP_HEADROOM);
	action = lb_transmit(b);
	if (unlikely(action == XDP_DROP))
		return LB_END(XDP_DROP, DROP_NO_NEXTHOP);
	c->packets++;
	c->bytes += len;
	return action;
}

/* Everything from the slot to the wire. */
AI int lb_forward(struct xdp_md *ctx, const struct lb_pkt *p)
{
	return lb_send(ctx, p, lb_pick(ctx, p));
}
