// SPDX-License-Identifier: Apache-2.0
/* test_config.c - right configurations: every key arrives, defaults are filled in. Wrong ones are in
 * tests/golden. */
#include "config_util.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

static const char reference[] = "dataplane:\n"
				"  interfaces: [eth0]\n"
				"  xdp-mode: auto              # native, generic, auto\n"
				"  seed-file: /etc/lbd/seed    # the same on the whole fleet\n"
				"control:\n"
				"  socket: /run/lbd/lbd.sock\n"
				"metrics:\n"
				"  listen: 127.0.0.1:9917\n"
				"defaults:\n"
				"  forward: ipip\n"
				"  probe: {type: tcp, interval: 2s, timeout: 1s, rise: 3, fall: 3}\n"
				"services:\n"
				"  - name: web\n"
				"    vip: 203.0.113.10         # or a list: IPv4 and IPv6\n"
				"    port: 443\n"
				"    protocol: tcp\n"
				"    probe: {type: https, path: /healthz, expect: 200-299}\n"
				"    slow-start: 30s\n"
				"    backends:\n"
				"      - {address: 10.0.1.12, weight: 50}\n"
				"      - {address: 10.0.1.11, weight: 100}\n";

static void assert_addr(const struct lb_addr *a, const char *text)
{
	char buf[ADDR_STRLEN];

	assert_string_equal(addr_format(a, buf), text);
}

static void test_reference(void **state)
{
	struct config *c = parse_good(reference);
	const struct config_service *s = &c->services[0];

	assert_int_equal(c->dataplane.n_interfaces, 1);
	assert_string_equal(c->dataplane.interfaces[0], "eth0");
	assert_string_equal(c->dataplane.seed_file, "/etc/lbd/seed");
	assert_true(c->has_metrics);
	assert_addr(&c->metrics_addr, "127.0.0.1");
	assert_int_equal(c->metrics_port, 9917);
	assert_int_equal(c->n_services, 1);
	assert_string_equal(s->name, "web");
	assert_int_equal(s->n_vips, 1);
	assert_addr(&s->vips[0], "203.0.113.10");
	assert_int_equal(s->port, 443);
	assert_int_equal(s->protocol, IPPROTO_TCP);
	assert_int_equal(s->probe.type, PROBE_HTTPS);
	assert_int_equal(s->probe.interval_ms, 2000);
	assert_string_equal(s->probe.path, "/healthz");
	assert_int_equal(s->probe.n_expect, 1);
	assert_int_equal(s->probe.expect[0].from, 200);
	assert_int_equal(s->probe.expect[0].to, 299);
	assert_int_equal(s->slow_start_ms, 30000);
	assert_int_equal(s->n_backends, 2);
	assert_addr(&s->backends[0].addr, "10.0.1.11");
	assert_int_equal(s->backends[0].weight, 100);
	assert_string_equal(s->backends[1].name, "10.0.1.12");
	assert_int_equal(s->backends[1].weight, 50);
	assert_int_equal(s->mark.line, 13);
	config_free(c);
}

