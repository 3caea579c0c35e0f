/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decap_frames.h - for test_decap.c: tunnel frames as a balancer sends them, the frame that must come out, and a runner
 * that insists on exactly one counter and on its verdict.
 */
#pragma once
#include "decap.skel.h"
#include "lb/decap.h"
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define FRAME_MAX 9216
#define PAYLOAD 28
#define VIP4 "10.99.0.1"
#define VIP6 "fd99::1"
#define HOST4 "10.0.31.2"
#define HOST6 "fd00:31::2"
#define CLIENT4 "192.0.2.7"
#define CLIENT6 "2001:db8::7"
#define BALANCER4 "10.0.2.11"
#define BALANCER6 "fd00:2::11"

enum gue { NO_GUE, GUE_V0, GUE_V1 };

static const char *const outcome_names[] = {
#define X(id, name, verdict) [DECAP_##id] = name,
	DECAP_OUTCOMES(X)
#undef X
};
static const __u32 outcome_verdicts[] = {
#define X(id, name, verdict) [DECAP_##id] = XDP_##verdict,
	DECAP_OUTCOMES(X)
#undef X
};

/* What to build; the offsets are filled in by frame_build(). */
struct spec {
	int vlans, outer, inner; /* families: 4 or 6 */
	enum gue gue;
	const char *outer_dst, *inner_dst; /* NULL: this host, the VIP */
	__u8 outer_ecn, inner_ecn;
	size_t payload;
};

struct frame {
	__u8 pad[2]; /* so that IP headers are aligned */
	__u8 b[FRAME_MAX];
	size_t len, outer_at, udp_at, gue_at, inner_at;
} __attribute__((aligned(8)));

static struct decap_bpf *skel;

static __u16 sum16(const void *data, size_t len)
{
	const __u8 *p = data;
	__u32 sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (__u32)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((__u16)~sum);
}

static void *append(struct frame *f, size_t len)
{
	void *p = f->b + f->len;

	assert_true(f->len + len <= sizeof(f->b));
	memset(p, 0, len);
	f->len += len;
	return p;
}

static void append_ip4(struct frame *f, const char *src, const char *dst, __u8 proto, __u8 tos, size_t payload)
{
	struct iphdr *ip = append(f, sizeof(*ip));

	ip->version = 4;
	ip->ihl = 5;
	ip->tos = tos;
	ip->ttl = 61;
	ip->id = htons(0x1234);
	ip->protocol = proto;
	ip->tot_len = htons((__u16)(sizeof(*ip) + payload));
	assert_int_equal(inet_pton(AF_INET, src, &ip->saddr), 1);
	assert_int_equal(inet_pton(AF_INET, dst, &ip->daddr), 1);
	ip->check = sum16(ip, sizeof(*ip));
}

static void append_ip6(struct frame *f, const char *src, const char *dst, __u8 proto, __u8 tos, size_t payload)
{
	struct ipv6hdr *ip = append(f, sizeof(*ip));
	__u32 word = htonl(6u << 28 | (__u32)tos << 20 | 0xabcde);

	memcpy(ip, &word, sizeof(word));
	ip->hop_limit = 61;
	ip->nexthdr = proto;
	ip->payload_len = htons((__u16)payload);
	assert_int_equal(inet_pton(AF_INET6, src, &ip->saddr), 1);
	assert_int_equal(inet_pton(AF_INET6, dst, &ip->daddr), 1);
}

static void append_l2(struct frame *f, int vlans, __u16 proto)
{
	static const __u8 macs[12] = { 2, 0, 0, 0, 0, 0xbe, 2, 0, 0, 0, 0, 0x1b };
	__be16 *tag;

	memcpy(append(f, sizeof(macs)), macs, sizeof(macs));
	for (int i = 0; i < vlans; i++) {
		tag = append(f, 4);
		tag[0] = htons(i == 0 && vlans == 2 ? ETH_P_8021AD : ETH_P_8021Q);
		tag[1] = htons((__u16)(100 + i));
	}
	tag = append(f, 2);
	tag[0] = htons(proto);
}

