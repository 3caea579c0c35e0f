/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataplane.h - the only user of libbpf: load, pin, adopt, attach, map the arrays, read the counters.
 *
 * It decides nothing. Pinned objects live in `<pin_dir>/`: maps by name, `prog`, `link-<ifname>`. Nothing is detached
 * or unpinned when the daemon ends; dataplane_detach() removes everything. One thread only.
 */
#pragma once
#include "core/addr.h"
#include "core/config.h"
#include "core/err.h"
#include "lb/abi.h"
#include <stdbool.h>

struct dataplane;

struct dataplane_sizes {
	__u32 slot_lines; /* entries of `slots` */
	__u32 svc_buckets; /* power of two, of svc4 and svc6 each */
	__u32 backends;   /* entries of backends, backend_info, backend_stats */
	__u32 services;   /* entries of services, steer_stats */
	__u32 flow_buckets; /* power of two */
};

struct dataplane_options {
	const char *pin_dir;
	struct dataplane_sizes sizes; /* wanted at least; an adopted data plane may be larger */
	__u64 seed[2];
	bool vip_echo;
	enum config_xdp_mode xdp_mode;
};

/* What the engine writes into: shared memory with the program. Indices as in abi.h. */
struct dataplane_maps {
	struct lb_svc4_bucket *svc4;
	struct lb_svc6_bucket *svc6;
	struct lb_slot_line *slots;
	struct lb_slot_x *slot_x;
	struct lb_backend *backends;
	struct lb_backend_info *backend_info;
	struct lb_service *services;
	struct lb_meta *meta;
	struct dataplane_sizes sizes;
};

/*
 * Open the pinned data plane when there is one of our layout (adopt: maps are kept, the program is replaced in place
 * by an atomic link update), else load a new one and pin it. When the adopted maps are smaller than wanted, or the seed
 * differs, a new set of maps is loaded beside the old and *@adopted is false; the old stays in force until
 * dataplane_commit(). Nothing is attached yet. Errors: err with a hint (no BTF, no privilege, other layout, no bpffs).
 */
int dataplane_open(struct dataplane **out, const struct dataplane_options *o, bool *adopted, struct err *err);
const struct dataplane_maps *dataplane_maps(const struct dataplane *d);
/* Attach to @ifname (or adopt its pinned link and update the program in place). Never evicts a foreign program. */
int dataplane_attach(struct dataplane *d, const char *ifname, struct err *err);
/* Detach one interface that is no longer configured. */
int dataplane_detach_interface(struct dataplane *d, const char *ifname, struct err *err);
/* Is our program really on @ifname now? *mode: "native", "generic" or "none". */
int dataplane_check(struct dataplane *d, const char *ifname, const char **mode, struct err *err);
/* devmap index (1..) for an egress interface, allocated on first use; 0 on failure. */
int dataplane_tx_port(struct dataplane *d, unsigned int ifindex, __u8 *port, struct err *err);
/* Return when every packet that could have seen the state of before this call is done (an RCU grace period). */
int dataplane_quiesce(struct dataplane *d);
/* LB clock, see abi.h. */
__u32 dataplane_clock_ds(struct dataplane *d);
/* Counters, summed over CPUs. @n entries from index 0. */
int dataplane_read_outcomes(struct dataplane *d, __u64 *out, unsigned int n);
int dataplane_read_backend_stats(struct dataplane *d, struct lb_counter *out, unsigned int n);
int dataplane_read_steer_stats(struct dataplane *d, struct lb_steer_stats *out, unsigned int n);
__u64 dataplane_map_bytes(const struct dataplane *d);
/* Set a backend's per-CPU counters to 0 (a bidx is being reused). */
int dataplane_reset_backend_stats(struct dataplane *d, __u16 bidx);
/*
 * Run the loaded program on @frame without sending it (BPF_PROG_TEST_RUN); counters are not disturbed when
 * @undisturbed. *@verdict: XDP_*. @out of @out_size receives the frame as it would leave.
 */
int dataplane_test_run(struct dataplane *d, const void *frame, __u32 len, void *out, __u32 *out_size, __u32 *verdict,
		       struct err *err);
void dataplane_close(struct dataplane *d); /* leaves everything in place */
/* Remove links, programs, maps below @pin_dir. 0 also when there is nothing. */
int dataplane_detach_all(const char *pin_dir, struct err *err);
