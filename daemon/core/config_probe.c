// SPDX-License-Identifier: Apache-2.0
/*
 * config_probe.c - the probe of a service: `defaults.probe` overridden key by key.
 *
 * Keys that belong to some types only (path, send, ...) go when a service turns to another type. The numbers
 * that derive from others (fast-interval, down-interval, timeout) are derived last, from what is in force for
 * the service.
 */
#include "core/config_private.h"
#include "core/config_value.h"

#include <ctype.h>
#include <netinet/in.h>
#include <string.h>

#define ON(type) (1u << PROBE_##type)
#define ON_HTTP (ON(HTTP) | ON(HTTPS))
#define ON_ANY (ON(TCP) | ON_HTTP | ON(UDP))
#define HOUR_MS 3600000

/* clang-format off */
static const struct cfg_choice types[] = {
	{ "none", PROBE_NONE },   { "tcp", PROBE_TCP }, { "http", PROBE_HTTP },
	{ "https", PROBE_HTTPS }, { "udp", PROBE_UDP }, { NULL, 0 },
};
/* clang-format on */

/* clang-format off */
static const struct cfg_choice vias[] = {
	{ "vip", PROBE_VIA_VIP }, { "backend", PROBE_VIA_BACKEND }, { NULL, 0 },
};
/* clang-format on */

static const char *check_path(const char *text)
{
	if (text[0] != '/')
		return "it does not begin with /";
	for (; *text; text++) {
		if (!isgraph((unsigned char)*text) || *text == '#')
			return "it holds a space, a control character, '#' or a letter beyond ASCII";
	}
	return NULL;
}

static const char *check_host(const char *text)
{
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr(".-_:[]", *text))
			return "it holds a character that no host name has";
	}
	return NULL;
}

static const char *check_method(const char *text)
{
	return strcmp(text, "GET") && strcmp(text, "HEAD") ? "it is neither GET nor HEAD" : NULL;
}

enum {
	P_TYPE,
	P_INTERVAL,
	P_FAST,
	P_DOWN,
	P_TIMEOUT,
	P_RISE,
	P_FALL,
	P_JITTER,
	P_PORT,
	P_VIA,
	P_PATH,
	P_HOST,
	P_METHOD,
	P_EXPECT,
	P_BODY,
	P_TLS_VERIFY,
	P_SEND,
	P_EXPECT_DATA,
	P_MAX
};

/* clang-format off */
#define ROW(name, kind, member, ...) { name, kind, CFG_MEMBER(probe_spec, member), __VA_ARGS__ }
static const struct cfg_field fields[P_MAX] = {
	[P_TYPE] = ROW("type", CFG_ENUM, type, .choices = types),
	[P_INTERVAL] = ROW("interval", CFG_MS, interval_ms, .min = 100, .max = HOUR_MS, .only = ON_ANY),
	[P_FAST] = ROW("fast-interval", CFG_MS, fast_interval_ms, .min = 50, .max = HOUR_MS, .only = ON_ANY),
	[P_DOWN] = ROW("down-interval", CFG_MS, down_interval_ms, .min = 100, .max = HOUR_MS, .only = ON_ANY),
	[P_TIMEOUT] = ROW("timeout", CFG_MS, timeout_ms, .min = 10, .max = 60000, .only = ON_ANY),
	[P_RISE] = ROW("rise", CFG_UINT, rise, .min = 1, .max = 100, .only = ON_ANY),
	[P_FALL] = ROW("fall", CFG_UINT, fall, .min = 1, .max = 100, .only = ON_ANY),
	[P_JITTER] = ROW("jitter", CFG_PERCENT, jitter_pct, .max = 50, .only = ON_ANY),
	[P_PORT] = ROW("port", CFG_AUTO, port, .min = 1, .max = 65535, .what = "a port", .only = ON_ANY),
	[P_VIA] = ROW("via", CFG_ENUM, via, .choices = vias, .only = ON_ANY),
	[P_PATH] = ROW("path", CFG_TEXT, path, .check = check_path, .only = ON_HTTP,
		       .what = "a path is like /healthz?full=1; write other characters as %XX"),
	[P_HOST] = ROW("host", CFG_TEXT, host, .check = check_host, .only = ON_HTTP,
		       .what = "a host is like www.example.org, for the Host header and TLS"),
	[P_METHOD] = ROW("method", CFG_TEXT, method, .check = check_method, .only = ON_HTTP,
			 .what = "write GET or HEAD"),
	[P_EXPECT] = { .key = "expect", .kind = CFG_NODE, .only = ON_HTTP },
	[P_BODY] = ROW("body", CFG_TEXT, body, .only = ON_HTTP),
	[P_TLS_VERIFY] = ROW("tls-verify", CFG_BOOL, tls_verify, .only = ON(HTTPS)),
	[P_SEND] = { .key = "send", .kind = CFG_NODE, .only = ON(UDP) },
	[P_EXPECT_DATA] = { .key = "expect-data", .kind = CFG_NODE, .only = ON(UDP) },
};
/* clang-format on */

