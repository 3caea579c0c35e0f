// SPDX-License-Identifier: Apache-2.0
/*
 * test_same.c - the steering headers compiled for user space beside the loaded program: over random tables, flow tables,
 * generations, phases and packets both choose the same backend and leave the same bytes behind.
 *
 * What differs between the two is only what stands in for the kernel below: array look-ups and a clock that stands.
 * LBD_PROP_CASES: rounds (default 60) of 400 packets; LBD_PROP_SEED.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#define FIX_FLOW_BUCKETS 16u /* crowded */
#include "core/cleanup.h"
#include "fixture.h"
#include <sched.h>

/* ---- the kernel's part, here --------------------------------------------------------------------------------- */

static void *here_lookup(const void *map, const void *key);

#define __BPF_HELPERS__
#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) value *name
#define __array(name, value) value *name[]
#define __noinline static __attribute__((noinline))
#define bpf_map_lookup_elem here_lookup
#define bpf_jiffies64() 0ull
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunknown-pragmas" /* clang's, about unrolling */
#include "../../bpf/steer.h"
#pragma GCC diagnostic pop
#undef bpf_map_lookup_elem

enum { M = 101, LINE = 8, TCP = 1, UDP = 2, BACKENDS = 9, PACKETS = 400, PORT = 80 };

static struct {
	struct lb_slot_x slot_x[FIX_SLOT_LINES * LB_SLOTS_PER_LINE];
	struct lb_slot_live_line live[FIX_SLOT_LINES];
	struct lb_backend backends[FIX_BACKENDS];
	struct lb_service services[FIX_SERVICES];
	struct lb_flow_bucket flows[FIX_FLOW_BUCKETS], syn_seen[FIX_FLOW_BUCKETS];
	struct lb_steer_stats stats[FIX_SERVICES];
	struct lb_budget budget[FIX_SERVICES];
} here;

static void *here_lookup(const void *map, const void *key)
{
	const struct {
		const void *map;
		void *base;
		size_t size, n;
	} maps[] = {
		{ &slot_x, here.slot_x, sizeof(*here.slot_x), ARRAY_SIZE(here.slot_x) },
		{ &slot_live, here.live, sizeof(*here.live), ARRAY_SIZE(here.live) },
		{ &backends, here.backends, sizeof(*here.backends), ARRAY_SIZE(here.backends) },
		{ &services, here.services, sizeof(*here.services), ARRAY_SIZE(here.services) },
		{ &flows, here.flows, sizeof(*here.flows), ARRAY_SIZE(here.flows) },
		{ &syn_seen, here.syn_seen, sizeof(*here.syn_seen), ARRAY_SIZE(here.syn_seen) },
		{ &steer_stats, here.stats, sizeof(*here.stats), ARRAY_SIZE(here.stats) },
		{ &steer_budget, here.budget, sizeof(*here.budget), ARRAY_SIZE(here.budget) },
	};
	__u32 i = *(const __u32 *)key;

	for (size_t k = 0; k < ARRAY_SIZE(maps); k++)
		if (maps[k].map == map)
			return i < maps[k].n ? (char *)maps[k].base + i * maps[k].size : NULL;
	fail_msg("the headers look into a map that this test does not know");
	return NULL;
}

/* Constants to the program: filled before anybody reads them, as libbpf does it. */
static void set_params(const struct lb_params *p)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)&lb_params & ~(page - 1);
	uintptr_t end = (uintptr_t)(&lb_params + 1);

	assert_int_equal(mprotect((void *)at, end - at, PROT_READ | PROT_WRITE), 0);
	memcpy((void *)(uintptr_t)&lb_params, p, sizeof(*p));
}

/* ---- random worlds ------------------------------------------------------------------------------------------- */

static struct fixture fix;
static __u64 rng;

static __u32 below(__u32 n)
{
	__u64 x = rng += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (__u32)(((x ^ x >> 31) >> 32) * n >> 32);
}

