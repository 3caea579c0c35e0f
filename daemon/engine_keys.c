// SPDX-License-Identifier: Apache-2.0
/* engine_keys.c - the service table under the engine's hand: one key, room for all, repair. */
#include "engine_int.h"

#include <errno.h>
#include <string.h>

int engine_set_key(struct engine *e, const struct plan_op *op)
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

void engine_remove_key(struct engine *e, const struct plan_op *op)
{
	(void)svcmap_remove(&e->svcmap, &op->vip, op->service->port, op->service->protocol);
	if (!vip_is_used(e->state, &op->vip))
		(void)svcmap_remove(&e->svcmap, &op->vip, 0, 0);
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
