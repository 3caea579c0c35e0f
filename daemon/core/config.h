/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - the configuration as a plain struct: YAML text in, `struct config` or diagnostics out.
 *
 * Pure: no file is opened but by config_load_file() (in config_file.c, the only part that is not pure).
 * Everything is validated here, whole, before anything changes; all errors of a file are reported in one run,
 * each with its place. After success every field holds a usable value: defaults are filled in, so no reader
 * asks "was it given?". Services are sorted by name, VIPs by address, backends by address: the order in the
 * file has no effect on anything.
 */
#pragma once
#include "core/addr.h"
#include "core/diag.h"
#include "core/probe_spec.h"
#include "lb/abi.h"

#define CONFIG_VIPS_MAX 16
#define CONFIG_INTERFACES_MAX 16
#define CONFIG_PATH_MAX 108       /* also the limit of sockaddr_un.sun_path */
#define CONFIG_SLOTS_MAX 67108864 /* dataplane.max-slots: 1.3 GB of slots and side words */
#define CONFIG_KEYS_MAX 16384     /* look-up keys: one for each (VIP, port, protocol) and one for each VIP */

enum config_xdp_mode { CONFIG_XDP_AUTO, CONFIG_XDP_NATIVE, CONFIG_XDP_GENERIC };
enum config_udp { CONFIG_UDP_NONE, CONFIG_UDP_TRACK };
enum config_init { CONFIG_INIT_AUTO, CONFIG_INIT_UP, CONFIG_INIT_DOWN };
enum config_hash { CONFIG_HASH_5TUPLE, CONFIG_HASH_SOURCE };

struct config_dataplane {
	char interfaces[CONFIG_INTERFACES_MAX][16]; /* sorted, unique */
	unsigned int n_interfaces;
	enum config_xdp_mode xdp_mode;
	char seed_file[CONFIG_PATH_MAX]; /* empty: a random seed, made once, kept in the pinned map `meta` */
	char pin_dir[CONFIG_PATH_MAX];   /* default /sys/fs/bpf/lbd */
	__u32 max_slots;                 /* 0: from the configuration, with head-room */
	__u32 max_flows;                 /* flow table entries; default 262144 */
	bool vip_echo;                   /* answer pings of VIPs; default true */
	bool has_source4, has_source6;
	struct lb_addr source4, source6; /* outer source; default: the egress interface's own address */
};

struct config_backend {
	char name[LB_NAME_MAX]; /* default: the address as text */
	struct lb_addr addr;
	__u32 weight; /* 0..65535, default 100; 0 = gets no new flows; never 0 for all of a service */
	enum lb_forward forward; /* never LB_FORWARD_LOCAL: which address is its own, the host knows */
};

/* A source prefix: @bits of @addr, which is 0 beyond them. IPv4: counted in ::ffff:a.b.c.d, so 96 to 128. */
struct config_prefix {
	struct lb_addr addr;
	__u8 bits;
	bool v6;
	bool deny;
};

struct config_service {
	char name[LB_NAME_MAX];
	struct lb_addr vips[CONFIG_VIPS_MAX];
	unsigned int n_vips;
	__u16 port;
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	enum lb_forward forward;
	enum config_udp udp;
	enum config_hash hash;
	__u32 table_size; /* a prime from the offered list, 0 = by rule */
	__u16 gue_port;   /* default 6080, which it also is where nothing is forwarded by gue */
	struct probe_spec probe;
	__u32 slow_start_ms;             /* default 30 s, at most a day; 0 = at once */
	__u32 drain_timeout_ms;          /* default 300 s, at most a day */
	__u32 drain_ramp_ms;             /* default 0: a drain stops new flows at once; at most a day */
	__u32 grace_s;                   /* default 900, 0..86400 */
	__u32 udp_idle_s;                /* default 60, 1..3600 */
	__u32 panic_threshold_pct;       /* default 50; 0 = never */
	__u32 new_flow_limit;            /* new flows per second; 0 = no limit */
	__u32 source_limit;              /* the same for each source prefix */
	struct config_prefix *acl;       /* owned; sorted; the longest prefix decides; NULL when there is none */
	unsigned int n_acl;
	enum config_init init;           /* before the first good probe; auto: only who joins a running pool waits for it */
	__u32 hard_down_ms;              /* default 10 s: silence after which flows are given up; 0 = at once */
	__u32 mass_failure_pct;          /* default 30; 0 = silence is never doubted */
	__u32 mass_failure_ms;           /* default 10 s: silences that begin within this are of one cause */
	__u32 mass_failure_hold_ms;      /* default 30 s */
	__u32 flap_half_life_ms;         /* default 120 s; 0 = flapping is not damped */
	struct config_backend *backends; /* owned, at least one, sorted by address; names are unique, too */
	unsigned int n_backends;
	struct diag_mark mark; /* where the service stands in the file */
};

struct config {
	struct config_dataplane dataplane;
	char control_socket[CONFIG_PATH_MAX]; /* default /run/lbd/lbd.sock */
	char control_group[32];               /* empty = root only for changes */
	bool has_metrics;
	struct lb_addr metrics_addr;
	__u16 metrics_port;
	struct config_service *services; /* owned, sorted by name */
	unsigned int n_services;
};

/*
 * Parse and check @text (@len bytes, named @file in messages). On success 0 and *@out owns a complete
 * configuration. On errors -EINVAL, *@out untouched, and @diags holds every error found, sorted by place;
 * -ENOMEM, which is told there as well. Warnings may be in @diags in every case. The caller has initialised
 * @diags and releases it.
 */
int config_parse(const char *file, const char *text, size_t len, struct config **out, struct diags *diags);
/* Read @path (at most 16 MiB) and parse it. A file that can not be read is a diagnostic too. */
int config_load_file(const char *path, struct config **out, struct diags *diags);
/*
 * The whole of @c as YAML with every default written out; parsed again it gives an equal configuration. The
 * caller frees it. NULL when memory is short.
 */
char *config_describe(const struct config *c);
/* Do both mean the same? Places in the file do not count. */
bool config_equal(const struct config *a, const struct config *b);
bool config_service_equal(const struct config_service *a, const struct config_service *b);
void config_free(struct config *c); /* NULL is fine */
static inline void config_freep(struct config **c)
{
	config_free(*c);
}
