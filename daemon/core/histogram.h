/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.h - counts of durations in buckets that grow with the value: 8 per doubling, so a percentile is right to
 * within 12%. Pure; fixed size; values in any unit up to 2^32 - 1.
 */
#pragma once
#include <linux/types.h>

#define HISTOGRAM_BUCKETS (8 + 29 * 8)

struct histogram {
	__u64 n;
	__u32 max;
	__u64 bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, __u32 value);
/* Upper edge of the bucket that holds the @permille-th value (never above the largest value); 0 when empty. */
__u32 histogram_at(const struct histogram *h, unsigned int permille);
