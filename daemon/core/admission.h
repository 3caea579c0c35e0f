/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission.h - the one place where active result, passive verdict and the administrator's will become one decision:
 * how much of its slots a backend is admitted to, and whether its flows are over.
 *
 * Pure; time is an argument (CLOCK_MONOTONIC, must not run backwards). One `struct admission` per (service, backend);
 * admission_pool() applies the rules that need the whole pool (ejection caps, mass-failure guard, panic threshold).
 * How the caller uses it (docs/health.md tells the rules):
 *   every probe result    -> admission_active()  (also those that change nothing: an answer ends a silence)
 *   operator's command    -> admission_admin()
 *   detector's verdict    -> admission_passive()
 *   time >= next_ns       -> admission_tick()
 *   after any of them that returned true, or time >= pool result's next_ns -> admission_pool() -> overlay_apply()
 * and whenever `bump_generation` is set: end the backend's flows, then clear it.
 */
#pragma once
#include "core/health.h"
#include "lb/abi.h"

#define ADMISSION_FULL 65536u /* fraction 1.0; equal to OVERLAY_FULL */

#define ADMISSION_STATES(X)                                                                         \
	X(UNKNOWN, "unknown")       /* not probed yet: serves, unless `initial_down` */             \
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
/* State of a name, or -1. */
int admission_state_by_name(const char *name);

/* Times in ms. Start from admission_policy_default() and set what the configuration knows. */
struct admission_policy {
	bool initial_down;         /* not probed yet = not serving while others can (for who joins a running pool) */
	__u32 slow_start_ms;       /* 30000; 0 = at once */
	__u32 drain_timeout_ms;    /* 300000; DRAINING -> DRAINED. 0 = never */
	__u32 drain_ramp_ms;       /* 0: new flows stop at once; else the fraction falls to 0 over this time */
	__u32 hard_down_ms;        /* 10000; unhealthy by silence for so long -> down; 0 = at once */
	__u32 panic_threshold_pct; /* 50; below this share of admissible weight everybody serves; 0 = never */
	__u32 mass_failure_pct;    /* 30; more than this share (and 2 at least) falling silent within */
	__u32 mass_failure_ms;     /* 10000: is doubted, for */
	__u32 mass_failure_hold_ms; /* 30000, while others answer; for ever while nobody does. pct 0 = never doubted */
	__u32 flap_half_life_ms;   /* 120000; each fall counts 1, halved every half-life; at 3 kept out until 1.5; 0 = off */
	__u32 eject_base_ms;       /* 30000 x 2^(n-1) for the nth ejection */
	__u32 eject_max_ms;        /* 300000 */
	__u32 eject_max_pct;       /* 10; of weight, when the pool has 10 members or more; 0 = never eject */
};
void admission_policy_default(struct admission_policy *p);

enum passive_verdict { PASSIVE_CLEAR, PASSIVE_SUSPECT, PASSIVE_EJECT };

struct admission {
	enum admission_state state;
	__u32 fraction;       /* 0..ADMISSION_FULL, own decision, before admission_pool() */
	__u64 since_ns;       /* of `state` */
	__u64 next_ns;        /* when time alone will change something; 0 = never */
	enum health_state active;
	enum probe_outcome active_why;
	__u64 active_since_ns;
	enum lb_admin admin;
	__u64 admin_since_ns;
	bool bump_generation; /* set when the flows are over, once per hard down or disable; the caller clears it */
	bool held;            /* by admission_pool(): its silence is doubted, it keeps the fraction it had */
	char reason[160];     /* in words, for events and lbctl */

	/* The rest belongs to admission*.c. */
	bool starts_out;         /* not serving before the first good probe */
	bool hard_down;          /* silence lasted: latched until the probes succeed again */
	bool believed;           /* this silence was doubted before, and the doubt is over */
	bool panic;              /* the pool is in panic: no verdict of silence is carried out */
	__u32 silent_results;    /* silent probes since the probes failed and nothing answered; 0 = not silent */
	__u64 silent_since_ns;
	__u64 answered_ns;       /* last probe that anything answered; 0 = never */
	__u64 held_since_ns;
	__u64 answers_since_ns;  /* held, and others have been answering since; 0 = nobody does */
	__u32 kept;              /* fraction when the silence began: what a held backend keeps */
	bool ramping;            /* slow start, from ramp_from at ramp_ns */
	__u32 ramp_from;
	__u64 ramp_ns;
	__u32 drain_from;        /* fraction when the drain began */
	__u32 flap_penalty;      /* thousandths of a fall */
	__u64 flap_ns;           /* when flap_penalty was computed */
	bool flap_out;
	enum passive_verdict passive;
	__u64 passive_since_ns;
	__u64 eject_until_ns;    /* may return from then on, if the probes agree */
	__u32 ejections;         /* n above; one is forgotten for every eject_max_ms without */
	char probe_words[80];    /* detail of the last failed probe */
	char passive_words[80];
};

void admission_init(struct admission *a, const struct admission_policy *p, enum lb_admin admin, __u64 now_ns);
/*
 * Start from what a former daemon left in lb_backend_info: its state and own fraction. Flows are not ended again, a slow
 * start goes on from @fraction. Returns the health state to start the probes from (probe_target.initial).
 */
enum health_state admission_adopt(struct admission *a, const struct admission_policy *p, enum lb_admin admin,
				  enum admission_state state, __u32 fraction, __u64 now_ns);
/* Inputs; each returns true when state, fraction or bump_generation changed. @why may be NULL. */
bool admission_active(struct admission *a, const struct admission_policy *p, enum health_state s,
		      const struct probe_result *why, __u64 now_ns);
bool admission_admin(struct admission *a, const struct admission_policy *p, enum lb_admin admin, __u64 now_ns);
bool admission_tick(struct admission *a, const struct admission_policy *p, __u64 now_ns);
/*
 * @words: the signal and its value. PASSIVE_EJECT is refused (false) for a backend that is out anyway; ask
 * admission_may_eject() first. @random: any 32 random bits, for +-10% of jitter.
 */
bool admission_passive(struct admission *a, const struct admission_policy *p, enum passive_verdict v, const char *words,
		       __u32 random, __u64 now_ns);

struct admission_pool_result {
	bool panic;        /* everybody not drained or disabled serves */
	bool mass_failure; /* fresh silences are held */
	unsigned int serving, total; /* members with fraction > 0; members that the operator left in, weight > 0 */
	__u64 next_ns;     /* call again then, at the latest; 0 = no need */
	char reason[160];  /* of panic or mass failure, in words; empty when neither */
};
/*
 * Final fractions of a pool: @a[n] (pointers, `held` and ejections may change) with @weight[n] -> @fraction[n].
 * Backends of weight 0 get 0. Call after every change of a member; never divides by an empty pool.
 */
void admission_pool(struct admission *const *a, const __u32 *weight, unsigned int n, const struct admission_policy *p,
		    __u64 now_ns, __u32 *fraction, struct admission_pool_result *out);
/* Would ejecting @which keep within the caps: nobody when N < 3, one when N is 3..9, else eject_max_pct of the weight? */
bool admission_may_eject(struct admission *const *a, const __u32 *weight, unsigned int n,
			 const struct admission_policy *p, unsigned int which);
