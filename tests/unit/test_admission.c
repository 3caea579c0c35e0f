// SPDX-License-Identifier: Apache-2.0
/* test_admission.c - one member: states, ramps, two-stage mark-down, damping, ejection, adoption. Simulated
 * time. */
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

static struct probe_result result_of(enum probe_outcome o)
{
	struct probe_result r = {.outcome = o};

	snprintf(r.detail, sizeof(r.detail), "test: %s", probe_outcome_name(o));
	return r;
}

/*
 * A script is words "ms:event"; an event is one of
 *   up down:OUTCOME ok bad:OUTCOME   (change of the active state; or one more result without a change)
 *   drain disable none               (operator)
 *   suspect eject clear              (detector)
 *   tick
 * "=state,permille" after it is what must hold then, "!" the bump_generation flag (and it is cleared).
 */
struct script {
	const char *name;
	const char *policy; /* see apply_policy */
	const char *steps;
};

static const struct script scripts[] = {
	{"unknown serves, first verdict up: no slow start", "", "0:tick=unknown,1000 10:up=healthy,1000"},
	{"unknown serves until the probes fail", "",
	 "0:bad:refused=unknown,1000 900:down:refused=unhealthy-draining,0"},
	{"initial down: waits, then slow start", "initial_down",
	 "0:tick=unknown,0 10:ok=unknown,0 20:up=slow-start,10 30020:tick=healthy,1000"},
	{"slow start in steps", "",
	 "0:up=healthy,1000 1000:down:refused=unhealthy-draining,0 5000:up=slow-start,10"
	 " 5299:tick=slow-start,10 5300:tick=slow-start,20 20000:tick=slow-start,510 "
	 "34999:tick=slow-start,1000"
	 " 35000:tick=healthy,1000"},
	{"short slow start: steps of 250 ms", "slow_start=1000",
	 "0:up=healthy,1000 1000:down:refused=unhealthy-draining,0 5000:up=slow-start,250 "
	 "5249:tick=slow-start,250"
	 " 5250:tick=slow-start,500 5500:tick=slow-start,750 6000:tick=healthy,1000"},
	{"no slow start configured", "slow_start=0",
	 "0:up=healthy,1000 1000:down:refused=unhealthy-draining,0 5000:up=healthy,1000 6000:drain=draining,0"
	 " 7000:none=healthy,1000"},
	{"fails again during slow start", "",
	 "0:down:refused=unhealthy-draining,0 10:up=slow-start,10 15000:tick=slow-start,500"
	 " 15010:down:refused=unhealthy-draining,0 20000:up=slow-start,10"},

	{"refused stays at stage one for ever", "",
	 "0:up 1000:down:refused=unhealthy-draining,0 6000:bad:refused 11000:bad:refused 16000:bad:refused"
	 " 600000:tick=unhealthy-draining,0"},
	{"http errors stay at stage one", "",
	 "0:up 1000:down:bad_status=unhealthy-draining,0 6000:bad:bad_status 21000:bad:bad_body "
	 "600000:tick=unhealthy-draining,0"},
	{"resets, tls and protocol errors stay at stage one", "",
	 "0:up 1000:down:reset=unhealthy-draining,0 6000:bad:tls 21000:bad:protocol "
	 "600000:tick=unhealthy-draining,0"},
	{"silence goes on to stage two, once", "",
	 "0:up 1000:down:timeout=unhealthy-draining,0 6000:bad:timeout=unhealthy-draining,0"
	 " 10999:tick=unhealthy-draining,0 11000:tick=down,0! 16000:bad:timeout=down,0 99000:tick=down,0"},
	{"unreachable is silence too", "", "0:up 1000:down:unreachable 6000:bad:timeout 11000:tick=down,0!"},
	{"silence wants one more silent probe", "",
	 "0:up 1000:down:timeout 11000:tick=unhealthy-draining,0 12000:bad:timeout=down,0!"},
	{"an answer in between starts the silence anew", "",
	 "0:up 1000:down:timeout 6000:bad:timeout 9000:bad:refused 12000:tick=unhealthy-draining,0 "
	 "14000:bad:timeout"
	 " 19000:bad:timeout 23999:tick=unhealthy-draining,0 24000:tick=down,0!"},
	{"one good probe among silent ones as well", "",
	 "0:up 1000:down:timeout 6000:ok 11000:tick=unhealthy-draining,0 12000:bad:timeout 17000:bad:timeout"
	 " 21999:tick=unhealthy-draining,0 22000:tick=down,0!"},
	{"refused first, silent later", "",
	 "0:up 1000:down:refused 6000:bad:timeout 11000:bad:timeout=unhealthy-draining,0 16000:tick=down,0!"},
	{"the prober's own failures are no evidence", "",
	 "0:up 1000:down:timeout 6000:bad:local 11000:bad:local 20000:tick=unhealthy-draining,0"},
	{"nor are they answers", "",
	 "0:up 1000:down:timeout 6000:bad:timeout 8000:bad:local 11000:tick=down,0!"},
	{"initial down, and the prober forgets it later", "initial_down",
	 "0:ok=unknown,0 20:up=slow-start,10 40000:tick=healthy,1000 50000:forget=unknown,1000"},
	{"silence from unknown", "", "0:bad:timeout 1000:down:timeout 6000:bad:timeout 11000:tick=down,0!"},
	{"silence before the probes failed does not count", "",
	 "0:up 1000:bad:timeout 1500:bad:timeout 2000:down:timeout 7000:bad:timeout "
	 "11500:tick=unhealthy-draining,0"
	 " 12000:tick=down,0!"},
	{"hard_down 0: at once", "hard_down=0", "0:up 1000:down:timeout=down,0!"},
	{"hard_down 0, refused", "hard_down=0",
	 "0:up 1000:down:refused=unhealthy-draining,0 600000:tick=unhealthy-draining,0"},
	{"down comes back through slow start; down again bumps again", "",
	 "0:up 1000:down:timeout 6000:bad:timeout 11000:tick=down,0! 12000:bad:refused=down,0 "
	 "20000:up=slow-start,10"
	 " 50000:tick=healthy,1000 51000:down:timeout 56000:bad:timeout 61000:tick=down,0!"},

	{"drain at once, then drained", "",
	 "0:up 1000:drain=draining,0 300999:tick=draining,0 301000:tick=drained,0 400000:none=slow-start,10"},
	{"drain with a ramp", "drain_ramp=1000",
	 "0:up 1000:drain=draining,750 1249:tick=draining,750 1250:tick=draining,500 1999:tick=draining,0 "
	 "2000:tick=draining,0"},
	{"undrain goes on from where the drain ramp was", "drain_ramp=10000",
	 "0:up 1000:drain=draining,975 6000:tick=draining,475 6000:none=slow-start,483 "
	 "6250:tick=slow-start,492"
	 " 22000:tick=healthy,1000"},
	{"drain without timeout", "drain_timeout=0", "0:up 1000:drain=draining,0 9999999:tick=draining,0"},
	{"a drained backend that goes silent loses its flows", "",
	 "0:up 1000:drain=draining,0 2000:down:timeout=draining,0 7000:bad:timeout 12000:tick=draining,0!"
	 " 301000:tick=drained,0 301001:none=down,0 302000:up=slow-start,10"},
	{"disable at once, flows over", "",
	 "0:up 1000:disable=disabled,0! 2000:down:timeout 7000:bad:timeout"
	 " 20000:tick=disabled,0 30000:none=down,0 31000:up=slow-start,10"},
	{"enable", "", "0:up 1000:disable=disabled,0! 2000:none=slow-start,10 32000:tick=healthy,1000"},
	{"enable what failed meanwhile", "",
	 "0:up 1000:disable=disabled,0! 2000:down:refused=disabled,0 3000:none=unhealthy-draining,0"},
	{"drain, then disable, then drain", "",
	 "0:up 1000:drain=draining,0 2000:disable=disabled,0! 3000:drain=draining,0"},

	{"four falls in two minutes: kept out for a while", "slow_start=0",
	 "0:up 1000:down:refused 10000:up=healthy,1000 20000:down:refused 30000:up=healthy,1000 "
	 "40000:down:refused"
	 " 50000:up=healthy,1000 60000:down:refused 70000:up=unhealthy-draining,0 "
	 "150000:tick=unhealthy-draining,0"
	 " 240000:tick=healthy,1000"},
	{"four falls in an hour are nothing", "slow_start=0",
	 "0:up 1000:down:refused 900000:up=healthy,1000 920000:down:refused 1800000:up=healthy,1000 "
	 "1820000:down:refused"
	 " 2700000:up=healthy,1000 2720000:down:refused 3600000:up=healthy,1000"},
	{"damping off", "slow_start=0 flap=0",
	 "0:up 1:down:refused 2:up 3:down:refused 4:up 5:down:refused 6:up 7:down:refused 8:up "
	 "9:down:refused 10:up=healthy,1000"},

	{"suspect serves; dismissed", "", "0:up 1000:suspect=suspect,1000 2000:clear=healthy,1000"},
	{"ejected 30 s, back through slow start", "",
	 "0:up 1000:suspect=suspect,1000 2000:eject=ejected,0 28999:tick=ejected,0 29000:tick=slow-start,10"},
	{"ejected and the probes fail: waits for them", "",
	 "0:up 2000:eject=ejected,0 3000:down:refused=unhealthy-draining,0 50000:tick=unhealthy-draining,0"
	 " 60000:up=slow-start,10"},
	{"probes succeed again before the time is over", "",
	 "0:up 2000:eject=ejected,0 3000:down:refused=unhealthy-draining,0 4000:up=ejected,0 "
	 "29000:tick=slow-start,10"},
	{"a detector that sees no traffic does not end an ejection", "",
	 "0:up 2000:eject=ejected,0 3000:clear=ejected,0"},
	{"second ejection lasts twice as long", "slow_start=0",
	 "0:up 0:eject=ejected,0 27000:tick=healthy,1000 30000:eject=ejected,0 83999:tick=ejected,0 "
	 "84000:tick=healthy,1000"},
	{"ejections are forgotten", "slow_start=0",
	 "0:up 0:eject=ejected,0 27000:tick=healthy,1000 400000:eject=ejected,0 427000:tick=healthy,1000"},
	{"what is out is not ejected", "",
	 "0:up 1000:drain=draining,0 2000:eject=draining,0 3000:none=slow-start,10"},
};

