// SPDX-License-Identifier: Apache-2.0
/* report_probe.c - what a probe asks, and of whom: in words and as a document. */
#include "core/document.h"
#include "core/report_internal.h"

#include <stdio.h>
#include <string.h>

static void add_expected(const struct probe_spec *p, char *buf, size_t size)
{
	size_t used = strlen(buf);

	for (unsigned int i = 0; i < p->n_expect && used + 16 < size; i++) {
		used += (size_t)snprintf(buf + used, size - used, "%s%u", i ? ", " : ", expecting ", p->expect[i].from);
		if (p->expect[i].to != p->expect[i].from)
			used += (size_t)snprintf(buf + used, size - used, "-%u", p->expect[i].to);
	}
}

void report_probe_text(const struct probe_spec *p, const struct lb_addr *addr, __u16 port, char *buf, size_t size)
{
	char text[ADDR_STRLEN], at[ADDR_STRLEN + 10];

	snprintf(at, sizeof(at), addr_is_v4(addr) ? "%s:%u" : "[%s]:%u", addr_format(addr, text), port);
	switch (p->type) {
	case PROBE_HTTP:
	case PROBE_HTTPS:
		snprintf(buf, size, "%s %s://%s%s", p->method, probe_type_name(p->type), at, p->path);
		add_expected(p, buf, size);
		break;
	case PROBE_UDP:
		snprintf(buf, size, "%u bytes by UDP to %s, expecting an answer", p->send_len, at);
		break;
	default:
		snprintf(buf, size, "TCP connection to %s", at);
		break;
	}
}

int report_probe(const struct report_probe *r, json_t **data, struct err *err)
{
	const struct probe_spec *p = r->spec;
	char text[700];
	json_t *doc = document_new("probe", 1, r->now_ns);

	report_probe_text(p, &r->addr, r->port, text, sizeof(text));
	if (json_object_update_new(doc, json_pack("{s:o, s:o, s:s, s:o, s:i, s:o, s:o, s:I, s:I, s:I}", "service",
						  document_text(r->service), "backend", document_text(r->backend), "type",
						  probe_type_name(p->type), "address", document_addr(&r->addr), "port",
						  r->port, "mark", r->mark ? json_integer(r->mark) : json_null(), "asks",
						  document_text(text), "timeout_ms", (json_int_t)p->timeout_ms, "rise",
						  (json_int_t)p->rise, "fall", (json_int_t)p->fall))) {
		json_decref(doc);
		doc = NULL;
	}
	return report_finish(doc, data, err);
}
