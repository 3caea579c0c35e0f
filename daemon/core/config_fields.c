// SPDX-License-Identifier: Apache-2.0
/* config_fields.c - reads mappings by tables of keys; see config_fields.h. Printing is in config_print.c. */
#include "core/config_fields.h"
#include "core/config_value.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define CHOICES_MAX 16

/* clang-format off */
static const char *const kind_words[] = {
	[CFG_NODE] = "",          [CFG_UINT] = "a number",       [CFG_AUTO] = "a number or auto",
	[CFG_PERCENT] = "a percentage", [CFG_MS] = "a duration", [CFG_S] = "a duration",
	[CFG_BOOL] = "true or false",   [CFG_ENUM] = "a word",   [CFG_TEXT] = "a text",
	[CFG_PATH] = "an absolute path",
};
/* clang-format on */

const char *cfg_text(struct cfg *c, const char *key, const char *what, const yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE || cfg_is_null(node)) {
		cfg_error(c, node, cfg_is_null(node) ? "give it a value, or remove the key" : NULL,
			  "%s: expected %s, found %s", key, what, cfg_node_words(node));
		return NULL;
	}
	text = (const char *)node->data.scalar.value;
	if (strlen(text) != node->data.scalar.length) {
		cfg_error(c, node, NULL, "%s: the text holds a NUL character", key);
		return NULL;
	}
	return text;
}

yaml_node_t *cfg_list_item(struct cfg *c, yaml_node_t *node, size_t i)
{
	if (node->type == YAML_SEQUENCE_NODE)
		return cfg_item(c, node, i);
	return i ? NULL : node;
}

/* ---- one value ------------------------------------------------------------------------------- */
static void format_number(const struct cfg_field *f, __u64 v, char *buf, size_t size)
{
	char duration[VALUE_DURATION_STRLEN];

	if (f->kind == CFG_MS || f->kind == CFG_S)
		snprintf(buf, size, "%s",
			 value_format_duration_ms(f->kind == CFG_S ? v * 1000 : v, duration));
	else
		snprintf(buf, size, "%llu%s", (unsigned long long)v, f->kind == CFG_PERCENT ? "%" : "");
}

static void limits_hint(const struct cfg_field *f, char *buf, size_t size)
{
	char min[VALUE_DURATION_STRLEN], max[VALUE_DURATION_STRLEN];

	format_number(f, f->min, min, sizeof(min));
	format_number(f, f->max, max, sizeof(max));
	snprintf(buf, size, "%s is %s from %s to %s%s", f->what ? f->what : f->key,
		 f->kind == CFG_MS || f->kind == CFG_S ? "a time" : "a number", min, max,
		 f->kind == CFG_AUTO ? ", or auto" : "");
}

/* What an operator most likely meant by a duration that is none. */
static const char *duration_hint(const char *text)
{
	__u64 v;

	if (!value_parse_uint(text, &v))
		return "a time needs its unit: 500ms, 2s, 5m or 1h";
	if (strchr(text, '.') || strchr(text, ','))
		return "whole numbers only: write 1500ms for one and a half seconds";
	if (text[0] == '-')
		return "a time can not be negative";
	return "a time is one number and one unit, without spaces: 500ms, 2s, 5m or 1h";
}

static int parse_number(const struct cfg_field *f, const char *text, __u64 *v)
{
	int r;

	if (f->kind == CFG_PERCENT)
		return value_parse_percent(text, v);
	if (f->kind == CFG_UINT || f->kind == CFG_AUTO)
		return value_parse_uint(text, v);
	r = value_parse_duration_ms(text, v);
	if (r || f->kind == CFG_MS)
		return r;
	if (*v % 1000)
		return -EDOM;
	*v /= 1000;
	return 0;
}

static void store(const struct cfg_field *f, void *base, __u64 v)
{
	char *to = (char *)base + f->offset;
	__u8 v8 = (__u8)v;
	__u16 v16 = (__u16)v;
	__u32 v32 = (__u32)v;

	if (f->size == 1)
		memcpy(to, &v8, 1);
	else if (f->size == 2)
		memcpy(to, &v16, 2);
	else
		memcpy(to, &v32, 4);
	assert(f->size == 1 || f->size == 2 || f->size == 4);
}

