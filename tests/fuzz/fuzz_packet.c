/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_packet - the data path (tests/twin) on arbitrary frames, several in a row, so that flows and fragments meet.
 *
 * Input: 4 bytes choose the world (encapsulation, slots, headroom, clock), then frames: length (2 bytes, little-endian),
 * bytes. What must hold, judged by a parser that shares nothing with the program:
 *   each frame moves one counter; what passes is unchanged; nothing is dropped that is not for a VIP;
 *   what goes to a backend carries the packet behind its Ethernet header unchanged to the last byte.
 */
#include "fuzz.h"
#include "lb/backend.h"
#include "twin.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

enum { M = 13, SERVICES = 4, FIRST = 5, PASS = 2, DROP = 1, TX = 3, REDIRECT = 4, ROOM = TWIN_FRAME_MAX + TWIN_HEADROOM };

static const __u8 vip4[4] = { 203, 0, 113, 10 };
static const __u8 vip6[16] = { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 0x10 };

/* ---- the world ------------------------------------------------------------------------------------------------ */
static void put_key(const struct lb_params *p, __u16 port, __u8 proto, __u64 val)
{
	__u64 hi, lo, key6 = LB_SVC4_KEY(0, htons(port), proto), key4;
	struct lb_svc4 *e4;
	struct lb_svc6 *e6;
	__u32 addr;

	memcpy(&addr, vip4, 4);
	memcpy(&hi, vip6, 8);
	memcpy(&lo, vip6 + 8, 8);
	key4 = LB_SVC4_KEY(addr, htons(port), proto);
	for (e4 = twin.maps.svc4[lb_svc4_bucket(&p->svc, key4)].e; e4->key; e4++)
		;
	*e4 = (struct lb_svc4){ key4, val };
	for (e6 = twin.maps.svc6[lb_svc6_bucket(&p->svc, hi, lo, key6)].e; e6->key; e6++)
		;
	*e6 = (struct lb_svc6){ hi, lo, key6, val };
}

static void put_backend(__u32 bidx, enum lb_encap encap, bool vlan, __u8 port)
{
	struct lb_backend_spec s = { .encap = encap, .has_vlan = vlan, .vlan_tci = 5, .tx_port = port, .link_mtu = 1500,
				     .gue_port = 6080, .sid = 1, .src = { 10 }, .dst = { 11 } };

	lb_backend_build(&twin.maps.backends[bidx], &s);
}

static void put_services(const struct lb_params *p, __u8 choice, __u32 now_s)
{
	__u32 sid, i;

	put_key(p, 0, 0, 0);
	for (sid = 1; sid <= SERVICES; sid++) {
		__u32 line = sid, flags = sid == 2 ? LB_SVC_HASH_SRC : sid == 3 ? LB_SVC_UDP_TRACK : 0;

		twin.maps.services[sid] = (struct lb_service){ .grace_s = 900, .flow_idle_s = 900, .udp_idle_s = 60,
							       .insert_budget = 1000 };
		put_key(p, (__u16)(79 + sid), 6, LB_SVC_VAL(sid, flags, M, line));
		put_key(p, (__u16)(79 + sid), 17, LB_SVC_VAL(sid, flags, M, line));
		for (i = 0; i < M; i++) {
			bool moving = (choice >> (i % 8) ^ sid) & 1;

			twin.maps.slots[line].s[i] = (__u16)((i == 3 ? 0 : FIRST + i % 8) | (moving ? LB_SLOT_TRANSITION : 0));
			twin.maps.slot_x[line * LB_SLOTS_PER_LINE + i].a =
				LB_SLOTX_A(FIRST + (i + 1) % 8, i == 5, 1 + (choice >> 7), 1, now_s & 0xffffff);
		}
	}
}

