// SPDX-License-Identifier: Apache-2.0
/*
 * engine_targets.c - what is probed, and by which way.
 *
 * By default a backend is asked at the VIP, through its own tunnel (probe_path.h), once for each family of VIPs. Where
 * that way is not there, its own address is asked instead, and the operator is told why. One probe serves every backend
 * that would be asked the same in the same way; its results go to all of them (engine_health.c).
 */
#include "engine_int.h"

#include <errno.h>
#include <string.h>

/* ---- the way to the VIPs ------------------------------------------------------------------------------------------ */

/* The VIP of a family that stands for all: the first; NULL when there is none. */
static const struct lb_addr *vip_of(const struct state_service *s, unsigned int family)
{
	for (unsigned int i = 0; i < s->n_vips; i++)
		if (addr_is_v4(&s->vips[i]) == (family == 0))
			return &s->vips[i];
	return NULL;
}

static bool is_configured(const struct engine *e, const char *ifname)
{
	for (unsigned int i = 0; i < e->config->dataplane.n_interfaces; i++)
		if (!strcmp(e->config->dataplane.interfaces[i], ifname))
			return true;
	return false;
}

/* Can a probe to @vip meet the program at the egress? Else why not. */
static bool way_is_there(const struct engine *e, const struct lb_addr *vip, char *why, size_t size)
{
	const struct nexthop *nh = nexthops_get(e->nexthops, vip);
	char text[ADDR_STRLEN];

	addr_format(vip, text);
	if (!e->path)
		snprintf(why, size, "%s", e->path_why);
	else if (!nh)
		snprintf(why, size, "the way to VIP %s is not known yet", text);
	else if (nh->local)
		snprintf(why, size, "VIP %s is an address of this host: remove it here, only backends need it", text);
	else if (!nh->ok)
		snprintf(why, size, "VIP %s: %s", text, nh->why);
	else if (!is_configured(e, nh->ifname) || nh->has_vlan)
		snprintf(why, size, "the route to VIP %s leaves by %s%s, which is not among dataplane.interfaces", text,
			 nh->has_vlan ? "a VLAN on " : "", nh->ifname);
	else
		return true;
	return false;
}

bool engine_find_ways(struct engine *e, unsigned int service)
{
	const struct state_service *s = &e->state->services[service];
	struct service_rt *rt = &e->rt[service];
	__u8 before = rt->ways;

	rt->ways = 0;
	rt->way_why[0] = 0;
	if (rt->probe.type == PROBE_NONE || rt->probe.via == PROBE_VIA_BACKEND)
		return before != 0;
	for (unsigned int f = 0; f < 2; f++) {
		const struct lb_addr *vip = vip_of(s, f);

		if (vip && way_is_there(e, vip, rt->way_why, sizeof(rt->way_why)))
			rt->ways |= (__u8)(1u << f);
	}
	return before != rt->ways;
}

/* Tell once what keeps a service's probes off the VIP, and when it is over. */
static void tell_ways(struct engine *e, unsigned int i)
{
	struct service_rt *rt = &e->rt[i];

	if (!!rt->way_why[0] == rt->way_told)
		return;
	rt->way_told = rt->way_why[0];
	engine_event(e, rt->way_told ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "probe_way", &e->state->services[i], NULL,
		     rt->way_told ? "vip" : "backend", rt->way_told ? "backend" : "vip",
		     rt->way_told ? rt->way_why : "probes go through the tunnel to the VIP");
}

/* Backends whose packets enter no tunnel, and so no probe of theirs either. */
static bool is_here(const struct engine *e, const struct lb_addr *backend)
{
	const struct nexthop *nh = nexthops_get(e->nexthops, backend);

	return nh && nh->ok && nh->local;
}

bool engine_ways_changed(struct engine *e, const struct lb_addr *addr)
{
	bool changed = false;

	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *s = &e->state->services[i];
		const struct state_backend *b = state_find_backend(s, addr);

		if (b && e->rt[i].ways && e->rt[i].be[b - s->backends].here != is_here(e, addr))
			changed = true;
		for (unsigned int f = 0; f < 2; f++) {
			const struct lb_addr *vip = vip_of(s, f);

			if (vip && !addr_cmp(vip, addr) && engine_find_ways(e, i))
				changed = true;
		}
	}
	return changed;
}

