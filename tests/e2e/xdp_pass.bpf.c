// SPDX-License-Identifier: GPL-2.0-only
/*
 * xdp_pass.bpf.c - for the lab only. What a balancer sends by XDP_TX on a veth arrives only when the other end has an
 * XDP program too; xdp_pass is that program. The tests also use it as the foreign program that lbd must not evict.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp.frags")
int xdp_pass_frags(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
