/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decapsulation program, whole frames in and out through BPF_PROG_TEST_RUN: every kind of tunnel, every outcome,
 * all 64 combinations of ECN and families, every truncation, and random damage.
 */
#include "decap_frames.h"

/* Calls @f for every valid kind of tunnel frame. */
static void for_each_kind(size_t payload, void (*f)(const struct spec *s, const char *name))
{
	char name[80];

	for (int outer = 4; outer <= 6; outer += 2)
		for (int inner = 4; inner <= 6; inner += 2)
			for (int gue = NO_GUE; gue <= GUE_V1; gue++)
				for (int vlans = 0; vlans <= 2; vlans++) {
					struct spec s = { .vlans = vlans, .outer = outer, .inner = inner,
							  .gue = (enum gue)gue, .payload = payload };

					describe(&s, name, sizeof(name));
					f(&s, name);
				}
}

static void check_kind(const struct spec *s, const char *name)
{
	static struct frame in, want, out;
	enum decap_outcome o;

	frame_build(s, &in, &want);
	o = run(skel->progs.decap_xdp, &in, &out, name);
	if (o != expected_kind(s))
		fail_msg("%s: %s", name, outcome_names[o]);
	assert_frame(&out, &want, name);
	if (skel->progs.decap_xdp_frags && bpf_program__fd(skel->progs.decap_xdp_frags) >= 0) {
		o = run(skel->progs.decap_xdp_frags, &in, &out, name);
		if (o != expected_kind(s))
			fail_msg("%s, frags: %s", name, outcome_names[o]);
		assert_frame(&out, &want, name);
	}
}

static void test_every_kind_is_unpacked(void **state)
{
	(void)state;
	for_each_kind(0, check_kind);
	for_each_kind(1, check_kind);
	for_each_kind(1380, check_kind);
}

static void test_large_frames_in_several_buffers(void **state)
{
	static struct frame in, want, out;
	struct spec s = { .outer = 4, .inner = 4, .payload = 8900 };

	(void)state;
	if (bpf_program__fd(skel->progs.decap_xdp_frags) < 0)
		skip();
	frame_build(&s, &in, &want);
	assert_int_equal(run(skel->progs.decap_xdp_frags, &in, &out, "8900 bytes"), DECAP_OK_4IN4);
	assert_frame(&out, &want, "8900 bytes");
}

/* One byte of damage done to one good frame; NOWHERE: none (the spec has other addresses). */
enum where { NOWHERE, OUTER, UDP, GUE, INNER };
enum how { SET, ADD, ADD_SUM }; /* ADD_SUM: and mend the outer IPv4 checksum */

