// SPDX-License-Identifier: Apache-2.0
/*
 * test_probe_schedule.c - when probes happen and who waits for whom: intervals, synchronisation of targets,
 * servers that hang, limits, repeated SYNs, many thousand probes without a leak. Real time and real sockets,
 * so bounds are generous.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/resource.h>

#include "probe_fixture.h"

#define OK200 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static struct server *server_new(struct fixture *f, int family, enum habit habit)
{
	struct server *s = calloc(1, sizeof(*s));

	s->reply = OK200;
	server_start(s, f->event, family, habit);
	return s;
}

static void server_free(struct server *s)
{
	server_stop(s);
	free(s);
}

static void test_interval(void **state)
{
	struct probe_target t;
	struct fixture f;
	struct server *s;

	fixture_open(&f);
	s = server_new(&f, AF_INET, ACCEPT);
	t = target_of(1, AF_INET, s->port, PROBE_TCP);
	sync_targets(&f, &t, 1);
	run_until_results(&f, 1, 2); /* the first interval is random */
	f.gap_min_ns[1] = f.gap_max_ns[1] = 0;
	run_until_results(&f, 1, 12);
	assert_in_range(f.gap_min_ns[1] / 1000, 97000, 101000);
	assert_true(f.gap_max_ns[1] / 1000 < 400000);
	fixture_close(&f);
	server_free(s);
}

/* Of the last 64 good probes; failures and what another question took do not count. */
static void test_latency(void **state)
{
	struct latency l;
	struct probe_target t;
	struct fixture f;
	struct server *s;

	fixture_open(&f);
	s = server_new(&f, AF_INET, ACCEPT);
	t = target_of(1, AF_INET, s->port, PROBE_TCP);
	t.spec.interval_ms = t.spec.fast_interval_ms = 2;
	l = prober_latency(f.prober, 1);
	assert_int_equal(l.n, 0);
	sync_targets(&f, &t, 1);
	run_until_results(&f, 1, 3);
	l = prober_latency(f.prober, 1);
	assert_int_equal(l.n, 3);
	assert_true(l.p50_us <= l.p99_us && l.p99_us > 0 && l.p99_us < 500000);
	run_until_results(&f, 1, LATENCY_MAX + 2);
	l = prober_latency(f.prober, 1);
	assert_int_equal(l.n, LATENCY_MAX);
	t.spec.interval_ms = 100;
	t.port++; /* nobody listens */
	f.results[1] = 0;
	sync_targets(&f, &t, 1);
	run_until_results(&f, 1, 1);
	l = prober_latency(f.prober, 1);
	assert_int_equal(l.n, 0);
	fixture_close(&f);
	server_free(s);
}

static void test_state_changes_and_recovery(void **state)
{
	struct probe_target t;
	struct fixture f;
	struct server *s;
	__u16 port;

	fixture_open(&f);
	s = server_new(&f, AF_INET, ACCEPT);
	port = s->port;
	t = target_of(1, AF_INET, port, PROBE_TCP);
	sync_targets(&f, &t, 1);
	run_until_results(&f, 1, 1);
	assert_int_equal(f.ups[1], 1);
	server_stop(s);
	run_until_results(&f, 1, 4);
	assert_int_equal(f.downs[1], 1);
	assert_int_equal(f.last[1].state, HEALTH_DOWN);
	assert_int_equal(prober_health(f.prober, 1, NULL)->state, HEALTH_DOWN);
	fixture_close(&f);
	free(s);
}

/* 30 servers that hang and one that works: its probes keep their rhythm. */
static void test_hanging_servers_delay_nobody(void **state)
{
	struct server *mute, *silent, *good;
	struct probe_target t[31];
	struct fixture f;

	fixture_open(&f);
	mute = server_new(&f, AF_INET, MUTE);
	silent = server_new(&f, AF_INET, SILENT);
	good = server_new(&f, AF_INET, REPLY);
	for (__u32 i = 0; i < 30; i++)
		t[i] = target_of(i, AF_INET, i % 2 ? mute->port : silent->port, PROBE_HTTP);
	t[30] = target_of(30, AF_INET, good->port, PROBE_HTTP);
	t[30].spec.interval_ms = 50;
	sync_targets(&f, t, 31);
	run_until_results(&f, 30, 2);
	f.gap_max_ns[30] = 0;
	run_until_results(&f, 30, 30);
	assert_true(f.gap_max_ns[30] / 1000000 < 300);
	assert_int_equal(f.last[30].state, HEALTH_UP);
	assert_int_equal(f.last[0].state, HEALTH_DOWN);
	assert_int_equal(f.last[0].last.outcome, PROBE_OUTCOME_TIMEOUT);
	assert_int_equal(f.last[1].last.outcome, PROBE_OUTCOME_STALLED);
	fixture_close(&f);
	server_free(mute);
	server_free(silent);
	server_free(good);
}

