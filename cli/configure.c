// SPDX-License-Identifier: Apache-2.0
/* configure.c - lbctl check (works without the daemon), diff, reload. */
#include "client.h"
#include "show.h"
#include "verbs.h"
#include "core/config.h"
#include "core/report.h"

#include <stdlib.h>
#include <string.h>

/* ---- check ---- */

static void diags_donep(struct diags *d)
{
	diags_done(d);
}

static void config_totals(const struct config *c, unsigned int *vips, unsigned int *backends)
{
	*vips = *backends = 0;
	for (unsigned int i = 0; i < c->n_services; i++) {
		*vips += c->services[i].n_vips;
		*backends += c->services[i].n_backends;
	}
}

int verb_check(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {
		NULL,
		lbctl_parse_words,
		"[FILE]",
		"Check a configuration file (default " LBCTL_CONFIG_DEFAULT ") without touching anything.\v"
		"All errors are shown in one run, each with its place, the line, and a hint. Works without a "
		"running lbd "
		"and without privileges. Exit code 0: usable (there may be warnings); 4: it has errors.\n\n"
		"Examples:\n"
		"  lbctl check lbd.yaml && sudo install lbd.yaml /etc/lbd/ && lbctl reload\n"
		"  lbctl check --json lbd.yaml | jq '.diagnostics[].message'",
		NULL,
		NULL,
		NULL};
	struct lbctl_words words = {.max = 1};
	__attribute__((cleanup(config_freep))) struct config *c = NULL;
	__attribute__((cleanup(diags_donep))) struct diags diags;
	unsigned int vips = 0, backends = 0;
	const char *file;

	lbctl_parse(&argp, &words, argc, argv, ctx);
	file = words.word[0] ? words.word[0] : LBCTL_CONFIG_DEFAULT;
	diags_init(&diags);
	(void)config_load_file(file, &c, &diags);
	diags_sort(&diags);
	if (ctx->json) {
		json_t *doc = json_pack("{s:s, s:i}", "document", "check", "version", 1);

		(void)json_object_update_new(doc, report_diags(&diags));
		show_json(doc);
		json_decref(doc);
		return c ? LBCTL_OK : LBCTL_INVALID;
	}
	diags_print(&diags, stderr);
	if (!c)
		return lbctl_fail(LBCTL_INVALID, NULL, "%s: %zu error%s", file, diags_errors(&diags),
				  diags_errors(&diags) == 1 ? "" : "s");
	config_totals(c, &vips, &backends);
	printf("%s: good: %u services on %u addresses, %u backends\n", file, c->n_services, vips, backends);
	return LBCTL_OK;
}

/* ---- diff and reload ---- */

static void print_moves(const json_t *doc)
{
	size_t i;
	json_t *s;

	json_array_foreach (json_object_get(doc, "services"), i, s) {
		int64_t moved = show_get_int(s, "slots_moved"), m = show_get_int(s, "table_size");

		if (!moved || !m)
			continue;
		fputs("service ", stdout);
		show_text(show_get_text(s, "name"), stdout);
		printf(": %lld of %lld slots move (%.1f%%)\n", (long long)moved, (long long)m,
		       100.0 * (double)moved / (double)m);
	}
}

static void print_diff(const json_t *doc, struct lbctl *ctx)
{
	int64_t n = show_get_int(doc, "changes");
	size_t i;
	json_t *op;

	show_diags(json_object_get(doc, "diagnostics"), stderr); /* warnings */
	if (!n) {
		puts("nothing differs");
		return;
	}
	json_array_foreach (json_object_get(doc, "operations"), i, op) {
		fputs("  ", stdout);
		show_text(json_string_value(op) ? json_string_value(op) : "", stdout);
		fputc('\n', stdout);
	}
	print_moves(doc);
	printf("%lld operation%s%s\n", (long long)n, n == 1 ? "" : "s",
	       strcmp(show_get_text(doc, "document"), "reload") ? " would be done by a reload" : " done");
}

int verb_diff(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {NULL,
					 lbctl_parse_words,
					 "[FILE]",
					 "What a reload of FILE (default: the daemon's own file) would "
					 "change, in services, backends and slots.\v"
					 "Nothing is changed. The daemon reads FILE, with its own rights.\n\n"
					 "Examples:\n"
					 "  lbctl diff\n"
					 "  lbctl diff ./lbd.yaml",
					 NULL,
					 NULL,
					 NULL};
	struct lbctl_words words = {.max = 1};
	char *path = NULL;
	json_t *args = NULL;

	lbctl_parse(&argp, &words, argc, argv, ctx);
	if (words.n) {
		/* The daemon has another working directory. */
		path = realpath(words.word[0], NULL);
		if (!path)
			return lbctl_fail(LBCTL_INVALID, NULL, "%s: %m", words.word[0]);
		args = json_pack("{s:s}", "file", path);
		free(path);
		if (!args)
			return lbctl_fail(LBCTL_INVALID, NULL, "%s: its full path is not valid UTF-8",
					  words.word[0]);
	}
	return client_show(ctx, "diff", args, print_diff);
}

int verb_reload(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp argp = {NULL,
					 lbctl_parse_words,
					 "",
					 "Read the configuration file again and apply what differs.\v"
					 "The file is checked whole first: with one error nothing changes, "
					 "and all errors are shown. What is not "
					 "different is not touched: health, counters, connections and the "
					 "operator's overrides stay. Same as "
					 "`systemctl reload lbd`, with an answer.",
					 NULL,
					 NULL,
					 NULL};
	struct lbctl_words none = {0};

	lbctl_parse(&argp, &none, argc, argv, ctx);
	return client_show(ctx, "reload", NULL, print_diff);
}
