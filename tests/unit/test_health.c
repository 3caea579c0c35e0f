// SPDX-License-Identifier: Apache-2.0
/* test_health.c - the probe state machine against tables, and against a reference automaton on random results
 * (I13). */
#include "core/cleanup.h"
#include "core/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static struct probe_spec spec_of(__u32 rise, __u32 fall)
{
	return (struct probe_spec){.type = PROBE_TCP,
				   .interval_ms = 2000,
				   .fast_interval_ms = 500,
				   .down_interval_ms = 5000,
				   .timeout_ms = 1000,
				   .rise = rise,
				   .fall = fall};
}

/* '.' good, 'r' refused, 't' timeout, 'L' local */
static struct probe_result result_of(char c)
{
	struct probe_result r = {.outcome = PROBE_OUTCOME_OK, .latency_us = 7};

	if (c == 'r')
		r.outcome = PROBE_OUTCOME_REFUSED;
	if (c == 't')
		r.outcome = PROBE_OUTCOME_TIMEOUT;
	if (c == 'L')
		r.outcome = PROBE_OUTCOME_LOCAL;
	return r;
}

/* What each step must give: state after it, '?' 'U' 'D'. */
static const struct {
	const char *name;
	enum health_state initial;
	__u32 rise, fall;
	const char *results, *states;
} cases[] = {
	{"first good probe is up", HEALTH_UNKNOWN, 3, 3, ".", "U"},
	{"unknown needs fall failures", HEALTH_UNKNOWN, 3, 3, "rrr", "??D"},
	{"unknown: a good one after two failures", HEALTH_UNKNOWN, 3, 3, "rr.", "??U"},
	{"three in a row are down", HEALTH_UP, 3, 3, "ttt", "UUD"},
	{"consecutive, not cumulative", HEALTH_UP, 3, 3, "tt.tt.tt.", "UUUUUUUUU"},
	{"kinds of failure mix", HEALTH_UP, 3, 3, "trt", "UUD"},
	{"rise", HEALTH_DOWN, 3, 3, "...", "DDU"},
	{"rise is consecutive", HEALTH_DOWN, 3, 3, "..r..r...", "DDDDDDDDU"},
	{"rise 1, fall 1", HEALTH_UP, 1, 1, "t.t.", "DUDU"},
	{"0 counts as 1", HEALTH_UP, 0, 0, "t.t.", "DUDU"},
	{"local results change nothing", HEALTH_UP, 3, 3, "tLtLLt", "UUUUUD"},
	{"local results are no success either", HEALTH_DOWN, 2, 3, ".LL.", "DDDU"},
	{"local results leave unknown alone", HEALTH_UNKNOWN, 1, 1, "LLL", "???"},
};

static char letter(enum health_state s)
{
	return s == HEALTH_UP ? 'U' : s == HEALTH_DOWN ? 'D' : '?';
}

static void test_cases(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct probe_spec spec = spec_of(cases[i].rise, cases[i].fall);
		struct health h;

		health_init(&h, cases[i].initial, 1);
		for (size_t k = 0; cases[i].results[k]; k++) {
			struct probe_result r = result_of(cases[i].results[k]);
			enum health_state old = h.state;
			enum health_event ev = health_step(&h, &spec, &r, 10 + k);

			if (letter(h.state) != cases[i].states[k])
				fail_msg("%s: step %zu is %c, expected %c", cases[i].name, k, letter(h.state),
					 cases[i].states[k]);
			if ((ev != HEALTH_NOCHANGE) != (old != h.state) ||
			    (ev == HEALTH_WENT_UP && h.state != HEALTH_UP))
				fail_msg("%s: step %zu: wrong event", cases[i].name, k);
			if (ev != HEALTH_NOCHANGE)
				assert_int_equal(h.since_ns, 10 + k);
		}
	}
}

static void test_counts_and_last(void **state)
{
	struct probe_spec spec = spec_of(3, 3);
	struct probe_result r = result_of('r');
	struct health h;

	health_init(&h, HEALTH_UP, 0);
	strcpy(r.detail, "connect: Connection refused");
	health_step(&h, &spec, &r, 1);
	r = result_of('L');
	health_step(&h, &spec, &r, 2);
	assert_int_equal(h.checks, 1);
	assert_int_equal(h.failures, 1);
	assert_int_equal(h.locals, 1);
	assert_string_equal(h.last.detail, "connect: Connection refused");
	r = result_of('.');
	health_step(&h, &spec, &r, 3);
	assert_int_equal(h.checks, 2);
	assert_int_equal(h.failures, 1);
	assert_int_equal(h.last.outcome, PROBE_OUTCOME_OK);
}

/*
 * The reference keeps no streak: after every result it reads the whole history backwards. It knows only the
 * definition
 * ("n results in a row since the state last changed").
 */
