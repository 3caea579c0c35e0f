/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cold.h - for the tests of rare packets: ICMP frames, backends of every kind, "sent exactly like this", token buckets.
 */
#pragma once
#include "fixture.h"
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SENT(b) (LB_OUTCOME_MAX + (b))
#define VIP(v6) ((v6) ? "2001:db8:ffff::10" : "203.0.113.10")
#define CLIENT(v6) ((v6) ? "2001:db8:1::1" : "192.0.2.1")

static const enum lb_encap cold_encaps[] = { [PKT_IP4] = LB_ENCAP_IP4, [PKT_IP6] = LB_ENCAP_IP6,
					     [PKT_GUE4] = LB_ENCAP_GUE4, [PKT_GUE6] = LB_ENCAP_GUE6,
					     [PKT_L2] = LB_ENCAP_L2 };

static inline unsigned int cold_l2(const struct pkt_spec *s)
{
	return 14u + (s->vlan[0] ? 4 : 0) + (s->vlan[1] ? 4 : 0);
}

static inline void cold_wrap(struct pkt_wrap_spec *w, enum pkt_tunnel tunnel, __u16 vlan, __u32 bidx)
{
	bool out6 = tunnel == PKT_IP6 || tunnel == PKT_GUE6;

	*w = (struct pkt_wrap_spec){
		.tunnel = tunnel,
		.src = out6 ? "fd00::1" : "10.0.0.1",
		.dst = out6 ? "fd00:2::99" : "10.0.2.99",
		.dst_mac = { 2, 0xaa, 1, 2, 3, (__u8)bidx },
		.src_mac = { 2, 0xbb, 5, 6, 7, 8 },
		.vlan = vlan,
	};
}

static inline void cold_backend(struct fixture *f, __u32 bidx, enum pkt_tunnel tunnel, __u16 vlan, __u16 link_mtu)
{
	struct lb_backend_spec s = { .encap = cold_encaps[tunnel], .has_vlan = vlan != 0, .vlan_tci = vlan,
				     .link_mtu = link_mtu, .gue_port = 6080, .sid = 1 };
	struct pkt_wrap_spec w;

	cold_wrap(&w, tunnel, vlan, bidx);
	fixture_mapped(s.src, w.src);
	fixture_mapped(s.dst, w.dst);
	memcpy(s.dst_mac, w.dst_mac, 6);
	memcpy(s.src_mac, w.src_mac, 6);
	lb_backend_build(&f->backends[bidx], &s);
}

static inline void cold_same(const char *what, const struct pkt *got, const struct pkt *want)
{
	unsigned int i;

	for (i = 0; i < got->len && i < want->len; i++)
		if (got->b[i] != want->b[i])
			fail_msg("%s: byte %u is %02x, expected %02x", what, i, got->b[i], want->b[i]);
	if (got->len != want->len)
		fail_msg("%s: %u bytes, expected %u", what, got->len, want->len);
}

/* Run @in: it must be counted as @counted (or: any backend, when SENT(0)) with @action. Returns what it was counted as. */
static inline int cold_run(struct fixture *f, const char *what, const struct pkt *in, struct pkt *out, int action,
			   int counted)
{
	static struct fixture_ledger before, after;
	int got_action, got;

	fixture_ledger(f, &before);
	got_action = fixture_run(f, in, out);
	fixture_ledger(f, &after);
	got = fixture_counted(&before, &after);
	if (counted == SENT(0) ? got <= LB_OUTCOME_MAX : got != counted)
		fail_msg("%s (%u bytes): counted %s (%d), expected %s (%d)", what, in->len, fixture_outcome_name(got),
			 got, fixture_outcome_name(counted), counted);
	if (got_action != action)
		fail_msg("%s (%u bytes): action %d, expected %d", what, in->len, got_action, action);
	if (action == XDP_PASS)
		cold_same(what, out, in);
	return got;
}

/* The bits of the outer header that come from the flow's hash, as the frame has them. */
static inline void cold_entropy(struct pkt_wrap_spec *w, const struct pkt *out)
{
	unsigned int ip = w->vlan ? 18 : 14, l4 = ip + (w->tunnel == PKT_GUE6 ? 40 : 20);

	if (w->tunnel == PKT_IP6 || w->tunnel == PKT_GUE6)
		w->label = (__u32)(out->b[ip + 1] & 0xf) << 16 | (__u32)out->b[ip + 2] << 8 | out->b[ip + 3];
	if (w->tunnel == PKT_GUE4 || w->tunnel == PKT_GUE6)
		w->gue_sport = (__u16)(out->b[l4] << 8 | out->b[l4 + 1]);
}

/*
 * Run @in, whose IP packet begins at @l2: it must leave for @bidx exactly as the tunnel says, with the entropy of @like,
 * a frame of the same flow that left before (or, NULL, any).
 */
static inline void cold_sent(struct fixture *f, const char *what, const struct pkt *in, unsigned int l2, __u32 bidx,
			     enum pkt_tunnel tunnel, __u16 vlan, const struct pkt *like)
{
	static struct pkt out, want;
	struct pkt_wrap_spec w;

	cold_run(f, what, in, &out, XDP_TX, SENT(bidx));
	cold_wrap(&w, tunnel, vlan, bidx);
	cold_entropy(&w, like ? like : &out);
	pkt_wrap(&want, in, l2, &w);
	cold_same(what, &out, &want);
}

/* ---- ICMP -------------------------------------------------------------------------------------------------------- */
static inline void cold_icmp_csum(struct pkt *p, bool v6, unsigned int ip, unsigned int icmp)
{
	pkt_set16(p, icmp + 2, 0);
	pkt_set16(p, icmp + 2, v6 ? pkt_l4_csum(p, ip, icmp, 58) : (__u16)~pkt_sum(p->b + icmp, p->len - icmp, 0));
}

/* An ICMP packet to the VIP (addresses, tags, options as in @s) with @body behind its eight bytes. */
static inline void cold_icmp(struct pkt *p, const struct pkt_spec *s, __u8 type, __u8 code, __u32 rest,
			     const __u8 *body, unsigned int len)
{
	struct pkt_spec o = *s;
	unsigned int at, i;

	o.proto = s->v6 ? 58 : 1;
	o.payload = 8 + len;
	pkt_build(p, &o);
	at = p->len - o.payload;
	p->b[at] = type;
	p->b[at + 1] = code;
	for (i = 0; i < 4; i++)
		p->b[at + 4 + i] = (__u8)(rest >> (24 - 8 * i));
	if (body)
		memcpy(p->b + at + 8, body, len);
	cold_icmp_csum(p, s->v6, cold_l2(s), at);
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */
/* Mirrors bpf/answer.h: what the program may send by itself. */
enum { COLD_ECHO, COLD_ERROR };

static inline void cold_tokens(struct fixture *f, __u32 kind, __u32 at_ds, __u32 tenths)
{
	struct {
		__u32 at_ds, tenths;
	} v[128];
	cpu_set_t one;
	int i;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one); /* one bucket per CPU: stay on one */
	for (i = 0; i < 128; i++) {
		v[i].at_ds = at_ds;
		v[i].tenths = tenths;
	}
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(f->skel->maps.answer_buckets), &kind, v, BPF_ANY), 0);
}
