/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.h - a test's own network: private mount and network namespaces, and commands run in them.
 *
 * netns_enter() first; the namespaces end with the process. Named namespaces (`ip netns add x`) live in a
 * private /run/netns, so tests side by side do not meet.
 */
#pragma once
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <spawn.h>
#include <unistd.h>

extern char **environ;

/* 0, or 77 (skip) when this needs a privilege that we do not have. */
static inline int netns_enter(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0) {
		perror("skipped: private namespaces");
		return 77;
	}
	mkdir("/run/netns", 0755);
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/run/netns", "tmpfs", 0, "mode=755") < 0) {
		perror("skipped: private mounts");
		return 77;
	}
	return 0;
}

/* Run a shell command; its exit status. */
__attribute__((format(printf, 1, 2), unused)) static int sh(const char *fmt, ...)
{
	char cmd[2048], *argv[] = {(char *)"sh", (char *)"-ec", cmd, NULL};
	int status = -1;
	va_list ap;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) != 0)
		return -1;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What a command prints, in a static buffer. */
__attribute__((unused)) static const char *sh_read(const char *cmd)
{
	static char out[65536];
	FILE *f = popen(cmd, "re");
	size_t n;

	out[0] = '\0';
	if (!f)
		return out;
	n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = '\0';
	pclose(f);
	return out;
}

#define must(...) assert_int_equal(sh(__VA_ARGS__), 0)
