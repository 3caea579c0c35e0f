/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * packet.h - what one packet carries through the pipeline, and how every path ends.
 *
 * The pipeline returns a verdict: an XDP action alone when the packet was counted for its backend, else
 * LB_END(action, outcome). lb_finish() is the one exit that counts outcomes.
 */
#pragma once
#include "maps.h"

struct lb_pkt {
	__u64 h;        /* hash of the whole flow */
	__u64 slot_h;   /* hash that chooses the slot: h, or that of the addresses alone (source affinity) */
	__u64 svc;      /* LB_SVC_VAL of the service */
	__u32 len;      /* of the IP packet, by its own header */
	__u32 l4;       /* offset of the TCP or UDP header from the frame's start */
	__u32 l2_len;   /* bytes in front of the IP header: 14, and 4 for each VLAN tag */
	__u16 tc;       /* IPv6: traffic class as it lies in a header's first 16 bits; IPv4: TOS byte */
	__u8 proto;     /* LB_IPPROTO_TCP or LB_IPPROTO_UDP */
	__u8 v6;
	__u8 passive;   /* an ICMP error or a later fragment: no flow is refreshed by it, no error may answer it */
	__u8 plain_sum; /* the L4 checksum covers all behind the IP header: TCP or UDP, no extensions, no fragment */
};

/* A flow as its packets name it. IPv4 addresses stand in the low halves, all fields as in the packet. */
struct lb_tuple {
	__u64 src_hi, src_lo;
	__u64 vip_hi, vip_lo;
	__u32 ports; /* source port | destination port << 16 */
	__u8 proto;
	__u8 v6;
	__u16 pad;
};

#define LB_END(action, outcome) ((action) | ((int)LB_OUTCOME_##outcome + 1) << 8)

AI void *lb_data(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data;
}

AI void *lb_data_end(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end;
}

/* Length of the frame, or of its first buffer. (An addition of a length to a packet pointer is refused by 6.1.) */
AI __u32 lb_linear(const struct xdp_md *ctx)
{
	return (__u32)(lb_data_end(ctx) - lb_data(ctx));
}

AI int lb_finish(int verdict)
{
	__u32 key = (__u32)verdict >> 8;

	if (key) {
		__u64 *n;

		key--;
		n = bpf_map_lookup_elem(&outcomes, &key);
		if (n)
			(*n)++;
	}
	return verdict & 0xff;
}
