// SPDX-License-Identifier: Apache-2.0
/* plan.c - see plan.h. Each pass below is one layer of the order; the passes together are the plan. */
#include "core/plan.h"

#include "core/cleanup.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static int push(struct plan *p, struct plan_op op)
{
	if (p->n == p->size) {
		unsigned int size = p->size ? p->size * 2 : 64;
		struct plan_op *ops = reallocarray(p->ops, size, sizeof(*ops));

		if (!ops)
			return -ENOMEM;
		p->ops = ops;
		p->size = size;
	}
	p->ops[p->n++] = op;
	return 0;
}

void plan_done(struct plan *p)
{
	free(p->ops);
	*p = (struct plan){ 0 };
}

static bool backend_changed(const struct state_backend *a, const struct state_backend *b)
{
	return strcmp(a->name, b->name) || a->weight != b->weight || a->forward != b->forward || a->retired != b->retired;
}

static bool table_changed(const struct state_service *a, const struct state_service *b)
{
	if (a->n_backends != b->n_backends)
		return true;
	for (unsigned int i = 0; i < a->n_backends; i++)
		if (addr_cmp(&a->backends[i].addr, &b->backends[i].addr) || a->backends[i].weight != b->backends[i].weight)
			return true;
	return false;
}

static bool settings_changed(const struct state_service *a, const struct state_service *b)
{
	return state_service_val(a) != state_service_val(b) || a->grace_s != b->grace_s ||
	       a->flow_idle_s != b->flow_idle_s || a->udp_idle_s != b->udp_idle_s ||
	       a->new_flow_limit != b->new_flow_limit || a->source_limit != b->source_limit ||
	       a->acl_digest != b->acl_digest;
}