static enum health_state reference(enum health_state initial, const char *results, size_t n, __u32 rise,
				   __u32 fall)
{
	enum health_state s = initial;
	size_t changed = 0; /* results before this one led to the present state */

	for (size_t end = 1; end <= n; end++) {
		size_t good = 0, bad = 0;
		bool good_open = true, bad_open = true;

		for (size_t k = end; k > changed; k--) {
			char c = results[k - 1];

			if (c == 'L')
				continue;
			if (c == '.') {
				bad_open = false;
				good += good_open;
			} else {
				good_open = false;
				bad += bad_open;
			}
		}
		if ((s == HEALTH_UNKNOWN && good >= 1) || (s == HEALTH_DOWN && good >= rise)) {
			s = HEALTH_UP;
			changed = end;
		} else if (s != HEALTH_DOWN && bad >= fall) {
			s = HEALTH_DOWN;
			changed = end;
		}
	}
	return s;
}

static __u64 rng_state = 88172645463325252ull;
static __u32 rnd(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (__u32)(rng_state >> 16);
}

static void test_reference_automaton(void **state)
{
	for (unsigned int round = 0; round < 4000; round++) {
		struct probe_spec spec = spec_of(1 + rnd() % 5, 1 + rnd() % 5);
		enum health_state initial = rnd() % 3;
		__u32 bad_share = rnd() % 101;
		char results[64];
		struct health h;

		health_init(&h, initial, 0);
		for (size_t k = 0; k < sizeof(results); k++) {
			struct probe_result r;
			enum health_state want;

			results[k] = rnd() % 10 == 0           ? 'L'
				     : rnd() % 100 < bad_share ? (rnd() % 2 ? 'r' : 't')
							       : '.';
			r = result_of(results[k]);
			health_step(&h, &spec, &r, k);
			want = reference(initial, results, k + 1, spec.rise, spec.fall);
			if (h.state != want)
				fail_msg("round %u: rise %u fall %u, %.*s: %c, reference says %c", round,
					 spec.rise, spec.fall, (int)k + 1, results, letter(h.state),
					 letter(want));
		}
	}
}

static void test_intervals(void **state)
{
	struct probe_spec spec = spec_of(3, 3);
	struct probe_result bad = result_of('t'), good = result_of('.');
	struct health h;

	health_init(&h, HEALTH_UNKNOWN, 0);
	assert_int_equal(health_next_ms(&h, &spec, 0), 500);
	health_step(&h, &spec, &good, 1);
	assert_int_equal(health_next_ms(&h, &spec, 0), 2000);
	health_step(&h, &spec, &bad, 1);
	assert_int_equal(health_next_ms(&h, &spec, 0), 500); /* a change is being confirmed */
	health_step(&h, &spec, &bad, 1);
	health_step(&h, &spec, &bad, 1);
	assert_int_equal(health_next_ms(&h, &spec, 0), 5000);
	health_step(&h, &spec, &good, 1);
	assert_int_equal(health_next_ms(&h, &spec, 0), 500);
	spec.fast_interval_ms = 0; /* not set: the normal one */
	assert_int_equal(health_next_ms(&h, &spec, 0), 2000);
	spec.interval_ms = 0; /* never a busy loop */
	assert_int_equal(health_next_ms(&h, &spec, 0), 1);
}

static void test_jitter(void **state)
{
	struct probe_spec spec = spec_of(3, 3);
	__u32 low = ~0u, high = 0;
	__u64 sum = 0;
	struct health h;

	health_init(&h, HEALTH_UP, 0);
	spec.jitter_pct = 10;
	for (int i = 0; i < 100000; i++) {
		__u32 ms = health_next_ms(&h, &spec, rnd());

		low = ms < low ? ms : low;
		high = ms > high ? ms : high;
		sum += ms;
	}
	assert_int_equal(low, 1800);
	assert_int_equal(high, 2200);
	assert_in_range(sum / 100000, 1997, 2003);
	spec.jitter_pct = 5000; /* never below 0 */
	assert_int_equal(health_next_ms(&h, &spec, 0), 1);
	assert_int_equal(health_next_ms(&h, &spec, ~0u), 4000);
}

static void test_names(void **state)
{
	assert_string_equal(probe_outcome_name(PROBE_OUTCOME_BAD_STATUS), "bad_status");
	assert_string_equal(probe_outcome_name(PROBE_OUTCOME_MAX), "invalid");
	assert_string_equal(health_state_name(HEALTH_DOWN), "down");
	for (int o = 0; o < PROBE_OUTCOME_MAX; o++)
		assert_int_equal(probe_outcome_is_silence(o),
				 o == PROBE_OUTCOME_TIMEOUT || o == PROBE_OUTCOME_UNREACHABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_counts_and_last),
		cmocka_unit_test(test_reference_automaton),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
