/* SPDX-License-Identifier: Apache-2.0 */
/* latency.h - percentiles of a handful of times. Pure. */
#pragma once
#include <linux/types.h>

#define LATENCY_MAX 64

struct latency {
	__u32 n; /* how many; 0: the others mean nothing */
	__u32 p50_us, p99_us;
};
/* Of @n times, LATENCY_MAX at most, in any order. */
struct latency latency_of(const __u32 *us, __u32 n);
