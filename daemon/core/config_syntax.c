// SPDX-License-Identifier: Apache-2.0
/*
 * config_syntax.c - libyaml's errors in our words.
 *
 * libyaml speaks of flow sequences and simple keys; an operator sees brackets and lines. What is not in the
 * tables is told in libyaml's own words.
 */
#include "core/config_yaml.h"
#include "core/cleanup.h"
#include "core/utf8.h"

#include <string.h>

struct phrase {
	const char *theirs; /* beginning of libyaml's text */
	const char *ours, *hint;
};

#define QUOTE_IPV6 "an IPv6 address that begins or ends with ':' needs quotes"

/* clang-format off */
static const struct phrase problems[] = {
	{ "found character that cannot start any token", "this character can not begin a value",
	  "put the value in quotes" },
	{ "found a tab character", "a tab stands where only spaces may", "YAML indents with spaces only" },
	{ "mapping values are not allowed", "a ':' with a value is not possible here",
	  "check the indentation; a text with ': ' in it needs quotes, and " QUOTE_IPV6 },
	{ "block sequence entries are not allowed", "a list item is not possible here",
	  "check the indentation; '- ' begins an item only at the start of a line" },
	{ "block mapping entries are not allowed", "a key is not possible here", "check the indentation" },
	{ "did not find expected key", "a key was expected here",
	  "check the indentation: keys of one group begin in the same column" },
	{ "did not find expected '-' indicator", "a list item beginning with '- ' was expected here",
	  "check the indentation: the items of one list begin in the same column" },
	{ "did not find expected ',' or ']'", "a ',' or ']' was expected here", "close the list by ]" },
	{ "did not find expected ',' or '}'", "a ',' or '}' was expected here", "close the group by }" },
	{ "did not find expected node content", "a value was expected here", "in [] and {} " QUOTE_IPV6 },
	{ "could not find expected ':'", "a ':' was expected after this key",
	  "write key: value, with a space" },
	{ "found unexpected end of stream", "these quotes are never closed",
	  "close them, or remove the first one" },
	{ "found unknown escape character", "this escape does not exist in YAML",
	  "use single quotes, or write \\\\ for a backslash" },
	{ "did not find expected hexdecimal number", "an escape needs hexadecimal digits here",
	  "for example \\x1b" },
	{ "did not find expected <document start>", "a new document can not begin here",
	  "a configuration is one document; check the indentation" },
	{ "found undefined tag handle", "tags are not supported", "remove the tag" },
};
/* clang-format on */
#define PROBLEM_CHARACTER (&problems[0])
#define PROBLEM_TAB (&problems[1])

/* clang-format off */
static const struct phrase contexts[] = {
	{ "while parsing a flow sequence", "in the list", NULL },
	{ "while parsing a flow mapping", "in the group", NULL },
	{ "while parsing a block collection", "in the list", NULL },
	{ "while parsing a block mapping", "in the group of keys", NULL },
	{ "while scanning a simple key", "after the key", NULL },
	{ "while scanning a quoted scalar", "in the quotes", NULL },
};
/* clang-format on */

static const struct phrase *find(const struct phrase *table, size_t n, const char *theirs)
{
	for (size_t i = 0; theirs && i < n; i++) {
		if (strncmp(theirs, table[i].theirs, strlen(table[i].theirs)) == 0)
			return &table[i];
	}
	return NULL;
}

/* libyaml's marks count characters. 0 past the end. */
static __u32 character_at(const char *text, size_t len, size_t index)
{
	const char *end = text + len;
	__u32 cp = 0;

	for (size_t i = 0; i <= index; i++) {
		if (text >= end)
			return 0;
		text += utf8_decode(text, end, &cp);
	}
	return cp;
}

void cfg_syntax_error(const yaml_parser_t *p, const char *text, size_t len, struct diags *diags)
{
	const struct phrase *problem = find(problems, ARRAY_SIZE(problems), p->problem);
	const struct phrase *context = find(contexts, ARRAY_SIZE(contexts), p->context);
	const yaml_mark_t *at = &p->problem_mark;
	struct diag_mark m = {0, 0, 0};
	char begun[120] = "";

	if (problem == PROBLEM_CHARACTER && character_at(text, len, at->index) == '\t')
		problem = PROBLEM_TAB;
	/* What is open at the end of the text is told where it was opened: the end shows nothing. */
	if (at->index >= len && context)
		at = &p->context_mark;
	else if (context && p->context_mark.line != at->line)
		snprintf(begun, sizeof(begun), ", %s that begins on line %zu", context->ours,
			 p->context_mark.line + 1);
	m.line = (unsigned int)at->line + 1;
	m.column = (unsigned int)at->column + 1;
	diags_add(diags, DIAG_ERROR, m, problem ? problem->hint : NULL, "syntax: %s%s",
		  problem ? problem->ours : p->problem, begun);
}
