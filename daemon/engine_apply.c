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

void engine_write_service(struct engine *e, const struct state_service *s, __u64 digest)
{
	struct lb_service *to = &e->maps->services[s->sid];

	memcpy(to->name, s->name, sizeof(to->name));
	to->grace_s = s->grace_s;
	to->flow_idle_s = s->flow_idle_s;
	to->udp_idle_s = s->udp_idle_s;
	to->insert_budget = INSERT_BUDGET;
	to->digest = digest;
	__atomic_store_n(&to->val, state_service_val(s), __ATOMIC_RELEASE);
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

static void backend_rt_init(struct engine *e, const struct service_rt *rt, struct backend_rt *be)
{
	be->weight_override = -1;
	be->since_real_ns = engine_now_real();
	admission_init(&be->adm, &rt->policy, LB_ADMIN_NONE, engine_now());
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
			backend_rt_init(e, rt, &rt->be[i]);
	}
	for (unsigned int i = 0; i < s->n_backends; i++)
		if (rt->cfg->probe.type == PROBE_NONE)
			(void)admission_active(&rt->be[i].adm, &rt->policy, HEALTH_UP, NULL, engine_now());
	rt->table_stale = true;
	rt->served = olds != NULL;
	if (old) {
		rt->served = old->served;
		rt->counts = old->counts;
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

static void add_backend(struct engine *e, const struct plan_op *op)
{
	unsigned int service = (unsigned int)(op->service - e->state->services);
	unsigned int backend = (unsigned int)(op->backend - op->service->backends);

	/* Whatever an earlier owner of this id left in the flow table is void. */
	e->gen[op->backend->bidx]++;
	(void)dataplane_reset_backend_stats(e->dp, op->backend->bidx);
	engine_write_line(e, service, backend);
	engine_write_info(e, service, backend);
}

static int set_key(struct engine *e, const struct plan_op *op)
{
	const struct state_service *s = op->service;
	__u64 unused;
	int r = svcmap_set(&e->svcmap, &op->vip, s->port, s->protocol, state_service_val(s));

	if (r == 0 && svcmap_get(&e->svcmap, &op->vip, 0, 0, &unused) < 0)
		r = svcmap_set(&e->svcmap, &op->vip, 0, 0, LB_SVC_VAL(0, 0, 0, 0));
	return r;
}

static int try_keys(const struct svcmap *map, const struct state_service *s)
{
	int r = 0;

	for (unsigned int k = 0; r == 0 && k < s->n_vips; k++) {
		r = svcmap_set(map, &s->vips[k], s->port, s->protocol, state_service_val(s));
		if (r == 0)
			r = svcmap_set(map, &s->vips[k], 0, 0, LB_SVC_VAL(0, 0, 0, 0));
	}
	return r;
}

/* Would all keys of @next find room? Tried on a copy, so that a reload fails before its first store or not at all. */
int engine_check_keys(struct engine *e, const struct state *next, __u32 n_buckets, struct err *err)
{
	size_t n = n_buckets;
	_cleanup_free_ struct lb_svc4_bucket *v4 = calloc(n, sizeof(*v4));
	_cleanup_free_ struct lb_svc6_bucket *v6 = calloc(n, sizeof(*v6));
	struct svcmap map;
	int r = 0;

	if (!v4 || !v6)
		return err_set(err, -ENOMEM, "out of memory");
	svcmap_init(&map, v4, v6, n_buckets, e->maps->meta->svc_seed);
	/* What is there now stays until the new keys are in. */
	for (unsigned int i = 0; r == 0 && i < e->state->n_services; i++)
		r = try_keys(&map, &e->state->services[i]);
	for (unsigned int i = 0; r == 0 && i < next->n_services; i++) {
		const struct state_service *s = &next->services[i];

		r = try_keys(&map, s);
		if (r < 0)
			err_set(err, r, "service %s: its place in the service table is full", s->name);
	}
	if (r < 0)
		err_hint(err, "restart lbd, which sizes the maps for the new configuration");
	return r;
}

static bool vip_is_used(const struct state *s, const struct lb_addr *vip)
{
	for (unsigned int i = 0; i < s->n_services; i++)
		for (unsigned int k = 0; k < s->services[i].n_vips; k++)
			if (!addr_cmp(&s->services[i].vips[k], vip))
				return true;
	return false;
}

static void remove_key(struct engine *e, const struct plan_op *op)
{
	(void)svcmap_remove(&e->svcmap, &op->vip, op->service->port, op->service->protocol);
	if (!vip_is_used(e->state, &op->vip))
		(void)svcmap_remove(&e->svcmap, &op->vip, 0, 0);
}

static void free_backend_id(struct engine *e, __u16 bidx)
{
	e->gen[bidx]++;
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
		engine_write_service(e, op->service, e->rt[service].digest);
		return engine_fill(e, service);
	case PLAN_SERVICE_CHANGE:
		engine_write_service(e, op->service, e->rt[service].digest);
		return 0;
	case PLAN_TABLE_UPDATE:
		e->rt[service].dirty = true;
		return 0;
	case PLAN_KEY_ADD:
	case PLAN_KEY_CHANGE:
		return set_key(e, op);
	case PLAN_KEY_REMOVE:
		remove_key(e, op);
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

struct stale_keys {
	struct engine *e;
	struct {
		struct lb_addr vip;
		__u16 port;
		__u8 protocol;
	} k[64];
	unsigned int n;
};

static const struct state_service *key_service(const struct state *s, const struct lb_addr *vip, __u16 port,
					       __u8 protocol)
{
	for (unsigned int i = 0; i < s->n_services; i++) {
		const struct state_service *sv = &s->services[i];

		for (unsigned int k = 0; k < sv->n_vips; k++)
			if (sv->port == port && sv->protocol == protocol && !addr_cmp(&sv->vips[k], vip))
				return sv;
	}
	return NULL;
}

static void note_stale(const struct lb_addr *vip, __u16 port, __u8 protocol, __u64 val, void *userdata)
{
	struct stale_keys *st = userdata;
	const struct state *s = st->e->state;

	if (port == 0 && protocol == 0 ? vip_is_used(s, vip) : key_service(s, vip, port, protocol) != NULL)
		return;
	if (st->n == ARRAY_SIZE(st->k))
		return;
	st->k[st->n].vip = *vip;
	st->k[st->n].port = port;
	st->k[st->n++].protocol = protocol;
}

static unsigned int repair_key(struct engine *e, const struct lb_addr *vip, __u16 port, __u8 protocol, __u64 val)
{
	__u64 now = 0;

	if (svcmap_get(&e->svcmap, vip, port, protocol, &now) == 0 && now == val)
		return 0;
	return svcmap_set(&e->svcmap, vip, port, protocol, val) == 0;
}

/*
 * Make the service table what the state says: right values, missing keys, keys that nobody wants. After a start that
 * mends what a daemon left that died between two operations; later it mends what somebody else's hand did.
 */
unsigned int engine_repair_keys(struct engine *e)
{
	struct stale_keys st;
	unsigned int repaired = 0;

	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *s = &e->state->services[i];

		for (unsigned int k = 0; k < s->n_vips; k++) {
			repaired += repair_key(e, &s->vips[k], s->port, s->protocol, state_service_val(s));
			repaired += repair_key(e, &s->vips[k], 0, 0, LB_SVC_VAL(0, 0, 0, 0));
		}
	}
	do {
		st = (struct stale_keys){ .e = e };
		svcmap_visit(&e->svcmap, note_stale, &st);
		for (unsigned int i = 0; i < st.n; i++)
			(void)svcmap_remove(&e->svcmap, &st.k[i].vip, st.k[i].port, st.k[i].protocol);
		repaired += st.n;
	} while (st.n == ARRAY_SIZE(st.k));
	return repaired;
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
		engine_write_service(e, s, e->rt[i].digest);
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
