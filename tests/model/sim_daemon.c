// SPDX-License-Identifier: Apache-2.0
/* sim_daemon.c - see sim.h: what happens to servers, and the daemon's half, which is the real one but for its faults. */
#include "core/cleanup.h"
#include "sim_int.h"

#include <errno.h>
#include <string.h>

/* ---- the daemon ---------------------------------------------------------------------------------------------- */

static void give_bidx(struct sim *s, struct server *v)
{
	for (__u16 bidx = 1; bidx < SIM_BIDX_MAX; bidx++) {
		if (s->of_bidx[bidx])
			continue;
		s->of_bidx[bidx] = (__u16)(v - s->server + 1);
		v->bidx = bidx;
		if (s->started && !(s->o->faults & SIM_EARLY_REUSE))
			s->s->set_generation(s->s->ctx, bidx, (__u8)(s->s->view->gen[bidx] + 1));
		s->r->reused += s->started;
		return;
	}
}

/* Ids of removed servers are free again once no slot is in transition. */
static void free_bidx(struct sim *s, const struct slots_counts *counts)
{
	if (counts->p1 + counts->p2 && !(s->o->faults & SIM_EARLY_REUSE))
		return;
	for (__u32 i = 0; i < s->n_servers; i++) {
		struct server *v = &s->server[i];

		if (v->configured || !v->bidx)
			continue;
		s->of_bidx[v->bidx] = 0;
		v->bidx = 0;
	}
}

static int build(struct sim *s)
{
	struct maglev_seed seed = { { s->o->seed, ~s->o->seed } };
	int r;

	s->n_set = 0;
	for (__u32 i = 0; i < s->n_servers; i++) {
		if (!s->server[i].configured)
			continue;
		s->set[s->n_set] = s->server[i].b;
		s->member[s->n_set++] = (__u16)i;
	}
	r = maglev_build(s->set, s->n_set, s->o->m, &seed, s->table);
	if (r)
		return r;
	overlay_free(s->overlay);
	s->overlay = NULL;
	s->stale = false;
	return overlay_new(&s->overlay, s->set, s->n_set, s->table, s->o->m, &seed);
}

static __u32 admission_of(const struct sim *s, const struct server *v)
{
	switch (v->state) {
	case UP:
		return OVERLAY_FULL;
	case RAMP:
		return (__u32)((__u64)(s->now_ds - v->ramp_from_ds + 1) * OVERLAY_FULL / (v->ramp_ds + 1));
	default:
		return 0;
	}
}

/* A switch inside P1 should leave alt alone; with this fault it does not. */
static void forget_alts(struct sim *s, const __u16 *before)
{
	const struct slots_view *v = s->s->view;

	for (__u32 slot = 0; slot < v->m; slot++)
		if (slots_word(v, slot) & LB_SLOT_TRANSITION && LB_SLOT_BIDX(slots_word(v, slot)) != before[slot])
			v->x[slot].a = LB_SLOTX_A(before[slot], v->gen[before[slot]], LB_PHASE_P1,
						  LB_SLOTX_EPISODE(v->x[slot].a), clock_ds(s) / 10);
}

/* What the arrays hold before a change, to undo the part that a killed daemon would not have done. */
struct arrays {
	struct lb_slot_line *lines;
	struct lb_slot_x *x;
	__u16 *live;
};

static void *copy_of(const void *p, size_t len)
{
	void *c = malloc(len);

	return c ? memcpy(c, p, len) : NULL;
}

/* Killed while it wrote slot k: earlier slots are done, later ones untouched, k itself lacks its last store or two. */
static void undo_from(struct sim *s, const struct arrays *before, __u32 k)
{
	const struct slots_view *v = s->s->view;

	for (__u32 slot = k; slot < v->m; slot++) {
		__u16 old = before->lines[slot / LB_SLOTS_PER_LINE].s[slot % LB_SLOTS_PER_LINE];

		v->lines[slot / LB_SLOTS_PER_LINE].s[slot % LB_SLOTS_PER_LINE] = old;
		if (slot == k && chance(s, 70))
			continue;
		v->x[slot] = before->x[slot];
		if (slot != k)
			v->live[slot] = before->live[slot];
	}
	s->crashed = true;
	s->r->crashes++;
}

