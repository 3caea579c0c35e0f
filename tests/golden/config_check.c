// SPDX-License-Identifier: Apache-2.0
/*
 * config_check - print what the configuration parser says about a file, as the golden tests compare it.
 *
 *     config_check FILE          diagnostics on standard output; exit 0 when there is no error, else 1
 *     config_check --print FILE  also the configuration itself, with every default
 *
 * Files are named by their base name, so that the output is the same wherever the tree lies.
 */
#include "core/cleanup.h"
#include "core/config.h"

#include <string.h>

int main(int argc, char **argv)
{
	bool print = argc == 3 && strcmp(argv[1], "--print") == 0;
	const char *path = argv[argc - 1], *slash;
	_cleanup_(config_freep) struct config *c = NULL;
	_cleanup_free_ char *text = NULL;
	struct diags diags;
	int r;

	if (argc != 2 + print) {
		fprintf(stderr, "usage: %s [--print] FILE\n", argv[0]);
		return 2;
	}
	diags_init(&diags);
	r = config_load_file(path, &c, &diags);
	slash = strrchr(path, '/');
	if (slash && diags.file)
		memmove(diags.file, diags.file + (slash + 1 - path), strlen(slash + 1) + 1);
	diags_print(&diags, stdout);
	diags_done(&diags);
	if (!r && print) {
		text = config_describe(c);
		if (!text)
			return 2;
		fputs(text, stdout);
	}
	return r ? 1 : 0;
}