/* A time near those at which something ends, on either side of it. */
static __u32 some_tick(void)
{
	static const __u32 edges[] = { 0, 5, 15, 16, 17, 226, 227, 242, 243, 300, LB_FLOW_TICK_MASK - 15 };

	return (0u - edges[below(ARRAY_SIZE(edges))] - below(3)) & LB_FLOW_TICK_MASK;
}

static __u64 hash_of(const struct pkt *p, bool udp)
{
	__u16 sport;
	__u32 a, b;

	memcpy(&a, p->b + 26, 4);
	memcpy(&b, p->b + 30, 4);
	memcpy(&sport, p->b + 34, 2);
	return lb_hash4(&fix.params.hash, a | (__u64)sport << 32,
			LB_SVC4_KEY(b, htons(PORT), udp ? IPPROTO_UDP : IPPROTO_TCP));
}

static void make_packet(struct pkt *p, bool udp, __u8 tcp_flags)
{
	pkt_build(p, &(struct pkt_spec){ .src = "198.18.0.1", .sport = (__u16)(1024 + below(120)), .dport = PORT,
					 .proto = udp ? IPPROTO_UDP : IPPROTO_TCP, .tcp_flags = tcp_flags, .payload = 4 });
}

/* Entries and SYN cells of flows that will come. */
static void remember_some(void)
{
	for (unsigned int i = 0; i < 60; i++) {
		bool udp = below(5) == 0;
		struct pkt p;
		__u64 h, *cell;

		make_packet(&p, udp, 0x10);
		h = hash_of(&p, udp);
		cell = below(3) ? &fix.flows[lb_hash_bucket(h) % FIX_FLOW_BUCKETS].e[below(LB_FLOW_WAYS)] :
				  &fix.syn_seen[lb_hash_bucket(h) % FIX_FLOW_BUCKETS].e[lb_hash_way(h)];
		*cell = LB_FLOW(lb_hash_tag(h), 1 + below(BACKENDS - 1), below(2), some_tick());
	}
}

static void make_world(void)
{
	for (__u32 i = 0; i < FIX_FLOW_BUCKETS * LB_FLOW_WAYS; i++) {
		__u64 *e = &fix.flows[i / LB_FLOW_WAYS].e[i % LB_FLOW_WAYS];

		*e = below(3) ? LB_FLOW(below(1 << 24), below(BACKENDS), below(2), some_tick()) : 0;
		fix.syn_seen[i / LB_FLOW_WAYS].e[i % LB_FLOW_WAYS] = 0;
	}
	for (__u32 b = 1; b < BACKENDS; b++)
		fix.backends[b].gen = (__u8)below(2);
	for (__u32 sid = TCP; sid <= UDP; sid++)
		fix.services[sid].insert_budget = below(4) ? ~0u : below(60);
	for (__u32 i = 0; i < 2 * 4 * LB_SLOTS_PER_LINE; i++) {
		__u32 line = LINE + i / LB_SLOTS_PER_LINE;
		__u32 since = (0u - below(3) * 30 - below(80)) & 0xffffff;

		fix.slots[line].s[i % LB_SLOTS_PER_LINE] = (__u16)(below(BACKENDS) | (below(8) ? LB_SLOT_TRANSITION : 0));
		fix.slot_x[line * LB_SLOTS_PER_LINE + i % LB_SLOTS_PER_LINE].a =
			LB_SLOTX_A(below(BACKENDS), below(2), 1 + below(2), below(256), since);
		fix.slot_live[line].tick[i % LB_SLOTS_PER_LINE] = (__u16)below(0x10000);
	}
	remember_some();
}

static void copy_world(void)
{
	memcpy(here.slot_x, fix.slot_x, sizeof(here.slot_x));
	memcpy(here.live, fix.slot_live, sizeof(here.live));
	memcpy(here.backends, fix.backends, sizeof(here.backends));
	memcpy(here.services, fix.services, sizeof(here.services));
	memcpy(here.flows, fix.flows, sizeof(here.flows));
	memcpy(here.syn_seen, fix.syn_seen, sizeof(here.syn_seen));
}

