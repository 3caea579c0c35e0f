/* SPDX-License-Identifier: Apache-2.0 */
/* sim_int.h - what the two halves of the simulation share: sim_daemon.c changes servers and slots, sim.c plays clients. */
#pragma once
#include "core/overlay.h"
#include "sim.h"

#include <stdlib.h>

enum server_state { UP, RAMP, SOFT, HARD };

struct server {
	struct maglev_backend b;
	enum server_state state;
	bool configured;
	__u16 bidx; /* 0: has none */
	__u32 ramp_from_ds, ramp_ds, admission;
};

enum flow_state { CLOSED, SYN_SENT, OPEN, CLOSING };

struct flow {
	enum flow_state state;
	bool exempt; /* was silent for longer than the grace: not promised anything */
	__u16 bidx;
	__u8 gen;
	__u16 left; /* segments until it closes */
	__u32 next_ds;
};

struct sim {
	const struct sim_options *o;
	const struct sim_steer *s;
	struct sim_result *r;
	__u64 rng;
	__u32 now_ds;
	struct server *server;
	__u32 n_servers;
	__u16 of_bidx[SIM_BIDX_MAX]; /* index of the server + 1, 0 = free */
	__u8 lost[SIM_BIDX_MAX];
	struct flow *flow;
	/* The configured set, its table and overlay. */
	struct maglev_backend *set;
	__u16 *member, *table, *owner;
	__u32 n_set;
	__u32 *admission;
	struct overlay *overlay;
	bool stale;   /* the configuration changed since the table was built */
	bool dirty;   /* admissions changed */
	bool started;
	bool crashed; /* the slots are those of a daemon that was killed half-way */
	__u32 burst_until_ds, calm_until_ds;
};

__u64 sim_draw(struct sim *s);
/* 0..n-1 */
static inline __u32 below(struct sim *s, __u32 n)
{
	return (__u32)(((sim_draw(s) >> 32) * n) >> 32);
}
static inline bool chance(struct sim *s, __u32 percent)
{
	return below(s, 100) < percent;
}
static inline __u32 clock_ds(const struct sim *s)
{
	return s->s->clock(s->s->ctx, s->now_ds);
}

/* Servers and their backend ids at the start. */
int sim_servers_start(struct sim *s);
/* What happens to servers in this step (@more: new events too), and what the daemon makes of it. 0 or negative errno. */
int sim_daemon_step(struct sim *s, bool more);
/* At the end of a step: phases end, ids of removed servers become free. */
void sim_daemon_age(struct sim *s);
void sim_servers_done(struct sim *s);
