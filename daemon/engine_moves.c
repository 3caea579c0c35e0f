// SPDX-License-Identifier: Apache-2.0
/*
 * engine_moves.c - what a change of configuration would move, in slots: for `lbctl diff`, and said again by `lbctl reload`.
 *
 * The new table is really built, with the admissions of now (what is new is taken as healthy), and compared with what
 * packets read.
 */
#include "engine_int.h"

#include <errno.h>
#include <string.h>

struct trial {
	struct maglev_backend *mb;
	__u32 *fraction;
	__u16 *table, *owner;
	struct overlay *overlay;
};

static void trial_done(struct trial *t)
{
	overlay_free(t->overlay);
	free(t->mb);
	free(t->fraction);
	free(t->table);
	free(t->owner);
}

static void fill_backend(const struct engine *e, const struct state_service *old, const struct state_backend *b,
			 struct maglev_backend *mb, __u32 *fraction)
{
	const struct state_backend *ob = state_find_backend(old, &b->addr);
	const struct backend_rt *be = ob ? &e->rt[old - e->state->services].be[ob - old->backends] : NULL;
	__s32 override = be ? be->weight_override : -1;

	mb->addr = b->addr;
	mb->weight = b->retired ? 0 : override >= 0 ? (__u32)override : b->weight;
	*fraction = be ? be->admission : OVERLAY_FULL;
}

static int try_table(const struct engine *e, const struct state_service *old, const struct state_service *s,
		     struct trial *t)
{
	struct maglev_seed seed = { { e->seed[0], e->seed[1] } };
	unsigned int n = s->n_backends;
	int r;

	t->mb = calloc(n ? n : 1, sizeof(*t->mb));
	t->fraction = calloc(n ? n : 1, sizeof(*t->fraction));
	t->table = malloc(s->m * sizeof(*t->table));
	t->owner = malloc(s->m * sizeof(*t->owner));
	if (!t->mb || !t->fraction || !t->table || !t->owner)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		fill_backend(e, old, &s->backends[i], &t->mb[i], &t->fraction[i]);
	r = maglev_build(t->mb, n, s->m, &seed, t->table);
	if (r == 0)
		r = overlay_new(&t->overlay, t->mb, n, t->table, s->m, &seed);
	return r ? r : overlay_apply(t->overlay, t->fraction, t->owner);
}

/* Slots whose owner would be another one; all of them when the table is replaced. Negative errno on failure. */
static long moved_slots(const struct engine *e, const struct state_service *old, const struct state_service *s)
{
	_cleanup_(trial_done) struct trial t = { 0 };
	const __u16 *now = e->rt[old - e->state->services].owner;
	long moved = 0;
	int r;

	if (old->m != s->m)
		return s->m;
	r = try_table(e, old, s, &t);
	for (__u32 i = 0; r == 0 && i < s->m; i++)
		moved += now[i] != (t.owner[i] == MAGLEV_NONE ? 0 : s->backends[t.owner[i]].bidx);
	return r < 0 ? r : moved;
}

json_t *engine_moves(const struct engine *e, const struct plan *plan)
{
	json_t *list = json_array();

	for (unsigned int i = 0; list && i < plan->n; i++) {
		const struct plan_op *op = &plan->ops[i];
		long moved;

		if (op->kind != PLAN_TABLE_UPDATE && op->kind != PLAN_TABLE_REPLACE)
			continue;
		moved = moved_slots(e, op->old_service, op->service);
		if (moved >= 0)
			json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "name", op->service->name, "slots_moved",
							      (json_int_t)moved, "table_size",
							      (json_int_t)op->service->m));
	}
	return list;
}
