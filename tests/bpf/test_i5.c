// SPDX-License-Identifier: Apache-2.0
/*
 * test_i5.c - the simulation of tests/model with the loaded program in the program's place: slots.c writes the arrays
 * that the program reads, every packet goes through BPF_PROG_TEST_RUN. I5, I7, I8 (the program's own counter says how
 * often it looked into the flow table), I9.
 *
 * Time: the program's clock stands at 0, and what is stored grows older instead, four seconds at a time.
 * LBD_I5_RUNS: simulations per row (default 1; 50 is a night's work). LBD_PROP_SEED: the first seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#define FIX_SLOT_LINES 160u
#define FIX_BACKENDS 512u
#define FIX_FLOW_BUCKETS 4096u
#include "fixture.h"
#include "lb/flow.h"
#include "sim.h"
#include "steer_model.h"

#define TICK_DS (10 * LB_FLOW_TICK_S)
#define PORT 80
enum { SVC = 1, LINE = 16, TUPLES = 4000, FLOODERS = 50000 /* clients beyond any of the simulation's */ };

_Static_assert(FIX_BACKENDS >= SIM_BIDX_MAX, "every id of the simulation has a backend line");

static struct fixture fix;
static struct lb_steer_stats steer_before;

struct player {
	struct slots_view view;
	__u8 gen[FIX_BACKENDS];
	bool v6;
	__u8 proto;
	struct pkt frame; /* of any tuple: source and flags are put in */
	__u32 client[TUPLES]; /* which address and port a tuple has */
	__u32 slot[TUPLES];
};

/* ---- frames -------------------------------------------------------------------------------------------------- */

static void put_client(struct player *p, __u32 client)
{
	__u8 *addr = p->frame.b + (p->v6 ? 22 + 12 : 26), *port = p->frame.b + (p->v6 ? 54 : 34);
	__u32 source = 10000 + client % 50000;

	addr[2] = (__u8)(client / 50000 >> 8);
	addr[3] = (__u8)(client / 50000);
	port[0] = (__u8)(source >> 8);
	port[1] = (__u8)source;
}

static __u64 hash_of(struct player *p, __u32 client)
{
	__u16 sport;
	__u32 a, b;
	__u64 w[4];

	put_client(p, client);
	memcpy(&sport, p->frame.b + (p->v6 ? 54 : 34), 2);
	memcpy(&a, p->frame.b + 26, 4);
	memcpy(&b, p->frame.b + 30, 4);
	if (!p->v6)
		return lb_hash4(&fix.params.hash, a | (__u64)sport << 32, LB_SVC4_KEY(b, htons(PORT), p->proto));
	memcpy(w, p->frame.b + 22, sizeof(w));
	return lb_hash6(&fix.params.hash, w[0], w[1], w[2], w[3], LB_SVC4_KEY(0, htons(PORT), p->proto) | sport);
}

/*
 * The SYN cells are a cache: a flow whose cell is taken over by another during its handshake is lost by design. The
 * simulation asks for none to be lost, so no two of its tuples share a cell.
 */
static void choose_clients(struct player *p, __u32 n)
{
	static bool taken[FIX_FLOW_BUCKETS * LB_FLOW_WAYS];
	__u32 client = 0;

	memset(taken, 0, sizeof(taken));
	for (__u32 t = 0; t < n; client++) {
		__u64 h = hash_of(p, client);
		__u32 cell = (lb_hash_bucket(h) & fix.params.syn_mask) * LB_FLOW_WAYS + lb_hash_way(h);

		if (taken[cell])
			continue;
		taken[cell] = true;
		p->client[t] = client;
		p->slot[t++] = lb_hash_slot(h, p->view.m);
	}
}

/* ---- what the simulation asks for ---------------------------------------------------------------------------- */

static __u32 slot_of(void *ctx, __u32 tuple)
{
	struct player *p = ctx;

	return p->slot[tuple];
}

