/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fragment.h - only a packet's first fragment has ports. It is steered like any packet, and where it went is kept for a
 * short while, so that the later ones follow: same backend, same entropy in the outer header.
 *
 * A later fragment whose first was not seen here is dropped (drop_fragment): which backend has the flow cannot be known,
 * and to hold packets back is not possible. A sender that reuses an identification replaces what the old one had left.
 */
#pragma once
#include "admit.h"
#include "forward.h"
#include "parse.h"

#define LB_FRAGMENT_LIFE_DS 300u /* as long as Linux waits for the missing pieces of an IPv4 packet */
#define LB_FRAGMENTS_MAX 16384

/* IPv6 has no protocol in its key: later fragments may name another next header than the first (RFC 8200 4.5). */
struct lb_fragment_key {
	__u64 src_hi, src_lo;
	__u64 vip_hi, vip_lo;
	__u32 id;
	__u8 proto;
	__u8 v6;
	__u16 pad;
};

struct lb_fragment {
	__u64 h;    /* hash of the flow: what the outer header's entropy is made of */
	__u32 at_ds;
	__u16 bidx; /* 0: it was passed to the stack */
	__u8 gen;
	__u8 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LB_FRAGMENTS_MAX);
	__type(key, struct lb_fragment_key);
	__type(value, struct lb_fragment);
} fragments SEC(".maps");

/* Reads what kind of fragment it is; p->l4 and t->proto go behind an IPv6 fragment header. False: cut short. */
AI bool lb_fragment_parse(struct xdp_md *ctx, struct lb_pkt *p, struct lb_tuple *t, struct lb_fragment_key *k,
			  bool *first)
{
	__u32 at = p->v6 ? p->l4 : p->l2_len;
	void *h;

	lb_opaque(at);
	if (at > LB_L4_MAX)
		return false;
	h = lb_data(ctx) + at;
	if (h + 8 > lb_data_end(ctx) || (p->v6 && at + 8 > p->l2_len + p->len))
		return false;
	if (p->v6) {
		*first = !(LB_LOAD16(h + 2) & bpf_htons(0xfff8));
		k->id = LB_LOAD32(h + 4);
		t->proto = *(__u8 *)h;
		p->l4 = at + 8;
	} else {
		*first = !(LB_LOAD16(h + 6) & bpf_htons(0x1fff));
		k->id = LB_LOAD16(h + 4);
		k->proto = t->proto;
	}
	k->src_hi = t->src_hi;
	k->src_lo = t->src_lo;
	k->vip_hi = t->vip_hi;
	k->vip_lo = t->vip_lo;
	k->v6 = p->v6;
	return true;
}

/* Could there be TCP or UDP behind a header of this number? */
AI bool lb_fragment_matters(const struct lb_pkt *p, __u32 proto)
{
	if (proto == LB_IPPROTO_TCP || proto == LB_IPPROTO_UDP)
		return true;
	return p->v6 && (proto == LB_EXT_HOP || proto == LB_EXT_ROUTING || proto == LB_EXT_AUTH || proto == LB_EXT_DEST);
}

AI void lb_fragment_keep(const struct lb_fragment_key *k, __u64 h, __u32 bidx)
{
	struct lb_fragment f = { .h = h, .at_ds = lb_now_ds(), .bidx = bidx, .gen = lb_gen_of(bidx) };

	bpf_map_update_elem(&fragments, k, &f, BPF_ANY);
}

AI int lb_fragment_later(struct xdp_md *ctx, const struct lb_pkt *parsed, const struct lb_tuple *t,
			 const struct lb_fragment_key *k)
{
	const struct lb_fragment *f = bpf_map_lookup_elem(&fragments, k);
	struct lb_pkt p = *parsed;
	__u32 bidx;

	if (!f || lb_now_ds() - f->at_ds > LB_FRAGMENT_LIFE_DS)
		return LB_END(XDP_DROP, DROP_FRAGMENT);
	bidx = f->bidx;
	if (!bidx)
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	if (lb_gen_of(bidx) != f->gen)
		return LB_END(XDP_DROP, DROP_FRAGMENT);
	lb_opaque(p.l2_len);
	p.l2_len &= 31;
	p.h = f->h;
	p.proto = t->proto;
	p.passive = 1;
	p.plain_sum = 0;
	return lb_send(ctx, &p, bidx);
}

AI int lb_fragment_first(struct xdp_md *ctx, struct lb_view *v, const struct lb_fragment_key *k)
{
	struct lb_pkt *p = &v->p;
	struct lb_tuple *t = &v->t;
	int found = LB_PARSED_L4, verdict;
	struct lb_pkt q;
	__u32 bidx;

	if (p->v6)
		found = lb_walk_packet(ctx, v);
	if (found == LB_PARSED_L4) {
		lb_opaque(p->l4);
		found = lb_parse_l4(ctx, p, t);
	}
	/* RFC 7112, RFC 1858: a first fragment that keeps its ports to itself has no business. */
	if (found == LB_PARSED_END)
		return LB_END(XDP_DROP, DROP_TRUNCATED);
	if (found != LB_PARSED_L4 || lb_find(t, p) != LB_FOUND_SERVICE) {
		lb_fragment_keep(k, 0, 0);
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	}
	q = *p;
	lb_opaque(q.l2_len);
	q.l2_len &= 31;
	q.plain_sum = 0;
	verdict = lb_admit(&q, t, lb_begins_flow(ctx, &q));
	if (verdict)
		return verdict;
	bidx = lb_pick(ctx, &q);
	if (bidx)
		lb_fragment_keep(k, q.h, bidx);
	return lb_send(ctx, &q, bidx);
}

AI int lb_fragment_path(struct xdp_md *ctx)
{
	struct lb_fragment_key k = { 0 };
	struct lb_view *v = lb_view_new(LB_VIEW_PACKET);
	bool first;

	if (!v)
		return LB_END(XDP_DROP, DROP_INTERNAL);
	switch (lb_parse_packet(ctx, v)) {
	case LB_PARSED_END:
		return v->verdict;
	case LB_PARSED_FRAGMENT:
		break;
	default:
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	}
	v->p.plain_sum = 0;
	if (!lb_fragment_parse(ctx, &v->p, &v->t, &k, &first))
		return LB_END(XDP_DROP, DROP_TRUNCATED);
	if (!lb_fragment_matters(&v->p, v->t.proto))
		return LB_END(XDP_PASS, PASS_VIP_OTHER);
	return first ? lb_fragment_first(ctx, v, &k) : lb_fragment_later(ctx, &v->p, &v->t, &k);
}
