// SPDX-License-Identifier: Apache-2.0
/* steer_model.c - see steer_model.h. Every function is one sentence of docs/steering.md. */
#include "steer_model.h"

#include "lb/flow.h"

#include <errno.h>
#include <stdlib.h>

int steer_model_init(struct steer_model *m, const struct slots_view *view, __u32 n_tuples)
{
	*m = (struct steer_model){ .view = view, .n_tuples = n_tuples };
	m->entry = calloc(n_tuples, sizeof(*m->entry));
	m->cell = calloc(n_tuples, sizeof(*m->cell));
	return m->entry && m->cell ? 0 : -ENOMEM;
}

void steer_model_done(struct steer_model *m)
{
	free(m->entry);
	free(m->cell);
	*m = (struct steer_model){ 0 };
}

static bool on(const struct steer_model *m, __u32 rule)
{
	return !(m->off & rule);
}

static bool generation_holds(const struct steer_model *m, __u32 bidx, __u8 gen)
{
	return bidx && (!on(m, LB_RULE_GENERATION) || m->view->gen[bidx] == gen);
}

static bool is_valid(const struct steer_model *m, const struct model_memory *e, __u32 life_s, __u32 now_ds)
{
	return e->bidx && now_ds - e->last_ds <= 10 * life_s && generation_holds(m, e->bidx, e->gen);
}

static void mark_foreign(const struct steer_model *m, __u32 slot, __u32 bidx, __u32 current, __u32 now_ds)
{
	if (bidx != current && on(m, LB_RULE_MARK))
		m->view->live[slot] = (__u16)lb_flow_tick(now_ds);
}

static void remember(struct steer_model *m, __u32 tuple, __u32 slot, __u32 bidx, __u8 gen, __u32 current, __u32 now_ds)
{
	if (!bidx || !on(m, LB_RULE_REMEMBER))
		return;
	m->entry[tuple] = (struct model_memory){ .bidx = (__u16)bidx, .gen = gen, .last_ds = now_ds };
	m->inserts++;
	mark_foreign(m, slot, bidx, current, now_ds);
}

static __u16 syn(struct steer_model *m, __u32 tuple, __u32 current, __u32 now_ds)
{
	if (!current)
		return 0;
	if (on(m, LB_RULE_SYN_FORGETS))
		m->entry[tuple].bidx = 0;
	if (on(m, LB_RULE_SYN_CELL))
		m->cell[tuple] = (struct model_memory){ .bidx = (__u16)current, .gen = m->view->gen[current],
							.last_ds = now_ds };
	return (__u16)current;
}

static __u16 known(struct steer_model *m, __u32 tuple, __u32 slot, unsigned int flags, __u32 current, __u32 now_ds)
{
	struct model_memory *e = &m->entry[tuple];

	if (flags & MODEL_PEEK)
		return e->bidx;
	e->last_ds = now_ds;
	e->closing |= (flags & MODEL_FIN) != 0;
	mark_foreign(m, slot, e->bidx, current, now_ds);
	return e->bidx;
}

static __u16 unknown(struct steer_model *m, __u32 tuple, __u32 slot, unsigned int flags, __u32 current, __u32 now_ds)
{
	__u64 a = m->view->x[slot].a;
	bool p1 = LB_SLOTX_PHASE(a) == LB_PHASE_P1 && on(m, LB_RULE_ALT);
	const struct model_memory *cell = &m->cell[tuple];
	__u32 to = current;
	__u8 gen = m->view->gen[current];

	if (!m->udp && (p1 || on(m, LB_RULE_CELL_IN_P2)) && is_valid(m, cell, LB_SYN_SEEN_S, now_ds)) {
		to = cell->bidx;
		gen = cell->gen;
	} else if (p1 && generation_holds(m, LB_SLOTX_ALT(a), (__u8)LB_SLOTX_ALT_GEN(a))) {
		to = LB_SLOTX_ALT(a);
		gen = (__u8)LB_SLOTX_ALT_GEN(a);
	}
	if (!(flags & MODEL_PEEK) && (p1 || to != current))
		remember(m, tuple, slot, to, gen, current, now_ds);
	return (__u16)to;
}

__u16 steer_model_packet(struct steer_model *m, __u32 tuple, __u32 slot, unsigned int flags, __u32 now_ds)
{
	__u16 word = slots_word(m->view, slot);
	__u32 current = LB_SLOT_BIDX(word), life_s;
	const struct model_memory *e = &m->entry[tuple];

	if (!(word & LB_SLOT_TRANSITION) || (m->udp && !m->udp_track))
		return (__u16)current;
	m->lookups++;
	life_s = e->closing ? LB_FLOW_LINGER_S : m->idle_s + m->spare_s;
	if (flags & MODEL_SYN && on(m, LB_RULE_SYN_CURRENT))
		return syn(m, tuple, current, now_ds);
	if (is_valid(m, e, life_s, now_ds))
		return known(m, tuple, slot, flags, current, now_ds);
	return unknown(m, tuple, slot, flags, current, now_ds);
}
