// SPDX-License-Identifier: Apache-2.0
/*
 * test_admission_random.c - random events on whole pools; the invariants are checked against what an
 * independent observer writes down (I11; flows are given up after silence only, once; nothing changes between
 * the announced times).
 */
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

static __u64 rng_state;
static __u32 rnd(__u32 below)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (__u32)(rng_state >> 16) % below;
}

/* What an independent observer writes down. */
struct model {
	bool silent; /* down, and nothing answered since the first silent result */
	__u64 silent_since;
	unsigned int results; /* silent ones */
	bool gone;            /* hard down seen, and no UP since */
};

static void model_result(struct model *m, enum health_state s, enum probe_outcome o, __u64 now)
{
	if (o == PROBE_OUTCOME_LOCAL)
		return;
	if (s == HEALTH_UP)
		m->gone = false;
	if (!probe_outcome_is_silence(o) || s != HEALTH_DOWN) {
		m->silent = false;
	} else if (!m->silent) {
		m->silent = true;
		m->silent_since = now;
		m->results = 1;
	} else {
		m->results++;
	}
}

static void check_bump(struct pool *q, struct model *m, unsigned int i, bool disabled)
{
	if (!q->a[i].bump_generation)
		return;
	q->a[i].bump_generation = false;
	if (disabled)
		return;
	if (!m->silent)
		fail_msg("flows of %u given up without silence", i);
	if (q->now - m->silent_since < q->p.hard_down_ms * 1000000ull ||
	    (q->p.hard_down_ms && m->results < 2))
		fail_msg("flows of %u given up too early", i);
	if (m->gone)
		fail_msg("flows of %u given up twice", i);
	m->gone = true;
}

static void check_pool(const struct pool *q)
{
	__u64 base = 0, good = 0, ejected_weight = 0;
	unsigned int members = 0, ejected = 0;

	for (unsigned int i = 0; i < q->n; i++) {
		const struct admission *a = &q->a[i];

		assert_in_range(q->fraction[i], 0, FULL);
		assert_in_range(a->fraction, 0, FULL);
		if (!q->weight[i] || a->admin == LB_ADMIN_DISABLE)
			assert_int_equal(q->fraction[i], 0);
		if (a->admin == LB_ADMIN_DRAIN && !q->p.drain_ramp_ms)
			assert_int_equal(q->fraction[i], 0);
		if (a->held)
			assert_true(q->r.mass_failure || q->r.panic);
		assert_true(a->reason[0]);
		if (a->next_ns && a->next_ns <= q->now)
			fail_msg("next_ns of %u (%s) is not in the future", i,
				 admission_state_name(a->state));
		if (!q->weight[i] || a->admin || (a->active == HEALTH_UNKNOWN && a->starts_out))
			continue;
		members++;
		base += q->weight[i];
		if (a->held || a->fraction || (a->state == ADMISSION_SLOW_START))
			good += q->weight[i];
		if (a->passive == PASSIVE_EJECT) {
			ejected++;
			ejected_weight += q->weight[i];
		}
		if (q->r.panic)
			assert_int_equal(q->fraction[i], FULL);
	}
	assert_true(q->r.panic == (base && good * 100 < base * q->p.panic_threshold_pct));
	if (ejected && (members < 3 || (members < 10 && ejected > 1) ||
			(members >= 10 && ejected_weight * 100 > base * q->p.eject_max_pct)))
		fail_msg("%u of %u members are ejected", ejected, members);
	assert_true(!q->r.next_ns || q->r.next_ns > q->now);
}

/* Between now and next_ns, time alone changes nothing. */
static void check_quiet(const struct pool *q)
{
	for (unsigned int i = 0; i < q->n; i++) {
		struct admission a = q->a[i];
		__u64 until = a.next_ns ? a.next_ns : q->now + 86400 * S;
		__u64 t = q->now + (until - q->now) / (2 + rnd(5));

		if (t < until && admission_tick(&a, &q->p, t))
			fail_msg("member %u (%s) changed before next_ns", i,
				 admission_state_name(q->a[i].state));
	}
}

