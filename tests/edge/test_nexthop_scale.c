// SPDX-License-Identifier: Apache-2.0
/* test_nexthop_scale.c - many addresses, storms of events, lost events, and nothing leaked. */
#include "nexthop_world.h"
#include <dirent.h>
#include <sys/resource.h>

#define MANY 1200u /* more than the default gc_thresh3, 1024 */

static unsigned int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void watch_many(struct world *w, const char *first)
{
	static struct lb_addr a[MANY];

	for (unsigned int i = 0; i < MANY; i++) {
		a[i] = ip(first);
		a[i].b[14] = (__u8)(a[i].b[14] + i / 250);
		a[i].b[15] = (__u8)(i % 250 + 1);
	}
	assert_int_equal(nexthops_watch(w->n, a, MANY, NULL), 0);
}

static unsigned int count_ok(struct world *w, const char *first)
{
	unsigned int ok = 0;

	for (unsigned int i = 0; i < MANY; i++) {
		struct lb_addr a = ip(first);

		a.b[14] = (__u8)(a.b[14] + i / 250);
		a.b[15] = (__u8)(i % 250 + 1);
		ok += nexthops_get(w->n, &a)->ok;
	}
	return ok;
}

static void many_behind_a_gateway(void **state)
{
	struct world *w = *state;
	double begin;

	must("ip route add 10.9.0.0/16 via 10.0.0.2");
	begin = now_s();
	watch_many(w, "10.9.0.0");
	print_message("watching %u addresses took %.1f ms\n", MANY, (now_s() - begin) * 1e3);
	spin_until(w, count_ok(w, "10.9.0.0") == MANY);
	must("ip route replace 10.9.0.0/16 via 10.1.0.2");
	w->changes = 0;
	begin = now_s();
	spin_until(w, w->changes >= MANY && count_ok(w, "10.9.0.0") == MANY);
	print_message("moving them to another gateway took %.1f ms\n", (now_s() - begin) * 1e3);
}

/* More neighbours than the kernel's gc_thresh3 allows (1024 of all namespaces together) to entries like any
 * other. */
static void many_on_link(void **state)
{
	struct world *w = *state;

	must("for i in 0 1 2 3 4; do for j in $(seq 1 250); do echo addr add 10.0.$((4+i)).$j/32 dev v1; "
	     "done; "
	     "done | "
	     "ip -n peer -batch -");
	watch_many(w, "10.0.4.0");
	spin_until(w, count_ok(w, "10.0.4.0") == MANY);
}

/* As a full BGP feed does: routes that cover no watched address must cost no look-up, and hardly any CPU. */
static void route_storm_elsewhere(void **state)
{
	struct world *w = *state;
	struct nexthop_stats before, after;
	double cpu;
	int status;
	pid_t pid;

	must("ip route add 10.9.0.0/16 via 10.0.0.2");
	watch_many(w, "10.9.0.0");
	spin_until(w, count_ok(w, "10.9.0.0") == MANY);
	spin(w, 0.1);
	nexthops_stats(w->n, &before);
	cpu = cpu_s();
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c",
		      "awk 'BEGIN { for (i = 0; i < 50000; i++) printf \"route add 172.%d.%d.%d/32 via "
		      "10.1.0.2\\n\", "
		      "i / 65536, i / 256 % 256, i % 256 }' | ip -batch -",
		      NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		spin(w, 0.005);
	spin(w, 0.1);
	nexthops_stats(w->n, &after);
	print_message("50,000 routes elsewhere: %.1f ms CPU, %llu events, %llu look-ups, %llu resyncs\n",
		      (cpu_s() - cpu) * 1e3, (unsigned long long)(after.events - before.events),
		      (unsigned long long)(after.route_lookups - before.route_lookups),
		      (unsigned long long)(after.resyncs - before.resyncs));
	assert_true(after.events - before.events >= 40000);
	/* Each resync looks all up once, and so do addresses that finish their DAD meanwhile; the routes must
	 * not. */
	assert_true(after.route_lookups - before.route_lookups <=
		    MANY * (after.resyncs - before.resyncs + 6));
}

