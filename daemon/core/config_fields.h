/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_fields.h - tables of keys: one row says a key's type, limits and place in a struct; internal to
 * config_*.c.
 *
 * The same rows read a mapping (with "unknown key, did you mean", duplicates, types, limits) and print it
 * again, so that what config_describe() prints is what the parser accepts. Keys with a shape of their own
 * (CFG_NODE) are left to the caller, which finds their nodes in @values.
 */
#pragma once
#include "core/config_yaml.h"
#include <linux/types.h>

enum cfg_kind {
	CFG_NODE,    /* the caller reads and prints it */
	CFG_UINT,    /* digits */
	CFG_AUTO,    /* digits, or "auto", held as 0 */
	CFG_PERCENT, /* digits, with or without % */
	CFG_MS,      /* duration, held in ms */
	CFG_S,       /* duration in whole seconds, held in s */
	CFG_BOOL,    /* true or false */
	CFG_ENUM,    /* one of @choices, held as its value */
	CFG_TEXT,    /* text that fits the member; @check says more */
	CFG_PATH,    /* text, absolute path */
};

struct cfg_choice {
	const char *name; /* NULL ends the list */
	int value;
};

struct cfg_field {
	const char *key;
	enum cfg_kind kind;
	bool required;
	size_t offset, size; /* of the member */
	__u64 min, max;      /* numbers, in the unit in which they are held */
	const struct cfg_choice *choices;
	const char *(*check)(const char *text); /* CFG_TEXT: what is wrong with it, or NULL */
	const char *what;                       /* "a port": the hint says what it is, with its limits */
	__u32 only; /* when not 0: printed only if cfg_print_fields() is asked for one of these bits */
};

#define CFG_MEMBER(s, m) .offset = offsetof(struct s, m), .size = sizeof(((struct s *)0)->m)
#define CFG_FIELDS_MAX 40 /* rows of the longest table */

/*
 * Read mapping @node into @base by @fields[@n]; @values[@n] receives the value node of each key given, NULL
 * for the others. @what names the thing in messages: "a service". False when @node is no mapping.
 */
bool cfg_read_map(struct cfg *c, yaml_node_t *node, const char *what, const struct cfg_field *fields,
		  unsigned int n, void *base, yaml_node_t **values);
/* The text of scalar @node, or NULL with a diagnostic: "@key: expected @what, found a list". */
const char *cfg_text(struct cfg *c, const char *key, const char *what, const yaml_node_t *node);
/*
 * For keys that take one value or a list of them: item @i (from 0) or NULL at the end. An empty list is for
 * the caller to judge.
 */
yaml_node_t *cfg_list_item(struct cfg *c, yaml_node_t *node, size_t i);

/* Print rows as "key: value" lines, @indent columns in. @only: see cfg_field.only. */
void cfg_print_fields(FILE *out, int indent, const struct cfg_field *fields, unsigned int n, const void *base,
		      __u32 only);
/* Print a text as a YAML scalar, quoted when it must be. */
void cfg_print_text(FILE *out, const char *text);
