// SPDX-License-Identifier: Apache-2.0
/* engine_view.c - one consistent picture of the engine as plain data (core/snapshot.h). */
#include "engine_int.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

struct counters {
	struct lb_counter *backends;
	struct lb_steer_stats *steer;
};

static void counters_done(struct counters *c)
{
	free(c->backends);
	free(c->steer);
}

const struct lb_backend *engine_line(const struct engine *e, __u16 bidx)
{
	const struct lb_backend *line = &e->maps->backends[bidx];

	return line->encap == LB_ENCAP_MOVED ? &e->maps->backend_spares[bidx] : line;
}

static void view_nexthop(const struct engine *e, const struct state_backend *b, struct snapshot_backend *out)
{
	const struct nexthop *nh = nexthops_get(e->nexthops, &b->addr);
	const struct lb_backend *line = engine_line(e, b->bidx);
	char gw[ADDR_STRLEN];

	out->encap = line->encap < LB_ENCAP_MAX ? line->encap : LB_ENCAP_NONE;
	out->mtu = line->mtu;
	if (!nh)
		snprintf(out->nexthop, sizeof(out->nexthop), "not looked up yet");
	else if (!nh->ok)
		snprintf(out->nexthop, sizeof(out->nexthop), "%s", nh->why);
	else if (nh->local)
		snprintf(out->nexthop, sizeof(out->nexthop), "this host");
	else
		snprintf(out->nexthop, sizeof(out->nexthop), "%s via %s (%02x:%02x:%02x:%02x:%02x:%02x)", nh->ifname,
			 addr_format(&nh->gateway, gw), nh->dst_mac[0], nh->dst_mac[1], nh->dst_mac[2], nh->dst_mac[3],
			 nh->dst_mac[4], nh->dst_mac[5]);
}

static void view_probe(const struct engine *e, const struct probe_spec *spec, const struct backend_rt *be,
		       struct snapshot_backend *out)
{
	const struct target_rt *t = engine_worst_target(e, be);
	struct latency latency;
	const struct health *h = t ? prober_health(e->prober, t->t.id, &out->next_probe_ms) : NULL;

	out->active = be->adm.active;
	out->probe_type = t ? spec->type : PROBE_NONE;
	if (!h)
		return;
	out->probe_addr = t->t.addr;
	out->probe_port = t->t.port;
	out->probe_via = t->way.forward ? PROBE_VIA_VIP : PROBE_VIA_BACKEND;
	out->rise = spec->rise;
	out->fall = spec->fall;
	out->streak = h->streak;
	out->last_probe = h->last;
	engine_explain_result(e, &out->addr, be, &out->last_probe);
	latency = prober_latency(e->prober, t->t.id);
	out->latencies = latency.n;
	out->latency_p50_us = latency.p50_us;
	out->latency_p99_us = latency.p99_us;
	out->checks = h->checks;
	out->failures = h->failures;
}

/* CLOCK_MONOTONIC -> CLOCK_REALTIME; 0 stays "never". */
static __u64 to_real(__u64 mono_ns)
{
	return mono_ns ? engine_now_real() + mono_ns - engine_now() : 0;
}

static void view_backend(const struct engine *e, const struct state_backend *b, const struct backend_rt *be,
			 const struct probe_spec *spec, const struct counters *c, struct snapshot_backend *out)
{
	memcpy(out->name, b->name, sizeof(out->name));
	out->addr = b->addr;
	out->bidx = b->bidx;
	out->weight = b->weight;
	out->weight_override = be->weight_override;
	out->forward = b->forward;
	out->state = be->adm.state;
	out->admin = be->adm.admin;
	out->admission = be->admission;
	out->own_slots = be->own_slots;
	out->slots = be->slots;
	out->generation = e->gen[b->bidx];
	out->since_ns = be->since_real_ns;
	out->next_ns = to_real(be->adm.next_ns);
	snprintf(out->reason, sizeof(out->reason), "%s",
		 b->retired ? "removed from the configuration; its last flows go on" : be->adm.reason);
	out->nexthop_ok = be->nexthop_ok;
	out->retired = b->retired;
	out->packets = c->backends[b->bidx].packets;
	out->bytes = c->backends[b->bidx].bytes;
	view_nexthop(e, b, out);
	if (be->way_error[0])
		snprintf(out->nexthop, sizeof(out->nexthop), "%.*s", (int)sizeof(out->nexthop) - 1, be->way_error);
	view_probe(e, spec, be, out);
}

