// SPDX-License-Identifier: Apache-2.0
/* config_service.c - `defaults` and `services`, reading and printing. Backends: config_backend.c. */
#include "core/config_private.h"
#include "core/maglev.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000
#define DAY_S 86400

/* For cfg_field.only: keys that concern some services only. */
#define ON_UDP 1u
#define ON_GUE 2u

/* clang-format off */
static const struct cfg_choice hashes[] = {
	{ "5-tuple", CONFIG_HASH_5TUPLE }, { "source", CONFIG_HASH_SOURCE }, { NULL, 0 },
};
static const struct cfg_choice inits[] = {
	{ "auto", CONFIG_INIT_AUTO }, { "up", CONFIG_INIT_UP }, { "down", CONFIG_INIT_DOWN }, { NULL, 0 },
};
static const struct cfg_choice udps[] = {
	{ "none", CONFIG_UDP_NONE }, { "track", CONFIG_UDP_TRACK }, { NULL, 0 },
};
static const struct cfg_choice protocols[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { NULL, 0 } };
/* clang-format on */

/* Keys that `defaults` may hold for all services; rows of both tables. */
/* clang-format off */
enum {
	F_FORWARD,
	F_HASH,
	F_TABLE_SIZE,
	F_GRACE,
	F_SLOW_START,
	F_DRAIN_TIMEOUT,
	F_DRAIN_RAMP,
	F_PANIC,
	F_INIT,
	F_HARD_DOWN,
	F_MASS,
	F_MASS_WINDOW,
	F_MASS_HOLD,
	F_FLAP,
	F_GUE_PORT,
	F_UDP,
	F_UDP_IDLE,
	F_FLOW_LIMIT,
	F_SOURCE_LIMIT,
	F_PROBE,
	F_MAX
};

#define ROW(name, kind, member, ...) { name, kind, CFG_MEMBER(config_service, member), __VA_ARGS__ }
#define SHARED_FIELDS(at)                                                                               \
	[at + F_FORWARD] = ROW("forward", CFG_ENUM, forward, .choices = cfg_forwards),                  \
	[at + F_HASH] = ROW("hash", CFG_ENUM, hash, .choices = hashes),                                 \
	[at + F_TABLE_SIZE] = ROW("table-size", CFG_AUTO, table_size, .min = 1, .max = LB_M_MAX),       \
	[at + F_GRACE] = ROW("grace", CFG_S, grace_s, .max = DAY_S),                                    \
	[at + F_SLOW_START] = ROW("slow-start", CFG_MS, slow_start_ms, .max = DAY_MS),                  \
	[at + F_DRAIN_TIMEOUT] = ROW("drain-timeout", CFG_MS, drain_timeout_ms, .max = DAY_MS),         \
	[at + F_DRAIN_RAMP] = ROW("drain-ramp", CFG_MS, drain_ramp_ms, .max = DAY_MS),                  \
	[at + F_PANIC] = ROW("panic-threshold", CFG_PERCENT, panic_threshold_pct, .max = 100),          \
	[at + F_INIT] = ROW("init", CFG_ENUM, init, .choices = inits),                                  \
	[at + F_HARD_DOWN] = ROW("hard-down", CFG_MS, hard_down_ms, .max = DAY_MS),                     \
	[at + F_MASS] = ROW("mass-failure", CFG_PERCENT, mass_failure_pct, .max = 100),                 \
	[at + F_MASS_WINDOW] = ROW("mass-failure-window", CFG_MS, mass_failure_ms, .min = 100,          \
				   .max = DAY_MS),                                                      \
	[at + F_MASS_HOLD] = ROW("mass-failure-hold", CFG_MS, mass_failure_hold_ms, .max = DAY_MS),     \
	[at + F_FLAP] = ROW("flap-damping", CFG_MS, flap_half_life_ms, .max = DAY_MS),                  \
	[at + F_GUE_PORT] = ROW("gue-port", CFG_UINT, gue_port, .min = 1, .max = 65535,                 \
				.what = "a port", .only = ON_GUE),                                      \
	[at + F_UDP] = ROW("udp", CFG_ENUM, udp, .choices = udps, .only = ON_UDP),                      \
	[at + F_UDP_IDLE] = ROW("udp-idle", CFG_S, udp_idle_s, .min = 1, .max = 3600, .only = ON_UDP), \
	[at + F_FLOW_LIMIT] = ROW("new-flow-limit", CFG_UINT, new_flow_limit, .max = LB_LIMIT_MAX),     \
	[at + F_SOURCE_LIMIT] = ROW("source-flow-limit", CFG_UINT, source_limit, .max = LB_LIMIT_MAX),  \
	[at + F_PROBE] = { .key = "probe", .kind = CFG_NODE }

