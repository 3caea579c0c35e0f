// SPDX-License-Identifier: Apache-2.0
/* test_nexthop.c - next hops of single addresses, against the kernel's own routes and neighbours. */
#include "nexthop_world.h"
#include <sys/utsname.h>

static void resolves_on_link(void **state)
{
	struct world *w = *state;
	const struct nexthop *nh;
	char text[NEXTHOP_STRLEN];

	watch1(w, "10.0.0.2");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	nh = answer(w, "10.0.0.2");
	assert_string_equal(nh->ifname, "v0");
	assert_true(mac_is(nh->dst_mac, "02:00:00:00:00:02"));
	assert_true(mac_is(nh->src_mac, "02:00:00:00:00:01"));
	assert_int_equal(nh->mtu, 1500);
	assert_false(nh->local || nh->has_vlan);
	assert_true(addr_is(&nh->source, "10.0.0.1"));
	assert_true(addr_is(&nh->gateway, "10.0.0.2"));
	assert_true(nexthop_equal(nh, &w->last));
	assert_string_equal(nexthop_format(nh, text), "v0 via 10.0.0.2 (02:00:00:00:00:02)");
}

static void resolves_at_once_what_is_known(void **state)
{
	struct world *w = *state;

	must("ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0 nud permanent");
	watch1(w, "10.0.0.2");
	assert_true(answer(w, "10.0.0.2")->ok);
	assert_int_equal(w->changes, 0);
	spin_until(w, w->changes == 1);
	/* A static entry is the administrator's: still there, still static. */
	assert_non_null(strstr(sh_read("ip neigh show 10.0.0.2"), "PERMANENT"));
}

static void resolves_ipv6(void **state)
{
	struct world *w = *state;

	must("ip -6 route add fd77::/64 via fd00::2");
	watch1(w, "fd77::9");
	spin_until(w, answer(w, "fd77::9")->ok);
	assert_string_equal(answer(w, "fd77::9")->ifname, "v0");
	assert_true(addr_is(&answer(w, "fd77::9")->gateway, "fd00::2"));
	assert_true(addr_is(&answer(w, "fd77::9")->source, "fd00::1"));
	assert_true(mac_is(answer(w, "fd77::9")->dst_mac, "02:00:00:00:00:02"));
}

static void gateway_and_mtu_metric(void **state)
{
	struct world *w = *state;

	must("ip route add 10.9.0.0/16 via 10.0.0.2 mtu 1400");
	watch1(w, "10.9.1.1");
	spin_until(w, answer(w, "10.9.1.1")->ok);
	assert_int_equal(answer(w, "10.9.1.1")->mtu, 1400);
	assert_true(addr_is(&answer(w, "10.9.1.1")->gateway, "10.0.0.2"));
	must("ip route change 10.9.0.0/16 via 10.0.0.2 mtu 9000");
	spin_until(w, answer(w, "10.9.1.1")->mtu == 1500); /* never above the interface's */
}

static void unnumbered_gateway(void **state)
{
	struct world *w = *state;

	must("ip route add 10.9.0.0/16 via inet6 fd00::2 dev v0");
	watch1(w, "10.9.1.1");
	spin_until(w, answer(w, "10.9.1.1")->ok);
	assert_true(mac_is(answer(w, "10.9.1.1")->dst_mac, "02:00:00:00:00:02"));
	assert_true(addr_is(&answer(w, "10.9.1.1")->gateway, "fd00::2"));
}

static void onlink_gateway(void **state)
{
	struct world *w = *state;

	must("ip -n peer addr add 192.0.2.1/32 dev v1; ip route add 10.9.0.0/16 via 192.0.2.1 dev v0 onlink");
	watch1(w, "10.9.1.1");
	spin_until(w, answer(w, "10.9.1.1")->ok);
	assert_true(addr_is(&answer(w, "10.9.1.1")->gateway, "192.0.2.1"));
}

