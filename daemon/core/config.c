// SPDX-License-Identifier: Apache-2.0
/* config.c - the sections of a configuration, and drafts turned into a struct config; see config.h. */
#include "core/config_private.h"
#include "core/cleanup.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
enum { T_DATAPLANE, T_CONTROL, T_METRICS, T_DEFAULTS, T_SERVICES, T_MAX };
static const struct cfg_field sections[T_MAX] = {
	[T_DATAPLANE] = { .key = "dataplane", .kind = CFG_NODE, .required = true,
			  .what = "the least is dataplane: {interfaces: [eth0]}" },
	[T_CONTROL] = { .key = "control", .kind = CFG_NODE },
	[T_METRICS] = { .key = "metrics", .kind = CFG_NODE },
	[T_DEFAULTS] = { .key = "defaults", .kind = CFG_NODE },
	[T_SERVICES] = { .key = "services", .kind = CFG_NODE },
};
/* clang-format on */

void config_free(struct config *c)
{
	if (!c)
		return;
	for (unsigned int i = 0; i < c->n_services; i++) {
		free(c->services[i].backends);
		free(c->services[i].acl);
	}
	free(c->services);
	free(c);
}

/* ---- from drafts to the result --------------------------------------------------------------- */
static int backend_cmp(const void *a, const void *b)
{
	return addr_cmp(&((const struct config_backend *)a)->addr, &((const struct config_backend *)b)->addr);
}

static int vip_cmp(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static int service_cmp(const void *a, const void *b)
{
	return strcmp(((const struct config_service *)a)->name, ((const struct config_service *)b)->name);
}

/* What a service has no use for holds its default: two services that do the same are equal. */
static void normalise(struct config_service *s)
{
	struct cfg_template fresh;
	bool gue = false;

	cfg_template_init(&fresh);
	for (unsigned int i = 0; i < s->n_backends; i++)
		gue = gue || s->backends[i].forward == LB_FORWARD_GUE;
	if (!gue)
		s->gue_port = fresh.s.gue_port;
	if (s->protocol != IPPROTO_UDP) {
		s->udp = fresh.s.udp;
		s->udp_idle_s = fresh.s.udp_idle_s;
	}
}

static int finish_service(const struct cfg_service *draft, struct config_service *out)
{
	*out = draft->s;
	out->acl = NULL;
	out->backends = calloc(draft->n_backends, sizeof(*out->backends));
	if (!out->backends || cfg_copy_acl(&draft->s, out))
		return -ENOMEM;
	out->n_backends = draft->n_backends;
	for (unsigned int i = 0; i < out->n_backends; i++)
		out->backends[i] = draft->backends[i].b;
	qsort(out->backends, out->n_backends, sizeof(*out->backends), backend_cmp);
	qsort(out->vips, out->n_vips, sizeof(*out->vips), vip_cmp);
	normalise(out);
	return 0;
}

static int finish(struct config *g, const struct cfg_services *drafts)
{
	g->services = calloc(drafts->n ? drafts->n : 1, sizeof(*g->services));
	if (!g->services)
		return -ENOMEM;
	while (g->n_services < drafts->n) {
		unsigned int i = g->n_services++; /* what it owns when it fails is freed with the rest */

		if (finish_service(&drafts->v[i], &g->services[i]))
			return -ENOMEM;
	}
	qsort(g->services, g->n_services, sizeof(*g->services), service_cmp);
	return 0;
}

/* ---- parsing --------------------------------------------------------------------------------- */
static void read_sections(struct cfg *c, struct config *g, struct cfg_services *services)
{
	yaml_node_t *values[T_MAX], *root = yaml_document_get_root_node(&c->doc);
	struct cfg_template template;

	cfg_globals_init(g);
	cfg_template_init(&template);
	if (!cfg_read_map(c, root, "the configuration", sections, T_MAX, g, values))
		return;
	if (values[T_DATAPLANE])
		cfg_read_dataplane(c, values[T_DATAPLANE], &g->dataplane);
	if (values[T_CONTROL])
		cfg_read_control(c, values[T_CONTROL], g);
	if (values[T_METRICS])
		cfg_read_metrics(c, values[T_METRICS], g);
	if (values[T_DEFAULTS])
		cfg_read_defaults(c, values[T_DEFAULTS], &template);
	if (values[T_SERVICES])
		cfg_read_services(c, values[T_SERVICES], &template, services);
	if (!services->n && !diags_errors(c->diags))
		cfg_warn(c, values[T_SERVICES] ? values[T_SERVICES] : root, NULL,
			 "there are no services: every packet will pass untouched");
	cfg_check_all(c, services, g);
}

static int parse(struct cfg *c, struct config *g, struct cfg_services *services, const char *text, size_t len,
		 struct diags *diags)
{
	size_t before = diags_errors(diags);
	int r = cfg_load(c, text, len, diags);

	if (r)
		return r;
	read_sections(c, g, services);
	if (c->oom)
		return -ENOMEM;
	return diags_errors(diags) == before ? finish(g, services) : -EINVAL;
}

int config_parse(const char *file, const char *text, size_t len, struct config **out, struct diags *diags)
{
	_cleanup_(config_freep) struct config *g = calloc(1, sizeof(*g));
	struct cfg_services services = {0};
	struct cfg c = {0};
	int r;

	/* A byte order mark is no part of the text: columns count without it. */
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	r = !g || diags_set_source(diags, file, text, len) ? -ENOMEM : parse(&c, g, &services, text, len, diags);
	cfg_services_done(&services);
	cfg_done(&c);
	if (r == -ENOMEM)
		diags_add(diags, DIAG_ERROR, (struct diag_mark){0, 0, 0}, NULL, "out of memory");
	diags_sort(diags);
	if (!r)
		*out = take_ptr(g);
	return r;
}
