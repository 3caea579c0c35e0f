// SPDX-License-Identifier: Apache-2.0
/* test_admission_pool.c - ejection caps, mass-failure guard, panic threshold: cases in simulated time. */
#include "core/admission.h"
#include "core/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define FULL ADMISSION_FULL
#define N_MAX 24
#define S 1000000000ull

struct pool {
	struct admission_policy p;
	struct admission a[N_MAX];
	struct admission *ptr[N_MAX];
	__u32 weight[N_MAX], fraction[N_MAX];
	unsigned int n;
	struct admission_pool_result r;
	__u64 now;
};

static struct probe_result result_of(enum probe_outcome o)
{
	struct probe_result r = {.outcome = o};

	snprintf(r.detail, sizeof(r.detail), "test: %s", probe_outcome_name(o));
	return r;
}

static void pool_run(struct pool *q)
{
	admission_pool(q->ptr, q->weight, q->n, &q->p, q->now, q->fraction, &q->r);
}

/* Let time pass to @to, with every tick at its time. */
static void pool_until(struct pool *q, __u64 to)
{
	for (;;) {
		__u64 next = q->r.next_ns && q->r.next_ns < to ? q->r.next_ns : to;

		for (unsigned int i = 0; i < q->n; i++)
			if (q->a[i].next_ns && q->a[i].next_ns < next)
				next = q->a[i].next_ns;
		if (next >= to)
			break;
		assert_true(next > q->now);
		q->now = next;
		for (unsigned int i = 0; i < q->n; i++)
			if (q->a[i].next_ns && q->a[i].next_ns <= next)
				admission_tick(&q->a[i], &q->p, next);
		pool_run(q);
	}
	q->now = to;
	for (unsigned int i = 0; i < q->n; i++)
		admission_tick(&q->a[i], &q->p, to);
	pool_run(q);
}

static void pool_result(struct pool *q, unsigned int i, enum health_state s, enum probe_outcome o)
{
	struct probe_result r = result_of(o);

	admission_active(&q->a[i], &q->p, s, &r, q->now);
	pool_run(q);
}

/* @n healthy members of weight 100 at 1 s. */
static void pool_open(struct pool *q, unsigned int n)
{
	memset(q, 0, sizeof(*q));
	admission_policy_default(&q->p);
	q->n = n;
	q->now = S;
	for (unsigned int i = 0; i < n; i++) {
		q->ptr[i] = &q->a[i];
		q->weight[i] = 100;
		admission_init(&q->a[i], &q->p, LB_ADMIN_NONE, q->now);
	}
	for (unsigned int i = 0; i < n; i++)
		pool_result(q, i, HEALTH_UP, PROBE_OUTCOME_OK);
}

/* One round of probes: members from @from up to @to are silent (and known to be down), the others answer. */
static void round_silent(struct pool *q, unsigned int from, unsigned int to)
{
	for (unsigned int i = 0; i < q->n; i++)
		if (i >= from && i < to)
			pool_result(q, i, HEALTH_DOWN, PROBE_OUTCOME_TIMEOUT);
		else
			pool_result(q, i, q->a[i].active, PROBE_OUTCOME_OK);
}

static void expect(const struct pool *q, const char *what, unsigned int serving, bool mass, bool panic)
{
	if (q->r.serving != serving || q->r.mass_failure != mass || q->r.panic != panic)
		fail_msg("%s: serving %u, mass failure %d, panic %d (%s)", what, q->r.serving,
			 q->r.mass_failure, q->r.panic, q->r.reason);
	if ((mass || panic) != (q->r.reason[0] != 0))
		fail_msg("%s: reason is \"%s\"", what, q->r.reason);
}

static void test_empty_and_weightless(void **state)
{
	struct pool q;

	pool_open(&q, 0);
	pool_run(&q);
	expect(&q, "no members", 0, false, false);
	pool_open(&q, 4);
	memset(q.weight, 0, sizeof(q.weight));
	pool_run(&q);
	expect(&q, "no weight", 0, false, false);
	assert_int_equal(q.r.total, 0);
	pool_open(&q, 4);
	q.weight[2] = 0;
	pool_run(&q);
	expect(&q, "one without weight", 3, false, false);
	assert_int_equal(q.fraction[2], 0);
}

