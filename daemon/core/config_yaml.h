/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_yaml.h - text to YAML nodes, each with its place; internal to config_*.c.
 *
 * Knows the syntax, not the keys. What passes here is one document in sound UTF-8 without anchors, aliases or
 * tags, within the limits below, so that whoever walks it meets a small finite tree.
 */
#pragma once
#include "core/diag.h"
#include <yaml.h>

#define CFG_TEXT_MAX (16u << 20) /* bytes of a configuration file */
#define CFG_DEPTH_MAX 32         /* the schema itself needs 6 */
#define CFG_NODES_MAX 1000000u   /* about 100 MB while parsing; 32,767 backends need about 300,000 */

struct cfg {
	struct diags *diags; /* not owned */
	yaml_document_t doc;
	bool has_doc;
	bool oom; /* sticky: the result is worth nothing */
};

/*
 * Parse @text. 0: c->doc holds a document with a root node. -EINVAL: @c->diags says why. -ENOMEM. Call
 * cfg_done() in every case.
 */
int cfg_load(struct cfg *c, const char *text, size_t len, struct diags *diags);
void cfg_done(struct cfg *c);

/* Tell why @p, which read @text, failed (p->problem is set); config_syntax.c. */
void cfg_syntax_error(const yaml_parser_t *p, const char *text, size_t len, struct diags *diags);

/* Where @node stands: its whole text when that is one line, else a point. */
struct diag_mark cfg_mark(const yaml_node_t *node);
/* The i-th item of a sequence; NULL past its end. */
yaml_node_t *cfg_item(struct cfg *c, yaml_node_t *sequence, size_t i);
size_t cfg_items(const yaml_node_t *sequence);
/* "a text", "a list", "a group of keys", "nothing": what @node is, for messages. */
const char *cfg_node_words(const yaml_node_t *node);
/* True for a plain ~, null or an empty value. */
bool cfg_is_null(const yaml_node_t *node);

#define cfg_error(c, node, hint, ...) diags_add((c)->diags, DIAG_ERROR, cfg_mark(node), hint, __VA_ARGS__)
#define cfg_warn(c, node, hint, ...) diags_add((c)->diags, DIAG_WARNING, cfg_mark(node), hint, __VA_ARGS__)