static __u16 packet(void *ctx, __u32 tuple, unsigned int flags, __u32 now_ds)
{
	static struct pkt out;
	struct player *p = ctx;

	(void)now_ds;
	put_client(p, tuple < TUPLES ? p->client[tuple] : FLOODERS + tuple);
	if (p->proto == IPPROTO_TCP)
		p->frame.b[p->v6 ? 67 : 47] = flags & MODEL_SYN ? 0x02 : flags & MODEL_FIN ? 0x11 : 0x10;
	if (fixture_run(&fix, &p->frame, &out) != XDP_TX)
		return 0;
	return (__u16)(out.b[32] << 8 | out.b[33]); /* end of the outer destination, see backends_up() */
}

static void set_generation(void *ctx, __u16 bidx, __u8 gen)
{
	struct player *p = ctx;

	__atomic_store_n(&fix.backends[bidx].gen, gen, __ATOMIC_RELEASE);
	p->gen[bidx] = gen;
}

static __u32 clock_stands(void *ctx, __u32 now_ds)
{
	(void)ctx;
	(void)now_ds;
	return 0;
}

static void age_words(struct lb_flow_bucket *b, __u32 ticks)
{
	for (__u32 i = 0; i < FIX_FLOW_BUCKETS * LB_FLOW_WAYS; i++) {
		__u64 *e = &b[i / LB_FLOW_WAYS].e[i % LB_FLOW_WAYS];

		if (*e)
			*e = (*e & ~(__u64)LB_FLOW_TICK_MASK) | ((*e - ticks) & LB_FLOW_TICK_MASK);
	}
}

static void pass(void *ctx, __u32 by_ds)
{
	struct player *p = ctx;
	__u32 ticks = by_ds / TICK_DS;

	assert_int_equal(by_ds % TICK_DS, 0);
	age_words(fix.flows, ticks);
	age_words(fix.syn_seen, ticks);
	for (__u32 i = 0; i < p->view.m; i++) {
		__u64 a = p->view.x[i].a, since = LB_SLOTX_SINCE_S(a) - ticks * LB_FLOW_TICK_S;

		p->view.live[i] = (__u16)(p->view.live[i] - ticks);
		p->view.x[i].a = (a & ((1ull << 40) - 1)) | since << 40;
	}
}

/* ---- */

static void backends_up(void)
{
	for (unsigned int bidx = 1; bidx < FIX_BACKENDS; bidx++) {
		struct lb_backend_spec s = { .encap = LB_ENCAP_IP4, .link_mtu = 1500, .sid = SVC };
		char text[32];

		snprintf(text, sizeof(text), "10.0.%u.%u", bidx >> 8, bidx & 255);
		fixture_mapped(s.src, "10.9.9.9");
		fixture_mapped(s.dst, text);
		lb_backend_build(&fix.backends[bidx], &s);
	}
}

static void player_up(struct player *p, const struct sim_options *o, bool v6)
{
	memset(p, 0, sizeof(*p));
	memset(fix.flows, 0, FIX_FLOW_BUCKETS * sizeof(*fix.flows));
	memset(fix.syn_seen, 0, FIX_FLOW_BUCKETS * sizeof(*fix.syn_seen));
	memset(fix.slots, 0, FIX_SLOT_LINES * sizeof(*fix.slots));
	memset(fix.slot_x, 0, FIX_SLOT_LINES * LB_SLOTS_PER_LINE * sizeof(*fix.slot_x));
	memset(fix.slot_live, 0, FIX_SLOT_LINES * sizeof(*fix.slot_live));
	backends_up();
	p->v6 = v6;
	p->proto = o->udp ? IPPROTO_UDP : IPPROTO_TCP;
	fixture_service(&fix, SVC, PORT, p->proto, o->udp_track ? LB_SVC_UDP_TRACK : 0, o->m, LINE);
	fix.services[SVC].grace_s = o->grace_s;
	fix.services[SVC].flow_idle_s = fix.services[SVC].udp_idle_s = o->idle_s;
	fix.services[SVC].insert_budget = ~0u;
	p->view = (struct slots_view){ .lines = fix.slots + LINE, .x = fix.slot_x + LINE * LB_SLOTS_PER_LINE,
				       .live = fix.slot_live[LINE].tick, .m = o->m, .gen = p->gen };
	pkt_build(&p->frame, &(struct pkt_spec){ .v6 = v6, .src = v6 ? "2001:db8:9::" : "198.18.0.0", .dport = PORT,
						 .proto = p->proto, .tcp_flags = 0x10, .payload = 12 });
	assert_in_range(o->flows, 1, TUPLES);
	choose_clients(p, o->flows);
	steer_before = fixture_steer(&fix, SVC);
}

