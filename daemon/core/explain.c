// SPDX-License-Identifier: Apache-2.0
/* explain.c - the packet: parsed, built, hashed, decoded. The words are in explain_report.c. */
#include "core/explain.h"

#include "core/cleanup.h"
#include "lb/hash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define ETH 14u

static const struct {
	const char *name;
	__u8 bit;
} flag_names[] = {
	{"fin", 0x01}, {"syn", 0x02}, {"rst", 0x04}, {"psh", 0x08}, {"ack", 0x10}, {"urg", 0x20},
};

int explain_parse_flags(const char *text, __u8 *flags, struct err *err)
{
	__u8 all = 0;

	for (const char *at = text;;) {
		size_t len = strcspn(at, ",+"), i;

		for (i = 0; i < ARRAY_SIZE(flag_names); i++)
			if (len == 3 && !strncmp(at, flag_names[i].name, 3))
				break;
		if (i == ARRAY_SIZE(flag_names)) {
			err_set(err, -EINVAL, "flags: \"%.*s\" is not a TCP flag", (int)(len < 40 ? len : 40), at);
			err_hint(err, "fin, syn, rst, psh, ack, urg; several with a comma: syn,ack");
			return -EINVAL;
		}
		all |= flag_names[i].bit;
		if (!at[len])
			break;
		at += len + 1;
	}
	*flags = all;
	return 0;
}

static __u32 header_len(const struct explain_query *q)
{
	return (addr_is_v4(&q->src) ? 20u : 40u) + (q->protocol == IPPROTO_TCP ? 20u : 8u);
}

int explain_check(struct explain_query *q, struct err *err)
{
	__u32 least = header_len(q);

	if (q->protocol != IPPROTO_TCP && q->protocol != IPPROTO_UDP)
		return err_set(err, -EINVAL, "protocol: tcp or udp");
	if (addr_is_v4(&q->src) != addr_is_v4(&q->dst))
		return err_set(err, -EINVAL, "source and destination are of different families: no packet has both");
	if (!q->sport || !q->dport)
		return err_set(err, -EINVAL, "a port is a number from 1 to 65535");
	if (q->protocol == IPPROTO_UDP && q->tcp_flags)
		return err_set(err, -EINVAL, "flags: a UDP packet has none");
	if (!q->size)
		q->size = least;
	if (q->size < least || q->size > EXPLAIN_SIZE_MAX)
		return err_set(err, -EINVAL, "size: %u is out of range: %u (the headers) to %u bytes", q->size, least,
			       EXPLAIN_SIZE_MAX);
	return 0;
}

/* ---- building ------------------------------------------------------------------------------------------------ */

static void put16(__u8 *p, __u32 v)
{
	p[0] = (__u8)(v >> 8);
	p[1] = (__u8)v;
}

static __u32 get16(const __u8 *p)
{
	return (__u32)p[0] << 8 | p[1];
}

/* One's complement sum of big-endian words, not folded. */
static __u32 sum(const __u8 *p, __u32 len)
{
	__u32 s = 0;

	for (__u32 i = 0; i + 1 < len; i += 2)
		s += get16(p + i);
	return len & 1 ? s + ((__u32)p[len - 1] << 8) : s;
}

static __u16 checksum(__u32 s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (__u16)~s;
}

static void build_l4(const struct explain_query *q, __u8 *l4, __u32 len, __u32 pseudo)
{
	__u16 c;

	put16(l4, q->sport);
	put16(l4 + 2, q->dport);
	pseudo += q->protocol + len;
	if (q->protocol == IPPROTO_TCP) {
		l4[7] = 1; /* sequence number */
		l4[11] = q->tcp_flags & 0x10 ? 1 : 0;
		l4[12] = 5 << 4;
		l4[13] = q->tcp_flags;
		put16(l4 + 14, 65535);
		put16(l4 + 16, checksum(pseudo + sum(l4, len)));
		return;
	}
	put16(l4 + 4, len);
	c = checksum(pseudo + sum(l4, len));
	put16(l4 + 6, c ? c : 0xffff);
}

__u32 explain_build(const struct explain_query *q, __u8 *frame)
{
	__u8 *ip = frame + ETH;
	bool v4 = addr_is_v4(&q->src);
	__u32 ip_len = v4 ? 20 : 40, l4_len = q->size - ip_len;

	memset(frame, 0, ETH + q->size);
	put16(frame + 12, v4 ? 0x0800 : 0x86dd);
	if (v4) {
		ip[0] = 0x45;
		put16(ip + 2, q->size);
		ip[6] = 0x40; /* don't fragment */
		ip[8] = 64;
		ip[9] = q->protocol;
		memcpy(ip + 12, q->src.b + 12, 4);
		memcpy(ip + 16, q->dst.b + 12, 4);
		put16(ip + 10, checksum(sum(ip, 20)));
		build_l4(q, ip + ip_len, l4_len, sum(ip + 12, 8));
	} else {
		ip[0] = 0x60;
		put16(ip + 4, l4_len);
		ip[6] = q->protocol;
		ip[7] = 64;
		memcpy(ip + 8, q->src.b, 16);
		memcpy(ip + 24, q->dst.b, 16);
		build_l4(q, ip + ip_len, l4_len, sum(ip + 8, 32));
	}
	return ETH + q->size;
}

