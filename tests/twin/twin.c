/* SPDX-License-Identifier: GPL-2.0-only */
/* twin.c - the program and, around it, as much of the kernel as it uses. */
#define LB_TWIN
#include "pipeline.h"
#include "cold_programs.h"
#include "twin.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETHERNET 14
#define FRAME_STRUCT 40 /* struct xdp_frame stands in front of the packet */

#if defined(__SANITIZE_ADDRESS__)
#define TWIN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TWIN_ASAN 1
#endif
#endif
#ifdef TWIN_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

struct twin twin;

static struct lb_answer_bucket answers[LB_ANSWER_KINDS];
static struct lb_scratch scratch_value;
static struct lb_view views_value[LB_VIEWS];
static struct lb_budget budgets[TWIN_SERVICES];
static jmp_buf tail_called;

static void __attribute__((noreturn)) broken(const char *what)
{
	fprintf(stderr, "twin: the kernel would refuse this: %s\n", what);
	abort();
}

/* ---- maps ---------------------------------------------------------------------------------------------------- */
static const struct {
	const void *map;
	void *values;
	__u32 size, entries;
} arrays[] = {
#define MAP(name, memory) { &name, memory, sizeof((memory)[0]), sizeof(memory) / sizeof((memory)[0]) }
	MAP(svc4, twin.maps.svc4),
	MAP(svc6, twin.maps.svc6),
	MAP(slots, twin.maps.slots),
	MAP(slot_x, twin.maps.slot_x),
	MAP(slot_live, twin.maps.slot_live),
	MAP(backends, twin.maps.backends),
	MAP(backend_spares, twin.maps.backend_spares),
	MAP(services, twin.maps.services),
	MAP(flows, twin.maps.flows),
	MAP(syn_seen, twin.maps.syn_seen),
	MAP(outcomes, twin.maps.outcomes),
	MAP(backend_stats, twin.maps.backend_stats),
	MAP(steer_stats, twin.maps.steer_stats),
	MAP(steer_budget, budgets),
	MAP(answer_buckets, answers),
	MAP(limit_services, twin.maps.limit_services),
	MAP(views, views_value),
#undef MAP
	{ &scratch, &scratch_value, sizeof(scratch_value), 1 },
};

/* Hash maps: open addressing, and the first of a crowded neighbourhood gives way (LRU enough here). */
#define TABLE_ENTRIES 16384u
#define TABLE_PROBES 32u
#define TABLE_KEY 64u
#define TABLE_VALUE 32u
struct table {
	const void *map;
	__u32 key_size, value_size;
	bool dirty;
	struct entry {
		bool used;
		__u8 key[TABLE_KEY];
		__u8 value[TABLE_VALUE] __attribute__((aligned(8)));
	} entries[TABLE_ENTRIES];
};
static struct table tables[] = {
	[TWIN_FRAGMENTS] = { &fragments, sizeof(struct lb_fragment_key), sizeof(struct lb_fragment), false, {} },
	[TWIN_LIMIT_SOURCES] = { &limit_sources, sizeof(struct lb_limit_key), sizeof(__u64), false, {} },
	[TWIN_ACL] = { &acl, sizeof(struct lb_acl_key), sizeof(__u32), false, {} },
};
_Static_assert(sizeof(struct lb_fragment_key) <= TABLE_KEY && sizeof(struct lb_fragment) <= TABLE_VALUE, "room");

/* The entry of @key, or the one that it may take over. */
static struct entry *table_entry(struct table *t, const void *key)
{
	const __u8 *b = key;
	__u32 h = 2166136261u, i;
	struct entry *unused = NULL;

	for (i = 0; i < t->key_size; i++)
		h = (h ^ b[i]) * 16777619u;
	for (i = 0; i < TABLE_PROBES; i++) {
		struct entry *e = &t->entries[(h + i) % TABLE_ENTRIES];

		if (!e->used) {
			if (!unused)
				unused = e;
		} else if (!memcmp(e->key, key, t->key_size)) {
			return e;
		}
	}
	return unused ? unused : &t->entries[h % TABLE_ENTRIES];
}

