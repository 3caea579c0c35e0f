/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkt.h - frames for tests: built from a short description, by plain code that shares nothing with the program.
 *
 * pkt_build() makes what a client sends to a VIP; pkt_wrap() makes what a balancer should send for it. Every checksum
 * is computed over all bytes, slowly. One description serves both families: `v6` turns it over.
 */
#pragma once
#include <arpa/inet.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PKT_MAX 10240

struct pkt {
	unsigned int len;
	__u8 b[PKT_MAX];
};

static inline void pkt_require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "the test itself is wrong: %s\n", what);
	abort();
}

/* Zero means: the default in brackets. */
struct pkt_spec {
	bool v6;
	__u8 proto;        /* 6 or 17 get their header; anything else only its payload [6] */
	const char *src;   /* [192.0.2.1 / 2001:db8:1::1] */
	const char *dst;   /* [203.0.113.10 / 2001:db8:ffff::10] */
	__u16 sport;       /* [40000] */
	__u16 dport;       /* [80] */
	__u8 tcp_flags;    /* [ACK] */
	__u8 tos;
	__u8 ttl;          /* [57] */
	__u32 flow_label;
	unsigned int payload; /* bytes */
	__u16 vlan[2];     /* tags, outermost first; 0 = none */
	unsigned int opts; /* bytes of IPv4 options, a multiple of 4 */
	__u8 ext[10];      /* IPv6 extension headers: protocol numbers, 0xff = hop-by-hop; 0 ends */
	__u16 frag;        /* IPv4: the fragment field; IPv6 (with ext 44): the offset and M field */
	bool udp_no_csum;
};

static inline void pkt_put(struct pkt *p, const void *data, unsigned int len)
{
	pkt_require(p->len + len <= PKT_MAX, "frame too long");
	memcpy(p->b + p->len, data, len);
	p->len += len;
}

static inline void pkt_put8(struct pkt *p, unsigned int x)
{
	__u8 b = (__u8)x;

	pkt_put(p, &b, 1);
}

static inline void pkt_put16(struct pkt *p, unsigned int x)
{
	pkt_put8(p, x >> 8);
	pkt_put8(p, x & 0xff);
}

static inline void pkt_put32(struct pkt *p, __u32 x)
{
	pkt_put16(p, x >> 16);
	pkt_put16(p, x & 0xffff);
}

static inline void pkt_set16(struct pkt *p, unsigned int at, unsigned int x)
{
	p->b[at] = (__u8)(x >> 8);
	p->b[at + 1] = (__u8)x;
}