static int view_service(const struct engine *e, unsigned int i, const struct counters *c, struct snapshot_service *out)
{
	const struct state_service *s = &e->state->services[i];
	const struct service_rt *rt = &e->rt[i];

	memcpy(out->name, s->name, sizeof(out->name));
	memcpy(out->vips, s->vips, sizeof(out->vips));
	out->n_vips = s->n_vips;
	out->sid = s->sid;
	out->port = s->port;
	out->protocol = s->protocol;
	out->forward = rt->cfg->forward;
	out->udp = rt->cfg->udp;
	out->m = s->m;
	out->digest = rt->digest;
	out->slots = rt->counts;
	out->overlay_us = rt->overlay_us;
	out->write_us = rt->write_us;
	out->panic = rt->pool.panic;
	out->mass_failure = rt->pool.mass_failure;
	out->grace_s = s->grace_s;
	out->flows = e->flows[s->sid];
	memcpy(out->steer, c->steer[s->sid].n, sizeof(out->steer));
	out->backends = calloc(s->n_backends ? s->n_backends : 1, sizeof(*out->backends));
	if (!out->backends)
		return -ENOMEM;
	for (unsigned int k = 0; k < s->n_backends; k++) {
		struct snapshot_backend *b = &out->backends[out->n_backends++];

		view_backend(e, &s->backends[k], &rt->be[k], &rt->cfg->probe, c, b);
		out->packets += b->packets;
		out->bytes += b->bytes;
	}
	return 0;
}

static int read_counters(struct engine *e, struct counters *c, struct snapshot *out)
{
	unsigned int nb = e->maps->sizes.backends, ns = e->maps->sizes.services;
	int r;

	c->backends = calloc(nb, sizeof(*c->backends));
	c->steer = calloc(ns, sizeof(*c->steer));
	if (!c->backends || !c->steer)
		return -ENOMEM;
	r = dataplane_read_backend_stats(e->dp, c->backends, nb);
	if (r == 0)
		r = dataplane_read_steer_stats(e->dp, c->steer, ns);
	return r ? r : dataplane_read_outcomes(e->dp, out->outcomes, LB_OUTCOME_MAX);
}

static void view_host(struct engine *e, struct snapshot *out)
{
	const struct config_dataplane *d = &e->config->dataplane;
	struct utsname u;

	snprintf(out->version, sizeof(out->version), "%s", LBD_VERSION);
	snprintf(out->config_file, sizeof(out->config_file), "%s", e->config_path);
	snprintf(out->pin_dir, sizeof(out->pin_dir), "%s", d->pin_dir);
	if (uname(&u) == 0)
		snprintf(out->kernel, sizeof(out->kernel), "%.*s", (int)sizeof(out->kernel) - 1, u.release);
	out->reloads = e->reloads;
	out->reload_failures = e->reload_failures;
	memcpy(out->reload_error, e->reload_error, sizeof(out->reload_error));
	out->started_ns = e->started_ns;
	out->loaded_ns = e->loaded_ns;
	out->now_ns = engine_now_real();
	out->map_bytes = dataplane_map_bytes(e->dp);
	out->n_interfaces = d->n_interfaces;
	for (unsigned int i = 0; i < d->n_interfaces; i++) {
		const char *mode = "none";
		struct err err = { 0 };

		(void)dataplane_check(e->dp, d->interfaces[i], &mode, &err);
		snprintf(out->interfaces[i].name, sizeof(out->interfaces[i].name), "%s", d->interfaces[i]);
		snprintf(out->interfaces[i].mode, sizeof(out->interfaces[i].mode), "%s", mode);
		out->interfaces[i].attached = strcmp(mode, "none") != 0;
	}
}

int engine_snapshot(struct engine *e, struct snapshot *out, struct err *err)
{
	_cleanup_(counters_done) struct counters c = { 0 };
	struct snapshot s = { 0 };
	int r = 0;

	view_host(e, &s);
	if (e->ready) {
		r = read_counters(e, &c, &s);
		s.services = calloc(e->state->n_services ? e->state->n_services : 1, sizeof(*s.services));
		if (!s.services)
			r = -ENOMEM;
	}
	for (unsigned int i = 0; e->ready && r == 0 && i < e->state->n_services; i++) {
		s.n_services++;
		r = view_service(e, i, &c, &s.services[i]);
	}
	if (r < 0) {
		snapshot_done(&s);
		return err_set(err, r, "the counters could not be read: %s", strerror(-r));
	}
	*out = s;
	return 0;
}
