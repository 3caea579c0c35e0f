/* SPDX-License-Identifier: Apache-2.0 */
/* engine_int.h - what the engine's own files share; nobody else includes it. */
#pragma once
#include "core/admission.h"
#include "core/cleanup.h"
#include "core/maglev.h"
#include "core/overlay.h"
#include "core/plan.h"
#include "core/slots.h"
#include "core/state.h"
#include "core/svcmap.h"
#include "dataplane.h"
#include "lb/backend.h"
#include "engine.h"
#include "log.h"
#include "nexthop.h"
#include "probe.h"
#include "probe_path.h"

#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define ENGINE_SVC_BUCKETS_MAX (1u << 20)

/* Run-time side of a backend; parallel to state_service.backends. */
struct backend_rt {
	struct admission adm;
	__s32 weight_override; /* -1: none */
	__u32 target[2];       /* ids of probe targets, by family of the VIP (or [0]: its address); 0 = none */
	__u32 admission;       /* final, as last written to the slots */
	__u32 own_slots, slots;
	__u64 since_real_ns;
	bool nexthop_ok;
	char way_error[120]; /* why a resolved next hop can not be used; empty when it can */
	bool here;             /* this host itself, as its probes were last arranged */
};

/* Run-time side of a service; parallel to state.services. */
struct service_rt {
	const struct config_service *cfg; /* in engine.config */
	struct admission_policy policy;
	struct probe_spec probe; /* as configured, and the VIP as `host` when none was given */
	struct backend_rt *be; /* owned, n = state_service.n_backends */
	unsigned int n_be;
	struct maglev_backend *mb; /* owned; effective weights, as the table was built with */
	__u16 *table;              /* owned; T, ordinals */
	struct overlay *overlay;   /* owned */
	__u16 *owner;              /* owned; scratch and last result, bidx per slot */
	__u64 digest;
	struct slots_counts counts;
	__u32 overlay_us, write_us; /* what the last write of the slots took */
	struct admission_pool_result pool;
	bool table_stale; /* membership or weights changed: build T anew */
	bool dirty;       /* slots must be written */
	__u8 ways;        /* its probes go through the tunnel: 1 to an IPv4 VIP, 2 to an IPv6 one */
	bool way_told;    /* an event has said that they can not */
	char way_why[160]; /* why a family is not probed through the tunnel, though asked for; else empty */
	bool served;      /* has had an owner: from now on changes are transitions */
};

/* Where a probe goes, but for the spec. */
struct target_way {
	struct lb_addr addr, backend; /* equal unless it goes through a tunnel */
	__u16 port, gue_port;
	__u8 forward; /* 1 + enum lb_forward; 0: no tunnel */
};
/* A probe that serves every backend with the same way and spec. */
struct target_rt {
	struct target_way way;
	struct probe_target t;
	unsigned int first, n; /* users in engine.users */
};
struct target_user {
	unsigned int service, backend;
	unsigned int slot; /* of backend_rt.target */
};

struct engine {
	sd_event *event;
	struct engine_options opt;
	char *config_path;
	struct config *config;
	struct state *state;   /* in force */
	struct state *pending; /* until the start: what the configuration asks for */
	struct service_rt *rt; /* parallel to state->services; NULL until the start */
	struct dataplane *dp;
	const struct dataplane_maps *maps;
	struct svcmap svcmap;
	__u8 *gen;      /* by bidx: generation, as packets see it */
	__u8 *lost;     /* by bidx: its flows are given up with the next write of the slots */
	__u16 *moved;   /* lines whose change is in force by their spare, not settled yet */
	unsigned int n_moved;
	bool spares_in_use; /* lines were settled since the last grace period */
	__u64 seed[2];
	struct nexthops *nexthops;
	struct prober *prober;
	struct probe_path *path; /* NULL: not to be had, path_why says why */
	char path_why[160];
	struct target_rt *targets; /* sorted by id */
	struct target_user *users;
	unsigned int n_targets;
	__u32 next_target_id;
	sd_event_source *flush, *tick, *heartbeat, *start;
	bool ready;
	unsigned int known_services, known_backends; /* of `pending`: so far all have a next hop */
	__u64 started_ns, loaded_ns; /* CLOCK_REALTIME */
	__u32 *flows, *flows_counting; /* by sid: live entries at the last sweep; so far in this one */
	__u32 flows_at, flows_found;   /* the sweep's place; live entries it has found */
	__u64 reloads, reload_failures;
	char reload_error[160];
	char attach_error[400]; /* last one that was logged */
	unsigned int beats;     /* of the heartbeat */
};

__u64 engine_now(void);      /* CLOCK_MONOTONIC */
__u64 engine_now_real(void); /* CLOCK_REALTIME */

/* engine_steer.c */
void service_rt_policy(struct service_rt *rt);
int service_rt_init(struct engine *e, unsigned int i);
void service_rt_done(struct service_rt *rt);
void engine_mark(struct engine *e, unsigned int service); /* its slots must be looked at again */
int engine_flush(struct engine *e);                      /* write the slots of every marked service */
void engine_count(struct engine *e, unsigned int service); /* phases, from the maps */
int engine_fill(struct engine *e, unsigned int service);  /* a new service's slots, settled */
void engine_age(struct engine *e);                        /* let transitions end */
/*
 * Give up the flows of a backend: with the next write of its service's slots they lose their owner, then its generation
 * ends. The intent stands in the maps from here on; engine_adopt_ending() takes up what a dead daemon had begun.
 */
