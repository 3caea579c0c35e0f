/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * encap.h - put the outer headers on, or rewrite the MACs, and send.
 *
 * Inner packet: not a byte is changed. Its TTL stays too: RFC 2003 3.1 has it decremented when the tunnel is entered
 * while forwarding; the packet is addressed to a VIP, which is us, so no hop is taken.
 * Outer header: hop limit 64; DSCP and ECN copied from the inner (RFC 2983 uniform model, RFC 6040 normal mode).
 * IPv4: DF is set and the ID 0, an atomic datagram (RFC 6864): nothing on the path may fragment what the backend
 * would have to reassemble; `mtu` keeps what does not fit from getting here. IPv6: the flow label carries 20 bits of
 * the flow's hash, for ECMP and RSS (RFC 6438). GUE is variant 1 (no GUE header: the first nibble behind UDP is the
 * IP version; Linux's fou/gue decodes it since 4.7 and it is four bytes shorter than variant 0), with the hash in the
 * UDP source port. Its checksum is 0 over IPv4 and complete over IPv6.
 *
 * Layouts are constants to the compiler: @l2_out is 14, or 18 with a VLAN tag.
 */
#pragma once
#include "packet.h"
#include <stddef.h>

/* The backend line's word of small fields (csum, mtu, encap, gen, tx_port, flags): one load, all of one moment. */
#define LB_WORD_CSUM(w) ((__u32)(w) & 0xffff)
#define LB_WORD_MTU(w) ((__u32)(w) >> 16)
#define LB_WORD_ENCAP(w) ((__u32)((w) >> 32) & 0xff)
#define LB_WORD_TX_PORT(w) ((__u32)((w) >> 48) & 0xff)
#define LB_WORD_FLAGS(w) ((__u32)((w) >> 56))
#define LB_WORD_KIND(w) ((__u32)((w) >> 32) & 0xffff00ff) /* encap, tx_port and flags */
_Static_assert(offsetof(struct lb_backend, csum) == 48 && offsetof(struct lb_backend, flags) == 55,
	       "one aligned word");

AI __u8 lb_inner_protocol(const struct lb_pkt *p)
{
	return p->v6 ? LB_IPPROTO_IPV6 : LB_IPPROTO_IPIP;
}

/* The TOS byte of the packet, whatever its family. */
AI __u32 lb_tos(const struct lb_pkt *p)
{
	return p->v6 ? (p->tc & 0xf) << 4 | p->tc >> 12 : p->tc;
}

/* The first 16 bits of an IPv6 header but for version and flow label, whatever the packet's family. */
AI __u32 lb_class(const struct lb_pkt *p)
{
	return p->v6 ? p->tc : (__u32)p->tc >> 4 | (p->tc & 0xf) << 12;
}

/* RFC 6056's ephemeral range, 49152 to 65535, as it stands in the packet. */
AI __u16 lb_entropy_port(const struct lb_pkt *p)
{
	return (__u16)(p->h >> 48) | 0x00c0;
}

/* Make room for @outer bytes and write Ethernet (and VLAN) headers up to the outer IP header's third byte. */
AI void *lb_push(struct xdp_md *ctx, const struct lb_pkt *p, const struct lb_backend *b, __u32 outer, __u32 l2_out,
		 __u32 ip16)
{
	__u64 w0 = b->w0, w1 = b->w1 | (__u64)ip16 << 48;
	void *data;

	if (bpf_xdp_adjust_head(ctx, (int)(p->l2_len - l2_out - outer)))
		return 0;
	data = lb_data(ctx);
	if (data + l2_out + outer > lb_data_end(ctx))
		return 0;
	*(__u64 *)data = w0;
	if (l2_out == 14) {
		*(__u64 *)(data + 8) = w1;
	} else {
		*(__u64 *)(data + 8) = (w1 & 0xffffffff) | (__u64)bpf_htons(LB_ETH_VLAN) << 32 |
				       (__u64)lb_swap(b->vlan_tci) << 48;
		*(__u32 *)(data + 16) = w1 >> 32;
	}
	return data + l2_out;
}

