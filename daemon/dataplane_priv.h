/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataplane_priv.h - what the files dataplane*.c share. Nobody else includes it, but their tests.
 *
 *   dataplane.c       open, commit, close: the order of things
 *   dataplane_pin.c   the pin directory: bpffs, adoption, the crash-safe switch from one set of maps to the next
 *   dataplane_load.c  the skeleton: sizes, rodata, verifier messages
 *   dataplane_words.c when the kernel refuses it: the reason in one message
 *   dataplane_maps.c  which maps there are, how they are sized, mapped and carried over
 *   dataplane_adopt.c is what is pinned ours, and whole?
 *   dataplane_btf.c   are the structs in a pinned map the same as the program's?
 *   dataplane_lines.c the side tables of the slots, mapped where they are in use
 *   dataplane_link.c  interfaces: attach, check, detach
 *   dataplane_read.c  counters, devmap, memory
 *   dataplane_acl.c   source prefix lists
 *   dataplane_run.c   clock, grace periods, runs of the program on a given packet
 */
#pragma once
#include "dataplane.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stddef.h>

#define DP_PATH_MAX 256
#define DP_MAPS_MAX 32 /* pinned maps of one program, known and others */

/* Maps that the daemon itself reads or writes. The order is that of `dp_map_specs`. */
enum dp_map_id {
	DP_SVC4,
	DP_SVC6,
	DP_SLOTS,
	DP_SLOT_X,
	DP_SLOT_LIVE,
	DP_BACKENDS,
	DP_BACKEND_SPARES,
	DP_BACKEND_INFO,
	DP_SERVICES,
	DP_META,
	DP_BACKEND_STATS,
	DP_OUTCOMES,
	DP_STEER_STATS,
	DP_STEER_BUDGET,
	DP_FLOWS,
	DP_SYN_SEEN,
	DP_TX_PORTS,
	DP_ACL,
	DP_KNOWN_MAX
};

/* What becomes of a map's content when a larger set of maps takes over (same seed). */
enum dp_carry {
	DP_CARRY_COPY,   /* the daemon's own array: copied, so that the old set stays as it is until the commit */
	DP_CARRY_SHARE,  /* written by packets: the same map serves the new set (a flow table keeps its size) */
	DP_CARRY_STATS,  /* per-CPU counters: shared while large enough, else copied */
	DP_CARRY_BUCKETS /* placed by hash: copied while the number of buckets is the same, else left empty */
};

struct dp_map_spec {
	const char *name;
	enum dp_carry carry;
	__u32 value_size;
	ptrdiff_t size_field; /* in struct dataplane_sizes; -1: size fixed by the program */
	__u32 per_size;       /* entries for each unit of the size field */
	ptrdiff_t pointer;    /* in struct dataplane_maps; -1: not mapped into this process */
	bool packets_write;   /* by the program; a test run gets a copy of its own */
	bool keyed;           /* means nothing under another seed or to other backend ids */
};
extern const struct dp_map_spec dp_map_specs[DP_KNOWN_MAX];

/* Where the set of maps in hand came from. */
enum dp_origin {
	DP_ORIGIN_NEW,    /* nothing was pinned */
	DP_ORIGIN_ADOPT,  /* the pinned maps themselves */
	DP_ORIGIN_GROW,   /* larger copies of the pinned maps */
	DP_ORIGIN_RESEED, /* the pinned maps are of another seed: empty ones */
};

/* One pinned map of the loaded program. */
struct dp_map {
	char name[64];
	int fd;
	bool adopted; /* stands in the pin directory already */
};

/* Content of a pin directory as found; fds are -1 where nothing is pinned. */
struct dp_pins {
	bool present;
	int fd[DP_KNOWN_MAX];
	struct bpf_map_info info[DP_KNOWN_MAX];
	struct lb_meta meta;
	struct dataplane_sizes sizes;
};

struct dataplane {
	char pin_dir[DP_PATH_MAX];
	struct dataplane_options options; /* its pin_dir is not used */
	struct dp_map map[DP_MAPS_MAX];   /* the first DP_KNOWN_MAX by enum dp_map_id */
	unsigned int n_maps;
	enum dp_origin origin;
	struct dataplane_maps maps;
	size_t mapped_bytes[DP_KNOWN_MAX];
	__u8 *block; /* of lines: what is mapped of the lazy maps, see dataplane_lines.c */
	__u32 n_blocks, block_lines;
	struct dp_pins previous; /* set being replaced: open until the commit */
	struct dataplane_maps previous_maps;
	size_t previous_bytes[DP_KNOWN_MAX];
	int prog_fd, clock_fd;
	__u32 prog_id;
	__u32 hz, features;
	__u32 last_clock_ds;
	int dry_prog_fd;           /* -1 until the first test run */
	int dry_fd[DP_KNOWN_MAX];  /* its own copies of what packets write; -1: shared */
	int dry_cold_fd;           /* its own tail calls: without a holder the kernel would empty the table; or -1 */
	int rcu_outer_fd, rcu_inner_fd; /* see dataplane_quiesce() */
	bool next_made; /* next/ stands in the pin directory */
	bool pending;   /* dataplane_commit() has not run yet */
	__u64 map_bytes;
	unsigned int n_cpus;
	void *values; /* scratch of the counter readers */
	void *window; /* of the flow table, see dataplane_flow_window() */
	size_t window_bytes;
};

