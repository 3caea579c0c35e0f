// SPDX-License-Identifier: Apache-2.0
/* main.c - lbd: arguments, the event loop, wiring; nothing else. */
#include "control.h"
#include "core/cleanup.h"
#include "core/config.h"
#include "dataplane.h"
#include "engine.h"
#include "handlers.h"
#include "http.h"
#include "log.h"
#include "privilege.h"
#include "probe_path.h"

#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#define DEFAULT_CONFIG "/etc/lbd/lbd.yaml"

const char *argp_program_version = "lbd " LBD_VERSION;

enum mode { MODE_RUN, MODE_CHECK, MODE_DETACH };

struct arguments {
	const char *config;
	const char *pin_dir;
	enum mode mode;
	bool print;
	bool verbose;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "Configuration file (default " DEFAULT_CONFIG ")", 0 },
	{ "check", 'C', "FILE", 0, "Check FILE, print every error in it, and exit: 0 = good, 1 = bad", 0 },
	{ "print", 'p', NULL, 0, "With --check: print the effective configuration, defaults filled in", 0 },
	{ "detach", 'D', NULL, 0, "Remove programs, links and maps from the kernel, and exit: traffic is no longer steered", 0 },
	{ "pin-dir", 'P', "DIR", 0, "With --detach: where the maps are pinned (default: from the configuration)", 0 },
	{ "verbose", 'v', NULL, 0, "Log every operation on the maps too", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'c':
		a->config = arg;
		return 0;
	case 'C':
		a->config = arg;
		a->mode = MODE_CHECK;
		return 0;
	case 'p':
		a->print = true;
		return 0;
	case 'D':
		a->mode = MODE_DETACH;
		return 0;
	case 'P':
		a->pin_dir = arg;
		return 0;
	case 'v':
		a->verbose = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.doc = "lbd - layer 4 load balancer on XDP.\v"
	       "lbd runs in the foreground. It leaves the data path in place when it ends, so that packets go on over a "
	       "restart or an upgrade; --detach takes it down. SIGHUP reads the configuration file again. lbctl talks to "
	       "the running daemon.",
};

static struct config *load(const char *path)
{
	_cleanup_(diags_done) struct diags diags;
	struct config *cfg = NULL;

	diags_init(&diags);
	(void)config_load_file(path, &cfg, &diags);
	diags_sort(&diags);
	diags_print(&diags, stderr);
	return cfg;
}

static int check(const struct arguments *a)
{
	_cleanup_(config_freep) struct config *cfg = load(a->config);

	if (!cfg)
		return EXIT_FAILURE;
	if (a->print) {
		_cleanup_free_ char *text = config_describe(cfg);

		fputs(text ? text : "", stdout);
		return text ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	printf("%s: good: %u services\n", a->config, cfg->n_services);
	return EXIT_SUCCESS;
}

/* Filters of probes that a killed daemon left: on every interface that has a pinned link ("link-eth0", ':' for '.'). */
static void remove_probe_filters(const char *pin_dir)
{
	DIR *dir = opendir(pin_dir);
	struct dirent *entry;
	char ifname[IF_NAMESIZE];
	struct err err = { 0 };

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "link-", 5) || strlen(entry->d_name + 5) >= sizeof(ifname))
			continue;
		strcpy(ifname, entry->d_name + 5);
		for (char *c = ifname; *c; c++)
			*c = *c == ':' ? '.' : *c;
		if (probe_path_remove(ifname, &err) < 0)
			log_err(&err);
	}
	if (dir)
		closedir(dir);
}

