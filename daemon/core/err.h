/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - one error message on its way to an operator.
 *
 * A function that can fail in a way an operator must act on takes a `struct err *`. The first message wins; callers
 * may put context in front (err_prefix). A message names the object, what is wrong and what would be right; `hint`
 * says what to do next. The object lives on the caller's stack and owns no memory.
 */
#pragma once
#include <stdbool.h>

struct err {
	int code;       /* negative errno; 0 = no error yet */
	char msg[400];  /* one line, no trailing newline or full stop */
	char hint[240]; /* may be empty */
};

/* Set @e unless it is set already. Returns @code, so that `return err_set(e, -EINVAL, ...)` reads well. @e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Say what to do next, unless a hint is there already. */
void err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Put "context: " in front of the message. */
void err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline bool err_is_set(const struct err *e)
{
	return e && e->code != 0;
}
