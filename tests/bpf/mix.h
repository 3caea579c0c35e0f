/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mix.h - a random mix of everything: protocols, families, tags, options, extension headers, fragments, ICMP errors with
 * all kinds of quotes, pings; mutilated and cut short as well. And a world of services and backends of every kind for it.
 *
 * LBD_SEED repeats a run.
 */
#pragma once
#include "cold.h"
#include <sys/random.h>

enum { MIX_M = 61, MIX_SERVICES = 6 };
static __u64 mix_seed;

/* Take the seed from the environment, or a new one; say it. */
static inline void mix_start(void)
{
	const char *text = getenv("LBD_SEED");

	if (text)
		mix_seed = strtoull(text, NULL, 0);
	else if (getrandom(&mix_seed, sizeof(mix_seed), 0) != sizeof(mix_seed))
		abort();
	mix_seed |= 1;
	print_message("LBD_SEED=%#llx\n", (unsigned long long)mix_seed);
}


static inline __u32 mix_rnd(__u32 below)
{
	mix_seed ^= mix_seed << 13;
	mix_seed ^= mix_seed >> 7;
	mix_seed ^= mix_seed << 17;
	return (__u32)((mix_seed >> 32) * below >> 32);
}

static inline void mix_spec(struct pkt_spec *s)
{
	static const __u8 protos[] = { 6, 6, 6, 17, 17, 1, 58, 47, 132 };
	static const __u8 flags[] = { 0x10, 2, 0x12, 0x11, 0x14, 0x18 };
	static const __u8 exts[] = { 0xff, 60, 43, 44, 51 };
	__u32 i, n;

	*s = (struct pkt_spec){ .v6 = mix_rnd(2), .proto = protos[mix_rnd(sizeof(protos))], .sport = (__u16)(1 + mix_rnd(500)),
				.dport = (__u16)(80 + mix_rnd(MIX_SERVICES + 1)), .tcp_flags = flags[mix_rnd(sizeof(flags))],
				.tos = (__u8)mix_rnd(256), .ttl = (__u8)mix_rnd(256), .payload = mix_rnd(8) ? mix_rnd(200) : mix_rnd(2500) };
	if (!mix_rnd(8))
		s->dst = s->v6 ? "2001:db8:ffff::11" : "203.0.113.11";
	if (!mix_rnd(4))
		s->vlan[0] = 7;
	if (s->vlan[0] && mix_rnd(2))
		s->vlan[1] = 8;
	if (!s->v6 && !mix_rnd(4))
		s->opts = mix_rnd(11) * 4;
	n = s->v6 && !mix_rnd(3) ? mix_rnd(6) : 0;
	for (i = 0; i < n; i++)
		s->ext[i] = exts[mix_rnd(sizeof(exts))];
	if (!mix_rnd(4))
		s->frag = (__u16)(mix_rnd(2) << 13 | mix_rnd(3));
	if (s->v6)
		s->frag = (__u16)(s->frag << 3 | s->frag >> 13);
}

static inline void mix_icmp(struct pkt *p, const struct pkt_spec *s)
{
	static const __u8 types4[] = { 8, 8, 3, 3, 11, 12, 0, 5 }, types6[] = { 128, 128, 1, 2, 3, 4, 129, 135 };
	struct pkt_spec q, e = *s;
	struct pkt *quoted = malloc(sizeof(*quoted));

	mix_spec(&q);
	q.v6 = e.v6;
	q.opts = e.v6 ? 0 : q.opts;
	q.src = VIP(e.v6);
	q.dst = CLIENT(e.v6);
	q.sport = (__u16)(80 + mix_rnd(MIX_SERVICES));
	memset(q.vlan, 0, sizeof(q.vlan));
	if (!e.v6)
		memset(q.ext, 0, sizeof(q.ext));
	pkt_build(quoted, &q);
	cold_icmp(p, &e, e.v6 ? types6[mix_rnd(8)] : types4[mix_rnd(8)], (__u8)(mix_rnd(4) ? 0 : mix_rnd(5)), 1400, quoted->b + 14,
		  mix_rnd(quoted->len - 13));
	free(quoted);
}

static inline void mix_frame(struct pkt *p)
{
	struct pkt_spec s;
	__u32 i;

	mix_spec(&s);
	if (s.proto == 1 || s.proto == 58)
		mix_icmp(p, &s);
	else
		pkt_build(p, &s);
	if (!mix_rnd(4)) /* bytes changed, headers by preference */
		for (i = 0; i <= mix_rnd(3); i++)
			p->b[mix_rnd(mix_rnd(2) ? p->len : 60)] = (__u8)mix_rnd(256);
	if (!mix_rnd(6))
		p->len = 14 + mix_rnd(p->len - 13);
	if (!mix_rnd(20))
		pkt_set16(p, 12, mix_rnd(2) ? 0x0806 : mix_rnd(65536));
	if (p->len < 60 && mix_rnd(2))
		p->len = 60;
}

/* Where it says deny: service 4, whole IPv4. */
static const struct lb_acl_key mix_denied = { .prefixlen = LB_ACL_BITS(0), .sid = 4 };

static inline void mix_world(struct fixture *f)
{
	static const enum pkt_tunnel tunnels[] = { PKT_IP4, PKT_IP6, PKT_GUE4, PKT_GUE6, PKT_L2 };
	const __u32 flags[MIX_SERVICES + 1] = { [2] = LB_SVC_HASH_SRC, [3] = LB_SVC_LIMIT,
						[4] = LB_SVC_ACL | LB_SVC_HASH_SRC };
	__u32 sid, i, now, deny = LB_ACL_DENY;

	now = fixture_clock_ds(f) / 10;
	for (i = 0; i < 5; i++)
		cold_backend(f, 5 + i, tunnels[i], i == 3 ? 9 : 0, 1500);
	cold_backend(f, 10, PKT_IP4, 0, 400);
	f->backends[11].encap = LB_ENCAP_LOCAL;
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(f->skel->maps.acl), &mix_denied, &deny, BPF_ANY), 0);
	f->services[3].new_flow_limit = 200;
	f->services[3].source_limit = 100;
	/* 12: no next hop; 0: no backend. The last service is in transition. */
	for (sid = 1; sid <= MIX_SERVICES; sid++) {
		fixture_service(f, (__u16)sid, (__u16)(79 + sid), 6, flags[sid], MIX_M, sid * 2);
		fixture_service(f, (__u16)sid, (__u16)(79 + sid), 17, flags[sid] | LB_SVC_UDP_TRACK, MIX_M,
				sid * 2);
		for (i = 0; i < MIX_M; i++) {
			__u32 slot = sid * 2 * LB_SLOTS_PER_LINE + i, owner = i == 7 ? 0 : 5 + i % 8;

			f->slot_x[slot].a = LB_SLOTX_A(6, 0, i & 1 ? LB_PHASE_P1 : LB_PHASE_P2, 1, now & 0xffffff);
			f->slots[slot / LB_SLOTS_PER_LINE].s[slot % LB_SLOTS_PER_LINE] =
				(__u16)(owner | (sid == MIX_SERVICES ? LB_SLOT_TRANSITION : 0));
		}
	}
}
