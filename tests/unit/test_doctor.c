// SPDX-License-Identifier: Apache-2.0
/*
 * The checks of `lbctl doctor`: a sound host has nothing to complain of, and each fact that is wrong gives one check of
 * the right severity, with advice.
 */
#include "core/doctor.h"
#include "../sample_snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct snapshot snap;

/* The sample, but with every backend well; and a host to match. */
static struct doctor_facts sound(void)
{
	struct doctor_facts f = {
		.s = &snap,
		.btf = true,
		.jit = 1,
		.bpffs = true,
		.seed_from_file = true,
		.heartbeat_age_ms = 700,
		.interfaces = {{.name = "eth0", .exists = true, .up = true, .running = true, .mode = "native"}},
		.n_interfaces = 1,
		.fills = {{"slots", "lines", 100, 100, true}, {"flows", "entries", 25, 100, false}},
		.n_fills = 2,
	};

	snapshot_done(&snap);
	sample_snapshot(&snap);
	snprintf(snap.kernel, sizeof(snap.kernel), "6.1.0-18-amd64");
	memset(snap.outcomes, 0, sizeof(snap.outcomes));
	snap.reload_error[0] = '\0';
	for (unsigned int i = 0; i < snap.n_services; i++) {
		struct snapshot_service *svc = &snap.services[i];

		memset(svc->steer, 0, sizeof(svc->steer));
		for (unsigned int k = 0; k < svc->n_backends; k++) {
			svc->backends[k].nexthop_ok = true;
			svc->backends[k].mtu = 1500;
			svc->backends[k].encap = LB_ENCAP_IP4;
			svc->backends[k].failures = svc->backends[k].checks / 2;
			svc->backends[k].slots = 10;
		}
	}
	return f;
}

/* The checks that are not ok, as "status name object: message" lines; *@errors and *@warnings as counted. */
static char *complaints(const struct doctor_facts *f, int *errors, int *warnings)
{
	static char text[16384];
	struct err err = {0};
	size_t i, used = 0;
	json_t *doc, *c;

	text[0] = '\0';
	assert_int_equal(doctor_report(f, &doc, &err), 0);
	json_array_foreach (json_object_get(doc, "checks"), i, c) {
		const char *status = json_string_value(json_object_get(c, "status"));

		if (!strcmp(status, "ok"))
			continue;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s %s %s: %s\n", status,
					 json_string_value(json_object_get(c, "name")),
					 json_string_value(json_object_get(c, "object")),
					 json_string_value(json_object_get(c, "message")));
		/* What is wrong comes with what to do; only "and N more" stands alone. */
		if (strcmp(status, "skipped") && !strstr(text, "more"))
			assert_true(json_is_string(json_object_get(c, "hint")));
	}
	*errors = (int)json_integer_value(json_object_get(doc, "errors"));
	*warnings = (int)json_integer_value(json_object_get(doc, "warnings"));
	json_decref(doc);
	return text;
}

static void test_sound(void **state)
{
	struct doctor_facts f = sound();
	int errors, warnings;
	char *text = complaints(&f, &errors, &warnings);

	if (*text || errors || warnings)
		fail_msg("%d errors, %d warnings: %s", errors, warnings, text);
}

