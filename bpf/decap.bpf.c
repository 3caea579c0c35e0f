// SPDX-License-Identifier: GPL-2.0-only
/*
 * decap.bpf.c - the backend's half of direct server return: take the balancer's outer header off.
 *
 * For hosts whose kernel has no ipip / ip6tnl / fou, or where one program is easier than four tunnel devices. It
 * unpacks 4in4, 6in6, 4in6, 6in4 and GUE (variant 0 with its bare 4-byte header, variant 1: IP directly in UDP),
 * and only when the packet inside is for a configured VIP: whoever can reach this host can not use it to smuggle
 * packets to other addresses. Layout and counters: lb/decap.h.
 *
 * Invariant: a frame that is passed without being counted decap_* leaves byte for byte as it came.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "lb/decap.h"

#define VLAN_DEPTH_MAX 2
#define IP_FRAGMENT_BITS 0x3fff /* more-fragments and the offset; not don't-fragment */
#define ECN_MASK 3
#define ECN_NOT_ECT 0
#define ECN_ECT1 1
#define ECN_ECT0 2
#define ECN_CE 3
#define DECAP_CONTINUE DECAP_OUTCOME_MAX /* no verdict yet */

const volatile __u16 gue_port = DECAP_GUE_PORT;
const volatile bool check_outer = false;

/* Written by the loader, read here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_VIPS_MAX);
	__type(key, struct decap_addr);
	__type(value, __u32);
} vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_LOCALS_MAX);
	__type(key, struct decap_addr);
	__type(value, __u32);
} locals SEC(".maps");

/* Written here, read by people. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECAP_OUTCOME_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} decap_stats SEC(".maps");

struct vlan_tag {
	__be16 tci;
	__be16 proto;
};

/* GUE variant 0. */
struct gue_header {
	__u8 variant_hlen; /* variant: 2 bits, control: 1, length of optional fields in words: 5 */
	__u8 proto;
	__be16 flags;
};

/* Each parser checks its own bounds and moves `pos`. */
struct cursor {
	void *pos;
	void *end;
	__u32 left; /* bytes of the frame from `pos` on, fragments of a multi-buffer frame included */
};

struct tunnel {
	__u32 l2_len;
	__u32 strip;   /* outer headers, behind the Ethernet header and its tags */
	__u32 payload; /* what the outer header says lies behind them */
	__u8 proto;    /* what the outer header says comes next: IPPROTO_* */
	__u8 ecn;
	bool outer6;
	bool gue;
	bool sum_ok;
};

static __always_inline void *take(struct cursor *c, __u32 len)
{
	void *p = c->pos;

	if (p + len > c->end)
		return NULL;
	c->pos = p + len;
	c->left -= len;
	return p;
}

static __always_inline void addr_from_v4(struct decap_addr *a, __be32 v4)
{
	__u32 *w = (__u32 *)a->b;

	w[0] = 0;
	w[1] = 0;
	w[2] = bpf_htonl(0xffff);
	w[3] = v4;
}

/* False for an address that would be taken for an IPv4 one. */
static __always_inline bool addr_from_v6(struct decap_addr *a, const struct in6_addr *v6)
{
	__u32 *w = (__u32 *)a->b;

	w[0] = v6->in6_u.u6_addr32[0];
	w[1] = v6->in6_u.u6_addr32[1];
	w[2] = v6->in6_u.u6_addr32[2];
	w[3] = v6->in6_u.u6_addr32[3];
	return !(w[0] == 0 && w[1] == 0 && w[2] == bpf_htonl(0xffff));
}

static __always_inline bool outer_is_ours(const struct decap_addr *a)
{
	return !check_outer || bpf_map_lookup_elem(&locals, a);
}

