/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * abi.h - what the XDP program and user space agree on: map layouts, enums, limits.
 *
 * Included by bpf/ (clang -target bpf), daemon/, cli/, tests/ and tools/. It must know nothing of libc and
 * nothing of the kernel beyond <linux/types.h>. Every struct states its size; every multi-word update states
 * the order of its stores. A change of any layout here bumps LB_LAYOUT_VERSION.
 *
 * Terms: a *service* is what clients see (one Maglev table, one or more VIP:port keys). A *backend* here is a
 * (service, server) pair: it has its own line, generation and counters, named by its `bidx`. A *slot* is one
 * entry of a service's Maglev lookup table. All fields are host order unless the type or suffix says `be`.
 */
#pragma once
#include <linux/types.h>

#define LB_LAYOUT_VERSION 2

/*
 * LB clock: tenths of a second since an arbitrary start, from the kernel's jiffies: (jiffies64 * LB_CLOCK_MUL(hz))
 * >> 32. It costs a load where bpf_ktime_get_ns costs 30 ns. User space reads it by dataplane_clock_ds().
 */
#define LB_CLOCK_MUL(hz) ((10ull << 32) / (hz))

/* ---- limits ---------------------------------------------------------------------------------------------- */
#define LB_SID_MAX 4095u        /* service ids 1..4095 (12 bits); 0 = none */
#define LB_BIDX_MAX 32767u      /* backend ids 1..32767 (15 bits); 0 = "no backend": the packet is dropped */
#define LB_M_MAX 1048575u       /* a table has at most 2^20 - 1 slots (the largest of the offered primes: 655373) */
#define LB_NAME_MAX 64          /* service and backend names, with the final NUL */
#define LB_TX_PORTS_MAX 64u     /* interfaces that traffic may leave by */

/* ---- services: key -> where its slots are ---------------------------------------------------------------- */
/*
 * Services are found in open-addressed buckets of one cache line, chosen by a keyed hash: one bucket is read,
 * no probing goes on behind it. The daemon picks LB_META.svc_seed so that no bucket overflows.
 * An entry is found by its key word. Insert: store `val`, then (release) the key. Delete: store key = 0, then
 * wait for a grace period (dataplane_quiesce) before the entry is used again. Change: one store of `val`.
 *
 * Besides its (VIP, port, protocol) keys every VIP address has one key with port 0 and protocol 0: it says
 * "this address is a VIP" (echo, fragments, unknown ports); its val has sid 0 and M 0.
 */
#define LB_SVC_SID(val) ((__u32)((val) & 0xfff))
#define LB_SVC_FLAGS(val) ((__u32)(((val) >> 12) & 0xff))
#define LB_SVC_M(val) ((__u32)(((val) >> 20) & 0xfffff))
#define LB_SVC_LINE(val) ((__u32)((val) >> 40)) /* first line of the service's slots in map `slots` */
#define LB_SVC_VAL(sid, flags, m, line) \
	((__u64)(sid) | (__u64)(flags) << 12 | (__u64)(m) << 20 | (__u64)(line) << 40)

enum lb_svc_flag {
	LB_SVC_UDP_TRACK = 1u << 0, /* UDP flows are remembered while their slot is in transition */
	LB_SVC_HASH_SRC = 1u << 1,  /* hash source address and VIP only (source affinity) */
	LB_SVC_ACL = 1u << 2,       /* source prefix lists exist for this service */
	LB_SVC_LIMIT = 1u << 3,     /* new-flow limits exist for this service */
	LB_SVC_OUTLIER = 1u << 4,   /* passive detection samples this service's flows */
};

struct lb_svc4 {
	__u64 key; /* LB_SVC4_KEY; 0 = empty */
	__u64 val; /* LB_SVC_VAL */
};
/* The bytes as they stand in the packet: vip_be | port_be << 32 | proto << 48 | 1 << 56 (so that no key is 0). */
#define LB_SVC4_KEY(vip_be, port_be, proto) \
	((__u64)(vip_be) | (__u64)(port_be) << 32 | (__u64)(proto) << 48 | 1ull << 56)
struct lb_svc4_bucket {
	struct lb_svc4 e[4];
};

