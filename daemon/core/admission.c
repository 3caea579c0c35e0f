// SPDX-License-Identifier: Apache-2.0
/*
 * admission.c - one member's state from its three inputs; see admission.h and docs/health.md.
 *
 * Inputs only write down what was heard; admission_update() alone derives state and fraction from it, so the
 * order in which inputs arrive at one instant does not matter. Time-driven facts (end of a ramp, of a drain,
 * of an ejection, of a damping; a silence that lasted) are latched there, which is why every input goes
 * through it. What time does to a number (ramps, penalties) is in admission_time.c.
 */
#include "core/admission_internal.h"

#include <stdio.h>
#include <string.h>

static const char *const state_names[] = {
#define X(id, name) [ADMISSION_##id] = name,
	ADMISSION_STATES(X)
#undef X
};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == ADMISSION_STATE_MAX, "every state has a name");

const char *admission_state_name(enum admission_state s)
{
	return (unsigned int)s < ADMISSION_STATE_MAX ? state_names[s] : "invalid";
}

int admission_state_by_name(const char *name)
{
	for (int i = 0; i < ADMISSION_STATE_MAX; i++)
		if (!strcmp(name, state_names[i]))
			return i;
	return -1;
}

void admission_policy_default(struct admission_policy *p)
{
	*p = (struct admission_policy){
		.slow_start_ms = 30000,
		.drain_timeout_ms = 300000,
		.hard_down_ms = 10000,
		.panic_threshold_pct = 50,
		.mass_failure_pct = 30,
		.mass_failure_ms = 10000,
		.mass_failure_hold_ms = 30000,
		.flap_half_life_ms = 120000,
		.eject_base_ms = 30000,
		.eject_max_ms = 300000,
		.eject_max_pct = 10,
	};
}

/* ---- the decision --------------------------------------------------------------------------- */

static bool drain_is_over(const struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	return p->drain_timeout_ms && now_ns - a->admin_since_ns >= p->drain_timeout_ms * NS_PER_MS;
}

/* A silence is carried out when it lasted, was confirmed by one more probe, and is not doubted. */
static bool hard_down_is_possible(const struct admission *a, const struct admission_policy *p)
{
	return admission_is_silent(a) && !a->held && !a->panic && (a->silent_results > 1 || !p->hard_down_ms);
}

static void latch(struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	if (a->flap_out)
		admission_flap_decay(a, p, now_ns);
	if (a->passive == PASSIVE_EJECT && a->active == HEALTH_UP && now_ns >= a->eject_until_ns)
		a->passive = PASSIVE_CLEAR;
	if (hard_down_is_possible(a, p) && now_ns - a->silent_since_ns >= p->hard_down_ms * NS_PER_MS) {
		a->hard_down = true;
		if (a->admin != LB_ADMIN_DISABLE) /* whose flows are over already */
			a->bump_generation = true;
	}
}

static bool is_in(const struct admission *a)
{
	if (a->admin != LB_ADMIN_NONE || a->hard_down || a->passive == PASSIVE_EJECT)
		return false;
	if (a->active == HEALTH_UNKNOWN)
		return !a->starts_out;
	return a->active == HEALTH_UP && !a->flap_out;
}

static enum admission_state decide(const struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	if (a->admin == LB_ADMIN_DISABLE)
		return ADMISSION_DISABLED;
	if (a->admin == LB_ADMIN_DRAIN)
		return drain_is_over(a, p, now_ns) ? ADMISSION_DRAINED : ADMISSION_DRAINING;
	if (a->hard_down)
		return ADMISSION_DOWN;
	if (a->active == HEALTH_DOWN || (a->active == HEALTH_UP && a->flap_out))
		return ADMISSION_UNHEALTHY_DRAINING;
	if (a->passive == PASSIVE_EJECT)
		return ADMISSION_EJECTED;
	if (a->ramping)
		return ADMISSION_SLOW_START;
	if (a->passive == PASSIVE_SUSPECT)
		return ADMISSION_SUSPECT;
	return a->active == HEALTH_UNKNOWN ? ADMISSION_UNKNOWN : ADMISSION_HEALTHY;
}

static __u32 own_fraction(struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	if (!is_in(a)) {
		a->ramping = false;
		return a->admin == LB_ADMIN_DRAIN && !a->hard_down ? admission_drain_fraction(a, p, now_ns)
								   : 0;
	}
	if (!a->ramping && a->fraction < ADMISSION_FULL && p->slow_start_ms) {
		a->ramping = true;
		a->ramp_from = a->fraction;
		a->ramp_ns = now_ns;
	}
	return a->ramping ? admission_slow_start_fraction(a, p, now_ns) : ADMISSION_FULL;
}

static void consider(__u64 *next_ns, __u64 t)
{
	if (!*next_ns || t < *next_ns)
		*next_ns = t;
}

