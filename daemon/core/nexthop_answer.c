// SPDX-License-Identifier: Apache-2.0
/* nexthop_answer.c - see nexthop_answer.h. The checks go from the route outwards: the first that fails is the
 * reason. */
#include "core/nexthop_answer.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void refuse(struct nexthop *out, const char *fmt, ...)
{
	va_list ap;

	out->ok = false;
	va_start(ap, fmt);
	vsnprintf(out->why, sizeof(out->why), fmt, ap);
	va_end(ap);
}

/* The kernel answers a lookup that ends at such a route (or rule) with an error, not with the route. */
static void refuse_route_error(struct nexthop *out, const char *to, int error)
{
	switch (error) {
	case -ENETUNREACH:
		refuse(out, "no route to %s", to);
		return;
	case -EHOSTUNREACH:
		refuse(out, "the route to %s says unreachable", to);
		return;
	case -EACCES:
		refuse(out, "the route to %s says prohibit", to);
		return;
	case -EINVAL:
		refuse(out, "the route to %s says blackhole", to);
		return;
	default:
		refuse(out, "looking up the route to %s failed: %s", to, strerror(-error));
	}
}

static const char *route_type_name(__u8 type)
{
	switch (type) {
	case RTN_BROADCAST:
		return "broadcast";
	case RTN_ANYCAST:
		return "anycast";
	case RTN_MULTICAST:
		return "multicast";
	case RTN_BLACKHOLE:
		return "blackhole";
	case RTN_UNREACHABLE:
		return "unreachable";
	case RTN_PROHIBIT:
		return "prohibit";
	case RTN_THROW:
		return "throw";
	default:
		return "of an unknown type";
	}
}

/* False when no frame can leave by @link, with the reason. */
static bool link_is_usable(const struct nh_link *link, struct nexthop *out)
{
	if (!link->admin_up)
		refuse(out, "%s is down", link->name);
	else if (!link->running)
		refuse(out, "%s has no carrier", link->name);
	else if (!link->ethernet)
		refuse(out, "%s is not an Ethernet interface", link->name);
	else
		return true;
	return false;
}

static bool vlan_is_usable(const struct nh_link *link, const struct nh_link *lower, struct nexthop *out)
{
	if (link->lower_elsewhere || !lower)
		refuse(out, "the interface below %s is not in this network namespace", link->name);
	else if (lower->is_vlan)
		refuse(out, "%s is a VLAN on a VLAN: only one tag can be sent", link->name);
	else if (link->vlan_proto != ETH_P_8021Q)
		refuse(out, "%s uses VLAN protocol 0x%04x: only 802.1Q can be sent", link->name,
		       link->vlan_proto);
	else
		return link_is_usable(lower, out);
	return false;
}

static bool neigh_is_usable(const struct nh_neigh *neigh, const char *name, const char *ifname,
			    struct nexthop *out)
{
	if (neigh && neigh->failed)
		refuse(out, "neighbour %s on %s does not answer", name, ifname);
	else if (neigh && neigh->has_mac)
		return true;
	else if (neigh && neigh->error == -ENOBUFS)
		refuse(out, "neighbour table is full: %s on %s, raise gc_thresh3", name, ifname);
	else if (neigh && neigh->error)
		refuse(out, "neighbour %s on %s: %s", name, ifname, strerror(-neigh->error));
	else
		refuse(out, "neighbour %s on %s is being resolved", name, ifname);
	return false;
}

static bool route_is_local(const struct nh_route *route, const struct nh_link *link)
{
	return !route->error &&
	       (route->type == RTN_LOCAL || (route->type == RTN_UNICAST && link && link->loopback));
}

bool nexthop_wants_neigh(const struct nh_route *route, const struct nh_link *link)
{
	return !route->error && route->type == RTN_UNICAST && link && link->ethernet && !link->loopback;
}

static void fill_egress(const struct nh_route *route, const struct nh_link *link,
			const struct nh_link *egress, struct nexthop *out)
{
	out->ifindex = egress->ifindex;
	memcpy(out->ifname, egress->name, sizeof(out->ifname));
	out->has_vlan = link->is_vlan;
	out->vlan_id = link->is_vlan ? link->vlan_id : 0;
	memcpy(out->src_mac, link->mac, sizeof(out->src_mac));
	out->mtu = route->mtu && route->mtu < link->mtu ? route->mtu : link->mtu;
}

void nexthop_answer(const struct lb_addr *addr, const struct nh_route *route, const struct nh_link *link,
		    const struct nh_link *lower, const struct nh_neigh *neigh, struct nexthop *out)
{
	char to[ADDR_STRLEN], gw[ADDR_STRLEN];
	const struct nh_link *egress;

	memset(out, 0, sizeof(*out));
	addr_format(addr, to);
	out->gateway = route->has_gateway ? route->gateway : *addr;
	if (route->has_source)
		out->source = route->source;
	if (route->error) {
		refuse_route_error(out, to, route->error);
		return;
	}
	if (!route_is_local(route, link) && route->type != RTN_UNICAST) {
		refuse(out, "the route to %s is %s", to, route_type_name(route->type));
		return;
	}
	if (!link) {
		refuse(out, "the interface of the route to %s (index %u) is gone", to, route->oif);
		return;
	}
	egress = link->is_vlan && lower ? lower : link;
	fill_egress(route, link, egress, out);
	if (route_is_local(route, link)) {
		out->local = true;
		out->ok = true;
		return;
	}
	if (!link_is_usable(link, out) || (link->is_vlan && !vlan_is_usable(link, lower, out)))
		return;
	if (!neigh_is_usable(neigh, addr_format(&out->gateway, gw), link->name, out))
		return;
	memcpy(out->dst_mac, neigh->mac, sizeof(out->dst_mac));
	out->ok = true;
}

bool nexthop_equal(const struct nexthop *a, const struct nexthop *b)
{
	if (a->ok != b->ok || a->local != b->local || strcmp(a->why, b->why) != 0)
		return false;
	return a->ifindex == b->ifindex && strcmp(a->ifname, b->ifname) == 0 &&
	       memcmp(a->dst_mac, b->dst_mac, sizeof(a->dst_mac)) == 0 &&
	       memcmp(a->src_mac, b->src_mac, sizeof(a->src_mac)) == 0 && a->has_vlan == b->has_vlan &&
	       a->vlan_id == b->vlan_id && a->mtu == b->mtu && addr_cmp(&a->gateway, &b->gateway) == 0 &&
	       addr_cmp(&a->source, &b->source) == 0;
}

const char *nexthop_format(const struct nexthop *nh, char buf[NEXTHOP_STRLEN])
{
	const __u8 *m = nh->dst_mac;
	char gw[ADDR_STRLEN], vlan[16] = "";

	if (!nh->ok) {
		snprintf(buf, NEXTHOP_STRLEN, "%s", nh->why);
	} else if (nh->local) {
		snprintf(buf, NEXTHOP_STRLEN, "local");
	} else {
		if (nh->has_vlan)
			snprintf(vlan, sizeof(vlan), " vlan %u", nh->vlan_id);
		snprintf(buf, NEXTHOP_STRLEN, "%s%s via %s (%02x:%02x:%02x:%02x:%02x:%02x)", nh->ifname, vlan,
			 addr_format(&nh->gateway, gw), m[0], m[1], m[2], m[3], m[4], m[5]);
	}
	return buf;
}
