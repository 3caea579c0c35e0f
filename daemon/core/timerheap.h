/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerheap.h - a binary heap of deadlines: set, move, remove in O(log n), the earliest in O(1).
 *
 * Pure. Timers are embedded in their owners' structs and know their place, so nothing is searched. Room is reserved
 * beforehand: setting a timer never fails.
 */
#pragma once
#include <linux/types.h>
#include <stddef.h>

struct timer {
	__u64 at_ns;
	unsigned int place; /* index in the heap + 1; 0 = not set */
};

struct timerheap {
	struct timer **t;
	unsigned int n, room;
};

/* Make room for @n timers in all. 0 or -ENOMEM (the heap is as before). */
int timerheap_reserve(struct timerheap *h, unsigned int n);
void timerheap_done(struct timerheap *h);
/* Set or move; there must be room. */
void timerheap_set(struct timerheap *h, struct timer *t, __u64 at_ns);
/* Does nothing for a timer that is not set. */
void timerheap_remove(struct timerheap *h, struct timer *t);
/* The earliest, or NULL. */
static inline struct timer *timerheap_first(const struct timerheap *h)
{
	return h->n ? h->t[0] : NULL;
}
