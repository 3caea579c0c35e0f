// SPDX-License-Identifier: Apache-2.0
/*
 * nexthop.c - the watch list, and when what is looked up and decided. See nexthop.h.
 *
 * A pass (run) has a fixed order: links, routes that are marked, neighbours, then one decision per watched
 * address from the records in memory, then the callbacks. Only the look-ups cost system calls; they alone are
 * rate-limited.
 */
#include "nexthop_internal.h"

#include "core/cleanup.h"
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <time.h>

#define TICK_USEC 5000000u
#define AUDIT_TICKS 6u        /* everything is looked up again every 30 s */
#define LOOKUPS_PER_PASS 512u /* some 5 ms, then the event loop gets its turn */
#define LOOKUP_REST 20u       /* after look-ups that took t, none for 20 t: 5% of a CPU */
#define LOOKUP_REST_MAX_USEC 1000000u

static uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

void nexthop_schedule(struct nexthops *n, uint64_t delay_usec)
{
	uint64_t at = now_usec() + delay_usec, armed;

	if (n->pending && sd_event_source_get_time(n->timer, &armed) >= 0 && armed <= at)
		return;
	n->pending = true;
	(void)sd_event_source_set_time(n->timer, at);
	(void)sd_event_source_set_enabled(n->timer, SD_EVENT_ONESHOT);
}

void nexthop_mark_all(struct nexthops *n)
{
	for (unsigned int i = 0; i < n->n_watches; i++)
		n->watches[i].dirty = true;
	nexthop_schedule(n, NEXTHOP_GATHER_USEC);
}

