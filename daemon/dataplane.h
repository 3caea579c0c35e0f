/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataplane.h - the only user of libbpf: load, pin, adopt, attach, map the arrays, read the counters.
 *
 * It decides nothing. Pinned objects live in `<pin_dir>/`: maps by name, `prog`, `link-<ifname>` (dots in interface
 * names become colons). Nothing is detached or unpinned when the daemon ends; dataplane_detach_all() removes everything.
 * One thread only. Everything but the first mount of bpffs works with the capabilities that privilege_drop() leaves.
 *
 * Order of use:  open -> write the maps -> commit (or the first attach) -> attach ... -> close
 */
#pragma once
#include "core/addr.h"
#include "core/config.h"
#include "core/err.h"
#include "lb/abi.h"
#include <stdbool.h>

struct dataplane;

struct dataplane_sizes {
	__u32 slot_lines;   /* entries of `slots` and `slot_live`; `slot_x` has 32 times as many */
	__u32 svc_buckets;  /* power of two, at least 2; of svc4 and svc6 each */
	__u32 backends;     /* entries of backends, backend_spares, backend_info, backend_stats */
	__u32 services;     /* entries of services, steer_stats */
	__u32 flow_buckets; /* power of two */
	__u32 syn_buckets;  /* power of two; 0: the default (8192) */
};

struct dataplane_options {
	const char *pin_dir; /* a directory of its own below a BPF file system; made when missing */
	struct dataplane_sizes sizes; /* wanted at least; an adopted data plane may be larger */
	__u64 seed[2];
	__u32 svc_seed; /* 0: keep the pinned one (0 when there is none); if it differs, svc4 and svc6 come empty */
	__u32 cpu_insert_budget; /* new flow entries per CPU and second, all services together; 0: the default (100000) */
	bool vip_echo;
	enum config_xdp_mode xdp_mode;
};

/* What the engine writes into: shared memory with the program. Indices as in abi.h. */
struct dataplane_maps {
	struct lb_svc4_bucket *svc4;
	struct lb_svc6_bucket *svc6;
	struct lb_slot_line *slots;
	struct lb_slot_x *slot_x;            /* only after dataplane_need_lines() */
	struct lb_slot_live_line *slot_live; /* the same */
	struct lb_backend *backends;
	struct lb_backend *backend_spares;
	struct lb_backend_info *backend_info;
	struct lb_service *services;
	struct lb_meta *meta;
	struct dataplane_sizes sizes; /* as they are, not as they were wanted */
};

/*
 * Read the pinned `meta` without opening anything else: the seed, the layout. -ENOENT when nothing is pinned. Its first
 * word is the layout; with another layout the rest may mean something else.
 */
int dataplane_peek(const char *pin_dir, struct lb_meta *meta);

/*
 * Open the pinned data plane when there is one of our layout, else prepare a new one. Nothing that packets see changes
 * before dataplane_commit(). What dataplane_maps() shows then:
 *   same seed, large enough   the pinned maps themselves (*adopted true). Stores take effect at once.
 *   same seed, too small      larger copies with the same content: slots, phases, generations, counters (*adopted true).
 *                             svc4 and svc6 come empty when svc_buckets or svc_seed changed. The flow table and the
 *                             SYN filter are shared and keep their size whatever is wanted: no flow is forgotten.
 *   another seed              empty maps (*adopted false); the old ones can be read by dataplane_previous().
 *   nothing pinned            empty maps (*adopted false).
 * A process that holds a data plane may open the same pin_dir again to grow it: commit the new one, close the old one.
 * Errors: err with a hint (no privilege, no bpffs, other layout, incomplete pins, refused by the verifier).
 */
int dataplane_open(struct dataplane **out, const struct dataplane_options *o, bool *adopted, struct err *err);
const struct dataplane_maps *dataplane_maps(const struct dataplane *d);
/*
 * Make lines @first to @first + @n of slot_x and slot_live accessible; to touch others is a fault. They stay so until
 * dataplane_trim_lines() has been called twice without their being asked for again. Mapped pages are resident memory:
 * ask before each pass over a service's slots, trim once a second. -ERANGE, -ENOMEM.
 */
int dataplane_need_lines(struct dataplane *d, __u32 first, __u32 n);
void dataplane_trim_lines(struct dataplane *d);
/* The maps of another seed that the commit will replace: who the backends were, overrides. NULL if none, or after it. */
const struct dataplane_maps *dataplane_previous(const struct dataplane *d);
/*
 * Put in force what dataplane_open() prepared: every pinned link gets the new program in one atomic step each, then the
 * pins are replaced. A crash at any point leaves the old or the new state for the next start, and packets always meet
 * one of them. Idempotent; dataplane_attach() does it when it has not been done.
 */
