/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - struct snapshot -> the JSON documents that lbctl and other readers get. The documents are an
 * interface: docs/control-protocol.md names every member; members may be added, and a change of meaning
 * raises "version".
 *
 * Pure. The functions have the shape of control_verb.run(): 0 and *@data a new document; or negative errno,
 * @err, and
 * *@data NULL or an object of details for the error ({"candidates":[...]}).
 */
#pragma once
#include "core/diag.h"
#include "core/err.h"
#include "core/snapshot.h"
#include <jansson.h>

#define REPORT_PROBLEMS_MAX 50 /* more are counted, not listed */

int report_version(const struct snapshot *s, json_t **data, struct err *err);
int report_status(const struct snapshot *s, json_t **data, struct err *err);
/* @service NULL: all. */
int report_services(const struct snapshot *s, const char *service, json_t **data, struct err *err);
int report_backends(const struct snapshot *s, const char *service, json_t **data, struct err *err);
int report_stats(const struct snapshot *s, json_t **data, struct err *err);
int report_table(const struct snapshot *s, const char *service, json_t **data, struct err *err);
/*
 * What drain, weight ... answer: the backend (a name or an address) as it is now in each of @services (an
 * array of names; those that lack it are left out).
 */
int report_change(const struct snapshot *s, const json_t *services, const char *backend, json_t **data,
		  struct err *err);

/*
 * Find what the operator named, or say ENOENT with the nearest names as candidates. @backend is a name or an
 * address.
 */
int report_find_service(const struct snapshot *s, const char *service, const struct snapshot_service **out,
			json_t **details, struct err *err);
int report_find_backend(const struct snapshot_service *svc, const char *backend,
			const struct snapshot_backend **out, json_t **details, struct err *err);

/* What a probe that was just started asks, and of whom. */
struct report_probe {
	const char *service, *backend;
	const struct probe_spec *spec;
	struct lb_addr addr; /* where it connects to: the backend, or the VIP (then with a mark) */
	__u16 port;
	__u32 mark;
	__u64 now_ns;
};
/* "GET http://10.0.1.11:80/healthz, expecting 200-299" */
void report_probe_text(const struct probe_spec *p, const struct lb_addr *addr, __u16 port, char *buf, size_t size);
int report_probe(const struct report_probe *r, json_t **data, struct err *err);

/* {"file","errors","warnings","truncated","diagnostics":[{level,line,column,length,message,hint,text}]};
 * NULL: no memory. */
json_t *report_diags(const struct diags *d);

/* Words for enums that have no name function of their own. */
const char *report_forward_name(enum lb_forward f);  /* "ipip", "gue", "l2", "local" */
const char *report_admin_name(enum lb_admin a);      /* "none", "drain", "disable" */
const char *report_health_name(enum health_state h); /* "unknown", "up", "down" */
const char *report_encap_name(enum lb_encap e);
const char *report_protocol_name(__u8 protocol); /* "tcp", "udp" */
