/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - one consistent picture of the running daemon, as plain data: what lbctl, JSON and metrics are
 * made from. Built by the engine, owned by the caller (snapshot_done). Pure readers only.
 */
#pragma once
#include "core/admission.h"
#include "core/slots.h"
#include "core/config.h"

struct snapshot_backend {
	char name[LB_NAME_MAX];
	struct lb_addr addr;
	__u16 bidx;
	__u32 weight;          /* configured */
	__s32 weight_override; /* -1: none */
	enum lb_forward forward;
	enum lb_encap encap;
	enum admission_state state;
	enum lb_admin admin;
	__u32 admission; /* 0..65536, final */
	__u32 own_slots; /* quota in the full table */
	__u32 slots;     /* slots it serves now */
	__u8 generation;
	__u64 since_ns; /* CLOCK_REALTIME of the last change of state */
	__u64 next_ns;  /* CLOCK_REALTIME when time alone will change something (ramp, deadline); 0 = never */
	char reason[160];
	bool retired;               /* no longer configured; its last flows go on */
	enum probe_type probe_type; /* PROBE_NONE: not probed, the fields below mean nothing */
	enum health_state active;
	struct lb_addr probe_addr;      /* what is asked: a VIP, or its own address */
	__u16 probe_port;
	enum probe_via probe_via;
	__u32 rise, fall;               /* of the probe's specification */
	__u32 streak;                   /* results in a row that contradict `active` */
	struct probe_result last_probe; /* meaningful when checks > 0 */
	__u64 checks, failures;
	__u32 latencies, latency_p50_us, latency_p99_us; /* of so many successful probes, the last ones; 0: none */
	__u32 next_probe_ms; /* from now */
	bool nexthop_ok;
	char nexthop[96]; /* "eth0 via 10.0.2.1 (02:..)" or why there is none */
	__u32 mtu;
	__u64 packets, bytes;
};

struct snapshot_service {
	char name[LB_NAME_MAX];
	__u16 sid;
	struct lb_addr vips[CONFIG_VIPS_MAX];
	unsigned int n_vips;
	__u16 port;
	__u8 protocol;
	enum lb_forward forward;
	enum config_udp udp;
	__u32 m;
	__u64 digest;
	struct slots_counts slots;
	__u32 overlay_us, write_us; /* the last change: computing the owners of all slots; storing them */
	bool panic;
	bool mass_failure;
	__u32 grace_s;
	__u64 flows; /* live entries in the flow table */
	__u64 packets, bytes;
	__u64 steer[16]; /* by enum lb_steer_stat */
	struct snapshot_backend *backends;
	unsigned int n_backends;
};

struct snapshot {
	char version[32];
	char config_file[256];
	__u64 started_ns, loaded_ns, now_ns; /* CLOCK_REALTIME */
	__u64 reloads, reload_failures;
	char reload_error[160]; /* why the last reload was refused; empty when it was not */
	char kernel[64];
	struct {
		char name[16];
		char mode[12]; /* "native" or "generic" */
		bool attached;
	} interfaces[CONFIG_INTERFACES_MAX];
	unsigned int n_interfaces;
	char pin_dir[CONFIG_PATH_MAX];
	__u64 outcomes[LB_OUTCOME_SLOTS];
	__u64 map_bytes; /* kernel memory of all maps, from fdinfo */
	struct snapshot_service *services;
	unsigned int n_services;
};

/* Free what @s owns (services, backends) and clear it; NULL and half-built snapshots are fine. */
void snapshot_done(struct snapshot *s);
/* NULL when there is none. A backend is found by its name or by its address, however that is spelled. */
const struct snapshot_service *snapshot_find_service(const struct snapshot *s, const char *name);
const struct snapshot_backend *snapshot_find_backend(const struct snapshot_service *svc, const char *name);

/* What a service amounts to, worst first in the enum's order of severity. */
#define SNAPSHOT_VERDICTS(X)                                                                                 \
	X(OK, "ok")                                                                                          \
	X(DEGRADED, "degraded") /* it serves, but some backend that should does not, or has no next hop */   \
	X(PANIC, "panic")       /* too few are healthy: everybody serves */                                  \
	X(DOWN, "down")         /* nobody serves */
enum snapshot_verdict {
#define X(id, name) SNAPSHOT_##id,
	SNAPSHOT_VERDICTS(X)
#undef X
		SNAPSHOT_VERDICT_MAX
};
const char *snapshot_verdict_name(enum snapshot_verdict v);
enum snapshot_verdict snapshot_verdict(const struct snapshot_service *svc);
/* Does it get new flows now? */
static inline bool snapshot_serves(const struct snapshot_backend *b)
{
	return b->slots > 0;
}
/* Is it out of service by its own fault (not by the operator's will)? */
bool snapshot_failing(const struct snapshot_backend *b);
/* The weight in force; a retired backend has none. */
static inline __u32 snapshot_weight(const struct snapshot_backend *b)
{
	if (b->retired)
		return 0;
	return b->weight_override >= 0 ? (__u32)b->weight_override : b->weight;
}
