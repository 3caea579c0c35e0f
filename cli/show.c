// SPDX-License-Identifier: Apache-2.0
/* show.c - see show.h. */
#include "show.h"
#include "core/cleanup.h"

#include <libsmartcols.h>
#include <string.h>

/* ---- members ---- */

const char *show_get_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

int64_t show_get_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

double show_get_real(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

/* ---- printing ---- */

void show_json(const json_t *doc)
{
	size_t flags = isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT;

	(void)json_dumpf(doc, stdout, flags | JSON_REAL_PRECISION(9));
	fputc('\n', stdout);
}

/* C1 control characters are two bytes in UTF-8: c2 80 to c2 9f. Some terminals obey them. */
static bool is_control(const unsigned char *p)
{
	return *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
}

void show_text(const char *s, FILE *out)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
		if (!is_control(p)) {
			fputc(*p, out);
			continue;
		}
		fputc('?', out);
		p += *p == 0xc2;
	}
}

static void show_source(const json_t *d, FILE *out)
{
	const char *text = show_get_text(d, "text");
	int64_t column = show_get_int(d, "column"), length = show_get_int(d, "length");

	fprintf(out, "%6lld | ", (long long)show_get_int(d, "line"));
	for (const char *p = text; *p;
	     p++) /* tabs stay tabs here and below, so that the caret finds its place */
		fputc((unsigned char)*p < 0x20 && *p != '\t' ? ' ' : *p, out);
	fputs("\n       | ", out);
	for (const char *p = text; *p && column > 1; p++) {
		if (((unsigned char)*p & 0xc0) == 0x80)
			continue;
		fputc(*p == '\t' ? '\t' : ' ', out);
		column--;
	}
	fputc('^', out);
	for (int64_t i = 1; i < length && i < 200; i++)
		fputc('~', out);
	fputc('\n', out);
}

void show_diags(const json_t *o, FILE *out)
{
	const char *file = show_get_text(o, "file");
	size_t i;
	json_t *d;

	json_array_foreach (json_object_get(o, "diagnostics"), i, d) {
		int64_t line = show_get_int(d, "line");

		show_text(file, out);
		if (line)
			fprintf(out, ":%lld:%lld", (long long)line, (long long)show_get_int(d, "column"));
		fprintf(out, ": %s: ", show_get_text(d, "level"));
		show_text(show_get_text(d, "message"), out);
		fputc('\n', out);
		if (line && json_is_string(json_object_get(d, "text")))
			show_source(d, out);
		if (*show_get_text(d, "hint")) {
			fputs("hint: ", out);
			show_text(show_get_text(d, "hint"), out);
			fputc('\n', out);
		}
	}
}

/* ---- values ---- */

static char *formatted(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *formatted(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

static char *scaled(uint64_t n, double step, uint64_t exact_below, const char *const *units, const char *gap)
{
	double v = (double)n;
	int i = 0;

	if (n < exact_below)
		return formatted("%llu%s%s", (unsigned long long)n, gap, units[0]);
	/* 999.95 would be printed as 1000.0 of the smaller unit. */
	while (v >= step - step / 20000 && units[i + 1]) {
		v /= step;
		i++;
	}
	return formatted("%.*f%s%s", v < 10 ? 2 : v < 100 ? 1 : 0, v, gap, units[i]);
}

char *show_count(uint64_t n)
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P", "E", NULL};

	return scaled(n, 1000, 10000, units, "");
}

char *show_bytes(uint64_t n)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL};

	return scaled(n, 1024, 1024, units, " ");
}

char *show_percent(double share)
{
	return formatted("%.1f%%", share * 100);
}

char *show_age(int64_t then_ns, int64_t now_ns)
{
	int64_t s = (now_ns - then_ns) / 1000000000;

	if (!then_ns)
		return strdup("-");
	if (s < 0)
		s = 0;
	if (s < 120)
		return formatted("%llds", (long long)s);
	if (s < 7200)
		return formatted("%lldm", (long long)(s / 60));
	if (s < 172800)
		return formatted("%lldh%02lldm", (long long)(s / 3600), (long long)(s / 60 % 60));
	return formatted("%lldd%02lldh", (long long)(s / 86400), (long long)(s / 3600 % 24));
}

const char *show_state_colour(const char *state)
{
	static const struct {
		const char *state, *colour;
	} colours[] = {
		{"ok", "green"},        {"healthy", "green"},  {"up", "green"},
		{"degraded", "yellow"}, {"suspect", "yellow"}, {"slow-start", "cyan"},
		{"draining", "cyan"},   {"drained", "cyan"},   {"disabled", "cyan"},
		{"warning", "yellow"},  {"ejected", "red"},    {"unhealthy-draining", "red"},
		{"down", "red"},        {"panic", "red"},      {"error", "red"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(colours); i++)
		if (!strcmp(colours[i].state, state))
			return colours[i].colour;
	return NULL;
}

/* ---- tables ---- */

struct show_table {
	struct libscols_table *table;
	struct libscols_line *line;
	size_t column;
	bool colour;
};

static void out_of_memory(void)
{
	exit(lbctl_fail(LBCTL_FAILED, NULL, "out of memory"));
}

struct show_table *show_table_new(const struct lbctl *ctx, const struct show_column *columns)
{
	struct show_table *t = calloc(1, sizeof(*t));

	if (!t)
		out_of_memory();
	t->table = scols_new_table();
	if (!t->table)
		out_of_memory();
	t->colour = ctx->colour;
	(void)scols_table_enable_colors(t->table, ctx->colour);
	for (; columns->name; columns++) {
		int flags = columns->flags & SHOW_RIGHT ? SCOLS_FL_RIGHT : 0;

		/* Cut texts only where somebody sees the terminal's edge; a file gets them whole. */
		if (columns->flags & SHOW_TRUNCATE && isatty(STDOUT_FILENO))
			flags |= SCOLS_FL_TRUNC;
		if (!scols_table_new_column(t->table, columns->name, 0, flags))
			out_of_memory();
	}
	return t;
}

void show_table_row(struct show_table *t)
{
	t->line = scols_table_new_line(t->table, NULL);
	t->column = 0;
	if (!t->line)
		out_of_memory();
}

void show_put(struct show_table *t, char *text)
{
	if (text && scols_line_refer_data(t->line, t->column, text))
		out_of_memory();
	t->column++;
}

void show_put_text(struct show_table *t, const char *text)
{
	size_t len;
	char *clean = NULL;
	FILE *f = open_memstream(&clean, &len);

	if (!f)
		out_of_memory();
	show_text(text, f);
	if (fclose(f))
		out_of_memory();
	show_put(t, clean);
}

void show_put_state_as(struct show_table *t, const char *text, const char *state)
{
	const char *colour = show_state_colour(state);

	if (t->colour && colour)
		(void)scols_cell_set_color(scols_line_get_cell(t->line, t->column), colour);
	show_put_text(t, text);
}

void show_put_state(struct show_table *t, const char *state)
{
	show_put_state_as(t, state, state);
}

void show_table_print(struct show_table *t)
{
	(void)scols_print_table(t->table);
	scols_unref_table(t->table);
	free(t);
}
