// SPDX-License-Identifier: Apache-2.0
/*
 * engine_explain.c - where would this packet go, and why: the tables are looked up as the program does, and the program
 * itself runs on the packet (a second instance, so that nothing is sent, counted or remembered).
 */
#include "engine_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static const struct state_service *service_of(const struct engine *e, __u32 sid, unsigned int *index)
{
	for (unsigned int i = 0; i < e->state->n_services; i++)
		if (e->state->services[i].sid == sid) {
			*index = i;
			return &e->state->services[i];
		}
	return NULL;
}

static void fill_backend(const struct engine *e, unsigned int service, __u16 bidx, struct explain_backend *out)
{
	const struct state_service *s = &e->state->services[service];
	char hop[NEXTHOP_STRLEN];

	*out = (struct explain_backend){ 0 };
	for (unsigned int k = 0; bidx && k < s->n_backends; k++) {
		const struct state_backend *b = &s->backends[k];
		const struct nexthop *nh;

		if (b->bidx != bidx)
			continue;
		nh = nexthops_get(e->nexthops, &b->addr);
		out->bidx = bidx;
		memcpy(out->name, b->name, sizeof(out->name));
		out->addr = b->addr;
		out->state = e->rt[service].be[k].adm.state;
		out->retired = b->retired;
		out->mtu = engine_line(e, bidx)->mtu;
		snprintf(out->nexthop, sizeof(out->nexthop), "%s", nh ? nexthop_format(nh, hop) : "not looked up yet");
	}
}

/* "80/tcp, 53/udp": what the VIP does serve. */
static void list_ports(const struct engine *e, const struct lb_addr *vip, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *s = &e->state->services[i];

		for (unsigned int k = 0; k < s->n_vips && used + 16 < size; k++)
			if (!addr_cmp(&s->vips[k], vip))
				used += (size_t)snprintf(buf + used, size - used, "%s%u/%s", used ? ", " : "", s->port,
							 s->protocol == IPPROTO_UDP ? "udp" : "tcp");
	}
}

static int look_at_slot(struct engine *e, const struct state_service *s, unsigned int i, struct explain *x,
			struct err *err)
{
	__u32 line = s->line + x->slot / LB_SLOTS_PER_LINE, word, now_s;
	int r = dataplane_need_lines(e->dp, line, 1);
	__u64 side;

	if (r < 0)
		return err_set(err, r, "the slot can not be read: %s", strerror(-r));
	word = e->maps->slots[line].s[x->slot % LB_SLOTS_PER_LINE];
	fill_backend(e, i, (__u16)LB_SLOT_BIDX(word), &x->current);
	if (!(word & LB_SLOT_TRANSITION))
		return 0;
	side = e->maps->slot_x[(size_t)s->line * LB_SLOTS_PER_LINE + x->slot].a;
	now_s = dataplane_clock_ds(e->dp) / 10;
	x->phase = LB_SLOTX_PHASE(side) == LB_PHASE_P1 ? LB_PHASE_P1 : LB_PHASE_P2;
	x->since_s = (now_s - LB_SLOTX_SINCE_S(side)) & 0xffffff;
	fill_backend(e, i, (__u16)LB_SLOTX_ALT(side), &x->alt);
	x->alt.gen_valid = x->alt.bidx && e->gen[x->alt.bidx] == LB_SLOTX_ALT_GEN(side);
	return 0;
}

static int look_up(struct engine *e, struct explain *x, unsigned int *index, struct err *err)
{
	const struct state_service *s;
	__u64 val, unused, slot_hash;

	if (svcmap_get(&e->svcmap, &x->q.dst, x->q.dport, x->q.protocol, &val) < 0) {
		x->found = svcmap_get(&e->svcmap, &x->q.dst, 0, 0, &unused) < 0 ? EXPLAIN_NO_VIP : EXPLAIN_NO_PORT;
		list_ports(e, &x->q.dst, x->other_ports, sizeof(x->other_ports));
		return 0;
	}
	s = service_of(e, LB_SVC_SID(val), index);
	if (!s)
		return err_set(err, -EIO, "the service table names an id (%u) that is nobody's", LB_SVC_SID(val));
	x->found = EXPLAIN_SERVICE;
	memcpy(x->service, s->name, sizeof(x->service));
	x->panic = e->rt[*index].pool.panic;
	x->source_affinity = LB_SVC_FLAGS(val) & LB_SVC_HASH_SRC;
	x->grace_s = s->protocol == IPPROTO_UDP ? s->udp_idle_s : s->grace_s;
	x->hash = explain_hash(&x->q, e->maps->meta->seed, LB_SVC_FLAGS(val), &slot_hash);
	x->m = LB_SVC_M(val);
	x->slot = lb_hash_slot(slot_hash, x->m);
	return look_at_slot(e, s, *index, x, err);
}

/* Whom the packet was meant for. One that was not sent moved no backend's counter: then the rule that applied tells. */
static __u16 chosen_by(const struct explain *x, const struct dataplane_trace *t)
{
	if (t->bidx)
		return t->bidx;
	if (t->steer.n[LB_STEER_HIT] || t->steer.n[LB_STEER_MISS_NEW])
		return 0; /* a memory decided, and it does not say whose it is */
	return t->steer.n[LB_STEER_MISS_ALT] ? x->alt.bidx : x->current.bidx;
}

static int run(struct engine *e, struct explain *x, unsigned int service, struct err *err)
{
	_cleanup_free_ __u8 *in = malloc(EXPLAIN_FRAME_MAX), *out = malloc(EXPLAIN_FRAME_MAX);
	__u32 len, size = EXPLAIN_FRAME_MAX;
	struct dataplane_trace t;
	int r;

	if (!in || !out)
		return err_set(err, -ENOMEM, "out of memory");
	len = explain_build(&x->q, in);
	r = dataplane_trace(e->dp, in, len, out, &size, &t, err);
	if (r < 0)
		return r;
	x->verdict = t.verdict;
	x->outcome = t.outcome;
	x->in_transition = t.in_transition;
	memcpy(x->steer, t.steer.n, sizeof(x->steer));
	x->has_frame = true;
	explain_decode(out, size, in, len, &x->frame);
	if (x->found == EXPLAIN_SERVICE)
		fill_backend(e, service, chosen_by(x, &t), &x->chosen);
	return 0;
}

static void look_at_interfaces(struct engine *e, struct explain *x)
{
	const struct config_dataplane *d = &e->config->dataplane;

	x->n_interfaces = d->n_interfaces;
	for (unsigned int i = 0; i < d->n_interfaces; i++) {
		const char *mode = "none";
		struct err err = { 0 };

		(void)dataplane_check(e->dp, d->interfaces[i], &mode, &err);
		if (strcmp(mode, "none"))
			x->n_attached++;
		else
			memcpy(x->unattached, d->interfaces[i], sizeof(x->unattached));
	}
}

int engine_explain(struct engine *e, const struct explain_query *q, struct explain *out, struct err *err)
{
	unsigned int service = 0;
	int r = engine_ready(e, err);

	*out = (struct explain){ .q = *q, .outcome = -1 };
	if (r == 0)
		r = look_up(e, out, &service, err);
	if (r == 0)
		r = run(e, out, service, err);
	if (r == 0)
		look_at_interfaces(e, out);
	return r;
}
