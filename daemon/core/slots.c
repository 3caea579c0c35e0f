// SPDX-License-Identifier: Apache-2.0
/*
 * slots.c - see slots.h. Packets run beside every line of this file.
 *
 * Each array element has one writer but `live`, where the program and the daemon store times that differ by no more than
 * their clocks do: whichever comes last is right.
 */
#include "core/slots.h"

#include "lb/flow.h"

#include <string.h>

static __u16 load_word(const struct slots_view *v, __u32 slot)
{
	return __atomic_load_n(&v->lines[slot / LB_SLOTS_PER_LINE].s[slot % LB_SLOTS_PER_LINE], __ATOMIC_RELAXED);
}

/* Publish: whoever sees this word sees the stories and backends that were stored before it. */
static void store_word(const struct slots_view *v, __u32 slot, __u32 word)
{
	__atomic_store_n(&v->lines[slot / LB_SLOTS_PER_LINE].s[slot % LB_SLOTS_PER_LINE], (__u16)word, __ATOMIC_RELEASE);
}

static __u64 load_story(const struct slots_view *v, __u32 slot)
{
	return __atomic_load_n(&v->x[slot].a, __ATOMIC_RELAXED);
}

static void store_story(const struct slots_view *v, __u32 slot, __u64 a)
{
	__atomic_store_n(&v->x[slot].a, a, __ATOMIC_RELEASE);
}

static bool has_flows(const struct slots_view *v, __u32 bidx)
{
	return bidx && !(v->lost && v->lost[bidx]);
}

static bool alt_is_valid(const struct slots_view *v, __u64 a)
{
	return has_flows(v, LB_SLOTX_ALT(a)) && v->gen[LB_SLOTX_ALT(a)] == LB_SLOTX_ALT_GEN(a);
}

/* The story of a slot that leaves @from, by the table "Who owns an unknown flow" of docs/steering.md. */
static __u64 next_story(const struct slots_view *v, __u32 from, bool in_transition, __u64 a, __u32 now_ds)
{
	__u32 episode = LB_SLOTX_EPISODE(a);

	if (!in_transition)
		episode++;
	else if (LB_SLOTX_PHASE(a) == LB_PHASE_P1 && alt_is_valid(v, a))
		return a;
	if (has_flows(v, from))
		return LB_SLOTX_A(from, v->gen[from], LB_PHASE_P1, episode, now_ds / 10);
	return LB_SLOTX_A(0, 0, LB_PHASE_P2, episode, now_ds / 10);
}

static void move_slot(const struct slots_view *v, __u32 slot, __u32 word, __u32 to, __u32 now_ds)
{
	bool in_transition = word & LB_SLOT_TRANSITION;
	__u32 from = LB_SLOT_BIDX(word);

	if (!in_transition && !has_flows(v, from)) {
		store_word(v, slot, to);
		return;
	}
	/* First: memories that name @from become foreign by this change, and live on for their idle time. */
	if (v->live)
		__atomic_store_n(&v->live[slot], (__u16)lb_flow_tick(now_ds), __ATOMIC_RELAXED);
	store_story(v, slot, next_story(v, from, in_transition, load_story(v, slot), now_ds));
	store_word(v, slot, to | LB_SLOT_TRANSITION);
}

static void count_slot(const struct slots_view *v, __u32 slot, struct slots_counts *out)
{
	if (!(load_word(v, slot) & LB_SLOT_TRANSITION))
		out->settled++;
	else if (LB_SLOTX_PHASE(load_story(v, slot)) == LB_PHASE_P1)
		out->p1++;
	else
		out->p2++;
}

void slots_set_owners(const struct slots_view *v, const __u16 *owner, __u32 now_ds, bool settle,
		      struct slots_counts *out)
{
	*out = (struct slots_counts){ 0 };
	for (__u32 slot = 0; slot < v->m; slot++) {
		__u32 word = load_word(v, slot), to = LB_SLOT_BIDX(owner[slot]);

		out->moved += LB_SLOT_BIDX(word) != to;
		if (settle && word != to)
			store_word(v, slot, to);
		else if (LB_SLOT_BIDX(word) != to)
			move_slot(v, slot, word, to, now_ds);
		count_slot(v, slot, out);
	}
}

static bool grace_is_over(__u64 a, __u32 now_ds, __u32 grace_s)
{
	__u32 age_s = (now_ds / 10 - LB_SLOTX_SINCE_S(a)) & 0xffffff;

	/* `since` was rounded down, hence "greater". The upper half of 24 bits is a clock that went back, or 97 days. */
	return age_s > grace_s && age_s < 0x800000;
}

static bool may_live(const struct slots_view *v, __u32 slot, __u32 now_ds, __u32 idle_s)
{
	return lb_slot_is_live(__atomic_load_n(&v->live[slot], __ATOMIC_RELAXED), lb_flow_tick(now_ds),
			       lb_flow_idle_ticks(idle_s));
}

static void age_slot(const struct slots_view *v, __u32 slot, __u32 now_ds, __u32 grace_s, __u32 idle_s)
{
	__u32 word = load_word(v, slot);
	__u64 a = load_story(v, slot);

	if (LB_SLOTX_PHASE(a) == LB_PHASE_P1) {
		if (grace_is_over(a, now_ds, grace_s))
			store_story(v, slot, (a & ~(0xffull << 24)) | (__u64)LB_PHASE_P2 << 24);
	} else if (v->live && !may_live(v, slot, now_ds, idle_s)) {
		store_word(v, slot, LB_SLOT_BIDX(word));
	}
}

/* Most lines hold settled slots only: look at four slots at a time. */
static bool line_in_transition(const struct lb_slot_line *line)
{
	__u64 any = 0, four;

	for (unsigned int i = 0; i < LB_SLOTS_PER_LINE; i += 4) {
		memcpy(&four, &line->s[i], sizeof(four));
		any |= four;
	}
	return any & 0x8000800080008000ull;
}

static __u32 line_end(const struct slots_view *v, __u32 first)
{
	return first + LB_SLOTS_PER_LINE < v->m ? first + LB_SLOTS_PER_LINE : v->m;
}

void slots_age(const struct slots_view *v, __u32 now_ds, __u32 grace_s, __u32 idle_s, struct slots_counts *out)
{
	*out = (struct slots_counts){ 0 };
	for (__u32 first = 0; first < v->m; first += LB_SLOTS_PER_LINE) {
		__u32 end = line_end(v, first);

		if (!line_in_transition(&v->lines[first / LB_SLOTS_PER_LINE])) {
			out->settled += end - first;
			continue;
		}
		for (__u32 slot = first; slot < end; slot++) {
			if (load_word(v, slot) & LB_SLOT_TRANSITION)
				age_slot(v, slot, now_ds, grace_s, idle_s);
			count_slot(v, slot, out);
		}
	}
}

void slots_count(const struct slots_view *v, struct slots_counts *out)
{
	*out = (struct slots_counts){ 0 };
	for (__u32 slot = 0; slot < v->m; slot++)
		count_slot(v, slot, out);
}

__u16 slots_word(const struct slots_view *v, __u32 slot)
{
	return load_word(v, slot);
}

void slots_owners(const struct slots_view *v, __u16 *owner)
{
	for (__u32 slot = 0; slot < v->m; slot++)
		owner[slot] = (__u16)LB_SLOT_BIDX(load_word(v, slot));
}
