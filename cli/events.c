// SPDX-License-Identifier: Apache-2.0
/* events.c - lbctl events: what happened, and what happens. */
#include "client.h"
#include "show.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_LAST 50

struct events_options {
	struct lbctl_words words; /* first: lbctl_parse_words() takes us for it */
	bool follow;
	long long since, last;
};

static long long number(const char *arg, struct argp_state *state)
{
	long long v;
	char *end;

	errno = 0;
	v = strtoll(arg, &end, 10);
	if (errno || end == arg || *end || v < 0)
		argp_error(state, "'%s' is not a number", arg);
	return v;
}

static error_t parse_events(int key, char *arg, struct argp_state *state)
{
	struct events_options *o = state->input;

	switch (key) {
	case 'f':
		o->follow = true;
		return 0;
	case 'n':
		o->last = number(arg, state);
		return 0;
	case 'S':
		o->since = number(arg, state);
		return 0;
	default:
		return lbctl_parse_words(key, arg, state);
	}
}

/* "backend_state healthy -> down" */
static void print_change(const json_t *e)
{
	const char *from = show_get_text(e, "from"), *to = show_get_text(e, "to");

	show_text(show_get_text(e, "event"), stdout);
	if (*from || *to) {
		fputc(' ', stdout);
		show_text(*from ? from : "?", stdout);
		fputs(" -> ", stdout);
		show_text(*to ? to : "?", stdout);
	}
}

static void print_event(const json_t *e, const struct lbctl *ctx)
{
	const char *service = show_get_text(e, "service"), *backend = show_get_text(e, "backend");

	if (ctx->json) {
		(void)json_dumpf(e, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
		fputc('\n', stdout);
		return;
	}
	printf("%s ", show_get_text(e, "time"));
	if (*service) {
		show_text(service, stdout);
		if (*backend) {
			fputc('/', stdout);
			show_text(backend, stdout);
		}
		fputc(' ', stdout);
	}
	print_change(e);
	if (*show_get_text(e, "reason")) {
		fputs(": ", stdout);
		show_text(show_get_text(e, "reason"), stdout);
	}
	fputc('\n', stdout);
}

static int follow(struct lbctl *ctx, struct client *c)
{
	json_error_t where;
	json_t *event;
	char *line;
	int r;

	for (;;) {
		/* Each line as it comes, also into a pipe; and no more when nobody reads it. */
		if (fflush(stdout))
			return LBCTL_OK;
		r = client_line(ctx, c, &line);
		if (r || !line)
			return r;
		event = json_loads(line, 0, &where);
		if (event)
			print_event(event, ctx);
		json_decref(event);
	}
}

static int list_and_follow(struct lbctl *ctx, struct client *c, const struct events_options *o)
{
	json_t *doc, *e;
	size_t i;
	int r;

	r = client_ask(ctx, c, "events",
		       json_pack("{s:b, s:I, s:I}", "follow", o->follow, "since", (json_int_t)o->since,
				 "last", (json_int_t)o->last),
		       &doc);
	if (r)
		return r;
	if (ctx->json && !o->follow)
		show_json(doc);
	else
		json_array_foreach (json_object_get(doc, "events"), i, e)
			print_event(e, ctx);
	json_decref(doc);
	return o->follow ? follow(ctx, c) : LBCTL_OK;
}

int verb_events(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp_option options[] = {
		{"follow", 'f', NULL, 0, "Print events as they come, until interrupted", 0},
		{"last", 'n', "N", 0, "Begin with the last N (default 50; with --follow 10)", 0},
		{"since", 'S', "SEQ", 0, "Only those after number SEQ (member \"seq\" of an event)", 0},
		{0},
	};
	static const struct argp argp = {
		options,
		parse_events,
		"",
		"Events: changes of state with their reasons, reloads, what operators did. The daemon keeps "
		"1000.\v"
		"With --json a list is one document; with --follow each line is one event.\n\n"
		"Examples:\n"
		"  lbctl events --follow\n"
		"  lbctl events -n 1000 --json | jq -c '.events[] | select(.backend == \"web1\")'",
		NULL,
		NULL,
		NULL};
	struct events_options o = {.last = -1};
	struct client c = CLIENT_INIT;
	int r;

	lbctl_parse(&argp, &o, argc, argv, ctx);
	if (o.last < 0)
		o.last = o.since ? 1000 : o.follow ? 10 : EVENTS_LAST;
	r = client_open(ctx, &c);
	if (!r)
		r = list_and_follow(ctx, &c, &o);
	client_close(&c);
	return r;
}
