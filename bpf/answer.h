/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * answer.h - packets that the program sends by itself, from a VIP: whom it answers, how often, and how a frame turns.
 *
 * An answer goes back the way the packet came: same interface, same tags, MACs exchanged. Nobody can be made a
 * reflector's victim more than the rates allow: an answer is never longer than what caused it.
 */
#pragma once
#include "flow.h"
#include "packet.h"

enum lb_answer { LB_ANSWER_ECHO, LB_ANSWER_ERROR, LB_ANSWER_KINDS };

/* A token bucket that holds one second's worth; in tenths of a token, since the clock counts tenths of a second. */
struct lb_answer_bucket {
	__u32 at_ds;
	__u32 tenths;
};
LB_PERCPU_ARRAY(answer_buckets, struct lb_answer_bucket, LB_ANSWER_KINDS); /* by enum lb_answer */

/* May this CPU answer once more? @rate: answers a second. */
AI bool lb_answer_take(__u32 kind, __u32 rate)
{
	struct lb_answer_bucket *b = bpf_map_lookup_elem(&answer_buckets, &kind);
	__u32 now = lb_now_ds(), full = rate * 10, since, tenths = full;

	if (!b)
		return false;
	since = now - b->at_ds;
	if (since < 10 && b->tenths + since * rate < full)
		tenths = b->tenths + since * rate;
	b->at_ds = now;
	b->tenths = tenths < 10 ? tenths : tenths - 10;
	return tenths >= 10;
}

/* RFC 1122 3.2.2, RFC 4443 2.4(e): not to a group, to nobody or to oneself, nor for what came by link-layer multicast. */
AI bool lb_may_answer(struct xdp_md *ctx, const struct lb_tuple *t)
{
	__u32 top = t->src_lo & 0xff;
	void *data = lb_data(ctx);

	lb_opaque(data); /* clang 19 infers this check from that of the IP header, which the verifier does not */
	if (data + 12 > lb_data_end(ctx) || *(__u8 *)data & 1)
		return false;
	if (t->src_lo == t->vip_lo && t->src_hi == t->vip_hi)
		return false;
	if (t->v6)
		return t->src_hi && (t->src_hi & 0xff) != 0xff;
	return top && top != 127 && top < 224;
}

/* @data: 12 bytes that were checked. */
AI void lb_swap_macs(void *data)
{
	__u32 dst_hi = *(__u32 *)data, src_hi = *(__u32 *)(data + 6);
	__u16 dst_lo = *(__u16 *)(data + 4), src_lo = *(__u16 *)(data + 10);

	*(__u32 *)data = src_hi;
	*(__u16 *)(data + 4) = src_lo;
	*(__u32 *)(data + 6) = dst_hi;
	*(__u16 *)(data + 10) = dst_lo;
}

/* RFC 1624: the checksum after a word of what it covers changed. */
AI __u16 lb_csum_replace(__u16 csum, __u16 old, __u16 new)
{
	return ~lb_fold((__u16)~csum + (__u32)(__u16)~old + new);
}
