/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - slot words and their transitions, over plain memory (which the edge maps into the kernel's arrays).
 *
 * Pure but for the ordered stores into the arrays it is given: packets read them at the same time, so each step leaves a
 * state that is right to forward with, also when the process ends between two of them (order of writes and rules:
 * docs/steering.md). Nothing is kept here: a restarted daemon reads owners, phases and deadlines from the same arrays.
 */
#pragma once
#include "lb/abi.h"
#include <stdbool.h>
#include <stddef.h>

struct slots_view {
	struct lb_slot_line *lines; /* first line of this service */
	struct lb_slot_x *x;        /* first side word of this service */
	__u16 *live;                /* first word of this service in `slot_live`; NULL: no slot in P2 ever settles */
	__u32 m;
	const __u8 *gen;            /* gen[bidx]: present generation of every backend, as packets see it */
	const __u8 *lost;           /* lost[bidx] != 0: this change gives the backend's flows up; NULL: none */
};

struct slots_counts {
	__u32 settled, p1, p2;
	__u32 moved; /* slots whose current backend the last call changed */
};

/*
 * Make @owner[m] (bidx per slot, 0 = none) current. A slot whose owner changes begins or continues a transition, unless
 * nobody's flows are at stake: @settle (the service is new, or UDP without tracking), or the slot was settled on 0 or on
 * a `lost` backend; then the word is simply stored. With @settle slots in transition settle too. @now_ds: LB clock.
 *
 * A hard down: mark the backend in `lost`, call this, then bump its generation where packets see it and in `gen`.
 */
void slots_set_owners(const struct slots_view *v, const __u16 *owner, __u32 now_ds, bool settle,
		      struct slots_counts *out);
/*
 * Let time pass: P1 older than @grace_s becomes P2; P2 slots whose `live` is longer ago than a memory can live by
 * @idle_s settle. @idle_s >= @grace_s. For UDP with `track` both are udp_idle_s. Once a second is enough; late is safe.
 */
void slots_age(const struct slots_view *v, __u32 now_ds, __u32 grace_s, __u32 idle_s, struct slots_counts *out);
void slots_count(const struct slots_view *v, struct slots_counts *out);

__u16 slots_word(const struct slots_view *v, __u32 slot);
/* The owner of each slot; @owner[m]. */
void slots_owners(const struct slots_view *v, __u16 *owner);