void engine_end_flows(struct engine *e, __u16 bidx);
void engine_adopt_ending(struct engine *e, __u16 bidx);

/* engine_acl.c */
/* Bring the prefixes of @s (in e->state) into the map; those that it no longer has are left to engine_sweep_acl(). */
int engine_write_acl(struct engine *e, const struct state_service *s);
void engine_sweep_acl(struct engine *e);

/* engine_apply.c */
/* Takes @next over in every case. When it fails before the first operation nothing is changed; else e->config is @cfg. */
int engine_apply(struct engine *e, struct config *cfg, struct state *next, struct err *err);
int engine_write_service(struct engine *e, const struct state_service *s, __u64 digest);
void engine_write_info(struct engine *e, unsigned int service, unsigned int backend);
void engine_drop_retired(struct engine *e);
/* engine_keys.c */
int engine_set_key(struct engine *e, const struct plan_op *op);
void engine_remove_key(struct engine *e, const struct plan_op *op);
unsigned int engine_repair_keys(struct engine *e); /* returns how many were wrong */
/* Would every key of the state in force and of @next find room in tables of @n_buckets? 0 or -ENOSPC. */
int engine_check_keys(struct engine *e, const struct state *next, __u32 n_buckets, struct err *err);

/* engine_adopt.c */
/* Open, read back what is pinned (e->state) and build e->pending. */
int engine_open_dataplane(struct engine *e, const struct config *cfg, struct err *err);
void engine_choose_sizes(const struct config *cfg, struct dataplane_sizes *sizes);
int engine_grow(struct engine *e, const struct dataplane_sizes *sizes, struct err *err);
const struct lb_backend_info *engine_previous_info(const struct engine *e, const char *service,
						   const struct lb_addr *addr);

/* engine_targets.c */
void service_rt_probe(struct service_rt *rt);
int engine_sync_probes(struct engine *e, struct err *err);
bool engine_find_ways(struct engine *e, unsigned int service); /* true when they changed */
bool engine_ways_changed(struct engine *e, const struct lb_addr *addr); /* by a new answer for @addr */
/* VIPs whose next hop the probes depend on, two a service at most. */
unsigned int engine_probed_vips(const struct state *s, const struct config *cfg, struct lb_addr *out);
/* Load the program of the probes onto the maps in force, in the place of the one before. Without it: e->path_why. */
int engine_open_path(struct engine *e);
void engine_attach_path(struct engine *e, const char *ifname);

/* engine_health.c */
/* Of the probes of a backend the one that speaks most against it; NULL when it is not probed. */
const struct target_rt *engine_worst_target(const struct engine *e, const struct backend_rt *be);
/* A silence that is the balancer's own: the probe was not sent. */
void engine_explain_result(const struct engine *e, const struct lb_addr *backend, const struct backend_rt *be,
			   struct probe_result *r);
void engine_on_probe(__u32 id, const struct health *h, enum health_event ev, void *userdata);
void engine_tick_admissions(struct engine *e, __u64 *next_ns);
void engine_policies_changed(struct engine *e); /* after a reload: times that count already may be longer or shorter */
void engine_admission_changed(struct engine *e, unsigned int service, unsigned int backend, enum admission_state before);
/* The same without marking the service: for who is writing its slots already. Nothing when nothing changed. */
void engine_member_changed(struct engine *e, unsigned int service, unsigned int backend, enum admission_state before);

/* engine_nexthop.c */
int engine_sync_nexthops(struct engine *e, const struct state *s, struct err *err);
void engine_on_nexthop(const struct lb_addr *addr, const struct nexthop *nh, void *userdata);
void engine_on_link(const char *ifname, unsigned int ifindex, bool up, void *userdata);
void engine_write_line(struct engine *e, unsigned int service, unsigned int backend);
void engine_put_unused(struct engine *e, __u16 bidx); /* nobody is this id any more; its generation is e->gen */
void engine_settle_lines(struct engine *e);           /* finish changes of lines; waits for a grace period */


/* engine_view.c */
const struct lb_backend *engine_line(const struct engine *e, __u16 bidx); /* the line in force */
/* engine_cmd.c */
int engine_ready(const struct engine *e, struct err *err); /* 0, or -EBUSY and "still starting" */
/* -ENOENT with a suggestion. */
int engine_find_service(const struct engine *e, const char *name, unsigned int *out, struct err *err);

/* engine_reconcile.c */
void engine_reconcile(struct engine *e); /* call every few seconds */
void engine_repair_attachment(struct engine *e, const char *ifname);

/* engine_moves.c */
json_t *engine_moves(const struct engine *e, const struct plan *plan); /* [{"name","slots_moved","table_size"}] */

/* engine_flows.c */
void engine_sweep_flows(struct engine *e); /* call once a second */
void engine_bury_flows(struct engine *e);  /* clear all that is dead, now */

/* engine.c */
void engine_event(struct engine *e, enum log_level level, const char *kind, const struct state_service *s,
		  const struct state_backend *b, const char *from, const char *to, const char *why);
