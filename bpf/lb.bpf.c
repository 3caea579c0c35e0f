// SPDX-License-Identifier: GPL-2.0-only
/*
 * lb.bpf.c - the programs. What they do is in the headers: pipeline.h (the common path), slow.h (the general parser).
 */
#include "pipeline.h"
#include "slow.h"

/* Attached to the interfaces. */
SEC("xdp.frags")
int lb_xdp(struct xdp_md *ctx)
{
	return lb_finish(lb_pipeline(ctx));
}

/* LB_COLD_SLOW */
SEC("xdp.frags")
int lb_slow(struct xdp_md *ctx)
{
	return lb_finish(lb_slow_path(ctx));
}

/*
 * The LB clock for user space: BPF_PROG_TEST_RUN without input or context, the answer is the return value (tenths of
 * a second, 32 bits).
 */
SEC("syscall")
int lb_clock(void *ctx)
{
	return (int)lb_now_ds();
}

char LICENSE[] SEC("license") = "GPL";
