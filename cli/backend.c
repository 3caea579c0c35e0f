// SPDX-License-Identifier: Apache-2.0
/* backend.c - the verbs backend-setup, backend-check and backend-undo: words in, lines or JSON out. See
 * backend.h. */
#include "backend.h"
#include "core/cleanup.h"
#include "verbs.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define STATE_FILE "/run/lbd/backend.json"
#define GUE_PORT_DEFAULT 6080

enum { OPT_VIP = 0x200, OPT_INTERFACE, OPT_MODE, OPT_DECAP, OPT_MSS, OPT_GUE_PORT, OPT_STATE, OPT_PIN_DIR };

struct words {
	const char *vip, *interface, *mode, *decap, *mss, *gue_port, *pin_dir;
	const char *state;
	bool dry_run;
};

static error_t parse_words(int key, char *arg, struct argp_state *state)
{
	struct words *w = state->input;
	static const size_t places[] = {
		[OPT_VIP - OPT_VIP] = offsetof(struct words, vip),
		[OPT_INTERFACE - OPT_VIP] = offsetof(struct words, interface),
		[OPT_MODE - OPT_VIP] = offsetof(struct words, mode),
		[OPT_DECAP - OPT_VIP] = offsetof(struct words, decap),
		[OPT_MSS - OPT_VIP] = offsetof(struct words, mss),
		[OPT_GUE_PORT - OPT_VIP] = offsetof(struct words, gue_port),
		[OPT_STATE - OPT_VIP] = offsetof(struct words, state),
		[OPT_PIN_DIR - OPT_VIP] = offsetof(struct words, pin_dir),
	};

	if (key == 'n') {
		w->dry_run = true;
		return 0;
	}
	if (key == ARGP_KEY_ARG)
		argp_error(state, "'%s': this verb takes options only", arg);
	if (key < OPT_VIP || key > OPT_PIN_DIR)
		return ARGP_ERR_UNKNOWN;
	*(const char **)((char *)w + places[key - OPT_VIP]) = arg;
	return 0;
}

#define DESCRIBING                                                                                           \
	{"vip", OPT_VIP, "ADDRESS[,...]", 0, "The services' addresses, IPv4 and IPv6", 1},                   \
		{"interface", OPT_INTERFACE, "NAME[,...]", 0, "Where the balancers' packets arrive", 1},     \
		{"mode", OPT_MODE, "ipip|gue|l2", 0, "As `forward:` in the balancers' configuration", 1},    \
		{"decap",                                                                                    \
		 OPT_DECAP,                                                                                  \
		 "auto|kernel|xdp",                                                                          \
		 0,                                                                                          \
		 "Who takes the outer header off: the kernel's tunnel devices or lbd's XDP program "         \
		 "(default "                                                                                 \
		 "auto: the kernel's if it has them)",                                                       \
		 1},                                                                                         \
		{"mss",                                                                                      \
		 OPT_MSS,                                                                                    \
		 "auto|N|off",                                                                               \
		 0,                                                                                          \
		 "TCP segment size to announce to clients: for IPv4, IPv6 gets 20 less (default auto: from " \
		 "the MTU)",                                                                                 \
		 1},                                                                                         \
		{"gue-port", OPT_GUE_PORT, "N", 0, "UDP port of GUE (default 6080)", 1},                     \
	{                                                                                                    \
		"pin-dir", OPT_PIN_DIR, "DIR", 0, "Pins of the XDP program (default " BACKEND_PIN_DIR ")", 2 \
	}
#define STATE_OPTION                                                                                         \
	{                                                                                                    \
		"state", OPT_STATE, "FILE", 0,                                                               \
			"What was changed, and what was before (default " STATE_FILE ")", 2                  \
	}
#define DRY_RUN_OPTION                                                                                       \
	{                                                                                                    \
		"dry-run", 'n', NULL, 0, "Say what would change, and change nothing", 1                      \
	}

/* ---- options
 * ----------------------------------------------------------------------------------------------------- */

static int choice(const char *word, const char *const *names, int n, const char *option, struct err *err)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], word) == 0)
			return i;
	return err_set(err, -EINVAL, "--%s: '%s' is not one of its words; see --help", option, word);
}

