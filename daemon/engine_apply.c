// SPDX-License-Identifier: Apache-2.0
/*
 * engine_apply.c - carries a plan out: one operation after the other into the maps, in the plan's order.
 *
 * Everything that can fail for want of memory or room is done before the first store (prepare), so that a reload is
 * applied whole or not at all.
 */
#include "engine_int.h"

#include <errno.h>
#include <string.h>

/*
 * New flow entries per CPU and second for one service. A flow that finds the budget used up is forwarded all the same and
 * tries again with its next segment; so the number only has to empty the moved slots of a busy service well within the
 * grace time, and keep one service's change from taking the whole table's bandwidth.
 */
#define INSERT_BUDGET 50000

int engine_write_service(struct engine *e, const struct state_service *s, __u64 digest)
{
	struct lb_service *to = &e->maps->services[s->sid];
	int r = engine_write_acl(e, s);

	if (r < 0)
		return r;

	/* Entries that are dead by the old time must not rise with the new: their tuple may have another flow by now. */
	if (to->val && (s->flow_idle_s > to->flow_idle_s || s->udp_idle_s > to->udp_idle_s))
		engine_bury_flows(e);
	memcpy(to->name, s->name, sizeof(to->name));
	to->grace_s = s->grace_s;
	to->flow_idle_s = s->flow_idle_s;
	to->udp_idle_s = s->udp_idle_s;
	to->insert_budget = INSERT_BUDGET;
	to->new_flow_limit = s->new_flow_limit;
	to->source_limit = s->source_limit;
	to->acl_digest = s->acl_digest;
	to->digest = digest;
	__atomic_store_n(&to->val, state_service_val(s), __ATOMIC_RELEASE);
	return 0;
}

void engine_write_info(struct engine *e, unsigned int service, unsigned int backend)
{
	const struct state_service *s = &e->state->services[service];
	const struct state_backend *b = &s->backends[backend];
	const struct backend_rt *be = &e->rt[service].be[backend];
	struct lb_backend_info *to = &e->maps->backend_info[b->bidx];

	memcpy(to->addr, b->addr.b, sizeof(to->addr));
	to->forward = (__u8)b->forward;
	to->admin = (__u8)be->adm.admin;
	to->weight = b->weight;
	to->weight_override = be->weight_override;
	to->state = be->adm.state;
	to->admission = be->adm.fraction;
	to->since_s = (__u32)(be->since_real_ns / NSEC_PER_SEC);
	__atomic_store_n(&to->sid, s->sid, __ATOMIC_RELEASE);
}

/* ---- preparing: run-time side of the new state, moved from the old where the service or backend stays ---------- */

/* Unless told otherwise, who joins a service that runs already waits for its first good probe. */
static void backend_rt_init(const struct service_rt *rt, bool joins, struct backend_rt *be)
{
	struct admission_policy policy = rt->policy;

	policy.initial_down = rt->probe.type != PROBE_NONE &&
			      (rt->cfg->init == CONFIG_INIT_DOWN || (rt->cfg->init == CONFIG_INIT_AUTO && joins));
	be->weight_override = -1;
	be->since_real_ns = engine_now_real();
	admission_init(&be->adm, &policy, LB_ADMIN_NONE, engine_now());
}

/* What a former daemon knew of a backend. */
static void backend_rt_adopt(struct engine *e, const struct service_rt *rt, const struct lb_backend_info *info,
			     struct backend_rt *be)
{
	be->weight_override = info->weight_override;
	be->since_real_ns = info->since_s * NSEC_PER_SEC;
	(void)admission_adopt(&be->adm, &rt->policy, info->admin < LB_ADMIN_MAX ? info->admin : LB_ADMIN_NONE,
			      info->state < ADMISSION_STATE_MAX ? info->state : ADMISSION_UNKNOWN, info->admission,
			      engine_now());
}

static bool same_members(const struct state_service *a, const struct state_service *b)
{
	if (a->m != b->m || a->n_backends != b->n_backends)
		return false;
	for (unsigned int i = 0; i < a->n_backends; i++)
		if (addr_cmp(&a->backends[i].addr, &b->backends[i].addr) || a->backends[i].weight != b->backends[i].weight ||
		    a->backends[i].retired != b->backends[i].retired)
			return false;
	return true;
}

/* A service whose members stay as they are keeps its tables: a reload costs what it changes. */
static void inherit_tables(struct engine *e, const struct state *old_state, struct service_rt *old_rt)
{
	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *olds = state_find_service(old_state, e->state->services[i].name);
		struct service_rt *rt = &e->rt[i], *old;

		if (rt->table)
			continue;
		old = &old_rt[olds - old_state->services];
		rt->mb = take_ptr(old->mb);
		rt->table = take_ptr(old->table);
		rt->owner = take_ptr(old->owner);
		rt->overlay = take_ptr(old->overlay);
	}
}