/* Sum of 16-bit big-endian words; an odd last byte is the high half of one. */
static inline __u32 pkt_sum(const __u8 *b, unsigned int len, __u32 sum)
{
	unsigned int i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? b[i] : (__u32)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Checksum of the transport segment b[l4..len) with the pseudo header of the IP header at @ip. */
static inline __u16 pkt_l4_csum(const struct pkt *p, unsigned int ip, unsigned int l4, __u8 proto)
{
	bool v6 = p->b[ip] >> 4 == 6;
	__u32 sum = v6 ? pkt_sum(p->b + ip + 8, 32, 0) : pkt_sum(p->b + ip + 12, 8, 0);

	return (__u16)~pkt_sum(p->b + l4, p->len - l4, sum + proto + p->len - l4);
}

static inline void pkt_addr(struct pkt *p, bool v6, const char *text)
{
	__u8 a[16];

	pkt_require(inet_pton(v6 ? AF_INET6 : AF_INET, text, a) == 1, text);
	pkt_put(p, a, v6 ? 16 : 4);
}

static inline void pkt_ip4(struct pkt *p, unsigned int l4_len, const char *src, const char *dst, __u8 proto, __u8 tos,
			   __u8 ttl, __u16 id, __u16 frag, unsigned int opts)
{
	unsigned int at = p->len, i;

	pkt_put8(p, 0x40 | (20 + opts) / 4);
	pkt_put8(p, tos);
	pkt_put16(p, 20 + opts + l4_len);
	pkt_put16(p, id);
	pkt_put16(p, frag);
	pkt_put8(p, ttl);
	pkt_put8(p, proto);
	pkt_put16(p, 0);
	pkt_addr(p, false, src);
	pkt_addr(p, false, dst);
	for (i = 0; i < opts; i++)
		pkt_put8(p, 1); /* NOP */
	pkt_set16(p, at + 10, (__u16)~pkt_sum(p->b + at, 20 + opts, 0));
}

static inline void pkt_ip6(struct pkt *p, unsigned int payload, const char *src, const char *dst, __u8 next, __u8 tos,
			   __u8 ttl, __u32 label)
{
	pkt_put32(p, 6u << 28 | (__u32)tos << 20 | label);
	pkt_put16(p, payload);
	pkt_put8(p, next);
	pkt_put8(p, ttl);
	pkt_addr(p, true, src);
	pkt_addr(p, true, dst);
}

static inline unsigned int pkt_ext_size(__u8 type)
{
	return type == 51 ? 12 : type == 44 ? 8 : 16;
}

static inline void pkt_ext(struct pkt *p, const struct pkt_spec *s, __u8 proto)
{
	unsigned int i, at;

	for (i = 0; i < sizeof(s->ext) && s->ext[i]; i++) {
		__u8 next = i + 1 < sizeof(s->ext) && s->ext[i + 1] ? s->ext[i + 1] : proto;

		at = p->len;
		pkt_put8(p, next == 0xff ? 0 : next);
		pkt_put8(p, s->ext[i] == 44 ? 0 : 1); /* length field: 16 bytes, or 12 of an authentication header */
		pkt_put16(p, s->ext[i] == 44 ? s->frag : 0);
		while (p->len < at + pkt_ext_size(s->ext[i]))
			pkt_put8(p, 0);
	}
}

static inline void pkt_l4(struct pkt *p, const struct pkt_spec *s, __u8 proto)
{
	unsigned int i;

	if (proto == 6 || proto == 17) {
		pkt_put16(p, s->sport ? s->sport : 40000);
		pkt_put16(p, s->dport ? s->dport : 80);
	}
	if (proto == 6) {
		pkt_put32(p, 0x01020304);
		pkt_put32(p, 0x05060708);
		pkt_put8(p, 5 << 4);
		pkt_put8(p, s->tcp_flags ? s->tcp_flags : 0x10);
		pkt_put16(p, 0xfaf0);
		pkt_put32(p, 0); /* checksum, urgent */
	} else if (proto == 17) {
		pkt_put16(p, 8 + s->payload);
		pkt_put16(p, 0);
	}
	for (i = 0; i < s->payload; i++)
		pkt_put8(p, i * 7 + 3);
}

static inline void pkt_build(struct pkt *p, const struct pkt_spec *s)
{
	static const __u8 macs[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
	__u8 proto = s->proto ? s->proto : 6, ttl = s->ttl ? s->ttl : 57;
	unsigned int l4_len = (proto == 6 ? 20 : proto == 17 ? 8 : 0) + s->payload, ext = 0, i, ip, l4;
	const char *src = s->src ? s->src : s->v6 ? "2001:db8:1::1" : "192.0.2.1";
	const char *dst = s->dst ? s->dst : s->v6 ? "2001:db8:ffff::10" : "203.0.113.10";
	__u16 csum;

	p->len = 0;
	pkt_put(p, macs, 12);
	for (i = 0; i < 2 && s->vlan[i]; i++) {
		pkt_put16(p, i == 0 && s->vlan[1] ? 0x88a8 : 0x8100);
		pkt_put16(p, s->vlan[i]);
	}
	pkt_put16(p, s->v6 ? 0x86dd : 0x0800);
	ip = p->len;
	for (i = 0; i < sizeof(s->ext) && s->ext[i]; i++)
		ext += pkt_ext_size(s->ext[i]);
	if (s->v6) {
		__u8 first = s->ext[0] ? s->ext[0] : proto;

		pkt_ip6(p, ext + l4_len, src, dst, first == 0xff ? 0 : first, s->tos, ttl, s->flow_label);
		pkt_ext(p, s, proto);
	} else {
		pkt_ip4(p, l4_len, src, dst, proto, s->tos, ttl, 0x1234, s->frag, s->opts);
	}
	l4 = p->len;
	pkt_l4(p, s, proto);
	if (proto == 6) {
		pkt_set16(p, l4 + 16, pkt_l4_csum(p, ip, l4, 6));
	} else if (proto == 17 && !s->udp_no_csum) {
		csum = pkt_l4_csum(p, ip, l4, 17);
		pkt_set16(p, l4 + 6, csum ? csum : 0xffff);
	}
}

/* ---- what should come out ------------------------------------------------------------------------------------ */
enum pkt_tunnel { PKT_IP4, PKT_IP6, PKT_GUE4, PKT_GUE6, PKT_L2 };

struct pkt_wrap_spec {
	enum pkt_tunnel tunnel;
	const char *src, *dst; /* outer addresses */
	__u8 dst_mac[6], src_mac[6];
	__u16 vlan;      /* 0 = untagged */
	__u16 gue_sport; /* copied from the packet under test: the hash decides, the test checks its range */
	__u32 label;     /* likewise */
};

/* @in: the frame that came; its IP packet begins at @in_l2. */
static inline void pkt_wrap(struct pkt *out, const struct pkt *in, unsigned int in_l2, const struct pkt_wrap_spec *w)
{
	bool in6 = in->b[in_l2] >> 4 == 6, out6 = w->tunnel == PKT_IP6 || w->tunnel == PKT_GUE6;
	bool gue = w->tunnel == PKT_GUE4 || w->tunnel == PKT_GUE6;
	unsigned int inner = in->len - in_l2, udp = gue ? 8 : 0, l4;
	unsigned int ip_len = in6 ? 40u + (in->b[in_l2 + 4] << 8 | in->b[in_l2 + 5]) :
				    (unsigned int)(in->b[in_l2 + 2] << 8 | in->b[in_l2 + 3]);
	__u8 tos = in6 ? (__u8)(in->b[in_l2] << 4 | in->b[in_l2 + 1] >> 4) : in->b[in_l2 + 1];
	__u8 proto = gue ? 17 : in6 ? 41 : 4;
	unsigned int ip, full;
	__u16 csum;

	out->len = 0;
	pkt_put(out, w->dst_mac, 6);
	pkt_put(out, w->src_mac, 6);
	if (w->vlan) {
		pkt_put16(out, 0x8100);
		pkt_put16(out, w->vlan);
	}
	if (w->tunnel == PKT_L2) {
		pkt_put16(out, in6 ? 0x86dd : 0x0800);
		pkt_put(out, in->b + in_l2, inner);
		return;
	}
	pkt_put16(out, out6 ? 0x86dd : 0x0800);
	ip = out->len;
	if (out6)
		pkt_ip6(out, udp + ip_len, w->src, w->dst, proto, tos, 64, w->label);
	else
		pkt_ip4(out, udp + ip_len, w->src, w->dst, proto, tos, 64, 0, 0x4000, 0);
	l4 = out->len;
	if (gue) {
		pkt_put16(out, w->gue_sport);
		pkt_put16(out, 6080);
		pkt_put16(out, 8 + ip_len);
		pkt_put16(out, 0);
	}
	pkt_put(out, in->b + in_l2, inner);
	if (w->tunnel == PKT_GUE6) {
		full = out->len;
		out->len = l4 + 8 + ip_len; /* Ethernet padding takes no part in it */
		csum = pkt_l4_csum(out, ip, l4, 17);
		out->len = full;
		pkt_set16(out, l4 + 6, csum ? csum : 0xffff);
	}
}
