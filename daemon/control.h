/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the control socket: framing, peer credentials, limits, dispatch. It knows no verb's meaning.
 *
 * Protocol (docs/control-protocol.md): Unix stream socket, one JSON object per line.
 *   request   {"v":1,"verb":"drain","args":{...}}
 *   response  {"v":1,"ok":true,"data":{...}}  or  {"v":1,"ok":false,"error":{"code":"denied","message":"...","hint":"..."}}
 * After the verb "events" with {"follow":true} the connection only carries event objects, one per line.
 * Limits: 64 KiB a request, 64 clients, 10 s to finish a line, 8 MiB of unread answer: then the client is dropped.
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
	 * @args is an object (empty when the request had none). On success returns 0 and *@data is a new reference (NULL
	 * means {}). On failure negative errno and @err; EINVAL -> "invalid", ENOENT -> "not_found", EPERM -> "denied",
	 * EBUSY -> "busy", others -> "internal".
	 */
	int (*run)(void *userdata, json_t *args, json_t **data, struct err *err);
};

struct control_options {
	const char *path;
	const char *group; /* NULL or empty: none; its members may read and change */
	const struct control_verb *verbs; /* ends with name == NULL */
	void *userdata;
};
int control_new(struct control **out, sd_event *event, const struct control_options *o, struct err *err);
void control_free(struct control *c); /* removes the socket file when it is still ours */
/* Send @event (borrowed) to all followers, and keep it in the ring of the last 1000 that "events" lists. */
void control_event(struct control *c, json_t *event);
