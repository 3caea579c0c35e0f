/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.h - one packet under the glass: built from what an operator typed, decoded as it left the program, and the
 * reasons for its way in words. For `lbctl explain`.
 *
 * Pure. The engine runs the packet through the loaded program and fills in what it knows of the tables; what the program
 * did is never guessed here, only read from the run's counters and from the frame that came out.
 */
#pragma once
#include "core/addr.h"
#include "core/admission.h"
#include "core/err.h"
#include "lb/abi.h"
#include <jansson.h>
#include <stdbool.h>

#define EXPLAIN_SIZE_MAX 9000u                      /* of the IP packet */
#define EXPLAIN_FRAME_MAX (EXPLAIN_SIZE_MAX + 128u) /* with Ethernet and outer headers */

struct explain_query {
	struct lb_addr src, dst;
	__u16 sport, dport;
	__u8 protocol;  /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 tcp_flags; /* as in byte 13 of the header; 0 for UDP */
	__u32 size;     /* of the IP packet; 0: headers only */
};

/* "syn", "ack", "syn,ack", "fin", "rst", "psh", "urg" in any combination. 0 or -EINVAL with @err. */
int explain_parse_flags(const char *text, __u8 *flags, struct err *err);
/* Can there be such a packet? 0 or -EINVAL with @err. Sets the default size. */
int explain_check(struct explain_query *q, struct err *err);
/* The frame (untagged Ethernet, MACs zero, checksums right) into @frame of EXPLAIN_FRAME_MAX bytes; its length. */
__u32 explain_build(const struct explain_query *q, __u8 *frame);
/* The flow's hash, and the one that chooses the slot (another one with source affinity). @flags: enum lb_svc_flag. */
__u64 explain_hash(const struct explain_query *q, const __u64 seed[2], __u32 flags, __u64 *slot_hash);

/* A frame as it left. */
struct explain_frame {
	__u32 len;
	__u8 dst_mac[6], src_mac[6];
	bool has_vlan;
	__u16 vlan_id;
	enum lb_encap encap;       /* what is seen: IP4, IP6, GUE4, GUE6, L2; NONE: not understood */
	struct lb_addr src, dst;   /* outer; of L2: the packet's own */
	__u8 hop_limit, tos;
	__u16 gue_sport, gue_dport;
	__u32 inner_len;
	bool intact; /* the packet inside is the one that went in, byte for byte */
};
/* @sent: the frame from explain_build(), @sent_len bytes. */
void explain_decode(const __u8 *frame, __u32 len, const __u8 *sent, __u32 sent_len, struct explain_frame *out);

struct explain_backend {
	__u16 bidx; /* 0: nobody */
	char name[LB_NAME_MAX];
	struct lb_addr addr;
	enum admission_state state;
	bool retired;
	bool gen_valid; /* of alt: its flows were not given up */
	__u16 mtu;      /* for inner packets */
	char nexthop[160];
};

enum explain_found { EXPLAIN_NO_VIP, EXPLAIN_NO_PORT, EXPLAIN_SERVICE };

/* Everything that is known of the packet's way; filled by the engine. */
struct explain {
	struct explain_query q;
	enum explain_found found;
	char other_ports[128]; /* NO_PORT: what the VIP does serve, "80/tcp, 53/udp" */
	/* The rest of this block only when a service was found. */
	char service[LB_NAME_MAX];
	bool panic, source_affinity;
	__u64 hash;
	__u32 slot, m;
	enum lb_phase phase;
	__u32 since_s, grace_s; /* P1 began so long ago; lasts so long */
	struct explain_backend current, alt, chosen;
	/* What the program did. */
	__u32 verdict; /* XDP_* */
	int outcome;   /* enum lb_outcome, -1: sent to a backend */
	bool in_transition;
	__u64 steer[16]; /* counters that the run moved */
	bool has_frame;
	struct explain_frame frame;
	unsigned int n_interfaces, n_attached;
	char unattached[16]; /* one of those that are not */
};

const char *explain_outcome_name(int outcome); /* "drop_too_big"; NULL for -1 */
/* Why the packet goes where it goes, in one sentence. Returns @buf. */
const char *explain_why(const struct explain *x, char *buf, size_t size);
/* The document "explain" (docs/control-protocol.md); shape as in report.h. */
int explain_report(const struct explain *x, __u64 now_ns, json_t **data, struct err *err);
