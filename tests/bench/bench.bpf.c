// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench.bpf.c - the data path and the floors below it, each behind the same driver (cfg.h).
 *
 * The targets are global, weak, noinline functions, so that the compiler can neither inline them nor see through them: all
 * are called in the same way. `nothing` measures the driver itself, which is then subtracted from every other number.
 */
#include "pipeline.h"
#include "cold_programs.h"
#include "cfg.h"

#define TARGET __attribute__((noinline, weak)) int

struct bench_cfg cfg = {};
struct bench_state state = { .random = 88172645463325252ull };

AI __u32 next_flow(void)
{
	__u64 x;

	if (cfg.sequential) {
		x = state.next++;
		if (state.next >= cfg.flows)
			state.next = 0;
		return x;
	}
	x = state.random;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	state.random = x;
	return ((x >> 32) * (__u64)cfg.flows) >> 32;
}

/*
 * A load that takes bytes of two recent stores waits until both have left the store buffer: about 4 ns that a packet
 * which came by DMA never costs. So the frame is written in words that lie as the headers' fields do (IP begins at 14),
 * and a flow's fields are put into such words before they are stored, not on top of them.
 */
AI int copy_words(struct xdp_md *ctx, __u32 from, __u32 to)
{
	void *data = lb_data(ctx), *frame = cfg.frame;

	if (data + to > lb_data_end(ctx))
		return -1;
#pragma unroll
	for (__u32 at = from; at + 8 <= to; at += 8)
		*(__u64 *)(data + at) = *(__u64 *)(frame + at);
	*(__u16 *)(data + to - 2) = *(__u16 *)(frame + to - 2);
	return 0;
}

AI int restore(struct xdp_md *ctx)
{
	void *data = lb_data(ctx);

	if (data + 8 > lb_data_end(ctx))
		return -1;
	*(__u64 *)data = cfg.frame[0];
	if (copy_words(ctx, 6, 64))
		return -1;
	if (cfg.words > 8 && copy_words(ctx, 62, 96))
		return -1;
	return cfg.words > 12 ? copy_words(ctx, 94, 128) : 0;
}

/* Where the word of the field at offset @off begins: at 6, 14, 22 ... */
AI __u32 word_of(__u32 off)
{
	return ((off - 6) & 0x78) + 6;
}

AI __u64 frame_word(__u32 at)
{
	at &= 0x7e;
	return at > 120 ? 0 : *(__u64 *)((void *)cfg.frame + at);
}

/* @w, the word around @off, with @value in place of the field of @mask. */
AI __u64 with_field(__u64 w, __u32 off, __u64 mask, __u64 value)
{
	__u32 shift = (off - 6) % 8 * 8;

	return (w & ~(mask << shift)) | value << shift;
}

AI int put_word(struct xdp_md *ctx, __u32 at, __u64 w)
{
	void *data = lb_data(ctx);

	at &= 0x7e;
	if (data + at + 8 > lb_data_end(ctx))
		return -1;
	*(__u64 *)(data + at) = w;
	return 0;
}

/* Flow numbers become addresses and ports by a bijection, so that n numbers are n flows. Fields may share a word. */
AI int set_flow(struct xdp_md *ctx)
{
	__u32 at_addr = word_of(cfg.off_addr), at_vip = word_of(cfg.off_vip), at_port = word_of(cfg.off_port);
	__u32 n = next_flow() + cfg.first, h = (n + 1) * 0x9e3779b1u;
	__u64 addr, vip, port;

	addr = with_field(frame_word(at_addr), cfg.off_addr, 0xffffffff, h);
	vip = with_field(at_vip == at_addr ? addr : frame_word(at_vip), cfg.off_vip, 0xffffffff,
			 bpf_htonl(cfg.vip + (n & (cfg.vips - 1))));
	port = with_field(at_port == at_vip ? vip : at_port == at_addr ? addr : frame_word(at_port), cfg.off_port,
			  0xffff, (__u16)((h >> 16) ^ (n * 7 + 1024)));
	return put_word(ctx, at_addr, addr) || put_word(ctx, at_vip, vip) || put_word(ctx, at_port, port);
}

AI int driver(struct xdp_md *ctx, int verdict)
{
	long grown = (long)(lb_data_end(ctx) - lb_data(ctx)) - (long)cfg.len;

	state.verdicts[verdict & 7]++;
	state.grown += grown;
	if (bpf_xdp_adjust_head(ctx, (int)grown) || restore(ctx) || set_flow(ctx)) {
		state.errors++;
		return XDP_ABORTED;
	}
	return XDP_TX;
}

/* bench_NAME: behind the driver, for test runs. wire_NAME: as it is, for an interface. */
#define BENCH(name)                                           \
	SEC("xdp.frags") int bench_##name(struct xdp_md *ctx) \
	{                                                     \
		return driver(ctx, name(ctx));                \
	}                                                     \
	SEC("xdp.frags") int wire_##name(struct xdp_md *ctx)  \
	{                                                     \
		return name(ctx);                             \
	}

/* ---- floors --------------------------------------------------------------------------------------------------- */

TARGET nothing(struct xdp_md *ctx)
{
	int verdict = XDP_TX;

	asm volatile("" : "+r"(verdict));
	return verdict;
}

struct plain {
	__u32 saddr, daddr, ports, len;
};
volatile __u32 sink;

