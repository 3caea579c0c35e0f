/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - runs the active probes: timers, sockets, libcurl multi, all in one sd-event loop.
 *
 * A target is (where to connect, mark, spec). The prober holds the pure health machine of each target (core/health.h)
 * and reports every result. Targets that stay the same over prober_sync() keep machine, schedule and history.
 */
#pragma once
#include "core/addr.h"
#include "core/err.h"
#include "core/health.h"
#include <systemd/sd-event.h>

struct probe_target {
	__u32 id;            /* the caller's; unique */
	struct lb_addr addr; /* where to connect: the backend itself, or the VIP when `mark` steers through the tunnel */
	__u16 port;
	__u32 mark;          /* SO_MARK; 0 = none */
	struct probe_spec spec;
	enum health_state initial; /* for targets seen first: state adopted from before a restart, or HEALTH_UNKNOWN */
};

struct prober;
typedef void (*probe_result_fn)(__u32 id, const struct health *h, enum health_event ev, void *userdata);

int prober_new(struct prober **out, sd_event *event, probe_result_fn fn, void *userdata, struct err *err);
void prober_free(struct prober *p);
/* Probe exactly @targets (sorted by id). Spreads first probes over the interval; UNKNOWN ones start within 100 ms. */
int prober_sync(struct prober *p, const struct probe_target *targets, unsigned int n, struct err *err);
const struct health *prober_health(const struct prober *p, __u32 id, __u32 *next_ms);
/* Probe now, out of turn (lbctl probe, passive suspicion). */
int prober_kick(struct prober *p, __u32 id);
