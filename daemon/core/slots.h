/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - slot words and their transitions, over plain memory (which the edge maps into the kernel's arrays).
 *
 * Pure but for the ordered stores into the two arrays it is given: packets read them at the same time, so each step
 * leaves a state that is right to forward with (order of writes: include/lb/abi.h; rules: docs/steering.md).
 * Nothing is kept here: a restarted daemon reads phases, owners and deadlines from the same arrays.
 */
#pragma once
#include "lb/abi.h"
#include <stdbool.h>
#include <stddef.h>

struct slots_view {
	struct lb_slot_line *lines; /* first line of this service */
	struct lb_slot_x *x;        /* first side word of this service */
	__u32 m;
	const __u8 *gen;      /* gen[bidx]: current generation of every backend */
};

struct slots_counts {
	__u32 settled, p1, p2;
	__u32 moved; /* slots whose current backend the last call changed */
};

/*
 * Make @owner[m] (bidx per slot, 0 = none) current. A slot whose owner changes begins or continues a transition
 * (alt = owner at the start of the episode, prev = owner before this switch), unless @settle is set (service is new, or
 * policy says no state: UDP `none`): then the word is simply stored. @now_ds: LB clock.
 */
void slots_set_owners(const struct slots_view *v, const __u16 *owner, __u32 now_ds, bool settle,
		      struct slots_counts *out);
/*
 * Let time pass: P1 older than @grace_s becomes P2; P2 slots without live foreign entries (@foreign[slot] == 0, or
 * @foreign NULL and P2 older than @idle_s) settle.
 */
void slots_age(const struct slots_view *v, __u32 now_ds, __u32 grace_s, __u32 idle_s, const __u16 *foreign,
	       struct slots_counts *out);
void slots_count(const struct slots_view *v, struct slots_counts *out);
