// SPDX-License-Identifier: Apache-2.0
/*
 * engine_steer.c - from (weights, admissions, next hops) to the slots that packets read.
 *
 * A service's full table is built anew only when its membership or weights change; everything else (health, drain,
 * ramps) goes through the overlay. Slots are written by slots_set_owners(), which turns every change into a transition.
 */
#include "engine_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static __u32 effective_weight(const struct state_backend *b, const struct backend_rt *be)
{
	if (b->retired)
		return 0;
	return be->weight_override >= 0 ? (__u32)be->weight_override : b->weight;
}

/* The slots of a service, with their side tables mapped for as long as they are looked at. */
static int view_of(const struct engine *e, const struct state_service *s, struct slots_view *out)
{
	int r = dataplane_need_lines(e->dp, s->line, state_lines_for(s->m));

	if (r < 0)
		return r;
	*out = (struct slots_view){
		.lines = e->maps->slots + s->line,
		.x = e->maps->slot_x + (size_t)s->line * LB_SLOTS_PER_LINE,
		.live = e->maps->slot_live[s->line].tick,
		.m = s->m,
		.gen = e->gen,
		.lost = e->lost,
	};
	return 0;
}

void service_rt_policy(struct service_rt *rt)
{
	const struct config_service *c = rt->cfg;
	struct admission_policy *p = &rt->policy;

	admission_policy_default(p);
	p->slow_start_ms = c->slow_start_ms;
	p->drain_timeout_ms = c->drain_timeout_ms;
	p->drain_ramp_ms = c->drain_ramp_ms;
	p->panic_threshold_pct = c->panic_threshold_pct;
	p->hard_down_ms = c->hard_down_ms;
	p->mass_failure_pct = c->mass_failure_pct;
	p->mass_failure_ms = c->mass_failure_ms;
	p->mass_failure_hold_ms = c->mass_failure_hold_ms;
	p->flap_half_life_ms = c->flap_half_life_ms;
}

void service_rt_done(struct service_rt *rt)
{
	overlay_free(rt->overlay);
	free(rt->be);
	free(rt->mb);
	free(rt->table);
	free(rt->owner);
	*rt = (struct service_rt){ 0 };
}

/* Build T and its overlay from the effective weights. On failure the old ones stay. */
static int build_table(struct engine *e, const struct state_service *s, struct service_rt *rt)
{
	_cleanup_free_ struct maglev_backend *mb = calloc(s->n_backends ? s->n_backends : 1, sizeof(*mb));
	_cleanup_free_ __u16 *table = malloc(s->m * sizeof(*table)), *owner = malloc(s->m * sizeof(*owner));
	struct maglev_seed seed = { { e->seed[0], e->seed[1] } };
	_cleanup_free_ __u32 *quota = calloc(s->n_backends ? s->n_backends : 1, sizeof(*quota));
	struct overlay *overlay;
	int r;

	if (!mb || !table || !owner || !quota)
		return -ENOMEM;
	for (unsigned int i = 0; i < s->n_backends; i++)
		mb[i] = (struct maglev_backend){ s->backends[i].addr, effective_weight(&s->backends[i], &rt->be[i]) };
	r = maglev_build(mb, s->n_backends, s->m, &seed, table);
	if (r == 0)
		r = maglev_quotas(mb, s->n_backends, s->m, &seed, quota);
	if (r == 0)
		r = overlay_new(&overlay, mb, s->n_backends, table, s->m, &seed);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < s->n_backends; i++)
		rt->be[i].own_slots = quota[i];
	overlay_free(rt->overlay);
	rt->overlay = overlay;
	free(rt->mb);
	rt->mb = take_ptr(mb);
	free(rt->table);
	rt->table = take_ptr(table);
	free(rt->owner);
	rt->owner = take_ptr(owner);
	rt->digest = maglev_digest(rt->mb, s->n_backends, rt->table, s->m);
	rt->table_stale = false;
	return 0;
}

