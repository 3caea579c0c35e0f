// SPDX-License-Identifier: Apache-2.0
/* probe_spec.c - see probe_spec.h. */
#include "core/probe_spec.h"

#include <string.h>

const char *probe_type_name(enum probe_type t)
{
	/* clang-format off */
	static const char *const names[] = {
		[PROBE_NONE] = "none", [PROBE_TCP] = "tcp",     [PROBE_HTTP] = "http",
		[PROBE_HTTPS] = "https", [PROBE_UDP] = "udp",
	};
	/* clang-format on */
	_Static_assert(sizeof(names) / sizeof(names[0]) == PROBE_TYPE_MAX, "every type has a name");

	return (unsigned int)t < PROBE_TYPE_MAX ? names[t] : "?";
}

const char *probe_via_name(enum probe_via v)
{
	return v == PROBE_VIA_BACKEND ? "backend" : "vip";
}

static bool is_http(enum probe_type t)
{
	return t == PROBE_HTTP || t == PROBE_HTTPS;
}

void probe_spec_init(struct probe_spec *s, enum probe_type type)
{
	memset(s, 0, sizeof(*s));
	s->type = type;
	s->interval_ms = 2000;
	s->fast_interval_ms = 500;
	s->down_interval_ms = 5000;
	s->timeout_ms = 1000;
	s->rise = 3;
	s->fall = 3;
	s->jitter_pct = 10;
	if (!is_http(type))
		return;
	strcpy(s->path, "/");
	strcpy(s->method, "GET");
	s->expect[0].from = 200;
	s->expect[0].to = 399;
	s->n_expect = 1;
}

static bool http_equal(const struct probe_spec *a, const struct probe_spec *b)
{
	if (a->n_expect != b->n_expect)
		return false;
	for (unsigned int i = 0; i < a->n_expect; i++) {
		if (a->expect[i].from != b->expect[i].from || a->expect[i].to != b->expect[i].to)
			return false;
	}
	return strcmp(a->path, b->path) == 0 && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->method, b->method) == 0 && strcmp(a->body, b->body) == 0 &&
	       (a->type != PROBE_HTTPS || a->tls_verify == b->tls_verify);
}

static bool udp_equal(const struct probe_spec *a, const struct probe_spec *b)
{
	return a->send_len == b->send_len && a->expect_len == b->expect_len &&
	       memcmp(a->send, b->send, a->send_len) == 0 &&
	       memcmp(a->expect_data, b->expect_data, a->expect_len) == 0;
}

bool probe_spec_equal(const struct probe_spec *a, const struct probe_spec *b)
{
	if (a->type != b->type)
		return false;
	if (a->type == PROBE_NONE)
		return true;
	if (a->interval_ms != b->interval_ms || a->fast_interval_ms != b->fast_interval_ms ||
	    a->down_interval_ms != b->down_interval_ms || a->timeout_ms != b->timeout_ms ||
	    a->rise != b->rise || a->fall != b->fall || a->jitter_pct != b->jitter_pct || a->port != b->port || a->via != b->via)
		return false;
	if (is_http(a->type))
		return http_equal(a, b);
	return a->type != PROBE_UDP || udp_equal(a, b);
}
