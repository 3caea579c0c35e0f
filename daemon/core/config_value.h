/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_value.h - strict readers of single values: text in, number or struct out; used by the configuration
 * and by whoever reads the same notation (lbctl).
 *
 * One spelling per value: no white space, signs, leading zeros, fractions, or default units. All return 0,
 * -EINVAL (not in this form) or -ERANGE (in this form, but out of the type's range), and write on success
 * only.
 */
#pragma once
#include "core/addr.h"
#include "core/probe_spec.h"

int value_parse_uint(const char *text, __u64 *out);
/* "80%" or "80": at most 100. */
int value_parse_percent(const char *text, __u64 *out);
/* A number and ms, s, m or h: "500ms", "2s", "5m", "1h". At most 1000 hours. */
int value_parse_duration_ms(const char *text, __u64 *out_ms);
/* The shortest text that value_parse_duration_ms reads back as @ms. @buf has VALUE_DURATION_STRLEN bytes. */
#define VALUE_DURATION_STRLEN 24
const char *value_format_duration_ms(__u64 ms, char buf[VALUE_DURATION_STRLEN]);
/* "10.0.0.1:80", "[2001:db8::1]:80". */
int value_parse_endpoint(const char *text, struct lb_addr *addr, __u16 *port);
/* "200" or "200-299": from <= to, both 100..599. */
int value_parse_status_range(const char *text, __u16 *from, __u16 *to);
/* "hex:0a ff" (pairs of digits, spaces between pairs), else the text itself. -ERANGE: longer than @size. @out
 * is scribbled on in every case. */
int value_parse_data(const char *text, __u8 *out, size_t size, __u32 *len);