static __u32 chosen_here(const struct pkt *p, bool udp, __u8 tcp_flags)
{
	struct lb_steer_in in = { .h = hash_of(p, udp), .svc = fix.services[udp ? UDP : TCP].val, .udp = udp,
				  .tcp_flags = tcp_flags };
	__u16 word;

	in.slot = lb_hash_slot(in.h, M);
	word = fix.slots[LB_SVC_LINE(in.svc) + in.slot / LB_SLOTS_PER_LINE].s[in.slot % LB_SLOTS_PER_LINE];
	in.current = LB_SLOT_BIDX(word);
	return word & LB_SLOT_TRANSITION ? lb_steer(&in) : in.current;
}

static __u32 chosen_there(const struct pkt *p)
{
	static struct pkt out;

	if (fixture_run(&fix, p, &out) != XDP_TX)
		return 0;
	return out.b[33]; /* last byte of the outer destination */
}

static void play(unsigned int round)
{
	static const __u8 flag_sets[] = { 0x02, 0x10, 0x10, 0x10, 0x18, 0x11, 0x04, 0x12, 0x00 };

	make_world();
	copy_world();
	for (unsigned int i = 0; i < PACKETS; i++) {
		bool udp = below(5) == 0;
		__u8 flags = udp ? 0 : flag_sets[below(ARRAY_SIZE(flag_sets))];
		struct pkt p;
		__u32 a, b;

		make_packet(&p, udp, flags);
		a = chosen_here(&p, udp, flags);
		b = chosen_there(&p);
		if (a != b)
			fail_msg("round %u, packet %u (flags %#x): here %u, the program %u", round, i, flags, a, b);
	}
	assert_memory_equal(here.flows, fix.flows, sizeof(here.flows));
	assert_memory_equal(here.syn_seen, fix.syn_seen, sizeof(here.syn_seen));
	assert_memory_equal(here.live, fix.slot_live, sizeof(here.live));
}

static void test_the_same(void **state)
{
	const char *cases = getenv("LBD_PROP_CASES"), *seed = getenv("LBD_PROP_SEED");
	unsigned int rounds = cases ? (unsigned int)atoi(cases) : 60;

	rng = seed ? strtoull(seed, NULL, 0) : 1;
	for (unsigned int i = 0; i < rounds; i++)
		play(i);
	for (__u32 sid = TCP; sid <= UDP; sid++) {
		struct lb_steer_stats s = fixture_steer(&fix, sid);

		for (unsigned int k = 0; k < LB_STEER_MAX; k++) {
			assert_int_equal(s.n[k], here.stats[sid].n[k]);
			if (!s.n[k] && !(sid == UDP && (k == LB_STEER_SYN || k == LB_STEER_MISS_NEW || k == LB_STEER_EXPIRE)))
				fail_msg("counter %u of service %u: no packet ever got there", k, sid);
		}
	}
}

static int up(void **state)
{
	struct fixture_options o = { .clock_stands = true, .cpu_insert_budget = 100000 };
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	(void)sched_setaffinity(0, sizeof(one), &one); /* budgets are per CPU */
	fixture_up(&fix, &o);
	set_params(&fix.params);
	fixture_service(&fix, TCP, PORT, IPPROTO_TCP, 0, M, LINE);
	fixture_service(&fix, UDP, PORT, IPPROTO_UDP, LB_SVC_UDP_TRACK, M, LINE + 4);
	for (unsigned int b = 1; b < BACKENDS; b++) {
		struct lb_backend_spec s = { .encap = LB_ENCAP_IP4, .link_mtu = 1500, .sid = b % 2 ? TCP : UDP };
		char text[32];

		snprintf(text, sizeof(text), "10.0.0.%u", b);
		fixture_mapped(s.src, "10.9.9.9");
		fixture_mapped(s.dst, text);
		lb_backend_build(&fix.backends[b], &s);
	}
	return 0;
}

static int down(void **state)
{
	fixture_down(&fix);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_the_same) };

	return cmocka_run_group_tests(tests, up, down);
}
