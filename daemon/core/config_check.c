// SPDX-License-Identifier: Apache-2.0
/*
 * config_check.c - rules over several values: within a service, and over all services.
 *
 * Uniqueness is found by sorting, so that files at the limits are checked in no time. What is told is told at
 * the later of two places and names the earlier, whatever the order of the search.
 */
#include "core/config_private.h"
#include "core/maglev.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define check_error(c, mark, hint, ...) diags_add((c)->diags, DIAG_ERROR, mark, hint, __VA_ARGS__)

/* One thing that must be there once. Only the parts that make it unique are set; the rest is 0. */
struct claim {
	struct lb_addr addr;
	__u16 port;
	__u8 protocol;
	const char *name;  /* "" when names play no part */
	const char *owner; /* the service it belongs to */
	struct diag_mark mark;
};

static int claim_cmp_key(const struct claim *a, const struct claim *b)
{
	int r = addr_cmp(&a->addr, &b->addr);

	if (!r)
		r = a->port - b->port;
	if (!r)
		r = a->protocol - b->protocol;
	return r ? r : strcmp(a->name, b->name);
}

static int claim_cmp(const void *x, const void *y)
{
	const struct claim *a = x, *b = y;
	int r = claim_cmp_key(a, b);

	if (r)
		return r;
	if (a->mark.line != b->mark.line)
		return a->mark.line < b->mark.line ? -1 : 1;
	return a->mark.column < b->mark.column ? -1 : a->mark.column > b->mark.column;
}

typedef void (*claim_clash_fn)(struct cfg *c, const struct claim *first, const struct claim *again);

/* Sorts @v. */
static void find_clashes(struct cfg *c, struct claim *v, size_t n, claim_clash_fn clash)
{
	size_t first = 0;

	if (n)
		qsort(v, n, sizeof(*v), claim_cmp);
	for (size_t i = 1; i < n; i++) {
		if (claim_cmp_key(&v[first], &v[i]) == 0)
			clash(c, &v[first], &v[i]);
		else
			first = i;
	}
}

static struct claim *claims_new(struct cfg *c, size_t n)
{
	struct claim *v = calloc(n ? n : 1, sizeof(*v));

	if (!v)
		c->oom = true;
	return v;
}

/* ---- within a service ------------------------------------------------------------------------ */
static void clash_vip_in_service(struct cfg *c, const struct claim *first, const struct claim *again)
{
	char addr[ADDR_STRLEN];

	check_error(c, again->mark, "remove one of the two", "vip: %s is listed twice, first on line %u",
		    addr_format(&again->addr, addr), first->mark.line);
}

static void clash_backend_addr(struct cfg *c, const struct claim *first, const struct claim *again)
{
	char addr[ADDR_STRLEN];

	check_error(c, again->mark, "remove one of the two; use weight to give a backend more",
		    "address: %s is listed twice in this service, first on line %u",
		    addr_format(&again->addr, addr), first->mark.line);
}

static void clash_backend_name(struct cfg *c, const struct claim *first, const struct claim *again)
{
	check_error(c, again->mark, "rename one of the two", "name: '%s' is a backend's already, on line %u",
		    again->name, first->mark.line);
}

static void check_unique_vips(struct cfg *c, const struct cfg_service *s)
{
	struct claim v[CONFIG_VIPS_MAX];

	memset(v, 0, sizeof(v));
	for (unsigned int i = 0; i < s->s.n_vips; i++) {
		v[i].addr = s->s.vips[i];
		v[i].name = "";
		v[i].mark = s->vip_marks[i];
	}
	find_clashes(c, v, s->s.n_vips, clash_vip_in_service);
}

static void check_unique_backends(struct cfg *c, const struct cfg_service *s)
{
	struct claim *v = claims_new(c, s->n_backends);
	size_t n = 0;

	if (!v)
		return;
	for (unsigned int i = 0; i < s->n_backends; i++) {
		if (!s->backends[i].has_addr)
			continue;
		v[n].addr = s->backends[i].b.addr;
		v[n].name = "";
		v[n++].mark = s->backends[i].addr_mark;
	}
	find_clashes(c, v, n, clash_backend_addr);
	memset(v, 0, s->n_backends * sizeof(*v));
	n = 0;
	for (unsigned int i = 0; i < s->n_backends; i++) {
		struct lb_addr a;

		/* Two equal addresses have been told already; their default names are equal, too. */
		if (!s->backends[i].b.name[0] || !addr_parse(s->backends[i].b.name, &a))
			continue;
		v[n].name = s->backends[i].b.name;
		v[n++].mark = s->backends[i].name_mark;
	}
	find_clashes(c, v, n, clash_backend_name);
	free(v);
}

