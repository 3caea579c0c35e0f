/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * steer.h - a slot in transition: which backend gets this packet. The rules, and why they break no connection, are in
 * docs/steering.md; this is their only implementation in the program.
 *
 * What a packet may see while the daemon changes a slot: the slot word and the side word are read once each, the
 * slot word first. The daemon writes the side word first. So a packet may pair an old slot word with a new side word.
 * The old word's backend is then the new word's `alt` (or, within P1, the side word did not change): an established
 * flow goes where it went, and a SYN is remembered with the backend it was really sent to.
 */
#pragma once
#include "flow.h"

enum {
	LB_TCP_FIN = 0x01,
	LB_TCP_SYN = 0x02,
	LB_TCP_RST = 0x04,
	LB_TCP_ACK = 0x10,
};

/* enum lb_rule; a constant to the verifier, which drops what it guards. */
const volatile __u32 lb_rules_off = 0;

AI bool lb_rule_on(enum lb_rule rule)
{
	return likely(!(lb_rules_off & rule));
}

struct lb_steer_in {
	__u64 h;        /* of the whole flow */
	__u64 svc;      /* LB_SVC_VAL */
	__u32 slot;     /* number of the slot in its service */
	__u32 current;  /* backend of the slot word */
	__u8 udp;
	__u8 tcp_flags; /* 0 for UDP */
	__u8 peek;      /* ask only: an ICMP error about the flow; nothing is remembered or refreshed */
	__u8 pad;
};

/* Everything the rules look at, gathered once. */
struct lb_steer_state {
	const struct lb_service *service;
	struct lb_steer_stats *stats;
	struct lb_flow_bucket *bucket;
	__u32 now_ds;
	__u32 tick;
	__u32 idle;
	__u32 tag;
	__u32 way; /* of the flow's entry, valid or not; LB_FLOW_WAYS: none */
};

AI bool lb_gen_is(__u32 bidx, __u32 gen)
{
	const struct lb_backend *b = bpf_map_lookup_elem(&backends, &bidx);

	return bidx && b && (b->gen == gen || !lb_rule_on(LB_RULE_GENERATION));
}

AI __u32 lb_gen_of(__u32 bidx)
{
	const struct lb_backend *b = bpf_map_lookup_elem(&backends, &bidx);

	return b ? b->gen : 0;
}

/* The slot has a live flow of another backend: it may not settle yet. One store per slot and tick. */
AI void lb_slot_mark_live(const struct lb_steer_in *in, __u32 tick)
{
	__u32 line = LB_SVC_LINE(in->svc) + in->slot / LB_SLOTS_PER_LINE;
	struct lb_slot_live_line *l = bpf_map_lookup_elem(&slot_live, &line);
	__u32 i = in->slot % LB_SLOTS_PER_LINE;

	if (l && l->tick[i] != (__u16)tick && lb_rule_on(LB_RULE_MARK))
		l->tick[i] = (__u16)tick;
}

AI bool lb_budget_take(__u32 key, __u32 second, __u32 limit)
{
	struct lb_budget *b = bpf_map_lookup_elem(&steer_budget, &key);

	if (!b)
		return false;
	if (b->second != second) {
		b->second = second;
		b->used = 0;
	}
	if (b->used >= limit)
		return false;
	b->used++;
	return true;
}

