// SPDX-License-Identifier: Apache-2.0
/*
 * health.c - see health.h. Results count when they are consecutive, never in sum: one good answer forgives
 * all failures before it, and the reverse while down.
 */
#include "core/health.h"

#include <assert.h>
#include <string.h>

static const char *const outcome_names[] = {
#define X(id, name) [PROBE_OUTCOME_##id] = name,
	PROBE_OUTCOMES(X)
#undef X
};
_Static_assert(sizeof(outcome_names) / sizeof(outcome_names[0]) == PROBE_OUTCOME_MAX,
	       "every outcome has a name");

const char *probe_outcome_name(enum probe_outcome o)
{
	return (unsigned int)o < PROBE_OUTCOME_MAX ? outcome_names[o] : "invalid";
}

const char *health_state_name(enum health_state s)
{
	switch (s) {
	case HEALTH_UNKNOWN:
		return "unknown";
	case HEALTH_UP:
		return "up";
	case HEALTH_DOWN:
		return "down";
	}
	return "invalid";
}

void health_init(struct health *h, enum health_state initial, __u64 now_ns)
{
	memset(h, 0, sizeof(*h));
	h->state = initial;
	h->since_ns = now_ns;
}

static __u32 streak_needed(const struct probe_spec *spec, enum health_state state, bool ok)
{
	__u32 n;

	if (state == HEALTH_UNKNOWN && ok)
		return 1;
	n = ok ? spec->rise : spec->fall;
	return n ? n : 1;
}

enum health_event health_step(struct health *h, const struct probe_spec *spec, const struct probe_result *r,
			      __u64 now_ns)
{
	bool ok = r->outcome == PROBE_OUTCOME_OK;

	assert(r->outcome < PROBE_OUTCOME_MAX);
	if (r->outcome == PROBE_OUTCOME_LOCAL) {
		h->locals++;
		return HEALTH_NOCHANGE;
	}
	h->checks++;
	h->failures += !ok;
	h->last = *r;
	if (h->state == (ok ? HEALTH_UP : HEALTH_DOWN)) {
		h->streak = 0;
		return HEALTH_NOCHANGE;
	}
	if (++h->streak < streak_needed(spec, h->state, ok))
		return HEALTH_NOCHANGE;
	h->state = ok ? HEALTH_UP : HEALTH_DOWN;
	h->streak = 0;
	h->since_ns = now_ns;
	return ok ? HEALTH_WENT_UP : HEALTH_WENT_DOWN;
}

/* @random spread evenly over base +- pct%. */
static __u32 jittered(__u32 base, __u32 pct, __u32 random)
{
	__u64 span;

	if (pct > 100)
		pct = 100;
	span = (__u64)base * pct * 2 / 100;
	return (__u32)(base - span / 2 + (__u64)random * (span + 1) / (1ull << 32));
}

__u32 health_next_ms(const struct health *h, const struct probe_spec *spec, __u32 random)
{
	__u32 base;

	if (h->state == HEALTH_UNKNOWN || h->streak)
		base = spec->fast_interval_ms;
	else if (h->state == HEALTH_DOWN)
		base = spec->down_interval_ms;
	else
		base = spec->interval_ms;
	if (!base)
		base = spec->interval_ms;
	base = jittered(base, spec->jitter_pct, random);
	return base ? base : 1;
}