static void *table_find(struct table *t, const void *key)
{
	struct entry *e = table_entry(t, key);

	return e->used && !memcmp(e->key, key, t->key_size) ? e->value : NULL;
}

/* The longest prefix, by trying all. */
static void *lpm_find(struct table *t, const struct lb_acl_key *key)
{
	struct lb_acl_key k = *key;
	__u32 bits;
	void *found;

	for (bits = key->prefixlen;; bits--) {
		k.prefixlen = bits;
		if (bits >= 32 && bits < 160)
			k.addr[(bits - 32) / 8] &= (__u8)(0xff00 >> ((bits - 32) % 8));
		found = table_find(t, &k);
		if (found || bits <= 32)
			return found;
	}
}

void twin_put(enum twin_table which, const void *key, const void *value)
{
	struct table *t = &tables[which];
	struct entry *e = table_entry(t, key);

	t->dirty = true;
	e->used = true;
	memcpy(e->key, key, t->key_size);
	memcpy(e->value, value, t->value_size);
}

void *bpf_map_lookup_elem(const void *map, const void *key)
{
	__u32 i, index;

	if (map == &acl)
		return lpm_find(&tables[TWIN_ACL], key);
	for (i = 0; i < TWIN_TABLES; i++)
		if (tables[i].map == map)
			return table_find(&tables[i], key);
	memcpy(&index, key, sizeof(index));
	for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		if (arrays[i].map == map)
			return index < arrays[i].entries ? (__u8 *)arrays[i].values + index * arrays[i].size : NULL;
	broken("look-up in a map that twin.c does not know");
}

long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags)
{
	__u32 i;

	for (i = 0; i < TWIN_TABLES; i++) {
		if (tables[i].map != map)
			continue;
		if (flags == BPF_NOEXIST && table_find(&tables[i], key))
			return -17;
		twin_put(i, key, value);
		return 0;
	}
	broken("update of a map that twin.c does not know");
}

/* ---- packet helpers -------------------------------------------------------------------------------------------- */
/* What is outside of the frame may not be read; the room around it belongs to the frame once it was adjusted. */
static void fence(const struct xdp_md *ctx)
{
	ASAN_POISON_MEMORY_REGION((void *)ctx->room_begin, ctx->room_end - ctx->room_begin);
	ASAN_UNPOISON_MEMORY_REGION((void *)ctx->data, ctx->data_end - ctx->data);
}

long bpf_xdp_adjust_head(struct xdp_md *ctx, int delta)
{
	long data = ctx->data + delta;

	if (data < ctx->room_begin + FRAME_STRUCT || data > ctx->data_end - ETHERNET)
		return -22;
	ctx->data = data;
	fence(ctx);
	return 0;
}

long bpf_xdp_adjust_tail(struct xdp_md *ctx, int delta)
{
	long end = ctx->data_end + delta;

	if (end > ctx->room_end || end < ctx->data + ETHERNET)
		return -22;
	ctx->data_end = end;
	fence(ctx);
	if (delta > 0)
		memset((void *)(end - delta), 0, (size_t)delta);
	return 0;
}

static bool inside(const struct xdp_md *ctx, __u32 offset, __u32 len)
{
	return (__u64)offset + len <= (__u64)(ctx->data_end - ctx->data);
}

long bpf_xdp_load_bytes(struct xdp_md *ctx, __u32 offset, void *buf, __u32 len)
{
	if (!len)
		broken("a load of nothing");
	if (!inside(ctx, offset, len))
		return -22;
	memcpy(buf, (void *)(ctx->data + offset), len);
	return 0;
}

