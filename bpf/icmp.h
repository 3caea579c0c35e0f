/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * icmp.h - ICMP and ICMPv6 to a VIP: echo requests are answered here, errors go to the backend that owns the flow they
 * are about. Everything else is the stack's.
 *
 * An error quotes a packet that a backend sent in the name of the VIP: its source is the VIP, so the flow is the quote
 * turned round. The error takes the flow's way as a silent segment: same slot, same rules, nothing remembered.
 */
#pragma once
#include "admit.h"
#include "answer.h"
#include "forward.h"
#include "parse.h"

#define LB_ICMP_HEADER 8

enum {
	LB_ICMP_UNREACHABLE = 3,
	LB_ICMP_ECHO = 8,
	LB_ICMP_TIME_EXCEEDED = 11,
	LB_ICMP_PARAMETER = 12,
	LB_ICMP6_UNREACHABLE = 1, /* and 2 too big, 3 time exceeded, 4 parameter problem */
	LB_ICMP6_TOO_BIG = 2,
	LB_ICMP6_PARAMETER = 4,
	LB_ICMP6_ECHO = 128,
	LB_ICMP6_ECHO_REPLY = 129,
	LB_ANSWER_TTL = 64,
};

AI void lb_echo4(void *ip)
{
	__u16 ttl = LB_LOAD16(ip + 8), type = LB_LOAD16(ip + 20);
	__u32 src = LB_LOAD32(ip + 12);

	*(__u16 *)(ip + 8) = (ttl & 0xff00) | LB_ANSWER_TTL;
	*(__u16 *)(ip + 10) = lb_csum_replace(LB_LOAD16(ip + 10), ttl, (ttl & 0xff00) | LB_ANSWER_TTL);
	*(__u32 *)(ip + 12) = LB_LOAD32(ip + 16);
	*(__u32 *)(ip + 16) = src;
	*(__u16 *)(ip + 20) = 0;
	*(__u16 *)(ip + 22) = lb_csum_replace(LB_LOAD16(ip + 22), type, 0);
}

/* The pseudo header is the same with its addresses exchanged, and the hop limit is in no checksum. */
AI void lb_echo6(void *ip)
{
	__u64 hi = LB_LOAD64(ip + 8), lo = LB_LOAD64(ip + 16);

	*(__u8 *)(ip + 7) = LB_ANSWER_TTL;
	*(__u64 *)(ip + 8) = LB_LOAD64(ip + 24);
	*(__u64 *)(ip + 16) = LB_LOAD64(ip + 32);
	*(__u64 *)(ip + 24) = hi;
	*(__u64 *)(ip + 32) = lo;
	*(__u8 *)(ip + 40) = LB_ICMP6_ECHO_REPLY;
	*(__u16 *)(ip + 42) = lb_csum_replace(LB_LOAD16(ip + 42), LB_ICMP6_ECHO, LB_ICMP6_ECHO_REPLY);
}

/* With options or extension headers the answer would need some too: the stack knows how. */
AI int lb_echo(struct xdp_md *ctx, const struct lb_pkt *p, const struct lb_tuple *t)
{
	__u32 ip_len = p->v6 ? 40 : 20;
	void *data = lb_data(ctx), *ip = data + p->l2_len;

	if (!(lb_params.features & LB_FEATURE_VIP_ECHO) || p->l4 != p->l2_len + ip_len || !lb_may_answer(ctx, t) ||
	    data + 12 > lb_data_end(ctx) || ip + ip_len + LB_ICMP_HEADER > lb_data_end(ctx))
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	if (!lb_answer_take(LB_ANSWER_ECHO, lb_params.echo_rate))
		return LB_END(XDP_DROP, DROP_ECHO_LIMIT);
	lb_swap_macs(data);
	if (p->v6)
		lb_echo6(ip);
	else
		lb_echo4(ip);
	return LB_END(XDP_TX, TX_ECHO_REPLY);
}

/* ---- errors ---------------------------------------------------------------------------------------------------- */
AI bool lb_is_icmp_error(const struct lb_pkt *p, __u32 type)
{
	if (p->v6)
		return type >= LB_ICMP6_UNREACHABLE && type <= LB_ICMP6_PARAMETER;
	return type == LB_ICMP_UNREACHABLE || type == LB_ICMP_TIME_EXCEEDED || type == LB_ICMP_PARAMETER;
}

