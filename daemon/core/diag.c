// SPDX-License-Identifier: Apache-2.0
/* diag.c - the list of diagnostics and how it is printed; see diag.h. Suggestions are in diag_suggest.c. */
#include "core/diag.h"
#include "core/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define MESSAGE_MAX 600            /* bytes of a message or hint; a quoted value may be megabytes long */
#define WINDOW 150                 /* so many characters of a line are shown at most */
#define COLUMN_MAX 100000 /* farther out no excerpt is shown: its place would have to be counted out */
#define WINDOW_BEFORE 100 /* and so many of them before the mark */

void diags_init(struct diags *d)
{
	memset(d, 0, sizeof(*d));
}

static void diag_done(struct diag *i)
{
	free(i->message);
	free(i->hint);
}

void diags_done(struct diags *d)
{
	for (size_t i = 0; i < d->n; i++)
		diag_done(&d->items[i]);
	free(d->items);
	free(d->file);
	free(d->text);
	diags_init(d);
}

int diags_set_source(struct diags *d, const char *file, const char *text, size_t len)
{
	char *name = strdup(file);
	char *copy = text ? malloc(len + 1) : NULL;

	if (!name || (text && !copy)) {
		free(name);
		free(copy);
		return -ENOMEM;
	}
	if (copy && len)
		memcpy(copy, text, len);
	free(d->file);
	free(d->text);
	d->file = name;
	d->text = copy;
	d->text_len = text ? len : 0;
	return 0;
}

/* A copy of @text that is safe to print: see the head of diag.h. NULL when memory is short. */
static char *printable(const char *text)
{
	size_t len = strlen(text), n = 0;
	const char *end = text + len;
	char *out = malloc((len < MESSAGE_MAX ? 3 * len : 3 * MESSAGE_MAX) + 4);

	if (!out)
		return NULL;
	while (text < end && n < MESSAGE_MAX) {
		__u32 cp;
		unsigned int chars = utf8_decode(text, end, &cp);

		if (chars && !utf8_is_control(cp)) {
			memcpy(out + n, text, chars);
			n += chars;
		} else {
			memcpy(out + n, REPLACEMENT, 3);
			n += 3;
		}
		text += chars ? chars : 1;
	}
	memcpy(out + n, "...", 4);
	if (text == end)
		out[n] = '\0';
	return out;
}

/* Room for one more of @level, or NULL: not kept. In a full list an error replaces the last warning. */
static struct diag *claim(struct diags *d, enum diag_level level)
{
	struct diag *items;

	if (d->n == DIAG_MAX) {
		d->truncated = true;
		for (size_t i = d->n; level == DIAG_ERROR && i-- > 0;) {
			if (d->items[i].level != DIAG_WARNING)
				continue;
			diag_done(&d->items[i]);
			memmove(&d->items[i], &d->items[i + 1], (d->n - i - 1) * sizeof(*d->items));
			return &d->items[d->n - 1];
		}
		return NULL;
	}
	items = realloc(d->items, (d->n + 1) * sizeof(*items));
	if (!items)
		return NULL;
	d->items = items;
	return &d->items[d->n++];
}

void diags_add(struct diags *d, enum diag_level level, struct diag_mark mark, const char *hint,
	       const char *fmt, ...)
{
	struct diag *item;
	char *text = NULL;
	va_list ap;

	if (level == DIAG_ERROR)
		d->errors++;
	else
		d->warnings++;
	item = claim(d, level);
	if (!item)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	item->level = level;
	item->mark = mark;
	item->message = text ? printable(text) : NULL;
	item->hint = hint && *hint ? printable(hint) : NULL;
	free(text);
}

size_t diags_errors(const struct diags *d)
{
	return d->errors;
}

