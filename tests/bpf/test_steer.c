/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of docs/steering.md one by one, against the loaded program: which backend a packet goes to, what is
 * remembered, what is counted. Time passes by writing older times into the tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include "fixture.h"
#include "lb/flow.h"

static struct fixture fix;
static bool v6; /* each test runs in both families */

enum { SVC = 1, LINE = 0 };
enum { A = 11, B = 12, C = 13 };
enum { FIN = 0x11, SYN = 0x02, RST = 0x04, ACK = 0x10 };
#define M 61u
#define PORT 80
#define IDLE_S 900u
#define UDP_IDLE_S 60u
#define CPU_BUDGET 200u

/* ---- the world: all slots of the service are alike -------------------------------------------------------------- */
static void all_slots(__u16 word, __u64 a)
{
	__u32 i;

	for (i = 0; i < M; i++)
		fix.slot_x[LINE * LB_SLOTS_PER_LINE + i].a = a;
	fixture_slots(&fix, LINE, M, word);
}

static __u32 now_s(void)
{
	return fixture_clock_ds(&fix) / 10;
}

static __u32 now_tick(void)
{
	return lb_flow_tick(fixture_clock_ds(&fix));
}

static void p1(__u16 current, __u16 alt)
{
	all_slots(current | LB_SLOT_TRANSITION, LB_SLOTX_A(alt, fix.backends[alt].gen, LB_PHASE_P1, 1, now_s()));
}

static void p2(__u16 current)
{
	all_slots(current | LB_SLOT_TRANSITION, LB_SLOTX_A(A, fix.backends[A].gen, LB_PHASE_P2, 1, now_s()));
}

static void forget_everything(void)
{
	memset(fix.flows, 0, FIX_FLOW_BUCKETS * sizeof(*fix.flows));
	memset(fix.syn_seen, 0, FIX_FLOW_BUCKETS * sizeof(*fix.syn_seen));
	memset(fix.slot_live, 0, FIX_SLOT_LINES * sizeof(*fix.slot_live));
}

static void backend(__u16 bidx, __u8 gen)
{
	struct lb_backend_spec s = { .encap = LB_ENCAP_IP4, .link_mtu = 1500, .sid = SVC, .gen = gen };
	char text[32];

	snprintf(text, sizeof(text), "10.0.2.%u", bidx);
	fixture_mapped(s.src, "10.0.0.1");
	fixture_mapped(s.dst, text);
	lb_backend_build(&fix.backends[bidx], &s);
}

/* What earlier tests used up within this second is given back. */
static void budget_unused(__u32 key)
{
	static const __u64 zero[1024];

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(fix.skel->maps.steer_budget), &key, zero, BPF_ANY), 0);
}

static void reset(void)
{
	forget_everything();
	backend(A, 0);
	backend(B, 0);
	backend(C, 0);
	fixture_service(&fix, SVC, PORT, 6, 0, M, LINE);
	fixture_service(&fix, SVC, PORT, 17, 0, M, LINE);
	fix.services[SVC].flow_idle_s = IDLE_S;
	fix.services[SVC].udp_idle_s = UDP_IDLE_S;
	budget_unused(0);
	all_slots(A, 0);
}

/* ---- packets ----------------------------------------------------------------------------------------------------- */
static void frame(struct pkt *p, unsigned int flow, __u8 proto, __u8 flags)
{
	char src[64];

	snprintf(src, sizeof(src), v6 ? "2001:db8:9::%x" : "192.0.2.%u", flow / 1000 + 1);
	pkt_build(p, &(struct pkt_spec){ .v6 = v6, .src = src, .sport = (__u16)(10000 + flow), .dport = PORT,
					 .proto = proto, .tcp_flags = flags, .payload = 12 });
}

/* The backend that the packet went to; 0 when it was dropped. */
static unsigned int goes_to(unsigned int flow, __u8 proto, __u8 flags)
{
	static struct pkt in, out;
	int action;

	frame(&in, flow, proto, flags);
	action = fixture_run(&fix, &in, &out);
	if (action == XDP_DROP)
		return 0;
	assert_int_equal(action, XDP_TX);
	return out.b[33];
}

static unsigned int tcp(unsigned int flow, __u8 flags)
{
	return goes_to(flow, 6, flags);
}

