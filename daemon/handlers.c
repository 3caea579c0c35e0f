// SPDX-License-Identifier: Apache-2.0
/* handlers.c - see handlers.h. Shapes of arguments and answers: docs/control-protocol.md. */
#include "handlers_internal.h"

#include "core/cleanup.h"
#include "core/document.h"
#include "core/metrics.h"
#include "core/report.h"
#include "core/request.h"

#include <errno.h>
#include <string.h>
#include <time.h>

struct engine *handlers_engine(void *userdata, struct err *err)
{
	struct engine *e = *(struct engine **)userdata;

	if (!e) {
		err_set(err, -EBUSY, "lbd is still starting");
		err_hint(err, "try again in a second");
	}
	return e;
}

__u64 handlers_now_real(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (__u64)now.tv_sec * 1000000000u + (__u64)now.tv_nsec;
}

/* ---- reading verbs: a snapshot, and a document made from it ------------------------------------------------------- */

typedef int (*report_fn)(const struct snapshot *s, const char *name, json_t **data, struct err *err);

static int with_snapshot(void *userdata, const char *name, report_fn report, json_t **data, struct err *err)
{
	struct engine *e = handlers_engine(userdata, err);
	_cleanup_(snapshot_done) struct snapshot s = { 0 };
	int r = e ? engine_snapshot(e, &s, err) : -EBUSY;

	return r < 0 ? r : report(&s, name, data, err);
}

static int report_status_any(const struct snapshot *s, const char *name, json_t **data, struct err *err)
{
	return report_status(s, data, err);
}
static int report_stats_any(const struct snapshot *s, const char *name, json_t **data, struct err *err)
{
	return report_stats(s, data, err);
}
static int report_version_any(const struct snapshot *s, const char *name, json_t **data, struct err *err)
{
	return report_version(s, data, err);
}

static int no_arguments(json_t *args, struct err *err)
{
	return request_unpack(args, err, "{}");
}

static int run_status(void *userdata, json_t *args, json_t **data, struct err *err)
{
	int r = no_arguments(args, err);

	return r < 0 ? r : with_snapshot(userdata, NULL, report_status_any, data, err);
}

static int run_stats(void *userdata, json_t *args, json_t **data, struct err *err)
{
	int r = no_arguments(args, err);

	return r < 0 ? r : with_snapshot(userdata, NULL, report_stats_any, data, err);
}

static int run_version(void *userdata, json_t *args, json_t **data, struct err *err)
{
	int r = no_arguments(args, err);

	return r < 0 ? r : with_snapshot(userdata, NULL, report_version_any, data, err);
}

static int run_services(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service = NULL;
	int r = request_unpack(args, err, "{s?s}", "service", &service);

	return r < 0 ? r : with_snapshot(userdata, service, report_services, data, err);
}

static int run_backends(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service = NULL;
	int r = request_unpack(args, err, "{s?s}", "service", &service);

	return r < 0 ? r : with_snapshot(userdata, service, report_backends, data, err);
}

static int run_table(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service = NULL;
	int r = request_unpack(args, err, "{s:s}", "service", &service);

	return r < 0 ? r : with_snapshot(userdata, service, report_table, data, err);
}

char *handler_metrics(void *userdata, size_t *len)
{
	_cleanup_(snapshot_done) struct snapshot s = { 0 };
	struct err err = { 0 };

	return engine_snapshot(userdata, &s, &err) < 0 ? NULL : metrics_render(&s, len);
}

/* Healthy: steering, on every configured interface. What the backends do is in the metrics. */
bool handler_healthy(void *userdata, char *why, size_t size)
{
	_cleanup_(snapshot_done) struct snapshot s = { 0 };
	struct err err = { 0 };

	if (!engine_is_ready(userdata) || engine_snapshot(userdata, &s, &err) < 0) {
		snprintf(why, size, "%s", err.msg[0] ? err.msg : "still starting");
		return false;
	}
	for (unsigned int i = 0; i < s.n_interfaces; i++) {
		if (s.interfaces[i].attached)
			continue;
		snprintf(why, size, "the program is not attached to %s", s.interfaces[i].name);
		return false;
	}
	return true;
}

/* ---- the operator's will ------------------------------------------------------------------------------------------ */

typedef int (*change_fn)(struct engine *e, const char *service, const char *backend, long value, struct err *err);

static int change_admin(struct engine *e, const char *service, const char *backend, long value, struct err *err)
{
	return engine_set_admin(e, service, backend, (enum lb_admin)value, err);
}
static int change_weight(struct engine *e, const char *service, const char *backend, long value, struct err *err)
{
	return engine_set_weight(e, service, backend, (__s32)value, err);
}

/* Service "*": the backend in every service that has it; at least one must. */
static int change_everywhere(struct engine *e, const char *backend, change_fn change, long value, json_t *done,
			     struct err *err)
{
	_cleanup_(snapshot_done) struct snapshot s = { 0 };
	int r = engine_snapshot(e, &s, err);

	for (unsigned int i = 0; r == 0 && i < s.n_services; i++) {
		if (!snapshot_find_backend(&s.services[i], backend))
			continue;
		r = change(e, s.services[i].name, backend, value, err);
		if (r == 0)
			json_array_append_new(done, json_string(s.services[i].name));
	}
	if (r == 0 && json_array_size(done) == 0) {
		err_set(err, -ENOENT, "no service has a backend \"%s\"", backend);
		err_hint(err, "lbctl backends lists what there is");
		r = -ENOENT;
	}
	return r;
}

