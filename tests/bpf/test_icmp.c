/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP to a VIP: errors follow the flow they quote, echo requests are answered, the rest is the stack's. */
#include "cold.h"

static struct fixture fix;

enum { WEB = 1, B_FIRST = 5, B_COUNT = 3, M = 61 };

static void backends(enum pkt_tunnel tunnel, __u16 vlan)
{
	__u32 i;

	for (i = 0; i < B_COUNT; i++)
		cold_backend(&fix, B_FIRST + i, tunnel, vlan, 1500);
}

static void spread_slots(void)
{
	__u32 i;

	for (i = 0; i < M; i++)
		fix.slots[i / LB_SLOTS_PER_LINE].s[i % LB_SLOTS_PER_LINE] = (__u16)(B_FIRST + i % B_COUNT);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */
static const struct {
	const char *name;
	struct pkt_spec quoted; /* from the VIP to the client, as a backend sent it */
	unsigned int keep;      /* bytes of its transport part that are quoted; 0 = all */
	__u16 vlan[2];          /* of the error */
	unsigned int opts;
	__u8 ext[10];
	int only;               /* 4, 6: one family; 0: both */
} quotes[] = {
	{ .name = "eight bytes of tcp", .keep = 8 },
	{ .name = "all of it", .quoted = { .payload = 300 } },
	{ .name = "ports only", .keep = 4 },
	{ .name = "udp", .quoted = { .proto = 17 }, .keep = 8 },
	{ .name = "quoted options", .quoted = { .opts = 40 }, .keep = 8, .only = 4 },
	{ .name = "quoted extension headers", .quoted = { .ext = { 0xff, 60, 43 } }, .keep = 8, .only = 6 },
	{ .name = "quoted first fragment", .quoted = { .frag = 0x2000, .payload = 40 }, .only = 4 },
	{ .name = "quoted first fragment", .quoted = { .frag = 1, .ext = { 44 }, .payload = 40 }, .only = 6 },
	{ .name = "one tag", .keep = 8, .vlan = { 7 } },
	{ .name = "two tags", .keep = 8, .vlan = { 7, 8 } },
	{ .name = "the error has options", .keep = 8, .opts = 24, .only = 4 },
	{ .name = "the error has extension headers", .keep = 8, .ext = { 60, 60 }, .only = 6 },
};

static const struct {
	__u8 type, code;
} errors4[] = { { 3, 0 }, { 3, 1 }, { 3, 3 }, { 3, 4 }, { 3, 13 }, { 11, 0 }, { 11, 1 }, { 12, 0 } },
  errors6[] = { { 1, 0 }, { 1, 3 }, { 1, 4 }, { 2, 0 }, { 3, 0 }, { 3, 1 }, { 4, 0 }, { 4, 2 } };

/* An error from a router on the way about what the VIP sent to port @port of the client. */
static void error_about(struct pkt *out, bool v6, struct pkt_spec q, unsigned int keep, struct pkt_spec e, __u8 type,
			__u8 code, __u16 port)
{
	static struct pkt quoted;
	unsigned int len;

	q.v6 = e.v6 = v6;
	if (!q.src)
		q.src = VIP(v6);
	if (!q.dst)
		q.dst = CLIENT(v6);
	if (!q.sport)
		q.sport = 80;
	q.dport = port;
	pkt_build(&quoted, &q);
	len = quoted.len - 14;
	if (keep)
		len = len - ((q.proto == 17 ? 8 : 20) + q.payload) + keep;
	if (!e.src)
		e.src = v6 ? "2001:db8:9::9" : "198.51.100.77";
	cold_icmp(out, &e, type, code, 1400, quoted.b + 14, len);
}

static void check_error(size_t i, bool v6, enum pkt_tunnel tunnel, size_t kind, __u16 port)
{
	static struct pkt flow, sent, error;
	struct pkt_spec e = { .opts = quotes[i].opts, .vlan = { quotes[i].vlan[0], quotes[i].vlan[1] } };
	char what[100];
	int to;

	snprintf(what, sizeof(what), "%s, %s, kind %zu", quotes[i].name, v6 ? "v6" : "v4", kind);
	memcpy(e.ext, quotes[i].ext, sizeof(e.ext));
	pkt_build(&flow, &(struct pkt_spec){ .v6 = v6, .proto = quotes[i].quoted.proto, .sport = port });
	to = cold_run(&fix, what, &flow, &sent, XDP_TX, SENT(0));
	error_about(&error, v6, quotes[i].quoted, quotes[i].keep, e, v6 ? errors6[kind].type : errors4[kind].type,
		    v6 ? errors6[kind].code : errors4[kind].code, port);
	cold_sent(&fix, what, &error, cold_l2(&e), (__u32)(to - LB_OUTCOME_MAX), tunnel, 0, &sent);
}

static void test_errors_follow_the_flow(void **state)
{
	enum pkt_tunnel tunnel;
	size_t i, kind;
	int v6;

	for (tunnel = PKT_IP4; tunnel <= PKT_L2; tunnel++) {
		backends(tunnel, 0);
		for (i = 0; i < sizeof(quotes) / sizeof(quotes[0]); i++)
			for (v6 = 0; v6 < 2; v6++)
				for (kind = 0; kind < 8 && quotes[i].only != (v6 ? 4 : 6); kind++)
					check_error(i, v6, tunnel, kind, (__u16)(30000 + 97 * i + kind));
	}
}

/* Every flow's error goes where the flow goes: the tuple is turned round rightly. */
static void test_errors_of_many_flows(void **state)
{
	__u32 n;

	backends(PKT_IP4, 0);
	for (n = 0; n < 200; n++)
		check_error(0, n & 1, PKT_IP4, n % 8, (__u16)(1024 + n * 313));
}

static const struct {
	const char *name;
	struct pkt_spec quoted;
	unsigned int keep;
	int v6; /* -1: both */
	__u8 type;
} strangers[] = {
	{ "quote from another address", { .src = "203.0.113.11" }, 8, 0, 3 },
	{ "quote from another address", { .src = "2001:db8:ffff::11" }, 8, 1, 1 },
	{ "no service on that port", { .sport = 81 }, 8, -1, 3 },
	{ "another protocol", { .proto = 132, .payload = 30 }, 0, -1, 3 },
	{ "later fragment", { .frag = 0x2001, .payload = 40 }, 0, 0, 3 },
	{ "later fragment", { .frag = 9, .ext = { 44 }, .payload = 40 }, 0, 1, 1 },
	{ "three bytes of tcp", { 0 }, 3, -1, 3 },
	{ "redirect", { 0 }, 8, 0, 5 },
	{ "source quench", { 0 }, 8, 0, 4 },
	{ "echo reply", { 0 }, 8, 0, 0 },
	{ "neighbour solicitation", { 0 }, 8, 1, 135 },
	{ "type 0", { 0 }, 8, 1, 0 },
	{ "type 5", { 0 }, 8, 1, 5 },
	{ "nine extension headers", { .ext = { 60, 60, 60, 60, 60, 60, 60, 60, 60 } }, 8, 1, 1 },
};

static void test_others_pass(void **state)
{
	static struct pkt in, out;
	size_t i;
	int v6;

	for (i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		for (v6 = 0; v6 < 2; v6++) {
			if (strangers[i].v6 >= 0 && strangers[i].v6 != v6)
				continue;
			error_about(&in, v6, strangers[i].quoted, strangers[i].keep,
				    (struct pkt_spec){ 0 }, strangers[i].type, 0, 40000);
			cold_run(&fix, strangers[i].name, &in, &out, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
		}
}

/* Cut the packet (its length fields too) at every length: it passes until the ports are there. */
static void test_quotes_cut_at_every_length(void **state)
{
	static struct pkt in, out;
	unsigned int len, ip, full;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		ip = v6 ? 40 : 20;
		full = 8 + ip + 4;
		for (len = 0; len <= full; len++) {
			error_about(&in, v6, (struct pkt_spec){ 0 }, 8, (struct pkt_spec){ 0 }, v6 ? 1 : 3, 1, 40000);
			pkt_set16(&in, v6 ? 18 : 16, v6 ? len : 20 + len);
			/* The frame is longer: padding is not read as a quote. */
			cold_run(&fix, "cut, padded", &in, &out, len < full ? XDP_PASS : XDP_TX,
				 len < full ? LB_OUTCOME_PASS_VIP_OTHER : SENT(0));
			in.len = 14 + ip + len;
			cold_run(&fix, "cut", &in, &out, len < full ? XDP_PASS : XDP_TX,
				 len < full ? LB_OUTCOME_PASS_VIP_OTHER : SENT(0));
		}
		in.len--;
		cold_run(&fix, "shorter than it says", &in, &out, XDP_DROP, LB_OUTCOME_DROP_TRUNCATED);
	}
}

/* In a transition: where the flow goes, and without a trace. */
static void test_error_in_transition(void **state)
{
	static struct lb_flow_bucket flows[FIX_FLOW_BUCKETS], cells[FIX_FLOW_BUCKETS];
	static struct lb_slot_live_line live[FIX_SLOT_LINES];
	static struct pkt in, out, error;
	struct lb_steer_stats before, after;
	__u32 i, now = fixture_clock_ds(&fix) / 10;
	int v6, known;

	backends(PKT_IP4, 0);
	for (i = 0; i < M; i++)
		fix.slot_x[i].a = LB_SLOTX_A(B_FIRST + 1, 0, LB_PHASE_P1, 1, now & 0xffffff);
	fixture_slots(&fix, 0, M, B_FIRST | LB_SLOT_TRANSITION);
	for (v6 = 0; v6 < 2; v6++)
		for (known = 0; known < 2; known++) {
			/* A new flow is current's: its SYN leaves a cell, its ACK an entry. Unknown ones are alt's. */
			__u16 port = (__u16)(5000 + known);

			for (i = 0; known && i < 2; i++) {
				pkt_build(&in, &(struct pkt_spec){ .v6 = v6, .sport = port, .tcp_flags = i ? 0x10 : 2 });
				cold_run(&fix, "handshake", &in, &out, XDP_TX, SENT(B_FIRST));
			}
			memcpy(flows, fix.flows, sizeof(flows));
			memcpy(cells, fix.syn_seen, sizeof(cells));
			memcpy(live, fix.slot_live, sizeof(live));
			before = fixture_steer(&fix, WEB);
			error_about(&error, v6, (struct pkt_spec){ 0 }, 8, (struct pkt_spec){ 0 }, v6 ? 2 : 3, v6 ? 0 : 4,
				    port);
			cold_sent(&fix, known ? "known" : "unknown", &error, 14, B_FIRST + !known, PKT_IP4, 0, NULL);
			after = fixture_steer(&fix, WEB);
			assert_memory_equal(flows, fix.flows, sizeof(flows));
			assert_memory_equal(cells, fix.syn_seen, sizeof(cells));
			assert_memory_equal(live, fix.slot_live, sizeof(live));
			assert_int_equal(after.n[LB_STEER_LOOKUP] - before.n[LB_STEER_LOOKUP], 1);
			assert_int_equal(after.n[LB_STEER_HIT] - before.n[LB_STEER_HIT], known);
			assert_int_equal(after.n[LB_STEER_MISS_ALT] - before.n[LB_STEER_MISS_ALT], !known);
			assert_int_equal(after.n[LB_STEER_INSERT], before.n[LB_STEER_INSERT]);
		}
	spread_slots();
}

/* ---- echo ---------------------------------------------------------------------------------------------------------- */
/* What a host would answer, every checksum computed anew. */
static void echo_answer(struct pkt *want, const struct pkt *in, bool v6, unsigned int ip)
{
	unsigned int icmp = ip + (v6 ? 40 : 20), n = v6 ? 16 : 4, src = ip + (v6 ? 8 : 12);

	*want = *in;
	memcpy(want->b, in->b + 6, 6);
	memcpy(want->b + 6, in->b, 6);
	memcpy(want->b + src, in->b + src + n, n);
	memcpy(want->b + src + n, in->b + src, n);
	want->b[ip + (v6 ? 7 : 8)] = 64;
	want->b[icmp] = v6 ? 129 : 0;
	if (!v6) {
		pkt_set16(want, ip + 10, 0);
		pkt_set16(want, ip + 10, (__u16)~pkt_sum(want->b + ip, 20, 0));
	}
	cold_icmp_csum(want, v6, ip, icmp);
}

static void test_echo_is_answered(void **state)
{
	static const unsigned int lengths[] = { 0, 1, 8, 56, 57, 1400, 8000 };
	static struct pkt in, out, want;
	size_t i;
	int v6, tags;
	__u32 n;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (v6 = 0; v6 < 2; v6++)
			for (tags = 0; tags < 3; tags++)
				for (n = 0; n < 8; n++) {
					struct pkt_spec s = { .v6 = v6, .ttl = (__u8)(n * 36 + 1), .tos = (__u8)(n * 30),
							      .vlan = { tags > 0 ? 5 : 0, tags > 1 ? 6 : 0 } };

					cold_tokens(&fix, COLD_ECHO, fixture_clock_ds(&fix), 100);
					cold_icmp(&in, &s, v6 ? 128 : 8, 0, 0xfeed0000u + n * 0x1fff, NULL, lengths[i]);
					cold_run(&fix, "echo", &in, &out, XDP_TX, LB_OUTCOME_TX_ECHO_REPLY);
					echo_answer(&want, &in, v6, cold_l2(&s));
					cold_same("echo", &out, &want);
				}
}

static const struct {
	const char *name;
	struct pkt_spec spec;
	int v6; /* -1: both */
	__u8 type, code; /* 0: echo request */
	int counted;
} silent[] = {
	{ "not a vip", { .dst = "203.0.113.11" }, 0, 0, 0, LB_OUTCOME_PASS_NOT_VIP },
	{ "not a vip", { .dst = "2001:db8:ffff::11" }, 1, 0, 0, LB_OUTCOME_PASS_NOT_VIP },
	{ "options", { .opts = 4 }, 0, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "extension headers", { .ext = { 60 } }, 1, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "first fragment", { .frag = 0x2000 }, 0, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "later fragment", { .frag = 0x2003 }, 0, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "last fragment", { .frag = 0x0003 }, 0, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "first fragment", { .frag = 1, .ext = { 44 } }, 1, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "later fragment", { .frag = 9, .ext = { 44 } }, 1, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "code 1", { 0 }, 0, 8, 1, LB_OUTCOME_PASS_VIP_OTHER },
	{ "code 1", { 0 }, 1, 128, 1, LB_OUTCOME_PASS_VIP_OTHER },
	{ "reply", { 0 }, 1, 129, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "timestamp", { 0 }, 0, 13, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "from nobody", { .src = "0.0.0.0" }, 0, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "from the loopback", { .src = "127.0.0.9" }, 0, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "from a group", { .src = "224.0.0.1" }, 0, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "from all", { .src = "255.255.255.255" }, 0, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "from itself", { .src = "203.0.113.10" }, 0, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "from nobody", { .src = "::" }, 1, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "from the loopback", { .src = "::1" }, 1, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "from a group", { .src = "ff02::1" }, 1, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
	{ "from itself", { .src = "2001:db8:ffff::10" }, 1, 0, 0, LB_OUTCOME_PASS_VIP_OTHER },
};

static void test_echo_not_answered(void **state)
{
	static struct pkt in, out;
	size_t i;
	int v6;

	for (i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		struct pkt_spec s = silent[i].spec;

		s.v6 = silent[i].v6;
		cold_icmp(&in, &s, silent[i].type || silent[i].v6 < 0 ? silent[i].type : s.v6 ? 128 : 8, silent[i].code, 1,
			  NULL, 32);
		cold_run(&fix, silent[i].name, &in, &out, XDP_PASS, silent[i].counted);
	}
	for (v6 = 0; v6 < 2; v6++) {
		struct pkt_spec s = { .v6 = v6 };

		cold_icmp(&in, &s, v6 ? 128 : 8, 0, 1, NULL, 32);
		in.b[0] |= 1;
		cold_run(&fix, "to a MAC group", &in, &out, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
		in.b[0] &= 0xfe;
		pkt_set16(&in, v6 ? 18 : 16, v6 ? 7 : 27);
		cold_run(&fix, "seven bytes", &in, &out, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
	}
	/* ICMP of the other family is no ICMP. */
	pkt_build(&in, &(struct pkt_spec){ .proto = 58, .payload = 40 });
	cold_run(&fix, "58 in IPv4", &in, &out, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
	pkt_build(&in, &(struct pkt_spec){ .v6 = true, .proto = 1, .payload = 40 });
	cold_run(&fix, "1 in IPv6", &in, &out, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
}

/* A clock that stands still makes the bucket exact: 7 a second, one second's worth at most. */
static void test_echo_rate(void **state)
{
	static struct pkt in, out;
	struct fixture limited;
	int v6, i, round;

	fixture_up(&limited, &(struct fixture_options){ .features = LB_FEATURE_VIP_ECHO, .echo_rate = 7,
							.clock_stands = true });
	fixture_service(&limited, WEB, 80, 6, 0, M, 0);
	for (v6 = 0; v6 < 2; v6++) {
		static const struct {
			__u32 ago_ds, tenths;
			int answers;
		} rounds[] = { { 0, 29, 2 }, { 3, 0, 2 }, { 3, 9, 3 }, { 9, 69, 7 }, { 10, 0, 7 }, { 1000000, 0, 7 },
			       { 0, 0, 0 }, { 0, 9, 0 } };

		cold_icmp(&in, &(struct pkt_spec){ .v6 = v6 }, v6 ? 128 : 8, 0, 1, NULL, 32);
		for (round = 0; round < (int)(sizeof(rounds) / sizeof(rounds[0])); round++) {
			cold_tokens(&limited, COLD_ECHO, 0 - rounds[round].ago_ds, rounds[round].tenths);
			for (i = 0; i < rounds[round].answers; i++)
				cold_run(&limited, "within", &in, &out, XDP_TX, LB_OUTCOME_TX_ECHO_REPLY);
			cold_run(&limited, "above", &in, &out, XDP_DROP, LB_OUTCOME_DROP_ECHO_LIMIT);
		}
	}
	fixture_down(&limited);
}

static void test_echo_switched_off(void **state)
{
	static struct pkt in, out;
	struct fixture off;
	int v6;

	fixture_up(&off, NULL);
	fixture_service(&off, WEB, 80, 6, 0, M, 0);
	for (v6 = 0; v6 < 2; v6++) {
		cold_icmp(&in, &(struct pkt_spec){ .v6 = v6 }, v6 ? 128 : 8, 0, 1, NULL, 32);
		cold_run(&off, "off", &in, &out, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
	}
	fixture_down(&off);
}

static int setup(void **state)
{
	fixture_up(&fix, &(struct fixture_options){ .features = LB_FEATURE_VIP_ECHO });
	fixture_service(&fix, WEB, 80, 6, 0, M, 0);
	fixture_service(&fix, WEB, 80, 17, 0, M, 0);
	spread_slots();
	backends(PKT_IP4, 0);
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
		cmocka_unit_test(test_errors_follow_the_flow),
		cmocka_unit_test(test_errors_of_many_flows),
		cmocka_unit_test(test_others_pass),
		cmocka_unit_test(test_quotes_cut_at_every_length),
		cmocka_unit_test(test_error_in_transition),
		cmocka_unit_test(test_echo_is_answered),
		cmocka_unit_test(test_echo_not_answered),
		cmocka_unit_test(test_echo_rate),
		cmocka_unit_test(test_echo_switched_off),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