/* ---- one wrong thing each ---- */
static struct snapshot_backend *web1(void)
{
	return &snap.services[1].backends[0];
}
static void old_kernel(struct doctor_facts *f)
{
	snprintf(snap.kernel, sizeof(snap.kernel), "5.15.0");
}
static void odd_kernel(struct doctor_facts *f)
{
	snprintf(snap.kernel, sizeof(snap.kernel), "next");
}
static void new_kernel(struct doctor_facts *f)
{
	snprintf(snap.kernel, sizeof(snap.kernel), "7.0.1");
}
static void no_btf(struct doctor_facts *f)
{
	f->btf = false;
}
static void no_jit(struct doctor_facts *f)
{
	f->jit = 0;
}
static void jit_unknown(struct doctor_facts *f)
{
	f->jit = -1;
}
static void no_bpffs(struct doctor_facts *f)
{
	f->bpffs = false;
}
static void pin_gone(struct doctor_facts *f)
{
	f->pins_bad = 2;
	snprintf(f->pin_bad, sizeof(f->pin_bad), "slots");
}
static void held_up(struct doctor_facts *f)
{
	f->heartbeat_age_ms = 5001;
}
static void refused(struct doctor_facts *f)
{
	snprintf(snap.reload_error, sizeof(snap.reload_error), "bad");
}
static void random_seed(struct doctor_facts *f)
{
	f->seed_from_file = false;
}
static void gone(struct doctor_facts *f)
{
	f->interfaces[0].exists = false;
}
static void detached(struct doctor_facts *f)
{
	snprintf(f->interfaces[0].mode, sizeof(f->interfaces[0].mode), "none");
}
static void down(struct doctor_facts *f)
{
	f->interfaces[0].up = f->interfaces[0].running = false;
}
static void no_carrier(struct doctor_facts *f)
{
	f->interfaces[0].running = false;
}
static void generic(struct doctor_facts *f)
{
	snprintf(f->interfaces[0].mode, sizeof(f->interfaces[0].mode), "generic");
}
static void generic_as_wanted(struct doctor_facts *f)
{
	generic(f);
	f->generic_wanted = true;
}
static void strict(struct doctor_facts *f)
{
	f->interfaces[0].rp_filter = 1;
}
static void loose(struct doctor_facts *f)
{
	f->interfaces[0].rp_filter = 2;
}
static void flows_26(struct doctor_facts *f)
{
	f->fills[1].used = 26;
}
static void flows_51(struct doctor_facts *f)
{
	f->fills[1].used = 51;
}
static void internal(struct doctor_facts *f)
{
	snap.outcomes[LB_OUTCOME_DROP_INTERNAL] = 1;
}
static void headroom(struct doctor_facts *f)
{
	snap.outcomes[LB_OUTCOME_DROP_HEADROOM] = 1;
}
static void nobody(struct doctor_facts *f)
{
	for (unsigned int k = 0; k < snap.services[1].n_backends; k++)
		snap.services[1].backends[k].slots = 0;
}
static void panic(struct doctor_facts *f)
{
	snap.services[1].panic = true;
}
static void no_nexthop(struct doctor_facts *f)
{
	web1()->nexthop_ok = false;
}
static void no_nexthop_but_retired(struct doctor_facts *f)
{
	web1()->nexthop_ok = false;
	web1()->retired = true;
}
static void small_mtu(struct doctor_facts *f)
{
	web1()->mtu = 1480;
}
static void never_healthy(struct doctor_facts *f)
{
	web1()->failures = web1()->checks = 3;
}
static void too_few_probes_to_say(struct doctor_facts *f)
{
	web1()->failures = web1()->checks = 2;
}
static void vip_here(struct doctor_facts *f)
{
	f->local[f->n_local++] = (struct doctor_local_vip){.vip = snap.services[1].vips[0], .ifname = "lo"};
}
static void backend_here(struct doctor_facts *f)
{
	web1()->encap = LB_ENCAP_LOCAL;
	web1()->mtu = 0;
	f->local[f->n_local++] = (struct doctor_local_vip){.vip = snap.services[1].vips[0], .ifname = "lo"};
	f->local[f->n_local++] = (struct doctor_local_vip){.vip = snap.services[1].vips[1], .ifname = "lo"};
}
static void backend_here_without_vip(struct doctor_facts *f)
{
	backend_here(f);
	f->n_local = 1;
}
static void budget(struct doctor_facts *f)
{
	snap.services[1].steer[LB_STEER_BUDGET] = 3;
}
static void full(struct doctor_facts *f)
{
	snap.services[1].steer[LB_STEER_FULL] = 3;
}