long bpf_xdp_store_bytes(struct xdp_md *ctx, __u32 offset, void *buf, __u32 len)
{
	if (!len)
		broken("a store of nothing");
	if (!inside(ctx, offset, len))
		return -22;
	memcpy((void *)(ctx->data + offset), buf, len);
	return 0;
}

__u64 bpf_xdp_get_buff_len(const struct xdp_md *ctx)
{
	return (__u64)(ctx->data_end - ctx->data);
}

__s64 bpf_csum_diff(const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size, __u32 seed)
{
	__u64 sum = seed;
	__u32 i;

	if (from_size % 4 || to_size % 4)
		return -22;
	for (i = 0; i < from_size / 4; i++)
		sum += (__u32)~from[i];
	for (i = 0; i < to_size / 4; i++)
		sum += to[i];
	while (sum >> 32)
		sum = (sum & 0xffffffff) + (sum >> 32);
	return (__s64)sum;
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */
long bpf_loop(__u32 n, long (*fn)(__u32, void *), void *arg, __u64 flags)
{
	__u32 i;

	if (n > 1u << 23)
		return -7;
	for (i = 0; i < n; i++)
		if (fn(i, arg))
			return i + 1;
	return n;
}

long bpf_redirect_map(const void *map, __u64 key, __u64 flags)
{
	if (map != &tx_ports)
		broken("redirect by a map that is no devmap");
	return key < 64 && twin.tx_ports >> key & 1 ? XDP_REDIRECT : (long)(flags & 3);
}

__u64 bpf_jiffies64(void)
{
	return twin.now_ds; /* with a clock_mul of 2^32 a jiffy is a tenth of a second */
}

void bpf_tail_call(struct xdp_md *ctx, const void *map, __u32 index)
{
	int (*const programs[])(struct xdp_md *) = {
		[LB_COLD_SLOW] = lb_slow,
		[LB_COLD_ICMP] = lb_icmp,
		[LB_COLD_FRAGMENT] = lb_fragment,
		[LB_COLD_TOO_BIG] = lb_too_big,
	};

	_Static_assert(sizeof(programs) / sizeof(programs[0]) == LB_COLD_MAX, "each cold program");
	if (map != &cold || index >= LB_COLD_MAX)
		broken("tail call to nowhere");
	longjmp(tail_called, 1 + programs[index](ctx));
}

void twin_reset(const struct lb_params *p)
{
	__u32 i;

	memset(&twin, 0, sizeof(twin));
	memset(answers, 0, sizeof(answers));
	memset(budgets, 0, sizeof(budgets));
	for (i = 0; i < TWIN_TABLES; i++) {
		if (tables[i].dirty)
			memset(tables[i].entries, 0, sizeof(tables[i].entries));
		tables[i].dirty = false;
	}
	twin.headroom = TWIN_HEADROOM;
	memcpy((void *)&lb_params, p, sizeof(*p));
	*(__u64 *)&lb_params.clock_mul = 1ull << 32;
}

int twin_run(const void *frame, __u32 len, void *out, __u32 *out_len)
{
	/* On the heap and exactly as long as the frame with its room: the sanitizer sees a step beyond. */
	__u8 *room = malloc(TWIN_HEADROOM + len);
	struct xdp_md ctx;
	int action;

	if (!room)
		abort();
	ctx.room_begin = (long)room + TWIN_HEADROOM - twin.headroom;
	ctx.room_end = (long)room + TWIN_HEADROOM + len;
	ctx.data = (long)room + TWIN_HEADROOM;
	ctx.data_end = ctx.room_end;
	memcpy((void *)ctx.data, frame, len);
	fence(&ctx);
	action = setjmp(tail_called);
	if (action)
		action--;
	else
		action = lb_finish(lb_pipeline(&ctx));
	*out_len = (__u32)(ctx.data_end - ctx.data);
	memcpy(out, (void *)ctx.data, *out_len);
	ASAN_UNPOISON_MEMORY_REGION(room, TWIN_HEADROOM + len);
	free(room);
	return action;
}
