/* SPDX-License-Identifier: Apache-2.0 */
/* Every counter of the data path has its row in docs/troubleshooting.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lb/abi.h"
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
#define X(id, name) name,
	LB_OUTCOMES(X) LB_STEERS(X)
#undef X
};

static void test_each_has_a_row(void **state)
{
	static char text[1 << 16];
	char row[80];
	FILE *f = fopen(TEST_SOURCE_DIR "/../../docs/troubleshooting.md", "r");
	size_t i;

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(row, sizeof(row), "\n| `%s` | ", names[i]);
		if (!strstr(text, row))
			fail_msg("no row for %s", names[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_a_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
