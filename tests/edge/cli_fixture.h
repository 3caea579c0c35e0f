/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_fixture.h - for the tests of lbctl: an invented daemon behind a real control socket (verbs with answers
 * as the real ones, see docs/control-protocol.md), and a shell that runs the real lbctl against it.
 */
#pragma once
#include "core/cleanup.h"
#include "core/report.h"
#include "core/request.h"
#include "fake_server.h"
#include "../sample_snapshot.h"

#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>

/* ---- the invented daemon ---- */

static struct snapshot snap;
static struct control *the_control;

/* Each look sees a second and 1000 packets of 100 bytes per backend more. */
static void live_on(void)
{
	snap.now_ns += 1000000000u;
	for (unsigned int i = 0; i < snap.n_services; i++)
		for (unsigned int j = 0; j < snap.services[i].n_backends; j++) {
			snap.services[i].backends[j].packets += 1000;
			snap.services[i].backends[j].bytes += 100000;
		}
}

static int run_status(void *userdata, json_t *args, json_t **data, struct err *err)
{
	return report_status(&snap, data, err);
}

static int run_version(void *userdata, json_t *args, json_t **data, struct err *err)
{
	return report_version(&snap, data, err);
}

static int run_stats(void *userdata, json_t *args, json_t **data, struct err *err)
{
	return report_stats(&snap, data, err);
}

static int run_services(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service = NULL;
	int r = request_unpack(args, err, "{s?s}", "service", &service);

	return r ? r : report_services(&snap, service, data, err);
}

static int run_backends(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service = NULL;
	int r = request_unpack(args, err, "{s?s}", "service", &service);

	live_on();
	return r ? r : report_backends(&snap, service, data, err);
}

static int run_table(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service;
	int r = request_unpack(args, err, "{s:s}", "service", &service);

	return r ? r : report_table(&snap, service, data, err);
}

/* drain, undrain, weight: changes the sample, and says so in an event. */
static int run_change(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const struct snapshot_service *svc;
	const struct snapshot_backend *b;
	const char *service, *backend;
	json_t *weight = NULL, *event, *services;
	int r = request_unpack(args, err, "{s:s, s:s, s?o}", "service", &service, "backend", &backend,
			       "weight", &weight);

	if (!r)
		r = report_find_service(&snap, strcmp(service, "*") ? service : "web", &svc, data, err);
	if (!r)
		r = report_find_backend(svc, backend, &b, data, err);
	if (r)
		return r;
	if (weight)
		((struct snapshot_backend *)b)->weight_override =
			json_is_integer(weight) ? (int)json_integer_value(weight) : -1;
	event = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "event", "backend_state", "service", svc->name,
			  "backend", b->name, "from", "healthy", "to", "draining", "reason",
			  "the operator\033[2J was here");
	control_event(the_control, event);
	json_decref(event);
	services = json_pack("[s]", svc->name);
	r = report_change(&snap, services, backend, data, err);
	json_decref(services);
	return r;
}

static int run_reload(void *userdata, json_t *args, json_t **data, struct err *err)
{
	*data = json_pack("{s:{s:s, s:i, s:[{s:s, s:i, s:i, s:i, s:s, s:s, s:s}]}}", "diagnostics", "file",
			  "/etc/lbd/lbd.yaml", "errors", 1, "diagnostics", "level", "error", "line", 12,
			  "column", 11, "length", 5, "message", "port: 70000 is not a port number", "hint",
			  "a port is a number from 1 to 65535", "text", "    port: 70000");
	return err_set(err, -EINVAL, "the configuration has 1 error: nothing was changed");
}

static int run_diff(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *file = NULL;
	int r = request_unpack(args, err, "{s?s}", "file", &file);

	if (r)
		return r;
	if (file)
		*data = json_pack("{s:s, s:i, s:[s, s], s:[{s:s, s:i, s:i}]}", "document", "diff", "changes",
				  2, "operations", "backend-add web/web5 10.0.1.15", "table-update web [2]",
				  "services", "name", "web", "table_size", 4093, "slots_moved", 41);
	else
		*data = json_pack("{s:s, s:i, s:[]}", "document", "diff", "changes", 0, "operations");
	return 0;
}

static int run_explain(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *protocol, *from, *to;
	const char *flags = "";
	int from_port, port, size = 0;
	int r = request_unpack(args, err, "{s:s, s:s, s:i, s:s, s:i, s?s, s?i}", "protocol", &protocol,
			       "source", &from, "source_port", &from_port, "destination", &to, "port", &port,
			       "flags", &flags, "size", &size);

	if (r)
		return r;
	*data = json_pack("{s:s, s:[s], s:s, s:i, s:s, s:s, s:{s:s, s:s}, s:s, s:s}", "document", "explain",
			  "steps", "the key is found", "service", "web", "slot", 7, "phase", "settled",
			  "hash", "0x1", "backend", "name", to, "address", from, "verdict",
			  !strcmp(flags, "syn") ? "tx" : "redirect", "why", size ? flags : protocol);
	return 0;
}

