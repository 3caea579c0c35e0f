/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * parse.h - the general parser: up to two VLAN tags, IPv4 with options, IPv6 with extension headers.
 *
 * Nothing is dropped that is not addressed to a VIP: each step first learns the destination, and lb_parse() answers
 * with a verdict only when it ends there. A frame too short to hold an IP header is nobody's and passes.
 */
#pragma once
#include "service.h"

#define LB_VLAN_MAX 2
#define LB_EXT_MAX 8   /* extension headers walked */
#define LB_L4_MAX 512u /* beyond this offset no transport header is looked for */

struct lb_cursor {
	void *pos;
	void *end;
};

/* What lb_parse() found; p->l2_len, len, tc, v6, plain_sum are set in every case but LB_PARSED_END. */
enum lb_parsed {
	LB_PARSED_END,      /* not ours or not whole: see the verdict */
	LB_PARSED_L4,       /* TCP or UDP with its whole header: tuple, p->l4 */
	LB_PARSED_FRAGMENT, /* a fragment for a VIP (first or later): addresses, t->proto, p->l4 behind the IP headers */
	LB_PARSED_ICMP,     /* ICMP for a VIP of the same family: addresses, p->l4 */
	LB_PARSED_OTHER,    /* another protocol for a VIP */
};

/* Ethernet and VLAN. Returns the ethertype, or 0. */
AI __u16 lb_parse_l2(struct lb_cursor *c, struct lb_pkt *p)
{
	__u16 type;
	int i;

	if (c->pos + 14 > c->end)
		return 0;
	type = LB_LOAD16(c->pos + 12);
	c->pos += 14;
	p->l2_len = 14;
#pragma unroll
	for (i = 0; i < LB_VLAN_MAX; i++) {
		if (type != bpf_htons(LB_ETH_VLAN) && type != bpf_htons(LB_ETH_QINQ))
			break;
		if (c->pos + 4 > c->end)
			return 0;
		type = LB_LOAD16(c->pos + 2);
		c->pos += 4;
		p->l2_len += 4;
	}
	return type;
}

/* Does the frame hold the whole packet? A packet in several buffers is longer than what can be seen of it. */
AI bool lb_is_whole(struct xdp_md *ctx, const struct lb_pkt *p)
{
	__u32 need = p->l2_len + p->len;

	return need <= lb_linear(ctx) || need <= bpf_xdp_get_buff_len(ctx);
}

AI enum lb_parsed lb_parse4(struct xdp_md *ctx, struct lb_cursor *c, struct lb_pkt *p, struct lb_tuple *t, int *verdict)
{
	void *ip = c->pos;
	__u32 ihl;

	*verdict = LB_END(XDP_PASS, PASS_NOT_IP);
	if (ip + 20 > c->end)
		return LB_PARSED_END;
	t->src_lo = LB_LOAD32(ip + 12);
	t->vip_lo = LB_LOAD32(ip + 16);
	*verdict = LB_END(XDP_PASS, PASS_NOT_VIP);
	if (!lb_is_vip4((__u32)t->vip_lo))
		return LB_PARSED_END;
	*verdict = LB_END(XDP_DROP, DROP_MALFORMED);
	p->len = lb_swap(LB_LOAD16(ip + 2));
	ihl = (*(__u8 *)ip & 0xf) * 4;
	if (*(__u8 *)ip >> 4 != 4 || ihl < 20 || p->len < ihl)
		return LB_PARSED_END;
	*verdict = LB_END(XDP_DROP, DROP_TRUNCATED);
	if (!lb_is_whole(ctx, p))
		return LB_PARSED_END;
	p->tc = *(__u8 *)(ip + 1);
	t->proto = *(__u8 *)(ip + 9);
	p->l4 = p->l2_len + ihl;
	p->plain_sum = ihl == 20;
	if (LB_LOAD16(ip + 6) & bpf_htons(0x3fff))
		return LB_PARSED_FRAGMENT;
	if (t->proto == LB_IPPROTO_ICMP)
		return LB_PARSED_ICMP;
	return t->proto == LB_IPPROTO_TCP || t->proto == LB_IPPROTO_UDP ? LB_PARSED_L4 : LB_PARSED_OTHER;
}

enum { LB_EXT_HOP = 0, LB_EXT_ROUTING = 43, LB_EXT_FRAGMENT = 44, LB_EXT_AUTH = 51, LB_EXT_DEST = 60 };

/* Walk the extension headers from t->proto and c->pos on, to a transport header or what else stands there. */
AI enum lb_parsed lb_walk6(struct xdp_md *ctx, struct lb_cursor *c, struct lb_pkt *p, struct lb_tuple *t)
{
	int i;

#pragma unroll
	for (i = 0; i < LB_EXT_MAX; i++) {
		__u32 next = t->proto, size;

		if (next == LB_IPPROTO_TCP || next == LB_IPPROTO_UDP)
			return LB_PARSED_L4;
		if (next == LB_IPPROTO_ICMPV6)
			return LB_PARSED_ICMP;
		if (next != LB_EXT_HOP && next != LB_EXT_ROUTING && next != LB_EXT_FRAGMENT && next != LB_EXT_AUTH &&
		    next != LB_EXT_DEST)
			return LB_PARSED_OTHER;
		p->plain_sum = 0;
		if (c->pos + 8 > c->end)
			return LB_PARSED_END;
		size = *(__u8 *)(c->pos + 1);
		if (next == LB_EXT_FRAGMENT) {
			/* An atomic fragment (RFC 6946) is whole. */
			if (LB_LOAD16(c->pos + 2) & bpf_htons(0xfff9))
				return LB_PARSED_FRAGMENT;
			size = 8;
		} else if (next == LB_EXT_AUTH) {
			size = (size + 2) * 4;
		} else {
			/* Segments left: the VIP is not where this packet ends. */
			if (next == LB_EXT_ROUTING && *(__u8 *)(c->pos + 3))
				return LB_PARSED_OTHER;
			size = (size + 1) * 8;
		}
		t->proto = *(__u8 *)c->pos;
		size += p->l4;
		p->l4 = size;
		lb_opaque(size);
		if (size > LB_L4_MAX)
			return LB_PARSED_OTHER;
		c->pos = lb_data(ctx) + size;
	}
	return LB_PARSED_OTHER;
}

