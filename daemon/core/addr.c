// SPDX-License-Identifier: Apache-2.0
/* addr.c - see addr.h. */
#include "core/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static const __u8 mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool addr_is_v4(const struct lb_addr *a)
{
	return memcmp(a->b, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

__be32 addr_v4_be(const struct lb_addr *a)
{
	__be32 v;

	memcpy(&v, a->b + 12, sizeof(v));
	return v;
}

void addr_from_v4_be(struct lb_addr *out, __be32 a)
{
	memcpy(out->b, mapped_prefix, sizeof(mapped_prefix));
	memcpy(out->b + 12, &a, sizeof(a));
}

int addr_parse(const char *text, struct lb_addr *out)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		addr_from_v4_be(out, v4.s_addr);
		return 0;
	}
	/* A mapped literal would be a second spelling of an IPv4 address: refuse it rather than hold two truths. */
	if (inet_pton(AF_INET6, text, &v6) != 1 || IN6_IS_ADDR_V4MAPPED(&v6))
		return -EINVAL;
	memcpy(out->b, &v6, sizeof(out->b));
	return 0;
}

const char *addr_format(const struct lb_addr *a, char buf[ADDR_STRLEN])
{
	if (addr_is_v4(a))
		inet_ntop(AF_INET, a->b + 12, buf, ADDR_STRLEN);
	else
		inet_ntop(AF_INET6, a->b, buf, ADDR_STRLEN);
	return buf;
}

int addr_cmp(const struct lb_addr *a, const struct lb_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

bool addr_is_unusable(const struct lb_addr *a)
{
	struct in6_addr v6;

	if (addr_is_v4(a)) {
		__u32 v = ntohl(addr_v4_be(a));

		return v >> 24 == 0 || v >> 24 == 127 || v >> 28 >= 0xe || v >> 16 == 0xa9fe;
	}
	memcpy(&v6, a->b, sizeof(v6));
	return IN6_IS_ADDR_UNSPECIFIED(&v6) || IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_MULTICAST(&v6) ||
	       IN6_IS_ADDR_LINKLOCAL(&v6);
}
