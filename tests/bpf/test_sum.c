/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The books balance: over a random mix of everything, mutilated too, each packet moves exactly one counter, and the
 * counter's kind is the verdict's.
 *
 * LBD_SEED repeats a run, LBD_PACKETS makes it longer.
 */
#include "cold.h"
#include <sys/random.h>

static struct fixture fix;

enum { M = 61, SERVICES = 6, PACKETS = 20000 };
static __u64 seed;

static __u32 rnd(__u32 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (__u32)((seed >> 32) * below >> 32);
}

static void random_spec(struct pkt_spec *s)
{
	static const __u8 protos[] = { 6, 6, 6, 17, 17, 1, 58, 47, 132 };
	static const __u8 flags[] = { 0x10, 2, 0x12, 0x11, 0x14, 0x18 };
	static const __u8 exts[] = { 0xff, 60, 43, 44, 51 };
	__u32 i, n;

	*s = (struct pkt_spec){ .v6 = rnd(2), .proto = protos[rnd(sizeof(protos))], .sport = (__u16)(1 + rnd(500)),
				.dport = (__u16)(80 + rnd(SERVICES + 1)), .tcp_flags = flags[rnd(sizeof(flags))],
				.tos = (__u8)rnd(256), .ttl = (__u8)rnd(256), .payload = rnd(8) ? rnd(200) : rnd(2500) };
	if (!rnd(8))
		s->dst = s->v6 ? "2001:db8:ffff::11" : "203.0.113.11";
	if (!rnd(4))
		s->vlan[0] = 7;
	if (s->vlan[0] && rnd(2))
		s->vlan[1] = 8;
	if (!s->v6 && !rnd(4))
		s->opts = rnd(11) * 4;
	n = s->v6 && !rnd(3) ? rnd(6) : 0;
	for (i = 0; i < n; i++)
		s->ext[i] = exts[rnd(sizeof(exts))];
	if (!rnd(4))
		s->frag = (__u16)(rnd(2) << 13 | rnd(3));
	if (s->v6)
		s->frag = (__u16)(s->frag << 3 | s->frag >> 13);
}

static void random_icmp(struct pkt *p, const struct pkt_spec *s)
{
	static const __u8 types4[] = { 8, 8, 3, 3, 11, 12, 0, 5 }, types6[] = { 128, 128, 1, 2, 3, 4, 129, 135 };
	struct pkt_spec q, e = *s;
	struct pkt *quoted = malloc(sizeof(*quoted));

	random_spec(&q);
	q.v6 = e.v6;
	q.opts = e.v6 ? 0 : q.opts;
	q.src = VIP(e.v6);
	q.dst = CLIENT(e.v6);
	q.sport = (__u16)(80 + rnd(SERVICES));
	memset(q.vlan, 0, sizeof(q.vlan));
	if (!e.v6)
		memset(q.ext, 0, sizeof(q.ext));
	pkt_build(quoted, &q);
	cold_icmp(p, &e, e.v6 ? types6[rnd(8)] : types4[rnd(8)], (__u8)(rnd(4) ? 0 : rnd(5)), 1400, quoted->b + 14,
		  rnd(quoted->len - 13));
	free(quoted);
}

static void random_frame(struct pkt *p)
{
	struct pkt_spec s;
	__u32 i;

	random_spec(&s);
	if (s.proto == 1 || s.proto == 58)
		random_icmp(p, &s);
	else
		pkt_build(p, &s);
	if (!rnd(4)) /* bytes changed, headers by preference */
		for (i = 0; i <= rnd(3); i++)
			p->b[rnd(rnd(2) ? p->len : 60)] = (__u8)rnd(256);
	if (!rnd(6))
		p->len = 14 + rnd(p->len - 13);
	if (!rnd(20))
		pkt_set16(p, 12, rnd(2) ? 0x0806 : rnd(65536));
	if (p->len < 60 && rnd(2))
		p->len = 60;
}

static __u64 sum_of(const struct fixture_ledger *l, const char *prefix)
{
	static const char *const names[] = {
#define X(id, name) [LB_OUTCOME_##id] = name,
		LB_OUTCOMES(X)
#undef X
	};
	__u64 n = 0;
	__u32 i;

	for (i = 0; i < LB_OUTCOME_MAX; i++)
		if (!strncmp(names[i], prefix, strlen(prefix)))
			n += l->outcomes[i];
	return n;
}