static void apply_policy(struct admission_policy *p, const char *words)
{
	unsigned int v;

	if (strstr(words, "initial_down"))
		p->initial_down = true;
	if (strstr(words, "slow_start=") && sscanf(strstr(words, "slow_start="), "slow_start=%u", &v))
		p->slow_start_ms = v;
	if (strstr(words, "hard_down=") && sscanf(strstr(words, "hard_down="), "hard_down=%u", &v))
		p->hard_down_ms = v;
	if (strstr(words, "drain_ramp=") && sscanf(strstr(words, "drain_ramp="), "drain_ramp=%u", &v))
		p->drain_ramp_ms = v;
	if (strstr(words, "drain_timeout=") &&
	    sscanf(strstr(words, "drain_timeout="), "drain_timeout=%u", &v))
		p->drain_timeout_ms = v;
	if (strstr(words, "flap=") && sscanf(strstr(words, "flap="), "flap=%u", &v))
		p->flap_half_life_ms = v;
}

static enum probe_outcome outcome_of(const char *name)
{
	for (int o = 0; o < PROBE_OUTCOME_MAX; o++)
		if (!strcmp(name, probe_outcome_name(o)))
			return o;
	fail_msg("no outcome %s", name);
	return PROBE_OUTCOME_OK;
}

static bool event(struct admission *a, const struct admission_policy *p, const char *word, const char *arg,
		  __u64 now)
{
	struct probe_result ok = result_of(PROBE_OUTCOME_OK),
			    bad = result_of(*arg ? outcome_of(arg) : PROBE_OUTCOME_OK);

	if (!strcmp(word, "up"))
		return admission_active(a, p, HEALTH_UP, &ok, now);
	if (!strcmp(word, "down"))
		return admission_active(a, p, HEALTH_DOWN, &bad, now);
	if (!strcmp(word, "forget"))
		return admission_active(a, p, HEALTH_UNKNOWN, NULL, now);
	if (!strcmp(word, "ok"))
		return admission_active(a, p, a->active, &ok, now);
	if (!strcmp(word, "bad"))
		return admission_active(a, p, a->active, &bad, now);
	if (!strcmp(word, "drain"))
		return admission_admin(a, p, LB_ADMIN_DRAIN, now);
	if (!strcmp(word, "disable"))
		return admission_admin(a, p, LB_ADMIN_DISABLE, now);
	if (!strcmp(word, "none"))
		return admission_admin(a, p, LB_ADMIN_NONE, now);
	if (!strcmp(word, "suspect"))
		return admission_passive(a, p, PASSIVE_SUSPECT, "syn retransmissions 12%", 0, now);
	if (!strcmp(word, "eject"))
		return admission_passive(a, p, PASSIVE_EJECT, "syn retransmissions 12%", 0, now);
	if (!strcmp(word, "clear"))
		return admission_passive(a, p, PASSIVE_CLEAR, "", 0, now);
	assert_string_equal(word, "tick");
	return admission_tick(a, p, now);
}

