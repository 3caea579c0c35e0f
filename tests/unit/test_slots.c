// SPDX-License-Identifier: Apache-2.0
/*
 * test_slots.c - every row of "Who owns an unknown flow" and of the phases in docs/steering.md, and the time of a table.
 * Whether the rules together keep connections whole is shown by tests/model.
 */
#include "core/cleanup.h"
#include "core/slots.h"
#include "lb/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define M 67 /* three lines, the last one not full */
#define GRACE_S 100u
#define IDLE_S 120u

enum { A = 1, B, C, D, BACKENDS };

static struct lb_slot_line lines[3];
static struct lb_slot_x x[96];
static __u16 live[96];
static __u8 gen[BACKENDS], lost[BACKENDS];
static const struct slots_view view = { .lines = lines, .x = x, .live = live, .m = M, .gen = gen, .lost = lost };
static struct slots_counts counts;

static int reset(void **state)
{
	memset(lines, 0, sizeof(lines));
	memset(x, 0, sizeof(x));
	memset(live, 0, sizeof(live));
	memset(lost, 0, sizeof(lost));
	for (unsigned int i = 0; i < BACKENDS; i++)
		gen[i] = (__u8)(10 * i);
	return 0;
}

static void set_all(__u16 bidx, __u32 now_s, bool settle)
{
	__u16 owner[M];

	for (unsigned int i = 0; i < M; i++)
		owner[i] = bidx;
	slots_set_owners(&view, owner, 10 * now_s, settle, &counts);
}

static void age_at(__u32 now_s)
{
	slots_age(&view, 10 * now_s, GRACE_S, IDLE_S, &counts);
}

/* All slots are alike in these tests; the first and the last are looked at. */
static void assert_slot(__u32 slot, __u32 current, __u32 phase, __u32 alt, __u32 since_s)
{
	__u16 word = slots_word(&view, slot);
	__u64 a = x[slot].a;

	assert_int_equal(LB_SLOT_BIDX(word), current);
	assert_int_equal(!!(word & LB_SLOT_TRANSITION), phase != LB_PHASE_SETTLED);
	if (phase == LB_PHASE_SETTLED)
		return;
	assert_int_equal(LB_SLOTX_PHASE(a), phase);
	assert_int_equal(LB_SLOTX_ALT(a), alt);
	if (phase != LB_PHASE_P1)
		return;
	assert_int_equal(LB_SLOTX_ALT_GEN(a), gen[alt]);
	assert_int_equal(LB_SLOTX_SINCE_S(a), since_s);
}

static void assert_slots(__u32 current, __u32 phase, __u32 alt, __u32 since_s)
{
	assert_slot(0, current, phase, alt, since_s);
	assert_slot(M - 1, current, phase, alt, since_s);
	assert_int_equal(counts.settled, phase == LB_PHASE_SETTLED ? M : 0);
	assert_int_equal(counts.p1, phase == LB_PHASE_P1 ? M : 0);
	assert_int_equal(counts.p2, phase == LB_PHASE_P2 ? M : 0);
}

static void test_new_service_settles(void **state)
{
	set_all(A, 1000, true);
	assert_slots(A, LB_PHASE_SETTLED, 0, 0);
	assert_int_equal(counts.moved, M);
	set_all(A, 1001, false);
	assert_int_equal(counts.moved, 0);
}

static void test_settled_begins_p1(void **state)
{
	set_all(A, 1000, true);
	set_all(B, 2000, false);
	assert_slots(B, LB_PHASE_P1, A, 2000);
	assert_int_equal(counts.moved, M);
	assert_int_equal(LB_SLOTX_EPISODE(x[0].a), 1);
	assert_int_equal(live[M - 1], lb_flow_tick(20000));
}

static void test_p1_goes_on(void **state)
{
	set_all(A, 1000, true);
	set_all(B, 2000, false);
	set_all(C, 2050, false);
	assert_slots(C, LB_PHASE_P1, A, 2000);
	assert_int_equal(LB_SLOTX_EPISODE(x[0].a), 1);
	assert_int_equal(live[0], lb_flow_tick(20500)); /* what B got in between is foreign now */
	set_all(A, 2060, false); /* the owner returns: B and C still have flows */
	assert_slots(A, LB_PHASE_P1, A, 2000);
}

