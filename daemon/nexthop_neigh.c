// SPDX-License-Identifier: Apache-2.0
/*
 * nexthop_neigh.c - the neighbours that watched addresses need: looked up, resolved and kept fresh by the
 * kernel.
 *
 * XDP does not tell the kernel that it uses an entry, so without help an entry goes STALE and is collected in
 * the end.
 * - Linux >= 5.16: NTF_EXT_MANAGED makes the kernel probe the entry itself (interval_probe_time_ms, 5 s).
 *   NTF_EXT_LEARNED goes with it: measured on 6.18, managed entries without it count against gc_thresh3
 * (1024) and are collected when FAILED; with it 1,300 of 1,300 stayed.
 * - Before: the extended flag is ignored and NTF_USE starts one resolution; the tick sends it again to
 * entries that are not being confirmed. What the kernel reports (NDA_FLAGS_EXT) tells which of the two we
 * have. A request clears NUD_PERMANENT, so entries that the administrator made static are never touched.
 */
#include "nexthop_internal.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)
#define NUD_STATIC (NUD_PERMANENT | NUD_NOARP)
/* The kernel is at it, or knows well: a reminder would change nothing. */
#define NUD_BUSY (NUD_INCOMPLETE | NUD_REACHABLE | NUD_DELAY | NUD_PROBE)

union request {
	char bytes[256];
	struct nlmsghdr h;
};

static struct ndmsg *put_request(union request *q, int type, int flags, const struct neigh_key *key)
{
	bool v4 = addr_is_v4(&key->addr);
	struct nlmsghdr *h = mnl_nlmsg_put_header(q->bytes);
	struct ndmsg *m;

	h->nlmsg_type = (__u16)type;
	h->nlmsg_flags = (__u16)flags;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ndm_family = v4 ? AF_INET : AF_INET6;
	m->ndm_ifindex = (int)key->ifindex;
	mnl_attr_put(h, NDA_DST, v4 ? 4 : 16, key->addr.b + (v4 ? 12 : 0));
	return m;
}

/* Ask the kernel to resolve the entry now and to keep it fresh. */
static void have_resolved(struct nexthops *n, struct neigh_entry *e)
{
	union request q;
	struct ndmsg *m = put_request(&q, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &e->key);

	m->ndm_flags = NTF_USE | NTF_EXT_LEARNED;
	mnl_attr_put_u32(&q.h, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	mnl_attr_put_u8(&q.h, NDA_PROTOCOL, NEXTHOP_PROTOCOL);
	e->asked = true;
	e->ask_again = false;
	e->rec.error = rtnl_ask(&n->ask, &q.h, NULL, NULL);
}

/* The same without the flags takes them back; the entry itself stays for the host's own use. */
static void let_go(struct nexthops *n, const struct neigh_key *key)
{
	union request q;
	struct ndmsg *m = put_request(&q, RTM_NEWNEIGH, NLM_F_REPLACE, key);

	m->ndm_flags = NTF_USE;
	(void)rtnl_ask(&n->ask, &q.h, NULL, NULL); /* -ENOENT: gone by itself */
}

static void take(struct neigh_entry *e, const struct rtnl_neigh *m)
{
	e->rec.state = m->state;
	e->managed = m->managed;
	if (m->state & NUD_USABLE && m->has_mac) {
		e->rec.has_mac = true;
		e->rec.failed = false;
		e->rec.error = 0;
		memcpy(e->rec.mac, m->mac, sizeof(e->rec.mac));
		e->last_chance = false;
	} else if (m->state & NUD_FAILED && e->rec.has_mac && !e->last_chance) {
		/* The MAC did not answer; maybe the address has moved to another. That is asked by broadcast.
		 */
		e->last_chance = true;
		e->ask_again = true;
	} else if (m->state & NUD_FAILED) {
		/* Stays so while the kernel tries again (INCOMPLETE), until it succeeds. */
		e->rec.failed = true;
		e->rec.has_mac = false;
	}
}

/* The kernel has no entry. A MAC known before goes on being used until the resolution asked for next has
 * ended. */
static void forget(struct neigh_entry *e)
{
	e->rec.state = 0;
	e->rec.failed = false;
	e->managed = false;
	e->ask_again = true;
	e->last_chance = true;
}

static int on_answer(const struct nlmsghdr *h, void *userdata)
{
	struct rtnl_neigh m;

	if (h->nlmsg_type == RTM_NEWNEIGH && rtnl_decode_neigh(h, &m) == 0)
		take(userdata, &m);
	return 0;
}

static void look_up(struct nexthops *n, struct neigh_entry *e)
{
	union request q;

	put_request(&q, RTM_GETNEIGH, 0, &e->key);
	if (rtnl_ask(&n->ask, &q.h, on_answer, e))
		forget(e);
	e->dirty = false;
}

struct neigh_entry *nexthop_neigh_get(struct nexthops *n, const struct neigh_key *key)
{
	struct neigh_entry *e;

	HASH_FIND(hh, n->neighs, key, sizeof(*key), e);
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return NULL;
		e->key = *key;
		HASH_ADD(hh, n->neighs, key, sizeof(e->key), e);
		if (!e->hh.tbl) {
			free(e);
			return NULL;
		}
		e->dirty = true;
	}
	e->refs++;
	return e;
}

