// SPDX-License-Identifier: Apache-2.0
/* rtnl_decode.c - see rtnl_decode.h. */
#include "rtnl_decode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* The exact end of the message: mnl_attr_for_each() rounds it up and may read past a last, unaligned message.
 */
#define for_each_attr(attr, h, header_bytes)                                                                 \
	mnl_attr_for_each_payload(mnl_nlmsg_get_payload_offset(h, header_bytes),                             \
				  mnl_nlmsg_get_payload_len(h) - NLMSG_ALIGN(header_bytes))

static bool has_header(const struct nlmsghdr *h, size_t header_bytes)
{
	return h->nlmsg_len >= NLMSG_HDRLEN && mnl_nlmsg_get_payload_len(h) >= NLMSG_ALIGN(header_bytes);
}

static int get_u32(const struct nlattr *attr, __u32 *out)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(*out))
		return -EBADMSG;
	memcpy(out, mnl_attr_get_payload(attr), sizeof(*out));
	return 0;
}

static int get_u16(const struct nlattr *attr, __u16 *out)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(*out))
		return -EBADMSG;
	memcpy(out, mnl_attr_get_payload(attr), sizeof(*out));
	return 0;
}

static int get_name(const struct nlattr *attr, char name[16])
{
	size_t len = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));

	if (len == 0 || len >= 16)
		return -EBADMSG;
	memset(name, 0, 16);
	memcpy(name, mnl_attr_get_payload(attr), len);
	return 0;
}

static int get_addr_bytes(const void *bytes, size_t len, struct lb_addr *out)
{
	__be32 v4;

	if (len == sizeof(v4)) {
		memcpy(&v4, bytes, sizeof(v4));
		addr_from_v4_be(out, v4);
		return 0;
	}
	if (len != sizeof(out->b))
		return -EBADMSG;
	memcpy(out->b, bytes, sizeof(out->b));
	return 0;
}

static int get_addr(const struct nlattr *attr, struct lb_addr *out)
{
	return get_addr_bytes(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), out);
}

static int decode_vlan(const struct nlattr *data, struct nh_link *out)
{
	const struct nlattr *attr;
	__be16 proto;
	int r = 0;

	mnl_attr_for_each_nested(attr, data)
	{
		if (mnl_attr_get_type(attr) == IFLA_VLAN_ID)
			r = get_u16(attr, &out->vlan_id);
		else if (mnl_attr_get_type(attr) == IFLA_VLAN_PROTOCOL && (r = get_u16(attr, &proto)) == 0)
			out->vlan_proto = ntohs(proto);
		if (r)
			return r;
	}
	return 0;
}

static int decode_linkinfo(const struct nlattr *info, struct nh_link *out)
{
	const struct nlattr *attr, *data = NULL;
	char kind[16] = "";

	mnl_attr_for_each_nested(attr, info)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND && get_name(attr, kind))
			return 0; /* a long name is some other kind */
		if (mnl_attr_get_type(attr) == IFLA_INFO_DATA)
			data = attr;
	}
	out->is_vlan = data && strcmp(kind, "vlan") == 0;
	return out->is_vlan ? decode_vlan(data, out) : 0;
}

static int decode_link_attr(const struct nlattr *attr, struct nh_link *out)
{
	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		return get_name(attr, out->name);
	case IFLA_MTU:
		return get_u32(attr, &out->mtu);
	case IFLA_LINK:
		return get_u32(attr, &out->lower);
	case IFLA_LINK_NETNSID:
		out->lower_elsewhere = true;
		return 0;
	case IFLA_LINKINFO:
		return decode_linkinfo(attr, out);
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == sizeof(out->mac))
			memcpy(out->mac, mnl_attr_get_payload(attr), sizeof(out->mac));
		else
			out->ethernet = false;
		return 0;
	default:
		return 0;
	}
}

int rtnl_decode_link(const struct nlmsghdr *h, struct nh_link *out)
{
	const struct ifinfomsg *m;
	const struct nlattr *attr;
	int r;

	if (!has_header(h, sizeof(*m)))
		return -EBADMSG;
	m = mnl_nlmsg_get_payload(h);
	memset(out, 0, sizeof(*out));
	out->ifindex = (unsigned int)m->ifi_index;
	out->ethernet = m->ifi_type == ARPHRD_ETHER;
	out->loopback = m->ifi_flags & IFF_LOOPBACK;
	out->admin_up = m->ifi_flags & IFF_UP;
	out->running = m->ifi_flags & IFF_RUNNING;
	out->vlan_proto = 0x8100; /* the kernel's default when it does not say */
	for_each_attr(attr, h, sizeof(*m))
	{
		r = decode_link_attr(attr, out);
		if (r)
			return r;
	}
	return m->ifi_index > 0 && out->name[0] ? 0 : -EBADMSG;
}

