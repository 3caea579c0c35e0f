// SPDX-License-Identifier: Apache-2.0
/*
 * engine_nexthop.c - from the kernel's routes and neighbours to backend lines.
 *
 * A backend without a resolved next hop serves nothing (its admission is taken as 0) and says so.
 */
#include "engine_int.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

int engine_sync_nexthops(struct engine *e, const struct state *s, struct err *err)
{
	_cleanup_free_ struct lb_addr *list = NULL;
	unsigned int n = 0, kept = 0;

	for (unsigned int i = 0; i < s->n_services; i++)
		n += s->services[i].n_backends + 2;
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return err_set(err, -ENOMEM, "out of memory");
	n = 0;
	for (unsigned int i = 0; i < s->n_services; i++)
		for (unsigned int k = 0; k < s->services[i].n_backends; k++)
			list[n++] = s->services[i].backends[k].addr;
	n += engine_probed_vips(s, e->config, list + n);
	qsort(list, n, sizeof(*list), addr_order);
	for (unsigned int i = 0; i < n; i++)
		if (i == 0 || addr_cmp(&list[i - 1], &list[i]))
			list[kept++] = list[i];
	return nexthops_watch(e->nexthops, list, kept, err);
}

/* XDP_TX sends back where the packet came from: right only when that is the one interface there is. */
static bool leaves_where_it_came(const struct engine *e, const struct nexthop *nh)
{
	const struct config_dataplane *d = &e->config->dataplane;

	return d->n_interfaces == 1 && !strcmp(d->interfaces[0], nh->ifname);
}

static enum lb_encap encap_of(enum lb_forward forward, const struct lb_addr *backend, const struct nexthop *nh)
{
	bool v4 = addr_is_v4(backend);

	if (forward == LB_FORWARD_LOCAL || (nh && nh->ok && nh->local))
		return LB_ENCAP_LOCAL;
	if (!nh || !nh->ok)
		return LB_ENCAP_NONE;
	switch (forward) {
	case LB_FORWARD_L2:
		return LB_ENCAP_L2;
	case LB_FORWARD_GUE:
		return v4 ? LB_ENCAP_GUE4 : LB_ENCAP_GUE6;
	default:
		return v4 ? LB_ENCAP_IP4 : LB_ENCAP_IP6;
	}
}

static void set_source(const struct engine *e, const struct lb_addr *backend, const struct nexthop *nh, __u8 src[16])
{
	const struct config_dataplane *d = &e->config->dataplane;
	bool v4 = addr_is_v4(backend);
	const struct lb_addr *from = v4 && d->has_source4 ? &d->source4 : !v4 && d->has_source6 ? &d->source6 : &nh->source;

	memcpy(src, from->b, 16);
}

static bool is_zero_source(const struct lb_backend_spec *spec, const struct lb_addr *backend)
{
	static const __u8 zero[16];
	int skip = addr_is_v4(backend) ? 12 : 0;

	return !memcmp(spec->src + skip, zero + skip, sizeof(zero) - (size_t)skip);
}

/* Fill @spec from the next hop; false, and @err, when the way out can not be used. */
static bool set_way_out(struct engine *e, const struct lb_addr *backend, const struct nexthop *nh,
			struct lb_backend_spec *spec, struct err *err)
{

	memcpy(spec->dst_mac, nh->dst_mac, sizeof(spec->dst_mac));
	memcpy(spec->src_mac, nh->src_mac, sizeof(spec->src_mac));
	memcpy(spec->dst, backend->b, sizeof(spec->dst));
	set_source(e, backend, nh, spec->src);
	spec->has_vlan = nh->has_vlan;
	spec->vlan_tci = nh->vlan_id;
	spec->link_mtu = (__u16)(nh->mtu > 0xffff ? 0xffff : nh->mtu);
	if (spec->encap != LB_ENCAP_L2 && is_zero_source(spec, backend)) {
		err_set(err, -EADDRNOTAVAIL, "%s has no address to send from: set dataplane.source", nh->ifname);
		return false;
	}
	if (leaves_where_it_came(e, nh))
		return true;
	if (dataplane_tx_port(e->dp, nh->ifindex, &spec->tx_port, err) < 0)
		return false;
	if (e->path && spec->tx_port)
		(void)probe_path_set_port(e->path, spec->tx_port, nh->ifindex);
	return true;
}

/* Bring a line into force; what packets may be reading is changed by way of its spare (include/lb/backend.h). */
static void put_line(struct engine *e, __u16 bidx, const struct lb_backend *want)
{
	struct lb_backend *line = &e->maps->backends[bidx], *spare = &e->maps->backend_spares[bidx];

	if (line->encap == LB_ENCAP_MOVED)
		engine_settle_lines(e);
	/* A spare that was in use a moment ago may still be read. */
	if (e->spares_in_use && line->encap != LB_ENCAP_NONE && !lb_backend_same_words(line, want)) {
		(void)dataplane_quiesce(e->dp);
		e->spares_in_use = false;
	}
	if (lb_backend_put(line, spare, want) == LB_PUT_MOVED) {
		e->moved[e->n_moved++] = bidx;
		(void)sd_event_source_set_enabled(e->flush, SD_EVENT_ONESHOT);
	}
}

