/* SPDX-License-Identifier: Apache-2.0 */
/* Later fragments follow the first. */
#include "cold.h"

static struct fixture fix;

enum { WEB = 1, B_FIRST = 5, B_COUNT = 3, M = 61 };

/* Mirrors bpf/fragment.h. */
struct frag_key {
	__u64 src_hi, src_lo, vip_hi, vip_lo;
	__u32 id;
	__u8 proto, v6;
	__u16 pad;
};
struct frag_value {
	__u64 h;
	__u32 at_ds;
	__u16 bidx;
	__u8 gen, pad;
};

static void backends(enum pkt_tunnel tunnel)
{
	__u32 i;

	for (i = 0; i < B_COUNT; i++)
		cold_backend(&fix, B_FIRST + i, tunnel, 0, 1500);
}

/* What a fragment is, besides its addresses. @at: offset in the datagram, in units of 8 bytes. */
struct piece {
	bool v6;
	__u8 proto; /* 0 = TCP */
	__u32 id;
	unsigned int at;
	bool last;
	__u16 sport, dport; /* in a later fragment these bytes stand too, and mean nothing */
	__u16 vlan;
	const char *src;
	__u8 ext[3]; /* IPv6, behind the fragment header */
	unsigned int payload;
};

static void build(struct pkt *p, const struct piece *f)
{
	struct pkt_spec s = { .v6 = f->v6, .proto = f->proto, .sport = f->sport, .dport = f->dport, .src = f->src,
			      .payload = f->payload ? f->payload : 64, .vlan = { f->vlan } };
	unsigned int ip = f->vlan ? 18 : 14;

	if (f->v6) {
		s.ext[0] = 44;
		memcpy(s.ext + 1, f->ext, sizeof(f->ext));
		s.frag = (__u16)(f->at << 3 | !f->last);
	} else {
		s.frag = (__u16)(f->at | (f->last ? 0 : 0x2000));
	}
	pkt_build(p, &s);
	if (f->v6) {
		pkt_set16(p, ip + 44, f->id >> 16);
		pkt_set16(p, ip + 46, f->id & 0xffff);
	} else {
		pkt_set16(p, ip + 4, f->id);
		pkt_set16(p, ip + 10, 0);
		pkt_set16(p, ip + 10, (__u16)~pkt_sum(p->b + ip, 20, 0));
	}
}

static int run(const char *what, const struct piece *f, int action, int counted)
{
	static struct pkt in, out;

	build(&in, f);
	return cold_run(&fix, what, &in, &out, action, counted);
}

/* The first piece goes where the whole flow goes; the later ones with it, byte for byte and with the same entropy. */
static void follow(bool v6, enum pkt_tunnel tunnel, __u8 proto, __u16 vlan, __u16 sport, __u32 id)
{
	static struct pkt in, whole, first;
	struct piece f = { .v6 = v6, .proto = proto, .vlan = vlan, .sport = sport, .id = id };
	struct piece later = { .v6 = v6, .proto = proto, .vlan = vlan, .sport = 1, .dport = 2, .id = id };
	unsigned int l2 = vlan ? 18 : 14, n;
	int to;

	pkt_build(&in, &(struct pkt_spec){ .v6 = v6, .proto = proto, .sport = sport, .vlan = { vlan } });
	to = cold_run(&fix, "whole", &in, &whole, XDP_TX, SENT(0));
	build(&in, &f);
	cold_sent(&fix, "first", &in, l2, (__u32)(to - LB_OUTCOME_MAX), tunnel, 0, &whole);
	cold_run(&fix, "first", &in, &first, XDP_TX, to);
	for (n = 1; n < 4; n++) {
		later.at = 4 - n; /* in any order */
		later.last = n == 1;
		later.payload = 51 + n;
		build(&in, &later);
		cold_sent(&fix, "later", &in, l2, (__u32)(to - LB_OUTCOME_MAX), tunnel, 0, &first);
	}
}

static void test_later_follow_the_first(void **state)
{
	enum pkt_tunnel tunnel;
	__u32 n;
	int v6;

	for (tunnel = PKT_IP4; tunnel <= PKT_L2; tunnel++) {
		backends(tunnel);
		for (v6 = 0; v6 < 2; v6++)
			for (n = 0; n < 24; n++)
				follow(v6, tunnel, n & 1 ? 17 : 6, n % 3 ? 0 : 9, (__u16)(2000 + n * 41), 0x1000 + n);
	}
}