static int change(void *userdata, const char *service, const char *backend, change_fn fn, long value, json_t **data,
		  struct err *err)
{
	_cleanup_(snapshot_done) struct snapshot s = { 0 };
	struct engine *e = handlers_engine(userdata, err);
	json_t *done;
	int r;

	if (!e)
		return -EBUSY;
	done = json_array();
	if (!strcmp(service, "*")) {
		r = change_everywhere(e, backend, fn, value, done, err);
	} else {
		r = fn(e, service, backend, value, err);
		json_array_append_new(done, json_string(service));
	}
	if (r < 0) {
		json_decref(done);
		return r;
	}
	r = engine_snapshot(e, &s, err);
	if (r == 0)
		r = report_change(&s, done, backend, data, err);
	json_decref(done);
	return r;
}

static int run_admin(void *userdata, json_t *args, json_t **data, struct err *err, enum lb_admin admin)
{
	const char *service = NULL, *backend = NULL;
	int r = request_unpack(args, err, "{s:s, s:s}", "service", &service, "backend", &backend);

	return r < 0 ? r : change(userdata, service, backend, change_admin, admin, data, err);
}

static int run_drain(void *userdata, json_t *args, json_t **data, struct err *err)
{
	return run_admin(userdata, args, data, err, LB_ADMIN_DRAIN);
}
static int run_disable(void *userdata, json_t *args, json_t **data, struct err *err)
{
	return run_admin(userdata, args, data, err, LB_ADMIN_DISABLE);
}
/* undrain and enable are one: the operator's override ends. */
static int run_undrain(void *userdata, json_t *args, json_t **data, struct err *err)
{
	return run_admin(userdata, args, data, err, LB_ADMIN_NONE);
}

static int run_weight(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service = NULL, *backend = NULL;
	json_t *weight = NULL;
	long value = -1;
	int r = request_unpack(args, err, "{s:s, s:s, s:o}", "service", &service, "backend", &backend, "weight", &weight);

	if (r < 0)
		return r;
	if (json_is_integer(weight))
		value = (long)json_integer_value(weight);
	if (!json_is_null(weight) && (!json_is_integer(weight) || value < 0 || value > 65535)) {
		err_set(err, -EINVAL, "weight must be a number from 0 to 65535, or null for the configured one");
		return -EINVAL;
	}
	return change(userdata, service, backend, change_weight, value, data, err);
}

static int run_probe(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service = NULL, *backend = NULL;
	int r = request_unpack(args, err, "{s:s, s:s}", "service", &service, "backend", &backend);
	struct engine *e = r < 0 ? NULL : handlers_engine(userdata, err);

	return r < 0 ? r : e ? engine_probe_now(e, service, backend, data, err) : -EBUSY;
}

/* ---- configuration ------------------------------------------------------------------------------------------------- */

typedef int (*config_fn)(struct engine *e, const char *path, struct diags *diags, json_t **summary, struct err *err);

static int reload_any(struct engine *e, const char *path, struct diags *diags, json_t **summary, struct err *err)
{
	return engine_reload(e, diags, summary, err);
}

/* The document around what the plan says: {"document","version","time",...,"changes","operations","diagnostics"}. */
static int plan_document(const char *name, json_t *summary, const struct diags *diags, json_t **data, struct err *err)
{
	json_t *doc = document_new(name, 1, handlers_now_real());

	if (json_object_update_new(doc, summary) || json_object_set_new(doc, "diagnostics", report_diags(diags))) {
		json_decref(doc);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*data = doc;
	return 0;
}

static int with_diags(void *userdata, const char *name, const char *path, config_fn fn, json_t **data, struct err *err)
{
	struct engine *e = handlers_engine(userdata, err);
	json_t *summary = NULL;
	struct diags diags;
	int r;

	if (!e)
		return -EBUSY;
	diags_init(&diags);
	r = fn(e, path, &diags, &summary, err);
	diags_sort(&diags);
	if (r == 0) {
		r = plan_document(name, take_ptr(summary), &diags, data, err);
	} else {
		json_decref(summary);
		*data = json_pack("{s:o*}", "diagnostics", report_diags(&diags)); /* stands beside the message */
	}
	diags_done(&diags);
	return r;
}

static int run_reload(void *userdata, json_t *args, json_t **data, struct err *err)
{
	int r = no_arguments(args, err);

	return r < 0 ? r : with_diags(userdata, "reload", NULL, reload_any, data, err);
}

static int run_diff(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *file = NULL;
	int r = request_unpack(args, err, "{s?s}", "file", &file);

	return r < 0 ? r : with_diags(userdata, "diff", file, engine_diff, data, err);
}

const struct control_verb handler_verbs[] = {
	{ "status", false, run_status },
	{ "services", false, run_services },
	{ "backends", false, run_backends },
	{ "stats", false, run_stats },
	{ "table", false, run_table },
	{ "version", false, run_version },
	{ "flows", false, handle_flows },
	{ "explain", false, handle_explain },
	{ "doctor", false, handle_doctor },
	/* Reading a file as root on behalf of a reader would show it more than it may see. */
	{ "diff", true, run_diff },
	{ "reload", true, run_reload },
	{ "drain", true, run_drain },
	{ "undrain", true, run_undrain },
	{ "disable", true, run_disable },
	{ "enable", true, run_undrain },
	{ "weight", true, run_weight },
	{ "probe", true, run_probe },
	{ NULL, false, NULL },
};