static void test_wrong(void **state)
{
	static const struct {
		void (*make)(struct doctor_facts *f);
		int errors, warnings;
		const char *says; /* beginning of the only complaint; NULL: none */
	} cases[] = {
		{old_kernel, 0, 1, "warning kernel 5.15.0: older"},
		{odd_kernel, 0, 0, "skipped kernel next"},
		{new_kernel, 0, 0, NULL},
		{no_btf, 0, 1, "warning btf"},
		{no_jit, 0, 1, "warning jit"},
		{jit_unknown, 0, 0, "skipped jit"},
		{no_bpffs, 1, 0, "error pins"},
		{pin_gone, 1, 0, "error pins "},
		{held_up, 0, 1, "warning heartbeat : 5001 ms"},
		{refused, 1, 0, "error configuration"},
		{random_seed, 0, 1, "warning seed"},
		{gone, 1, 0, "error interface eth0: there is no such"},
		{detached, 1, 0, "error interface eth0: the program is not attached"},
		{down, 1, 0, "error interface eth0: down"},
		{no_carrier, 1, 0, "error interface eth0: no carrier"},
		{generic, 0, 1, "warning interface eth0: attached in generic"},
		{generic_as_wanted, 0, 0, NULL},
		{strict, 0, 1, "warning rp_filter eth0: strict"},
		{loose, 0, 0, NULL},
		{flows_26, 0, 1, "warning map flows: 26 of 100"},
		{flows_51, 1, 0, "error map flows: 51 of 100"},
		{internal, 1, 0, "error counter drop_internal: 1 packets"},
		{headroom, 1, 0, "error counter drop_headroom"},
		{nobody, 1, 0, "error service web: no backend serves"},
		{panic, 1, 0, "error service web: panic"},
		{no_nexthop, 1, 0, "error nexthop web/web1: "},
		{no_nexthop_but_retired, 0, 0, NULL},
		{small_mtu, 0, 1, "warning mtu web/web1: 1480 bytes fit (1500 on the path less 20 for ip4)"},
		{never_healthy, 0, 1, "warning health web/web1: never healthy since lbd started: 3 probes"},
		{too_few_probes_to_say, 0, 0, NULL},
		{vip_here, 0, 1, "warning vip web/203.0.113.10: an address of this host (lo)"},
		{backend_here, 0, 0, NULL},
		{backend_here_without_vip, 1, 0, "error vip web/2001:db8::10: this host is a backend"},
		{budget, 0, 1, "warning flow-memory web: packets of flows that could not be remembered at once: 3 "},
		{full, 0, 1, "warning flow-memory web"},
	};

	for (size_t i = 0; i < N(cases); i++) {
		struct doctor_facts f = sound();
		int errors, warnings;
		char *text;

		cases[i].make(&f);
		text = complaints(&f, &errors, &warnings);
		if (errors != cases[i].errors || warnings != cases[i].warnings ||
		    (cases[i].says ? strncmp(text, cases[i].says, strlen(cases[i].says)) != 0 : *text != '\0'))
			fail_msg("row %zu (%s): %d errors, %d warnings: %s", i,
				 cases[i].says ? cases[i].says : "nothing", errors, warnings, text);
	}
}

/* A thousand backends behind one broken route: some are listed, the rest is counted. */
static void test_many(void **state)
{
	struct doctor_facts f = sound();
	struct snapshot_service *svc = &snap.services[1];
	int errors, warnings;
	char *text;

	svc->backends = realloc(svc->backends, 1000 * sizeof(*svc->backends));
	for (unsigned int k = 1; k < 1000; k++)
		svc->backends[k] = svc->backends[0];
	svc->n_backends = 1000;
	for (unsigned int k = 0; k < 1000; k++)
		svc->backends[k].nexthop_ok = false;
	text = complaints(&f, &errors, &warnings);
	assert_int_equal(errors, DOCTOR_LISTED_MAX);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(text, "and 980 more"));
}

static int drop_sample(void **state)
{
	snapshot_done(&snap);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, drop_sample);
}
