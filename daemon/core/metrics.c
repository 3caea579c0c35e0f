// SPDX-License-Identifier: Apache-2.0
/*
 * metrics.c - see metrics.h. A family of the exposition is a row of a table: name, type, help, and how to get
 * its value; all samples of a family stand together, as the format wants.
 */
#include "core/metrics.h"
#include "core/cleanup.h"
#include "core/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum metric_type { COUNTER, GAUGE };

static void head(FILE *f, const char *name, enum metric_type type, const char *help)
{
	fprintf(f, "# HELP lbd_%s %s\n# TYPE lbd_%s %s\n", name, help, name,
		type == COUNTER ? "counter" : "gauge");
}

/* A label's value: backslash, quote and newline are escaped; names are valid UTF-8 by the configuration's
 * rules. */
static void label(FILE *f, const char *before, const char *key, const char *value)
{
	fputs(before, f);
	fputs(key, f);
	fputs("=\"", f);
	for (;;) {
		size_t plain = strcspn(value, "\\\"\n");

		fwrite(value, 1, plain, f);
		value += plain;
		if (!*value)
			break;
		fputc('\\', f);
		fputc(*value == '\n' ? 'n' : *value, f);
		value++;
	}
	fputc('"', f);
}

static void integer(FILE *f, __u64 v)
{
	fprintf(f, "} %llu\n", (unsigned long long)v);
}

/* ---- the daemon ---- */

static double seconds(__u64 ns)
{
	return (double)ns / 1e9;
}

static void render_daemon(FILE *f, const struct snapshot *s)
{
	head(f, "build_info", GAUGE, "Always 1; version of the daemon and of the kernel.");
	label(f, "lbd_build_info{", "version", s->version);
	label(f, ",", "kernel", s->kernel);
	integer(f, 1);
	head(f, "start_time_seconds", GAUGE, "When the daemon started, Unix time.");
	fprintf(f, "lbd_start_time_seconds %.3f\n", seconds(s->started_ns));
	head(f, "config_loaded_time_seconds", GAUGE,
	     "When the configuration in force was loaded, Unix time.");
	fprintf(f, "lbd_config_loaded_time_seconds %.3f\n", seconds(s->loaded_ns));
	head(f, "config_reload_ok", GAUGE, "1 unless the last reload was refused.");
	fprintf(f, "lbd_config_reload_ok %d\n", s->reload_error[0] == '\0');
	head(f, "config_reloads_total", COUNTER, "Reloads that were asked for.");
	fprintf(f, "lbd_config_reloads_total %llu\n", (unsigned long long)s->reloads);
	head(f, "config_reload_failures_total", COUNTER, "Reloads that were refused.");
	fprintf(f, "lbd_config_reload_failures_total %llu\n", (unsigned long long)s->reload_failures);
	head(f, "map_bytes", GAUGE, "Kernel memory of all BPF maps.");
	fprintf(f, "lbd_map_bytes %llu\n", (unsigned long long)s->map_bytes);
	head(f, "interface_attached", GAUGE, "1 when the program is attached to the interface.");
	for (unsigned int i = 0; i < s->n_interfaces; i++) {
		label(f, "lbd_interface_attached{", "interface", s->interfaces[i].name);
		label(f, ",", "mode", s->interfaces[i].mode);
		integer(f, s->interfaces[i].attached);
	}
}

static const char *verdict_of(const char *outcome)
{
	return !strncmp(outcome, "pass_", 5) ? "pass" : !strncmp(outcome, "tx_", 3) ? "tx" : "drop";
}

