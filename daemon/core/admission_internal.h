/* SPDX-License-Identifier: Apache-2.0 */
/* admission_internal.h - shared by admission.c (one member) and admission_pool.c (rules of the pool); nobody else. */
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
