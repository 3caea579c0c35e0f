// SPDX-License-Identifier: Apache-2.0
/* Interfaces: modes, foreign programs, interfaces that vanish, return, are renamed. */
#include "dataplane_env.h"

#include <linux/if_link.h>
#include <net/if.h>

static void make_veth(void)
{
	sh("ip link add lb0 type veth peer name lb0p");
}

static struct dataplane *open_mode(enum config_xdp_mode mode, bool adopted)
{
	struct dataplane_options o = env_options();

	o.xdp_mode = mode;
	return env_open(&o, adopted);
}

static int attach_code(struct dataplane *d, const char *ifname, struct err *err)
{
	*err = (struct err){0};
	return dataplane_attach(d, ifname, err);
}

static void test_modes(void **state)
{
	struct dataplane *d;
	struct err err;

	make_veth();
	d = open_mode(CONFIG_XDP_AUTO, false);
	assert_string_equal(env_mode(d, "lb0"), "none");
	env_attach(d, "lb0");
	env_attach(d, "lb0"); /* idempotent */
	assert_string_equal(env_mode(d, "lb0"), "native");
	env_attach(d, "lo"); /* no native XDP there: generic, with a warning */
	assert_string_equal(env_mode(d, "lo"), "generic");
	dataplane_close(d);

	d = open_mode(CONFIG_XDP_GENERIC, true); /* a wish for another mode moves the link */
	env_attach(d, "lb0");
	assert_string_equal(env_mode(d, "lb0"), "generic");
	dataplane_close(d);

	d = open_mode(CONFIG_XDP_NATIVE, true);
	env_attach(d, "lb0");
	assert_string_equal(env_mode(d, "lb0"), "native");
	assert_int_equal(dataplane_detach_interface(d, "lo", &err), 0);
	assert_int_equal(attach_code(d, "lo", &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, "lo"));
	assert_non_null(strstr(err.hint, "generic"));
	dataplane_close(d);
}

static void test_detach_interface(void **state)
{
	struct dataplane *d = open_mode(CONFIG_XDP_AUTO, false);
	struct err err = {0};

	make_veth();
	env_attach(d, "lb0");
	assert_int_equal(dataplane_detach_interface(d, "lb0", &err), 0);
	assert_string_equal(env_mode(d, "lb0"), "none");
	assert_int_equal(dataplane_detach_interface(d, "lb0", &err), 0);
	assert_int_equal(dataplane_detach_interface(d, "nosuch0", &err), 0);
	env_attach(d, "lb0");
	assert_string_equal(env_mode(d, "lb0"), "native");
	dataplane_close(d);
}

static void test_missing_interface(void **state)
{
	struct dataplane *d = open_mode(CONFIG_XDP_AUTO, false);
	const char *mode = NULL;
	struct err err = {0};

	assert_int_equal(attach_code(d, "nosuch0", &err), -ENODEV);
	assert_non_null(strstr(err.msg, "nosuch0"));
	err = (struct err){0};
	assert_int_equal(dataplane_check(d, "nosuch0", &mode, &err), -ENODEV);
	assert_string_equal(mode, "none");
	assert_int_equal(attach_code(d, "a-name-that-is-too-long-for-linux", &err), -ENODEV);
	dataplane_close(d);
}

/* "return XDP_PASS", under a name of its own. */
static int foreign_program(void)
{
	struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS}, {.code = BPF_JMP | BPF_EXIT}};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "somebody_else", "GPL", code, 2, NULL);

	assert_true(fd >= 0);
	return fd;
}

static void assert_held(struct dataplane *d, const char *mode)
{
	struct err err;

	assert_int_equal(attach_code(d, "lb0", &err), -EBUSY);
	if (!strstr(err.msg, "\"somebody_else\"") || !strstr(err.msg, mode) || !strstr(err.hint, "bpftool"))
		fail_msg("unexpected: %s (%s)", err.msg, err.hint);
	assert_string_equal(env_mode(d, "lb0"), "none");
}

static __u32 xdp_on(const char *ifname)
{
	__u32 id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(ifname), 0, &id), 0);
	return id;
}

static void test_foreign_program_stays(void **state)
{
	struct dataplane *d = open_mode(CONFIG_XDP_AUTO, false);
	int fd = foreign_program(), link;
	__u32 id;

	make_veth();
	for (int generic = 0; generic < 2; generic++) {
		__u32 flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;

		assert_int_equal(bpf_xdp_attach((int)if_nametoindex("lb0"), fd, flags, NULL), 0);
		id = xdp_on("lb0");
		assert_held(d, generic ? "generic" : "native");
		assert_int_equal(xdp_on("lb0"), id);
		assert_int_equal(bpf_xdp_detach((int)if_nametoindex("lb0"), flags, NULL), 0);
	}
	link = bpf_link_create(fd, (int)if_nametoindex("lb0"), BPF_XDP, NULL);
	assert_true(link >= 0);
	assert_held(d, "native");
	close(link);
	sh("until ! ip link show dev lb0 | grep -q xdp; do :; done"); /* an unpinned link goes some time after its last fd */
	env_attach(d, "lb0");
	close(fd);
	dataplane_close(d);
}

