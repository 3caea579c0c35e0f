// SPDX-License-Identifier: Apache-2.0
/* state.c - see state.h. Ids are handed out lowest first, so that a small configuration stays in small maps. */
#include "core/state.h"

#include "core/cleanup.h"
#include "core/maglev.h"
#include "lb/hash.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static int service_by_name(const void *key, const void *elem)
{
	return strcmp(key, ((const struct state_service *)elem)->name);
}

struct state_service *state_find_service(const struct state *s, const char *name)
{
	if (!s || !s->n_services)
		return NULL;
	return bsearch(name, s->services, s->n_services, sizeof(*s->services), service_by_name);
}

static int backend_by_addr(const void *key, const void *elem)
{
	return addr_cmp(key, &((const struct state_backend *)elem)->addr);
}

struct state_backend *state_find_backend(const struct state_service *s, const struct lb_addr *addr)
{
	if (!s || !s->n_backends)
		return NULL;
	return bsearch(addr, s->backends, s->n_backends, sizeof(*s->backends), backend_by_addr);
}

struct state_backend *state_find_backend_named(const struct state_service *s, const char *name)
{
	struct lb_addr addr;

	for (unsigned int i = 0; i < s->n_backends; i++)
		if (!strcmp(s->backends[i].name, name))
			return &s->backends[i];
	return addr_parse(name, &addr) == 0 ? state_find_backend(s, &addr) : NULL;
}

__u64 state_service_val(const struct state_service *s)
{
	return LB_SVC_VAL(s->sid, s->flags, s->m, s->line);
}

void state_free(struct state *s)
{
	if (!s)
		return;
	for (unsigned int i = 0; i < s->n_services; i++)
		free(s->services[i].backends);
	free(s->services);
	free(s);
}

struct state *state_copy(const struct state *s)
{
	_cleanup_(state_freep) struct state *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->services = calloc(s->n_services ? s->n_services : 1, sizeof(*c->services));
	if (!c->services)
		return NULL;
	for (unsigned int i = 0; i < s->n_services; i++, c->n_services++) {
		const struct state_service *from = &s->services[i];
		struct state_service *to = &c->services[i];

		*to = *from;
		to->backends = calloc(from->n_backends ? from->n_backends : 1, sizeof(*to->backends));
		if (!to->backends) {
			to->n_backends = 0;
			c->n_services++;
			return NULL;
		}
		memcpy(to->backends, from->backends, from->n_backends * sizeof(*to->backends));
	}
	return take_ptr(c);
}

/* ---- table sizes -------------------------------------------------------------------------------------------- */

static __u32 service_m(const struct config_service *c, const struct state_service *old)
{
	_cleanup_free_ struct maglev_backend *b = NULL;

	if (c->table_size)
		return c->table_size;
	if (old)
		return old->m;
	b = calloc(c->n_backends ? c->n_backends : 1, sizeof(*b));
	if (!b)
		return 0;
	for (unsigned int i = 0; i < c->n_backends; i++) {
		b[i].addr = c->backends[i].addr;
		b[i].weight = c->backends[i].weight;
	}
	return maglev_m_by_rule(b, c->n_backends);
}

void state_need(const struct config *cfg, struct state_capacity *need)
{
	*need = (struct state_capacity){ .backends = 1, .services = cfg->n_services + 1 };
	for (unsigned int i = 0; i < cfg->n_services; i++) {
		need->slot_lines += state_lines_for(service_m(&cfg->services[i], NULL));
		need->backends += cfg->services[i].n_backends;
	}
}

/* ---- ids: bitmaps of what the old state and the new one hold ------------------------------------------------- */

struct ids {
	__u8 sid[LB_SID_MAX + 1];
	__u8 bidx[LB_BIDX_MAX + 1];
	__u32 next_sid, next_bidx; /* lowest that may be free */
	struct range {
		__u32 from, to; /* [from, to) of slot lines */
	} *lines;
	unsigned int n_lines;
};

static void ids_free(struct ids **ids)
{
	if (*ids)
		free((*ids)->lines);
	free(*ids);
}

