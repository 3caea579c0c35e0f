// SPDX-License-Identifier: Apache-2.0
/*
 * test_probe_tls.c - HTTPS probes against openssl s_server: certificates that are good, not trusted, of
 * another name, and SNI. The system's CA bundle is covered by our own certificate in a private mount
 * namespace (root; else that part is skipped).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "probe_fixture.h"

#define BUNDLE "/etc/ssl/certs/ca-certificates.crt"
#define NAME "www.example.com"

static char dir[] = "/tmp/lbd-tls-XXXXXX";
static pid_t server_pid;
static __u16 server_port;
static bool trusted;

static void run_shell(const char *fmt, const char *arg)
{
	char command[1024];

	snprintf(command, sizeof(command), fmt, arg);
	if (system(command))
		fail_msg("%s: failed", command);
}

static bool port_is_open(__u16 port)
{
	struct sockaddr_storage ss;
	socklen_t len = loopback(AF_INET, port, &ss);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return !connect(fd, (struct sockaddr *)&ss, len);
}

static int start_server(void **state)
{
	char port[16], cert[64], key[64];
	int fd;

	if (system("openssl version >/dev/null 2>&1"))
		exit(77);
	assert_non_null(mkdtemp(dir));
	run_shell("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
		  "-subj /CN=" NAME " -addext subjectAltName=DNS:" NAME
		  ",IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null",
		  dir);
	fd = closed_port(AF_INET, SOCK_STREAM, &server_port);
	close(fd);
	snprintf(port, sizeof(port), "127.0.0.1:%u", server_port);
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	server_pid = fork();
	if (!server_pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("openssl", "openssl", "s_server", "-quiet", "-accept", port, "-cert", cert, "-key",
		       key, "-cert2", cert, "-key2", key, "-servername", NAME, "-servername_fatal", "-www",
		       NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !port_is_open(server_port); i++)
		usleep(10000);
	assert_true(port_is_open(server_port));
	/* From here on this process alone sees our certificate in place of the bundle. */
	if (!unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		trusted = !mount(cert, BUNDLE, NULL, MS_BIND, NULL);
	return 0;
}

static int stop_server(void **state)
{
	kill(server_pid, SIGKILL);
	waitpid(server_pid, NULL, 0);
	if (trusted)
		umount(BUNDLE);
	run_shell("rm -r %s", dir);
	return 0;
}

static const struct {
	const char *name, *host;
	bool verify, needs_trust;
	enum probe_outcome outcome;
	const char *detail;
} cases[] = {
	{"nothing verified", NAME, false, false, PROBE_OUTCOME_OK, "HTTP 200"},
	{"nothing verified, no name", "", false, false, PROBE_OUTCOME_OK, "HTTP 200"},
	{"the server does not know that name", "other.example.com", false, false, PROBE_OUTCOME_TLS, ""},
	{"verified", NAME, true, true, PROBE_OUTCOME_OK, "HTTP 200"},
	{"verified, name with a port", NAME ":8443", true, true, PROBE_OUTCOME_OK, "HTTP 200"},
	{"verified, by address", "", true, true, PROBE_OUTCOME_OK, "HTTP 200"},
	{"verified, address of another", "127.0.0.2", true, true, PROBE_OUTCOME_TLS, "127.0.0.2"},
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases);
	     i++) { /* twice: nothing is cached from the first time */
		size_t k = i % ARRAY_SIZE(cases);
		struct probe_target t;
		struct fixture f;

		if (cases[k].needs_trust && !trusted)
			continue;
		fixture_open(&f);
		t = target_of(1, AF_INET, server_port, PROBE_HTTPS);
		t.spec.timeout_ms = 5000;
		t.spec.tls_verify = cases[k].verify;
		snprintf(t.spec.host, sizeof(t.spec.host), "%s", cases[k].host);
		sync_targets(&f, &t, 1);
		run_until_results(&f, 1, 1);
		if (f.last[1].last.outcome != cases[k].outcome ||
		    !strstr(f.last[1].last.detail, cases[k].detail))
			fail_msg("%s: %s: \"%s\"", cases[k].name, probe_outcome_name(f.last[1].last.outcome),
				 f.last[1].last.detail);
		fixture_close(&f);
	}
}

/* Without our certificate in the bundle the server's own is not trusted. */
static void test_not_trusted(void **state)
{
	struct probe_target t;
	struct fixture f;

	if (trusted) {
		assert_int_equal(umount(BUNDLE), 0);
		trusted = false;
	}
	fixture_open(&f);
	t = target_of(1, AF_INET, server_port, PROBE_HTTPS);
	t.spec.timeout_ms = 5000;
	t.spec.tls_verify = true;
	snprintf(t.spec.host, sizeof(t.spec.host), NAME);
	sync_targets(&f, &t, 1);
	run_until_results(&f, 1, 1);
	assert_int_equal(f.last[1].last.outcome, PROBE_OUTCOME_TLS);
	assert_non_null(strstr(f.last[1].last.detail, "certificate"));
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_not_trusted),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