static int write_slots(struct sim *s, bool settle, struct slots_counts *counts)
{
	bool crash = s->o->crashes && s->started && chance(s, 25) && !memchr(s->lost, 1, sizeof(s->lost));
	const struct slots_view *v = s->s->view;
	size_t n = v->m / LB_SLOTS_PER_LINE + 1;
	struct arrays before = { 0 };

	if (crash) {
		before.lines = copy_of(v->lines, n * sizeof(*v->lines));
		before.x = copy_of(v->x, v->m * sizeof(*v->x));
		before.live = copy_of(v->live, v->m * sizeof(*v->live));
	}
	s->crashed = false;
	slots_set_owners(v, s->owner, clock_ds(s), settle, counts);
	if (crash && before.lines && before.x && before.live)
		undo_from(s, &before, below(s, v->m));
	free(before.lines);
	free(before.x);
	free(before.live);
	return crash && !s->crashed ? -ENOMEM : 0;
}

static void bump_lost(struct sim *s)
{
	for (__u16 bidx = 1; bidx < SIM_BIDX_MAX; bidx++) {
		if (!s->lost[bidx])
			continue;
		s->s->set_generation(s->s->ctx, bidx, (__u8)(s->s->view->gen[bidx] + 1));
		s->lost[bidx] = 0;
	}
}

static int apply(struct sim *s)
{
	bool settle = !s->started || (s->o->udp && !s->o->udp_track) || s->o->faults & SIM_SETTLE_AT_ONCE;
	_cleanup_free_ __u16 *before = calloc(s->o->m, sizeof(*before));
	struct slots_counts counts;
	int r = s->stale ? build(s) : 0;

	if (r || !before)
		return r ? r : -ENOMEM;
	for (__u32 i = 0; i < s->n_set; i++)
		s->admission[i] = s->server[s->member[i]].admission;
	r = overlay_apply(s->overlay, s->admission, s->owner);
	if (r)
		return r;
	for (__u32 slot = 0; slot < s->o->m; slot++)
		s->owner[slot] = s->owner[slot] == MAGLEV_NONE ? 0 : s->server[s->member[s->owner[slot]]].bidx;
	slots_owners(s->s->view, before);
	if (s->o->faults & SIM_NO_LOST)
		bump_lost(s);
	r = write_slots(s, settle, &counts);
	if (r)
		return r;
	bump_lost(s);
	if (s->o->faults & SIM_FORGET_ALT)
		forget_alts(s, before);
	s->r->moved += s->started ? counts.moved : 0;
	s->dirty = s->crashed; /* whoever comes next does it all again */
	s->started = true;
	return 0;
}

/* ---- what happens to servers --------------------------------------------------------------------------------- */

static struct server *any(struct sim *s, bool configured)
{
	for (__u32 tries = 0; tries < 50; tries++) {
		struct server *v = &s->server[below(s, s->n_servers)];

		if (v->configured == configured && (configured || !v->bidx))
			return v;
	}
	return NULL;
}