static __u64 counted(enum lb_steer_stat n)
{
	return fixture_steer(&fix, SVC).n[n] - steer_before.n[n];
}

static void simulate(const struct sim_options *o, bool v6, struct sim_result *r)
{
	static struct player p;
	struct sim_steer steer = { .ctx = &p, .view = &p.view, .slot_of = slot_of, .packet = packet,
				   .set_generation = set_generation, .clock = clock_stands, .pass = pass };

	player_up(&p, o, v6);
	assert_int_equal(sim_run(o, &steer, r), 0);
	if (counted(LB_STEER_BUDGET) + counted(LB_STEER_FULL))
		fail_msg("the flow table is too small for this test: %llu not remembered",
			 (unsigned long long)(counted(LB_STEER_BUDGET) + counted(LB_STEER_FULL)));
}

static void up(__u32 rules_off)
{
	fixture_up(&fix, &(struct fixture_options){ .cpu_insert_budget = ~0u, .rules_off = rules_off,
						    .clock_stands = true });
}

static __u64 env(const char *name, __u64 otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static struct sim_options complete(const struct sim_options *from, __u64 seed)
{
	struct sim_options o = *from;

	o.seed = seed;
	o.step_ds = TICK_DS;
	o.grace_s = o.grace_s ? o.grace_s : 60;
	o.idle_s = o.idle_s ? o.idle_s : o.grace_s;
	o.seconds = o.seconds ? o.seconds : 2000;
	return o;
}

static void test_no_connection_breaks(void **state)
{
	static const struct {
		const char *name;
		bool v6;
		struct sim_options o;
	} rows[] = {
		{ "3 servers", false, { .servers = 3, .m = 101, .flows = 400 } },
		{ "5 servers, IPv6", true, { .servers = 5, .m = 251, .flows = 600 } },
		{ "20 servers", false, { .servers = 20, .m = 1021, .flows = 1500 } },
		{ "100 servers", true, { .servers = 100, .m = 4093, .flows = 2500, .seconds = 1200 } },
		{ "the daemon is killed at times", false,
		  { .servers = 5, .m = 101, .flows = 400, .crashes = true } },
		{ "UDP, tracked", false, { .servers = 5, .m = 251, .flows = 600, .udp = true, .udp_track = true } },
		{ "UDP, no state", true, { .servers = 5, .m = 251, .flows = 600, .seconds = 500, .udp = true } },
	};
	__u64 runs = env("LBD_I5_RUNS", 1), seed = env("LBD_PROP_SEED", 1);

	up(0);
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		for (__u64 i = 0; i < runs; i++) {
			struct sim_options o = complete(&rows[k].o, seed + i);
			bool stateless = o.udp && !o.udp_track;
			struct sim_result r;

			simulate(&o, rows[k].v6, &r);
			if (stateless) /* UDP flows follow every change: only I7 and I8 are promised */
				r.wrong_backend = 0;
			if (sim_violations(&r))
				fail_msg("%s, LBD_PROP_SEED=%llu: %llu violations, the first %s", rows[k].name,
					 (unsigned long long)o.seed, (unsigned long long)sim_violations(&r), r.first);
			/* I8: exactly the packets that met a slot in transition came to the rules behind it. */
			assert_int_equal(counted(LB_STEER_LOOKUP), r.in_transition);
			assert_true(stateless || (r.moved > 100 && counted(LB_STEER_INSERT) > 100));
			print_message("%s: %llu packets (%llu in transition), %llu connections, %llu events, "
				      "%llu slots moved, %llu flows remembered\n", rows[k].name,
				      (unsigned long long)r.packets, (unsigned long long)r.in_transition,
				      (unsigned long long)r.connections, (unsigned long long)r.events,
				      (unsigned long long)r.moved, (unsigned long long)counted(LB_STEER_INSERT));
		}
	}
	fixture_down(&fix);
}

