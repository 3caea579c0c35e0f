/* SPDX-License-Identifier: Apache-2.0 */
/* overlay_fixture.h - a set of backends with its table and overlay, for the tests of the overlay. */
#pragma once
#include "core/cleanup.h"
#include "core/hash.h"
#include "core/overlay.h"
#include "prop.h"

#include <errno.h>
#include <string.h>

struct fixture {
	struct prop_set s;
	__u16 table[PROP_M_MAX], current[PROP_M_MAX], other[PROP_M_MAX];
	__u32 admission[PROP_N_MAX], quota[PROP_N_MAX];
	struct overlay *o;
};

static inline void fixture_build(struct fixture *x)
{
	overlay_free(x->o);
	assert_int_equal(maglev_build(x->s.b, x->s.n, x->s.m, &x->s.seed, x->table), 0);
	assert_int_equal(maglev_quotas(x->s.b, x->s.n, x->s.m, &x->s.seed, x->quota), 0);
	assert_int_equal(overlay_new(&x->o, x->s.b, x->s.n, x->table, x->s.m, &x->s.seed), 0);
	for (unsigned int i = 0; i < x->s.n; i++)
		x->admission[i] = OVERLAY_FULL;
}

static inline void fixture_equal(struct fixture *x, unsigned int n, __u32 m)
{
	x->s = (struct prop_set){ .n = n, .m = m, .seed = { { 7, 11 } }, .total = n * 100 };
	for (unsigned int i = 0; i < n; i++) {
		addr_from_v4_be(&x->s.b[i].addr, (__be32)(0x0a | i << 16));
		x->s.b[i].weight = 100;
	}
	fixture_build(x);
}

static inline void apply(struct fixture *x)
{
	assert_int_equal(overlay_apply(x->o, x->admission, x->current), 0);
}

static inline unsigned int load_of(const struct fixture *x, unsigned int b)
{
	unsigned int load = 0;

	for (__u32 s = 0; s < x->s.m; s++)
		load += x->current[s] == b;
	return load;
}
