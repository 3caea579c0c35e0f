// SPDX-License-Identifier: Apache-2.0
/*
 * admission_time.c - what time does to the numbers of one member: slow start, drain ramp, flap damping. It
 * decides nothing; admission.c asks.
 */
#include "core/admission_internal.h"

#define STEP_MS 250u        /* a ramp changes the slots no more often than this, */
#define RAMP_STEPS_MAX 100u /* nor more often than so many times in all */
#define FLAP_ONE 1000u      /* penalty of one fall */
#define FLAP_OUT 3000u
#define FLAP_BACK 1500u
#define FLAP_MAX 6000u

/* ---- ramps ---------------------------------------------------------------------------------- */

/* Length of a step of a ramp of @duration_ns. */
static __u64 step_ns(__u64 duration_ns)
{
	__u64 step = duration_ns / RAMP_STEPS_MAX;

	return step > STEP_MS * NS_PER_MS ? step : STEP_MS * NS_PER_MS;
}

/* Share of a ramp that is done: it moves at the beginning of each step. @duration_ns > 0. */
static __u32 ramp_done(__u64 elapsed_ns, __u64 duration_ns)
{
	__u64 step = step_ns(duration_ns);
	__u64 done;

	if (elapsed_ns >= duration_ns)
		return ADMISSION_FULL;
	done = (elapsed_ns / step + 1) * step;
	if (done >= duration_ns)
		return ADMISSION_FULL;
	/* Both fit 52 bits (duration: 32 bits of ms), so shift down rather than multiply out of range. */
	return (__u32)(((done >> 16) * ADMISSION_FULL) / ((duration_ns >> 16) + 1));
}

static __u64 next_step(__u64 start_ns, __u64 now_ns, __u64 duration_ns)
{
	__u64 step = step_ns(duration_ns);
	__u64 next = start_ns + ((now_ns - start_ns) / step + 1) * step;
	__u64 end = start_ns + duration_ns;

	return next < end ? next : end;
}

static __u64 slow_start_ns(const struct admission *a, const struct admission_policy *p)
{
	/* A ramp that begins above 0 is shorter: the slope is the same. In us: 2^32 ms in ns times 2^16 would
	 * overflow. */
	return p->slow_start_ms * 1000ull * (ADMISSION_FULL - a->ramp_from) / ADMISSION_FULL * 1000;
}

__u32 admission_slow_start_fraction(struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	__u64 duration = slow_start_ns(a, p);
	__u32 f;

	if (now_ns - a->ramp_ns >= duration) {
		a->ramping = false;
		return ADMISSION_FULL;
	}
	f = a->ramp_from + (__u32)((__u64)(ADMISSION_FULL - a->ramp_from) *
				   ramp_done(now_ns - a->ramp_ns, duration) / ADMISSION_FULL);
	return f > a->fraction ? f
			       : a->fraction; /* a reload may lengthen the ramp; it never takes slots back */
}

__u32 admission_drain_fraction(const struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	__u64 duration = p->drain_ramp_ms * NS_PER_MS;
	__u32 f;

	if (now_ns - a->admin_since_ns >= duration)
		return 0;
	f = (__u32)((__u64)a->drain_from *
		    (ADMISSION_FULL - ramp_done(now_ns - a->admin_since_ns, duration)) / ADMISSION_FULL);
	return f < a->fraction ? f : a->fraction;
}

__u64 admission_slow_start_next_ns(const struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	return next_step(a->ramp_ns, now_ns, slow_start_ns(a, p));
}

__u64 admission_drain_next_ns(const struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	return next_step(a->admin_since_ns, now_ns, p->drain_ramp_ms * NS_PER_MS);
}

/* ---- flap damping --------------------------------------------------------------------------- */

/* Halved every half-life; straight lines between, exact at the halves, so that no libm is needed. */
void admission_flap_decay(struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	__u64 half = p->flap_half_life_ms * NS_PER_MS;
	__u64 elapsed = now_ns - a->flap_ns;

	if (!half || elapsed / half >= 32) {
		a->flap_penalty = 0;
	} else {
		a->flap_penalty >>= elapsed / half;
		a->flap_penalty -=
			(__u32)(a->flap_penalty * (elapsed % half / NS_PER_MS) / (half / NS_PER_MS) / 2);
	}
	a->flap_ns = now_ns;
	if (a->flap_penalty < FLAP_BACK)
		a->flap_out = false;
}

void admission_flap_fall(struct admission *a, const struct admission_policy *p, __u64 now_ns)
{
	admission_flap_decay(a, p, now_ns);
	if (!p->flap_half_life_ms)
		return;
	a->flap_penalty += FLAP_ONE;
	if (a->flap_penalty > FLAP_MAX)
		a->flap_penalty = FLAP_MAX;
	if (a->flap_penalty >= FLAP_OUT)
		a->flap_out = true;
}

void admission_flap_forgive(struct admission *a)
{
	a->flap_penalty -= a->flap_penalty < FLAP_ONE ? a->flap_penalty : FLAP_ONE;
	if (a->flap_penalty < FLAP_OUT)
		a->flap_out = false;
}

/* When the penalty will be below FLAP_BACK, from flap_ns on. */
__u64 admission_flap_back_ns(const struct admission *a, const struct admission_policy *p)
{
	__u64 t = a->flap_ns;
	__u32 penalty = a->flap_penalty;

	for (; penalty / 2 >= FLAP_BACK; penalty /= 2)
		t += p->flap_half_life_ms * NS_PER_MS;
	/* penalty x (1 - f / 2) = FLAP_BACK; one part in 1000 more, so that the division's rest cannot leave
	 * us short */
	if (penalty >= FLAP_BACK)
		t += p->flap_half_life_ms * NS_PER_MS * (2ull * (penalty - FLAP_BACK) * 1000 / penalty + 2) /
		     1000;
	return t;
}