static void test_p1_with_void_alt_begins_again(void **state)
{
	set_all(A, 1000, true);
	set_all(B, 2000, false);
	gen[A]++; /* a hard down: unknown flows go to B since */
	set_all(C, 2050, false);
	assert_slots(C, LB_PHASE_P1, B, 2050);
	assert_int_equal(LB_SLOTX_EPISODE(x[0].a), 1);
	lost[B] = 1; /* this change gives up the new alt too; C has the unknown ones */
	set_all(D, 2060, false);
	assert_slots(D, LB_PHASE_P1, C, 2060);
}

static void test_p2_begins_p1_again(void **state)
{
	set_all(A, 1000, true);
	set_all(B, 2000, false);
	age_at(2000 + GRACE_S + 1);
	assert_slots(B, LB_PHASE_P2, A, 0);
	set_all(C, 2110, false);
	assert_slots(C, LB_PHASE_P1, B, 2110);
	assert_int_equal(LB_SLOTX_EPISODE(x[0].a), 1); /* it never rested */
}

static void test_lost_owner_leaves_nothing_to_ask_for(void **state)
{
	set_all(A, 1000, true);
	lost[A] = 1;
	set_all(B, 2000, false); /* settled: all flows were A's */
	assert_slots(B, LB_PHASE_SETTLED, 0, 0);
	assert_int_equal(counts.moved, M);
	gen[A]++;
	lost[A] = 0;

	set_all(C, 3000, false);
	lost[C] = 1;
	set_all(D, 3010, false); /* P1: B's flows are still to be asked for */
	assert_slots(D, LB_PHASE_P1, B, 3000);
	gen[C]++;
	lost[C] = 0;
	lost[B] = lost[D] = 1;
	set_all(A, 3020, false); /* neither alt nor current has flows left; C's successors may */
	assert_slots(A, LB_PHASE_P2, 0, 0);
}

static void test_nobody_has_no_flows(void **state)
{
	set_all(A, 1000, true);
	set_all(0, 2000, false); /* all soft down: established flows stay with A */
	assert_slots(0, LB_PHASE_P1, A, 2000);
	set_all(B, 2010, false);
	assert_slots(B, LB_PHASE_P1, A, 2000);
	set_all(0, 2020, true);
	set_all(C, 2030, false); /* settled on nobody: nothing to protect */
	assert_slots(C, LB_PHASE_SETTLED, 0, 0);
}

static void test_phases_end(void **state)
{
	__u32 limit = (IDLE_S + LB_FLOW_LINGER_S) / LB_FLOW_TICK_S + 1, p2 = 2000 + GRACE_S + 1;

	set_all(A, 1000, true);
	set_all(B, 2000, false);
	age_at(2000 + GRACE_S); /* not longer than the grace yet: `since` was rounded down */
	assert_slots(B, LB_PHASE_P1, A, 2000);
	age_at(p2);
	assert_slots(B, LB_PHASE_P2, A, 0);
	live[0] = (__u16)lb_flow_tick(10 * 2100); /* a packet used a memory of A's flow */
	age_at(LB_FLOW_TICK_S * (lb_flow_tick(20000) + limit));
	assert_int_equal(counts.p2, M);
	age_at(LB_FLOW_TICK_S * (lb_flow_tick(20000) + limit + 1));
	assert_int_equal(counts.p2, 1);
	assert_int_equal(counts.settled, M - 1);
	assert_slot(0, B, LB_PHASE_P2, A, 0);
	assert_slot(1, B, LB_PHASE_SETTLED, 0, 0);
	age_at(LB_FLOW_TICK_S * (lb_flow_tick(21000) + limit + 1));
	assert_slots(B, LB_PHASE_SETTLED, 0, 0);
	set_all(C, 9000, false);
	assert_int_equal(LB_SLOTX_EPISODE(x[0].a), 2);
}

