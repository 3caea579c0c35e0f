/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg.h - what the driver program of the benchmark and user space agree on.
 *
 * With BPF_PROG_TEST_RUN's `repeat` a packet keeps the changes of the round before. So the driver calls the program under
 * test as a function, counts its verdict, and then makes the packet fresh again with the next flow's addresses and ports.
 */
#pragma once
#include <linux/types.h>

#define BENCH_FRAME_WORDS 16 /* 128 bytes of header are restored at most */

struct bench_cfg {
	__u64 frame[BENCH_FRAME_WORDS];
	__u32 len;        /* of the frame */
	__u32 words;      /* of `frame` to restore: 8, 12 or 16 */
	__u32 flows;      /* number of different flows */
	__u32 sequential; /* one flow after the other (also: never the same twice), or at random */
	__u32 first;      /* number of the first flow */
	__u32 off_addr;   /* 4 bytes of the client's address */
	__u32 off_port;   /* the client's port */
	__u32 off_vip;    /* last 4 bytes of the VIP */
	__u32 vip;        /* their value for service 0, host order */
	__u32 vips;       /* services, a power of two */
	__u32 ifindex;    /* where the generator sends */
};

struct bench_state {
	__u64 verdicts[8];
	__s64 grown; /* bytes that the program under test added, all packets together */
	__u64 errors;
	__u64 next;
	__u64 random;
};
