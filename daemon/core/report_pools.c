// SPDX-License-Identifier: Apache-2.0
/* report_pools.c - the documents about services and their backends. */
#include "core/document.h"
#include "core/report_internal.h"

#include <errno.h>

static json_t *vips(const struct snapshot_service *svc)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < svc->n_vips; i++)
		(void)json_array_append_new(list, document_addr(&svc->vips[i]));
	return list;
}

static json_t *slots(const struct snapshot_service *svc)
{
	return json_pack("{s:I, s:I, s:I}", "settled", (json_int_t)svc->slots.settled, "p1",
			 (json_int_t)svc->slots.p1, "p2", (json_int_t)svc->slots.p2);
}

/* ---- services ---- */

static json_t *service_backends(const struct snapshot_service *svc)
{
	__u64 serving = 0, n[ADMISSION_STATE_MAX] = {0};
	json_t *states = json_object();

	for (unsigned int i = 0; i < svc->n_backends; i++) {
		serving += snapshot_serves(&svc->backends[i]);
		if (svc->backends[i].state < ADMISSION_STATE_MAX)
			n[svc->backends[i].state]++;
	}
	for (unsigned int i = 0; i < ADMISSION_STATE_MAX; i++)
		if (n[i])
			(void)json_object_set_new(states, admission_state_name(i), document_u64(n[i]));
	return json_pack("{s:I, s:o, s:o}", "total", (json_int_t)svc->n_backends, "serving",
			 document_u64(serving), "states", states);
}

static json_t *service(const struct snapshot_service *svc)
{
	return json_pack("{s:o, s:i, s:o, s:i, s:s, s:s, s:s, s:b, s:b, s:s, s:I, s:o, s:I, s:o, s:o, s:o, "
			 "s:o, s:o, s:o, s:{s:I, s:I}}",
			 "name", document_text(svc->name), "id", svc->sid, "vips", vips(svc), "port",
			 svc->port, "protocol", report_protocol_name(svc->protocol), "state",
			 snapshot_verdict_name(snapshot_verdict(svc)), "forward",
			 report_forward_name(svc->forward), "panic", svc->panic, "mass_failure",
			 svc->mass_failure, "udp", svc->udp == CONFIG_UDP_TRACK ? "track" : "none",
			 "table_size", (json_int_t)svc->m, "digest", document_hex64(svc->digest), "grace_s",
			 (json_int_t)svc->grace_s, "backends", service_backends(svc), "slots", slots(svc),
			 "flows", document_u64(svc->flows), "packets", document_u64(svc->packets), "bytes",
			 document_u64(svc->bytes), "steering", report_steering(svc),
			 "last_change", "overlay_us", (json_int_t)svc->overlay_us, "write_us",
			 (json_int_t)svc->write_us);
}

/* ---- backends ---- */

static json_t *probe(const struct snapshot_backend *b)
{
	json_t *last = json_null(), *latency = json_null();

	if (b->probe_type == PROBE_NONE)
		return json_null();
	if (b->latencies)
		latency = json_pack("{s:I, s:I, s:I}", "p50_us", (json_int_t)b->latency_p50_us, "p99_us",
				    (json_int_t)b->latency_p99_us, "probes", (json_int_t)b->latencies);
	if (b->checks)
		last = json_pack("{s:s, s:I, s:o}", "outcome", probe_outcome_name(b->last_probe.outcome),
				 "latency_us", (json_int_t)b->last_probe.latency_us, "detail",
				 document_text(b->last_probe.detail));
	return json_pack("{s:s, s:s, s:o, s:I, s:s, s:I, s:I, s:I, s:o, s:o, s:I, s:o, s:o}", "type",
			 probe_type_name(b->probe_type), "via", probe_via_name(b->probe_via), "address",
			 document_addr(&b->probe_addr), "port", (json_int_t)b->probe_port, "state", report_health_name(b->active), "rise",
			 (json_int_t)b->rise, "fall", (json_int_t)b->fall, "streak", (json_int_t)b->streak,
			 "checks", document_u64(b->checks), "failures", document_u64(b->failures), "next_ms",
			 (json_int_t)b->next_probe_ms, "last", last, "latency", latency);
}

