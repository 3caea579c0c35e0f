// SPDX-License-Identifier: Apache-2.0
/*
 * engine_adopt.c - opens the data plane and reads back what a former daemon left there, as a struct state.
 *
 * What is pinned is believed only as far as it makes sense: an id out of range or a table outside the maps is left out,
 * with a warning, and the configuration fills the gap.
 */
#include "engine_int.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define SEED_BYTES 16
#define MIN_SVC_BUCKETS 1024u
#define MIN_SLOT_LINES 8192u /* 262144 slots */
#define MIN_BACKENDS 1024u
#define MIN_SERVICES 256u

static __u32 pow2_at_least(__u64 n, __u32 min, __u32 max)
{
	__u32 v = min;

	while (v < n && v < max)
		v *= 2;
	return v;
}

/* Room for the configuration and half as much again; more needs a restart or a growth of the maps. */
void engine_choose_sizes(const struct config *cfg, struct dataplane_sizes *sizes)
{
	struct state_capacity need;
	__u64 lines, keys = 0;

	state_need(cfg, &need);
	for (unsigned int i = 0; i < cfg->n_services; i++)
		keys += 2ull * cfg->services[i].n_vips;
	lines = cfg->dataplane.max_slots ? state_lines_for(cfg->dataplane.max_slots) : (__u64)need.slot_lines * 3 / 2;
	if (lines < need.slot_lines)
		lines = need.slot_lines;
	*sizes = (struct dataplane_sizes){
		.slot_lines = lines < MIN_SLOT_LINES ? MIN_SLOT_LINES : (__u32)lines,
		.svc_buckets = pow2_at_least(keys * 8, MIN_SVC_BUCKETS, ENGINE_SVC_BUCKETS_MAX),
		.backends = pow2_at_least((__u64)need.backends * 3 / 2, MIN_BACKENDS, LB_BIDX_MAX + 1),
		.services = pow2_at_least((__u64)need.services * 3 / 2, MIN_SERVICES, LB_SID_MAX + 1),
		.flow_buckets = pow2_at_least(cfg->dataplane.max_flows / LB_FLOW_WAYS, 64, 1u << 24),
	};
}

/* ---- seed ------------------------------------------------------------------------------------------------------------- */

static int read_seed_file(const char *path, __u64 seed[2], struct err *err)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	unsigned int byte;

	if (!f) {
		int code = -errno;

		err_set(err, code, "seed file %s: %s", path, strerror(-code));
		err_hint(err, "make one and copy it to every balancer of the fleet: "
			      "od -An -N16 -tx1 /dev/urandom | tr -d ' \\n' > %s", path);
		return code;
	}
	for (unsigned int i = 0; i < SEED_BYTES; i++) {
		if (fscanf(f, "%2x", &byte) != 1)
			return err_set(err, -EINVAL, "seed file %s: 32 hexadecimal digits are needed, the %u%s is missing or "
				       "is none", path, 2 * i + 1, i == 0 ? "st" : "th");
		((__u8 *)seed)[i] = (__u8)byte;
	}
	return 0;
}

static int choose_seed(struct engine *e, const struct config *cfg, struct err *err)
{
	struct lb_meta meta;

	if (cfg->dataplane.seed_file[0])
		return read_seed_file(cfg->dataplane.seed_file, e->seed, err);
	if (dataplane_peek(cfg->dataplane.pin_dir, &meta) == 0 && meta.layout == LB_LAYOUT_VERSION) {
		memcpy(e->seed, meta.seed, sizeof(e->seed));
		return 0;
	}
	if (getrandom(e->seed, sizeof(e->seed), 0) != sizeof(e->seed))
		return err_set(err, -EIO, "no random bytes for the hash seed");
	log_warning("dataplane.seed-file is not set: this host hashes with a seed of its own; balancers that share VIPs "
		    "must share a seed file");
	return 0;
}

/* With another seed the maps come empty; what the operator had overridden is found in the ones they replace. */
const struct lb_backend_info *engine_previous_info(const struct engine *e, const char *service,
						   const struct lb_addr *addr)
{
	const struct dataplane_maps *m = dataplane_previous(e->dp);

	for (__u32 bidx = 1; m && bidx < m->sizes.backends; bidx++) {
		const struct lb_backend_info *info = &m->backend_info[bidx];

		if (info->sid && info->sid < m->sizes.services && !memcmp(info->addr, addr->b, sizeof(info->addr)) &&
		    !strncmp(m->services[info->sid].name, service, LB_NAME_MAX))
			return info;
	}
	return NULL;
}

