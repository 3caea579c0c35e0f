// SPDX-License-Identifier: Apache-2.0
/*
 * engine_cmd.c - what people ask of the running engine: reload, diff, drain, weight.
 *
 * A reload is prepared whole (parse, ids, room in every map) before the first store; whatever fails before that leaves
 * everything as it was.
 */
#include "engine_int.h"

#include "core/report.h"

#include <errno.h>
#include <string.h>

static int no_such(struct err *err, const char *what, const char *name, const char *in, const char *suggestion)
{
	err_set(err, -ENOENT, "no %s \"%s\"%s", what, name, in);
	if (suggestion)
		err_hint(err, "did you mean \"%s\"?", suggestion);
	else
		err_hint(err, "lbctl services and lbctl backends list what there is");
	return -ENOENT;
}

int engine_ready(const struct engine *e, struct err *err)
{
	if (e->ready)
		return 0;
	err_set(err, -EBUSY, "lbd is still starting");
	err_hint(err, "try again in a second");
	return -EBUSY;
}

int engine_find_service(const struct engine *e, const char *name, unsigned int *out, struct err *err)
{
	const struct state_service *s = e->ready ? state_find_service(e->state, name) : NULL;
	_cleanup_free_ const char **names = NULL;

	if (!e->ready)
		return engine_ready(e, err);
	if (s) {
		*out = (unsigned int)(s - e->state->services);
		return 0;
	}
	names = calloc(e->state->n_services + 1, sizeof(*names));
	for (unsigned int i = 0; names && i < e->state->n_services; i++)
		names[i] = e->state->services[i].name;
	return no_such(err, "service", name, "", names ? diag_suggest(name, names) : NULL);
}

static int find_backend(const struct engine *e, unsigned int service, const char *name, unsigned int *out,
			struct err *err)
{
	const struct state_service *s = &e->state->services[service];
	const struct state_backend *b = state_find_backend_named(s, name);
	_cleanup_free_ const char **names = NULL;
	char in[LB_NAME_MAX + 16];

	if (b && !b->retired) {
		*out = (unsigned int)(b - s->backends);
		return 0;
	}
	names = calloc(s->n_backends + 1, sizeof(*names));
	for (unsigned int i = 0; names && i < s->n_backends; i++)
		names[i] = s->backends[i].name;
	snprintf(in, sizeof(in), " in service %s", s->name);
	return no_such(err, "backend", name, in, names ? diag_suggest(name, names) : NULL);
}

static int find(const struct engine *e, const char *service, const char *backend, unsigned int *s, unsigned int *b,
		struct err *err)
{
	int r = engine_find_service(e, service, s, err);

	return r == 0 ? find_backend(e, *s, backend, b, err) : r;
}

int engine_set_admin(struct engine *e, const char *service, const char *backend, enum lb_admin admin, struct err *err)
{
	enum admission_state before;
	struct backend_rt *be;
	unsigned int s, b;
	int r = find(e, service, backend, &s, &b, err);

	if (r < 0)
		return r;
	be = &e->rt[s].be[b];
	before = be->adm.state;
	if (admission_admin(&be->adm, &e->rt[s].policy, admin, engine_now()))
		engine_admission_changed(e, s, b, before);
	/* The override itself must outlive a crash that comes before the slots are written. */
	engine_write_info(e, s, b);
	return 0;
}

int engine_set_weight(struct engine *e, const char *service, const char *backend, __s32 weight, struct err *err)
{
	char from[16], to[16];
	struct backend_rt *be;
	unsigned int s, b;
	int r = find(e, service, backend, &s, &b, err);

	if (r < 0)
		return r;
	if (weight < -1 || weight > 65535)
		return err_set(err, -EINVAL, "weight %d is out of range: 0 to 65535", weight);
	be = &e->rt[s].be[b];
	if (be->weight_override == weight)
		return 0;
	snprintf(from, sizeof(from), "%d", be->weight_override);
	snprintf(to, sizeof(to), "%d", weight);
	be->weight_override = weight;
	e->rt[s].table_stale = true;
	engine_write_info(e, s, b);
	engine_event(e, LOG_LEVEL_INFO, "weight_override", &e->state->services[s], &e->state->services[s].backends[b],
		     from, to, "by the operator");
	engine_mark(e, s);
	return 0;
}

