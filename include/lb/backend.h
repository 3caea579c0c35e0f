/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * backend.h - user space's side of a backend line: what its words are made of, and how it changes under traffic.
 *
 * The one place that knows the bytes of the outer headers besides bpf/encap.h. Pure: plain memory in, plain memory
 * out; waiting for a grace period between two steps is the caller's. One writer only.
 */
#pragma once
#include "abi.h"

struct lb_backend_spec {
	enum lb_encap encap; /* NONE: everything else but gen and sid is ignored */
	__u8 src[16]; /* outer source and destination: IPv6, or ::ffff:a.b.c.d for IP4 and GUE4; L2: unused */
	__u8 dst[16];
	__u8 dst_mac[6];
	__u8 src_mac[6];
	__u8 has_vlan;
	__u16 vlan_tci; /* host order */
	__u8 tx_port;   /* 0: back through the interface the packet came by; else index into `tx_ports` */
	__u16 link_mtu; /* largest IP packet that the path towards the backend carries */
	__u16 gue_port; /* host order */
	__u16 sid;
	__u8 gen;
};

/* Bytes that the encapsulation adds in front of the inner IP packet. */
static inline unsigned int lb_encap_overhead(enum lb_encap encap)
{
	switch (encap) {
	case LB_ENCAP_IP4:
		return 20;
	case LB_ENCAP_IP6:
		return 40;
	case LB_ENCAP_GUE4: /* IPv4 + UDP; GUE variant 1 has no header of its own */
		return 28;
	case LB_ENCAP_GUE6:
		return 48;
	default:
		return 0;
	}
}

static inline __u16 lb_swap16(__u16 x)
{
	return (__u16)(x << 8 | x >> 8);
}

/* One's complement sum of @len bytes (even), in words as loaded by a little-endian host; not folded. */
static inline __u32 lb_sum16(const __u8 *p, unsigned int len)
{
	__u32 sum = 0;
	unsigned int i;

	for (i = 0; i < len; i += 2)
		sum += (__u32)p[i] | (__u32)p[i + 1] << 8;
	return sum;
}

static inline __u16 lb_fold16(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)(sum + (sum >> 16));
}

/* Fill @out (all of it but seq, which becomes 0). Addresses must be of the family that @s->encap wants. */
static inline void lb_backend_build(struct lb_backend *out, const struct lb_backend_spec *s)
{
	int v6 = s->encap == LB_ENCAP_IP6 || s->encap == LB_ENCAP_GUE6;
	int v4 = s->encap == LB_ENCAP_IP4 || s->encap == LB_ENCAP_GUE4;
	unsigned int overhead = lb_encap_overhead(s->encap);
	__u8 eth[16] = { 0 };

	__builtin_memset(out, 0, sizeof(*out));
	out->gen = s->gen;
	out->sid = s->sid;
	out->encap = (__u8)s->encap;
	if (s->encap == LB_ENCAP_NONE)
		return;
	__builtin_memcpy(eth, s->dst_mac, 6);
	__builtin_memcpy(eth + 6, s->src_mac, 6);
	eth[12] = v6 ? 0x86 : 0x08;
	eth[13] = v6 ? 0xdd : 0x00;
	eth[14] = v6 ? 0x60 : v4 ? 0x45 : 0;
	__builtin_memcpy(&out->w0, eth, 8);
	__builtin_memcpy(&out->w1, eth + 8, 8);
	out->tx_port = s->tx_port;
	out->flags = s->has_vlan ? LB_BACKEND_VLAN : 0;
	out->vlan_tci = s->has_vlan ? s->vlan_tci : 0;
	out->mtu = s->link_mtu > overhead ? (__u16)(s->link_mtu - overhead) : 0;
	out->gue_port_be = lb_swap16(s->gue_port);
	if (v4) {
		__builtin_memcpy(&out->s0, s->src + 12, 4);
		__builtin_memcpy((__u8 *)&out->s0 + 4, s->dst + 12, 4);
		/* version and IHL; don't fragment; hop limit 64. Protocol, TOS and length are added per packet. */
		out->csum = lb_fold16(0x0045 + 0x0040 + 0x0040 + lb_sum16(s->src + 12, 4) + lb_sum16(s->dst + 12, 4));
	} else if (v6) {
		__builtin_memcpy(&out->s0, s->src, 8);
		__builtin_memcpy(&out->s1, s->src + 8, 8);
		__builtin_memcpy(&out->d0, s->dst, 8);
		__builtin_memcpy(&out->d1, s->dst + 8, 8);
		/* the constant part of the UDP checksum: addresses and protocol of the pseudo header, UDP destination */
		out->csum = lb_fold16(lb_sum16(s->src, 16) + lb_sum16(s->dst, 16) + 0x1100 + out->gue_port_be);
	}
}

