// SPDX-License-Identifier: Apache-2.0
/* cases.c - what the packet benchmark measures. Names are an interface: they are compared over time. */
#include "bench.h"

#include <linux/bpf.h>

#define M1 4093u   /* ten backends, by rule */
#define M100 16381u /* a hundred */
#define FLOWS { 1, 10000, 1000000, 0 }
#define NEW { 1000000, 0 }

const struct bench_case bench_cases[] = {
	{ "tcp4-ipip-settled", FRAME_TCP4, LB_ENCAP_IP4, 1, 10, M1, 0, SETTLED, false, XDP_TX, 20, FLOWS },
	{ "tcp4-ipip-new", FRAME_SYN4, LB_ENCAP_IP4, 1, 10, M1, 0, SETTLED, true, XDP_TX, 20, NEW },
	{ "udp4-ipip-settled", FRAME_UDP4, LB_ENCAP_IP4, 1, 10, M1, 0, SETTLED, false, XDP_TX, 20, FLOWS },
	{ "tcp6-ip6ip6-settled", FRAME_TCP6, LB_ENCAP_IP6, 1, 10, M1, 0, SETTLED, false, XDP_TX, 40, FLOWS },
	{ "tcp6-ip6ip6-new", FRAME_SYN6, LB_ENCAP_IP6, 1, 10, M1, 0, SETTLED, true, XDP_TX, 40, NEW },
	{ "tcp4-ip6-settled", FRAME_TCP4, LB_ENCAP_IP6, 1, 10, M1, 0, SETTLED, false, XDP_TX, 40, FLOWS },
	{ "tcp6-ipip-settled", FRAME_TCP6, LB_ENCAP_IP4, 1, 10, M1, 0, SETTLED, false, XDP_TX, 20, FLOWS },
	{ "tcp4-gue-settled", FRAME_TCP4, LB_ENCAP_GUE4, 1, 10, M1, 0, SETTLED, false, XDP_TX, 28, FLOWS },
	{ "tcp6-gue6-settled", FRAME_TCP6, LB_ENCAP_GUE6, 1, 10, M1, 0, SETTLED, false, XDP_TX, 48, FLOWS },
	{ "tcp4-l2-settled", FRAME_TCP4, LB_ENCAP_L2, 1, 10, M1, 0, SETTLED, false, XDP_TX, 0, FLOWS },
	{ "tcp4-ipip-64x100", FRAME_TCP4, LB_ENCAP_IP4, 64, 100, M100, 0, SETTLED, false, XDP_TX, 20, { 10000, 1000000, 0 } },
	{ "tcp4-ipip-655373", FRAME_TCP4, LB_ENCAP_IP4, 1, 1000, 655373, 0, SETTLED, false, XDP_TX, 20, NEW },
	{ "tcp4-ipip-transition-5pct", FRAME_TCP4, LB_ENCAP_IP4, 1, 10, M1, 5, P1_HIT, false, XDP_TX, 20, FLOWS },
	{ "tcp4-ipip-transition-hit", FRAME_TCP4, LB_ENCAP_IP4, 1, 10, M1, 100, P1_HIT, false, XDP_TX, 20, FLOWS },
	{ "tcp4-ipip-transition-insert", FRAME_TCP4, LB_ENCAP_IP4, 1, 10, M1, 100, P1_INSERT, true, XDP_TX, 20, NEW },
	{ "tcp4-ipip-transition-miss", FRAME_TCP4, LB_ENCAP_IP4, 1, 10, M1, 100, P2_MISS, false, XDP_TX, 20, FLOWS },
	{ "tcp4-ipip-transition-syn", FRAME_SYN4, LB_ENCAP_IP4, 1, 10, M1, 100, P1_HIT, true, XDP_TX, 20, NEW },
	{ "icmp4-error-ipip", FRAME_ICMP4, LB_ENCAP_IP4, 1, 10, M1, 0, SETTLED, false, XDP_TX, 20, FLOWS },
	{ "pass", FRAME_OTHER4, LB_ENCAP_IP4, 1, 10, M1, 0, SETTLED, false, XDP_PASS, 0, FLOWS },
	{ "pass-arp", FRAME_ARP, LB_ENCAP_IP4, 1, 10, M1, 0, SETTLED, false, XDP_PASS, 0, { 1, 0 } },
	{ 0 },
};
