/* SPDX-License-Identifier: Apache-2.0 */
/* A packet that does not fit the way to its backend is answered with the size that does. */
#include "cold.h"

static struct fixture fix;

enum { WEB = 1, BACKEND = 5, M = 61, LINK_MTU = 1500 };

static unsigned int overhead(enum pkt_tunnel tunnel)
{
	static const unsigned int bytes[] = { [PKT_IP4] = 20, [PKT_IP6] = 40, [PKT_GUE4] = 28, [PKT_GUE6] = 48,
					      [PKT_L2] = 0 };

	return bytes[tunnel];
}

/* What a router in front of a link of @mtu bytes would answer in the name of the destination of @in. */
static void answer(struct pkt *want, const struct pkt *in, bool v6, unsigned int l2, unsigned int mtu)
{
	const char *vip = VIP(v6), *client = CLIENT(v6);
	unsigned int quote = in->len - l2, most = v6 ? 1280 - 48 : 576 - 28, icmp, ip;

	if (quote > most)
		quote = most;
	want->len = 0;
	pkt_put(want, in->b + 6, 6);
	pkt_put(want, in->b, 6);
	pkt_put(want, in->b + 12, l2 - 12);
	ip = want->len;
	if (v6)
		pkt_ip6(want, 8 + quote, vip, client, 58, 0, 64, 0);
	else
		pkt_ip4(want, 8 + quote, vip, client, 1, 0xc0, 64, 0, 0x4000, 0);
	icmp = want->len;
	pkt_put8(want, v6 ? 2 : 3);
	pkt_put8(want, v6 ? 0 : 4);
	pkt_put16(want, 0);
	pkt_put32(want, mtu);
	pkt_put(want, in->b + l2, quote);
	cold_icmp_csum(want, v6, ip, icmp);
}

static const struct {
	const char *name;
	struct pkt_spec spec;
	unsigned int excess; /* bytes more than fit */
	int only;
} rows[] = {
	{ .name = "one byte", .excess = 1 },
	{ .name = "two bytes", .excess = 2 },
	{ .name = "don't fragment", .spec = { .frag = 0x4000 }, .excess = 20, .only = 4 },
	{ .name = "a full frame", .excess = 48 },
	{ .name = "one tag", .spec = { .vlan = { 7 } }, .excess = 3 },
	{ .name = "two tags", .spec = { .vlan = { 7, 8 } }, .excess = 4 },
	{ .name = "udp", .spec = { .proto = 17 }, .excess = 9 },
	{ .name = "options", .spec = { .opts = 12 }, .excess = 5, .only = 4 },
	{ .name = "extension headers", .spec = { .ext = { 60, 43 } }, .excess = 5, .only = 6 },
	{ .name = "dscp and ecn", .spec = { .tos = 0xff }, .excess = 1 },
	{ .name = "first fragment", .spec = { .frag = 0x2000 }, .excess = 8, .only = 4 },
	{ .name = "first fragment", .spec = { .frag = 1, .ext = { 44 } }, .excess = 8, .only = 6 },
	{ .name = "jumbo frame", .excess = 7000 },
};

/* Lengthen the payload until the IP packet has @len bytes. */
static void build(struct pkt *in, struct pkt_spec s, unsigned int len)
{
	s.payload = 0;
	pkt_build(in, &s);
	s.payload = len - (in->len - cold_l2(&s));
	pkt_build(in, &s);
}

static void check(size_t i, bool v6, enum pkt_tunnel tunnel)
{
	static struct pkt in, out, want;
	struct pkt_spec s = rows[i].spec;
	unsigned int mtu = LINK_MTU - overhead(tunnel);
	char what[100];

	snprintf(what, sizeof(what), "%s, %s, tunnel %d", rows[i].name, v6 ? "v6" : "v4", tunnel);
	s.v6 = v6;
	cold_tokens(&fix, COLD_ERROR, fixture_clock_ds(&fix), 100);
	build(&in, s, mtu + rows[i].excess);
	cold_run(&fix, what, &in, &out, XDP_TX, LB_OUTCOME_TX_TOO_BIG);
	answer(&want, &in, v6, cold_l2(&s), mtu);
	cold_same(what, &out, &want);
	build(&in, s, mtu);
	cold_run(&fix, what, &in, &out, XDP_TX, SENT(BACKEND));
}

static void test_answered(void **state)
{
	enum pkt_tunnel tunnel;
	size_t i;
	int v6;

	for (tunnel = PKT_IP4; tunnel <= PKT_L2; tunnel++) {
		cold_backend(&fix, BACKEND, tunnel, 0, LINK_MTU);
		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			for (v6 = 0; v6 < 2; v6++)
				if (rows[i].only != (v6 ? 4 : 6))
					check(i, v6, tunnel);
	}
}

/* A packet that is shorter than a quote may be is quoted whole. */
static void test_short_quote(void **state)
{
	static struct pkt in, out, want;

	cold_backend(&fix, BACKEND, PKT_IP4, 0, 320);
	cold_tokens(&fix, COLD_ERROR, fixture_clock_ds(&fix), 100);
	build(&in, (struct pkt_spec){ 0 }, 301);
	cold_run(&fix, "short", &in, &out, XDP_TX, LB_OUTCOME_TX_TOO_BIG);
	answer(&want, &in, false, 14, 300);
	cold_same("short", &out, &want);
}

