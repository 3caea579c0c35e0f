/* SPDX-License-Identifier: Apache-2.0 */
/* Source prefix lists and new-flow limits, before anything is remembered. */
#include "cold.h"

static struct fixture fix;

enum { OPEN = 1, LISTED = 2, LIMITED = 3, BOTH = 4, B = 5, M = 61 };
enum { P_OPEN = 80, P_LISTED = 81, P_LIMITED = 82, P_BOTH = 83 };

static void acl(__u32 sid, const char *prefix, unsigned int len, __u32 verdict)
{
	bool v6 = strchr(prefix, ':');
	struct lb_acl_key key = { .prefixlen = LB_ACL_BITS(v6 || !len ? len : 96 + len), .sid = sid | (v6 ? LB_ACL_V6 : 0) };

	fixture_mapped(key.addr, prefix);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(fix.skel->maps.acl), &key, &verdict, BPF_ANY), 0);
}

static int send_as(const char *what, struct pkt_spec s, int action, int counted)
{
	static struct pkt in, out;

	pkt_build(&in, &s);
	return cold_run(&fix, what, &in, &out, action, counted);
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */
static const struct {
	const char *name, *src4, *src6;
	bool denied;
} sources[] = {
	{ "in no list", "198.51.100.1", "2001:db8:5::1", true },
	{ "allowed", "192.0.2.1", "2001:db8:1::1", false },
	{ "denied within", "192.0.2.65", "2001:db8:1:6::1", true },
	{ "the last denied", "192.0.2.127", "2001:db8:1:6:ffff:ffff:ffff:ffff", true },
	{ "behind it", "192.0.2.128", "2001:db8:1:7::", false },
	{ "allowed within the denied", "192.0.2.66", "2001:db8:1:6::66", false },
	{ "of another service's list", "203.0.113.200", "2001:db8:9::1", true },
};

static void test_longest_prefix_decides(void **state)
{
	size_t i;
	int v6, tags, ack, proto;

	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		for (v6 = 0; v6 < 2; v6++)
			for (tags = 0; tags < 2; tags++)
				for (ack = 0; ack < 2; ack++)
					for (proto = 6; proto <= 17; proto += 11) {
						struct pkt_spec s = { .v6 = v6, .dport = P_LISTED, .proto = (__u8)proto,
								      .tcp_flags = ack ? 0x10 : 2, .vlan = { (__u16)tags },
								      .src = v6 ? sources[i].src6 : sources[i].src4 };

						send_as(sources[i].name, s, sources[i].denied ? XDP_DROP : XDP_TX,
							sources[i].denied ? LB_OUTCOME_DROP_ACL : SENT(B));
						/* A service without lists does not care. */
						s.dport = P_OPEN;
						send_as(sources[i].name, s, XDP_TX, SENT(B));
					}
}

/* What a denied client has no flow of: errors about it, fragments. */
static void test_lists_hold_for_rare_packets(void **state)
{
	static struct pkt quoted, in, out;
	int v6, denied;

	for (v6 = 0; v6 < 2; v6++)
		for (denied = 0; denied < 2; denied++) {
			const char *client = v6 ? sources[denied ? 2 : 1].src6 : sources[denied ? 2 : 1].src4;
			struct pkt_spec e = { .v6 = v6, .src = v6 ? "2001:db8:77::1" : "198.51.100.77" };
			struct pkt_spec f = { .v6 = v6, .src = client, .dport = P_LISTED, .payload = 16,
					      .frag = v6 ? 1 : 0x2000, .ext = { v6 ? 44 : 0 } };

			pkt_build(&quoted, &(struct pkt_spec){ .v6 = v6, .src = VIP(v6), .dst = client, .sport = P_LISTED,
							       .dport = 4000 });
			cold_icmp(&in, &e, v6 ? 1 : 3, 1, 0, quoted.b + 14, quoted.len - 14);
			cold_run(&fix, "error", &in, &out, denied ? XDP_DROP : XDP_TX,
				 denied ? LB_OUTCOME_DROP_ACL : SENT(B));
			send_as("first fragment", f, denied ? XDP_DROP : XDP_TX, denied ? LB_OUTCOME_DROP_ACL : SENT(B));
			f.frag = v6 ? 8 : 0x0001;
			send_as("later fragment", f, denied ? XDP_DROP : XDP_TX,
				denied ? LB_OUTCOME_DROP_FRAGMENT : SENT(B));
		}
}

/* Nothing is remembered of what is refused: in a transition an allowed SYN leaves a cell, a denied one does not. */
static void test_before_any_state(void **state)
{
	static struct lb_flow_bucket empty[FIX_FLOW_BUCKETS];
	__u32 line = LISTED * 2, i;

	for (i = 0; i < M; i++)
		fix.slot_x[line * LB_SLOTS_PER_LINE + i].a = LB_SLOTX_A(B, 0, LB_PHASE_P1, 1, 0);
	fixture_slots(&fix, line, M, B | LB_SLOT_TRANSITION);
	memset(fix.syn_seen, 0, sizeof(empty));
	memset(fix.flows, 0, sizeof(empty));
	send_as("denied", (struct pkt_spec){ .dport = P_LISTED, .src = "192.0.2.65", .tcp_flags = 2 }, XDP_DROP,
		LB_OUTCOME_DROP_ACL);
	assert_memory_equal(fix.syn_seen, empty, sizeof(empty));
	send_as("denied", (struct pkt_spec){ .dport = P_LISTED, .src = "192.0.2.65" }, XDP_DROP, LB_OUTCOME_DROP_ACL);
	assert_memory_equal(fix.flows, empty, sizeof(empty));
	send_as("allowed", (struct pkt_spec){ .dport = P_LISTED, .src = "192.0.2.1", .tcp_flags = 2 }, XDP_TX, SENT(B));
	assert_memory_not_equal(fix.syn_seen, empty, sizeof(empty));
	fixture_slots(&fix, line, M, B);
}

/* ---- limits; the fixture's clock stands still ------------------------------------------------------------------------ */
/* Put @tenths of a token, @ago_ds old, into a service's bucket. */
static void service_tokens(__u32 sid, __u32 ago_ds, __u32 tenths)
{
	__u64 word = (__u64)(0 - ago_ds) << 32 | 0x80000000u | tenths;

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(fix.skel->maps.limit_services), &sid, &word, BPF_ANY), 0);
}