static void test_later_without_first(void **state)
{
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		struct piece first = { .v6 = v6, .id = 0x2001 }, later = { .v6 = v6, .id = 0x2001, .at = 8 };

		run("too early", &later, XDP_DROP, LB_OUTCOME_DROP_FRAGMENT);
		run("first", &first, XDP_TX, SENT(0));
		run("now", &later, XDP_TX, SENT(0));
		later.id++;
		run("another id", &later, XDP_DROP, LB_OUTCOME_DROP_FRAGMENT);
		later.id--;
		later.src = v6 ? "2001:db8:1::2" : "192.0.2.2";
		run("another source", &later, XDP_DROP, LB_OUTCOME_DROP_FRAGMENT);
		later.src = NULL;
		later.proto = 17;
		/* RFC 8200: in IPv6 the next header of later fragments means nothing. */
		run("another protocol", &later, v6 ? XDP_TX : XDP_DROP, v6 ? SENT(0) : LB_OUTCOME_DROP_FRAGMENT);
	}
}

/* A source port whose flow goes to backend @want. */
static __u16 port_to(bool v6, int want)
{
	static struct pkt in, out;
	__u16 port;

	for (port = 1024;; port++) {
		pkt_build(&in, &(struct pkt_spec){ .v6 = v6, .sport = port });
		if (cold_run(&fix, "port", &in, &out, XDP_TX, SENT(0)) == SENT(want))
			return port;
	}
}

static void test_id_reuse(void **state)
{
	int v6, b;

	for (v6 = 0; v6 < 2; v6++)
		for (b = 0; b < B_COUNT; b++) {
			struct piece first = { .v6 = v6, .id = 0x3003, .sport = port_to(v6, B_FIRST + b) };
			struct piece later = { .v6 = v6, .id = 0x3003, .at = 8 };

			run("first", &first, XDP_TX, SENT(B_FIRST + b));
			run("later", &later, XDP_TX, SENT(B_FIRST + b));
		}
}

/* Change the one memory there is. */
static void age(__u32 by_ds)
{
	int fd = bpf_map__fd(fix.skel->maps.fragments);
	struct frag_key key, *prev = NULL;
	struct frag_value v;

	while (!bpf_map_get_next_key(fd, prev, &key)) {
		assert_int_equal(bpf_map_lookup_elem(fd, &key, &v), 0);
		v.at_ds -= by_ds;
		assert_int_equal(bpf_map_update_elem(fd, &key, &v, BPF_EXIST), 0);
		prev = &key;
	}
}

static void test_bounded_life(void **state)
{
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		struct piece first = { .v6 = v6, .id = 0x4004 }, later = { .v6 = v6, .id = 0x4004, .at = 8 };

		run("first", &first, XDP_TX, SENT(0));
		age(280);
		run("28 seconds", &later, XDP_TX, SENT(0));
		age(30);
		run("31 seconds", &later, XDP_DROP, LB_OUTCOME_DROP_FRAGMENT);
	}
}

static void test_generation(void **state)
{
	__u16 port;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		struct piece first = { .v6 = v6, .id = 0x5005 }, later = { .v6 = v6, .id = 0x5005, .at = 8 };

		port = port_to(v6, B_FIRST);
		first.sport = port;
		run("first", &first, XDP_TX, SENT(B_FIRST));
		fix.backends[B_FIRST].gen++;
		run("backend lost", &later, XDP_DROP, LB_OUTCOME_DROP_FRAGMENT);
		fix.backends[B_FIRST].gen--;
	}
}

