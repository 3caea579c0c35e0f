// SPDX-License-Identifier: Apache-2.0
/*
 * test_hammer.c - the daemon rewrites slots as fast as it can while packets pass on every CPU: owners change, backends
 * go down hard and return, phases end, slots settle. Every flow must stay with its backend as long as that keeps its
 * generation, and no packet may reach a backend after its hard down.
 *
 * The LB clock runs 64 times as fast as it should, so that a grace of a minute is a second. LBD_HAMMER_S: seconds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#define FIX_FLOW_BUCKETS 512u
#include "core/slots.h"
#include "fixture.h"
#include "lb/flow.h"
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

enum { SVC = 1, PORT = 80, M = 251, LINE = 2, BACKENDS = 8, WORKERS = 4, FLOWS = 150, SPEED = 64, GRACE_S = 60 };

static struct fixture fix;
static struct slots_view view;
static __u8 gen[FIX_BACKENDS], lost[FIX_BACKENDS];
static __u32 down[FIX_BACKENDS]; /* odd while a hard-down backend must not get a packet; changes with every change */
static bool stop;
static __u64 changes, moved, settled, hard_downs;

struct flow {
	bool open;
	__u16 sport;
	__u16 bidx;
	__u8 gen;
	__u32 left;
	__u64 sent_ns;
};

struct worker {
	pthread_t thread;
	unsigned int cpu;
	__u64 rng;
	struct flow flow[FLOWS];
	struct pkt in, out;
	__u64 packets, checked, wrong, to_the_dead;
	char first[160];
};

static struct worker workers[WORKERS];

static __u32 below(__u64 *state, __u32 n)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (__u32)(((*state >> 32) * n) >> 32);
}

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000000000ull + (__u64)t.tv_nsec;
}

/* ---- packets ------------------------------------------------------------------------------------------------- */

static __u16 send_packet(struct worker *w, const struct flow *f, __u8 tcp_flags)
{
	w->in.b[34] = (__u8)(f->sport >> 8);
	w->in.b[35] = (__u8)f->sport;
	w->in.b[47] = tcp_flags;
	w->packets++;
	if (fixture_run(&fix, &w->in, &w->out) != XDP_TX)
		return 0;
	return w->out.b[33];
}

/* One packet, with what was promised about it before and still was afterwards. */
static void step(struct worker *w, struct flow *f)
{
	__u32 was_down[BACKENDS + 1];
	__u64 before_ns = now_ns();
	__u16 bidx;

	for (unsigned int b = 1; b <= BACKENDS; b++)
		was_down[b] = __atomic_load_n(&down[b], __ATOMIC_ACQUIRE);
	if (f->open && __atomic_load_n(&gen[f->bidx], __ATOMIC_ACQUIRE) != f->gen)
		f->open = false;
	bidx = send_packet(w, f, f->open ? 0x10 : 0x02);
	if (bidx && was_down[bidx] & 1 && __atomic_load_n(&down[bidx], __ATOMIC_ACQUIRE) == was_down[bidx])
		w->to_the_dead++;
	if (!f->open) {
		f->gen = __atomic_load_n(&gen[bidx], __ATOMIC_ACQUIRE);
		f->bidx = bidx;
		f->left = 1 + below(&w->rng, 3000);
		/* A backend that is on its way down takes its new flows with it. */
		f->open = bidx && !__atomic_load_n(&lost[bidx], __ATOMIC_ACQUIRE);
	} else if (bidx != f->bidx) {
		/* A process that did not run for long may have kept the flow silent for longer than the grace. */
		bool silent = (now_ns() - f->sent_ns) * SPEED > GRACE_S * 800000000ull;
		bool over = __atomic_load_n(&lost[f->bidx], __ATOMIC_ACQUIRE) ||
			    __atomic_load_n(&gen[f->bidx], __ATOMIC_ACQUIRE) != f->gen;

		if (!silent && !over && !w->wrong++)
			snprintf(w->first, sizeof(w->first), "port %u of backend %u went to %u", f->sport, f->bidx, bidx);
		f->open = false;
	} else {
		w->checked++;
		f->open = --f->left > 0; /* then its port is used again */
	}
	f->sent_ns = before_ns;
}

static void *client(void *arg)
{
	struct worker *w = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		for (unsigned int i = 0; i < FLOWS; i++)
			step(w, &w->flow[i]);
	return NULL;
}

/* Ports whose SYN cells do not coincide: a cell that another flow takes is a loss by design. */
static void choose_ports(void)
{
	static bool taken[FIX_FLOW_BUCKETS * LB_FLOW_WAYS];
	__u32 a, b, sport = 1024;

	for (unsigned int i = 0; i < WORKERS * FLOWS; sport++) {
		struct worker *w = &workers[i / FLOWS];
		__u32 cell;
		__u64 h;

		memcpy(&a, w->in.b + 26, 4);
		memcpy(&b, w->in.b + 30, 4);
		h = lb_hash4(&fix.params.hash, a | (__u64)htons((__u16)sport) << 32,
			     LB_SVC4_KEY(b, htons(PORT), IPPROTO_TCP));
		cell = (lb_hash_bucket(h) & fix.params.syn_mask) * LB_FLOW_WAYS + lb_hash_way(h);
		if (taken[cell])
			continue;
		taken[cell] = true;
		w->flow[i % FLOWS].sport = (__u16)sport;
		i++;
	}
}

/* ---- the daemon ---------------------------------------------------------------------------------------------- */

