// SPDX-License-Identifier: Apache-2.0
/* sim.c - see sim.h. */
#include "sim.h"

#include "core/cleanup.h"
#include "core/overlay.h"
#include "steer_model.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum server_state { UP, RAMP, SOFT, HARD };

struct server {
	struct maglev_backend b;
	enum server_state state;
	bool configured;
	__u16 bidx; /* 0: has none */
	__u32 ramp_from_ds, ramp_ds, admission;
};

enum flow_state { CLOSED, SYN_SENT, OPEN, CLOSING };

struct flow {
	enum flow_state state;
	bool exempt; /* was silent for longer than the grace: not promised anything */
	__u16 bidx;
	__u8 gen;
	__u16 left; /* segments until it closes */
	__u32 next_ds;
};

struct sim {
	const struct sim_options *o;
	const struct sim_steer *s;
	struct sim_result *r;
	__u64 rng;
	__u32 now_ds;
	struct server *server;
	__u32 n_servers;
	__u16 of_bidx[SIM_BIDX_MAX]; /* index of the server + 1, 0 = free */
	__u8 lost[SIM_BIDX_MAX];
	struct flow *flow;
	/* The configured set, its table and overlay. */
	struct maglev_backend *set;
	__u16 *member, *table, *owner;
	__u32 n_set;
	__u32 *admission;
	struct overlay *overlay;
	bool stale;   /* the configuration changed since the table was built */
	bool dirty;   /* admissions changed */
	bool started;
	bool crashed; /* the slots are those of a daemon that was killed half-way */
	__u32 burst_until_ds, calm_until_ds;
};