static void forget_sources(void)
{
	struct {
		__u64 prefix;
		__u32 sid, v6;
	} key;
	int fd = bpf_map__fd(fix.skel->maps.limit_sources);

	while (!bpf_map_get_next_key(fd, NULL, &key))
		bpf_map_delete_elem(fd, &key);
}

static void limits(__u32 sid, __u32 service, __u32 source)
{
	fix.services[sid].new_flow_limit = service;
	fix.services[sid].source_limit = source;
	service_tokens(sid, 1000, 0);
	forget_sources();
}

static void test_service_limit(void **state)
{
	static const struct {
		__u32 ago_ds, tenths;
		int within;
	} rounds[] = { { 0, 39, 3 }, { 2, 0, 1 }, { 2, 9, 2 }, { 9, 69, 7 }, { 10, 0, 7 }, { 40000, 0, 7 }, { 0, 9, 0 },
		       { 0xfffffff8u, 20, 2 } /* another CPU's clock is ahead */ };
	size_t i;
	int n, proto, v6;

	limits(LIMITED, 7, 0);
	for (i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++)
		for (v6 = 0; v6 < 2; v6++)
			for (proto = 6; proto <= 17; proto += 11) {
				struct pkt_spec s = { .v6 = v6, .proto = (__u8)proto, .dport = P_LIMITED, .tcp_flags = 2 };

				service_tokens(LIMITED, rounds[i].ago_ds, rounds[i].tenths);
				for (n = 0; n < rounds[i].within; n++)
					send_as("within", s, XDP_TX, SENT(B));
				send_as("above", s, XDP_DROP, LB_OUTCOME_DROP_LIMIT_SERVICE);
				s.proto = 6;
				/* What is no new flow goes on. */
				for (n = 0; n < 5; n++) {
					static const __u8 flags[] = { 0x10, 0x12, 0x11, 0x04, 0x18 };

					s.tcp_flags = flags[n];
					send_as("established", s, XDP_TX, SENT(B));
				}
			}
}

/* Never used: a full bucket. */
static void test_first_use(void **state)
{
	__u64 zero = 0;
	__u32 sid = LIMITED;
	int n;

	limits(LIMITED, 3, 0);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(fix.skel->maps.limit_services), &sid, &zero, BPF_ANY), 0);
	for (n = 0; n < 3; n++)
		send_as("within", (struct pkt_spec){ .dport = P_LIMITED, .tcp_flags = 2 }, XDP_TX, SENT(B));
	send_as("above", (struct pkt_spec){ .dport = P_LIMITED, .tcp_flags = 2 }, XDP_DROP, LB_OUTCOME_DROP_LIMIT_SERVICE);
}