static void random_policy(struct admission_policy *p)
{
	admission_policy_default(p);
	p->initial_down = rnd(4) == 0;
	if (rnd(3) == 0)
		p->slow_start_ms = rnd(3) * 7777;
	if (rnd(3) == 0)
		p->hard_down_ms = rnd(3) * 3000;
	if (rnd(3) == 0)
		p->drain_ramp_ms = rnd(5000);
	if (rnd(3) == 0)
		p->drain_timeout_ms = rnd(3) * 9000;
	if (rnd(3) == 0)
		p->panic_threshold_pct = rnd(101);
	if (rnd(3) == 0)
		p->mass_failure_pct = rnd(101);
	if (rnd(4) == 0)
		p->flap_half_life_ms = rnd(2) * rnd(10000);
	if (rnd(4) == 0)
		p->eject_max_pct = rnd(60);
}

static void random_event(struct pool *q, struct model *m, unsigned int i)
{
	static const enum probe_outcome bad[] = {PROBE_OUTCOME_REFUSED, PROBE_OUTCOME_TIMEOUT,
						 PROBE_OUTCOME_TIMEOUT, PROBE_OUTCOME_UNREACHABLE,
						 PROBE_OUTCOME_STALLED, PROBE_OUTCOME_LOCAL};
	struct admission *a = &q->a[i];
	enum lb_admin old_admin = a->admin;
	enum health_state s;
	struct probe_result r;

	switch (rnd(12)) {
	case 0:
		admission_admin(a, &q->p, rnd(LB_ADMIN_MAX), q->now);
		break;
	case 1:
		if (admission_may_eject(q->ptr, q->weight, q->n, &q->p, i))
			admission_passive(a, &q->p, PASSIVE_EJECT, "x", rnd(~0u), q->now);
		break;
	case 2:
		admission_passive(a, &q->p, rnd(2) ? PASSIVE_SUSPECT : PASSIVE_CLEAR, "x", rnd(~0u), q->now);
		break;
	case 3:
		q->weight[i] = rnd(4) ? rnd(1000) : 0;
		break;
	case 4:
	case 5:
	case 6:
		r = result_of(PROBE_OUTCOME_OK);
		s = rnd(3) ? HEALTH_UP : a->active;
		model_result(&m[i], s, r.outcome, q->now);
		admission_active(a, &q->p, s, &r, q->now);
		break;
	default:
		r = result_of(bad[rnd(ARRAY_SIZE(bad))]);
		s = r.outcome == PROBE_OUTCOME_LOCAL || rnd(3) == 0 ? a->active : HEALTH_DOWN;
		model_result(&m[i], s, r.outcome, q->now);
		admission_active(a, &q->p, s, &r, q->now);
		break;
	}
	check_bump(q, &m[i], i, a->admin == LB_ADMIN_DISABLE && old_admin != LB_ADMIN_DISABLE);
}

static void random_sequence(unsigned int seed)
{
	struct model m[N_MAX] = {0};
	struct pool q;

	rng_state = 0x9e3779b97f4a7c15ull * (seed + 1);
	memset(&q, 0, sizeof(q));
	q.n = rnd(N_MAX + 1);
	q.now = 1 + rnd(1000);
	random_policy(&q.p);
	for (unsigned int i = 0; i < q.n; i++) {
		q.ptr[i] = &q.a[i];
		q.weight[i] = 1 + rnd(200);
		admission_init(&q.a[i], &q.p, LB_ADMIN_NONE, q.now);
	}
	for (unsigned int step = 0; step < 300 && q.n; step++) {
		if (rnd(3)) {
			random_event(&q, m, rnd(q.n));
		} else {
			q.now += rnd(5) ? rnd(2000000000) : rnd(60) * S;
			for (unsigned int i = 0; i < q.n; i++) {
				admission_tick(&q.a[i], &q.p, q.now);
				check_bump(&q, &m[i], i, false);
			}
		}
		pool_run(&q);
		check_pool(&q);
		if (step % 10 == 0)
			check_quiet(&q);
		for (unsigned int i = 0; i < q.n; i++)
			check_bump(&q, &m[i], i, false);
	}
}

static void test_random_sequences(void **state)
{
	for (unsigned int seed = 0; seed < 1500; seed++)
		random_sequence(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_sequences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