enum { S_NAME, S_VIP, S_PORT, S_PROTOCOL, S_BACKENDS, S_ALLOW, S_DENY, S_SHARED, S_MAX = S_SHARED + F_MAX };
static const struct cfg_field service_fields[S_MAX] = {
	[S_NAME] = { "name", CFG_TEXT, true, CFG_MEMBER(config_service, name), .check = cfg_check_name,
		     .what = CFG_NAME_HINT },
	[S_VIP] = { .key = "vip", .kind = CFG_NODE, .required = true,
		    .what = "vip is one address, or a list of them" },
	[S_PORT] = { "port", CFG_UINT, true, CFG_MEMBER(config_service, port), .min = 1, .max = 65535,
		     .what = "a port" },
	[S_PROTOCOL] = { "protocol", CFG_ENUM, CFG_MEMBER(config_service, protocol), .choices = protocols },
	[S_BACKENDS] = { .key = "backends", .kind = CFG_NODE, .required = true, .what = CFG_BACKENDS_HINT },
	[S_ALLOW] = { .key = "allow", .kind = CFG_NODE },
	[S_DENY] = { .key = "deny", .kind = CFG_NODE },
	SHARED_FIELDS(S_SHARED),
};

enum { D_WEIGHT = F_MAX, D_MAX };
static const struct cfg_field default_fields[D_MAX] = {
	SHARED_FIELDS(0),
	[D_WEIGHT] = { "weight", CFG_UINT, CFG_MEMBER(cfg_template, weight), .min = 1, .max = 65535 },
};
/* clang-format on */
_Static_assert(offsetof(struct cfg_template, s) == 0, "the shared rows count from the service");

void cfg_services_done(struct cfg_services *s)
{
	for (unsigned int i = 0; i < s->n; i++) {
		free(s->v[i].backends);
		free(s->v[i].s.acl);
	}
	free(s->v);
	memset(s, 0, sizeof(*s));
}

void cfg_template_init(struct cfg_template *t)
{
	memset(t, 0, sizeof(*t));
	t->s.gue_port = 6080;
	t->s.slow_start_ms = 30 * 1000;
	t->s.drain_timeout_ms = 300 * 1000;
	t->s.grace_s = 900;
	t->s.udp_idle_s = 60;
	t->s.panic_threshold_pct = 50;
	t->s.hard_down_ms = 10 * 1000;
	t->s.mass_failure_pct = 30;
	t->s.mass_failure_ms = 10 * 1000;
	t->s.mass_failure_hold_ms = 30 * 1000;
	t->s.flap_half_life_ms = 120 * 1000;
	t->weight = 100;
	cfg_probe_init(&t->s.probe);
}

/* The list on offer is in core/maglev.h; the nearest one is what the operator may want. */
static void check_table_size(struct cfg *c, const yaml_node_t *node, __u32 m)
{
	__u32 nearest = maglev_primes[0];
	char hint[200];
	size_t len;

	if (!m || maglev_m_is_offered(m))
		return;
	len = (size_t)snprintf(hint, sizeof(hint), "table sizes are");
	for (const __u32 *p = maglev_primes; *p; p++) {
		if (labs((long)*p - (long)m) < labs((long)nearest - (long)m))
			nearest = *p;
		if (len < sizeof(hint))
			len += (size_t)snprintf(hint + len, sizeof(hint) - len, "%s %u",
						p == maglev_primes ? "" : ",", *p);
	}
	if (len < sizeof(hint))
		snprintf(hint + len, sizeof(hint) - len, "; the nearest is %u; or auto", nearest);
	cfg_error(c, node, hint, "table-size: %u is not on offer", m);
}

void cfg_read_defaults(struct cfg *c, yaml_node_t *node, struct cfg_template *t)
{
	yaml_node_t *values[D_MAX];

	if (!cfg_read_map(c, node, "defaults", default_fields, D_MAX, t, values))
		return;
	if (values[F_TABLE_SIZE])
		check_table_size(c, values[F_TABLE_SIZE], t->s.table_size);
	if (values[F_PROBE])
		cfg_read_default_probe(c, values[F_PROBE], &t->s.probe);
}

/* ---- services -------------------------------------------------------------------------------- */
static void read_vips(struct cfg *c, yaml_node_t *node, struct cfg_service *s)
{
	yaml_node_t *item;

	if (node->type == YAML_SEQUENCE_NODE && !cfg_items(node))
		cfg_error(c, node, service_fields[S_VIP].what, "vip: the list is empty");
	for (size_t i = 0; (item = cfg_list_item(c, node, i)); i++) {
		if (s->s.n_vips == CONFIG_VIPS_MAX) {
			cfg_error(c, item, "split the service", "vip: more than %d addresses",
				  CONFIG_VIPS_MAX);
			return;
		}
		if (!cfg_read_addr(c, "vip", item, &s->s.vips[s->s.n_vips]))
			continue;
		s->vip_marks[s->s.n_vips++] = cfg_mark(item);
	}
}

static bool uses_gue(const struct cfg_service *s)
{
	for (unsigned int i = 0; i < s->n_backends; i++) {
		if (s->backends[i].b.forward == LB_FORWARD_GUE)
			return true;
	}
	return false;
}

