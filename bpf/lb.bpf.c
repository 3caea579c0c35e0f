// SPDX-License-Identifier: GPL-2.0-only
/*
 * lb.bpf.c - the programs. What they do is in the headers: pipeline.h (the common path), cold_programs.h
 * (everything rare).
 */
#include "pipeline.h"
#include "cold_programs.h"

/* Attached to the interfaces. */
SEC("xdp.frags")
int lb_xdp(struct xdp_md *ctx)
{
	return lb_finish(lb_pipeline(ctx));
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
