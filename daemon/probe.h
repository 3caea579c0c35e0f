/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - runs the active probes: timers, sockets, libcurl multi, all in one sd-event loop.
 *
 * A target is (where to connect, mark, spec). The prober holds the pure health machine of each target (core/health.h)
 * and reports every result. Targets that stay the same over prober_sync() keep machine, schedule and history.
 * At most one probe per target is under way; a server that hangs delays its own next probe only.
 */
#pragma once
#include "core/addr.h"
#include "core/err.h"
#include "core/health.h"
#include "core/latency.h"
#include <systemd/sd-event.h>

struct probe_target {
	__u32 id;            /* the caller's; unique */
	struct lb_addr addr; /* where to connect: the backend itself, or the VIP when `mark` steers through the tunnel */
	__u16 port;          /* not 0 (spec.port is not looked at) */
	__u32 mark;          /* SO_MARK; 0 = none */
	struct probe_spec spec; /* http: with an empty `host` the address is sent in its place */
	enum health_state initial; /* for targets seen first: state adopted from before a restart, or HEALTH_UNKNOWN */
};

struct prober;
/*
 * Called from the event loop for every result that says something of the target; it is in @h->last, @ev says what it
 * changed. LOCAL results are not reported but counted (prober_get_stats() has the words). May call any function of the
 * prober but prober_free(). @h is valid during the call.
 */
typedef void (*probe_result_fn)(__u32 id, const struct health *h, enum health_event ev, void *userdata);

int prober_new(struct prober **out, sd_event *event, probe_result_fn fn, void *userdata, struct err *err);
void prober_free(struct prober *p);
/*
 * Probe exactly @targets (sorted by id). UNKNOWN ones start within 100 ms (more than 1000: 10 a millisecond), others are
 * spread over their interval. A target whose address, port, mark or spec changed is probed anew at once, but keeps its
 * state until the results say otherwise. A spec of type PROBE_NONE is reported UP once. On failure nothing has changed.
 */
int prober_sync(struct prober *p, const struct probe_target *targets, unsigned int n, struct err *err);
/* NULL when there is no such target. *@next_ms (may be NULL): until its next probe, 0 while one is under way. */
const struct health *prober_health(const struct prober *p, __u32 id, __u32 *next_ms);
/* Of the last LATENCY_MAX successful probes of a target. */
struct latency prober_latency(const struct prober *p, __u32 id);
/* Probe now, out of turn (lbctl probe, passive suspicion). Nothing happens while a probe is under way. 0 or -ENOENT. */
int prober_kick(struct prober *p, __u32 id);

struct prober_stats {
	__u32 targets, in_flight, sockets, max_sockets;
	__u64 probes, locals;      /* results in all; of these LOCAL */
	char last_local[120];      /* why the last LOCAL result was local; empty when there was none */
	__u32 late_p50_us, late_p99_us, late_max_us; /* start of a probe against its schedule */
};
void prober_get_stats(const struct prober *p, struct prober_stats *out);