static int prepare_service(struct engine *e, const struct config *cfg, const struct state_service *s,
			   struct service_rt *rt)
{
	const struct state_service *olds = state_find_service(e->state, s->name);
	struct service_rt *old = olds && e->rt ? &e->rt[olds - e->state->services] : NULL;

	for (unsigned int i = 0; i < cfg->n_services; i++)
		if (!strcmp(cfg->services[i].name, s->name))
			rt->cfg = &cfg->services[i];
	rt->n_be = s->n_backends;
	rt->be = calloc(rt->n_be ? rt->n_be : 1, sizeof(*rt->be));
	if (!rt->be)
		return -ENOMEM;
	service_rt_policy(rt);
	service_rt_probe(rt);
	for (unsigned int i = 0; i < s->n_backends; i++) {
		const struct state_backend *ob = state_find_backend(olds, &s->backends[i].addr);

		const struct lb_backend_info *info =
			ob ? &e->maps->backend_info[ob->bidx] :
			e->rt ? NULL : engine_previous_info(e, s->name, &s->backends[i].addr);

		if (ob && old)
			rt->be[i] = old->be[ob - olds->backends];
		else if (info)
			backend_rt_adopt(e, rt, info, &rt->be[i]);
		else
			backend_rt_init(rt, old != NULL, &rt->be[i]);
	}
	for (unsigned int i = 0; i < s->n_backends; i++)
		if (rt->cfg->probe.type == PROBE_NONE)
			(void)admission_active(&rt->be[i].adm, &rt->policy, HEALTH_UP, NULL, engine_now());
	rt->table_stale = !old || old->table_stale || !same_members(olds, s);
	rt->served = olds != NULL;
	if (old) {
		rt->served = old->served;
		rt->counts = old->counts;
		rt->overlay_us = old->overlay_us;
		rt->write_us = old->write_us;
		rt->pool = old->pool;
		rt->digest = old->digest;
	}
	return 0;
}

static void rt_free(struct service_rt *rt, unsigned int n)
{
	for (unsigned int i = 0; rt && i < n; i++)
		service_rt_done(&rt[i]);
	free(rt);
}

/* Swap in the prepared side and build its tables; back to the old one when that fails. */
static int prepare(struct engine *e, const struct config *cfg, struct state *next, struct service_rt **out)
{
	struct service_rt *rt = calloc(next->n_services ? next->n_services : 1, sizeof(*rt)), *old = e->rt;
	struct state *old_state = e->state;
	int r = rt ? 0 : -ENOMEM;

	for (unsigned int i = 0; r == 0 && i < next->n_services; i++)
		r = prepare_service(e, cfg, &next->services[i], &rt[i]);
	e->rt = rt;
	e->state = next;
	for (unsigned int i = 0; r == 0 && i < next->n_services; i++)
		r = service_rt_init(e, i);
	e->rt = old;
	e->state = old_state;
	if (r < 0)
		rt_free(rt, rt ? next->n_services : 0);
	else
		*out = rt;
	return r;
}

/* ---- carrying out ------------------------------------------------------------------------------------------- */

static void forget_ending(struct engine *e, __u16 bidx)
{
	e->lost[bidx] = 0;
	__atomic_store_n(&e->maps->backend_info[bidx].ending, 0, __ATOMIC_RELEASE);
}

static void add_backend(struct engine *e, const struct plan_op *op)
{
	unsigned int service = (unsigned int)(op->service - e->state->services);
	unsigned int backend = (unsigned int)(op->backend - op->service->backends);

	/* Whatever an earlier owner of this id left in the flow table is void. */
	e->gen[op->backend->bidx]++;
	forget_ending(e, op->backend->bidx);
	(void)dataplane_reset_backend_stats(e->dp, op->backend->bidx);
	engine_write_line(e, service, backend);
	engine_write_info(e, service, backend);
}

static void free_backend_id(struct engine *e, __u16 bidx)
{
	e->gen[bidx]++;
	forget_ending(e, bidx);
	engine_put_unused(e, bidx);
	__atomic_store_n(&e->maps->backend_info[bidx].sid, 0, __ATOMIC_RELEASE);
}

static void remove_service(struct engine *e, const struct state_service *s)
{
	__atomic_store_n(&e->maps->services[s->sid].val, 0, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < s->n_backends; i++)
		free_backend_id(e, s->backends[i].bidx);
}