int dataplane_commit(struct dataplane *d, struct err *err);
/*
 * Attach to @ifname, or take its pinned link over. A link whose interface was deleted, renamed or moved is made anew.
 * -ENODEV: no such interface. -EBUSY: another program holds XDP there; it is named, never evicted. Idempotent.
 */
int dataplane_attach(struct dataplane *d, const char *ifname, struct err *err);
/* Detach one interface that is no longer configured; it need not exist any more. */
int dataplane_detach_interface(struct dataplane *d, const char *ifname, struct err *err);
/*
 * Is our program really on @ifname now? 0 and *mode "native", "generic" or "none" (not ours, or nothing); -ENODEV and
 * "none" when there is no such interface.
 */
int dataplane_check(struct dataplane *d, const char *ifname, const char **mode, struct err *err);
/* devmap index (1..) for an egress interface, allocated on first use and kept over restarts; 0 on failure. */
int dataplane_tx_port(struct dataplane *d, unsigned int ifindex, __u8 *port, struct err *err);
/* Return when every packet that could have seen the state of before this call is done (an RCU grace period, ~9 ms). */
int dataplane_quiesce(struct dataplane *d);
/* LB clock, see abi.h: what a packet would read now. 0.2 us. */
__u32 dataplane_clock_ds(struct dataplane *d);
/* Counters, summed over CPUs. @n entries from index 0; -ERANGE when there are fewer. */
int dataplane_read_outcomes(struct dataplane *d, __u64 *out, unsigned int n);
int dataplane_read_backend_stats(struct dataplane *d, struct lb_counter *out, unsigned int n);
int dataplane_read_steer_stats(struct dataplane *d, struct lb_steer_stats *out, unsigned int n);
/* Kernel memory of all maps together, as the kernel accounts it. */
__u64 dataplane_map_bytes(const struct dataplane *d);
/* Source prefix lists, see abi.h: set or remove one prefix (removing what is not there is fine). */
int dataplane_acl_set(struct dataplane *d, const struct lb_acl_key *key, enum lb_acl verdict);
int dataplane_acl_remove(struct dataplane *d, const struct lb_acl_key *key);
/* The entry behind @key (NULL: the first) in an order of the kernel's own; -ENOENT at the end. @key need not exist. */
int dataplane_acl_next(struct dataplane *d, const struct lb_acl_key *key, struct lb_acl_key *next);
/* Set a backend's per-CPU counters to 0 (a bidx is being reused). */
int dataplane_reset_backend_stats(struct dataplane *d, __u16 bidx);
/*
 * A window of the flow table, for sweeping and listing: buckets @first (a multiple of DATAPLANE_FLOW_WINDOW) to
 * @first + *n. It is valid until the next call; a call with @first beyond the end gives the memory back and returns
 * NULL. The table is not mapped as a whole since mapped pages of a BPF array are resident at once.
 */
#define DATAPLANE_FLOW_WINDOW 4096u
struct lb_flow_bucket *dataplane_flow_window(struct dataplane *d, __u32 first, __u32 *n);
/*
 * Run the program on @frame (an Ethernet frame of 14 bytes at least) without sending it and without a trace: a second
 * instance of it runs, which shares the tables that the daemon writes and has copies of its own of all that packets
 * write (flow table, SYN filter, counters, budgets; of fragments it knows nothing). *@verdict: XDP_*. @out of *@out_size
 * bytes receives the frame as it would leave, *@out_size its length. -ENOSPC: @out is too small. The first run loads the
 * instance, which takes 0.2 s; it stays loaded.
 */
int dataplane_test_run(struct dataplane *d, const void *frame, __u32 len, void *out, __u32 *out_size, __u32 *verdict,
		       struct err *err);
/* The same, and what the run counted: for `lbctl explain`. */
struct dataplane_trace {
	__u32 verdict;       /* XDP_* */
	int outcome;         /* enum lb_outcome, or -1: it was sent to a backend */
	__u16 bidx;          /* the backend whose counter moved; 0: none */
	bool in_transition;  /* its slot was; then `steer` says which rules applied */
	struct lb_steer_stats steer;
};
int dataplane_trace(struct dataplane *d, const void *frame, __u32 len, void *out, __u32 *out_size,
		    struct dataplane_trace *trace, struct err *err);
void dataplane_close(struct dataplane *d); /* leaves everything in place; NULL is fine */
/* Did the kernel compile the program (else it is interpreted)? 1, 0, or -1 when it does not say. */
int dataplane_is_jited(const struct dataplane *d);
/* How many pinned objects are missing or not those in use; the name of one in @name. */
unsigned int dataplane_check_pins(const struct dataplane *d, char *name, size_t size);
/*
 * Remove links, programs and maps below @pin_dir, and the directory. 0 also when there is nothing. Refuses a directory
 * that is not on a BPF file system, or that is a mount point.
 */
int dataplane_detach_all(const char *pin_dir, struct err *err);