/* Keys that say something about a kind of service that this one is not. */
static void warn_idle_keys(struct cfg *c, yaml_node_t **values, const struct cfg_service *s)
{
	for (unsigned int i = S_SHARED + F_UDP; i <= S_SHARED + F_UDP_IDLE; i++) {
		if (values[i] && s->s.protocol == IPPROTO_TCP)
			cfg_warn(c, values[i], NULL, "%s has no effect: the protocol is tcp",
				 service_fields[i].key);
	}
	if (values[S_SHARED + F_GUE_PORT] && s->whole && !uses_gue(s))
		cfg_warn(c, values[S_SHARED + F_GUE_PORT], NULL,
			 "gue-port has no effect: nothing is forwarded by gue");
}

static void read_service(struct cfg *c, yaml_node_t *node, const struct cfg_template *t,
			 struct cfg_services *all, struct cfg_service *s)
{
	const yaml_node_t *where;
	yaml_node_t *values[S_MAX];

	memset(s, 0, sizeof(*s));
	s->s = t->s;
	s->s.mark = cfg_mark(node);
	s->s.protocol = 0;
	if (!cfg_read_map(c, node, "a service", service_fields, S_MAX, &s->s, values))
		return;
	if (!values[S_PROTOCOL]) /* else, if it is still 0, it could not be read */
		s->s.protocol = IPPROTO_TCP;
	where = values[S_NAME] ? values[S_NAME] : node;
	s->name_mark = cfg_mark(where);
	s->port_mark = cfg_mark(values[S_PORT] ? values[S_PORT] : node);
	s->table_mark = cfg_mark(values[S_SHARED + F_TABLE_SIZE] ? values[S_SHARED + F_TABLE_SIZE] : node);
	if (values[S_SHARED + F_TABLE_SIZE])
		check_table_size(c, values[S_SHARED + F_TABLE_SIZE], s->s.table_size);
	if (values[S_VIP])
		read_vips(c, values[S_VIP], s);
	if (values[S_ALLOW])
		cfg_read_prefixes(c, "allow", false, values[S_ALLOW], all, s);
	if (values[S_DENY])
		cfg_read_prefixes(c, "deny", true, values[S_DENY], all, s);
	cfg_finish_acl(c, values[S_DENY] ? values[S_DENY] : values[S_ALLOW], s);
	if (values[S_BACKENDS])
		cfg_read_backends(c, values[S_BACKENDS], t->weight, all, s);
	cfg_read_service_probe(c, values[S_SHARED + F_PROBE], where, &t->s.probe, s->s.protocol, &s->s.probe);
	warn_idle_keys(c, values, s);
	cfg_check_service(c, s);
}

void cfg_read_services(struct cfg *c, yaml_node_t *node, const struct cfg_template *t,
		       struct cfg_services *out)
{
	size_t n;

	out->mark = cfg_mark(node);
	if (node->type != YAML_SEQUENCE_NODE) {
		cfg_error(c, node, "each service begins with '- name: ...'",
			  "services: expected a list, found %s", cfg_node_words(node));
		return;
	}
	n = cfg_items(node);
	if (n > LB_SID_MAX) {
		cfg_error(c, cfg_item(c, node, LB_SID_MAX), NULL,
			  "services: %zu are too many, the limit is %u", n, LB_SID_MAX);
		n = LB_SID_MAX;
	}
	out->v = calloc(n ? n : 1, sizeof(*out->v));
	if (!out->v) {
		c->oom = true;
		return;
	}
	for (; out->n < n; out->n++)
		read_service(c, cfg_item(c, node, out->n), t, out, &out->v[out->n]);
}

/* ---- printing -------------------------------------------------------------------------------- */
static __u32 printed_keys(const struct config_service *s)
{
	__u32 on = s->protocol == IPPROTO_UDP ? ON_UDP : 0;

	for (unsigned int i = 0; i < s->n_backends; i++) {
		if (s->backends[i].forward == LB_FORWARD_GUE)
			on |= ON_GUE;
	}
	return on;
}

void cfg_print_service(FILE *out, const struct config_service *s)
{
	char addr[ADDR_STRLEN];
	__u32 on = printed_keys(s);

	fputs("  - name: ", out);
	cfg_print_text(out, s->name);
	fputs("\n    vip: [", out);
	for (unsigned int i = 0; i < s->n_vips; i++) {
		fputs(i ? ", " : "", out);
		cfg_print_text(out, addr_format(&s->vips[i], addr));
	}
	fputs("]\n", out);
	cfg_print_fields(out, 4, &service_fields[S_PORT], 2, s, on);
	cfg_print_acl(out, s);
	cfg_print_fields(out, 4, &service_fields[S_SHARED], F_MAX, s, on);
	cfg_print_probe(out, 4, &s->probe);
	cfg_print_backends(out, s);
}
