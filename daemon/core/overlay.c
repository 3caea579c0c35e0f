// SPDX-License-Identifier: Apache-2.0
/*
 * overlay.c - see overlay.h.
 *
 * Placement of the slots that their owners do not keep, in three rounds, each in slot order:
 *   1. the second choice S2(s), if it is eligible and has room;
 *   2. up to CHAIN_PROBES entries of T at hashed places (so a backend turns up as often as its weight says);
 *   3. the next backend with room on the ring of all backends in canonical order, from a hashed place.
 * Each choice depends on the slot alone and passes over backends that are not eligible or full. So one more failure
 * moves the failed backend's slots, and of the others only the few whose choice was, or now is, decided by a cap.
 * S2 goes first for all slots because a slot that sits at its second choice never moves for another one's failure.
 */
#include "core/overlay.h"

#include "core/cleanup.h"
#include "core/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* With half of the weight eligible (the panic threshold's default) 1 slot in 256 needs the ring. */
#define CHAIN_PROBES 8

struct overlay {
	__u32 m;
	unsigned int n;
	struct maglev_seed seed;
	__u32 *weight;  /* by ordinal */
	/*
	 * rank -> ordinal, canonical, of those with weight: whoever has none must leave no trace, since balancers forget
	 * removed backends at different times.
	 */
	__u16 *order;
	unsigned int n_ranks;
	__u16 *table;   /* T */
	__u16 *second;  /* S2, MAGLEV_NONE when there is no other backend */
	__u16 *u;       /* u(s), 0..65535 */
};

void overlay_free(struct overlay *o)
{
	if (!o)
		return;
	free(o->weight);
	free(o->order);
	free(o->table);
	free(o->second);
	free(o->u);
	free(o);
}

static void overlay_freep(struct overlay **o)
{
	overlay_free(*o);
}

static struct overlay *overlay_alloc(unsigned int n, __u32 m)
{
	_cleanup_(overlay_freep) struct overlay *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->m = m;
	o->n = n;
	o->weight = calloc(n + 1, sizeof(*o->weight));
	o->order = calloc(n + 1, sizeof(*o->order));
	o->table = calloc(m, sizeof(*o->table));
	o->second = calloc(m, sizeof(*o->second));
	o->u = calloc(m, sizeof(*o->u));
	if (!o->weight || !o->order || !o->table || !o->second || !o->u)
		return NULL;
	return take_ptr(o);
}

