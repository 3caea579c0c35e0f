/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's stores and packets at the same time: a backend's line is replaced over and over while packets leave by
 * it. Each frame must carry all of the old next hop or all of the new one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include "fixture.h"

static struct fixture fix;
static bool stop;
static unsigned int replaced;

enum { SVC = 1, BACKEND = 3, LINE = 0, M = 61, KINDS = 4 };

static struct lb_backend kinds[KINDS];
static struct pkt frames[KINDS];

/* An RCU grace period: every packet that could have seen the stores of before is done. */
static void grace(void)
{
	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		abort();
}

static void *replace_line(void *arg)
{
	unsigned int i;

	for (i = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		struct lb_backend *line = &fix.backends[BACKEND], *spare = &fix.backend_spares[BACKEND];

		if (lb_backend_put(line, spare, &kinds[i % KINDS]) == LB_PUT_MOVED) {
			grace();
			lb_backend_settle(line, spare);
			grace();
		}
		replaced++;
	}
	return NULL;
}

/* Alike in nothing: encapsulation, addresses, MACs, VLAN. */
static void make_kinds(const struct pkt *in)
{
	static const enum lb_encap encaps[KINDS] = { LB_ENCAP_IP4, LB_ENCAP_IP6, LB_ENCAP_L2, LB_ENCAP_IP4 };
	static struct pkt out;
	int i;

	for (i = 0; i < KINDS; i++) {
		struct lb_backend_spec s = { .encap = encaps[i], .link_mtu = 1500, .sid = SVC };
		char text[32];

		s.has_vlan = i == 3;
		s.vlan_tci = 77;
		memset(s.dst_mac, 0x10 + i, 6);
		memset(s.src_mac, 0x20 + i, 6);
		snprintf(text, sizeof(text), i == 1 ? "fd00::%x" : "10.%d.2.3", i);
		fixture_mapped(s.src, text);
		fixture_mapped(s.dst, text);
		lb_backend_build(&kinds[i], &s);
		lb_backend_build(&fix.backends[BACKEND], &s);
		assert_int_equal(fixture_run(&fix, in, &out), XDP_TX);
		frames[i] = out;
	}
}

static void test_no_frame_is_a_mixture(void **state)
{
	static struct pkt in, out;
	unsigned int seen[KINDS] = { 0 }, n, i;
	struct timespec start, now;
	pthread_t thread;

	pkt_build(&in, &(struct pkt_spec){ .payload = 40 });
	make_kinds(&in);
	memset(&fix.backends[BACKEND], 0, sizeof(fix.backends[BACKEND]));
	lb_backend_put(&fix.backends[BACKEND], &fix.backend_spares[BACKEND], &kinds[0]);
	assert_int_equal(pthread_create(&thread, NULL, replace_line, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (n = 0;; n++) {
		assert_int_equal(fixture_run(&fix, &in, &out), XDP_TX);
		for (i = 0; i < KINDS; i++)
			if (out.len == frames[i].len && !memcmp(out.b, frames[i].b, out.len))
				break;
		if (i == KINDS)
			fail_msg("after %u frames and %u changes: a frame of no kind", n, replaced);
		seen[i]++;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > 1 && replaced > 20)
			break;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	for (i = 0; i < KINDS; i++)
		assert_true(seen[i] > 0);
	assert_true(fix.backends[BACKEND].encap != LB_ENCAP_MOVED);
}

/* Each step alone: what packets do when the daemon stops there, and what its successor finds. */
static void test_every_prefix_of_a_change_is_whole(void **state)
{
	static struct pkt in, out;
	struct lb_backend *line = &fix.backends[BACKEND], *spare = &fix.backend_spares[BACKEND];

	pkt_build(&in, &(struct pkt_spec){ .payload = 40 });
	make_kinds(&in);
	memset(line, 0, sizeof(*line));
	assert_int_equal(fixture_run(&fix, &in, &out), XDP_DROP);
	assert_int_equal(lb_backend_put(line, spare, &kinds[0]), LB_PUT_DONE);
	assert_int_equal(lb_backend_put(line, spare, &kinds[1]), LB_PUT_MOVED);
	fixture_run(&fix, &in, &out);
	assert_memory_equal(out.b, frames[1].b, frames[1].len);
	assert_int_equal(lb_backend_put(line, spare, &kinds[2]), LB_PUT_BUSY);
	/* The successor: waits, settles, goes on. */
	lb_backend_settle(line, spare);
	fixture_run(&fix, &in, &out);
	assert_memory_equal(out.b, frames[1].b, frames[1].len);
	/* Single stores: generation, MTU, destination MAC, withdrawal. */
	kinds[1].gen = 9;
	kinds[1].mtu = 1000;
	assert_int_equal(lb_backend_put(line, spare, &kinds[1]), LB_PUT_DONE);
	assert_int_equal(line->gen, 9);
	assert_int_equal(line->mtu, 1000);
	kinds[0].encap = LB_ENCAP_NONE;
	assert_int_equal(lb_backend_put(line, spare, &kinds[0]), LB_PUT_DONE);
	assert_int_equal(fixture_run(&fix, &in, &out), XDP_DROP);
	/* Back again: packets of before may still read the line, so it goes by the spare. */
	assert_int_equal(lb_backend_put(line, spare, &kinds[2]), LB_PUT_MOVED);
	fixture_run(&fix, &in, &out);
	assert_memory_equal(out.b, frames[2].b, frames[2].len);
	lb_backend_settle(line, spare);
	assert_int_equal(line->encap, LB_ENCAP_L2);
}

static int setup(void **state)
{
	fixture_up(&fix, NULL);
	fixture_service(&fix, SVC, 80, 6, 0, M, LINE);
	fixture_slots(&fix, LINE, M, BACKEND);
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
		cmocka_unit_test(test_no_frame_is_a_mixture),
		cmocka_unit_test(test_every_prefix_of_a_change_is_whole),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
