// SPDX-License-Identifier: Apache-2.0
/*
 * nexthop_events.c - hears netlink events, keeps the table of links, and marks what must be looked up again.
 *
 * It decides nothing and looks up nothing itself: events come in bursts, and the marks are worked off once
 * per burst.
 */
#include "nexthop_internal.h"

#include "core/cleanup.h"
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* 4 MiB hold some 10,000 events: more than any burst that we are slow to read but for a full BGP feed. */
#define RCVBUF_BYTES (4 << 20)
/* Buffers full (32 KiB) that one pass of the event loop reads. */
#define READS_PER_PASS 64

int nexthop_open_events(struct nexthops *n, struct err *err)
{
	static const unsigned int groups[] = {
		RTNLGRP_LINK,
		RTNLGRP_NEIGH,
		RTNLGRP_IPV4_IFADDR,
		RTNLGRP_IPV6_IFADDR,
		RTNLGRP_IPV4_ROUTE,
		RTNLGRP_IPV6_ROUTE,
		RTNLGRP_IPV4_RULE,
		RTNLGRP_IPV6_RULE,
		/* Routes that name a next-hop object change with it, and no route event says so. */
		RTNLGRP_NEXTHOP,
	};

	return rtnl_open_events(&n->events, groups, ARRAY_SIZE(groups), RCVBUF_BYTES, err);
}

struct link_entry *nexthop_find_link(struct nexthops *n, unsigned int ifindex)
{
	struct link_entry *e;

	HASH_FIND(hh, n->links, &ifindex, sizeof(ifindex), e);
	return e;
}

static bool link_is_up(const struct nh_link *l)
{
	return l->admin_up && l->running;
}

static void tell(struct nexthops *n, const char *name, unsigned int ifindex, bool up)
{
	if (n->link_fn)
		n->link_fn(name, ifindex, up, n->userdata);
}

/* link_fn hears of it later: this runs in the middle of a dump or a burst, and a callback may ask for more.
 */
static void remove_link(struct nexthops *n, struct link_entry *e)
{
	HASH_DEL(n->links, e);
	e->next_gone = n->gone;
	n->gone = e;
}

static void put_link(struct nexthops *n, const struct nh_link *l)
{
	struct link_entry *e = nexthop_find_link(n, l->ifindex);

	if (e && strcmp(e->link.name, l->name) != 0) { /* renamed: the old name is gone */
		remove_link(n, e);
		e = NULL;
	}
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			goto lost;
		e->link = *l;
		HASH_ADD(hh, n->links, link.ifindex, sizeof(e->link.ifindex), e);
		if (!e->hh.tbl) {
			free(e);
			goto lost;
		}
	}
	e->link = *l;
	e->seen = true;
	return;
lost:
	n->links_dirty = true; /* out of memory: try again with the next burst */
}

void nexthop_report_links(struct nexthops *n)
{
	struct link_entry *e, *tmp;

	while ((e = n->gone)) { /* first, for the name may have been taken again */
		n->gone = e->next_gone;
		if (e->reported)
			tell(n, e->link.name, 0, false);
		free(e);
	}
	HASH_ITER (hh, n->links, e, tmp) {
		bool up = link_is_up(&e->link);

		if (e->reported && e->reported_up == up)
			continue;
		e->reported = true;
		e->reported_up = up;
		tell(n, e->link.name, e->link.ifindex, up);
	}
}

void nexthop_free_links(struct nexthops *n)
{
	struct link_entry *e, *tmp;

	HASH_ITER (hh, n->links, e, tmp)
		remove_link(n, e);
	while ((e = n->gone)) {
		n->gone = e->next_gone;
		free(e);
	}
}

static int on_link(const struct nlmsghdr *h, void *userdata)
{
	struct nh_link l;

	if (h->nlmsg_type == RTM_NEWLINK && rtnl_decode_link(h, &l) == 0)
		put_link(userdata, &l);
	return 0;
}

int nexthop_dump_links(struct nexthops *n)
{
	union {
		char bytes[64];
		struct nlmsghdr h;
	} q;
	struct link_entry *e, *tmp;
	int r;

	HASH_ITER (hh, n->links, e, tmp)
		e->seen = false;
	mnl_nlmsg_put_header(q.bytes);
	q.h.nlmsg_type = RTM_GETLINK;
	q.h.nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(&q.h, sizeof(struct ifinfomsg));
	n->links_dirty = false;
	r = rtnl_ask(&n->ask, &q.h, on_link, n);
	if (r) {
		/* Torn (NLM_F_DUMP_INTR) or failed: what came is good, what did not come proves nothing. */
		n->links_dirty = true;
		return r;
	}
	HASH_ITER (hh, n->links, e, tmp)
		if (!e->seen)
			remove_link(n, e);
	return 0;
}

static void on_link_event(struct nexthops *n, const struct nlmsghdr *h)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	struct link_entry *e;
	struct nh_link l;

	if (rtnl_decode_link(h, &l) || m->ifi_family != AF_UNSPEC)
		return; /* the bridge sends link messages of its own about its ports */
	if (h->nlmsg_type == RTM_NEWLINK) {
		put_link(n, &l);
	} else {
		e = nexthop_find_link(n, l.ifindex);
		if (e)
			remove_link(n, e);
	}
	/* IPv4 routes of a link that goes down vanish without an event of their own. */
	nexthop_mark_all(n);
}

static int on_event(const struct nlmsghdr *h, void *userdata)
{
	struct nexthops *n = userdata;
	struct rtnl_neigh neigh;
	struct rtnl_route route;

	n->stats.events++;
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		on_link_event(n, h);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (rtnl_decode_neigh(h, &neigh) == 0)
			nexthop_neigh_event(n, &neigh, h->nlmsg_type == RTM_DELNEIGH);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (rtnl_decode_route(h, &route) == 0)
			nexthop_mark_prefix(n, &route.dst, route.prefix);
		else
			nexthop_mark_all(n);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		nexthop_mark_all(n);
		break;
	}
	return 0;
}

static void resync(struct nexthops *n)
{
	struct neigh_entry *e, *tmp;

	n->stats.resyncs++;
	n->links_dirty = true;
	HASH_ITER (hh, n->neighs, e, tmp)
		e->dirty = true;
	nexthop_mark_all(n);
}

int nexthop_on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct nexthops *n = userdata;
	int r = rtnl_read_events(&n->events, READS_PER_PASS, on_event, n);

	/*
	 * An overrun is reported once; then the kernel drops every event, without a word, until the queue has
	 * been read empty. Only what is looked up after that is the truth.
	 */
	if (r < 0) {
		n->overrun = true;
	} else if (r == 0 && n->overrun) {
		n->overrun = false;
		resync(n);
	}
	return 0;
}
