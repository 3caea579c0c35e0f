/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexthop.h - where packets to a backend go next, from the kernel's own routes and neighbours (rtnetlink,
 * libmnl).
 *
 * The module keeps a list of addresses to watch. Each is resolved by RTM_GETROUTE, so rules, tables, metrics
 * and multipath are the kernel's business (a lookup of a local packet: no mark, no input interface); then
 * comes the neighbour of the gateway or of the address itself. The kernel is asked to resolve that neighbour
 * and to keep it fresh while only XDP uses it: a managed entry since Linux 5.16, on older ones a reminder
 * (NTF_USE) every few seconds.
 *
 * Events of links, addresses, routes, rules, next-hop objects and neighbours are gathered for 5 ms; then what
 * they touch is looked up again and answers that changed are reported. Route events that cover no watched
 * address cost nothing more, and all look-ups together take at most some 5% of one CPU (answers are late
 * then, by 1 s at most). When events are lost, all is read again; so it is every 30 s, for the few things
 * that send no event (sysctls). One fd and two timers in the event loop, no threads, nothing blocking. Used
 * from one thread only.
 */
#pragma once
#include "core/addr.h"
#include "core/err.h"
#include "core/nexthop_answer.h" /* struct nexthop */
#include <linux/types.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

struct nexthops;
/* Comes from the event loop only, never from within a function below. May call nexthops_watch() and
 * nexthops_get(). */
typedef void (*nexthop_changed_fn)(const struct lb_addr *addr, const struct nexthop *nh, void *userdata);
/*
 * For every interface once after nexthops_new(), and whenever it appears, goes, gets another index or changes
 * between up (administratively, with carrier) and not. @ifindex 0: there is no interface of that name now.
 * From the event loop.
 */
typedef void (*nexthop_link_fn)(const char *ifname, unsigned int ifindex, bool up, void *userdata);

/* @link may be NULL. @event is referenced. On success *@out owns its sockets and timers. */
int nexthops_new(struct nexthops **out, sd_event *event, nexthop_changed_fn changed, nexthop_link_fn link,
		 void *userdata, struct err *err);
/* Neighbours stay managed: a data plane without its daemon goes on, and the next daemon takes them over. */
void nexthops_free(struct nexthops *n);
/*
 * Watch exactly @addrs (sorted, unique). New ones are looked up at once (some 10 us each), so nexthops_get()
 * has what the kernel knows when this returns; `changed` follows from the loop for each new one, and when
 * neighbours resolve. Addresses that stay keep their answers; dropped ones are forgotten, their neighbours no
 * longer managed. -EINVAL: not sorted or not unique; -ENOMEM: the old list stays.
 */
int nexthops_watch(struct nexthops *n, const struct lb_addr *addrs, unsigned int count, struct err *err);
/* Last known answer; NULL when not watched. Valid until the next call that changes the list, or the next
 * callback. */
const struct nexthop *nexthops_get(const struct nexthops *n, const struct lb_addr *addr);

/* What it has been doing, for status and tests. */
struct nexthop_stats {
	__u64 events;        /* netlink messages heard */
	__u64 route_lookups; /* RTM_GETROUTE sent */
	__u64 resyncs;       /* everything read again because events were lost */
	__u64 changes;       /* answers reported */
};
void nexthops_stats(const struct nexthops *n, struct nexthop_stats *out);
