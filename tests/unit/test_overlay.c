// SPDX-License-Identifier: Apache-2.0
/*
 * test_overlay.c - who serves a slot now, by example: few backends, weight 0, caps, the bar, failures at a size people
 * run (I3), and the time it takes.
 */
#include "overlay_fixture.h"

#include <time.h>

static struct fixture f;

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
		cmocka_unit_test(test_apply_time),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