void nexthop_neigh_put(struct nexthops *n, struct neigh_entry *e)
{
	if (!e || --e->refs > 0)
		return;
	if (e->managed && !(e->rec.state & NUD_STATIC))
		let_go(n, &e->key);
	HASH_DEL(n->neighs, e);
	free(e);
}

void nexthop_neigh_event(struct nexthops *n, const struct rtnl_neigh *m, bool deleted)
{
	struct neigh_key key;
	struct neigh_entry *e;

	memset(&key, 0, sizeof(key));
	key.ifindex = m->ifindex;
	key.addr = m->addr;
	HASH_FIND(hh, n->neighs, &key, sizeof(key), e);
	if (!e)
		return;
	if (deleted)
		forget(e);
	else
		take(e, m);
	nexthop_schedule(n, NEXTHOP_GATHER_USEC);
}

void nexthop_neigh_maintain(struct nexthops *n)
{
	struct neigh_entry *e, *tmp;

	HASH_ITER (hh, n->neighs, e, tmp) {
		const struct link_entry *l = nexthop_find_link(n, e->key.ifindex);

		if (e->dirty)
			look_up(n, e);
		if (e->rec.state & NUD_STATIC || (!e->ask_again && (e->asked || e->managed)))
			continue;
		/* Without carrier there is nobody to ask; the link's event brings us back here. */
		if (l && l->link.admin_up && l->link.running)
			have_resolved(n, e);
	}
}

void nexthop_neigh_tick(struct nexthops *n)
{
	struct neigh_entry *e, *tmp;

	HASH_ITER (hh, n->neighs, e, tmp) {
		if (!e->rec.has_mac)
			e->dirty =
				true; /* cheap insurance: nobody waits longer than a tick for a lost event */
		if (!e->managed && !(e->rec.state & NUD_BUSY))
			e->ask_again = true;
		if (e->dirty || e->ask_again)
			nexthop_schedule(n, 0);
	}
}

struct sweep {
	struct nexthops *n;
	struct neigh_key keys[64]; /* the rest waits for the next start */
	unsigned int count;
};

static int on_sweep(const struct nlmsghdr *h, void *userdata)
{
	struct sweep *s = userdata;
	struct neigh_entry *e;
	struct rtnl_neigh m;
	struct neigh_key *key = &s->keys[s->count];

	if (s->count == sizeof(s->keys) / sizeof(s->keys[0]) || h->nlmsg_type != RTM_NEWNEIGH ||
	    rtnl_decode_neigh(h, &m))
		return 0;
	if (!m.managed || m.protocol != NEXTHOP_PROTOCOL)
		return 0;
	memset(key, 0, sizeof(*key));
	key->ifindex = m.ifindex;
	key->addr = m.addr;
	HASH_FIND(hh, s->n->neighs, key, sizeof(*key), e);
	if (!e)
		s->count++;
	return 0;
}

void nexthop_neigh_sweep(struct nexthops *n)
{
	struct sweep s = {.n = n};
	union request q;
	struct nlmsghdr *h = mnl_nlmsg_put_header(q.bytes);

	h->nlmsg_type = RTM_GETNEIGH;
	h->nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ndmsg)); /* AF_UNSPEC: both families */
	(void)rtnl_ask(&n->ask, h, on_sweep, &s);
	for (unsigned int i = 0; i < s.count; i++)
		let_go(n, &s.keys[i]);
}
