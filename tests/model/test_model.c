// SPDX-License-Identifier: Apache-2.0
/*
 * test_model.c - the rules of docs/steering.md under random changes: I5, I7, I8, and that slots find their rest again.
 *
 * LBD_PROP_CASES: simulations per row (default 6). LBD_PROP_SEED: the first seed. The mutation rows leave a rule out and
 * demand that the simulation notices.
 */
#include "core/cleanup.h"
#include "sim.h"
#include "steer_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

struct player {
	struct steer_model model;
	struct slots_view view;
	__u8 gen[SIM_BIDX_MAX];
	__u64 hash_seed;
};

static __u32 slot_of(void *ctx, __u32 tuple)
{
	struct player *p = ctx;
	__u64 x = (p->hash_seed + tuple) * 0x9e3779b97f4a7c15ull;

	x ^= x >> 31;
	return (__u32)(((x * 0xbf58476d1ce4e5b9ull >> 32) * p->view.m) >> 32);
}

static __u16 packet(void *ctx, __u32 tuple, unsigned int flags, __u32 now_ds)
{
	struct player *p = ctx;

	return steer_model_packet(&p->model, tuple, slot_of(p, tuple), flags, now_ds);
}

static void set_generation(void *ctx, __u16 bidx, __u8 gen)
{
	struct player *p = ctx;

	p->gen[bidx] = gen;
}

static __u64 lookups(void *ctx)
{
	struct player *p = ctx;

	return p->model.lookups;
}

static __u32 same_clock(void *ctx, __u32 now_ds)
{
	(void)ctx;
	return now_ds;
}

static void simulate(const struct sim_options *o, __u32 rules_off, struct sim_result *r)
{
	struct player p = { .hash_seed = o->seed };
	struct sim_steer steer = { .ctx = &p, .view = &p.view, .slot_of = slot_of, .packet = packet,
				   .set_generation = set_generation, .lookups = lookups, .clock = same_clock };
	__u32 lines = o->m / LB_SLOTS_PER_LINE + 1;
	_cleanup_free_ struct lb_slot_line *line = calloc(lines, sizeof(*line));
	_cleanup_free_ struct lb_slot_x *x = calloc(lines * LB_SLOTS_PER_LINE, sizeof(*x));
	_cleanup_free_ __u16 *live = calloc(lines * LB_SLOTS_PER_LINE, sizeof(*live));

	p.view = (struct slots_view){ .lines = line, .x = x, .live = live, .m = o->m, .gen = p.gen };
	assert_int_equal(steer_model_init(&p.model, &p.view, o->flows), 0);
	p.model.off = rules_off;
	p.model.udp = o->udp;
	p.model.udp_track = o->udp_track;
	p.model.idle_s = o->idle_s;
	p.model.spare_s = o->seed % 2 ? LB_FLOW_LINGER_S : 0;
	assert_int_equal(sim_run(o, &steer, r), 0);
	steer_model_done(&p.model);
}

