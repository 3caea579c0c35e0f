/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_path.h - the way of a probe through the real encapsulation: loads bpf/probe.bpf.c onto the data plane's pinned
 * maps and holds it at the egress of interfaces.
 *
 * A probe_target with mark = probe_path_mark(bidx), addr = a VIP and port = the service's then tests that one backend's
 * next hop, encapsulation, decapsulation, VIP and server. What the host must provide: a route to the VIP by one of the
 * attached interfaces (a default route will do), and the VIP must not be an address of the host itself: the local table
 * wins before egress (such a probe would test this host).
 *
 * By a tcx link where the kernel has it (6.6): it lives as long as this process. Else by clsact, with a filter of
 * priority PROBE_PATH_PRIORITY that survives a kill and is replaced by the next start. Other programs keep their places.
 */
#pragma once
#include "core/err.h"
#include "lb/probe.h"
#include <stdbool.h>

#define PROBE_PATH_PRIORITY 19522

struct probe_path;

static inline __u32 probe_path_mark(__u16 bidx)
{
	return LB_PROBE_MARK | bidx;
}

/*
 * Load, using the maps pinned in @pin_dir: after dataplane_commit(), and again (a new object, attached, then the old one
 * closed) whenever the data plane was opened anew, since growing replaces the maps. @no_tcx: clsact in any case.
 */
int probe_path_open(struct probe_path **out, const char *pin_dir, bool no_tcx, struct err *err);
/*
 * Attach to @ifname, anew when the interface was deleted and came back, by whose index that is known; else nothing
 * happens. -ENODEV: no such interface.
 */
int probe_path_attach(struct probe_path *p, const char *ifname, struct err *err);
void probe_path_detach(struct probe_path *p, const char *ifname);
/* A backend line may name @port from now on (dataplane_tx_port()); those of before are known since the opening. */
int probe_path_set_port(struct probe_path *p, __u32 port, __u32 ifindex);
struct probe_path_stats {
	__u64 n[LB_PROBE_STATS];
};
int probe_path_read_stats(const struct probe_path *p, struct probe_path_stats *out);
void probe_path_close(struct probe_path *p); /* detaches everything; NULL is fine */
/* Remove a clsact filter that a killed daemon left on @ifname (`lbd --detach`). 0 also when there is none. */
int probe_path_remove(const char *ifname, struct err *err);
