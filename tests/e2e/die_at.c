// SPDX-License-Identifier: Apache-2.0
/*
 * die_at.c - preloaded into lbctl by test_backend.sh: SIGKILL at a chosen moment. The state file is replaced
 * by rename() once before every change, so DIE_AT=2n dies just before the n-th change is noted, DIE_AT=2n+1
 * when it is noted but not made yet.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void moment(void)
{
	static int moments;
	const char *at = getenv("DIE_AT");

	if (at && moments++ == atoi(at))
		raise(SIGKILL);
}

int rename(const char *from, const char *to)
{
	int (*real)(const char *, const char *) =
		(int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
	int r;

	moment();
	r = real(from, to);
	moment();
	return r;
}