/* Last rank r with start[r] <= @x; @start ascends from 0. */
static unsigned int rank_at(const __u64 *start, unsigned int n, __u64 x)
{
	unsigned int low = 0, high = n;

	while (high - low > 1) {
		unsigned int mid = (low + high) / 2;

		if (start[mid] <= x)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* Where the systematic sample of one backend stands: points base + k * others / quota, k = 0, 1, ... */
struct sample {
	__u64 own_start, own_weight; /* the backend's own stretch of the line of weights, which is left out */
	__u64 point, step;
	__u32 quota, rest, step_rest;
};

/*
 * S2: on a line where every backend has a stretch as long as its weight, in canonical order, each backend's slots (in
 * slot order) stand at equal distances over the stretches of all the others. So whatever backend fails, its load is
 * divided exactly by weight; the start differs per backend, so that two do not favour the same.
 */
static int choose_seconds(struct overlay *o, const struct maglev_backend *b)
{
	_cleanup_free_ struct sample *samples = calloc(o->n + 1, sizeof(*samples));
	_cleanup_free_ __u64 *start = calloc(o->n + 1, sizeof(*start));
	__u64 total = 0;

	if (!samples || !start)
		return -ENOMEM;
	for (__u32 s = 0; s < o->m; s++)
		if (o->table[s] != MAGLEV_NONE)
			samples[o->table[s]].quota++;
	for (unsigned int r = 0; r < o->n_ranks; r++) {
		struct sample *p = &samples[o->order[r]];

		start[r] = total;
		p->own_start = total;
		p->own_weight = o->weight[o->order[r]];
		total += p->own_weight;
	}
	for (unsigned int i = 0; i < o->n; i++) {
		struct sample *p = &samples[i];
		__u64 h = hash_addr(o->seed.k, HASH_SECOND, &b[i].addr);

		if (!p->quota)
			continue;
		p->step = (total - p->own_weight) / p->quota;
		p->step_rest = (__u32)((total - p->own_weight) % p->quota);
		p->point = (h >> 48) * p->step >> 16; /* less than one step */
	}
	for (__u32 s = 0; s < o->m; s++) {
		struct sample *p = o->table[s] == MAGLEV_NONE ? NULL : &samples[o->table[s]];

		o->second[s] = MAGLEV_NONE;
		if (!p || p->own_weight == total)
			continue;
		o->second[s] = o->order[rank_at(start, o->n_ranks,
						p->point < p->own_start ? p->point : p->point + p->own_weight)];
		p->point += p->step;
		p->rest += p->step_rest;
		if (p->rest >= p->quota) {
			p->rest -= p->quota;
			p->point++;
		}
	}
	return 0;
}

int overlay_new(struct overlay **out, const struct maglev_backend *b, unsigned int n, const __u16 *table, __u32 m,
		const struct maglev_seed *seed)
{
	_cleanup_(overlay_freep) struct overlay *o = NULL;
	int rc;

	*out = NULL;
	if (n >= MAGLEV_NONE || !m)
		return -EINVAL;
	o = overlay_alloc(n, m);
	if (!o)
		return -ENOMEM;
	rc = maglev_order(b, n, seed, o->order);
	if (rc)
		return rc;
	o->seed = *seed;
	for (unsigned int i = 0; i < n; i++)
		o->weight[i] = b[i].weight;
	for (unsigned int r = 0; r < n; r++)
		if (o->weight[o->order[r]])
			o->order[o->n_ranks++] = o->order[r];
	for (__u32 s = 0; s < m; s++) {
		if (o->n_ranks ? table[s] >= n || !b[table[s]].weight : table[s] != MAGLEV_NONE)
			return -EINVAL;
		o->table[s] = table[s];
		o->u[s] = (__u16)(hash_u64(seed->k, HASH_SLOT_U, s) >> 48);
	}
	rc = choose_seconds(o, b);
	if (rc)
		return rc;
	*out = take_ptr(o);
	return 0;
}

__u32 overlay_cap(__u32 shared, __u32 weight, __u64 total)
{
	__u64 scale = 100 * total;

	return (__u32)((102ull * shared * weight + scale - 1) / scale);
}

/* Admitted weight of the backends whose admission is at least @bar. */
static __u64 admitted_weight(const struct overlay *o, const __u32 *admission, __u32 bar)
{
	__u64 sum = 0;

	for (unsigned int i = 0; i < o->n; i++)
		if (admission[i] >= bar)
			sum += (__u64)o->weight[i] * admission[i];
	return sum;
}

__u32 overlay_bar(const struct overlay *o, const __u32 *admission)
{
	__u64 all = admitted_weight(o, admission, 1);
	__u32 low = 1, high = OVERLAY_FULL + 1; /* enough at low, too little at high */

	if (!all)
		return 0;
	if (2 * admitted_weight(o, admission, OVERLAY_FULL) >= all)
		return OVERLAY_FULL;
	while (high - low > 1) {
		__u32 mid = (low + high) / 2;

		if (2 * admitted_weight(o, admission, mid) >= all)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* Scratch of one overlay_apply. */
struct placing {
	const struct overlay *o;
	__u16 *current;
	__u32 *keep;   /* by ordinal: keeps its slot s iff u(s) < keep */
	__u32 *room;   /* by ordinal: slots it can still be given; 0 when not eligible */
	__u32 *lost;   /* slots to place, ascending */
	__u32 n_lost;
	__u16 *next;   /* by rank: where to look on when this one is full; valid once `ring_ready` */
	bool ring_ready;
};

/* Round 0: owners keep what they are admitted to; *p lists the rest. */
static void keep_own(struct placing *p, __u32 *kept)
{
	const struct overlay *o = p->o;

	for (__u32 s = 0; s < o->m; s++) {
		__u16 owner = o->table[s];

		p->current[s] = owner;
		/* No branch: in a ramp it would be mispredicted half of the time. */
		__u32 keeps = o->u[s] < p->keep[owner];

		kept[owner] += keeps;
		p->lost[p->n_lost] = s;
		p->n_lost += !keeps;
	}
}

static void set_rooms(struct placing *p, const __u32 *kept)
{
	const struct overlay *o = p->o;
	__u32 shared = o->m;
	__u64 total = 0;

	for (unsigned int i = 0; i < o->n; i++) {
		if (p->keep[i] >= OVERLAY_FULL)
			total += o->weight[i];
		else
			shared -= kept[i];
	}
	for (unsigned int i = 0; i < o->n; i++) {
		if (p->keep[i] < OVERLAY_FULL || !o->weight[i])
			continue;
		__u32 cap = overlay_cap(shared, o->weight[i], total);

		p->room[i] = cap > kept[i] ? cap - kept[i] : 0;
	}
}

static bool try_place(struct placing *p, __u32 slot, __u16 ordinal)
{
	if (!p->room[ordinal])
		return false;
	p->room[ordinal]--;
	p->current[slot] = ordinal;
	return true;
}

static void place_at_second(struct placing *p)
{
	__u32 left = 0;

	for (__u32 k = 0; k < p->n_lost; k++) {
		__u32 s = p->lost[k];
		__u16 second = p->o->second[s];

		if (second == MAGLEV_NONE || !try_place(p, s, second))
			p->lost[left++] = s;
	}
	p->n_lost = left;
}

static bool place_along_chain(struct placing *p, __u32 slot, __u64 h)
{
	for (int probe = 0; probe < CHAIN_PROBES; probe++) {
		if (try_place(p, slot, p->o->table[hash_reduce(h, p->o->m)]))
			return true;
		h = hash_mix64(h + 0x9e3779b97f4a7c15ull);
	}
	return false;
}

/*
 * First rank with room from @rank on, around the ring. `next` shortens as it is walked (as in union-find): a backend
 * that is full stays full. There is always room somewhere: the caps add up to more than what is shared.
 */
static unsigned int ring_find(struct placing *p, unsigned int rank)
{
	unsigned int at = rank;

	while (!p->room[p->o->order[at]])
		at = p->next[at];
	while (rank != at) {
		unsigned int after = p->next[rank];

		p->next[rank] = (__u16)at;
		rank = after;
	}
	return at;
}

static void place_on_ring(struct placing *p, __u32 slot, __u64 h)
{
	unsigned int n = p->o->n_ranks;

	if (!p->ring_ready) {
		for (unsigned int r = 0; r < n; r++)
			p->next[r] = (__u16)(r + 1 < n ? r + 1 : 0);
		p->ring_ready = true;
	}
	try_place(p, slot, p->o->order[ring_find(p, hash_reduce(h << 32, n))]);
}

static void place_lost(struct placing *p)
{
	__u32 left = 0;

	place_at_second(p);
	for (__u32 k = 0; k < p->n_lost; k++) {
		__u32 s = p->lost[k];

		if (!place_along_chain(p, s, hash_u64(p->o->seed.k, HASH_CHAIN, s)))
			p->lost[left++] = s;
	}
	p->n_lost = left;
	for (__u32 k = 0; k < p->n_lost; k++)
		place_on_ring(p, p->lost[k], hash_u64(p->o->seed.k, HASH_CHAIN, p->lost[k]));
}

int overlay_apply(const struct overlay *o, const __u32 *admission, __u16 *current)
{
	_cleanup_free_ __u32 *keep = NULL, *room = NULL, *kept = NULL, *lost = NULL;
	_cleanup_free_ __u16 *next = NULL;
	__u32 bar = overlay_bar(o, admission);

	if (!bar) {
		memset(current, 0xff, o->m * sizeof(*current)); /* MAGLEV_NONE */
		return 0;
	}
	keep = calloc(o->n, sizeof(*keep));
	room = calloc(o->n, sizeof(*room));
	kept = calloc(o->n, sizeof(*kept));
	next = calloc(o->n, sizeof(*next));
	lost = malloc((o->m + 1) * sizeof(*lost));
	if (!keep || !room || !kept || !next || !lost)
		return -ENOMEM;
	for (unsigned int i = 0; i < o->n; i++)
		keep[i] = admission[i] >= bar ? OVERLAY_FULL : (__u32)((__u64)admission[i] * OVERLAY_FULL / bar);

	struct placing p = { .o = o, .current = current, .keep = keep, .room = room, .lost = lost, .next = next };

	keep_own(&p, kept);
	if (p.n_lost) {
		set_rooms(&p, kept);
		place_lost(&p);
	}
	return 0;
}