int rtnl_decode_neigh(const struct nlmsghdr *h, struct rtnl_neigh *out)
{
	const struct nlattr *attr;
	const struct ndmsg *m;
	bool has_addr = false;
	__u32 ext;

	if (!has_header(h, sizeof(*m)))
		return -EBADMSG;
	m = mnl_nlmsg_get_payload(h);
	if (m->ndm_family != AF_INET && m->ndm_family != AF_INET6)
		return -EBADMSG;
	memset(out, 0, sizeof(*out));
	out->ifindex = (unsigned int)m->ndm_ifindex;
	out->state = m->ndm_state;
	for_each_attr(attr, h, sizeof(*m))
	{
		size_t len = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case NDA_DST:
			if (get_addr(attr, &out->addr))
				return -EBADMSG;
			has_addr = true;
			break;
		case NDA_LLADDR:
			if (len != sizeof(out->mac))
				break; /* not Ethernet's: an entry that we have no use for */
			out->has_mac = true;
			memcpy(out->mac, mnl_attr_get_payload(attr), sizeof(out->mac));
			break;
		case NDA_FLAGS_EXT:
			if (get_u32(attr, &ext))
				return -EBADMSG;
			out->managed = ext & NTF_EXT_MANAGED;
			break;
		case NDA_PROTOCOL:
			if (len != 1)
				return -EBADMSG;
			out->protocol = *(__u8 *)mnl_attr_get_payload(attr);
			break;
		}
	}
	return has_addr ? 0 : -EBADMSG;
}

/* Unnumbered: an IPv4 destination behind an IPv6 gateway. */
static int get_via(const struct nlattr *attr, struct lb_addr *out)
{
	size_t len = mnl_attr_get_payload_len(attr);
	const struct rtvia *via = mnl_attr_get_payload(attr);

	if (len < sizeof(*via))
		return -EBADMSG;
	return get_addr_bytes(via->rtvia_addr, len - sizeof(*via), out);
}

static int get_mtu(const struct nlattr *metrics, __u32 *mtu)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics) if (mnl_attr_get_type(attr) == RTAX_MTU &&
						    get_u32(attr, mtu)) return -EBADMSG;
	return 0;
}

static int decode_route_attr(const struct nlattr *attr, struct rtnl_route *out)
{
	struct nh_route *r = &out->route;

	switch (mnl_attr_get_type(attr)) {
	case RTA_DST:
		return get_addr(attr, &out->dst);
	case RTA_OIF:
		return get_u32(attr, &r->oif);
	case RTA_GATEWAY:
		r->has_gateway = true;
		return get_addr(attr, &r->gateway);
	case RTA_VIA:
		r->has_gateway = true;
		return get_via(attr, &r->gateway);
	case RTA_PREFSRC:
		r->has_source = true;
		return get_addr(attr, &r->source);
	case RTA_METRICS:
		return get_mtu(attr, &r->mtu);
	default:
		return 0;
	}
}

int rtnl_decode_route(const struct nlmsghdr *h, struct rtnl_route *out)
{
	const struct nlattr *attr;
	const struct rtmsg *m;
	int r;

	if (!has_header(h, sizeof(*m)))
		return -EBADMSG;
	m = mnl_nlmsg_get_payload(h);
	memset(out, 0, sizeof(*out));
	if (m->rtm_family == AF_INET) {
		addr_from_v4_be(&out->dst, 0); /* a default route has no RTA_DST */
		out->prefix = 96u + m->rtm_dst_len;
	} else if (m->rtm_family == AF_INET6) {
		out->prefix = m->rtm_dst_len;
	} else {
		return -EBADMSG;
	}
	if (out->prefix > 128)
		return -EBADMSG;
	out->route.type = m->rtm_type;
	for_each_attr(attr, h, sizeof(*m))
	{
		r = decode_route_attr(attr, out);
		if (r)
			return r;
	}
	return addr_is_v4(&out->dst) == (m->rtm_family == AF_INET) || m->rtm_family == AF_INET6 ? 0
												: -EBADMSG;
}