static void run_step(const struct script *s, struct admission *a, const struct admission_policy *p,
		     const char *step)
{
	char word[32] = "", arg[32] = "", want[32] = "";
	unsigned int ms, permille = 0;
	bool bump = strchr(step, '!') != NULL, was_bump = a->bump_generation;
	enum admission_state old_state = a->state;
	__u32 old_fraction = a->fraction;
	const char *eq = strchr(step, '=');
	int n = 0;
	bool changed;

	if (sscanf(step, "%u:%31[a-z]%n", &ms, word, &n) != 2)
		fail_msg("%s: bad step %s", s->name, step);
	if (step[n] == ':')
		sscanf(step + n + 1, "%31[a-z_]", arg);
	changed = event(a, p, word, arg, ms * 1000000ull);
	if (changed !=
	    (a->state != old_state || a->fraction != old_fraction || a->bump_generation != was_bump))
		fail_msg("%s: at %s: says %schanged", s->name, step, changed ? "" : "un");
	if (a->bump_generation != bump)
		fail_msg("%s: at %s: bump_generation is %d", s->name, step, a->bump_generation);
	a->bump_generation = false;
	if (!a->reason[0])
		fail_msg("%s: at %s: no reason", s->name, step);
	if (a->next_ns && a->next_ns <= ms * 1000000ull)
		fail_msg("%s: at %s: next_ns is in the past", s->name, step);
	if (!eq)
		return;
	if (sscanf(eq, "=%31[a-z-],%u", want, &permille) != 2)
		fail_msg("%s: bad step %s", s->name, step);
	if (strcmp(want, admission_state_name(a->state)) || (a->fraction * 1000 + 32768) / FULL != permille)
		fail_msg("%s: at %s: is %s,%u (%s)", s->name, step, admission_state_name(a->state),
			 (a->fraction * 1000 + 32768) / FULL, a->reason);
}

