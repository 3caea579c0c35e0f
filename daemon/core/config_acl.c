// SPDX-License-Identifier: Apache-2.0
/* config_acl.c - `allow` and `deny` of a service: lists of source prefixes, and what is wrong with them. */
#include "core/config_private.h"
#include "core/config_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_HINT "a prefix is like 192.0.2.0/24 or 2001:db8::/32; a bare address is that host alone"
#define PREFIX_STRLEN (ADDR_STRLEN + 4)

static void clear_beyond(struct lb_addr *a, unsigned int bits)
{
	for (unsigned int i = 0; i < sizeof(a->b); i++) {
		unsigned int keep = bits <= i * 8 ? 0 : bits - i * 8;

		if (keep < 8)
			a->b[i] &= (__u8)(0xff00 >> keep);
	}
}

static const char *prefix_format(const struct config_prefix *p, char buf[PREFIX_STRLEN])
{
	char addr[ADDR_STRLEN];

	snprintf(buf, PREFIX_STRLEN, "%s/%u", addr_format(&p->addr, addr), p->v6 ? p->bits : p->bits - 96u);
	return buf;
}

static bool read_prefix(struct cfg *c, const char *key, const yaml_node_t *node, struct config_prefix *out)
{
	const char *text = cfg_text(c, key, "an address prefix", node), *slash;
	char head[ADDR_STRLEN] = {0}, buf[PREFIX_STRLEN], hint[PREFIX_STRLEN + 8];
	struct config_prefix whole;
	__u64 len;

	if (!text)
		return false;
	slash = strchr(text, '/');
	memcpy(head, text, slash && slash - text < ADDR_STRLEN ? (size_t)(slash - text) : strnlen(text, ADDR_STRLEN - 1));
	if (addr_parse(head, &out->addr) || (slash && value_parse_uint(slash + 1, &len))) {
		cfg_error(c, node, PREFIX_HINT, "%s: '%s' is not an address prefix", key, text);
		return false;
	}
	out->v6 = !addr_is_v4(&out->addr);
	if (!slash)
		len = out->v6 ? 128 : 32;
	if (len > (out->v6 ? 128 : 32)) {
		cfg_error(c, node, PREFIX_HINT, "%s: the length in '%s' is at most %u", key, text, out->v6 ? 128 : 32);
		return false;
	}
	out->bits = (__u8)(out->v6 ? len : 96 + len);
	whole = *out;
	clear_beyond(&out->addr, out->bits);
	if (addr_cmp(&whole.addr, &out->addr)) {
		snprintf(hint, sizeof(hint), "write %s", prefix_format(out, buf));
		cfg_error(c, node, hint, "%s: '%s' has bits behind its length", key, text);
		return false;
	}
	return true;
}

void cfg_read_prefixes(struct cfg *c, const char *key, bool deny, yaml_node_t *node, struct cfg_services *all,
		       struct cfg_service *s)
{
	yaml_node_t *item;

	if (node->type == YAML_SEQUENCE_NODE && !cfg_items(node))
		cfg_error(c, node, "remove the key, or list prefixes", "%s: the list is empty", key);
	for (size_t i = 0; (item = cfg_list_item(c, node, i)); i++) {
		struct config_prefix *grown, p = {.deny = deny};

		if (all->n_prefixes == LB_ACL_PREFIXES_MAX) {
			cfg_error(c, item, "join adjacent prefixes", "%s: more than %u prefixes in all services", key,
				  LB_ACL_PREFIXES_MAX);
			return;
		}
		if (!read_prefix(c, key, item, &p))
			continue;
		/* Doubling: the size is a power of two whenever it is full. */
		if (!(s->s.n_acl & (s->s.n_acl - 1))) {
			grown = reallocarray(s->s.acl, s->s.n_acl ? s->s.n_acl * 2 : 1, sizeof(*grown));
			if (!grown) {
				c->oom = true;
				return;
			}
			s->s.acl = grown;
		}
		s->s.acl[s->s.n_acl++] = p;
		all->n_prefixes++;
	}
}

static int prefix_cmp(const void *a, const void *b)
{
	const struct config_prefix *x = a, *y = b;
	int d = addr_cmp(&x->addr, &y->addr);

	if (d)
		return d;
	return x->v6 != y->v6 ? x->v6 - y->v6 : x->bits - y->bits;
}

void cfg_finish_acl(struct cfg *c, const yaml_node_t *node, struct cfg_service *s)
{
	char buf[PREFIX_STRLEN];

	if (s->s.n_acl)
		qsort(s->s.acl, s->s.n_acl, sizeof(*s->s.acl), prefix_cmp);
	for (unsigned int i = 1; i < s->s.n_acl; i++) {
		const struct config_prefix *p = &s->s.acl[i - 1], *q = &s->s.acl[i];

		if (prefix_cmp(p, q))
			continue;
		prefix_format(p, buf);
		if (p->deny != q->deny)
			cfg_error(c, node, "keep one of the two", "%s stands in allow and in deny", buf);
		else
			cfg_error(c, node, "remove one of the two", "%s: %s stands there twice", p->deny ? "deny" : "allow",
				  buf);
	}
}

int cfg_copy_acl(const struct config_service *from, struct config_service *to)
{
	to->acl = NULL;
	to->n_acl = 0;
	if (!from->n_acl)
		return 0;
	to->acl = calloc(from->n_acl, sizeof(*to->acl));
	if (!to->acl)
		return -ENOMEM;
	memcpy(to->acl, from->acl, from->n_acl * sizeof(*to->acl));
	to->n_acl = from->n_acl;
	return 0;
}

static void print_list(FILE *out, const char *key, bool deny, const struct config_service *s)
{
	char buf[PREFIX_STRLEN];
	bool any = false;

	for (unsigned int i = 0; i < s->n_acl; i++) {
		if (s->acl[i].deny != deny)
			continue;
		if (any)
			fputs(", ", out);
		else
			fprintf(out, "    %s: [", key);
		any = true;
		cfg_print_text(out, prefix_format(&s->acl[i], buf));
	}
	if (any)
		fputs("]\n", out);
}

void cfg_print_acl(FILE *out, const struct config_service *s)
{
	print_list(out, "allow", false, s);
	print_list(out, "deny", true, s);
}