static json_t *backend(const struct snapshot_service *svc, const struct snapshot_backend *b)
{
	json_t *o = json_pack("{s:o, s:o, s:o, s:i, s:s, s:s, s:o, s:I, s:I, s:o, s:I, s:I, s:o, s:i}",
			      "service", document_text(svc->name), "name", document_text(b->name), "address",
			      document_addr(&b->addr), "id", b->bidx, "state", admission_state_name(b->state),
			      "admin", report_admin_name(b->admin), "admission",
			      document_share(b->admission, 65536), "weight", (json_int_t)snapshot_weight(b),
			      "weight_configured", (json_int_t)b->weight, "weight_override",
			      b->weight_override >= 0 ? json_integer(b->weight_override) : json_null(),
			      "slots", (json_int_t)b->slots, "own_slots", (json_int_t)b->own_slots, "share",
			      document_share(b->slots, svc->m), "generation", b->generation);
	json_t *more =
		json_pack("{s:b, s:o, s:s, s:s, s:{s:b, s:o, s:I}, s:o, s:o, s:o}", "retired", b->retired,
			  "reason", document_text(b->reason), "forward", report_forward_name(b->forward),
			  "encapsulation", report_encap_name(b->encap), "nexthop", "ok", b->nexthop_ok,
			  "text", document_text(b->nexthop), "mtu", (json_int_t)b->mtu, "probe", probe(b),
			  "packets", document_u64(b->packets), "bytes", document_u64(b->bytes));

	if (document_set_time(o, "since", b->since_ns) || document_set_time(o, "next", b->next_ns) ||
	    json_object_update_new(o, more)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* ---- share of a service's table ---- */

static json_t *share(const struct snapshot_service *svc, const struct snapshot_backend *b, __u64 weights)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:I, s:o, s:I, s:o, s:I, s:o, s:i}", "name", document_text(b->name),
			 "address", document_addr(&b->addr), "state", admission_state_name(b->state),
			 "admission", document_share(b->admission, 65536), "weight",
			 (json_int_t)snapshot_weight(b), "weight_share",
			 document_share(snapshot_weight(b), weights), "own_slots", (json_int_t)b->own_slots,
			 "own_share", document_share(b->own_slots, svc->m), "slots", (json_int_t)b->slots,
			 "share", document_share(b->slots, svc->m), "generation", b->generation);
}

/* ---- documents ---- */

typedef json_t *(*add_fn)(json_t *list, const struct snapshot_service *svc);

static json_t *add_service(json_t *list, const struct snapshot_service *svc)
{
	return json_array_append_new(list, service(svc)) ? NULL : list;
}

static json_t *add_backends(json_t *list, const struct snapshot_service *svc)
{
	for (unsigned int i = 0; i < svc->n_backends; i++)
		if (json_array_append_new(list, backend(svc, &svc->backends[i])))
			return NULL;
	return list;
}

static int report_list(const struct snapshot *s, const char *name, const char *document, add_fn add,
		       json_t **data, struct err *err)
{
	const struct snapshot_service *only = NULL;
	json_t *doc, *list;
	bool ok = true;
	int r;

	r = name ? report_find_service(s, name, &only, data, err) : 0;
	if (r)
		return r;
	doc = document_new(document, 1, s->now_ns);
	list = json_array();
	for (unsigned int i = 0; i < s->n_services && ok; i++)
		if (!only || only == &s->services[i])
			ok = add(list, &s->services[i]) != NULL;
	if (json_object_set_new(doc, document, list) || !ok) {
		json_decref(doc);
		doc = NULL;
	}
	return report_finish(doc, data, err);
}

int report_services(const struct snapshot *s, const char *name, json_t **data, struct err *err)
{
	return report_list(s, name, "services", add_service, data, err);
}

int report_backends(const struct snapshot *s, const char *name, json_t **data, struct err *err)
{
	return report_list(s, name, "backends", add_backends, data, err);
}

int report_table(const struct snapshot *s, const char *name, json_t **data, struct err *err)
{
	const struct snapshot_service *svc;
	json_t *doc, *list = NULL;
	__u64 weights = 0, served = 0;
	int r;

	r = report_find_service(s, name, &svc, data, err);
	if (r)
		return r;
	for (unsigned int i = 0; i < svc->n_backends; i++) {
		weights += snapshot_weight(&svc->backends[i]);
		served += svc->backends[i].slots;
	}
	list = json_array();
	for (unsigned int i = 0; i < svc->n_backends; i++)
		(void)json_array_append_new(list, share(svc, &svc->backends[i], weights));
	doc = document_new("table", 1, s->now_ns);
	if (json_object_update_new(
		    doc, json_pack("{s:o, s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "service", document_text(svc->name),
				   "table_size", (json_int_t)svc->m, "digest", document_hex64(svc->digest),
				   "slots", slots(svc), "grace_s", (json_int_t)svc->grace_s, "flows",
				   document_u64(svc->flows), "steering", report_steering(svc), "unserved_slots",
				   document_u64(svc->m > served ? svc->m - served : 0), "backends", list))) {
		json_decref(doc);
		doc = NULL;
	}
	return report_finish(doc, data, err);
}

int report_change(const struct snapshot *s, const json_t *services, const char *name, json_t **data,
		  struct err *err)
{
	json_t *doc = document_new("change", 1, s->now_ns), *list = json_array(), *service;
	bool ok = true;
	size_t i;

	json_array_foreach ((json_t *)services, i, service) {
		const struct snapshot_service *svc = snapshot_find_service(s, json_string_value(service));
		const struct snapshot_backend *b = svc ? snapshot_find_backend(svc, name) : NULL;

		if (b)
			ok &= json_array_append_new(list, backend(svc, b)) == 0;
	}
	if (json_object_set_new(doc, "backends", list) || !ok) {
		json_decref(doc);
		doc = NULL;
	}
	return report_finish(doc, data, err);
}