/* What the first fragment was not steered for passes as a whole: the stack puts it together. */
static void test_not_ours(void **state)
{
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		struct piece f = { .v6 = v6, .id = 0x6006, .dport = 81 }, later = { .v6 = v6, .id = 0x6006, .at = 8 };

		run("no service", &f, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
		run("no service, later", &later, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
		f = (struct piece){ .v6 = v6, .id = 0x6007, .proto = v6 ? 58 : 1 };
		run("icmp", &f, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
		f.id++;
		f.at = 3;
		run("icmp, later, first unseen", &f, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
		f.proto = 132;
		run("sctp", &f, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
	}
}

static void test_extension_headers_behind(void **state)
{
	struct piece first = { .v6 = true, .id = 0x7007, .ext = { 60, 60 } };
	struct piece later = { .v6 = true, .id = 0x7007, .ext = { 60 }, .at = 8, .last = true };
	struct piece icmp = { .v6 = true, .id = 0x7008, .ext = { 60 }, .proto = 58 };
	static struct pkt in;
	int to;

	backends(PKT_GUE6);
	to = run("first", &first, XDP_TX, SENT(0));
	run("later", &later, XDP_TX, to);
	build(&in, &first);
	cold_sent(&fix, "first", &in, 14, (__u32)(to - LB_OUTCOME_MAX), PKT_GUE6, 0, NULL);
	run("icmp behind", &icmp, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
	later.id++;
	run("later of icmp", &later, XDP_PASS, LB_OUTCOME_PASS_VIP_OTHER);
}

/* A first fragment without the whole transport header is an attack; it leaves no memory. */
static void test_tiny_first(void **state)
{
	static struct pkt in, out;
	unsigned int keep;
	int v6;

	for (v6 = 0; v6 < 2; v6++)
		for (keep = 0; keep < 20; keep++) {
			struct piece first = { .v6 = v6, .id = 0x8008 }, later = { .v6 = v6, .id = 0x8008, .at = 1 };

			build(&in, &first);
			pkt_set16(&in, v6 ? 18 : 16, (v6 ? 8 : 20) + keep);
			cold_run(&fix, "padded", &in, &out, XDP_DROP, LB_OUTCOME_DROP_TRUNCATED);
			in.len = 14u + (v6 ? 48 : 20) + keep;
			cold_run(&fix, "tiny", &in, &out, XDP_DROP, LB_OUTCOME_DROP_TRUNCATED);
			run("later", &later, XDP_DROP, LB_OUTCOME_DROP_FRAGMENT);
		}
}

/* The slot's state decides for the first: none without a backend, no memory of it; a transition's rules. */
static void test_no_backend(void **state)
{
	int v6;

	fixture_slots(&fix, 0, M, 0);
	for (v6 = 0; v6 < 2; v6++) {
		struct piece first = { .v6 = v6, .id = 0x9009 }, later = { .v6 = v6, .id = 0x9009, .at = 8 };

		run("first", &first, XDP_DROP, LB_OUTCOME_DROP_NO_BACKEND);
		run("later", &later, XDP_DROP, LB_OUTCOME_DROP_FRAGMENT);
	}
}

static void test_in_transition(void **state)
{
	__u32 i, now = fixture_clock_ds(&fix) / 10;
	int v6;

	for (i = 0; i < M; i++)
		fix.slot_x[i].a = LB_SLOTX_A(B_FIRST + 1, 0, LB_PHASE_P1, 1, now & 0xffffff);
	fixture_slots(&fix, 0, M, B_FIRST | LB_SLOT_TRANSITION);
	for (v6 = 0; v6 < 2; v6++) {
		struct piece first = { .v6 = v6, .id = 0xa00a }, later = { .v6 = v6, .id = 0xa00a, .at = 8 };

		run("first", &first, XDP_TX, SENT(B_FIRST + 1));
		run("later", &later, XDP_TX, SENT(B_FIRST + 1));
	}
}

/* Too big: the first is answered (test_toobig), the later ones go in silence. */
static void test_later_too_big(void **state)
{
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		struct piece first = { .v6 = v6, .id = 0xb00b, .payload = 64 };
		struct piece later = { .v6 = v6, .id = 0xb00b, .at = 8, .payload = 1460 };

		run("first", &first, XDP_TX, SENT(0));
		run("later", &later, XDP_DROP, LB_OUTCOME_DROP_TOO_BIG);
	}
}

static void spread_slots(void)
{
	__u32 i;

	for (i = 0; i < M; i++)
		fix.slots[i / LB_SLOTS_PER_LINE].s[i % LB_SLOTS_PER_LINE] = (__u16)(B_FIRST + i % B_COUNT);
}

static int each(void **state)
{
	spread_slots();
	backends(PKT_IP4);
	return 0;
}

static int setup(void **state)
{
	fixture_up(&fix, NULL);
	fixture_service(&fix, WEB, 80, 6, 0, M, 0);
	fixture_service(&fix, WEB, 80, 17, 0, M, 0);
	return 0;
}

static int teardown(void **state)
{
	fixture_down(&fix);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_later_follow_the_first, each),
		cmocka_unit_test_setup(test_later_without_first, each),
		cmocka_unit_test_setup(test_id_reuse, each),
		cmocka_unit_test_setup(test_bounded_life, each),
		cmocka_unit_test_setup(test_generation, each),
		cmocka_unit_test_setup(test_not_ours, each),
		cmocka_unit_test_setup(test_extension_headers_behind, each),
		cmocka_unit_test_setup(test_tiny_first, each),
		cmocka_unit_test_setup(test_no_backend, each),
		cmocka_unit_test_setup(test_in_transition, each),
		cmocka_unit_test_setup(test_later_too_big, each),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
