/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cold.h - programs behind a tail call: everything that is rare, or costly to parse, costs the common path one branch.
 *
 * A cold program begins from the packet as it came (nothing was changed, nothing counted) and ends by itself through
 * lb_finish(). The slots are filled by libbpf when the object is loaded. An entry that is missing (kernel refused the
 * map, map was unpinned) is counted drop_internal.
 */
#pragma once
#include "packet.h"

enum lb_cold {
	LB_COLD_SLOW, /* anything whose headers are not plain Ethernet + IP + TCP or UDP: the general parser */
	LB_COLD_MAX
};

int lb_slow(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 16); /* room to append */
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} cold SEC(".maps") = {
	.values = {
		[LB_COLD_SLOW] = (void *)&lb_slow,
	},
};

/* Hand the packet over. Returns only when there is nobody to hand it to. */
AI int lb_go_cold(struct xdp_md *ctx, enum lb_cold to)
{
	bpf_tail_call(ctx, &cold, to);
	return LB_END(XDP_DROP, DROP_INTERNAL);
}
