// SPDX-License-Identifier: Apache-2.0
/*
 * engine_health.c - results of probes, and the admissions that follow from them. What is probed: engine_targets.c.
 */
#include "engine_int.h"

#include <errno.h>
#include <string.h>

/* ---- results and time ---------------------------------------------------------------------------------------------- */

void engine_member_changed(struct engine *e, unsigned int service, unsigned int backend, enum admission_state before)
{
	const struct state_service *s = &e->state->services[service];
	struct backend_rt *be = &e->rt[service].be[backend];

	if (be->adm.bump_generation) {
		be->adm.bump_generation = false;
		engine_end_flows(e, s->backends[backend].bidx);
	}
	if (be->adm.state != before) {
		be->since_real_ns = engine_now_real();
		engine_event(e, LOG_LEVEL_INFO, "backend_state", s, &s->backends[backend], admission_state_name(before),
			     admission_state_name(be->adm.state), be->adm.reason);
	}
}

void engine_admission_changed(struct engine *e, unsigned int service, unsigned int backend, enum admission_state before)
{
	engine_member_changed(e, service, backend, before);
	engine_mark(e, service);
}

static int user_cmp(const void *key, const void *elem)
{
	__u32 id = *(const __u32 *)key, other = ((const struct target_rt *)elem)->t.id;

	return id < other ? -1 : id > other;
}

static const struct target_rt *find_target(const struct engine *e, __u32 id)
{
	return id && e->n_targets ? bsearch(&id, e->targets, e->n_targets, sizeof(*e->targets), user_cmp) : NULL;
}

static int badness(const struct health *h)
{
	return h->state == HEALTH_DOWN ? 3 : h->state == HEALTH_UNKNOWN ? 2 : h->streak ? 1 : 0;
}

const struct target_rt *engine_worst_target(const struct engine *e, const struct backend_rt *be)
{
	const struct target_rt *worst = NULL;
	int most = -1;

	for (unsigned int f = 0; f < ARRAY_SIZE(be->target); f++) {
		const struct health *h = be->target[f] ? prober_health(e->prober, be->target[f], NULL) : NULL;

		if (h && badness(h) > most) {
			most = badness(h);
			worst = find_target(e, be->target[f]);
		}
	}
	return worst;
}

/* A backend that is asked in two ways (VIPs of both families) is as well as the worse of them. */
static enum health_state state_of(const struct engine *e, const struct backend_rt *be)
{
	enum health_state state = HEALTH_UP;

	for (unsigned int f = 0; f < ARRAY_SIZE(be->target); f++) {
		const struct health *h = be->target[f] ? prober_health(e->prober, be->target[f], NULL) : NULL;

		if (h && h->state == HEALTH_DOWN)
			return HEALTH_DOWN;
		if (h && h->state == HEALTH_UNKNOWN)
			state = HEALTH_UNKNOWN;
	}
	return state;
}

void engine_explain_result(const struct engine *e, const struct lb_addr *backend, const struct backend_rt *be,
			   struct probe_result *r)
{
	const struct nexthop *nh = nexthops_get(e->nexthops, backend);
	const char *why = !nh || be->nexthop_ok ? "" : nh->ok ? be->way_error : nh->why;

	if (!probe_outcome_is_silence(r->outcome) || !*why)
		return;
	r->outcome = PROBE_OUTCOME_UNREACHABLE;
	snprintf(r->detail, sizeof(r->detail), "not sent: %.*s", (int)sizeof(r->detail) - 11, why);
}

void engine_on_probe(__u32 id, const struct health *h, enum health_event ev, void *userdata)
{
	struct engine *e = userdata;
	const struct target_rt *t = find_target(e, id);

	(void)ev;
	for (unsigned int i = 0; t && i < t->n; i++) {
		const struct target_user *u = &e->users[t->first + i];
		struct service_rt *rt = &e->rt[u->service];
		struct backend_rt *be = &rt->be[u->backend];
		enum admission_state before = be->adm.state;
		struct probe_result why = h->last;

		engine_explain_result(e, &e->state->services[u->service].backends[u->backend].addr, be, &why);
		if (admission_active(&be->adm, &rt->policy, state_of(e, be), &why, engine_now()))
			engine_admission_changed(e, u->service, u->backend, before);
	}
}

void engine_tick_admissions(struct engine *e, __u64 *next_ns)
{
	__u64 now = engine_now();

	for (unsigned int i = 0; i < e->state->n_services; i++) {
		struct service_rt *rt = &e->rt[i];

		if (rt->pool.next_ns && rt->pool.next_ns <= now)
			engine_mark(e, i);
		for (unsigned int k = 0; k < rt->n_be; k++) {
			struct admission *a = &rt->be[k].adm;
			enum admission_state before = a->state;

			if (a->next_ns && a->next_ns <= now && admission_tick(a, &rt->policy, now))
				engine_admission_changed(e, i, k, before);
			if (a->next_ns && (!*next_ns || a->next_ns < *next_ns))
				*next_ns = a->next_ns;
		}
		if (rt->pool.next_ns > now && (!*next_ns || rt->pool.next_ns < *next_ns))
			*next_ns = rt->pool.next_ns;
	}
}

void engine_policies_changed(struct engine *e)
{
	__u64 now = engine_now();

	for (unsigned int i = 0; i < e->state->n_services; i++)
		for (unsigned int k = 0; k < e->rt[i].n_be; k++) {
			struct admission *a = &e->rt[i].be[k].adm;
			enum admission_state before = a->state;

			if (admission_tick(a, &e->rt[i].policy, now))
				engine_admission_changed(e, i, k, before);
		}
	(void)sd_event_source_set_time(e->tick, now / 1000);
	(void)sd_event_source_set_enabled(e->tick, SD_EVENT_ONESHOT);
}
