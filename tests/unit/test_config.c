// SPDX-License-Identifier: Apache-2.0
/* test_config.c - right configurations: every key arrives, defaults are filled in. Wrong ones are in
 * tests/golden. */
#include "config_util.h"

#include <netinet/in.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