static void test_one_black_hole(void **state)
{
	for (unsigned int n = 2; n <= 4; n++) {
		struct pool q;

		pool_open(&q, n);
		round_silent(&q, 0, 1);
		expect(&q, "one silent host is no mass", n - 1, false, false);
		pool_until(&q, 6 * S);
		round_silent(&q, 0, 1);
		pool_until(&q, 11 * S - 1);
		assert_int_equal(q.a[0].state, ADMISSION_UNHEALTHY_DRAINING);
		pool_until(&q, 11 * S);
		assert_int_equal(q.a[0].state, ADMISSION_DOWN);
		assert_true(q.a[0].bump_generation);
	}
}

/* The prober's own network is cut for ten minutes: nobody loses a slot or a flow, and the return is no slow
 * start. */
static void test_prober_cut_off(void **state)
{
	for (unsigned int threshold = 0; threshold <= 50; threshold += 50) {
		struct pool q;

		pool_open(&q, 10);
		q.p.panic_threshold_pct = threshold;
		for (unsigned int i = 0; i < 10; i++) {
			pool_until(&q, S + i * S / 5); /* they notice one after the other */
			pool_result(&q, i, HEALTH_DOWN, PROBE_OUTCOME_TIMEOUT);
		}
		expect(&q, "all silent", 10, true, false);
		for (unsigned int t = 5; t < 600; t += 5) {
			pool_until(&q, t * S);
			round_silent(&q, 0, 10);
			expect(&q, "still silent", 10, true, false);
		}
		for (unsigned int i = 0; i < 10;
		     i++) { /* the probes come through again, one after the other */
			pool_until(&q, 600 * S + i * S);
			assert_false(q.a[i].bump_generation);
			assert_int_equal(q.fraction[i], FULL);
			pool_result(&q, i, HEALTH_UP, PROBE_OUTCOME_OK);
			assert_int_equal(q.fraction[i], FULL);
			assert_int_equal(q.a[i].state, ADMISSION_HEALTHY);
		}
		expect(&q, "back", 10, false, false);
	}
}

/* A rack with 4 of 10 dies: doubted for 30 s, then believed because the others answer, then down. */
static void test_rack_dies(void **state)
{
	struct pool q;

	pool_open(&q, 10);
	round_silent(&q, 0, 4);
	expect(&q, "doubted", 10, true, false);
	for (unsigned int t = 2; t <= 30; t += 2) {
		pool_until(&q, t * S);
		round_silent(&q, 0, 4);
		expect(&q, "doubted for a while", 10, true, false);
	}
	pool_until(&q, 31 * S + S);
	expect(&q, "believed", 6, false, false);
	assert_int_equal(q.a[0].state, ADMISSION_UNHEALTHY_DRAINING);
	assert_false(q.a[0].bump_generation);
	pool_until(&q, 35 * S);
	round_silent(&q, 0, 4);
	expect(&q, "not doubted again", 6, false, false);
	pool_until(&q, 42 * S);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(q.a[i].state, ADMISSION_DOWN);
		assert_true(q.a[i].bump_generation);
	}
	pool_result(&q, 0, HEALTH_UP, PROBE_OUTCOME_OK);
	assert_int_equal(q.a[0].state, ADMISSION_SLOW_START);
}

/* After the doubt is over the silence must show once more before the flows are given up. */
static void test_believed_wants_one_more_probe(void **state)
{
	struct pool q;

	pool_open(&q, 10);
	round_silent(&q, 0, 4);
	round_silent(&q, 0, 4);
	for (unsigned int t = 2; t <= 60; t += 2) {
		pool_until(&q, t * S);
		pool_result(&q, 9, HEALTH_UP,
			    PROBE_OUTCOME_OK); /* of the four nothing is heard, not even a failure */
	}
	expect(&q, "believed", 6, false, false);
	assert_false(q.a[0].bump_generation);
	pool_result(&q, 0, HEALTH_DOWN, PROBE_OUTCOME_TIMEOUT);
	assert_true(q.a[0].bump_generation);
}

