// SPDX-License-Identifier: Apache-2.0
/* Test runs against a real service: what `lbctl explain` will learn, and that nothing of it stays. */
#include "dataplane_env.h"
#include "lb/backend.h"
#include "lb/flow.h"
#include "lb/hash.h"
#include "../bpf/pkt.h"

#define SID 3
#define LINE 2
#define SLOTS 31

static struct dataplane *world;

/* Service 203.0.113.10:80 whose slots all have current owner 1; backends 1 and 2 by IPIP. */
static int set_up(void **state)
{
	struct dataplane_options o = env_options();
	const struct dataplane_maps *m;
	struct lb_svc_hash hash;
	__u32 vip = inet_addr("203.0.113.10");
	__u64 key = LB_SVC4_KEY(vip, htons(80), 6), vip_key = LB_SVC4_KEY(vip, 0, 0);

	o.svc_seed = 5;
	world = env_open(&o, false);
	env_commit(world);
	m = dataplane_maps(world);
	assert_int_equal(dataplane_need_lines(world, LINE, 1), 0);
	for (__u8 bidx = 1; bidx <= 2; bidx++) {
		struct lb_backend_spec spec = {.encap = LB_ENCAP_IP4, .link_mtu = 1500, .sid = SID, .gen = 7};
		const __u8 mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = bidx};

		memcpy(spec.src, mapped, 16);
		memcpy(spec.dst, mapped, 16);
		lb_backend_build(&m->backends[bidx], &spec);
	}
	for (unsigned int i = 0; i < LB_SLOTS_PER_LINE; i++)
		m->slots[LINE].s[i] = 1;
	m->services[SID] = (struct lb_service){
		.name = "web", .val = LB_SVC_VAL(SID, 0, SLOTS, LINE), .grace_s = 900, .flow_idle_s = 900, .insert_budget = 9};
	lb_svc_hash_init(&hash, o.svc_seed, m->sizes.svc_buckets);
	m->svc4[lb_svc4_bucket(&hash, key)].e[0] = (struct lb_svc4){key, m->services[SID].val};
	m->svc4[lb_svc4_bucket(&hash, vip_key)].e[1] = (struct lb_svc4){vip_key, 0};
	return 0;
}

static int tear_down(void **state)
{
	dataplane_close(world);
	return env_reset(state);
}

/* All slots in phase P1: unknown flows belong to backend 2. */
static void begin_transition(void)
{
	const struct dataplane_maps *m = dataplane_maps(world);
	__u32 now_s = dataplane_clock_ds(world) / 10;

	for (unsigned int i = 0; i < LB_SLOTS_PER_LINE; i++) {
		m->slot_x[LINE * LB_SLOTS_PER_LINE + i].a = LB_SLOTX_A(2, 7, LB_PHASE_P1, 1, now_s);
		m->slots[LINE].s[i] = 1 | LB_SLOT_TRANSITION;
	}
}

static void trace(const struct pkt_spec *spec, struct dataplane_trace *t)
{
	struct err err = {0};
	struct pkt p = {0};
	__u8 out[2048];
	__u32 size = sizeof(out);

	pkt_build(&p, spec);
	if (dataplane_trace(world, p.b, p.len, out, &size, t, &err))
		fail_msg("%s", err.msg);
	if (t->verdict == XDP_TX) {
		assert_int_equal(size, p.len + 20);
		assert_int_equal(out[14 + 9], 4); /* IPIP */
		assert_int_equal(out[14 + 19], t->bidx);
	}
}

static unsigned int count_words(int fd, __u32 buckets)
{
	unsigned int n = 0;

	for (__u32 i = 0; i < buckets; i++) {
		struct lb_flow_bucket b;

		assert_int_equal(bpf_map_lookup_elem(fd, &i, &b), 0);
		for (unsigned int k = 0; k < LB_FLOW_WAYS; k++)
			n += b.e[k] != 0;
	}
	return n;
}

