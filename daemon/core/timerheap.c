// SPDX-License-Identifier: Apache-2.0
/* timerheap.c - see timerheap.h. */
#include "core/timerheap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int timerheap_reserve(struct timerheap *h, unsigned int n)
{
	struct timer **t;

	if (n <= h->room)
		return 0;
	if (n < h->room * 2)
		n = h->room * 2;
	t = reallocarray(h->t, n, sizeof(*t));
	if (!t)
		return -ENOMEM;
	h->t = t;
	h->room = n;
	return 0;
}

void timerheap_done(struct timerheap *h)
{
	free(h->t);
	*h = (struct timerheap){0};
}

static void put(struct timerheap *h, unsigned int i, struct timer *t)
{
	h->t[i] = t;
	t->place = i + 1;
}

static void sift_up(struct timerheap *h, unsigned int i, struct timer *t)
{
	while (i && h->t[(i - 1) / 2]->at_ns > t->at_ns) {
		put(h, i, h->t[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(h, i, t);
}

static void sift_down(struct timerheap *h, unsigned int i, struct timer *t)
{
	for (;;) {
		unsigned int child = 2 * i + 1;

		if (child + 1 < h->n && h->t[child + 1]->at_ns < h->t[child]->at_ns)
			child++;
		if (child >= h->n || h->t[child]->at_ns >= t->at_ns)
			break;
		put(h, i, h->t[child]);
		i = child;
	}
	put(h, i, t);
}

static void place(struct timerheap *h, unsigned int i, struct timer *t)
{
	if (i && h->t[(i - 1) / 2]->at_ns > t->at_ns)
		sift_up(h, i, t);
	else
		sift_down(h, i, t);
}

void timerheap_set(struct timerheap *h, struct timer *t, __u64 at_ns)
{
	unsigned int i = t->place ? t->place - 1 : h->n;

	if (!t->place) {
		assert(h->n < h->room);
		h->n++;
	}
	t->at_ns = at_ns;
	place(h, i, t);
}

void timerheap_remove(struct timerheap *h, struct timer *t)
{
	unsigned int i = t->place - 1;
	struct timer *last;

	if (!t->place)
		return;
	last = h->t[--h->n];
	t->place = 0;
	if (last != t)
		place(h, i, last);
}
