/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pipeline.h - the common path: untagged IPv4 without options or IPv6 without extension headers, carrying TCP or UDP.
 *
 * Offsets are constants here. One bounds check covers the headers of TCP and, since a UDP datagram this short (12
 * bytes of payload or less over IPv4 without Ethernet padding) is rare, of UDP too. What does not look like this goes
 * to the general parser behind a tail call before anything was decided.
 *
 * Cache lines touched by a settled packet that hits: packet, service bucket, slot line, backend, its counter.
 */
#pragma once
#include "cold.h"
#include "forward.h"
#include "service.h"

#define LB_PLAIN4 (14 + 20 + 20)
#define LB_PLAIN6 (14 + 40 + 20)

/* Flags that ask for more than the plain steps: one test for all. */
#define LB_SVC_CAREFUL (LB_SVC_HASH_SRC | LB_SVC_ACL | LB_SVC_LIMIT)

AI bool lb_is_l4(__u32 proto)
{
	return proto == LB_IPPROTO_TCP || proto == LB_IPPROTO_UDP;
}

AI int lb_plain4(struct xdp_md *ctx, void *data, void *end)
{
	struct lb_pkt p = { .l2_len = 14, .l4 = 34, .plain_sum = 1 };
	const struct lb_svc4 *s;
	__u64 head, src, key;
	__u32 daddr, ports;

	if (data + LB_PLAIN4 > end)
		return lb_go_cold(ctx, LB_COLD_SLOW);
	head = LB_LOAD64(data + 14); /* version, IHL, TOS, length, ID, fragment */
	p.proto = *(const volatile __u8 *)(data + 23);
	/* No options, no fragment (reserved and DF bits are of no matter). */
	if ((head & 0xff3f0000000000ffull) != 0x45 || !lb_is_l4(p.proto))
		return p.proto == LB_IPPROTO_ICMP ? lb_go_cold(ctx, LB_COLD_ICMP) : lb_go_cold(ctx, LB_COLD_SLOW);
	daddr = LB_LOAD32(data + 30);
	ports = LB_LOAD32(data + 34);
	src = (__u64)LB_LOAD32(data + 26) | (__u64)(ports & 0xffff) << 32;
	key = LB_SVC4_KEY(daddr, ports >> 16, p.proto);
	s = lb_service4(key);
	if (!s) {
		if (lb_is_vip4(daddr))
			return LB_END(XDP_PASS, PASS_VIP_OTHER);
		return LB_END(XDP_PASS, PASS_NOT_VIP);
	}
	p.svc = *(const volatile __u64 *)&s->val;
	p.len = lb_swap(head >> 16);
	/* At least 20 bytes of TCP, at most what the frame holds: one comparison. */
	if (p.len - 40 > (__u32)(end - data) - LB_PLAIN4)
		return lb_go_cold(ctx, LB_COLD_SLOW);
	p.tc = head >> 8 & 0xff;
	p.h = lb_hash4(&lb_params.hash, src, key);
	p.slot_h = p.h;
	if (unlikely(LB_SVC_FLAGS(p.svc) & LB_SVC_CAREFUL)) {
		if (LB_SVC_FLAGS(p.svc) & (LB_SVC_CAREFUL & ~LB_SVC_HASH_SRC))
			return lb_go_cold(ctx, LB_COLD_SLOW);
		p.slot_h = lb_hash4_source(&lb_params.hash, (__u32)src, daddr);
	}
	return lb_forward(ctx, &p);
}

AI int lb_plain6(struct xdp_md *ctx, void *data, void *end)
{
	struct lb_pkt p = { .l2_len = 14, .l4 = 54, .plain_sum = 1, .v6 = 1 };
	__u64 head, src_hi, src_lo, vip_hi, vip_lo, key;
	const struct lb_svc6 *s;
	__u32 ports;

	if (data + LB_PLAIN6 > end)
		return lb_go_cold(ctx, LB_COLD_SLOW);
	head = LB_LOAD64(data + 14); /* version, class, flow label, payload length, next header, hop limit */
	p.proto = head >> 48 & 0xff;
	if ((head & 0xf0) != 0x60 || !lb_is_l4(p.proto))
		return p.proto == LB_IPPROTO_ICMPV6 ? lb_go_cold(ctx, LB_COLD_ICMP) : lb_go_cold(ctx, LB_COLD_SLOW);
	src_hi = LB_LOAD64(data + 22);
	src_lo = LB_LOAD64(data + 30);
	vip_hi = LB_LOAD64(data + 38);
	vip_lo = LB_LOAD64(data + 46);
	ports = LB_LOAD32(data + 54);
	key = LB_SVC4_KEY(0, ports >> 16, p.proto);
	s = lb_service6(vip_hi, vip_lo, key);
	if (!s) {
		if (lb_is_vip6(vip_hi, vip_lo))
			return LB_END(XDP_PASS, PASS_VIP_OTHER);
		return LB_END(XDP_PASS, PASS_NOT_VIP);
	}
	p.svc = *(const volatile __u64 *)&s->val;
	p.len = lb_swap(head >> 32) + 40;
	if (p.len - 60 > (__u32)(end - data) - LB_PLAIN6)
		return lb_go_cold(ctx, LB_COLD_SLOW);
	p.tc = head & 0xf00f;
	p.h = lb_hash6(&lb_params.hash, src_hi, src_lo, vip_hi, vip_lo, key | (ports & 0xffff));
	p.slot_h = p.h;
	if (unlikely(LB_SVC_FLAGS(p.svc) & LB_SVC_CAREFUL)) {
		if (LB_SVC_FLAGS(p.svc) & (LB_SVC_CAREFUL & ~LB_SVC_HASH_SRC))
			return lb_go_cold(ctx, LB_COLD_SLOW);
		p.slot_h = lb_hash6_source(&lb_params.hash, src_hi, src_lo, vip_hi, vip_lo);
	}
	return lb_forward(ctx, &p);
}

/* The whole path for one packet; a verdict for lb_finish(). */
AI int lb_pipeline(struct xdp_md *ctx)
{
	void *data = lb_data(ctx), *end = lb_data_end(ctx);
	__u16 proto;

	if (data + 14 > end)
		return LB_END(XDP_PASS, PASS_NOT_IP);
	proto = LB_LOAD16(data + 12);
	if (proto == bpf_htons(LB_ETH_IP))
		return lb_plain4(ctx, data, end);
	if (proto == bpf_htons(LB_ETH_IPV6))
		return lb_plain6(ctx, data, end);
	if (proto == bpf_htons(LB_ETH_VLAN) || proto == bpf_htons(LB_ETH_QINQ))
		return lb_go_cold(ctx, LB_COLD_SLOW);
	return LB_END(XDP_PASS, PASS_NOT_IP);
}
