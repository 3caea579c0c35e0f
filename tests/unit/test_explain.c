// SPDX-License-Identifier: Apache-2.0
/*
 * The packet of `lbctl explain`: its bytes are those that an independent builder makes, what comes out is read right, and
 * each thing that the program can have done has its words.
 */
#include "core/explain.h"
#include "lb/hash.h"
#include "../bpf/pkt.h"

#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct explain_query query(const char *src, const char *dst, __u8 protocol, __u8 flags, __u32 size)
{
	struct explain_query q = {.sport = 51515, .dport = 443, .protocol = protocol, .tcp_flags = flags, .size = size};
	struct err err = {0};

	assert_int_equal(addr_parse(src, &q.src), 0);
	assert_int_equal(addr_parse(dst, &q.dst), 0);
	if (explain_check(&q, &err))
		fail_msg("%s", err.msg);
	return q;
}

/* Sum of everything from the L4 header on with its pseudo header: 0 when the checksum is right. */
static __u16 l4_rest(const __u8 *frame, __u32 len, bool v6, __u8 protocol)
{
	const __u8 *ip = frame + 14;
	unsigned int at = v6 ? 40 : 20, l4 = len - 14 - at;
	__u32 s = pkt_sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, protocol + l4);

	s = pkt_sum(ip + at, l4, s);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (__u16)~s;
}

static void test_build(void **state)
{
	static const struct {
		const char *src, *dst;
		__u8 protocol, flags;
		__u32 size, want;
	} cases[] = {
		{"192.0.2.7", "203.0.113.10", IPPROTO_TCP, 0x02, 0, 40},
		{"192.0.2.7", "203.0.113.10", IPPROTO_TCP, 0x12, 1500, 1500},
		{"192.0.2.7", "203.0.113.10", IPPROTO_UDP, 0, 0, 28},
		{"192.0.2.7", "203.0.113.10", IPPROTO_UDP, 0, 1399, 1399},
		{"2001:db8:1::7", "2001:db8::10", IPPROTO_TCP, 0x10, 0, 60},
		{"2001:db8:1::7", "2001:db8::10", IPPROTO_UDP, 0, 9000, 9000},
	};

	for (size_t i = 0; i < N(cases); i++) {
		struct explain_query q =
			query(cases[i].src, cases[i].dst, cases[i].protocol, cases[i].flags, cases[i].size);
		bool v6 = strchr(cases[i].src, ':');
		__u8 frame[EXPLAIN_FRAME_MAX], *ip = frame + 14, *l4 = ip + (v6 ? 40 : 20);
		__u8 src[16], dst[16];
		__u32 len = explain_build(&q, frame);

		assert_int_equal(len, 14 + cases[i].want);
		assert_int_equal(frame[12] << 8 | frame[13], v6 ? 0x86dd : 0x0800);
		assert_int_equal(v6 ? 40 + (ip[4] << 8 | ip[5]) : ip[2] << 8 | ip[3], cases[i].want);
		assert_int_equal(v6 ? ip[6] : ip[9], cases[i].protocol);
		inet_pton(v6 ? AF_INET6 : AF_INET, cases[i].src, src);
		inet_pton(v6 ? AF_INET6 : AF_INET, cases[i].dst, dst);
		assert_memory_equal(v6 ? ip + 8 : ip + 12, src, v6 ? 16 : 4);
		assert_memory_equal(v6 ? ip + 24 : ip + 16, dst, v6 ? 16 : 4);
		assert_int_equal(l4[0] << 8 | l4[1], 51515);
		assert_int_equal(l4[2] << 8 | l4[3], 443);
		if (cases[i].protocol == IPPROTO_TCP)
			assert_int_equal(l4[13], cases[i].flags);
		if (!v6)
			assert_int_equal(pkt_sum(ip, 20, 0), 0xffff);
		assert_int_equal(l4_rest(frame, len, v6, cases[i].protocol), 0);
	}
}

/* A UDP checksum that comes out as 0 would say "there is none" (RFC 768): among all ports one does. */
static void test_udp_checksum(void **state)
{
	struct explain_query q = query("192.0.2.7", "203.0.113.10", IPPROTO_UDP, 0, 0);
	__u8 frame[EXPLAIN_FRAME_MAX];

	for (unsigned int port = 1; port < 65536; port++) {
		q.sport = (__u16)port;
		(void)explain_build(&q, frame);
		assert_true(frame[14 + 26] || frame[14 + 27]);
	}
}

