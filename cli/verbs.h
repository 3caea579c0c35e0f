/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h - the run() functions that verbs.c puts into the table. One line per verb; the file that has it is named. */
#pragma once
#include "lbctl.h"

#define LBCTL_RUN(name) int name(int argc, char **argv, struct lbctl *ctx)

LBCTL_RUN(verb_help); /* main.c */