static const struct damage_row {
	const char *name;
	struct spec spec;
	enum decap_outcome want;
	enum where where;
	int offset;
	enum how how;
	int value;
} rows[] = {
#define S4IN4 { .outer = 4, .inner = 4 }
#define S6IN4 { .outer = 4, .inner = 6 }
#define S4IN6 { .outer = 6, .inner = 4 }
#define S6IN6 { .outer = 6, .inner = 6 }
#define SGUE4 { .outer = 4, .inner = 4, .gue = GUE_V0 }
#define SGUE6 { .outer = 6, .inner = 4, .gue = GUE_V0 }
#define SGUE1 { .outer = 4, .inner = 6, .gue = GUE_V1 }
	{ "arp", S4IN4, DECAP_PASS_NOT_IP, OUTER, -1, SET, 0x06 },
	{ "three vlan tags", { .outer = 4, .inner = 4, .vlans = 3 }, DECAP_PASS_NOT_IP, NOWHERE, 0, SET, 0 },
	{ "ipv4 options", S4IN4, DECAP_PASS_NOT_TUNNEL, OUTER, 0, SET, 0x46 },
	{ "version 5 as ipv4", S4IN4, DECAP_PASS_NOT_TUNNEL, OUTER, 0, SET, 0x55 },
	{ "version 5 as ipv6", S4IN6, DECAP_PASS_NOT_TUNNEL, OUTER, 0, SET, 0x55 },
	{ "gre", S4IN4, DECAP_PASS_NOT_TUNNEL, OUTER, 9, SET, 47 },
	{ "first fragment", S4IN4, DECAP_PASS_FRAGMENT, OUTER, 6, SET, 0x20 },
	{ "later fragment", S6IN4, DECAP_PASS_FRAGMENT, OUTER, 7, SET, 0x10 },
	{ "fragment of udp", SGUE4, DECAP_PASS_NOT_TUNNEL, OUTER, 6, SET, 0x20 },
	{ "don't fragment", S4IN4, DECAP_OK_4IN4, OUTER, 6, ADD_SUM, 0x40 },
	{ "ipv4 length beyond frame", S4IN4, DECAP_PASS_TRUNCATED, OUTER, 3, ADD, 1 },
	{ "ipv4 length 19", S4IN4, DECAP_PASS_TRUNCATED, OUTER, 3, SET, 19 },
	{ "ipv4 length cuts inner 4", S4IN4, DECAP_DROP_MALFORMED, OUTER, 3, ADD_SUM, -1 },
	{ "ipv4 length cuts inner 6", S6IN4, DECAP_DROP_MALFORMED, OUTER, 3, ADD_SUM, -1 },
	{ "ipv6 length cuts inner 4", S4IN6, DECAP_DROP_MALFORMED, OUTER, 5, ADD, -1 },
	{ "ipv6 length cuts inner 6", S6IN6, DECAP_DROP_MALFORMED, OUTER, 5, ADD, -1 },
	{ "ipv6 length beyond frame", S6IN6, DECAP_PASS_TRUNCATED, OUTER, 5, ADD, 1 },
	{ "ipv6 hop-by-hop", S4IN6, DECAP_PASS_NOT_TUNNEL, OUTER, 6, SET, 0 },
	{ "ipv6 fragment of tcp", S4IN6, DECAP_PASS_NOT_TUNNEL, OUTER, 6, SET, 44 },
	{ "outer checksum 4in4", S4IN4, DECAP_DROP_CHECKSUM, OUTER, 8, ADD, 1 },
	{ "outer checksum 6in4", S6IN4, DECAP_DROP_CHECKSUM, OUTER, 8, ADD, 1 },
	{ "outer checksum gue", SGUE1, DECAP_DROP_CHECKSUM, OUTER, 8, ADD, 1 },
	{ "damaged header of a stranger's packet", { .outer = 4, .inner = 4, .inner_dst = "10.99.0.2" },
	  DECAP_PASS_NOT_VIP, OUTER, 8, ADD, 1 },
	{ "not a vip 4", { .outer = 4, .inner = 4, .inner_dst = "10.99.0.2" }, DECAP_PASS_NOT_VIP, NOWHERE, 0, SET, 0 },
	{ "not a vip 6", { .outer = 4, .inner = 6, .inner_dst = "fd99::2" }, DECAP_PASS_NOT_VIP, NOWHERE, 0, SET, 0 },
	{ "not a vip, gue", { .outer = 6, .inner = 4, .gue = GUE_V0, .inner_dst = "10.99.0.2" },
	  DECAP_PASS_NOT_VIP, NOWHERE, 0, SET, 0 },
	{ "vip as mapped ipv6", { .outer = 4, .inner = 6, .inner_dst = "::ffff:" VIP4 },
	  DECAP_PASS_NOT_VIP, NOWHERE, 0, SET, 0 },
	{ "mapped ipv6 outer", { .outer = 6, .inner = 6, .outer_dst = "::ffff:" HOST4 },
	  DECAP_PASS_NOT_LOCAL, NOWHERE, 0, SET, 0 },
	{ "gue on another port", SGUE4, DECAP_PASS_NOT_TUNNEL, UDP, 3, ADD, 1 },
	{ "gue udp length beyond ip", SGUE4, DECAP_PASS_TRUNCATED, UDP, 5, ADD, 1 },
	{ "gue udp length 7", SGUE6, DECAP_PASS_TRUNCATED, UDP, 5, SET, 7 },
	{ "gue udp length 8", SGUE6, DECAP_PASS_TRUNCATED, UDP, 5, SET, 8 },
	{ "gue udp length cuts inner", SGUE1, DECAP_DROP_MALFORMED, UDP, 5, ADD, -1 },
	{ "gue control", SGUE4, DECAP_PASS_GUE_OTHER, GUE, 0, SET, 0x20 },
	{ "gue options", SGUE4, DECAP_PASS_GUE_OTHER, GUE, 0, SET, 0x01 },
	{ "gue flags", SGUE4, DECAP_PASS_GUE_OTHER, GUE, 2, SET, 0x80 },
	{ "gue of tcp", SGUE4, DECAP_PASS_GUE_OTHER, GUE, 1, SET, IPPROTO_TCP },
	{ "gue variant 2", SGUE4, DECAP_PASS_GUE_OTHER, GUE, 0, SET, 0x80 },
	{ "inner version, outer says 4", S4IN4, DECAP_PASS_NOT_VIP, INNER, 0, SET, 0x65 },
	{ "inner version, outer says 6", S6IN4, DECAP_PASS_NOT_VIP, INNER, 0, SET, 0x40 },
	{ "inner header of 16 bytes", S4IN4, DECAP_DROP_MALFORMED, INNER, 0, SET, 0x44 },
	{ "inner header beyond total", S4IN6, DECAP_DROP_MALFORMED, INNER, 0, SET, 0x4f },
	{ "inner 4 longer than outer", S4IN6, DECAP_DROP_MALFORMED, INNER, 3, ADD, 1 },
	{ "inner 6 longer than outer", S6IN6, DECAP_DROP_MALFORMED, INNER, 5, ADD, 1 },
	{ "inner 4 longer, gue", SGUE4, DECAP_DROP_MALFORMED, INNER, 3, ADD, 1 },
	{ "congestion on not-ECT 4", { .outer = 4, .inner = 4, .outer_ecn = 3 }, DECAP_DROP_ECN, NOWHERE, 0, SET, 0 },
	{ "congestion on not-ECT 6", { .outer = 6, .inner = 6, .outer_ecn = 3 }, DECAP_DROP_ECN, NOWHERE, 0, SET, 0 },
};

