// SPDX-License-Identifier: Apache-2.0
/* Clock, grace periods, counters, egress ports, test runs, memory. */
#include "dataplane_env.h"

#include <net/if.h>
#include <pthread.h>
#include <time.h>

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void sleep_ms(unsigned int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static struct dataplane *open_default(void)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);

	env_commit(d);
	return d;
}

/* jiffies counted over real time agree with what clock_getres() says of them. */
static void test_hz(void **state)
{
	struct bpf_insn code[] = {{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64}, {.code = BPF_JMP | BPF_EXIT}};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "jiffies", "GPL", code, 2,
			       &(struct bpf_prog_load_opts){.sz = sizeof(struct bpf_prog_load_opts),
							    .prog_flags = BPF_F_SLEEPABLE});
	LIBBPF_OPTS(bpf_test_run_opts, a);
	LIBBPF_OPTS(bpf_test_run_opts, b);
	double outer, inner, ticks;

	assert_true(fd >= 0);
	outer = seconds();
	assert_int_equal(bpf_prog_test_run_opts(fd, &a), 0);
	inner = seconds();
	sleep_ms(500);
	inner = seconds() - inner;
	assert_int_equal(bpf_prog_test_run_opts(fd, &b), 0);
	outer = seconds() - outer;
	ticks = b.retval - a.retval;
	close(fd);
	print_message("%u jiffies a second; counted %.0f in %.3f s\n", dp_kernel_hz(), ticks, inner);
	assert_true(ticks > dp_kernel_hz() * inner * 0.99 - 2 && ticks < dp_kernel_hz() * outer * 1.01 + 2);
}

static void test_clock(void **state)
{
	struct dataplane *d = open_default();
	double t = seconds(), outer, inner;
	__u32 a, b;

	for (int i = 0; i < 1000; i++)
		(void)dataplane_clock_ds(d);
	print_message("clock: %.2f us\n", (seconds() - t) * 1e3);
	outer = seconds();
	a = dataplane_clock_ds(d);
	inner = seconds();
	sleep_ms(1000);
	inner = seconds() - inner;
	b = dataplane_clock_ds(d);
	outer = seconds() - outer;
	assert_true(b - a + 1.5 > inner * 10 && b - a < outer * 10 + 1.5);
	dataplane_close(d);
}

/* ---- grace period -------------------------------------------------------------------------------------------- */
/*
 * A slow program reads word 0, idles for some milliseconds, reads word 1. The writer sets word 0, waits, sets word 1.
 * A run that saw 0, 1 was under way before the wait and not done after it. It counts itself in word 2.
 */
#define MOV(dst, src) ((struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = dst, .src_reg = src})
#define MOVI(dst, v) ((struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = dst, .imm = v})
#define LOAD(dst, src, o) \
	((struct bpf_insn){.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = dst, .src_reg = src, .off = o})
#define STORE(dst, src, o) \
	((struct bpf_insn){.code = BPF_STX | BPF_W | BPF_MEM, .dst_reg = dst, .src_reg = src, .off = o})
#define JUMP(op, r, v, o) ((struct bpf_insn){.code = BPF_JMP | (op) | BPF_K, .dst_reg = r, .imm = v, .off = o})
#define CALL(f) ((struct bpf_insn){.code = BPF_JMP | BPF_CALL, .imm = f})

static int slow_program(int map)
{
	struct bpf_insn code[] = {
		{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 6, .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = map},
		{0},
		LOAD(7, 6, 0),
		MOVI(8, 0),
		CALL(BPF_FUNC_ktime_get_ns),
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 8, .imm = 1},
		JUMP(BPF_JLT, 8, 100000, -3),
		LOAD(9, 6, 4),
		JUMP(BPF_JNE, 7, 0, 4),
		JUMP(BPF_JEQ, 9, 0, 3),
		LOAD(1, 6, 8),
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 1, .imm = 1},
		STORE(6, 1, 8),
		MOVI(0, 0),
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "slow", "GPL", code, ARRAY_SIZE(code), NULL);
}

struct hammer {
	int prog;
	volatile bool stop;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	unsigned char frame[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 1);

	while (!h->stop)
		(void)bpf_prog_test_run_opts(h->prog, &run);
	return NULL;
}

/* How many of @rounds switches a running program saw half of. */
static __u32 count_torn(struct dataplane *d, volatile __u32 *words, int rounds, bool wait)
{
	words[2] = 0;
	for (int i = 0; i < rounds; i++) {
		words[1] = 0;
		words[0] = 0;
		dataplane_quiesce(d);
		sleep_ms(3);
		words[0] = 1;
		if (wait)
			assert_int_equal(dataplane_quiesce(d), 0);
		else
			sleep_ms(1);
		words[1] = 1;
		dataplane_quiesce(d);
	}
	return words[2];
}

