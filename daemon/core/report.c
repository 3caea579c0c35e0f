// SPDX-License-Identifier: Apache-2.0
/* report.c - the documents about the whole daemon: version, status, statistics. */
#include "core/report.h"
#include "core/document.h"
#include "core/report_internal.h"
#include "core/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int report_finish(json_t *doc, json_t **data, struct err *err)
{
	if (!doc)
		return err_set(err, -ENOMEM, "out of memory");
	*data = doc;
	return 0;
}

int report_version(const struct snapshot *s, json_t **data, struct err *err)
{
	json_t *doc = document_new("version", 1, s->now_ns);

	if (json_object_update_new(doc, json_pack("{s:o, s:i, s:i, s:o}", "lbd", document_text(s->version),
						  "protocol", REQUEST_PROTOCOL, "layout", LB_LAYOUT_VERSION,
						  "kernel", document_text(s->kernel))))
		return report_finish(NULL, data, err);
	return report_finish(doc, data, err);
}

/* ---- status ---- */

struct problems {
	json_t *list;
	unsigned int n;
};

static void problem(struct problems *p, const char *severity, const char *where, const char *hint,
		    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static void problem(struct problems *p, const char *severity, const char *where, const char *hint,
		    const char *fmt, ...)
{
	char message[400];
	va_list ap;

	if (p->n++ >= REPORT_PROBLEMS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	(void)json_array_append_new(p->list,
				    json_pack("{s:s, s:o, s:o, s:o}", "severity", severity, "where",
					      document_text(where), "message", document_text(message), "hint",
					      hint ? document_text(hint) : json_null()));
}

static void host_problems(const struct snapshot *s, struct problems *p)
{
	for (unsigned int i = 0; i < s->n_interfaces; i++)
		if (!s->interfaces[i].attached)
			problem(p, "error", s->interfaces[i].name, "lbctl doctor says why",
				"the program is not attached: what comes in by this interface is not "
				"balanced");
	if (s->outcomes[LB_OUTCOME_DROP_INTERNAL])
		problem(p, "error", "program", "please report this with the output of lbctl stats",
			"%llu packets were dropped by an internal error",
			(unsigned long long)s->outcomes[LB_OUTCOME_DROP_INTERNAL]);
	if (s->reload_error[0])
		problem(p, "error", "configuration",
			"lbctl check shows all errors; the former configuration is in force",
			"the last reload was refused: %s", s->reload_error);
}

static void service_problems(const struct snapshot_service *svc, struct problems *p)
{
	enum snapshot_verdict v = snapshot_verdict(svc);

	if (v == SNAPSHOT_DOWN)
		problem(p, "error", svc->name, "lbctl backends says why",
			"no backend serves: its packets are dropped");
	if (svc->panic)
		problem(p, "error", svc->name, "lbctl backends says why",
			"panic: too few backends are healthy, so all that are not disabled serve");
	if (svc->mass_failure)
		problem(p, "warning", svc->name, "look at this host's own network first",
			"many backends fell silent at once: held back until they are proved down");
	for (unsigned int i = 0; i < svc->n_backends; i++) {
		const struct snapshot_backend *b = &svc->backends[i];
		char where[2 * LB_NAME_MAX + 2];

		if (!snapshot_failing(b) || !snapshot_weight(b))
			continue;
		snprintf(where, sizeof(where), "%s/%s", svc->name, b->name);
		if (!b->nexthop_ok)
			problem(p, "warning", where, "lbctl doctor checks routes and neighbours",
				"no next hop: %s", b->nexthop);
		else
			problem(p, "warning", where, NULL, "%s: %s", admission_state_name(b->state),
				b->reason);
	}
}

struct totals {
	__u64 services[SNAPSHOT_VERDICT_MAX];
	__u64 states[ADMISSION_STATE_MAX];
	__u64 backends, serving, overridden, settled, p1, p2, packets, bytes, dropped;
};

static void add_up(const struct snapshot *s, struct totals *t)
{
	for (unsigned int i = 0; i < s->n_services; i++) {
		const struct snapshot_service *svc = &s->services[i];

		t->services[snapshot_verdict(svc)]++;
		t->settled += svc->slots.settled;
		t->p1 += svc->slots.p1;
		t->p2 += svc->slots.p2;
		t->packets += svc->packets;
		t->bytes += svc->bytes;
		t->backends += svc->n_backends;
		for (unsigned int j = 0; j < svc->n_backends; j++) {
			const struct snapshot_backend *b = &svc->backends[j];

			t->serving += snapshot_serves(b);
			t->overridden += b->admin != LB_ADMIN_NONE || b->weight_override >= 0;
			if (b->state < ADMISSION_STATE_MAX)
				t->states[b->state]++;
		}
	}
#define X(id, name)                                                                                          \
	if (!strncmp(name, "drop_", 5))                                                                      \
		t->dropped += s->outcomes[LB_OUTCOME_##id];
	LB_OUTCOMES(X)
#undef X
}

static json_t *status_daemon(const struct snapshot *s)
{
	json_t *o = json_pack(
		"{s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "version", document_text(s->version), "kernel",
		document_text(s->kernel), "config_file", document_text(s->config_file), "pin_dir",
		document_text(s->pin_dir), "uptime_s",
		(json_int_t)(s->now_ns > s->started_ns ? (s->now_ns - s->started_ns) / 1000000000u : 0),
		"reloads", document_u64(s->reloads), "reload_failures", document_u64(s->reload_failures),
		"reload_error", s->reload_error[0] ? document_text(s->reload_error) : json_null());

	if (document_set_time(o, "started", s->started_ns) || document_set_time(o, "loaded", s->loaded_ns)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *status_interfaces(const struct snapshot *s)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < s->n_interfaces; i++)
		(void)json_array_append_new(list, json_pack("{s:o, s:o, s:b}", "name",
							    document_text(s->interfaces[i].name), "mode",
							    document_text(s->interfaces[i].mode), "attached",
							    s->interfaces[i].attached));
	return list;
}

static json_t *status_services(const struct snapshot *s, const struct totals *t)
{
	json_t *o = json_pack("{s:I}", "total", (json_int_t)s->n_services);

	for (unsigned int v = 0; v < SNAPSHOT_VERDICT_MAX; v++)
		(void)json_object_set_new(o, snapshot_verdict_name(v), document_u64(t->services[v]));
	return o;
}

static json_t *status_backends(const struct totals *t)
{
	json_t *states = json_object();

	for (unsigned int i = 0; i < ADMISSION_STATE_MAX; i++)
		(void)json_object_set_new(states, admission_state_name(i), document_u64(t->states[i]));
	return json_pack("{s:o, s:o, s:o, s:o}", "total", document_u64(t->backends), "serving",
			 document_u64(t->serving), "overridden", document_u64(t->overridden), "states",
			 states);
}

int report_status(const struct snapshot *s, json_t **data, struct err *err)
{
	json_t *doc = document_new("status", 1, s->now_ns);
	struct problems p = {.list = json_array()};
	struct totals t = {0};
	json_t *body;

	add_up(s, &t);
	host_problems(s, &p);
	for (unsigned int i = 0; i < s->n_services; i++)
		service_problems(&s->services[i], &p);
	body = json_pack("{s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}, s:{s:o, s:o, s:o}, s:o, s:i, s:o}",
			 "daemon", status_daemon(s), "interfaces", status_interfaces(s), "services",
			 status_services(s, &t), "backends", status_backends(&t), "slots", "settled",
			 document_u64(t.settled), "p1", document_u64(t.p1), "p2", document_u64(t.p2),
			 "traffic", "packets", document_u64(t.packets), "bytes", document_u64(t.bytes),
			 "dropped", document_u64(t.dropped), "map_bytes", document_u64(s->map_bytes),
			 "problems_total", (int)p.n, "problems", p.list);
	if (json_object_update_new(doc, body)) {
		json_decref(doc);
		doc = NULL;
	}
	return report_finish(doc, data, err);
}

/* ---- statistics ---- */

json_t *report_steering(const struct snapshot_service *svc)
{
	json_t *o = json_object();

#define X(id, name) (void)json_object_set_new(o, name, document_u64(svc->steer[LB_STEER_##id]));
	LB_STEERS(X)
#undef X
	return o;
}

int report_stats(const struct snapshot *s, json_t **data, struct err *err)
{
	json_t *doc = document_new("stats", 1, s->now_ns), *outcomes = json_object(), *list = json_array();

#define X(id, name) (void)json_object_set_new(outcomes, name, document_u64(s->outcomes[LB_OUTCOME_##id]));
	LB_OUTCOMES(X)
#undef X
	for (unsigned int i = 0; i < s->n_services; i++) {
		const struct snapshot_service *svc = &s->services[i];

		(void)json_array_append_new(
			list, json_pack("{s:o, s:o, s:o, s:o}", "name", document_text(svc->name), "packets",
					document_u64(svc->packets), "bytes", document_u64(svc->bytes),
					"steering", report_steering(svc)));
	}
	if (json_object_update_new(doc, json_pack("{s:o, s:o}", "outcomes", outcomes, "services", list))) {
		json_decref(doc);
		doc = NULL;
	}
	return report_finish(doc, data, err);
}