static void apply_damage(const struct damage_row *r, struct frame *f)
{
	const size_t at[] = { [OUTER] = f->outer_at, [UDP] = f->udp_at, [GUE] = f->gue_at, [INNER] = f->inner_at };
	struct iphdr *ip = (struct iphdr *)(f->b + f->outer_at);
	__u8 *byte;

	if (r->where == NOWHERE)
		return;
	byte = f->b + at[r->where] + r->offset;
	*byte = (__u8)(r->how == SET ? r->value : *byte + r->value);
	if (r->how == ADD_SUM) {
		ip->check = 0;
		ip->check = sum16(ip, sizeof(*ip));
	}
}

/* A fragment header names what it carries; only tunnels are counted as fragments of ours. */
static void test_ipv6_fragment(void **state)
{
	static struct frame in, want, out;
	struct spec s = S4IN6;

	(void)state;
	s.payload = PAYLOAD;
	frame_build(&s, &in, &want);
	in.b[in.outer_at + 6] = 44;
	in.b[in.inner_at] = IPPROTO_IPIP;
	assert_int_equal(run(skel->progs.decap_xdp, &in, &out, "fragment"), DECAP_PASS_FRAGMENT);
	assert_frame(&out, &in, "fragment");
}

static void test_damage(void **state)
{
	static struct frame in, want, out;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spec s = rows[i].spec;
		enum decap_outcome o;

		s.payload = PAYLOAD;
		frame_build(&s, &in, &want);
		apply_damage(&rows[i], &in);
		o = run(skel->progs.decap_xdp, &in, &out, rows[i].name);
		if (o != rows[i].want)
			fail_msg("%s: %s, wanted %s", rows[i].name, outcome_names[o], outcome_names[rows[i].want]);
		assert_frame(&out, is_decap(o) ? &want : &in, rows[i].name);
	}
}

