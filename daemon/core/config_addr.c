// SPDX-License-Identifier: Apache-2.0
/* config_addr.c - reads addresses, and says what is wrong with those that are none. */
#include "core/config_private.h"
#include "core/config_value.h"

#include <ctype.h>
#include <string.h>

static const char *literal_hint(const char *text)
{
	struct lb_addr a;
	__u16 port;
	char head[ADDR_STRLEN];
	size_t n = strcspn(text, "/%");

	if (text[n] && n < sizeof(head)) {
		memcpy(head, text, n);
		head[n] = '\0';
		if (!addr_parse(head, &a))
			return text[n] == '/' ? "leave the prefix length out" : "leave the interface out";
	}
	if (!value_parse_endpoint(text, &a, &port))
		return "leave the port out: a packet keeps the port it came with, so it is the service's key";
	if (strncasecmp(text, "::ffff:", 7) == 0 && strchr(text, '.'))
		return "write an IPv4 address as a.b.c.d";
	if (text[0] == '[')
		return "leave the brackets out";
	if (strchr(text, ':'))
		return "an IPv6 address is like 2001:db8::10";
	for (; *text; text++) {
		if (isalpha((unsigned char)*text) && !isxdigit((unsigned char)*text))
			return "write the address: names are not looked up, the balancer starts without DNS";
	}
	return "an IPv4 address is like 192.0.2.10, four numbers from 0 to 255 without leading zeros";
}

/* Why @a is not good for anything here; NULL when it is. */
static const char *unusable_reason(const struct lb_addr *a)
{
	__u8 first = addr_is_v4(a) ? a->b[12] : a->b[0];

	if (!addr_is_unusable(a))
		return NULL;
	if (addr_is_v4(a)) {
		if (first == 127)
			return "a loopback address";
		if (first == 0)
			return "an unspecified address";
		if (first == 169)
			return "a link-local address";
		return (first & 0xf0) == 0xe0 ? "a multicast address" : "a reserved address";
	}
	if (first == 0xff)
		return "a multicast address";
	if (first == 0xfe)
		return "a link-local address";
	return a->b[15] == 1 ? "a loopback address" : "an unspecified address";
}

bool cfg_read_addr(struct cfg *c, const char *key, yaml_node_t *node, struct lb_addr *out)
{
	const char *text, *reason;
	struct lb_addr a;

	if (node->type == YAML_MAPPING_NODE) {
		cfg_error(c, node, "put an IPv6 address that ends with ':' in quotes",
			  "%s: expected an address, found a group of keys", key);
		return false;
	}
	text = cfg_text(c, key, "an address", node);
	if (!text)
		return false;
	if (addr_parse(text, &a)) {
		cfg_error(c, node, literal_hint(text), "%s: '%s' is not an IPv4 or IPv6 address", key, text);
		return false;
	}
	reason = unusable_reason(&a);
	if (reason) {
		cfg_error(c, node, "it must be a unicast address that other hosts can reach", "%s: %s is %s",
			  key, text, reason);
		return false;
	}
	*out = a;
	return true;
}
