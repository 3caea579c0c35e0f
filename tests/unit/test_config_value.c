// SPDX-License-Identifier: Apache-2.0
/* test_config_value.c - single values: one spelling each, everything else refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/config_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct number_case {
	const char *text;
	int r;
	__u64 value;
};

static void check_numbers(int (*parse)(const char *, __u64 *), const struct number_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		__u64 v = 4711;
		int r = parse(cases[i].text, &v);

		if (r != cases[i].r || v != (r ? 4711 : cases[i].value))
			fail_msg("'%s' -> %d, %llu", cases[i].text, r, (unsigned long long)v);
	}
}

static void test_uint(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"1", 0, 1},
		{"65535", 0, 65535},
		{"4294967295", 0, 4294967295},
		{"4294967296", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999999999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"01", -EINVAL, 0},
		{"00", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
		{"1_000", -EINVAL, 0},
		{"1,000", -EINVAL, 0},
		{"one", -EINVAL, 0},
	};

	check_numbers(value_parse_uint, cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_percent(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},          {"0%", 0, 0},         {"50%", 0, 50},       {"100", 0, 100},
		{"100%", 0, 100},     {"101%", -ERANGE, 0}, {"1000", -ERANGE, 0}, {"%", -EINVAL, 0},
		{"50 %", -EINVAL, 0}, {"50%%", -EINVAL, 0}, {"0.5", -EINVAL, 0},  {"-1%", -EINVAL, 0},
	};

	check_numbers(value_parse_percent, cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_duration(void **state)
{
	static const struct number_case cases[] = {
		{"0s", 0, 0},
		{"1ms", 0, 1},
		{"500ms", 0, 500},
		{"2s", 0, 2000},
		{"5m", 0, 300000},
		{"1h", 0, 3600000},
		{"1000h", 0, 3600000000ull},
		{"1001h", -ERANGE, 0},
		{"3600001s", -ERANGE, 0},
		{"99999999999999999999h", -ERANGE, 0},
		{"18446744073709551615ms", -ERANGE, 0},
		{"2", -EINVAL, 0},
		{"0", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"2 s", -EINVAL, 0},
		{"2sec", -EINVAL, 0},
		{"2S", -EINVAL, 0},
		{"1.5s", -EINVAL, 0},
		{"-2s", -EINVAL, 0},
		{"02s", -EINVAL, 0},
		{"1m30s", -EINVAL, 0},
		{"1d", -EINVAL, 0},
		{"1us", -EINVAL, 0},
	};

	check_numbers(value_parse_duration_ms, cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_duration_round_trip(void **state)
{
	static const __u64 values[] = {0,     1,     999,     1000,    1001,    1500,     59000,        60000,
				       61000, 90000, 3600000, 3601000, 5400000, 86400000, 3600000000ull};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char buf[VALUE_DURATION_STRLEN];
		__u64 v = 1;

		assert_int_equal(value_parse_duration_ms(value_format_duration_ms(values[i], buf), &v), 0);
		assert_int_equal(v, values[i]);
	}
	for (__u64 ms = 0; ms < 10000; ms += 7) {
		char buf[VALUE_DURATION_STRLEN];
		__u64 v = 1;

		assert_int_equal(value_parse_duration_ms(value_format_duration_ms(ms, buf), &v), 0);
		assert_int_equal(v, ms);
	}
}

static void test_endpoint(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *addr;
		__u16 port;
	} cases[] = {
		{"127.0.0.1:9917", 0, "127.0.0.1", 9917},
		{"0.0.0.0:1", 0, "0.0.0.0", 1},
		{"[::1]:65535", 0, "::1", 65535},
		{"[2001:db8::1]:80", 0, "2001:db8::1", 80},
		{"127.0.0.1:0", -ERANGE, NULL, 0},
		{"127.0.0.1:65536", -ERANGE, NULL, 0},
		{"127.0.0.1", -EINVAL, NULL, 0},
		{"127.0.0.1:", -EINVAL, NULL, 0},
		{":80", -EINVAL, NULL, 0},
		{"80", -EINVAL, NULL, 0},
		{"", -EINVAL, NULL, 0},
		{"::1:80", -EINVAL, NULL, 0},
		{"[::1]", -EINVAL, NULL, 0},
		{"[::1]80", -EINVAL, NULL, 0},
		{"[]:80", -EINVAL, NULL, 0},
		{"[:80", -EINVAL, NULL, 0},
		{"]:80", -EINVAL, NULL, 0},
		{"[127.0.0.1]:80", -EINVAL, NULL, 0},
		{"localhost:80", -EINVAL, NULL, 0},
		{"127.0.0.1:+80", -EINVAL, NULL, 0},
		{"127.0.0.1:080", -EINVAL, NULL, 0},
		{"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80", -EINVAL, NULL, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lb_addr a = {{0}};
		char buf[ADDR_STRLEN];
		__u16 port = 0;
		int r = value_parse_endpoint(cases[i].text, &a, &port);

		if (r != cases[i].r || port != cases[i].port)
			fail_msg("'%s' -> %d, port %u", cases[i].text, r, port);
		if (!r)
			assert_string_equal(addr_format(&a, buf), cases[i].addr);
	}
}

static void test_status_range(void **state)
{
	static const struct {
		const char *text;
		int r;
		__u16 from, to;
	} cases[] = {
		{"200", 0, 200, 200},        {"200-299", 0, 200, 299},   {"100-599", 0, 100, 599},
		{"99", -ERANGE, 0, 0},       {"600", -ERANGE, 0, 0},     {"299-200", -ERANGE, 0, 0},
		{"200-600", -ERANGE, 0, 0},  {"2xx", -EINVAL, 0, 0},     {"", -EINVAL, 0, 0},
		{"200-", -EINVAL, 0, 0},     {"-200", -EINVAL, 0, 0},    {"200 - 299", -EINVAL, 0, 0},
		{"200-299-", -EINVAL, 0, 0}, {"200,204", -EINVAL, 0, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u16 from = 0, to = 0;
		int r = value_parse_status_range(cases[i].text, &from, &to);

		if (r != cases[i].r || from != cases[i].from || to != cases[i].to)
			fail_msg("'%s' -> %d, %u-%u", cases[i].text, r, from, to);
	}
}

static void test_data(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *bytes;
		__u32 len;
	} cases[] = {
		{"ping", 0, "ping", 4},
		{"", 0, "", 0},
		{"hex:", 0, "", 0},
		{"hex:00ff", 0, "\x00\xff", 2},
		{"hex:0A fF", 0, "\x0a\xff", 2},
		{"hex: 00  01 ", 0, "\x00\x01", 2},
		{"hex:0", -EINVAL, NULL, 0},
		{"hex:000", -EINVAL, NULL, 0},
		{"hex:0 0", -EINVAL, NULL, 0},
		{"hex:zz", -EINVAL, NULL, 0},
		{"hex:0x00", -EINVAL, NULL, 0},
		{"12345678", 0, "12345678", 8},
		{"123456789", -ERANGE, NULL, 0},
		{"hex:0102030405060708", 0, "\1\2\3\4\5\6\7\10", 8},
		{"hex:010203040506070809", -ERANGE, NULL, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u32 len = 0;
		__u8 out[8];
		int r = value_parse_data(cases[i].text, out, sizeof(out), &len);

		if (r != cases[i].r || len != cases[i].len)
			fail_msg("'%s' -> %d, %u bytes", cases[i].text, r, len);
		if (!r)
			assert_memory_equal(out, cases[i].bytes, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uint),     cmocka_unit_test(test_percent),
		cmocka_unit_test(test_duration), cmocka_unit_test(test_duration_round_trip),
		cmocka_unit_test(test_endpoint), cmocka_unit_test(test_status_range),
		cmocka_unit_test(test_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
