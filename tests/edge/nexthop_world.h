/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexthop_world.h - what the tests of nexthops share: this namespace with v0 and w0, whose other ends v1 and
 * w1 are in namespace "peer"; a watcher in an event loop that notes what it is told.
 */
#pragma once
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netns.h"
#include "nexthop.h"
#include <time.h>

struct world {
	sd_event *event;
	struct nexthops *n;
	unsigned int changes; /* callbacks so far */
	struct nexthop last;  /* of the last callback */
	struct lb_addr last_addr;
	char link_log[4096]; /* "v0:up v0:down v0:gone " */
};

static inline struct lb_addr ip(const char *text)
{
	struct lb_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static inline void on_changed(const struct lb_addr *addr, const struct nexthop *nh, void *userdata)
{
	struct world *w = userdata;

	w->changes++;
	w->last = *nh;
	w->last_addr = *addr;
}

static inline void on_link_change(const char *ifname, unsigned int ifindex, bool up, void *userdata)
{
	struct world *w = userdata;
	size_t len = strlen(w->link_log);

	snprintf(w->link_log + len, sizeof(w->link_log) - len, "%s:%s ", ifname,
		 !ifindex ? "gone"
		 : up     ? "up"
			  : "down");
}

static inline double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Let the loop run for @seconds. */
static inline void spin(struct world *w, double seconds)
{
	for (double end = now_s() + seconds; now_s() < end;)
		assert_true(sd_event_run(w->event, 5000) >= 0);
}

/* Let the loop run until @cond holds, 15 s at most. */
#define spin_until(w, cond)                                                                                  \
	do {                                                                                                 \
		for (double end_ = now_s() + 15; !(cond) && now_s() < end_;)                                 \
			assert_true(sd_event_run((w)->event, 20000) >= 0);                                   \
		if (!(cond))                                                                                 \
			fail_msg("not within 15 s: %s", #cond);                                              \
	} while (0)

static inline const struct nexthop *answer(struct world *w, const char *addr)
{
	struct lb_addr a = ip(addr);
	const struct nexthop *nh = nexthops_get(w->n, &a);

	assert_non_null(nh);
	return nh;
}

static inline bool mac_is(const __u8 *mac, const char *text)
{
	char s[18];

	snprintf(s, sizeof(s), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
	return strcmp(s, text) == 0;
}

static inline bool addr_is(const struct lb_addr *a, const char *text)
{
	struct lb_addr b = ip(text);

	return addr_cmp(a, &b) == 0;
}

static inline void watch1(struct world *w, const char *addr)
{
	struct lb_addr a = ip(addr);

	assert_int_equal(nexthops_watch(w->n, &a, 1, NULL), 0);
}

static inline int world_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err = {0};

	must("ip link set lo up; ip netns add peer; ip -n peer link set lo up\n"
	     "nodad='for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/accept_dad; done'\n"
	     "sh -c \"$nodad\"; ip netns exec peer sh -c \"$nodad\"\n"
	     "for p in v w; do ip link add ${p}0 address 02:00:00:00:00:01 type veth "
	     "  peer name ${p}1 address 02:00:00:00:00:02 netns peer\n"
	     "ip link set ${p}0 up; ip -n peer link set ${p}1 up; done\n"
	     "ip link set w0 address 02:00:00:00:01:01; ip -n peer link set w1 address 02:00:00:00:01:02\n"
	     "ip addr add 10.0.0.1/16 dev v0; ip -n peer addr add 10.0.0.2/16 dev v1\n"
	     "ip addr add 10.1.0.1/16 dev w0; ip -n peer addr add 10.1.0.2/16 dev w1\n"
	     "ip addr add fd00::1/64 dev v0 nodad; ip -n peer addr add fd00::2/64 dev v1 nodad\n"
	     "ip addr add fd01::1/64 dev w0 nodad; ip -n peer addr add fd01::2/64 dev w1 nodad\n"
	     "for i in ipv4/neigh/v0 ipv4/neigh/w0 ipv6/neigh/v0 ipv6/neigh/w0; do\n"
	     "echo 50 > /proc/sys/net/$i/retrans_time_ms; done");
	assert_true(sd_event_new(&w->event) >= 0);
	if (nexthops_new(&w->n, w->event, on_changed, on_link_change, w, &err))
		fail_msg("%s", err.msg);
	*state = w;
	return 0;
}

static inline int world_down(void **state)
{
	struct world *w = *state;

	nexthops_free(w->n);
	sd_event_unref(w->event);
	free(w);
	sh("exec 2>/dev/null; set +e; ip link del v0; ip link del w0; ip netns del peer; ip route flush "
	   "table all\n"
	   "ip rule flush; ip rule add pref 32766 table main; ip rule add pref 32767 table default; true");
	return 0;
}
