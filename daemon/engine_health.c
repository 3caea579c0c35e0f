// SPDX-License-Identifier: Apache-2.0
/*
 * engine_health.c - probe targets, their results, and the admissions that follow from them.
 *
 * One probe serves every backend that shares (address, port, specification): results fan out to all its users.
 */
#include "engine_int.h"

#include <errno.h>
#include <string.h>

/* ---- targets --------------------------------------------------------------------------------------------------- */

struct wanted {
	struct lb_addr addr;
	__u16 port;
	const struct probe_spec *spec;
	struct target_user user;
	enum health_state initial;
};

static int wanted_cmp(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;
	int d = addr_cmp(&x->addr, &y->addr);

	if (d == 0)
		d = (x->port > y->port) - (x->port < y->port);
	/* Any fixed order of specifications will do; they are zeroed plain data. */
	return d ? d : memcmp(x->spec, y->spec, sizeof(*x->spec));
}

static bool same_target(const struct wanted *x, const struct wanted *y)
{
	return !addr_cmp(&x->addr, &y->addr) && x->port == y->port && probe_spec_equal(x->spec, y->spec);
}

void service_rt_probe(struct service_rt *rt)
{
	struct probe_spec *p = &rt->probe;

	*p = rt->cfg->probe;
	if ((p->type == PROBE_HTTP || p->type == PROBE_HTTPS) && !p->host[0] && rt->cfg->n_vips)
		addr_format(&rt->cfg->vips[0], p->host);
}

/* Probes of retired backends and of backends that the operator disabled tell nobody anything. */
static bool is_probed(const struct service_rt *rt, const struct state_backend *b)
{
	return rt->probe.type != PROBE_NONE && !b->retired;
}

static unsigned int collect(const struct engine *e, struct wanted *w)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *s = &e->state->services[i];
		const struct service_rt *rt = &e->rt[i];

		for (unsigned int k = 0; k < s->n_backends; k++) {
			if (!is_probed(rt, &s->backends[k])) {
				rt->be[k].target = 0;
				continue;
			}
			w[n++] = (struct wanted){
				.addr = s->backends[k].addr,
				.port = rt->probe.port ? rt->probe.port : s->port,
				.spec = &rt->probe,
				.user = { i, k },
				.initial = rt->be[k].adm.active,
			};
		}
	}
	qsort(w, n, sizeof(*w), wanted_cmp);
	return n;
}

static int target_addr_cmp(const void *a, const void *b)
{
	return addr_cmp(&((const struct target_rt *)a)->t.addr, &((const struct target_rt *)b)->t.addr);
}

/* @known: the targets until now, sorted by address. A probe that stays the same keeps its id, and so its history. */
static __u32 known_target(const struct target_rt *known, unsigned int n, const struct wanted *w)
{
	unsigned int low = 0, high = n;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (addr_cmp(&known[mid].t.addr, &w->addr) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < n && !addr_cmp(&known[low].t.addr, &w->addr); low++)
		if (known[low].t.port == w->port && probe_spec_equal(&known[low].t.spec, w->spec))
			return known[low].t.id;
	return 0;
}

static int target_cmp(const void *a, const void *b)
{
	const struct target_rt *x = a, *y = b;

	return x->t.id < y->t.id ? -1 : x->t.id > y->t.id;
}

/* Sorts e->targets by address on its way: the caller replaces it. */
static unsigned int make_targets(struct engine *e, const struct wanted *w, unsigned int n, struct target_rt *targets,
				 struct target_user *users)
{
	unsigned int n_targets = 0;

	if (e->n_targets)
		qsort(e->targets, e->n_targets, sizeof(*e->targets), target_addr_cmp);
	for (unsigned int i = 0; i < n; i++) {
		users[i] = w[i].user;
		if (i == 0 || !same_target(&w[i - 1], &w[i])) {
			struct target_rt *t = &targets[n_targets++];
			__u32 id = known_target(e->targets, e->n_targets, &w[i]);

			t->t.id = id ? id : ++e->next_target_id;
			t->t.addr = w[i].addr;
			t->t.port = w[i].port;
			t->t.spec = *w[i].spec;
			t->t.initial = w[i].initial;
			t->first = i;
		}
		targets[n_targets - 1].n++;
	}
	qsort(targets, n_targets, sizeof(*targets), target_cmp);
	for (unsigned int i = 0; i < n_targets; i++)
		for (unsigned int k = 0; k < targets[i].n; k++) {
			const struct target_user *u = &users[targets[i].first + k];

			e->rt[u->service].be[u->backend].target = targets[i].t.id;
		}
	return n_targets;
}

int engine_sync_probes(struct engine *e, struct err *err)
{
	_cleanup_free_ struct target_rt *targets = NULL;
	_cleanup_free_ struct target_user *users = NULL;
	_cleanup_free_ struct probe_target *list = NULL;
	_cleanup_free_ struct wanted *w = NULL;
	unsigned int n = 0, n_targets;

	for (unsigned int i = 0; i < e->state->n_services; i++)
		n += e->state->services[i].n_backends;
	w = calloc(n + 1, sizeof(*w));
	users = calloc(n + 1, sizeof(*users));
	targets = calloc(n + 1, sizeof(*targets));
	list = calloc(n + 1, sizeof(*list));
	if (!w || !users || !targets || !list)
		return err_set(err, -ENOMEM, "out of memory");
	n = collect(e, w);
	n_targets = make_targets(e, w, n, targets, users);
	for (unsigned int i = 0; i < n_targets; i++)
		list[i] = targets[i].t;
	free(e->targets);
	free(e->users);
	e->targets = take_ptr(targets);
	e->users = take_ptr(users);
	e->n_targets = n_targets;
	return prober_sync(e->prober, list, n_targets, err);
}

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

void engine_on_probe(__u32 id, const struct health *h, enum health_event ev, void *userdata)
{
	struct engine *e = userdata;
	const struct target_rt *t = bsearch(&id, e->targets, e->n_targets, sizeof(*e->targets), user_cmp);

	(void)ev;
	for (unsigned int i = 0; t && i < t->n; i++) {
		const struct target_user *u = &e->users[t->first + i];
		struct service_rt *rt = &e->rt[u->service];
		struct backend_rt *be = &rt->be[u->backend];
		enum admission_state before = be->adm.state;

		if (admission_active(&be->adm, &rt->policy, h->state, &h->last, engine_now()))
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
