/* SPDX-License-Identifier: Apache-2.0 */
/* handlers_internal.h - what the files handlers*.c share; nobody else includes it. */
#pragma once
#include "engine.h"
#include "handlers.h"

/* The engine behind @userdata; NULL with -EBUSY in @err while lbd starts. */
struct engine *handlers_engine(void *userdata, struct err *err);
__u64 handlers_now_real(void); /* CLOCK_REALTIME */

/* handlers_inspect.c; all are control_verb.run() */
int handle_doctor(void *userdata, json_t *args, json_t **data, struct err *err);
int handle_explain(void *userdata, json_t *args, json_t **data, struct err *err);
int handle_flows(void *userdata, json_t *args, json_t **data, struct err *err);
