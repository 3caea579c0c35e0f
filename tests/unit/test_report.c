// SPDX-License-Identifier: Apache-2.0
/* The JSON documents made from a snapshot, and the pieces they are made of. */
#include "core/cleanup.h"
#include "core/document.h"
#include "core/report.h"
#include "../sample_snapshot.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct snapshot snap;

static int setup(void **state)
{
	sample_snapshot(&snap);
	return 0;
}

static int teardown(void **state)
{
	snapshot_done(&snap);
	return 0;
}

/* "backends.1.probe.state": members and array indices. Borrowed. */
static const json_t *at(const json_t *j, const char *path)
{
	char buf[200], *save = NULL;

	snprintf(buf, sizeof(buf), "%s", path);
	for (char *p = strtok_r(buf, ".", &save); p && j; p = strtok_r(NULL, ".", &save))
		j = json_is_array(j) ? json_array_get(j, (size_t)atoi(p)) : json_object_get(j, p);
	return j;
}

struct expectation {
	const char *path, *value; /* value as compact JSON */
};

static void expect(const json_t *doc, const struct expectation *e, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *j = at(doc, e[i].path);
		_cleanup_free_ char *got =
			j ? json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6)) : NULL;

		if (!got || strcmp(got, e[i].value))
			fail_msg("%s: %s, not %s", e[i].path, got ? got : "missing", e[i].value);
	}
}

static void test_version(void **state)
{
	static const struct expectation want[] = {
		{"document", "\"version\""},      {"version", "1"}, {"lbd", "\"0.1.0\""}, {"protocol", "1"},
		{"kernel", "\"6.1.0-18-amd64\""},
	};
	struct err err = {0};
	json_t *doc = NULL;

	assert_int_equal(report_version(&snap, &doc, &err), 0);
	expect(doc, want, ARRAY_SIZE(want));
	json_decref(doc);
}

static void test_status(void **state)
{
	static const struct expectation want[] = {
		{"document", "\"status\""},
		{"version", "1"},
		{"time", "\"2026-03-01T09:30:00.123Z\""},
		{"time_ns", "1772357400123456789"},
		{"daemon.version", "\"0.1.0\""},
		{"daemon.uptime_s", "90061"},
		{"daemon.loaded", "\"2026-03-01T07:30:00.123Z\""},
		{"daemon.reload_error", "null"},
		{"interfaces.1", "{\"name\":\"eth1\",\"mode\":\"none\",\"attached\":false}"},
		{"services", "{\"total\":2,\"ok\":1,\"degraded\":1,\"panic\":0,\"down\":0}"},
		{"backends.total", "6"},
		{"backends.serving", "4"},
		{"backends.overridden", "2"},
		{"backends.states.healthy", "3"},
		{"backends.states.down", "1"},
		{"backends.states.ejected", "0"},
		{"slots", "{\"settled\":8093,\"p1\":90,\"p2\":3}"},
		{"traffic", "{\"packets\":21000000,\"bytes\":1344000000,\"dropped\":7}"},
		{"problems_total", "2"},
		{"problems.0.where", "\"eth1\""},
		{"problems.0.severity", "\"error\""},
		{"problems.1.where", "\"web/web2\""},
		{"problems.1.message", "\"down: probe: 3 of 3 failed: connect: no answer in 1000 ms\""},
	};
	struct err err = {0};
	json_t *doc = NULL;

	assert_int_equal(report_status(&snap, &doc, &err), 0);
	expect(doc, want, ARRAY_SIZE(want));
	json_decref(doc);
}

/* A service that nobody serves, a panic, a missing next hop, a refused reload: each is told. */
static void test_status_problems(void **state)
{
	struct snapshot_service *dns = &snap.services[0];
	struct err err = {0};
	json_t *doc = NULL;

	dns->backends[0].slots = dns->backends[1].slots = 0;
	dns->mass_failure = dns->panic = true;
	dns->backends[1].nexthop_ok = false;
	snprintf(dns->backends[1].nexthop, sizeof(dns->backends[1].nexthop), "no route");
	snprintf(snap.reload_error, sizeof(snap.reload_error), "lbd.yaml:3:1: error: x");
	snap.outcomes[LB_OUTCOME_DROP_INTERNAL] = 1;
	assert_int_equal(report_status(&snap, &doc, &err), 0);
	assert_int_equal(json_integer_value(at(doc, "problems_total")), 8);
	assert_int_equal(json_integer_value(at(doc, "services.down")), 1);
	assert_string_equal(json_string_value(at(doc, "problems.6.message")), "no next hop: no route");
	json_decref(doc);
}