/* Called between the steps of an open or commit that a crash could separate. Tests end the process in it. */
extern void (*dp_step_hook)(const char *step);
void dp_step(const char *step);

/* ---- dataplane_maps.c */
/* Entries that map @id needs for @s; 0: as the program says. */
__u32 dp_map_entries(enum dp_map_id id, const struct dataplane_sizes *s);
/* The sizes of a set of pinned maps, from their entries. */
void dp_sizes_of(const struct dp_pins *pins, struct dataplane_sizes *out);
bool dp_sizes_cover(const struct dataplane_sizes *have, const struct dataplane_sizes *want);
/*
 * Map the arrays of @fds into @maps; @bytes remembers the lengths. For lazy maps only the address space is reserved,
 * unless @whole. On failure nothing stays mapped.
 */
int dp_mmap(const int fds[DP_KNOWN_MAX], const struct dataplane_sizes *sizes, bool whole, struct dataplane_maps *maps,
	    size_t bytes[DP_KNOWN_MAX], struct err *err);
void dp_munmap(struct dataplane_maps *maps, size_t bytes[DP_KNOWN_MAX]);
/* Copy what a larger set of maps takes over from the previous one. */
int dp_carry_over(struct dataplane *d, struct err *err);
/* The same for what packets went on writing meanwhile: as late as possible before the switch. */
int dp_carry_late(struct dataplane *d);

/* ---- dataplane_lines.c */
bool dp_is_lazy(enum dp_map_id id);
int dp_lines_init(struct dataplane *d);

/* ---- dataplane_pin.c */
/* Make sure that @dir is a directory of its own on a BPF file system; finish or undo what a crash left half done. */
int dp_pin_prepare(const char *dir, struct err *err);
/* Refuse a mount point: other programs' pins may live there. */
int dp_check_own_dir(const char *dir, struct err *err);
void dp_pins_init(struct dp_pins *p);
/* Open what is pinned; p->present tells whether there is a data plane. Another layout, or a part missing: error. */
int dp_pins_open(const char *dir, struct dp_pins *p, struct err *err);
void dp_pins_close(struct dp_pins *p);
/* "the data plane pinned in @dir @what", with the hint how to get rid of it. Returns @code. */
int dp_stale(struct err *err, const char *dir, const char *what, int code);
/* Pin the program and every map that is not adopted in dir/next. */
int dp_pin_next(struct dataplane *d, struct err *err);
/* The point of no return: dir/next becomes dir/new, which any later open finishes. */
int dp_pin_commit(const char *dir, struct err *err);
/* Move every pin of dir/new to its final name. Idempotent. */
int dp_pin_finish(const char *dir, struct err *err);
int dp_path(char *buf, const char *dir, const char *name);
/* Remove the pins below @dir/@name and the directory itself; 0 when it is not there. */
int dp_remove_dir(const char *dir, const char *name);
/* Call @fn for each name in @dir that begins with @prefix. Stops at the first non-zero return and returns it. */
int dp_each(const char *dir, const char *prefix, int (*fn)(const char *dir, const char *name, void *arg), void *arg);

/* ---- dataplane_load.c */
/*
 * Load the program into @d: on the maps of d->previous as far as d->origin says, on new ones of d->maps.sizes else.
 * Fills d->map, n_maps, prog_fd, clock_fd, prog_id.
 */
int dp_load(struct dataplane *d, struct err *err);
/* Load the second instance, for test runs: on the maps of the first, but for those that packets write. */
int dp_load_dry(struct dataplane *d, struct err *err);


/* ---- dataplane_words.c */
/* From here on keep what libbpf says instead of printing it. */
void dp_listen(void);
/* Set @err from @code and what was heard. Returns @code. */
int dp_load_failed(int code, const char *what, struct err *err);
/*
 * The reason in what libbpf and the verifier said: the last two lines of @text that tell something, joined, into @buf.
 * Cuts up @text.
 */
void dp_last_words(char *text, char *buf, size_t size);

/* ---- dataplane_btf.c */
struct btf;
/* false only when both types are known and differ in a member's name, place or size. */
bool dp_same_btf(const struct bpf_map_info *pinned, const struct btf *ours, __u32 our_value_type);

/* ---- dataplane_read.c, dataplane_run.c */
int dp_values_new(struct dataplane *d);
void dp_measure_maps(struct dataplane *d);
__u32 dp_kernel_hz(void); /* jiffies per second; 0: unknown */
int dp_quiesce_init(struct dataplane *d, struct err *err);

/* ---- dataplane_link.c */
#define DP_LINK_PREFIX "link-"
/* Put the loaded program into every pinned link. Defunct links are left to dataplane_attach(). */
int dp_links_update(struct dataplane *d, struct err *err);
/* Detach and unpin link-*. Usable with dp_each(). */
int dp_link_remove(const char *dir, const char *name, void *unused);
