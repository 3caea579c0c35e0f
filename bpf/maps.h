/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * maps.h - every map: who writes it, who reads it. Layouts are in include/lb/abi.h.
 *
 * max_entries of 1 means: user space sets the size before it loads the program. Arrays that the daemon writes are
 * mmapable: it stores into the memory that packets read, without a system call, in the orders that abi.h states.
 * All of these are to be pinned; `cold` too, since the kernel empties a program array that nobody holds.
 */
#pragma once
#include "env.h"

/* User space fills this in before load: constants to the verifier. */
LB_RODATA struct lb_params lb_params = {};

#define LB_ARRAY(name_, value_, flags_)                  \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_ARRAY);        \
		__uint(max_entries, 1);                  \
		__uint(map_flags, flags_);               \
		__type(key, __u32);                      \
		__type(value, value_);                   \
	} name_ SEC(".maps")

#define LB_PERCPU_ARRAY(name_, value_, max_)             \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
		__uint(max_entries, max_);               \
		__type(key, __u32);                      \
		__type(value, value_);                   \
	} name_ SEC(".maps")

/* Written by the daemon, read by packets. */
LB_ARRAY(svc4, struct lb_svc4_bucket, BPF_F_MMAPABLE);       /* by lb_svc4_bucket() */
LB_ARRAY(svc6, struct lb_svc6_bucket, BPF_F_MMAPABLE);       /* by lb_svc6_bucket() */
LB_ARRAY(slots, struct lb_slot_line, BPF_F_MMAPABLE);        /* by LB_SVC_LINE + slot / 32 */
LB_ARRAY(slot_x, struct lb_slot_x, BPF_F_MMAPABLE);          /* by LB_SVC_LINE * 32 + slot */
LB_ARRAY(backends, struct lb_backend, BPF_F_MMAPABLE);       /* by bidx */
LB_ARRAY(backend_spares, struct lb_backend, BPF_F_MMAPABLE); /* by bidx; read while backends[bidx] is MOVED */
LB_ARRAY(services, struct lb_service, BPF_F_MMAPABLE);       /* by sid; packets read it in transitions only */

/* Written by the daemon for people and for its successor; packets do not read these. */
LB_ARRAY(backend_info, struct lb_backend_info, BPF_F_MMAPABLE); /* by bidx */
LB_ARRAY(meta, struct lb_meta, BPF_F_MMAPABLE);                 /* one element */

/* Written by packets (the daemon clears dead words). */
LB_ARRAY(flows, struct lb_flow_bucket, BPF_F_MMAPABLE);        /* by lb_hash_bucket() & flow_mask */
LB_ARRAY(syn_seen, struct lb_flow_bucket, BPF_F_MMAPABLE);     /* by lb_hash_bucket() & syn_mask */
LB_ARRAY(slot_live, struct lb_slot_live_line, BPF_F_MMAPABLE); /* by LB_SVC_LINE + slot / 32 */

/* Counters: written by packets, read by the daemon and by bpftool. */
LB_PERCPU_ARRAY(outcomes, __u64, LB_OUTCOME_SLOTS);            /* by enum lb_outcome */
LB_PERCPU_ARRAY(backend_stats, struct lb_counter, 1);   /* by bidx */
LB_PERCPU_ARRAY(steer_stats, struct lb_steer_stats, 1); /* by sid */

/* What is left of this second's insertions on this CPU; by sid, and 0 for all services together. */
struct lb_budget {
	__u32 second;
	__u32 used;
};
LB_PERCPU_ARRAY(steer_budget, struct lb_budget, 1);

/* Interfaces other than the one a packet came by; written by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, LB_TX_PORTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} tx_ports SEC(".maps");
