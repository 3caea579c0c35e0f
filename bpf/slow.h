/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * slow.h - the path of packets whose headers are not plain: the general parser, then the same steps as the others.
 */
#pragma once
#include "forward.h"
#include "parse.h"

AI int lb_slow_path(struct xdp_md *ctx)
{
	struct lb_pkt p = { 0 };
	struct lb_tuple t = { 0 };
	int verdict;

	switch (lb_parse(ctx, &p, &t, &verdict)) {
	case LB_PARSED_END:
		return verdict;
	case LB_PARSED_L4:
		break;
	case LB_PARSED_ICMP:
		return lb_go_cold(ctx, LB_COLD_ICMP);
	case LB_PARSED_FRAGMENT:
		return lb_go_cold(ctx, LB_COLD_FRAGMENT);
	default: /* other protocols: to the stack */
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	}
	if (lb_find(&t, &p) != LB_FOUND_SERVICE)
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	return lb_forward(ctx, &p);
}
