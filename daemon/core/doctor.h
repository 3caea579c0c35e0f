/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - what lbd needs from its host and network, judged: facts in, checks with advice out. For `lbctl doctor`.
 *
 * Pure. The facts are gathered by daemon/doctor_facts.c and the engine; here they are only judged. Each check says what
 * it is about, how it stands, what that means and, unless it is fine, what to do.
 */
#pragma once
#include "core/err.h"
#include "core/snapshot.h"
#include <jansson.h>

#define DOCTOR_LISTED_MAX 20 /* objects that fail the same check are listed; more are counted */
#define DOCTOR_LOCAL_MAX 16

struct doctor_interface {
	char name[16];
	bool exists, up, running; /* there; administratively up; with carrier */
	char mode[12];            /* "native", "generic" or "none" */
	int rp_filter;            /* in force for IPv4: 0 off, 1 strict, 2 loose; -1 unknown */
};

/* How full a map is. */
struct doctor_fill {
	const char *name; /* "slots" */
	const char *unit; /* "slot lines" */
	__u64 used, size;
	bool grows;       /* a reload that needs more loads larger maps */
};

/* A VIP that is an address of this host. */
struct doctor_local_vip {
	struct lb_addr vip;
	char ifname[16]; /* that holds it; empty: a local route alone */
};

struct doctor_facts {
	const struct snapshot *s;
	bool btf;                /* the kernel has type information of its own */
	int jit;                 /* the program was compiled: 1, interpreted: 0; -1 unknown */
	unsigned int pins_bad;   /* pinned objects that are missing, or not the ones in use */
	char pin_bad[64];        /* name of one */
	bool bpffs;              /* the pin directory lies on a BPF file system */
	bool generic_wanted;     /* by the configuration */
	bool seed_from_file;
	__u64 heartbeat_age_ms;
	struct doctor_interface interfaces[CONFIG_INTERFACES_MAX];
	unsigned int n_interfaces;
	struct doctor_fill fills[8];
	unsigned int n_fills;
	struct doctor_local_vip local[DOCTOR_LOCAL_MAX];
	unsigned int n_local; /* more than DOCTOR_LOCAL_MAX are not listed */
};

/* The document "doctor" (docs/control-protocol.md); shape as in report.h. */
int doctor_report(const struct doctor_facts *f, json_t **data, struct err *err);
