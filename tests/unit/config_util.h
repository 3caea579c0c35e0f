/* SPDX-License-Identifier: Apache-2.0 */
/* config_util.h - what the test_config*.c share: parse a text, and look for a diagnostic. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/config.h"

#include <stdlib.h>
#include <string.h>

#define HEAD "dataplane: {interfaces: [eth0]}\n"

/* Parse @text, which must be right; a failure prints what was wrong with it. The caller frees the
 * configuration. */
static inline struct config *parse_good(const char *text)
{
	struct config *c = NULL;
	struct diags d;

	diags_init(&d);
	if (config_parse("test.yaml", text, strlen(text), &c, &d)) {
		diags_print(&d, stderr);
		fail_msg("refused:\n%s", text);
	}
	diags_done(&d);
	return c;
}

/* The first diagnostic of @level about @text that holds @part, with its place; all of them are printed if
 * none does. */
static inline struct diag_mark find_diag(const char *text, enum diag_level level, const char *part)
{
	struct diag_mark mark = {0, 0, 0};
	struct config *c = NULL;
	bool found = false;
	struct diags d;

	diags_init(&d);
	(void)config_parse("test.yaml", text, strlen(text), &c, &d);
	for (size_t i = 0; i < d.n && !found; i++) {
		found = d.items[i].level == level && strstr(d.items[i].message, part);
		if (found)
			mark = d.items[i].mark;
	}
	if (!found)
		diags_print(&d, stderr);
	diags_done(&d);
	config_free(c);
	if (!found)
		fail_msg("no diagnostic holds '%s' for:\n%s", part, text);
	return mark;
}