void cfg_probe_init(struct probe_spec *s)
{
	memset(s, 0, sizeof(*s));
	s->type = PROBE_TCP;
	s->rise = s->fall = 3;
	s->jitter_pct = 10;
}

/* ---- merging --------------------------------------------------------------------------------- */
/* Back to "not given" for everything that the type has no use for. */
static void drop_foreign(struct probe_spec *s)
{
	__u32 on = 1u << s->type;
	struct probe_spec fresh;

	cfg_probe_init(&fresh);
	for (unsigned int i = 0; i < P_MAX; i++) {
		const struct cfg_field *f = &fields[i];

		if (f->only && !(f->only & on) && f->kind != CFG_NODE)
			memcpy((char *)s + f->offset, (char *)&fresh + f->offset, f->size);
	}
	if (!(on & ON_HTTP)) {
		memset(s->expect, 0, sizeof(s->expect));
		s->n_expect = 0;
	}
	if (!(on & ON(UDP))) {
		memset(s->send, 0, sizeof(s->send));
		memset(s->expect_data, 0, sizeof(s->expect_data));
		s->send_len = s->expect_len = 0;
	}
}

static void refuse_foreign(struct cfg *c, yaml_node_t **values, enum probe_type type)
{
	char hint[120];

	for (unsigned int i = 0; i < P_MAX; i++) {
		__u32 only = fields[i].only;

		if (!values[i] || !only || (only & (1u << type)))
			continue;
		snprintf(hint, sizeof(hint), "%s belongs to %s; remove it, or set the type", fields[i].key,
			 only == ON_ANY      ? "every type but none"
			 : only == ON_HTTP   ? "http and https"
			 : only == ON(HTTPS) ? "https"
					     : "udp");
		cfg_error(c, values[i], hint, "%s: a probe of type %s has no use for it", fields[i].key,
			  probe_type_name(type));
	}
}

/* Everything that was not given, from what was. */
static void fill_in(struct probe_spec *s)
{
	struct probe_spec d;

	probe_spec_init(&d, s->type);
	if (!s->interval_ms)
		s->interval_ms = d.interval_ms;
	if (!s->fast_interval_ms)
		s->fast_interval_ms = s->interval_ms / 4 < 50 ? 50 : s->interval_ms / 4;
	if (!s->down_interval_ms)
		s->down_interval_ms =
			s->interval_ms > d.down_interval_ms ? s->interval_ms : d.down_interval_ms;
	if (!s->timeout_ms)
		s->timeout_ms = s->interval_ms / 2 < d.timeout_ms ? s->interval_ms / 2 : d.timeout_ms;
	if (!s->path[0])
		memcpy(s->path, d.path, sizeof(s->path));
	if (!s->method[0])
		memcpy(s->method, d.method, sizeof(s->method));
	if (!s->n_expect) {
		memcpy(s->expect, d.expect, sizeof(s->expect));
		s->n_expect = d.n_expect;
	}
}

static const yaml_node_t *either(yaml_node_t **values, unsigned int a, unsigned int b)
{
	return values[a] ? values[a] : values[b];
}

/* Rules between keys; checked where one of the keys is given, so that a flaw in defaults is told once. */
static void check_rules(struct cfg *c, yaml_node_t **values, const struct probe_spec *s)
{
	char a[VALUE_DURATION_STRLEN], b[VALUE_DURATION_STRLEN];
	const yaml_node_t *at = either(values, P_TIMEOUT, P_INTERVAL);

	if (at && s->timeout_ms >= s->interval_ms)
		cfg_error(c, at,
			  "a probe must be over before the next begins: shorten timeout, lengthen interval",
			  "timeout (%s) is not shorter than interval (%s)",
			  value_format_duration_ms(s->timeout_ms, a),
			  value_format_duration_ms(s->interval_ms, b));
	at = either(values, P_FAST, P_INTERVAL);
	if (at && s->fast_interval_ms > s->interval_ms)
		cfg_error(c, at, "fast-interval is for the time when a change is being confirmed",
			  "fast-interval (%s) is longer than interval (%s)",
			  value_format_duration_ms(s->fast_interval_ms, a),
			  value_format_duration_ms(s->interval_ms, b));
	at = either(values, P_BODY, P_METHOD);
	if (at && s->body[0] && strcmp(s->method, "HEAD") == 0)
		cfg_error(c, at, "use GET, or remove body", "an answer to HEAD has no body to look at");
}

/*
 * Put @node's keys over *@s, which may be inherited. @s stays "not filled in". False when the type could not
 * be read: then nothing can be said about the other keys.
 */
