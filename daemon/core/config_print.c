// SPDX-License-Identifier: Apache-2.0
/* config_print.c - prints structs by tables of keys, the way back of config_fields.c. */
#include "core/config_fields.h"
#include "core/config_value.h"

#include <ctype.h>
#include <string.h>

/* Words that need no quotes in any place of a YAML text: a subset that is safe beyond doubt. */
static bool is_plain(const char *text)
{
	size_t len = strlen(text);

	if (!len || !isalnum((unsigned char)text[0]) || text[len - 1] == ':' || strcmp(text, "null") == 0)
		return text[0] == '/' && len > 1 && text[len - 1] != ':' && !strpbrk(text, " #,[]{}'\"\\:");
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("._-/:%", *text))
			return false;
	}
	return true;
}

void cfg_print_text(FILE *out, const char *text)
{
	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		unsigned char ch = (unsigned char)*text;

		if (ch == '"' || ch == '\\')
			fprintf(out, "\\%c", ch);
		else if (ch < 0x20 || ch == 0x7f)
			fprintf(out, "\\x%02x", ch);
		else
			fputc(ch, out);
	}
	fputc('"', out);
}

static __u64 load(const struct cfg_field *f, const void *base)
{
	const char *from = (const char *)base + f->offset;
	__u16 v16;
	__u32 v32;

	if (f->size == 1)
		return *(const __u8 *)from;
	if (f->size == 2) {
		memcpy(&v16, from, 2);
		return v16;
	}
	memcpy(&v32, from, 4);
	return v32;
}

static const char *choice_name(const struct cfg_choice *c, __u64 value)
{
	while (c->name && (__u64)c->value != value)
		c++;
	return c->name ? c->name : "?";
}

static void print_value(FILE *out, const struct cfg_field *f, const void *base)
{
	char duration[VALUE_DURATION_STRLEN];

	switch (f->kind) {
	case CFG_NODE:
		break;
	case CFG_AUTO:
		if (!load(f, base)) {
			fputs("auto", out);
			break;
		}
		/* fall through */
	case CFG_UINT:
		fprintf(out, "%llu", (unsigned long long)load(f, base));
		break;
	case CFG_PERCENT:
		fprintf(out, "%llu%%", (unsigned long long)load(f, base));
		break;
	case CFG_MS:
		fputs(value_format_duration_ms(load(f, base), duration), out);
		break;
	case CFG_S:
		fputs(value_format_duration_ms(load(f, base) * 1000, duration), out);
		break;
	case CFG_BOOL:
		fputs(load(f, base) ? "true" : "false", out);
		break;
	case CFG_ENUM:
		fputs(choice_name(f->choices, load(f, base)), out);
		break;
	case CFG_TEXT:
	case CFG_PATH:
		cfg_print_text(out, (const char *)base + f->offset);
		break;
	}
}

void cfg_print_fields(FILE *out, int indent, const struct cfg_field *fields, unsigned int n, const void *base,
		      __u32 only)
{
	for (const struct cfg_field *f = fields; f < fields + n; f++) {
		bool text = f->kind == CFG_TEXT || f->kind == CFG_PATH;

		if (f->kind == CFG_NODE || (f->only && !(f->only & only)))
			continue;
		if (text && !((const char *)base)[f->offset])
			continue; /* an empty text is one that was not given */
		fprintf(out, "%*s%s: ", indent, "", f->key);
		print_value(out, f, base);
		fputc('\n', out);
	}
}
