// SPDX-License-Identifier: Apache-2.0
/* change.c - lbctl drain, undrain, disable, enable, weight: the operator's overrides. */
#include "client.h"
#include "show.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct change_options {
	struct lbctl_words words; /* first: lbctl_parse_words() takes us for it */
	bool all;
};

static const struct argp_option change_options[] = {
	{"all-services", 'a', NULL, 0, "In every service that has BACKEND (then no SERVICE is given)", 0},
	{0},
};

static error_t parse_change(int key, char *arg, struct argp_state *state)
{
	struct change_options *o = state->input;

	if (key == ARGP_KEY_END && o->words.n + o->all != o->words.max)
		argp_error(state,
			   o->all ? "with --all-services only the backend is named"
				  : "name a service and one of its backends, or use --all-services BACKEND");
	if (key != 'a')
		return lbctl_parse_words(key, arg, state);
	o->all = true;
	return 0;
}

/* "web/web1 (10.0.1.11): draining, weight 100" */
static void print_change(const json_t *doc, struct lbctl *ctx)
{
	size_t i;
	json_t *b;

	json_array_foreach (json_object_get(doc, "backends"), i, b) {
		show_text(show_get_text(b, "service"), stdout);
		fputc('/', stdout);
		show_text(show_get_text(b, "name"), stdout);
		printf(" (%s): %s, weight %lld", show_get_text(b, "address"), show_get_text(b, "state"),
		       (long long)show_get_int(b, "weight"));
		if (json_is_integer(json_object_get(b, "weight_override")))
			printf(" (configured %lld)", (long long)show_get_int(b, "weight_configured"));
		fputc('\n', stdout);
	}
}

static json_t *change_args(const struct change_options *o)
{
	return json_pack("{s:s, s:s}", "service", o->all ? "*" : o->words.word[0], "backend",
			 o->words.word[o->all ? 0 : 1]);
}

#define BACKEND_HELP                                                                                         \
	"BACKEND is a name or an address. The override survives reloads and restarts of lbd, and is shown "  \
	"until "                                                                                             \
	"it is undone.\n\nExamples:\n"

int verb_drain(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {change_options,
					 parse_change,
					 "SERVICE BACKEND\n--all-services BACKEND",
					 "Give a backend no new connections; established ones stay until "
					 "they end or drain-timeout is over.\v" BACKEND_HELP
					 "  lbctl drain web 10.0.1.11\n"
					 "  lbctl drain --all-services 10.0.1.11   before work on that host\n"
					 "  lbctl undrain --all-services 10.0.1.11 afterwards",
					 NULL,
					 NULL,
					 NULL};
	struct change_options o = {.words.max = 2};

	lbctl_parse(&argp, &o, argc, argv, ctx);
	return client_show(ctx, "drain", change_args(&o), print_change);
}

int verb_undrain(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		change_options,
		parse_change,
		"SERVICE BACKEND\n--all-services BACKEND",
		"Take a drained backend back in (by slow start, where it is configured).\v" BACKEND_HELP
		"  lbctl undrain web web1",
		NULL,
		NULL,
		NULL};
	struct change_options o = {.words.max = 2};

	lbctl_parse(&argp, &o, argc, argv, ctx);
	return client_show(ctx, "undrain", change_args(&o), print_change);
}

int verb_disable(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {change_options,
					 parse_change,
					 "SERVICE BACKEND\n--all-services BACKEND",
					 "Take a backend out at once: its connections are given up. To spare "
					 "them, drain it instead.\v" BACKEND_HELP
					 "  lbctl disable web 2001:db8::11",
					 NULL,
					 NULL,
					 NULL};
	struct change_options o = {.words.max = 2};

	lbctl_parse(&argp, &o, argc, argv, ctx);
	return client_show(ctx, "disable", change_args(&o), print_change);
}

int verb_enable(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		change_options,
		parse_change,
		"SERVICE BACKEND\n--all-services BACKEND",
		"Undo a disable: the backend serves again when its probes say so.\v" BACKEND_HELP
		"  lbctl enable web 2001:db8::11",
		NULL,
		NULL,
		NULL};
	struct change_options o = {.words.max = 2};

	lbctl_parse(&argp, &o, argc, argv, ctx);
	return client_show(ctx, "enable", change_args(&o), print_change);
}

/* ---- weight ---- */

#define WEIGHT_MAX 65535

/* 0..65535, or "default" (-1). */
static bool weight_parse(const char *text, long *out)
{
	char *end;

	if (!strcmp(text, "default")) {
		*out = -1;
		return true;
	}
	errno = 0;
	*out = strtol(text, &end, 10);
	return !errno && end != text && !*end && *out >= 0 && *out <= WEIGHT_MAX;
}

int verb_weight(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		change_options,
		parse_change,
		"SERVICE BACKEND WEIGHT\n--all-services BACKEND WEIGHT",
		"Override a backend's weight: 0 to 65535, or `default` for the configured one.\v"
		"Weight 0: no new connections, established ones stay. " BACKEND_HELP
		"  lbctl weight web 10.0.1.11 50\n"
		"  lbctl weight web 10.0.1.11 default",
		NULL,
		NULL,
		NULL};
	struct change_options o = {.words.max = 3};
	const char *text;
	json_t *args;
	long weight;

	lbctl_parse(&argp, &o, argc, argv, ctx);
	text = o.words.word[o.words.n - 1];
	if (!weight_parse(text, &weight))
		return lbctl_fail(LBCTL_USAGE, "a weight is 0 to 65535, or `default`", "'%s' is not a weight",
				  text);
	args = change_args(&o);
	(void)json_object_set_new(args, "weight", weight < 0 ? json_null() : json_integer(weight));
	return client_show(ctx, "weight", args, print_change);
}
