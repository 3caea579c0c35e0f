// SPDX-License-Identifier: Apache-2.0
/* doctor_pools.c - checks of services and backends: next hops, MTU, health, VIPs of this host, the flow memory. */
#include "core/doctor_internal.h"

#include "core/report.h"
#include "lb/backend.h"

#include <string.h>

#define CLIENT_MTU 1500u

/* Judge one backend; true when it failed the check, and *@list tells whether there is room to list it. */
typedef bool (*backend_check)(struct doctor *d, const struct snapshot_service *svc, const struct snapshot_backend *b,
			      const char *object, bool list);

static void each_backend(struct doctor *d, const char *name, backend_check check, const char *fine)
{
	const struct snapshot *s = d->f->s;
	unsigned int bad = 0;

	for (unsigned int i = 0; i < s->n_services; i++)
		for (unsigned int k = 0; k < s->services[i].n_backends; k++) {
			const struct snapshot_backend *b = &s->services[i].backends[k];
			char object[2 * LB_NAME_MAX + 2];

			if (b->retired)
				continue;
			snprintf(object, sizeof(object), "%s/%s", s->services[i].name, b->name);
			bad += check(d, &s->services[i], b, object, bad < DOCTOR_LISTED_MAX);
		}
	doctor_sum_up(d, name, bad, fine);
}

static bool check_nexthop(struct doctor *d, const struct snapshot_service *svc, const struct snapshot_backend *b,
			  const char *object, bool list)
{
	if (b->nexthop_ok)
		return false;
	if (list)
		doctor_add(d, DOCTOR_ERROR, "nexthop", object,
			   "ip route get ADDRESS and ip neighbour show what the kernel knows; packets follow its routes",
			   "%s: it serves nothing until this is resolved", b->nexthop);
	return true;
}

static bool check_mtu(struct doctor *d, const struct snapshot_service *svc, const struct snapshot_backend *b,
		      const char *object, bool list)
{
	unsigned int overhead = lb_encap_overhead(b->encap);
	char hint[240];

	if (!b->nexthop_ok || b->encap == LB_ENCAP_LOCAL || b->mtu >= CLIENT_MTU)
		return false;
	snprintf(hint, sizeof(hint),
		 "give the path an MTU of %u or more; or have the backends announce a smaller MSS (lbctl backend-setup "
		 "--help, or advmss on their routes)",
		 CLIENT_MTU + overhead);
	if (list)
		doctor_add(d, DOCTOR_WARNING, "mtu", object, hint,
			   "%u bytes fit (%u on the path less %u for %s), clients send up to %u: full packets of uploads "
			   "are answered with \"too big\" or lost",
			   b->mtu, b->mtu + overhead, overhead, report_encap_name(b->encap), CLIENT_MTU);
	return true;
}

static bool check_health(struct doctor *d, const struct snapshot_service *svc, const struct snapshot_backend *b,
			 const char *object, bool list)
{
	if (b->probe_type == PROBE_NONE || !b->checks || b->failures < b->checks || b->checks < b->fall)
		return false;
	if (list)
		doctor_add(d, DOCTOR_WARNING, "health", object,
			   "on its host: lbctl backend-check; from here: lbctl probe, and look at port and path of the probe",
			   "never healthy since lbd started: %llu probes, all failed, the last one with %s%s%s",
			   (unsigned long long)b->checks, probe_outcome_name(b->last_probe.outcome),
			   b->last_probe.detail[0] ? ": " : "", b->last_probe.detail);
	return true;
}

/* ---- services ----------------------------------------------------------------------------------------------------- */