static void test_flags(void **state)
{
	static const struct {
		const char *text;
		int flags; /* -1: refused */
	} cases[] = {
		{"syn", 0x02}, {"ack", 0x10},  {"syn,ack", 0x12}, {"fin+ack", 0x11}, {"rst", 0x04},    {"psh,ack", 0x18},
		{"", -1},      {"nak", -1},    {"syn,", -1},	  {"synack", -1},    {",syn", -1},     {"SYN", -1},
	};

	for (size_t i = 0; i < N(cases); i++) {
		struct err err = {0};
		__u8 flags = 0xee;
		int r = explain_parse_flags(cases[i].text, &flags, &err);

		if (cases[i].flags < 0 ? r != -EINVAL || !err.msg[0] || flags != 0xee : r || flags != cases[i].flags)
			fail_msg("\"%s\": %d, flags 0x%x, \"%s\"", cases[i].text, r, flags, err.msg);
	}
}

static void test_impossible(void **state)
{
	struct explain_query ok = query("192.0.2.7", "203.0.113.10", IPPROTO_TCP, 0x10, 0), q;
	struct err err = {0};

	q = ok;
	assert_int_equal(addr_parse("2001:db8::10", &q.dst), 0);
	assert_int_equal(explain_check(&q, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "different families"));
	q = ok;
	q.sport = 0;
	assert_int_equal(explain_check(&q, &err), -EINVAL);
	q = ok;
	q.size = 39;
	assert_int_equal(explain_check(&q, &err), -EINVAL);
	q.size = EXPLAIN_SIZE_MAX + 1;
	assert_int_equal(explain_check(&q, &err), -EINVAL);
	q = ok;
	q.protocol = IPPROTO_UDP;
	assert_int_equal(explain_check(&q, &err), -EINVAL); /* flags */
	q = ok;
	q.protocol = IPPROTO_ICMP;
	assert_int_equal(explain_check(&q, &err), -EINVAL);
}

/* The slot must be the program's: the hash of the same words in the same order. */
static void test_hash(void **state)
{
	struct explain_query q = query("192.0.2.7", "203.0.113.10", IPPROTO_TCP, 0x10, 0), other = q;
	const __u64 seed[2] = {1, 2};
	struct lb_hash_keys k;
	__u64 slot, h, slot2;
	__u32 src, vip;

	lb_hash_init(&k, seed);
	inet_pton(AF_INET, "192.0.2.7", &src);
	inet_pton(AF_INET, "203.0.113.10", &vip);
	h = explain_hash(&q, seed, 0, &slot);
	assert_true(h == lb_hash4(&k, src | (__u64)htons(51515) << 32, LB_SVC4_KEY(vip, htons(443), IPPROTO_TCP)));
	assert_true(slot == h);
	assert_true(explain_hash(&q, seed, LB_SVC_HASH_SRC, &slot) == h && slot != h);
	other.sport++;
	assert_true(explain_hash(&other, seed, LB_SVC_HASH_SRC, &slot2) != h && slot2 == slot);
}

static void decode(enum pkt_tunnel tunnel, __u16 vlan, bool v6, enum lb_encap want)
{
	bool out6 = tunnel == PKT_IP6 || tunnel == PKT_GUE6;
	struct explain_query q = v6 ? query("2001:db8:1::7", "2001:db8::10", IPPROTO_TCP, 0x10, 100) :
				      query("192.0.2.7", "203.0.113.10", IPPROTO_TCP, 0x10, 100);
	struct pkt_wrap_spec w = {.tunnel = tunnel,
				  .src = out6 ? "fd00:2::11" : "10.0.2.11",
				  .dst = out6 ? "fd00:3::2" : "10.0.3.2",
				  .dst_mac = {2, 0, 0, 0, 0, 1},
				  .src_mac = {2, 0, 0, 0, 0, 2},
				  .vlan = vlan,
				  .gue_sport = 0xc001};
	struct explain_frame f;
	char text[ADDR_STRLEN];
	struct pkt in, out;

	in.len = explain_build(&q, in.b);
	pkt_wrap(&out, &in, 14, &w);
	explain_decode(out.b, out.len, in.b, in.len, &f);
	assert_int_equal(f.encap, want);
	assert_true(f.intact);
	assert_int_equal(f.inner_len, 100);
	assert_int_equal(f.len, out.len);
	assert_int_equal(f.has_vlan, vlan != 0);
	assert_int_equal(f.vlan_id, vlan);
	assert_int_equal(f.dst_mac[5], 1);
	assert_int_equal(f.src_mac[5], 2);
	if (tunnel != PKT_L2) {
		assert_string_equal(addr_format(&f.src, text), w.src);
		assert_string_equal(addr_format(&f.dst, text), w.dst);
		assert_int_equal(f.hop_limit, 64);
	}
	if (tunnel == PKT_GUE4 || tunnel == PKT_GUE6)
		assert_int_equal(f.gue_sport, 0xc001);

	/* One wrong byte inside is noticed; a frame cut short anywhere is survived. */
	out.b[out.len - 1] ^= 1;
	explain_decode(out.b, out.len, in.b, in.len, &f);
	assert_false(f.intact);
	for (__u32 len = 0; len < out.len; len++) {
		__u8 *cut = malloc(len ? len : 1);

		memcpy(cut, out.b, len);
		explain_decode(cut, len, in.b, in.len, &f);
		assert_false(f.intact);
		free(cut);
	}
}