struct lb_svc6 {
	__u64 vip_hi; /* first 8 bytes of the address as in the packet */
	__u64 vip_lo;
	__u64 key; /* LB_SVC4_KEY(0, port_be, proto); 0 = empty; stored last, cleared first */
	__u64 val;
};
struct lb_svc6_bucket {
	struct lb_svc6 e[2];
};

/* ---- slots ------------------------------------------------------------------------------------------------ */
/*
 * Slot i of a service stands in slots[line + i / 32].s[i % 32]: bits 0..14 the current backend, bit 15 set while
 * the slot is in transition. A settled slot is all that a packet reads. A slot in transition has its story in
 * slot_x[line * 32 + i]. The rules are in docs/steering.md; the order of writes is:
 *   to begin or change a transition: write slot_x, then (release) the slot word;
 *   to settle: write the slot word without bit 15; slot_x keeps its last content.
 */
#define LB_SLOT_TRANSITION 0x8000u
#define LB_SLOT_BIDX(s) ((s) & 0x7fffu)
#define LB_SLOTS_PER_LINE 32u
struct lb_slot_line {
	__u16 s[LB_SLOTS_PER_LINE];
};

enum lb_phase {
	LB_PHASE_SETTLED = 0, /* `current` decides alone */
	LB_PHASE_P1 = 1,      /* switched less than a grace time ago: unknown established flows belong to `alt` */
	LB_PHASE_P2 = 2,      /* the grace is over: only remembered flows go elsewhere than to `current` */
};

/*
 * Side word of a slot in transition: whom to ask for unknown flows, and the phase. One 64-bit word with one writer, so
 * that a packet sees owner, generation and phase of one moment.
 */
struct lb_slot_x {
	__u64 a;
};
#define LB_SLOTX_A(alt, alt_gen, phase, episode, since_s)                                           \
	((__u64)(alt) | (__u64)(alt_gen) << 16 | (__u64)(phase) << 24 | (__u64)((episode) & 0xff) << 32 | \
	 (__u64)(since_s) << 40)
#define LB_SLOTX_ALT(a) ((__u32)((a) & 0x7fff)) /* 0 = nobody */
#define LB_SLOTX_ALT_GEN(a) ((__u32)(((a) >> 16) & 0xff))
#define LB_SLOTX_PHASE(a) ((__u32)(((a) >> 24) & 0xff))
#define LB_SLOTX_EPISODE(a) ((__u32)(((a) >> 32) & 0xff)) /* one more each time a settled slot leaves its rest */
#define LB_SLOTX_SINCE_S(a) ((__u32)((a) >> 40)) /* start of P1, LB clock in seconds, 24 bits, wraps */

/*
 * Beside the slots, line for line, stands map `slot_live`: when an entry of the flow table last sent a packet of that
 * slot elsewhere than to `current` (LB clock in units of LB_FLOW_TICK_S, low 16 bits). A slot in P2 may settle once
 * that is longer ago than the service's flow_idle_s + LB_FLOW_LINGER_S: then no live flow of another backend is left.
 * The daemon stores the present time there before each change of `current`: what was current becomes another.
 */
struct lb_slot_live_line {
	__u16 tick[LB_SLOTS_PER_LINE];
};

/* ---- backends ---------------------------------------------------------------------------------------------- */
#define LB_ENCAPS(X)                                                                                      \
	X(NONE, "none")   /* no next hop known (or entry unused): drop, counted no_nexthop */              \
	X(IP4, "ip4")     /* outer IPv4: 4in4 or 6in4, by the inner packet */                             \
	X(IP6, "ip6")     /* outer IPv6: 6in6 or 4in6 */                                                  \
	X(GUE4, "gue4")   /* outer IPv4 + UDP + GUE */                                                    \
	X(GUE6, "gue6")   /* outer IPv6 + UDP + GUE */                                                    \
	X(L2, "l2")       /* MAC rewrite */                                                               \
	X(LOCAL, "local") /* this host is the backend: to the stack */                                    \
	X(MOVED, "moved") /* the content is being replaced: read the same index of `backend_spares` */
enum lb_encap {
#define X(id, name) LB_ENCAP_##id,
	LB_ENCAPS(X)
#undef X
	LB_ENCAP_MAX
};

