// SPDX-License-Identifier: Apache-2.0
/*
 * backend_route.c - the MSS that this host announces (advmss) on the routes by which replies leave.
 *
 * A route is changed by sending back the very message the kernel gave us, with another metric: so next-hop
 * objects, gateways of the other family, encapsulations and whatever comes later survive. (Objects of
 * libnl-route 3.7 would drop some of these.) Only flags that are a state, and attributes that are mere
 * information, are left out.
 */
#include "backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES_MAX 256
#define DUMP_TRIES 5

struct dump {
	int family;
	struct backend_route *v; /* of ROUTES_MAX; NULL: only the one called `name` is wanted */
	unsigned int n;
	bool too_many;
	const char *name;
	struct nlmsghdr *found; /* copy, owned */
};

static __u32 attr_u32(struct nlattr *a, __u32 otherwise)
{
	return a && nla_len(a) >= (int)sizeof(__u32) ? nla_get_u32(a) : otherwise;
}

/* "ipv4 default metric 100": what identifies a route within the main table. */
static void name_route(const struct rtmsg *m, struct nlattr **tb, char name[BACKEND_NAME_MAX])
{
	char dst[INET6_ADDRSTRLEN] = "", tos[16] = "", text[INET6_ADDRSTRLEN + 8] = "default";
	bool v4 = m->rtm_family == AF_INET;

	if (tb[RTA_DST] && nla_len(tb[RTA_DST]) == (v4 ? 4 : 16)) {
		inet_ntop(m->rtm_family, nla_data(tb[RTA_DST]), dst, sizeof(dst));
		snprintf(text, sizeof(text), "%s/%u", dst, m->rtm_dst_len);
	}
	if (m->rtm_tos)
		snprintf(tos, sizeof(tos), " tos %u", m->rtm_tos);
	snprintf(name, BACKEND_NAME_MAX, "%s %s%s metric %u", v4 ? "ipv4" : "ipv6", text, tos,
		 attr_u32(tb[RTA_PRIORITY], 0));
}

static bool is_link_local(const struct rtmsg *m, struct nlattr *dst)
{
	const __u8 *b = dst && nla_len(dst) >= 2 ? nla_data(dst) : NULL;

	if (!b)
		return false;
	if (m->rtm_family == AF_INET)
		return b[0] == 169 && b[1] == 254;
	return b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

/* Made by a router advertisement, or with a limited life: the kernel or a daemon will make it anew, without
 * our metric. */
static bool is_from_ra(const struct rtmsg *m, struct nlattr *cacheinfo)
{
	const struct rta_cacheinfo *c =
		cacheinfo && nla_len(cacheinfo) >= (int)sizeof(*c) ? nla_data(cacheinfo) : NULL;

	return m->rtm_family == AF_INET6 && (m->rtm_protocol == RTPROT_RA || (c && c->rta_expires));
}

static struct nlattr *find_metric(struct nlattr *metrics, int which)
{
	return metrics ? nla_find(nla_data(metrics), nla_len(metrics), which) : NULL;
}

static void take(struct dump *d, const struct nlmsghdr *h, const struct rtmsg *m, struct nlattr **tb)
{
	char name[BACKEND_NAME_MAX];
	struct backend_route *r;

	name_route(m, tb, name);
	if (!d->v) {
		if (!d->found && strcmp(name, d->name) == 0) {
			d->found = malloc(h->nlmsg_len);
			if (d->found)
				memcpy(d->found, h, h->nlmsg_len);
		}
		return;
	}
	if (d->n == ROUTES_MAX) {
		d->too_many = true;
		return;
	}
	r = &d->v[d->n++];
	memset(r, 0, sizeof(*r));
	memcpy(r->name, name, sizeof(r->name));
	r->family = m->rtm_family;
	r->ifindex = attr_u32(tb[RTA_OIF], 0);
	r->mtu = attr_u32(find_metric(tb[RTA_METRICS], RTAX_MTU), 0);
	r->from_ra = is_from_ra(m, tb[RTA_CACHEINFO]);
}

/*
 * lo, and the tunnel devices that decapsulate: with them come routes (::/96 by sit0) that no reply takes.
 * Asked for the name of an index: the index of a name would load the module that could bring a device of that
 * name.
 */
static bool leaves_by_no_wire(unsigned int ifindex)
{
	static const char *const names[] = {"lo", "tunl0", "sit0", BACKEND_TUNNEL6};
	char name[IF_NAMESIZE];

	if (!ifindex || !if_indextoname(ifindex, name))
		return false;
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int on_route(struct nl_msg *msg, void *arg)
{
	struct nlattr *tb[RTA_MAX + 1];
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct rtmsg *m = nlmsg_data(h);
	struct dump *d = arg;

	if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(h, sizeof(*m), tb, RTA_MAX, NULL) < 0)
		return NL_OK;
	if (m->rtm_family != d->family || m->rtm_type != RTN_UNICAST || m->rtm_flags & RTM_F_CLONED ||
	    attr_u32(tb[RTA_TABLE], m->rtm_table) != RT_TABLE_MAIN)
		return NL_OK;
	if (leaves_by_no_wire(attr_u32(tb[RTA_OIF], 0)) || is_link_local(m, tb[RTA_DST]))
		return NL_OK;
	take(d, h, m, tb);
	return NL_OK;
}

static int dump_once(struct backend_host *h, struct dump *d)
{
	struct rtmsg m = {.rtm_family = (unsigned char)d->family};
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int r;

	if (!cb)
		return -NLE_NOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_route, d);
	r = nl_send_simple(h->nl, RTM_GETROUTE, NLM_F_DUMP, &m, sizeof(m));
	if (r >= 0)
		r = nl_recvmsgs(h->nl, cb);
	nl_cb_put(cb);
	return r;
}

