// SPDX-License-Identifier: Apache-2.0
/* test_diag.c - diagnostics: how they look, what is counted, what is suggested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/diag.h"
#include "core/utf8.h"

#include <stdlib.h>
#include <string.h>

#define AT(line, column, length) ((struct diag_mark){line, column, length})

#define PRINT_MAX (1 << 20)

static char *print(const struct diags *d)
{
	char *text = calloc(1, PRINT_MAX);
	FILE *out = fmemopen(text, PRINT_MAX - 1, "w");

	assert_non_null(out);
	diags_print(d, out);
	fclose(out);
	return text;
}

/* One diagnostic at @mark of @text, as printed. */
static void check_excerpt(const char *text, size_t len, struct diag_mark mark, const char *expected)
{
	struct diags d;
	char *got;

	diags_init(&d);
	assert_int_equal(diags_set_source(&d, "f", text, len), 0);
	diags_add(&d, DIAG_ERROR, mark, NULL, "m");
	got = print(&d);
	assert_string_equal(got, expected);
	free(got);
	diags_done(&d);
}

static const struct {
	const char *name, *text;
	struct diag_mark mark;
	const char *expected;
} excerpts[] = {
	{"a word",
	 "a\nport: 70000\n",
	 {2, 7, 5},
	 "f:2:7: error: m\n    2 | port: 70000\n      |       ^~~~~\n"},
	{"a point", "a: b\n", {1, 2, 0}, "f:1:2: error: m\n    1 | a: b\n      |  ^\n"},
	{"a length beyond the line",
	 "a: b\nc\n",
	 {1, 4, 99},
	 "f:1:4: error: m\n    1 | a: b\n      |    ^\n"},
	{"just behind the line", "ab\ncd", {2, 3, 0}, "f:2:3: error: m\n    2 | cd\n      |   ^\n"},
	{"far behind the line", "ab\ncd", {2, 90, 4}, "f:2:90: error: m\n    2 | cd\n      |   ^\n"},
	{"behind the last line", "ab\ncd\n", {3, 1, 0}, "f:3:1: error: m\n"},
	{"far behind the last line", "ab\ncd\n", {900, 1, 0}, "f:900:1: error: m\n"},
	{"an empty line", "a\n\nb\n", {2, 1, 1}, "f:2:1: error: m\n    2 | \n      | ^\n"},
	{"an empty text", "", {1, 1, 0}, "f:1:1: error: m\n"},
	{"the file as a whole", "a\n", {0, 0, 0}, "f: error: m\n"},
	{"tabs stay tabs", "\ta\tbc\n", {1, 4, 2}, "f:1:4: error: m\n    1 | \ta\tbc\n      | \t \t^~\n"},
	{"CR LF", "ab\r\ncd\r\n", {1, 2, 9}, "f:1:2: error: m\n    1 | ab\n      |  ^\n"},
	{"characters of several bytes",
	 "\xc3\xa4\xe2\x82\xac: x\n",
	 {1, 5, 1},
	 "f:1:5: error: m\n    1 | \xc3\xa4\xe2\x82\xac: x\n      |     ^\n"},
	{"no UTF-8, escapes",
	 "\xff\x1b[31m\xc2\x9bx\n",
	 {1, 8, 1},
	 "f:1:8: error: m\n    1 | \xef\xbf\xbd\xef\xbf\xbd[31m\xef\xbf\xbdx\n      |        ^\n"},
};

static void test_excerpts(void **state)
{
	for (size_t i = 0; i < sizeof(excerpts) / sizeof(excerpts[0]); i++) {
		print_message("%s\n", excerpts[i].name);
		check_excerpt(excerpts[i].text, strlen(excerpts[i].text), excerpts[i].mark,
			      excerpts[i].expected);
	}
	check_excerpt("a\0b", 3, AT(1, 3, 1),
		      "f:1:3: error: m\n    1 | a\xef\xbf\xbd"
		      "b\n      |   ^\n");
}