/* Ethernet padding is no part of the packet. */
static void test_padding_is_not_quoted(void **state)
{
	static struct pkt in, out, want;

	cold_backend(&fix, BACKEND, PKT_IP4, 0, 320);
	cold_tokens(&fix, COLD_ERROR, fixture_clock_ds(&fix), 100);
	build(&in, (struct pkt_spec){ 0 }, 301);
	answer(&want, &in, false, 14, 300);
	pkt_put32(&in, 0xdeadbeef);
	cold_run(&fix, "padded", &in, &out, XDP_TX, LB_OUTCOME_TX_TOO_BIG);
	cold_same("padded", &out, &want);
}

static const struct {
	const char *name;
	struct pkt_spec spec;
	bool group_mac;
} silent[] = {
	{ "from nobody", { .src = "0.0.0.0" }, false },
	{ "from the loopback", { .src = "127.1.1.1" }, false },
	{ "from a group", { .src = "239.1.1.1" }, false },
	{ "from the vip", { .src = "203.0.113.10" }, false },
	{ "to a MAC group", { 0 }, true },
	{ "from nobody", { .v6 = true, .src = "::" }, false },
	{ "from a group", { .v6 = true, .src = "ff0e::1" }, false },
	{ "from the vip", { .v6 = true, .src = "2001:db8:ffff::10" }, false },
	{ "to a MAC group", { .v6 = true }, true },
};

static void test_not_answered(void **state)
{
	static struct pkt in, out, quoted;
	size_t i;
	int v6;

	cold_backend(&fix, BACKEND, PKT_IP4, 0, LINK_MTU);
	cold_tokens(&fix, COLD_ERROR, fixture_clock_ds(&fix), 100);
	for (i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		build(&in, silent[i].spec, 1500);
		in.b[0] |= silent[i].group_mac;
		cold_run(&fix, silent[i].name, &in, &out, XDP_DROP, LB_OUTCOME_DROP_TOO_BIG);
	}
	for (v6 = 0; v6 < 2; v6++) {
		struct pkt_spec s = { .v6 = v6 };

		pkt_build(&quoted, &(struct pkt_spec){ .v6 = v6, .src = VIP(v6), .dst = CLIENT(v6), .sport = 80,
						       .dport = 40000, .payload = 1440 });
		cold_icmp(&in, &s, v6 ? 1 : 3, 0, 0, quoted.b + 14, 1460);
		cold_run(&fix, "an error", &in, &out, XDP_DROP, LB_OUTCOME_DROP_TOO_BIG);
	}
	/* No IPv6 sender may go below 1280, so it is not asked to. */
	cold_backend(&fix, BACKEND, PKT_IP4, 0, 1299);
	for (v6 = 0; v6 < 2; v6++) {
		build(&in, (struct pkt_spec){ .v6 = v6 }, 1280);
		cold_run(&fix, "1279", &in, &out, v6 ? XDP_DROP : XDP_TX,
			 v6 ? LB_OUTCOME_DROP_TOO_BIG : LB_OUTCOME_TX_TOO_BIG);
	}
	cold_backend(&fix, BACKEND, PKT_IP4, 0, 1300);
	build(&in, (struct pkt_spec){ .v6 = true }, 1281);
	cold_run(&fix, "1280", &in, &out, XDP_TX, LB_OUTCOME_TX_TOO_BIG);
}

/* Its own bucket: pings do not use up what errors may. */
static void test_rate(void **state)
{
	static struct pkt in, out;
	struct fixture limited;
	int v6, i;

	fixture_up(&limited, &(struct fixture_options){ .error_rate = 5, .clock_stands = true });
	fixture_service(&limited, WEB, 80, 6, 0, M, 0);
	fixture_slots(&limited, 0, M, BACKEND);
	cold_backend(&limited, BACKEND, PKT_IP4, 0, LINK_MTU);
	for (v6 = 0; v6 < 2; v6++) {
		build(&in, (struct pkt_spec){ .v6 = v6 }, 1500);
		cold_tokens(&limited, COLD_ECHO, 0, 0);
		cold_tokens(&limited, COLD_ERROR, 0 - 4u, 11); /* and 4 x 5 tenths */
		for (i = 0; i < 3; i++)
			cold_run(&limited, "within", &in, &out, XDP_TX, LB_OUTCOME_TX_TOO_BIG);
		cold_run(&limited, "above", &in, &out, XDP_DROP, LB_OUTCOME_DROP_TOO_BIG);
	}
	fixture_down(&limited);
}

static int setup(void **state)
{
	fixture_up(&fix, NULL);
	fixture_service(&fix, WEB, 80, 6, 0, M, 0);
	fixture_service(&fix, WEB, 80, 17, 0, M, 0);
	fixture_slots(&fix, 0, M, BACKEND);
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
		cmocka_unit_test(test_answered),
		cmocka_unit_test(test_short_quote),
		cmocka_unit_test(test_padding_is_not_quoted),
		cmocka_unit_test(test_not_answered),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