static void render_outcomes(FILE *f, const struct snapshot *s)
{
	head(f, "outcome_packets_total", COUNTER,
	     "Packets that were not sent to a backend, by what became of them.");
#define X(id, name)                                                                                          \
	label(f, "lbd_outcome_packets_total{", "outcome", name);                                             \
	label(f, ",", "verdict", verdict_of(name));                                                          \
	integer(f, s->outcomes[LB_OUTCOME_##id]);
	LB_OUTCOMES(X)
#undef X
}

/* ---- services ---- */

static __u64 serving_backends(const struct snapshot_service *svc)
{
	__u64 n = 0;

	for (unsigned int i = 0; i < svc->n_backends; i++)
		n += snapshot_serves(&svc->backends[i]);
	return n;
}

static __u64 service_up(const struct snapshot_service *svc)
{
	return snapshot_verdict(svc) != SNAPSHOT_DOWN;
}

#define FIELD(type, name, expression)                                                                        \
	static __u64 name(const struct type *x)                                                              \
	{                                                                                                    \
		return (__u64)(expression);                                                                  \
	}
FIELD(snapshot_service, service_packets, x->packets)
FIELD(snapshot_service, service_bytes, x->bytes)
FIELD(snapshot_service, service_panic, x->panic)
FIELD(snapshot_service, service_mass_failure, x->mass_failure)
FIELD(snapshot_service, service_m, x->m)
FIELD(snapshot_service, service_flows, x->flows)
FIELD(snapshot_service, service_backends, x->n_backends)

static const struct service_family {
	const char *name;
	enum metric_type type;
	const char *help;
	__u64 (*get)(const struct snapshot_service *svc);
} service_families[] = {
	{"service_up", GAUGE, "1 while at least one backend serves.", service_up},
	{"service_panic", GAUGE, "1 while too few backends are healthy, so that all serve.", service_panic},
	{"service_mass_failure", GAUGE, "1 while many fresh silences are doubted and held back.",
	 service_mass_failure},
	{"service_backends", GAUGE, "Configured backends.", service_backends},
	{"service_backends_serving", GAUGE, "Backends that get new flows now.", serving_backends},
	{"service_table_slots", GAUGE, "Size of the lookup table.", service_m},
	{"service_flows", GAUGE, "Tracked flows (only those whose slot is in transition).", service_flows},
	{"service_packets_total", COUNTER, "Packets sent to the service's backends.", service_packets},
	{"service_bytes_total", COUNTER, "Bytes sent to the service's backends, inner IP length.",
	 service_bytes},
};

static void render_slots(FILE *f, const struct snapshot *s)
{
	head(f, "service_slots", GAUGE, "Slots by phase: settled, p1 (in grace), p2 (after it).");
	for (unsigned int i = 0; i < s->n_services; i++) {
		const struct slots_counts *n = &s->services[i].slots;
		const struct {
			const char *phase;
			__u32 n;
		} rows[] = {{"settled", n->settled}, {"p1", n->p1}, {"p2", n->p2}};

		for (unsigned int k = 0; k < ARRAY_SIZE(rows); k++) {
			label(f, "lbd_service_slots{", "service", s->services[i].name);
			label(f, ",", "phase", rows[k].phase);
			integer(f, rows[k].n);
		}
	}
}

static void render_steering(FILE *f, const struct snapshot *s)
{
	head(f, "service_steering_total", COUNTER, "What happened to packets that met a slot in transition.");
	for (unsigned int i = 0; i < s->n_services; i++) {
#define X(id, word)                                                                                          \
	label(f, "lbd_service_steering_total{", "service", s->services[i].name);                             \
	label(f, ",", "event", word);                                                                        \
	integer(f, s->services[i].steer[LB_STEER_##id]);
		LB_STEERS(X)
#undef X
	}
}

static void render_services(FILE *f, const struct snapshot *s)
{
	for (unsigned int k = 0; k < ARRAY_SIZE(service_families); k++) {
		const struct service_family *m = &service_families[k];
		char name[80];

		head(f, m->name, m->type, m->help);
		snprintf(name, sizeof(name), "lbd_%s{", m->name);
		for (unsigned int i = 0; i < s->n_services; i++) {
			label(f, name, "service", s->services[i].name);
			integer(f, m->get(&s->services[i]));
		}
	}
	head(f, "service_table_info", GAUGE, "Always 1; the digest is equal on all balancers of a fleet.");
	for (unsigned int i = 0; i < s->n_services; i++) {
		char digest[24];

		snprintf(digest, sizeof(digest), "0x%016llx", (unsigned long long)s->services[i].digest);
		label(f, "lbd_service_table_info{", "service", s->services[i].name);
		label(f, ",", "digest", digest);
		integer(f, 1);
	}
	render_slots(f, s);
	render_steering(f, s);
}

/* ---- backends ---- */

FIELD(snapshot_backend, backend_serving, snapshot_serves(x))
FIELD(snapshot_backend, backend_failing, snapshot_failing(x))
FIELD(snapshot_backend, backend_weight, snapshot_weight(x))
FIELD(snapshot_backend, backend_slots, x->slots)
FIELD(snapshot_backend, backend_own_slots, x->own_slots)
FIELD(snapshot_backend, backend_overridden, x->admin != LB_ADMIN_NONE || x->weight_override >= 0)
FIELD(snapshot_backend, backend_nexthop, x->nexthop_ok)
FIELD(snapshot_backend, backend_generation, x->generation)
FIELD(snapshot_backend, backend_packets, x->packets)
FIELD(snapshot_backend, backend_bytes, x->bytes)
FIELD(snapshot_backend, backend_probe_up, x->active == HEALTH_UP)
FIELD(snapshot_backend, backend_checks, x->checks)
FIELD(snapshot_backend, backend_failures, x->failures)

static const struct backend_family {
	const char *name;
	enum metric_type type;
	bool probed; /* only for backends that are probed */
	const char *help;
	__u64 (*get)(const struct snapshot_backend *b);
} backend_families[] = {
	{"backend_serving", GAUGE, false, "1 while the backend gets new flows.", backend_serving},
	{"backend_failing", GAUGE, false, "1 while it is out by its own fault, not by the operator's will.",
	 backend_failing},
	{"backend_overridden", GAUGE, false, "1 while an operator's drain, disable or weight is in force.",
	 backend_overridden},
	{"backend_weight", GAUGE, false, "Weight in force.", backend_weight},
	{"backend_slots", GAUGE, false, "Slots that the backend serves now.", backend_slots},
	{"backend_own_slots", GAUGE, false, "Slots that are its own in the full table.", backend_own_slots},
	{"backend_generation", GAUGE, false, "Counts up (8 bits) whenever its flows were given up.",
	 backend_generation},
	{"backend_nexthop_resolved", GAUGE, false, "1 while the way to the backend is known.",
	 backend_nexthop},
	{"backend_packets_total", COUNTER, false, "Packets sent to the backend.", backend_packets},
	{"backend_bytes_total", COUNTER, false, "Bytes sent to the backend, inner IP length.", backend_bytes},
	{"backend_probe_up", GAUGE, true, "1 while the probe's state is up.", backend_probe_up},
	{"backend_probe_checks_total", COUNTER, true, "Probes made.", backend_checks},
	{"backend_probe_failures_total", COUNTER, true, "Probes that failed.", backend_failures},
};

static void backend_labels(FILE *f, const char *name, const struct snapshot_service *svc,
			   const struct snapshot_backend *b)
{
	char address[ADDR_STRLEN];

	fprintf(f, "lbd_%s{", name);
	label(f, "", "service", svc->name);
	label(f, ",", "backend", b->name);
	label(f, ",", "address", addr_format(&b->addr, address));
}

static bool is_probed(const struct snapshot_backend *b)
{
	return b->probe_type != PROBE_NONE;
}

static void backend_state(FILE *f, const struct snapshot_service *svc, const struct snapshot_backend *b)
{
	backend_labels(f, "backend_state", svc, b);
	label(f, ",", "state", admission_state_name(b->state));
	integer(f, 1);
}

static void backend_admission(FILE *f, const struct snapshot_service *svc, const struct snapshot_backend *b)
{
	backend_labels(f, "backend_admission_ratio", svc, b);
	fprintf(f, "} %.6g\n", b->admission / 65536.0);
}

static void backend_latency(FILE *f, const struct snapshot_service *svc, const struct snapshot_backend *b)
{
	if (!is_probed(b) || !b->checks)
		return;
	backend_labels(f, "backend_probe_latency_seconds", svc, b);
	fprintf(f, "} %.6f\n", b->last_probe.latency_us / 1e6);
}

static void each_backend(FILE *f, const struct snapshot *s,
			 void (*fn)(FILE *f, const struct snapshot_service *svc,
				    const struct snapshot_backend *b))
{
	for (unsigned int i = 0; i < s->n_services; i++)
		for (unsigned int j = 0; j < s->services[i].n_backends; j++)
			fn(f, &s->services[i], &s->services[i].backends[j]);
}

static void render_backends(FILE *f, const struct snapshot *s)
{
	for (unsigned int k = 0; k < ARRAY_SIZE(backend_families); k++) {
		const struct backend_family *m = &backend_families[k];

		head(f, m->name, m->type, m->help);
		for (unsigned int i = 0; i < s->n_services; i++) {
			const struct snapshot_service *svc = &s->services[i];

			for (unsigned int j = 0; j < svc->n_backends; j++) {
				if (m->probed && !is_probed(&svc->backends[j]))
					continue;
				backend_labels(f, m->name, svc, &svc->backends[j]);
				integer(f, m->get(&svc->backends[j]));
			}
		}
	}
	head(f, "backend_state", GAUGE, "Always 1; the label says the state.");
	each_backend(f, s, backend_state);
	head(f, "backend_admission_ratio", GAUGE,
	     "How much of its own slots the backend is admitted to, 0 to 1.");
	each_backend(f, s, backend_admission);
	head(f, "backend_probe_latency_seconds", GAUGE, "How long the last probe took.");
	each_backend(f, s, backend_latency);
}

char *metrics_render(const struct snapshot *s, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		return NULL;
	render_daemon(f, s);
	render_outcomes(f, s);
	render_services(f, s);
	render_backends(f, s);
	if (ferror(f) | fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