/* The least: what every other key is when it is not given. docs/configuration.md tells the same. */
static void test_defaults(void **state)
{
	struct config *c = parse_good(
		"dataplane: {interfaces: eth0}\n"
		"services: [{name: a, vip: 192.0.2.1, port: 80, backends: [{address: 10.0.0.1}]}]\n");
	const struct config_service *s = &c->services[0];

	assert_string_equal(c->dataplane.interfaces[0], "eth0");
	assert_int_equal(c->dataplane.xdp_mode, CONFIG_XDP_AUTO);
	assert_string_equal(c->dataplane.seed_file, "");
	assert_string_equal(c->dataplane.pin_dir, "/sys/fs/bpf/lbd");
	assert_int_equal(c->dataplane.max_slots, 0);
	assert_int_equal(c->dataplane.max_flows, 262144);
	assert_true(c->dataplane.vip_echo);
	assert_false(c->dataplane.has_source4 || c->dataplane.has_source6);
	assert_string_equal(c->control_socket, "/run/lbd/lbd.sock");
	assert_string_equal(c->control_group, "");
	assert_false(c->has_metrics);
	assert_int_equal(s->protocol, IPPROTO_TCP);
	assert_int_equal(s->forward, LB_FORWARD_IPIP);
	assert_int_equal(s->udp, CONFIG_UDP_NONE);
	assert_int_equal(s->hash, CONFIG_HASH_5TUPLE);
	assert_int_equal(s->table_size, 0);
	assert_int_equal(s->gue_port, 6080);
	assert_int_equal(s->slow_start_ms, 30000);
	assert_int_equal(s->drain_timeout_ms, 300000);
	assert_int_equal(s->drain_ramp_ms, 0);
	assert_int_equal(s->grace_s, 900);
	assert_int_equal(s->udp_idle_s, 60);
	assert_int_equal(s->panic_threshold_pct, 50);
	assert_int_equal(s->init, CONFIG_INIT_AUTO);
	assert_int_equal(s->hard_down_ms, 10000);
	assert_int_equal(s->mass_failure_pct, 30);
	assert_int_equal(s->mass_failure_ms, 10000);
	assert_int_equal(s->mass_failure_hold_ms, 30000);
	assert_int_equal(s->flap_half_life_ms, 120000);
	assert_int_equal(s->probe.type, PROBE_TCP);
	assert_int_equal(s->probe.interval_ms, 2000);
	assert_int_equal(s->probe.fast_interval_ms, 500);
	assert_int_equal(s->probe.down_interval_ms, 5000);
	assert_int_equal(s->probe.timeout_ms, 1000);
	assert_int_equal(s->probe.rise, 3);
	assert_int_equal(s->probe.fall, 3);
	assert_int_equal(s->probe.jitter_pct, 10);
	assert_int_equal(s->probe.port, 0);
	assert_int_equal(s->probe.via, PROBE_VIA_VIP);
	assert_string_equal(s->backends[0].name, "10.0.0.1");
	assert_int_equal(s->backends[0].weight, 100);
	assert_int_equal(s->backends[0].forward, LB_FORWARD_IPIP);
	config_free(c);
}

static const char everything[] =
	"dataplane: {interfaces: [eth1, eth0], xdp-mode: generic, seed-file: /s, pin-dir: /sys/fs/bpf/x,\n"
	"  max-slots: 5000000, max-flows: 4096, vip-echo: false, source: ['2001:db8::1', 10.0.0.9]}\n"
	"control: {socket: /run/x.sock, group: lb-ops}\n"
	"metrics: {listen: '[::1]:9917'}\n"
	"defaults: {forward: gue, hash: source, table-size: 4093, grace: 1h, slow-start: 500ms, "
	"drain-timeout: 0s, new-flow-limit: 900,\n"
	"  panic-threshold: 0, gue-port: 7000, udp: track, udp-idle: 5s, weight: 7,\n"
	"  probe: {type: http, path: /a, host: h, expect: [204, 200], body: x y, method: GET, jitter: 0, "
	"rise: 1}}\n"
	"services:\n"
	"- {name: d, vip: ['2001:db8::a', 192.0.2.1], port: 53, protocol: udp,\n"
	"   probe: {type: udp, send: 'hex:0a 0b', expect-data: ok, port: 54, fall: 5},\n"
	"   backends: [{address: 10.0.1.3, name: c, weight: 0, forward: ipip}, {address: 10.0.1.2}]}\n"
	"- {name: a, vip: 192.0.2.1, port: 53, forward: l2, hash: 5-tuple, table-size: auto, grace: 0s,\n"
	"   allow: [10.0.0.0/8, '2001:db8::/32'], deny: 10.1.0.0/16, source-flow-limit: 9,\n"
	"   backends: [{address: 10.0.1.3}]}\n";