static int dump(struct backend_host *h, struct dump *d, struct err *err)
{
	int r, tries = 0;

	do {
		d->n = 0;
		r = dump_once(h, d);
	} while (r == -NLE_DUMP_INTR && ++tries < DUMP_TRIES);
	return r < 0 ? err_set(err, -EIO, "listing the routes: %s", nl_geterror(r)) : 0;
}

int backend_routes(struct backend_host *h, int family, struct backend_route **out, unsigned int *n,
		   struct err *err)
{
	struct dump d = {.family = family, .v = calloc(ROUTES_MAX, sizeof(*d.v))};
	int r;

	if (!d.v)
		return err_set(err, -ENOMEM, "out of memory");
	r = dump(h, &d, err);
	if (r == 0 && d.too_many) {
		r = err_set(err, -E2BIG, "the main table has more than %d %s routes", ROUTES_MAX,
			    family == AF_INET ? "IPv4" : "IPv6");
		err_hint(err, "use --mss off, and set advmss where your routing daemon makes the routes that "
			      "lead to clients");
	}
	if (r) {
		free(d.v);
		return r;
	}
	*out = d.v;
	*n = d.n;
	return 0;
}

static int find(struct backend_host *h, const char *name, struct nlmsghdr **out, struct err *err)
{
	struct dump d = {.family = strncmp(name, "ipv6", 4) == 0 ? AF_INET6 : AF_INET, .name = name};
	int r = dump(h, &d, err);

	*out = d.found;
	return r;
}

static int get(struct backend_host *h, const char *name, char value[BACKEND_VALUE_MAX], struct err *err)
{
	struct nlattr *tb[RTA_MAX + 1];
	struct nlmsghdr *route = NULL;
	__u32 mss = 0;
	int r = find(h, name, &route, err);

	if (r)
		return r;
	snprintf(value, BACKEND_VALUE_MAX, BACKEND_ABSENT);
	if (!route)
		return 0;
	if (nlmsg_parse(route, sizeof(struct rtmsg), tb, RTA_MAX, NULL) >= 0)
		mss = attr_u32(find_metric(tb[RTA_METRICS], RTAX_ADVMSS), 0);
	free(route);
	if (mss)
		snprintf(value, BACKEND_VALUE_MAX, "%u", mss);
	else
		snprintf(value, BACKEND_VALUE_MAX, "none");
	return 0;
}