/* Answers from before the cut, or a single one in the midst of it, do not prove that the path works. */
static void test_old_answers_prove_nothing(void **state)
{
	struct pool q;

	pool_open(&q, 10);
	q.p.mass_failure_hold_ms = 5000;
	pool_until(&q, 2 * S);
	round_silent(&q, 0, 0);
	pool_until(&q, 2 * S + S / 2);
	for (unsigned int i = 0; i < 9; i++)
		pool_result(&q, i, HEALTH_DOWN, PROBE_OUTCOME_TIMEOUT);
	pool_until(&q, 60 * S);
	expect(&q, "nobody has answered since", 10, true, false);
	pool_result(&q, 9, HEALTH_UP, PROBE_OUTCOME_OK);
	pool_until(&q, 64 * S);
	expect(&q, "one answer", 10, true, false);
	q.p.mass_failure_hold_ms = 20000;
	pool_until(&q, 300 * S);
	expect(&q, "and silence again", 10, true, false);
}

/* Falls that were doubted, and rightly so, do not count as flaps. */
static void test_held_falls_are_no_flaps(void **state)
{
	struct pool q;

	pool_open(&q, 10);
	for (unsigned int k = 0; k < 8; k++) {
		pool_until(&q, (2 + 10 * k) * S);
		round_silent(&q, 0, 10);
		expect(&q, "cut", 10, true, false);
		pool_until(&q, (7 + 10 * k) * S);
		for (unsigned int i = 0; i < 10; i++)
			pool_result(&q, i, HEALTH_UP, PROBE_OUTCOME_OK);
		expect(&q, "back", 10, false, false);
	}
}

/* Who was out already by a refusal has no share to keep, and no part in a mass. */
static void test_refused_then_silent(void **state)
{
	struct pool q;

	pool_open(&q, 10);
	for (unsigned int i = 0; i < 4; i++)
		pool_result(&q, i, HEALTH_DOWN, PROBE_OUTCOME_REFUSED);
	pool_until(&q, 6 * S);
	round_silent(&q, 0, 4);
	expect(&q, "out", 6, false, false);
}

static void test_refusals_are_exempt(void **state)
{
	struct pool q;

	pool_open(&q, 10);
	for (unsigned int i = 0; i < 5; i++)
		pool_result(&q, i, HEALTH_DOWN, i % 2 ? PROBE_OUTCOME_REFUSED : PROBE_OUTCOME_BAD_STATUS);
	expect(&q, "five refuse", 5, false, false);
	pool_result(&q, 5, HEALTH_DOWN, PROBE_OUTCOME_REFUSED);
	expect(&q, "six refuse: panic", 10, false, true);
	pool_result(&q, 6, HEALTH_DOWN, PROBE_OUTCOME_TIMEOUT);
	expect(&q, "and one is silent", 10, false, true);
	pool_result(&q, 0, HEALTH_UP, PROBE_OUTCOME_OK);
	pool_result(&q, 1, HEALTH_UP, PROBE_OUTCOME_OK);
	expect(&q, "half are back: panic ends, slow start", 5, false, false);
	assert_in_range(q.fraction[0], 1, FULL / 50);
}

static void test_failures_far_apart_are_no_mass(void **state)
{
	struct pool q;

	pool_open(&q, 10);
	for (unsigned int i = 0; i < 5; i++) {
		pool_until(&q, S + i * 11 * S);
		pool_result(&q, i, HEALTH_DOWN, PROBE_OUTCOME_TIMEOUT);
		expect(&q, "one more", 9 - i, false, false);
	}
}

static void test_answer_ends_the_doubt(void **state)
{
	struct pool q;

	pool_open(&q, 10);
	round_silent(&q, 0, 4);
	expect(&q, "doubted", 10, true, false);
	pool_result(&q, 2, HEALTH_DOWN, PROBE_OUTCOME_REFUSED);
	expect(&q, "one refuses: it is out", 9, true, false);
	assert_int_equal(q.fraction[2], 0);
	admission_admin(&q.a[1], &q.p, LB_ADMIN_DRAIN, q.now);
	pool_run(&q);
	assert_int_equal(q.fraction[1], 0);
}