static void neighbour_mac_changes(void **state)
{
	struct world *w = *state;

	watch1(w, "10.0.0.2");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	spin(w, 0.05);
	w->changes = 0;
	must("ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:aa dev v0 nud reachable");
	spin_until(w, w->changes == 1);
	assert_true(mac_is(w->last.dst_mac, "02:00:00:00:00:aa"));
}

static void own_mac_changes(void **state)
{
	struct world *w = *state;

	watch1(w, "10.0.0.2");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	must("ip link set v0 address 02:00:00:00:00:bb");
	spin_until(w,
		   mac_is(answer(w, "10.0.0.2")->src_mac, "02:00:00:00:00:bb") && answer(w, "10.0.0.2")->ok);
	must("ip link set v0 mtu 1400");
	spin_until(w, answer(w, "10.0.0.2")->mtu == 1400);
}

static void route_moves(void **state)
{
	struct world *w = *state;

	must("ip route add 10.9.0.0/16 via 10.0.0.2");
	watch1(w, "10.9.1.1");
	spin_until(w, answer(w, "10.9.1.1")->ok);
	must("ip route add 10.9.1.0/24 via 10.1.0.2");
	spin_until(w, answer(w, "10.9.1.1")->ok && strcmp(answer(w, "10.9.1.1")->ifname, "w0") == 0);
	assert_true(mac_is(answer(w, "10.9.1.1")->dst_mac, "02:00:00:00:01:02"));
	must("ip route del 10.9.1.0/24");
	spin_until(w, strcmp(answer(w, "10.9.1.1")->ifname, "v0") == 0);
	must("ip route add 10.9.1.1 via 10.1.0.2 table 77; ip rule add to 10.9.0.0/16 lookup 77 pref 100");
	spin_until(w, strcmp(answer(w, "10.9.1.1")->ifname, "w0") == 0);
}

static void nexthop_object_moves(void **state)
{
	struct world *w = *state;

	/* Otherwise the kernel sends an event for each route as well. */
	must("echo 0 > /proc/sys/net/ipv4/nexthop_compat_mode");
	must("ip nexthop add id 5 via 10.0.0.2 dev v0; ip route add 10.9.0.0/16 nhid 5");
	watch1(w, "10.9.1.1");
	spin_until(w, answer(w, "10.9.1.1")->ok);
	must("ip nexthop replace id 5 via 10.1.0.2 dev w0");
	spin_until(w, answer(w, "10.9.1.1")->ok && strcmp(answer(w, "10.9.1.1")->ifname, "w0") == 0);
}

/* Are these words in the log, in this order? Ends with NULL. */
static bool log_has(const char *log, const char *word, ...)
{
	va_list ap;

	va_start(ap, word);
	for (; word && log; word = va_arg(ap, const char *)) {
		log = strstr(log, word);
		log = log ? log + 1 : NULL;
	}
	va_end(ap);
	return log;
}

static void link_down_and_up(void **state)
{
	struct world *w = *state;

	watch1(w, "10.0.0.2");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	must("ip -n peer link set v1 down");
	spin_until(w, !answer(w, "10.0.0.2")->ok);
	assert_string_equal(answer(w, "10.0.0.2")->why, "v0 has no carrier");
	must("ip -n peer link set v1 up");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	must("ip link set v0 down"); /* IPv4 routes go without an event of their own */
	spin_until(w, !answer(w, "10.0.0.2")->ok);
	assert_string_equal(answer(w, "10.0.0.2")->why, "no route to 10.0.0.2");
	must("ip link set v0 up");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	assert_true(log_has(w->link_log, "v0:up", "v0:down", "v0:up", "v0:down", "v0:up", NULL));
	must("ip link del v0");
	spin_until(w, strstr(w->link_log, "v0:gone"));
	assert_false(answer(w, "10.0.0.2")->ok);
}

static void link_renamed(void **state)
{
	struct world *w = *state;

	spin_until(w, strstr(w->link_log, "w0:up"));
	must("ip link set w0 down; ip link set w0 name w9; ip link set w9 up");
	spin_until(w, strstr(w->link_log, "w0:gone") && strstr(w->link_log, "w9:up"));
	must("ip link set w9 down; ip link set w9 name w0");
}