static void test_everything(void **state)
{
	struct config *c = parse_good(everything);
	const struct config_service *a = &c->services[0], *d = &c->services[1];

	assert_int_equal(c->dataplane.n_interfaces, 2);
	assert_string_equal(c->dataplane.interfaces[0], "eth0");
	assert_string_equal(c->dataplane.interfaces[1], "eth1");
	assert_int_equal(c->dataplane.xdp_mode, CONFIG_XDP_GENERIC);
	assert_string_equal(c->dataplane.seed_file, "/s");
	assert_string_equal(c->dataplane.pin_dir, "/sys/fs/bpf/x");
	assert_int_equal(c->dataplane.max_slots, 5000000);
	assert_int_equal(c->dataplane.max_flows, 4096);
	assert_false(c->dataplane.vip_echo);
	assert_true(c->dataplane.has_source4 && c->dataplane.has_source6);
	assert_addr(&c->dataplane.source4, "10.0.0.9");
	assert_addr(&c->dataplane.source6, "2001:db8::1");
	assert_string_equal(c->control_socket, "/run/x.sock");
	assert_string_equal(c->control_group, "lb-ops");
	assert_addr(&c->metrics_addr, "::1");
	/* a: the service's own keys win over defaults; keys that concern UDP or GUE alone hold their
	 * defaults. */
	assert_string_equal(a->name, "a");
	assert_int_equal(a->forward, LB_FORWARD_L2);
	assert_int_equal(a->hash, CONFIG_HASH_5TUPLE);
	assert_int_equal(a->table_size, 0);
	assert_int_equal(a->grace_s, 0);
	assert_int_equal(a->slow_start_ms, 500);
	assert_int_equal(a->gue_port, 6080);
	assert_int_equal(a->udp, CONFIG_UDP_NONE);
	assert_int_equal(a->probe.type, PROBE_HTTP);
	assert_string_equal(a->probe.body, "x y");
	assert_int_equal(a->probe.rise, 1);
	assert_int_equal(a->probe.n_expect, 2);
	assert_int_equal(a->probe.expect[0].from, 200);
	assert_int_equal(a->probe.expect[1].to, 204);
	assert_int_equal(a->backends[0].weight, 7);
	assert_int_equal(a->backends[0].forward, LB_FORWARD_L2);
	/* d */
	assert_string_equal(d->name, "d");
	assert_addr(&d->vips[0], "192.0.2.1");
	assert_addr(&d->vips[1], "2001:db8::a");
	assert_int_equal(d->protocol, IPPROTO_UDP);
	assert_int_equal(d->forward, LB_FORWARD_GUE);
	assert_int_equal(d->hash, CONFIG_HASH_SOURCE);
	assert_int_equal(d->table_size, 4093);
	assert_int_equal(d->grace_s, 3600);
	assert_int_equal(d->drain_timeout_ms, 0);
	assert_int_equal(d->panic_threshold_pct, 0);
	assert_int_equal(d->gue_port, 7000);
	assert_int_equal(d->udp, CONFIG_UDP_TRACK);
	assert_int_equal(d->udp_idle_s, 5);
	assert_int_equal(d->probe.type, PROBE_UDP);
	assert_int_equal(d->probe.rise, 1);
	assert_int_equal(d->probe.fall, 5);
	assert_int_equal(d->probe.jitter_pct, 0);
	assert_int_equal(d->probe.port, 54);
	assert_int_equal(d->probe.send_len, 2);
	assert_memory_equal(d->probe.send, "\x0a\x0b", 2);
	assert_int_equal(d->probe.expect_len, 2);
	assert_string_equal(d->probe.path, ""); /* of the http probe in defaults nothing is left */
	assert_int_equal(d->probe.n_expect, 0);
	assert_string_equal(d->backends[0].name, "10.0.1.2");
	assert_string_equal(d->backends[1].name, "c");
	assert_int_equal(d->backends[1].weight, 0);
	assert_int_equal(d->backends[1].forward, LB_FORWARD_IPIP);
	config_free(c);
}

