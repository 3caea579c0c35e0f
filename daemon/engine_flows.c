// SPDX-License-Identifier: Apache-2.0
/*
 * engine_flows.c - sweeps the flow table: counts what lives, clears what is dead.
 *
 * Dead entries must go before their time wraps (days); clearing them early keeps buckets short. One window a second is
 * read, and none at all while no slot is in transition and the last sweep found the table empty.
 */
#include "engine_int.h"

#include "lb/flow.h"

#include <netinet/in.h>
#include <string.h>

static __u32 idle_ticks_of(const struct engine *e, __u32 sid)
{
	const struct lb_service *s;

	if (!sid || sid >= e->maps->sizes.services)
		return 0;
	s = &e->maps->services[sid];
	return lb_flow_idle_ticks(s->udp_idle_s > s->flow_idle_s ? s->udp_idle_s : s->flow_idle_s);
}

/* One word: counted for its service when it lives, cleared when it is dead (unless a packet changed it meanwhile). */
static void sweep_word(struct engine *e, __u64 *word, __u32 tick)
{
	__u64 w = __atomic_load_n(word, __ATOMIC_RELAXED);
	__u32 bidx = LB_FLOW_BIDX(w), sid;

	if (!w)
		return;
	sid = bidx < e->maps->sizes.backends ? e->maps->backends[bidx].sid : 0;
	if (sid < e->maps->sizes.services && sid && LB_FLOW_GEN(w) == e->gen[bidx] &&
	    lb_flow_life(w, tick, idle_ticks_of(e, sid)) != LB_FLOW_DEAD) {
		e->flows_counting[sid]++;
		e->flows_found++;
		return;
	}
	(void)__atomic_compare_exchange_n(word, &w, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static bool worth_sweeping(const struct engine *e)
{
	if (e->flows_at || e->flows_found)
		return true;
	for (unsigned int i = 0; i < e->state->n_services; i++)
		if (e->rt[i].counts.p1 + e->rt[i].counts.p2)
			return true;
	return false;
}

static void sweep_window(struct engine *e, struct lb_flow_bucket *window, __u32 n)
{
	__u32 tick = lb_flow_tick(dataplane_clock_ds(e->dp));

	for (__u32 i = 0; i < n; i++)
		for (unsigned int k = 0; k < LB_FLOW_WAYS; k++)
			sweep_word(e, &window[i].e[k], tick);
}

static void forget_count(struct engine *e)
{
	memset(e->flows_counting, 0, (LB_SID_MAX + 1) * sizeof(*e->flows_counting));
	e->flows_at = 0;
}

void engine_bury_flows(struct engine *e)
{
	struct lb_flow_bucket *window;
	__u32 n;

	forget_count(e);
	e->flows_found = 0;
	while ((window = dataplane_flow_window(e->dp, e->flows_at, &n))) {
		sweep_window(e, window, n);
		e->flows_at += n;
	}
	forget_count(e);
}

void engine_sweep_flows(struct engine *e)
{
	struct lb_flow_bucket *window;
	__u32 n;

	if (!worth_sweeping(e))
		return;
	if (e->flows_at == 0)
		e->flows_found = 0;
	window = dataplane_flow_window(e->dp, e->flows_at, &n);
	if (!window) {
		/* The end: what was counted is the number until the next sweep is through. */
		memcpy(e->flows, e->flows_counting, (LB_SID_MAX + 1) * sizeof(*e->flows));
		forget_count(e);
		return;
	}
	sweep_window(e, window, n);
	e->flows_at += n;
}
