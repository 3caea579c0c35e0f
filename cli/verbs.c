// SPDX-License-Identifier: Apache-2.0
/*
 * verbs.c - the table of verbs, in the order of `lbctl --help`. To add one: declare its run() in verbs.h, add
 * a line here. The completion and the help read this table; nothing else lists verbs.
 */
#include "verbs.h"

#include <stddef.h>

const struct lbctl_verb lbctl_verbs[] = {
	{"help", LBCTL_HOST, "explain a verb: lbctl help VERB", verb_help},
	{NULL, LBCTL_GROUP_MAX, NULL, NULL},
};
