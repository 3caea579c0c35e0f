/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission.h - the one place where active result, passive verdict and the administrator's will become one decision:
 * how much of its slots a backend is admitted to, and whether its flows are over.
 *
 * Pure; time is an argument. One `struct admission` per (service, backend); admission_pool() applies the rules that need
 * the whole pool (panic threshold, mass-failure guard).
 */
#pragma once
#include "core/health.h"
#include "lb/abi.h"

#define ADMISSION_STATES(X)                                                                         \
	X(UNKNOWN, "unknown")       /* not probed yet: serves, unless `initial: down` */            \
	X(HEALTHY, "healthy")                                                                       \
	X(SLOW_START, "slow-start")                                                                 \
	X(SUSPECT, "suspect")       /* passive alarm, being confirmed: still serves */              \
	X(EJECTED, "ejected")       /* passive verdict confirmed: no new flows */                   \
	X(UNHEALTHY_DRAINING, "unhealthy-draining") /* probes fail, host seems alive: no new flows */ \
	X(DOWN, "down")             /* silent: established flows are given up (generation bumped) */ \
	X(DRAINING, "draining")     /* by the operator: no new flows, established stay */           \
	X(DRAINED, "drained")       /* drain timeout over */                                        \
	X(DISABLED, "disabled")     /* by the operator: at once */
enum admission_state {
#define X(id, name) ADMISSION_##id,
	ADMISSION_STATES(X)
#undef X
	ADMISSION_STATE_MAX
};
const char *admission_state_name(enum admission_state s);

struct admission_policy {
	__u32 slow_start_ms;
	__u32 drain_timeout_ms;
	__u32 hard_down_ms;        /* unhealthy by silence for so long -> down */
	__u32 panic_threshold_pct; /* below this share of admissible weight everybody serves; 0 = never */
	__u32 mass_failure_pct;    /* more than this share failing by silence within mass_failure_ms is doubted; 0 = never */
	__u32 mass_failure_ms;
};

struct admission {
	enum admission_state state;
	__u32 fraction;       /* 0..65536 (OVERLAY_FULL), own decision, before admission_pool() */
	__u64 since_ns;       /* of `state` */
	__u64 next_ns;        /* when time alone will change something; 0 = never */
	enum health_state active;
	enum probe_outcome active_why;
	__u64 active_since_ns;
	enum lb_admin admin;
	__u64 admin_since_ns;
	bool bump_generation; /* set for one step when the flows are over; the caller clears it after acting */
	char reason[160];     /* in words, for events and lbctl */
};

void admission_init(struct admission *a, const struct admission_policy *p, enum lb_admin admin, __u64 now_ns);
/* Inputs; each returns true when state or fraction changed. */
bool admission_active(struct admission *a, const struct admission_policy *p, enum health_state s,
		      const struct probe_result *why, __u64 now_ns);
bool admission_admin(struct admission *a, const struct admission_policy *p, enum lb_admin admin, __u64 now_ns);
bool admission_tick(struct admission *a, const struct admission_policy *p, __u64 now_ns);

struct admission_pool_result {
	bool panic;        /* everybody not disabled serves */
	bool mass_failure; /* fresh silences are held */
};
/*
 * Final fractions of a pool: @a[n] with @weight[n] -> @fraction[n]. Backends of weight 0 get 0.
 */
void admission_pool(const struct admission *a, const __u32 *weight, unsigned int n, const struct admission_policy *p,
		    __u64 now_ns, __u32 *fraction, struct admission_pool_result *out);
