/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataplane_env.h - a place of its own for each test program that loads BPF: private mount and network namespaces and a
 * bpffs, entered by dataplane_env_enter() in main(). Nothing leaks out of it, and it ends with the process.
 */
#pragma once
#include "dataplane_priv.h"
#include "core/cleanup.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define PIN_DIR "/sys/fs/bpf/lbd"
#define SKIP 77

/* Run a command line that must succeed. */
static inline void sh(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd))
		fail_msg("command failed: %s", cmd);
}

static inline void dataplane_env_enter(void)
{
	if (geteuid() || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700") < 0) {
		fprintf(stderr, "skipped: needs root, namespaces and bpffs (%s)\n", strerror(errno));
		exit(SKIP);
	}
}

static inline struct dataplane_options env_options(void)
{
	return (struct dataplane_options){
		.pin_dir = PIN_DIR,
		.sizes = {.slot_lines = 64, .svc_buckets = 64, .backends = 128, .services = 16, .flow_buckets = 256},
		.seed = {0x0123456789abcdefull, 0xfedcba9876543210ull},
		.vip_echo = true,
	};
}

/* Open that must succeed. */
static inline struct dataplane *env_open(const struct dataplane_options *o, bool expect_adopted)
{
	struct dataplane *d = NULL;
	struct err err = {0};
	bool adopted = !expect_adopted;

	if (dataplane_open(&d, o, &adopted, &err))
		fail_msg("open: %s (%s)", err.msg, err.hint);
	assert_int_equal(adopted, expect_adopted);
	return d;
}

static inline void env_commit(struct dataplane *d)
{
	struct err err = {0};

	if (dataplane_commit(d, &err))
		fail_msg("commit: %s", err.msg);
}

static inline void env_attach(struct dataplane *d, const char *ifname)
{
	struct err err = {0};

	if (dataplane_attach(d, ifname, &err))
		fail_msg("attach: %s (%s)", err.msg, err.hint);
}

static inline const char *env_mode(struct dataplane *d, const char *ifname)
{
	struct err err = {0};
	const char *mode = NULL;

	if (dataplane_check(d, ifname, &mode, &err))
		fail_msg("check: %s", err.msg);
	return mode;
}

static inline bool env_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* One frame of no protocol that we know, through the pinned program: pass_not_ip goes up by @n. */
static inline void env_run_pinned(unsigned int n)
{
	unsigned char frame[64] = {[12] = 0x88, [13] = 0xb5};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = (int)n);
	int fd = bpf_obj_get(PIN_DIR "/prog");

	assert_true(fd >= 0);
	assert_int_equal(bpf_prog_test_run_opts(fd, &run), 0);
	close(fd);
}

static inline __u64 env_outcome(struct dataplane *d, enum lb_outcome which)
{
	__u64 n[LB_OUTCOME_MAX];

	assert_int_equal(dataplane_read_outcomes(d, n, LB_OUTCOME_MAX), 0);
	return n[which];
}

/* Run @fn in a child process; its exit status, or 128 + signal. cmocka's failures end the child with 1. */
static inline int env_child(void (*fn)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Teardown of every test: nothing pinned, no interfaces but lo. */
static inline int env_reset(void **state)
{
	struct err err = {0};

	dp_step_hook = NULL;
	if (dataplane_detach_all(PIN_DIR, &err)) {
		fprintf(stderr, "detach: %s\n", err.msg);
		return -1;
	}
	return system("for i in $(ip -o link show type veth | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/'); do "
		      "ip link del $i 2>/dev/null; done; ip link set lo xdp off; true");
}