static void test_problems_are_bounded(void **state)
{
	struct snapshot_service *svc = &snap.services[1];
	struct err err = {0};
	json_t *doc = NULL;

	svc->backends = realloc(svc->backends, 300 * sizeof(*svc->backends));
	for (unsigned int i = 4; i < 300; i++)
		svc->backends[i] = svc->backends[1];
	svc->n_backends = 300;
	assert_int_equal(report_status(&snap, &doc, &err), 0);
	assert_int_equal(json_integer_value(at(doc, "problems_total")), 298);
	assert_int_equal(json_array_size(at(doc, "problems")), REPORT_PROBLEMS_MAX);
	json_decref(doc);
}

static void test_services(void **state)
{
	static const struct expectation want[] = {
		{"services.0.name", "\"dns\""},
		{"services.0.state", "\"ok\""},
		{"services.0.protocol", "\"udp\""},
		{"services.1.vips", "[\"203.0.113.10\",\"2001:db8::10\"]"},
		{"services.1.port", "443"},
		{"services.1.state", "\"degraded\""},
		{"services.1.table_size", "4093"},
		{"services.1.digest", "\"0xfedcba9876543210\""},
		{"services.1.backends", "{\"total\":4,\"serving\":2,\"states\":{\"healthy\":1,\"slow-start\":"
					"1,\"down\":1,\"drained\":1}}"},
		{"services.1.slots", "{\"settled\":4000,\"p1\":90,\"p2\":3}"},
		{"services.1.flows", "42"},
		{"services.1.steering.hit", "420"},
		{"services.1.steering.budget_drop", "1"},
	};
	struct err err = {0};
	json_t *doc = NULL;

	assert_int_equal(report_services(&snap, NULL, &doc, &err), 0);
	expect(doc, want, ARRAY_SIZE(want));
	json_decref(doc);
	assert_int_equal(report_services(&snap, "web", &doc, &err), 0);
	assert_int_equal(json_array_size(at(doc, "services")), 1);
	json_decref(doc);
}

static void test_backends(void **state)
{
	static const struct expectation want[] = {
		{"backends.0.service", "\"web\""},
		{"backends.0.share", "0.749817"},
		{"backends.1.name", "\"web2\""},
		{"backends.1.address", "\"10.0.1.12\""},
		{"backends.1.state", "\"down\""},
		{"backends.1.since", "\"2026-03-01T08:30:00.123Z\""},
		{"backends.1.next", "null"},
		{"backends.1.next_ns", "null"},
		{"backends.1.admission", "0.0"},
		{"backends.1.probe.type", "\"http\""},
		{"backends.1.probe.state", "\"down\""},
		{"backends.1.probe.rise", "3"},
		{"backends.1.probe.last", "{\"outcome\":\"timeout\",\"latency_us\":1000000,\"detail\":"
					  "\"connect: no answer in 1000 ms\"}"},
		{"backends.2.admin", "\"drain\""},
		{"backends.3.address", "\"2001:db8::14\""},
		{"backends.3.admission", "0.25"},
		{"backends.3.weight", "50"},
		{"backends.3.weight_configured", "100"},
		{"backends.3.weight_override", "50"},
		{"backends.3.next", "\"2026-03-01T09:30:22.123Z\""},
		{"backends.3.encapsulation", "\"ip6\""},
		{"backends.3.nexthop",
		 "{\"ok\":true,\"text\":\"eth1 via 10.0.2.1 (02:00:00:00:02:01)\",\"mtu\":1480}"},
	};
	struct err err = {0};
	json_t *doc = NULL;

	assert_int_equal(report_backends(&snap, "web", &doc, &err), 0);
	assert_int_equal(json_array_size(at(doc, "backends")), 4);
	expect(doc, want, ARRAY_SIZE(want));
	json_decref(doc);
	assert_int_equal(report_backends(&snap, NULL, &doc, &err), 0);
	assert_int_equal(json_array_size(at(doc, "backends")), 6);
	assert_true(json_is_null(at(doc, "backends.0.probe"))); /* not probed */
	json_decref(doc);
}

