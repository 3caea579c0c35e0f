// SPDX-License-Identifier: Apache-2.0
/* Without privileges: one clear message. With few: everything goes on. */
#include "dataplane_env.h"
#include "privilege.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>

/* In a child: open must fail with these words. */
struct refusal {
	int code;
	const char *word, *hint;
};

static void expect_refusal(const struct refusal *r)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = NULL;
	struct err err = {0};
	bool adopted;
	int rc = dataplane_open(&d, &o, &adopted, &err);

	fprintf(stderr, "%s (%s)\n", err.msg, err.hint);
	_exit(rc == r->code && !d && strstr(err.msg, r->word) && strstr(err.hint, r->hint) ? 0 : 2);
}

static void as_nobody(void *arg)
{
	if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		_exit(3);
	expect_refusal(arg);
}

static void without_perfmon(void *arg)
{
	capng_get_caps_process();
	capng_updatev(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_PERFMON, CAP_SYS_ADMIN, -1);
	if (capng_apply(CAPNG_SELECT_CAPS))
		_exit(3);
	expect_refusal(arg);
}

/* root of a user namespace has every capability, but none that counts for BPF. */
static void in_user_namespace(void *arg)
{
	int fd;

	if (unshare(CLONE_NEWUSER) < 0)
		_exit(SKIP);
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0 0 1", 5) != 5)
		_exit(SKIP);
	close(fd);
	expect_refusal(arg);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *name;
		void (*fn)(void *);
		struct refusal r;
	} cases[] = {
		{"nobody", as_nobody, {-EPERM, "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON", "root"}},
		{"no perfmon", without_perfmon, {-EPERM, "lacks CAP_PERFMON", "AmbientCapabilities"}},
		{"user namespace", in_user_namespace, {-EPERM, "Linux", "user namespace"}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int rc = env_child(cases[i].fn, (void *)&cases[i].r);

		if (rc && rc != SKIP)
			fail_msg("%s: %d", cases[i].name, rc);
		assert_false(env_exists(PIN_DIR "/meta"));
	}
}

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "after dropping privileges: %s\n", what);
	_exit(2);
}

/* Read without CAP_DAC_READ_SEARCH: a file of another user with mode 0600. */
static bool may_read_others_files(void)
{
	int fd = open("/run/lbd-test-foreign", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void dropped_life(void *arg)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = NULL, *bigger = NULL;
	unsigned char frame[64] = {0}, out[64];
	__u32 size = sizeof(out), verdict;
	struct err err = {0};
	const char *mode;
	bool adopted;
	__u8 port;

	expect(!dataplane_open(&d, &o, &adopted, &err), "open");
	dataplane_maps(d)->slots[1].s[1] = 5;
	expect(may_read_others_files(), "the file cannot be read even before");
	expect(!privilege_drop(&err) && !privilege_drop(&err), err.msg);
	expect(!capng_get_caps_process() && !capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN) &&
		       !capng_have_capability(CAPNG_PERMITTED, CAP_DAC_OVERRIDE) &&
		       !capng_have_capability(CAPNG_BOUNDING_SET, CAP_SYS_ADMIN) &&
		       capng_have_capability(CAPNG_EFFECTIVE, CAP_BPF) && capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_RAW),
	       "wrong capabilities");
	expect(!may_read_others_files(), "files of others are still readable");
	expect(geteuid() == 0, "the user id changed");

	expect(!dataplane_attach(d, "lb0", &err), err.msg);
	expect(!dataplane_check(d, "lb0", &mode, &err) && !strcmp(mode, "native"), "check");
	expect(!dataplane_test_run(d, frame, sizeof(frame), out, &size, &verdict, &err), err.msg);
	expect(!dataplane_tx_port(d, 1, &port, &err), err.msg);
	expect(!dataplane_quiesce(d), "quiesce");
	expect(dataplane_map_bytes(d) > 0, "map bytes");
	o.sizes.slot_lines *= 2;
	expect(!dataplane_open(&bigger, &o, &adopted, &err) && adopted, err.msg);
	expect(!dataplane_commit(bigger, &err), err.msg);
	dataplane_close(d);
	expect(dataplane_maps(bigger)->slots[1].s[1] == 5, "content");
	expect(!dataplane_attach(bigger, "lb0", &err), err.msg);
	expect(!dataplane_detach_interface(bigger, "lb0", &err), err.msg);
	expect(!dataplane_attach(bigger, "lb0", &err), err.msg);
	expect(!dataplane_check(bigger, "lb0", &mode, &err) && !strcmp(mode, "native"), "check of the larger one");
	dataplane_close(bigger);
	expect(!dataplane_detach_all(PIN_DIR, &err), err.msg);
	expect(system("ip link show dev lb0 | grep -q xdp") != 0, "still attached");
}

static void test_life_after_drop(void **state)
{
	int fd = open("/run/lbd-test-foreign", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && fchown(fd, 65534, 65534) == 0);
	close(fd);
	sh("ip link add lb0 type veth peer name lb0p");
	assert_int_equal(env_child(dropped_life, NULL), 0);
	unlink("/run/lbd-test-foreign");
}

/* A foreign program can not be looked up by name any more; its id still is told. */
static void foreign_after_drop(void *arg)
{
	struct dataplane_options o = env_options();
	struct dataplane *d = NULL;
	struct err err = {0};
	bool adopted;

	expect(!dataplane_open(&d, &o, &adopted, &err) && !privilege_drop(&err), "open");
	expect(dataplane_attach(d, "lb0", &err) == -EBUSY, "attach did not refuse");
	expect(strstr(err.msg, "held by program ") != NULL, err.msg);
}

static void test_foreign_after_drop(void **state)
{
	struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS}, {.code = BPF_JMP | BPF_EXIT}};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "other", "GPL", code, 2, NULL);

	sh("ip link add lb0 type veth peer name lb0p");
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex("lb0"), fd, 0, NULL), 0);
	assert_int_equal(env_child(foreign_after_drop, NULL), 0);
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, env_reset)
	const struct CMUnitTest tests[] = {
		TEST(test_refusals),
		TEST(test_life_after_drop),
		TEST(test_foreign_after_drop),
	};

	dataplane_env_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
