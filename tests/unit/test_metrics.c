// SPDX-License-Identifier: Apache-2.0
/* The exposition text: every line has the format's shape, families stand together, numbers are the
 * snapshot's. */
#include "core/metrics.h"
#include "../sample_snapshot.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static char *render(void)
{
	struct snapshot s;
	size_t len;
	char *text;

	sample_snapshot(&s);
	text = metrics_render(&s, &len);
	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	snapshot_done(&s);
	return text;
}

static void test_samples(void **state)
{
	static const char *const want[] = {
		"lbd_build_info{version=\"0.1.0\",kernel=\"6.1.0-18-amd64\"} 1",
		"lbd_start_time_seconds 1772267339.123",
		"lbd_config_reload_ok 1",
		"lbd_config_reloads_total 2",
		"lbd_map_bytes 33554432",
		"lbd_interface_attached{interface=\"eth0\",mode=\"native\"} 1",
		"lbd_interface_attached{interface=\"eth1\",mode=\"none\"} 0",
		"lbd_outcome_packets_total{outcome=\"pass_not_vip\",verdict=\"pass\"} 12345",
		"lbd_outcome_packets_total{outcome=\"drop_too_big\",verdict=\"drop\"} 7",
		"lbd_outcome_packets_total{outcome=\"tx_echo_reply\",verdict=\"tx\"} 3",
		"lbd_service_up{service=\"web\"} 1",
		"lbd_service_backends{service=\"web\"} 4",
		"lbd_service_backends_serving{service=\"web\"} 2",
		"lbd_service_packets_total{service=\"web\"} 18000000",
		"lbd_service_slots{service=\"web\",phase=\"p1\"} 90",
		"lbd_service_steering_total{service=\"web\",event=\"hit\"} 420",
		"lbd_service_table_info{service=\"dns\",digest=\"0x0123456789abcdef\"} 1",
		"lbd_backend_packets_total{service=\"web\",backend=\"web1\",address=\"10.0.1.11\"} 3000000",
		"lbd_backend_failing{service=\"web\",backend=\"web2\",address=\"10.0.1.12\"} 1",
		"lbd_backend_failing{service=\"web\",backend=\"web3\",address=\"10.0.1.13\"} 0",
		"lbd_backend_overridden{service=\"web\",backend=\"web3\",address=\"10.0.1.13\"} 1",
		"lbd_backend_weight{service=\"web\",backend=\"web4\",address=\"2001:db8::14\"} 50",
		"lbd_backend_state{service=\"web\",backend=\"web2\",address=\"10.0.1.12\",state=\"down\"} 1",
		"lbd_backend_admission_ratio{service=\"web\",backend=\"web4\",address=\"2001:db8::14\"} 0.25",
		"lbd_backend_probe_up{service=\"web\",backend=\"web2\",address=\"10.0.1.12\"} 0",
		"lbd_backend_probe_latency_seconds{service=\"web\",backend=\"web1\",address=\"10.0.1.11\"} "
		"0.000850",
	};
	char *text = render(), line[300];

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		snprintf(line, sizeof(line), "\n%s\n", want[i]);
		if (!strstr(text, line))
			fail_msg("missing: %s", want[i]);
	}
	/* Nothing is claimed of a probe that is not there. */
	assert_null(strstr(text, "lbd_backend_probe_up{service=\"dns\""));
	free(text);
}

/* name{key="value",...} number */
static int sample_is_well_formed(const char *line)
{
	const char *p = line;

	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	if (p == line)
		return 0;
	if (*p == '{') {
		do {
			p++;
			while (isalnum((unsigned char)*p) || *p == '_')
				p++;
			if (*p++ != '=' || *p++ != '"')
				return 0;
			for (; *p && *p != '"'; p++)
				if (*p == '\\' && !p[1])
					return 0;
				else if (*p == '\\')
					p++;
			if (*p++ != '"')
				return 0;
		} while (*p == ',');
		if (*p++ != '}')
			return 0;
	}
	if (*p++ != ' ')
		return 0;
	(void)strtod(p, (char **)&p);
	return *p == '\0';
}

static void test_format(void **state)
{
	char *text = render(), *save = NULL, family[128] = "", seen[8192] = "";
	int help = 0;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char name[128], probe[132];

		if (sscanf(line, "# HELP %127s", name) == 1) {
			/* Each family appears once. */
			snprintf(probe, sizeof(probe), " %s ", name);
			assert_null(strstr(seen, probe));
			strcat(seen, probe);
			snprintf(family, sizeof(family), "%s", name);
			help = 1;
		} else if (sscanf(line, "# TYPE %127s", name) == 1) {
			assert_true(help);
			assert_string_equal(name, family);
			assert_true(!!strstr(line, " counter") == !!strstr(name, "_total"));
			help = 0;
		} else {
			if (!sample_is_well_formed(line))
				fail_msg("malformed: %s", line);
			assert_int_equal(strncmp(line, family, strlen(family)), 0);
			assert_true(line[strlen(family)] == '{' || line[strlen(family)] == ' ');
		}
	}
	free(text);
}

static void test_labels_are_escaped(void **state)
{
	struct snapshot s = {.version = "a\"b\\c\nd"};
	size_t len;
	char *text = metrics_render(&s, &len);

	assert_non_null(strstr(text, "lbd_build_info{version=\"a\\\"b\\\\c\\nd\",kernel=\"\"} 1\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_labels_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
