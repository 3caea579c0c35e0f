// SPDX-License-Identifier: Apache-2.0
/* latency.c - see latency.h. */
#include "core/latency.h"

#include <stdlib.h>
#include <string.h>

static int u32_cmp(const void *a, const void *b)
{
	__u32 x = *(const __u32 *)a, y = *(const __u32 *)b;

	return (x > y) - (x < y);
}

struct latency latency_of(const __u32 *us, __u32 n)
{
	struct latency l = { .n = n < LATENCY_MAX ? n : LATENCY_MAX };
	__u32 sorted[LATENCY_MAX];

	if (!l.n)
		return l;
	memcpy(sorted, us, l.n * sizeof(*sorted));
	qsort(sorted, l.n, sizeof(*sorted), u32_cmp);
	l.p50_us = sorted[(l.n - 1) / 2];
	l.p99_us = sorted[(l.n * 99 + 99) / 100 - 1];
	return l;
}
