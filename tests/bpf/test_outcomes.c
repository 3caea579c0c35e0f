/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every packet ends in exactly one counter: a row for each outcome, frames cut at every length, lengths and versions
 * that contradict each other. What passes leaves as it came, byte for byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fixture.h"

static struct fixture fix;

enum { WEB = 1, EMPTY = 2, NOHOP = 3, LOCAL = 4, SMALL = 5, FAR = 6 };
enum { B_WEB = 5, B_NOHOP = 6, B_LOCAL = 7, B_SMALL = 8, B_FAR = 9 };
#define M 61u
#define SENT(b) (LB_OUTCOME_MAX + (b))

/* Run @in; it must be counted as @counted and answered with @action. */
static void expect(const char *what, const struct pkt *in, int action, int counted)
{
	static struct pkt out;
	static struct fixture_ledger before, after;
	int got_action, got;

	fixture_ledger(&fix, &before);
	got_action = fixture_run(&fix, in, &out);
	fixture_ledger(&fix, &after);
	got = fixture_counted(&before, &after);
	if (got != counted)
		fail_msg("%s (%u bytes): counted %s (%d), expected %s (%d)", what, in->len, fixture_outcome_name(got),
			 got, fixture_outcome_name(counted), counted);
	if (got_action != action)
		fail_msg("%s (%u bytes): action %d, expected %d", what, in->len, got_action, action);
	if (action == XDP_PASS && (out.len != in->len || memcmp(out.b, in->b, in->len) != 0))
		fail_msg("%s (%u bytes): the frame was changed", what, in->len);
}

/* ---- a row for each outcome ------------------------------------------------------------------------------------ */
static const struct {
	const char *name;
	struct pkt_spec spec;
	int action, counted;
	bool one_family; /* `spec` says which */
} rows[] = {
	{ "sent", { .payload = 9 }, XDP_TX, SENT(B_WEB), false },
	{ "not a vip", { .dst = "198.51.100.7", .payload = 9 }, XDP_PASS, LB_OUTCOME_PASS_NOT_VIP, true },
	{ "not a vip", { .v6 = true, .dst = "2001:db8:ffff::11", .payload = 9 }, XDP_PASS, LB_OUTCOME_PASS_NOT_VIP, true },
	{ "a vip's other port", { .dport = 81 }, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER, false },
	{ "a vip's other protocol", { .proto = 17 }, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER, false },
	{ "gre to a vip", { .proto = 47, .payload = 30 }, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER, false },
	{ "gre elsewhere", { .proto = 47, .dst = "198.51.100.7" }, XDP_PASS, LB_OUTCOME_PASS_NOT_VIP, true },
	{ "slot without backend", { .dport = 1000 + EMPTY }, XDP_DROP, LB_OUTCOME_DROP_NO_BACKEND, false },
	{ "no next hop", { .dport = 1000 + NOHOP }, XDP_DROP, LB_OUTCOME_DROP_NO_NEXTHOP, false },
	{ "interface unknown", { .dport = 1000 + FAR }, XDP_DROP, LB_OUTCOME_DROP_NO_NEXTHOP, false },
	{ "this host", { .dport = 1000 + LOCAL, .payload = 9 }, XDP_PASS, LB_OUTCOME_PASS_LOCAL, false },
	{ "fits exactly", { .dport = 1000 + SMALL, .payload = 1280 - 60, .v6 = true }, XDP_TX, SENT(B_SMALL), true },
	{ "a vlan tag to a vip's other port", { .dport = 81, .vlan = { 9 } }, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER, false },
	{ "tagged, not a vip", { .dst = "198.51.100.7", .vlan = { 9, 10 } }, XDP_PASS, LB_OUTCOME_PASS_NOT_VIP, true },
	{ "routing header, ended", { .v6 = true, .ext = { 43 } }, XDP_TX, SENT(B_WEB), true },
	{ "an atomic fragment", { .v6 = true, .ext = { 44 } }, XDP_TX, SENT(B_WEB), true },
	{ "authentication header", { .v6 = true, .ext = { 51, 60 } }, XDP_TX, SENT(B_WEB), true },
	{ "eight extension headers", { .v6 = true, .ext = { 0xff, 60, 60, 60, 60, 60, 60, 60 } }, XDP_PASS,
	  LB_OUTCOME_PASS_VIP_OTHER, true },
	{ "seven extension headers", { .v6 = true, .ext = { 0xff, 60, 60, 60, 60, 60, 60 } }, XDP_TX, SENT(B_WEB), true },
	{ "fifteen words of options", { .opts = 40 }, XDP_TX, SENT(B_WEB), true },
};

