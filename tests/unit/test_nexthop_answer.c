// SPDX-License-Identifier: Apache-2.0
/* test_nexthop_answer.c - every way an answer can come out, from made-up records. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "core/nexthop_answer.h"
#include <linux/rtnetlink.h>

static const struct nh_link eth0 = {
	.ifindex = 2,
	.name = "eth0",
	.mac = {2, 0, 0, 0, 0, 1},
	.ethernet = true,
	.admin_up = true,
	.running = true,
	.mtu = 1500,
};
static const struct nh_link vlan7 = {
	.ifindex = 9,
	.name = "eth0.7",
	.mac = {2, 0, 0, 0, 0, 7},
	.ethernet = true,
	.admin_up = true,
	.running = true,
	.mtu = 1496,
	.lower = 2,
	.is_vlan = true,
	.vlan_id = 7,
	.vlan_proto = 0x8100,
};
static const struct nh_link lo = {
	.ifindex = 1,
	.name = "lo",
	.loopback = true,
	.admin_up = true,
	.running = true,
	.mtu = 65536,
};
static const struct nh_neigh good = {.state = 2, .has_mac = true, .mac = {2, 0, 0, 0, 0, 9}};

struct row {
	const char *name;
	struct nh_route route;
	const struct nh_link *link, *lower;
	const struct nh_neigh *neigh;
	const char *text; /* nexthop_format() */
};

#define UNICAST                                                                                              \
	{                                                                                                    \
		.type = RTN_UNICAST, .oif = 2                                                                \
	}
#define LINK(...)                                                                                            \
	&(const struct nh_link)                                                                              \
	{                                                                                                    \
		.ifindex = 2, .name = "x", __VA_ARGS__                                                       \
	}
#define NEIGH(...)                                                                                           \
	&(const struct nh_neigh)                                                                             \
	{                                                                                                    \
		__VA_ARGS__                                                                                  \
	}

static const struct row rows[] = {
	{"on link", UNICAST, &eth0, NULL, &good, "eth0 via 10.0.0.2 (02:00:00:00:00:09)"},
	{"vlan",
	 {.type = RTN_UNICAST, .oif = 9},
	 &vlan7,
	 &eth0,
	 &good,
	 "eth0 vlan 7 via 10.0.0.2 (02:00:00:00:00:09)"},
	{"local", {.type = RTN_LOCAL, .oif = 1}, &lo, NULL, NULL, "local"},
	{"unicast by lo", {.type = RTN_UNICAST, .oif = 1}, &lo, NULL, NULL, "local"},
	{"no route", {.error = -ENETUNREACH}, NULL, NULL, NULL, "no route to 10.0.0.2"},
	{"unreachable", {.error = -EHOSTUNREACH}, NULL, NULL, NULL, "the route to 10.0.0.2 says unreachable"},
	{"prohibit", {.error = -EACCES}, NULL, NULL, NULL, "the route to 10.0.0.2 says prohibit"},
	{"blackhole", {.error = -EINVAL}, NULL, NULL, NULL, "the route to 10.0.0.2 says blackhole"},
	{"other error",
	 {.error = -ENOMEM},
	 NULL,
	 NULL,
	 NULL,
	 "looking up the route to 10.0.0.2 failed: Cannot allocate memory"},
	{"blackhole as a type",
	 {.type = RTN_BLACKHOLE, .oif = 2},
	 &eth0,
	 NULL,
	 NULL,
	 "the route to 10.0.0.2 is blackhole"},
	{"broadcast",
	 {.type = RTN_BROADCAST, .oif = 2},
	 &eth0,
	 NULL,
	 NULL,
	 "the route to 10.0.0.2 is broadcast"},
	{"odd type",
	 {.type = 99, .oif = 2},
	 &eth0,
	 NULL,
	 NULL,
	 "the route to 10.0.0.2 is of an unknown type"},
	{"link unknown", UNICAST, NULL, NULL, &good,
	 "the interface of the route to 10.0.0.2 (index 2) is gone"},
	{"neighbour unknown", UNICAST, &eth0, NULL, NULL, "neighbour 10.0.0.2 on eth0 is being resolved"},
	{"neighbour incomplete", UNICAST, &eth0, NULL, NEIGH(.state = 1),
	 "neighbour 10.0.0.2 on eth0 is being resolved"},
	{"neighbour failed", UNICAST, &eth0, NULL, NEIGH(.state = 0x20, .failed = true),
	 "neighbour 10.0.0.2 on eth0 does not answer"},
	{"still failed while tried again", UNICAST, &eth0, NULL, NEIGH(.state = 1, .failed = true),
	 "neighbour 10.0.0.2 on eth0 does not answer"},
	{"table full", UNICAST, &eth0, NULL, NEIGH(.error = -ENOBUFS),
	 "neighbour table is full: 10.0.0.2 on eth0, raise gc_thresh3"},
	{"asking failed", UNICAST, &eth0, NULL, NEIGH(.error = -EPERM),
	 "neighbour 10.0.0.2 on eth0: Operation not permitted"},
	{"link down", UNICAST, LINK(.ethernet = true), NULL, &good, "x is down"},
	{"no carrier", UNICAST, LINK(.ethernet = true, .admin_up = true), NULL, &good, "x has no carrier"},
	{"tunnel", UNICAST, LINK(.admin_up = true, .running = true), NULL, &good,
	 "x is not an Ethernet interface"},
	{"vlan without its lower",
	 {.type = RTN_UNICAST, .oif = 9},
	 &vlan7,
	 NULL,
	 &good,
	 "the interface below eth0.7 is not in this network namespace"},
	{"vlan on a vlan",
	 {.type = RTN_UNICAST, .oif = 9},
	 &vlan7,
	 &vlan7,
	 &good,
	 "eth0.7 is a VLAN on a VLAN: only one tag can be sent"},
	{"vlan on a dead lower",
	 {.type = RTN_UNICAST, .oif = 9},
	 &vlan7,
	 LINK(.ethernet = true, .admin_up = true),
	 &good,
	 "x has no carrier"},
	{"802.1ad", UNICAST,
	 LINK(.ethernet = true, .admin_up = true, .running = true, .is_vlan = true, .vlan_proto = 0x88a8),
	 &eth0, &good, "x uses VLAN protocol 0x88a8: only 802.1Q can be sent"},
};

