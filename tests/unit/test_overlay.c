// SPDX-License-Identifier: Apache-2.0
/*
 * test_overlay.c - who serves a slot now: I2 (an eligible owner, bounded load), I3 (a failure moves its own slots only,
 * recovery restores T), I4 (a larger admission keeps a superset), the bar, and a naive second implementation.
 */
#include "prop.h"

#include "core/cleanup.h"
#include "core/hash.h"
#include "core/overlay.h"

#include <errno.h>
#include <string.h>
#include <time.h>

struct fixture {
	struct prop_set s;
	__u16 table[PROP_M_MAX], current[PROP_M_MAX], other[PROP_M_MAX];
	__u32 admission[PROP_N_MAX], quota[PROP_N_MAX];
	struct overlay *o;
};
static struct fixture f, g;

static void fixture_build(struct fixture *x)
{
	overlay_free(x->o);
	assert_int_equal(maglev_build(x->s.b, x->s.n, x->s.m, &x->s.seed, x->table), 0);
	assert_int_equal(maglev_quotas(x->s.b, x->s.n, x->s.m, &x->s.seed, x->quota), 0);
	assert_int_equal(overlay_new(&x->o, x->s.b, x->s.n, x->table, x->s.m, &x->s.seed), 0);
	for (unsigned int i = 0; i < x->s.n; i++)
		x->admission[i] = OVERLAY_FULL;
}

static void fixture_equal(struct fixture *x, unsigned int n, __u32 m)
{
	x->s = (struct prop_set){ .n = n, .m = m, .seed = { { 7, 11 } }, .total = n * 100 };
	for (unsigned int i = 0; i < n; i++) {
		addr_from_v4_be(&x->s.b[i].addr, (__be32)(0x0a | i << 16));
		x->s.b[i].weight = 100;
	}
	fixture_build(x);
}

static void apply(struct fixture *x)
{
	assert_int_equal(overlay_apply(x->o, x->admission, x->current), 0);
}

static unsigned int load_of(const struct fixture *x, unsigned int b)
{
	unsigned int load = 0;

	for (__u32 s = 0; s < x->s.m; s++)
		load += x->current[s] == b;
	return load;
}

/* ---- examples ------------------------------------------------------------------------------------------------ */

static void test_few(void **state)
{
	fixture_equal(&f, 1, 101);
	apply(&f);
	assert_int_equal(load_of(&f, 0), 101);
	f.admission[0] = 1; /* ramping, but there is nobody else */
	apply(&f);
	assert_int_equal(load_of(&f, 0), 101);
	f.admission[0] = 0;
	apply(&f);
	assert_int_equal(load_of(&f, 0), 0);
	for (unsigned int s = 0; s < 101; s++)
		assert_int_equal(f.current[s], MAGLEV_NONE);

	fixture_equal(&f, 2, 101);
	f.admission[1] = 0;
	apply(&f);
	assert_int_equal(load_of(&f, 0), 101);
	f.admission[1] = OVERLAY_FULL / 2;
	apply(&f);
	assert_in_range(load_of(&f, 1), 13, 37); /* about a quarter */
}

static void test_weight_0_serves_nothing(void **state)
{
	fixture_equal(&f, 3, 101);
	f.s.b[0].weight = 0;
	fixture_build(&f);
	f.admission[1] = 0;
	apply(&f);
	assert_int_equal(load_of(&f, 2), 101);
	f.admission[2] = 0; /* only the one without weight is admitted: nobody */
	apply(&f);
	assert_int_equal(load_of(&f, 0), 0);
	assert_int_equal(overlay_bar(f.o, f.admission), 0);
	f.s.b[1].weight = f.s.b[2].weight = 0;
	fixture_build(&f);
	apply(&f);
	assert_int_equal(f.current[0], MAGLEV_NONE);
}

static void test_bad_table(void **state)
{
	struct overlay *o;

	fixture_equal(&f, 3, 101);
	f.table[5] = 3;
	assert_int_equal(overlay_new(&o, f.s.b, 3, f.table, 101, &f.s.seed), -EINVAL);
	f.table[5] = MAGLEV_NONE;
	assert_int_equal(overlay_new(&o, f.s.b, 3, f.table, 101, &f.s.seed), -EINVAL);
	assert_null(o);
}

static void test_cap(void **state)
{
	assert_int_equal(overlay_cap(1000, 1, 10), 102);
	assert_int_equal(overlay_cap(1001, 1, 10), 103); /* rounded up */
	assert_int_equal(overlay_cap(0, 1, 10), 0);
	assert_int_equal(overlay_cap(1048575, 65535, 65535), 1069547); /* no overflow */
}