enum lb_backend_put {
	LB_PUT_DONE,  /* in force */
	LB_PUT_MOVED, /* in force by the spare line: wait for a grace period, then lb_backend_settle() */
	LB_PUT_BUSY,  /* an earlier change was not settled (the daemon stopped in between): wait, settle, try again */
};

static inline int lb_backend_same_words(const struct lb_backend *a, const struct lb_backend *b)
{
	return a->w1 == b->w1 && a->s0 == b->s0 && a->s1 == b->s1 && a->d0 == b->d0 && a->d1 == b->d1 &&
	       a->csum == b->csum && a->encap == b->encap && a->tx_port == b->tx_port && a->flags == b->flags &&
	       a->vlan_tci == b->vlan_tci && a->gue_port_be == b->gue_port_be;
}

static inline void lb_backend_copy(struct lb_backend *to, const struct lb_backend *from, __u8 seq)
{
	volatile __u64 *d = (volatile __u64 *)to;
	struct lb_backend tmp = *from;
	unsigned int i;

	/* The word that holds `encap` goes last, and keeps MOVED or NONE until then. */
	tmp.seq = seq;
	tmp.encap = to->encap;
	for (i = 0; i < sizeof(tmp) / 8; i++)
		d[i] = ((const __u64 *)&tmp)[i];
	__atomic_store_n(&to->encap, from->encap, __ATOMIC_RELEASE);
}

/*
 * Bring @want into force. Small changes (destination MAC, generation, MTU, withdrawal) are single stores; a line that
 * was never used is filled in place; everything else goes by the spare line. After LB_PUT_MOVED, and again after
 * lb_backend_settle(), a grace period must pass before the next call for the same backend; many backends can share it.
 */
static inline enum lb_backend_put lb_backend_put(struct lb_backend *line, struct lb_backend *spare,
						 const struct lb_backend *want)
{
	if (line->encap == LB_ENCAP_MOVED)
		return LB_PUT_BUSY;
	if (want->encap == LB_ENCAP_NONE) {
		__atomic_store_n(&line->gen, want->gen, __ATOMIC_RELAXED);
		__atomic_store_n(&line->encap, LB_ENCAP_NONE, __ATOMIC_RELEASE);
		return LB_PUT_DONE;
	}
	if (line->encap == LB_ENCAP_NONE && line->seq == 0) {
		lb_backend_copy(line, want, 1);
		return LB_PUT_DONE;
	}
	__atomic_store_n(&line->gen, want->gen, __ATOMIC_RELAXED);
	if (lb_backend_same_words(line, want)) {
		__atomic_store_n(&line->w0, want->w0, __ATOMIC_RELAXED);
		__atomic_store_n(&line->mtu, want->mtu, __ATOMIC_RELAXED);
		__atomic_store_n(&line->sid, want->sid, __ATOMIC_RELAXED);
		return LB_PUT_DONE;
	}
	spare->encap = LB_ENCAP_NONE;
	lb_backend_copy(spare, want, line->seq);
	__atomic_store_n(&line->encap, LB_ENCAP_MOVED, __ATOMIC_RELEASE);
	return LB_PUT_MOVED;
}

/* Second half of a change, a grace period after LB_PUT_MOVED (or on adoption of a line that is found MOVED). */
static inline void lb_backend_settle(struct lb_backend *line, const struct lb_backend *spare)
{
	if (line->encap == LB_ENCAP_MOVED)
		lb_backend_copy(line, spare, (__u8)(line->seq == 255 ? 1 : line->seq + 1));
}