static void test_rows(void **state)
{
	static struct pkt in;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pkt_spec s = rows[i].spec;
		int n;

		for (n = 0; n < (rows[i].one_family ? 1 : 2); n++) {
			s.v6 = rows[i].one_family ? rows[i].spec.v6 : n;
			pkt_build(&in, &s);
			expect(rows[i].name, &in, rows[i].action, rows[i].counted);
		}
	}
}

static void test_not_ip(void **state)
{
	static const __u16 types[] = { 0x0806, 0x88cc, 0x0000, 0x05dc, 0x8847, 0xffff };
	static struct pkt in;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		pkt_build(&in, &(struct pkt_spec){ .payload = 20 });
		pkt_set16(&in, 12, types[i]);
		expect("not IP", &in, XDP_PASS, LB_OUTCOME_PASS_NOT_IP);
		pkt_build(&in, &(struct pkt_spec){ .payload = 20, .vlan = { 3 } });
		pkt_set16(&in, 16, types[i]);
		expect("not IP behind a tag", &in, XDP_PASS, LB_OUTCOME_PASS_NOT_IP);
	}
	/* A third tag is not looked behind. */
	pkt_build(&in, &(struct pkt_spec){ .payload = 20, .vlan = { 3, 4 } });
	pkt_set16(&in, 20, 0x8100);
	expect("three tags", &in, XDP_PASS, LB_OUTCOME_PASS_NOT_IP);
}

/* ---- frames cut short ------------------------------------------------------------------------------------------ */
static const struct {
	const char *name;
	struct pkt_spec spec;
	unsigned int ip_at; /* bytes in front of the IP header */
} whole[] = {
	{ "tcp4", { .payload = 11 }, 14 },
	{ "tcp6", { .payload = 11, .v6 = true }, 14 },
	{ "udp4", { .proto = 17, .dport = 53, .payload = 11 }, 14 },
	{ "udp6", { .proto = 17, .dport = 53, .payload = 11, .v6 = true }, 14 },
	{ "udp4, empty", { .proto = 17, .dport = 53 }, 14 },
	{ "tcp4, a tag", { .payload = 3, .vlan = { 5 } }, 18 },
	{ "tcp6, two tags", { .payload = 3, .vlan = { 5, 6 }, .v6 = true }, 22 },
	{ "tcp4, options", { .payload = 3, .opts = 12 }, 14 },
	{ "udp6, extensions", { .proto = 17, .dport = 53, .payload = 3, .v6 = true, .ext = { 0xff, 60, 51 } }, 14 },
};

static void test_cut_at_every_length(void **state)
{
	static struct pkt in;
	size_t i;

	for (i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		unsigned int full, ip_len = whole[i].spec.v6 ? 40 : 20;

		pkt_build(&in, &whole[i].spec);
		full = in.len;
		expect(whole[i].name, &in, XDP_TX, SENT(B_WEB));
		for (in.len = 14; in.len < full; in.len++) {
			bool known = in.len >= whole[i].ip_at + ip_len; /* the destination can be read */

			expect(whole[i].name, &in, known ? XDP_DROP : XDP_PASS,
			       known ? LB_OUTCOME_DROP_TRUNCATED : LB_OUTCOME_PASS_NOT_IP);
		}
	}
}

/* The same for addresses that are not ours: nothing is ever dropped. */
static void test_cut_not_ours(void **state)
{
	static struct pkt in;
	size_t i;

	for (i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		unsigned int ip_len = whole[i].spec.v6 ? 40 : 20, full;
		struct pkt_spec s = whole[i].spec;

		s.dst = s.v6 ? "2001:db8:ffff::99" : "203.0.113.99";
		pkt_build(&in, &s);
		full = in.len;
		for (in.len = 14; in.len <= full; in.len++)
			expect(whole[i].name, &in, XDP_PASS,
			       in.len >= whole[i].ip_at + ip_len ? LB_OUTCOME_PASS_NOT_VIP : LB_OUTCOME_PASS_NOT_IP);
	}
}