static void test_quiesce(void **state)
{
	struct dataplane *d = open_default();
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "words", 4, 64, 1,
				 &(struct bpf_map_create_opts){.sz = sizeof(struct bpf_map_create_opts),
							       .map_flags = BPF_F_MMAPABLE});
	struct hammer h = {.prog = slow_program(map)};
	volatile __u32 *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	__u32 without, with, tries;
	pthread_t thread;
	double t;

	assert_true(h.prog >= 0 && words != MAP_FAILED);
	assert_int_equal(pthread_create(&thread, NULL, hammer, &h), 0);
	for (without = 0, tries = 0; !without && tries < 10; tries++) /* on a busy machine few switches meet a run */
		without = count_torn(d, words, 30, false);
	with = count_torn(d, words, 30, true);
	h.stop = true;
	pthread_join(thread, NULL);
	t = seconds();
	for (int i = 0; i < 10; i++)
		assert_int_equal(dataplane_quiesce(d), 0);
	print_message("30 switches under a running program: %u torn without a grace period, %u with; one takes %.1f ms\n",
		      without, with, (seconds() - t) * 100);
	assert_true(without > 0);
	assert_int_equal(with, 0);
	munmap((void *)words, 4096);
	close(map);
	close(h.prog);
	dataplane_close(d);
}

/* ---- counters -------------------------------------------------------------------------------------------------- */
static void test_sums(void **state)
{
	struct dataplane *d = open_default();
	struct lb_counter c[128], percpu[512] = {0};
	struct lb_steer_stats steer[16], *steer_percpu = calloc(d->n_cpus, sizeof(*steer_percpu));

	for (__u32 bidx = 0; bidx < 128; bidx++) {
		for (unsigned int cpu = 0; cpu < d->n_cpus; cpu++)
			percpu[cpu] = (struct lb_counter){.packets = bidx * 10 + cpu, .bytes = bidx};
		assert_int_equal(bpf_map_update_elem(d->map[DP_BACKEND_STATS].fd, &bidx, percpu, 0), 0);
	}
	assert_int_equal(dataplane_read_backend_stats(d, c, 128), 0);
	for (__u32 bidx = 0; bidx < 128; bidx++) {
		assert_int_equal(c[bidx].packets, bidx * 10 * d->n_cpus + d->n_cpus * (d->n_cpus - 1) / 2);
		assert_int_equal(c[bidx].bytes, bidx * d->n_cpus);
	}
	assert_int_equal(dataplane_read_backend_stats(d, c, 129), -ERANGE);
	assert_int_equal(dataplane_reset_backend_stats(d, 100), 0);
	memset(c, 0xff, sizeof(c));
	assert_int_equal(dataplane_read_backend_stats(d, c, 101), 0); /* a part of the entries */
	assert_int_equal(c[100].packets, 0);
	assert_int_equal(c[99].bytes, 99 * d->n_cpus);
	assert_int_equal(c[101].packets, UINT64_MAX);

	for (unsigned int cpu = 0; cpu < d->n_cpus; cpu++)
		steer_percpu[cpu].n[LB_STEER_BUDGET] = 3;
	assert_int_equal(bpf_map_update_elem(d->map[DP_STEER_STATS].fd, &(__u32){9}, steer_percpu, 0), 0);
	assert_int_equal(dataplane_read_steer_stats(d, steer, 16), 0);
	assert_int_equal(steer[9].n[LB_STEER_BUDGET], 3 * d->n_cpus);
	assert_int_equal(steer[8].n[LB_STEER_BUDGET], 0);
	free(steer_percpu);
	dataplane_close(d);
}

static void test_tx_ports(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = open_default();
	struct err err = {0};
	unsigned int a, b;
	__u8 port, again;

	sh("ip link add lb0 type veth peer name lb0p");
	a = if_nametoindex("lb0");
	b = if_nametoindex("lb0p");
	assert_int_equal(dataplane_tx_port(d, a, &port, &err), 0);
	assert_int_equal(port, 1);
	assert_int_equal(dataplane_tx_port(d, b, &port, &err), 0);
	assert_int_equal(port, 2);
	dataplane_close(d);
	d = env_open(&o, true);
	assert_int_equal(dataplane_tx_port(d, b, &again, &err), 0);
	assert_int_equal(again, 2);
	assert_int_not_equal(dataplane_tx_port(d, 999999, &port, &err), 0);
	assert_int_equal(port, 0);
	assert_true(err_is_set(&err));
	dataplane_close(d);
}

/* ---- test runs ----------------------------------------------------------------------------------------------------- */
static void test_run_leaves_no_trace(void **state)
{
	struct dataplane *d = open_default();
	unsigned char frame[64] = {[12] = 0x88, [13] = 0xb5}, out[128];
	__u32 size = sizeof(out), verdict = 99;
	struct dataplane_trace trace;
	struct err err = {0};

	env_run_pinned(5);
	assert_int_equal(dataplane_test_run(d, frame, sizeof(frame), out, &size, &verdict, &err), 0);
	assert_int_equal(verdict, XDP_PASS);
	assert_int_equal(size, sizeof(frame));
	assert_memory_equal(out, frame, sizeof(frame));
	assert_int_equal(env_outcome(d, LB_OUTCOME_PASS_NOT_IP), 5);
	for (int i = 0; i < 3; i++) {
		size = sizeof(out);
		assert_int_equal(dataplane_trace(d, frame, sizeof(frame), out, &size, &trace, &err), 0);
		assert_int_equal(trace.outcome, LB_OUTCOME_PASS_NOT_IP);
		assert_int_equal(trace.bidx, 0);
		assert_false(trace.in_transition);
	}
	assert_int_equal(env_outcome(d, LB_OUTCOME_PASS_NOT_IP), 5);
	assert_int_equal(dataplane_test_run(d, frame, 10, out, &size, &verdict, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "10 bytes"));
	dataplane_close(d);
}