/* Leave a rule out of the program, or of the daemon, and the simulation must notice. */
static void test_broken_rules_are_noticed(void **state)
{
	static const struct {
		const char *name;
		__u32 rules_off, faults, grace_s; /* a short grace for what shows at its end only */
	} mutations[] = {
		{ "no generations", LB_RULE_GENERATION, 0, 60 },
		{ "no alt", LB_RULE_ALT, 0, 60 },
		{ "no SYN cells", LB_RULE_SYN_CELL, 0, 60 },
		{ "SYN cells in P1 only", LB_RULE_CELL_IN_P2, 0, 8 },
		{ "nothing is remembered", LB_RULE_REMEMBER, 0, 60 },
		{ "foreign memories are not marked", LB_RULE_MARK, 0, 60 },
		{ "a SYN does not forget", LB_RULE_SYN_FORGETS, 0, 60 },
		{ "a SYN goes where its tuple went", LB_RULE_SYN_CURRENT, 0, 60 },
		{ "no phases", 0, SIM_SETTLE_AT_ONCE, 60 },
		{ "ids are reused early", 0, SIM_EARLY_REUSE, 60 },
		{ "alt is the latest owner", 0, SIM_FORGET_ALT, 60 },
	};
	static const struct sim_options base = { .servers = 5, .m = 101, .flows = 500, .seconds = 1500 };

	for (size_t k = 0; k < sizeof(mutations) / sizeof(mutations[0]); k++) {
		__u64 found = 0, runs = 0;
		struct sim_result r;

		up(mutations[k].rules_off);
		while (!found && runs < 20) {
			struct sim_options o = complete(&base, 100 + runs++);

			o.faults = mutations[k].faults;
			o.grace_s = o.idle_s = mutations[k].grace_s;
			simulate(&o, false, &r);
			found = sim_violations(&r);
		}
		fixture_down(&fix);
		if (!found)
			fail_msg("%s: nobody noticed in %llu runs", mutations[k].name, (unsigned long long)runs);
		print_message("%s: run %llu, %llu violations, the first %s\n", mutations[k].name,
			      (unsigned long long)runs, (unsigned long long)found, r.first);
	}
}

/* I9: a SYN flood inserts nothing, and established tracked flows live on. */
static void test_syn_flood(void **state)
{
	enum { ESTABLISHED = 1000, FLOOD = 60000, OLD = 7, NEW = 8 };
	static const struct sim_options o = { .servers = 2, .m = 1021, .flows = ESTABLISHED, .grace_s = 60, .idle_s = 60 };
	static struct player p;
	static __u16 owner[1021];
	struct slots_counts counts;
	__u64 inserted;

	up(0);
	player_up(&p, &o, false);
	for (unsigned int i = 0; i < o.m; i++)
		owner[i] = OLD;
	slots_set_owners(&p.view, owner, 0, true, &counts);
	for (unsigned int i = 0; i < o.m; i++)
		owner[i] = NEW;
	slots_set_owners(&p.view, owner, 0, false, &counts);
	assert_int_equal(counts.p1, o.m);
	for (__u32 t = 0; t < ESTABLISHED; t++)
		assert_int_equal(packet(&p, t, 0, 0), OLD);
	inserted = counted(LB_STEER_INSERT);
	assert_int_equal(inserted, ESTABLISHED);
	for (__u32 t = 0; t < FLOOD; t++)
		assert_int_equal(packet(&p, TUPLES + t, MODEL_SYN, 0), NEW);
	assert_int_equal(counted(LB_STEER_INSERT), inserted);
	assert_int_equal(counted(LB_STEER_EXPIRE), 0);
	pass(&p, TICK_DS * (60 / LB_FLOW_TICK_S)); /* P1 ends: from here on only what is remembered counts */
	slots_age(&p.view, 0, 50, 60, &counts);
	assert_int_equal(counts.p2, o.m);
	for (__u32 t = 0; t < ESTABLISHED; t++)
		assert_int_equal(packet(&p, t, 0, 0), OLD);
	assert_int_equal(counted(LB_STEER_INSERT), inserted);
	fixture_down(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_connection_breaks),
		cmocka_unit_test(test_broken_rules_are_noticed),
		cmocka_unit_test(test_syn_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
