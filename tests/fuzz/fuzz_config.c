// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_config.c - any bytes as a configuration: no crash, hang or leak; diagnostics can be printed; and what
 * is accepted prints as a configuration that is accepted again and means the same.
 */
#include "core/cleanup.h"
#include "core/config.h"
#include "fuzz.h"

#include <string.h>

static struct config *parse(const char *text, size_t len, bool must_pass)
{
	_cleanup_free_ char *printed = NULL;
	struct config *c = NULL;
	struct diags diags;
	FILE *out;
	size_t size;
	int r;

	diags_init(&diags);
	r = config_parse("fuzz.yaml", text, len, &c, &diags);
	FUZZ_CHECK((r == 0) == (c != NULL));
	FUZZ_CHECK((r == 0) == (diags_errors(&diags) == 0));
	out = open_memstream(&printed, &size);
	FUZZ_CHECK(out != NULL);
	diags_print(&diags, out);
	fclose(out);
	/* Nothing that a terminal obeys: the excerpt keeps tabs, lines end. */
	for (size_t i = 0; i < size; i++)
		FUZZ_CHECK((unsigned char)printed[i] >= 0x20 || printed[i] == '\n' || printed[i] == '\t');
	if (must_pass && r)
		fputs(printed, stderr);
	FUZZ_CHECK(!must_pass || r == 0);
	diags_done(&diags);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(config_freep) struct config *c = parse((const char *)data, size, false);
	_cleanup_(config_freep) struct config *again = NULL;
	_cleanup_free_ char *text = NULL, *text_again = NULL;

	if (!c)
		return 0;
	text = config_describe(c);
	FUZZ_CHECK(text != NULL);
	again = parse(text, strlen(text), true);
	FUZZ_CHECK(config_equal(c, again));
	text_again = config_describe(again);
	FUZZ_CHECK(text_again && strcmp(text, text_again) == 0);
	return 0;
}
