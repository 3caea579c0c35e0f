// SPDX-License-Identifier: Apache-2.0
/* config_describe.c - a configuration as YAML with every default written out, and as a value to compare. */
#include "core/config_private.h"

#include <stdlib.h>
#include <string.h>

char *config_describe(const struct config *c)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (!out)
		return NULL;
	cfg_print_globals(out, c);
	fputs(c->n_services ? "services:\n" : "services: []\n", out);
	for (unsigned int i = 0; i < c->n_services; i++)
		cfg_print_service(out, &c->services[i]);
	failed = ferror(out) != 0;
	if (fclose(out) || failed) {
		free(text);
		return NULL;
	}
	return text;
}

static bool backends_equal(const struct config_service *a, const struct config_service *b)
{
	if (a->n_backends != b->n_backends)
		return false;
	for (unsigned int i = 0; i < a->n_backends; i++) {
		const struct config_backend *x = &a->backends[i], *y = &b->backends[i];

		if (strcmp(x->name, y->name) != 0 || addr_cmp(&x->addr, &y->addr) != 0 ||
		    x->weight != y->weight || x->forward != y->forward)
			return false;
	}
	return true;
}

static bool vips_equal(const struct config_service *a, const struct config_service *b)
{
	if (a->n_vips != b->n_vips)
		return false;
	for (unsigned int i = 0; i < a->n_vips; i++) {
		if (addr_cmp(&a->vips[i], &b->vips[i]) != 0)
			return false;
	}
	return true;
}

static bool acl_equal(const struct config_service *a, const struct config_service *b)
{
	if (a->n_acl != b->n_acl)
		return false;
	for (unsigned int i = 0; i < a->n_acl; i++) {
		const struct config_prefix *x = &a->acl[i], *y = &b->acl[i];

		if (addr_cmp(&x->addr, &y->addr) != 0 || x->bits != y->bits || x->v6 != y->v6 || x->deny != y->deny)
			return false;
	}
	return true;
}

static bool policy_equal(const struct config_service *a, const struct config_service *b)
{
	return a->slow_start_ms == b->slow_start_ms && a->drain_timeout_ms == b->drain_timeout_ms &&
	       a->drain_ramp_ms == b->drain_ramp_ms &&
	       a->panic_threshold_pct == b->panic_threshold_pct && a->init == b->init &&
	       a->hard_down_ms == b->hard_down_ms && a->mass_failure_pct == b->mass_failure_pct &&
	       a->mass_failure_ms == b->mass_failure_ms &&
	       a->mass_failure_hold_ms == b->mass_failure_hold_ms &&
	       a->flap_half_life_ms == b->flap_half_life_ms;
}

bool config_service_equal(const struct config_service *a, const struct config_service *b)
{
	return strcmp(a->name, b->name) == 0 && vips_equal(a, b) && a->port == b->port &&
	       a->protocol == b->protocol && a->forward == b->forward && a->udp == b->udp &&
	       a->hash == b->hash && a->table_size == b->table_size && a->gue_port == b->gue_port &&
	       probe_spec_equal(&a->probe, &b->probe) && policy_equal(a, b) && a->grace_s == b->grace_s &&
	       a->udp_idle_s == b->udp_idle_s && a->new_flow_limit == b->new_flow_limit &&
	       a->source_limit == b->source_limit && acl_equal(a, b) && backends_equal(a, b);
}

static bool source_equal(bool has_a, const struct lb_addr *a, bool has_b, const struct lb_addr *b)
{
	return has_a == has_b && (!has_a || addr_cmp(a, b) == 0);
}

static bool dataplane_equal(const struct config_dataplane *a, const struct config_dataplane *b)
{
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (unsigned int i = 0; i < a->n_interfaces; i++) {
		if (strcmp(a->interfaces[i], b->interfaces[i]) != 0)
			return false;
	}
	return a->xdp_mode == b->xdp_mode && strcmp(a->seed_file, b->seed_file) == 0 &&
	       strcmp(a->pin_dir, b->pin_dir) == 0 && a->max_slots == b->max_slots &&
	       a->max_flows == b->max_flows && a->vip_echo == b->vip_echo &&
	       source_equal(a->has_source4, &a->source4, b->has_source4, &b->source4) &&
	       source_equal(a->has_source6, &a->source6, b->has_source6, &b->source6);
}

bool config_equal(const struct config *a, const struct config *b)
{
	if (!dataplane_equal(&a->dataplane, &b->dataplane) ||
	    strcmp(a->control_socket, b->control_socket) != 0 ||
	    strcmp(a->control_group, b->control_group) != 0 || a->has_metrics != b->has_metrics ||
	    (a->has_metrics &&
	     (addr_cmp(&a->metrics_addr, &b->metrics_addr) != 0 || a->metrics_port != b->metrics_port)) ||
	    a->n_services != b->n_services)
		return false;
	for (unsigned int i = 0; i < a->n_services; i++) {
		if (!config_service_equal(&a->services[i], &b->services[i]))
			return false;
	}
	return true;
}