/* Whatever is changed in a configuration, config_equal() sees it; printed and parsed again, it does not. */
static const struct {
	const char *from, *to;
} changes[] = {
	{"eth1, eth0", "eth2, eth0"},
	{"new-flow-limit: 900", "new-flow-limit: 901"},
	{"source-flow-limit: 9", "source-flow-limit: 0"},
	{"10.0.0.0/8", "11.0.0.0/8"},
	{"10.0.0.0/8, ", ""},
	{"10.1.0.0/16", "10.1.0.0/17"},
	{"'2001:db8::/32'", "'2001:db8::/33'"},
	{"allow: [10.0.0.0/8, '2001:db8::/32'], deny: 10.1.0.0/16", "deny: [10.0.0.0/8, '2001:db8::/32', 10.1.0.0/16]"},
	{"generic", "native"},
	{"seed-file: /s", "seed-file: /t"},
	{"bpf/x", "bpf/y"},
	{"max-slots: 5000000", "max-slots: auto"},
	{"max-flows: 4096", "max-flows: 8192"},
	{"vip-echo: false", "vip-echo: true"},
	{"'2001:db8::1', 10.0.0.9", "'2001:db8::1'"},
	{"'2001:db8::1', 10.0.0.9", "'2001:db8::2', 10.0.0.9"},
	{"x.sock", "y.sock"},
	{"lb-ops", "lb-dev"},
	{":9917", ":9918"},
	{"[::1]", "[::]"},
	{"metrics: {listen: '[::1]:9917'}\n", ""},
	{"name: d,", "name: e,"},
	{"vip: 192.0.2.1,", "vip: 192.0.2.2,"},
	{"port: 53, forward", "port: 54, forward"},
	{"forward: l2", "forward: ipip"},
	{"hash: 5-tuple", "hash: source"},
	{"table-size: auto", "table-size: 4093"},
	{"grace: 0s", "grace: 1s"},
	{"slow-start: 500ms", "slow-start: 501ms"},
	{"drain-timeout: 0s", "drain-timeout: 1s"},
	{"panic-threshold: 0", "panic-threshold: 1"},
	{"gue-port: 7000", "gue-port: 7000, init: down"},
	{"gue-port: 7000", "gue-port: 7000, drain-ramp: 1s"},
	{"gue-port: 7000", "gue-port: 7000, hard-down: 0s"},
	{"gue-port: 7000", "gue-port: 7000, mass-failure: 0%"},
	{"gue-port: 7000", "gue-port: 7000, mass-failure-window: 100ms"},
	{"gue-port: 7000", "gue-port: 7000, mass-failure-hold: 0s"},
	{"gue-port: 7000", "gue-port: 7000, flap-damping: 0s"},
	{"gue-port: 7000", "gue-port: 7001"},
	{"udp: track", "udp: none"},
	{"udp-idle: 5s", "udp-idle: 6s"},
	{"weight: 7", "weight: 8"},
	{"weight: 0", "weight: 1"},
	{"name: c", "name: cc"},
	{"forward: ipip", "forward: gue"},
	{"10.0.1.2", "10.0.1.4"},
	{"type: http", "type: https"},
	{"path: /a", "path: /b"},
	{"host: h", "host: i"},
	{"204, 200", "204, 201"},
	{"204, 200", "204"},
	{"body: x y", "body: x z"},
	{"method: GET, jitter", "jitter"}, /* the one change that is none: GET is the default */
	{"jitter: 0", "jitter: 1"},
	{"rise: 1", "rise: 2"},
	{"fall: 5", "fall: 6"},
	{"0a 0b", "0a 0c"},
	{"expect-data: ok", "expect-data: oo"},
	{"port: 54", "port: 55"},
	{"port: 54", "via: backend, port: 54"},
	{"port: 54", "interval: 3s, port: 54"},
	{"port: 54", "fast-interval: 400ms, port: 54"},
	{"port: 54", "down-interval: 4s, port: 54"},
	{"port: 54", "timeout: 900ms, port: 54"},
};