/*
 * One cache line per backend: everything that a packet needs to leave. No packet may see half a change, so a line
 * that packets may be reading is never rewritten in place. Its replacement goes to the spare line of the same index
 * (map `backend_spares`), `encap` becomes MOVED (one byte: from here on packets use the spare), and after a grace
 * period nobody reads the line: it is rewritten, and its `encap` is stored last. The spare may be written again after
 * one more grace period. Stopped at any point, this leaves a complete line in force, and packets pay nothing for it.
 * A change of the destination MAC alone is one 64-bit store (w0). include/lb/backend.h does all of this.
 */
struct lb_backend {
	__u64 w0; /* outer Ethernet header: destination MAC, source MAC bytes 0-1 */
	__u64 w1; /* source MAC bytes 2-5, ethertype (be), then bytes 14-15: outer version/IHL/TOS or IPv6 first half */
	__u64 s0; /* IPv6 outer source, bytes 0-7; IPv4: source_be | destination_be << 32 */
	__u64 s1; /* IPv6 outer source, bytes 8-15 */
	__u64 d0; /* IPv6 outer destination */
	__u64 d1;
	__u16 csum;     /* IPv4: folded sum of the constant header words; GUE over IPv6: of the outer pseudo header */
	__u16 mtu;      /* largest inner IP packet that fits the path, after the encapsulation */
	__u8 encap;     /* enum lb_encap */
	__u8 gen;       /* generation: bumped by a hard down and on reuse of the bidx; invalidates entries and alts */
	__u8 tx_port;   /* 0: XDP_TX on the interface it came by; else index into devmap `tx_ports` */
	__u8 flags;     /* enum lb_backend_flag */
	__u16 vlan_tci; /* host order; only with LB_BACKEND_VLAN: the 802.1Q tag that goes out */
	__u16 gue_port_be;
	__u16 sid;
	__u8 seq; /* number of changes, for people and tests; the program does not read it */
	__u8 pad;
};
_Static_assert(sizeof(struct lb_backend) == 64, "one cache line");
enum lb_backend_flag {
	LB_BACKEND_VLAN = 1u << 0,
};

/* Per-CPU counters of a backend, map `backend_stats`, index bidx. bytes: inner IP length. */
struct lb_counter {
	__u64 packets;
	__u64 bytes;
};

/* ---- outcomes: each packet moves exactly one of these, or the counter of the backend it was sent to --------- */
/* Numbers are append-only: dashboards depend on them. P = passed to the stack, D = dropped, T = answered. */
#define LB_OUTCOMES(X)                                                                                        \
	X(PASS_NOT_IP, "pass_not_ip")                 /* ARP, LLDP, unknown ethertypes */                      \
	X(PASS_NOT_VIP, "pass_not_vip")               /* IP, but the destination is no VIP */                  \
	X(PASS_VIP_OTHER, "pass_vip_other")           /* a VIP, but no service on that port or protocol */     \
	X(PASS_LOCAL, "pass_local")                   /* this host is the backend */                           \
	X(DROP_TRUNCATED, "drop_truncated")           /* headers are cut short */                              \
	X(DROP_MALFORMED, "drop_malformed")           /* lengths or versions contradict each other */          \
	X(DROP_NO_BACKEND, "drop_no_backend")         /* the service has no eligible backend */                \
	X(DROP_NO_NEXTHOP, "drop_no_nexthop")         /* the backend's next hop is not resolved */             \
	X(DROP_HEADROOM, "drop_headroom")             /* the driver gave no room for the outer header */       \
	X(DROP_TOO_BIG, "drop_too_big")               /* too big, and no answer was due (rate limit, v6 rules) */ \
	X(DROP_FRAGMENT, "drop_fragment")             /* a later fragment whose first was not seen */          \
	X(DROP_INTERNAL, "drop_internal")             /* must stay 0: a map look-up that cannot fail failed */ \
	X(TX_ECHO_REPLY, "tx_echo_reply")             /* ping of a VIP answered */                             \
	X(TX_TOO_BIG, "tx_too_big")                   /* frag-needed / packet-too-big answered */              \
	X(DROP_ECHO_LIMIT, "drop_echo_limit")         /* ping of a VIP above the rate limit */                 \
	X(DROP_ACL, "drop_acl")                       /* refused by a source prefix list */                    \
	X(DROP_LIMIT_SERVICE, "drop_limit_service")   /* above the service's new-flow limit */                 \
	X(DROP_LIMIT_SOURCE, "drop_limit_source")     /* above the limit of that source prefix */
