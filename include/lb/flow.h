/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * flow.h - the life of a flow table word (layout: abi.h), the same rules in the program and in user space.
 *
 *   age <= idle                     open: the flow sent something lately
 *   idle < age <= idle + linger     closing: a FIN or RST put it here, or it is about to die; a packet keeps it here
 *   beyond                          dead: the way may be used again
 * An idle flow that wakes up while "closing" was silent longer than flow_idle promises; it keeps its backend, but
 * only as long as its gaps stay below the linger time.
 */
#pragma once
#include "abi.h"

#define LB_FLOW_LINGER_TICKS (LB_FLOW_LINGER_S / LB_FLOW_TICK_S)
#define LB_FLOW_SKEW_TICKS 15
#define LB_SYN_SEEN_TICKS (LB_SYN_SEEN_S / LB_FLOW_TICK_S)

enum lb_flow_life { LB_FLOW_OPEN, LB_FLOW_CLOSING, LB_FLOW_DEAD };

static inline __attribute__((always_inline)) __u32 lb_flow_tick(__u32 now_ds)
{
	return now_ds / (LB_FLOW_TICK_S * 10);
}

/* Seconds to ticks, rounded up and one more, so that a promise in seconds holds at either end of a tick. */
static inline __attribute__((always_inline)) __u32 lb_flow_idle_ticks(__u32 idle_s)
{
	return (idle_s + LB_FLOW_TICK_S - 1) / LB_FLOW_TICK_S + 1;
}

/*
 * Ticks since the word was written. Another CPU's clock may be ahead of ours: a word from the near future is new, not
 * six days old.
 */
static inline __attribute__((always_inline)) __u32 lb_flow_age(__u64 e, __u32 tick)
{
	__u32 age = (tick - LB_FLOW_TICK(e)) & LB_FLOW_TICK_MASK;

	return age > LB_FLOW_TICK_MASK - LB_FLOW_SKEW_TICKS ? 0 : age;
}

static inline __attribute__((always_inline)) enum lb_flow_life lb_flow_life(__u64 e, __u32 tick, __u32 idle_ticks)
{
	__u32 age = lb_flow_age(e, tick);

	if (age <= idle_ticks)
		return LB_FLOW_OPEN;
	return age <= idle_ticks + LB_FLOW_LINGER_TICKS ? LB_FLOW_CLOSING : LB_FLOW_DEAD;
}

/* The word as it is after a packet: refreshed, or (@closing) at the beginning of its last LB_FLOW_LINGER_S. */
static inline __attribute__((always_inline)) __u64 lb_flow_touched(__u64 e, __u32 tick, __u32 idle_ticks, int closing)
{
	if (closing)
		tick -= idle_ticks + 1;
	return (e & ~(__u64)LB_FLOW_TICK_MASK) | (tick & LB_FLOW_TICK_MASK);
}

/* Did an entry send packets of this slot elsewhere than to `current` within the last @idle_ticks + linger? */
static inline int lb_slot_is_live(__u16 live_tick, __u32 tick, __u32 idle_ticks)
{
	__u16 age = (__u16)(tick - live_tick);

	return age <= idle_ticks + LB_FLOW_LINGER_TICKS || age > 0xffff - LB_FLOW_SKEW_TICKS;
}
