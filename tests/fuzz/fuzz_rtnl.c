// SPDX-License-Identifier: Apache-2.0
/*
 * Netlink messages from bytes to records (rtnl_decode) and on to an answer (core/nexthop_answer). The first
 * byte chooses the kind; the rest is one message in memory of exactly its size, so that a read past the end
 * is seen. Promises checked: names end, prefixes fit an address, an answer has a reason exactly when it is
 * not ok.
 */
#include "rtnl_decode.h"
#include "fuzz.h"

#include <string.h>

static void check_answer(const struct nh_route *route, const struct nh_link *link,
			 const struct nh_neigh *neigh)
{
	struct lb_addr addr = {.b = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 2}};
	char text[NEXTHOP_STRLEN];
	struct nexthop nh;

	nexthop_answer(&addr, route, link, link, neigh, &nh);
	FUZZ_CHECK(memchr(nh.why, 0, sizeof(nh.why)) && memchr(nh.ifname, 0, sizeof(nh.ifname)));
	FUZZ_CHECK(nh.ok == (nh.why[0] == '\0'));
	FUZZ_CHECK(nexthop_equal(&nh, &nh));
	FUZZ_CHECK(strlen(nexthop_format(&nh, text)) > 0);
}

static void check_link(const struct nlmsghdr *h)
{
	const struct nh_route route = {.type = 1 /* unicast */};
	const struct nh_neigh neigh = {.has_mac = true};
	struct nh_link link;

	if (rtnl_decode_link(h, &link))
		return;
	FUZZ_CHECK(link.ifindex > 0 && link.name[0] && memchr(link.name, 0, sizeof(link.name)));
	check_answer(&route, &link, &neigh);
}

static void check_neigh(const struct nlmsghdr *h)
{
	static const struct lb_addr none;
	struct rtnl_neigh neigh;

	if (rtnl_decode_neigh(h, &neigh))
		return;
	FUZZ_CHECK(neigh.has_mac || memcmp(neigh.mac, none.b, sizeof(neigh.mac)) == 0);
}

static void check_route(const struct nlmsghdr *h)
{
	const struct nh_link link = {
		.ifindex = 1, .name = "x", .ethernet = true, .admin_up = true, .running = true};
	struct rtnl_route route;

	if (rtnl_decode_route(h, &route))
		return;
	FUZZ_CHECK(route.prefix <= 128);
	check_answer(&route.route, &link, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(const struct nlmsghdr *) = {check_link, check_neigh, check_route};
	struct nlmsghdr *h;

	if (size < 1 + sizeof(*h) || size > 65536)
		return 0;
	h = malloc(size - 1);
	FUZZ_CHECK(h);
	memcpy(h, data + 1, size - 1);
	h->nlmsg_len = (__u32)(size - 1); /* what mnl_nlmsg_ok() would have made sure of */
	kinds[data[0] % 3](h);
	free(h);
	return 0;
}
