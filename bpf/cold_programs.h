/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cold_programs.h - the programs behind the tail calls of cold.h, once for every object that has the pipeline.
 */
#pragma once
#include "fragment.h"
#include "icmp.h"
#include "slow.h"
#include "toobig.h"

/* LB_COLD_SLOW */
SEC("xdp.frags")
int lb_slow(struct xdp_md *ctx)
{
	return lb_finish(lb_slow_path(ctx));
}

/* LB_COLD_ICMP */
SEC("xdp.frags")
int lb_icmp(struct xdp_md *ctx)
{
	return lb_finish(lb_icmp_path(ctx));
}

/* LB_COLD_FRAGMENT */
SEC("xdp.frags")
int lb_fragment(struct xdp_md *ctx)
{
	return lb_finish(lb_fragment_path(ctx));
}

/* LB_COLD_TOO_BIG */
SEC("xdp.frags")
int lb_too_big(struct xdp_md *ctx)
{
	return lb_finish(lb_too_big_path(ctx));
}