/* @text with the first @from replaced by @to; the caller frees it. */
static char *replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *out = malloc(strlen(text) + strlen(to) + 1);

	assert_non_null(at);
	sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return out;
}

static void check_round_trip(const struct config *c)
{
	char *text = config_describe(c), *again_text;
	struct config *again;

	assert_non_null(text);
	again = parse_good(text);
	if (!config_equal(c, again))
		fail_msg("printed and parsed again it is another:\n%s", text);
	again_text = config_describe(again);
	assert_string_equal(text, again_text);
	config_free(again);
	free(text);
	free(again_text);
}

static void test_equal_and_describe(void **state)
{
	struct config *c = parse_good(everything);

	check_round_trip(c);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char *text = replace(everything, changes[i].from, changes[i].to);
		struct config *other = parse_good(text);
		bool none = strncmp(changes[i].from, "method", 6) == 0;

		if (config_equal(c, other) != none)
			fail_msg("'%s' -> '%s' is %s", changes[i].from, changes[i].to,
				 none ? "seen" : "not seen");
		check_round_trip(other);
		config_free(other);
		free(text);
	}
	config_free(c);
}

/* What is awkward to write must be written right. */
static void test_describe_texts(void **state)
{
	struct config *c =
		parse_good("dataplane: {interfaces: ['null', \"a#b\", 'x,y', '-', '[', '~'], seed-file: "
			   "'/with space: #\"q\\',\n"
			   "  pin-dir: '/ends/with:'}\n"
			   "services:\n"
			   "- {name: 'null', vip: ['::2', '2001:db8::'], port: 1, probe: {type: http, body: "
			   "\" 'a' \\\"b\\\" \\\\ \\t\\n\\xe4 \"},\n"
			   "   backends: [{address: '2001:db8:1::', name: 'true'}, {address: '::5'}]}\n"
			   "- {name: '0x1:', vip: 192.0.2.1, port: 1, protocol: udp, probe: {type: udp, "
			   "send: \"a b\\n\", expect-data: 'x: #y'},\n"
			   "   backends: [{address: 10.0.0.1, name: '10.0.0.1'}]}\n");

	assert_string_equal(c->services[1].probe.body, " 'a' \"b\" \\ \t\n\xc3\xa4 ");
	assert_string_equal(c->services[1].name, "null");
	check_round_trip(c);
	config_free(c);
	c = parse_good(HEAD);
	check_round_trip(c);
	config_free(c);
}