static void test_bar(void **state)
{
	static const struct {
		const char *name;
		__u32 admission[6], bar; /* percent */
	} cases[] = {
		{ "all full", { 100, 100, 100, 100, 100, 100 }, 100 },
		{ "one starts", { 100, 100, 100, 100, 100, 10 }, 100 },
		{ "half of the admitted weight is full", { 100, 100, 50, 50, 50, 50 }, 100 },
		{ "less than half is full", { 100, 100, 51, 51, 51, 51 }, 51 },
		{ "a mass return", { 100, 1, 1, 1, 1, 1 }, 100 },
		{ "the first to be full", { 100, 67, 67, 67, 67, 67 }, 67 },
		{ "all in step", { 30, 30, 30, 30, 30, 30 }, 30 },
		{ "out of step", { 10, 20, 30, 40, 50, 60 }, 50 },
		{ "nobody", { 0, 0, 0, 0, 0, 0 }, 0 },
		{ "one, barely", { 0, 0, 0, 0, 0, 1 }, 1 },
	};

	fixture_equal(&f, 6, 4093);
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		for (unsigned int i = 0; i < 6; i++)
			f.admission[i] = cases[k].admission[i] * OVERLAY_FULL / 100;
		if (overlay_bar(f.o, f.admission) != cases[k].bar * OVERLAY_FULL / 100)
			fail_msg("%s: %u", cases[k].name, overlay_bar(f.o, f.admission));
	}
}

/* After a mass return the first to complete its slow start must not be handed what the others do not keep yet. */
static void test_mass_return_is_no_avalanche(void **state)
{
	fixture_equal(&f, 100, 16381);
	for (unsigned int step = 1; step <= 300; step++) {
		double admitted = 0, largest = 0, bar;

		for (unsigned int i = 0; i < 100; i++) {
			unsigned int done = step > i ? (step - i) * OVERLAY_FULL / 200 : 0;

			f.admission[i] = done > OVERLAY_FULL ? OVERLAY_FULL : done;
			largest = f.admission[i] > largest ? f.admission[i] : largest;
		}
		bar = overlay_bar(f.o, f.admission);
		for (unsigned int i = 0; i < 100; i++)
			admitted += f.admission[i] > bar ? bar : f.admission[i];
		apply(&f);
		for (unsigned int i = 0; i < 100; i++) {
			double part = 16381 * (f.admission[i] > bar ? bar : f.admission[i]) / admitted;

			/* Rounding and the caps' 2% come on top of what overlay.h promises. */
			if (load_of(&f, i) > 1.03 * (1 + largest / bar) * part + 2)
				fail_msg("step %u: backend %u has %u slots, its part is %.1f", step, i, load_of(&f, i),
					 part);
			if (step == 200 && load_of(&f, i) > 1.7 * 163.8)
				fail_msg("the first is full, but backend %u has %u slots", i, load_of(&f, i));
		}
	}
	assert_memory_equal(f.current, f.table, 16381 * sizeof(__u16));
}

/* I3 at a size people run: with some backends down already, one more moves (nearly) its own slots only. */
static void test_failures_move_their_own_slots(void **state)
{
	static const struct {
		unsigned int n, down;
	} cases[] = { { 3, 0 }, { 5, 1 }, { 10, 2 }, { 100, 0 }, { 100, 1 }, { 100, 5 } };

	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		fixture_equal(&f, cases[k].n, 16381);
		for (unsigned int i = 0; i < cases[k].down; i++)
			f.admission[i] = 0;
		apply(&f);
		memcpy(f.other, f.current, sizeof(f.other));
		for (unsigned int victim = cases[k].down; victim < cases[k].n; victim++) {
			unsigned int foreign = 0;

			f.admission[victim] = 0;
			apply(&f);
			f.admission[victim] = OVERLAY_FULL;
			for (__u32 s = 0; s < f.s.m; s++)
				foreign += f.other[s] != victim && f.other[s] != f.current[s];
			if (foreign > f.s.m / 1000)
				fail_msg("%u backends, %u down, one more: %u foreign slots moved", cases[k].n,
					 cases[k].down, foreign);
		}
	}
}

/* ---- properties ---------------------------------------------------------------------------------------------- */

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

static double thread_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void test_apply_time(void **state)
{
	static const unsigned int down[] = { 0, 1, 100, 500 };
	static struct maglev_backend b[1000];
	static __u16 table[65537], current[65537];
	static __u32 admission[1000];
	struct maglev_seed seed = { { 3, 4 } };
	struct overlay *o;

	for (unsigned int i = 0; i < 1000; i++) {
		addr_from_v4_be(&b[i].addr, (__be32)(0x0a | i << 16));
		b[i].weight = 100;
	}
	assert_int_equal(maglev_build(b, 1000, 65537, &seed, table), 0);
	assert_int_equal(overlay_new(&o, b, 1000, table, 65537, &seed), 0);
	for (size_t k = 0; k < ARRAY_SIZE(down); k++) {
		double best = 1e9;

		for (unsigned int i = 0; i < 1000; i++)
			admission[i] = i < down[k] ? 0 : OVERLAY_FULL;
		for (int round = 0; round < 7; round++) {
			double start = thread_ms(), took;

			assert_int_equal(overlay_apply(o, admission, current), 0);
			took = thread_ms() - start;
			best = took < best ? took : best;
		}
		print_message("1,000 backends, 65537 slots, %u down: %.2f ms\n", down[k], best);
#if !defined(__SANITIZE_ADDRESS__) && defined(__OPTIMIZE__)
		assert_true(best < 1);
#endif
	}
	overlay_free(o);
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
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_weight_0_serves_nothing),
		cmocka_unit_test(test_bad_table),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_bar),
		cmocka_unit_test(test_mass_return_is_no_avalanche),
		cmocka_unit_test(test_failures_move_their_own_slots),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_missing_caps_are_noticed),
		cmocka_unit_test(test_apply_time),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