/* ---- contradictions ---------------------------------------------------------------------------------------------- */
static const struct {
	const char *name;
	bool v6;
	unsigned int at; /* byte behind the start of the IP header */
	__u8 value;
	int action, counted;
} bent[] = {
	{ "version 6 in IPv4", false, 0, 0x65, XDP_DROP, LB_OUTCOME_DROP_MALFORMED },
	{ "version 0", false, 0, 0x05, XDP_DROP, LB_OUTCOME_DROP_MALFORMED },
	{ "IHL 4", false, 0, 0x44, XDP_DROP, LB_OUTCOME_DROP_MALFORMED },
	{ "IHL 0", false, 0, 0x40, XDP_DROP, LB_OUTCOME_DROP_MALFORMED },
	{ "IHL beyond the packet", false, 0, 0x4f, XDP_DROP, LB_OUTCOME_DROP_MALFORMED },
	{ "total length 19", false, 3, 19, XDP_DROP, LB_OUTCOME_DROP_MALFORMED },
	{ "total length 0", false, 3, 0, XDP_DROP, LB_OUTCOME_DROP_MALFORMED },
	{ "total length without TCP", false, 3, 20, XDP_DROP, LB_OUTCOME_DROP_TRUNCATED },
	{ "total length within TCP", false, 3, 39, XDP_DROP, LB_OUTCOME_DROP_TRUNCATED },
	{ "total length 256 too long", false, 2, 1, XDP_DROP, LB_OUTCOME_DROP_TRUNCATED },
	{ "total length one byte short: padding", false, 3, 49, XDP_TX, SENT(B_WEB) },
	{ "version 4 in IPv6", true, 0, 0x40, XDP_DROP, LB_OUTCOME_DROP_MALFORMED },
	{ "payload length 0", true, 5, 0, XDP_DROP, LB_OUTCOME_DROP_TRUNCATED },
	{ "payload length within TCP", true, 5, 19, XDP_DROP, LB_OUTCOME_DROP_TRUNCATED },
	{ "payload length 256 too long", true, 4, 1, XDP_DROP, LB_OUTCOME_DROP_TRUNCATED },
	{ "payload length one byte short: padding", true, 5, 29, XDP_TX, SENT(B_WEB) },
	{ "no next header", true, 6, 59, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER },
	{ "extension header of TCP bytes", true, 6, 60, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER },
};

static void test_contradictions(void **state)
{
	static struct pkt in;
	size_t i;
	int tags;

	for (i = 0; i < sizeof(bent) / sizeof(bent[0]); i++) {
		for (tags = 0; tags < 2; tags++) {
			pkt_build(&in, &(struct pkt_spec){ .v6 = bent[i].v6, .payload = 10, .vlan = { (__u16)tags } });
			in.b[14 + 4 * tags + bent[i].at] = bent[i].value;
			expect(bent[i].name, &in, bent[i].action, bent[i].counted);
		}
	}
}

static void test_routing_header_goes_on(void **state)
{
	static struct pkt in;

	pkt_build(&in, &(struct pkt_spec){ .v6 = true, .ext = { 43 }, .payload = 5 });
	in.b[14 + 40 + 3] = 1; /* segments left */
	expect("segments left", &in, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
}

static void test_too_big(void **state)
{
	static struct pkt in;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		pkt_build(&in, &(struct pkt_spec){ .v6 = v6, .dport = 1000 + SMALL, .payload = v6 ? 1221 : 1241 });
		expect("one byte too big", &in, XDP_TX, LB_OUTCOME_TX_TOO_BIG);
	}
}

/* Without its tail call the program may not fall silent. Last: it breaks the fixture. */
static void test_cold_program_missing(void **state)
{
	static struct pkt in;
	__u32 key = 0;

	pkt_build(&in, &(struct pkt_spec){ .vlan = { 3 } });
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(fix.skel->maps.cold), &key), 0);
	expect("cold program missing", &in, XDP_DROP, LB_OUTCOME_DROP_INTERNAL);
}

static void backend(__u16 bidx, enum lb_encap encap, __u16 mtu, __u8 tx_port)
{
	struct lb_backend_spec s = { .encap = encap, .link_mtu = mtu, .gue_port = 6080, .tx_port = tx_port };

	fixture_mapped(s.src, "10.0.0.1");
	fixture_mapped(s.dst, "10.0.0.2");
	lb_backend_build(&fix.backends[bidx], &s);
}

static int setup(void **state)
{
	static const __u16 owner[] = { [WEB] = B_WEB, [EMPTY] = 0, [NOHOP] = B_NOHOP, [LOCAL] = B_LOCAL,
				       [SMALL] = B_SMALL, [FAR] = B_FAR };
	__u16 sid;

	fixture_up(&fix, NULL);
	for (sid = WEB; sid <= FAR; sid++) {
		fixture_service(&fix, sid, sid == WEB ? 80 : 1000 + sid, 6, 0, M, sid * 2u);
		fixture_slots(&fix, sid * 2u, M, owner[sid]);
	}
	fixture_service(&fix, WEB, 53, 17, 0, M, WEB * 2u);
	backend(B_WEB, LB_ENCAP_IP4, 1500, 0);
	backend(B_LOCAL, LB_ENCAP_LOCAL, 1500, 0);
	backend(B_SMALL, LB_ENCAP_IP4, 1300, 0);
	backend(B_FAR, LB_ENCAP_IP4, 1500, 9);
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
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_not_ip),
		cmocka_unit_test(test_cut_at_every_length),
		cmocka_unit_test(test_cut_not_ours),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_routing_header_goes_on),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_cold_program_missing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