/* Each script twice: as it stands, and with a tick at every next_ns between the steps, which must change
 * nothing in it. */
static void test_scripts(void **state)
{
	for (size_t i = 0; i < 2 * ARRAY_SIZE(scripts); i++) {
		const struct script *s = &scripts[i / 2];
		_cleanup_free_ char *copy = strdup(s->steps);
		struct admission_policy p;
		struct admission a;
		char *save = NULL;

		admission_policy_default(&p);
		apply_policy(&p, s->policy);
		admission_init(&a, &p, LB_ADMIN_NONE, 0);
		for (char *step = strtok_r(copy, " ", &save); step; step = strtok_r(NULL, " ", &save)) {
			unsigned int ms = 0, guard = 0;

			sscanf(step, "%u", &ms);
			while (i % 2 && a.next_ns && a.next_ns < ms * 1000000ull && !a.bump_generation) {
				__u64 t = a.next_ns;

				admission_tick(&a, &p, t);
				if (a.next_ns && a.next_ns <= t)
					fail_msg("%s: before %s: tick makes no progress", s->name, step);
				if (++guard > 1000)
					fail_msg("%s: before %s: too many ticks", s->name, step);
			}
			run_step(s, &a, &p, step);
		}
	}
}

/* The ramp only rises, ends on time, and changes at most every 250 ms and at most 100 times. */
static void test_ramp_properties(void **state)
{
	static const __u32 lengths[] = {1,     100,   249,    250,     251,      999,       1000,
					30000, 29999, 123456, 3600000, 86400000, 0xffffffff};
	struct probe_result bad = result_of(PROBE_OUTCOME_REFUSED), ok = result_of(PROBE_OUTCOME_OK);

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		__u64 start = 77777777ull, t = start, last_change = start;
		unsigned int changes = 0;
		struct admission_policy p;
		struct admission a;

		admission_policy_default(&p);
		p.slow_start_ms = lengths[i];
		admission_init(&a, &p, LB_ADMIN_NONE, 0);
		admission_active(&a, &p, HEALTH_DOWN, &bad, 1);
		admission_active(&a, &p, HEALTH_UP, &ok, start);
		while (a.state == ADMISSION_SLOW_START) {
			__u32 old = a.fraction;
			__u64 ideal;

			assert_true(a.next_ns > t);
			t = a.next_ns;
			admission_tick(&a, &p, t);
			assert_in_range(a.fraction, a.state == ADMISSION_SLOW_START ? old + 1 : old, FULL);
			if (a.fraction != FULL && t - last_change < 250000000ull)
				fail_msg("%u ms: changed after %llu ns", lengths[i],
					 (unsigned long long)(t - last_change));
			last_change = t;
			assert_true(++changes <= 101);
			ideal = (t - start) * 1000 / (lengths[i] * 1000000ull);
			if (lengths[i] >= 30000)
				if (a.fraction * 1000ull / FULL < ideal ||
				    a.fraction * 1000ull / FULL > ideal + 11)
					fail_msg("%u ms: %u at %llu permille", lengths[i], a.fraction,
						 (unsigned long long)ideal);
		}
		assert_int_equal(a.state, ADMISSION_HEALTHY);
		assert_int_equal(t - start, lengths[i] * 1000000ull);
	}
}