/* The program's clock may be a tick ahead of what the daemon read: that is a fresh mark, not one of three days ago. */
static void test_clocks_do_not_agree(void **state)
{
	set_all(A, 1000, true);
	set_all(B, 2000, false);
	age_at(2000 + GRACE_S + 1);
	live[3] = (__u16)lb_flow_tick(10 * 4004);
	age_at(4000);
	assert_int_equal(counts.p2, 1);
	/* The daemon's own clock seems to go back by a second: P1 does not end for it. */
	set_all(C, 5000, false);
	age_at(4999);
	assert_int_equal(counts.p1, M);
}

/* Clocks wrap: 24 bits of seconds, 16 bits of ticks. */
static void test_wrap(void **state)
{
	__u32 start_s = (1u << 24) - 10;

	set_all(A, start_s - 100, true);
	set_all(B, start_s, false);
	age_at(start_s + GRACE_S);
	assert_int_equal(counts.p1, M);
	age_at(start_s + GRACE_S + 1);
	assert_int_equal(counts.p2, M);
	for (unsigned int i = 0; i < M; i++)
		live[i] = 0xffff;
	age_at(LB_FLOW_TICK_S * 0x10005); /* 6 ticks later */
	assert_int_equal(counts.p2, M);
	age_at(LB_FLOW_TICK_S * 0x10100);
	assert_int_equal(counts.settled, M);
}

static void test_no_live_words_no_settling(void **state)
{
	struct slots_view blind = view;

	set_all(A, 1000, true);
	set_all(B, 2000, false);
	age_at(3000);
	blind.live = NULL;
	slots_age(&blind, 10 * 50000, GRACE_S, IDLE_S, &counts);
	assert_int_equal(counts.p2, M);
}

static void test_settle_ends_transitions(void **state)
{
	__u16 owner[M];

	set_all(A, 1000, true);
	set_all(B, 2000, false);
	set_all(B, 2001, true); /* the policy became UDP `none` */
	assert_slots(B, LB_PHASE_SETTLED, 0, 0);
	assert_int_equal(counts.moved, 0);
	slots_owners(&view, owner);
	assert_int_equal(owner[M - 1], B);
	slots_count(&view, &counts);
	assert_int_equal(counts.settled, M);
}

/* A slot that does not move is not touched, whatever happens beside it. */
static void test_others_are_left_alone(void **state)
{
	__u16 owner[M];

	set_all(A, 1000, true);
	for (unsigned int i = 0; i < M; i++)
		owner[i] = i % 32 == 31 ? B : A;
	slots_set_owners(&view, owner, 20000, false, &counts);
	assert_int_equal(counts.moved, 2);
	assert_int_equal(counts.p1, 2);
	for (unsigned int i = 0; i < M; i++) {
		assert_int_equal(slots_word(&view, i), i % 32 == 31 ? B | LB_SLOT_TRANSITION : A);
		assert_int_equal(x[i].a != 0, i % 32 == 31);
	}
	assert_int_equal(x[M].a, 0);
	assert_int_equal(lines[2].s[M % 32], 0);
}

/*
 * The order of the stores, seen by taking the right to write away: each page that is written to faults once, in order.
 */
static struct {
	char *page[3]; /* live, stories, words */
	size_t size;
	char order[8];
	unsigned int n;
} watch;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	for (unsigned int i = 0; i < 3; i++) {
		if ((char *)info->si_addr < watch.page[i] || (char *)info->si_addr >= watch.page[i] + watch.size)
			continue;
		watch.order[watch.n++] = "LSW"[i];
		(void)mprotect(watch.page[i], watch.size, PROT_READ | PROT_WRITE);
		return;
	}
	abort();
}

/* @owner 0: let time pass instead. */
static const char *order_of_stores(const struct slots_view *v, __u16 owner, __u32 now_s)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, old;

	watch.n = 0;
	memset(watch.order, 0, sizeof(watch.order));
	sigaction(SIGSEGV, &sa, &old);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(mprotect(watch.page[i], watch.size, PROT_READ), 0);
	if (owner)
		slots_set_owners(v, &owner, 10 * now_s, false, &counts);
	else
		slots_age(v, 10 * now_s, GRACE_S, IDLE_S, &counts);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(mprotect(watch.page[i], watch.size, PROT_READ | PROT_WRITE), 0);
	sigaction(SIGSEGV, &old, NULL);
	return watch.order;
}

