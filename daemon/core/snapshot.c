// SPDX-License-Identifier: Apache-2.0
/* snapshot.c - see snapshot.h. */
#include "core/snapshot.h"
#include "core/cleanup.h"

#include <stdlib.h>
#include <string.h>

void snapshot_done(struct snapshot *s)
{
	if (!s)
		return;
	for (unsigned int i = 0; s->services && i < s->n_services; i++)
		free(s->services[i].backends);
	free(s->services);
	*s = (struct snapshot){0};
}

const struct snapshot_service *snapshot_find_service(const struct snapshot *s, const char *name)
{
	for (unsigned int i = 0; i < s->n_services; i++)
		if (!strcmp(s->services[i].name, name))
			return &s->services[i];
	return NULL;
}

const struct snapshot_backend *snapshot_find_backend(const struct snapshot_service *svc, const char *name)
{
	struct lb_addr addr;

	for (unsigned int i = 0; i < svc->n_backends; i++)
		if (!strcmp(svc->backends[i].name, name))
			return &svc->backends[i];
	if (addr_parse(name, &addr))
		return NULL;
	for (unsigned int i = 0; i < svc->n_backends; i++)
		if (addr_cmp(&svc->backends[i].addr, &addr) == 0)
			return &svc->backends[i];
	return NULL;
}

static const char *const verdict_names[] = {
#define X(id, name) [SNAPSHOT_##id] = name,
	SNAPSHOT_VERDICTS(X)
#undef X
};
_Static_assert(ARRAY_SIZE(verdict_names) == SNAPSHOT_VERDICT_MAX, "a name for every verdict");

const char *snapshot_verdict_name(enum snapshot_verdict v)
{
	return v < SNAPSHOT_VERDICT_MAX ? verdict_names[v] : "unknown";
}

bool snapshot_failing(const struct snapshot_backend *b)
{
	if (b->retired)
		return false;
	switch (b->state) {
	case ADMISSION_SUSPECT:
	case ADMISSION_EJECTED:
	case ADMISSION_UNHEALTHY_DRAINING:
	case ADMISSION_DOWN:
		return true;
	case ADMISSION_DRAINING:
	case ADMISSION_DRAINED:
	case ADMISSION_DISABLED:
		return false;
	default:
		return !b->nexthop_ok;
	}
}

enum snapshot_verdict snapshot_verdict(const struct snapshot_service *svc)
{
	bool serves = false, failing = false;

	for (unsigned int i = 0; i < svc->n_backends; i++) {
		const struct snapshot_backend *b = &svc->backends[i];

		serves |= snapshot_serves(b);
		failing |= snapshot_weight(b) > 0 && snapshot_failing(b);
	}
	if (!serves)
		return SNAPSHOT_DOWN;
	if (svc->panic)
		return SNAPSHOT_PANIC;
	return failing ? SNAPSHOT_DEGRADED : SNAPSHOT_OK;
}