static __always_inline __u32 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* By hand: the helper bpf_csum_diff costs more than ten additions. */
static __always_inline bool header_sum_ok(const struct iphdr *ip)
{
	const __u16 *w = (const __u16 *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += w[i];
	return fold(sum) == 0xffff;
}

/* Ethernet and up to two VLAN tags; *proto is what comes behind. False when the frame ends first. */
static __always_inline bool parse_l2(struct cursor *c, struct tunnel *t, __be16 *proto)
{
	struct ethhdr *eth = take(c, sizeof(*eth));

	if (!eth)
		return false;
	*proto = eth->h_proto;
	t->l2_len = sizeof(*eth);
#pragma unroll
	for (int i = 0; i < VLAN_DEPTH_MAX; i++) {
		struct vlan_tag *tag;

		if (*proto != bpf_htons(ETH_P_8021Q) && *proto != bpf_htons(ETH_P_8021AD))
			break;
		tag = take(c, sizeof(*tag));
		if (!tag)
			return false;
		*proto = tag->proto;
		t->l2_len += sizeof(*tag);
	}
	return true;
}

static __always_inline bool proto_is_tunnel(__u8 proto)
{
	return proto == IPPROTO_IPIP || proto == IPPROTO_IPV6 || (proto == IPPROTO_UDP && gue_port);
}

static __always_inline enum decap_outcome parse_outer4(struct cursor *c, struct tunnel *t)
{
	__u32 left = c->left;
	struct iphdr *ip = take(c, sizeof(*ip));
	struct decap_addr dst;

	if (!ip)
		return DECAP_PASS_TRUNCATED;
	/* A balancer sends no options. */
	if (ip->version != 4 || ip->ihl != 5 || !proto_is_tunnel(ip->protocol))
		return DECAP_PASS_NOT_TUNNEL;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT_BITS))
		return ip->protocol == IPPROTO_UDP ? DECAP_PASS_NOT_TUNNEL : DECAP_PASS_FRAGMENT;
	addr_from_v4(&dst, ip->daddr);
	if (!outer_is_ours(&dst))
		return DECAP_PASS_NOT_LOCAL;
	if (bpf_ntohs(ip->tot_len) < sizeof(*ip) || bpf_ntohs(ip->tot_len) > left)
		return DECAP_PASS_TRUNCATED;
	t->strip = sizeof(*ip);
	t->payload = bpf_ntohs(ip->tot_len) - sizeof(*ip);
	t->proto = ip->protocol;
	t->ecn = ip->tos & ECN_MASK;
	t->outer6 = false;
	t->sum_ok = header_sum_ok(ip);
	return DECAP_CONTINUE;
}

static __always_inline enum decap_outcome parse_outer6(struct cursor *c, struct tunnel *t)
{
	struct ipv6hdr *ip = take(c, sizeof(*ip));
	struct decap_addr dst;

	if (!ip)
		return DECAP_PASS_TRUNCATED;
	if (ip->version != 6)
		return DECAP_PASS_NOT_TUNNEL;
	if (ip->nexthdr == IPPROTO_FRAGMENT) {
		__u8 *next = c->pos;

		if ((void *)(next + 1) <= c->end && (*next == IPPROTO_IPIP || *next == IPPROTO_IPV6))
			return DECAP_PASS_FRAGMENT;
		return DECAP_PASS_NOT_TUNNEL;
	}
	if (!proto_is_tunnel(ip->nexthdr))
		return DECAP_PASS_NOT_TUNNEL;
	if (!addr_from_v6(&dst, &ip->daddr) || !outer_is_ours(&dst))
		return DECAP_PASS_NOT_LOCAL;
	if (bpf_ntohs(ip->payload_len) > c->left)
		return DECAP_PASS_TRUNCATED;
	t->strip = sizeof(*ip);
	t->payload = bpf_ntohs(ip->payload_len);
	t->proto = ip->nexthdr;
	/* The traffic class lies across two bytes: its low nibble is the high one of the flow label's first byte. */
	t->ecn = (ip->flow_lbl[0] >> 4) & ECN_MASK;
	t->outer6 = true;
	t->sum_ok = true;
	return DECAP_CONTINUE;
}

/*
 * UDP to the GUE port. The UDP checksum is not verified: the addresses and ports that it covers have brought the
 * packet here, and all behind them is covered by the checksums of the packet inside (RFC 6935 reasons alike).
 */
