// SPDX-License-Identifier: Apache-2.0
/* config_service.c - `defaults` and `services` with their backends: reading one by one, and printing. */
#include "core/config_private.h"
#include "core/maglev.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000
#define DAY_S 86400

/* For cfg_field.only: keys that concern some services only. */
#define ON_UDP 1u
#define ON_GUE 2u

static const struct cfg_choice forwards[] = {
	{ "ipip", LB_FORWARD_IPIP }, { "gue", LB_FORWARD_GUE }, { "l2", LB_FORWARD_L2 }, { NULL, 0 },
};
static const struct cfg_choice hashes[] = {
	{ "5-tuple", CONFIG_HASH_5TUPLE }, { "source", CONFIG_HASH_SOURCE }, { NULL, 0 },
};
static const struct cfg_choice udps[] = {
	{ "none", CONFIG_UDP_NONE }, { "track", CONFIG_UDP_TRACK }, { NULL, 0 },
};
static const struct cfg_choice protocols[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { NULL, 0 } };

/* Names go into commands, metric labels and log fields unquoted. */
static const char *check_name(const char *text)
{
	if (*text == '-' || *text == '.')
		return "it begins with - or .";
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("._:-", *text))
			return "it holds a character that a name can not have";
	}
	return NULL;
}
#define NAME_HINT "a name is letters, digits and . _ - : only"

/* Keys of a service, of which `defaults` may hold the first S_SHARED. */
enum {
	S_FORWARD,
	S_HASH,
	S_UDP,
	S_UDP_IDLE,
	S_TABLE_SIZE,
	S_GUE_PORT,
	S_GRACE,
	S_SLOW_START,
	S_DRAIN_TIMEOUT,
	S_PANIC,
	S_PROBE,
	S_SHARED,
	S_NAME = S_SHARED,
	S_VIP,
	S_PORT,
	S_PROTOCOL,
	S_BACKENDS,
	S_MAX
};

#define SHARED_FIELDS                                                                                                 \
	[S_FORWARD] = { "forward", CFG_ENUM, CFG_MEMBER(config_service, forward), .choices = forwards },              \
	[S_HASH] = { "hash", CFG_ENUM, CFG_MEMBER(config_service, hash), .choices = hashes },                         \
	[S_UDP] = { "udp", CFG_ENUM, CFG_MEMBER(config_service, udp), .choices = udps, .only = ON_UDP },              \
	[S_UDP_IDLE] = { "udp-idle", CFG_S, CFG_MEMBER(config_service, udp_idle_s), .min = 1, .max = 3600,            \
			 .only = ON_UDP },                                                                            \
	[S_TABLE_SIZE] = { "table-size", CFG_AUTO, CFG_MEMBER(config_service, table_size), .min = 1,                  \
			   .max = LB_M_MAX },                                                                         \
	[S_GUE_PORT] = { "gue-port", CFG_UINT, CFG_MEMBER(config_service, gue_port), .min = 1, .max = 65535,          \
			 .what = "a port", .only = ON_GUE },                                                          \
	[S_GRACE] = { "grace", CFG_S, CFG_MEMBER(config_service, grace_s), .max = DAY_S },                            \
	[S_SLOW_START] = { "slow-start", CFG_MS, CFG_MEMBER(config_service, slow_start_ms), .max = DAY_MS },          \
	[S_DRAIN_TIMEOUT] = { "drain-timeout", CFG_MS, CFG_MEMBER(config_service, drain_timeout_ms), .max = DAY_MS }, \
	[S_PANIC] = { "panic-threshold", CFG_PERCENT, CFG_MEMBER(config_service, panic_threshold_pct), .max = 100 },  \
	[S_PROBE] = { .key = "probe", .kind = CFG_NODE }

static const struct cfg_field service_fields[S_MAX] = {
	SHARED_FIELDS,
	[S_NAME] = { "name", CFG_TEXT, true, CFG_MEMBER(config_service, name), .check = check_name, .what = NAME_HINT },
	[S_VIP] = { .key = "vip", .kind = CFG_NODE, .required = true, .what = "vip is one address, or a list of them" },
	[S_PORT] = { "port", CFG_UINT, true, CFG_MEMBER(config_service, port), .min = 1, .max = 65535,
		     .what = "a port" },
	[S_PROTOCOL] = { "protocol", CFG_ENUM, CFG_MEMBER(config_service, protocol), .choices = protocols },
	[S_BACKENDS] = { .key = "backends", .kind = CFG_NODE, .required = true, .what = "backends is a list like - {address: 10.0.1.11}" },
};