static bool merge(struct cfg *c, yaml_node_t *node, struct probe_spec *s, yaml_node_t **values)
{
	enum probe_type inherited = s->type;

	s->type = PROBE_TYPE_MAX;
	if (!cfg_read_map(c, node, "a probe", fields, P_MAX, s, values))
		return false;
	if (s->type == PROBE_TYPE_MAX) {
		s->type = inherited;
		if (values[P_TYPE])
			return false;
	}
	if (values[P_EXPECT])
		cfg_read_expect(c, values[P_EXPECT], s);
	if (values[P_SEND])
		cfg_read_data(c, "send", values[P_SEND], s->send, &s->send_len);
	if (values[P_EXPECT_DATA])
		cfg_read_data(c, "expect-data", values[P_EXPECT_DATA], s->expect_data, &s->expect_len);
	return true;
}

static void settle(struct cfg *c, yaml_node_t **values, struct probe_spec *s)
{
	struct probe_spec filled;

	refuse_foreign(c, values, s->type);
	drop_foreign(s);
	filled = *s;
	fill_in(&filled);
	check_rules(c, values, &filled);
}

void cfg_read_default_probe(struct cfg *c, yaml_node_t *node, struct probe_spec *s)
{
	yaml_node_t *values[P_MAX];

	if (merge(c, node, s, values))
		settle(c, values, s);
}

/*
 * A type from defaults is taken only if it can say something about the service's protocol. True: it can not,
 * and *@s has another. UDP services are not probed unless told how: whether a TCP connection or any answer at
 * all can be expected on a UDP port, nobody but the operator knows, and a wrong guess would take all backends
 * out.
 */
static bool refuse_type(struct probe_spec *s, __u8 protocol)
{
	if (protocol == IPPROTO_UDP && s->type != PROBE_UDP && s->type != PROBE_NONE)
		s->type = PROBE_NONE;
	else if (protocol == IPPROTO_TCP && s->type == PROBE_UDP)
		s->type = PROBE_TCP;
	else
		return false;
	return true;
}

static void check_udp(struct cfg *c, yaml_node_t **values, const yaml_node_t *where, __u8 protocol,
		      const struct probe_spec *s)
{
	const yaml_node_t *at = values[P_TYPE] ? values[P_TYPE] : where;

	if (s->type != PROBE_UDP)
		return;
	if (!s->send_len && !values[P_SEND])
		cfg_error(c, at,
			  "say what to send, for example send: \"hex:0001 0100 0001 0000 0000 0000 00 0002 "
			  "0001\"",
			  "a udp probe needs the key 'send'");
	if (protocol == IPPROTO_TCP && !s->port && !values[P_PORT])
		cfg_error(c, at, "give the probe's port",
			  "a udp probe can not ask the port of a tcp service");
}

/* Nothing in the service says how to probe it, and what `defaults` say does not fit its protocol. */
static void tell_not_fitting(struct cfg *c, const yaml_node_t *node, const yaml_node_t *where, __u8 protocol)
{
	static const char hint[] =
		"set probe: {type: udp, send: ...}, or type: tcp with a port, or type: none";

	if (protocol == IPPROTO_TCP)
		cfg_warn(c, node ? node : where, "set the type in the service",
			 "the udp probe from defaults does not fit this tcp service: a tcp probe is used");
	else if (node)
		cfg_error(c, node, hint, "the probe of a udp service needs its type");
	else
		cfg_warn(c, where, hint, "the backends of this udp service will not be probed");
}

void cfg_read_service_probe(struct cfg *c, yaml_node_t *node, const yaml_node_t *where,
			    const struct probe_spec *inherited, __u8 protocol, struct probe_spec *out)
{
	yaml_node_t *values[P_MAX] = {NULL};
	struct probe_spec s = *inherited;
	bool refused = refuse_type(&s, protocol);

	if (node && !merge(c, node, &s, values))
		return;
	refused = refused && !values[P_TYPE];
	if (refused)
		tell_not_fitting(c, node, where, protocol);
	if (refused && protocol == IPPROTO_UDP)
		drop_foreign(&s);
	else
		settle(c, values, &s);
	check_udp(c, values, where, protocol, &s);
	fill_in(&s);
	*out = s;
}

/* ---- printing -------------------------------------------------------------------------------- */
void cfg_print_probe(FILE *out, int indent, const struct probe_spec *s)
{
	fprintf(out, "%*sprobe:\n", indent, "");
	indent += 2;
	cfg_print_fields(out, indent, fields, P_MAX, s, 1u << s->type);
	cfg_print_expect(out, indent, s);
	cfg_print_data(out, indent, "send", s->send, s->send_len);
	cfg_print_data(out, indent, "expect-data", s->expect_data, s->expect_len);
}