/* A line of megabytes must not be printed whole, nor searched through for a place far out in it. */
static void test_long_lines(void **state)
{
	size_t len = 1000000;
	char *text = malloc(len), *got;
	const char *caret;
	struct diags d;

	memset(text, 'x', len);
	text[5000] = 'Y';
	diags_init(&d);
	assert_int_equal(diags_set_source(&d, "f", text, len), 0);
	diags_add(&d, DIAG_ERROR, AT(1, 5001, 1), NULL, "m");
	got = print(&d);
	assert_true(strlen(got) < 500);
	caret = strchr(got, '^');
	assert_non_null(caret);
	/* The caret stands below the Y: equally far from the beginnings of their lines. */
	assert_int_equal(strchr(got, 'Y') - strstr(got, "    1 |"), caret - strstr(got, "      |"));
	free(got);
	diags_done(&d);
	check_excerpt(text, len, AT(1, 900000, 1), "f:1:900000: error: m\n");
	free(text);
}

static void test_print_whole(void **state)
{
	struct diags d;
	char *got;

	diags_init(&d);
	assert_int_equal(diags_set_source(&d, "lbd.yaml", "a: 1\nb: 2\n", 10), 0);
	diags_add(&d, DIAG_WARNING, AT(2, 1, 1), NULL, "second %d", 2);
	diags_add(&d, DIAG_ERROR, AT(1, 4, 1), "do %s", "first");
	diags_add(&d, DIAG_ERROR, AT(2, 1, 1), "", "third");
	diags_sort(&d);
	got = print(&d);
	assert_string_equal(got, "lbd.yaml:1:4: error: first\n    1 | a: 1\n      |    ^\nhint: do %s\n"
				 "lbd.yaml:2:1: warning: second 2\n    2 | b: 2\n      | ^\n"
				 "lbd.yaml:2:1: error: third\n    2 | b: 2\n      | ^\n");
	assert_int_equal(diags_errors(&d), 2);
	free(got);
	diags_done(&d);
}

static void test_messages_are_printable(void **state)
{
	char *huge = malloc(1 << 20), *got;
	struct diags d;

	memset(huge, 'h', (1 << 20) - 1);
	huge[(1 << 20) - 1] = '\0';
	diags_init(&d);
	diags_add(&d, DIAG_ERROR, AT(0, 0, 0), "\x1b]0;title\x07", "a\nb\xff");
	diags_add(&d, DIAG_ERROR, AT(0, 0, 0), NULL, "%s", huge);
	got = print(&d);
	assert_non_null(strstr(got, "a\xef\xbf\xbd"
				    "b\xef\xbf\xbd\n"));
	assert_null(strchr(got, '\x1b'));
	assert_null(strchr(got, '\x07'));
	assert_non_null(strstr(got, "hhh...\n"));
	assert_true(strlen(got) < 2000);
	free(got);
	free(huge);
	diags_done(&d);
}

/* Errors beyond the limit are counted, and push out warnings, never errors. */
static void test_limit(void **state)
{
	struct diags d;
	size_t errors = 0;
	char *got;

	diags_init(&d);
	for (unsigned int i = 0; i < DIAG_MAX; i++)
		diags_add(&d, DIAG_WARNING, AT(i + 1, 1, 0), NULL, "w");
	assert_false(d.truncated);
	for (unsigned int i = 0; i < DIAG_MAX - 1; i++)
		diags_add(&d, DIAG_ERROR, AT(i + 1, 1, 0), NULL, "e");
	for (size_t i = 0; i < d.n; i++)
		errors += d.items[i].level == DIAG_ERROR;
	assert_int_equal(errors, DIAG_MAX - 1);
	for (unsigned int i = 0; i < 50; i++)
		diags_add(&d, DIAG_ERROR, AT(i + 1, 1, 0), NULL, "e");
	assert_true(d.truncated);
	assert_int_equal(d.n, DIAG_MAX);
	assert_int_equal(diags_errors(&d), DIAG_MAX + 49);
	got = print(&d);
	assert_non_null(strstr(got, "49 more error(s) and 100 more warning(s) are not shown"));
	free(got);
	diags_done(&d);
}