enum { D_WEIGHT = S_SHARED, D_MAX };
static const struct cfg_field default_fields[D_MAX] = {
	SHARED_FIELDS,
	[D_WEIGHT] = { "weight", CFG_UINT, CFG_MEMBER(cfg_template, weight), .min = 1, .max = 65535 },
};
_Static_assert(offsetof(struct cfg_template, s) == 0, "the shared rows count from the service");

enum { B_ADDRESS, B_NAME, B_WEIGHT, B_FORWARD, B_MAX };
static const struct cfg_field backend_fields[B_MAX] = {
	[B_ADDRESS] = { .key = "address", .kind = CFG_NODE, .required = true, .what = "for example {address: 10.0.1.11}" },
	[B_NAME] = { "name", CFG_TEXT, CFG_MEMBER(config_backend, name), .check = check_name, .what = NAME_HINT },
	[B_WEIGHT] = { "weight", CFG_UINT, CFG_MEMBER(config_backend, weight), .max = 65535 },
	[B_FORWARD] = { "forward", CFG_ENUM, CFG_MEMBER(config_backend, forward), .choices = forwards },
};

void cfg_services_done(struct cfg_services *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		free(s->v[i].backends);
	free(s->v);
	memset(s, 0, sizeof(*s));
}

void cfg_template_init(struct cfg_template *t)
{
	memset(t, 0, sizeof(*t));
	t->s.protocol = IPPROTO_TCP;
	t->s.gue_port = 6080;
	t->s.slow_start_ms = 30 * 1000;
	t->s.drain_timeout_ms = 300 * 1000;
	t->s.grace_s = 900;
	t->s.udp_idle_s = 60;
	t->s.panic_threshold_pct = 50;
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
			len += (size_t)snprintf(hint + len, sizeof(hint) - len, "%s %u", p == maglev_primes ? "" : ",",
						*p);
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
	if (values[S_TABLE_SIZE])
		check_table_size(c, values[S_TABLE_SIZE], t->s.table_size);
	if (values[S_PROBE])
		cfg_read_default_probe(c, values[S_PROBE], &t->s.probe);
}

/* ---- backends ------------------------------------------------------------------------------------------------------ */
static void read_backend(struct cfg *c, yaml_node_t *node, const struct cfg_template *t, struct cfg_service *s,
			 struct cfg_backend *out)
{
	yaml_node_t *values[B_MAX];

	memset(out, 0, sizeof(*out));
	out->b.weight = t->weight;
	out->b.forward = s->s.forward;
	if (!cfg_read_map(c, node, "a backend", backend_fields, B_MAX, &out->b, values)) {
		s->whole = false;
		return;
	}
	out->addr_mark = cfg_mark(values[B_ADDRESS] ? values[B_ADDRESS] : node);
	out->name_mark = cfg_mark(values[B_NAME] ? values[B_NAME] : node);
	out->has_addr = values[B_ADDRESS] && cfg_read_addr(c, "address", values[B_ADDRESS], &out->b.addr);
	if (!out->has_addr)
		s->whole = false;
	else if (!out->b.name[0])
		addr_format(&out->b.addr, out->b.name);
}

static void read_backends(struct cfg *c, yaml_node_t *node, const struct cfg_template *t, struct cfg_services *all,
			  struct cfg_service *s)
{
	size_t n;

	s->whole = true;
	s->backends_mark = cfg_mark(node);
	if (node->type != YAML_SEQUENCE_NODE || !cfg_items(node)) {
		cfg_error(c, node, service_fields[S_BACKENDS].what, "backends: expected a list of at least one, found %s",
			  node->type == YAML_SEQUENCE_NODE ? "an empty list" : cfg_node_words(node));
		s->whole = false;
		return;
	}
	n = cfg_items(node);
	/* Beyond the limit nothing is kept; cfg_check_all() tells. */
	if (n > LB_BIDX_MAX - (all->n_backends < LB_BIDX_MAX ? all->n_backends : LB_BIDX_MAX)) {
		all->n_backends += (unsigned int)n;
		s->whole = false;
		return;
	}
	all->n_backends += (unsigned int)n;
	s->backends = calloc(n, sizeof(*s->backends));
	if (!s->backends) {
		c->oom = true;
		return;
	}
	for (; s->n_backends < n; s->n_backends++)
		read_backend(c, cfg_item(c, node, s->n_backends), t, s, &s->backends[s->n_backends]);
}