/* The time-out is longer than the interval: never two probes of one target at a time. */
static void test_one_probe_in_flight(void **state)
{
	struct prober_stats st;
	struct probe_target t;
	struct fixture f;
	struct server *s;

	fixture_open(&f);
	s = server_new(&f, AF_INET, SILENT);
	t = target_of(1, AF_INET, s->port, PROBE_TCP);
	t.spec.timeout_ms = 300;
	t.spec.interval_ms = t.spec.fast_interval_ms = t.spec.down_interval_ms = 10;
	sync_targets(&f, &t, 1);
	for (int i = 0; i < 20; i++) {
		run_for(&f, 50);
		prober_get_stats(f.prober, &st);
		assert_in_range(st.in_flight, 0, 1);
		prober_kick(f.prober, 1);
	}
	assert_in_range(f.results[1], 2, 4);
	fixture_close(&f);
	server_free(s);
}

/* The queue of the server empties after the first SYN was lost: the second one, 0.2 s later, saves the probe.
 */
static void test_lost_syn_is_repeated(void **state)
{
	struct probe_target t;
	struct fixture f;
	struct server *s;

	fixture_open(&f);
	s = server_new(&f, AF_INET, SILENT);
	t = target_of(1, AF_INET, s->port, PROBE_TCP);
	sync_targets(&f, &t, 1);
	run_for(&f, 150); /* the first probe is due within 100 ms */
	for (size_t i = 0; i < ARRAY_SIZE(s->fillers); i++)
		cleanup_closep(&s->fillers[i]);
	memset(s->fillers, -1, sizeof(s->fillers));
	for (int fd; (fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;)
		close(fd);
	run_until_results(&f, 1, 1);
	assert_int_equal(f.last[1].last.outcome, PROBE_OUTCOME_OK);
	assert_in_range(f.last[1].last.latency_us, 190000, 450000);
	fixture_close(&f);
	server_free(s);
}

static void run_until_in_flight(struct fixture *f)
{
	struct prober_stats st = {0};

	while (!st.in_flight) {
		sd_event_run(f->event, 1000);
		prober_get_stats(f->prober, &st);
	}
}

/* This process sleeps past the deadline: the answer that waits in the socket counts, not the deadline. */
static void test_held_up_prober_reads_answers_first(void **state)
{
	struct probe_target t;
	struct fixture f;
	struct server *s;

	fixture_open(&f);
	s = server_new(&f, AF_INET, ACCEPT);
	t = target_of(1, AF_INET, s->port, PROBE_TCP);
	t.spec.timeout_ms = 100;
	sync_targets(&f, &t, 1);
	for (unsigned int i = 1; i < 8; i++) {
		run_until_in_flight(&f);
		usleep(150000);
		run_until_results(&f, 1, i);
		assert_int_equal(f.last[1].last.outcome, PROBE_OUTCOME_OK);
	}
	fixture_close(&f);
	server_free(s);
}

/* It sleeps when the repetition is due, and the first SYN was lost: it repeats late rather than never. */
static void test_held_up_prober_repeats_late(void **state)
{
	struct probe_target t;
	struct fixture f;
	struct server *s;

	fixture_open(&f);
	s = server_new(&f, AF_INET, SILENT);
	t = target_of(1, AF_INET, s->port, PROBE_TCP);
	sync_targets(&f, &t, 1);
	run_until_in_flight(&f);
	usleep(600000);
	for (size_t i = 0; i < ARRAY_SIZE(s->fillers); i++)
		cleanup_closep(&s->fillers[i]);
	memset(s->fillers, -1, sizeof(s->fillers));
	for (int fd; (fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;)
		close(fd);
	run_until_results(&f, 1, 1);
	assert_int_equal(f.last[1].last.outcome, PROBE_OUTCOME_OK);
	fixture_close(&f);
	server_free(s);
}

static void test_sync_keeps_and_drops(void **state)
{
	struct probe_target t[3];
	struct fixture f;
	struct server *s;
	unsigned int n;
	__u64 start;

	fixture_open(&f);
	s = server_new(&f, AF_INET, ACCEPT);
	for (__u32 i = 0; i < 3; i++)
		t[i] = target_of(i + 1, AF_INET, s->port, PROBE_TCP);
	sync_targets(&f, t, 3);
	run_until_results(&f, 3, 3);
	n = f.results[1];
	t[1].spec.timeout_ms = 400; /* changed: probed anew, the state stays */
	sync_targets(&f, &t[1], 2); /* 1 is gone */
	assert_null(prober_health(f.prober, 1, NULL));
	assert_int_equal(prober_kick(f.prober, 1), -ENOENT);
	assert_int_equal(prober_health(f.prober, 2, NULL)->state, HEALTH_UP);
	assert_int_equal(prober_health(f.prober, 3, NULL)->state, HEALTH_UP);
	run_until_results(&f, 2, f.results[2] + 3);
	assert_int_equal(f.results[1], n);
	assert_int_equal(f.ups[2], 1);
	/* the same again, many times: the schedule of what stays is not disturbed */
	f.results[3] = f.gap_max_ns[3] = 0;
	start = now_ns();
	for (int i = 0; i < 50; i++) {
		sync_targets(&f, &t[1], 2);
		run_for(&f, 10);
	}
	/* neither starved nor hurried: on a busy machine the rounds take longer, so what is due is counted by the clock */
	assert_in_range(f.results[3], 3, (now_ns() - start) / (t[2].spec.interval_ms * 900000ull) + 2);
	sync_targets(&f, NULL, 0);
	n = f.total;
	run_for(&f, 200);
	assert_int_equal(f.total, n);
	fixture_close(&f);
	server_free(s);
}

static void test_sync_refuses_unsorted(void **state)
{
	struct probe_target t[2];
	struct err err = {0};
	struct fixture f;

	fixture_open(&f);
	t[0] = target_of(5, AF_INET, 1, PROBE_TCP);
	t[1] = target_of(5, AF_INET, 2, PROBE_TCP);
	assert_int_equal(prober_sync(f.prober, t, 2, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "id 5"));
	assert_null(prober_health(f.prober, 5, NULL));
	fixture_close(&f);
}

static void test_initial_state_is_adopted(void **state)
{
	struct probe_target t;
	struct fixture f;
	struct server *s;
	__u32 next_ms;

	fixture_open(&f);
	s = server_new(&f, AF_INET, ACCEPT);
	t = target_of(1, AF_INET, s->port, PROBE_TCP);
	t.initial = HEALTH_DOWN;
	sync_targets(&f, &t, 1);
	assert_int_equal(prober_health(f.prober, 1, &next_ms)->state, HEALTH_DOWN);
	assert_in_range(next_ms, 0, 100);
	run_until_results(&f, 1, 1);
	assert_int_equal(f.ups[1], 0); /* rise is 2 */
	run_until_results(&f, 1, 2);
	assert_int_equal(f.ups[1], 1);
	fixture_close(&f);
	server_free(s);
}

static void test_type_none(void **state)
{
	struct probe_target t;
	struct fixture f;

	fixture_open(&f);
	t = target_of(1, AF_INET, 1, PROBE_NONE);
	t.initial = HEALTH_DOWN;
	sync_targets(&f, &t, 1);
	run_until_results(&f, 1, 1);
	assert_int_equal(f.ups[1], 1);
	assert_int_equal(f.last[1].state, HEALTH_UP);
	run_for(&f, 200);
	assert_int_equal(f.results[1], 1);
	fixture_close(&f);
}

static void test_kick(void **state)
{
	struct probe_target t;
	struct fixture f;
	struct server *s;

	fixture_open(&f);
	s = server_new(&f, AF_INET, ACCEPT);
	t = target_of(1, AF_INET, s->port, PROBE_TCP);
	t.spec.interval_ms = 60000;
	sync_targets(&f, &t, 1);
	run_until_results(&f, 1, 1);
	for (unsigned int i = 2; i < 6; i++) {
		assert_int_equal(prober_kick(f.prober, 1), 0);
		run_until_results(&f, 1, i);
	}
	fixture_close(&f);
	server_free(s);
}

/* No descriptor left: LOCAL results, which nobody is told about and nobody suffers from; then all goes on. */
static void test_out_of_descriptors(void **state)
{
	unsigned int fds = count_fds();
	struct rlimit old, low;
	struct prober_stats st;
	struct probe_target t;
	struct fixture f;
	struct server *s;

	fixture_open(&f);
	s = server_new(&f, AF_INET, ACCEPT);
	t = target_of(1, AF_INET, s->port, PROBE_TCP);
	sync_targets(&f, &t, 1);
	run_until_results(&f, 1, 1);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = 4;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	run_for(&f, 600);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(f.results[1], 1);
	assert_int_equal(prober_health(f.prober, 1, NULL)->state, HEALTH_UP);
	prober_get_stats(f.prober, &st);
	assert_true(st.locals >= 3);
	assert_non_null(strstr(st.last_local, "raise LimitNOFILE"));
	run_until_results(&f, 1, 3);
	fixture_close(&f);
	server_free(s);
	assert_int_equal(count_fds(), fds);
}

static void remove_all(struct fixture *f, __u32 id)
{
	struct err err = {0};

	assert_int_equal(prober_sync(f->prober, NULL, 0, &err), 0);
}

/* The callback drops every target, its own and those under way. */
static void test_sync_from_the_callback(void **state)
{
	struct server *s, *mute;
	struct probe_target t[8];
	struct fixture f;
	unsigned int fds = count_fds();

	for (int round = 0; round < 5; round++) {
		fixture_open(&f);
		s = server_new(&f, AF_INET, REPLY);
		mute = server_new(&f, AF_INET, MUTE);
		for (__u32 i = 0; i < 8; i++)
			t[i] = target_of(i, AF_INET, i == 4 ? s->port : mute->port,
					 i % 2 ? PROBE_TCP : PROBE_HTTP);
		f.on_result = remove_all;
		sync_targets(&f, t, 8);
		run_until_results(&f, 1, 1);
		run_for(&f, 20);
		assert_int_equal(f.total, 1);
		fixture_close(&f);
		server_free(s);
		server_free(mute);
		assert_int_equal(count_fds(), fds);
	}
}

/* Freed with probes of every kind under way. */
static void test_free_in_flight(void **state)
{
	static const enum probe_type types[] = {PROBE_TCP, PROBE_HTTP, PROBE_HTTPS, PROBE_UDP};
	unsigned int fds = count_fds();
	struct server *silent, *mute, *udp;
	struct probe_target t[12];
	struct fixture f;

	fixture_open(&f);
	silent = server_new(&f, AF_INET6, SILENT);
	mute = server_new(&f, AF_INET6, MUTE);
	udp = server_new(&f, AF_INET6, UDP_MUTE);
	for (__u32 i = 0; i < 12; i++)
		t[i] = target_of(i, AF_INET6,
				 i % 4 == 3 ? udp->port
				 : i % 3    ? mute->port
					    : silent->port,
				 types[i % 4]);
	sync_targets(&f, t, 12);
	run_for(&f, 300);
	fixture_close(&f);
	server_free(silent);
	server_free(mute);
	server_free(udp);
	assert_int_equal(count_fds(), fds);
}

/* Thousands of probes: no descriptor, no socket in TIME_WAIT, and the pool of runs does not grow. */
static void test_no_leak(void **state)
{
	struct server *tcp, *http, *udp;
	struct prober_stats st;
	struct probe_target t[60];
	struct fixture f;
	unsigned int fds;
	__u16 closed;
	int placeholder = closed_port(AF_INET, SOCK_STREAM, &closed);

	fixture_open(&f);
	tcp = server_new(&f, AF_INET, ACCEPT);
	http = server_new(&f, AF_INET, REPLY);
	udp = server_new(&f, AF_INET, UDP_REPLY);
	for (__u32 i = 0; i < 60; i++) {
		const enum probe_type type = i % 4 == 1 ? PROBE_HTTP : i % 4 == 2 ? PROBE_UDP : PROBE_TCP;

		t[i] = target_of(i, AF_INET,
				 i % 4 == 0   ? tcp->port
				 : i % 4 == 1 ? http->port
				 : i % 4 == 2 ? udp->port
					      : closed,
				 type);
		t[i].spec.interval_ms = t[i].spec.fast_interval_ms = t[i].spec.down_interval_ms = 5;
	}
	sync_targets(&f, t, 60);
	run_for(&f, 500);
	fds = count_fds();
	for (int i = 0; i < 300; i++) { /* half a second where the machine is idle */
		run_for(&f, 100);
		prober_get_stats(f.prober, &st);
		if (st.probes > 5000)
			break;
	}
	assert_true(st.probes > 5000);
	assert_int_equal(st.locals, 0);
	assert_in_range(count_fds(), fds > 100 ? fds - 100 : 0, fds + 100); /* those under way just now */
	sync_targets(&f, NULL, 0);
	run_for(&f, 50);
	prober_get_stats(f.prober, &st);
	assert_int_equal(st.sockets, 0);
	assert_int_equal(st.in_flight, 0);
	fixture_close(&f);
	server_free(tcp);
	server_free(http);
	server_free(udp);
	close(placeholder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_latency),
		cmocka_unit_test(test_state_changes_and_recovery),
		cmocka_unit_test(test_hanging_servers_delay_nobody),
		cmocka_unit_test(test_one_probe_in_flight),
		cmocka_unit_test(test_lost_syn_is_repeated),
		cmocka_unit_test(test_held_up_prober_reads_answers_first),
		cmocka_unit_test(test_held_up_prober_repeats_late),
		cmocka_unit_test(test_sync_keeps_and_drops),
		cmocka_unit_test(test_sync_refuses_unsorted),
		cmocka_unit_test(test_initial_state_is_adopted),
		cmocka_unit_test(test_type_none),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_no_leak),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_sync_from_the_callback),
		cmocka_unit_test(test_free_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