static __always_inline enum decap_outcome parse_gue(struct cursor *c, struct tunnel *t)
{
	struct udphdr *udp = take(c, sizeof(*udp));
	struct gue_header *gue;

	if (!udp)
		return DECAP_PASS_TRUNCATED;
	if (udp->dest != bpf_htons(gue_port))
		return DECAP_PASS_NOT_TUNNEL;
	if (bpf_ntohs(udp->len) < sizeof(*udp) || bpf_ntohs(udp->len) > t->payload)
		return DECAP_PASS_TRUNCATED;
	t->strip += sizeof(*udp);
	t->payload = bpf_ntohs(udp->len) - sizeof(*udp);
	t->gue = true;

	gue = c->pos;
	if ((void *)(gue + 1) > c->end || t->payload < sizeof(*gue))
		return DECAP_PASS_TRUNCATED;
	switch (gue->variant_hlen >> 4) {
	case 4: /* variant 1: its first bits are those of the IP version */
		t->proto = IPPROTO_IPIP;
		return DECAP_CONTINUE;
	case 6:
		t->proto = IPPROTO_IPV6;
		return DECAP_CONTINUE;
	}
	if (gue->variant_hlen || gue->flags || (gue->proto != IPPROTO_IPIP && gue->proto != IPPROTO_IPV6))
		return DECAP_PASS_GUE_OTHER;
	t->proto = gue->proto;
	t->strip += sizeof(*gue);
	t->payload -= sizeof(*gue);
	take(c, sizeof(*gue));
	return DECAP_CONTINUE;
}

/* RFC 6040, section 4.2: what becomes of the inner ECN field; ECN_MASK + 1 means "drop". */
static __always_inline __u8 ecn_combine(__u8 inner, __u8 outer)
{
	if (outer == ECN_CE)
		return inner == ECN_NOT_ECT ? ECN_MASK + 1 : ECN_CE;
	if (outer == ECN_ECT1 && inner == ECN_ECT0)
		return ECN_ECT1;
	return inner;
}

static __always_inline enum decap_outcome check_inner4(struct cursor *c, const struct tunnel *t)
{
	struct iphdr *ip = c->pos;
	struct decap_addr dst;
	__u8 ecn;

	if ((void *)(ip + 1) > c->end)
		return DECAP_PASS_TRUNCATED;
	addr_from_v4(&dst, ip->daddr);
	if (ip->version != 4 || !bpf_map_lookup_elem(&vips, &dst))
		return DECAP_PASS_NOT_VIP;
	if (!t->sum_ok)
		return DECAP_DROP_CHECKSUM;
	if (ip->ihl < 5 || bpf_ntohs(ip->tot_len) < ip->ihl * 4 || bpf_ntohs(ip->tot_len) > t->payload)
		return DECAP_DROP_MALFORMED;
	ecn = ecn_combine(ip->tos & ECN_MASK, t->ecn);
	if (ecn > ECN_MASK)
		return DECAP_DROP_ECN;
	if (ecn != (ip->tos & ECN_MASK)) {
		/* RFC 1624: the TOS byte is the low half of the header's first big-endian word. */
		__u32 sum = (__u16)~bpf_ntohs(ip->check) + (__u16)~(ip->tos & ECN_MASK) + ecn;

		ip->tos = (ip->tos & ~ECN_MASK) | ecn;
		ip->check = bpf_htons((__u16)~fold(sum));
	}
	return DECAP_CONTINUE;
}

static __always_inline enum decap_outcome check_inner6(struct cursor *c, const struct tunnel *t)
{
	struct ipv6hdr *ip = c->pos;
	struct decap_addr dst;
	__u8 inner, ecn;

	if ((void *)(ip + 1) > c->end)
		return DECAP_PASS_TRUNCATED;
	if (ip->version != 6 || !addr_from_v6(&dst, &ip->daddr) || !bpf_map_lookup_elem(&vips, &dst))
		return DECAP_PASS_NOT_VIP;
	if (!t->sum_ok)
		return DECAP_DROP_CHECKSUM;
	if (sizeof(*ip) + bpf_ntohs(ip->payload_len) > t->payload)
		return DECAP_DROP_MALFORMED;
	inner = (ip->flow_lbl[0] >> 4) & ECN_MASK;
	ecn = ecn_combine(inner, t->ecn);
	if (ecn > ECN_MASK)
		return DECAP_DROP_ECN;
	if (ecn != inner)
		ip->flow_lbl[0] = (ip->flow_lbl[0] & ~(ECN_MASK << 4)) | ecn << 4;
	return DECAP_CONTINUE;
}

