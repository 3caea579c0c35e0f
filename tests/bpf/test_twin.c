/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loaded program and the same headers compiled for user space (tests/twin), packet by packet over a random mix and
 * a world that changes: verdict, frame, counters and tables must be the same, bit for bit.
 *
 * A difference is a mistake of a compiler, of the verifier's or JIT's, of a helper's description in twin.c, or something
 * undefined in the C. LBD_SEED repeats a run, LBD_PACKETS makes it longer.
 */
#include "mix.h"
#include "twin.h"

static struct fixture fix;

enum { PACKETS = 20000, PORT = 3, ROOM = TWIN_FRAME_MAX + TWIN_HEADROOM };
_Static_assert(TWIN_SLOT_LINES == FIX_SLOT_LINES && TWIN_SVC_BUCKETS == FIX_SVC_BUCKETS &&
		       TWIN_BACKENDS == FIX_BACKENDS && TWIN_SERVICES == FIX_SERVICES &&
		       TWIN_FLOW_BUCKETS == FIX_FLOW_BUCKETS,
	       "the twins' maps are of one size");

/* What the daemon writes, and what packets wrote so far. */
static void copy_to_twin(void)
{
	struct twin_maps *m = &twin.maps;

	memcpy(m->svc4, fix.svc4, sizeof(m->svc4));
	memcpy(m->svc6, fix.svc6, sizeof(m->svc6));
	memcpy(m->slots, fix.slots, sizeof(m->slots));
	memcpy(m->slot_x, fix.slot_x, sizeof(m->slot_x));
	memcpy(m->slot_live, fix.slot_live, sizeof(m->slot_live));
	memcpy(m->backends, fix.backends, sizeof(m->backends));
	memcpy(m->backend_spares, fix.backend_spares, sizeof(m->backend_spares));
	memcpy(m->services, fix.services, sizeof(m->services));
	memcpy(m->flows, fix.flows, sizeof(m->flows));
	memcpy(m->syn_seen, fix.syn_seen, sizeof(m->syn_seen));
}

static void same(const char *what, __u64 packet, const void *a, const void *b, size_t len)
{
	if (memcmp(a, b, len))
		fail_msg("packet %llu: %s differ", (unsigned long long)packet, what);
}

static void same_tables(__u64 packet)
{
	const struct twin_maps *m = &twin.maps;

	same("flows", packet, m->flows, fix.flows, sizeof(m->flows));
	same("SYN cells", packet, m->syn_seen, fix.syn_seen, sizeof(m->syn_seen));
	same("live times", packet, m->slot_live, fix.slot_live, sizeof(m->slot_live));
}

static void same_counters(__u64 packet)
{
	static struct fixture_ledger l;
	struct lb_steer_stats steer;
	__u32 i;

	fixture_ledger(&fix, &l);
	same("outcomes", packet, l.outcomes, twin.maps.outcomes, sizeof(l.outcomes));
	same("backend counters", packet, l.backends, twin.maps.backend_stats, sizeof(l.backends));
	for (i = 1; i < FIX_SERVICES; i++) {
		steer = fixture_steer(&fix, i);
		same("steering counters", packet, &steer, &twin.maps.steer_stats[i], sizeof(steer));
	}
}

/* What a packet left behind that only the kernel ran at the right time. */
static void copy_counters_to_twin(void)
{
	static struct fixture_ledger l;
	int services = bpf_map__fd(fix.skel->maps.limit_services), sources = bpf_map__fd(fix.skel->maps.limit_sources);
	__u8 key[16], *last = NULL; /* struct lb_limit_key */
	__u64 tokens;
	__u32 i;

	fixture_ledger(&fix, &l);
	memcpy(twin.maps.outcomes, l.outcomes, sizeof(l.outcomes));
	memcpy(twin.maps.backend_stats, l.backends, sizeof(l.backends));
	for (i = 1; i < FIX_SERVICES; i++) {
		twin.maps.steer_stats[i] = fixture_steer(&fix, i);
		assert_int_equal(bpf_map_lookup_elem(services, &i, &twin.maps.limit_services[i]), 0);
	}
	for (; !bpf_map_get_next_key(sources, last, key); last = key)
		if (!bpf_map_lookup_elem(sources, key, &tokens))
			twin_put(TWIN_LIMIT_SOURCES, key, &tokens);
}

static void change_slot(__u32 now_s)
{
	__u32 slot = (1 + mix_rnd(MIX_SERVICES)) * 2 * LB_SLOTS_PER_LINE + mix_rnd(MIX_M), alt = 5 + mix_rnd(9);
	__u32 current = mix_rnd(10) ? 5 + mix_rnd(9) : 0;
	__u16 word = (__u16)(current | (mix_rnd(3) ? LB_SLOT_TRANSITION : 0));

	fix.slot_x[slot].a = LB_SLOTX_A(alt, fix.backends[alt].gen + !mix_rnd(6), mix_rnd(3), mix_rnd(256),
					(now_s - mix_rnd(100)) & 0xffffff);
	fix.slots[slot / LB_SLOTS_PER_LINE].s[slot % LB_SLOTS_PER_LINE] = word;
}