/* Routes that do cover them: gathered, rate-limited, and right in the end. */
static void route_storm_here(void **state)
{
	struct world *w = *state;
	struct nexthop_stats before, after;
	double begin, took, cpu;
	int status;
	pid_t pid;

	must("ip route add 10.9.0.0/16 via 10.0.0.2");
	watch_many(w, "10.9.0.0");
	spin_until(w, count_ok(w, "10.9.0.0") == MANY);
	nexthops_stats(w->n, &before);
	begin = now_s();
	cpu = cpu_s();
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c",
		      "for i in $(seq 1 20000); do echo route replace 10.8.0.0/15 via 10.$((i % 2)).0.2; "
		      "done | "
		      "ip -batch -; ip route replace 10.9.0.0/16 via 10.1.0.2",
		      NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		spin(w, 0.005);
	took = now_s() - begin;
	cpu = cpu_s() - cpu;
	nexthops_stats(w->n, &after);
	print_message("20,000 changes of their route in %.0f ms: %.0f ms CPU, %llu look-ups\n", took * 1e3,
		      cpu * 1e3, (unsigned long long)(after.route_lookups - before.route_lookups));
	spin_until(w, strcmp(answer(w, "10.9.0.1")->ifname, "w0") == 0 && count_ok(w, "10.9.0.0") == MANY);
	/* 20,000 events x 1,200 addresses would be 24 million look-ups. */
	assert_true(after.route_lookups - before.route_lookups <= MANY * (2 + (__u64)(took / 0.02)));
}

/* The loop stands still while more happens than the socket holds: everything is read again. */
static void lost_events(void **state)
{
	struct world *w = *state;
	struct nexthop_stats st;

	must("ip route add 10.9.0.0/16 via 10.0.0.2");
	watch1(w, "10.9.1.1");
	spin_until(w, answer(w, "10.9.1.1")->ok);
	must("for i in $(seq 1 20000); do echo route replace 172.16.0.0/16 via 10.$((i %% 2)).0.2; done | ip "
	     "-batch -\n"
	     "ip route replace 10.9.0.0/16 via 10.1.0.2; ip link add gone0 type veth peer name gone1");
	spin_until(w, answer(w, "10.9.1.1")->ok && strcmp(answer(w, "10.9.1.1")->ifname, "w0") == 0);
	nexthops_stats(w->n, &st);
	assert_true(st.resyncs >= 1);
	spin_until(w, strstr(w->link_log, "gone0:down"));
	must("for i in $(seq 1 20000); do echo route replace 172.16.0.0/16 via 10.$((i %% 2)).0.2; done | ip "
	     "-batch -\n"
	     "ip link del gone0");
	spin_until(w, strstr(w->link_log, "gone0:gone"));
}

static void no_fd_leak(void **state)
{
	struct world *w = *state;
	unsigned int before = count_fds();

	for (int i = 0; i < 200; i++) {
		struct nexthops *n;
		struct lb_addr a = ip("10.0.0.2");

		assert_int_equal(nexthops_new(&n, w->event, on_changed, NULL, w, NULL), 0);
		assert_int_equal(nexthops_watch(n, &a, 1, NULL), 0);
		nexthops_free(n);
	}
	assert_int_equal(count_fds(), before);
}

static void watch_in_callback(const struct lb_addr *addr, const struct nexthop *nh, void *userdata)
{
	struct world *w = userdata;

	if (w->changes++ < 50)
		watch_many(w, w->changes % 2 ? "10.0.4.0" : "10.9.0.0");
}

static void list_replaced_in_a_callback(void **state)
{
	struct world *w = *state;

	nexthops_free(w->n);
	assert_int_equal(nexthops_new(&w->n, w->event, watch_in_callback, NULL, w, NULL), 0);
	watch_many(w, "10.0.4.0");
	spin_until(w, w->changes >= 50 + MANY);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_up, world_down)
int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		T(many_behind_a_gateway),
		T(many_on_link),
		T(route_storm_elsewhere),
		T(route_storm_here),
		T(lost_events),
		T(no_fd_leak),
		T(list_replaced_in_a_callback),
	};
	int r = netns_enter();

	if (argc > 1)
		cmocka_set_test_filter(argv[1]); /* by hand: one test, with * and ? */
	return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
