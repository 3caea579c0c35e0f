/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * twin.h - the data path's own headers, compiled for user space: for fuzzers and sanitizers, and to be compared with the
 * loaded program packet by packet. One twin per process, one CPU.
 *
 * Not an independent model: it has the program's mistakes. What it does not share is the compiler's and the verifier's
 * view of them, and here ASan and UBSan look on.
 */
#pragma once
#include "lb/abi.h"
#include "lb/params.h"

/* Sizes as in tests/bpf/fixture.h. */
#define TWIN_SLOT_LINES 64u
#define TWIN_SVC_BUCKETS 64u
#define TWIN_BACKENDS 64u
#define TWIN_SERVICES 16u
#define TWIN_FLOW_BUCKETS 64u
#define TWIN_HEADROOM 256u
#define TWIN_FRAME_MAX 4096u

struct twin_maps {
	struct lb_svc4_bucket svc4[TWIN_SVC_BUCKETS];
	struct lb_svc6_bucket svc6[TWIN_SVC_BUCKETS];
	struct lb_slot_line slots[TWIN_SLOT_LINES];
	struct lb_slot_x slot_x[TWIN_SLOT_LINES * LB_SLOTS_PER_LINE];
	struct lb_slot_live_line slot_live[TWIN_SLOT_LINES];
	struct lb_backend backends[TWIN_BACKENDS];
	struct lb_backend backend_spares[TWIN_BACKENDS];
	struct lb_service services[TWIN_SERVICES];
	struct lb_flow_bucket flows[TWIN_FLOW_BUCKETS];
	struct lb_flow_bucket syn_seen[TWIN_FLOW_BUCKETS];
	__u64 outcomes[LB_OUTCOME_SLOTS];
	struct lb_counter backend_stats[TWIN_BACKENDS];
	struct lb_steer_stats steer_stats[TWIN_SERVICES];
	__u64 limit_services[TWIN_SERVICES];
};

/* Hash and LPM maps, filled by twin_put(). */
enum twin_table { TWIN_FRAGMENTS, TWIN_LIMIT_SOURCES, TWIN_ACL, TWIN_TABLES };

struct twin {
	struct twin_maps maps;
	__u32 now_ds;         /* LB clock */
	__u32 headroom;       /* bytes in front of a frame, at most TWIN_HEADROOM */
	__u64 tx_ports;       /* bit n: devmap entry n is there */
};
extern struct twin twin;

/* Empty maps, plenty of headroom, time 0. @p is taken over but for the clock. */
void twin_reset(const struct lb_params *p);
/* Key and value as in the program's map of that name. */
void twin_put(enum twin_table which, const void *key, const void *value);
/*
 * Run one frame; 0 < @len <= TWIN_FRAME_MAX. @out has TWIN_FRAME_MAX + TWIN_HEADROOM bytes and receives the frame as it
 * leaves. Returns the XDP action. Aborts when the program breaks a rule that the verifier or the kernel would enforce.
 */
int twin_run(const void *frame, __u32 len, void *out, __u32 *out_len);