/* XDP taken off behind our back, by removing our pin: seen by check, healed by attach. */
static void test_pin_removed(void **state)
{
	struct dataplane *d = open_mode(CONFIG_XDP_AUTO, false);

	make_veth();
	env_attach(d, "lb0");
	assert_int_equal(unlink(PIN_DIR "/link-lb0"), 0);
	sh("until ! ip link show dev lb0 | grep -q xdp; do :; done");
	assert_string_equal(env_mode(d, "lb0"), "none");
	env_attach(d, "lb0");
	assert_string_equal(env_mode(d, "lb0"), "native");
	dataplane_close(d);
}

static void test_interface_returns(void **state)
{
	struct dataplane *d = open_mode(CONFIG_XDP_AUTO, false);
	struct err err;

	make_veth();
	env_attach(d, "lb0");
	sh("ip link del lb0");
	assert_true(env_exists(PIN_DIR "/link-lb0"));
	assert_int_equal(attach_code(d, "lb0", &err), -ENODEV);
	make_veth();
	assert_string_equal(env_mode(d, "lb0"), "none");
	env_attach(d, "lb0");
	assert_string_equal(env_mode(d, "lb0"), "native");
	dataplane_close(d);
}

/* The same while the daemon is away: the successor finds a defunct link, and commits all the same. */
static void test_interface_returns_during_restart(void **state)
{
	struct dataplane *d = open_mode(CONFIG_XDP_AUTO, false);

	make_veth();
	env_attach(d, "lb0");
	dataplane_close(d);
	sh("ip link del lb0");
	d = open_mode(CONFIG_XDP_AUTO, true);
	env_commit(d);
	make_veth();
	env_attach(d, "lb0");
	assert_string_equal(env_mode(d, "lb0"), "native");
	dataplane_close(d);
}

static void test_renamed_interface(void **state)
{
	struct dataplane *d = open_mode(CONFIG_XDP_AUTO, false);

	make_veth();
	env_attach(d, "lb0");
	sh("ip link set lb0 down; ip link set lb0 name lb9; ip link add lb0 type veth peer name lb0q");
	env_attach(d, "lb0");
	assert_string_equal(env_mode(d, "lb0"), "native");
	assert_int_equal(xdp_on("lb9"), 0); /* not configured under that name */
	dataplane_close(d);
}

/* bpffs allows no dots in names. */
static void test_name_with_dot(void **state)
{
	struct dataplane *d = open_mode(CONFIG_XDP_AUTO, false);
	struct err err = {0};

	sh("ip link add lb0.100 type veth peer name lb0p");
	env_attach(d, "lb0.100");
	assert_true(env_exists(PIN_DIR "/link-lb0:100"));
	assert_string_equal(env_mode(d, "lb0.100"), "native");
	dataplane_close(d);
	d = open_mode(CONFIG_XDP_AUTO, true);
	env_attach(d, "lb0.100");
	assert_int_equal(dataplane_detach_interface(d, "lb0.100", &err), 0);
	assert_false(env_exists(PIN_DIR "/link-lb0:100"));
	dataplane_close(d);
}

/* All pinned links move to the new program with the first commit, whoever is attached first. */
static void test_commit_updates_every_link(void **state)
{
	struct dataplane *d = open_mode(CONFIG_XDP_AUTO, false);

	make_veth();
	env_attach(d, "lb0");
	env_attach(d, "lb0p");
	dataplane_close(d);
	d = open_mode(CONFIG_XDP_AUTO, true);
	assert_int_not_equal(xdp_on("lb0p"), d->prog_id);
	env_attach(d, "lb0");
	assert_int_equal(xdp_on("lb0"), d->prog_id);
	assert_int_equal(xdp_on("lb0p"), d->prog_id);
	dataplane_close(d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, env_reset)
	const struct CMUnitTest tests[] = {
		TEST(test_modes),
		TEST(test_detach_interface),
		TEST(test_missing_interface),
		TEST(test_foreign_program_stays),
		TEST(test_pin_removed),
		TEST(test_interface_returns),
		TEST(test_interface_returns_during_restart),
		TEST(test_renamed_interface),
		TEST(test_name_with_dot),
		TEST(test_commit_updates_every_link),
	};

	dataplane_env_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
