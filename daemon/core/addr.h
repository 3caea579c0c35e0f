/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.h - one type for IPv4 and IPv6 addresses, so that no code exists twice.
 *
 * Bytes are in network order. IPv4 is held as IPv4-mapped IPv6 (::ffff:a.b.c.d), so equal addresses have equal bytes
 * and memcmp orders them (IPv6 and IPv4 never mix up, a mapped address in a configuration is refused by addr_parse).
 */
#pragma once
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define ADDR_STRLEN 46

struct lb_addr {
	__u8 b[16];
};

/* Parse a literal (no names, no scope, no prefix). 0 or -EINVAL; *out is written on success only. */
int addr_parse(const char *text, struct lb_addr *out);
/* Canonical text (RFC 5952). @buf has ADDR_STRLEN bytes. Returns @buf. */
const char *addr_format(const struct lb_addr *a, char buf[ADDR_STRLEN]);
bool addr_is_v4(const struct lb_addr *a);
__be32 addr_v4_be(const struct lb_addr *a); /* only for IPv4 */
void addr_from_v4_be(struct lb_addr *out, __be32 a);
int addr_cmp(const struct lb_addr *a, const struct lb_addr *b);
/* True for addresses that can be neither a VIP nor a backend: unspecified, loopback, multicast, broadcast, link-local. */
bool addr_is_unusable(const struct lb_addr *a);