static void test_table(void **state)
{
	static const struct expectation want[] = {
		{"flows", "42"},
		{"grace_s", "900"},
		{"steering.hit", "420"},
		{"steering.budget_drop", "1"},
		{"backends.0.generation", "1"},
		{"service", "\"web\""},
		{"unserved_slots", "0"},
		{"backends.0.weight_share", "0.285714"},
		{"backends.3.weight_share", "0.142857"},
		{"backends.3.own_slots", "1093"},
		{"backends.3.slots", "1024"},
		{"backends.3.share", "0.250183"},
	};
	struct err err = {0};
	json_t *doc = NULL;

	assert_int_equal(report_table(&snap, "web", &doc, &err), 0);
	expect(doc, want, ARRAY_SIZE(want));
	json_decref(doc);
}

static void test_stats(void **state)
{
	static const struct expectation want[] = {
		{"outcomes.pass_not_vip", "12345"},
		{"outcomes.drop_limit_source", "0"},
		{"services.1.packets", "18000000"},
		{"services.1.steering.lookup", "500"},
	};
	struct err err = {0};
	json_t *doc = NULL;

	assert_int_equal(report_stats(&snap, &doc, &err), 0);
	assert_int_equal(json_object_size(at(doc, "outcomes")), LB_OUTCOME_MAX);
	expect(doc, want, ARRAY_SIZE(want));
	json_decref(doc);
}

static void test_probe(void **state)
{
	static const struct {
		enum probe_type type;
		const char *addr, *says;
	} cases[] = {
		{PROBE_TCP, "10.0.1.11", "TCP connection to 10.0.1.11:8080"},
		{PROBE_TCP, "2001:db8::14", "TCP connection to [2001:db8::14]:8080"},
		{PROBE_HTTP, "10.0.1.11", "GET http://10.0.1.11:8080/, expecting 200-399"},
		{PROBE_HTTPS, "2001:db8::14", "GET https://[2001:db8::14]:8080/, expecting 200-399"},
		{PROBE_UDP, "10.0.1.11", "0 bytes by UDP to 10.0.1.11:8080, expecting an answer"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct report_probe r = {.service = "web", .backend = "web1", .port = 8080, .now_ns = 1};
		struct probe_spec spec;
		struct err err = {0};
		json_t *doc = NULL;

		probe_spec_init(&spec, cases[i].type);
		r.spec = &spec;
		assert_int_equal(addr_parse(cases[i].addr, &r.addr), 0);
		assert_int_equal(report_probe(&r, &doc, &err), 0);
		assert_string_equal(json_string_value(at(doc, "asks")), cases[i].says);
		assert_string_equal(json_string_value(at(doc, "address")), cases[i].addr);
		assert_true(json_is_null(at(doc, "mark")));
		json_decref(doc);
	}
}

static void test_not_found(void **state)
{
	const struct snapshot_backend *b;
	struct err err = {0};
	json_t *details = NULL;

	assert_int_equal(report_backends(&snap, "wen", &details, &err), -ENOENT);
	assert_string_equal(err.msg, "no service \"wen\"");
	assert_string_equal(err.hint, "did you mean \"web\"?");
	assert_string_equal(json_string_value(at(details, "candidates.0")), "web");
	json_decref(details);

	details = NULL;
	err = (struct err){0};
	assert_int_equal(report_table(&snap, "something else", &details, &err), -ENOENT);
	assert_null(details);
	assert_string_equal(err.hint, "lbctl services lists them");

	err = (struct err){0};
	assert_int_equal(report_find_backend(&snap.services[1], "10.0.1.111", &b, &details, &err), -ENOENT);
	assert_string_equal(json_string_value(at(details, "candidates.0")), "10.0.1.11");
	json_decref(details);
}

static void test_find_backend(void **state)
{
	static const char *const spellings[] = {"web4", "2001:db8::14", "2001:0db8:0:0::0014"};
	const struct snapshot_backend *b;
	json_t *details = NULL;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		assert_int_equal(report_find_backend(&snap.services[1], spellings[i], &b, &details, &err), 0);
		assert_string_equal(b->name, "web4");
	}
}

