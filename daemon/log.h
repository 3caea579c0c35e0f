/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - structured log: one line per event with key=value fields; to the journal when stderr is connected to it
 * (JOURNAL_STREAM), else to stderr as `TIME LEVEL EVENT MESSAGE key=value ...` (UTC, milliseconds). Only edge files log.
 *
 * In the journal the fields are LBD_EVENT and LBD_<KEY>: `journalctl -u lbd LBD_EVENT=backend_state`.
 * Messages of one event are cut at 2 KiB. Nothing here fails or keeps errno.
 */
#pragma once
#include "core/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
/* Choose the sink once; events above @max are dropped. Before the first call: stderr, up to info. */
void log_open(enum log_level max);
/*
 * @event: a stable word for machines; @message: a sentence for people. Then alternating key, value (strings), ended by
 * NULL: log_event(LOG_LEVEL_INFO, "backend_state", "went down", "service", s, NULL)
 */
void log_event(enum log_level level, const char *event, const char *message, ...) __attribute__((sentinel));
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Logs @e with its hint; nothing when @e is not set. */
void log_err(const struct err *e);
#define log_info(...) log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
