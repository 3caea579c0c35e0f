/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexthop_answer.h - from what the kernel says (route, links, neighbour) to how a frame must be addressed, or
 * why not.
 *
 * Pure: records in, one answer out. The records are what daemon/rtnl_decode.c makes of netlink messages; the
 * edge (daemon/nexthop*.c) keeps them fresh. Nothing here knows sockets or time.
 */
#pragma once
#include "core/addr.h"
#include <linux/types.h>
#include <stdbool.h>

struct nexthop {
	bool ok;
	bool local;           /* the address is this host's own */
	unsigned int ifindex; /* egress; of a VLAN device: the lower device's, with the tag in vlan_id */
	char ifname[16];      /* of ifindex */
	__u8 dst_mac[6], src_mac[6];
	bool has_vlan;
	__u16 vlan_id;
	__u32 mtu; /* the smaller of the route's and the interface's; largest IP packet */
	struct lb_addr
		gateway; /* or the address itself when on-link; may be IPv6 for an IPv4 address (RFC 5549) */
	struct lb_addr source; /* preferred source of the route, of the address's family; all zero when there
				  is none */
	char why[96];          /* when !ok: "no route to 10.0.2.1", ... ; else empty */
};

/* A network interface, from RTM_NEWLINK. */
struct nh_link {
	unsigned int ifindex;
	char name[16];
	__u8 mac[6];
	bool ethernet; /* ARPHRD_ETHER with a 6-byte address */
	bool loopback;
	bool admin_up; /* IFF_UP */
	bool running;  /* IFF_RUNNING: carrier, and not dormant */
	__u32 mtu;
	unsigned int lower;   /* IFLA_LINK, 0 = none */
	bool lower_elsewhere; /* that index belongs to another network namespace */
	bool is_vlan;
	__u16 vlan_id;
	__u16 vlan_proto; /* host order: 0x8100 or 0x88a8 */
};

/* The kernel's own lookup of one destination, from RTM_GETROUTE. */
struct nh_route {
	int error; /* 0, or the negative errno of the lookup */
	__u8 type; /* RTN_* */
	unsigned int oif;
	bool has_gateway;
	struct lb_addr gateway;
	bool has_source;
	struct lb_addr source;
	__u32 mtu; /* RTAX_MTU, 0 = none */
};

/* The neighbour that the route leads to. */
struct nh_neigh {
	__u16 state;  /* NUD_*, 0 = the kernel has no entry */
	bool has_mac; /* mac is the kernel's, or the last one known while the kernel resolves the address anew
		       */
	__u8 mac[6];
	bool failed; /* resolution failed and has not succeeded since, though the kernel tries again; then
			has_mac is 0 */
	int error;   /* negative errno of asking the kernel to resolve it; 0 = none */
};

/*
 * Decide for @addr. @link is the interface of route->oif, @lower the one that a VLAN device sits on, @neigh
 * the neighbour of the gateway or of @addr itself; each NULL when it is not known. *@out is written whole.
 */
void nexthop_answer(const struct lb_addr *addr, const struct nh_route *route, const struct nh_link *link,
		    const struct nh_link *lower, const struct nh_neigh *neigh, struct nexthop *out);
/* Can this route be used only with a neighbour (that is: is there any point in asking for one)? */
bool nexthop_wants_neigh(const struct nh_route *route, const struct nh_link *link);
bool nexthop_equal(const struct nexthop *a, const struct nexthop *b);
#define NEXTHOP_STRLEN 128
/* "eth0 vlan 7 via 10.0.2.1 (02:00:00:00:00:01)", "local", or the reason why there is none. Returns @buf. */
const char *nexthop_format(const struct nexthop *nh, char buf[NEXTHOP_STRLEN]);