/* Bytes 2..19 of an outer IPv4 header at @ip. */
AI void lb_outer4(void *ip, const struct lb_backend *b, __u64 w, __u32 len, __u32 tos, __u32 protocol)
{
	__u32 total = lb_swap(len);

	*(__u64 *)(ip + 2) = (__u64)total | 0x40ull << 32 | 0x40ull << 48 | (__u64)protocol << 56;
	*(__u16 *)(ip + 10) = ~lb_fold(LB_WORD_CSUM(w) + total + (tos << 8) + (protocol << 8));
	*(__u64 *)(ip + 12) = b->s0;
}

/* Bytes 2..39 of an outer IPv6 header at @ip. */
AI void lb_outer6(void *ip, const struct lb_pkt *p, const struct lb_backend *b, __u32 payload, __u32 next)
{
	*(__u32 *)(ip + 2) = (__u32)(p->h >> 48) | (__u32)lb_swap(payload) << 16;
	*(__u16 *)(ip + 6) = next | 64 << 8;
	*(__u64 *)(ip + 8) = b->s0;
	*(__u64 *)(ip + 16) = b->s1;
	*(__u64 *)(ip + 24) = b->d0;
	*(__u64 *)(ip + 32) = b->d1;
}

/* First 16 bits of an outer IPv6 header (the version comes from the line): class, top nibble of the flow label. */
AI __u32 lb_outer6_start(const struct lb_pkt *p)
{
	return lb_class(p) | ((__u32)(p->h >> 44) & 0xf) << 8;
}

/* Summing up a packet of any length, piece by piece. */
#define LB_SUM_PIECE 256u
struct lb_sum_loop {
	struct xdp_md *ctx;
	__u32 at;
	__u32 len;
	__u32 sum;
};

static long lb_sum_piece(__u32 i, void *arg)
{
	struct lb_sum_loop *l = arg;
	__u32 buf[LB_SUM_PIECE / 4] = { 0 }, n = l->len - i * LB_SUM_PIECE;
	__s64 sum;

	if (n > LB_SUM_PIECE)
		n = LB_SUM_PIECE;
	/* 1..256 as it is; said so that the verifier of 6.1, which makes nothing of "n != 0", sees it too. */
	lb_opaque(n);
	n = ((n - 1) & (LB_SUM_PIECE - 1)) + 1;
	if (bpf_xdp_load_bytes(l->ctx, l->at + i * LB_SUM_PIECE, buf, n))
		return 1;
	sum = bpf_csum_diff(0, 0, buf, sizeof(buf), l->sum);
	if (sum < 0)
		return 1;
	l->sum = sum;
	return 0;
}

/* Sum of the whole inner packet by reading it: what cannot be reckoned from its headers. Rare, and slow. */
static __noinline __u32 lb_read_sum(struct xdp_md *ctx, __u32 at, __u32 len)
{
	struct lb_sum_loop l = { ctx, at, len, 0 };

	bpf_loop((len + LB_SUM_PIECE - 1) / LB_SUM_PIECE, lb_sum_piece, &l, 0);
	return (l.sum & 0xffff) + (l.sum >> 16);
}

/*
 * One's complement sum of the whole inner packet. A correct TCP or UDP checksum makes segment plus pseudo header sum
 * to zero, and a correct IPv4 header sums to zero by itself: so the sum is that of the headers minus the pseudo
 * header, and the payload need not be read. (If the inner checksum is wrong the outer one is as well: the backend's
 * kernel drops the packet one layer earlier.) Must be called before the head is moved.
 */
AI __u32 lb_inner_sum(struct xdp_md *ctx, const struct lb_pkt *p)
{
	void *data = lb_data(ctx), *end = lb_data_end(ctx);
	void *ip = data + p->l2_len;
	__u32 s, d;

	/* A UDP checksum of 0 says that there is none. */
	if (!p->plain_sum || ip + 48 > end ||
	    (p->proto == LB_IPPROTO_UDP && !LB_LOAD16(ip + (p->v6 ? 46 : 26))))
		return lb_read_sum(ctx, p->l2_len, p->len);
	if (p->v6) /* addresses and lengths cancel */
		return LB_LOAD16(ip) + LB_LOAD16(ip + 2) + LB_LOAD16(ip + 6) + (0xffff ^ (__u32)p->proto << 8);
	s = LB_LOAD32(ip + 12);
	d = LB_LOAD32(ip + 16);
	return 0xffff ^ lb_fold((s & 0xffff) + (s >> 16) + (d & 0xffff) + (d >> 16) + ((__u32)p->proto << 8) +
				lb_swap(p->len - 20));
}

