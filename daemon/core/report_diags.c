// SPDX-License-Identifier: Apache-2.0
/* report_diags.c - diagnostics about a configuration as JSON, for `lbctl check --json` and a refused reload.
 */
#include "core/document.h"
#include "core/report.h"

#include <string.h>

/* Line number @line (from 1) of the text, without its end. NULL when there is none. */
static json_t *source_line(const struct diags *d, unsigned int line)
{
	const char *p = d->text, *end = d->text + d->text_len, *nl;
	char copy[256];
	size_t n;

	if (!p || !line)
		return json_null();
	while (--line) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return json_null();
		p = nl + 1;
	}
	nl = memchr(p, '\n', (size_t)(end - p));
	n = (size_t)((nl ? nl : end) - p);
	/* Long lines are cut; never inside a character, which document_text() would have to replace. */
	if (n >= sizeof(copy)) {
		n = sizeof(copy) - 1;
		while (n && ((unsigned char)p[n] & 0xc0) == 0x80)
			n--;
	}
	memcpy(copy, p, n);
	copy[n] = '\0';
	return document_text(copy);
}

json_t *report_diags(const struct diags *d)
{
	json_t *list = json_array();
	size_t errors = diags_errors(d);

	for (size_t i = 0; i < d->n; i++) {
		const struct diag *x = &d->items[i];

		(void)json_array_append_new(
			list, json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "level",
					x->level == DIAG_ERROR ? "error" : "warning", "line",
					(json_int_t)x->mark.line, "column", (json_int_t)x->mark.column,
					"length", (json_int_t)x->mark.length, "message",
					document_text(x->message ? x->message : ""), "hint",
					x->hint ? document_text(x->hint) : json_null(), "text",
					source_line(d, x->mark.line)));
	}
	return json_pack("{s:o, s:I, s:I, s:b, s:o}", "file", document_text(d->file ? d->file : ""), "errors",
			 (json_int_t)errors, "warnings", (json_int_t)(d->n > errors ? d->n - errors : 0),
			 "truncated", d->truncated, "diagnostics", list);
}