static int detach(const struct arguments *a)
{
	_cleanup_(config_freep) struct config *cfg = a->pin_dir ? NULL : load(a->config);
	struct err err = { 0 };

	if (!a->pin_dir && !cfg) {
		fprintf(stderr, "lbd: without a configuration, say where the maps are pinned: lbd --detach --pin-dir DIR\n");
		return EXIT_FAILURE;
	}
	remove_probe_filters(a->pin_dir ? a->pin_dir : cfg->dataplane.pin_dir);
	if (dataplane_detach_all(a->pin_dir ? a->pin_dir : cfg->dataplane.pin_dir, &err) < 0) {
		log_err(&err);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

/* ---- running -------------------------------------------------------------------------------------------------------- */

struct daemon {
	sd_event *event;
	struct engine *engine;
	struct control *control;
	struct http *http;
};

static void on_event(json_t *event, void *userdata)
{
	struct daemon *d = userdata;

	if (d->control)
		control_event(d->control, event);
}

static void on_ready(void *userdata)
{
	log_info("ready: packets are steered");
	(void)sd_notify(0, "READY=1\nSTATUS=steering packets");
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	_cleanup_(diags_done) struct diags diags;
	struct daemon *d = userdata;
	json_t *summary = NULL;
	struct err err = { 0 };

	diags_init(&diags);
	(void)sd_notify(0, "RELOADING=1");
	if (engine_reload(d->engine, &diags, &summary, &err) < 0) {
		diags_sort(&diags);
		diags_print(&diags, stderr);
		log_err(&err);
	}
	json_decref(summary);
	(void)sd_notify(0, "READY=1");
	return 0;
}

static int add_signal(struct daemon *d, int signal, sd_event_signal_handler_t handler)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Without a handler sd-event leaves the loop, and takes the pointer for the exit code. */
	return sd_event_add_signal(d->event, NULL, signal, handler, handler ? d : NULL);
}

static int set_up_loop(struct daemon *d, struct err *err)
{
	int r = sd_event_new(&d->event);

	signal(SIGPIPE, SIG_IGN);
	if (r >= 0)
		r = add_signal(d, SIGTERM, NULL); /* NULL: leave the loop */
	if (r >= 0)
		r = add_signal(d, SIGINT, NULL);
	if (r >= 0)
		r = add_signal(d, SIGHUP, on_hangup);
	if (r >= 0)
		r = sd_event_set_watchdog(d->event, 1);
	return r < 0 ? err_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static int serve_metrics(struct daemon *d, struct err *err)
{
	const struct config *cfg = engine_config(d->engine);
	struct http_options o = { .addr = cfg->metrics_addr, .port = cfg->metrics_port, .metrics = handler_metrics,
				  .healthy = handler_healthy, .userdata = d->engine };

	return http_new(&d->http, d->event, &o, err);
}

/* The socket comes first: two daemons on one socket must not both touch the data plane. */
static int set_up(struct daemon *d, const struct arguments *a, struct config *cfg, struct err *err)
{
	struct control_options co = { .path = cfg->control_socket, .group = cfg->control_group, .verbs = handler_verbs };
	struct engine_options eo = { .config_path = a->config, .on_event = on_event, .on_ready = on_ready, .userdata = d };
	_cleanup_(config_freep) struct config *owned = cfg;
	int r = set_up_loop(d, err);

	co.userdata = &d->engine;
	if (r == 0)
		r = control_new(&d->control, d->event, &co, err);
	if (r == 0)
		r = engine_new(&d->engine, d->event, take_ptr(owned), &eo, err);
	if (r == 0 && engine_config(d->engine)->has_metrics)
		r = serve_metrics(d, err);
	return r == 0 ? privilege_drop(err) : r;
}

static void tear_down(struct daemon *d)
{
	http_free(d->http);
	control_free(d->control);
	engine_free(d->engine);
	sd_event_unref(d->event);
}

static int run(const struct arguments *a)
{
	struct config *cfg = load(a->config);
	struct daemon d = { 0 };
	struct err err = { 0 };
	int r;

	if (!cfg)
		return EXIT_FAILURE;
	r = set_up(&d, a, cfg, &err);
	if (r < 0)
		log_err(&err);
	else
		r = sd_event_loop(d.event);
	(void)sd_notify(0, "STOPPING=1");
	if (r >= 0)
		log_info("stopping; the data path stays in place");
	tear_down(&d);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct arguments a = { .config = DEFAULT_CONFIG };

	if (argp_parse(&argp, argc, argv, 0, NULL, &a))
		return EXIT_FAILURE;
	log_open(a.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	switch (a.mode) {
	case MODE_CHECK:
		return check(&a);
	case MODE_DETACH:
		return detach(&a);
	case MODE_RUN:
		break;
	}
	return run(&a);
}