/*
 * Move the Ethernet header (and tags) over the outer headers. @l2_len is a constant at each call: the verifier wants
 * bounds that it can see.
 */
static __always_inline bool strip(struct xdp_md *ctx, const __u32 l2_len, __u32 len, __be16 proto)
{
	__u8 l2[sizeof(struct ethhdr) + VLAN_DEPTH_MAX * sizeof(struct vlan_tag)];
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + l2_len > end)
		return false;
	__builtin_memcpy(l2, data, l2_len);
	__builtin_memcpy(l2 + l2_len - sizeof(proto), &proto, sizeof(proto));
	if (bpf_xdp_adjust_head(ctx, len))
		return false;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + l2_len > end)
		return false;
	__builtin_memcpy(data, l2, l2_len);
	return true;
}

static __always_inline enum decap_outcome unpack(struct xdp_md *ctx, const struct tunnel *t)
{
	const __u32 tag = sizeof(struct vlan_tag), eth = sizeof(struct ethhdr);
	__be16 proto = t->proto == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	bool done;

	if (t->l2_len == eth)
		done = strip(ctx, eth, t->strip, proto);
	else if (t->l2_len == eth + tag)
		done = strip(ctx, eth + tag, t->strip, proto);
	else
		done = strip(ctx, eth + 2 * tag, t->strip, proto);
	if (!done)
		return DECAP_DROP_INTERNAL;
	if (t->gue)
		return t->outer6 ? DECAP_OK_GUE6 : DECAP_OK_GUE4;
	if (t->proto == IPPROTO_IPIP)
		return t->outer6 ? DECAP_OK_4IN6 : DECAP_OK_4IN4;
	return t->outer6 ? DECAP_OK_6IN6 : DECAP_OK_6IN4;
}

static __always_inline enum decap_outcome decap(struct xdp_md *ctx, __u32 len)
{
	struct cursor c = { (void *)(long)ctx->data, (void *)(long)ctx->data_end, len };
	enum decap_outcome o;
	struct tunnel t = {};
	__be16 proto;

	if (!parse_l2(&c, &t, &proto))
		return DECAP_PASS_NOT_IP;
	if (proto == bpf_htons(ETH_P_IP))
		o = parse_outer4(&c, &t);
	else if (proto == bpf_htons(ETH_P_IPV6))
		o = parse_outer6(&c, &t);
	else
		return DECAP_PASS_NOT_IP;
	if (o != DECAP_CONTINUE)
		return o;
	if (t.proto == IPPROTO_UDP) {
		o = parse_gue(&c, &t);
		if (o != DECAP_CONTINUE)
			return o;
	}
	o = t.proto == IPPROTO_IPIP ? check_inner4(&c, &t) : check_inner6(&c, &t);
	if (o != DECAP_CONTINUE)
		return o;
	return unpack(ctx, &t);
}

/* The one exit: count, then the verdict that goes with the outcome. */
static __always_inline int finish(enum decap_outcome o)
{
	__u32 key = o;
	__u64 *n = bpf_map_lookup_elem(&decap_stats, &key);

	if (n)
		(*n)++;
	switch (o) {
#define X(id, name, verdict)  \
	case DECAP_##id:      \
		return XDP_##verdict;
		DECAP_OUTCOMES(X)
#undef X
	default:
		return XDP_DROP;
	}
}

SEC("xdp")
int decap_xdp(struct xdp_md *ctx)
{
	return finish(decap(ctx, ctx->data_end - ctx->data));
}

/* For interfaces whose MTU is larger than one buffer; needs Linux 5.18. The headers must lie in the first buffer. */
SEC("xdp.frags")
int decap_xdp_frags(struct xdp_md *ctx)
{
	return finish(decap(ctx, bpf_xdp_get_buff_len(ctx)));
}

char LICENSE[] SEC("license") = "GPL";