/*
 * Final admissions: the pool's rules, then what has no next hop serves nothing. The pool may change its members too (an
 * ejection called off, a doubt that ends): that counts as any other change of them, with its event and its hard down.
 */
static int final_fractions(struct engine *e, unsigned int service, __u32 *fraction)
{
	struct service_rt *rt = &e->rt[service];
	unsigned int n = rt->n_be;
	_cleanup_free_ struct admission **a = calloc(n + 1, sizeof(*a));
	_cleanup_free_ __u32 *weight = calloc(n + 1, sizeof(*weight));
	_cleanup_free_ enum admission_state *before = calloc(n + 1, sizeof(*before));

	if (!a || !weight || !before)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++) {
		a[i] = &rt->be[i].adm;
		weight[i] = rt->mb[i].weight;
		before[i] = a[i]->state;
	}
	admission_pool(a, weight, n, &rt->policy, engine_now(), fraction, &rt->pool);
	for (unsigned int i = 0; i < n; i++) {
		engine_member_changed(e, service, i, before[i]);
		if (!rt->be[i].nexthop_ok)
			fraction[i] = 0;
	}
	return 0;
}

/* Owners as bidx, and each backend's share; true when anybody serves. */
static bool resolve_owners(const struct state_service *s, struct service_rt *rt)
{
	bool any = false;

	for (unsigned int i = 0; i < rt->n_be; i++)
		rt->be[i].slots = 0;
	for (__u32 k = 0; k < s->m; k++) {
		__u16 ordinal = rt->owner[k];

		if (ordinal == MAGLEV_NONE) {
			rt->owner[k] = 0;
			continue;
		}
		any = true;
		rt->be[ordinal].slots++;
		rt->owner[k] = s->backends[ordinal].bidx;
	}
	return any;
}

static void report_pool(struct engine *e, const struct state_service *s, const struct admission_pool_result *before,
			const struct admission_pool_result *now)
{
	if (before->panic != now->panic)
		engine_event(e, LOG_LEVEL_WARNING, "panic", s, NULL, before->panic ? "on" : "off",
			     now->panic ? "on" : "off", now->reason);
	if (before->mass_failure != now->mass_failure)
		engine_event(e, LOG_LEVEL_WARNING, "mass_failure", s, NULL, before->mass_failure ? "on" : "off",
			     now->mass_failure ? "on" : "off", now->reason);
}

/*
 * Backends whose flows are over: their slots have just been given away (slots.h: `lost`), now their generation ends.
 * In this order no flow that is at stake ever asks for an owner that nobody names any more.
 */
static void end_generations(struct engine *e, unsigned int i)
{
	const struct state_service *s = &e->state->services[i];
	bool waited = false;

	for (unsigned int k = 0; k < e->rt[i].n_be; k++) {
		__u16 bidx = s->backends[k].bidx;

		if (!e->lost[bidx])
			continue;
		/* A packet that read the old slot word may remember the backend with the generation it reads after. */
		if (!waited)
			(void)dataplane_quiesce(e->dp);
		waited = true;
		e->lost[bidx] = 0;
		engine_write_info(e, i, k); /* its state, so that a new daemon does not end its flows once more */
		e->gen[bidx]++;
		engine_write_line(e, i, k);
		__atomic_store_n(&e->maps->backend_info[bidx].ending, 0, __ATOMIC_RELEASE);
	}
}

void engine_end_flows(struct engine *e, __u16 bidx)
{
	/* Written down first: a daemon that dies on the way leaves to the next one what is still to be done. */
	__atomic_store_n(&e->maps->backend_info[bidx].ending, LB_ENDING | (__u8)(e->gen[bidx] + 1), __ATOMIC_RELEASE);
	e->lost[bidx] = 1;
}

void engine_adopt_ending(struct engine *e, __u16 bidx)
{
	struct lb_backend_info *info = &e->maps->backend_info[bidx];

	if (!(info->ending & LB_ENDING))
		return;
	if ((__u8)info->ending == e->gen[bidx]) /* all done but for this */
		__atomic_store_n(&info->ending, 0, __ATOMIC_RELEASE);
	else
		e->lost[bidx] = 1;
}

