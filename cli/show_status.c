// SPDX-License-Identifier: Apache-2.0
/* show_status.c - lbctl status, version, stats. */
#include "client.h"
#include "show.h"
#include "verbs.h"
#include "core/cleanup.h"

#include <string.h>

/* ---- colours outside of tables ---- */

static const char *on(const struct lbctl *ctx, const char *state)
{
	const char *colour = ctx->colour ? show_state_colour(state) : NULL;

	if (!colour)
		return "";
	return !strcmp(colour, "red")      ? "\033[31m"
	       : !strcmp(colour, "green")  ? "\033[32m"
	       : !strcmp(colour, "yellow") ? "\033[33m"
					   : "\033[36m";
}

static const char *off(const struct lbctl *ctx)
{
	return ctx->colour ? "\033[0m" : "";
}

/* ---- status ---- */

static void print_daemon(const json_t *doc, const struct lbctl *ctx)
{
	const json_t *d = json_object_get(doc, "daemon");
	int64_t now = show_get_int(doc, "time_ns");
	_cleanup_free_ char *up = show_age(show_get_int(d, "started_ns"), now);
	_cleanup_free_ char *loaded = show_age(show_get_int(d, "loaded_ns"), now);

	printf("lbd %s on Linux %s, up %s\n", show_get_text(d, "version"), show_get_text(d, "kernel"), up);
	fputs("config      ", stdout);
	show_text(show_get_text(d, "config_file"), stdout);
	printf(", loaded %s ago", loaded);
	if (*show_get_text(d, "reload_error"))
		printf(", %slast reload refused%s", on(ctx, "error"), off(ctx));
	fputc('\n', stdout);
}

static void print_interfaces(const json_t *doc, const struct lbctl *ctx)
{
	size_t i;
	json_t *x;

	fputs("interfaces ", stdout);
	json_array_foreach (json_object_get(doc, "interfaces"), i, x) {
		fputs(i ? ", " : " ", stdout);
		show_text(show_get_text(x, "name"), stdout);
		if (json_is_true(json_object_get(x, "attached")))
			printf(" %s", show_get_text(x, "mode"));
		else
			printf(" %sNOT ATTACHED%s", on(ctx, "error"), off(ctx));
	}
	fputc('\n', stdout);
}

/* ", 3 word" for each member of @o above 0, coloured by the word; @skip is not printed. */
static void print_counts(const json_t *o, const char *skip, const struct lbctl *ctx)
{
	const char *key, *sep = ": ";
	json_t *value;

	json_object_foreach ((json_t *)o, key, value) {
		if (!strcmp(key, skip) || json_integer_value(value) <= 0)
			continue;
		printf("%s%s%lld %s%s", sep, on(ctx, key), (long long)json_integer_value(value), key,
		       off(ctx));
		sep = ", ";
	}
}

static void print_totals(const json_t *doc, const struct lbctl *ctx)
{
	const json_t *services = json_object_get(doc, "services"),
		     *backends = json_object_get(doc, "backends");
	const json_t *slots = json_object_get(doc, "slots"), *traffic = json_object_get(doc, "traffic");
	int64_t settled = show_get_int(slots, "settled"), p1 = show_get_int(slots, "p1"),
		p2 = show_get_int(slots, "p2");
	int64_t all = settled + p1 + p2;
	_cleanup_free_ char *share = show_percent(all ? (double)settled / (double)all : 1);
	_cleanup_free_ char *packets = show_count((uint64_t)show_get_int(traffic, "packets"));
	_cleanup_free_ char *bytes = show_bytes((uint64_t)show_get_int(traffic, "bytes"));
	_cleanup_free_ char *dropped = show_count((uint64_t)show_get_int(traffic, "dropped"));
	_cleanup_free_ char *maps = show_bytes((uint64_t)show_get_int(doc, "map_bytes"));

	printf("services    %lld", (long long)show_get_int(services, "total"));
	print_counts(services, "total", ctx);
	printf("\nbackends    %lld, %lld serving", (long long)show_get_int(backends, "total"),
	       (long long)show_get_int(backends, "serving"));
	print_counts(json_object_get(backends, "states"), "", ctx);
	if (show_get_int(backends, "overridden"))
		printf("; %lld overridden by the operator", (long long)show_get_int(backends, "overridden"));
	printf("\nslots       %lld, %s settled", (long long)all, share);
	if (p1 + p2)
		printf("; in transition: %lld in their grace time, %lld after it", (long long)p1,
		       (long long)p2);
	printf("\ntraffic     %s packets, %s to backends; %s dropped\n", packets, bytes, dropped);
	printf("memory      %s of BPF maps\n", maps);
}

