/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - what the files of the packet benchmark share: the loaded object, the frames, the cases, the report. */
#pragma once
#include "lb/abi.h"
#include "lb/backend.h"
#include "lb/params.h"

#include "cfg.h"
#include "bench.skel.h" /* needs the types above */

#include <stdbool.h>

#define BENCH_SERVICES 64u
#define BENCH_BACKENDS 8192u
#define BENCH_SLOT_LINES 40960u /* 64 services of 16381 slots, or one of 655373 */
#define BENCH_SVC_BUCKETS 4096u
#define BENCH_FLOW_BUCKETS (1u << 19) /* a million tracked flows load it to a quarter */

struct bench {
	struct bench_bpf *skel;
	struct lb_params params;
	struct lb_svc4_bucket *svc4;
	struct lb_svc6_bucket *svc6;
	struct lb_slot_line *slots;
	struct lb_slot_x *slot_x;
	struct lb_backend *backends;
	struct lb_service *services;
	struct lb_flow_bucket *flows;
	struct lb_flow_bucket *syn_seen;
};

enum frame_kind { FRAME_TCP4, FRAME_SYN4, FRAME_UDP4, FRAME_OTHER4, FRAME_ARP, FRAME_TCP6, FRAME_SYN6, FRAME_ICMP4 };

enum transition { SETTLED, P1_HIT, P1_INSERT, P2_MISS };

struct bench_case {
	const char *name;
	enum frame_kind frame;
	enum lb_encap encap;
	unsigned int services, backends; /* backends of each service */
	__u32 m;
	unsigned int percent; /* of the slots in transition */
	enum transition transition;
	bool once;             /* no flow comes twice */
	int verdict;           /* what every packet must end as */
	int grown;             /* by how many bytes */
	__u32 flows[4];        /* ends with 0 */
};

/* frame.c: fill @cfg's frame, length and offsets. */
void frame_make(struct bench_cfg *cfg, enum frame_kind kind, unsigned int services);

/* setup.c: load once; then write the maps for each case. Ends the program when the kernel refuses. */
void bench_load(struct bench *b, bool lru); /* @lru: with the kernel's LRU maps at full size */
void bench_fill(struct bench *b, const struct bench_case *c);
void bench_clear_flows(struct bench *b);

/* veth.c: packets per second through a veth pair that the caller made: names of its ends. */
void bench_veth(struct bench *b, const char *near, const char *far, bool json);

extern const struct bench_case bench_cases[];
double median(double *v, unsigned int n);