AI void lb_gue_header(void *udp, const struct lb_pkt *p, const struct lb_backend *b, __u16 csum)
{
	*(__u64 *)udp = (__u64)lb_entropy_port(p) | (__u64)b->gue_port_be << 16 | (__u64)lb_swap(p->len + 8) << 32 |
			(__u64)csum << 48;
}

AI bool lb_encap_ip4(struct xdp_md *ctx, const struct lb_pkt *p, const struct lb_backend *b, __u64 w, __u32 l2_out)
{
	__u32 tos = lb_tos(p);
	void *ip = lb_push(ctx, p, b, 20, l2_out, tos << 8);

	if (!ip)
		return false;
	lb_outer4(ip, b, w, p->len + 20, tos, lb_inner_protocol(p));
	return true;
}

AI bool lb_encap_ip6(struct xdp_md *ctx, const struct lb_pkt *p, const struct lb_backend *b, __u32 l2_out)
{
	void *ip = lb_push(ctx, p, b, 40, l2_out, lb_outer6_start(p));

	if (!ip)
		return false;
	lb_outer6(ip, p, b, p->len, lb_inner_protocol(p));
	return true;
}

AI bool lb_encap_gue4(struct xdp_md *ctx, const struct lb_pkt *p, const struct lb_backend *b, __u64 w, __u32 l2_out)
{
	__u32 tos = lb_tos(p);
	void *ip = lb_push(ctx, p, b, 28, l2_out, tos << 8);

	if (!ip)
		return false;
	lb_outer4(ip, b, w, p->len + 28, tos, LB_IPPROTO_UDP);
	lb_gue_header(ip + 20, p, b, 0);
	return true;
}

AI bool lb_encap_gue6(struct xdp_md *ctx, const struct lb_pkt *p, const struct lb_backend *b, __u64 w, __u32 l2_out)
{
	__u32 sum = lb_inner_sum(ctx, p) + LB_WORD_CSUM(w) + 2 * (__u32)lb_swap(p->len + 8) + lb_entropy_port(p);
	void *ip = lb_push(ctx, p, b, 48, l2_out, lb_outer6_start(p));
	__u16 csum = ~lb_fold(sum);

	if (!ip)
		return false;
	lb_outer6(ip, p, b, p->len + 8, LB_IPPROTO_UDP);
	lb_gue_header(ip + 40, p, b, csum ? csum : 0xffff);
	return true;
}

/* New MACs, the packet behind them stays. */
AI bool lb_rewrite_l2(struct xdp_md *ctx, const struct lb_pkt *p, const struct lb_backend *b, __u32 l2_out)
{
	__u64 w0 = b->w0;
	__u32 src = (__u32)b->w1, proto = p->v6 ? bpf_htons(LB_ETH_IPV6) : bpf_htons(LB_ETH_IP);
	void *data;

	if (p->l2_len != l2_out && bpf_xdp_adjust_head(ctx, (int)(p->l2_len - l2_out)))
		return false;
	data = lb_data(ctx);
	if (data + l2_out > lb_data_end(ctx))
		return false;
	*(__u64 *)data = w0;
	*(__u32 *)(data + 8) = src;
	if (l2_out == 18) {
		*(__u32 *)(data + 12) = bpf_htons(LB_ETH_VLAN) | (__u32)lb_swap(b->vlan_tci) << 16;
		*(__u16 *)(data + 16) = proto;
	} else if (p->l2_len != l2_out) {
		*(__u16 *)(data + 12) = proto;
	}
	return true;
}

AI bool lb_encap(struct xdp_md *ctx, const struct lb_pkt *p, const struct lb_backend *b, __u64 w, __u32 l2_out)
{
	__u32 encap = LB_WORD_ENCAP(w);

	if (encap == LB_ENCAP_IP4)
		return lb_encap_ip4(ctx, p, b, w, l2_out);
	if (encap == LB_ENCAP_IP6)
		return lb_encap_ip6(ctx, p, b, l2_out);
	if (encap == LB_ENCAP_L2)
		return lb_rewrite_l2(ctx, p, b, l2_out);
	if (encap == LB_ENCAP_GUE4)
		return lb_encap_gue4(ctx, p, b, w, l2_out);
	return lb_encap_gue6(ctx, p, b, w, l2_out);
}