static void test_every_packet_is_counted_once(void **state)
{
	static struct fixture_ledger l;
	static struct pkt in, out;
	const char *text = getenv("LBD_PACKETS");
	__u64 n = text ? strtoull(text, NULL, 0) : PACKETS, i, sent = 0, verdicts[5] = { 0 };
	__u32 b, o, met = 0;

	for (i = 0; i < n; i++) {
		int verdict;

		random_frame(&in);
		verdict = fixture_run(&fix, &in, &out);
		assert_in_range(verdict, XDP_DROP, XDP_REDIRECT);
		verdicts[verdict]++;
		if (verdict == XDP_PASS)
			cold_same("passed", &out, &in);
	}
	fixture_ledger(&fix, &l);
	for (b = 0; b < FIX_BACKENDS; b++)
		sent += l.backends[b].packets;
	assert_int_equal(verdicts[XDP_PASS], sum_of(&l, "pass_"));
	assert_int_equal(verdicts[XDP_DROP], sum_of(&l, "drop_"));
	assert_int_equal(verdicts[XDP_TX] + verdicts[XDP_REDIRECT], sent + sum_of(&l, "tx_"));
	assert_int_equal(l.outcomes[LB_OUTCOME_DROP_INTERNAL], 0);
	for (o = 0; o < LB_OUTCOME_MAX; o++)
		met += l.outcomes[o] != 0;
	print_message("%llu packets, %llu to backends, %u outcomes met\n", (unsigned long long)n,
		      (unsigned long long)sent, met);
	assert_true(met >= 14);
}

static int setup(void **state)
{
	static const enum pkt_tunnel tunnels[] = { PKT_IP4, PKT_IP6, PKT_GUE4, PKT_GUE6, PKT_L2 };
	const char *text = getenv("LBD_SEED");
	const __u32 flags[SERVICES + 1] = { [2] = LB_SVC_HASH_SRC, [3] = LB_SVC_LIMIT, [4] = LB_SVC_ACL | LB_SVC_HASH_SRC };
	struct lb_acl_key denied = { .prefixlen = LB_ACL_BITS(0), .sid = 4 };
	__u32 sid, i, now, deny = LB_ACL_DENY;

	if (text)
		seed = strtoull(text, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -1;
	seed |= 1;
	print_message("LBD_SEED=%#llx\n", (unsigned long long)seed);
	fixture_up(&fix, &(struct fixture_options){ .features = LB_FEATURE_VIP_ECHO });
	now = fixture_clock_ds(&fix) / 10;
	for (i = 0; i < 5; i++)
		cold_backend(&fix, 5 + i, tunnels[i], i == 3 ? 9 : 0, 1500);
	cold_backend(&fix, 10, PKT_IP4, 0, 400);
	fix.backends[11].encap = LB_ENCAP_LOCAL;
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(fix.skel->maps.acl), &denied, &deny, BPF_ANY), 0);
	fix.services[3].new_flow_limit = 200;
	fix.services[3].source_limit = 100;
	/* 12: no next hop; 0: no backend. The last service is in transition. */
	for (sid = 1; sid <= SERVICES; sid++) {
		fixture_service(&fix, (__u16)sid, (__u16)(79 + sid), 6, flags[sid], M, sid * 2);
		fixture_service(&fix, (__u16)sid, (__u16)(79 + sid), 17, flags[sid] | LB_SVC_UDP_TRACK, M,
				sid * 2);
		for (i = 0; i < M; i++) {
			__u32 slot = sid * 2 * LB_SLOTS_PER_LINE + i, owner = i == 7 ? 0 : 5 + i % 8;

			fix.slot_x[slot].a = LB_SLOTX_A(6, 0, i & 1 ? LB_PHASE_P1 : LB_PHASE_P2, 1, now & 0xffffff);
			fix.slots[slot / LB_SLOTS_PER_LINE].s[slot % LB_SLOTS_PER_LINE] =
				(__u16)(owner | (sid == SERVICES ? LB_SLOT_TRANSITION : 0));
		}
	}
	return 0;
}

static int teardown(void **state)
{
	fixture_down(&fix);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_packet_is_counted_once),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
