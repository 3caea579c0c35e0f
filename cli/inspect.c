// SPDX-License-Identifier: Apache-2.0
/* inspect.c - lbctl explain, flows, doctor: looking closer. */
#include "client.h"
#include "show.h"
#include "verbs.h"
#include "core/addr.h"
#include "core/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- explain ---- */

struct endpoint {
	char addr[ADDR_STRLEN];
	unsigned int port; /* 0: not given */
};

/* "192.0.2.1:80", "192.0.2.1", "[2001:db8::1]:80", "2001:db8::1". The address comes out canonical. */
static bool endpoint_parse(const char *text, struct endpoint *out)
{
	char buf[80], *addr = buf, *port = NULL, *end;
	struct lb_addr a;
	unsigned long p = 0;

	if (snprintf(buf, sizeof(buf), "%s", text) >= (int)sizeof(buf))
		return false;
	if (*buf == '[') {
		addr = buf + 1;
		end = strchr(addr, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		port = end[1] ? end + 2 : NULL;
		*end = '\0';
	} else {
		port = strchr(buf, ':');
		if (port && strchr(port + 1, ':'))
			port = NULL; /* an IPv6 address without brackets */
		if (port)
			*port++ = '\0';
	}
	if (port) {
		errno = 0;
		p = strtoul(port, &end, 10);
		if (errno || end == port || *end || !p || p > 65535 || *port == '-')
			return false;
	}
	if (addr_parse(addr, &a))
		return false;
	(void)addr_format(&a, out->addr);
	out->port = (unsigned int)p;
	return true;
}

static void print_field(const char *name, const char *value)
{
	if (!*value)
		return;
	printf("%-12s", name);
	show_text(value, stdout);
	fputc('\n', stdout);
}

static void print_steps(const json_t *doc)
{
	size_t i;
	json_t *s;

	json_array_foreach (json_object_get(doc, "steps"), i, s) {
		printf("  %2zu. ", i + 1);
		show_text(json_is_string(s) ? json_string_value(s) : show_get_text(s, "text"), stdout);
		fputc('\n', stdout);
	}
}

static void print_warnings(const json_t *doc, struct lbctl *ctx)
{
	size_t i;
	json_t *w;

	json_array_foreach (json_object_get(doc, "warnings"), i, w) {
		fputs(ctx->colour ? "\033[33mwarning\033[0m     " : "warning     ", stdout);
		show_text(json_is_string(w) ? json_string_value(w) : "", stdout);
		fputc('\n', stdout);
	}
}

static void print_explain(const json_t *doc, struct lbctl *ctx)
{
	const json_t *b = json_object_get(doc, "backend"), *f = json_object_get(doc, "frame");
	char text[200];

	print_steps(doc);
	print_field("service", show_get_text(doc, "service"));
	if (json_is_integer(json_object_get(doc, "slot"))) {
		snprintf(text, sizeof(text), "%lld, %s (hash %s)", (long long)show_get_int(doc, "slot"),
			 show_get_text(doc, "phase"), show_get_text(doc, "hash"));
		print_field("slot", text);
	}
	if (json_is_object(b)) {
		snprintf(text, sizeof(text), "%s (%s), %s", show_get_text(b, "name"), show_get_text(b, "address"),
			 show_get_text(b, "state"));
		print_field("backend", text);
	}
	print_field("leaves as", show_get_text(doc, "encapsulation"));
	if (json_is_object(f)) {
		snprintf(text, sizeof(text), "%s -> %s", show_get_text(f, "source_mac"),
			 show_get_text(f, "destination_mac"));
		if (json_is_integer(json_object_get(f, "vlan")))
			snprintf(text + strlen(text), sizeof(text) - strlen(text), ", VLAN %lld",
				 (long long)show_get_int(f, "vlan"));
		print_field("MACs", text);
	}
	print_field("next hop", show_get_text(doc, "nexthop"));
	print_field("outcome", show_get_text(doc, "outcome"));
	print_field("verdict", show_get_text(doc, "verdict"));
	print_field("why", show_get_text(doc, "why"));
	print_warnings(doc, ctx);
}

struct explain_options {
	struct lbctl_words words; /* first: lbctl_parse_words() takes us for it */
	const char *flags;
	int size;
};

static error_t parse_explain(int key, char *arg, struct argp_state *state)
{
	struct explain_options *o = state->input;
	char *end;
	long n;

	switch (key) {
	case 'S':
		o->flags = "syn";
		return 0;
	case 'f':
		o->flags = arg;
		return 0;
	case 'z':
		errno = 0;
		n = strtol(arg, &end, 10);
		if (errno || end == arg || *end || n < 1 || n > 65535)
			argp_error(state, "'%s' is not a size in bytes", arg);
		o->size = (int)n;
		return 0;
	default:
		return lbctl_parse_words(key, arg, state);
	}
}

static int ask_explain(struct lbctl *ctx, const struct explain_options *o, const struct endpoint *from,
		       const struct endpoint *to)
{
	json_t *args = json_pack("{s:s, s:s, s:i, s:s, s:i, s:s*}", "protocol", o->words.word[0], "source", from->addr,
				 "source_port", from->port ? from->port : 40000, "destination", to->addr, "port",
				 to->port, "flags", o->flags);

	if (args && o->size)
		(void)json_object_set_new(args, "size", json_integer(o->size));
	return client_show(ctx, "explain", args, print_explain);
}

int verb_explain(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp_option options[] = {
		{"syn", 'S', NULL, 0, "The packet opens a connection: short for --flags syn", 0},
		{"flags", 'f', "FLAGS", 0,
		 "TCP flags: syn, ack, fin, rst, psh, urg, several with commas (default: ack)", 0},
		{"size", 'z', "BYTES", 0, "Length of the IP packet (default: no payload)", 0},
		{0},
	};
	static const struct argp argp = {
		options,
		parse_explain,
		"PROTOCOL SOURCE[:PORT] VIP:PORT",
		"Where would this packet go, and why? The loaded program itself is asked; nothing is sent or "
		"counted.\v"
		"PROTOCOL is tcp or udp. Without a source port 40000 is taken.\n\n"
		"Examples:\n"
		"  lbctl explain tcp 192.0.2.7:51515 203.0.113.10:443\n"
		"  lbctl explain --syn tcp '[2001:db8:1::7]:51515' '[2001:db8::10]:443'\n"
		"  lbctl explain --size 1500 tcp 192.0.2.7 203.0.113.10:443",
		NULL,
		NULL,
		NULL};
	struct explain_options o = {.words = {.min = 3, .max = 3}};
	struct endpoint from, to;

	lbctl_parse(&argp, &o, argc, argv, ctx);
	if (strcmp(o.words.word[0], "tcp") && strcmp(o.words.word[0], "udp"))
		return lbctl_fail(LBCTL_USAGE, NULL, "'%s' is not a protocol: tcp or udp", o.words.word[0]);
	if (!endpoint_parse(o.words.word[1], &from))
		return lbctl_fail(LBCTL_USAGE, "write 192.0.2.7:51515 or '[2001:db8::7]:51515'",
				  "'%s' is not an address and port", o.words.word[1]);
	if (!endpoint_parse(o.words.word[2], &to) || !to.port)
		return lbctl_fail(LBCTL_USAGE, "write 203.0.113.10:443 or '[2001:db8::10]:443'",
				  "'%s' is not an address and port", o.words.word[2]);
	return ask_explain(ctx, &o, &from, &to);
}

/* ---- flows ---- */

static char *seconds_text(const json_t *o, const char *key)
{
	char *s = NULL;

	if (!json_is_integer(json_object_get(o, key)))
		return strdup("-");
	return asprintf(&s, "%llds", (long long)show_get_int(o, key)) < 0 ? NULL : s;
}

static void print_flows(const json_t *doc, struct lbctl *ctx)
{
	static const struct show_column columns[] = {
		{"SERVICE", 0},
		{"BACKEND", 0},
		{"ADDRESS", 0},
		{"TAG", 0},
		{"STATE", 0},
		{"IDLE", SHOW_RIGHT},
		{"EXPIRES", SHOW_RIGHT},
		{"GENERATION", SHOW_RIGHT},
		{NULL, 0},
	};
	struct show_table *t = show_table_new(ctx, columns);
	int64_t total = show_get_int(doc, "flows_total");
	json_t *list = json_object_get(doc, "flows"), *f;
	char number[48];
	size_t i;

	json_array_foreach (list, i, f) {
		bool valid = json_is_true(json_object_get(f, "valid"));

		show_table_row(t);
		show_put_text(t, show_get_text(f, "service"));
		show_put_text(t, show_get_text(f, "backend"));
		show_put_text(t, show_get_text(f, "address"));
		show_put_text(t, show_get_text(f, "tag"));
		show_put_text(t, show_get_text(f, "state"));
		show_put(t, seconds_text(f, "idle_s"));
		show_put(t, seconds_text(f, "expires_s"));
		snprintf(number, sizeof(number), "%lld%s", (long long)show_get_int(f, "generation"),
			 valid ? "" : " (over)");
		show_put_text(t, number);
	}
	show_table_print(t);
	printf("%zu of %lld tracked flows (%lld valid); settled slots track none\n", json_array_size(list),
	       (long long)total, (long long)show_get_int(doc, "flows_valid"));
}

static void add_to(json_t *doc, const json_t *page, const char *key)
{
	(void)json_object_set_new(doc, key, json_integer(show_get_int(doc, key) + show_get_int(page, key)));
}

/* The daemon answers about a part of a large table at a time: put the parts together. */
static int ask_flows(struct lbctl *ctx, const char *service, int limit, json_t **out)
{
	_cleanup_(client_closep) struct client c = CLIENT_INIT;
	json_t *doc = NULL, *page, *from = NULL;
	int r = client_open(ctx, &c);

	while (!r) {
		int left = limit - (int)json_array_size(json_object_get(doc, "flows"));

		r = client_ask(ctx, &c, "flows",
			       json_pack("{s:i, s:s*, s:O*}", "limit", left, "service", service, "from", from),
			       &page);
		if (r)
			break;
		if (doc) {
			add_to(doc, page, "flows_total");
			add_to(doc, page, "flows_valid");
			(void)json_array_extend(json_object_get(doc, "flows"), json_object_get(page, "flows"));
			(void)json_object_set(doc, "next", json_object_get(page, "next"));
			json_decref(page);
		} else {
			doc = page;
		}
		from = json_object_get(doc, "next");
		if (!json_is_integer(from))
			break;
	}
	if (r)
		json_decref(doc);
	else
		*out = doc;
	return r;
}

struct flows_options {
	struct lbctl_words words; /* first: lbctl_parse_words() takes us for it */
	int limit;
};

static error_t parse_flows(int key, char *arg, struct argp_state *state)
{
	struct flows_options *o = state->input;
	char *end;
	long n;

	if (key != 'n')
		return lbctl_parse_words(key, arg, state);
	errno = 0;
	n = strtol(arg, &end, 10);
	if (errno || end == arg || *end || n < 0 || n > 10000)
		argp_error(state, "'%s' is not a number from 0 to 10000", arg);
	o->limit = (int)n;
	return 0;
}

int verb_flows(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp_option options[] = {
		{"limit", 'n', "N", 0, "Show at most N (default 1000, at most 10000; 0: only count)", 0},
		{0},
	};
	static const struct argp argp = {
		options,
		parse_flows,
		"[SERVICE]",
		"Tracked flows: those that a change has put at risk, and where they stay.\v"
		"A flow is known by a tag of its hash, not by its addresses. In steady state the list is "
		"empty: settled slots need no memory of flows. STATE is open; closing after a FIN, a RST or "
		"a long silence; or dead (not swept yet). A generation that is over: the flow was given up "
		"with its backend, the entry decides nothing.",
		NULL,
		NULL,
		NULL};
	struct flows_options o = {.words.max = 1, .limit = 1000};
	json_t *doc;
	int r;

	lbctl_parse(&argp, &o, argc, argv, ctx);
	r = ask_flows(ctx, o.words.n ? o.words.word[0] : NULL, o.limit, &doc);
	if (r)
		return r;
	if (ctx->json)
		show_json(doc);
	else
		print_flows(doc, ctx);
	json_decref(doc);
	return LBCTL_OK;
}

/* ---- doctor ---- */

static void print_doctor(const json_t *doc, struct lbctl *ctx)
{
	static const struct show_column columns[] = {
		{"", 0}, {"CHECK", 0}, {"OBJECT", 0}, {"RESULT", 0}, {NULL, 0}};
	struct show_table *t = show_table_new(ctx, columns);
	size_t i;
	json_t *c;

	json_array_foreach (json_object_get(doc, "checks"), i, c) {
		show_table_row(t);
		show_put_state(t, show_get_text(c, "status"));
		show_put_text(t, show_get_text(c, "name"));
		show_put_text(t, show_get_text(c, "object"));
		show_put_text(t, show_get_text(c, "message"));
	}
	show_table_print(t);
	json_array_foreach (json_object_get(doc, "checks"), i, c) {
		if (!*show_get_text(c, "hint"))
			continue;
		printf("%s %s: ", show_get_text(c, "name"), show_get_text(c, "object"));
		show_text(show_get_text(c, "hint"), stdout);
		fputc('\n', stdout);
	}
	printf("%lld errors, %lld warnings\n", (long long)show_get_int(doc, "errors"),
	       (long long)show_get_int(doc, "warnings"));
}

int verb_doctor(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		NULL,
		lbctl_parse_words,
		"",
		"Check what lbd needs from this host and its network: kernel, XDP, MTU, routes, neighbours.\v"
		"Exit code 5 when a check fails. On a backend's host use `lbctl backend-check`.",
		NULL,
		NULL,
		NULL};
	struct lbctl_words none = {0};
	json_t *doc;
	int r;

	lbctl_parse(&argp, &none, argc, argv, ctx);
	r = client_call(ctx, "doctor", NULL, &doc);
	if (r)
		return r;
	if (ctx->json)
		show_json(doc);
	else
		print_doctor(doc, ctx);
	r = show_get_int(doc, "errors") ? LBCTL_FAILED : LBCTL_OK;
	json_decref(doc);
	return r;
}
