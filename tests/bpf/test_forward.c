/* SPDX-License-Identifier: Apache-2.0 */
/* Whole frames in, whole frames out: every DSR mode, both families. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fixture.h"

static struct fixture fix;

#define LINE 0
#define M 61
#define WEB 1
#define BACKEND 5

static const char *const names[] = { [PKT_IP4] = "ip4", [PKT_IP6] = "ip6", [PKT_GUE4] = "gue4", [PKT_GUE6] = "gue6",
				     [PKT_L2] = "l2" };
static const enum lb_encap encaps[] = { [PKT_IP4] = LB_ENCAP_IP4, [PKT_IP6] = LB_ENCAP_IP6, [PKT_GUE4] = LB_ENCAP_GUE4,
					[PKT_GUE6] = LB_ENCAP_GUE6, [PKT_L2] = LB_ENCAP_L2 };

static void wrap_for(struct pkt_wrap_spec *w, enum pkt_tunnel tunnel, __u16 vlan)
{
	bool out6 = tunnel == PKT_IP6 || tunnel == PKT_GUE6;

	*w = (struct pkt_wrap_spec){
		.tunnel = tunnel,
		.src = out6 ? "fd00::1" : "10.0.0.1",
		.dst = out6 ? "fd00:2::99" : "10.0.2.99",
		.dst_mac = { 2, 0xaa, 1, 2, 3, 4 },
		.src_mac = { 2, 0xbb, 5, 6, 7, 8 },
		.vlan = vlan,
	};
}

static void spec_for(struct lb_backend_spec *s, const struct pkt_wrap_spec *w)
{
	*s = (struct lb_backend_spec){ .encap = encaps[w->tunnel],
				       .has_vlan = w->vlan != 0,
				       .vlan_tci = w->vlan,
				       .link_mtu = 1500,
				       .gue_port = 6080,
				       .sid = WEB };
	fixture_mapped(s->src, w->src);
	fixture_mapped(s->dst, w->dst);
	memcpy(s->dst_mac, w->dst_mac, 6);
	memcpy(s->src_mac, w->src_mac, 6);
}

static void put_backend(const struct pkt_wrap_spec *w)
{
	struct lb_backend_spec s;

	spec_for(&s, w);
	lb_backend_build(&fix.backends[BACKEND], &s);
}

/* Hash-derived fields are taken over from the frame under test (other tests look at them). */
static void take_entropy(struct pkt_wrap_spec *w, const struct pkt *out)
{
	unsigned int ip = w->vlan ? 18 : 14, l4 = ip + (w->tunnel == PKT_GUE6 ? 40 : 20);

	if (w->tunnel == PKT_IP6 || w->tunnel == PKT_GUE6)
		w->label = (__u32)(out->b[ip + 1] & 0xf) << 16 | (__u32)out->b[ip + 2] << 8 | out->b[ip + 3];
	if (w->tunnel == PKT_GUE4 || w->tunnel == PKT_GUE6) {
		w->gue_sport = (__u16)(out->b[l4] << 8 | out->b[l4 + 1]);
		assert_true(w->gue_sport >= 0xc000);
	}
}

static void assert_frame(const char *what, const struct pkt *got, const struct pkt *want)
{
	unsigned int i;

	for (i = 0; i < got->len && i < want->len; i++)
		if (got->b[i] != want->b[i])
			fail_msg("%s: byte %u is %02x, expected %02x", what, i, got->b[i], want->b[i]);
	if (got->len != want->len)
		fail_msg("%s: %u bytes, expected %u", what, got->len, want->len);
}

static const struct {
	const char *name;
	struct pkt_spec spec;
} cases[] = {
	{ "tcp", { .payload = 33 } },
	{ "tcp, no payload", { .payload = 0 } },
	{ "tcp syn", { .tcp_flags = 2, .payload = 20 } },
	{ "udp", { .proto = 17, .payload = 100 } },
	{ "udp, empty", { .proto = 17 } },
	{ "udp, odd length", { .proto = 17, .payload = 13 } },
	{ "udp without checksum", { .proto = 17, .payload = 301, .udp_no_csum = true } },
	{ "dscp and ecn", { .tos = 0xbb, .payload = 40 } },
	{ "ecn ce, ttl 1, flow label", { .tos = 0x03, .ttl = 1, .flow_label = 0xabcde, .payload = 7 } },
	{ "one vlan tag", { .vlan = { 7 }, .payload = 50 } },
	{ "two vlan tags", { .vlan = { 7, 8 }, .payload = 50 } },
	{ "options or extension headers", { .opts = 8, .ext = { 0xff, 60 }, .payload = 50 } },
	{ "largest", { .payload = 1392 } },
};

static void check_row(size_t i, bool v6, enum pkt_tunnel tunnel, __u16 vlan)
{
	static struct pkt in, out, want;
	struct pkt_spec s = cases[i].spec;
	struct pkt_wrap_spec w;
	struct lb_counter before = fixture_counter(&fix, BACKEND), after;
	unsigned int l2;
	char what[120];

	snprintf(what, sizeof(what), "%s, %s, %s%s", cases[i].name, v6 ? "v6" : "v4", names[tunnel], vlan ? ", vlan out" : "");
	s.v6 = v6;
	if (v6)
		s.opts = 0;
	else
		memset(s.ext, 0, sizeof(s.ext));
	pkt_build(&in, &s);
	l2 = 14 + (s.vlan[0] ? 4 : 0) + (s.vlan[1] ? 4 : 0);
	wrap_for(&w, tunnel, vlan);
	put_backend(&w);
	if (fixture_run(&fix, &in, &out) != XDP_TX)
		fail_msg("%s: not sent", what);
	take_entropy(&w, &out);
	pkt_wrap(&want, &in, l2, &w);
	assert_frame(what, &out, &want);
	after = fixture_counter(&fix, BACKEND);
	assert_int_equal(after.packets - before.packets, 1);
	assert_int_equal(after.bytes - before.bytes, in.len - l2);
}

static void test_every_mode(void **state)
{
	enum pkt_tunnel tunnel;
	size_t i;
	int v6, vlan;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (tunnel = PKT_IP4; tunnel <= PKT_L2; tunnel++)
			for (v6 = 0; v6 < 2; v6++)
				for (vlan = 0; vlan < 2; vlan++)
					check_row(i, v6, tunnel, vlan ? 0x6123 : 0);
}

static int setup(void **state)
{
	fixture_up(&fix, NULL);
	fixture_service(&fix, WEB, 80, 6, 0, M, LINE);
	fixture_service(&fix, WEB, 80, 17, 0, M, LINE);
	fixture_slots(&fix, LINE, M, BACKEND);
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
		cmocka_unit_test(test_every_mode),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
