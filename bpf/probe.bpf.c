// SPDX-License-Identifier: GPL-2.0-only
/*
 * probe.bpf.c - the daemon's own probes take the way of real traffic: this program, at the egress of the interfaces,
 * puts the headers of one backend around what a socket with that backend's mark sends to the VIP (or rewrites its MACs).
 *
 * The backend is read from the same line as XDP reads it, so a probe succeeds only if next hop, encapsulation,
 * decapsulation, the VIP on the backend and the server are right, all of them. The answer comes back without a tunnel,
 * as a client's would. What carries no mark of ours is left to the programs behind this one.
 *
 * Unlike in XDP a frame may have its inner checksum still to be filled in (by the device, further down). The outer UDP
 * checksum of GUE over IPv6 does not depend on it, see lb_inner_sum() in encap.h.
 */
#include "env.h"
#include <linux/pkt_cls.h>
#include "lb/probe.h"

#define ETH_LEN 14
#define HOP_LIMIT 64

/* The data plane's own maps, put in place by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lb_backend);
} backends SEC(".maps"), backend_spares SEC(".maps");

/* What `tx_ports` says. A devmap belongs to the type of program that used it first, so XDP's own can not be shared. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_TX_PORTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} probe_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_PROBE_STATS);
	__type(key, __u32);
	__type(value, __u64);
} probe_stats SEC(".maps");

struct inner {
	__u32 len;
	__u32 sum; /* of the whole packet, not folded */
	__u8 tos;
	__u8 protocol; /* of the packet itself, as an outer header names it: IPIP or IPV6 */
};

struct outer {
	__u8 eth[ETH_LEN];
	__u8 ip[40 + 8];
} __attribute__((packed));

AI int probe_end(int action, __u32 stat)
{
	__u64 *n = bpf_map_lookup_elem(&probe_stats, &stat);

	if (n)
		(*n)++;
	return action;
}

AI bool inner4(struct __sk_buff *skb, struct inner *in)
{
	__u32 h[5], pseudo;
	__u8 proto;

	if (bpf_skb_load_bytes(skb, ETH_LEN, h, sizeof(h)))
		return false;
	proto = h[2] >> 8;
	if ((h[0] & 0xff) != 0x45 || (proto != LB_IPPROTO_TCP && proto != LB_IPPROTO_UDP))
		return false;
	in->tos = h[0] >> 8;
	in->protocol = LB_IPPROTO_IPIP;
	pseudo = (h[3] & 0xffff) + (h[3] >> 16) + (h[4] & 0xffff) + (h[4] >> 16) + ((__u32)proto << 8) +
		 lb_swap(in->len - 20);
	in->sum = 0xffff ^ lb_fold(pseudo);
	return true;
}

AI bool inner6(struct __sk_buff *skb, struct inner *in)
{
	__u32 h[2];
	__u8 proto;

	if (bpf_skb_load_bytes(skb, ETH_LEN, h, sizeof(h)))
		return false;
	proto = h[1] >> 16;
	if (proto != LB_IPPROTO_TCP && proto != LB_IPPROTO_UDP)
		return false;
	in->tos = (h[0] & 0xf) << 4 | (h[0] >> 12 & 0xf);
	in->protocol = LB_IPPROTO_IPV6;
	/* Addresses and lengths of header and pseudo header cancel. */
	in->sum = (h[0] & 0xffff) + (h[0] >> 16) + (h[1] >> 16) + (0xffff ^ (__u32)proto << 8);
	return true;
}

AI void put16(__u8 *at, __u16 x)
{
	at[0] = x;
	at[1] = x >> 8;
}

AI void put64(__u8 *at, __u64 x)
{
	__builtin_memcpy(at, &x, 8);
}

/* Ethernet header, and the first byte of the outer IP header behind it. */
AI void put_start(struct outer *o, const struct lb_backend *b)
{
	__u64 w1 = b->w1;

	put64(o->eth, b->w0);
	__builtin_memcpy(o->eth + 8, &w1, 6);
	o->ip[0] = w1 >> 48;
}

AI void put_ip4(struct outer *o, const struct lb_backend *b, const struct inner *in, __u32 total, __u32 protocol)
{
	__u8 *ip = o->ip;

	ip[1] = in->tos;
	put16(ip + 2, lb_swap(total));
	put16(ip + 4, 0);
	put16(ip + 6, 0x40); /* don't fragment */
	ip[8] = HOP_LIMIT;
	ip[9] = protocol;
	put16(ip + 10, ~lb_fold(b->csum + lb_swap(total) + ((__u32)in->tos << 8) + (protocol << 8)));
	put64(ip + 12, b->s0);
}

AI void put_ip6(struct outer *o, const struct lb_backend *b, const struct inner *in, __u32 payload, __u32 next)
{
	__u8 *ip = o->ip;

	ip[0] |= in->tos >> 4;
	ip[1] = in->tos << 4;
	put16(ip + 2, 0);
	put16(ip + 4, lb_swap(payload));
	ip[6] = next;
	ip[7] = HOP_LIMIT;
	put64(ip + 8, b->s0);
	put64(ip + 16, b->s1);
	put64(ip + 24, b->d0);
	put64(ip + 32, b->d1);
}

