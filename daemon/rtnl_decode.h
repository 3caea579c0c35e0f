/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnl_decode.h - netlink bytes to records. No I/O: every function reads one message and trusts none of its
 * lengths.
 *
 * A message must be complete in memory (mnl_nlmsg_ok() said so); what it claims inside is checked here.
 * Unknown attributes are ignored. Each returns 0, or -EBADMSG for a message that is too short or holds an
 * attribute of a wrong size; then *out is not to be used.
 */
#pragma once
#include "core/nexthop_answer.h"
#include <linux/netlink.h>

struct rtnl_neigh {
	unsigned int ifindex;
	struct lb_addr addr;
	__u16 state; /* NUD_* */
	bool has_mac;
	__u8 mac[6];
	bool managed;  /* NTF_EXT_MANAGED: the kernel keeps it fresh (Linux 5.16) */
	__u8 protocol; /* NDA_PROTOCOL: who made it */
};

struct rtnl_route {
	struct nh_route route;
	struct lb_addr dst;  /* destination prefix, host bits zero as the kernel sends it */
	unsigned int prefix; /* length in bits of struct lb_addr: IPv4 /8 is 104 */
};

int rtnl_decode_link(const struct nlmsghdr *h, struct nh_link *out);
/* -EBADMSG also for entries that are no IP neighbours (bridge FDB). */
int rtnl_decode_neigh(const struct nlmsghdr *h, struct rtnl_neigh *out);
int rtnl_decode_route(const struct nlmsghdr *h, struct rtnl_route *out);