static __u64 hash_of(unsigned int flow, __u8 proto)
{
	static struct pkt in;
	__u64 w[4];
	__u32 a, b;

	frame(&in, flow, proto, ACK);
	if (!v6) {
		memcpy(&a, in.b + 26, 4);
		memcpy(&b, in.b + 30, 4);
		return lb_hash4(&fix.params.hash, (__u64)a | (__u64)htons((__u16)(10000 + flow)) << 32,
				LB_SVC4_KEY(b, htons(PORT), proto));
	}
	memcpy(w, in.b + 22, 32);
	return lb_hash6(&fix.params.hash, w[0], w[1], w[2], w[3],
			LB_SVC4_KEY(0, htons(PORT), proto) | htons((__u16)(10000 + flow)));
}

/* The flow's entry, or NULL. */
static __u64 *entry_of(unsigned int flow, __u8 proto)
{
	__u64 h = hash_of(flow, proto);
	struct lb_flow_bucket *b = &fix.flows[lb_hash_bucket(h) & fix.params.flow_mask];
	unsigned int i;

	for (i = 0; i < LB_FLOW_WAYS; i++)
		if (b->e[i] && LB_FLOW_TAG(b->e[i]) == lb_hash_tag(h))
			return &b->e[i];
	return NULL;
}

static __u64 *cell_of(unsigned int flow)
{
	__u64 h = hash_of(flow, 6);

	return &fix.syn_seen[lb_hash_bucket(h) & fix.params.syn_mask].e[lb_hash_way(h)];
}

static unsigned int entries(void)
{
	unsigned int n = 0, i, j;

	for (i = 0; i < FIX_FLOW_BUCKETS; i++)
		for (j = 0; j < LB_FLOW_WAYS; j++)
			n += fix.flows[i].e[j] != 0;
	return n;
}

/* The word as if it had been written @seconds earlier. */
static void age(__u64 *e, __u32 seconds)
{
	assert_non_null(e);
	*e = (*e & ~(__u64)LB_FLOW_TICK_MASK) |
	     ((LB_FLOW_TICK(*e) - seconds / LB_FLOW_TICK_S) & LB_FLOW_TICK_MASK);
}

static unsigned int live_slots(void)
{
	unsigned int n = 0, i;

	for (i = 0; i < M; i++)
		n += fix.slot_live[LINE + i / LB_SLOTS_PER_LINE].tick[i % LB_SLOTS_PER_LINE] != 0;
	return n;
}

/* How much each steer counter moved since the last call. */
static struct lb_steer_stats moved(void)
{
	static struct lb_steer_stats last;
	struct lb_steer_stats now = fixture_steer(&fix, SVC), d;
	unsigned int i;

	for (i = 0; i < 16; i++)
		d.n[i] = now.n[i] - last.n[i];
	last = now;
	return d;
}

#define assert_moved(d, id, count) assert_int_equal((d).n[LB_STEER_##id], count)

/* ---- settled ------------------------------------------------------------------------------------------------------- */
static void settled_slots_touch_nothing(void)
{
	unsigned int flow;
	struct lb_steer_stats d;

	moved();
	for (flow = 0; flow < 50; flow++) {
		assert_int_equal(tcp(flow, SYN), A);
		assert_int_equal(tcp(flow, ACK), A);
		assert_int_equal(tcp(flow, FIN), A);
		assert_int_equal(goes_to(flow, 17, 0), A);
	}
	d = moved();
	assert_moved(d, LOOKUP, 0);
	assert_int_equal(entries(), 0);
	assert_int_equal(*cell_of(3), 0);
}

/* ---- P1 -------------------------------------------------------------------------------------------------------------- */
static void syn_goes_to_current_and_makes_no_entry(void)
{
	struct lb_steer_stats d;

	p1(B, A);
	moved();
	assert_int_equal(tcp(1, SYN), B);
	d = moved();
	assert_moved(d, LOOKUP, 1);
	assert_moved(d, SYN, 1);
	assert_moved(d, INSERT, 0);
	assert_int_equal(entries(), 0);
	assert_int_equal(LB_FLOW_BIDX(*cell_of(1)), B);
}