/* A table that is read in two parts: the second call must ask for the second, with what is left of the limit. */
static int run_flows(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service = NULL;
	int limit = -1, from = 0;
	int r = request_unpack(args, err, "{s?s, s?i, s?i}", "service", &service, "limit", &limit, "from", &from);

	if (r)
		return r;
	if (from && (from != 65536 || limit != 999))
		return err_set(err, -EINVAL, "from %d, limit %d", from, limit);
	*data = json_loads(
		from ? "{\"document\":\"flows\",\"flows_total\":2,\"flows_valid\":1,\"next\":null,\"flows\":[{"
		       "\"service\":\"web\",\"backend\":\"web2\",\"address\":\"10.0.1.12\",\"tag\":\"0x123456\","
		       "\"state\":\"closing\",\"idle_s\":null,\"expires_s\":12,\"generation\":4,\"valid\":false}]}" :
		       "{\"document\":\"flows\",\"flows_total\":3,\"flows_valid\":3,\"next\":65536,\"flows\":[{"
		       "\"service\":\"web\",\"backend\":\"web1\",\"address\":\"10.0.1.11\",\"tag\":\"0xabcdef\","
		       "\"state\":\"open\",\"idle_s\":8,\"expires_s\":900,\"generation\":1,\"valid\":true}]}",
		0, NULL);
	return 0;
}

/* web2 has one more failure; web1 answers. */
static int run_probe(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service, *backend;
	int r = request_unpack(args, err, "{s:s, s:s}", "service", &service, "backend", &backend);

	if (r)
		return r;
	snap.services[1].backends[!strcmp(backend, "web2")].checks++;
	*data = json_pack("{s:s, s:i, s:i}", "asks", "GET http://10.0.1.11:80/healthz", "timeout_ms", 300, "mark", 7);
	return 0;
}

static int run_doctor(void *userdata, json_t *args, json_t **data, struct err *err)
{
	*data = json_loads(
		"{\"document\":\"doctor\",\"errors\":1,\"warnings\":0,\"checks\":[{\"status\":\"error\","
		"\"name\":\"mtu\",\"object\":\"eth1\",\"message\":\"1400\",\"hint\":\"raise it\"}]}",
		0, NULL);
	return 0;
}

static int run_fail(void *userdata, json_t *args, json_t **data, struct err *err)
{
	return -EIO;
}

static const struct control_verb verbs[] = {
	{"status", false, run_status},
	{"version", false, run_version},
	{"stats", false, run_stats},
	{"services", false, run_services},
	{"backends", false, run_backends},
	{"table", false, run_table},
	{"drain", true, run_change},
	{"undrain", true, run_change},
	{"weight", true, run_change},
	{"disable", true, run_fail},
	{"reload", true, run_reload},
	{"diff", true, run_diff},
	{"explain", false, run_explain},
	{"flows", false, run_flows},
	{"probe", false, run_probe},
	{"doctor", false, run_doctor},
	{NULL, false, NULL},
};

static void setup(struct control *c, sd_event *event)
{
	the_control = c;
	sample_snapshot(&snap);
	/* What a server sent in a probe's answer must not reach a terminal as it is. */
	snprintf(snap.services[1].backends[1].reason, sizeof(snap.services[1].backends[1].reason),
		 "bad \033[31mred");
	fake_handle_term(event);
}

__attribute__((unused)) static int start(void **state)
{
	static struct fake_server s;
	const struct control_options o = {.group = "daemon", .verbs = verbs};

	*state = &s;
	return fake_start(&s, o, setup);
}

__attribute__((unused)) static int stop(void **state)
{
	return fake_stop(*state);
}

/* ---- running lbctl ---- */

struct result {
	int status;
	char out[65536]; /* stdout, and stderr after it */
};

/* A shell line, "$L" being lbctl and $LBD_SOCKET the fake daemon's socket. */
__attribute__((unused)) static void shell(const struct fake_server *s, struct result *r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
__attribute__((unused)) static void shell(const struct fake_server *s, struct result *r, const char *fmt, ...)
{
	char command[2048];
	va_list ap;
	size_t n;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	setenv("L", LBCTL, 1);
	setenv("LBD_SOCKET", s->path, 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("ASAN_OPTIONS", "detect_leaks=0", 0); /* lbctl leaves its memory to exit() on usage errors */
	fflush(NULL);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(r->out, 1, sizeof(r->out) - 1, f);
	r->out[n] = '\0';
	r->status = WEXITSTATUS(pclose(f));
}
