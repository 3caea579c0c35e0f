// SPDX-License-Identifier: Apache-2.0
/* test_addr.c - addresses: one spelling in, the canonical one out; what can be neither VIP nor backend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/addr.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text, *canonical; /* NULL: refused */
	bool v4, unusable;
} cases[] = {
	{"192.0.2.10", "192.0.2.10", true, false},
	{"10.0.0.1", "10.0.0.1", true, false},
	{"1.0.0.0", "1.0.0.0", true, false},
	{"223.255.255.255", "223.255.255.255", true, false},
	{"169.253.255.255", "169.253.255.255", true, false},
	{"2001:db8::10", "2001:db8::10", false, false},
	{"2001:DB8:0:0:0:0:0:10", "2001:db8::10", false, false},
	{"2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1", false, false},
	{"fd00::1", "fd00::1", false, false},
	{"64:ff9b::c000:20a", "64:ff9b::c000:20a", false, false},
	{"::2", "::2", false, false},
	/* Right addresses, but good for nothing here. */
	{"0.0.0.0", "0.0.0.0", true, true},
	{"0.1.2.3", "0.1.2.3", true, true},
	{"127.0.0.1", "127.0.0.1", true, true},
	{"127.255.255.255", "127.255.255.255", true, true},
	{"169.254.0.1", "169.254.0.1", true, true},
	{"224.0.0.1", "224.0.0.1", true, true},
	{"240.0.0.1", "240.0.0.1", true, true},
	{"255.255.255.255", "255.255.255.255", true, true},
	{"::", "::", false, true},
	{"::1", "::1", false, true},
	{"fe80::1", "fe80::1", false, true},
	{"febf::1", "febf::1", false, true},
	{"ff02::1", "ff02::1", false, true},
	/* Refused. */
	{"", NULL, false, false},
	{"10.0.0", NULL, false, false},
	{"10.0.0.256", NULL, false, false},
	{"010.0.0.1", NULL, false, false},
	{"10.0.0.1 ", NULL, false, false},
	{" 10.0.0.1", NULL, false, false},
	{"0x0a.0.0.1", NULL, false, false},
	{"167772161", NULL, false, false},
	{"10.0.0.1/32", NULL, false, false},
	{"10.0.0.1:80", NULL, false, false},
	{"localhost", NULL, false, false},
	{"[2001:db8::1]", NULL, false, false},
	{"fe80::1%eth0", NULL, false, false},
	{"2001:db8::1::2", NULL, false, false},
	{"2001:db8::12345", NULL, false, false},
	{"1:2:3:4:5:6:7:8:9", NULL, false, false},
	{"::ffff:192.0.2.1", NULL, false, false}, /* a second spelling of an IPv4 address */
	{"::ffff:c000:201", NULL, false, false},
};

static void test_parse_and_format(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char buf[ADDR_STRLEN];
		struct lb_addr a, untouched;
		int r;

		memset(&a, 0x5a, sizeof(a));
		untouched = a;
		r = addr_parse(cases[i].text, &a);
		if ((r == 0) != (cases[i].canonical != NULL))
			fail_msg("'%s': addr_parse returned %d", cases[i].text, r);
		if (r) {
			assert_memory_equal(&a, &untouched, sizeof(a));
			continue;
		}
		assert_string_equal(addr_format(&a, buf), cases[i].canonical);
		if (addr_is_v4(&a) != cases[i].v4 || addr_is_unusable(&a) != cases[i].unusable)
			fail_msg("'%s': v4 %d, unusable %d", cases[i].text, addr_is_v4(&a),
				 addr_is_unusable(&a));
	}
}

static void test_v4_words(void **state)
{
	struct lb_addr a, b;

	assert_int_equal(addr_parse("192.0.2.10", &a), 0);
	assert_int_equal(addr_v4_be(&a), htonl(0xc000020a));
	addr_from_v4_be(&b, htonl(0xc000020a));
	assert_int_equal(addr_cmp(&a, &b), 0);
}

/* Sorted lists depend on it: bytes in network order compare like the addresses, and the families keep apart.
 */
static void test_order(void **state)
{
	static const char *const ascending[] = {
		"::2",       "10.0.0.2",    "10.0.0.10",   "10.0.1.1",
		"192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db9::",
	};

	for (size_t i = 0; i < sizeof(ascending) / sizeof(ascending[0]); i++) {
		for (size_t j = 0; j < sizeof(ascending) / sizeof(ascending[0]); j++) {
			struct lb_addr a, b;
			int r;

			assert_int_equal(addr_parse(ascending[i], &a), 0);
			assert_int_equal(addr_parse(ascending[j], &b), 0);
			r = addr_cmp(&a, &b);
			assert_true(i < j ? r < 0 : i > j ? r > 0 : r == 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_format),
		cmocka_unit_test(test_v4_words),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