static const char *const keys[] = {"interval", "fast-interval", "timeout",  "vip",  "port", "address",
				   "weight",   "slow-start",    "backends", "ipip", NULL};
static const struct {
	const char *word, *expected;
} suggestions[] = {
	{"intervall", "interval"},
	{"intreval", "interval"},
	{"Timeout", "timeout"},
	{"slow_start", "slow-start"},
	{"SlowStart", "slow-start"},
	{"vips", "vip"},
	{"VIP", "vip"},
	{"wieght", "weight"},
	{"addr", "address"},
	{"backend", "backends"},
	{"prt", "port"},
	{"ipp", "ipip"},
	{"fast-intervals", "fast-interval"},
	{"color", NULL},
	{"", NULL},
	{"x", NULL},
	{"zzzzzzzz", NULL},
	{"a-word-that-is-much-too-long-for-any-suggestion-at-all", NULL},
};

static void test_suggest(void **state)
{
	for (size_t i = 0; i < sizeof(suggestions) / sizeof(suggestions[0]); i++) {
		const char *got = diag_suggest(suggestions[i].word, keys);

		if (got != suggestions[i].expected &&
		    (!got || !suggestions[i].expected || strcmp(got, suggestions[i].expected) != 0))
			fail_msg("'%s' -> %s, expected %s", suggestions[i].word, got ? got : "nothing",
				 suggestions[i].expected ? suggestions[i].expected : "nothing");
	}
}

static const struct {
	const char *bytes;
	unsigned int length; /* 0: refused */
	__u32 cp;
} utf8_cases[] = {
	{"A", 1, 'A'},
	{"\x7f", 1, 0x7f},
	{"\xc2\x80", 2, 0x80},
	{"\xc3\xa4", 2, 0xe4},
	{"\xe2\x82\xac", 3, 0x20ac},
	{"\xef\xbf\xbd", 3, 0xfffd},
	{"\xf0\x9f\x98\x80", 4, 0x1f600},
	{"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
	{"\x80", 0, 0},             /* a continuation byte alone */
	{"\xc3", 0, 0},             /* cut short */
	{"\xc3(", 0, 0},            /* not continued */
	{"\xe2\x82", 0, 0},         /* cut short */
	{"\xe2\x28\xa1", 0, 0},     /* not continued */
	{"\xc0\xaf", 0, 0},         /* overlong / */
	{"\xc1\xbf", 0, 0},         /* overlong DEL */
	{"\xe0\x80\xaf", 0, 0},     /* overlong */
	{"\xf0\x80\x80\xaf", 0, 0}, /* overlong */
	{"\xed\xa0\x80", 0, 0},     /* surrogate */
	{"\xf4\x90\x80\x80", 0, 0}, /* beyond U+10FFFF */
	{"\xf8\x88\x80\x80\x80", 0, 0},
	{"\xff", 0, 0},
};

static void test_utf8(void **state)
{
	for (size_t i = 0; i < sizeof(utf8_cases) / sizeof(utf8_cases[0]); i++) {
		const char *p = utf8_cases[i].bytes;
		__u32 cp;

		if (utf8_decode(p, p + strlen(p), &cp) != utf8_cases[i].length)
			fail_msg("row %zu is read wrongly", i);
		assert_int_equal(cp, utf8_cases[i].length ? utf8_cases[i].cp : (unsigned char)p[0]);
	}
	assert_true(utf8_is_control(0x1b) && utf8_is_control(0x9b) && utf8_is_control(0x7f) &&
		    utf8_is_control(0x2028) && utf8_is_control(0x85));
	assert_false(utf8_is_control(' ') || utf8_is_control(0xa0) || utf8_is_control(0x20ac));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_excerpts),    cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_print_whole), cmocka_unit_test(test_messages_are_printable),
		cmocka_unit_test(test_limit),       cmocka_unit_test(test_suggest),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