enum lb_outcome {
#define X(id, name) LB_OUTCOME_##id,
	LB_OUTCOMES(X)
#undef X
	LB_OUTCOME_MAX
};
#define LB_OUTCOME_SLOTS 64 /* entries of the per-CPU map `outcomes`: room to append without a layout change */

/* ---- per-service numbers of the transition path, per CPU, map `steer_stats`, index sid ----------------------- */
#define LB_STEERS(X)                                                                                 \
	X(LOOKUP, "lookup")             /* packets that met a slot in transition */                   \
	X(SYN, "syn")                   /* of these: TCP SYNs, sent to current */                     \
	X(HIT, "hit")                   /* a valid flow entry decided */                              \
	X(MISS_ALT, "miss_alt")         /* no entry, P1: to alt */                                    \
	X(MISS_NEW, "miss_new")         /* no entry, P1, SYN seen after the switch */                 \
	X(MISS_CURRENT, "miss_current") /* no entry, P2 or alt invalid: to current */                 \
	X(STALE, "stale")               /* an entry was found but its backend's generation is over */ \
	X(INSERT, "insert")             /* entries made */                                            \
	X(BUDGET, "budget_drop")        /* entries not made: the CPU's or the service's budget was used up */ \
	X(EXPIRE, "expire")             /* entries removed by a SYN, or whose life a FIN or RST cut short */ \
	X(FULL, "table_full")           /* entries not made: all eight ways hold live flows */
enum lb_steer_stat {
#define X(id, name) LB_STEER_##id,
	LB_STEERS(X)
#undef X
	LB_STEER_MAX
};
struct lb_steer_stats {
	__u64 n[16]; /* indexed by enum lb_steer_stat; room to append */
};

/* ---- flow table: only flows whose slot is in transition ------------------------------------------------------ */
/*
 * Eight ways of one 64-bit word in one cache line, every change one 64-bit compare-and-exchange. Word:
 *   bits 63..40 tag (24 bits of the flow hash not used for bucket or slot), 39..25 bidx, 24..17 generation,
 *   16..0 last seen, LB clock in units of LB_FLOW_TICK_S, wrapping after six days; a word of 0 is empty.
 * An entry is live for flow_idle_s after its last packet, and for LB_FLOW_LINGER_S more as "closing": a FIN or RST
 * moves it there at once. The daemon clears dead entries at least once a day, before their time wraps
 * (include/lb/flow.h).
 */
#define LB_FLOW_WAYS 8
#define LB_FLOW_TICK_S 4
#define LB_FLOW_LINGER_S 64
struct lb_flow_bucket {
	__u64 e[LB_FLOW_WAYS];
};
#define LB_FLOW_TICK_MASK 0x1ffffu
#define LB_FLOW(tag, bidx, gen, tick) \
	((__u64)(tag) << 40 | (__u64)(bidx) << 25 | (__u64)(gen) << 17 | (__u64)((tick) & LB_FLOW_TICK_MASK))
#define LB_FLOW_TAG(e) ((__u32)((e) >> 40))
#define LB_FLOW_BIDX(e) ((__u32)(((e) >> 25) & 0x7fff))
#define LB_FLOW_GEN(e) ((__u32)(((e) >> 17) & 0xff))
#define LB_FLOW_TICK(e) ((__u32)((e) & LB_FLOW_TICK_MASK))

/*
 * The SYN-seen filter, map `syn_seen`: a direct-mapped cache of words of the same form. A SYN that met a slot in
 * transition leaves here which backend it was sent to; the flow's next segment follows it. A word is good for
 * LB_SYN_SEEN_S. The buckets are the flow table's (no. of buckets: a power of two), the way is chosen by the hash.
 */
#define LB_SYN_SEEN_S 64

