// SPDX-License-Identifier: Apache-2.0
/* main.c - lbctl: options common to all verbs, the overview, and finding the verb. It knows no verb's
 * meaning. */
#include "show.h"
#include "verbs.h"
#include "core/cleanup.h"
#include "core/diag.h"

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *argp_program_version = "lbctl " LBD_VERSION;

enum { OPT_SOCKET = 's', OPT_JSON = 'j', OPT_NO_COLOUR = 0x100 };

static const struct argp_option common_options[] = {
	{"socket", OPT_SOCKET, "PATH", 0,
	 "Socket of the daemon (default " LBCTL_SOCKET_DEFAULT ", or $LBD_SOCKET)", -2},
	{"json", OPT_JSON, NULL, 0, "Print the daemon's own document, for machines", -2},
	{"no-colour", OPT_NO_COLOUR, NULL, 0, "Plain text even on a terminal (as does $NO_COLOR)", -2},
	{"no-color", OPT_NO_COLOUR, NULL, OPTION_ALIAS, NULL, -2},
	{0},
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct lbctl *ctx = state->input;

	switch (key) {
	case OPT_SOCKET:
		ctx->socket = arg;
		return 0;
	case OPT_JSON:
		ctx->json = true;
		ctx->colour = false;
		return 0;
	case OPT_NO_COLOUR:
		ctx->colour = false;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp common_argp = {common_options, parse_common, NULL, NULL, NULL, NULL, NULL};

/* Hands its own input to the verb's parser and the context to the common one. */
struct verb_inputs {
	void *verb;
	struct lbctl *ctx;
};

static error_t parse_verb(int key, char *arg, struct argp_state *state)
{
	const struct verb_inputs *in = state->input;

	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = in->verb;
	state->child_inputs[1] = in->ctx;
	return 0;
}

void lbctl_parse(const struct argp *argp, void *input, int argc, char **argv, struct lbctl *ctx)
{
	const struct argp own = {argp->options, argp->parser, NULL, NULL, NULL, argp->help_filter, NULL};
	const struct argp_child children[] = {{&own, 0, NULL, 0}, {&common_argp, 0, NULL, 0}, {0}};
	const struct argp whole = {NULL, parse_verb, argp->args_doc, argp->doc, children, NULL, NULL};
	struct verb_inputs in = {input, ctx};

	if (argp_parse(&whole, argc, argv, 0, NULL, &in))
		exit(LBCTL_USAGE);
}

/* jansson's own opinion: what it refuses would silently be missing from a request. */
static bool is_utf8(const char *word)
{
	json_t *j = json_string(word);

	json_decref(j);
	return j != NULL;
}

error_t lbctl_parse_words(int key, char *arg, struct argp_state *state)
{
	struct lbctl_words *w = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (w->n >= w->max)
			argp_error(state, "'%s' is one word too many", arg);
		if (!is_utf8(arg))
			argp_error(state, "word %u is not valid UTF-8", w->n + 1);
		w->word[w->n++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (w->n < w->min)
			argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

FILE *lbctl_messages;

int lbctl_fail(int exit_code, const char *hint, const char *fmt, ...)
{
	FILE *out = lbctl_messages ? lbctl_messages : stderr;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fputs("lbctl: ", out);
	show_text(text, out); /* it may quote what the daemon was told by strangers */
	fputc('\n', out);
	if (hint && *hint) {
		fputs("hint: ", out);
		show_text(hint, out);
		fputc('\n', out);
	}
	return exit_code;
}

int lbctl_fail_err(int exit_code, const struct err *err)
{
	return lbctl_fail(exit_code, err->hint, "%s", err->msg);
}

static const char *const group_titles[LBCTL_GROUP_MAX] = {
	[LBCTL_LOOK] = "Look",
	[LBCTL_CHANGE] = "Change (root, or the group of `control: group`)",
	[LBCTL_CONFIGURE] = "Configuration",
	[LBCTL_HOST] = "This host",
};

/* argp owns what we return when it differs from @text: it must come from malloc. */
static char *overview(int key, const char *text, void *input)
{
	char *out = NULL;
	size_t len;
	FILE *f;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	f = open_memstream(&out, &len);
	if (!f)
		return (char *)text;
	for (int g = 0; g < LBCTL_GROUP_MAX; g++) {
		fprintf(f, "%s%s:\n", g ? "\n" : "", group_titles[g]);
		for (const struct lbctl_verb *v = lbctl_verbs; v->name; v++)
			if ((int)v->group == g)
				fprintf(f, "  %-16s %s\n", v->name, v->help);
	}
	fputs("\nExamples:\n"
	      "  lbctl status                       is all well?\n"
	      "  lbctl backends web                 who serves, and why the others do not\n"
	      "  lbctl drain web 10.0.1.11          no new connections; established ones stay\n"
	      "  lbctl check lbd.yaml && lbctl reload\n"
	      "  lbctl backends --json | jq '.backends[] | select(.state != \"healthy\")'\n"
	      "\nlbctl VERB --help explains a verb. Exit codes: 0 done, 1 wrong command line, 2 no daemon, 3 "
	      "denied,\n"
	      "4 not found or invalid, 5 failed. See lbctl(8).",
	      f);
	if (fclose(f)) {
		free(out);
		return (char *)text;
	}
	return out;
}

static error_t parse_main(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_INIT) {
		state->child_inputs[0] = state->input;
		return 0;
	}
	if (key == ARGP_KEY_NO_ARGS)
		argp_usage(state);
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_child main_children[] = {{&common_argp, 0, NULL, 0}, {0}};
static const struct argp main_argp = {NULL,
				      parse_main,
				      "VERB [ARGUMENT...]",
				      "Look at and steer lbd, the load balancer on this host.\v",
				      main_children,
				      overview,
				      NULL};

static int run_verb(int argc, char **argv, struct lbctl *ctx)
{
	const char *names[64] = {NULL}, *near;
	size_t n = 0;

	for (const struct lbctl_verb *v = lbctl_verbs; v->name; v++) {
		_cleanup_free_ char *title = NULL;

		if (n + 1 < ARRAY_SIZE(names))
			names[n++] = v->name;
		if (strcmp(v->name, argv[0]) != 0)
			continue;
		if (asprintf(&title, "lbctl %s", v->name) < 0)
			return LBCTL_FAILED;
		argv[0] = title;
		return v->run(argc, argv, ctx);
	}
	near = diag_suggest(argv[0], names);
	if (near)
		return lbctl_fail(LBCTL_USAGE, "lbctl --help lists all verbs",
				  "no verb '%s': did you mean '%s'?", argv[0], near);
	return lbctl_fail(LBCTL_USAGE, "lbctl --help lists all verbs", "no verb '%s'", argv[0]);
}

struct help_options {
	struct lbctl_words words; /* first: lbctl_parse_words() takes us for it */
	bool list;
};

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
	struct help_options *o = state->input;

	if (key != 'l')
		return lbctl_parse_words(key, arg, state);
	o->list = true;
	return 0;
}

int verb_help(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp_option options[] = {
		{"list", 'l', NULL, 0, "Only the verbs, one a line (for completion)", 0},
		{0},
	};
	static const struct argp argp = {options, parse_help, "[VERB]", "Explain a verb, or list them all.",
					 NULL,    NULL,       NULL};
	struct help_options o = {.words.max = 1};
	char help[] = "--help", self[] = "lbctl";
	char *again[] = {NULL, help, NULL};

	lbctl_parse(&argp, &o, argc, argv, ctx);
	if (o.list) {
		for (const struct lbctl_verb *v = lbctl_verbs; v->name; v++)
			puts(v->name);
		return LBCTL_OK;
	}
	if (!o.words.n) {
		argp_help(&main_argp, stdout, ARGP_HELP_STD_HELP & ~(ARGP_HELP_EXIT_OK | ARGP_HELP_EXIT_ERR),
			  self);
		return LBCTL_OK;
	}
	again[0] = (char *)o.words.word[0];
	return run_verb(2, again, ctx);
}

int main(int argc, char **argv)
{
	const char *env = getenv("LBD_SOCKET");
	struct lbctl ctx = {.socket = env && *env ? env : LBCTL_SOCKET_DEFAULT};
	int first;

	(void)setlocale(LC_ALL, "");
	(void)setenv("ARGP_HELP_FMT", "rmargin=100,no-dup-args-note", 0);
	argp_err_exit_status = LBCTL_USAGE;
	ctx.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	if (argp_parse(&main_argp, argc, argv, ARGP_IN_ORDER, &first, &ctx))
		return LBCTL_USAGE;
	return run_verb(argc - first, argv + first, &ctx);
}