static void read_number(struct cfg *c, const struct cfg_field *f, const yaml_node_t *node, void *base)
{
	const char *text = cfg_text(c, f->key, kind_words[f->kind], node);
	bool quoted = node->type == YAML_SCALAR_NODE && node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	bool duration = f->kind == CFG_MS || f->kind == CFG_S;
	char hint[160];
	__u64 v = 0;
	int r;

	if (!text)
		return;
	if (f->kind == CFG_AUTO && strcmp(text, "auto") == 0) {
		store(f, base, 0);
		return;
	}
	limits_hint(f, hint, sizeof(hint));
	r = parse_number(f, text, &v);
	if (r == -EINVAL)
		cfg_error(c, node, duration ? duration_hint(text) : hint, "%s: '%s' is not %s", f->key, text,
			  kind_words[f->kind]);
	else if (r == -EDOM)
		cfg_error(c, node, "write seconds, minutes or hours: 2s, 5m, 1h",
			  "%s: '%s' is not a whole number of seconds", f->key, text);
	else if (r || v < f->min || v > f->max)
		cfg_error(c, node, hint, "%s: %s is out of range", f->key, text);
	else if (quoted && !duration)
		cfg_error(c, node, "remove the quotes", "%s: expected %s, found a quoted text", f->key,
			  kind_words[f->kind]);
	else
		store(f, base, v);
}

static void read_bool(struct cfg *c, const struct cfg_field *f, const yaml_node_t *node, void *base)
{
	const char *text = cfg_text(c, f->key, kind_words[f->kind], node);

	if (!text)
		return;
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		store(f, base, text[0] == 't');
	else
		cfg_error(c, node, "write true or false", "%s: '%s' is neither true nor false", f->key, text);
}