static void print_problems(const json_t *doc, const struct lbctl *ctx)
{
	static const struct show_column columns[] = {{"", 0}, {"WHERE", 0}, {"PROBLEM", 0}, {NULL, 0}};
	json_t *list = json_object_get(doc, "problems"), *p;
	int64_t more = show_get_int(doc, "problems_total") - (int64_t)json_array_size(list);
	struct show_table *t;
	size_t i;

	if (!json_array_size(list)) {
		printf("problems    %snone%s\n", on(ctx, "ok"), off(ctx));
		return;
	}
	fputs("problems\n", stdout);
	t = show_table_new(ctx, columns);
	json_array_foreach (list, i, p) {
		_cleanup_free_ char *text = NULL;
		const char *hint = show_get_text(p, "hint");

		if (asprintf(&text, "%s%s%s%s", show_get_text(p, "message"), *hint ? " (" : "", hint,
			     *hint ? ")" : "") < 0)
			text = NULL;
		show_table_row(t);
		show_put_state(t, show_get_text(p, "severity"));
		show_put_text(t, show_get_text(p, "where"));
		show_put_text(t, text ? text : "");
	}
	show_table_print(t);
	if (more > 0)
		printf("and %lld more: lbctl backends\n", (long long)more);
}

static void print_status(const json_t *doc, struct lbctl *ctx)
{
	print_daemon(doc, ctx);
	print_interfaces(doc, ctx);
	print_totals(doc, ctx);
	print_problems(doc, ctx);
}

int verb_status(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		NULL,
		lbctl_parse_words,
		"",
		"The daemon, its interfaces, services and backends in a few lines, and what is "
		"wrong.\v"
		"A problem comes with the verb that tells more. The exit code says whether the "
		"daemon answered, not whether there are problems; for scripts:\n"
		"  lbctl status --json | jq -e '.problems_total == 0'",
		NULL,
		NULL,
		NULL};
	struct lbctl_words none = {0};

	lbctl_parse(&argp, &none, argc, argv, ctx);
	return client_show(ctx, "status", NULL, print_status);
}

/* ---- version ---- */

static void print_version(const json_t *doc, struct lbctl *ctx)
{
	printf("lbctl " LBD_VERSION "\nlbd %s, protocol %lld, map layout %lld, Linux %s\n",
	       show_get_text(doc, "lbd"), (long long)show_get_int(doc, "protocol"),
	       (long long)show_get_int(doc, "layout"), show_get_text(doc, "kernel"));
}

int verb_version(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		NULL, lbctl_parse_words, "", "Versions of lbctl and of the running daemon.", NULL, NULL,
		NULL};
	struct lbctl_words none = {0};

	lbctl_parse(&argp, &none, argc, argv, ctx);
	return client_show(ctx, "version", NULL, print_version);
}

/* ---- statistics ---- */

static bool all_zero(const json_t *o)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)o, key, value)
		if (json_integer_value(value))
			return false;
	return true;
}

static void print_pairs(const json_t *o, const struct lbctl *ctx, const char *title)
{
	const struct show_column columns[] = {{title, 0}, {"PACKETS", SHOW_RIGHT}, {NULL, 0}};
	struct show_table *t = show_table_new(ctx, columns);
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)o, key, value) {
		char number[32];

		if (!json_integer_value(value))
			continue;
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		show_table_row(t);
		show_put_text(t, key);
		show_put_text(t, number);
	}
	show_table_print(t);
}

static void print_stats(const json_t *doc, struct lbctl *ctx)
{
	static const struct show_column columns[] = {
		{"SERVICE", 0},
		{"PACKETS", SHOW_RIGHT},
		{"BYTES", SHOW_RIGHT},
		{"LOOKUPS", SHOW_RIGHT},
		{"HITS", SHOW_RIGHT},
		{"INSERTS", SHOW_RIGHT},
		{"BUDGET DROPS", SHOW_RIGHT},
		{NULL, 0},
	};
	const json_t *outcomes = json_object_get(doc, "outcomes");
	struct show_table *t = show_table_new(ctx, columns);
	size_t i;
	json_t *s;

	json_array_foreach (json_object_get(doc, "services"), i, s) {
		const json_t *steer = json_object_get(s, "steering");

		show_table_row(t);
		show_put_text(t, show_get_text(s, "name"));
		show_put(t, show_count((uint64_t)show_get_int(s, "packets")));
		show_put(t, show_bytes((uint64_t)show_get_int(s, "bytes")));
		show_put(t, show_count((uint64_t)show_get_int(steer, "lookup")));
		show_put(t, show_count((uint64_t)show_get_int(steer, "hit")));
		show_put(t, show_count((uint64_t)show_get_int(steer, "insert")));
		show_put(t, show_count((uint64_t)show_get_int(steer, "budget_drop")));
	}
	show_table_print(t);
	if (all_zero(outcomes)) {
		puts("\nEvery packet so far was sent to a backend.");
		return;
	}
	puts("\nPackets that were not sent to a backend (tx_*: answered by lbd itself):");
	print_pairs(outcomes, ctx, "OUTCOME");
}

int verb_stats(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		NULL,
		lbctl_parse_words,
		"",
		"Packet counters: per service, and by outcome for what was not sent to a backend.\v"
		"Counters of 0 are left out; --json has them all. Lookups, hits, inserts: packets that met a "
		"slot in "
		"transition. Every packet counts once: at its backend or at an outcome.",
		NULL,
		NULL,
		NULL};
	struct lbctl_words none = {0};

	lbctl_parse(&argp, &none, argc, argv, ctx);
	return client_show(ctx, "stats", NULL, print_stats);
}