/* ---- hash: as bpf/service.h does ------------------------------------------------------------------------------- */

static __u64 half(const struct lb_addr *a, unsigned int at)
{
	__u64 x;

	memcpy(&x, a->b + at, sizeof(x));
	return x;
}

__u64 explain_hash(const struct explain_query *q, const __u64 seed[2], __u32 flags, __u64 *slot_hash)
{
	bool v4 = addr_is_v4(&q->src), source = flags & LB_SVC_HASH_SRC;
	__u64 h, key = LB_SVC4_KEY(v4 ? addr_v4_be(&q->dst) : 0, htons(q->dport), q->protocol);
	struct lb_hash_keys k;

	lb_hash_init(&k, seed);
	if (v4) {
		h = lb_hash4(&k, (__u64)addr_v4_be(&q->src) | (__u64)htons(q->sport) << 32, key);
		*slot_hash = source ? lb_hash4_source(&k, addr_v4_be(&q->src), addr_v4_be(&q->dst)) : h;
	} else {
		__u64 sh = half(&q->src, 0), sl = half(&q->src, 8), dh = half(&q->dst, 0), dl = half(&q->dst, 8);

		h = lb_hash6(&k, sh, sl, dh, dl, key | htons(q->sport));
		*slot_hash = source ? lb_hash6_source(&k, sh, sl, dh, dl) : h;
	}
	return h;
}

/* ---- decoding --------------------------------------------------------------------------------------------------- */

/* The IP header at @p: addresses, and where it ends; 0 when there is none. */
static __u32 decode_ip(const __u8 *p, __u32 len, struct explain_frame *out, __u8 *protocol)
{
	if (len >= 20 && p[0] == 0x45) {
		__be32 a;

		memcpy(&a, p + 12, 4);
		addr_from_v4_be(&out->src, a);
		memcpy(&a, p + 16, 4);
		addr_from_v4_be(&out->dst, a);
		out->tos = p[1];
		out->hop_limit = p[8];
		*protocol = p[9];
		return 20;
	}
	if (len >= 40 && p[0] >> 4 == 6) {
		memcpy(out->src.b, p + 8, 16);
		memcpy(out->dst.b, p + 24, 16);
		out->tos = (__u8)(p[0] << 4 | p[1] >> 4);
		out->hop_limit = p[7];
		*protocol = p[6];
		return 40;
	}
	return 0;
}

static void decode_inner(const __u8 *p, __u32 len, const __u8 *sent, __u32 sent_len, struct explain_frame *out)
{
	out->inner_len = len;
	out->intact = len == sent_len - ETH && !memcmp(p, sent + ETH, len);
}

void explain_decode(const __u8 *frame, __u32 len, const __u8 *sent, __u32 sent_len, struct explain_frame *out)
{
	__u32 at = ETH, ip;
	__u8 protocol = 0;
	bool v6;

	*out = (struct explain_frame){ .len = len };
	if (len < ETH)
		return;
	memcpy(out->dst_mac, frame, 6);
	memcpy(out->src_mac, frame + 6, 6);
	if (get16(frame + 12) == 0x8100 && len >= ETH + 4) {
		out->has_vlan = true;
		out->vlan_id = get16(frame + 14) & 0xfff;
		at += 4;
	}
	decode_inner(frame + at, len - at, sent, sent_len, out);
	ip = decode_ip(frame + at, len - at, out, &protocol);
	if (out->intact)
		out->encap = LB_ENCAP_L2;
	if (out->intact || !ip)
		return;
	v6 = ip == 40;
	at += ip;
	if (protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6) {
		out->encap = v6 ? LB_ENCAP_IP6 : LB_ENCAP_IP4;
	} else if (protocol == IPPROTO_UDP && len >= at + 8) {
		out->encap = v6 ? LB_ENCAP_GUE6 : LB_ENCAP_GUE4;
		out->gue_sport = (__u16)get16(frame + at);
		out->gue_dport = (__u16)get16(frame + at + 2);
		at += 8;
	}
	decode_inner(frame + at, len - at, sent, sent_len, out);
}