/* ---- probes: what a service makes of defaults -------------------------------------------------- */
static const struct {
	const char *name, *defaults, *service; /* "" = not given */
	const char *protocol;
	enum probe_type type;
	__u32 interval_ms, fast_ms, down_ms, timeout_ms;
	const char *path;
	__u32 send_len;
} merges[] = {
	{"nothing given", "", "", "tcp", PROBE_TCP, 2000, 500, 5000, 1000, "", 0},
	{"interval derives the rest", "", "interval: 400ms", "tcp", PROBE_TCP, 400, 100, 5000, 200, "", 0},
	{"fast-interval has a floor", "", "interval: 100ms", "tcp", PROBE_TCP, 100, 50, 5000, 50, "", 0},
	{"a long interval", "", "interval: 1m", "tcp", PROBE_TCP, 60000, 15000, 60000, 1000, "", 0},
	{"derived from the service's interval", "interval: 8s", "interval: 4s", "tcp", PROBE_TCP, 4000, 1000,
	 5000, 1000, "", 0},
	{"given in defaults, not derived", "fast-interval: 300ms", "interval: 4s", "tcp", PROBE_TCP, 4000,
	 300, 5000, 1000, "", 0},
	{"key by key", "type: http, path: /a, interval: 3s", "interval: 4s", "tcp", PROBE_HTTP, 4000, 1000,
	 5000, 1000, "/a", 0},
	{"one http key over another", "type: http, path: /a", "path: /b", "tcp", PROBE_HTTP, 2000, 500, 5000,
	 1000, "/b", 0},
	{"http keys live on in https", "type: http, path: /a", "type: https", "tcp", PROBE_HTTPS, 2000, 500,
	 5000, 1000, "/a", 0},
	{"http keys go with the type", "type: http, path: /a, interval: 3s", "type: tcp", "tcp", PROBE_TCP,
	 3000, 750, 5000, 1000, "", 0},
	{"none forgets times", "interval: 3s", "type: none", "tcp", PROBE_NONE, 2000, 500, 5000, 1000, "", 0},
	{"back from none", "type: none", "type: http", "tcp", PROBE_HTTP, 2000, 500, 5000, 1000, "/", 0},
	{"udp is not probed by the tcp default", "", "", "udp", PROBE_NONE, 2000, 500, 5000, 1000, "", 0},
	{"nor by http from defaults", "type: http, path: /a", "", "udp", PROBE_NONE, 2000, 500, 5000, 1000,
	 "", 0},
	{"but by udp from defaults", "type: udp, send: ping", "", "udp", PROBE_UDP, 2000, 500, 5000, 1000, "",
	 4},
	{"which needs its own times", "interval: 4s", "type: udp, send: ab", "udp", PROBE_UDP, 4000, 1000,
	 5000, 1000, "", 2},
	{"tcp on udp when asked for", "", "type: tcp", "udp", PROBE_TCP, 2000, 500, 5000, 1000, "", 0},
	{"udp from defaults is not for tcp", "type: udp, send: ping, interval: 3s", "", "tcp", PROBE_TCP,
	 3000, 750, 5000, 1000, "", 0},
	{"udp on another port of a tcp service", "", "type: udp, send: x, port: 9", "tcp", PROBE_UDP, 2000,
	 500, 5000, 1000, "", 1},
};

static void test_probe_merge(void **state)
{
	for (size_t i = 0; i < sizeof(merges) / sizeof(merges[0]); i++) {
		const struct probe_spec *p;
		struct config *c;
		char text[600];

		print_message("%s\n", merges[i].name);
		snprintf(text, sizeof(text),
			 HEAD "defaults: {%s%s%s}\n"
			      "services: [{name: a, vip: 192.0.2.1, port: 80, protocol: %s, %s%s%s\n"
			      " backends: [{address: 10.0.0.1}]}]\n",
			 *merges[i].defaults ? "probe: {" : "", merges[i].defaults,
			 *merges[i].defaults ? "}" : "", merges[i].protocol,
			 *merges[i].service ? "probe: {" : "", merges[i].service,
			 *merges[i].service ? "}," : "");
		c = parse_good(text);
		p = &c->services[0].probe;
		assert_int_equal(p->type, merges[i].type);
		assert_int_equal(p->interval_ms, merges[i].interval_ms);
		assert_int_equal(p->fast_interval_ms, merges[i].fast_ms);
		assert_int_equal(p->down_interval_ms, merges[i].down_ms);
		assert_int_equal(p->timeout_ms, merges[i].timeout_ms);
		assert_string_equal(p->path, merges[i].path);
		assert_int_equal(p->send_len, merges[i].send_len);
		check_round_trip(c);
		config_free(c);
	}
}

static const struct {
	const char *given;
	unsigned int n;
	__u16 ranges[4];
} expects[] = {
	{"200", 1, {200, 200}},
	{"[200, 200]", 1, {200, 200}},
	{"[300-310, 200-204]", 2, {200, 204, 300, 310}},
	{"[200-204, 203-210]", 1, {200, 210}},
	{"[205, 200-204]", 1, {200, 205}},
	{"[206, 200-204]", 2, {200, 204, 206, 206}},
	{"[200-299, 204]", 1, {200, 299}},
};