static void make_world(const uint8_t choice[4])
{
	static const struct lb_params_input in = { .seed = { 1, 2 }, .svc_seed = 4, .svc_buckets = TWIN_SVC_BUCKETS,
						   .flow_buckets = TWIN_FLOW_BUCKETS, .syn_buckets = TWIN_FLOW_BUCKETS,
						   .hz = 1000, .cpu_insert_budget = 1000,
						   .features = LB_FEATURE_VIP_ECHO };
	struct lb_params p;
	__u32 i;

	lb_params_init(&p, &in);
	twin_reset(&p);
	twin.now_ds = 1000000u + choice[3] * 7u;
	twin.headroom = choice[2] % 3 ? TWIN_HEADROOM : 40u + choice[2] / 3;
	twin.tx_ports = 1u << 3;
	put_services(&p, choice[1], twin.now_ds / 10);
	for (i = 0; i < 8; i++)
		put_backend(FIRST + i, (i + choice[0]) % (LB_ENCAP_LOCAL + 1), choice[0] >> 4 & 1 && i & 1,
			    choice[0] >> 5 & 1 ? (__u8)(3 + (i == 7)) : 0);
}

/* ---- the judge -------------------------------------------------------------------------------------------------- */
/* Bytes in front of the IP header, 0 when there is none to be seen. */
static __u32 ip_at(const uint8_t *f, __u32 len)
{
	__u32 at = 12, tags;

	for (tags = 0; tags <= 2 && at + 2 <= len; tags++, at += 4) {
		unsigned int type = (unsigned int)(f[at] << 8 | f[at + 1]);

		if (type == 0x0800 || type == 0x86dd)
			return at + 2;
		if (type != 0x8100 && type != 0x88a8)
			return 0;
	}
	return 0;
}

static bool is_for_vip(const uint8_t *f, __u32 len)
{
	__u32 ip = ip_at(f, len);

	if (!ip)
		return false;
	if (f[ip - 2] == 0x08)
		return ip + 20 <= len && !memcmp(f + ip + 16, vip4, 4);
	return ip + 40 <= len && !memcmp(f + ip + 24, vip6, 16);
}

static __u64 count_all(__u64 *sent)
{
	__u64 n = 0;
	__u32 i;

	*sent = 0;
	for (i = 0; i < LB_OUTCOME_SLOTS; i++)
		n += twin.maps.outcomes[i];
	for (i = 0; i < TWIN_BACKENDS; i++)
		*sent += twin.maps.backend_stats[i].packets;
	return n + *sent;
}

static void judge(const uint8_t *frame, __u32 len)
{
	static uint8_t out[ROOM];
	__u64 sent_before, sent, before = count_all(&sent_before);
	__u32 out_len, ip = ip_at(frame, len);
	int action = twin_run(frame, len, out, &out_len);

	FUZZ_CHECK(count_all(&sent) == before + 1);
	FUZZ_CHECK(twin.maps.outcomes[LB_OUTCOME_DROP_INTERNAL] == 0);
	FUZZ_CHECK(action >= DROP && action <= REDIRECT);
	if (action == PASS)
		FUZZ_CHECK(out_len == len && !memcmp(out, frame, len));
	else
		FUZZ_CHECK(is_for_vip(frame, len));
	if (sent == sent_before)
		return;
	FUZZ_CHECK(action == TX || action == REDIRECT);
	FUZZ_CHECK(out_len >= len - ip + 14 && out_len <= len - ip + 18 + 48);
	FUZZ_CHECK(!memcmp(out + out_len - (len - ip), frame + ip, len - ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 4;

	if (size < 4)
		return 0;
	make_world(data);
	while (at + 2 < size) {
		size_t len = (size_t)(data[at] | data[at + 1] << 8);

		at += 2;
		if (len > size - at)
			len = size - at;
		if (len > TWIN_FRAME_MAX)
			len = TWIN_FRAME_MAX;
		if (len >= 14) /* the kernel hands over no less */
			judge(data + at, (__u32)len);
		at += len ? len : 1;
		twin.now_ds += 3;
	}
	return 0;
}
