// SPDX-License-Identifier: Apache-2.0
/*
 * test_overlay_property.c - the overlay over random sets, weights and admissions: an eligible owner and a bounded load
 * for every slot (I2), all full is T (I3), a larger admission keeps a superset (I4), no dependence on the order of the
 * input or on backends without weight (I1), and a naive second implementation.
 */
#include "overlay_fixture.h"

static struct fixture f, g;

static void random_admissions(struct rng *r, struct fixture *x)
{
	unsigned int kind = rng_below(r, 5);

	for (unsigned int i = 0; i < x->s.n; i++) {
		switch (kind) {
		case 0: /* a few failures */
			x->admission[i] = rng_chance(r, 10) ? 0 : OVERLAY_FULL;
			break;
		case 1: /* many */
			x->admission[i] = rng_chance(r, 60) ? 0 : OVERLAY_FULL;
			break;
		case 2: /* everything at once */
			x->admission[i] = rng_chance(r, 30) ? 0 : rng_chance(r, 50) ? OVERLAY_FULL : rng_below(r, 65537);
			break;
		case 3: /* all ramp */
			x->admission[i] = 1 + rng_below(r, 65535);
			break;
		default: /* nearly nobody */
			x->admission[i] = rng_chance(r, 97) ? 0 : rng_below(r, 65537);
		}
	}
}

static __u32 keep_below(const struct fixture *x, unsigned int i, __u32 bar)
{
	return x->admission[i] >= bar ? OVERLAY_FULL : (__u32)((__u64)x->admission[i] * OVERLAY_FULL / bar);
}

static __u32 u_of(const struct fixture *x, __u32 slot)
{
	return (__u32)(hash_u64(x->s.seed.k, HASH_SLOT_U, slot) >> 48);
}

/* I2: every slot has an admitted owner, kept ones stay, loads are under the caps. NULL, or what is wrong. */
static const char *problem_of_owners(const struct fixture *x, __u32 bar)
{
	static __u32 load[PROP_N_MAX];
	__u32 shared = x->s.m;
	__u64 eligible = 0;

	memset(load, 0, sizeof(load));
	for (__u32 s = 0; s < x->s.m; s++) {
		__u16 own = x->table[s], now = x->current[s];

		if (now >= x->s.n || !x->s.b[now].weight)
			return "a slot has no owner with weight";
		if (u_of(x, s) < keep_below(x, own, bar)) {
			if (now != own)
				return "a slot is not kept";
		} else if (now == own || x->admission[now] < bar) {
			return "a slot went to a backend that is not eligible";
		}
		load[now]++;
	}
	for (unsigned int i = 0; i < x->s.n; i++) {
		if (x->admission[i] >= bar)
			eligible += x->s.b[i].weight;
		else
			shared -= load[i];
	}
	for (unsigned int i = 0; i < x->s.n; i++) {
		double fair = (double)shared * x->s.b[i].weight / (double)eligible;

		if (x->admission[i] < bar)
			continue;
		if (load[i] > x->quota[i] && load[i] >= 1.02 * fair + 1)
			return "a backend has more than its cap";
	}
	return NULL;
}

/* The same rules with long division and linear searches. */
static void apply_naively(const struct fixture *x, __u32 bar, bool capped, __u16 *out)
{
	static __u32 load[PROP_N_MAX], nth[PROP_N_MAX];
	static __u16 second[PROP_M_MAX];
	__u16 order[PROP_N_MAX];
	__u32 shared = x->s.m;
	unsigned int ranks = 0;
	__u64 eligible = 0;

	assert_int_equal(maglev_order(x->s.b, x->s.n, &x->s.seed, order), 0);
	for (unsigned int r = 0; r < x->s.n; r++)
		if (x->s.b[order[r]].weight)
			order[ranks++] = order[r];
	memset(load, 0, sizeof(load));
	memset(nth, 0, sizeof(nth));
	for (__u32 s = 0; s < x->s.m; s++) {
		__u16 own = x->table[s];
		__u64 others = x->s.total - x->s.b[own].weight;
		__u64 h = hash_addr(x->s.seed.k, HASH_SECOND, &x->s.b[own].addr) >> 48;
		__u64 point = h * (others / x->quota[own]) / 65536 + (__u64)nth[own]++ * others / x->quota[own];

		second[s] = MAGLEV_NONE;
		for (unsigned int r = 0; r < ranks && second[s] == MAGLEV_NONE; r++) {
			if (order[r] == own)
				continue;
			if (point < x->s.b[order[r]].weight)
				second[s] = order[r];
			else
				point -= x->s.b[order[r]].weight;
		}
		out[s] = u_of(x, s) < keep_below(x, own, bar) ? own : MAGLEV_NONE;
		if (out[s] != MAGLEV_NONE)
			load[own]++;
	}
	for (unsigned int i = 0; i < x->s.n; i++) {
		eligible += x->admission[i] >= bar ? x->s.b[i].weight : 0;
		shared -= x->admission[i] >= bar ? 0 : load[i];
	}
	for (int round = 0; round < 3; round++) {
		for (__u32 s = 0; s < x->s.m; s++) {
			__u64 h = hash_u64(x->s.seed.k, HASH_CHAIN, s);
			unsigned int tries = round == 0 ? 1 : round == 1 ? 8 : ranks;
			unsigned int rank = (unsigned int)((h & 0xffffffff) * ranks >> 32);

			for (unsigned int k = 0; k < tries && out[s] == MAGLEV_NONE; k++) {
				__u16 to = round == 0 ? second[s] :
					   round == 1 ? x->table[hash_reduce(h, x->s.m)] : order[(rank + k) % ranks];

				if (to != MAGLEV_NONE && x->admission[to] >= bar && x->s.b[to].weight &&
				    (!capped || load[to] < overlay_cap(shared, x->s.b[to].weight, eligible))) {
					out[s] = to;
					load[to]++;
				}
				h = hash_mix64(h + 0x9e3779b97f4a7c15ull);
			}
		}
	}
}

