/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_server.h - a real control socket (control_new) with invented verbs, in a forked process with its own
 * event loop. Tests talk to it from outside, as lbctl does.
 */
#pragma once
#include "control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fake_server {
	pid_t pid;
	char dir[64];
	char path[96];
};

typedef void (*fake_setup_fn)(struct control *c, sd_event *event);

static void fake_serve(const struct control_options *o, fake_setup_fn setup, int ready)
{
	struct control *c = NULL;
	struct err err = {0};
	sd_event *event = NULL;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sd_event_new(&event) < 0 || control_new(&c, event, o, &err)) {
		fprintf(stderr, "fake server: %s\n", err.msg);
		_exit(1);
	}
	if (setup)
		setup(c, event);
	if (write(ready, "x", 1) != 1)
		_exit(1);
	(void)sd_event_loop(event);
	control_free(c);
	sd_event_unref(event);
}

/* @o->path is filled in. Returns when the socket answers. */
static int fake_start(struct fake_server *s, struct control_options o, fake_setup_fn setup)
{
	int ready[2];
	char byte;

	snprintf(s->dir, sizeof(s->dir), "/tmp/lbd-test-XXXXXX");
	if (!mkdtemp(s->dir) || pipe(ready))
		return -errno;
	(void)chmod(s->dir, 0755); /* others are to meet the socket's own mode */
	snprintf(s->path, sizeof(s->path), "%s/lbd.sock", s->dir);
	o.path = s->path;
	fflush(NULL);
	s->pid = fork();
	if (s->pid == 0) {
		close(ready[0]);
		fake_serve(&o, setup, ready[1]);
		exit(0);
	}
	close(ready[1]);
	if (s->pid < 0 || read(ready[0], &byte, 1) != 1) {
		close(ready[0]);
		return -EIO;
	}
	close(ready[0]);
	return 0;
}

/* 0 when the server still lived and ended in order (with ASan: without a leak). */
static int fake_stop(struct fake_server *s)
{
	char path[128];
	int status;

	kill(s->pid, SIGTERM);
	if (waitpid(s->pid, &status, 0) != s->pid)
		return -errno;
	snprintf(path, sizeof(path), "%s/lbd.sock.lock", s->dir);
	(void)unlink(path);
	(void)unlink(s->path);
	(void)rmdir(s->dir);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* For setup functions: end the loop at SIGTERM. */
__attribute__((unused)) static void fake_handle_term(sd_event *event)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
}