static int range_cmp(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static struct ids *ids_of(const struct state *old, unsigned int more)
{
	_cleanup_(ids_free) struct ids *ids = calloc(1, sizeof(*ids));
	unsigned int n = old ? old->n_services : 0;

	if (!ids)
		return NULL;
	ids->lines = calloc(n + more + 1, sizeof(*ids->lines));
	if (!ids->lines)
		return NULL;
	ids->next_sid = ids->next_bidx = 1; /* 0 means none */
	for (unsigned int i = 0; i < n; i++) {
		const struct state_service *s = &old->services[i];

		ids->sid[s->sid] = 1;
		ids->lines[ids->n_lines++] = (struct range){ s->line, s->line + state_lines_for(s->m) };
		for (unsigned int k = 0; k < s->n_backends; k++)
			ids->bidx[s->backends[k].bidx] = 1;
	}
	qsort(ids->lines, ids->n_lines, sizeof(*ids->lines), range_cmp);
	return take_ptr(ids);
}

static __u32 take_id(__u8 *used, __u32 *next, __u32 end)
{
	for (; *next < end; (*next)++) {
		if (!used[*next]) {
			used[*next] = 1;
			return (*next)++;
		}
	}
	return 0;
}

/* First fit; @ids->lines is sorted and stays so. */
static int take_lines(struct ids *ids, __u32 count, __u32 end, __u32 *line)
{
	__u32 at = 0;
	unsigned int i;

	for (i = 0; i < ids->n_lines && ids->lines[i].from < at + count; i++)
		at = ids->lines[i].to;
	if (count > end || at > end - count)
		return -ENOSPC;
	memmove(&ids->lines[i + 1], &ids->lines[i], (ids->n_lines - i) * sizeof(*ids->lines));
	ids->lines[i] = (struct range){ at, at + count };
	ids->n_lines++;
	*line = at;
	return 0;
}

/* ---- building ----------------------------------------------------------------------------------------------- */

static __u8 service_flags(const struct config_service *c)
{
	__u8 flags = 0;

	if (c->protocol == IPPROTO_UDP && c->udp == CONFIG_UDP_TRACK)
		flags |= LB_SVC_UDP_TRACK;
	if (c->hash == CONFIG_HASH_SOURCE)
		flags |= LB_SVC_HASH_SRC;
	if (c->n_acl)
		flags |= LB_SVC_ACL;
	if (c->new_flow_limit || c->source_limit)
		flags |= LB_SVC_LIMIT;
	return flags;
}

static __u64 acl_digest(const struct config_service *c)
{
	__u64 h = c->n_acl;

	for (unsigned int i = 0; i < c->n_acl; i++) {
		const struct config_prefix *p = &c->acl[i];
		__u64 w[2];

		memcpy(w, p->addr.b, sizeof(w));
		h = lb_splitmix64(h ^ w[0]);
		h = lb_splitmix64(h ^ w[1]);
		h = lb_splitmix64(h ^ ((__u64)p->bits << 2 | (__u64)p->v6 << 1 | p->deny));
	}
	return c->n_acl ? h | 1 : 0;
}

static int no_room(struct err *err, const char *service, const char *what, __u32 have)
{
	err_set(err, -ENOSPC, "service %s: no room for another %s (the data plane was loaded for %u)", service, what, have);
	err_hint(err, "raise dataplane.max-slots or restart lbd, which sizes the maps for the new configuration");
	return -ENOSPC;
}

static int build_backends(const struct config_service *c, const struct state_service *old, struct ids *ids,
			  const struct state_capacity *cap, struct state_service *s, struct err *err)
{
	unsigned int max = c->n_backends + (old ? old->n_backends : 0), i = 0, k = 0;

	s->backends = calloc(max ? max : 1, sizeof(*s->backends));
	if (!s->backends)
		return err_set(err, -ENOMEM, "out of memory");
	/* Merge two lists sorted by address: what only the old one has is retired. */
	while (i < c->n_backends || (old && k < old->n_backends)) {
		const struct config_backend *cb = i < c->n_backends ? &c->backends[i] : NULL;
		const struct state_backend *ob = old && k < old->n_backends ? &old->backends[k] : NULL;
		int d = !ob ? -1 : !cb ? 1 : addr_cmp(&cb->addr, &ob->addr);
		struct state_backend *b = &s->backends[s->n_backends++];

		if (d > 0) {
			*b = *ob;
			b->retired = true;
			b->weight = 0;
			k++;
			continue;
		}
		memcpy(b->name, cb->name, sizeof(b->name));
		b->addr = cb->addr;
		b->weight = cb->weight;
		b->forward = cb->forward;
		b->bidx = (__u16)(d == 0 ? ob->bidx : take_id(ids->bidx, &ids->next_bidx, cap->backends));
		if (!b->bidx)
			return no_room(err, c->name, "backend", cap->backends - 1);
		i++;
		k += d == 0;
	}
	return 0;
}

static int build_service(const struct config_service *c, const struct state_service *old, struct ids *ids,
			 const struct state_capacity *cap, struct state_service *s, struct err *err)
{
	memcpy(s->name, c->name, sizeof(s->name));
	memcpy(s->vips, c->vips, sizeof(s->vips));
	s->n_vips = c->n_vips;
	s->port = c->port;
	s->protocol = c->protocol;
	s->flags = service_flags(c);
	s->grace_s = c->grace_s;
	s->udp_idle_s = c->udp_idle_s;
	s->new_flow_limit = c->new_flow_limit;
	s->source_limit = c->source_limit;
	s->acl_digest = acl_digest(c);
	/* An entry must outlive the grace: a flow that speaks once per grace time is never forgotten. */
	s->flow_idle_s = c->grace_s;
	s->m = service_m(c, old);
	if (!s->m)
		return err_set(err, -ENOMEM, "out of memory");
	s->sid = (__u16)(old ? old->sid : take_id(ids->sid, &ids->next_sid, cap->services));
	if (!s->sid)
		return no_room(err, c->name, "service", cap->services - 1);
	if (old && old->m == s->m)
		s->line = old->line;
	else if (take_lines(ids, state_lines_for(s->m), cap->slot_lines, &s->line) < 0)
		return no_room(err, c->name, "table; slots", cap->slot_lines * LB_SLOTS_PER_LINE);
	return build_backends(c, old, ids, cap, s, err);
}

int state_build(const struct config *cfg, const struct state *old, const struct state_capacity *cap, struct state **out,
		struct err *err)
{
	_cleanup_(state_freep) struct state *s = calloc(1, sizeof(*s));
	_cleanup_(ids_free) struct ids *ids = ids_of(old, cfg->n_services);

	if (!s || !ids)
		return err_set(err, -ENOMEM, "out of memory");
	s->services = calloc(cfg->n_services ? cfg->n_services : 1, sizeof(*s->services));
	if (!s->services)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < cfg->n_services; i++) {
		const struct config_service *c = &cfg->services[i];
		int r;

		s->n_services++;
		r = build_service(c, state_find_service(old, c->name), ids, cap, &s->services[i], err);
		if (r < 0)
			return r;
	}
	*out = take_ptr(s);
	return 0;
}
