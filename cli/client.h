/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - lbctl's side of the control socket (docs/control-protocol.md). Blocking, with a time limit.
 * Every failure is told on stderr here, once; callers only pass the exit code on.
 */
#pragma once
#include "lbctl.h"
#include <jansson.h>
#include <stddef.h>

#define CLIENT_ANSWER_MAX (128u << 20) /* more than a daemon ever sends */

struct client {
	int fd;
	char *buf; /* owned; [at, len) was received and not used */
	size_t at, len, size;
};

/* LBCTL_OK or what to exit with. */
int client_open(const struct lbctl *ctx, struct client *c);
void client_close(struct client *c);
static inline void client_closep(struct client *c)
{
	client_close(c);
}
#define CLIENT_INIT                                                                                          \
	(struct client)                                                                                      \
	{                                                                                                    \
		.fd = -1                                                                                     \
	}

/*
 * Send @verb with @args (taken; NULL: none) and wait for the answer. On LBCTL_OK *@data is a new reference. A
 * refusal is printed (with --json also on stdout, as it came), and becomes LBCTL_DENIED, _INVALID or _FAILED.
 */
int client_ask(const struct lbctl *ctx, struct client *c, const char *verb, json_t *args, json_t **data);
/*
 * The next line (borrowed until the next call), for followers: waits without a limit. LBCTL_OK with *@line
 * NULL when nobody reads our output any more; the end of the connection is a failure.
 */
int client_line(const struct lbctl *ctx, struct client *c, char **line);

/* Connect, ask, hang up. */
int client_call(const struct lbctl *ctx, const char *verb, json_t *args, json_t **data);
/* client_call(), then --json prints the document, else @print does. Most reading verbs are this. */
int client_show(struct lbctl *ctx, const char *verb, json_t *args,
		void (*print)(const json_t *doc, struct lbctl *ctx));