/* ---- cold, for people and for a restarted daemon ------------------------------------------------------------- */
/* Settings of a service that only the transition path reads; map `services`, index sid. */
struct lb_service {
	char name[LB_NAME_MAX];
	__u64 val;             /* the LB_SVC_VAL in force; 0 = unused entry */
	__u32 grace_s;         /* P1 lasts this long */
	__u32 flow_idle_s;     /* a flow entry not refreshed for so long is dead */
	__u32 udp_idle_s;      /* the same for UDP with `track`; also the length of P1 for them */
	__u32 insert_budget;   /* new flow entries per CPU and second; 0 = none are made */
	__u64 digest;          /* of the full table: equal on every balancer of the fleet */
	__u32 new_flow_limit;  /* with LB_SVC_LIMIT: new flows per second, all CPUs; 0 = no limit */
	__u32 source_limit;    /* the same for each source prefix (IPv4 /24, IPv6 /56) */
	__u64 acl_digest;      /* of the prefix lists as last written; 0 = none */
	__u64 reserved[2];
};
_Static_assert(sizeof(struct lb_service) == 64 + 64, "two cache lines");

/*
 * Source prefixes of the services with LB_SVC_ACL, LPM map `acl`: the longest prefix decides, none at all allows. A
 * service with an allow list has, for each family, an entry of prefixlen LB_ACL_BITS(0) that denies.
 */
struct lb_acl_key {
	__u32 prefixlen; /* LB_ACL_BITS of the prefix length of an IPv6 address, or of 96 + that of an IPv4 one */
	__u32 sid;       /* and LB_ACL_V6 for IPv6 sources: "::/0" does not mean IPv4 */
	__u8 addr[16];   /* IPv6, or ::ffff:a.b.c.d */
};
#define LB_ACL_BITS(len) (32u + (len))
#define LB_ACL_V6 0x80000000u
#define LB_ACL_PREFIXES_MAX 65536u /* of all services together; the map has room for twice as many, for changes */
#define LB_LIMIT_MAX 100000000u    /* new_flow_limit, source_limit */
enum lb_acl { LB_ACL_ALLOW = 1, LB_ACL_DENY = 2 };

/* Who a backend is; map `backend_info`, index bidx. Written before the slots that name it. */
struct lb_backend_info {
	__u8 addr[16];   /* IPv6, or IPv4-mapped ::ffff:a.b.c.d */
	__u16 sid;       /* 0 = unused entry */
	__u8 forward;    /* enum lb_forward as configured */
	__u8 admin;      /* enum lb_admin: the operator's override, survives restart */
	__u32 weight;    /* configured */
	__s32 weight_override; /* -1: none */
	__u32 state;     /* enum of core/admission.h at the last write */
	__u32 admission; /* 0..65536 */
	__u32 since_s;   /* CLOCK_REALTIME seconds of the last change of state */
	__u64 ending;    /* LB_ENDING | generation to come: its flows are being ended, stage by stage; else 0 */
	__u64 reserved[2];
};
#define LB_ENDING 0x100u
_Static_assert(sizeof(struct lb_backend_info) == 64, "one cache line");

enum lb_forward { LB_FORWARD_IPIP, LB_FORWARD_GUE, LB_FORWARD_L2, LB_FORWARD_LOCAL, LB_FORWARD_MAX };
enum lb_admin { LB_ADMIN_NONE, LB_ADMIN_DRAIN, LB_ADMIN_DISABLE, LB_ADMIN_MAX };

/* Map `meta`, one element: what an adopting daemon checks first, and the daemon's heartbeat. */
struct lb_meta {
	__u32 layout;         /* LB_LAYOUT_VERSION */
	__u32 features;       /* rodata flags the program was loaded with, for `lbctl doctor` */
	__u64 seed[2];        /* keys of the hash (secret: the map is root's) */
	__u32 svc_seed;       /* picks the service buckets; changing it means rewriting svc4/svc6 */
	__u32 n_slot_lines;   /* capacities, as loaded */
	__u32 n_svc_buckets;
	__u32 n_backends;
	__u32 n_flow_buckets;
	__u32 hz;             /* jiffies per second of the kernel that loaded it */
	__u64 heartbeat_ns;   /* CLOCK_BOOTTIME, written by the daemon every second */
	char version[32];     /* of the daemon that loaded the program */
};