/* The first watch whose address is not below @addr. */
static unsigned int lower_bound(const struct nexthops *n, const struct lb_addr *addr)
{
	unsigned int lo = 0, hi = n->n_watches;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (addr_cmp(&n->watches[mid].addr, addr) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool prefix_covers(const struct lb_addr *dst, unsigned int prefix, const struct lb_addr *addr)
{
	unsigned int bytes = prefix / 8, bits = prefix % 8;

	if (memcmp(dst->b, addr->b, bytes) != 0)
		return false;
	return bits == 0 || (dst->b[bytes] ^ addr->b[bytes]) >> (8 - bits) == 0;
}

bool nexthop_mark_prefix(struct nexthops *n, const struct lb_addr *dst, unsigned int prefix)
{
	bool any = false;

	/* The addresses are sorted, so those of a prefix stand together. */
	for (unsigned int i = lower_bound(n, dst); i < n->n_watches; i++) {
		if (!prefix_covers(dst, prefix, &n->watches[i].addr))
			break;
		n->watches[i].dirty = true;
		any = true;
	}
	if (any)
		nexthop_schedule(n, NEXTHOP_GATHER_USEC);
	return any;
}

static int on_route(const struct nlmsghdr *h, void *userdata)
{
	struct nh_route *out = userdata;
	struct rtnl_route m;
	int r;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return 0;
	r = rtnl_decode_route(h, &m);
	if (r == 0)
		*out = m.route;
	return r;
}

static void look_up_route(struct nexthops *n, struct watch *w)
{
	union {
		char bytes[128];
		struct nlmsghdr h;
	} q;
	bool v4 = addr_is_v4(&w->addr);
	struct nh_route route;
	struct rtmsg *m;
	int r;

	memset(&route, 0, sizeof(route));
	mnl_nlmsg_put_header(q.bytes);
	q.h.nlmsg_type = RTM_GETROUTE;
	m = mnl_nlmsg_put_extra_header(&q.h, sizeof(*m));
	m->rtm_family = v4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = v4 ? 32 : 128;
	mnl_attr_put(&q.h, RTA_DST, v4 ? 4 : 16, w->addr.b + (v4 ? 12 : 0));
	r = rtnl_ask(&n->ask, &q.h, on_route, &route);
	if (r == 0 && route.type == RTN_UNSPEC)
		r = -EBADMSG; /* no route and no error: not an answer */
	if (r) {
		memset(&route, 0, sizeof(route));
		route.error = r;
	}
	n->stats.route_lookups++;
	w->route = route;
	w->dirty = false;
}

/* Which neighbour the route needs now. The new one is taken before the old one is let go: often they are the
 * same. */
static void take_neigh(struct nexthops *n, struct watch *w)
{
	const struct link_entry *l = nexthop_find_link(n, w->route.oif);
	struct neigh_entry *old = w->neigh;
	struct neigh_key key;

	w->neigh = NULL;
	if (nexthop_wants_neigh(&w->route, l ? &l->link : NULL)) {
		memset(&key, 0, sizeof(key)); /* compared as bytes */
		key.ifindex = w->route.oif;
		key.addr = w->route.has_gateway ? w->route.gateway : w->addr;
		w->neigh = nexthop_neigh_get(n, &key);
		if (!w->neigh) {
			w->dirty = true;
			nexthop_schedule(n, LOOKUP_REST_MAX_USEC);
		}
	}
	nexthop_neigh_put(n, old);
}

static void resolve(struct nexthops *n, struct watch *w)
{
	look_up_route(n, w);
	take_neigh(n, w);
}

static void decide(struct nexthops *n, const struct watch *w, struct nexthop *out)
{
	const struct link_entry *l = nexthop_find_link(n, w->route.oif), *lower = NULL;

	if (l && l->link.is_vlan && !l->link.lower_elsewhere)
		lower = nexthop_find_link(n, l->link.lower);
	nexthop_answer(&w->addr, &w->route, l ? &l->link : NULL, lower ? &lower->link : NULL,
		       w->neigh ? &w->neigh->rec : NULL, out);
}

static bool any_marked(const struct nexthops *n)
{
	for (unsigned int i = 0; i < n->n_watches; i++)
		if (n->watches[i].dirty)
			return true;
	return false;
}

/* Look up what is marked, within the limits; arms the timer for what is left. */
static void resolve_marked(struct nexthops *n)
{
	uint64_t begin = now_usec(), took, rest;
	unsigned int done = 0, i;

	if (begin < n->routes_not_before_usec) {
		if (any_marked(n))
			nexthop_schedule(n, n->routes_not_before_usec - begin);
		return;
	}
	/* Onwards from where the last pass stopped: what is marked anew behind it waits for the next round.
	 */
	for (i = n->cursor; i < n->n_watches && done < LOOKUPS_PER_PASS; i++) {
		if (!n->watches[i].dirty)
			continue;
		resolve(n, &n->watches[i]);
		done++;
	}
	took = now_usec() - begin;
	n->lookups_took_usec += took;
	n->cursor = i < n->n_watches ? i : 0;
	if (n->cursor) {
		nexthop_schedule(n, 0);
		return;
	}
	rest = n->lookups_took_usec * LOOKUP_REST;
	n->routes_not_before_usec =
		begin + took + (rest < LOOKUP_REST_MAX_USEC ? rest : LOOKUP_REST_MAX_USEC);
	n->lookups_took_usec = 0;
	if (any_marked(n)) /* during this round, behind the cursor */
		nexthop_schedule(n, n->routes_not_before_usec - begin);
}

/* Decide all and report what changed. A callback may replace the list: then the rest is done in the next
 * pass. */
static void report(struct nexthops *n)
{
	unsigned int epoch = n->epoch;

	for (unsigned int i = 0; i < n->n_watches; i++) {
		struct watch *w = &n->watches[i];
		struct lb_addr addr;
		struct nexthop now;

		decide(n, w, &now);
		if (!w->notify && nexthop_equal(&now, &w->answer))
			continue;
		w->answer = now;
		w->notify = false;
		n->stats.changes++;
		addr = w->addr; /* @w may be gone when the callback returns */
		n->changed(&addr, &now, n->userdata);
		if (n->epoch != epoch) {
			nexthop_schedule(n, 0);
			return;
		}
	}
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct nexthops *n = userdata;

	n->pending = false;
	if (n->links_dirty && nexthop_dump_links(n))
		nexthop_schedule(n, NEXTHOP_GATHER_USEC);
	nexthop_report_links(n);
	resolve_marked(n);
	nexthop_neigh_maintain(n);
	report(n);
	return 0;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct nexthops *n = userdata;
	struct neigh_entry *e, *tmp;

	(void)sd_event_source_set_time(s, usec + TICK_USEC);
	(void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	nexthop_neigh_tick(n);
	if (++n->ticks % AUDIT_TICKS)
		return 0;
	HASH_ITER (hh, n->neighs, e, tmp)
		e->dirty = true;
	nexthop_mark_all(n);
	return 0;
}

static int add_sources(struct nexthops *n, struct err *err)
{
	uint64_t now = now_usec();
	int r;

	r = sd_event_add_io(n->event, &n->io, mnl_socket_get_fd(n->events.nl), EPOLLIN, nexthop_on_io, n);
	if (r >= 0)
		r = sd_event_add_time(n->event, &n->timer, CLOCK_MONOTONIC, now, 1000, on_timer, n);
	if (r >= 0)
		r = sd_event_add_time(n->event, &n->tick, CLOCK_MONOTONIC, now + TICK_USEC, 500000, on_tick,
				      n);
	if (r < 0)
		return err_set(err, r, "next hops: event loop: %s", strerror(-r));
	(void)sd_event_source_set_description(n->io, "nexthop-events");
	(void)sd_event_source_set_description(n->timer, "nexthop-pass");
	(void)sd_event_source_set_description(n->tick, "nexthop-tick");
	n->pending = true; /* the first pass reports the links */
	return 0;
}

static void freep(struct nexthops **n)
{
	nexthops_free(*n);
}

int nexthops_new(struct nexthops **out, sd_event *event, nexthop_changed_fn changed, nexthop_link_fn link,
		 void *userdata, struct err *err)
{
	_cleanup_(freep) struct nexthops *n = calloc(1, sizeof(*n));
	int r, tries = 0;

	if (!n)
		return err_set(err, -ENOMEM, "next hops: out of memory");
	n->event = sd_event_ref(event);
	n->changed = changed;
	n->link_fn = link;
	n->userdata = userdata;
	r = nexthop_open_events(n, err); /* events first: nothing that changes during the dump is missed */
	if (r == 0)
		r = rtnl_open(&n->ask, err);
	if (r)
		return r;
	do
		r = nexthop_dump_links(n);
	while (r == -EINTR && ++tries < 5);
	if (r && r != -EINTR)
		return err_set(err, r, "netlink: listing the interfaces: %s", strerror(-r));
	r = add_sources(n, err);
	if (r)
		return r;
	*out = take_ptr(n);
	return 0;
}

static void free_watches(struct nexthops *n, struct watch *w, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		nexthop_neigh_put(n, w[i].neigh);
	free(w);
}

void nexthops_free(struct nexthops *n)
{
	struct neigh_entry *e, *tmp;

	if (!n)
		return;
	HASH_ITER (hh, n->neighs, e, tmp) {
		HASH_DEL(n->neighs, e);
		free(e);
	}
	free(n->watches);
	nexthop_free_links(n);
	sd_event_source_disable_unref(n->io);
	sd_event_source_disable_unref(n->timer);
	sd_event_source_disable_unref(n->tick);
	rtnl_close(&n->ask);
	rtnl_close(&n->events);
	sd_event_unref(n->event);
	free(n);
}

/* Carry over what the old list knows; both lists are sorted. Entries taken are left without their neighbour.
 */
static void adopt_watches(struct nexthops *n, struct watch *fresh, const struct lb_addr *addrs,
			  unsigned int count)
{
	unsigned int old = 0;

	for (unsigned int i = 0; i < count; i++) {
		while (old < n->n_watches && addr_cmp(&n->watches[old].addr, &addrs[i]) < 0)
			old++;
		if (old < n->n_watches && addr_cmp(&n->watches[old].addr, &addrs[i]) == 0) {
			fresh[i] = n->watches[old];
			n->watches[old].neigh = NULL;
			continue;
		}
		fresh[i].addr = addrs[i];
		fresh[i].notify = true;
	}
}

int nexthops_watch(struct nexthops *n, const struct lb_addr *addrs, unsigned int count, struct err *err)
{
	struct watch *old = n->watches, *fresh = calloc(count ? count : 1, sizeof(*fresh));
	unsigned int n_old = n->n_watches;

	if (!fresh)
		return err_set(err, -ENOMEM, "next hops: out of memory for %u addresses", count);
	for (unsigned int i = 1; i < count; i++) {
		if (addr_cmp(&addrs[i - 1], &addrs[i]) < 0)
			continue;
		free(fresh);
		return err_set(err, -EINVAL, "next hops: the addresses are not sorted and unique");
	}
	adopt_watches(n, fresh, addrs, count);
	n->watches = fresh;
	n->n_watches = count;
	n->cursor = 0;
	n->epoch++;
	for (unsigned int i = 0; i < count; i++)
		if (fresh[i].notify && !fresh[i].neigh)
			resolve(n, &fresh[i]);
	free_watches(n, old, n_old); /* after the new ones took theirs: shared neighbours stay managed */
	nexthop_neigh_maintain(n);
	for (unsigned int i = 0; i < count; i++)
		if (fresh[i].notify)
			decide(n, &fresh[i], &fresh[i].answer);
	if (!n->swept)
		nexthop_neigh_sweep(n);
	n->swept = true;
	nexthop_schedule(n, 0);
	return 0;
}

const struct nexthop *nexthops_get(const struct nexthops *n, const struct lb_addr *addr)
{
	unsigned int i = lower_bound(n, addr);

	return i < n->n_watches && addr_cmp(&n->watches[i].addr, addr) == 0 ? &n->watches[i].answer : NULL;
}

void nexthops_stats(const struct nexthops *n, struct nexthop_stats *out)
{
	*out = n->stats;
}