/* @sum: of what the checksum covers besides ports and lengths; 0 = no checksum. */
AI void put_gue(__u8 *udp, const struct lb_backend *b, const struct inner *in, __u32 bidx, __u32 sum)
{
	__u16 sport = bpf_htons(0xc000 | (bidx & 0x3fff)), len = lb_swap(in->len + 8), csum = 0;

	if (sum) {
		csum = ~lb_fold(sum + sport + 2 * (__u32)len);
		csum = csum ? csum : 0xffff;
	}
	put16(udp, sport);
	put16(udp + 2, b->gue_port_be);
	put16(udp + 4, len);
	put16(udp + 6, csum);
}

/* Make room and write. Sizes are constants to the compiler. */
AI bool put_outer(struct __sk_buff *skb, const struct outer *o, __u32 room, __u64 flags)
{
	return !bpf_skb_adjust_room(skb, (__s32)room, BPF_ADJ_ROOM_MAC, flags | BPF_F_ADJ_ROOM_FIXED_GSO) &&
	       !bpf_skb_store_bytes(skb, 0, o, ETH_LEN + room, 0);
}

AI bool encap(struct __sk_buff *skb, const struct lb_backend *b, const struct inner *in, __u32 kind, __u32 bidx)
{
	struct outer o = {};

	put_start(&o, b);
	switch (kind) {
	case LB_ENCAP_IP4:
		put_ip4(&o, b, in, in->len + 20, in->protocol);
		return put_outer(skb, &o, 20, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4);
	case LB_ENCAP_IP6:
		put_ip6(&o, b, in, in->len, in->protocol);
		return put_outer(skb, &o, 40, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6);
	case LB_ENCAP_GUE4:
		put_ip4(&o, b, in, in->len + 28, LB_IPPROTO_UDP);
		put_gue(o.ip + 20, b, in, bidx, 0);
		return put_outer(skb, &o, 28, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP);
	case LB_ENCAP_GUE6:
		put_ip6(&o, b, in, in->len + 8, LB_IPPROTO_UDP);
		put_gue(o.ip + 40, b, in, bidx, in->sum + b->csum);
		return put_outer(skb, &o, 48, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP);
	default: /* L2: the ethertype stays */
		return !bpf_skb_store_bytes(skb, 0, o.eth, 12, 0);
	}
}

/* The line in force, which is the spare one while the first is being replaced (forward.h does the same). */
AI const struct lb_backend *find_backend(__u32 bidx)
{
	const struct lb_backend *b = bpf_map_lookup_elem(&backends, &bidx);

	if (b && *(const volatile __u8 *)&b->encap == LB_ENCAP_MOVED)
		b = bpf_map_lookup_elem(&backend_spares, &bidx);
	return b;
}

/* Out of this interface, or of the one that leads to the backend. */
AI int leave(struct __sk_buff *skb, const struct lb_backend *b)
{
	__u32 port = b->tx_port, *ifindex;

	if ((b->flags & LB_BACKEND_VLAN) && bpf_skb_vlan_push(skb, bpf_htons(LB_ETH_VLAN), b->vlan_tci))
		return probe_end(TC_ACT_SHOT, LB_PROBE_FAILED);
	ifindex = port ? bpf_map_lookup_elem(&probe_ports, &port) : 0;
	if (port && (!ifindex || !*ifindex))
		return probe_end(TC_ACT_SHOT, LB_PROBE_NO_NEXTHOP);
	if (!ifindex || *ifindex == skb->ifindex)
		return probe_end(TC_ACT_OK, LB_PROBE_SENT);
	return probe_end(bpf_redirect(*ifindex, 0), LB_PROBE_SENT);
}

SEC("tc")
int lb_probe(struct __sk_buff *skb)
{
	__u32 bidx = skb->mark & ~LB_PROBE_MARK_MASK, kind;
	struct inner in = {.len = skb->len - ETH_LEN};
	const struct lb_backend *b;

	if ((skb->mark & LB_PROBE_MARK_MASK) != LB_PROBE_MARK)
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(LB_ETH_IP) ? !inner4(skb, &in) :
	    skb->protocol == bpf_htons(LB_ETH_IPV6) ? !inner6(skb, &in) : true)
		return TC_ACT_UNSPEC;
	b = find_backend(bidx);
	if (!b)
		return probe_end(TC_ACT_SHOT, LB_PROBE_NO_NEXTHOP);
	kind = *(const volatile __u8 *)&b->encap;
	if (kind - LB_ENCAP_IP4 > LB_ENCAP_L2 - LB_ENCAP_IP4)
		return probe_end(TC_ACT_SHOT, LB_PROBE_NO_NEXTHOP);
	if (in.len > b->mtu)
		return probe_end(TC_ACT_SHOT, LB_PROBE_TOO_BIG);
	/* Whatever happens next, not a second time: the interface that it is redirected to may have this program, too. */
	skb->mark = 0;
	if (!encap(skb, b, &in, kind, bidx))
		return probe_end(TC_ACT_SHOT, LB_PROBE_FAILED);
	return leave(skb, b);
}

char LICENSE[] SEC("license") = "GPL";