static void established_flow_stays_with_alt(void)
{
	struct lb_steer_stats d;

	p1(B, A);
	moved();
	assert_int_equal(tcp(1, ACK), A);
	d = moved();
	assert_moved(d, MISS_ALT, 1);
	assert_moved(d, INSERT, 1);
	assert_int_equal(LB_FLOW_BIDX(*entry_of(1, 6)), A);
	assert_int_equal(live_slots(), 1);
	/* From now on the entry decides, whatever becomes of the slot. */
	p1(C, B);
	assert_int_equal(tcp(1, ACK), A);
	p2(C);
	assert_int_equal(tcp(1, ACK), A);
	d = moved();
	assert_moved(d, HIT, 2);
}

static void new_flow_stays_with_current(void)
{
	struct lb_steer_stats d;

	p1(B, A);
	tcp(1, SYN);
	moved();
	assert_int_equal(tcp(1, ACK), B);
	d = moved();
	assert_moved(d, MISS_NEW, 1);
	assert_moved(d, INSERT, 1);
	assert_int_equal(live_slots(), 0); /* it is current's: the slot need not stay in transition for it */
	p1(C, A);
	assert_int_equal(tcp(1, ACK), B);
	assert_int_equal(live_slots(), 1); /* now it is */
}

/* The switch comes between SYN and ACK, even twice. */
static void handshake_under_way_keeps_its_backend(void)
{
	p1(B, A);
	assert_int_equal(tcp(1, SYN), B);
	p1(C, A);
	p1(A, A);
	assert_int_equal(tcp(1, ACK), B);
	assert_int_equal(LB_FLOW_BIDX(*entry_of(1, 6)), B);
}

static void old_syn_cell_is_void(void)
{
	p1(B, A);
	tcp(1, SYN);
	age(cell_of(1), LB_SYN_SEEN_S);
	assert_int_equal(tcp(1, ACK), B);
	forget_everything();
	tcp(1, SYN);
	age(cell_of(1), LB_SYN_SEEN_S + 2 * LB_FLOW_TICK_S);
	assert_int_equal(tcp(1, ACK), A);
}

static void syn_cell_of_another_flow_is_void(void)
{
	p1(B, A);
	tcp(1, SYN);
	*cell_of(1) ^= 1ull << 45; /* another tag */
	assert_int_equal(tcp(1, ACK), A);
}

static void syn_removes_the_entry(void)
{
	struct lb_steer_stats d;

	p1(B, A);
	tcp(1, ACK);
	assert_non_null(entry_of(1, 6));
	moved();
	assert_int_equal(tcp(1, SYN), B);
	assert_null(entry_of(1, 6));
	d = moved();
	assert_moved(d, EXPIRE, 1);
	assert_int_equal(tcp(1, ACK), B);
}

/* SYN+ACK is no SYN: it makes no sense from a client, but opens no connection either. */
static void syn_ack_is_a_segment(void)
{
	p1(B, A);
	assert_int_equal(tcp(1, SYN | ACK), A);
}

/* ---- P2 -------------------------------------------------------------------------------------------------------------- */
static void unknown_flow_in_p2_goes_to_current(void)
{
	struct lb_steer_stats d;

	p2(B);
	moved();
	assert_int_equal(tcp(1, ACK), B);
	d = moved();
	assert_moved(d, MISS_CURRENT, 1);
	assert_moved(d, INSERT, 0);
	assert_int_equal(entries(), 0);
}

static void syn_cell_counts_in_p2(void)
{
	p1(B, A);
	tcp(1, SYN);
	tcp(2, SYN);
	p2(B);
	assert_int_equal(tcp(2, ACK), B);
	assert_null(entry_of(2, 6)); /* it is current's: nothing to remember */
	p2(C);
	assert_int_equal(tcp(1, ACK), B);
	assert_non_null(entry_of(1, 6));
	assert_int_equal(live_slots(), 1);
}

/* ---- generations ----------------------------------------------------------------------------------------------------- */
static void entry_of_an_older_generation_is_void(void)
{
	struct lb_steer_stats d;

	p1(B, A);
	tcp(1, ACK);
	fix.backends[A].gen++;
	moved();
	assert_int_equal(tcp(1, ACK), B); /* alt's generation is over as well */
	d = moved();
	assert_moved(d, STALE, 1);
	assert_moved(d, MISS_CURRENT, 1);
	assert_moved(d, INSERT, 1); /* in the same way */
	assert_int_equal(entries(), 1);
	assert_int_equal(LB_FLOW_BIDX(*entry_of(1, 6)), B);
}