/* RFC 6040 figure 4, written out: rows inner not-ECT, ECT(1), ECT(0), CE; columns outer in the same order; 4 = drop. */
static void test_ecn(void **state)
{
	static const __u8 rfc6040[4][4] = { { 0, 0, 0, 4 }, { 1, 1, 1, 3 }, { 2, 1, 2, 3 }, { 3, 3, 3, 3 } };
	static struct frame in, want, out;
	char name[80];

	(void)state;
	for (int n = 0; n < 64; n++) {
		struct spec s = { .outer = n & 1 ? 4 : 6, .inner = n & 2 ? 4 : 6, .payload = 20,
				  .inner_ecn = (__u8)(n >> 2 & 3), .outer_ecn = (__u8)(n >> 4 & 3) };
		__u8 combined = rfc6040[s.inner_ecn][s.outer_ecn];
		struct spec marked = s;
		enum decap_outcome o;

		snprintf(name, sizeof(name), "%din%d inner %u outer %u", s.inner, s.outer, s.inner_ecn, s.outer_ecn);
		frame_build(&s, &in, &want);
		o = run(skel->progs.decap_xdp, &in, &out, name);
		if (combined == 4) {
			assert_int_equal(o, DECAP_DROP_ECN);
			continue;
		}
		assert_int_equal(o, expected_kind(&s));
		/* Built anew, so that the checksum is the one that a sender would have written. */
		marked.inner_ecn = combined;
		frame_build(&marked, &in, &want);
		assert_frame(&out, &want, name);
	}
}

static void check_truncations(const struct spec *s, const char *name)
{
	static struct frame in, want, out;

	frame_build(s, &in, &want);
	for (size_t len = ETH_HLEN; len < in.len; len++) {
		size_t whole = in.len;
		enum decap_outcome o;

		in.len = len;
		o = run(skel->progs.decap_xdp, &in, &out, name);
		if (o != DECAP_PASS_TRUNCATED && o != DECAP_PASS_NOT_IP && o != DECAP_PASS_NOT_TUNNEL)
			fail_msg("%s cut to %zu: %s", name, len, outcome_names[o]);
		assert_frame(&out, &in, name);
		in.len = whole;
	}
}

static void test_every_truncation_passes_untouched(void **state)
{
	(void)state;
	for_each_kind(8, check_truncations);
}

/* Ethernet padding behind a short packet belongs to nobody and must survive. */
static void test_padding_stays(void **state)
{
	static struct frame in, want, out;
	struct spec s = { .outer = 4, .inner = 4, .payload = 0 };

	(void)state;
	frame_build(&s, &in, &want);
	memset(append(&in, 6), 0xee, 6);
	memset(append(&want, 6), 0xee, 6);
	assert_int_equal(run(skel->progs.decap_xdp, &in, &out, "padding"), DECAP_OK_4IN4);
	assert_frame(&out, &want, "padding");
}

static unsigned int seed_of_the_day(void)
{
	const char *s = getenv("LBD_TEST_SEED");

	return s ? (unsigned int)strtoul(s, NULL, 0) : (unsigned int)getpid();
}

/* Whatever arrives: one counter, its verdict, and a frame that is not unpacked is not touched. */
static void test_random_damage(void **state)
{
	static struct frame in, want, out;
	unsigned int seed = seed_of_the_day(), r = seed;

	(void)state;
	print_message("LBD_TEST_SEED=%u\n", seed);
	for (int i = 0; i < 5000; i++) {
		struct spec s = { .vlans = rand_r(&r) % 4, .outer = rand_r(&r) & 1 ? 4 : 6,
				  .inner = rand_r(&r) & 1 ? 4 : 6, .gue = (enum gue)(rand_r(&r) % 3),
				  .payload = (size_t)rand_r(&r) % 64 };
		enum decap_outcome o;

		frame_build(&s, &in, &want);
		for (int n = rand_r(&r) % 4; n > 0; n--)
			in.b[12 + (size_t)rand_r(&r) % (in.len - 12)] = (__u8)rand_r(&r);
		if (rand_r(&r) % 4 == 0)
			in.len = ETH_HLEN + (size_t)rand_r(&r) % (in.len - ETH_HLEN + 1);
		o = run(skel->progs.decap_xdp, &in, &out, "random");
		assert_int_not_equal(o, DECAP_DROP_INTERNAL);
		if (!is_decap(o))
			assert_frame(&out, &in, "random");
		else
			assert_true(out.len < in.len);
	}
}