static void refused_routes(void **state)
{
	static const struct {
		const char *route, *why;
	} cases[] = {
		{"blackhole", "the route to 10.9.1.1 says blackhole"},
		{"unreachable", "the route to 10.9.1.1 says unreachable"},
		{"prohibit", "the route to 10.9.1.1 says prohibit"},
	};
	struct world *w = *state;

	must("ip route add 10.9.0.0/16 via 10.0.0.2");
	watch1(w, "10.9.1.1");
	spin_until(w, answer(w, "10.9.1.1")->ok);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		must("ip route add %s 10.9.1.0/24", cases[i].route);
		spin_until(w, !answer(w, "10.9.1.1")->ok);
		assert_string_equal(answer(w, "10.9.1.1")->why, cases[i].why);
		must("ip route del %s 10.9.1.0/24", cases[i].route);
		spin_until(w, answer(w, "10.9.1.1")->ok);
	}
	must("ip route del 10.9.0.0/16");
	spin_until(w, !answer(w, "10.9.1.1")->ok);
	assert_string_equal(answer(w, "10.9.1.1")->why, "no route to 10.9.1.1");
	watch1(w, "10.0.255.255");
	assert_string_equal(answer(w, "10.0.255.255")->why, "the route to 10.0.255.255 is broadcast");
}

static void local_address(void **state)
{
	struct world *w = *state;

	watch1(w, "10.0.0.77");
	assert_false(answer(w, "10.0.0.77")->ok);
	must("ip addr add 10.0.0.77/32 dev v0");
	spin_until(w, answer(w, "10.0.0.77")->ok);
	assert_true(answer(w, "10.0.0.77")->local);
	must("ip addr del 10.0.0.77/32 dev v0");
	spin_until(w, !answer(w, "10.0.0.77")->local);
	watch1(w, "fd00::1");
	assert_true(answer(w, "fd00::1")->ok && answer(w, "fd00::1")->local);
}

static void stale_stays_usable(void **state)
{
	struct world *w = *state;

	watch1(w, "10.0.0.2");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	spin(w, 0.05);
	w->changes = 0;
	must("ip neigh change 10.0.0.2 dev v0 nud stale");
	spin(w, 0.1);
	assert_int_equal(w->changes, 0);
	assert_true(answer(w, "10.0.0.2")->ok);
}

/* An entry that vanishes under us is resolved anew, and meanwhile the MAC known last serves. */
static void flushed_neighbour(void **state)
{
	struct world *w = *state;

	watch1(w, "10.0.0.2");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	spin(w, 0.05);
	w->changes = 0;
	must("ip neigh flush dev v0");
	spin(w, 0.2);
	assert_int_equal(w->changes, 0);
	assert_non_null(strstr(sh_read("ip neigh show 10.0.0.2"), "02:00:00:00:00:02"));
	/* ... but not when the resolution fails. */
	must("ip -n peer addr flush dev v1; ip neigh flush dev v0");
	spin_until(w, !answer(w, "10.0.0.2")->ok);
	assert_string_equal(answer(w, "10.0.0.2")->why, "neighbour 10.0.0.2 on v0 does not answer");
	w->changes = 0;
	spin(w, 0.3);
	assert_int_equal(w->changes, 0);
}

static void failed_then_appears(void **state)
{
	struct world *w = *state;

	watch1(w, "10.0.0.99");
	assert_string_equal(answer(w, "10.0.0.99")->why, "neighbour 10.0.0.99 on v0 is being resolved");
	spin_until(w, strstr(answer(w, "10.0.0.99")->why, "does not answer"));
	must("ip -n peer addr add 10.0.0.99/16 dev v1");
	spin_until(w, answer(w, "10.0.0.99")->ok); /* the kernel tries every 5 s */
}