/* All metrics but advmss as they were; no attribute at all when none is left. */
static void put_metrics(struct nl_msg *msg, struct nlattr *old, __u32 mss)
{
	struct nlattr *nest = NULL, *a;
	int rest;

	if (old)
		nla_for_each_nested(a, old, rest)
		{
			if (nla_type(a) == RTAX_ADVMSS)
				continue;
			nest = nest ? nest : nla_nest_start(msg, RTA_METRICS);
			nla_put(msg, nla_type(a), nla_len(a), nla_data(a));
		}
	if (mss) {
		nest = nest ? nest : nla_nest_start(msg, RTA_METRICS);
		nla_put_u32(msg, RTAX_ADVMSS, mss);
	}
	if (nest)
		nla_nest_end(msg, nest);
}

static void put_multipath(struct nl_msg *msg, struct nlattr *old)
{
	struct nlattr *copy = nla_reserve(msg, RTA_MULTIPATH, nla_len(old));
	struct rtnexthop *nh;
	int left = nla_len(old);

	if (!copy)
		return;
	memcpy(nla_data(copy), nla_data(old), (size_t)left);
	for (nh = nla_data(copy); RTNH_OK(nh, left); nh = RTNH_NEXT(nh)) {
		left -= RTNH_ALIGN(nh->rtnh_len);
		nh->rtnh_flags &= RTNH_F_ONLINK;
	}
}

static struct nl_msg *rebuild(struct nlmsghdr *route, __u32 mss)
{
	struct nlattr *tb[RTA_MAX + 1], *a;
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWROUTE, NLM_F_REPLACE);
	struct rtmsg m;
	int rest;

	if (!msg || nlmsg_parse(route, sizeof(m), tb, RTA_MAX, NULL) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	memcpy(&m, nlmsg_data(route), sizeof(m));
	m.rtm_flags &= RTNH_F_ONLINK; /* down, offloaded, ...: states, which the kernel refuses to be told */
	nlmsg_append(msg, &m, sizeof(m), NLMSG_ALIGNTO);
	nlmsg_for_each_attr(a, route, sizeof(m), rest)
	{
		switch (nla_type(a)) {
		case RTA_METRICS:
		case RTA_CACHEINFO:
			break;
		case RTA_OIF:
		case RTA_GATEWAY:
		case RTA_VIA:
		case RTA_ENCAP:
		case RTA_ENCAP_TYPE:
			if (!tb[RTA_NH_ID]) /* else the next-hop object has them, and naming both is an error
					     */
				nla_put(msg, nla_type(a), nla_len(a), nla_data(a));
			break;
		case RTA_MULTIPATH:
			if (!tb[RTA_NH_ID])
				put_multipath(msg, a);
			break;
		default:
			nla_put(msg, nla_type(a), nla_len(a), nla_data(a));
		}
	}
	put_metrics(msg, tb[RTA_METRICS], mss);
	return msg;
}

static int set(struct backend_host *h, const char *name, const char *value, struct err *err)
{
	struct nlmsghdr *route = NULL;
	struct nl_msg *msg;
	int r = find(h, name, &route, err);

	if (r)
		return r;
	if (!route) {
		err_set(err, -ENOENT, "the route is gone");
		err_hint(err, "routes are changing under us: run it again");
		return -ENOENT;
	}
	msg = rebuild(route, (__u32)strtoul(value, NULL, 10)); /* "none" is 0 */
	free(route);
	if (!msg)
		return err_set(err, -ENOMEM, "out of memory");
	r = nl_send_sync(h->nl, msg); /* frees msg */
	if (r < 0) {
		err_set(err, -EIO, "changing advmss to %s: %s", value, nl_geterror(r));
		err_hint(err, "set it by hand (see backend-check), or use --mss off");
		return -EIO;
	}
	return 0;
}

static void by_hand(const char *name, const char *value, char *out, size_t size)
{
	const char *dst = strchr(name, ' ') + 1;
	int len = (int)strcspn(dst, " ");
	const char *family = strncmp(name, "ipv6", 4) == 0 ? "-6" : "-4";

	snprintf(out, size,
		 "ip %s route replace, with all that `ip %s route show %.*s` prints, and advmss %s", family,
		 family, len, dst, value);
}

const struct backend_kind_ops backend_route_ops = {"route-mss", get, set, by_hand};