/* ---- reading back ------------------------------------------------------------------------------------------------------ */

struct adopting {
	struct engine *e;
	struct state *s;
	__u16 by_sid[LB_SID_MAX + 1]; /* index in s->services, + 1 */
};

static bool service_makes_sense(const struct engine *e, __u32 sid, const struct lb_service *in)
{
	__u32 m = LB_SVC_M(in->val);

	return LB_SVC_SID(in->val) == sid && m && LB_SVC_LINE(in->val) + state_lines_for(m) <= e->maps->sizes.slot_lines &&
	       in->name[0] && memchr(in->name, 0, sizeof(in->name));
}

static void adopt_services(struct adopting *a)
{
	for (__u32 sid = 1; sid < a->e->maps->sizes.services && sid <= LB_SID_MAX; sid++) {
		const struct lb_service *in = &a->e->maps->services[sid];
		struct state_service *s;

		if (!in->val)
			continue;
		if (!service_makes_sense(a->e, sid, in)) {
			log_warning("pinned service %u does not make sense and is left out", sid);
			continue;
		}
		s = &a->s->services[a->s->n_services++];
		memcpy(s->name, in->name, sizeof(s->name));
		s->sid = (__u16)sid;
		s->flags = (__u8)LB_SVC_FLAGS(in->val);
		s->m = LB_SVC_M(in->val);
		s->line = LB_SVC_LINE(in->val);
		s->grace_s = in->grace_s;
		s->flow_idle_s = in->flow_idle_s;
		s->udp_idle_s = in->udp_idle_s;
		s->new_flow_limit = in->new_flow_limit;
		s->source_limit = in->source_limit;
		s->acl_digest = in->acl_digest;
	}
}

static int service_order(const void *a, const void *b)
{
	return strcmp(((const struct state_service *)a)->name, ((const struct state_service *)b)->name);
}

static int backend_order(const void *a, const void *b)
{
	return addr_cmp(&((const struct state_backend *)a)->addr, &((const struct state_backend *)b)->addr);
}

static int vip_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static int adopt_backends(struct adopting *a)
{
	const struct dataplane_maps *m = a->e->maps;

	for (__u32 bidx = 1; bidx < m->sizes.backends && bidx <= LB_BIDX_MAX; bidx++) {
		const struct lb_backend_info *in = &m->backend_info[bidx];
		struct state_backend *b, *grown;
		struct state_service *s;

		a->e->gen[bidx] = m->backends[bidx].gen;
		if (!in->sid || in->sid > LB_SID_MAX || !a->by_sid[in->sid])
			continue;
		s = &a->s->services[a->by_sid[in->sid] - 1];
		grown = reallocarray(s->backends, s->n_backends + 1, sizeof(*s->backends));
		if (!grown)
			return -ENOMEM;
		s->backends = grown;
		b = &s->backends[s->n_backends++];
		*b = (struct state_backend){ .bidx = (__u16)bidx, .weight = in->weight,
					     .forward = in->forward < LB_FORWARD_MAX ? in->forward : LB_FORWARD_IPIP };
		memcpy(b->addr.b, in->addr, sizeof(b->addr.b));
		addr_format(&b->addr, b->name);
		engine_adopt_ending(a->e, (__u16)bidx);
	}
	return 0;
}

static void adopt_key(const struct lb_addr *vip, __u16 port, __u8 protocol, __u64 val, void *userdata)
{
	struct adopting *a = userdata;
	__u32 sid = LB_SVC_SID(val);
	struct state_service *s;

	if (!sid || !a->by_sid[sid])
		return;
	s = &a->s->services[a->by_sid[sid] - 1];
	/* A service has one port and protocol: a key that a crash left behind for another one is taken down later. */
	if (s->n_vips == CONFIG_VIPS_MAX || (s->n_vips && (s->port != port || s->protocol != protocol)))
		return;
	s->port = port;
	s->protocol = protocol;
	s->vips[s->n_vips++] = *vip;
}

