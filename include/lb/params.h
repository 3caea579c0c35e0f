/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * params.h - what user space fixes before the program is loaded: `lb_params` in the skeleton's rodata.
 *
 * The verifier sees these values as constants and drops the code of features that are off. They must agree with the
 * maps' max_entries, which user space sets before load too.
 * Include this before lb.skel.h, which names `struct lb_params`.
 */
#pragma once
#include "abi.h"
#include "hash.h"

enum lb_feature {
	LB_FEATURE_VIP_ECHO = 1u << 0, /* answer pings of VIPs */
};

/*
 * Rules of steering (docs/steering.md) that a mutation test can leave out, to prove that the tests would notice:
 * `lb_rules_off` in the skeleton's rodata, and the model in tests/model. Always 0 elsewhere, and then costs nothing.
 */
enum lb_rule {
	LB_RULE_GENERATION = 1u << 0,  /* memories and alts of an older generation are void */
	LB_RULE_ALT = 1u << 1,         /* in P1 unknown flows go to alt */
	LB_RULE_SYN_CELL = 1u << 2,    /* a SYN leaves behind whom it was sent to */
	LB_RULE_CELL_IN_P2 = 1u << 3,  /* ... and that counts in P2 too */
	LB_RULE_REMEMBER = 1u << 4,    /* unknown flows are remembered in P1 */
	LB_RULE_MARK = 1u << 5,        /* foreign memories keep the slot from settling */
	LB_RULE_SYN_FORGETS = 1u << 6, /* a SYN removes an entry of its tuple */
	LB_RULE_SYN_CURRENT = 1u << 7, /* a SYN goes to current, whatever is remembered */
};

struct lb_params {
	struct lb_hash_keys hash;
	struct lb_svc_hash svc; /* of svc4 and svc6 both */
	__u64 clock_mul;        /* LB_CLOCK_MUL(hz) */
	__u32 flow_mask;        /* buckets of `flows` - 1 */
	__u32 syn_mask;         /* buckets of `syn_seen` - 1 */
	__u32 cpu_insert_budget; /* new flow entries per CPU and second, all services together */
	__u32 features;         /* enum lb_feature */
	__u32 echo_rate;        /* pings answered per CPU and second */
	__u32 error_rate;       /* "too big" answered per CPU and second */
};

struct lb_params_input {
	__u64 seed[2];
	__u32 svc_seed;
	__u32 svc_buckets;  /* entries of svc4 and of svc6: a power of two, at least 2 */
	__u32 flow_buckets; /* entries of flows: a power of two, at most 2^24 */
	__u32 syn_buckets;  /* entries of syn_seen: a power of two, at most 2^24 */
	__u32 hz;           /* jiffies per second: 1e9 / the nanoseconds of clock_getres(CLOCK_MONOTONIC_COARSE) */
	__u32 cpu_insert_budget;
	__u32 features;
	__u32 echo_rate;  /* 0: LB_ANSWER_RATE */
	__u32 error_rate; /* the same */
};
#define LB_ANSWER_RATE 1000

static inline void lb_params_init(struct lb_params *p, const struct lb_params_input *in)
{
	lb_hash_init(&p->hash, in->seed);
	lb_svc_hash_init(&p->svc, in->svc_seed, in->svc_buckets);
	p->clock_mul = LB_CLOCK_MUL(in->hz);
	p->flow_mask = in->flow_buckets - 1;
	p->syn_mask = in->syn_buckets - 1;
	p->cpu_insert_budget = in->cpu_insert_budget;
	p->features = in->features;
	p->echo_rate = in->echo_rate ? in->echo_rate : LB_ANSWER_RATE;
	p->error_rate = in->error_rate ? in->error_rate : LB_ANSWER_RATE;
}
