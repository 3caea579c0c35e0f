/* SPDX-License-Identifier: Apache-2.0 */
/* admission_internal.h - shared by admission*.c; nobody else. */
#pragma once
#include "core/admission.h"

#define NS_PER_MS 1000000ull

/* Recompute state, fraction, next_ns and reason from the inputs; true when anything that others act on changed. */
bool admission_update(struct admission *a, const struct admission_policy *p, __u64 now_ns);
/* Put the reason of the present state (and of `held`) into words. */
void admission_describe(struct admission *a, const struct admission_policy *p);
/* The silence that led to the verdict goes on, and has not been carried out yet. */
static inline bool admission_is_silent(const struct admission *a)
{
	return a->active == HEALTH_DOWN && a->silent_results && !a->hard_down;
}

/* ---- admission_time.c ----------------------------------------------------------------------- */
/* Fraction now; clears `ramping` at the end. Never below a->fraction. */
__u32 admission_slow_start_fraction(struct admission *a, const struct admission_policy *p, __u64 now_ns);
__u64 admission_slow_start_next_ns(const struct admission *a, const struct admission_policy *p, __u64 now_ns);
__u32 admission_drain_fraction(const struct admission *a, const struct admission_policy *p, __u64 now_ns);
__u64 admission_drain_next_ns(const struct admission *a, const struct admission_policy *p, __u64 now_ns);
/* Bring the penalty up to date; it may let the member in again. */
void admission_flap_decay(struct admission *a, const struct admission_policy *p, __u64 now_ns);
void admission_flap_fall(struct admission *a, const struct admission_policy *p, __u64 now_ns);
/* Take one fall back. */
void admission_flap_forgive(struct admission *a);
/* When a member that is kept out may come back. */
__u64 admission_flap_back_ns(const struct admission *a, const struct admission_policy *p);