static int number(const char *word, unsigned int min, unsigned int max, const char *option, struct err *err)
{
	char *end;
	unsigned long v = strtoul(word, &end, 10);

	if (!*word || *end || *word == '-' || v < min || v > max)
		return err_set(err, -EINVAL, "--%s: '%s' is not a number from %u to %u", option, word, min,
			       max);
	return (int)v;
}

static int parse_vips(const char *list, struct backend_options *o, struct err *err)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *word;

	o->n_vips = 0;
	while (copy && (word = strsep(&rest, ","))) {
		struct lb_addr a;

		if (addr_parse(word, &a) || addr_is_unusable(&a)) {
			err_set(err, -EINVAL, "--vip: '%s' is not an address that a service can have", word);
			err_hint(err, "addresses, separated by commas: --vip 203.0.113.10,2001:db8::10");
			return -EINVAL;
		}
		for (unsigned int i = 0; i < o->n_vips; i++)
			if (addr_cmp(&o->vips[i], &a) == 0)
				return err_set(err, -EINVAL, "--vip: %s is there twice", word);
		if (o->n_vips == BACKEND_VIPS_MAX)
			return err_set(err, -E2BIG, "--vip: more than %d addresses", BACKEND_VIPS_MAX);
		o->vips[o->n_vips++] = a;
	}
	return copy ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int parse_interfaces(const char *list, struct backend_options *o, struct err *err)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *word;

	o->n_interfaces = 0;
	while (copy && (word = strsep(&rest, ","))) {
		if (!*word || strlen(word) >= IF_NAMESIZE || strchr(word, '/') || strcmp(word, "lo") == 0)
			return err_set(err, -EINVAL,
				       "--interface: '%s' is no interface that packets arrive by", word);
		if (o->n_interfaces == BACKEND_INTERFACES_MAX)
			return err_set(err, -E2BIG, "--interface: more than %d interfaces",
				       BACKEND_INTERFACES_MAX);
		strcpy(o->interfaces[o->n_interfaces++], word);
	}
	return copy ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int parse_scalars(const struct words *w, struct backend_options *o, struct err *err)
{
	int r = 0;

	if (w->mode && (r = choice(w->mode, backend_mode_names, BACKEND_MODE_MAX, "mode", err)) >= 0)
		o->mode = (enum backend_mode)r;
	if (r >= 0 && w->decap &&
	    (r = choice(w->decap, backend_decap_names, BACKEND_DECAP_MAX, "decap", err)) >= 0)
		o->decap = (enum backend_decap)r;
	if (r >= 0 && w->gue_port && (r = number(w->gue_port, 1, 65535, "gue-port", err)) >= 0)
		o->gue_port = (unsigned int)r;
	if (r < 0 || !w->mss)
		return r < 0 ? r : 0;
	if (strcmp(w->mss, "auto") == 0)
		o->mss = BACKEND_MSS_AUTO;
	else if (strcmp(w->mss, "off") == 0)
		o->mss = BACKEND_MSS_OFF;
	else if ((r = number(w->mss, 536, 65495, "mss", err)) >= 0)
		o->mss = r;
	return r < 0 ? r : 0;
}

/* What is not said is as in the last setup; without one, some of it must be said. */
static int parse_options(const struct words *w, const struct backend_state *s, struct backend_options *o,
			 struct err *err)
{
	int r = 0;

	memset(o, 0, sizeof(*o));
	o->mss = BACKEND_MSS_AUTO;
	o->gue_port = GUE_PORT_DEFAULT;
	strcpy(o->pin_dir, BACKEND_PIN_DIR);
	if (s->exists) {
		*o = s->options;
	} else if (!w->vip || !w->interface || !w->mode) {
		err_set(err, -EINVAL,
			"this host was not set up yet: --vip, --interface and --mode are needed");
		err_hint(err, "lbctl backend-setup --vip 203.0.113.10 --interface eth0 --mode ipip");
		return -EINVAL;
	}
	if (w->pin_dir && strlen(w->pin_dir) >= sizeof(o->pin_dir))
		return err_set(err, -EINVAL, "--pin-dir: the name is too long");
	if (w->pin_dir && s->exists && strcmp(w->pin_dir, s->options.pin_dir) != 0)
		return err_set(err, -EINVAL, "--pin-dir: the last setup used %s; undo that first",
			       s->options.pin_dir);
	if (w->pin_dir)
		strcpy(o->pin_dir, w->pin_dir);
	if (w->vip)
		r = parse_vips(w->vip, o, err);
	if (r == 0 && w->interface)
		r = parse_interfaces(w->interface, o, err);
	return r ? r : parse_scalars(w, o, err);
}

