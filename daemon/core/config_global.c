// SPDX-License-Identifier: Apache-2.0
/* config_global.c - the sections `dataplane`, `control` and `metrics`: reading and printing. */
#include "core/config_private.h"
#include "core/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct cfg_choice xdp_modes[] = {
	{ "auto", CONFIG_XDP_AUTO },
	{ "native", CONFIG_XDP_NATIVE },
	{ "generic", CONFIG_XDP_GENERIC },
	{ NULL, 0 },
};
/* clang-format on */

static const char *check_group(const char *text)
{
	if (*text == '-')
		return "it begins with -";
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("._-", *text))
			return "it holds a character that a group name can not have";
	}
	return NULL;
}

/* clang-format off */
enum {
	DP_INTERFACES,
	DP_XDP_MODE,
	DP_SEED_FILE,
	DP_PIN_DIR,
	DP_MAX_SLOTS,
	DP_MAX_FLOWS,
	DP_VIP_ECHO,
	DP_SOURCE,
	DP_MAX
};
static const struct cfg_field dataplane_fields[DP_MAX] = {
	[DP_INTERFACES] = { .key = "interfaces", .kind = CFG_NODE, .required = true,
			    .what = "interfaces is the list of those that clients' packets come in by" },
	[DP_XDP_MODE] = { "xdp-mode", CFG_ENUM, CFG_MEMBER(config_dataplane, xdp_mode), .choices = xdp_modes },
	[DP_SEED_FILE] = { "seed-file", CFG_PATH, CFG_MEMBER(config_dataplane, seed_file) },
	[DP_PIN_DIR] = { "pin-dir", CFG_PATH, CFG_MEMBER(config_dataplane, pin_dir) },
	[DP_MAX_SLOTS] = { "max-slots", CFG_AUTO, CFG_MEMBER(config_dataplane, max_slots), .min = 4096,
			   .max = CONFIG_SLOTS_MAX },
	[DP_MAX_FLOWS] = { "max-flows", CFG_UINT, CFG_MEMBER(config_dataplane, max_flows), .min = 1024,
			   .max = 16777216 },
	[DP_VIP_ECHO] = { "vip-echo", CFG_BOOL, CFG_MEMBER(config_dataplane, vip_echo) },
	[DP_SOURCE] = { .key = "source", .kind = CFG_NODE },
};
/* clang-format on */

/* clang-format off */
enum { CT_SOCKET, CT_GROUP, CT_MAX };
static const struct cfg_field control_fields[CT_MAX] = {
	[CT_SOCKET] = { "socket", CFG_PATH, CFG_MEMBER(config, control_socket) },
	[CT_GROUP] = { "group", CFG_TEXT, CFG_MEMBER(config, control_group), .check = check_group,
		       .what = "a group name is letters, digits and . _ - only" },
};
/* clang-format on */

/* clang-format off */
static const struct cfg_field metrics_fields[] = {
	{ .key = "listen", .kind = CFG_NODE, .required = true, .what = "for example listen: 127.0.0.1:9917" },
};
/* clang-format on */

void cfg_globals_init(struct config *g)
{
	strcpy(g->dataplane.pin_dir, "/sys/fs/bpf/lbd");
	strcpy(g->control_socket, "/run/lbd/lbd.sock");
	g->dataplane.max_flows = 262144;
	g->dataplane.vip_echo = true;
}

/* ---- dataplane ------------------------------------------------------------------------------- */
/* The kernel's rules for names of interfaces (dev_valid_name). */
static const char *interface_flaw(const char *name)
{
	if (!*name)
		return "is empty";
	if (strlen(name) >= sizeof(((struct config_dataplane *)0)->interfaces[0]))
		return "is longer than 15 characters";
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return "can not be";
	for (; *name; name++) {
		if (!isgraph((unsigned char)*name) || *name == '/' || *name == ':')
			return "holds a character that the kernel allows in no name";
	}
	return NULL;
}

static void add_interface(struct cfg *c, const yaml_node_t *item, struct config_dataplane *d)
{
	const char *name = cfg_text(c, "interfaces", "the name of an interface", item);
	const char *flaw;

	if (!name)
		return;
	flaw = interface_flaw(name);
	if (flaw) {
		cfg_error(c, item, "'ip link' lists the interfaces", "interfaces: the name '%s' %s", name,
			  flaw);
		return;
	}
	for (unsigned int i = 0; i < d->n_interfaces; i++) {
		if (strcmp(d->interfaces[i], name) == 0) {
			cfg_error(c, item, "remove one", "interfaces: %s is named twice", name);
			return;
		}
	}
	if (d->n_interfaces == CONFIG_INTERFACES_MAX) {
		cfg_error(c, item, NULL, "interfaces: more than %d", CONFIG_INTERFACES_MAX);
		return;
	}
	strcpy(d->interfaces[d->n_interfaces++], name);
}