static void test_decode(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		decode(PKT_IP4, 0, v6, LB_ENCAP_IP4);
		decode(PKT_IP6, 0, v6, LB_ENCAP_IP6);
		decode(PKT_GUE4, 0, v6, LB_ENCAP_GUE4);
		decode(PKT_GUE6, 0, v6, LB_ENCAP_GUE6);
		decode(PKT_L2, 0, v6, LB_ENCAP_L2);
		decode(PKT_IP4, 7, v6, LB_ENCAP_IP4);
		decode(PKT_L2, 4094, v6, LB_ENCAP_L2);
	}
}

/* ---- words ---- */

static struct explain sample(void)
{
	struct explain x = {.q = query("192.0.2.7", "203.0.113.10", IPPROTO_TCP, 0x10, 0),
			    .found = EXPLAIN_SERVICE,
			    .service = "web",
			    .hash = 5,
			    .slot = 7,
			    .m = 4093,
			    .outcome = -1,
			    .verdict = XDP_TX,
			    .has_frame = true,
			    .frame = {.intact = true, .encap = LB_ENCAP_IP4, .len = 74, .inner_len = 40},
			    .n_interfaces = 1,
			    .n_attached = 1};

	x.current = (struct explain_backend){.bidx = 1, .name = "web1", .state = ADMISSION_HEALTHY, .mtu = 1580};
	x.chosen = x.current;
	return x;
}

static void test_why(void **state)
{
	static const struct {
		int outcome; /* -1: sent */
		bool in_transition;
		enum lb_phase phase;
		enum lb_steer_stat counted, also;
		const char *words;
	} cases[] = {
		{-1, false, LB_PHASE_SETTLED, 0, 0, "settled"},
		{-1, true, LB_PHASE_P1, LB_STEER_SYN, 0, "a SYN opens"},
		{-1, true, LB_PHASE_P1, LB_STEER_HIT, 0, "is remembered"},
		{-1, true, LB_PHASE_P1, LB_STEER_MISS_NEW, 0, "SYN came after"},
		{-1, true, LB_PHASE_P1, LB_STEER_MISS_ALT, LB_STEER_INSERT, "previous owner"},
		{-1, true, LB_PHASE_P1, LB_STEER_MISS_CURRENT, 0, "owner's flows were given up"},
		{-1, true, LB_PHASE_P1, LB_STEER_MISS_CURRENT, LB_STEER_STALE, "remembered backend was given up"},
		{-1, true, LB_PHASE_P2, LB_STEER_MISS_CURRENT, 0, "after the grace time"},
		{-1, true, LB_PHASE_P1, LB_STEER_LOOKUP, 0, "not tracked"},
		{LB_OUTCOME_PASS_NOT_VIP, false, 0, 0, 0, "no VIP"},
		{LB_OUTCOME_PASS_VIP_OTHER, false, 0, 0, 0, "it has 80/tcp"},
		{LB_OUTCOME_PASS_LOCAL, false, 0, 0, 0, "this host is the backend"},
		{LB_OUTCOME_DROP_NO_BACKEND, false, 0, 0, 0, "no backend may serve"},
		{LB_OUTCOME_DROP_NO_NEXTHOP, false, 0, 0, 0, "next hop"},
		{LB_OUTCOME_TX_TOO_BIG, false, 0, 0, 0, "40 bytes do not fit"},
		{LB_OUTCOME_DROP_ACL, false, 0, 0, 0, "drop_acl"},
	};

	for (size_t i = 0; i < N(cases); i++) {
		struct explain x = sample();
		char buf[240];

		x.outcome = cases[i].outcome;
		x.in_transition = cases[i].in_transition;
		x.phase = cases[i].phase;
		snprintf(x.other_ports, sizeof(x.other_ports), "80/tcp");
		if (x.in_transition)
			x.steer[cases[i].counted] = x.steer[cases[i].also] = 1;
		if (!strstr(explain_why(&x, buf, sizeof(buf)), cases[i].words))
			fail_msg("row %zu: \"%s\" has no \"%s\"", i, explain_why(&x, buf, sizeof(buf)), cases[i].words);
	}
}