/* ---- what the three share
 * ------------------------------------------------------------------------------------------ */

struct session {
	struct backend_state state;
	struct backend_host host;
	struct backend_options options;
	struct backend_items plan;
	json_t *changes; /* with --json */
	bool dry_run, json;
	unsigned int n_changes;
};

static void session_done(struct session *s)
{
	backend_items_done(&s->plan);
	backend_host_close(&s->host);
	backend_state_close(&s->state);
	json_decref(s->changes);
}

static int exit_code(const struct err *err)
{
	switch (err->code) {
	case -EINVAL:
		return LBCTL_INVALID;
	case -EPERM:
	case -EACCES:
		return LBCTL_DENIED;
	default:
		return LBCTL_FAILED;
	}
}

/* State and lock. Even a look needs root: pins and state are root's. */
static int session_open(struct session *s, const struct words *w, const struct lbctl *ctx, struct err *err)
{
	memset(s, 0, sizeof(*s));
	s->state.lock_fd = -1;
	s->dry_run = w->dry_run;
	s->json = ctx->json;
	s->changes = json_array();
	if (geteuid() != 0) {
		err_set(err, -EPERM, "only root may look at or change this host's set-up");
		err_hint(err, "sudo lbctl ...");
		return -EPERM;
	}
	return backend_state_open(&s->state, w->state ? w->state : STATE_FILE, err);
}

/* Options, kernel, plan. */
static int session_plan(struct session *s, const struct words *w, struct err *err)
{
	int r = parse_options(w, &s->state, &s->options, err);

	if (r == 0)
		r = backend_host_open(&s->host, s->options.pin_dir, err);
	return r ? r : backend_plan(&s->host, &s->options, &s->plan, err);
}

static void on_change(const struct backend_item *item, const char *was, const char *is, void *userdata)
{
	const char *kind = backend_ops(item->kind)->name;
	struct session *s = userdata;

	s->n_changes++;
	if (s->json)
		json_array_append_new(s->changes, json_pack("{s:s, s:s, s:s, s:s}", "kind", kind, "name",
							    item->name, "was", was, "is", is));
	else
		printf("%s %s: %s -> %s\n", kind, item->name, was, is);
}