AI enum lb_parsed lb_parse6(struct xdp_md *ctx, struct lb_cursor *c, struct lb_pkt *p, struct lb_tuple *t, int *verdict)
{
	void *ip = c->pos;

	*verdict = LB_END(XDP_PASS, PASS_NOT_IP);
	if (ip + 40 > c->end)
		return LB_PARSED_END;
	t->src_hi = LB_LOAD64(ip + 8);
	t->src_lo = LB_LOAD64(ip + 16);
	t->vip_hi = LB_LOAD64(ip + 24);
	t->vip_lo = LB_LOAD64(ip + 32);
	*verdict = LB_END(XDP_PASS, PASS_NOT_VIP);
	if (!lb_is_vip6(t->vip_hi, t->vip_lo))
		return LB_PARSED_END;
	*verdict = LB_END(XDP_DROP, DROP_MALFORMED);
	if (*(__u8 *)ip >> 4 != 6)
		return LB_PARSED_END;
	*verdict = LB_END(XDP_DROP, DROP_TRUNCATED);
	p->len = lb_swap(LB_LOAD16(ip + 4)) + 40;
	if (!lb_is_whole(ctx, p))
		return LB_PARSED_END;
	p->v6 = 1;
	p->tc = LB_LOAD16(ip) & 0xf00f;
	p->l4 = p->l2_len + 40;
	p->plain_sum = 1;
	t->proto = *(__u8 *)(ip + 6);
	c->pos = ip + 40;
	return lb_walk6(ctx, c, p, t);
}

/* The ports, when the whole transport header is there. */
AI enum lb_parsed lb_parse_l4(struct xdp_md *ctx, struct lb_pkt *p, struct lb_tuple *t)
{
	__u32 need = t->proto == LB_IPPROTO_TCP ? 20 : 8, at = p->l4;
	void *l4;

	lb_opaque(at);
	if (at > LB_L4_MAX)
		return LB_PARSED_OTHER;
	l4 = lb_data(ctx) + at;
	if (at + need > p->l2_len + p->len || l4 + need > lb_data_end(ctx) || l4 + 4 > lb_data_end(ctx))
		return LB_PARSED_END;
	t->ports = LB_LOAD32(l4);
	p->proto = t->proto;
	return LB_PARSED_L4;
}

/* Parse any frame. *@verdict is set when the answer is LB_PARSED_END. @p and @t start zeroed. */
AI enum lb_parsed lb_parse(struct xdp_md *ctx, struct lb_pkt *p, struct lb_tuple *t, int *verdict)
{
	struct lb_cursor c = { lb_data(ctx), lb_data_end(ctx) };
	__u16 type = lb_parse_l2(&c, p);
	enum lb_parsed found;

	*verdict = LB_END(XDP_PASS, PASS_NOT_IP);
	if (type == bpf_htons(LB_ETH_IP))
		found = lb_parse4(ctx, &c, p, t, verdict);
	else if (type == bpf_htons(LB_ETH_IPV6))
		found = lb_parse6(ctx, &c, p, t, verdict);
	else
		return LB_PARSED_END;
	t->v6 = p->v6;
	return found == LB_PARSED_L4 ? lb_parse_l4(ctx, p, t) : found;
}

/* ---- for the cold programs: global functions, which the verifier looks at once and not for every path behind ------ */
struct lb_view {
	struct lb_pkt p;
	struct lb_tuple t;
	int verdict; /* with LB_PARSED_END */
};

/* Where they lie: two for each CPU, since the stack is too small for them and the calls behind. */
enum { LB_VIEW_PACKET, LB_VIEW_QUOTE, LB_VIEWS };
LB_PERCPU_ARRAY(views, struct lb_view, LB_VIEWS);

AI struct lb_view *lb_view_new(__u32 which)
{
	struct lb_view *v = bpf_map_lookup_elem(&views, &which);

	if (v)
		__builtin_memset(v, 0, sizeof(*v));
	return v;
}

/* lb_parse(); an enum lb_parsed. @v starts zeroed. */
__noinline int lb_parse_packet(struct xdp_md *ctx, struct lb_view *v)
{
	if (!v)
		return LB_PARSED_END;
	return lb_parse(ctx, &v->p, &v->t, &v->verdict);
}

/* lb_walk6() from offset v->p.l4 on; LB_PARSED_END: cut short. */
__noinline int lb_walk_packet(struct xdp_md *ctx, struct lb_view *v)
{
	struct lb_cursor c;
	__u32 at;

	if (!v)
		return LB_PARSED_END;
	at = v->p.l4;
	lb_opaque(at);
	if (at > LB_L4_MAX)
		return LB_PARSED_OTHER;
	c.pos = lb_data(ctx) + at;
	c.end = lb_data_end(ctx);
	return lb_walk6(ctx, &c, &v->p, &v->t);
}