static void check_independence(struct rng *r, const struct fixture *x)
{
	__u16 perm[PROP_N_MAX];

	prop_shuffle(r, &x->s, &g.s, perm);
	fixture_build(&g);
	for (unsigned int i = 0; i < g.s.n; i++)
		g.admission[i] = x->admission[perm[i]];
	apply(&g);
	for (__u32 s = 0; s < x->s.m; s++)
		prop_check(perm[g.current[s]] == x->current[s], "slot %u depends on the order of the input", s);
}

/* Backends without weight leave no trace: balancers forget removed ones at different times. */
static void check_weightless(struct rng *r, const struct fixture *x)
{
	__u16 perm[PROP_N_MAX];
	unsigned int n = 0;

	for (unsigned int i = 0; i < x->s.n; i++) {
		if (!x->s.b[i].weight && rng_chance(r, 70))
			continue;
		perm[n] = (__u16)i;
		g.s.b[n] = x->s.b[i];
		g.admission[n++] = x->admission[i];
	}
	g.s.n = n;
	g.s.m = x->s.m;
	g.s.seed = x->s.seed;
	assert_int_equal(maglev_build(g.s.b, n, g.s.m, &g.s.seed, g.table), 0);
	overlay_free(g.o);
	assert_int_equal(overlay_new(&g.o, g.s.b, n, g.table, g.s.m, &g.s.seed), 0);
	apply(&g);
	for (__u32 s = 0; s < x->s.m; s++)
		prop_check(perm[g.current[s]] == x->current[s], "slot %u depends on backends without weight", s);
}

/* I4: with a larger admission, everything else equal, a backend keeps a superset of its own slots. */
static void check_superset(struct rng *r, struct fixture *x)
{
	unsigned int b = rng_below(r, x->s.n);
	__u32 before = x->admission[b], more = rng_chance(r, 30) ? OVERLAY_FULL : before + rng_below(r, 65537 - before);

	memcpy(x->other, x->current, sizeof(x->other));
	x->admission[b] = more;
	apply(x);
	for (__u32 s = 0; s < x->s.m; s++)
		prop_check(x->table[s] != b || x->other[s] != b || x->current[s] == b,
			   "backend %u lost slot %u when its admission rose from %u to %u", b, s, before, more);
}

static void overlay_holds(struct rng *r)
{
	const char *problem;
	__u32 bar;

	prop_set_random(r, &f.s);
	fixture_build(&f);
	apply(&f);
	prop_check(memcmp(f.current, f.table, f.s.m * sizeof(__u16)) == 0, "all are full, but this is not T");
	random_admissions(r, &f);
	apply(&f);
	bar = overlay_bar(f.o, f.admission);
	if (!bar) {
		for (__u32 s = 0; s < f.s.m; s++)
			prop_check(f.current[s] == MAGLEV_NONE, "slot %u", s);
		return;
	}
	problem = problem_of_owners(&f, bar);
	prop_check(!problem, "%s", problem);
	if (rng_chance(r, 20)) {
		apply_naively(&f, bar, true, f.other);
		for (__u32 s = 0; s < f.s.m; s++)
			prop_check(f.other[s] == f.current[s], "slot %u: %u, naively %u", s, f.current[s], f.other[s]);
	}
	if (rng_chance(r, 20))
		check_independence(r, &f);
	if (rng_chance(r, 20))
		check_weightless(r, &f);
	check_superset(r, &f);
}

static void test_properties(void **state)
{
	prop_run("overlays", 1500, overlay_holds);
}

/* Without the caps some backend gets too much, and the check says so. */
static void test_missing_caps_are_noticed(void **state)
{
	const char *problem;

	fixture_equal(&f, 100, 16381);
	for (unsigned int i = 0; i < 50; i++)
		f.admission[i] = 0;
	apply(&f);
	assert_null(problem_of_owners(&f, OVERLAY_FULL));
	apply_naively(&f, OVERLAY_FULL, false, f.current);
	problem = problem_of_owners(&f, OVERLAY_FULL);
	assert_non_null(problem);
	assert_string_equal(problem, "a backend has more than its cap");
}

static int teardown(void **state)
{
	overlay_free(f.o);
	overlay_free(g.o);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_missing_caps_are_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