static void alt_of_an_older_generation_is_void(void)
{
	p1(B, A);
	fix.backends[A].gen++;
	assert_int_equal(tcp(1, ACK), B);
}

static void syn_cell_of_an_older_generation_is_void(void)
{
	p1(B, A);
	tcp(1, SYN);
	fix.backends[B].gen++;
	p1(C, A);
	assert_int_equal(tcp(1, ACK), A);
}

/* ---- the life of an entry -------------------------------------------------------------------------------------------- */
static void idle_entries_die(void)
{
	p1(B, A);
	tcp(1, ACK);
	p2(B);
	age(entry_of(1, 6), IDLE_S);
	assert_int_equal(tcp(1, ACK), A);
	assert_true(lb_flow_age(*entry_of(1, 6), now_tick()) <= 1); /* refreshed */
	age(entry_of(1, 6), IDLE_S + LB_FLOW_LINGER_S + 3 * LB_FLOW_TICK_S);
	assert_int_equal(tcp(1, ACK), B);
}

static void fin_and_rst_cut_a_life_short(void)
{
	static const __u8 ends[] = { FIN, RST };
	struct lb_steer_stats d;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		forget_everything();
		p1(B, A);
		tcp(1, ACK);
		p2(B);
		moved();
		assert_int_equal(tcp(1, ends[i]), A);
		d = moved();
		assert_moved(d, EXPIRE, 1);
		/* The rest of the conversation still goes there, and does not make the entry young again. */
		age(entry_of(1, 6), LB_FLOW_LINGER_S - 2 * LB_FLOW_TICK_S);
		assert_int_equal(tcp(1, ACK), A);
		assert_int_equal(tcp(1, ends[i]), A);
		d = moved();
		assert_moved(d, EXPIRE, 0);
		assert_int_equal(lb_flow_life(*entry_of(1, 6), now_tick(), lb_flow_idle_ticks(IDLE_S)), LB_FLOW_CLOSING);
		age(entry_of(1, 6), LB_FLOW_LINGER_S + LB_FLOW_TICK_S);
		assert_int_equal(tcp(1, ACK), B);
	}
}

/* Another CPU's clock was a little ahead when it wrote the entry. */
static void entry_from_the_near_future_is_new(void)
{
	p1(B, A);
	tcp(1, ACK);
	*entry_of(1, 6) += 10;
	p2(B);
	assert_int_equal(tcp(1, ACK), A);
}

static void full_bucket_keeps_its_live_flows(void)
{
	struct lb_flow_bucket *b;
	struct lb_steer_stats d;
	__u64 before[LB_FLOW_WAYS];
	unsigned int i;

	p1(B, A);
	b = &fix.flows[lb_hash_bucket(hash_of(1, 6)) & fix.params.flow_mask];
	for (i = 0; i < LB_FLOW_WAYS; i++)
		b->e[i] = LB_FLOW(0x1000 + i, C, 0, now_tick());
	memcpy(before, b->e, sizeof(before));
	moved();
	assert_int_equal(tcp(1, ACK), A);
	d = moved();
	assert_moved(d, FULL, 1);
	assert_moved(d, INSERT, 0);
	assert_memory_equal(before, b->e, sizeof(before));
	/* One that is closing gives way... */
	b->e[2] = lb_flow_touched(b->e[2], now_tick(), lb_flow_idle_ticks(IDLE_S), true);
	assert_int_equal(tcp(1, ACK), A);
	assert_ptr_equal(entry_of(1, 6), &b->e[2]);
	/* ...but one that is dead, or whose backend is gone, before it. */
	b->e[2] = lb_flow_touched(before[2], now_tick(), lb_flow_idle_ticks(IDLE_S), true);
	age(&b->e[5], 5 * IDLE_S);
	assert_int_equal(tcp(1, ACK), A);
	assert_ptr_equal(entry_of(1, 6), &b->e[5]);
	memcpy(b->e, before, sizeof(before));
	b->e[7] = LB_FLOW(0x1007, C, 1, now_tick());
	assert_int_equal(tcp(1, ACK), A);
	assert_ptr_equal(entry_of(1, 6), &b->e[7]);
}