/* The quoted IPv4 packet at frame offset @at. Returns the offset of its transport header; 0: not about a flow of ours. */
AI __u32 lb_quote4(struct xdp_md *ctx, __u32 at, const struct lb_tuple *t, struct lb_tuple *flow)
{
	void *ip = lb_data(ctx) + at;
	__u32 ihl;

	if (ip + 20 > lb_data_end(ctx))
		return 0;
	ihl = (*(__u8 *)ip & 0xf) * 4;
	if (*(__u8 *)ip >> 4 != 4 || ihl < 20 || LB_LOAD32(ip + 12) != (__u32)t->vip_lo ||
	    LB_LOAD16(ip + 6) & bpf_htons(0x1fff))
		return 0;
	flow->proto = *(__u8 *)(ip + 9);
	flow->src_lo = LB_LOAD32(ip + 16);
	return at + ihl;
}

AI __u32 lb_quote6(struct xdp_md *ctx, __u32 at, const struct lb_tuple *t, struct lb_tuple *flow)
{
	void *ip = lb_data(ctx) + at;
	struct lb_view *q = lb_view_new(LB_VIEW_QUOTE);
	int found;

	if (!q || ip + 40 > lb_data_end(ctx))
		return 0;
	if (*(__u8 *)ip >> 4 != 6 || LB_LOAD64(ip + 8) != t->vip_hi || LB_LOAD64(ip + 16) != t->vip_lo)
		return 0;
	flow->src_hi = LB_LOAD64(ip + 24);
	flow->src_lo = LB_LOAD64(ip + 32);
	q->t.proto = *(__u8 *)(ip + 6);
	q->p.l4 = at + 40;
	found = lb_walk_packet(ctx, q);
	at = q->p.l4;
	lb_opaque(at);
	flow->proto = q->t.proto;
	if (found != LB_PARSED_FRAGMENT || at > LB_L4_MAX)
		return found == LB_PARSED_L4 ? at : 0;
	/* A first fragment has the ports, behind its fragment header. */
	ip = lb_data(ctx) + at;
	if (ip + 8 > lb_data_end(ctx) || LB_LOAD16(ip + 2) & bpf_htons(0xfff8))
		return 0;
	flow->proto = *(__u8 *)ip;
	return at + 8;
}

/* The flow that the error behind the ICMP header at p->l4 is about, as its client's packets name it. */
AI bool lb_quoted_flow(struct xdp_md *ctx, const struct lb_pkt *p, const struct lb_tuple *t, struct lb_tuple *flow)
{
	__u32 at = p->l4 + LB_ICMP_HEADER, ports;
	void *l4;

	lb_opaque(at);
	if (at > LB_L4_MAX)
		return false;
	flow->v6 = p->v6;
	flow->vip_hi = t->vip_hi;
	flow->vip_lo = t->vip_lo;
	at = p->v6 ? lb_quote6(ctx, at, t, flow) : lb_quote4(ctx, at, t, flow);
	lb_opaque(at);
	if (!at || at > LB_L4_MAX + 8 || (flow->proto != LB_IPPROTO_TCP && flow->proto != LB_IPPROTO_UDP))
		return false;
	l4 = lb_data(ctx) + at;
	/* Ethernet padding is no quote. */
	if (at + 4 > p->l2_len + p->len || l4 + 4 > lb_data_end(ctx))
		return false;
	ports = LB_LOAD32(l4);
	flow->ports = ports >> 16 | ports << 16;
	return true;
}

AI int lb_icmp_path(struct xdp_md *ctx)
{
	struct lb_tuple flow = { 0 };
	struct lb_view *v = lb_view_new(LB_VIEW_PACKET);
	struct lb_pkt p;
	int verdict;
	void *icmp;
	__u32 type, at;

	if (!v)
		return LB_END(XDP_DROP, DROP_INTERNAL);
	switch (lb_parse_packet(ctx, v)) {
	case LB_PARSED_END:
		return v->verdict;
	case LB_PARSED_ICMP:
		break;
	default:
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	}
	p = v->p;
	lb_opaque(p.l2_len);
	p.l2_len &= 31;
	at = p.l4;
	lb_opaque(at);
	if (at > LB_L4_MAX)
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	icmp = lb_data(ctx) + at;
	if (at + LB_ICMP_HEADER > p.l2_len + p.len || icmp + LB_ICMP_HEADER > lb_data_end(ctx))
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	type = *(__u8 *)icmp;
	if (type == (p.v6 ? LB_ICMP6_ECHO : LB_ICMP_ECHO) && !*(__u8 *)(icmp + 1))
		return lb_echo(ctx, &p, &v->t);
	if (!lb_is_icmp_error(&p, type) || !lb_quoted_flow(ctx, &p, &v->t, &flow) ||
	    lb_find(&flow, &p) != LB_FOUND_SERVICE)
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	/* A client that is denied the service has no flow that an error could be about. */
	verdict = lb_admit(&p, &flow, false);
	if (verdict)
		return verdict;
	p.proto = flow.proto;
	p.passive = 1;
	p.plain_sum = 0;
	return lb_forward(ctx, &p);
}