static void test_verdicts(void **state)
{
	struct snapshot_service *dns = &snap.services[0];

	assert_int_equal(snapshot_verdict(dns), SNAPSHOT_OK);
	dns->backends[0].state = ADMISSION_DRAINING; /* the operator's will is no fault */
	assert_int_equal(snapshot_verdict(dns), SNAPSHOT_OK);
	dns->backends[0].state = ADMISSION_SUSPECT;
	assert_int_equal(snapshot_verdict(dns), SNAPSHOT_DEGRADED);
	dns->backends[0].weight_override = 0; /* nothing is expected of it */
	assert_int_equal(snapshot_verdict(dns), SNAPSHOT_OK);
	dns->panic = true;
	assert_int_equal(snapshot_verdict(dns), SNAPSHOT_PANIC);
	dns->backends[0].slots = dns->backends[1].slots = 0;
	assert_int_equal(snapshot_verdict(dns), SNAPSHOT_DOWN);
}

static void test_times(void **state)
{
	static const struct {
		__u64 ns;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{951782399999999999ull, "2000-02-28T23:59:59.999Z"},
		{951782400000000000ull, "2000-02-29T00:00:00.000Z"},
		{4107542400000000000ull, "2100-03-01T00:00:00.000Z"},
		{1798761599000000000ull, "2026-12-31T23:59:59.000Z"},
		{UINT64_MAX, "2554-07-21T23:34:33.709Z"},
	};
	char buf[DOCUMENT_TIME_LEN];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(document_time(cases[i].ns, buf), cases[i].text);
}

static void test_text_is_always_utf8(void **state)
{
	json_t *j = document_text("caf\xc3\xa9");

	assert_string_equal(json_string_value(j), "caf\xc3\xa9");
	json_decref(j);
	j = document_text("bad \xff\xfe end");
	assert_string_equal(json_string_value(j), "bad ?? end");
	json_decref(j);
	j = document_u64(UINT64_MAX);
	assert_true(json_integer_value(j) == INT64_MAX);
	json_decref(j);
}

static void test_change(void **state)
{
	json_t *services = json_pack("[s, s, s]", "web", "dns", "gone"), *doc = NULL;
	struct err err = {0};

	assert_int_equal(report_change(&snap, services, "10.0.1.13", &doc, &err), 0);
	assert_int_equal(json_array_size(at(doc, "backends")), 1);
	assert_string_equal(json_string_value(at(doc, "backends.0.name")), "web3");
	assert_string_equal(json_string_value(at(doc, "backends.0.admin")), "drain");
	json_decref(doc);
	json_decref(services);
}

/* Removed from the configuration: no fault of the service, and nothing is due to it. */
static void test_retired(void **state)
{
	struct err err = {0};
	json_t *doc = NULL;

	snap.services[1].backends[1].retired = true;
	assert_int_equal(snapshot_verdict(&snap.services[1]), SNAPSHOT_OK);
	assert_int_equal(report_table(&snap, "web", &doc, &err), 0);
	assert_true(json_real_value(at(doc, "backends.1.weight_share")) == 0);
	assert_true(json_real_value(at(doc, "backends.0.weight_share")) == 0.4);
	json_decref(doc);
	assert_int_equal(report_backends(&snap, "web", &doc, &err), 0);
	assert_true(json_is_true(at(doc, "backends.1.retired")));
	json_decref(doc);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_version),
		CASE(test_status),
		CASE(test_status_problems),
		CASE(test_problems_are_bounded),
		CASE(test_services),
		CASE(test_backends),
		CASE(test_table),
		CASE(test_stats),
		CASE(test_probe),
		CASE(test_not_found),
		CASE(test_find_backend),
		CASE(test_verdicts),
		CASE(test_times),
		CASE(test_text_is_always_utf8),
		CASE(test_change),
		CASE(test_retired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