static void print_document(json_t *doc)
{
	json_dumpf(doc, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(doc);
}

static void print_outcome(struct session *s, const char *done, const char *nothing)
{
	if (s->json) {
		print_document(json_pack("{s:b, s:O}", "dry_run", s->dry_run, "changes", s->changes));
		return;
	}
	if (!s->n_changes)
		printf("%s\n", nothing);
	else
		printf("%u change%s %s\n", s->n_changes, s->n_changes == 1 ? "" : "s",
		       s->dry_run ? "would be made; nothing was touched" : done);
}

/* ---- the verbs
 * ----------------------------------------------------------------------------------------------------- */

int verb_backend_setup(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp_option options[] = {DESCRIBING, STATE_OPTION, DRY_RUN_OPTION, {0}};
	static const struct argp argp = {options,
					 parse_words,
					 NULL,
					 "Make this host a backend for direct server return: VIPs on lo, ARP "
					 "and rp_filter sysctls, the MSS "
					 "announced on its routes, decapsulation. What was there before is "
					 "noted, so that backend-undo puts it "
					 "back exactly. Words that are not given are as in the last setup; "
					 "doing it twice changes nothing. "
					 "Nothing here survives a reboot: run it at every boot.",
					 NULL,
					 NULL,
					 NULL};
	_cleanup_(session_done) struct session s;
	struct words w = {0};
	struct err err = {0};
	int r;

	lbctl_parse(&argp, &w, argc, argv, ctx);
	r = session_open(&s, &w, ctx, &err);
	if (r == 0)
		r = session_plan(&s, &w, &err);
	if (r == 0)
		r = backend_apply(&s.host, &s.state, &s.options, &s.plan, s.dry_run, on_change, &s, &err);
	if (r) {
		if (!s.dry_run && s.n_changes)
			fprintf(stderr, "lbctl: it did not go through; what had been changed was put back\n");
		return lbctl_fail_err(exit_code(&err), &err);
	}
	print_outcome(&s, "made", "all is as it should be; nothing was changed");
	return LBCTL_OK;
}

int verb_backend_undo(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp_option options[] = {STATE_OPTION, DRY_RUN_OPTION, {0}};
	static const struct argp argp = {options,
					 parse_words,
					 NULL,
					 "Put back what backend-setup changed on this host, the newest "
					 "change first, also after a setup that was "
					 "cut short. What cannot be put back stays noted: run it again.",
					 NULL,
					 NULL,
					 NULL};
	_cleanup_(session_done) struct session s;
	struct words w = {0};
	struct err err = {0};
	int r;

	lbctl_parse(&argp, &w, argc, argv, ctx);
	r = session_open(&s, &w, ctx, &err);
	if (r == 0 && !s.state.exists) {
		print_outcome(&s, "", "this host was not set up; nothing to undo");
		return LBCTL_OK;
	}
	if (r == 0)
		r = backend_host_open(&s.host, s.state.options.pin_dir, &err);
	if (r == 0)
		r = backend_undo(&s.host, &s.state, s.dry_run, on_change, &s, &err);
	if (r)
		return lbctl_fail_err(exit_code(&err), &err);
	print_outcome(&s, "undone", "all was as before already; forgotten");
	return LBCTL_OK;
}

static bool check_item(struct session *s, const struct backend_item *item, bool *ok, struct err *err)
{
	const struct backend_kind_ops *ops = backend_ops(item->kind);
	char is[BACKEND_VALUE_MAX], fix[512] = "";

	if (ops->get(&s->host, item->name, is, err))
		return false;
	*ok = strcmp(is, item->want) == 0;
	if (!*ok)
		ops->by_hand(item->name, item->want, fix, sizeof(fix));
	if (s->json)
		json_array_append_new(s->changes, json_pack("{s:b, s:s, s:s, s:s, s:s, s:s*}", "ok", *ok,
							    "kind", ops->name, "name", item->name, "want",
							    item->want, "is", is, "fix", *ok ? NULL : fix));
	else if (*ok)
		printf("OK     %s %s: %s\n", ops->name, item->name, is);
	else
		printf("WRONG  %s %s: %s, should be %s\n       by hand: %s\n", ops->name, item->name, is,
		       item->want, fix);
	return true;
}

int verb_backend_check(int argc, char **argv, struct lbctl *ctx)
{
	static const struct argp_option options[] = {DESCRIBING, STATE_OPTION, {0}};
	static const struct argp argp = {options,
					 parse_words,
					 NULL,
					 "Is this host still set up as a backend? Reads everything back from "
					 "the kernel: one line per check. "
					 "Without words it checks the last setup; with words also a host "
					 "that was set up by hand. Exit code 0: "
					 "all is right; 5: something is not.",
					 NULL,
					 NULL,
					 NULL};
	_cleanup_(session_done) struct session s;
	unsigned int wrong = 0;
	struct words w = {0};
	struct err err = {0};
	int r;

	lbctl_parse(&argp, &w, argc, argv, ctx);
	r = session_open(&s, &w, ctx, &err);
	if (r == 0)
		r = session_plan(&s, &w, &err);
	for (unsigned int i = 0; i < s.plan.n && r == 0; i++) {
		bool ok = false;

		if (!check_item(&s, &s.plan.v[i], &ok, &err))
			r = err.code;
		wrong += !ok;
	}
	if (r)
		return lbctl_fail_err(exit_code(&err), &err);
	if (s.json)
		print_document(json_pack("{s:b, s:O}", "ok", !wrong, "checks", s.changes));
	else if (wrong)
		printf("%u of %u checks failed: `lbctl backend-setup` mends all of it\n", wrong, s.plan.n);
	return wrong ? LBCTL_FAILED : LBCTL_OK;
}