static void test_order_of_stores(void **state)
{
	struct slots_view v = { .m = 1, .gen = gen, .lost = lost };

	watch.size = (size_t)sysconf(_SC_PAGESIZE);
	for (unsigned int i = 0; i < 3; i++) {
		watch.page[i] = mmap(NULL, watch.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_true(watch.page[i] != MAP_FAILED);
	}
	v.live = (__u16 *)watch.page[0];
	v.x = (struct lb_slot_x *)watch.page[1];
	v.lines = (struct lb_slot_line *)watch.page[2];
	assert_string_equal(order_of_stores(&v, A, 1000), "W");   /* nobody's flows: the word alone */
	assert_string_equal(order_of_stores(&v, B, 2000), "LSW"); /* settled -> P1 */
	assert_string_equal(order_of_stores(&v, C, 2010), "LSW"); /* within P1 */
	assert_string_equal(order_of_stores(&v, 0, 2111), "S");   /* P1 -> P2 */
	assert_string_equal(order_of_stores(&v, A, 2200), "LSW"); /* P2 -> P1 */
	assert_string_equal(order_of_stores(&v, 0, 2400), "S");
	assert_string_equal(order_of_stores(&v, 0, 9000), "W");   /* P2 -> settled */
	for (unsigned int i = 0; i < 3; i++)
		munmap(watch.page[i], watch.size);
}

static double thread_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void test_time_of_a_table(void **state)
{
	enum { BIG = 65537, LINES = BIG / 32 + 1 };
	static struct lb_slot_line big_lines[LINES];
	static struct lb_slot_x big_x[LINES * 32];
	static __u16 big_live[LINES * 32], owner[BIG];
	struct slots_view v = { .lines = big_lines, .x = big_x, .live = big_live, .m = BIG, .gen = gen };
	double best_set = 1e9, best_age = 1e9;

	for (__u32 round = 1; round < 8; round++) {
		double start = thread_ms(), took;

		for (unsigned int i = 0; i < BIG; i++)
			owner[i] = i % 100 == 0 ? B + round % 2 : A;
		slots_set_owners(&v, owner, 1000 * round, round == 1, &counts);
		took = thread_ms() - start;
		best_set = took < best_set ? took : best_set;
		start = thread_ms();
		slots_age(&v, 1000 * round + 10, GRACE_S, IDLE_S, &counts);
		took = thread_ms() - start;
		if (round > 1) /* after the first nothing is in transition */
			best_age = took < best_age ? took : best_age;
	}
	print_message("65537 slots, 1%% move: %.3f ms; a second passes: %.3f ms\n", best_set, best_age);
#if !defined(__SANITIZE_ADDRESS__) && defined(__OPTIMIZE__)
	assert_true(best_set < 1);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_new_service_settles, reset),
		cmocka_unit_test_setup(test_settled_begins_p1, reset),
		cmocka_unit_test_setup(test_p1_goes_on, reset),
		cmocka_unit_test_setup(test_p1_with_void_alt_begins_again, reset),
		cmocka_unit_test_setup(test_p2_begins_p1_again, reset),
		cmocka_unit_test_setup(test_lost_owner_leaves_nothing_to_ask_for, reset),
		cmocka_unit_test_setup(test_nobody_has_no_flows, reset),
		cmocka_unit_test_setup(test_phases_end, reset),
		cmocka_unit_test_setup(test_clocks_do_not_agree, reset),
		cmocka_unit_test_setup(test_wrap, reset),
		cmocka_unit_test_setup(test_no_live_words_no_settling, reset),
		cmocka_unit_test_setup(test_settle_ends_transitions, reset),
		cmocka_unit_test_setup(test_others_are_left_alone, reset),
		cmocka_unit_test_setup(test_order_of_stores, reset),
		cmocka_unit_test_setup(test_time_of_a_table, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