static void publish_gen(__u16 bidx)
{
	__u8 next = (__u8)(gen[bidx] + 1);

	__atomic_store_n(&fix.backends[bidx].gen, next, __ATOMIC_RELEASE);
	__atomic_store_n(&gen[bidx], next, __ATOMIC_RELEASE);
}

static void grace_period(void)
{
	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		abort();
}

static __u16 any_up(__u64 *rng)
{
	__u16 b;

	do
		b = (__u16)(1 + below(rng, BACKENDS));
	while (down[b] & 1 || lost[b]);
	return b;
}

static void set_owners(const __u16 *owner)
{
	struct slots_counts counts;

	slots_set_owners(&view, owner, fixture_clock_ds(&fix), false, &counts);
	moved += counts.moved;
	changes++;
}

/* One random change of many slots. */
static void change(__u16 *owner, __u64 *rng)
{
	__u16 victim = any_up(rng);
	bool hard = below(rng, 100) < 10;

	if (below(rng, 100) < 10)
		for (__u16 b = 1; b <= BACKENDS; b++)
			if (down[b] & 1) /* it returns */
				__atomic_store_n(&down[b], down[b] + 1, __ATOMIC_RELEASE);
	if (hard) {
		unsigned int ups = 0;

		for (__u16 b = 1; b <= BACKENDS; b++)
			ups += !(down[b] & 1);
		hard = ups > 3;
	}
	if (hard)
		__atomic_store_n(&lost[victim], 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < M; i++)
		if (owner[i] == victim || below(rng, 100) < 5)
			owner[i] = hard || below(rng, 2) ? any_up(rng) : owner[i];
	set_owners(owner);
	if (hard) {
		grace_period();
		publish_gen(victim);
		grace_period();
		__atomic_store_n(&lost[victim], 0, __ATOMIC_RELEASE);
		__atomic_store_n(&down[victim], down[victim] + 1, __ATOMIC_RELEASE);
		hard_downs++;
	}
}

static void daemon_runs(unsigned int seconds)
{
	__u64 rng = 7, start = now_ns(), t;
	__u16 owner[M];
	struct slots_counts counts, before = { 0 };

	for (unsigned int i = 0; i < M; i++)
		owner[i] = (__u16)(1 + i % BACKENDS);
	while ((t = now_ns() - start) < seconds * 1000000000ull) {
		/* Bursts of a second; then calm for as long as phases and memories last (3.2 s), and a little. */
		if (t % 5000000000ull < 1200000000ull) {
			for (unsigned int i = 0; i < 4; i++)
				change(owner, &rng);
			usleep(below(&rng, 2000));
		} else {
			usleep(3000);
		}
		slots_age(&view, fixture_clock_ds(&fix), GRACE_S, GRACE_S, &counts);
		settled += counts.settled > before.settled ? counts.settled - before.settled : 0;
		before = counts;
	}
}

/* ---- */

static void world_up(void)
{
	__u16 owner[M];
	struct slots_counts counts;

	fixture_up(&fix, &(struct fixture_options){ .cpu_insert_budget = ~0u, .clock_speed = SPEED });
	for (unsigned int b = 1; b <= BACKENDS; b++) {
		struct lb_backend_spec s = { .encap = LB_ENCAP_IP4, .link_mtu = 1500, .sid = SVC };
		char text[32];

		snprintf(text, sizeof(text), "10.0.0.%u", b);
		fixture_mapped(s.src, "10.9.9.9");
		fixture_mapped(s.dst, text);
		lb_backend_build(&fix.backends[b], &s);
	}
	fixture_service(&fix, SVC, PORT, IPPROTO_TCP, 0, M, LINE);
	fix.services[SVC].grace_s = fix.services[SVC].flow_idle_s = GRACE_S;
	fix.services[SVC].insert_budget = ~0u;
	view = (struct slots_view){ .lines = fix.slots + LINE, .x = fix.slot_x + LINE * LB_SLOTS_PER_LINE,
				    .live = fix.slot_live[LINE].tick, .m = M, .gen = gen, .lost = lost };
	for (unsigned int i = 0; i < M; i++)
		owner[i] = (__u16)(1 + i % BACKENDS);
	slots_set_owners(&view, owner, fixture_clock_ds(&fix), true, &counts);
	for (unsigned int i = 0; i < WORKERS; i++) {
		workers[i].cpu = i % (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
		workers[i].rng = i + 1;
		pkt_build(&workers[i].in, &(struct pkt_spec){ .src = "198.18.7.7", .dport = PORT, .payload = 12 });
	}
	choose_ports();
}

static void test_flows_stay_under_fire(void **state)
{
	const char *text = getenv("LBD_HAMMER_S");
	__u64 packets = 0, checked = 0;

	world_up();
	for (unsigned int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, client, &workers[i]), 0);
	daemon_runs(text && *text ? (unsigned int)atoi(text) : 6);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned int i = 0; i < WORKERS; i++) {
		packets += workers[i].packets;
		checked += workers[i].checked;
	}
	print_message("%llu packets (%llu of open flows), %llu changes, %llu slots moved, %llu settled, %llu hard downs\n",
		      (unsigned long long)packets, (unsigned long long)checked, (unsigned long long)changes,
		      (unsigned long long)moved, (unsigned long long)settled, (unsigned long long)hard_downs);
	for (unsigned int i = 0; i < WORKERS; i++) {
		if (workers[i].wrong)
			fail_msg("%llu packets of one worker went astray, the first: %s",
				 (unsigned long long)workers[i].wrong, workers[i].first);
		assert_int_equal(workers[i].to_the_dead, 0);
	}
	assert_true(checked > 1000 && changes > 50 && hard_downs > 0 && settled > 0);
	fixture_down(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows_stay_under_fire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
