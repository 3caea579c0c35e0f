// SPDX-License-Identifier: GPL-2.0-only
/*
 * flood.bpf.c - for test_flood.sh: `flood` makes SYNs from 2^17 addresses and all ports out of one template, as fast as
 * live frames go; `sink` stands where they come back from the balancer, and takes them out of the way of everybody
 * else's packets. They are recognised by their source, 198.18.0.0/15 (RFC 2544).
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAME_BYTES 64
#define SRC_AT 26
#define PORT_AT 34
#define OUTER_BYTES 20 /* IPv4 around it */

struct template {
	__u64 frame[FRAME_BYTES / 8];
	__u32 ifindex;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct template);
	__uint(max_entries, 1);
} flood_template SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} flood_sunk SEC(".maps");

SEC("xdp")
int flood(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 zero = 0, random = bpf_get_prandom_u32();
	const struct template *t = bpf_map_lookup_elem(&flood_template, &zero);
	__u64 *w = data;

	if (!t || data + FRAME_BYTES > end)
		return XDP_ABORTED;
	/* Pages come back as the balancer left them: write all of it anew. */
	for (int i = 0; i < FRAME_BYTES / 8; i++)
		w[i] = t->frame[i];
	*(__u32 *)(data + SRC_AT) = bpf_htonl(0xc6120000 | (random & 0x1ffff));
	*(__u16 *)(data + PORT_AT) = random >> 16;
	return bpf_redirect(t->ifindex, 0);
}

SEC("xdp.frags")
int sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&flood_sunk, &zero);

	if (!n || data + OUTER_BYTES + SRC_AT + 4 > end)
		return XDP_PASS;
	if ((bpf_ntohl(*(__u32 *)(data + OUTER_BYTES + SRC_AT)) & 0xfffe0000) != 0xc6120000)
		return XDP_PASS;
	(*n)++;
	return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