/* No counter, flow, SYN mark, budget or live mark of the real instance has moved. */
static void assert_no_trace(void)
{
	struct lb_steer_stats steer[SID + 1];
	struct lb_counter c[3];
	__u64 outcomes[LB_OUTCOME_MAX], budget[512];
	__u32 sid = SID;

	assert_int_equal(dataplane_read_backend_stats(world, c, 3), 0);
	assert_int_equal(c[1].packets + c[2].packets, 0);
	assert_int_equal(dataplane_read_outcomes(world, outcomes, LB_OUTCOME_MAX), 0);
	for (int i = 0; i < LB_OUTCOME_MAX; i++)
		assert_int_equal(outcomes[i], 0);
	assert_int_equal(dataplane_read_steer_stats(world, steer, SID + 1), 0);
	for (int i = 0; i < LB_STEER_MAX; i++)
		assert_int_equal(steer[SID].n[i], 0);
	assert_int_equal(bpf_map_lookup_elem(world->map[DP_STEER_BUDGET].fd, &sid, budget), 0);
	for (unsigned int cpu = 0; cpu < world->n_cpus; cpu++)
		assert_int_equal(budget[cpu], 0);
	assert_int_equal(count_words(world->map[DP_FLOWS].fd, world->maps.sizes.flow_buckets), 0);
	assert_int_equal(count_words(world->map[DP_SYN_SEEN].fd, world->maps.sizes.syn_buckets), 0);
	for (unsigned int i = 0; i < LB_SLOTS_PER_LINE; i++)
		assert_int_equal(dataplane_maps(world)->slot_live[LINE].tick[i], 0);
}

static void test_settled(void **state)
{
	struct dataplane_trace t;

	trace(&(struct pkt_spec){.proto = 6}, &t);
	assert_int_equal(t.verdict, XDP_TX);
	assert_int_equal(t.bidx, 1);
	assert_int_equal(t.outcome, -1);
	assert_false(t.in_transition);
	trace(&(struct pkt_spec){.proto = 6, .dst = "203.0.113.11"}, &t);
	assert_int_equal(t.verdict, XDP_PASS);
	assert_int_equal(t.bidx, 0);
	assert_int_equal(t.outcome, LB_OUTCOME_PASS_NOT_VIP);
	assert_no_trace();
}

static void test_through_tail_call(void **state)
{
	struct dataplane_trace t;

	trace(&(struct pkt_spec){.proto = 6, .opts = 8}, &t); /* IPv4 options: the general parser */
	assert_int_equal(t.verdict, XDP_TX);
	assert_int_equal(t.bidx, 1);
	assert_no_trace();
}

/* Each run starts from what is true now, not from what the run before would have left. */
static void test_in_transition(void **state)
{
	struct dataplane_trace t;

	begin_transition();
	for (int i = 0; i < 20; i++) {
		trace(&(struct pkt_spec){.proto = 6, .tcp_flags = 0x02}, &t);
		assert_int_equal(t.bidx, 1);
		assert_int_equal(t.steer.n[LB_STEER_SYN], 1);
		trace(&(struct pkt_spec){.proto = 6}, &t);
		trace(&(struct pkt_spec){.proto = 6}, &t);
		assert_int_equal(t.bidx, 2); /* the SYN was not remembered, so the flow is an old one */
		assert_true(t.in_transition);
		assert_int_equal(t.steer.n[LB_STEER_MISS_ALT], 1);
		assert_int_equal(t.steer.n[LB_STEER_INSERT], 1); /* the budget of 9 does not run out either */
		assert_int_equal(t.steer.n[LB_STEER_HIT], 0);
	}
	assert_no_trace();
}

/* Flows and SYNs of real packets are known to the run. */
static void test_knows_real_flows(void **state)
{
	struct pkt_spec syn = {.proto = 6, .tcp_flags = 0x02}, ack = {.proto = 6};
	LIBBPF_OPTS(bpf_test_run_opts, run, .repeat = 1);
	struct dataplane_trace t;
	struct pkt p = {0};

	begin_transition();
	pkt_build(&p, &syn);
	run.data_in = p.b;
	run.data_size_in = p.len;
	assert_int_equal(bpf_prog_test_run_opts(world->prog_fd, &run), 0);
	trace(&ack, &t);
	assert_int_equal(t.bidx, 1); /* its SYN went to the new owner */
	assert_int_equal(t.steer.n[LB_STEER_MISS_NEW], 1);
	p.len = 0;
	pkt_build(&p, &ack);
	run.data_size_in = p.len;
	assert_int_equal(bpf_prog_test_run_opts(world->prog_fd, &run), 0);
	trace(&ack, &t);
	assert_int_equal(t.bidx, 1);
	assert_int_equal(t.steer.n[LB_STEER_HIT], 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_settled),
		TEST(test_through_tail_call),
		TEST(test_in_transition),
		TEST(test_knows_real_flows),
	};

	dataplane_env_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