/* A member that had half its share when it fell silent keeps half, and goes on from there. */
static void test_held_in_slow_start(void **state)
{
	struct pool q;
	__u32 half;

	pool_open(&q, 3);
	pool_result(&q, 0, HEALTH_DOWN, PROBE_OUTCOME_REFUSED);
	pool_result(&q, 0, HEALTH_UP, PROBE_OUTCOME_OK);
	pool_until(&q, 16 * S);
	half = q.fraction[0];
	assert_in_range(half, FULL * 49 / 100, FULL * 52 / 100);
	pool_result(&q, 0, HEALTH_DOWN, PROBE_OUTCOME_TIMEOUT);
	pool_result(&q, 1, HEALTH_DOWN, PROBE_OUTCOME_TIMEOUT);
	expect(&q, "held", 3, true, false);
	assert_int_equal(q.fraction[0], half);
	pool_until(&q, 20 * S);
	pool_result(&q, 0, HEALTH_UP, PROBE_OUTCOME_OK);
	assert_in_range(q.fraction[0], half, half + FULL / 50);
	assert_int_equal(q.a[0].state, ADMISSION_SLOW_START);
}

static void test_panic(void **state)
{
	struct pool q;

	pool_open(&q, 4);
	q.weight[0] = 300; /* half of all */
	pool_result(&q, 1, HEALTH_DOWN, PROBE_OUTCOME_REFUSED);
	pool_result(&q, 2, HEALTH_DOWN, PROBE_OUTCOME_REFUSED);
	pool_result(&q, 3, HEALTH_DOWN, PROBE_OUTCOME_REFUSED);
	expect(&q, "half of the weight is healthy", 1, false, false);
	q.weight[0] = 299;
	pool_run(&q);
	expect(&q, "a little less", 4, false, true);
	admission_admin(&q.a[3], &q.p, LB_ADMIN_DISABLE, q.now);
	pool_run(&q);
	expect(&q, "who is disabled does not count", 1, false, false);
	pool_result(&q, 0, HEALTH_DOWN, PROBE_OUTCOME_REFUSED);
	expect(&q, "nor serve", 3, false, true);
	admission_admin(&q.a[2], &q.p, LB_ADMIN_DRAIN, q.now);
	pool_run(&q);
	expect(&q, "nor who is drained", 2, false, true);
	q.p.panic_threshold_pct = 0;
	pool_run(&q);
	expect(&q, "never panic", 0, false, false);
}

/* In panic no silence is carried out: flows stay where they are; when it ends, the time to the hard down
 * begins. */
static void test_panic_gives_no_flows_up(void **state)
{
	struct pool q;

	pool_open(&q, 4);
	q.p.mass_failure_pct = 0;
	round_silent(&q, 0, 3);
	expect(&q, "panic", 4, false, true);
	for (unsigned int t = 5; t < 60; t += 5) {
		pool_until(&q, t * S);
		round_silent(&q, 0, 3);
	}
	for (unsigned int i = 0; i < 4; i++)
		assert_false(q.a[i].bump_generation);
	pool_result(&q, 2, HEALTH_UP, PROBE_OUTCOME_OK);
	expect(&q, "over", 2, false, false);
	pool_until(&q, 64 * S);
	round_silent(&q, 0, 2);
	assert_false(q.a[0].bump_generation);
	pool_until(&q, 66 * S);
	assert_true(q.a[0].bump_generation);
}

/* Backends that join a running pool wait for their first probe and do not tip it into panic. */
static void test_joining_members(void **state)
{
	struct pool q;

	pool_open(&q, 10);
	q.p.initial_down = true;
	for (unsigned int i = 2; i < 10; i++)
		admission_init(&q.a[i], &q.p, LB_ADMIN_NONE, q.now);
	q.p.initial_down = false;
	pool_run(&q);
	expect(&q, "two serve, eight join", 2, false, false);
	pool_result(&q, 5, HEALTH_UP, PROBE_OUTCOME_OK);
	expect(&q, "one more", 3, false, false);
	assert_int_equal(q.a[5].state, ADMISSION_SLOW_START);
	for (unsigned int i = 0; i < 6; i++)
		admission_admin(&q.a[i], &q.p, LB_ADMIN_DRAIN, q.now);
	pool_run(&q);
	expect(&q, "nobody else is left: the four need not wait", 4, false, false);
}

