/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * forward.h - a parsed packet of a known service: slot, backend, counter, outer headers, out.
 */
#pragma once
#include "cold.h"
#include "encap.h"
#include "steer.h"

/* XDP_TX or XDP_REDIRECT; XDP_DROP when the interface is not (or no longer) in the devmap. */
AI int lb_transmit(__u32 port)
{
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

/* A TCP SYN, or any UDP packet. */
AI bool lb_begins_flow(struct xdp_md *ctx, const struct lb_pkt *p)
{
	return p->proto == LB_IPPROTO_UDP || (lb_tcp_flags(ctx, p) & (LB_TCP_SYN | LB_TCP_ACK)) == LB_TCP_SYN;
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

/* Why a packet cannot leave by a backend that is NONE, LOCAL or (never in a spare) MOVED. */
AI int lb_not_sent(__u32 bidx, __u32 encap)
{
	if (encap == LB_ENCAP_LOCAL)
		return LB_END(XDP_PASS, PASS_LOCAL);
	return bidx ? LB_END(XDP_DROP, DROP_NO_NEXTHOP) : LB_END(XDP_DROP, DROP_NO_BACKEND);
}

/* From the backend to the wire, whatever the backend is like. @w is its word. */
AI int lb_send_any(struct xdp_md *ctx, const struct lb_pkt *p, __u32 bidx, const struct lb_backend *b, __u64 w,
		   struct lb_counter *c)
{
	__u32 len = p->len;
	int action;
	bool done;

	if (unlikely(LB_WORD_ENCAP(w) == LB_ENCAP_MOVED)) {
		b = bpf_map_lookup_elem(&backend_spares, &bidx);
		if (!b)
			return LB_END(XDP_DROP, DROP_INTERNAL);
		w = LB_LOAD64(&b->csum);
	}
	if (unlikely(LB_WORD_ENCAP(w) - LB_ENCAP_IP4 > LB_ENCAP_L2 - LB_ENCAP_IP4))
		return lb_not_sent(bidx, LB_WORD_ENCAP(w));
	if (unlikely(len > LB_WORD_MTU(w)))
		return lb_go_too_big(ctx, p, LB_WORD_MTU(w));
	if (likely(!(LB_WORD_FLAGS(w) & LB_BACKEND_VLAN)))
		done = lb_encap(ctx, p, b, w, 14);
	else
		done = lb_encap(ctx, p, b, w, 18);
	if (unlikely(!done))
		return LB_END(XDP_DROP, DROP_HEADROOM);
	action = lb_transmit(LB_WORD_TX_PORT(w));
	if (unlikely(action == XDP_DROP))
		return LB_END(XDP_DROP, DROP_NO_NEXTHOP);
	c->packets++;
	c->bytes += len;
	return action;
}

/*
 * From the backend to the wire. The most common way (outer IP of the packet's own family, untagged, by the
 * interface it came by) has a lane of its own: one comparison instead of seven, 0.7 to 1.5 ns.
 */
AI int lb_send(struct xdp_md *ctx, const struct lb_pkt *p, __u32 bidx)
{
	__u32 len = p->len;
	const struct lb_backend *b = bpf_map_lookup_elem(&backends, &bidx);
	struct lb_counter *c = bpf_map_lookup_elem(&backend_stats, &bidx);
	bool done;
	__u64 w;

	if (!b || !c)
		return LB_END(XDP_DROP, DROP_INTERNAL);
	w = LB_LOAD64(&b->csum);
	if (unlikely(LB_WORD_KIND(w) != (p->v6 ? LB_ENCAP_IP6 : LB_ENCAP_IP4) || len > LB_WORD_MTU(w)))
		return lb_send_any(ctx, p, bidx, b, w, c);
	if (p->v6)
		done = lb_encap_ip6(ctx, p, b, 14);
	else
		done = lb_encap_ip4(ctx, p, b, w, 14);
	if (unlikely(!done))
		return LB_END(XDP_DROP, DROP_HEADROOM);
	c->packets++;
	c->bytes += len;
	return XDP_TX;
}

/* Everything from the slot to the wire. */
AI int lb_forward(struct xdp_md *ctx, const struct lb_pkt *p)
{
	return lb_send(ctx, p, lb_pick(ctx, p));
}