/* ---- services ------------------------------------------------------------------------------------------------------ */
static void read_vips(struct cfg *c, yaml_node_t *node, struct cfg_service *s)
{
	yaml_node_t *item;

	if (node->type == YAML_SEQUENCE_NODE && !cfg_items(node))
		cfg_error(c, node, service_fields[S_VIP].what, "vip: the list is empty");
	for (size_t i = 0; (item = cfg_list_item(c, node, i)); i++) {
		if (s->s.n_vips == CONFIG_VIPS_MAX) {
			cfg_error(c, item, "split the service", "vip: more than %d addresses", CONFIG_VIPS_MAX);
			return;
		}
		if (!cfg_read_addr(c, "vip", item, &s->s.vips[s->s.n_vips]))
			continue;
		s->vip_marks[s->s.n_vips++] = cfg_mark(item);
	}
}

static bool uses_gue(const struct config_service *s, const struct cfg_backend *b, unsigned int n)
{
	bool gue = s->forward == LB_FORWARD_GUE;

	for (unsigned int i = 0; i < n; i++)
		gue = gue || b[i].b.forward == LB_FORWARD_GUE;
	return gue;
}

/* Keys that say something about a kind of service that this one is not. */
static void warn_idle_keys(struct cfg *c, yaml_node_t **values, const struct cfg_service *s)
{
	for (unsigned int i = S_UDP; i <= S_UDP_IDLE; i++) {
		if (values[i] && s->s.protocol != IPPROTO_UDP)
			cfg_warn(c, values[i], NULL, "%s has no effect: the protocol is tcp", service_fields[i].key);
	}
	if (values[S_GUE_PORT] && s->whole && !uses_gue(&s->s, s->backends, s->n_backends))
		cfg_warn(c, values[S_GUE_PORT], NULL, "gue-port has no effect: nothing is forwarded by gue");
}

static void read_service(struct cfg *c, yaml_node_t *node, const struct cfg_template *t, struct cfg_services *all,
			 struct cfg_service *s)
{
	const yaml_node_t *where;
	yaml_node_t *values[S_MAX];

	memset(s, 0, sizeof(*s));
	s->s = t->s;
	s->s.mark = cfg_mark(node);
	if (!cfg_read_map(c, node, "a service", service_fields, S_MAX, &s->s, values))
		return;
	where = values[S_NAME] ? values[S_NAME] : node;
	s->name_mark = cfg_mark(where);
	s->port_mark = cfg_mark(values[S_PORT] ? values[S_PORT] : node);
	s->table_mark = cfg_mark(values[S_TABLE_SIZE] ? values[S_TABLE_SIZE] : node);
	if (values[S_TABLE_SIZE])
		check_table_size(c, values[S_TABLE_SIZE], s->s.table_size);
	if (values[S_VIP])
		read_vips(c, values[S_VIP], s);
	if (values[S_BACKENDS])
		read_backends(c, values[S_BACKENDS], t, all, s);
	cfg_read_service_probe(c, values[S_PROBE], where, &t->s.probe, s->s.protocol, &s->s.probe);
	warn_idle_keys(c, values, s);
	cfg_check_service(c, s);
}

void cfg_read_services(struct cfg *c, yaml_node_t *node, const struct cfg_template *t, struct cfg_services *out)
{
	size_t n;

	out->mark = cfg_mark(node);
	if (node->type != YAML_SEQUENCE_NODE) {
		cfg_error(c, node, "each service begins with '- name: ...'", "services: expected a list, found %s",
			  cfg_node_words(node));
		return;
	}
	n = cfg_items(node);
	if (n > LB_SID_MAX) {
		cfg_error(c, cfg_item(c, node, LB_SID_MAX), NULL, "services: %zu are too many, the limit is %u", n,
			  LB_SID_MAX);
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

/* ---- printing ------------------------------------------------------------------------------------------------------ */
static void print_backend(FILE *out, const struct config_backend *b)
{
	char addr[ADDR_STRLEN];

	fputs("      - address: ", out);
	cfg_print_text(out, addr_format(&b->addr, addr));
	fputc('\n', out);
	/* The default name may begin with a colon, which a given one may too, but needs no mention. */
	if (strcmp(addr, b->name) != 0)
		cfg_print_fields(out, 8, &backend_fields[B_NAME], 1, b, 0);
	cfg_print_fields(out, 8, &backend_fields[B_WEIGHT], B_MAX - B_WEIGHT, b, 0);
}

static __u32 printed_keys(const struct config_service *s)
{
	__u32 on = s->protocol == IPPROTO_UDP ? ON_UDP : 0;

	if (s->forward == LB_FORWARD_GUE)
		on |= ON_GUE;
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
	cfg_print_fields(out, 4, service_fields, S_SHARED, s, on);
	cfg_print_probe(out, 4, &s->probe);
	fputs("    backends:\n", out);
	for (unsigned int i = 0; i < s->n_backends; i++)
		print_backend(out, &s->backends[i]);
}