static __u64 env(const char *name, __u64 otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static const struct row {
	const char *name;
	struct sim_options o;
} rows[] = {
	{ "3 servers", { .servers = 3, .m = 101, .flows = 400 } },
	{ "5 servers", { .servers = 5, .m = 251, .flows = 600 } },
	{ "20 servers", { .servers = 20, .m = 1021, .flows = 1500 } },
	{ "100 servers", { .servers = 100, .m = 4093, .flows = 2500 } },
	{ "5 servers, fine steps", { .servers = 5, .m = 101, .flows = 300, .step_ds = 1, .seconds = 600 } },
	{ "long memories", { .servers = 5, .m = 101, .flows = 300, .grace_s = 30, .idle_s = 300 } },
	{ "short grace", { .servers = 5, .m = 101, .flows = 300, .grace_s = 5, .idle_s = 5 } },
	{ "the daemon is killed at times", { .servers = 5, .m = 101, .flows = 400, .crashes = true } },
	{ "UDP, tracked", { .servers = 5, .m = 251, .flows = 600, .udp = true, .udp_track = true } },
	{ "UDP, no state", { .servers = 5, .m = 251, .flows = 600, .udp = true } },
};

static struct sim_options complete(const struct sim_options *from, __u64 seed)
{
	struct sim_options o = *from;

	o.seed = seed;
	o.icmp = true;
	o.step_ds = o.step_ds ? o.step_ds : 10;
	o.grace_s = o.grace_s ? o.grace_s : 60;
	o.idle_s = o.idle_s ? o.idle_s : o.grace_s;
	o.seconds = o.seconds ? o.seconds : 2000;
	return o;
}

static void test_no_connection_breaks(void **state)
{
	__u64 runs = env("LBD_PROP_CASES", 6), seed = env("LBD_PROP_SEED", 1);

	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		struct sim_result sum = { 0 };

		for (__u64 i = 0; i < runs; i++) {
			struct sim_options o = complete(&rows[k].o, seed + i);
			struct sim_result r;

			simulate(&o, 0, &r);
			/* Without state UDP flows follow every change: only I7 and I8 are promised. */
			if (o.udp && !o.udp_track)
				r.wrong_backend = 0;
			if (sim_violations(&r))
				fail_msg("%s, LBD_PROP_SEED=%llu: %llu violations, the first %s", rows[k].name,
					 (unsigned long long)o.seed, (unsigned long long)sim_violations(&r), r.first);
			sum.packets += r.packets;
			sum.connections += r.connections;
			sum.events += r.events;
			sum.moved += r.moved;
			sum.crashes += r.crashes;
			sum.reused += r.reused;
			sum.in_transition += r.in_transition;
			sum.given_up += r.given_up;
			sum.idle += r.idle;
			sum.idle_lost += r.idle_lost;
		}
		print_message("%s: %llu packets (%llu in transition), %llu connections, %llu events, %llu slots moved, "
			      "%llu ids reused, %llu crashes\n", rows[k].name, (unsigned long long)sum.packets,
			      (unsigned long long)sum.in_transition, (unsigned long long)sum.connections,
			      (unsigned long long)sum.events, (unsigned long long)sum.moved,
			      (unsigned long long)sum.reused, (unsigned long long)sum.crashes);
		print_message("    not promised: %llu connections ended by hard downs; of %llu that were silent for longer "
			      "than the grace %llu lost their server\n", (unsigned long long)sum.given_up,
			      (unsigned long long)sum.idle, (unsigned long long)sum.idle_lost);
	}
}

static void test_broken_rules_are_noticed(void **state)
{
	static const struct {
		const char *name;
		__u32 rules_off, faults;
	} mutations[] = {
		{ "no generations", LB_RULE_GENERATION, 0 },
		{ "no alt", LB_RULE_ALT, 0 },
		{ "no SYN cells", LB_RULE_SYN_CELL, 0 },
		{ "SYN cells in P1 only", LB_RULE_CELL_IN_P2, 0 },
		{ "nothing is remembered", LB_RULE_REMEMBER, 0 },
		{ "foreign memories are not marked", LB_RULE_MARK, 0 },
		{ "a SYN does not forget", LB_RULE_SYN_FORGETS, 0 },
		{ "a SYN goes where its tuple went", LB_RULE_SYN_CURRENT, 0 },
		{ "no phases", 0, SIM_SETTLE_AT_ONCE },
		{ "slots settle early", 0, SIM_SHORT_IDLE },
		{ "the generation before the owners", 0, SIM_NO_LOST },
		{ "ids are reused early", 0, SIM_EARLY_REUSE },
		{ "alt is the latest owner", 0, SIM_FORGET_ALT },
	};
	static const struct sim_options base = { .servers = 5, .m = 101, .flows = 500, .seconds = 3000 };

	for (size_t k = 0; k < ARRAY_SIZE(mutations); k++) {
		__u64 found = 0, runs = 0;
		struct sim_result r;

		while (!found && runs < 40) {
			struct sim_options o = complete(&base, 100 + runs++);

			o.faults = mutations[k].faults;
			simulate(&o, mutations[k].rules_off, &r);
			found = sim_violations(&r);
		}
		if (!found)
			fail_msg("%s: nobody noticed in %llu runs", mutations[k].name, (unsigned long long)runs);
		print_message("%s: run %llu, %llu violations with %llu connections, the first %s\n", mutations[k].name,
			      (unsigned long long)runs, (unsigned long long)found,
			      (unsigned long long)r.connections, r.first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_connection_breaks),
		cmocka_unit_test(test_broken_rules_are_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
