// SPDX-License-Identifier: Apache-2.0
/* test_rtnl_decode.c - netlink messages made by hand: what is read, and that no claimed length is believed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rtnl_decode.h"
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

static union {
	char bytes[1024];
	struct nlmsghdr h;
} msg;

static void *begin(int type, size_t header_bytes)
{
	memset(&msg, 0, sizeof(msg));
	mnl_nlmsg_put_header(msg.bytes);
	msg.h.nlmsg_type = (__u16)type;
	return mnl_nlmsg_put_extra_header(&msg.h, header_bytes);
}

static void make_vlan(void)
{
	struct ifinfomsg *m = begin(RTM_NEWLINK, sizeof(*m));
	struct nlattr *info, *data;

	m->ifi_type = ARPHRD_ETHER;
	m->ifi_index = 9;
	m->ifi_flags = IFF_UP | IFF_RUNNING;
	mnl_attr_put_strz(&msg.h, IFLA_IFNAME, "eth0.7");
	mnl_attr_put(&msg.h, IFLA_ADDRESS, 6, "\2\0\0\0\0\1");
	mnl_attr_put_u32(&msg.h, IFLA_MTU, 1496);
	mnl_attr_put_u32(&msg.h, IFLA_LINK, 2);
	info = mnl_attr_nest_start(&msg.h, IFLA_LINKINFO);
	mnl_attr_put_strz(&msg.h, IFLA_INFO_KIND, "vlan");
	data = mnl_attr_nest_start(&msg.h, IFLA_INFO_DATA);
	mnl_attr_put_u16(&msg.h, IFLA_VLAN_ID, 7);
	mnl_attr_put_u16(&msg.h, IFLA_VLAN_PROTOCOL, htons(0x88a8));
	mnl_attr_nest_end(&msg.h, data);
	mnl_attr_nest_end(&msg.h, info);
}

static void link_with_vlan(void **state)
{
	struct nh_link l;

	make_vlan();
	assert_int_equal(rtnl_decode_link(&msg.h, &l), 0);
	assert_string_equal(l.name, "eth0.7");
	assert_int_equal(l.ifindex, 9);
	assert_true(l.ethernet && l.admin_up && l.running && l.is_vlan);
	assert_false(l.loopback || l.lower_elsewhere);
	assert_int_equal(l.mtu, 1496);
	assert_int_equal(l.lower, 2);
	assert_int_equal(l.vlan_id, 7);
	assert_int_equal(l.vlan_proto, 0x88a8);
	assert_memory_equal(l.mac, "\2\0\0\0\0\1", 6);
}

static void neighbour(void **state)
{
	struct ndmsg *m = begin(RTM_NEWNEIGH, sizeof(*m));
	struct in_addr a = {htonl(0x0a000002)};
	struct lb_addr want;
	struct rtnl_neigh n;

	m->ndm_family = AF_INET;
	m->ndm_ifindex = 2;
	m->ndm_state = NUD_STALE;
	assert_int_equal(rtnl_decode_neigh(&msg.h, &n), -EBADMSG); /* without an address */
	mnl_attr_put(&msg.h, NDA_DST, 4, &a);
	mnl_attr_put(&msg.h, NDA_LLADDR, 6, "\2\0\0\0\0\1");
	mnl_attr_put_u32(&msg.h, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	mnl_attr_put_u8(&msg.h, NDA_PROTOCOL, 108);
	assert_int_equal(rtnl_decode_neigh(&msg.h, &n), 0);
	addr_parse("10.0.0.2", &want);
	assert_int_equal(addr_cmp(&n.addr, &want), 0);
	assert_true(n.has_mac && n.managed);
	assert_int_equal(n.state, NUD_STALE);
	assert_int_equal(n.protocol, 108);
	m->ndm_family = AF_BRIDGE;
	assert_int_equal(rtnl_decode_neigh(&msg.h, &n), -EBADMSG);
}