static void test_expect_is_normalised(void **state)
{
	for (size_t i = 0; i < sizeof(expects) / sizeof(expects[0]); i++) {
		const struct probe_spec *p;
		struct config *c;
		char text[300];

		snprintf(text, sizeof(text),
			 HEAD
			 "services: [{name: a, vip: 192.0.2.1, port: 80, backends: [{address: 10.0.0.1}],\n"
			 " probe: {type: http, expect: %s}}]\n",
			 expects[i].given);
		c = parse_good(text);
		p = &c->services[0].probe;
		assert_int_equal(p->n_expect, expects[i].n);
		for (unsigned int j = 0; j < p->n_expect; j++) {
			assert_int_equal(p->expect[j].from, expects[i].ranges[2 * j]);
			assert_int_equal(p->expect[j].to, expects[i].ranges[2 * j + 1]);
		}
		config_free(c);
	}
}

static void test_probe_spec(void **state)
{
	struct probe_spec a, b;

	for (int i = 0; i < PROBE_TYPE_MAX; i++) {
		probe_spec_init(&a, i);
		probe_spec_init(&b, i);
		assert_true(probe_spec_equal(&a, &b));
		b.fall++;
		assert_int_equal(probe_spec_equal(&a, &b), i == PROBE_NONE);
		probe_spec_init(&b, (i + 1) % PROBE_TYPE_MAX);
		assert_false(probe_spec_equal(&a, &b));
	}
	assert_string_equal(probe_type_name(PROBE_HTTPS), "https");
	assert_string_equal(probe_type_name(PROBE_TYPE_MAX), "?");
}

/* ---- files -------------------------------------------------------------------------------------- */
static void check_file_refused(const char *path, const char *part)
{
	struct config *c = NULL;
	struct diags d;

	diags_init(&d);
	assert_int_equal(config_load_file(path, &c, &d), -EINVAL);
	assert_null(c);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.items[0].mark.line, 0);
	if (!strstr(d.items[0].message, part))
		fail_msg("%s: '%s' does not hold '%s'", path, d.items[0].message, part);
	assert_string_equal(d.file, path);
	diags_done(&d);
}

static void test_files(void **state)
{
	char path[] = "/tmp/test_config.XXXXXX", fifo[80];
	struct config *c = NULL;
	struct diags d;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, reference, strlen(reference)), (ssize_t)strlen(reference));
	diags_init(&d);
	assert_int_equal(config_load_file(path, &c, &d), 0);
	assert_int_equal(c->n_services, 1);
	config_free(c);
	diags_done(&d);
	assert_int_equal(ftruncate(fd, (16 << 20) + 1), 0);
	check_file_refused(path, "too large");
	close(fd);
	unlink(path);
	check_file_refused(path, "No such file");
	check_file_refused("/tmp", "not a file");
	check_file_refused("/dev/null", "not a file");
	snprintf(fifo, sizeof(fifo), "%s.fifo", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	check_file_refused(fifo, "not a file"); /* and does not wait for a writer */
	unlink(fifo);
}

/* On errors the caller's pointer stays, and what was in @diags before does not count. */
static void test_outputs(void **state)
{
	struct config *c = (struct config *)&c;
	struct diags d;

	diags_init(&d);
	assert_int_equal(config_parse("f", "x: 1\n", 5, &c, &d), -EINVAL);
	assert_ptr_equal(c, &c);
	assert_true(diags_errors(&d) > 0);
	assert_int_equal(config_parse("f", HEAD, strlen(HEAD), &c, &d), 0);
	config_free(c);
	diags_done(&d);
	config_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_equal_and_describe),
		cmocka_unit_test(test_describe_texts),
		cmocka_unit_test(test_probe_merge),
		cmocka_unit_test(test_expect_is_normalised),
		cmocka_unit_test(test_probe_spec),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_outputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
