// SPDX-License-Identifier: Apache-2.0
/*
 * engine_flows.c - the flow table: sweeps it (counts what lives, clears what is dead), and lists it for people.
 *
 * Dead entries must go before their time wraps (days); clearing them early keeps buckets short. One window a second is
 * read, and none at all while no slot is in transition and the last sweep found the table empty.
 */
#include "engine_int.h"

#include "lb/flow.h"

#include <errno.h>
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

/* ---- listing ------------------------------------------------------------------------------------------------- */
/*
 * Buckets that one call reads, 4 MB: less than 2 ms. A table of the default size is read whole; of a larger one the
 * caller asks for the next part, and the loop gets to its other work in between.
 */
#define LIST_BUCKETS (16 * DATAPLANE_FLOW_WINDOW)

/* Where in the state each backend id stands; made once per call, 128 kB at most. */
struct id_place {
	__u16 service, backend; /* +1 each; 0: nobody */
};

static struct id_place *places_of(const struct engine *e)
{
	struct id_place *p = calloc(e->maps->sizes.backends, sizeof(*p));

	for (unsigned int i = 0; p && i < e->state->n_services; i++)
		for (unsigned int k = 0; k < e->state->services[i].n_backends; k++)
			p[e->state->services[i].backends[k].bidx] =
				(struct id_place){ (__u16)(i + 1), (__u16)(k + 1) };
	return p;
}

/* The time that the program itself goes by: that of the service's protocol. */
static __u32 flow_idle_ticks_of(const struct state_service *s)
{
	return lb_flow_idle_ticks(s->protocol == IPPROTO_UDP ? s->udp_idle_s : s->flow_idle_s);
}

static void list_word(const struct engine *e, __u64 w, __u32 tick, const struct id_place *places,
		      const struct state_service *only, struct flowlist *out)
{
	__u32 bidx = LB_FLOW_BIDX(w);
	struct id_place at = bidx < e->maps->sizes.backends ? places[bidx] : (struct id_place){ 0 };
	const struct state_service *s = at.service ? &e->state->services[at.service - 1] : NULL;
	struct flowlist_entry entry;

	if (!w || (only && s != only))
		return;
	flowlist_decode(w, tick, s ? flow_idle_ticks_of(s) : 0, e->gen[bidx], &entry);
	if (s) {
		memcpy(entry.service, s->name, sizeof(entry.service));
		memcpy(entry.backend, s->backends[at.backend - 1].name, sizeof(entry.backend));
		entry.addr = s->backends[at.backend - 1].addr;
	} else {
		entry.valid = false;
	}
	flowlist_add(out, &entry);
}

int engine_list_flows(struct engine *e, const char *service, struct flowlist *out, struct err *err)
{
	_cleanup_free_ struct id_place *places = NULL;
	__u32 at = out->from, n, total = e->maps->sizes.flow_buckets, tick;
	const struct state_service *only = NULL;
	const struct lb_flow_bucket *window;
	unsigned int i;
	int r = service ? engine_find_service(e, service, &i, err) : engine_ready(e, err);

	if (r < 0)
		return r;
	if (at % DATAPLANE_FLOW_WINDOW || (at && at >= total))
		return err_set(err, -EINVAL, "from: %u is not what an earlier answer gave as \"next\"", at);
	only = service ? &e->state->services[i] : NULL;
	places = places_of(e);
	if (!places)
		return err_set(err, -ENOMEM, "out of memory");
	tick = lb_flow_tick(dataplane_clock_ds(e->dp));
	while (at < total && at - out->from < LIST_BUCKETS) {
		window = dataplane_flow_window(e->dp, at, &n);
		if (!window)
			return err_set(err, -ENOMEM, "the flow table can not be read");
		for (__u32 b = 0; b < n; b++)
			for (unsigned int k = 0; k < LB_FLOW_WAYS; k++)
				list_word(e, __atomic_load_n(&window[b].e[k], __ATOMIC_RELAXED), tick, places, only, out);
		at += n;
	}
	(void)dataplane_flow_window(e->dp, total, &n); /* gives the memory back */
	out->next = at < total ? at : 0;
	return 0;
}