static void test_flow_window(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d;
	struct lb_flow_bucket *w;
	__u32 n = 0, seen = 0;

	o.sizes.flow_buckets = 4 * DATAPLANE_FLOW_WINDOW;
	d = env_open(&o, false);
	for (__u32 first = 0; (w = dataplane_flow_window(d, first, &n)); first += n) {
		w[n - 1].e[0] = first + 1;
		seen += n;
	}
	assert_int_equal(seen, 4 * DATAPLANE_FLOW_WINDOW);
	w = dataplane_flow_window(d, 2 * DATAPLANE_FLOW_WINDOW, &n);
	assert_int_equal(w[n - 1].e[0], 2 * DATAPLANE_FLOW_WINDOW + 1);
	assert_null(dataplane_flow_window(d, 1, &n));
	dataplane_close(d);
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */
/* Not VmRSS of status: before Linux 6.2 that is off by up to 64 pages a thread. */
static long rss_kb(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[128];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Rss: %ld", &kb) == 1)
			break;
	return kb;
}

/* Sizes for 100 services of 10 backends with room to grow: the daemon's share of its 20 MB. */
static void test_memory(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d;
	long before, idle, busy;

	o.sizes = (struct dataplane_sizes){.slot_lines = 19200,
					   .svc_buckets = 2048,
					   .backends = 2048,
					   .services = 256,
					   .flow_buckets = 32768};
	d = env_open(&o, false);
	env_commit(d);
	dataplane_close(d);
	before = rss_kb();
	d = env_open(&o, true);
	env_commit(d);
	idle = rss_kb() - before;
	assert_int_equal(dataplane_need_lines(d, 0, 19200), 0);
	busy = rss_kb() - before;
	dataplane_trim_lines(d);
	assert_int_equal(dataplane_need_lines(d, 300, 100), 0);
	dataplane_trim_lines(d);
	print_message("maps %.1f MB; resident with the data plane open: %ld kB more, with all lines in use %ld, trimmed %ld\n",
		      (double)dataplane_map_bytes(d) / 1e6, idle, busy, rss_kb() - before);
#ifndef __SANITIZE_ADDRESS__ /* keeps freed memory for a while */
	assert_true(idle < 2500);
	assert_true(busy > idle + 5000);
	assert_true(rss_kb() - before < idle + 500);
#endif
	dataplane_close(d);
}

static void touch_away(void *arg)
{
	struct dataplane *d = arg;

	signal(SIGSEGV, SIG_DFL); /* not a failure for cmocka to report */
	(void)*(volatile __u64 *)&dataplane_maps(d)->slot_x[0].a;
}

/* Lines come and go at the same address, with their content. */
static void test_lines(void **state)
{
	struct dataplane_options o = env_options();
	const struct dataplane_maps *m;
	struct dataplane *d;

	o.sizes.slot_lines = 1000;
	d = env_open(&o, false);
	m = dataplane_maps(d);
	assert_int_equal(env_child(touch_away, d), 128 + SIGSEGV);
	assert_int_equal(dataplane_need_lines(d, 250, 750), 0); /* from the middle of a block to the very end */
	m->slot_x[1000 * 32 - 1].a = 1;
	m->slot_x[250 * 32].a = 2;
	m->slot_live[999].tick[31] = 3;
	dataplane_trim_lines(d);
	assert_int_equal(dataplane_need_lines(d, 999, 1), 0);
	dataplane_trim_lines(d);
	assert_int_equal(m->slot_x[1000 * 32 - 1].a, 1); /* asked for again: still there */
	assert_int_equal(env_child(touch_away, d), 128 + SIGSEGV);
	dataplane_trim_lines(d);
	assert_int_equal(dataplane_need_lines(d, 0, 1000), 0);
	assert_int_equal(env_child(touch_away, d), 0);
	assert_int_equal(m->slot_x[250 * 32].a, 2);
	assert_int_equal(m->slot_x[1000 * 32 - 1].a, 1);
	assert_int_equal(m->slot_live[999].tick[31], 3);
	assert_int_equal(dataplane_need_lines(d, 1000, 1), -ERANGE);
	assert_int_equal(dataplane_need_lines(d, 999, 2), -ERANGE);
	assert_int_equal(dataplane_need_lines(d, 5000, 0), 0);
	dataplane_close(d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, env_reset)
	const struct CMUnitTest tests[] = {
		TEST(test_hz),	     TEST(test_clock),		     TEST(test_quiesce),     TEST(test_sums),
		TEST(test_tx_ports), TEST(test_run_leaves_no_trace), TEST(test_flow_window), TEST(test_lines),
		TEST(test_memory),
	};

	dataplane_env_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