/* A name that reads as an address must be the backend's own: commands take either. */
static void check_names(struct cfg *c, const struct cfg_service *s)
{
	for (unsigned int i = 0; i < s->n_backends; i++) {
		const struct cfg_backend *b = &s->backends[i];
		struct lb_addr a;

		if (b->has_addr && !addr_parse(b->b.name, &a) && addr_cmp(&a, &b->b.addr) != 0)
			check_error(c, b->name_mark, "choose a name that is no address",
				    "name: '%s' is an address, but not this backend's", b->b.name);
	}
}

static const char *family(bool v4)
{
	return v4 ? "IPv4" : "IPv6";
}

/* L2 sends the client's packet as it is, only to another MAC: nothing can turn one family into the other. */
static void check_families(struct cfg *c, const struct cfg_service *s)
{
	for (unsigned int i = 0; i < s->n_backends; i++) {
		const struct cfg_backend *b = &s->backends[i];
		char addr[ADDR_STRLEN], vip[ADDR_STRLEN];

		if (!b->has_addr || b->b.forward != LB_FORWARD_L2)
			continue;
		for (unsigned int j = 0; j < s->s.n_vips; j++) {
			bool v4 = addr_is_v4(&s->s.vips[j]);

			if (v4 == addr_is_v4(&b->b.addr))
				continue;
			check_error(c, b->addr_mark,
				    "use forward: ipip or gue, or one service for each family",
				    "address: %s can not serve VIP %s by l2: one is %s, the other %s",
				    addr_format(&b->b.addr, addr), addr_format(&s->s.vips[j], vip),
				    family(!v4), family(v4));
			return; /* the same holds for every other backend of the family */
		}
	}
}

static void check_weights(struct cfg *c, const struct cfg_service *s)
{
	unsigned int weighty = 0;

	for (unsigned int i = 0; i < s->n_backends; i++)
		weighty += s->backends[i].b.weight != 0;
	if (s->whole && !weighty)
		check_error(c, s->backends_mark,
			    "give at least one a weight; 'lbctl drain' takes a backend out for a while",
			    "backends: every weight is 0, so nobody would serve");
	if (s->s.table_size && weighty > s->s.table_size)
		check_error(c, s->table_mark, "choose a larger table; 100 slots a backend are a good measure",
			    "table-size: %u slots are too few for %u backends", s->s.table_size, weighty);
}

void cfg_check_service(struct cfg *c, const struct cfg_service *s)
{
	check_unique_vips(c, s);
	check_unique_backends(c, s);
	check_names(c, s);
	check_families(c, s);
	check_weights(c, s);
}

/* ---- over all services ----------------------------------------------------------------------- */
static void clash_service_name(struct cfg *c, const struct claim *first, const struct claim *again)
{
	check_error(c, again->mark, "rename one of the two", "name: '%s' is a service's already, on line %u",
		    again->name, first->mark.line);
}

static void clash_vip(struct cfg *c, const struct claim *first, const struct claim *again)
{
	char addr[ADDR_STRLEN];

	if (first->owner == again->owner)
		return; /* told by clash_vip_in_service */
	check_error(c, again->mark, "a VIP, port and protocol lead to one service",
		    "vip: %s port %u/%s belongs to service '%s' already, on line %u",
		    addr_format(&again->addr, addr), again->port,
		    again->protocol == IPPROTO_UDP ? "udp" : "tcp", first->owner, first->mark.line);
}

static void check_service_names(struct cfg *c, const struct cfg_services *all)
{
	struct claim *v = claims_new(c, all->n);
	size_t n = 0;

	if (!v)
		return;
	for (unsigned int i = 0; i < all->n; i++) {
		if (!all->v[i].s.name[0])
			continue;
		v[n].name = all->v[i].s.name;
		v[n++].mark = all->v[i].name_mark;
	}
	find_clashes(c, v, n, clash_service_name);
	free(v);
}

/* All VIPs as claims; with @ports they are (VIP, port, protocol), else addresses alone. */
static struct claim *vip_claims(struct cfg *c, const struct cfg_services *all, bool ports, size_t *count)
{
	struct claim *v;
	size_t n = 0;