static bool mark_before(const struct diag_mark *a, const struct diag_mark *b)
{
	return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void diags_sort(struct diags *d)
{
	/* At most DIAG_MAX items, and the order at one place must stay: insertion sort. */
	for (size_t i = 1; i < d->n; i++) {
		struct diag item = d->items[i];
		size_t j = i;

		for (; j > 0 && mark_before(&item.mark, &d->items[j - 1].mark); j--)
			d->items[j] = d->items[j - 1];
		d->items[j] = item;
	}
}

/* Where the last line was found: sorted diagnostics make one walk through the text, however long it is. */
struct cursor {
	unsigned int line; /* from 1 */
	const char *p;     /* its beginning */
};

/* Bounds of line @line (from 1) without its line break. False when the text has no such line. */
static bool find_line(const struct diags *d, unsigned int line, struct cursor *cur, const char **from,
		      const char **to)
{
	const char *end = d->text + d->text_len, *nl;

	if (!d->text || !line)
		return false;
	if (!cur->p || line < cur->line) {
		cur->p = d->text;
		cur->line = 1;
	}
	for (; cur->line < line; cur->line++) {
		nl = memchr(cur->p, '\n', (size_t)(end - cur->p));
		if (!nl)
			return false;
		cur->p = nl + 1;
	}
	if (cur->p == end)
		return false;
	nl = memchr(cur->p, '\n', (size_t)(end - cur->p));
	*from = cur->p;
	*to = nl ? nl : end;
	if (*to > *from && (*to)[-1] == '\r')
		(*to)--;
	return true;
}

/* One line of source being printed: the characters as they are, and what stands below them. */
struct excerpt {
	char *below;
	size_t n_below;
	FILE *out;
};

static void excerpt_char(struct excerpt *e, const char *p, unsigned int chars, __u32 cp, char below)
{
	if (cp == '\t' && chars)
		fputc('\t', e->out);
	else if (chars && !utf8_is_control(cp))
		fwrite(p, 1, chars, e->out);
	else
		fputs(REPLACEMENT, e->out);
	/* A tab stays a tab in the line below, so that both lines break alike at any tab width. */
	e->below[e->n_below++] = cp == '\t' && below == ' ' ? '\t' : below;
}

static char below_char(unsigned int column, const struct diag_mark *m)
{
	if (column == m->column)
		return '^';
	return column > m->column && column - m->column < m->length ? '~' : ' ';
}

static void print_excerpt(FILE *out, const struct diag_mark *m, const char *p, const char *end)
{
	unsigned int column = 1, first = m->column > WINDOW_BEFORE ? m->column - WINDOW_BEFORE : 1;
	char below[WINDOW + 8];
	struct excerpt e = {.below = below, .out = out};

	fprintf(out, "%5u | ", m->line);
	if (first > 1) {
		fputs("...", out);
		memset(below, ' ', 3);
		e.n_below = 3;
	}
	for (; p < end && column < first + WINDOW; column++) {
		__u32 cp;
		unsigned int chars = utf8_decode(p, end, &cp);

		if (column >= first)
			excerpt_char(&e, p, chars, cp, below_char(column, m));
		p += chars ? chars : 1;
	}
	fputs(p < end ? "...\n" : "\n", out);
	if (p >= end && column <= m->column)
		below[e.n_below++] = '^'; /* the mark lies behind the end of the line */
	while (e.n_below && (below[e.n_below - 1] == ' ' || below[e.n_below - 1] == '\t'))
		e.n_below--;
	fprintf(out, "      | %.*s\n", (int)e.n_below, below);
}

static void print_item(const struct diags *d, const struct diag *i, struct cursor *cur, FILE *out)
{
	const char *file = d->file ? d->file : "(input)";
	const char *from, *to;

	if (i->mark.line)
		fprintf(out, "%s:%u:%u: ", file, i->mark.line, i->mark.column);
	else
		fprintf(out, "%s: ", file);
	fprintf(out, "%s: %s\n", i->level == DIAG_ERROR ? "error" : "warning",
		i->message ? i->message : "(out of memory: the message is lost)");
	if (i->mark.column <= COLUMN_MAX && find_line(d, i->mark.line, cur, &from, &to))
		print_excerpt(out, &i->mark, from, to);
	if (i->hint)
		fprintf(out, "hint: %s\n", i->hint);
}

void diags_print(const struct diags *d, FILE *out)
{
	size_t errors = d->errors, warnings = d->warnings;
	struct cursor cur = {0, NULL};

	for (size_t i = 0; i < d->n; i++) {
		print_item(d, &d->items[i], &cur, out);
		if (d->items[i].level == DIAG_ERROR)
			errors--;
		else
			warnings--;
	}
	if (errors || warnings)
		fprintf(out, "%s: %zu more error(s) and %zu more warning(s) are not shown\n",
			d->file ? d->file : "(input)", errors, warnings);
}
