/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * slow.h - the path of packets whose headers are not plain: the general parser, then the same steps as the others.
 */
#pragma once
#include "admit.h"
#include "forward.h"
#include "parse.h"

AI int lb_slow_path(struct xdp_md *ctx)
{
	struct lb_view *v = lb_view_new(LB_VIEW_PACKET);
	struct lb_pkt p;
	int verdict;

	if (!v)
		return LB_END(XDP_DROP, DROP_INTERNAL);
	switch (lb_parse_packet(ctx, v)) {
	case LB_PARSED_END:
		return v->verdict;
	case LB_PARSED_L4:
		break;
	case LB_PARSED_ICMP:
		return lb_go_cold(ctx, LB_COLD_ICMP);
	case LB_PARSED_FRAGMENT:
		return lb_go_cold(ctx, LB_COLD_FRAGMENT);
	default: /* other protocols: to the stack */
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	}
	p = v->p; /* one that no function has seen: the compiler need not read it anew */
	lb_opaque(p.l2_len);
	p.l2_len &= 31; /* 14, 18 or 22: the verifier has lost sight of it */
	if (lb_find(&v->t, &p) != LB_FOUND_SERVICE)
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	verdict = lb_admit(&p, &v->t, lb_begins_flow(ctx, &p));
	if (verdict)
		return verdict;
	return lb_forward(ctx, &p);
}
