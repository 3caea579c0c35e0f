/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexthop_internal.h - shared by nexthop.c (watch list, decisions, scheduling), nexthop_events.c (what
 * netlink says) and nexthop_neigh.c (neighbours: look up, have resolved, keep fresh). Nobody else includes
 * this.
 */
#pragma once
#define HASH_NONFATAL_OOM 1
#include "nexthop.h"
#include "rtnl_decode.h"
#include "rtnl_socket.h"
#include <uthash.h>

/* Who made a neighbour entry (NDA_PROTOCOL), so that a later daemon finds what an earlier one left managed.
 */
#define NEXTHOP_PROTOCOL 108

struct link_entry {
	struct nh_link link; /* key: link.ifindex */
	bool reported;       /* link_fn knows this name and index... */
	bool reported_up;    /* ...with this state */
	bool seen;           /* in the dump under way */
	struct link_entry *next_gone;
	UT_hash_handle hh;
};

struct neigh_key {
	unsigned int ifindex;
	struct lb_addr addr;
};
struct neigh_entry {
	struct neigh_key key;
	struct nh_neigh rec;
	bool managed; /* the kernel says that it keeps the entry fresh */
	bool asked;   /* we have asked for that */
	bool ask_again;
	bool last_chance;  /* the next failure is final: the MAC known last does not answer, or the entry was
			      lost */
	bool dirty;        /* what the kernel has is not known */
	unsigned int refs; /* watches that use it */
	UT_hash_handle hh;
};

struct watch {
	struct lb_addr addr;
	struct nh_route route;
	struct nexthop answer;
	struct neigh_entry *neigh; /* counted; NULL when the route needs none */
	bool dirty;                /* the route must be looked up */
	bool notify;               /* answer was never reported */
};

struct nexthops {
	sd_event *event;
	sd_event_source *io, *timer, *tick;
	struct rtnl_socket ask, events;
	nexthop_changed_fn changed;
	nexthop_link_fn link_fn;
	void *userdata;

	struct watch *watches; /* sorted by address */
	unsigned int n_watches;
	unsigned int epoch; /* bumped when `watches` is replaced: a callback may do that */
	struct link_entry *links;
	struct link_entry *gone; /* removed ones that link_fn has yet to hear of */
	struct neigh_entry *neighs;

	bool links_dirty;                /* dump them again */
	bool overrun;                    /* events were lost: resync as soon as the queue is empty */
	bool pending;                    /* the timer is armed */
	bool swept;                      /* leftovers of an earlier daemon were looked for */
	unsigned int cursor;             /* where the round of look-ups under way goes on */
	uint64_t lookups_took_usec;      /* by that round */
	uint64_t routes_not_before_usec; /* rate limit of look-ups, CLOCK_MONOTONIC */
	unsigned int ticks;
	struct nexthop_stats stats;
};

/* nexthop.c */
void nexthop_schedule(struct nexthops *n, uint64_t delay_usec);
/* Watched addresses inside the prefix (as in struct rtnl_route) must be looked up again. True when there are
 * any. */
bool nexthop_mark_prefix(struct nexthops *n, const struct lb_addr *dst, unsigned int prefix);
void nexthop_mark_all(struct nexthops *n);
#define NEXTHOP_GATHER_USEC 5000u

/* nexthop_events.c */
int nexthop_on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata);
int nexthop_dump_links(struct nexthops *n);
struct link_entry *nexthop_find_link(struct nexthops *n, unsigned int ifindex);
/* Tell link_fn what it does not know yet. */
void nexthop_report_links(struct nexthops *n);
void nexthop_free_links(struct nexthops *n);
int nexthop_open_events(struct nexthops *n, struct err *err);

/* nexthop_neigh.c */
/* The entry for @key, looked up in the kernel when new here, one more reference. NULL: out of memory. */
struct neigh_entry *nexthop_neigh_get(struct nexthops *n, const struct neigh_key *key);
/* One reference less; without any the kernel need not keep it fresh for us. */
void nexthop_neigh_put(struct nexthops *n, struct neigh_entry *e);
void nexthop_neigh_event(struct nexthops *n, const struct rtnl_neigh *m, bool deleted);
/* Read again what is dirty; ask the kernel to resolve what is not resolved or not kept fresh. */
void nexthop_neigh_maintain(struct nexthops *n);
/* Every few seconds: entries that the kernel does not manage need a reminder. */
void nexthop_neigh_tick(struct nexthops *n);
/* Once: neighbours that an earlier daemon left managed and that nobody watches now are let go. */
void nexthop_neigh_sweep(struct nexthops *n);
