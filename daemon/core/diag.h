/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diag.h - a list of diagnostics about a text, printed as file:line:column, the line, a caret, and a hint.
 *
 *     lbd.yaml:12:11: error: port: 70000 is not a port number
 *        12 |     port: 70000
 *           |           ^~~~~
 *     hint: a port is a number from 1 to 65535
 *
 * Whatever the text holds, nothing that a terminal would obey is printed: control characters and bytes that
 * are no UTF-8 come out as U+FFFD. A mark may lie past the end of its line or of the text; long lines are
 * shown in part.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct diag_mark {
	unsigned int line;   /* from 1; 0 = the file as a whole */
	unsigned int column; /* from 1, in characters */
	unsigned int length; /* of the offending text, in characters; 0 = a point; shown to the end of its
				line at most */
};

enum diag_level { DIAG_ERROR, DIAG_WARNING };

struct diag {
	enum diag_level level;
	struct diag_mark mark;
	char *message; /* owned */
	char *hint;    /* owned, may be NULL */
};

struct diags {
	char *file; /* owned; name used in messages */
	char *text; /* owned copy of the text, for showing lines; may be NULL */
	size_t text_len;
	struct diag *items; /* owned; in order of place after diags_sort() */
	size_t n;
	size_t errors, warnings; /* found, also those that are not among the items */
	bool truncated;          /* more than DIAG_MAX were found; errors push warnings out */
};
#define DIAG_MAX 100

void diags_init(struct diags *d);
void diags_done(struct diags *d);
/* Remember what is being parsed, for the printed lines. Copies. 0 or -ENOMEM. */
int diags_set_source(struct diags *d, const char *file, const char *text, size_t len);
/* @hint may be NULL. Out of memory loses the message but still counts it: diags_errors() never lies. */
void diags_add(struct diags *d, enum diag_level level, struct diag_mark mark, const char *hint,
	       const char *fmt, ...) __attribute__((format(printf, 5, 6)));
size_t diags_errors(const struct diags *d);
/* By place; what stands at one place keeps its order. */
void diags_sort(struct diags *d);
void diags_print(const struct diags *d, FILE *out);
/*
 * "did you mean": the candidate closest to @word by edit distance, or NULL when none is near. Case and the
 * difference between - and _ do not count. @candidates ends with NULL.
 */
const char *diag_suggest(const char *word, const char *const *candidates);
