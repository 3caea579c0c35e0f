// SPDX-License-Identifier: Apache-2.0
/* test_probe.c - marked packets get the headers of their backend, byte for byte as pkt.h computes them;
 * others nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lb/abi.h"
#include "lb/backend.h"
#include "lb/probe.h"
#include "probe.skel.h"
#include "pkt.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <sys/mman.h>
#include <unistd.h>

#define N_BACKENDS 64u /* a page */
#define BACKEND 5u
#define MARK (LB_PROBE_MARK | BACKEND)

static struct probe_bpf *skel;
static struct lb_backend *backends, *spares;

static const char *const names[] = {
	[PKT_IP4] = "ip4", [PKT_IP6] = "ip6", [PKT_GUE4] = "gue4", [PKT_GUE6] = "gue6", [PKT_L2] = "l2"};
static const enum lb_encap encaps[] = {[PKT_IP4] = LB_ENCAP_IP4,
				       [PKT_IP6] = LB_ENCAP_IP6,
				       [PKT_GUE4] = LB_ENCAP_GUE4,
				       [PKT_GUE6] = LB_ENCAP_GUE6,
				       [PKT_L2] = LB_ENCAP_L2};

static void mapped(__u8 out[16], const char *text)
{
	if (inet_pton(AF_INET6, text, out) == 1)
		return;
	memset(out, 0, 16);
	out[10] = out[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, out + 12), 1);
}

static void wrap_for(struct pkt_wrap_spec *w, enum pkt_tunnel tunnel)
{
	bool out6 = tunnel == PKT_IP6 || tunnel == PKT_GUE6;

	*w = (struct pkt_wrap_spec){.tunnel = tunnel,
				    .src = out6 ? "fd00::1" : "10.0.0.1",
				    .dst = out6 ? "fd00:2::99" : "10.0.2.99",
				    .dst_mac = {2, 0xaa, 1, 2, 3, 4},
				    .src_mac = {2, 0xbb, 5, 6, 7, 8},
				    .gue_sport = 0xc000 | BACKEND};
}

static void put_backend(struct lb_backend *line, const struct pkt_wrap_spec *w)
{
	struct lb_backend_spec s = {.encap = encaps[w->tunnel], .link_mtu = 1500, .gue_port = 6080, .sid = 1};

	mapped(s.src, w->src);
	mapped(s.dst, w->dst);
	memcpy(s.dst_mac, w->dst_mac, 6);
	memcpy(s.src_mac, w->src_mac, 6);
	lb_backend_build(line, &s);
}

/* The action; @mark_out: the mark behind the program. */
static int run(const struct pkt *in, struct pkt *out, __u32 mark, __u32 *mark_out)
{
	struct __sk_buff ctx = {.mark = mark}, ctx_out;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = in->b, .data_size_in = in->len, .data_out = out->b,
		    .data_size_out = sizeof(out->b), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .ctx_out = &ctx_out, .ctx_size_out = sizeof(ctx_out));

	memset(&ctx_out, 0, sizeof(ctx_out));
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.lb_probe), &o), 0);
	out->len = o.data_size_out;
	if (mark_out)
		*mark_out = ctx_out.mark;
	return (int)o.retval;
}

static __u64 stat(enum lb_probe_stat s)
{
	__u64 n[256] = {0}, sum = 0;
	__u32 key = s;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(skel->maps.probe_stats), &key, n), 0);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += n[i];
	return sum;
}

static void assert_frame(const char *what, const struct pkt *got, const struct pkt *want)
{
	for (unsigned int i = 0; i < got->len && i < want->len; i++)
		if (got->b[i] != want->b[i])
			fail_msg("%s: byte %u is %02x, expected %02x", what, i, got->b[i], want->b[i]);
	if (got->len != want->len)
		fail_msg("%s: %u bytes, expected %u", what, got->len, want->len);
}

static const struct {
	const char *name;
	struct pkt_spec spec;
} cases[] = {
	{"tcp syn", {.tcp_flags = 2, .payload = 20}},
	{"tcp", {.payload = 333}},
	{"tcp, odd length", {.payload = 33}},
	{"udp", {.proto = 17, .payload = 100}},
	{"udp, odd length", {.proto = 17, .payload = 13}},
	{"dscp and ecn", {.tos = 0xbb, .payload = 40}},
	{"ttl, flow label", {.ttl = 1, .flow_label = 0xabcde, .payload = 7}},
	{"other addresses", {.sport = 1, .dport = 65535, .payload = 1}},
};

static void check(size_t i, bool v6, enum pkt_tunnel tunnel)
{
	static struct pkt in, out, want;
	struct pkt_spec s = cases[i].spec;
	__u64 sent = stat(LB_PROBE_SENT);
	struct pkt_wrap_spec w;
	__u32 mark = 1;
	char what[80];

	snprintf(what, sizeof(what), "%s, %s, %s", cases[i].name, v6 ? "v6" : "v4", names[tunnel]);
	s.v6 = v6;
	pkt_build(&in, &s);
	wrap_for(&w, tunnel);
	put_backend(&backends[BACKEND], &w);
	if (run(&in, &out, MARK, &mark) != TC_ACT_OK)
		fail_msg("%s: not sent", what);
	pkt_wrap(&want, &in, 14, &w);
	assert_frame(what, &out, &want);
	assert_int_equal(mark, 0);
	assert_int_equal(stat(LB_PROBE_SENT), sent + 1);
}