static void route_by_an_ipv6_gateway(void **state)
{
	struct rtmsg *m = begin(RTM_NEWROUTE, sizeof(*m));
	struct {
		struct rtvia via;
		__u8 addr[16];
	} via = {.via.rtvia_family = AF_INET6, .addr = {0xfe, 0x80, [15] = 1}};
	struct lb_addr gw, dst;
	struct in_addr a = {htonl(0x0a090000)};
	struct nlattr *metrics;
	struct rtnl_route r;

	m->rtm_family = AF_INET;
	m->rtm_type = RTN_UNICAST;
	m->rtm_dst_len = 16;
	mnl_attr_put(&msg.h, RTA_DST, 4, &a);
	mnl_attr_put_u32(&msg.h, RTA_OIF, 3);
	mnl_attr_put(&msg.h, RTA_VIA, sizeof(via), &via);
	metrics = mnl_attr_nest_start(&msg.h, RTA_METRICS);
	mnl_attr_put_u32(&msg.h, RTAX_ADVMSS, 1);
	mnl_attr_put_u32(&msg.h, RTAX_MTU, 1400);
	mnl_attr_nest_end(&msg.h, metrics);
	assert_int_equal(rtnl_decode_route(&msg.h, &r), 0);
	addr_parse("fe80::1", &gw);
	addr_parse("10.9.0.0", &dst);
	assert_true(r.route.has_gateway && addr_cmp(&r.route.gateway, &gw) == 0);
	assert_int_equal(addr_cmp(&r.dst, &dst), 0);
	assert_int_equal(r.prefix, 96 + 16);
	assert_int_equal(r.route.mtu, 1400);
	assert_int_equal(r.route.oif, 3);
	assert_false(r.route.has_source);
}

static void default_route_has_no_destination(void **state)
{
	struct rtmsg *m = begin(RTM_NEWROUTE, sizeof(*m));
	struct rtnl_route r;

	m->rtm_family = AF_INET;
	assert_int_equal(rtnl_decode_route(&msg.h, &r), 0);
	assert_true(addr_is_v4(&r.dst));
	assert_int_equal(r.prefix, 96);
	m->rtm_family = AF_INET6;
	assert_int_equal(rtnl_decode_route(&msg.h, &r), 0);
	assert_int_equal(r.prefix, 0);
	m->rtm_dst_len = 200;
	assert_int_equal(rtnl_decode_route(&msg.h, &r), -EBADMSG);
	m->rtm_family = AF_PACKET;
	assert_int_equal(rtnl_decode_route(&msg.h, &r), -EBADMSG);
}

static void wrong_sizes_are_refused(void **state)
{
	struct rtnl_route r;
	struct nh_link l;

	begin(RTM_NEWROUTE, sizeof(struct rtmsg));
	((struct rtmsg *)mnl_nlmsg_get_payload(&msg.h))->rtm_family = AF_INET;
	mnl_attr_put_u8(&msg.h, RTA_OIF, 3);
	assert_int_equal(rtnl_decode_route(&msg.h, &r), -EBADMSG);
	begin(RTM_NEWROUTE, sizeof(struct rtmsg));
	((struct rtmsg *)mnl_nlmsg_get_payload(&msg.h))->rtm_family = AF_INET;
	mnl_attr_put(&msg.h, RTA_GATEWAY, 5, "12345");
	assert_int_equal(rtnl_decode_route(&msg.h, &r), -EBADMSG);
	make_vlan();
	mnl_attr_put_strz(&msg.h, IFLA_IFNAME, "a-name-that-is-too-long");
	assert_int_equal(rtnl_decode_link(&msg.h, &l), -EBADMSG);
}

/* Every prefix of a message in memory of exactly that size: with ASan, reading past the end is an error. */
static void truncated_anywhere(void **state)
{
	make_vlan();
	for (__u32 len = NLMSG_HDRLEN; len <= msg.h.nlmsg_len; len++) {
		struct nlmsghdr *copy = malloc(len);
		struct rtnl_neigh n;
		struct rtnl_route r;
		struct nh_link l;

		memcpy(copy, &msg, len);
		copy->nlmsg_len = len;
		(void)rtnl_decode_link(copy, &l);
		(void)rtnl_decode_neigh(copy, &n);
		(void)rtnl_decode_route(copy, &r);
		free(copy);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_with_vlan),
		cmocka_unit_test(neighbour),
		cmocka_unit_test(route_by_an_ipv6_gateway),
		cmocka_unit_test(default_route_has_no_destination),
		cmocka_unit_test(wrong_sizes_are_refused),
		cmocka_unit_test(truncated_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