static int run_op(struct engine *e, const struct plan_op *op)
{
	unsigned int service = op->kind == PLAN_QUIESCE ? 0 : (unsigned int)(op->service - e->state->services);
	int r;

	switch (op->kind) {
	case PLAN_BACKEND_ADD:
		add_backend(e, op);
		return 0;
	case PLAN_BACKEND_CHANGE:
	case PLAN_BACKEND_RETIRE:
		engine_write_line(e, service, (unsigned int)(op->backend - op->service->backends));
		engine_write_info(e, service, (unsigned int)(op->backend - op->service->backends));
		return 0;
	case PLAN_SERVICE_ADD:
	case PLAN_TABLE_REPLACE:
		r = engine_write_service(e, op->service, e->rt[service].digest);
		return r < 0 ? r : engine_fill(e, service);
	case PLAN_SERVICE_CHANGE:
		return engine_write_service(e, op->service, e->rt[service].digest);
	case PLAN_TABLE_UPDATE:
		e->rt[service].dirty = true;
		return 0;
	case PLAN_KEY_ADD:
	case PLAN_KEY_CHANGE:
		return engine_set_key(e, op);
	case PLAN_KEY_REMOVE:
		engine_remove_key(e, op);
		return 0;
	case PLAN_QUIESCE:
		return dataplane_quiesce(e->dp);
	case PLAN_SERVICE_REMOVE:
		remove_service(e, op->service);
		return 0;
	case PLAN_OP_MAX:
		break;
	}
	return -EINVAL;
}

/*
 * First apply after an adoption: lines are written from the next hops known now (what is unresolved serves nothing), and
 * the phases of the slots are read back.
 */
static void adopt_lines(struct engine *e, const struct state *adopted)
{
	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *s = &e->state->services[i];
		const struct state_service *old = state_find_service(adopted, s->name);

		if (!old || old->m != s->m)
			continue;
		engine_count(e, i);
		if (engine_write_service(e, s, e->rt[i].digest) < 0)
			log_error("service %s: its source prefix lists could not be written", s->name);
		e->rt[i].dirty = true;
		for (unsigned int k = 0; k < s->n_backends; k++)
			if (state_find_backend(old, &s->backends[k].addr))
				engine_write_line(e, i, k);
	}
}

int engine_apply(struct engine *e, struct config *cfg, struct state *next, struct err *err)
{
	struct state *old_state = e->state;
	struct service_rt *old_rt = e->rt, *rt = NULL;
	unsigned int n_old = old_state ? old_state->n_services : 0;
	struct plan plan;
	int r;

	r = plan_build(old_state, next, &plan);
	if (r == 0)
		r = prepare(e, cfg, next, &rt);
	if (r < 0) {
		state_free(next);
		return err_set(err, r, "out of memory while preparing the change");
	}
	e->state = next;
	e->rt = rt;
	e->config = cfg;
	inherit_tables(e, old_state, old_rt);
	if (!old_rt && n_old)
		adopt_lines(e, old_state);
	for (unsigned int i = 0; i < plan.n && r == 0; i++) {
		char line[200];

		r = run_op(e, &plan.ops[i]);
		log_event(r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG, "plan", plan_op_format(&plan.ops[i], line, sizeof(line)),
			  NULL);
		if (r < 0)
			err_set(err, r, "the change stopped at \"%s\": %s", line, strerror(-r));
	}
	if (!old_rt && r == 0)
		(void)engine_repair_keys(e);
	if (r == 0)
		engine_sweep_acl(e);
	plan_done(&plan);
	rt_free(old_rt, n_old);
	state_free(old_state);
	return r;
}

/* ---- retired backends: forgotten when no slot names them any more ------------------------------------------------ */

static bool service_is_settled(const struct service_rt *rt)
{
	return !rt->dirty && rt->counts.p1 + rt->counts.p2 == 0;
}

void engine_drop_retired(struct engine *e)
{
	for (unsigned int i = 0; i < e->state->n_services; i++) {
		struct state_service *s = &e->state->services[i];
		struct service_rt *rt = &e->rt[i];
		unsigned int kept = 0;

		if (!service_is_settled(rt))
			continue;
		for (unsigned int k = 0; k < s->n_backends; k++) {
			if (s->backends[k].retired) {
				engine_event(e, LOG_LEVEL_INFO, "backend_removed", s, &s->backends[k], "retired", NULL,
					     "its last flows are over");
				free_backend_id(e, s->backends[k].bidx);
				continue;
			}
			s->backends[kept] = s->backends[k];
			rt->be[kept++] = rt->be[k];
		}
		if (kept == s->n_backends)
			continue;
		s->n_backends = rt->n_be = kept;
		rt->table_stale = rt->dirty = true;
	}
}