static int write_slots(struct engine *e, unsigned int i)
{
	const struct state_service *s = &e->state->services[i];
	struct service_rt *rt = &e->rt[i];
	struct admission_pool_result pool = rt->pool;
	struct slots_view v;
	_cleanup_free_ __u32 *fraction = NULL;
	__u64 start;
	bool settle;
	int r;

	r = view_of(e, s, &v);
	if (r == 0 && rt->table_stale)
		r = build_table(e, s, rt);
	if (r < 0)
		return r;
	fraction = calloc(rt->n_be ? rt->n_be : 1, sizeof(*fraction));
	if (!fraction)
		return -ENOMEM;
	r = view_of(e, s, &v);
	if (r == 0)
		r = final_fractions(e, i, fraction);
	start = engine_now();
	if (r == 0)
		r = overlay_apply(rt->overlay, fraction, rt->owner);
	if (r < 0)
		return r;
	rt->overlay_us = (__u32)((engine_now() - start) / 1000);
	start = engine_now();
	/* Before anybody served there is no flow to protect; UDP without tracking asks for no state at all. */
	settle = !rt->served || (s->protocol == IPPROTO_UDP && !(s->flags & LB_SVC_UDP_TRACK));
	rt->served |= resolve_owners(s, rt);
	slots_set_owners(&v, rt->owner, dataplane_clock_ds(e->dp), settle, &rt->counts);
	rt->write_us = (__u32)((engine_now() - start) / 1000);
	end_generations(e, i);
	rt->dirty = false;
	if (e->maps->services[s->sid].digest != rt->digest)
		engine_write_service(e, s, rt->digest);
	for (unsigned int k = 0; k < rt->n_be; k++) {
		rt->be[k].admission = fraction[k];
		engine_write_info(e, i, k);
	}
	report_pool(e, s, &pool, &rt->pool);
	return 0;
}

/* Called with state and rt of the service in place (be[] filled). Builds what is derived. */
int service_rt_init(struct engine *e, unsigned int i)
{
	struct service_rt *rt = &e->rt[i];

	rt->dirty = true;
	return rt->table_stale ? build_table(e, &e->state->services[i], rt) : 0;
}

int engine_fill(struct engine *e, unsigned int service)
{
	const struct state_service *s = &e->state->services[service];

	/* Lines may hold what a former service left in them: start from "nobody", settled. */
	memset(e->maps->slots + s->line, 0, state_lines_for(s->m) * sizeof(*e->maps->slots));
	e->rt[service].served = false;
	return write_slots(e, service);
}

void engine_count(struct engine *e, unsigned int service)
{
	struct slots_view v;

	if (view_of(e, &e->state->services[service], &v) == 0)
		slots_count(&v, &e->rt[service].counts);
}

void engine_mark(struct engine *e, unsigned int service)
{
	e->rt[service].dirty = true;
	(void)sd_event_source_set_enabled(e->flush, SD_EVENT_ONESHOT);
}

int engine_flush(struct engine *e)
{
	int first = 0;

	if (!e->ready)
		return 0;
	for (unsigned int i = 0; i < e->state->n_services; i++) {
		int r = e->rt[i].dirty ? write_slots(e, i) : 0;

		if (r < 0 && !first)
			first = r;
	}
	return first;
}

void engine_age(struct engine *e)
{
	__u32 now_ds = dataplane_clock_ds(e->dp);

	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *s = &e->state->services[i];
		struct slots_view v;

		/* No memory to map them: they age a second later, which is safe. */
		if (e->rt[i].counts.p1 + e->rt[i].counts.p2 == 0 || view_of(e, s, &v) < 0)
			continue;
		slots_age(&v, now_ds, s->protocol == IPPROTO_UDP ? s->udp_idle_s : s->grace_s,
			  s->protocol == IPPROTO_UDP ? s->udp_idle_s : s->flow_idle_s, &e->rt[i].counts);
	}
}
