/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexthop.h - where packets to a backend go next, from the kernel's own routes and neighbours (rtnetlink, libmnl).
 *
 * The module keeps a list of addresses to watch, resolves each by RTM_GETROUTE, looks up the gateway's (or the
 * on-link address's) neighbour, asks the kernel to resolve it when it is not known (NTF_USE / a managed or probed
 * entry), and calls back when an answer changes. Events that matter: link, address, route, rule, neighbour. On
 * ENOBUFS or NLM_F_DUMP_INTR everything is dumped again. One fd in the event loop, no threads, nothing blocking.
 */
#pragma once
#include "core/addr.h"
#include "core/err.h"
#include <linux/types.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

struct nexthop {
	bool ok;
	bool local;          /* the address is this host's own */
	unsigned int ifindex; /* egress */
	char ifname[16];
	__u8 dst_mac[6], src_mac[6];
	bool has_vlan;       /* egress is a VLAN device: ifindex is the lower device's, vlan_id the tag */
	__u16 vlan_id;
	__u32 mtu;           /* of route or interface */
	struct lb_addr gateway; /* or the address itself when on-link */
	struct lb_addr source;  /* preferred source of the route, of the address's family */
	char why[96];        /* when !ok: "no route", "neighbour 10.0.2.1 on eth0 not resolved (FAILED)" ... */
};

struct nexthops;
typedef void (*nexthop_changed_fn)(const struct lb_addr *addr, const struct nexthop *nh, void *userdata);
/* Called for link events of any interface: name, present, running. */
typedef void (*nexthop_link_fn)(const char *ifname, unsigned int ifindex, bool up, void *userdata);

int nexthops_new(struct nexthops **out, sd_event *event, nexthop_changed_fn changed, nexthop_link_fn link, void *userdata,
		 struct err *err);
void nexthops_free(struct nexthops *n);
/* Watch exactly @addrs (sorted, unique): new ones are resolved soon, dropped ones forgotten. */
int nexthops_watch(struct nexthops *n, const struct lb_addr *addrs, unsigned int count, struct err *err);
/* Last known answer; NULL when not watched. */
const struct nexthop *nexthops_get(const struct nexthops *n, const struct lb_addr *addr);