static int interface_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void read_interfaces(struct cfg *c, yaml_node_t *node, struct config_dataplane *d)
{
	yaml_node_t *item;

	if (node->type == YAML_SEQUENCE_NODE && !cfg_items(node))
		cfg_error(c, node, "name at least one", "interfaces: the list is empty");
	for (size_t i = 0; (item = cfg_list_item(c, node, i)); i++)
		add_interface(c, item, d);
	qsort(d->interfaces, d->n_interfaces, sizeof(d->interfaces[0]), interface_cmp);
}

static void read_source(struct cfg *c, yaml_node_t *node, struct config_dataplane *d)
{
	yaml_node_t *item;

	for (size_t i = 0; (item = cfg_list_item(c, node, i)); i++) {
		struct lb_addr a;
		bool *has, v4;

		if (!cfg_read_addr(c, "source", item, &a))
			continue;
		v4 = addr_is_v4(&a);
		has = v4 ? &d->has_source4 : &d->has_source6;
		if (*has) {
			cfg_error(c, item, "give at most one of each family", "source: a second %s address",
				  v4 ? "IPv4" : "IPv6");
			continue;
		}
		*has = true;
		*(v4 ? &d->source4 : &d->source6) = a;
	}
}

void cfg_read_dataplane(struct cfg *c, yaml_node_t *node, struct config_dataplane *d)
{
	yaml_node_t *values[DP_MAX];

	if (!cfg_read_map(c, node, "dataplane", dataplane_fields, DP_MAX, d, values))
		return;
	if (values[DP_INTERFACES])
		read_interfaces(c, values[DP_INTERFACES], d);
	if (values[DP_SOURCE])
		read_source(c, values[DP_SOURCE], d);
}

/* ---- control, metrics ------------------------------------------------------------------------ */
void cfg_read_control(struct cfg *c, yaml_node_t *node, struct config *g)
{
	yaml_node_t *values[CT_MAX];

	cfg_read_map(c, node, "control", control_fields, CT_MAX, g, values);
}

void cfg_read_metrics(struct cfg *c, yaml_node_t *node, struct config *g)
{
	static const char hint[] = "write ADDRESS:PORT, for example 127.0.0.1:9917 or \"[::1]:9917\"";
	yaml_node_t *listen;
	const char *text;
	int r;

	if (!cfg_read_map(c, node, "metrics", metrics_fields, 1, g, &listen) || !listen)
		return;
	if (listen->type != YAML_SCALAR_NODE) {
		cfg_error(c, listen, hint, "listen: expected ADDRESS:PORT, found %s", cfg_node_words(listen));
		return;
	}
	text = cfg_text(c, "listen", "ADDRESS:PORT", listen);
	r = text ? value_parse_endpoint(text, &g->metrics_addr, &g->metrics_port) : 0;
	if (r)
		cfg_error(c, listen, r == -ERANGE ? "a port is a number from 1 to 65535" : hint,
			  "listen: '%s' is not an address and a port", text);
	g->has_metrics = true;
}

/* ---- printing -------------------------------------------------------------------------------- */
static void print_source(FILE *out, const struct config_dataplane *d)
{
	char addr[ADDR_STRLEN];

	if (!d->has_source4 && !d->has_source6)
		return;
	fputs("  source: [", out);
	if (d->has_source4)
		cfg_print_text(out, addr_format(&d->source4, addr));
	if (d->has_source4 && d->has_source6)
		fputs(", ", out);
	if (d->has_source6)
		cfg_print_text(out, addr_format(&d->source6, addr));
	fputs("]\n", out);
}

void cfg_print_globals(FILE *out, const struct config *g)
{
	char addr[ADDR_STRLEN];

	fputs("dataplane:\n  interfaces: [", out);
	for (unsigned int i = 0; i < g->dataplane.n_interfaces; i++) {
		fputs(i ? ", " : "", out);
		cfg_print_text(out, g->dataplane.interfaces[i]);
	}
	fputs("]\n", out);
	cfg_print_fields(out, 2, dataplane_fields, DP_MAX, &g->dataplane, 0);
	print_source(out, &g->dataplane);
	fputs("control:\n", out);
	cfg_print_fields(out, 2, control_fields, CT_MAX, g, 0);
	if (!g->has_metrics)
		return;
	addr_format(&g->metrics_addr, addr);
	fprintf(out,
		addr_is_v4(&g->metrics_addr) ? "metrics:\n  listen: \"%s:%u\"\n"
					     : "metrics:\n  listen: \"[%s]:%u\"\n",
		addr, g->metrics_port);
}
