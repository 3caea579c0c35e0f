/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document.h - the pieces that every JSON document of lbd is made of, so that they look alike everywhere:
 * a name and a version, times as RFC 3339 (UTC) beside nanoseconds, addresses in canonical text, counters,
 * and text that is always valid UTF-8.
 *
 * Pure. All functions return NULL, or fail (-1), only when out of memory; like jansson's own setters they
 * accept NULL and pass the failure on, so that a builder checks once at its end.
 */
#pragma once
#include "core/addr.h"
#include <jansson.h>
#include <linux/types.h>

/* {"document":@name,"version":@version,"time":...,"time_ns":...} */
json_t *document_new(const char *name, int version, __u64 now_ns);
/* Text from anywhere (a server's answer, an interface's name): bytes that are no UTF-8 become '?'. */
json_t *document_text(const char *s);
json_t *document_u64(__u64 v);   /* held at INT64_MAX, the largest integer that JSON readers agree on */
json_t *document_hex64(__u64 v); /* "0x0123456789abcdef": no JSON number holds all 64 bits everywhere */
json_t *document_addr(const struct lb_addr *a);
/* A share of @whole in 0..1, with at most 6 decimals; 0 when @whole is 0. */
json_t *document_share(__u64 part, __u64 whole);
/* @key: "2026-03-01T09:30:00.123Z" and @key_ns: nanoseconds since 1970; both null when @ns is 0 ("never"). */
int document_set_time(json_t *o, const char *key, __u64 ns);

#define DOCUMENT_TIME_LEN 32
/* RFC 3339, UTC, milliseconds. Returns @buf. */
const char *document_time(__u64 ns, char buf[DOCUMENT_TIME_LEN]);