static void check_serving(struct doctor *d)
{
	const struct snapshot *s = d->f->s;
	unsigned int bad = 0;

	for (unsigned int i = 0; i < s->n_services; i++) {
		const struct snapshot_service *svc = &s->services[i];
		enum snapshot_verdict v = snapshot_verdict(svc);

		if (v != SNAPSHOT_DOWN && v != SNAPSHOT_PANIC)
			continue;
		if (bad++ < DOCTOR_LISTED_MAX)
			doctor_add(d, DOCTOR_ERROR, "service", svc->name, "lbctl backends says why",
				   v == SNAPSHOT_DOWN ? "no backend serves: its packets are dropped" :
							"panic: too few backends are healthy, so all serve");
	}
	doctor_sum_up(d, "service", bad, "every service has healthy backends");
}

static void check_memory_of_flows(struct doctor *d)
{
	const struct snapshot *s = d->f->s;
	unsigned int bad = 0;

	for (unsigned int i = 0; i < s->n_services; i++) {
		const struct snapshot_service *svc = &s->services[i];
		unsigned long long budget = svc->steer[LB_STEER_BUDGET], full = svc->steer[LB_STEER_FULL];

		if (!budget && !full)
			continue;
		if (bad++ < DOCTOR_LISTED_MAX)
			doctor_add(d, DOCTOR_WARNING, "flow-memory", svc->name,
				   "fewer changes at a time; for a full table a larger dataplane.max-flows",
				   "packets of flows that could not be remembered at once: %llu for the budget, %llu for a "
				   "full bucket (each tries again with its next packet)",
				   budget, full);
	}
	doctor_sum_up(d, "flow-memory", bad, "every flow that had to be remembered was");
}

/* ---- VIPs of this host --------------------------------------------------------------------------------------------- */

static const struct doctor_local_vip *local_vip(const struct doctor_facts *f, const struct lb_addr *vip)
{
	for (unsigned int i = 0; i < f->n_local && i < DOCTOR_LOCAL_MAX; i++)
		if (!addr_cmp(&f->local[i].vip, vip))
			return &f->local[i];
	return NULL;
}

static bool has_local_backend(const struct snapshot_service *svc)
{
	for (unsigned int k = 0; k < svc->n_backends; k++)
		if (svc->backends[k].encap == LB_ENCAP_LOCAL)
			return true;
	return false;
}

/* A host that is a backend itself must hold the VIP; one that is not should not. */
static unsigned int check_vip(struct doctor *d, const struct snapshot_service *svc, const struct lb_addr *vip)
{
	const struct doctor_local_vip *local = local_vip(d->f, vip);
	char object[LB_NAME_MAX + ADDR_STRLEN + 2], text[ADDR_STRLEN];

	if (has_local_backend(svc) == (local != NULL))
		return 0;
	snprintf(object, sizeof(object), "%s/%s", svc->name, addr_format(vip, text));
	if (local)
		doctor_add(d, DOCTOR_WARNING, "vip", object,
			   "ip address del it here, unless this host is meant to be a backend of the service",
			   "an address of this host (%s): what this host itself sends there, probes through the tunnel "
			   "included, never leaves it",
			   local->ifname[0] ? local->ifname : "by a local route");
	else
		doctor_add(d, DOCTOR_ERROR, "vip", object, "lbctl backend-setup puts it on lo",
			   "this host is a backend of the service but does not hold the VIP: its stack drops the packets");
	return 1;
}

static void check_vips(struct doctor *d)
{
	const struct snapshot *s = d->f->s;
	unsigned int bad = 0;

	for (unsigned int i = 0; i < s->n_services && bad < DOCTOR_LISTED_MAX; i++)
		for (unsigned int k = 0; k < s->services[i].n_vips && bad < DOCTOR_LISTED_MAX; k++)
			bad += check_vip(d, &s->services[i], &s->services[i].vips[k]);
	doctor_sum_up(d, "vip", bad, "this host holds the VIPs that it should, and no other");
}

void doctor_check_services(struct doctor *d)
{
	check_serving(d);
	each_backend(d, "nexthop", check_nexthop, "every backend has a next hop");
	each_backend(d, "mtu", check_mtu, "packets of 1500 bytes fit the path to every backend");
	each_backend(d, "health", check_health, "no backend has failed every probe");
	check_vips(d);
	check_memory_of_flows(d);
}
