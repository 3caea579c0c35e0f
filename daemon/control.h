/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the control socket: framing, peer credentials, limits, dispatch. It knows no verb's meaning,
 * except "events", which lists and follows what control_event() was given.
 *
 * Protocol (docs/control-protocol.md): Unix stream socket, one JSON object per line.
 *   request   {"v":1,"verb":"drain","args":{...}}
 *   response  {"v":1,"ok":true,"data":{...}}  or
 * {"v":1,"ok":false,"error":{"code":"denied","message":"...","hint":"..."}} After the verb "events" with
 * {"follow":true} and its response the connection only carries event objects, one per line. A client that
 * breaks a limit gets one error line, when it reads at all, and is dropped.
 */
#pragma once
#include "core/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

struct control;

struct control_verb {
	const char *name;
	bool changes; /* needs root or the configured group */
	/*
	 * @args is an object (empty when the request had none); request_unpack() of core/request.h reads it.
	 * On success returns 0 and *@data is a new reference (NULL means {}). On failure negative errno and
	 * @err; EINVAL -> "invalid", ENOENT -> "not_found", EPERM -> "denied", EBUSY -> "busy", others ->
	 * "internal"; *@data may then be an object whose members go beside the error's own ("candidates",
	 * "diagnostics").
	 */
	int (*run)(void *userdata, json_t *args, json_t **data, struct err *err);
};

/* All of them have defaults: 0 means the number in the comment. */
struct control_limits {
	unsigned int clients;      /* 64; one more is told "busy" and dropped */
	unsigned int line_ms;      /* 10,000: from the first byte of a request to its newline */
	unsigned int idle_ms;      /* 60,000: between requests */
	unsigned int send_ms;      /* 10,000: an answer makes no progress because the client does not read */
	unsigned int answer_bytes; /* 64 MiB: one answer; a larger one becomes an error */
	unsigned int follower_bytes; /* 8 MiB: events that a follower has not read yet */
};

struct control_options {
	const char *path;  /* its directory is made when missing (one level) */
	const char *group; /* NULL or empty: none; its members may read and change. Looked up once, by name */
	const struct control_verb *verbs; /* ends with name == NULL; borrowed */
	void *userdata;
	struct control_limits limits;
};
/*
 * Bind and listen, mode 0660, root:group. A stale file is replaced; when another process answers on @path, or
 * holds its lock (PATH.lock), -EADDRINUSE. @o's strings are copied.
 */
int control_new(struct control **out, sd_event *event, const struct control_options *o, struct err *err);
void control_free(struct control *c); /* removes the socket file when it is still ours; NULL is fine */
/*
 * Send @event (borrowed, an object) to all followers, and keep it in the ring of the last 1000 that "events"
 * lists. "seq" and "time" are put in front; "time_ns" too (now), when it has none. No-op on a NULL @c.
 */
void control_event(struct control *c, json_t *event);