static int by_name(const void *name, const void *service)
{
	return strcmp(name, ((const struct config_service *)service)->name);
}

unsigned int engine_probed_vips(const struct state *s, const struct config *cfg, struct lb_addr *out)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->n_services; i++) {
		const struct config_service *c =
			bsearch(s->services[i].name, cfg->services, cfg->n_services, sizeof(*c), by_name);

		for (unsigned int f = 0; c && f < 2; f++) {
			const struct lb_addr *vip = vip_of(&s->services[i], f);

			if (vip && c->probe.type != PROBE_NONE && c->probe.via == PROBE_VIA_VIP)
				out[n++] = *vip;
		}
	}
	return n;
}

/* ---- targets --------------------------------------------------------------------------------------------------- */

struct wanted {
	struct target_way way;
	__u16 bidx; /* whose line the probe takes, in a tunnel */
	const struct probe_spec *spec;
	struct target_user user;
	enum health_state initial;
};

static int way_cmp(const struct target_way *x, const struct target_way *y)
{
	int d = addr_cmp(&x->addr, &y->addr);

	if (d == 0)
		d = addr_cmp(&x->backend, &y->backend);
	if (d == 0)
		d = (x->port > y->port) - (x->port < y->port);
	if (d == 0)
		d = (x->forward > y->forward) - (x->forward < y->forward);
	return d ? d : (x->gue_port > y->gue_port) - (x->gue_port < y->gue_port);
}

static int wanted_cmp(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;
	int d = way_cmp(&x->way, &y->way);

	/* Any fixed order of specifications will do; they are zeroed plain data. */
	if (d == 0)
		d = memcmp(x->spec, y->spec, sizeof(*x->spec));
	return d ? d : (x->bidx > y->bidx) - (x->bidx < y->bidx);
}

static bool same_target(const struct wanted *x, const struct wanted *y)
{
	return !way_cmp(&x->way, &y->way) && probe_spec_equal(x->spec, y->spec);
}

void service_rt_probe(struct service_rt *rt)
{
	struct probe_spec *p = &rt->probe;

	*p = rt->cfg->probe;
	if ((p->type == PROBE_HTTP || p->type == PROBE_HTTPS) && !p->host[0] && rt->cfg->n_vips)
		addr_format(&rt->cfg->vips[0], p->host);
}

/* The probes of one backend: one for each way to a VIP, else one to its address. Returns how many. */
static unsigned int want_backend(struct engine *e, unsigned int i, unsigned int k, struct wanted *w)
{
	const struct state_service *s = &e->state->services[i];
	const struct state_backend *b = &s->backends[k];
	struct service_rt *rt = &e->rt[i];
	struct wanted common = {
		.way = { .addr = b->addr, .backend = b->addr, .port = rt->probe.port ? rt->probe.port : s->port },
		.bidx = b->bidx,
		.spec = &rt->probe,
		.user = { i, k, 0 },
		.initial = rt->be[k].adm.active,
	};
	unsigned int n = 0;

	rt->be[k].here = is_here(e, &b->addr);
	for (unsigned int f = 0; f < 2 && !rt->be[k].here; f++) {
		if (!(rt->ways & (1u << f)))
			continue;
		w[n] = common;
		w[n].way.addr = *vip_of(s, f);
		w[n].way.forward = (__u8)(1 + b->forward);
		w[n].way.gue_port = b->forward == LB_FORWARD_GUE ? rt->cfg->gue_port : 0;
		w[n++].user.slot = f;
	}
	if (n == 0)
		w[n++] = common;
	return n;
}

static unsigned int collect(struct engine *e, struct wanted *w)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *s = &e->state->services[i];
		struct service_rt *rt = &e->rt[i];

		(void)engine_find_ways(e, i);
		tell_ways(e, i);
		for (unsigned int k = 0; k < s->n_backends; k++) {
			memset(rt->be[k].target, 0, sizeof(rt->be[k].target));
			/* Probes of retired backends tell nobody anything. */
			if (rt->probe.type != PROBE_NONE && !s->backends[k].retired)
				n += want_backend(e, i, k, &w[n]);
		}
	}
	if (n)
		qsort(w, n, sizeof(*w), wanted_cmp);
	return n;
}