/* A reload changes the length of a running ramp: the fraction never falls, and it ends. */
static void test_ramp_reload(void **state)
{
	struct probe_result bad = result_of(PROBE_OUTCOME_REFUSED), ok = result_of(PROBE_OUTCOME_OK);
	struct admission_policy p;
	struct admission a;
	__u32 half;

	admission_policy_default(&p);
	admission_init(&a, &p, LB_ADMIN_NONE, 0);
	admission_active(&a, &p, HEALTH_DOWN, &bad, 1);
	admission_active(&a, &p, HEALTH_UP, &ok, 0);
	admission_tick(&a, &p, 15000000000ull);
	half = a.fraction;
	p.slow_start_ms = 300000;
	admission_tick(&a, &p, 15100000000ull);
	assert_int_equal(a.fraction, half);
	p.slow_start_ms = 0;
	admission_tick(&a, &p, 15200000000ull);
	assert_int_equal(a.fraction, FULL);
	assert_int_equal(a.state, ADMISSION_HEALTHY);
}

static void test_ejection_times(void **state)
{
	static const unsigned int seconds[] = {30, 60, 120, 240, 300, 300};
	struct probe_result ok = result_of(PROBE_OUTCOME_OK);
	struct admission_policy p;
	struct admission a;
	__u64 now = 1;

	admission_policy_default(&p);
	p.slow_start_ms = 0;
	admission_init(&a, &p, LB_ADMIN_NONE, now);
	admission_active(&a, &p, HEALTH_UP, &ok, now);
	for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		__u32 random = i % 2 ? 0xffffffff : 0;

		assert_true(admission_passive(&a, &p, PASSIVE_EJECT, "x", random, now));
		assert_int_equal((a.next_ns - now + 500000000ull) / 1000000000ull,
				 random ? seconds[i] * 11 / 10 : seconds[i] * 9 / 10);
		now = a.next_ns;
		assert_true(admission_tick(&a, &p, now));
		assert_int_equal(a.state, ADMISSION_HEALTHY);
	}
}

