/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lbctl.h - what every verb of lbctl is given, and the table of verbs (verbs.c).
 *
 * A verb is one entry {name, group, help, run}. Its run() gets the words from the verb on (argv[0] is "lbctl
 * VERB", ready for usage texts), parses them with lbctl_parse() so that --json, --socket and --no-colour work
 * everywhere, and returns an exit code. Messages for people go to stderr, answers to stdout.
 */
#pragma once
#include "core/err.h"
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>

/* Exit codes, documented in lbctl(8): scripts depend on them. */
enum lbctl_exit {
	LBCTL_OK = 0,
	LBCTL_USAGE = 1,       /* the command line makes no sense */
	LBCTL_UNREACHABLE = 2, /* no daemon answers on the socket */
	LBCTL_DENIED = 3,      /* the user may not do this */
	LBCTL_INVALID = 4, /* no such service or backend, or the daemon (or the checker) refuses the input */
	LBCTL_FAILED = 5,  /* the daemon, or this host, failed to do it */
};

#define LBCTL_SOCKET_DEFAULT "/run/lbd/lbd.sock"
#define LBCTL_CONFIG_DEFAULT "/etc/lbd/lbd.yaml"

struct lbctl {
	const char *socket; /* --socket, else $LBD_SOCKET, else the default */
	bool json;          /* print documents for machines */
	bool colour;        /* stdout is a terminal and nobody said no */
};

enum lbctl_group { LBCTL_LOOK, LBCTL_CHANGE, LBCTL_CONFIGURE, LBCTL_HOST, LBCTL_GROUP_MAX };

struct lbctl_verb {
	const char *name;
	enum lbctl_group group; /* heading in `lbctl --help` */
	const char *help;       /* one line */
	int (*run)(int argc, char **argv, struct lbctl *ctx);
};
extern const struct lbctl_verb lbctl_verbs[]; /* ends with name == NULL */

/*
 * Parse a verb's words. @argp: the verb's own options, parser, args_doc and doc (no children); it gets @input
 * as state->input. Understands the options common to all verbs and writes them to @ctx. Prints usage errors
 * and exits with LBCTL_USAGE itself, as --help exits with LBCTL_OK.
 */
void lbctl_parse(const struct argp *argp, void *input, int argc, char **argv, struct lbctl *ctx);

/* The simplest parser: up to LBCTL_WORDS_MAX words, at least `min`, at most `max`. */
#define LBCTL_WORDS_MAX 4
struct lbctl_words {
	unsigned int min, max, n;
	const char *word[LBCTL_WORDS_MAX]; /* NULL when not given */
};
error_t lbctl_parse_words(int key, char *arg, struct argp_state *state); /* input: struct lbctl_words */

/* "lbctl: message" and "hint: ..." on stderr. Returns @exit_code, so that `return lbctl_fail(...)` reads
 * well. */
int lbctl_fail(int exit_code, const char *hint, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int lbctl_fail_err(int exit_code, const struct err *err);
extern FILE *lbctl_messages; /* where they go; NULL: stderr. The live view keeps its screen clean by it */