static int target_way_cmp(const void *a, const void *b)
{
	return way_cmp(&((const struct target_rt *)a)->way, &((const struct target_rt *)b)->way);
}

/* @known: the targets until now, sorted by way. A probe that stays the same keeps its id, and so its history. */
static __u32 known_target(const struct target_rt *known, unsigned int n, const struct wanted *w)
{
	unsigned int low = 0, high = n;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (way_cmp(&known[mid].way, &w->way) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < n && !way_cmp(&known[low].way, &w->way); low++)
		if (probe_spec_equal(&known[low].t.spec, w->spec))
			return known[low].t.id;
	return 0;
}

static int target_cmp(const void *a, const void *b)
{
	const struct target_rt *x = a, *y = b;

	return x->t.id < y->t.id ? -1 : x->t.id > y->t.id;
}

static void fill_target(struct target_rt *t, const struct wanted *w, __u32 id, unsigned int first)
{
	t->way = w->way;
	t->t.id = id;
	t->t.addr = w->way.addr;
	t->t.port = w->way.port;
	t->t.mark = w->way.forward ? probe_path_mark(w->bidx) : 0;
	t->t.spec = *w->spec;
	t->t.initial = w->initial;
	t->first = first;
}

/* Sorts e->targets by way: the caller replaces it. */
static unsigned int make_targets(struct engine *e, const struct wanted *w, unsigned int n, struct target_rt *targets,
				 struct target_user *users)
{
	unsigned int n_targets = 0;

	if (e->n_targets)
		qsort(e->targets, e->n_targets, sizeof(*e->targets), target_way_cmp);
	for (unsigned int i = 0; i < n; i++) {
		users[i] = w[i].user;
		if (i == 0 || !same_target(&w[i - 1], &w[i])) {
			__u32 id = known_target(e->targets, e->n_targets, &w[i]);

			fill_target(&targets[n_targets++], &w[i], id ? id : ++e->next_target_id, i);
		}
		targets[n_targets - 1].n++;
	}
	if (n_targets)
		qsort(targets, n_targets, sizeof(*targets), target_cmp);
	for (unsigned int i = 0; i < n_targets; i++)
		for (unsigned int k = 0; k < targets[i].n; k++) {
			const struct target_user *u = &users[targets[i].first + k];

			e->rt[u->service].be[u->backend].target[u->slot] = targets[i].t.id;
		}
	return n_targets;
}

int engine_sync_probes(struct engine *e, struct err *err)
{
	_cleanup_free_ struct target_rt *targets = NULL;
	_cleanup_free_ struct target_user *users = NULL;
	_cleanup_free_ struct probe_target *list = NULL;
	_cleanup_free_ struct wanted *w = NULL;
	unsigned int n = 1, n_targets;

	for (unsigned int i = 0; i < e->state->n_services; i++)
		n += 2 * e->state->services[i].n_backends;
	w = calloc(n, sizeof(*w));
	if (!w)
		return err_set(err, -ENOMEM, "out of memory");
	n = collect(e, w);
	users = calloc(n + 1, sizeof(*users));
	targets = calloc(n + 1, sizeof(*targets));
	list = calloc(n + 1, sizeof(*list));
	if (!users || !targets || !list)
		return err_set(err, -ENOMEM, "out of memory");
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

/* ---- the program at the egress ----------------------------------------------------------------------------------- */

int engine_open_path(struct engine *e)
{
	struct probe_path *path = NULL;
	struct err err = { 0 };
	int r = probe_path_open(&path, e->config->dataplane.pin_dir, false, &err);

	for (unsigned int i = 0; r == 0 && i < e->config->dataplane.n_interfaces; i++) {
		r = probe_path_attach(path, e->config->dataplane.interfaces[i], &err);
		if (r == -ENODEV) /* it may come back */
			r = 0;
	}
	if (r < 0) {
		log_err(&err);
		probe_path_close(path);
		path = NULL;
	}
	snprintf(e->path_why, sizeof(e->path_why), "%.*s", (int)sizeof(e->path_why) - 1, err.msg);
	probe_path_close(e->path); /* after the new one has been attached: no probe leaves unwrapped */
	e->path = path;
	return r;
}

void engine_attach_path(struct engine *e, const char *ifname)
{
	struct err err = { 0 };

	if (e->path && probe_path_attach(e->path, ifname, &err) < 0)
		log_err(&err);
}
