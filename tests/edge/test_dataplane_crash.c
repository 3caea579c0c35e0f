// SPDX-License-Identifier: Apache-2.0
/*
 * The process dies at every step of an open and commit in turn; whatever it leaves, the next start adopts a complete
 * state with the right content, packets meet a program all the while, and no debris stays.
 */
#include "dataplane_env.h"

#define LB_VERSION_OF_OLD 71
#define LB_VERSION_OF_NEW 72

static int steps_left;

/* Of a run of equal steps (pin after pin) the first stands for the rest: each start costs a load of the program. */
static void die_at_zero(const char *step)
{
	static const char *last;
	bool again = last && strcmp(last, step) == 0;

	last = step;
	if (!again && steps_left-- == 0)
		kill(getpid(), SIGKILL);
}

struct crash_case {
	const char *name;
	bool first; /* nothing is pinned before */
	struct dataplane_options o;
};

static void open_and_die(void *arg)
{
	const struct crash_case *c = arg;
	struct dataplane *d = NULL;
	struct err err = {0};
	bool adopted;

	dp_step_hook = die_at_zero;
	if (dataplane_open(&d, &c->o, &adopted, &err))
		_exit(2);
	if (!dataplane_maps(d)->meta->heartbeat_ns || d->origin != DP_ORIGIN_ADOPT)
		dataplane_maps(d)->slots[0].s[0] = LB_VERSION_OF_NEW;
	if (dataplane_attach(d, "lb0", &err))
		_exit(3);
}

/* A data plane of default size with content, attached to lb0. */
static void set_up_old(void)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = env_open(&o, false);

	dataplane_maps(d)->slots[0].s[0] = LB_VERSION_OF_OLD;
	dataplane_maps(d)->slots[1].s[1] = 5;
	dataplane_maps(d)->meta->heartbeat_ns = 1;
	env_attach(d, "lb0");
	env_run_pinned(10);
	dataplane_close(d);
}

static void assert_usable(const struct crash_case *c, int step, bool finished)
{
	struct dataplane *d = NULL;
	struct err err = {0};
	bool adopted;
	__u16 mark;

	if (dataplane_open(&d, &c->o, &adopted, &err))
		fail_msg("%s, dead at step %d: %s", c->name, step, err.msg);
	mark = dataplane_maps(d)->slots[0].s[0];
	if (!c->first && adopted) {
		if (c->o.seed[0] == env_options().seed[0]) {
			assert_true(mark == LB_VERSION_OF_OLD || mark == LB_VERSION_OF_NEW);
			assert_int_equal(dataplane_maps(d)->slots[1].s[1], 5);
		}
		assert_true(env_outcome(d, LB_OUTCOME_PASS_NOT_IP) == 10);
	}
	if (finished)
		assert_true(adopted);
	if (dataplane_attach(d, "lb0", &err))
		fail_msg("%s, dead at step %d: %s", c->name, step, err.msg);
	assert_string_equal(env_mode(d, "lb0"), "native");
	assert_false(env_exists(PIN_DIR "/next"));
	assert_false(env_exists(PIN_DIR "/new"));
	dataplane_close(d);
	if (!finished)
		return;
	d = env_open(&c->o, true); /* and once more in peace */
	dataplane_close(d);
}

static void run_case(const struct crash_case *c)
{
	int status = 128 + SIGKILL, step;

	for (step = 0; status == 128 + SIGKILL; step++) {
		sh("ip link add lb0 type veth peer name lb0p");
		if (!c->first)
			set_up_old();
		steps_left = step;
		status = env_child(open_and_die, (void *)c);
		if (!c->first) /* whatever happened: the interface never was without a program */
			sh("ip link show dev lb0 | grep -q xdp");
		assert_usable(c, step, status == 0);
		assert_int_equal(env_reset(NULL), 0);
		assert_true(step < 200);
	}
	assert_int_equal(status, 0);
	print_message("%s: died at each of %d steps\n", c->name, step - 1);
}

static void test_first_start(void **state)
{
	struct crash_case c = {"first start", true, env_options()};

	run_case(&c);
}

static void test_upgrade(void **state)
{
	struct crash_case c = {"same maps, new program", false, env_options()};

	run_case(&c);
}

static void test_growth(void **state)
{
	struct crash_case c = {"larger maps", false, env_options()};

	c.o.sizes.slot_lines = 128;
	c.o.sizes.backends = 256;
	run_case(&c);
}

static void test_other_seed(void **state)
{
	struct crash_case c = {"other seed", false, env_options()};

	c.o.seed[0]++;
	run_case(&c);
}

/* Growth again from what a crash left behind the decision: the new set is the one that counts. */
static void test_decision_holds(void **state)
{
	struct dataplane_options o = env_options();
	struct dataplane *d;
	struct err err = {0};

	d = env_open(&o, false);
	dataplane_maps(d)->slots[0].s[0] = LB_VERSION_OF_OLD;
	env_commit(d);
	dataplane_close(d);
	o.sizes.slot_lines = 128;
	d = env_open(&o, true);
	dataplane_maps(d)->slots[0].s[0] = LB_VERSION_OF_NEW;
	assert_int_equal(dp_pin_commit(PIN_DIR, &err), 0);
	dataplane_close(d); /* as far as a crash right behind the decision */
	d = env_open(&o, true);
	assert_int_equal(d->origin, DP_ORIGIN_ADOPT);
	assert_int_equal(dataplane_maps(d)->slots[0].s[0], LB_VERSION_OF_NEW);
	dataplane_close(d);
}

/* detach_all interrupted half-way is finished by the next call. */
static void detach_and_die(void *arg)
{
	unlink(PIN_DIR "/meta");
	unlink(PIN_DIR "/slots");
	kill(getpid(), SIGKILL);
}

static void test_detach_all_again(void **state)
{
	struct err err = {0};

	sh("ip link add lb0 type veth peer name lb0p");
	set_up_old();
	assert_int_equal(env_child(detach_and_die, NULL), 128 + SIGKILL);
	assert_int_equal(dataplane_detach_all(PIN_DIR, &err), 0);
	assert_false(env_exists(PIN_DIR));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, env_reset)
	const struct CMUnitTest tests[] = {
		TEST(test_first_start), TEST(test_upgrade),	   TEST(test_growth),
		TEST(test_other_seed),	TEST(test_decision_holds), TEST(test_detach_all_again),
	};

	dataplane_env_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