static const struct {
	enum admission_state state;
	enum lb_admin admin;
	__u32 fraction;
	enum health_state active;
	enum admission_state then;
	__u32 then_fraction;
} adoptions[] = {
	{ADMISSION_UNKNOWN, LB_ADMIN_NONE, FULL, HEALTH_UNKNOWN, ADMISSION_UNKNOWN, FULL},
	{ADMISSION_HEALTHY, LB_ADMIN_NONE, FULL, HEALTH_UP, ADMISSION_HEALTHY, FULL},
	{ADMISSION_SUSPECT, LB_ADMIN_NONE, FULL, HEALTH_UP, ADMISSION_HEALTHY, FULL},
	{ADMISSION_UNHEALTHY_DRAINING, LB_ADMIN_NONE, 0, HEALTH_DOWN, ADMISSION_UNHEALTHY_DRAINING, 0},
	{ADMISSION_DOWN, LB_ADMIN_NONE, 0, HEALTH_DOWN, ADMISSION_DOWN, 0},
	{ADMISSION_EJECTED, LB_ADMIN_NONE, 0, HEALTH_DOWN, ADMISSION_UNHEALTHY_DRAINING, 0},
	{ADMISSION_DRAINING, LB_ADMIN_DRAIN, 0, HEALTH_UNKNOWN, ADMISSION_DRAINING, 0},
	{ADMISSION_DRAINED, LB_ADMIN_DRAIN, 0, HEALTH_UNKNOWN, ADMISSION_DRAINED, 0},
	{ADMISSION_DISABLED, LB_ADMIN_DISABLE, 0, HEALTH_UNKNOWN, ADMISSION_DISABLED, 0},
	{ADMISSION_HEALTHY, LB_ADMIN_DRAIN, FULL, HEALTH_UP, ADMISSION_DRAINING, 0},
	{ADMISSION_STATE_MAX + 7, LB_ADMIN_NONE, 99, HEALTH_UNKNOWN, ADMISSION_UNKNOWN, FULL},
};

static void test_adopt(void **state)
{
	struct admission_policy p;
	struct admission a;

	admission_policy_default(&p);
	for (size_t i = 0; i < ARRAY_SIZE(adoptions); i++) {
		enum health_state h = admission_adopt(&a, &p, adoptions[i].admin, adoptions[i].state,
						      adoptions[i].fraction, 1000);

		if (h != adoptions[i].active || a.state != adoptions[i].then ||
		    a.fraction != adoptions[i].then_fraction)
			fail_msg("%s: adopted as %s, %u, active %d", admission_state_name(adoptions[i].state),
				 admission_state_name(a.state), a.fraction, h);
		assert_false(a.bump_generation);
	}
	/* a slow start goes on from its fraction, and takes the rest of the time */
	admission_adopt(&a, &p, LB_ADMIN_NONE, ADMISSION_SLOW_START, FULL / 2, 1000);
	assert_int_equal(a.state, ADMISSION_SLOW_START);
	assert_in_range(a.fraction, FULL / 2, FULL / 2 + FULL / 50);
	admission_tick(&a, &p, 1000 + 14999000000ull);
	assert_int_equal(a.state, ADMISSION_SLOW_START);
	admission_tick(&a, &p, 1000 + 15000000000ull);
	assert_int_equal(a.state, ADMISSION_HEALTHY);
}

static void test_names(void **state)
{
	assert_string_equal(admission_state_name(ADMISSION_UNHEALTHY_DRAINING), "unhealthy-draining");
	assert_string_equal(admission_state_name(ADMISSION_STATE_MAX), "invalid");
	assert_int_equal(admission_state_by_name("drained"), ADMISSION_DRAINED);
	assert_int_equal(admission_state_by_name("dreined"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),     cmocka_unit_test(test_ramp_properties),
		cmocka_unit_test(test_ramp_reload), cmocka_unit_test(test_ejection_times),
		cmocka_unit_test(test_adopt),       cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