/* The one warning that @x gives, or "" for none. */
static const char *warning(const struct explain *x)
{
	static char text[400];
	struct err err = {0};
	json_t *doc, *w;

	assert_int_equal(explain_report(x, 1, &doc, &err), 0);
	w = json_object_get(doc, "warnings");
	if (json_array_size(w) > 1)
		fail_msg("two warnings: %s", json_dumps(w, 0));
	snprintf(text, sizeof(text), "%s", json_array_size(w) ? json_string_value(json_array_get(w, 0)) : "");
	json_decref(doc);
	return text;
}

static void test_warnings(void **state)
{
	struct explain x = sample();

	assert_string_equal(warning(&x), "");
	x.n_attached = 0;
	assert_non_null(strstr(warning(&x), "no interface"));
	x.n_interfaces = 2;
	x.n_attached = 1;
	snprintf(x.unattached, sizeof(x.unattached), "eth1");
	assert_non_null(strstr(warning(&x), "not attached to eth1"));
	x = sample();
	x.chosen.state = ADMISSION_DRAINING;
	assert_non_null(strstr(warning(&x), "web1 is draining"));
	x = sample();
	x.chosen.retired = true;
	assert_non_null(strstr(warning(&x), "no longer configured"));
	x = sample();
	x.chosen.mtu = 1480;
	assert_non_null(strstr(warning(&x), "more than 1480 bytes"));
	x = sample();
	x.panic = true;
	assert_non_null(strstr(warning(&x), "panic"));
	x = sample();
	x.phase = LB_PHASE_P1;
	x.in_transition = true;
	x.alt = (struct explain_backend){.bidx = 2, .name = "web2", .gen_valid = false};
	assert_non_null(strstr(warning(&x), "web2 was given up"));
	x = sample();
	x.frame.intact = false;
	assert_non_null(strstr(warning(&x), "please report"));
	x = sample();
	x.chosen.bidx = 9;
	assert_non_null(strstr(warning(&x), "another backend than the slot names"));
	x = sample();
	x.found = EXPLAIN_NO_VIP;
	x.panic = true;
	assert_string_equal(warning(&x), "");
}

static void test_document(void **state)
{
	struct explain x = sample();
	struct err err = {0};
	json_t *doc;

	x.phase = LB_PHASE_P1;
	x.in_transition = true;
	x.since_s = 12;
	x.alt = (struct explain_backend){.bidx = 2, .name = "web2", .gen_valid = true, .state = ADMISSION_DRAINING};
	x.steer[LB_STEER_SYN] = 1;
	assert_int_equal(explain_report(&x, 1, &doc, &err), 0);
	assert_string_equal(json_string_value(json_object_get(doc, "phase")), "p1");
	assert_int_equal(json_integer_value(json_object_get(doc, "since_s")), 12);
	assert_string_equal(json_string_value(json_object_get(doc, "hash")), "0x0000000000000005");
	assert_true(json_is_true(json_object_get(json_object_get(doc, "alt"), "valid")));
	assert_string_equal(json_string_value(json_object_get(json_object_get(doc, "backend"), "name")), "web1");
	assert_int_equal(json_object_size(json_object_get(doc, "steering")), 1);
	assert_true(json_is_null(json_object_get(doc, "outcome")));
	assert_int_equal(json_array_size(json_object_get(doc, "steps")), 5);
	json_decref(doc);

	x = sample();
	x.found = EXPLAIN_NO_VIP;
	x.outcome = LB_OUTCOME_PASS_NOT_VIP;
	x.verdict = XDP_PASS;
	x.chosen = (struct explain_backend){0};
	assert_int_equal(explain_report(&x, 1, &doc, &err), 0);
	assert_true(json_is_null(json_object_get(doc, "service")) && json_is_null(json_object_get(doc, "slot")) &&
		    json_is_null(json_object_get(doc, "backend")) && json_is_null(json_object_get(doc, "frame")));
	assert_string_equal(json_string_value(json_object_get(doc, "outcome")), "pass_not_vip");
	assert_string_equal(json_string_value(json_object_get(doc, "verdict")), "pass");
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp_checksum),
		cmocka_unit_test(test_build),	    cmocka_unit_test(test_flags),    cmocka_unit_test(test_impossible),
		cmocka_unit_test(test_hash),	    cmocka_unit_test(test_decode),   cmocka_unit_test(test_why),
		cmocka_unit_test(test_warnings), cmocka_unit_test(test_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
