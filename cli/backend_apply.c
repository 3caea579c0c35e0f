// SPDX-License-Identifier: Apache-2.0
/*
 * backend_apply.c - from where the host is to where it should be, and back. It knows no kind's meaning.
 *
 * The rule that makes undo exact: an item is in the state file, with the value it had, before it is changed.
 * An item that was right from the beginning is not ours and never enters the state.
 */
#include "backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run {
	struct backend_host *h;
	struct backend_state *s;
	backend_change_fn fn;
	void *userdata;
	bool dry_run;
	/* What this run has changed, for putting it back: .want is the value before this run. */
	struct backend_items changed;
	struct backend_items fresh; /* those of them that the state did not have */
};

static int get(const struct run *r, const struct backend_item *i, char value[BACKEND_VALUE_MAX],
	       struct err *err)
{
	return backend_ops(i->kind)->get(r->h, i->name, value, err);
}

static int set(const struct run *r, const struct backend_item *i, const char *value, struct err *err)
{
	int e = backend_ops(i->kind)->set(r->h, i->name, value, err);

	if (e)
		err_prefix(err, "%s %s", backend_ops(i->kind)->name, i->name);
	return e;
}

static void tell(const struct run *r, const struct backend_item *i, const char *was, const char *is)
{
	if (r->fn)
		r->fn(i, was, is, r->userdata);
}

/* Into the state file, before the change. */
static int record(struct run *r, const struct backend_item *item, const char *was, struct err *err)
{
	struct backend_item *known = backend_items_find(&r->s->items, item->kind, item->name);

	if (!backend_items_add(&r->changed, item->kind, was, "%s", item->name))
		return err_set(err, -ENOMEM, "out of memory");
	if (known) {
		memcpy(known->want, item->want, sizeof(known->want));
	} else {
		known = backend_items_add(&r->s->items, item->kind, item->want, "%s", item->name);
		if (!known || !backend_items_add(&r->fresh, item->kind, was, "%s", item->name))
			return err_set(err, -ENOMEM, "out of memory");
		snprintf(known->old, sizeof(known->old), "%s", was);
	}
	return backend_state_save(r->s, err);
}

static int apply_item(struct run *r, const struct backend_item *item, struct err *err)
{
	char was[BACKEND_VALUE_MAX], is[BACKEND_VALUE_MAX];
	int e = get(r, item, was, err);

	if (e || strcmp(was, item->want) == 0)
		return e;
	if (r->dry_run) {
		tell(r, item, was, item->want);
		return 0;
	}
	e = record(r, item, was, err);
	if (e == 0)
		e = set(r, item, item->want, err);
	if (e == 0)
		e = get(r, item, is, err);
	/* The kernel may take a value and do otherwise. */
	if (e == 0 && strcmp(is, item->want) != 0)
		e = err_set(err, -EIO, "%s %s is still %s after it was set to %s",
			    backend_ops(item->kind)->name, item->name, is, item->want);
	if (e == 0)
		tell(r, item, was, item->want);
	return e;
}

/* Put back what the state has and @plan has not. The newest first, as in undo. */
static int drop_obsolete(struct run *r, const struct backend_items *plan, struct err *err)
{
	for (unsigned int i = r->s->items.n; i-- > 0;) {
		struct backend_item *item = &r->s->items.v[i];
		char was[BACKEND_VALUE_MAX];
		int e;

		if (backend_items_find(plan, item->kind, item->name))
			continue;
		e = get(r, item, was, err);
		if (e)
			return e;
		if (strcmp(was, item->old) != 0 && !r->dry_run)
			e = set(r, item, item->old, err);
		if (e)
			return e;
		if (strcmp(was, item->old) != 0)
			tell(r, item, was, item->old);
		if (!r->dry_run)
			backend_items_remove(&r->s->items, item);
	}
	return r->dry_run ? 0 : backend_state_save(r->s, err);
}

/* @err is the failure that brought us here; failures on the way back are added to its hint only when there is
 * room. */
static void roll_back(struct run *r, struct err *err)
{
	struct err also = {0};

	for (unsigned int i = r->changed.n; i-- > 0;) {
		const struct backend_item *c = &r->changed.v[i];
		struct backend_item *item = backend_items_find(&r->s->items, c->kind, c->name);
		char now[BACKEND_VALUE_MAX];

		if (get(r, c, now, NULL) == 0 && strcmp(now, c->want) != 0 && set(r, c, c->want, &also))
			continue; /* stays in the state: undo can try again */
		if (!item)
			continue;
		if (backend_items_find(&r->fresh, c->kind, c->name))
			backend_items_remove(&r->s->items, item);
		else
			memcpy(item->want, c->want, sizeof(item->want));
	}
	(void)backend_state_save(r->s, NULL);
	if (also.code)
		err_hint(err, "putting things back failed too (%s): run `lbctl backend-undo`", also.msg);
}

int backend_apply(struct backend_host *h, struct backend_state *s, const struct backend_options *o,
		  const struct backend_items *plan, bool dry_run, backend_change_fn fn, void *userdata,
		  struct err *err)
{
	struct run r = {.h = h, .s = s, .fn = fn, .userdata = userdata, .dry_run = dry_run};
	const struct backend_options before = s->options;
	int e = 0;

	if (!dry_run)
		s->options = *o;
	for (unsigned int i = 0; i < plan->n && e == 0; i++)
		e = apply_item(&r, &plan->v[i], err);
	if (e && !dry_run) {
		s->options = before;
		roll_back(&r, err);
	}
	if (e == 0) {
		s->settled = true;
		e = drop_obsolete(&r, plan, err);
	}
	backend_items_done(&r.changed);
	backend_items_done(&r.fresh);
	return e;
}

int backend_undo(struct backend_host *h, struct backend_state *s, bool dry_run, backend_change_fn fn,
		 void *userdata, struct err *err)
{
	struct run r = {.h = h, .s = s, .fn = fn, .userdata = userdata, .dry_run = dry_run};
	int first = 0;

	s->settled = false;
	for (unsigned int i = s->items.n; i-- > 0;) {
		struct backend_item *item = &s->items.v[i];
		char was[BACKEND_VALUE_MAX];
		int e = get(&r, item, was, err);
		bool differs = e == 0 && strcmp(was, item->old) != 0;
		/* Nothing to put back when the route or the interface of a sysctl is gone. */
		bool gone = e == 0 && strcmp(was, BACKEND_ABSENT) == 0 &&
			    (item->kind == BACKEND_SYSCTL || item->kind == BACKEND_ROUTE_MSS);

		if (differs && !gone && !dry_run)
			e = set(&r, item, item->old, err);
		if (e == 0 && differs && !gone)
			tell(&r, item, was, item->old);
		if (e == 0 && !dry_run)
			backend_items_remove(&s->items, item);
		if (e && !first)
			first = e;
	}
	if (!dry_run) {
		int e = backend_state_save(s, err);

		first = first ? first : e;
	}
	return first;
}
