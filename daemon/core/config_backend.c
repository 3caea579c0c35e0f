// SPDX-License-Identifier: Apache-2.0
/* config_backend.c - the backends of a service: reading and printing. */
#include "core/config_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
const struct cfg_choice cfg_forwards[] = {
	{ "ipip", LB_FORWARD_IPIP }, { "gue", LB_FORWARD_GUE }, { "l2", LB_FORWARD_L2 }, { NULL, 0 },
};
/* clang-format on */

/* Names go into commands, metric labels and log fields unquoted. */
const char *cfg_check_name(const char *text)
{
	if (*text == '-' || *text == '.')
		return "it begins with - or .";
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("._:-", *text))
			return "it holds a character that a name can not have";
	}
	return NULL;
}

/* clang-format off */
enum { B_ADDRESS, B_NAME, B_WEIGHT, B_FORWARD, B_MAX };
static const struct cfg_field backend_fields[B_MAX] = {
	[B_ADDRESS] = { .key = "address", .kind = CFG_NODE, .required = true,
			.what = "for example {address: 10.0.1.11}" },
	[B_NAME] = { "name", CFG_TEXT, CFG_MEMBER(config_backend, name), .check = cfg_check_name,
		     .what = CFG_NAME_HINT },
	[B_WEIGHT] = { "weight", CFG_UINT, CFG_MEMBER(config_backend, weight), .max = 65535 },
	[B_FORWARD] = { "forward", CFG_ENUM, CFG_MEMBER(config_backend, forward), .choices = cfg_forwards },
};
/* clang-format on */

static void read_backend(struct cfg *c, yaml_node_t *node, __u32 weight, struct cfg_service *s,
			 struct cfg_backend *out)
{
	yaml_node_t *values[B_MAX];

	memset(out, 0, sizeof(*out));
	out->b.weight = weight;
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

void cfg_read_backends(struct cfg *c, yaml_node_t *node, __u32 weight, struct cfg_services *all,
		       struct cfg_service *s)
{
	size_t n;

	s->whole = true;
	s->backends_mark = cfg_mark(node);
	if (node->type != YAML_SEQUENCE_NODE || !cfg_items(node)) {
		cfg_error(c, node, CFG_BACKENDS_HINT, "backends: expected a list of at least one, found %s",
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
		read_backend(c, cfg_item(c, node, s->n_backends), weight, s, &s->backends[s->n_backends]);
}

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

void cfg_print_backends(FILE *out, const struct config_service *s)
{
	fputs("    backends:\n", out);
	for (unsigned int i = 0; i < s->n_backends; i++)
		print_backend(out, &s->backends[i]);
}