static void every_way(void **state)
{
	struct lb_addr a;

	addr_parse("10.0.0.2", &a);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		char text[NEXTHOP_STRLEN];
		struct nexthop nh;

		nexthop_answer(&a, &r->route, r->link, r->lower, r->neigh, &nh);
		if (strcmp(nexthop_format(&nh, text), r->text) != 0)
			fail_msg("%s: \"%s\", want \"%s\"", r->name, text, r->text);
		if (nh.ok != (nh.why[0] == '\0'))
			fail_msg("%s: a reason exactly when it is not ok", r->name);
	}
}

static void vlan_fields(void **state)
{
	struct nh_route route = {.type = RTN_UNICAST, .oif = 9, .mtu = 1300};
	struct lb_addr a;
	struct nexthop nh;

	addr_parse("10.0.0.2", &a);
	nexthop_answer(&a, &route, &vlan7, &eth0, &good, &nh);
	assert_true(nh.ok && nh.has_vlan);
	assert_int_equal(nh.vlan_id, 7);
	assert_int_equal(nh.ifindex, 2);               /* frames leave by the lower device... */
	assert_memory_equal(nh.src_mac, vlan7.mac, 6); /* ...with the VLAN's address */
	assert_int_equal(nh.mtu, 1300);
	route.mtu = 9000;
	nexthop_answer(&a, &route, &vlan7, &eth0, &good, &nh);
	assert_int_equal(nh.mtu, 1496);
}

/* Each field that the data plane uses must count as a change. */
static void equality(void **state)
{
	struct nh_route route = UNICAST;
	struct nexthop a, b;
	struct lb_addr addr;

	addr_parse("10.0.0.2", &addr);
	nexthop_answer(&addr, &route, &eth0, NULL, &good, &a);
#define DIFFERS(field)                                                                                       \
	do {                                                                                                 \
		b = a;                                                                                       \
		b.field ^= 1;                                                                                \
		if (nexthop_equal(&a, &b))                                                                   \
			fail_msg("%s", #field);                                                              \
	} while (0)
	DIFFERS(ok);
	DIFFERS(local);
	DIFFERS(ifindex);
	DIFFERS(ifname[0]);
	DIFFERS(dst_mac[5]);
	DIFFERS(src_mac[0]);
	DIFFERS(has_vlan);
	DIFFERS(vlan_id);
	DIFFERS(mtu);
	DIFFERS(gateway.b[15]);
	DIFFERS(source.b[15]);
	DIFFERS(why[0]);
	b = a;
	assert_true(nexthop_equal(&a, &b));
}

static void when_a_neighbour_is_wanted(void **state)
{
	struct nh_route unicast = UNICAST, local = {.type = RTN_LOCAL, .oif = 1},
			none = {.error = -ENETUNREACH};

	assert_true(nexthop_wants_neigh(&unicast, &eth0));
	assert_false(nexthop_wants_neigh(&unicast, &lo));
	assert_false(nexthop_wants_neigh(&unicast, NULL));
	assert_false(nexthop_wants_neigh(&local, &eth0));
	assert_false(nexthop_wants_neigh(&none, &eth0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way),
		cmocka_unit_test(vlan_fields),
		cmocka_unit_test(equality),
		cmocka_unit_test(when_a_neighbour_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
