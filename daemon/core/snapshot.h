/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - one consistent picture of the running daemon, as plain data: what lbctl, JSON and metrics are made from.
 * Built by the engine, owned by the caller (snapshot_done). Pure readers only.
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
	__u32 admission;       /* 0..65536, final */
	__u32 own_slots;       /* quota in the full table */
	__u32 slots;           /* slots it serves now */
	__u8 generation;
	__u64 since_ns;        /* CLOCK_REALTIME of the last change of state */
	char reason[160];
	enum health_state active;
	struct probe_result last_probe;
	__u64 checks, failures;
	__u32 next_probe_ms;   /* from now */
	bool nexthop_ok;
	char nexthop[96];      /* "eth0 via 10.0.2.1 (02:..)" or why there is none */
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
	__u32 m;
	__u64 digest;
	struct slots_counts slots;
	bool panic;
	bool mass_failure;
	__u32 grace_s;
	__u64 packets, bytes;
	__u64 steer[16];       /* by enum lb_steer_stat */
	struct snapshot_backend *backends;
	unsigned int n_backends;
};

struct snapshot {
	char version[32];
	char config_file[256];
	__u64 started_ns, loaded_ns, now_ns; /* CLOCK_REALTIME */
	char kernel[64];
	struct {
		char name[16];
		char mode[12]; /* "native" or "generic" */
		bool attached;
	} interfaces[CONFIG_INTERFACES_MAX];
	unsigned int n_interfaces;
	char pin_dir[CONFIG_PATH_MAX];
	__u64 outcomes[LB_OUTCOME_SLOTS];
	__u64 map_bytes;       /* kernel memory of all maps, from fdinfo */
	struct snapshot_service *services;
	unsigned int n_services;
};
void snapshot_done(struct snapshot *s);