static __u64 draw(struct sim *s)
{
	__u64 x = s->rng += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static __u32 below(struct sim *s, __u32 n)
{
	return (__u32)(((draw(s) >> 32) * n) >> 32);
}

static bool chance(struct sim *s, __u32 percent)
{
	return below(s, 100) < percent;
}

static void __attribute__((format(printf, 3, 4))) violation(struct sim *s, __u64 *counter, const char *fmt, ...)
{
	va_list ap;
	int used;

	(*counter)++;
	if (s->r->first[0])
		return;
	used = snprintf(s->r->first, sizeof(s->r->first), "at %u.%u s: ", s->now_ds / 10, s->now_ds % 10);
	va_start(ap, fmt);
	(void)vsnprintf(s->r->first + used, sizeof(s->r->first) - (size_t)used, fmt, ap);
	va_end(ap);
}

/* ---- the daemon ---------------------------------------------------------------------------------------------- */

static __u32 clock_ds(const struct sim *s)
{
	return s->s->clock(s->s->ctx, s->now_ds);
}

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

/* ---- what clients see ---------------------------------------------------------------------------------------- */

static __u16 send_packet(struct sim *s, __u32 tuple, unsigned int flags)
{
	__u16 word = slots_word(s->s->view, s->s->slot_of(s->s->ctx, tuple));
	__u64 lookups = s->s->lookups ? s->s->lookups(s->s->ctx) : 0;
	__u16 bidx = s->s->packet(s->s->ctx, tuple, flags, s->now_ds);
	const struct server *v = bidx && bidx < SIM_BIDX_MAX && s->of_bidx[bidx] ? &s->server[s->of_bidx[bidx] - 1] : NULL;

	s->r->packets++;
	s->r->in_transition += (word & LB_SLOT_TRANSITION) != 0;
	if (s->s->lookups && !(word & LB_SLOT_TRANSITION) && s->s->lookups(s->s->ctx) != lookups)
		violation(s, &s->r->settled_reads, "tuple %u met a settled slot, but the flow table was read", tuple);
	/* `lost` is set until the daemon has acted. */
	if (bidx && (!v || (v->state == HARD && !s->lost[bidx])))
		violation(s, &s->r->to_the_dead, "tuple %u: a packet went to %u after its hard down", tuple, bidx);
	else if (bidx && flags & MODEL_SYN && !s->o->udp && !s->crashed && !(v->configured && v->admission))
		violation(s, &s->r->syn_refused, "tuple %u: a SYN went to %u, which is not admitted", tuple, bidx);
	return bidx;
}

static __u32 gap_ds(struct sim *s, const struct flow *f)
{
	__u32 limit = 10 * s->o->grace_s;

	if (f->exempt)
		return below(s, 6 * limit);
	if (chance(s, 5))
		return limit; /* exactly */
	return 1 + below(s, chance(s, 60) && limit > 100 ? 100 : limit);
}

/* After a FIN: the other side's data are still acknowledged for a while, but that is never silent for LB_FLOW_LINGER_S. */
static __u32 last_words_ds(struct sim *s)
{
	return below(s, s->o->grace_s < 30 ? 10 * s->o->grace_s : 300);
}

/* Whatever is sent next must come before the grace is over, and no event falls between a step and its packets. */
static void wait_for(struct sim *s, struct flow *f, __u32 ds)
{
	f->next_ds = s->now_ds + ds / s->o->step_ds * s->o->step_ds;
	if (f->next_ds == s->now_ds)
		f->next_ds += s->o->step_ds;
}

static void begin(struct sim *s, __u32 tuple, struct flow *f)
{
	__u16 bidx = send_packet(s, tuple, s->o->udp ? 0 : MODEL_SYN);

	/* Until its answer arrives; a handshake may not be silent for longer than the grace either. */
	wait_for(s, f, below(s, chance(s, 15) && s->o->grace_s > 20 ? 200 : 20));
	if (!bidx)
		return; /* nobody serves: the client tries again later; an earlier SYN may yet be answered */
	s->r->connections += f->state == CLOSED;
	if (chance(s, 2)) {
		f->state = CLOSED; /* given up half-way */
		return;
	}
	*f = (struct flow){ .state = SYN_SENT, .bidx = bidx, .gen = s->s->view->gen[bidx], .next_ds = f->next_ds };
	f->exempt = chance(s, 4);
	f->left = (__u16)(1 + below(s, chance(s, 20) ? 400 : 20));
	if (s->o->udp)
		f->state = OPEN;
}

static void close_flow(struct sim *s, struct flow *f, __u32 wait_ds)
{
	f->state = CLOSED;
	wait_for(s, f, wait_ds);
}

static void segment(struct sim *s, __u32 tuple, struct flow *f, unsigned int flags)
{
	__u16 bidx = send_packet(s, tuple, flags);

	if (s->s->view->gen[f->bidx] != f->gen) {
		close_flow(s, f, below(s, 100)); /* its server is gone: whoever got this packet resets it */
		return;
	}
	if (bidx == f->bidx)
		return;
	if (!f->exempt)
		violation(s, &s->r->wrong_backend, "tuple %u of backend %u went to %u (slot %u is %#x, side word %#llx)",
			  tuple, f->bidx, bidx, s->s->slot_of(s->s->ctx, tuple),
			  slots_word(s->s->view, s->s->slot_of(s->s->ctx, tuple)),
			  (unsigned long long)s->s->view->x[s->s->slot_of(s->s->ctx, tuple)].a);
	close_flow(s, f, below(s, 100));
}

static void act(struct sim *s, __u32 tuple, bool more)
{
	struct flow *f = &s->flow[tuple];

	switch (f->state) {
	case CLOSED:
		if (more)
			begin(s, tuple, f);
		return;
	case SYN_SENT:
		if (chance(s, 10)) { /* the answer was lost: the SYN again */
			begin(s, tuple, f);
			return;
		}
		segment(s, tuple, f, 0);
		break;
	case OPEN:
		if (s->o->icmp && chance(s, 3))
			(void)send_packet(s, tuple, MODEL_PEEK);
		if (f->left > 1 && more) {
			f->left--;
			segment(s, tuple, f, 0);
			break;
		}
		/* Some vanish without a FIN, and their tuple may come back at any time. */
		if (s->o->udp || chance(s, 40)) {
			segment(s, tuple, f, 0);
			close_flow(s, f, below(s, chance(s, 50) ? 100 : 20 * s->o->grace_s));
			return;
		}
		segment(s, tuple, f, MODEL_FIN);
		if (f->state == OPEN) {
			f->state = CLOSING;
			f->left = (__u16)(1 + below(s, 3));
			wait_for(s, f, last_words_ds(s));
		}
		return;
	case CLOSING:
		segment(s, tuple, f, 0);
		if (f->state == CLOSING && --f->left == 0)
			close_flow(s, f, below(s, 20 * s->o->grace_s));
		else if (f->state == CLOSING)
			wait_for(s, f, last_words_ds(s));
		return;
	}
	if (f->state == SYN_SENT)
		f->state = OPEN;
	if (f->state == OPEN)
		wait_for(s, f, gap_ds(s, f));
}

/* ---- */

static int step(struct sim *s, bool more)
{
	struct slots_counts counts;
	int r = 0;

	events(s, more);
	/* After a crash the slots stay as they are for a few steps. */
	if ((s->dirty || s->stale) && !(s->crashed && more && chance(s, 70)))
		r = apply(s);
	if (r)
		return r;
	for (__u32 t = 0; t < s->o->flows; t++)
		if (s->flow[t].next_ds <= s->now_ds)
			act(s, t, more);
	if (!s->crashed) {
		slots_age(s->s->view, clock_ds(s), s->o->grace_s,
			  s->o->faults & SIM_SHORT_IDLE ? s->o->idle_s / 4 : s->o->idle_s, &counts);
		free_bidx(s, &counts);
	}
	s->now_ds += s->o->step_ds;
	if (s->s->pass)
		s->s->pass(s->s->ctx, s->o->step_ds);
	return 0;
}

static int start(struct sim *s)
{
	s->n_servers = s->o->servers + s->o->servers / 2 + 3;
	s->server = calloc(s->n_servers, sizeof(*s->server));
	s->set = calloc(s->n_servers, sizeof(*s->set));
	s->member = calloc(s->n_servers, sizeof(*s->member));
	s->admission = calloc(s->n_servers, sizeof(*s->admission));
	s->table = calloc(s->o->m, sizeof(*s->table));
	s->owner = calloc(s->o->m, sizeof(*s->owner));
	s->flow = calloc(s->o->flows, sizeof(*s->flow));
	if (!s->server || !s->set || !s->member || !s->admission || !s->table || !s->owner || !s->flow)
		return -ENOMEM;
	for (__u32 i = 0; i < s->n_servers; i++) {
		struct server *v = &s->server[i];

		addr_from_v4_be(&v->b.addr, (__be32)(0x0a | i << 16));
		v->b.weight = chance(s, 70) ? 100 : 1 + below(s, 200);
		v->configured = i < s->o->servers;
		if (v->configured)
			give_bidx(s, v);
	}
	for (__u32 t = 0; t < s->o->flows; t++)
		s->flow[t].next_ds = below(s, 10 * s->o->grace_s);
	s->now_ds = 10 * (s->o->grace_s + 1000); /* not at the origin of the clock */
	s->stale = true;
	return 0;
}

int sim_run(const struct sim_options *o, const struct sim_steer *steer, struct sim_result *out)
{
	struct sim s = { .o = o, .s = steer, .r = out, .rng = o->seed };
	__u32 end_ds, calm_ds = 10 * (2 * o->grace_s + 2 * o->idle_s + 2 * LB_FLOW_LINGER_S + 400);
	struct slots_counts counts;
	int r;

	*out = (struct sim_result){ 0 };
	r = start(&s);
	steer->view->lost = s.lost;
	end_ds = s.now_ds + 10 * o->seconds;
	while (!r && s.now_ds < end_ds)
		r = step(&s, true);
	while (!r && s.now_ds < end_ds + calm_ds)
		r = step(&s, false);
	if (!r) {
		slots_count(steer->view, &counts);
		if (counts.p1 + counts.p2)
			violation(&s, &out->unsettled, "%u slots in P1, %u in P2 long after the last event", counts.p1,
				  counts.p2);
	}
	steer->view->lost = NULL;
	overlay_free(s.overlay);
	free(s.server);
	free(s.set);
	free(s.member);
	free(s.admission);
	free(s.table);
	free(s.owner);
	free(s.flow);
	return r;
}
