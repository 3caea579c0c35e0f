// SPDX-License-Identifier: Apache-2.0
/* report_names.c - words for enums, and finding what an operator named. */
#include "core/report.h"
#include "core/cleanup.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

static const char *const forward_names[] = {
	[LB_FORWARD_IPIP] = "ipip",
	[LB_FORWARD_GUE] = "gue",
	[LB_FORWARD_L2] = "l2",
	[LB_FORWARD_LOCAL] = "local",
};
_Static_assert(ARRAY_SIZE(forward_names) == LB_FORWARD_MAX, "a name for every way to forward");

static const char *const admin_names[] = {
	[LB_ADMIN_NONE] = "none",
	[LB_ADMIN_DRAIN] = "drain",
	[LB_ADMIN_DISABLE] = "disable",
};
_Static_assert(ARRAY_SIZE(admin_names) == LB_ADMIN_MAX, "a name for every override");

static const char *const encap_names[] = {
#define X(id, name) [LB_ENCAP_##id] = name,
	LB_ENCAPS(X)
#undef X
};

const char *report_forward_name(enum lb_forward f)
{
	return f < LB_FORWARD_MAX ? forward_names[f] : "unknown";
}

const char *report_admin_name(enum lb_admin a)
{
	return a < LB_ADMIN_MAX ? admin_names[a] : "unknown";
}

const char *report_encap_name(enum lb_encap e)
{
	return e < LB_ENCAP_MAX ? encap_names[e] : "unknown";
}

const char *report_health_name(enum health_state h)
{
	return h == HEALTH_UP ? "up" : h == HEALTH_DOWN ? "down" : "unknown";
}

const char *report_protocol_name(__u8 protocol)
{
	return protocol == IPPROTO_UDP ? "udp" : "tcp";
}

/* Takes @names: NULL-terminated, or NULL when out of memory (then there is just no suggestion). */
static void suggest(const char *word, const char **names, json_t **details, struct err *err)
{
	const char *near = names ? diag_suggest(word, names) : NULL;

	if (near) {
		*details = json_pack("{s:[s]}", "candidates", near);
		err_hint(err, "did you mean \"%s\"?", near);
	}
	free(names);
}

int report_find_service(const struct snapshot *s, const char *service, const struct snapshot_service **out,
			json_t **details, struct err *err)
{
	const char **names;

	*out = snapshot_find_service(s, service);
	if (*out)
		return 0;
	err_set(err, -ENOENT, "no service \"%s\"", service);
	names = calloc(s->n_services + 1, sizeof(*names));
	for (unsigned int i = 0; names && i < s->n_services; i++)
		names[i] = s->services[i].name;
	suggest(service, names, details, err);
	err_hint(err, "lbctl services lists them");
	return -ENOENT;
}

int report_find_backend(const struct snapshot_service *svc, const char *backend,
			const struct snapshot_backend **out, json_t **details, struct err *err)
{
	const char **names;
	unsigned int n = svc->n_backends;
	char(*addr)[ADDR_STRLEN];

	*out = snapshot_find_backend(svc, backend);
	if (*out)
		return 0;
	err_set(err, -ENOENT, "service \"%s\" has no backend \"%s\"", svc->name, backend);
	names = calloc(2 * n + 1, sizeof(*names));
	addr = calloc(n + 1, sizeof(*addr));
	for (unsigned int i = 0; names && addr && i < n; i++) {
		names[i] = svc->backends[i].name;
		names[n + i] = addr_format(&svc->backends[i].addr, addr[i]);
	}
	suggest(backend, names, details, err);
	free(addr);
	err_hint(err, "lbctl backends %s lists them", svc->name);
	return -ENOENT;
}
