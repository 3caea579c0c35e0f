/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * probe.h - what bpf/probe.bpf.c and its loader agree on: marks and counters. No libc.
 *
 * A socket with SO_MARK LB_PROBE_MARK | bidx sends to backend bidx alone. The upper 17 bits are fixed ("LB" and a zero),
 * so routing rules of the host for other marks are not met.
 */
#pragma once
#include <linux/types.h>

#define LB_PROBE_MARK 0x4c420000u
#define LB_PROBE_MARK_MASK 0xffff8000u

/* Per-CPU map `probe_stats`. */
enum lb_probe_stat {
	LB_PROBE_SENT,
	LB_PROBE_NO_NEXTHOP, /* the backend's line says how to reach it not (yet), or it is this host */
	LB_PROBE_TOO_BIG,
	LB_PROBE_FAILED, /* no memory for the outer header */
	LB_PROBE_STATS
};
