// SPDX-License-Identifier: Apache-2.0
/* config_probe_values.c - keys of a probe with a shape of their own: status ranges, bytes. */
#include "core/config_private.h"
#include "core/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int range_cmp(const void *a, const void *b)
{
	const __u16 *x = a, *y = b;

	return x[0] != y[0] ? x[0] - y[0] : x[1] - y[1];
}

/* Ascending and apart, so that the order in the file and double mention leave no trace. */
static void ranges_normalise(struct probe_spec *s)
{
	unsigned int n = 0;

	_Static_assert(sizeof(s->expect[0]) == 2 * sizeof(__u16), "a range is two words");
	qsort(s->expect, s->n_expect, sizeof(s->expect[0]), range_cmp);
	for (unsigned int i = 1; i < s->n_expect; i++) {
		if (s->expect[i].from > s->expect[n].to + 1)
			s->expect[++n] = s->expect[i];
		else if (s->expect[i].to > s->expect[n].to)
			s->expect[n].to = s->expect[i].to;
	}
	if (s->n_expect)
		s->n_expect = n + 1;
}

void cfg_read_expect(struct cfg *c, yaml_node_t *node, struct probe_spec *s)
{
	yaml_node_t *item;

	s->n_expect = 0;
	for (size_t i = 0; (item = cfg_list_item(c, node, i)); i++) {
		const char *text = cfg_text(c, "expect", "a status or a range of them", item);
		__u16 from, to;

		if (!text)
			continue;
		if (value_parse_status_range(text, &from, &to)) {
			cfg_error(c, item, "write a status like 200 or a range like 200-299, from 100 to 599",
				  "expect: '%s' is no range of HTTP status codes", text);
			continue;
		}
		if (s->n_expect == PROBE_RANGES_MAX) {
			cfg_error(c, item, NULL, "expect: more than %d ranges", PROBE_RANGES_MAX);
			return;
		}
		s->expect[s->n_expect].from = from;
		s->expect[s->n_expect++].to = to;
	}
	if (node->type == YAML_SEQUENCE_NODE && !cfg_items(node))
		cfg_error(c, node, "leave the key out for 200-399", "expect: the list is empty");
	ranges_normalise(s);
}

void cfg_read_data(struct cfg *c, const char *key, const yaml_node_t *node, __u8 *out, __u32 *len)
{
	const char *text = cfg_text(c, key, "a text or hex:...", node);
	int r;

	if (!text)
		return;
	r = value_parse_data(text, out, PROBE_DATA_MAX, len);
	if (r)
		*len = 0;
	if (r == -ERANGE)
		cfg_error(c, node, NULL, "%s: longer than %d bytes", key, PROBE_DATA_MAX);
	else if (r)
		cfg_error(c, node, "write pairs of hexadecimal digits, like hex:0a ff",
			  "%s: these are not bytes in hex", key);
	else if (!*len)
		cfg_error(c, node, "give it a value, or remove the key", "%s: the text is empty", key);
}

void cfg_print_expect(FILE *out, int indent, const struct probe_spec *s)
{
	if (!s->n_expect)
		return;
	fprintf(out, "%*sexpect: [", indent, "");
	for (unsigned int i = 0; i < s->n_expect; i++)
		fprintf(out, "%s%u-%u", i ? ", " : "", s->expect[i].from, s->expect[i].to);
	fputs("]\n", out);
}

void cfg_print_data(FILE *out, int indent, const char *key, const __u8 *data, __u32 len)
{
	bool text = len < 4 || memcmp(data, "hex:", 4) != 0;
	char buf[PROBE_DATA_MAX + 1];

	if (!len)
		return;
	for (__u32 i = 0; i < len; i++)
		text = text && isprint(data[i]);
	fprintf(out, "%*s%s: ", indent, "", key);
	if (text) {
		memcpy(buf, data, len);
		buf[len] = '\0';
		cfg_print_text(out, buf);
	} else {
		fputs("\"hex:", out);
		for (__u32 i = 0; i < len; i++)
			fprintf(out, "%s%02x", i && i % 2 == 0 ? " " : "", data[i]);
		fputc('"', out);
	}
	fputc('\n', out);
}
