// SPDX-License-Identifier: Apache-2.0
/* engine_doctor.c - facts about the engine's own things for `lbctl doctor`: how full the maps are, pins, interfaces. */
#include "engine_int.h"

#include "doctor_facts.h"

#include <string.h>
#include <time.h>

static void add_fill(struct doctor_facts *f, const char *name, const char *unit, __u64 used, __u64 size, bool grows)
{
	f->fills[f->n_fills++] = (struct doctor_fill){ name, unit, used, size, grows };
}

static void count_key(const struct lb_addr *vip, __u16 port, __u8 protocol, __u64 val, void *userdata)
{
	__u64 *keys = userdata;

	keys[addr_is_v4(vip) ? 0 : 1]++;
}

static void look_at_maps(const struct engine *e, struct doctor_facts *f)
{
	__u64 lines = 0, backends = 0, flows = 0, keys[2] = { 0 };
	const struct dataplane_sizes *size = &e->maps->sizes;

	for (unsigned int i = 0; i < e->state->n_services; i++) {
		const struct state_service *s = &e->state->services[i];

		lines += state_lines_for(s->m);
		backends += s->n_backends;
		flows += e->flows[s->sid];
	}
	svcmap_visit(&e->svcmap, count_key, keys);
	add_fill(f, "slots", "lines of 32 slots", lines, size->slot_lines, true);
	add_fill(f, "services", "service ids", e->state->n_services, size->services - 1, true);
	add_fill(f, "backends", "backend ids", backends, size->backends - 1, true);
	add_fill(f, "svc4", "IPv4 keys", keys[0], (__u64)size->svc_buckets * ARRAY_SIZE(((struct lb_svc4_bucket *)0)->e),
		 true);
	add_fill(f, "svc6", "IPv6 keys", keys[1], (__u64)size->svc_buckets * ARRAY_SIZE(((struct lb_svc6_bucket *)0)->e),
		 true);
	add_fill(f, "flows", "entries", flows, (__u64)size->flow_buckets * LB_FLOW_WAYS, false);
}

static void look_at_interfaces(struct engine *e, struct doctor_facts *f)
{
	for (unsigned int i = 0; i < f->s->n_interfaces; i++) {
		struct doctor_interface *x = &f->interfaces[f->n_interfaces++];

		memcpy(x->name, f->s->interfaces[i].name, sizeof(x->name));
		memcpy(x->mode, f->s->interfaces[i].mode, sizeof(x->mode));
		doctor_look_at_interface(x);
	}
}

static __u64 heartbeat_age_ms(const struct engine *e)
{
	struct timespec ts;
	__u64 now;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	now = (__u64)ts.tv_sec * NSEC_PER_SEC + (__u64)ts.tv_nsec;
	return now > e->maps->meta->heartbeat_ns ? (now - e->maps->meta->heartbeat_ns) / NSEC_PER_MSEC : 0;
}

int engine_doctor(struct engine *e, json_t **data, struct err *err)
{
	_cleanup_(snapshot_done) struct snapshot s = { 0 };
	struct doctor_facts f = { .s = &s };
	int r = engine_ready(e, err);

	if (r == 0)
		r = engine_snapshot(e, &s, err);
	if (r < 0)
		return r;
	f.generic_wanted = e->config->dataplane.xdp_mode == CONFIG_XDP_GENERIC;
	f.seed_from_file = e->config->dataplane.seed_file[0] != '\0';
	f.heartbeat_age_ms = heartbeat_age_ms(e);
	f.jit = dataplane_is_jited(e->dp);
	f.pins_bad = dataplane_check_pins(e->dp, f.pin_bad, sizeof(f.pin_bad));
	doctor_look_at_kernel(&f);
	look_at_interfaces(e, &f);
	look_at_maps(e, &f);
	doctor_look_at_vips(&f);
	return doctor_report(&f, data, err);
}