static void change_backend(void)
{
	static struct lb_backend good[FIX_BACKENDS];
	static bool saved;
	__u32 bidx = 5 + mix_rnd(9);
	struct lb_backend *b = &fix.backends[bidx];
	__u8 gen = b->gen;

	if (!saved)
		memcpy(good, fix.backends, sizeof(good));
	saved = true;
	switch (mix_rnd(10)) {
	case 0:
		b->gen++;
		break;
	case 1:
		b->encap = (__u8)mix_rnd(LB_ENCAP_MAX);
		break;
	case 2:
		b->tx_port = mix_rnd(2) ? 0 : (__u8)(PORT + mix_rnd(2));
		break;
	case 3:
		b->flags ^= LB_BACKEND_VLAN;
		break;
	case 4:
		b->mtu = (__u16)(mix_rnd(2) ? 1480 : mix_rnd(1600));
		break;
	case 5:
		fix.backend_spares[bidx] = good[5 + mix_rnd(5)];
		break;
	default:
		*b = good[bidx];
		b->gen = gen;
	}
}

/* Old words in the tables: entries that are closing, dead, of another backend, of the near future. */
static void change_flow(__u32 tick)
{
	__u64 *w = &(mix_rnd(2) ? fix.flows : fix.syn_seen)[mix_rnd(FIX_FLOW_BUCKETS)].e[mix_rnd(LB_FLOW_WAYS)];
	static const __u32 ages[] = { 0, 1, 14, 15, 16, 17, 225, 226, 227, 242, 243, 5000, (__u32)-5, (__u32)-20 };

	if (*w)
		*w = (*w & ~(__u64)LB_FLOW_TICK_MASK) | ((tick - ages[mix_rnd(14)]) & LB_FLOW_TICK_MASK);
}

static void change_something(__u32 now_ds)
{
	__u32 sid = 1 + mix_rnd(MIX_SERVICES);

	switch (mix_rnd(5)) {
	case 0:
	case 1:
		change_slot(now_ds / 10);
		break;
	case 2:
		change_backend();
		break;
	case 3:
		change_flow(now_ds / 40);
		break;
	default:
		fix.services[sid].insert_budget = mix_rnd(2) ? 1000000 : 0;
	}
}

/*
 * The kernel's clock can not be held: what a packet did that saw it move is taken over from the kernel. (Not so the
 * buckets for answers, which the test never empties, and the fragments, which it never lets grow old.)
 */
static bool run_both(const struct pkt *in, __u64 packet)
{
	static struct pkt out;
	static __u8 twin_out[ROOM];
	__u32 before, after, twin_len;
	int action, twin_action;

	copy_to_twin();
	before = fixture_clock_ds(&fix);
	action = fixture_run(&fix, in, &out);
	after = fixture_clock_ds(&fix);
	twin.now_ds = before;
	twin_action = twin_run(in->b, in->len, twin_out, &twin_len);
	if (before != after)
		return false;
	if (action != twin_action)
		fail_msg("packet %llu: the kernel says %d, the twin %d", (unsigned long long)packet, action, twin_action);
	if (action == XDP_PASS || action == XDP_TX || action == XDP_REDIRECT) {
		if (out.len != twin_len)
			fail_msg("packet %llu: %u bytes, the twin's has %u", (unsigned long long)packet, out.len, twin_len);
		same("frames", packet, out.b, twin_out, twin_len);
	}
	same_tables(packet);
	return true;
}

static void test_twins_agree(void **state)
{
	static struct pkt in;
	const char *text = getenv("LBD_PACKETS");
	__u64 n = text ? strtoull(text, NULL, 0) : PACKETS, i, skipped = 0;
	__u64 sent = 0;
	__u32 b, o, met = 0, now_ds = fixture_clock_ds(&fix);

	for (i = 0; i < n; i++) {
		if (!mix_rnd(3))
			change_something(now_ds);
		if (!(i % 64))
			now_ds = fixture_clock_ds(&fix);
		mix_frame(&in);
		if (!run_both(&in, i)) {
			skipped++;
			copy_counters_to_twin();
		}
		if (!(i % 100))
			same_counters(i);
	}
	for (b = 0; b < FIX_BACKENDS; b++)
		sent += twin.maps.backend_stats[b].packets;
	for (o = 0; o < LB_OUTCOME_MAX; o++)
		met += twin.maps.outcomes[o] != 0;
	print_message("%llu packets (%llu while the clock moved), %llu to backends, %u outcomes\n", (unsigned long long)n,
		      (unsigned long long)skipped, (unsigned long long)sent, met);
	assert_true(met >= 12 && sent > n / 8);
	assert_true(skipped < n / 10);
}

static int setup(void **state)
{
	__u32 port = PORT, lo = 1, deny = LB_ACL_DENY;

	mix_start();
	/* Rates that nothing reaches: a token more or less may not matter. */
	fixture_up(&fix, &(struct fixture_options){ .features = LB_FEATURE_VIP_ECHO, .echo_rate = 1000000,
						    .error_rate = 1000000 });
	mix_world(&fix);
	twin_reset(&fix.params);
	twin_put(TWIN_ACL, &mix_denied, &deny);
	if (bpf_map_update_elem(bpf_map__fd(fix.skel->maps.tx_ports), &port, &lo, BPF_ANY))
		return -1;
	twin.tx_ports = 1ull << PORT;
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
		cmocka_unit_test(test_twins_agree),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
