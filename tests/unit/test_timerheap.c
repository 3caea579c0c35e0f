// SPDX-License-Identifier: Apache-2.0
/* test_timerheap.c - the heap against a linear search, and the histogram against a sorted list. */
#include "core/cleanup.h"
#include "core/histogram.h"
#include "core/timerheap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define N 200

static __u64 rng_state = 42;
static __u32 rnd(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (__u32)(rng_state >> 16);
}

static void check_heap(const struct timerheap *h, const struct timer *t, unsigned int set)
{
	const struct timer *first = timerheap_first(h);
	__u64 least = ~0ull;

	for (unsigned int i = 0; i < N; i++)
		if (t[i].place && t[i].at_ns < least)
			least = t[i].at_ns;
	assert_int_equal(h->n, set);
	assert_true((first != NULL) == (set != 0));
	if (first)
		assert_int_equal(first->at_ns, least);
	for (unsigned int i = 0; i < h->n; i++)
		assert_int_equal(h->t[i]->place, i + 1);
}

static void test_heap_random(void **state)
{
	struct timer t[N] = {0};
	struct timerheap h = {0};
	unsigned int set = 0;

	assert_int_equal(timerheap_reserve(&h, N), 0);
	for (unsigned int step = 0; step < 20000; step++) {
		struct timer *x = &t[rnd() % N];

		switch (rnd() % 4) {
		case 0:
			set -= x->place != 0;
			timerheap_remove(&h, x);
			break;
		case 1:
			x = timerheap_first(&h);
			if (x) {
				timerheap_remove(&h, x);
				set--;
			}
			break;
		default:
			set += x->place == 0;
			timerheap_set(&h, x, rnd() % 1000);
			break;
		}
		check_heap(&h, t, set);
	}
	timerheap_done(&h);
	assert_int_equal(h.room, 0);
}

static void test_heap_grows(void **state)
{
	struct timer t[N] = {0};
	struct timerheap h = {0};
	__u64 last = 0;

	for (unsigned int i = 0; i < N; i++) {
		assert_int_equal(timerheap_reserve(&h, i + 1), 0);
		timerheap_set(&h, &t[i], rnd());
	}
	for (unsigned int i = 0; i < N; i++) {
		struct timer *x = timerheap_first(&h);

		assert_true(x->at_ns >= last);
		last = x->at_ns;
		timerheap_remove(&h, x);
		timerheap_remove(&h, x); /* twice is harmless */
	}
	assert_null(timerheap_first(&h));
	timerheap_done(&h);
}

static void test_histogram(void **state)
{
	static struct histogram h;
	__u32 values[1001];

	assert_int_equal(histogram_at(&h, 500), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(values); i++) {
		values[i] = i < 10 ? i : i * i * 3; /* sorted */
		histogram_add(&h, values[i]);
	}
	assert_int_equal(h.n, ARRAY_SIZE(values));
	for (unsigned int permille = 0; permille <= 1000; permille += 10) {
		unsigned int at = (1001 * permille + 999) / 1000;
		__u32 want = values[at ? at - 1 : 0], got = histogram_at(&h, permille);

		if (got < want || got > want + want / 8 + 1)
			fail_msg("%u permille: %u, should be %u", permille, got, want);
	}
	assert_int_equal(histogram_at(&h, 1000), h.max);
}

static void test_histogram_edges(void **state)
{
	for (unsigned int bit = 0; bit < 32; bit++)
		for (int d = -1; d <= 1; d++) {
			__u32 v = (__u32)((1ll << bit) + d);
			struct histogram h;

			memset(&h, 0, sizeof(h));
			histogram_add(&h, v);
			assert_int_equal(histogram_at(&h, 1000), v);
		}
	{
		static struct histogram h;

		histogram_add(&h, ~0u);
		assert_int_equal(histogram_at(&h, 1), ~0u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_random),
		cmocka_unit_test(test_heap_grows),
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_histogram_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
