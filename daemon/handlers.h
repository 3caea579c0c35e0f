/* SPDX-License-Identifier: Apache-2.0 */
/* handlers.h - what each verb of the control socket does: a thin layer between requests and the engine. */
#pragma once
#include "control.h"
#include <stdbool.h>
#include <stddef.h>

/* userdata of every verb: struct engine ** (the engine may not exist yet when the socket is already open). */
extern const struct control_verb handler_verbs[];
/* For the HTTP server (http.h); userdata: struct engine *. */
char *handler_metrics(void *userdata, size_t *len);
bool handler_healthy(void *userdata, char *why, size_t size);