static void choices_hint(const char *text, const struct cfg_choice *choices, char *buf, size_t size)
{
	const char *names[CHOICES_MAX + 1] = {NULL}, *near;
	size_t n = 0, len;

	for (; choices[n].name; n++) {
		assert(n < CHOICES_MAX);
		names[n] = choices[n].name;
	}
	near = diag_suggest(text, names);
	len = near ? (size_t)snprintf(buf, size, "did you mean '%s'? It is one of", near)
		   : (size_t)snprintf(buf, size, "it is one of");
	for (size_t i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s %s", i ? "," : ":", names[i]);
}

static void read_enum(struct cfg *c, const struct cfg_field *f, const yaml_node_t *node, void *base)
{
	const char *text = cfg_text(c, f->key, kind_words[f->kind], node);
	char hint[240];

	if (!text)
		return;
	for (const struct cfg_choice *i = f->choices; i->name; i++) {
		if (strcmp(i->name, text) == 0) {
			store(f, base, (__u64)i->value);
			return;
		}
	}
	choices_hint(text, f->choices, hint, sizeof(hint));
	cfg_error(c, node, hint, "%s: '%s' is not known", f->key, text);
}

static void read_text(struct cfg *c, const struct cfg_field *f, const yaml_node_t *node, void *base)
{
	const char *text = cfg_text(c, f->key, kind_words[f->kind], node);
	const char *wrong;
	char *to = (char *)base + f->offset;

	if (!text)
		return;
	if (!*text) {
		cfg_error(c, node, "give it a value, or remove the key", "%s: the text is empty", f->key);
		return;
	}
	if (strlen(text) >= f->size) {
		cfg_error(c, node, NULL, "%s: %zu bytes are too long, the limit is %zu", f->key, strlen(text),
			  f->size - 1);
		return;
	}
	if (f->kind == CFG_PATH && text[0] != '/') {
		cfg_error(c, node, "begin it with /", "%s: '%s' is not an absolute path", f->key, text);
		return;
	}
	wrong = f->check ? f->check(text) : NULL;
	if (wrong) {
		cfg_error(c, node, f->what, "%s: %s", f->key, wrong);
		return;
	}
	memset(to, 0, f->size);
	memcpy(to, text, strlen(text));
}

static void read_field(struct cfg *c, const struct cfg_field *f, const yaml_node_t *node, void *base)
{
	switch (f->kind) {
	case CFG_NODE:
		break;
	case CFG_UINT:
	case CFG_AUTO:
	case CFG_PERCENT:
	case CFG_MS:
	case CFG_S:
		read_number(c, f, node, base);
		break;
	case CFG_BOOL:
		read_bool(c, f, node, base);
		break;
	case CFG_ENUM:
		read_enum(c, f, node, base);
		break;
	case CFG_TEXT:
	case CFG_PATH:
		read_text(c, f, node, base);
		break;
	}
}

/* ---- mappings -------------------------------------------------------------------------------- */
/* The name of the row that was most likely meant, or NULL. */
static const char *unknown_key(struct cfg *c, const yaml_node_t *key, const char *what,
			       const struct cfg_field *fields, unsigned int n)
{
	const char *names[CFG_FIELDS_MAX + 1] = {NULL}, *text, *near;
	char hint[600];
	size_t len;

	if (diags_errors(c->diags) > DIAG_MAX) { /* nobody will read it: spare the search */
		diags_add(c->diags, DIAG_ERROR, cfg_mark(key), NULL, "unknown key");
		return NULL;
	}
	text = (const char *)key->data.scalar.value;
	for (unsigned int i = 0; i < n; i++)
		names[i] = fields[i].key;
	near = diag_suggest(text, names);
	if (near) {
		snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
	} else if (strcmp(text, "<<") == 0) {
		snprintf(hint, sizeof(hint), "merge keys are not supported: use defaults");
	} else {
		len = (size_t)snprintf(hint, sizeof(hint), "%s has", what);
		for (unsigned int i = 0; i < n && len < sizeof(hint); i++)
			len += (size_t)snprintf(hint + len, sizeof(hint) - len, "%s %s", i ? "," : ":",
						names[i]);
	}
	cfg_error(c, key, hint, "unknown key '%s' in %s", text, what);
	return near;
}

struct reading {
	struct cfg *c;
	const char *what;
	const struct cfg_field *fields;
	unsigned int n;
	const yaml_node_t *keys[CFG_FIELDS_MAX]; /* where each key was given first */
	const char *meant[CFG_FIELDS_MAX];       /* keys that somebody misspelled: not to be missed as well */
};

static void read_pair(struct reading *r, const yaml_node_t *key, yaml_node_t *value, void *base,
		      yaml_node_t **values)
{
	const char *text = (const char *)key->data.scalar.value, *near;
	struct cfg *c = r->c;

	if (key->type != YAML_SCALAR_NODE || strlen(text) != key->data.scalar.length) {
		cfg_error(c, key, "a key is a plain word", "expected a key of %s, found %s", r->what,
			  cfg_node_words(key));
		return;
	}
	for (unsigned int i = 0; i < r->n; i++) {
		if (strcmp(r->fields[i].key, text) != 0)
			continue;
		if (r->keys[i]) {
			cfg_error(c, key, "remove one of the two",
				  "'%s' is given twice in %s, first on line %zu", text, r->what,
				  r->keys[i]->start_mark.line + 1);
			return;
		}
		r->keys[i] = key;
		values[i] = value;
		read_field(c, &r->fields[i], value, base);
		return;
	}
	near = unknown_key(c, key, r->what, r->fields, r->n);
	for (unsigned int i = 0; near && i < r->n; i++) {
		if (near == r->fields[i].key)
			r->meant[i] = near;
	}
}

static void find_missing(const struct reading *r, const yaml_node_t *node)
{
	char hint[160];

	for (unsigned int i = 0; i < r->n; i++) {
		const struct cfg_field *f = &r->fields[i];

		if (!f->required || r->keys[i] || r->meant[i])
			continue;
		limits_hint(f, hint, sizeof(hint));
		cfg_error(r->c, node, f->kind == CFG_UINT ? hint : f->what, "%s needs the key '%s'", r->what,
			  f->key);
	}
}

bool cfg_read_map(struct cfg *c, yaml_node_t *node, const char *what, const struct cfg_field *fields,
		  unsigned int n, void *base, yaml_node_t **values)
{
	struct reading r = {.c = c, .what = what, .fields = fields, .n = n};
	yaml_node_pair_t *pair;

	assert(n <= CFG_FIELDS_MAX);
	memset(values, 0, n * sizeof(*values));
	if (node->type != YAML_MAPPING_NODE) {
		cfg_error(c, node, "write it as key: value", "expected %s as a group of keys, found %s", what,
			  cfg_node_words(node));
		return false;
	}
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++)
		read_pair(&r, yaml_document_get_node(&c->doc, pair->key),
			  yaml_document_get_node(&c->doc, pair->value), base, values);
	find_missing(&r, node);
	return true;
}