static int push_backends(struct plan *p, const struct state_service *old, const struct state_service *s)
{
	for (unsigned int i = 0; i < s->n_backends; i++) {
		const struct state_backend *b = &s->backends[i];
		const struct state_backend *o = old ? state_find_backend(old, &b->addr) : NULL;
		enum plan_op_kind kind = !o ? PLAN_BACKEND_ADD :
				 b->retired && !o->retired ? PLAN_BACKEND_RETIRE : PLAN_BACKEND_CHANGE;

		if (o && !backend_changed(o, b))
			continue;
		if (push(p, (struct plan_op){ .kind = kind, .service = s, .backend = b, .old_service = old,
					      .old_backend = o }) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int push_service(struct plan *p, const struct state_service *old, const struct state_service *s)
{
	struct plan_op op = { .service = s, .old_service = old };
	int r = 0;

	if (!old) {
		op.kind = PLAN_SERVICE_ADD;
		return push(p, op);
	}
	if (old->m != s->m) {
		op.kind = PLAN_TABLE_REPLACE;
		return push(p, op);
	}
	if (settings_changed(old, s)) {
		op.kind = PLAN_SERVICE_CHANGE;
		r = push(p, op);
	}
	if (r == 0 && table_changed(old, s)) {
		op.kind = PLAN_TABLE_UPDATE;
		r = push(p, op);
	}
	return r;
}

static bool has_key(const struct state_service *s, const struct lb_addr *vip, __u16 port, __u8 protocol)
{
	if (!s || s->port != port || s->protocol != protocol)
		return false;
	for (unsigned int i = 0; i < s->n_vips; i++)
		if (!addr_cmp(&s->vips[i], vip))
			return true;
	return false;
}

/* Which service of @st owns the key? Keys may move from one service to another in one reload. */
static const struct state_service *key_owner(const struct state *st, const struct lb_addr *vip, __u16 port, __u8 protocol)
{
	for (unsigned int i = 0; st && i < st->n_services; i++)
		if (has_key(&st->services[i], vip, port, protocol))
			return &st->services[i];
	return NULL;
}

static int push_keys(struct plan *p, const struct state *from, const struct state_service *s)
{
	for (unsigned int i = 0; i < s->n_vips; i++) {
		const struct state_service *owner = key_owner(from, &s->vips[i], s->port, s->protocol);
		struct plan_op op = { .kind = owner ? PLAN_KEY_CHANGE : PLAN_KEY_ADD, .service = s, .old_service = owner,
				      .vip = s->vips[i] };

		if (owner && state_service_val(owner) == state_service_val(s))
			continue;
		if (push(p, op) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int push_key_removals(struct plan *p, const struct state_service *old, const struct state *to, bool *any)
{
	for (unsigned int i = 0; i < old->n_vips; i++) {
		if (key_owner(to, &old->vips[i], old->port, old->protocol))
			continue;
		*any = true;
		if (push(p, (struct plan_op){ .kind = PLAN_KEY_REMOVE, .service = old, .old_service = old,
					      .vip = old->vips[i] }) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int push_removals(struct plan *p, const struct state *from, const struct state *to)
{
	bool any = false;

	/* The old lines of a replaced table may be written anew by the next plan. */
	for (unsigned int i = 0; i < p->n; i++)
		any |= p->ops[i].kind == PLAN_TABLE_REPLACE;
	for (unsigned int i = 0; i < from->n_services; i++) {
		int r = push_key_removals(p, &from->services[i], to, &any);

		if (r < 0)
			return r;
		any |= !state_find_service(to, from->services[i].name);
	}
	if (any && push(p, (struct plan_op){ .kind = PLAN_QUIESCE }) < 0)
		return -ENOMEM;
	for (unsigned int i = 0; i < from->n_services; i++) {
		const struct state_service *old = &from->services[i];

		if (state_find_service(to, old->name))
			continue;
		if (push(p, (struct plan_op){ .kind = PLAN_SERVICE_REMOVE, .service = old, .old_service = old }) < 0)
			return -ENOMEM;
	}
	return 0;
}

typedef int (*push_fn)(struct plan *p, const struct state_service *old, const struct state_service *s);

static int for_each_service(struct plan *p, const struct state *from, const struct state *to, push_fn fn)
{
	for (unsigned int i = 0; i < to->n_services; i++) {
		const struct state_service *s = &to->services[i];
		int r = fn(p, state_find_service(from, s->name), s);

		if (r < 0)
			return r;
	}
	return 0;
}

int plan_build(const struct state *from, const struct state *to, struct plan *out)
{
	struct plan p = { 0 };
	int r = for_each_service(&p, from, to, push_backends);

	if (r == 0)
		r = for_each_service(&p, from, to, push_service);
	for (unsigned int i = 0; r == 0 && i < to->n_services; i++)
		r = push_keys(&p, from, &to->services[i]);
	if (r == 0 && from)
		r = push_removals(&p, from, to);
	if (r < 0) {
		plan_done(&p);
		return r;
	}
	*out = p;
	return 0;
}

static const char *const op_names[] = {
#define X(id, name) [PLAN_##id] = name,
	PLAN_OPS(X)
#undef X
};
_Static_assert(ARRAY_SIZE(op_names) == PLAN_OP_MAX, "a name for every operation");

static void format_backend(const struct plan_op *op, char *buf, size_t size)
{
	const struct state_backend *b = op->backend, *o = op->old_backend;
	char addr[ADDR_STRLEN];
	int n = snprintf(buf, size, "%s %s %s [%u]", op_names[op->kind], op->service->name, addr_format(&b->addr, addr),
			 b->bidx);

	if (n < 0 || (size_t)n >= size)
		return;
	if (op->kind == PLAN_BACKEND_ADD)
		snprintf(buf + n, size - (size_t)n, " weight %u", b->weight);
	else if (op->kind == PLAN_BACKEND_CHANGE && o->weight != b->weight)
		snprintf(buf + n, size - (size_t)n, " weight %u -> %u", o->weight, b->weight);
}

const char *plan_op_format(const struct plan_op *op, char *buf, size_t size)
{
	const struct state_service *s = op->service;
	char addr[ADDR_STRLEN];

	switch (op->kind) {
	case PLAN_BACKEND_ADD:
	case PLAN_BACKEND_CHANGE:
	case PLAN_BACKEND_RETIRE:
		format_backend(op, buf, size);
		break;
	case PLAN_SERVICE_ADD:
	case PLAN_TABLE_REPLACE:
		snprintf(buf, size, "%s %s [%u] %u slots at line %u", op_names[op->kind], s->name, s->sid, s->m, s->line);
		break;
	case PLAN_KEY_ADD:
	case PLAN_KEY_CHANGE:
	case PLAN_KEY_REMOVE:
		snprintf(buf, size, addr_is_v4(&op->vip) ? "%s %s %s:%u/%s" : "%s %s [%s]:%u/%s", op_names[op->kind],
			 s->name, addr_format(&op->vip, addr), s->port, s->protocol == IPPROTO_TCP ? "tcp" : "udp");
		break;
	case PLAN_QUIESCE:
		snprintf(buf, size, "%s", op_names[op->kind]);
		break;
	default:
		snprintf(buf, size, "%s %s [%u]", op_names[op->kind], s->name, s->sid);
		break;
	}
	return buf;
}