/* Make an entry: the flow belongs to @bidx, whose generation was found to be @gen. */
AI void lb_remember(const struct lb_steer_in *in, struct lb_steer_state *s, __u32 bidx, __u32 gen)
{
	__u32 sid = LB_SVC_SID(in->svc), second = s->now_ds / 10, way = s->way;
	__u64 old;

	if (!lb_rule_on(LB_RULE_REMEMBER))
		return;
	if (way >= LB_FLOW_WAYS)
		way = lb_flow_victim(s->bucket, s->tick);
	if (way >= LB_FLOW_WAYS) {
		s->stats->n[LB_STEER_FULL]++;
		return;
	}
	if (!lb_budget_take(sid, second, s->service->insert_budget) ||
	    !lb_budget_take(0, second, lb_params.cpu_insert_budget)) {
		s->stats->n[LB_STEER_BUDGET]++;
		return;
	}
	old = lb_flow_read(s->bucket, way);
	/*
	 * Since the way was chosen another CPU may have put a flow of its own there, and that must not be lost: what is
	 * replaced is judged as it is now. The flow that finds its way taken tries again with its next packet.
	 */
	if (old && LB_FLOW_TAG(old) != s->tag && !lb_flow_overdue(old, s->tick))
		return;
	if (!lb_flow_replace(s->bucket, way, old, LB_FLOW(s->tag, bidx, gen, s->tick)))
		return;
	s->stats->n[LB_STEER_INSERT]++;
	if (bidx != in->current)
		lb_slot_mark_live(in, s->tick);
}

/* A SYN goes to the slot's current backend. It makes no entry, so a flood of them costs one store each. */
AI __u32 lb_steer_syn(const struct lb_steer_in *in, struct lb_steer_state *s)
{
	__u64 *cell = lb_syn_cell(in->h);

	s->stats->n[LB_STEER_SYN]++;
	/* Nobody gets it: no trace either, an earlier SYN of the flow may still be answered. */
	if (!in->current)
		return 0;
	if (s->way < LB_FLOW_WAYS && lb_rule_on(LB_RULE_SYN_FORGETS)) {
		__u64 e = lb_flow_read(s->bucket, s->way);

		/* Only this flow's own word: another CPU may have used the way since it was found. */
		if (LB_FLOW_TAG(e) == s->tag && lb_flow_replace(s->bucket, s->way, e, 0))
			s->stats->n[LB_STEER_EXPIRE]++;
	}
	if (cell && lb_rule_on(LB_RULE_SYN_CELL))
		*(volatile __u64 *)cell = LB_FLOW(s->tag, in->current, lb_gen_of(in->current), s->tick);
	return in->current;
}

/* Backend of the flow's entry, or 0 when it has no valid one. */
AI __u32 lb_steer_entry(const struct lb_steer_in *in, struct lb_steer_state *s)
{
	enum lb_flow_life life;
	__u32 bidx;
	__u64 e, touched;

	if (s->way >= LB_FLOW_WAYS)
		return 0;
	e = lb_flow_read(s->bucket, s->way);
	/* Another CPU may have used the way since it was found: then it holds somebody else's flow. */
	if (LB_FLOW_TAG(e) != s->tag)
		return 0;
	life = lb_flow_life(e, s->tick, s->idle);
	bidx = LB_FLOW_BIDX(e);
	if (life == LB_FLOW_DEAD)
		return 0;
	if (!lb_gen_is(bidx, LB_FLOW_GEN(e))) {
		s->stats->n[LB_STEER_STALE]++;
		return 0;
	}
	s->stats->n[LB_STEER_HIT]++;
	if (in->peek)
		return bidx;
	if (life == LB_FLOW_OPEN && in->tcp_flags & (LB_TCP_FIN | LB_TCP_RST)) {
		life = LB_FLOW_CLOSING;
		s->stats->n[LB_STEER_EXPIRE]++;
	}
	touched = lb_flow_touched(e, s->tick, s->idle, life == LB_FLOW_CLOSING);
	if (touched != e)
		lb_flow_replace(s->bucket, s->way, e, touched);
	if (bidx != in->current)
		lb_slot_mark_live(in, s->tick);
	return bidx;
}

/* The valid SYN cell of the flow, or 0: it names the backend that got the flow's SYN. */
AI __u64 lb_steer_handshake(const struct lb_steer_in *in, const struct lb_steer_state *s)
{
	const __u64 *cell;
	__u64 e;

	if (in->udp)
		return 0;
	cell = lb_syn_cell(in->h);
	if (!cell)
		return 0;
	e = *(const volatile __u64 *)cell;
	if (LB_FLOW_TAG(e) != s->tag || lb_flow_age(e, s->tick) > LB_SYN_SEEN_TICKS ||
	    !lb_gen_is(LB_FLOW_BIDX(e), LB_FLOW_GEN(e)))
		return 0;
	return e;
}