	for (unsigned int i = 0; i < all->n; i++)
		n += all->v[i].s.n_vips;
	v = claims_new(c, n);
	*count = n;
	if (!v)
		return NULL;
	n = 0;
	for (unsigned int i = 0; i < all->n; i++) {
		const struct cfg_service *s = &all->v[i];

		if (ports && (!s->s.port || !s->s.protocol))
			continue; /* they could not be read */
		for (unsigned int j = 0; j < s->s.n_vips; j++, n++) {
			v[n].addr = s->s.vips[j];
			v[n].port = ports ? s->s.port : 0;
			v[n].protocol = ports ? s->s.protocol : 0;
			v[n].name = "";
			v[n].owner = s->s.name;
			v[n].mark = s->vip_marks[j];
		}
	}
	*count = n;
	return v;
}

/* A packet for a backend that is itself a VIP would come back to the balancer. */
static void check_backends_are_no_vips(struct cfg *c, const struct cfg_services *all,
				       const struct claim *vips, size_t n)
{
	for (unsigned int i = 0; i < all->n; i++) {
		for (unsigned int j = 0; j < all->v[i].n_backends; j++) {
			const struct cfg_backend *b = &all->v[i].backends[j];
			size_t lo = 0, hi = n;
			char addr[ADDR_STRLEN];

			if (!b->has_addr)
				continue;
			while (lo < hi) {
				size_t mid = lo + (hi - lo) / 2;

				if (addr_cmp(&vips[mid].addr, &b->b.addr) < 0)
					lo = mid + 1;
				else
					hi = mid;
			}
			if (lo < n && addr_cmp(&vips[lo].addr, &b->b.addr) == 0)
				check_error(c, b->addr_mark, "give the backend's own address",
					    "address: %s is a VIP, on line %u", addr_format(&b->b.addr, addr),
					    vips[lo].mark.line);
		}
	}
}

static void check_vips(struct cfg *c, const struct cfg_services *all)
{
	size_t n, keys, addresses = 0;
	struct claim *v = vip_claims(c, all, true, &n);

	keys = n;
	if (!v)
		return;
	find_clashes(c, v, n, clash_vip);
	free(v);
	v = vip_claims(c, all, false, &n);
	if (!v)
		return;
	if (n)
		qsort(v, n, sizeof(*v), claim_cmp);
	for (size_t i = 0; i < n; i++)
		addresses += !i || addr_cmp(&v[i].addr, &v[i - 1].addr) != 0;
	if (keys + addresses > CONFIG_KEYS_MAX)
		check_error(c, all->mark, "every (VIP, port, protocol) and every VIP takes one",
			    "services: %zu look-up keys are too many, the limit is %u", keys + addresses,
			    CONFIG_KEYS_MAX);
	check_backends_are_no_vips(c, all, v, n);
	free(v);
}

/* Slots that the service's table takes, in whole lines. */
static __u64 slots_of(struct cfg *c, const struct cfg_service *s)
{
	struct maglev_backend *b;
	__u32 m = s->s.table_size;

	if (!m) {
		b = calloc(s->n_backends ? s->n_backends : 1, sizeof(*b));
		if (!b) {
			c->oom = true;
			return 0;
		}
		for (unsigned int i = 0; i < s->n_backends; i++) {
			b[i].addr = s->backends[i].b.addr;
			b[i].weight = s->backends[i].b.weight;
		}
		m = maglev_m_by_rule(b, s->n_backends);
		free(b);
	}
	return (m + LB_SLOTS_PER_LINE - 1ull) / LB_SLOTS_PER_LINE * LB_SLOTS_PER_LINE;
}

static void check_slots(struct cfg *c, const struct cfg_services *all, const struct config_dataplane *d)
{
	__u32 limit = d->max_slots ? d->max_slots : CONFIG_SLOTS_MAX;
	__u64 sum = 0;

	for (unsigned int i = 0; i < all->n; i++)
		sum += slots_of(c, &all->v[i]);
	if (sum <= limit)
		return;
	check_error(c, all->mark,
		    d->max_slots ? "raise max-slots, or choose smaller tables by table-size"
				 : "choose smaller tables by table-size",
		    "services: their tables take %llu slots, but %s %u", (unsigned long long)sum,
		    d->max_slots ? "dataplane.max-slots is" : "the limit is", limit);
}

void cfg_check_all(struct cfg *c, const struct cfg_services *all, const struct config *g)
{
	check_service_names(c, all);
	check_vips(c, all);
	if (all->n_backends > LB_BIDX_MAX)
		check_error(c, all->mark, "a server counts once for each service that it is in",
			    "services: %u backends in all are too many, the limit is %u", all->n_backends,
			    LB_BIDX_MAX);
	check_slots(c, all, &g->dataplane);
}