/* ---- UDP ---------------------------------------------------------------------------------------------------------- */
static void udp_without_tracking_goes_to_current(void)
{
	p1(B, A);
	assert_int_equal(goes_to(1, 17, 0), B);
	fix.flows[lb_hash_bucket(hash_of(1, 17)) & fix.params.flow_mask].e[0] =
		LB_FLOW(lb_hash_tag(hash_of(1, 17)), A, 0, now_tick());
	assert_int_equal(goes_to(1, 17, 0), B); /* the table is not even looked at */
}

static void udp_with_tracking_has_its_own_times(void)
{
	struct lb_steer_stats d;

	fixture_service(&fix, SVC, PORT, 17, LB_SVC_UDP_TRACK, M, LINE);
	p1(B, A);
	moved();
	assert_int_equal(goes_to(1, 17, 0), A);
	d = moved();
	assert_moved(d, MISS_ALT, 1);
	assert_moved(d, INSERT, 1);
	p2(B);
	age(entry_of(1, 17), UDP_IDLE_S);
	assert_int_equal(goes_to(1, 17, 0), A);
	age(entry_of(1, 17), UDP_IDLE_S + LB_FLOW_LINGER_S + 3 * LB_FLOW_TICK_S);
	assert_int_equal(goes_to(1, 17, 0), B);
	/* P1 lasts no longer than a silence may. */
	forget_everything();
	all_slots(B | LB_SLOT_TRANSITION, LB_SLOTX_A(A, 0, LB_PHASE_P1, 1, now_s() - UDP_IDLE_S + 1));
	assert_int_equal(goes_to(2, 17, 0), A);
	all_slots(B | LB_SLOT_TRANSITION, LB_SLOTX_A(A, 0, LB_PHASE_P1, 1, now_s() - UDP_IDLE_S - 1));
	assert_int_equal(goes_to(3, 17, 0), B);
	assert_null(entry_of(3, 17));
}

/* ---- budgets, affinity, no backend, replacement ------------------------------------------------------------------------------------------------------ */
static void service_budget_limits_insertions(void)
{
	struct lb_steer_stats d;
	unsigned int flow;

	p1(B, A);
	fix.services[SVC].insert_budget = 3;
	budget_unused(SVC);
	moved();
	for (flow = 0; flow < 20; flow++)
		assert_int_equal(tcp(flow, ACK), A); /* steered all the same */
	d = moved();
	assert_int_equal(d.n[LB_STEER_INSERT] + d.n[LB_STEER_BUDGET], 20);
	assert_in_range(d.n[LB_STEER_INSERT], 3, 6); /* a second may end in between */
	fix.services[SVC].insert_budget = 0;
	tcp(50, ACK);
	d = moved();
	assert_moved(d, BUDGET, 1);
}

static void cpu_budget_limits_insertions(void)
{
	struct lb_steer_stats d;
	unsigned int flow, used = 0;

	p1(B, A);
	budget_unused(0);
	moved();
	for (flow = 0; flow < CPU_BUDGET + 50; flow++) {
		assert_int_equal(tcp(flow, ACK), A);
		used = flow + 1;
	}
	d = moved();
	assert_int_equal(d.n[LB_STEER_INSERT] + d.n[LB_STEER_BUDGET] + d.n[LB_STEER_FULL], used);
	assert_in_range(d.n[LB_STEER_INSERT], CPU_BUDGET - 10, 2 * CPU_BUDGET);
	assert_true(d.n[LB_STEER_BUDGET] > 0);
}

static void source_affinity_tracks_each_flow(void)
{
	fixture_service(&fix, SVC, PORT, 6, LB_SVC_HASH_SRC, M, LINE);
	p1(B, A);
	assert_int_equal(tcp(1, ACK), A);
	assert_int_equal(tcp(2, SYN), B);
	assert_int_equal(tcp(2, ACK), B);
	assert_int_equal(tcp(1, ACK), A); /* the SYN of another flow of the source took nothing from it */
	assert_int_equal(entries(), 2);
}