/* What any balancer must do first: bounds, Ethernet, IPv4 without options or fragments, TCP or UDP ports. */
AI int read_plain(struct xdp_md *ctx, struct plain *p)
{
	void *data = lb_data(ctx), *end = lb_data_end(ctx);
	__u8 proto;

	if (data + 14 + 20 + 20 > end || LB_LOAD16(data + 12) != bpf_htons(LB_ETH_IP))
		return -1;
	if (*(const volatile __u8 *)(data + 14) != 0x45 || LB_LOAD16(data + 20) & bpf_htons(0x3fff))
		return -1;
	proto = *(const volatile __u8 *)(data + 23);
	if (proto != LB_IPPROTO_TCP && proto != LB_IPPROTO_UDP)
		return -1;
	p->saddr = LB_LOAD32(data + 26);
	p->daddr = LB_LOAD32(data + 30);
	p->ports = LB_LOAD32(data + 34);
	p->len = bpf_ntohs(LB_LOAD16(data + 16));
	return 0;
}

TARGET parse(struct xdp_md *ctx)
{
	struct plain p;

	if (read_plain(ctx, &p))
		return XDP_PASS;
	sink = p.saddr ^ p.daddr ^ p.ports ^ p.len;
	return XDP_TX;
}

/* A constant outer header, but for length and checksum: 02:00:.. -> 02:00:.., 10.0.0.1 -> 10.0.0.2. */
const volatile __u64 outer[5] = { 0x0002010000000002ull, 0x0045000800000000ull, 0x0440004000000000ull,
				  0x000a0100000a0000ull, 0x0200ull };
const volatile __u32 outer_sum = 0x07d9;

AI int stamp(struct xdp_md *ctx, const struct plain *p)
{
	__u32 length, sum;
	void *data, *end;
	__u64 *w;

	if (bpf_xdp_adjust_head(ctx, -20))
		return XDP_DROP;
	data = lb_data(ctx);
	end = lb_data_end(ctx);
	if (data + 34 > end)
		return XDP_DROP;
	length = bpf_htons(p->len + 20);
	sum = outer_sum + length;
	sum = (sum & 0xffff) + (sum >> 16);
	w = data;
	w[0] = outer[0];
	w[1] = outer[1];
	w[2] = outer[2] | length;
	w[3] = outer[3] | (~(sum + (sum >> 16)) & 0xffff);
	*(__u16 *)(data + 32) = outer[4];
	return XDP_TX;
}

TARGET constant(struct xdp_md *ctx)
{
	struct plain p;

	if (read_plain(ctx, &p))
		return XDP_PASS;
	sink = p.saddr ^ p.daddr ^ p.ports;
	return stamp(ctx, &p);
}

/* ---- flow tables: the floor's path, and on it one look-up per packet; a hit is refreshed, a miss is inserted ------ */

struct tuple {
	__u32 saddr, daddr, ports, zero;
};

#define LRU(name, flag)                                 \
	struct {                                        \
		__uint(type, BPF_MAP_TYPE_LRU_HASH);    \
		__uint(map_flags, flag);                \
		__uint(max_entries, 1);                 \
		__type(key, struct tuple);              \
		__type(value, __u64);                   \
	} name SEC(".maps")

LRU(lru_common, 0);
LRU(lru_percpu, BPF_F_NO_COMMON_LRU);

AI int table_lru(struct xdp_md *ctx, void *map)
{
	struct plain p;
	struct tuple key = {};
	__u64 *value, fresh;

	if (read_plain(ctx, &p))
		return XDP_PASS;
	key.saddr = p.saddr;
	key.daddr = p.daddr;
	key.ports = p.ports;
	fresh = LB_FLOW(0, 1, 0, lb_flow_tick(lb_now_ds()));
	value = bpf_map_lookup_elem(map, &key);
	if (!value)
		bpf_map_update_elem(map, &key, &fresh, BPF_ANY);
	else if (*value != fresh)
		*value = fresh;
	return stamp(ctx, &p);
}

TARGET flowtable_lru(struct xdp_md *ctx)
{
	return table_lru(ctx, &lru_common);
}

TARGET flowtable_lru_percpu(struct xdp_md *ctx)
{
	return table_lru(ctx, &lru_percpu);
}

TARGET flowtable_own(struct xdp_md *ctx)
{
	struct lb_flow_bucket *b;
	__u32 tag, way, tick;
	struct plain p;
	__u64 h, e, fresh;

	if (read_plain(ctx, &p))
		return XDP_PASS;
	h = ((__u64)p.saddr << 32 | p.ports) * 0x9e3779b97f4a7c15ull;
	h = (h ^ h >> 32 ^ p.daddr) * 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	tick = lb_flow_tick(lb_now_ds());
	tag = lb_hash_tag(h);
	fresh = LB_FLOW(tag, 1, 0, tick);
	b = lb_flow_bucket(h);
	if (!b)
		return XDP_DROP;
	way = lb_flow_find(b, tag);
	if (way >= LB_FLOW_WAYS)
		way = lb_flow_victim(b, tick);
	if (way < LB_FLOW_WAYS) {
		e = lb_flow_read(b, way);
		if (e != fresh)
			lb_flow_replace(b, way, e, fresh);
	}
	return stamp(ctx, &p);
}

/* ---- the data path -------------------------------------------------------------------------------------------- */

TARGET balancer(struct xdp_md *ctx)
{
	return lb_finish(lb_pipeline(ctx));
}

BENCH(nothing)
BENCH(parse)
BENCH(constant)
BENCH(flowtable_own)
BENCH(flowtable_lru)
BENCH(flowtable_lru_percpu)
BENCH(balancer)

/* ---- over veth: a generator of live frames, and where they end ----------------------------------------------------- */

SEC("xdp.frags") int generate(struct xdp_md *ctx)
{
	if (restore(ctx) || set_flow(ctx))
		return XDP_ABORTED;
	return bpf_redirect(cfg.ifindex, 0);
}

__u64 sunk; /* one CPU runs all of it */

SEC("xdp.frags") int drain(struct xdp_md *ctx)
{
	sunk++;
	return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