/* Nobody but us uses the entry; with collection times this short it would be gone soon. */
static void kept_fresh(void **state)
{
	struct world *w = *state;

	must("cd /proc/sys/net/ipv4/neigh/v0; echo 1 > gc_stale_time; echo 500 > base_reachable_time_ms; "
	     "echo 1 > delay_first_probe_time");
	watch1(w, "10.0.0.2");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	spin(w, 3);
	assert_true(answer(w, "10.0.0.2")->ok);
	assert_non_null(strstr(sh_read("ip neigh show 10.0.0.2"), "02:00:00:00:00:02"));
	must("ip -n peer link set v1 address 02:00:00:00:00:cc");
	spin_until(w, mac_is(answer(w, "10.0.0.2")->dst_mac, "02:00:00:00:00:cc"));
}

/* The old MAC does not answer; the address is asked for anew before it is given up, so no "not ok" comes
 * between. */
static void address_moves_to_another_mac(void **state)
{
	struct world *w = *state;

	watch1(w, "10.0.0.2");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	spin(w, 0.05);
	w->changes = 0;
	must("ip -n peer link set v1 address 02:00:00:00:00:cc; ip neigh change 10.0.0.2 dev v0 nud probe");
	spin_until(w, mac_is(answer(w, "10.0.0.2")->dst_mac, "02:00:00:00:00:cc"));
	assert_int_equal(w->changes, 1);
}

static bool kernel_is_older_than(int major, int minor)
{
	struct utsname u;
	int a = 0, b = 0;

	uname(&u);
	assert_int_equal(sscanf(u.release, "%d.%d", &a, &b), 2);
	return a < major || (a == major && b < minor);
}

static void lets_go(void **state)
{
	struct world *w = *state;

	watch1(w, "10.0.0.2");
	spin_until(w, answer(w, "10.0.0.2")->ok);
	if (kernel_is_older_than(5, 16))
		skip();
	assert_non_null(strstr(sh_read("ip -d neigh show 10.0.0.2"), "managed"));
	watch1(w, "10.1.0.2");
	assert_null(strstr(sh_read("ip -d neigh show 10.0.0.2"), "managed"));
	spin_until(w, answer(w, "10.1.0.2")->ok);
	/* The next daemon finds what this one leaves, and lets go of what it does not watch. */
	nexthops_free(w->n);
	assert_non_null(strstr(sh_read("ip -d neigh show 10.1.0.2"), "managed"));
	assert_int_equal(nexthops_new(&w->n, w->event, on_changed, on_link_change, w, NULL), 0);
	watch1(w, "10.0.0.2");
	assert_null(strstr(sh_read("ip -d neigh show 10.1.0.2"), "managed"));
}

static void bad_lists_are_refused(void **state)
{
	struct world *w = *state;
	struct lb_addr two[2] = {ip("10.0.0.2"), ip("10.0.0.2")};
	struct err err = {0};

	watch1(w, "10.0.0.2");
	assert_int_equal(nexthops_watch(w->n, two, 2, &err), -EINVAL);
	assert_non_null(nexthops_get(w->n, &two[0]));
	assert_int_equal(nexthops_watch(w->n, NULL, 0, NULL), 0);
	assert_null(nexthops_get(w->n, &two[0]));
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_up, world_down)
int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		T(resolves_on_link),
		T(resolves_at_once_what_is_known),
		T(resolves_ipv6),
		T(gateway_and_mtu_metric),
		T(unnumbered_gateway),
		T(onlink_gateway),
		T(neighbour_mac_changes),
		T(own_mac_changes),
		T(route_moves),
		T(nexthop_object_moves),
		T(link_down_and_up),
		T(link_renamed),
		T(refused_routes),
		T(local_address),
		T(stale_stays_usable),
		T(flushed_neighbour),
		T(failed_then_appears),
		T(kept_fresh),
		T(address_moves_to_another_mac),
		T(lets_go),
		T(bad_lists_are_refused),
	};
	int r = netns_enter();

	if (argc > 1)
		cmocka_set_test_filter(argv[1]); /* by hand: one test, with * and ? */
	return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