AI bool lb_in_p1(const struct lb_steer_in *in, const struct lb_steer_state *s, __u64 a)
{
	if (LB_SLOTX_PHASE(a) != LB_PHASE_P1 || !lb_rule_on(LB_RULE_ALT))
		return false;
	/* UDP has no grace of its own: a flow silent for longer than udp_idle is a new one. */
	return !in->udp || ((s->now_ds / 10 - LB_SLOTX_SINCE_S(a)) & 0xffffff) <= s->service->udp_idle_s;
}

/* No valid entry: the SYN cell decides, else the phase. */
AI __u32 lb_steer_unknown(const struct lb_steer_in *in, struct lb_steer_state *s)
{
	__u32 x = LB_SVC_LINE(in->svc) * LB_SLOTS_PER_LINE + in->slot, bidx = in->current, gen;
	const struct lb_slot_x *side = bpf_map_lookup_elem(&slot_x, &x);
	__u64 a = side ? *(const volatile __u64 *)&side->a : 0, cell = lb_steer_handshake(in, s);
	bool p1 = lb_in_p1(in, s, a);

	if (!p1 && !lb_rule_on(LB_RULE_CELL_IN_P2))
		cell = 0;

	if (cell) {
		s->stats->n[LB_STEER_MISS_NEW]++;
		bidx = LB_FLOW_BIDX(cell);
		gen = LB_FLOW_GEN(cell);
	} else if (p1 && lb_gen_is(LB_SLOTX_ALT(a), LB_SLOTX_ALT_GEN(a))) {
		s->stats->n[LB_STEER_MISS_ALT]++;
		bidx = LB_SLOTX_ALT(a);
		gen = LB_SLOTX_ALT_GEN(a);
	} else {
		s->stats->n[LB_STEER_MISS_CURRENT]++;
		gen = lb_gen_of(bidx);
	}
	/* In P2 an unknown flow is current's: no need to remember that. In P1 it is: current may change once more. */
	if (bidx && !in->peek && (p1 || bidx != in->current))
		lb_remember(in, s, bidx, gen);
	return bidx;
}

/* The backend for a packet whose slot is in transition; 0 = none. Global, as lb_flow_victim(). */
__noinline __u32 lb_steer(const struct lb_steer_in *in)
{
	struct lb_steer_state s = { 0 };
	__u32 sid, bidx;

	if (!in)
		return 0;
	sid = LB_SVC_SID(in->svc);
	s.stats = bpf_map_lookup_elem(&steer_stats, &sid);
	s.service = bpf_map_lookup_elem(&services, &sid);
	if (!s.stats || !s.service)
		return in->current;
	s.stats->n[LB_STEER_LOOKUP]++;
	if (in->udp && !(LB_SVC_FLAGS(in->svc) & LB_SVC_UDP_TRACK))
		return in->current;
	s.bucket = lb_flow_bucket(in->h);
	if (!s.bucket)
		return in->current;
	s.now_ds = lb_now_ds();
	s.tick = lb_flow_tick(s.now_ds);
	s.idle = lb_idle_ticks(s.service, in->udp);
	s.tag = lb_hash_tag(in->h);
	s.way = lb_flow_find(s.bucket, s.tag);
	if ((in->tcp_flags & (LB_TCP_SYN | LB_TCP_ACK)) == LB_TCP_SYN && !in->peek && lb_rule_on(LB_RULE_SYN_CURRENT))
		return lb_steer_syn(in, &s);
	bidx = lb_steer_entry(in, &s);
	return bidx ? bidx : lb_steer_unknown(in, &s);
}