void engine_settle_lines(struct engine *e)
{
	if (!e->n_moved)
		return;
	(void)dataplane_quiesce(e->dp);
	for (unsigned int i = 0; i < e->n_moved; i++)
		lb_backend_settle(&e->maps->backends[e->moved[i]], &e->maps->backend_spares[e->moved[i]]);
	e->n_moved = 0;
	e->spares_in_use = true;
}

void engine_put_unused(struct engine *e, __u16 bidx)
{
	struct lb_backend none = { .encap = LB_ENCAP_NONE, .gen = e->gen[bidx] };

	put_line(e, bidx, &none);
}

void engine_write_line(struct engine *e, unsigned int service, unsigned int backend)
{
	const struct state_service *s = &e->state->services[service];
	const struct state_backend *b = &s->backends[backend];
	const struct nexthop *nh = nexthops_get(e->nexthops, &b->addr);
	struct lb_backend_spec spec = {
		.encap = encap_of(b->forward, &b->addr, nh),
		.sid = s->sid,
		.gen = e->gen[b->bidx],
		.gue_port = e->rt[service].cfg->gue_port,
	};
	struct backend_rt *be = &e->rt[service].be[backend];
	struct lb_backend line;
	struct err err = { 0 };

	if (spec.encap != LB_ENCAP_NONE && spec.encap != LB_ENCAP_LOCAL && !set_way_out(e, &b->addr, nh, &spec, &err))
		spec.encap = LB_ENCAP_NONE;
	/* Said when it begins, not each time the line is looked at. */
	if (err_is_set(&err) && strcmp(be->way_error, err.msg))
		log_err(&err);
	snprintf(be->way_error, sizeof(be->way_error), "%.*s", (int)sizeof(be->way_error) - 1, err.msg);
	lb_backend_build(&line, &spec);
	be->nexthop_ok = spec.encap != LB_ENCAP_NONE;
	put_line(e, b->bidx, &line);
}

static void nexthop_event(struct engine *e, unsigned int service, unsigned int backend, const struct nexthop *nh)
{
	const struct state_service *s = &e->state->services[service];
	char gw[ADDR_STRLEN], words[160];

	if (nh->ok)
		snprintf(words, sizeof(words), "%s via %s", nh->ifname, nh->local ? "this host" : addr_format(&nh->gateway, gw));
	engine_event(e, nh->ok ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "nexthop", s, &s->backends[backend], NULL,
		     nh->ok ? "resolved" : "unresolved", nh->ok ? words : nh->why);
}

static bool is_known(const struct engine *e, const struct lb_addr *addr)
{
	const struct nexthop *nh = nexthops_get(e->nexthops, addr);

	return nh && nh->ok;
}

/*
 * Before the start: is there an answer for every backend of the pending state? Asked
 * after every answer, so it goes on where it stopped the last time: thousands of backends would else cost seconds.
 */
static bool backends_known(struct engine *e)
{
	for (; e->known_services < e->pending->n_services; e->known_services++, e->known_backends = 0) {
		const struct state_service *s = &e->pending->services[e->known_services];

		for (; e->known_backends < s->n_backends; e->known_backends++)
			if (!is_known(e, &s->backends[e->known_backends].addr))
				return false;
	}
	return true;
}

/* And for the VIPs that probes will go to? Then there is nothing to wait for. */
static bool all_known(struct engine *e)
{
	_cleanup_free_ struct lb_addr *vips = NULL;
	unsigned int n;

	if (!backends_known(e))
		return false;
	vips = calloc(2 * e->pending->n_services + 1, sizeof(*vips));
	n = vips ? engine_probed_vips(e->pending, e->config, vips) : 0;
	for (unsigned int i = 0; i < n; i++)
		if (!is_known(e, &vips[i]))
			return false;
	return true;
}

void engine_on_nexthop(const struct lb_addr *addr, const struct nexthop *nh, void *userdata)
{
	struct engine *e = userdata;
	struct err err = { 0 };

	if (!e->ready) {
		if (e->pending && all_known(e))
			(void)sd_event_source_set_time(e->start, 0);
		return;
	}
	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *s = &e->state->services[i];
		const struct state_backend *b = state_find_backend(s, addr);
		unsigned int k = b ? (unsigned int)(b - s->backends) : 0;
		bool before;

		if (!b)
			continue;
		before = e->rt[i].be[k].nexthop_ok;
		engine_write_line(e, i, k);
		if (before != e->rt[i].be[k].nexthop_ok) {
			nexthop_event(e, i, k, nh);
			engine_mark(e, i);
		}
	}
	if (engine_ways_changed(e, addr) && engine_sync_probes(e, &err) < 0)
		log_err(&err);
}

static bool is_configured(const struct engine *e, const char *ifname)
{
	for (unsigned int i = 0; i < e->config->dataplane.n_interfaces; i++)
		if (!strcmp(e->config->dataplane.interfaces[i], ifname))
			return true;
	return false;
}

/* A configured interface that went away and came back has lost its program. */
void engine_on_link(const char *ifname, unsigned int ifindex, bool up, void *userdata)
{
	struct engine *e = userdata;

	(void)ifindex;
	if (!e->ready || !up || !is_configured(e, ifname))
		return;
	engine_repair_attachment(e, ifname);
	engine_attach_path(e, ifname);
}