static __u64 next_change(const struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	__u64 next = 0;

	if (a->ramping)
		consider(&next, admission_slow_start_next_ns(a, p, now_ns));
	if (a->state == ADMISSION_DRAINING && p->drain_timeout_ms)
		consider(&next, a->admin_since_ns + p->drain_timeout_ms * NS_PER_MS);
	if (a->admin == LB_ADMIN_DRAIN && a->fraction)
		consider(&next, admission_drain_next_ns(a, p, now_ns));
	if (hard_down_is_possible(a, p))
		consider(&next, a->silent_since_ns + p->hard_down_ms * NS_PER_MS);
	if (a->flap_out)
		consider(&next, admission_flap_back_ns(a, p));
	if (a->passive == PASSIVE_EJECT && a->active == HEALTH_UP)
		consider(&next, a->eject_until_ns);
	return next;
}

bool admission_update(struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	enum admission_state old_state = a->state;
	__u32 old_fraction = a->fraction;
	bool old_bump = a->bump_generation;

	latch(a, p, now_ns);
	a->fraction = own_fraction(a, p, now_ns);
	a->state = decide(a, p, now_ns);
	if (a->state != old_state)
		a->since_ns = now_ns;
	a->next_ns = next_change(a, p, now_ns);
	admission_describe(a, p);
	return a->state != old_state || a->fraction != old_fraction || a->bump_generation != old_bump;
}

/* ---- inputs --------------------------------------------------------------------------------- */

void admission_init(struct admission *a, const struct admission_policy *p, enum lb_admin admin, __u64 now_ns)
{
	memset(a, 0, sizeof(*a));
	a->starts_out = p->initial_down;
	a->since_ns = a->active_since_ns = a->admin_since_ns = a->flap_ns = now_ns;
	a->admin = admin;
	a->fraction = is_in(a) ? ADMISSION_FULL : 0;
	admission_update(a, p, now_ns);
}

enum health_state admission_adopt(struct admission *a, const struct admission_policy *p, enum lb_admin admin,
				  enum admission_state state, __u32 fraction, __u64 now_ns)
{
	static const struct {
		enum health_state active;
		bool hard_down;
	} was[ADMISSION_STATE_MAX] = {
		[ADMISSION_HEALTHY] = {HEALTH_UP, false},
		[ADMISSION_SLOW_START] = {HEALTH_UP, false},
		[ADMISSION_SUSPECT] = {HEALTH_UP, false},
		/* The detector's memory is gone: the probes decide. */
		[ADMISSION_EJECTED] = {HEALTH_DOWN, false},
		[ADMISSION_UNHEALTHY_DRAINING] = {HEALTH_DOWN, false},
		[ADMISSION_DOWN] = {HEALTH_DOWN, true},
	};

	admission_init(a, p, admin, now_ns);
	if ((unsigned int)state >= ADMISSION_STATE_MAX)
		return HEALTH_UNKNOWN;
	a->active = was[state].active;
	a->hard_down = was[state].hard_down;
	a->fraction = fraction < ADMISSION_FULL ? fraction : ADMISSION_FULL;
	if (state == ADMISSION_DRAINED) /* it was over: the clock does not start again */
		a->admin_since_ns = now_ns - p->drain_timeout_ms * NS_PER_MS;
	a->drain_from = a->fraction;
	if (a->active == HEALTH_UP && state != ADMISSION_SLOW_START && is_in(a))
		a->fraction = ADMISSION_FULL;
	if (a->active == HEALTH_UNKNOWN && is_in(a))
		a->fraction = ADMISSION_FULL;
	snprintf(a->probe_words, sizeof(a->probe_words), "as before the restart");
	admission_update(a, p, now_ns);
	return a->active;
}

static void silence_ends(struct admission *a)
{
	a->silent_results = 0;
	a->believed = false;
	if (!a->held)
		return;
	/* It never stopped serving: no slow start, and the fall does not count as a flap. */
	a->held = false;
	a->fraction = a->kept;
	admission_flap_forgive(a);
}

static void note_evidence(struct admission *a, enum health_state s, const struct probe_result *why,
			  __u64 now_ns)
{
	if (why->outcome != PROBE_OUTCOME_OK) {
		a->active_why = why->outcome;
		snprintf(a->probe_words, sizeof(a->probe_words), "%.*s", (int)sizeof(a->probe_words) - 1,
			 why->detail[0] ? why->detail : probe_outcome_name(why->outcome));
	}
	if (!probe_outcome_is_silence(why->outcome)) {
		a->answered_ns = now_ns;
		silence_ends(a);
	} else if (s == HEALTH_DOWN && !a->silent_results++) {
		a->silent_since_ns = now_ns;
		a->kept = a->fraction;
	}
}

