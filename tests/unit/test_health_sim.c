// SPDX-License-Identifier: Apache-2.0
/*
 * test_health_sim.c - how fast a death is noticed, and how often a living backend is marked down, in
 * simulated time with the real state machine. A probe is what probe_connect.c does: SYNs at 0, 0.2 and 0.6 s;
 * it succeeds when one of them and its answer come through. The figures are those of docs/health.md; the
 * bounds here are a little wider.
 */
#include "core/cleanup.h"
#include "core/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#define MS 1000000ull
#define S 1000000000ull
#define DAY (86400 * S)

static __u64 rng_state;
static __u32 rnd(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (__u32)(rng_state >> 16);
}

static double uniform(void)
{
	return ((double)rnd() + 0.5) / 4294967296.0;
}

struct path {
	double loss;           /* of a packet, each way */
	double bursts_per_day; /* nothing comes through while one lasts */
	double burst_s;
	bool burst_exponential; /* burst_s is the mean, else the length */
	__u64 burst_start, burst_end;
	__u64 death;  /* of the backend */
	bool refuses; /* the dead backend answers by resets */
};

static bool comes_through(struct path *p, __u64 t)
{
	while (p->bursts_per_day > 0 && t >= p->burst_end) {
		double gap = -log(uniform()) * 86400 / p->bursts_per_day;
		double length = p->burst_exponential ? -log(uniform()) * p->burst_s : p->burst_s;

		p->burst_start = p->burst_end + (__u64)(gap * 1e9);
		p->burst_end = p->burst_start + (__u64)(length * 1e9);
	}
	if (p->bursts_per_day > 0 && t >= p->burst_start)
		return false;
	return uniform() >= p->loss && uniform() >= p->loss;
}

/* One probe at @t; *@end: when its result is there. */
static struct probe_result probe(struct path *p, const struct probe_spec *spec, __u64 t, __u64 *end)
{
	static const unsigned int tries_ms[] = {0, 200, 600, 1400};
	struct probe_result r = {.outcome = PROBE_OUTCOME_TIMEOUT};

	for (size_t i = 0; i < ARRAY_SIZE(tries_ms) && tries_ms[i] < spec->timeout_ms; i++) {
		__u64 at = t + tries_ms[i] * MS;

		if (!comes_through(p, at) || (at >= p->death && !p->refuses))
			continue;
		r.outcome = at >= p->death ? PROBE_OUTCOME_REFUSED : PROBE_OUTCOME_OK;
		*end = at + MS;
		return r;
	}
	*end = t + spec->timeout_ms * MS;
	return r;
}

/* Probe from @t on until @until or until the first mark-down; its time, or 0. */
static __u64 run(struct path *p, const struct probe_spec *spec, struct health *h, __u64 *t, __u64 until)
{
	while (*t < until) {
		__u64 end, next;
		struct probe_result r = probe(p, spec, *t, &end);
		enum health_event ev = health_step(h, spec, &r, end);

		next = *t + health_next_ms(h, spec, rnd()) * MS;
		*t = next > end ? next : end + MS;
		if (ev == HEALTH_WENT_DOWN)
			return end;
	}
	return 0;
}

static const struct probe_spec defaults = {.type = PROBE_TCP,
					   .interval_ms = 2000,
					   .fast_interval_ms = 500,
					   .down_interval_ms = 5000,
					   .timeout_ms = 1000,
					   .rise = 3,
					   .fall = 3,
					   .jitter_pct = 10};
static const struct probe_spec fast = {.type = PROBE_TCP,
				       .interval_ms = 500,
				       .fast_interval_ms = 200,
				       .down_interval_ms = 1000,
				       .timeout_ms = 500,
				       .rise = 3,
				       .fall = 3,
				       .jitter_pct = 10};

static const struct {
	const char *name;
	const struct probe_spec *spec;
	bool refuses;
	double mean_s, max_s; /* bounds */
} deaths[] = {
	{"black hole, defaults", &defaults, false, 4.05, 5.3},
	{"refused, defaults", &defaults, true, 2.05, 3.3},
	{"black hole, fast", &fast, false, 1.80, 2.1},
	{"refused, fast", &fast, true, 0.70, 1.0},
};

static void test_detection_time(void **state)
{
	rng_state = 4711;
	for (size_t i = 0; i < ARRAY_SIZE(deaths); i++) {
		double sum = 0, max = 0;
		const unsigned int n = 20000;

		for (unsigned int k = 0; k < n; k++) {
			struct path p = {.death = 20 * S + rnd() % (2 * S), .refuses = deaths[i].refuses};
			struct health h;
			__u64 t = rnd() % (2 * S), down;
			double s;

			health_init(&h, HEALTH_UP, 0);
			down = run(&p, deaths[i].spec, &h, &t, DAY);
			assert_true(down > p.death);
			s = (double)(down - p.death) / 1e9;
			sum += s;
			max = s > max ? s : max;
		}
		print_message("%s: %.2f s in the mean, %.2f s at most\n", deaths[i].name, sum / n, max);
		assert_true(sum / n < deaths[i].mean_s);
		assert_true(max < deaths[i].max_s);
	}
}

static const struct {
	const char *name;
	const struct probe_spec *spec;
	double loss, bursts_per_day, burst_s;
	bool exponential;
	double bound; /* mark-downs per backend and day */
} healthy[] = {
	{"1% loss, defaults", &defaults, 0.01, 0, 0, false, 0},
	{"1% loss, a burst of 1 s every minute, defaults", &defaults, 0.01, 1440, 1, false, 0},
	{"1% loss, bursts of 1 s in the mean, every hour, defaults", &defaults, 0.01, 24, 1, true, 1.2},
	{"1% loss, fast", &fast, 0.01, 0, 0, false, 0},
	{"1% loss, a burst of 1 s every minute, fast", &fast, 0.01, 1440, 1, false, 5},
	{"1% loss, bursts of 1 s in the mean, every hour, fast", &fast, 0.01, 24, 1, true, 15},
};

static void test_false_mark_downs(void **state)
{
	rng_state = 815;
	for (size_t i = 0; i < ARRAY_SIZE(healthy); i++) {
		const unsigned int backends = 50;
		unsigned int downs = 0;

		for (unsigned int k = 0; k < backends; k++) {
			struct path p = {.loss = healthy[i].loss,
					 .bursts_per_day = healthy[i].bursts_per_day,
					 .burst_s = healthy[i].burst_s,
					 .burst_exponential = healthy[i].exponential,
					 .death = ~0ull};
			struct health h;
			__u64 t = rnd() % (2 * S);

			health_init(&h, HEALTH_UP, 0);
			while (t < DAY)
				downs += run(&p, healthy[i].spec, &h, &t, DAY) != 0;
		}
		print_message("%s: %.2f false mark-downs per backend and day\n", healthy[i].name,
			      (double)downs / backends);
		assert_true((double)downs / backends <= healthy[i].bound);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_detection_time),
		cmocka_unit_test(test_false_mark_downs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
