/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * admit.h - may this packet go on? Asked before any state is read or written, and only for services that have source
 * prefix lists or new-flow limits (LB_SVC_ACL, LB_SVC_LIMIT): theirs take the general path, others pay nothing.
 *
 * A new flow is a TCP SYN, or any UDP packet. A limit is a token bucket in the LB clock that holds one second's worth. The
 * source's is asked first, so that one source can not use up what a service has for all. Under a flood from forged
 * sources the table of source prefixes forgets (LRU); the service's own limit then holds.
 */
#pragma once
#include "flow.h"
#include "packet.h"

#define LB_SERVICES_ALL 4096        /* LB_SID_MAX + 1 */
#define LB_LIMIT_SOURCES_MAX 32768
#define LB_ACL_MAX 139264           /* 2 x LB_ACL_PREFIXES_MAX, and two defaults for each service */

/* Written by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, LB_ACL_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_acl_key);
	__type(value, __u32); /* enum lb_acl */
} acl SEC(".maps");

/* Token buckets in one word: LB clock << 32 | in use << 31 | tenths of a token. Written by packets. */
#define LB_TOKENS_USED 0x80000000u
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_SERVICES_ALL);
	__type(key, __u32);
	__type(value, __u64);
} limit_services SEC(".maps");

struct lb_limit_key {
	__u64 prefix; /* IPv4: /24; IPv6: /56 */
	__u32 sid;
	__u32 v6;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LB_LIMIT_SOURCES_MAX);
	__type(key, struct lb_limit_key);
	__type(value, __u64);
} limit_sources SEC(".maps");

/* The bucket @old a moment later, one token less if it has one. */
AI __u64 lb_tokens_step(__u64 old, __u32 now, __u32 rate, bool *taken)
{
	__u64 tenths = (__u32)old & ~LB_TOKENS_USED, full = (__u64)rate * 10;
	__u32 since = now - (__u32)(old >> 32);

	/* Another CPU may be a moment ahead. */
	if (since > -15u) {
		since = 0;
		now = old >> 32;
	}
	if (!old || since >= 10 || tenths + (__u64)since * rate > full)
		tenths = full;
	else
		tenths += (__u64)since * rate;
	*taken = tenths >= 10;
	if (*taken)
		tenths -= 10;
	return (__u64)now << 32 | LB_TOKENS_USED | tenths;
}

/* All CPUs share a bucket. Whoever loses the race for it four times goes on: a limit may be missed by that much. */
AI bool lb_tokens_take(__u64 *word, __u32 rate)
{
	__u32 now = lb_now_ds();
	bool taken = true;
	int i;

#pragma unroll
	for (i = 0; i < 4; i++) {
		__u64 old = *(volatile __u64 *)word, new = lb_tokens_step(old, now, rate, &taken);

		if (old == new || __sync_val_compare_and_swap(word, old, new) == old)
			return taken;
	}
	return true;
}

AI bool lb_source_within(const struct lb_tuple *t, __u32 sid, __u32 rate)
{
	struct lb_limit_key key = { .sid = sid, .v6 = t->v6 };
	__u64 fresh = 0, *word;

	/* As in the packet: the address's first bytes are the low ones. */
	key.prefix = t->v6 ? t->src_hi & 0x00ffffffffffffffull : t->src_lo & 0x00ffffff;
	word = bpf_map_lookup_elem(&limit_sources, &key);
	if (!word) {
		bpf_map_update_elem(&limit_sources, &key, &fresh, BPF_NOEXIST);
		word = bpf_map_lookup_elem(&limit_sources, &key);
	}
	return !word || lb_tokens_take(word, rate);
}

AI bool lb_acl_denies(const struct lb_tuple *t, __u32 sid)
{
	struct lb_acl_key key = { .prefixlen = LB_ACL_BITS(128), .sid = t->v6 ? sid | LB_ACL_V6 : sid };
	__u32 *verdict;

	if (t->v6) {
		__builtin_memcpy(key.addr, &t->src_hi, 8);
		__builtin_memcpy(key.addr + 8, &t->src_lo, 8);
	} else {
		__u32 mapped = bpf_htonl(0xffff), addr = (__u32)t->src_lo;

		__builtin_memcpy(key.addr + 8, &mapped, 4);
		__builtin_memcpy(key.addr + 12, &addr, 4);
	}
	verdict = bpf_map_lookup_elem(&acl, &key);
	return verdict && *verdict == LB_ACL_DENY;
}

/* A verdict, or 0: go on. @t: the flow. */
AI int lb_admit(const struct lb_pkt *p, const struct lb_tuple *t, bool new_flow)
{
	__u32 flags = LB_SVC_FLAGS(p->svc), sid = LB_SVC_SID(p->svc);
	const struct lb_service *s;
	__u64 *word;

	if (flags & LB_SVC_ACL && lb_acl_denies(t, sid))
		return LB_END(XDP_DROP, DROP_ACL);
	if (!(flags & LB_SVC_LIMIT) || !new_flow)
		return 0;
	s = bpf_map_lookup_elem(&services, &sid);
	word = bpf_map_lookup_elem(&limit_services, &sid);
	if (!s || !word)
		return LB_END(XDP_DROP, DROP_INTERNAL);
	if (s->source_limit && !lb_source_within(t, sid, s->source_limit))
		return LB_END(XDP_DROP, DROP_LIMIT_SOURCE);
	if (s->new_flow_limit && !lb_tokens_take(word, s->new_flow_limit))
		return LB_END(XDP_DROP, DROP_LIMIT_SERVICE);
	return 0;
}