bool admission_active(struct admission *a, const struct admission_policy *p, enum health_state s,
		      const struct probe_result *why, __u64 now_ns)
{
	bool was_held = a->held;
	__u32 old_fraction = a->fraction;

	if (s != a->active) {
		if (s == HEALTH_DOWN && a->active == HEALTH_UP)
			admission_flap_fall(a, p, now_ns);
		a->active = s;
		a->active_since_ns = now_ns;
	}
	if (why && why->outcome != PROBE_OUTCOME_LOCAL)
		note_evidence(a, s, why, now_ns);
	if (s == HEALTH_UP) {
		silence_ends(a);
		a->hard_down = false;
		a->starts_out = false;
		a->active_why = PROBE_OUTCOME_OK;
	}
	/* silence_ends() may have written `fraction`, hence the comparison with what it was before. */
	return admission_update(a, p, now_ns) || a->fraction != old_fraction || a->held != was_held;
}

bool admission_admin(struct admission *a, const struct admission_policy *p, enum lb_admin admin, __u64 now_ns)
{
	if (admin == a->admin)
		return false;
	a->drain_from = a->held ? a->kept : a->fraction;
	if (a->held)
		a->fraction = a->kept;
	a->held = false;
	a->admin = admin;
	a->admin_since_ns = now_ns;
	if (admin == LB_ADMIN_DISABLE)
		a->bump_generation = true;
	admission_update(a, p, now_ns);
	return true;
}

bool admission_tick(struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	return admission_update(a, p, now_ns);
}

/* Base time x 2^(n-1) up to the maximum, +-10%. */
static __u64 ejection_ns(const struct admission *a, const struct admission_policy *p, __u32 random)
{
	__u64 ms = p->eject_base_ms;

	for (__u32 i = 1; i < a->ejections && ms < p->eject_max_ms; i++)
		ms *= 2;
	if (ms > p->eject_max_ms)
		ms = p->eject_max_ms;
	return (ms * 9 / 10 + ms / 5 * (random >> 16) / 65536) * NS_PER_MS;
}

bool admission_passive(struct admission *a, const struct admission_policy *p, enum passive_verdict v,
		       const char *words, __u32 random, __u64 now_ns)
{
	__u64 forgotten;

	if (v == a->passive || (v == PASSIVE_EJECT && !is_in(a)))
		return false;
	if (a->passive == PASSIVE_EJECT)
		return false; /* it ends by time and probes, not by a detector that sees no traffic */
	if (v == PASSIVE_EJECT) {
		forgotten = a->ejections && p->eject_max_ms && now_ns > a->eject_until_ns
				    ? (now_ns - a->eject_until_ns) / (p->eject_max_ms * NS_PER_MS)
				    : 0;
		a->ejections -= forgotten < a->ejections ? (__u32)forgotten : a->ejections;
		a->ejections++;
		a->eject_until_ns = now_ns + ejection_ns(a, p, random);
	}
	a->passive = v;
	a->passive_since_ns = now_ns;
	snprintf(a->passive_words, sizeof(a->passive_words), "%.*s", (int)sizeof(a->passive_words) - 1,
		 words ? words : "");
	return admission_update(a, p, now_ns);
}

void admission_describe(struct admission *a, const struct admission_policy *p)
{
	char *r = a->reason;
	const size_t size = sizeof(a->reason);

	switch (a->state) {
	case ADMISSION_UNKNOWN:
		snprintf(r, size,
			 a->starts_out ? "not probed yet: serves after the first good probe"
				       : "not probed yet: serves until the first verdict");
		break;
	case ADMISSION_HEALTHY:
		snprintf(r, size, "probes succeed");
		break;
	case ADMISSION_SLOW_START:
		snprintf(r, size, "back: its share grows to full within %u s",
			 (p->slow_start_ms + 999) / 1000);
		break;
	case ADMISSION_SUSPECT:
		snprintf(r, size, "suspected by its traffic: %s; probes are to confirm", a->passive_words);
		break;
	case ADMISSION_EJECTED:
		snprintf(r, size, "ejected for its traffic (time %u in a row): %s", a->ejections,
			 a->passive_words);
		break;
	case ADMISSION_UNHEALTHY_DRAINING:
		if (a->active == HEALTH_UP)
			snprintf(r, size, "up again, but fell too often lately: kept out until it stays up");
		else if (a->held)
			snprintf(r, size, "silent (%s) together with many others: doubted, keeps its share",
				 a->probe_words);
		else
			snprintf(r, size, "probes fail: %s; no new flows, established ones stay",
				 a->probe_words);
		break;
	case ADMISSION_DOWN:
		snprintf(r, size, "silent for more than %u s: %s; its flows are given up",
			 p->hard_down_ms / 1000, a->probe_words);
		break;
	case ADMISSION_DRAINING:
		snprintf(r, size, "drained by the operator: no new flows, established ones stay");
		break;
	case ADMISSION_DRAINED:
		snprintf(r, size, "drained by the operator, drain timeout over");
		break;
	case ADMISSION_DISABLED:
		snprintf(r, size, "disabled by the operator");
		break;
	case ADMISSION_STATE_MAX:
		break;
	}
}
