// SPDX-License-Identifier: Apache-2.0
/* histogram.c - see histogram.h. */
#include "core/histogram.h"

/* Values below 8 have a bucket each; above, the three bits behind the leading one choose among 8. */
static unsigned int bucket_of(__u32 value)
{
	unsigned int exp;

	if (value < 8)
		return value;
	exp = 31 - (unsigned int)__builtin_clz(value);
	return 8 + (exp - 3) * 8 + ((value >> (exp - 3)) & 7);
}

static __u32 upper_edge(unsigned int bucket)
{
	unsigned int exp, sub;

	if (bucket < 8)
		return bucket;
	exp = (bucket - 8) / 8;
	sub = (bucket - 8) % 8;
	return (__u32)(((9ull + sub) << exp) - 1);
}

void histogram_add(struct histogram *h, __u32 value)
{
	h->n++;
	h->bucket[bucket_of(value)]++;
	if (value > h->max)
		h->max = value;
}

__u32 histogram_at(const struct histogram *h, unsigned int permille)
{
	__u64 want = (h->n * permille + 999) / 1000, seen = 0;

	if (!h->n)
		return 0;
	if (!want)
		want = 1;
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= want)
			return upper_edge(i) < h->max ? upper_edge(i) : h->max;
	}
	return h->max;
}
