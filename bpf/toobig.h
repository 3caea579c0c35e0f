/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * toobig.h - a packet that does not fit the way to its backend is answered from the VIP: ICMP "fragmentation needed",
 * ICMPv6 "packet too big", with the size that fits.
 *
 * IPv4 without DF is answered too. It would be for us to fragment it, which XDP cannot (one packet in, one out), and
 * stacks heed the answer for such packets as well: they send smaller fragments from then on.
 * IPv6 on a way that carries less than 1280 bytes is not: no sender may go below that (RFC 8201 4), only the operator
 * can help. Never answered: ICMP errors, later fragments (p->passive) and whom lb_may_answer() names.
 */
#pragma once
#include "answer.h"
#include "cold.h"
#include "encap.h"

#define LB_TOO_BIG_LEN4 576u  /* RFC 1812 4.3.2.3: the answer's length, as much of the packet quoted as fits */
#define LB_TOO_BIG_LEN6 1280u /* RFC 4443 2.4(c) */
#define LB_L2_MAX 22u

/*
 * Turn the frame into Ethernet (and tags, MACs exchanged), @room bytes of new headers, and the first bytes of the packet
 * so that all from the new IP header on is at most @most bytes long. Returns the new IP header, of @*total bytes.
 */
AI void *lb_too_big_frame(struct xdp_md *ctx, const struct lb_scratch *s, __u32 room, __u32 most, __u32 *total)
{
	__u32 l2 = s->l2_len, len = s->len + room;
	void *data, *ip;

	if (len > most)
		len = most;
	if (bpf_xdp_adjust_head(ctx, -(int)room))
		return 0;
	if (bpf_xdp_adjust_tail(ctx, (int)(l2 + len) - (int)bpf_xdp_get_buff_len(ctx)))
		return 0;
	*total = len;
	data = lb_data(ctx);
	lb_opaque(l2);
	if (l2 > LB_L2_MAX || data + room + 24 > lb_data_end(ctx))
		return 0;
	ip = data + l2;
	if (ip + room + 40 > lb_data_end(ctx))
		return 0;
	/* 24 bytes hold any layer 2 header; what is too many lies where the IP header will be written. */
	*(__u64 *)data = LB_LOAD64(data + room);
	*(__u64 *)(data + 8) = LB_LOAD64(data + room + 8);
	*(__u64 *)(data + 16) = LB_LOAD64(data + room + 16);
	lb_swap_macs(data);
	return ip;
}

AI bool lb_too_big4(struct xdp_md *ctx, const struct lb_scratch *s)
{
	__u32 len, sum, vip, client;
	void *ip = lb_too_big_frame(ctx, s, 28, LB_TOO_BIG_LEN4, &len);

	if (!ip)
		return false;
	client = LB_LOAD32(ip + 28 + 12);
	vip = LB_LOAD32(ip + 28 + 16);
	sum = 0xc045 + (__u32)lb_swap(len) + 0x40 + 0x0140 + (vip & 0xffff) + (vip >> 16) + (client & 0xffff) +
	      (client >> 16);
	*(__u32 *)ip = 0xc045 | (__u32)lb_swap(len) << 16; /* precedence 6: RFC 1812 4.3.2.5 */
	*(__u32 *)(ip + 4) = 0x40 << 16;                    /* DF, identification 0 */
	*(__u32 *)(ip + 8) = 0x0140 | (__u32)(__u16)~lb_fold(sum) << 16;
	*(__u32 *)(ip + 12) = vip;
	*(__u32 *)(ip + 16) = client;
	*(__u32 *)(ip + 20) = 0x0403; /* unreachable, fragmentation needed */
	*(__u32 *)(ip + 24) = (__u32)lb_swap(s->mtu) << 16;
	sum = lb_read_sum(ctx, s->l2_len + 20, len - 20);
	return !bpf_xdp_store_bytes(ctx, s->l2_len + 22, &(__u16){ ~lb_fold(sum) }, 2);
}

AI bool lb_too_big6(struct xdp_md *ctx, const struct lb_scratch *s)
{
	__u32 len, sum;
	void *ip = lb_too_big_frame(ctx, s, 48, LB_TOO_BIG_LEN6, &len);

	if (!ip)
		return false;
	*(__u64 *)ip = 0x60 | (__u64)lb_swap(len - 40) << 32 | (__u64)LB_IPPROTO_ICMPV6 << 48 | 64ull << 56;
	*(__u64 *)(ip + 8) = LB_LOAD64(ip + 48 + 24);
	*(__u64 *)(ip + 16) = LB_LOAD64(ip + 48 + 32);
	*(__u64 *)(ip + 24) = LB_LOAD64(ip + 48 + 8);
	*(__u64 *)(ip + 32) = LB_LOAD64(ip + 48 + 16);
	*(__u32 *)(ip + 40) = 2;
	*(__u32 *)(ip + 44) = (__u32)lb_swap(s->mtu) << 16;
	/* With both addresses in front; length and protocol make the pseudo header complete. */
	sum = lb_read_sum(ctx, s->l2_len + 8, len - 8) + lb_swap(len - 40) + (LB_IPPROTO_ICMPV6 << 8);
	return !bpf_xdp_store_bytes(ctx, s->l2_len + 42, &(__u16){ ~lb_fold(sum) }, 2);
}

AI bool lb_too_big_may_answer(struct xdp_md *ctx, const struct lb_scratch *s)
{
	void *ip;
	struct lb_tuple t = { .v6 = s->v6 };
	__u32 l2 = s->l2_len;

	lb_opaque(l2);
	if (l2 > LB_L2_MAX)
		return false;
	ip = lb_data(ctx) + l2;
	if (ip + 40 > lb_data_end(ctx))
		return false;
	if (s->v6) {
		t.src_hi = LB_LOAD64(ip + 8);
		t.src_lo = LB_LOAD64(ip + 16);
		t.vip_hi = LB_LOAD64(ip + 24);
		t.vip_lo = LB_LOAD64(ip + 32);
		if (s->mtu < LB_TOO_BIG_LEN6)
			return false;
	} else {
		t.src_lo = LB_LOAD32(ip + 12);
		t.vip_lo = LB_LOAD32(ip + 16);
	}
	return lb_may_answer(ctx, &t) && lb_answer_take(LB_ANSWER_ERROR, lb_params.error_rate);
}

AI int lb_too_big_path(struct xdp_md *ctx)
{
	__u32 zero = 0;
	const struct lb_scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s)
		return LB_END(XDP_DROP, DROP_INTERNAL);
	if (!lb_too_big_may_answer(ctx, s))
		return LB_END(XDP_DROP, DROP_TOO_BIG);
	if (!(s->v6 ? lb_too_big6(ctx, s) : lb_too_big4(ctx, s)))
		return LB_END(XDP_DROP, DROP_HEADROOM);
	return LB_END(XDP_TX, TX_TOO_BIG);
}