int engine_probe_now(struct engine *e, const char *service, const char *backend, json_t **data, struct err *err)
{
	struct report_probe what = { .now_ns = engine_now_real() };
	const struct target_rt *target;
	const struct backend_rt *be;
	unsigned int s, b;
	int r = find(e, service, backend, &s, &b, err);

	if (r < 0)
		return r;
	be = &e->rt[s].be[b];
	target = engine_worst_target(e, be);
	if (!target)
		return err_set(err, -EINVAL, "backend %s of service %s is not probed", backend, service);
	for (unsigned int f = 0; f < ARRAY_SIZE(be->target); f++)
		if (be->target[f])
			(void)prober_kick(e->prober, be->target[f]);
	what.service = e->state->services[s].name;
	what.backend = e->state->services[s].backends[b].name;
	what.spec = &target->t.spec;
	what.addr = target->t.addr;
	what.port = target->t.port;
	what.mark = target->t.mark;
	return report_probe(&what, data, err);
}

/* ---- reload ------------------------------------------------------------------------------------------------------------ */

/* What a running daemon can not change: say so instead of pretending. */
static int check_fixed(const struct engine *e, const struct config *cfg, struct err *err)
{
	const struct config *now = e->config;
	const char *what = strcmp(now->dataplane.pin_dir, cfg->dataplane.pin_dir) ? "dataplane.pin-dir" :
			   strcmp(now->dataplane.seed_file, cfg->dataplane.seed_file) ? "dataplane.seed-file" :
			   now->dataplane.xdp_mode != cfg->dataplane.xdp_mode ? "dataplane.xdp-mode" :
			   now->dataplane.vip_echo != cfg->dataplane.vip_echo ? "dataplane.vip-echo" :
			   strcmp(now->control_socket, cfg->control_socket) ? "control.socket" :
			   strcmp(now->control_group, cfg->control_group) ? "control.group" :
			   now->has_metrics != cfg->has_metrics || now->metrics_port != cfg->metrics_port ||
			   addr_cmp(&now->metrics_addr, &cfg->metrics_addr) ? "metrics.listen" : NULL;

	if (!what)
		return 0;
	err_set(err, -EINVAL, "%s can not change while lbd runs", what);
	err_hint(err, "put the old value back, or restart lbd (packets go on meanwhile)");
	return -EINVAL;
}

static json_t *summary_of(const struct engine *e, const struct plan *plan)
{
	json_t *ops = json_array();
	char line[200];

	for (unsigned int i = 0; ops && i < plan->n; i++)
		json_array_append_new(ops, json_string(plan_op_format(&plan->ops[i], line, sizeof(line))));
	return json_pack("{s:i, s:o, s:o}", "changes", (int)plan->n, "operations", ops, "services",
			 engine_moves(e, plan));
}

struct change {
	struct config *cfg;
	struct state *next;
	struct dataplane_sizes sizes; /* of the maps that it needs */
	bool grow;                    /* larger than they are */
};

static void change_done(struct change *c)
{
	config_free(c->cfg);
	state_free(c->next);
}

/*
 * Ids and lines for the new state; when the maps are too small for it, for maps that are large enough. What is in use
 * now stays in use beside the new until the change is done, hence the sum.
 */
static int build_next(struct engine *e, struct change *c, struct err *err)
{
	const struct dataplane_sizes *have = &e->maps->sizes;
	struct state_capacity cap = { have->slot_lines, have->backends, have->services };
	struct dataplane_sizes need;
	struct err first = { 0 };
	int r = state_build(c->cfg, e->state, &cap, &c->next, &first);

	c->sizes = *have;
	if (r == -ENOSPC) {
		engine_choose_sizes(c->cfg, &need);
		c->grow = true;
		c->sizes.slot_lines += need.slot_lines;
		c->sizes.backends = have->backends + need.backends > LB_BIDX_MAX + 1 ? LB_BIDX_MAX + 1 :
				    have->backends + need.backends;
		c->sizes.services = have->services + need.services > LB_SID_MAX + 1 ? LB_SID_MAX + 1 :
				    have->services + need.services;
		cap = (struct state_capacity){ c->sizes.slot_lines, c->sizes.backends, c->sizes.services };
		r = state_build(c->cfg, e->state, &cap, &c->next, err);
	} else if (r < 0) {
		*err = first;
	}
	while (r == 0 && engine_check_keys(e, c->next, c->sizes.svc_buckets, err) == -ENOSPC) {
		if (c->sizes.svc_buckets >= ENGINE_SVC_BUCKETS_MAX)
			return -ENOSPC;
		*err = (struct err){ 0 };
		c->sizes.svc_buckets *= 2;
		c->grow = true;
	}
	return r;
}