static void map_add(struct bpf_map *map, const char *text)
{
	struct decap_addr a = { .b = { [10] = 0xff, [11] = 0xff } };
	__u32 one = 1;

	if (inet_pton(AF_INET, text, a.b + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &a, &one, BPF_ANY), 0);
}

static struct decap_bpf *load(bool check_outer, __u16 port, int *err)
{
	struct decap_bpf *s = decap_bpf__open();

	*err = s ? 0 : -errno;
	if (!s)
		return NULL;
	s->rodata->check_outer = check_outer;
	s->rodata->gue_port = port;
	*err = decap_bpf__load(s);
	if (*err) {
		/* Before Linux 5.18 there is no xdp.frags; the plain program must load all the same. */
		decap_bpf__destroy(s);
		s = decap_bpf__open();
		s->rodata->check_outer = check_outer;
		s->rodata->gue_port = port;
		bpf_program__set_autoload(s->progs.decap_xdp_frags, false);
		*err = decap_bpf__load(s);
	}
	if (*err) {
		decap_bpf__destroy(s);
		return NULL;
	}
	map_add(s->maps.vips, VIP4);
	map_add(s->maps.vips, VIP6);
	map_add(s->maps.locals, HOST4);
	map_add(s->maps.locals, HOST6);
	return s;
}

static void test_only_this_hosts_addresses(void **state)
{
	static struct frame in, want, out;
	struct decap_bpf *all = skel;
	struct spec s = { .outer = 4, .inner = 4, .payload = 8 };
	int err;

	(void)state;
	skel = load(true, DECAP_GUE_PORT, &err);
	assert_non_null(skel);
	for_each_kind(8, check_kind);
	s.outer_dst = "10.0.31.3";
	frame_build(&s, &in, &want);
	assert_int_equal(run(skel->progs.decap_xdp, &in, &out, "another host"), DECAP_PASS_NOT_LOCAL);
	assert_frame(&out, &in, "another host");
	s.outer = 6;
	s.outer_dst = "fd00:31::3";
	frame_build(&s, &in, &want);
	assert_int_equal(run(skel->progs.decap_xdp, &in, &out, "another host"), DECAP_PASS_NOT_LOCAL);
	decap_bpf__destroy(skel);
	skel = all;
}

static void test_gue_port_zero_is_off(void **state)
{
	static struct frame in, want, out;
	struct decap_bpf *all = skel;
	struct spec s = { .outer = 4, .inner = 4, .gue = GUE_V0, .payload = 8 };
	int err;

	(void)state;
	skel = load(false, 0, &err);
	assert_non_null(skel);
	frame_build(&s, &in, &want);
	assert_int_equal(run(skel->progs.decap_xdp, &in, &out, "gue off"), DECAP_PASS_NOT_TUNNEL);
	in.b[in.udp_at + 2] = in.b[in.udp_at + 3] = 0;
	assert_int_equal(run(skel->progs.decap_xdp, &in, &out, "gue off, port 0"), DECAP_PASS_NOT_TUNNEL);
	decap_bpf__destroy(skel);
	skel = all;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_is_unpacked),
		cmocka_unit_test(test_large_frames_in_several_buffers),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_ipv6_fragment),
		cmocka_unit_test(test_ecn),
		cmocka_unit_test(test_every_truncation_passes_untouched),
		cmocka_unit_test(test_padding_stays),
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_only_this_hosts_addresses),
		cmocka_unit_test(test_gue_port_zero_is_off),
	};
	int err, failed;

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: loading BPF programs needs root\n");
		return 77;
	}
	skel = load(false, DECAP_GUE_PORT, &err);
	if (!skel) {
		fprintf(stderr, "decap does not load: %s\n", strerror(-err));
		return err == -EPERM || err == -ENOSYS ? 77 : 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	decap_bpf__destroy(skel);
	return failed ? 1 : 0;
}
