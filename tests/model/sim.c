// SPDX-License-Identifier: Apache-2.0
/* sim.c - see sim.h: the clients, and what they check. */
#include "sim_int.h"
#include "steer_model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__u64 sim_draw(struct sim *s)
{
	__u64 x = s->rng += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
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
	s->r->idle += f->exempt;
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
		s->r->given_up++;
		close_flow(s, f, below(s, 100)); /* its server is gone: whoever got this packet resets it */
		return;
	}
	if (bidx == f->bidx)
		return;
	s->r->idle_lost += f->exempt;
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

static int step(struct sim *s, bool more)
{
	int r = sim_daemon_step(s, more);

	if (r)
		return r;
	for (__u32 t = 0; t < s->o->flows; t++)
		if (s->flow[t].next_ds <= s->now_ds)
			act(s, t, more);
	sim_daemon_age(s);
	s->now_ds += s->o->step_ds;
	if (s->s->pass)
		s->s->pass(s->s->ctx, s->o->step_ds);
	return 0;
}

static int start(struct sim *s)
{
	int r = sim_servers_start(s);

	if (r)
		return r;
	s->flow = calloc(s->o->flows, sizeof(*s->flow));
	if (!s->flow)
		return -ENOMEM;
	for (__u32 t = 0; t < s->o->flows; t++)
		s->flow[t].next_ds = below(s, 10 * s->o->grace_s);
	s->now_ds = 10 * (s->o->grace_s + 1000); /* not at the origin of the clock */
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
	sim_servers_done(&s);
	free(s.flow);
	return r;
}