static size_t ip_len(int family)
{
	return family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

static void append_inner(struct frame *f, const struct spec *s)
{
	__u8 tos = 0x28 | s->inner_ecn, *p;

	f->inner_at = f->len;
	if (s->inner == 4)
		append_ip4(f, CLIENT4, s->inner_dst ? s->inner_dst : VIP4, IPPROTO_TCP, tos, s->payload);
	else
		append_ip6(f, CLIENT6, s->inner_dst ? s->inner_dst : VIP6, IPPROTO_TCP, tos, s->payload);
	p = append(f, s->payload);
	for (size_t i = 0; i < s->payload; i++)
		p[i] = (__u8)(i * 37 + 11);
}

static void append_gue(struct frame *f, const struct spec *s, size_t inner_len)
{
	struct udphdr *udp;
	__u8 *gue;

	f->udp_at = f->len;
	udp = append(f, sizeof(*udp));
	udp->source = htons(51234);
	udp->dest = htons(DECAP_GUE_PORT);
	udp->len = htons((__u16)(sizeof(*udp) + (s->gue == GUE_V0 ? 4 : 0) + inner_len));
	f->gue_at = f->len;
	if (s->gue == GUE_V0) {
		gue = append(f, 4);
		gue[1] = s->inner == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	}
}

/* The frame as a balancer sends it, and (@want) as the stack should see it. */
static void frame_build(const struct spec *s, struct frame *f, struct frame *want)
{
	size_t inner_len = ip_len(s->inner) + s->payload;
	size_t gue_len = s->gue == NO_GUE ? 0 : s->gue == GUE_V0 ? 12 : 8;
	__u8 proto = s->gue ? IPPROTO_UDP : s->inner == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;

	memset(f, 0, sizeof(*f));
	append_l2(f, s->vlans, s->outer == 4 ? ETH_P_IP : ETH_P_IPV6);
	f->outer_at = f->len;
	if (s->outer == 4)
		append_ip4(f, BALANCER4, s->outer_dst ? s->outer_dst : HOST4, proto, s->outer_ecn,
			   gue_len + inner_len);
	else
		append_ip6(f, BALANCER6, s->outer_dst ? s->outer_dst : HOST6, proto, s->outer_ecn,
			   gue_len + inner_len);
	if (s->gue)
		append_gue(f, s, inner_len);
	append_inner(f, s);

	want->len = 0;
	append_l2(want, s->vlans, s->inner == 4 ? ETH_P_IP : ETH_P_IPV6);
	append_inner(want, s);
}

static __u64 counter(__u32 index)
{
	static __u64 per_cpu[1024];
	__u64 sum = 0;
	int n = libbpf_num_possible_cpus();

	assert_in_range(n, 1, 1024);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(skel->maps.decap_stats), &index, per_cpu), 0);
	for (int i = 0; i < n; i++)
		sum += per_cpu[i];
	return sum;
}

/* Run and report the one counter that moved; fails when it was not exactly one, or when the verdict is not its. */
static enum decap_outcome run(struct bpf_program *prog, const struct frame *in, struct frame *out, const char *name)
{
	__u64 before[DECAP_OUTCOME_SLOTS];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = in->b, .data_size_in = (__u32)in->len, .data_out = out->b,
		    .data_size_out = sizeof(out->b));
	int moved = -1, err;

	for (__u32 i = 0; i < DECAP_OUTCOME_SLOTS; i++)
		before[i] = counter(i);
	err = bpf_prog_test_run_opts(bpf_program__fd(prog), &o);
	if (err)
		fail_msg("%s: test run: %s", name, strerror(-err));
	out->len = o.data_size_out;
	for (__u32 i = 0; i < DECAP_OUTCOME_SLOTS; i++) {
		__u64 delta = counter(i) - before[i];

		if (delta > 1 || (delta && moved >= 0))
			fail_msg("%s: more than one counter moved", name);
		if (delta)
			moved = (int)i;
	}
	if (moved < 0 || moved >= DECAP_OUTCOME_MAX)
		fail_msg("%s: no counter moved", name);
	if (o.retval != outcome_verdicts[moved])
		fail_msg("%s: verdict %u with counter %s", name, o.retval, outcome_names[moved]);
	return (enum decap_outcome)moved;
}

static void assert_frame(const struct frame *got, const struct frame *want, const char *name)
{
	if (got->len != want->len)
		fail_msg("%s: %zu bytes, wanted %zu", name, got->len, want->len);
	for (size_t i = 0; i < want->len; i++)
		if (got->b[i] != want->b[i])
			fail_msg("%s: byte %zu is %02x, wanted %02x", name, i, got->b[i], want->b[i]);
}

static bool is_decap(enum decap_outcome o)
{
	return o >= DECAP_OK_4IN4 && o <= DECAP_OK_GUE6;
}

static enum decap_outcome expected_kind(const struct spec *s)
{
	if (s->gue)
		return s->outer == 4 ? DECAP_OK_GUE4 : DECAP_OK_GUE6;
	if (s->inner == 4)
		return s->outer == 4 ? DECAP_OK_4IN4 : DECAP_OK_4IN6;
	return s->outer == 4 ? DECAP_OK_6IN4 : DECAP_OK_6IN6;
}

static void describe(const struct spec *s, char *name, size_t size)
{
	static const char *const gue[] = { "", " gue0", " gue1" };

	snprintf(name, size, "%din%d%s vlans %d payload %zu", s->inner, s->outer, gue[s->gue], s->vlans, s->payload);
}
