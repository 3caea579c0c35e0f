/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * decap.h - what bpf/decap.bpf.c and its loader (`lbctl backend-setup`) agree on.
 *
 * The decapsulation program runs on a backend, on the interface where the balancers' packets arrive. It knows
 * nothing of services, slots or the balancer's maps. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d.
 *
 * Maps: `vips` (key struct decap_addr -> __u32, ignored): the only inner destinations that are ever unpacked.
 * `locals` (the same types): outer destinations that are this host's, looked at only with rodata `check_outer`.
 * `decap_stats` (per CPU): index enum decap_outcome.
 * Rodata: `gue_port` (host order, 0 = no GUE), `check_outer` (bool).
 */
#pragma once
#include <linux/types.h>

#define DECAP_VIPS_MAX 4096
#define DECAP_LOCALS_MAX 64
#define DECAP_GUE_PORT 6080 /* the default that balancer and backend share */

struct decap_addr {
	__u8 b[16];
};

/*
 * Each packet moves exactly one of these. The third word is the verdict. What is not certainly a tunnel packet for
 * a VIP of ours is the stack's business: it passes untouched. Append only: dashboards depend on the numbers.
 */
#define DECAP_OUTCOMES(X)                                                                                     \
	X(PASS_NOT_IP, "pass_not_ip", PASS)         /* ARP, LLDP, unknown ethertypes */                       \
	X(PASS_NOT_TUNNEL, "pass_not_tunnel", PASS) /* IP, but no tunnel in a form that a balancer sends */   \
	X(PASS_TRUNCATED, "pass_truncated", PASS)   /* the frame ends within the headers */                   \
	X(PASS_FRAGMENT, "pass_fragment", PASS)     /* fragment of a tunnel packet: the fabric MTU is small */ \
	X(PASS_NOT_LOCAL, "pass_not_local", PASS)   /* the outer destination is not this host */              \
	X(PASS_NOT_VIP, "pass_not_vip", PASS)       /* a tunnel, but not towards a VIP of ours */             \
	X(PASS_GUE_OTHER, "pass_gue_other", PASS)   /* GUE control message, options, unknown variant */       \
	X(DROP_MALFORMED, "drop_malformed", DROP)   /* for a VIP, but lengths contradict each other */        \
	X(DROP_CHECKSUM, "drop_checksum", DROP)     /* for a VIP, but the outer IPv4 header is damaged */     \
	X(DROP_ECN, "drop_ecn", DROP)               /* congestion mark that the inner packet can not carry */ \
	X(DROP_INTERNAL, "drop_internal", DROP)     /* must stay 0: a helper that cannot fail failed */       \
	X(OK_4IN4, "decap_4in4", PASS)                                                                     \
	X(OK_6IN4, "decap_6in4", PASS)                                                                     \
	X(OK_4IN6, "decap_4in6", PASS)                                                                     \
	X(OK_6IN6, "decap_6in6", PASS)                                                                     \
	X(OK_GUE4, "decap_gue4", PASS) /* outer IPv4 */                                                    \
	X(OK_GUE6, "decap_gue6", PASS) /* outer IPv6 */
enum decap_outcome {
#define X(id, name, verdict) DECAP_##id,
	DECAP_OUTCOMES(X)
#undef X
	DECAP_OUTCOME_MAX
};
#define DECAP_OUTCOME_SLOTS 32 /* entries of decap_stats: room to append */