static void test_every_mode(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (enum pkt_tunnel tunnel = PKT_IP4; tunnel <= PKT_L2; tunnel++)
			for (int v6 = 0; v6 < 2; v6++)
				check(i, v6, tunnel);
}

/* Without our mark, or not TCP or UDP: not a byte changes, the next program decides. */
static void test_left_alone(void **state)
{
	static const struct {
		const char *name;
		__u32 mark;
		struct pkt_spec spec;
	} rows[] = {
		{"no mark", 0, {.payload = 9}},
		{"another mark", BACKEND, {.payload = 9}},
		{"nearly our mark", MARK ^ 0x8000, {.payload = 9}},
		{"icmp", MARK, {.proto = 1, .payload = 9}},
		{"icmpv6", MARK, {.v6 = true, .proto = 58, .payload = 9}},
		{"options", MARK, {.opts = 8, .payload = 9}},
		{"extension header", MARK, {.v6 = true, .ext = {0xff}, .payload = 9}},
	};
	static struct pkt in, out;
	struct pkt_wrap_spec w;

	wrap_for(&w, PKT_IP4);
	put_backend(&backends[BACKEND], &w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		__u32 mark = 0;

		pkt_build(&in, &rows[i].spec);
		if (run(&in, &out, rows[i].mark, &mark) != TC_ACT_UNSPEC)
			fail_msg("%s: has a verdict", rows[i].name);
		assert_frame(rows[i].name, &out, &in);
		assert_int_equal(mark, rows[i].mark);
	}
}

static void test_dropped(void **state)
{
	static struct pkt in, out;
	struct pkt_wrap_spec w;
	__u64 n = stat(LB_PROBE_NO_NEXTHOP);

	pkt_build(&in, &(struct pkt_spec){.payload = 9});
	memset(&backends[BACKEND], 0, sizeof(backends[BACKEND]));
	assert_int_equal(run(&in, &out, MARK, NULL), TC_ACT_SHOT);
	backends[BACKEND].encap = LB_ENCAP_LOCAL;
	assert_int_equal(run(&in, &out, MARK, NULL), TC_ACT_SHOT);
	assert_int_equal(run(&in, &out, LB_PROBE_MARK | 0x7fff, NULL), TC_ACT_SHOT); /* beyond the map */
	wrap_for(&w, PKT_IP4);
	put_backend(&backends[BACKEND], &w);
	backends[BACKEND].tx_port = 3; /* not in the devmap */
	assert_int_equal(run(&in, &out, MARK, NULL), TC_ACT_SHOT);
	assert_int_equal(stat(LB_PROBE_NO_NEXTHOP), n + 4);
	put_backend(&backends[BACKEND], &w);
	pkt_build(&in, &(struct pkt_spec){.payload = 1441});
	n = stat(LB_PROBE_TOO_BIG);
	assert_int_equal(run(&in, &out, MARK, NULL), TC_ACT_SHOT);
	assert_int_equal(stat(LB_PROBE_TOO_BIG), n + 1);
	pkt_build(&in, &(struct pkt_spec){.payload = 1440});
	assert_int_equal(run(&in, &out, MARK, NULL), TC_ACT_OK);
}

/* While a line is replaced, its spare is in force. */
static void test_spare_line(void **state)
{
	static struct pkt in, out, want;
	struct pkt_wrap_spec w;

	pkt_build(&in, &(struct pkt_spec){.payload = 9});
	wrap_for(&w, PKT_GUE4);
	put_backend(&spares[BACKEND], &w);
	memset(&backends[BACKEND], 0xff, sizeof(backends[BACKEND]));
	backends[BACKEND].encap = LB_ENCAP_MOVED;
	assert_int_equal(run(&in, &out, MARK, NULL), TC_ACT_OK);
	pkt_wrap(&want, &in, 14, &w);
	assert_frame("spare", &out, &want);
}

static void test_other_interface(void **state)
{
	static struct pkt in, out;
	struct pkt_wrap_spec w;
	__u32 port = 2, ifindex = 1; /* lo, where test runs are by default */

	pkt_build(&in, &(struct pkt_spec){.payload = 9});
	wrap_for(&w, PKT_L2);
	put_backend(&backends[BACKEND], &w);
	backends[BACKEND].tx_port = (__u8)port;
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.probe_ports), &port, &ifindex, 0))
		skip(); /* lo in a devmap: not on every kernel */
	assert_int_equal(run(&in, &out, MARK, NULL), TC_ACT_OK);
}

static void *map_memory(struct bpf_map *map)
{
	void *p = mmap(NULL, N_BACKENDS * sizeof(struct lb_backend), PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_map__fd(map), 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static int setup(void **state)
{
	int r;

	if (geteuid() != 0)
		exit(77);
	skel = probe_bpf__open();
	assert_non_null(skel);
	bpf_map__set_max_entries(skel->maps.backends, N_BACKENDS);
	bpf_map__set_max_entries(skel->maps.backend_spares, N_BACKENDS);
	r = probe_bpf__load(skel);
	if (r == -EPERM)
		exit(77);
	assert_int_equal(r, 0);
	backends = map_memory(skel->maps.backends);
	spares = map_memory(skel->maps.backend_spares);
	return 0;
}

static int teardown(void **state)
{
	probe_bpf__destroy(skel);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_mode),      cmocka_unit_test(test_left_alone),
		cmocka_unit_test(test_dropped),         cmocka_unit_test(test_spare_line),
		cmocka_unit_test(test_other_interface),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