/* Parse @path and make the state it asks for, without touching anything. */
static int prepare_change(struct engine *e, const char *path, struct diags *diags, struct change *c, json_t **summary,
			  struct err *err)
{
	struct plan plan;
	int r = engine_ready(e, err);

	if (r < 0)
		return r;
	if (config_load_file(path, &c->cfg, diags) < 0) {
		err_set(err, -EINVAL, "%s has %zu error(s); nothing was changed", path, diags_errors(diags));
		return -EINVAL;
	}
	r = check_fixed(e, c->cfg, err);
	if (r == 0)
		r = build_next(e, c, err);
	if (r == 0 && plan_build(e->state, c->next, &plan) < 0)
		r = err_set(err, -ENOMEM, "out of memory");
	if (r == 0) {
		*summary = summary_of(e, &plan);
		plan_done(&plan);
	}
	return r;
}

int engine_diff(struct engine *e, const char *path, struct diags *diags, json_t **summary, struct err *err)
{
	_cleanup_(change_done) struct change c = { 0 };

	return prepare_change(e, path ? path : e->config_path, diags, &c, summary, err);
}

static bool is_listed(const struct config *cfg, const char *ifname)
{
	for (unsigned int i = 0; i < cfg->dataplane.n_interfaces; i++)
		if (!strcmp(cfg->dataplane.interfaces[i], ifname))
			return true;
	return false;
}

/* New interfaces first: when one can not be had, the reload fails before anything else changed. */
static int attach_new(struct engine *e, const struct config *cfg, struct err *err)
{
	for (unsigned int i = 0; i < cfg->dataplane.n_interfaces; i++) {
		const char *name = cfg->dataplane.interfaces[i];
		int r = is_listed(e->config, name) ? 0 : dataplane_attach(e->dp, name, err);

		if (r < 0)
			return r;
		engine_attach_path(e, name);
	}
	return 0;
}

static void detach_old(struct engine *e, const struct config *old)
{
	for (unsigned int i = 0; i < old->dataplane.n_interfaces; i++) {
		const char *name = old->dataplane.interfaces[i];
		struct err err = { 0 };

		if (is_listed(e->config, name))
			continue;
		if (dataplane_detach_interface(e->dp, name, &err) < 0)
			log_err(&err);
		if (e->path)
			probe_path_detach(e->path, name);
	}
}

static void rewrite_lines(struct engine *e)
{
	for (unsigned int i = 0; i < e->state->n_services; i++)
		for (unsigned int k = 0; k < e->state->services[i].n_backends; k++)
			engine_write_line(e, i, k);
}

int engine_reload(struct engine *e, struct diags *diags, json_t **summary, struct err *err)
{
	_cleanup_(config_freep) struct config *old = NULL;
	_cleanup_(change_done) struct change c = { 0 };
	int r = prepare_change(e, e->config_path, diags, &c, summary, err);

	e->reloads++;
	if (r == 0 && c.grow)
		r = engine_grow(e, &c.sizes, err);
	if (r == 0)
		r = attach_new(e, c.cfg, err);
	if (r < 0) {
		e->reload_failures++;
		snprintf(e->reload_error, sizeof(e->reload_error), "%.*s", (int)sizeof(e->reload_error) - 1, err->msg);
		engine_event(e, LOG_LEVEL_ERROR, "reload_refused", NULL, NULL, NULL, NULL, err->msg);
		return r;
	}
	old = e->config;
	e->reload_error[0] = 0;
	r = engine_apply(e, c.cfg, take_ptr(c.next), err);
	if (e->config == old) {
		(void)take_ptr(old); /* nothing was changed: the old configuration stays in force */
		return r;
	}
	(void)take_ptr(c.cfg);
	e->loaded_ns = engine_now_real();
	detach_old(e, old);
	rewrite_lines(e);
	engine_policies_changed(e);
	if (r == 0)
		r = engine_sync_nexthops(e, e->state, err);
	if (r == 0)
		r = engine_sync_probes(e, err);
	(void)engine_flush(e);
	engine_event(e, LOG_LEVEL_INFO, "reload", NULL, NULL, NULL, NULL,
		     r == 0 ? "configuration applied" : "configuration applied in part");
	return r;
}