static const struct {
	unsigned int n;
	__u32 heavy;            /* weight of member 0; the others have 100 */
	unsigned int ejectable; /* in order of number, 1 first and 0 last */
	bool heavy_ejectable;
} caps[] = {
	{1, 100, 0, false},  {2, 100, 0, false},  {3, 100, 1, false},
	{9, 100, 1, false},  {10, 100, 1, false}, {19, 100, 1, false},
	{20, 100, 2, false}, {24, 100, 2, false}, {20, 9000, 10, false},
};

static void test_ejection_caps(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		unsigned int ejected = 0;
		struct pool q;

		pool_open(&q, caps[i].n);
		q.weight[0] = caps[i].heavy;
		for (unsigned int k = 1; k <= q.n; k++) {
			unsigned int who = k % q.n;

			if (!admission_may_eject(q.ptr, q.weight, q.n, &q.p, who))
				continue;
			assert_true(admission_passive(&q.a[who], &q.p, PASSIVE_EJECT, "x", 0, q.now));
			assert_false(admission_may_eject(q.ptr, q.weight, q.n, &q.p, who));
			ejected++;
			assert_true(who || caps[i].heavy_ejectable);
		}
		if (ejected != caps[i].ejectable)
			fail_msg("pool of %u: %u ejected, %u allowed", caps[i].n, ejected, caps[i].ejectable);
		pool_run(&q);
		assert_int_equal(q.r.serving, q.n - ejected);
	}
}

static void test_pool_shrinks_under_ejections(void **state)
{
	struct pool q;

	pool_open(&q, 20);
	admission_passive(&q.a[7], &q.p, PASSIVE_EJECT, "x", 0, q.now);
	q.now += S;
	admission_passive(&q.a[3], &q.p, PASSIVE_EJECT, "x", 0, q.now);
	pool_run(&q);
	assert_int_equal(q.r.serving, 18);
	for (unsigned int i = 10; i < 20; i++)
		admission_admin(&q.a[i], &q.p, LB_ADMIN_DRAIN, q.now);
	pool_run(&q);
	assert_int_equal(q.a[7].state, ADMISSION_SLOW_START); /* the longest ejected */
	assert_int_equal(q.a[3].state, ADMISSION_EJECTED);
	for (unsigned int i = 0; i < 3; i++)
		admission_admin(&q.a[i], &q.p, LB_ADMIN_DISABLE, q.now);
	pool_run(&q);
	assert_int_equal(q.a[3].state, ADMISSION_EJECTED); /* 7 left: one is allowed */
	for (unsigned int i = 4; i < 10; i++)
		admission_admin(&q.a[i], &q.p, LB_ADMIN_DISABLE, q.now);
	pool_run(&q);
	assert_int_equal(q.a[3].state, ADMISSION_SLOW_START); /* nobody else is left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_and_weightless),
		cmocka_unit_test(test_one_black_hole),
		cmocka_unit_test(test_prober_cut_off),
		cmocka_unit_test(test_rack_dies),
		cmocka_unit_test(test_believed_wants_one_more_probe),
		cmocka_unit_test(test_old_answers_prove_nothing),
		cmocka_unit_test(test_held_falls_are_no_flaps),
		cmocka_unit_test(test_refused_then_silent),
		cmocka_unit_test(test_refusals_are_exempt),
		cmocka_unit_test(test_failures_far_apart_are_no_mass),
		cmocka_unit_test(test_answer_ends_the_doubt),
		cmocka_unit_test(test_held_in_slow_start),
		cmocka_unit_test(test_panic),
		cmocka_unit_test(test_panic_gives_no_flows_up),
		cmocka_unit_test(test_joining_members),
		cmocka_unit_test(test_ejection_caps),
		cmocka_unit_test(test_pool_shrinks_under_ejections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