/* Changes of lines that a dead daemon had begun are in force by their spares: finish them. */
static void adopt_moved(struct engine *e)
{
	for (__u32 bidx = 1; bidx < e->maps->sizes.backends && bidx <= LB_BIDX_MAX; bidx++)
		if (e->maps->backends[bidx].encap == LB_ENCAP_MOVED)
			e->moved[e->n_moved++] = (__u16)bidx;
	engine_settle_lines(e);
}

static int adopt(struct engine *e, struct err *err)
{
	_cleanup_(state_freep) struct state *s = calloc(1, sizeof(*s));
	struct adopting a = { .e = e, .s = s };

	if (s)
		s->services = calloc(e->maps->sizes.services, sizeof(*s->services));
	if (!s || !s->services)
		return err_set(err, -ENOMEM, "out of memory");
	adopt_services(&a);
	qsort(s->services, s->n_services, sizeof(*s->services), service_order);
	for (unsigned int i = 0; i < s->n_services; i++)
		a.by_sid[s->services[i].sid] = (__u16)(i + 1);
	if (adopt_backends(&a) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	svcmap_visit(&e->svcmap, adopt_key, &a);
	for (unsigned int i = 0; i < s->n_services; i++) {
		qsort(s->services[i].backends, s->services[i].n_backends, sizeof(*s->services[i].backends), backend_order);
		qsort(s->services[i].vips, s->services[i].n_vips, sizeof(*s->services[i].vips), vip_order);
	}
	e->state = take_ptr(s);
	return 0;
}

static void use_dataplane(struct engine *e, struct dataplane *dp)
{
	e->dp = dp;
	e->maps = dataplane_maps(dp);
	svcmap_init(&e->svcmap, e->maps->svc4, e->maps->svc6, e->maps->sizes.svc_buckets, e->maps->meta->svc_seed);
}

static void options_of(const struct engine *e, const struct config *cfg, struct dataplane_options *o)
{
	*o = (struct dataplane_options){ .pin_dir = cfg->dataplane.pin_dir, .vip_echo = cfg->dataplane.vip_echo,
					 .xdp_mode = cfg->dataplane.xdp_mode };
	memcpy(o->seed, e->seed, sizeof(o->seed));
}

/*
 * Move to larger maps under traffic: copies with the same content are filled and then put in force in one atomic step
 * per interface. No flow, counter or phase is lost; ids stay what they are.
 */
int engine_grow(struct engine *e, const struct dataplane_sizes *sizes, struct err *err)
{
	struct dataplane *old = e->dp, *dp;
	struct dataplane_options o;
	bool adopted;
	int r;

	engine_settle_lines(e);
	options_of(e, e->config, &o);
	o.sizes = *sizes;
	r = dataplane_open(&dp, &o, &adopted, err);
	if (r < 0)
		return r;
	use_dataplane(e, dp);
	(void)engine_repair_keys(e);
	r = dataplane_commit(dp, err);
	if (r < 0) {
		use_dataplane(e, old);
		dataplane_close(dp);
		return r;
	}
	dataplane_close(old);
	(void)engine_open_path(e);
	engine_event(e, LOG_LEVEL_INFO, "maps_grown", NULL, NULL, NULL, NULL, "the configuration needs larger maps");
	return 0;
}

int engine_open_dataplane(struct engine *e, const struct config *cfg, struct err *err)
{
	struct dataplane_options o;
	struct state_capacity cap;
	struct dataplane *dp;
	bool adopted;
	int r = choose_seed(e, cfg, err);

	if (r < 0)
		return r;
	options_of(e, cfg, &o);
	engine_choose_sizes(cfg, &o.sizes);
	r = dataplane_open(&dp, &o, &adopted, err);
	if (r < 0)
		return r;
	use_dataplane(e, dp);
	if (adopted) {
		adopt_moved(e);
		r = adopt(e, err);
		if (r < 0)
			return r;
		log_info("adopted the pinned data plane: %u services", e->state->n_services);
	} else if (dataplane_previous(dp)) {
		log_warning("the hash seed is another one than before: established connections may move");
	}
	cap = (struct state_capacity){ e->maps->sizes.slot_lines, e->maps->sizes.backends, e->maps->sizes.services };
	return state_build(cfg, e->state, &cap, &e->pending, err);
}
