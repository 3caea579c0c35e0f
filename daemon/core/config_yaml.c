// SPDX-License-Identifier: Apache-2.0
/* config_yaml.c - loads one YAML document in three steps: bytes, events, nodes; see config_yaml.h. */
#include "core/config_yaml.h"
#include "core/cleanup.h"
#include "core/utf8.h"

#include <errno.h>
#include <string.h>

static const struct diag_mark whole_file = {0, 0, 0};

static struct diag_mark mark_from(const yaml_mark_t *m)
{
	struct diag_mark out = {(unsigned int)m->line + 1, (unsigned int)m->column + 1, 0};

	return out;
}

static struct diag_mark span(const yaml_mark_t *from, const yaml_mark_t *to)
{
	struct diag_mark out = mark_from(from);

	if (from->line == to->line && to->column > from->column)
		out.length = (unsigned int)(to->column - from->column);
	return out;
}

struct diag_mark cfg_mark(const yaml_node_t *node)
{
	return span(&node->start_mark, &node->end_mark);
}

size_t cfg_items(const yaml_node_t *n)
{
	return (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
}

yaml_node_t *cfg_item(struct cfg *c, yaml_node_t *n, size_t i)
{
	if (i >= cfg_items(n))
		return NULL;
	return yaml_document_get_node(&c->doc, n->data.sequence.items.start[i]);
}

bool cfg_is_null(const yaml_node_t *n)
{
	const char *text;

	if (n->type != YAML_SCALAR_NODE || n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	text = (const char *)n->data.scalar.value;
	return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

const char *cfg_node_words(const yaml_node_t *n)
{
	if (n->type == YAML_SEQUENCE_NODE)
		return "a list";
	if (n->type == YAML_MAPPING_NODE)
		return "a group of keys";
	return cfg_is_null(n) ? "nothing" : "a text";
}

/* ---- bytes ----------------------------------------------------------------------------------- */
/*
 * libyaml counts NEL, LS, PS and a lone CR as line ends, editors do not: were they let in, line numbers would
 * be wrong from there on. They have no use in a configuration; refused, like other control characters. NULL:
 * @cp is fine.
 */
static const char *bad_character(__u32 cp, const char *next, const char *end)
{
	if (cp == '\r')
		return next < end && *next == '\n' ? NULL : "a carriage return without a line feed";
	if (cp == '\n' || cp == '\t')
		return NULL;
	if (utf8_is_control(cp))
		return "a control character";
	if (cp == 0xfeff || cp == 0xfffe || cp == 0xffff)
		return "a byte order mark or no character at all";
	return NULL;
}

/* False with one diagnostic when @text is no text; after the first bad byte the rest would only repeat it. */
static bool check_bytes(const char *text, size_t len, struct diags *diags)
{
	const char *end = text + len;
	struct diag_mark m = {1, 1, 1};

	if (len > CFG_TEXT_MAX) {
		diags_add(diags, DIAG_ERROR, whole_file, NULL, "%zu bytes are too many, the limit is %u", len,
			  CFG_TEXT_MAX);
		return false;
	}
	for (const char *p = text; p < end; m.column++) {
		__u32 cp;
		unsigned int chars = utf8_decode(p, end, &cp);
		const char *bad;

		if (!chars) {
			diags_add(diags, DIAG_ERROR, m, "save the file as UTF-8", "byte 0x%02x is not UTF-8",
				  cp);
			return false;
		}
		p += chars;
		bad = bad_character(cp, p, end);
		if (bad) {
			diags_add(diags, DIAG_ERROR, m,
				  "remove it; line ends are LF or CR LF, indentation is spaces",
				  "%s (U+%04X) stands in the text", bad, cp);
			return false;
		}
		if (cp == '\n') {
			m.line++;
			m.column = 0;
		}
	}
	return true;
}

/* ---- events: what nodes do not show, and the limits, before memory is spent ------------------ */
static int parser_failed(const yaml_parser_t *p, const char *text, size_t len, struct diags *diags)
{
	/* Where libyaml finds no memory it does not always set its error. */
	if (p->error == YAML_MEMORY_ERROR || !p->problem)
		return -ENOMEM;
	cfg_syntax_error(p, text, len, diags);
	return -EINVAL;
}

struct scan {
	struct diags *diags;
	unsigned int nodes, depth, documents;
};

static void scan_refuse(struct scan *s, const yaml_event_t *ev, const char *hint, const char *what)
{
	diags_add(s->diags, DIAG_ERROR, span(&ev->start_mark, &ev->end_mark), hint, "%s", what);
}

static void scan_properties(struct scan *s, const yaml_event_t *ev, const yaml_char_t *anchor,
			    const yaml_char_t *tag)
{
	if (anchor)
		scan_refuse(s, ev, "write the value out, or put it into defaults",
			    "anchors (&name) are not supported");
	if (tag)
		scan_refuse(s, ev, "remove the tag; the key decides the type",
			    "tags (!name) are not supported");
}

/* False when there is no use in reading on. */
static bool scan_event(struct scan *s, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++s->documents > 1) {
			scan_refuse(s, ev, "remove the '---' and what follows, or join the two",
				    "a second document begins here, but a configuration is one document");
			return false;
		}
		return true;
	case YAML_ALIAS_EVENT:
		scan_refuse(s, ev, "write the value out, or put it into defaults",
			    "aliases (*name) are not supported");
		return true;
	case YAML_SCALAR_EVENT:
		scan_properties(s, ev, ev->data.scalar.anchor, ev->data.scalar.tag);
		break;
	case YAML_SEQUENCE_START_EVENT:
		scan_properties(s, ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
		s->depth++;
		break;
	case YAML_MAPPING_START_EVENT:
		scan_properties(s, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
		s->depth++;
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		s->depth--;
		return true;
	default:
		return true;
	}
	if (s->depth > CFG_DEPTH_MAX) {
		scan_refuse(s, ev, NULL, "nested too deeply: more than 32 levels");
		return false;
	}
	if (++s->nodes > CFG_NODES_MAX) {
		scan_refuse(s, ev, NULL, "too many values: more than 1000000");
		return false;
	}
	return true;
}

static void parser_start(yaml_parser_t *p, const char *text, size_t len)
{
	yaml_parser_set_encoding(p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(p, (const unsigned char *)text, len);
}

static int scan_events(const char *text, size_t len, struct diags *diags)
{
	struct scan s = {.diags = diags};
	size_t before = diags_errors(diags);
	bool go_on = true;
	yaml_parser_t p;
	int r = 0;

	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	parser_start(&p, text, len);
	while (go_on && !r) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&p, &ev)) {
			r = parser_failed(&p, text, len, diags);
			break;
		}
		go_on = scan_event(&s, &ev) && ev.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&p);
	if (r)
		return r;
	if (!s.nodes && diags_errors(diags) == before)
		diags_add(diags, DIAG_ERROR, whole_file, "lbd.yaml(5) shows the smallest configuration",
			  "there is no configuration in the file");
	return diags_errors(diags) == before ? 0 : -EINVAL;
}

/* ---- nodes ----------------------------------------------------------------------------------- */
static int load_document(struct cfg *c, const char *text, size_t len)
{
	yaml_parser_t p;
	int r = 0;

	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	parser_start(&p, text, len);
	if (yaml_parser_load(&p, &c->doc))
		c->has_doc = true;
	else
		r = parser_failed(&p, text, len, c->diags);
	yaml_parser_delete(&p);
	return r;
}

int cfg_load(struct cfg *c, const char *text, size_t len, struct diags *diags)
{
	int r;

	memset(c, 0, sizeof(*c));
	c->diags = diags;
	if (!check_bytes(text, len, diags))
		return -EINVAL;
	r = scan_events(text, len, diags);
	return r ? r : load_document(c, text, len);
}

void cfg_done(struct cfg *c)
{
	if (c->has_doc)
		yaml_document_delete(&c->doc);
	c->has_doc = false;
}