static void source_affinity_has_one_slot_per_source(void)
{
	unsigned int flow, i;

	fixture_service(&fix, SVC, PORT, 6, LB_SVC_HASH_SRC, M, LINE);
	for (i = 0; i < M; i++)
		fix.slots[LINE + i / LB_SLOTS_PER_LINE].s[i % LB_SLOTS_PER_LINE] = i % 2 ? A : B;
	for (flow = 1; flow < 40; flow++)
		assert_int_equal(tcp(flow, ACK), tcp(0, ACK));
	fixture_service(&fix, SVC, PORT, 6, 0, M, LINE);
	for (flow = 1; flow < 40 && tcp(flow, ACK) == tcp(0, ACK); flow++)
		;
	assert_true(flow < 40);
}

static void no_current_backend(void)
{
	p1(0, A);
	assert_int_equal(tcp(1, SYN), 0);
	assert_int_equal(tcp(2, ACK), A);
	p2(0);
	assert_int_equal(tcp(3, ACK), 0);
	assert_int_equal(tcp(2, ACK), A);
}

/* A line under replacement: packets take the spare; the generation is the line's. */
static void moved_backend_is_served_by_its_spare(void)
{
	struct lb_backend_spec s = { .encap = LB_ENCAP_IP4, .link_mtu = 1500, .sid = SVC };
	struct lb_backend want;

	fixture_mapped(s.src, "10.0.0.1");
	fixture_mapped(s.dst, "10.0.2.99");
	lb_backend_build(&want, &s);
	fix.backends[A].seq = 1; /* has been in use */
	assert_int_equal(lb_backend_put(&fix.backends[A], &fix.backend_spares[A], &want), LB_PUT_MOVED);
	assert_int_equal(fix.backends[A].encap, LB_ENCAP_MOVED);
	assert_int_equal(lb_backend_put(&fix.backends[A], &fix.backend_spares[A], &want), LB_PUT_BUSY);
	assert_int_equal(tcp(1, ACK), 99);
	p1(B, A);
	assert_int_equal(tcp(2, ACK), 99);
	assert_int_equal(LB_FLOW_BIDX(*entry_of(2, 6)), A);
	lb_backend_settle(&fix.backends[A], &fix.backend_spares[A]);
	memset(&fix.backend_spares[A], 0, sizeof(want));
	assert_int_equal(tcp(2, ACK), 99);
	assert_int_equal(lb_backend_put(&fix.backends[A], &fix.backend_spares[A], &want), LB_PUT_DONE);
}

static void both_families(void (*test)(void))
{
	int family;

	for (family = 0; family < 2; family++) {
		v6 = family;
		reset();
		test();
	}
}

/* One row per rule; the name is what fails. */
#define RULES(X)                                                                                               \
	X(settled_slots_touch_nothing) X(syn_goes_to_current_and_makes_no_entry)                               \
	X(established_flow_stays_with_alt) X(new_flow_stays_with_current)                                      \
	X(handshake_under_way_keeps_its_backend) X(old_syn_cell_is_void) X(syn_cell_of_another_flow_is_void)   \
	X(syn_removes_the_entry) X(syn_ack_is_a_segment) X(unknown_flow_in_p2_goes_to_current)                 \
	X(syn_cell_counts_in_p2) X(entry_of_an_older_generation_is_void) X(alt_of_an_older_generation_is_void) \
	X(syn_cell_of_an_older_generation_is_void) X(idle_entries_die) X(fin_and_rst_cut_a_life_short)         \
	X(entry_from_the_near_future_is_new) X(full_bucket_keeps_its_live_flows)                               \
	X(udp_without_tracking_goes_to_current) X(udp_with_tracking_has_its_own_times)                         \
	X(service_budget_limits_insertions) X(cpu_budget_limits_insertions) X(source_affinity_tracks_each_flow)                                \
	X(source_affinity_has_one_slot_per_source) X(no_current_backend) X(moved_backend_is_served_by_its_spare)
#define X(rule)                            \
	static void test_##rule(void **state) \
	{                                  \
		both_families(rule);       \
	}
RULES(X)
#undef X

static int setup(void **state)
{
	cpu_set_t one;

	/* Budgets are per CPU. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	fixture_up(&fix, &(struct fixture_options){ .cpu_insert_budget = CPU_BUDGET });
	return 0;
}

static int teardown(void **state)
{
	fixture_down(&fix);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define X(rule) cmocka_unit_test(test_##rule),
		RULES(X)
#undef X
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