static const struct {
	const char *a, *same, *other; /* `same` is in the prefix of `a` */
} prefixes[] = {
	{ "192.0.2.1", "192.0.2.255", "192.0.3.1" },
	{ "2001:db8:1:100::1", "2001:db8:1:1ff:ffff::", "2001:db8:1:200::1" },
};

static void test_source_limit(void **state)
{
	int v6, n;

	for (v6 = 0; v6 < 2; v6++) {
		struct pkt_spec s = { .v6 = v6, .dport = P_LIMITED, .tcp_flags = 2 };

		limits(LIMITED, 0, 4);
		for (n = 0; n < 4; n++) {
			s.src = n & 1 ? prefixes[v6].same : prefixes[v6].a;
			send_as("within", s, XDP_TX, SENT(B));
		}
		s.src = prefixes[v6].same;
		send_as("above", s, XDP_DROP, LB_OUTCOME_DROP_LIMIT_SOURCE);
		s.src = prefixes[v6].other;
		send_as("another prefix", s, XDP_TX, SENT(B));
		s.src = prefixes[v6].a;
		s.tcp_flags = 0x10;
		send_as("established", s, XDP_TX, SENT(B));
	}
}

/* A source above its limit takes nothing from the service's; services do not share buckets. */
static void test_both_limits(void **state)
{
	struct pkt_spec s = { .dport = P_BOTH, .tcp_flags = 2, .src = "192.0.2.1" };
	int n;

	limits(BOTH, 3, 2);
	limits(LIMITED, 1, 0);
	for (n = 0; n < 2; n++)
		send_as("within", s, XDP_TX, SENT(B));
	for (n = 0; n < 9; n++)
		send_as("above the source's", s, XDP_DROP, LB_OUTCOME_DROP_LIMIT_SOURCE);
	s.src = "192.0.5.1";
	send_as("another source", s, XDP_TX, SENT(B));
	s.src = "192.0.6.1";
	send_as("above the service's", s, XDP_DROP, LB_OUTCOME_DROP_LIMIT_SERVICE);
	s.dport = P_LIMITED;
	send_as("another service", s, XDP_TX, SENT(B));
	/* The list comes first. */
	s.dport = P_BOTH;
	s.src = "198.18.0.1";
	send_as("denied", s, XDP_DROP, LB_OUTCOME_DROP_ACL);
}

static int setup(void **state)
{
	static const __u32 flags[] = { [OPEN] = 0, [LISTED] = LB_SVC_ACL, [LIMITED] = LB_SVC_LIMIT,
				       [BOTH] = LB_SVC_ACL | LB_SVC_LIMIT };
	__u16 sid;

	fixture_up(&fix, &(struct fixture_options){ .clock_stands = true });
	for (sid = OPEN; sid <= BOTH; sid++) {
		fixture_service(&fix, sid, (__u16)(P_OPEN - 1 + sid), 6, flags[sid], M, sid * 2u);
		fixture_service(&fix, sid, (__u16)(P_OPEN - 1 + sid), 17, flags[sid], M, sid * 2u);
		fixture_slots(&fix, sid * 2u, M, B);
	}
	cold_backend(&fix, B, PKT_IP4, 0, 1500);
	acl(LISTED, "0.0.0.0", 0, LB_ACL_DENY);
	acl(LISTED, "::", 0, LB_ACL_DENY);
	acl(LISTED, "192.0.2.0", 24, LB_ACL_ALLOW);
	acl(LISTED, "192.0.2.64", 26, LB_ACL_DENY);
	acl(LISTED, "192.0.2.66", 32, LB_ACL_ALLOW);
	acl(LISTED, "2001:db8:1::", 48, LB_ACL_ALLOW);
	acl(LISTED, "2001:db8:1:6::", 64, LB_ACL_DENY);
	acl(LISTED, "2001:db8:1:6::66", 128, LB_ACL_ALLOW);
	acl(OPEN, "203.0.113.200", 32, LB_ACL_ALLOW);
	acl(OPEN, "192.0.2.0", 24, LB_ACL_DENY);
	acl(OPEN, "2001:db8:9::", 48, LB_ACL_ALLOW);
	acl(BOTH, "198.18.0.0", 15, LB_ACL_DENY);
	acl(BOTH, "::", 0, LB_ACL_DENY); /* no IPv4 source is meant */
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
		cmocka_unit_test(test_longest_prefix_decides),
		cmocka_unit_test(test_lists_hold_for_rare_packets),
		cmocka_unit_test(test_before_any_state),
		cmocka_unit_test(test_service_limit),
		cmocka_unit_test(test_first_use),
		cmocka_unit_test(test_source_limit),
		cmocka_unit_test(test_both_limits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
