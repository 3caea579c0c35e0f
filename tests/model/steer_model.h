/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer_model.h - the rules of docs/steering.md once more, as plain as possible: what the program should do.
 *
 * It shares the slot arrays and their macros with slots.c, and nothing with bpf/: its memories are two per tuple, kept in
 * an array by tuple number, with exact times. No tags, no buckets, no ticks; so it never confuses or forgets a flow, and
 * a broken connection in a simulation with it is a hole in the rules, not in their implementation.
 */
#pragma once
#include "core/slots.h"
#include "lb/params.h"

struct model_memory {
	__u16 bidx; /* 0: none */
	__u8 gen;
	bool closing;
	__u32 last_ds;
};

struct steer_model {
	const struct slots_view *view; /* the arrays that slots.c writes; gen[] is what packets see */
	__u32 off;                     /* rules that are left out: enum lb_rule */
	bool udp, udp_track;
	__u32 idle_s;
	__u32 spare_s;                 /* memories may live so much longer than idle_s; at most LB_FLOW_LINGER_S */
	struct model_memory *entry, *cell; /* by tuple */
	__u32 n_tuples;
	__u64 lookups, inserts; /* flow table reads and new entries */
};

enum model_flag { MODEL_SYN = 1, MODEL_FIN = 2, MODEL_PEEK = 4 };

int steer_model_init(struct steer_model *m, const struct slots_view *view, __u32 n_tuples);
void steer_model_done(struct steer_model *m);
/* Backend for a packet of @tuple in @slot at @now_ds; 0 = none. */
__u16 steer_model_packet(struct steer_model *m, __u32 tuple, __u32 slot, unsigned int flags, __u32 now_ds);
