// SPDX-License-Identifier: Apache-2.0
/*
 * engine_acl.c - source prefix lists in the map.
 *
 * New prefixes are written before the service's keys lead to them, those that left are removed when the whole plan is
 * done: in between the lists of before and after both hold, and the longest prefix decides. The map has room for both.
 */
#include "engine_int.h"

#include <errno.h>
#include <string.h>

static void key_of(const struct state_service *s, const struct config_prefix *p, struct lb_acl_key *key)
{
	*key = (struct lb_acl_key){ .prefixlen = LB_ACL_BITS(p->bits), .sid = p->v6 ? s->sid | LB_ACL_V6 : s->sid };
	memcpy(key->addr, p->addr.b, sizeof(key->addr));
}

/* An IPv4 prefix of length 0 has 96 bits: so this key is no prefix's. "::/0" is, and then says what holds. */
static void default_key(const struct state_service *s, bool v6, struct lb_acl_key *key)
{
	*key = (struct lb_acl_key){ .prefixlen = LB_ACL_BITS(0), .sid = v6 ? s->sid | LB_ACL_V6 : s->sid };
}

static bool has_allow_list(const struct config_service *c)
{
	for (unsigned int i = 0; i < c->n_acl; i++)
		if (!c->acl[i].deny)
			return true;
	return false;
}

static const struct config_service *config_of(const struct engine *e, const struct state_service *s)
{
	return e->rt[s - e->state->services].cfg;
}

int engine_write_acl(struct engine *e, const struct state_service *s)
{
	const struct config_service *c = config_of(e, s);
	struct lb_acl_key key;
	int r = 0;

	/* The allowed first: a default that denies must not catch them. */
	for (int deny = 0; deny < 2; deny++) {
		for (unsigned int i = 0; i < c->n_acl && r == 0; i++) {
			if (c->acl[i].deny != deny)
				continue;
			key_of(s, &c->acl[i], &key);
			r = dataplane_acl_set(e->dp, &key, deny ? LB_ACL_DENY : LB_ACL_ALLOW);
		}
	}
	for (int v6 = 0; v6 < 2 && r == 0 && has_allow_list(c); v6++) {
		bool given = false;

		for (unsigned int i = 0; i < c->n_acl; i++)
			given |= v6 && c->acl[i].v6 && !c->acl[i].bits;
		default_key(s, v6, &key);
		if (!given)
			r = dataplane_acl_set(e->dp, &key, LB_ACL_DENY);
	}
	return r;
}

/* ---- what nobody wants any more ---------------------------------------------------------------------------------- */

static int acl_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct lb_acl_key));
}

/* Every key that the services in force want, sorted. NULL when memory is short. */
static struct lb_acl_key *wanted_keys(const struct engine *e, size_t *count)
{
	struct lb_acl_key *keys;
	size_t n = 0;

	for (unsigned int i = 0; i < e->state->n_services; i++)
		n += e->rt[i].cfg->n_acl + 2;
	keys = calloc(n + 1, sizeof(*keys));
	n = 0;
	for (unsigned int i = 0; keys && i < e->state->n_services; i++) {
		const struct config_service *c = e->rt[i].cfg;

		for (unsigned int k = 0; k < c->n_acl; k++)
			key_of(&e->state->services[i], &c->acl[k], &keys[n++]);
		for (int v6 = 0; v6 < 2 && has_allow_list(c); v6++)
			default_key(&e->state->services[i], v6, &keys[n++]);
	}
	if (keys)
		qsort(keys, n, sizeof(*keys), acl_cmp);
	*count = n;
	return keys;
}

void engine_sweep_acl(struct engine *e)
{
	_cleanup_free_ struct lb_acl_key *wanted = NULL;
	struct lb_acl_key key, next;
	size_t n;
	int r = dataplane_acl_next(e->dp, NULL, &next);

	if (r < 0)
		return;
	wanted = wanted_keys(e, &n);
	while (wanted && r == 0) {
		key = next;
		r = dataplane_acl_next(e->dp, &key, &next);
		if (!bsearch(&key, wanted, n, sizeof(key), acl_cmp))
			(void)dataplane_acl_remove(e->dp, &key);
	}
}
