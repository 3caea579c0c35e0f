/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - a service under change: servers that fail, drain, return, come and go, and thousands of client flows that
 * notice when a packet of theirs reaches the wrong one. The daemon's half is the real one (maglev, overlay, slots);
 * whoever plays the program (the model, or the loaded program itself) is behind `struct sim_steer`.
 *
 * Checked with every packet:
 *   I5 a flow whose backend keeps its generation, and that is never silent for longer than the grace, stays there;
 *   I7 no packet reaches a backend after its hard down, no SYN one that is not admitted;
 *   I8 a settled slot causes no flow table access.
 */
#pragma once
#include "core/slots.h"

struct sim_steer {
	void *ctx;
	struct slots_view *view; /* where slots.c writes and packets read */
	__u32 (*slot_of)(void *ctx, __u32 tuple);
	__u16 (*packet)(void *ctx, __u32 tuple, unsigned int flags, __u32 now_ds); /* enum model_flag */
	void (*set_generation)(void *ctx, __u16 bidx, __u8 gen); /* packets and view->gen see it from here on */
	__u64 (*lookups)(void *ctx);                             /* flow table reads so far; may be NULL */
	__u32 (*clock)(void *ctx, __u32 now_ds);                 /* what slots.c is told for the simulation's @now_ds */
	void (*pass)(void *ctx, __u32 by_ds);                    /* time passes; may be NULL */
};

/* Faults of the daemon's half, for mutation tests. */
enum sim_fault {
	SIM_SETTLE_AT_ONCE = 1u << 0,  /* no phases at all */
	SIM_SHORT_IDLE = 1u << 1,      /* slots settle as if memories lived a quarter of their time */
	SIM_NO_LOST = 1u << 2,         /* a hard down is written like a soft one, after the generation */
	SIM_EARLY_REUSE = 1u << 3,     /* ids of removed backends are used again at once, generation kept */
	SIM_FORGET_ALT = 1u << 4,      /* a switch within P1 makes the latest owner the alt */
};

struct sim_options {
	__u64 seed;
	__u32 servers;  /* in the configuration at the start */
	__u32 m;
	__u32 flows;    /* tuples, each with one connection after another */
	__u32 seconds;  /* of events; the calm end comes on top */
	__u32 step_ds;
	__u32 grace_s, idle_s;
	bool udp, udp_track;
	bool icmp;      /* errors about flows come in too */
	bool crashes;   /* the daemon is killed between two stores now and then, and starts again a little later */
	__u32 faults;   /* enum sim_fault */
};

struct sim_result {
	__u64 packets, connections, events, moved;
	__u64 wrong_backend; /* I5 */
	__u64 to_the_dead;   /* I7, hard */
	__u64 syn_refused;   /* I7, soft: SYNs to a backend that is not admitted */
	__u64 settled_reads; /* I8 */
	__u64 unsettled;     /* slots still in transition long after the last event */
	__u64 crashes;
	__u64 reused;        /* backend ids that were given to another server */
	__u64 in_transition; /* packets that met a slot in transition */
	/* What is not promised, counted: connections of servers that were given up, and such as were silent for longer than
	 * the grace (up to six times that, again and again) and of these those that lost their server by it. */
	__u64 given_up, idle, idle_lost;
	char first[200];     /* the first violation, in words */
};

/* 0 or -ENOMEM. */
int sim_run(const struct sim_options *o, const struct sim_steer *steer, struct sim_result *out);
static inline __u64 sim_violations(const struct sim_result *r)
{
	return r->wrong_backend + r->to_the_dead + r->syn_refused + r->settled_reads + r->unsettled;
}

#define SIM_BIDX_MAX 512u /* backend ids that a simulation uses: 1..SIM_BIDX_MAX - 1 */