static void event(struct sim *s)
{
	__u32 kind = below(s, 100);
	struct server *v = any(s, kind < 85);

	if (!v)
		return;
	s->r->events++;
	if (kind < 25) {
		v->state = v->state == HARD ? HARD : SOFT;
	} else if (kind < 40) {
		s->lost[v->bidx] |= v->state != HARD;
		v->state = HARD;
	} else if (kind < 70) {
		if (v->state == SOFT || v->state == HARD) {
			v->state = RAMP;
			v->ramp_from_ds = s->now_ds;
			v->ramp_ds = chance(s, 40) ? 0 : 10 * below(s, 90);
		}
	} else if (kind < 78) {
		v->b.weight = 1 + below(s, 200);
		s->stale = true;
	} else if (kind < 85) {
		if (s->n_set > 1) {
			v->configured = false;
			s->stale = true;
		}
	} else {
		v->configured = true;
		v->state = UP;
		if (chance(s, 50)) {
			v->state = RAMP;
			v->ramp_from_ds = s->now_ds;
			v->ramp_ds = 10 * below(s, 60);
		}
		give_bidx(s, v);
		s->stale = true;
	}
	/* build() counts the set; an event that removes the last server must not happen in between. */
	s->n_set -= !v->configured;
	s->dirty = true;
}

/* Bursts of events, with calm times in between that let everything settle, or nearly. */
static void events(struct sim *s, bool more)
{
	for (__u32 i = 0; i < s->n_servers; i++) {
		struct server *v = &s->server[i];

		if (v->state == RAMP && s->now_ds - v->ramp_from_ds >= v->ramp_ds)
			v->state = UP;
		s->dirty |= v->configured && v->admission != admission_of(s, v);
	}
	if (more && s->now_ds >= s->calm_until_ds) {
		if (s->burst_until_ds < s->calm_until_ds)
			s->burst_until_ds = s->now_ds + 10 * (1 + below(s, chance(s, 30) ? 200 : 20));
		for (__u32 n = chance(s, 60) ? 0 : chance(s, 70) ? 1 : 1 + below(s, s->o->servers / 3 + 1); n; n--)
			event(s);
		if (s->now_ds >= s->burst_until_ds)
			s->calm_until_ds = s->now_ds + 10 * below(s, 4 * s->o->grace_s + 2 * s->o->idle_s);
	}
	for (__u32 i = 0; i < s->n_servers; i++)
		s->server[i].admission = admission_of(s, &s->server[i]);
}

/* ---- */

int sim_servers_start(struct sim *s)
{
	s->n_servers = s->o->servers + s->o->servers / 2 + 3;
	s->server = calloc(s->n_servers, sizeof(*s->server));
	s->set = calloc(s->n_servers, sizeof(*s->set));
	s->member = calloc(s->n_servers, sizeof(*s->member));
	s->admission = calloc(s->n_servers, sizeof(*s->admission));
	s->table = calloc(s->o->m, sizeof(*s->table));
	s->owner = calloc(s->o->m, sizeof(*s->owner));
	if (!s->server || !s->set || !s->member || !s->admission || !s->table || !s->owner)
		return -ENOMEM;
	for (__u32 i = 0; i < s->n_servers; i++) {
		struct server *v = &s->server[i];

		addr_from_v4_be(&v->b.addr, (__be32)(0x0a | i << 16));
		v->b.weight = chance(s, 70) ? 100 : 1 + below(s, 200);
		v->configured = i < s->o->servers;
		if (v->configured)
			give_bidx(s, v);
	}
	s->stale = true;
	return 0;
}

int sim_daemon_step(struct sim *s, bool more)
{
	events(s, more);
	/* After a crash the slots stay as they are for a few steps. */
	if ((s->dirty || s->stale) && !(s->crashed && more && chance(s, 70)))
		return apply(s);
	return 0;
}

void sim_daemon_age(struct sim *s)
{
	__u32 idle_s = s->o->faults & SIM_SHORT_IDLE ? s->o->idle_s / 4 : s->o->idle_s;
	struct slots_counts counts;

	if (s->crashed)
		return;
	slots_age(s->s->view, clock_ds(s), s->o->grace_s, idle_s, &counts);
	free_bidx(s, &counts);
}

void sim_servers_done(struct sim *s)
{
	overlay_free(s->overlay);
	free(s->server);
	free(s->set);
	free(s->member);
	free(s->admission);
	free(s->table);
	free(s->owner);
}
