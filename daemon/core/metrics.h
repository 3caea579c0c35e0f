/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h - struct snapshot -> Prometheus text (exposition format 0.0.4). Pure. docs/metrics.md lists the
 * families.
 *
 * Numbers are those of the program's own counters: they begin anew only when the maps are made anew, not when
 * the daemon restarts.
 */
#pragma once
#include "core/snapshot.h"
#include <stddef.h>

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* malloc'd text, *len without its NUL; NULL when out of memory. */
char *metrics_render(const struct snapshot *s, size_t *len);
