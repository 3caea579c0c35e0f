// SPDX-License-Identifier: Apache-2.0
/*
 * lbctl as people and scripts meet it: the real binary against a real control socket with an invented daemon
 * behind it. Output, messages and exit codes are an interface (docs/man/lbctl.8.scd).
 */
#include "cli_fixture.h"

struct expectation {
	const char *args;
	int status;
	const char *contains[6];
};

static void expect_all(const struct fake_server *s, const struct expectation *e, size_t n)
{
	static struct result r;

	for (size_t i = 0; i < n; i++) {
		shell(s, &r, "$L %s 2>&1", e[i].args);
		if (r.status != e[i].status)
			fail_msg("lbctl %s: exit code %d, not %d:\n%s", e[i].args, r.status, e[i].status,
				 r.out);
		for (size_t k = 0; k < ARRAY_SIZE(e[i].contains) && e[i].contains[k]; k++)
			if (!strstr(r.out, e[i].contains[k]))
				fail_msg("lbctl %s: \"%s\" is not in:\n%s", e[i].args, e[i].contains[k],
					 r.out);
		if (strchr(r.out, '\033'))
			fail_msg("lbctl %s: an escape sequence reached the output:\n%s", e[i].args, r.out);
	}
}

/* ---- tests ---- */

static void test_look(void **state)
{
	static const struct expectation cases[] = {
		{"status",
		 0,
		 {"lbd 0.1.0 on Linux 6.1.0-18-amd64, up 25h01m", "eth0 native, eth1 NOT ATTACHED",
		  "services    2: 1 ok, 1 degraded", "6, 4 serving: 3 healthy",
		  "2 overridden by the operator", "web/web2"}},
		{"version", 0, {"lbd 0.1.0, protocol 1"}},
		{"services",
		 0,
		 {"dns", "203.0.113.10, [2001:db8::10] tcp/443", "degraded", "2/4", "0xfedcba9876543210"}},
		{"services dns", 0, {"203.0.113.53 udp/53", "100.0%"}},
		{"backends", 0, {"10.0.1.21", "web2", "bad ?[31mred", "timeout 1000.0ms", "not probed"}},
		{"backends web", 0, {"slow-start 25%", "50 (100)", "25.0%", "drained"}},
		{"backends -w web", 0, {"NEXT HOP", "eth1 via 10.0.2.1 (02:00:00:00:02:01)", "1480", "ip6"}},
		{"table web",
		 0,
		 {"web4", "28.6%", "1093", "1024", "4093 slots: 4000 settled, 90 in their grace",
		  "42 tracked flows; 500 packets met"}},
		{"table web", 0, {"GEN", "hit          420 (remembered)", "budget_drop  1 (flows not remembered: budget)"}},
		{"stats", 0, {"pass_not_vip", "12345", "tx_echo_reply", "18.0M"}},
		{"explain --syn tcp 192.0.2.7:51515 203.0.113.10:443",
		 0,
		 {"1. the key is found", "7, settled (hash 0x1)", "203.0.113.10 (192.0.2.7)", "tx"}},
		{"explain --flags syn,ack --size 1500 tcp 192.0.2.7 203.0.113.10:443", 0, {"why         syn,ack"}},
		{"explain udp 2001:DB8:0::7 '[2001:db8::10]:53'",
		 0,
		 {"2001:db8::10 (2001:db8::7)", "redirect"}},
		{"flows", 0, {"0xabcdef", "8s", "0x123456", "12s", "4 (over)", "2 of 5 tracked flows (4 valid)"}},
		{"probe web web2",
		 5,
		 {"web/web2 (10.0.1.12): http probe timeout in 1000.0 ms: connect: no answer"}},
		{"probe web 10.0.1.11",
		 0,
		 {"GET http://10.0.1.11:80/healthz, through the tunnel to this backend, within 300 ms",
		  "web/web1 (10.0.1.11): http probe ok in 0.8 ms: HTTP 200", "state up (0 of 1801 probes failed)"}},
		{"doctor", 5, {"mtu eth1: raise it", "1 errors"}},
		{"diff", 0, {"nothing differs"}},
		{"diff /etc/passwd",
		 0,
		 {"  backend-add web/web5 10.0.1.15\n", "service web: 41 of 4093 slots move (1.0%)",
		  "2 operations would be done by a reload"}},
		{"top --once -d 0.1", 0, {"PACKETS/S", "web4", "1000", "800k", "25.0%", "50.0%"}},
	};

	expect_all(*state, cases, ARRAY_SIZE(cases));
}

static void test_change(void **state)
{
	static const struct expectation cases[] = {
		{"drain web web3", 0, {"web/web3 (10.0.1.13): drained, weight 100\n"}},
		{"drain web 10.0.1.13", 0, {"web/web3 (10.0.1.13): drained"}},
		{"undrain --all-services web1", 0, {"web/web1"}},
		{"weight web web1 50", 0, {"weight 50 (configured 100)"}},
		{"weight web web1 default", 0, {"weight 100\n"}},
		{"weight -a web1 0", 0, {"web/web1", "weight 0 (configured 100)"}},
		{"disable web web1", 5, {"lbctl: Input/output error"}},
		{"reload",
		 4,
		 {"/etc/lbd/lbd.yaml:12:11: error: port: 70000 is not a port number\n"
		  "    12 |     port: 70000\n"
		  "       |           ^~~~~\n"
		  "hint: a port is a number from 1 to 65535\n",
		  "lbctl: the configuration has 1 error: nothing was changed"}},
		{"events", 0, {"Z web/web1 backend_state healthy -> draining: the operator?[2J was here"}},
		{"events --last 1", 0, {"web/web1"}},
	};

	expect_all(*state, cases, ARRAY_SIZE(cases));
}

static void test_mistakes(void **state)
{
	static const struct expectation cases[] = {
		{"", 1, {"Usage: lbctl [OPTION...] VERB"}},
		{"statsu", 1, {"no verb 'statsu': did you mean 'status'?", "lbctl --help"}},
		{"--nonsense status", 1, {"nonsense"}},
		{"status --nonsense", 1, {"nonsense"}},
		{"status web", 1, {"'web' is one word too many"}},
		{"table", 1, {"SERVICE"}},
		{"drain web", 1, {"name a service and one of its backends"}},
		{"drain --all-services web web1", 1, {"only the backend is named"}},
		{"weight web web1 much", 1, {"'much' is not a weight"}},
		{"weight web web1 65536", 1, {"'65536' is not a weight"}},
		{"weight web web1 -- -1", 1, {"'-1' is not a weight"}},
		{"explain sctp 192.0.2.1 203.0.113.10:443", 1, {"'sctp' is not a protocol"}},
		{"explain tcp 192.0.2.1 203.0.113.10", 1, {"'203.0.113.10' is not an address and port"}},
		{"explain -z 0 tcp 192.0.2.1 203.0.113.10:443", 1, {"'0' is not a size in bytes"}},
		{"explain tcp 192.0.2.300 203.0.113.10:443", 1, {"'192.0.2.300' is not an address"}},
		{"flows -n 10001", 1, {"'10001' is not a number from 0 to 10000"}},
		{"events -n x", 1, {"'x' is not a number"}},
		{"top -d 0 --once", 1, {"'0' is not a time"}},
		{"backends wbe", 4, {"no service \"wbe\"", "hint: did you mean \"web\"?"}},
		{"drain web wbe1", 4, {"service \"web\" has no backend \"wbe1\"", "did you mean \"web1\"?"}},
		{"enable web web1", 4, {"this lbd knows no verb \"enable\""}},
		{"diff /nonexistent/lbd.yaml", 4, {"No such file"}},
		{"drain web $(printf '\\377')", 1, {"word 2 is not valid UTF-8"}},
	};

	expect_all(*state, cases, ARRAY_SIZE(cases));
}

static void test_help(void **state)
{
	static struct result r;
	static const struct expectation cases[] = {
		{"--help", 0, {"Look:", "Change", "drain", "Examples:", "Exit codes:"}},
		{"help drain",
		 0,
		 {"Usage: lbctl drain [OPTION...] SERVICE BACKEND", "established ones stay"}},
		{"drain --help", 0, {"--all-services", "lbctl undrain --all-services 10.0.1.11"}},
		{"--version", 0, {"lbctl 0."}},
	};
	char *save = NULL;

	expect_all(*state, cases, ARRAY_SIZE(cases));
	/* Every verb explains itself, with a text of its own. */
	shell(*state, &r, "$L help --list");
	for (char *verb = strtok_r(r.out, "\n", &save); verb; verb = strtok_r(NULL, "\n", &save)) {
		static struct result help;

		shell(*state, &help, "$L %s --help 2>&1", verb);
		if (help.status || !strstr(help.out, "--json") || !strstr(help.out, "Usage: lbctl"))
			fail_msg("lbctl %s --help: %d\n%s", verb, help.status, help.out);
	}
}

static void test_json(void **state)
{
	static const char *const verbs_with_json[] = {"status", "services", "backends web", "table web",
						      "stats",  "version",  "events",       "drain web web1",
						      "top",    "diff"};
	static struct result r;
	json_t *j;

	for (size_t i = 0; i < ARRAY_SIZE(verbs_with_json); i++) {
		shell(*state, &r, "$L %s --json", verbs_with_json[i]);
		j = json_loads(r.out, 0, NULL);
		if (r.status || !json_string_value(json_object_get(j, "document")))
			fail_msg("lbctl %s --json: %d\n%s", verbs_with_json[i], r.status, r.out);
		assert_null(strchr(strchr(r.out, '\n') + 1, '\n')); /* one line */
		json_decref(j);
	}
	/* Unchanged: as the daemon's own text. */
	shell(*state, &r,
	      "$L --json table web; printf '{\"v\":1,\"verb\":\"table\",\"args\":{\"service\":\"web\"}}\\n' "
	      "| "
	      "python3 -c 'import os,socket,sys;s=socket.socket(1);s.connect(os.environ[\"LBD_SOCKET\"]);"
	      "s.sendall(sys.stdin.buffer.read());sys.stdout.write(s.makefile().readline())'");
	if (r.status == 0) {
		char *second = strchr(r.out, '\n');

		*second++ = '\0';
		assert_non_null(strstr(second, r.out));
	}
	/* A refusal is a document too, and the message is still on stderr. */
	shell(*state, &r, "$L --json reload 2>/dev/null");
	assert_int_equal(r.status, 4);
	j = json_loads(r.out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(
				 json_object_get(json_object_get(j, "error"), "diagnostics"), "diagnostics")),
			 1);
	json_decref(j);
}

static void test_follow(void **state)
{
	static struct result r;

	/* The first line shows that it follows; what happens from then on comes at once, also through a pipe.
	 */
	shell(*state, &r,
	      "$L drain web web1 >/dev/null; timeout 10 $L events --follow | "
	      "{ read -r a; $L undrain web web2 >/dev/null; read -r b; echo \"$a\"; echo \"$b\"; }");
	shell(*state, &r, "timeout 10 $L events --json --follow | head -n 1");
	assert_non_null(strstr(r.out, "{\"seq\":1,"));
	/* The daemon ends under a follower. */
	shell(*state, &r, "(sleep 0.2; kill %d) & $L events --follow 2>&1",
	      (int)((struct fake_server *)*state)->pid);
	assert_int_equal(r.status, 2);
	assert_non_null(strstr(r.out, "lbd ended"));
}

/* The live view on a terminal: draws rates, obeys its keys, survives the daemon's end, and leaves in order.
 */
static void test_top(void **state)
{
	static struct result r;

	shell(*state, &r,
	      "(sleep 2; printf s; sleep 1; printf p; sleep 1; printf q) | TERM=xterm script -qec "
	      "'stty rows 24 cols 110; $L top -d 0.1 web' /dev/null 2>&1");
	assert_int_equal(r.status, 0);
	assert_non_null(strstr(r.out, "packets/s"));
	assert_non_null(strstr(r.out, "web4"));
	assert_non_null(strstr(r.out, "slow-start"));
	assert_non_null(strstr(r.out, "PAUSED"));
	shell(*state, &r,
	      "(sleep 2; kill %d; sleep 2; printf q) | TERM=xterm script -qec "
	      "'stty rows 24 cols 110; $L top -d 0.1' /dev/null 2>&1",
	      (int)((struct fake_server *)*state)->pid);
	assert_int_equal(r.status, 0);
	assert_non_null(strstr(r.out, "lbd is not running"));
}

static void test_completion(void **state)
{
	static struct result r;

	shell(*state, &r,
	      "bash -c '. %s/../../cli/completion/lbctl; PATH=$(dirname $L):$PATH; "
	      "t() { COMP_WORDS=(lbctl \"$@\"); COMP_CWORD=$#; _lbctl; echo \"${COMPREPLY[*]}\"; }; "
	      "t dr; t drain w; t drain web \"\"; t drain --all; t weight -a 10.0.1.2; t table d; t explain "
	      "t'",
	      TEST_SOURCE_DIR);
	assert_string_equal(r.out,
			    "drain\nweb\n10.0.1.11 10.0.1.12 10.0.1.13 2001:db8::14 web1 web2 web3 web4\n"
			    "--all-services\n10.0.1.21 10.0.1.22\ndns\ntcp\n");
}

/* ---- the daemon is not there, or does not want us ---- */

static void test_no_daemon(void **state)
{
	const struct fake_server none = {.path = "/nonexistent/lbd.sock"};
	static const struct expectation cases[] = {
		{"status",
		 2,
		 {"lbctl: lbd is not running, or uses another socket: /nonexistent/lbd.sock: there is no "
		  "such socket",
		  "hint: start it with `systemctl start lbd`", "--socket"}},
		{"--socket /tmp status", 2, {"lbd is not running"}},
		{"status --socket /also/not/there", 2, {"/also/not/there"}},
		{"events --follow", 2, {"lbd is not running"}},
		{"top --once", 2, {"lbd is not running"}},
	};

	expect_all(&none, cases, ARRAY_SIZE(cases));
}

static void test_denied(void **state)
{
	const struct fake_server *s = *state;
	static struct result r;

	if (geteuid() != 0 || !getpwnam("nobody"))
		skip();
	shell(s, &r, "setpriv --reuid=65534 --regid=65534 --clear-groups $L status 2>&1");
	if (r.status == 126 || r.status == 127)
		skip(); /* the build directory is closed to others */
	assert_int_equal(r.status, 3);
	assert_non_null(strstr(r.out, "permission denied: user \"nobody\" is not in group \"daemon\""));
	assert_non_null(strstr(r.out, "usermod -aG daemon nobody"));
	assert_int_equal(chmod(s->path, 0666), 0);
	shell(s, &r, "setpriv --reuid=65534 --regid=65534 --clear-groups $L drain web web1 2>&1");
	assert_int_equal(r.status, 3);
	assert_non_null(strstr(r.out, "\"drain\" changes the balancer"));
	shell(s, &r, "setpriv --reuid=65534 --regid=65534 --clear-groups $L version 2>&1");
	assert_int_equal(r.status, 0);
}

/* Servers that are not lbd, or break off. */
static void serve_badly(const char *path, const char *answer)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), conn;
	char buf[512];

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 1))
		_exit(1);
	conn = accept(fd, NULL, NULL);
	(void)!read(conn, buf, sizeof(buf));
	(void)!write(conn, answer, strlen(answer));
	_exit(0);
}

static void test_bad_daemon(void **state)
{
	static const struct {
		const char *answer;
		int status;
		const char *contains;
	} cases[] = {
		{"", 2, "hung up without an answer"},
		{"{\"v\":1,\"ok\":", 2, "hung up without an answer"},
		{"220 mail.example ESMTP\r\n", 5, "does not speak lbd's protocol"},
		{"{\"v\":2,\"ok\":true}\n", 5, "does not speak lbd's protocol"},
		{"{\"v\":1,\"ok\":true,\"data\":{}}\n", 0, "lbd"},
		{"{\"v\":1,\"ok\":true}\n", 0, "lbd"},
		{"{\"v\":1}\n", 5, ""},
		{"[]\n", 5, "does not speak"},
	};
	struct fake_server s;
	static struct result r;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pid_t pid;

		snprintf(s.path, sizeof(s.path), "/tmp/lbd-test-bad-%d.sock", (int)getpid());
		unlink(s.path);
		fflush(NULL);
		pid = fork();
		if (pid == 0)
			serve_badly(s.path, cases[i].answer);
		shell(&s, &r,
		      "for i in $(seq 100); do [ -S $LBD_SOCKET ] && break; sleep 0.02; done; $L status "
		      "2>&1");
		waitpid(pid, NULL, 0);
		unlink(s.path);
		if (r.status != cases[i].status || !strstr(r.out, cases[i].contains))
			fail_msg("%s: %d\n%s", cases[i].answer, r.status, r.out);
	}
}

/* ---- check: no daemon needed ---- */

static void test_check(void **state)
{
	char path[] = "/tmp/lbd-test-XXXXXX.yaml";
	const struct fake_server none = {.path = "/nonexistent/lbd.sock"};
	static struct result r;
	int fd = mkstemps(path, 5);
	FILE *f = fdopen(fd, "w");

	fputs("dataplane:\n  interfaces: [eth0]\nservices:\n  - name: web\n    vip: 203.0.113.10\n    port: "
	      "70000\n"
	      "    backends:\n      - {address: 10.0.1.11}\n",
	      f);
	fclose(f);
	shell(&none, &r, "$L check %s 2>&1", path);
	assert_int_equal(r.status, 4);
	assert_non_null(strstr(r.out, ":6:11: error:"));
	assert_non_null(strstr(r.out, "port: 70000"));
	shell(&none, &r, "$L check --json %s", path);
	assert_int_equal(r.status, 4);
	assert_non_null(strstr(r.out, "\"errors\":1"));
	shell(&none, &r, "sed -i s/70000/443/ %s; $L check %s 2>&1", path, path);
	assert_int_equal(r.status, 0);
	assert_non_null(strstr(r.out, "good: 1 services on 1 addresses, 1 backends"));
	unlink(path);
	shell(&none, &r, "$L check %s 2>&1", path);
	assert_int_equal(r.status, 4);
	assert_non_null(strstr(r.out, "No such file"));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		CASE(test_look),
		CASE(test_change),
		CASE(test_mistakes),
		CASE(test_help),
		CASE(test_json),
		CASE(test_follow),
		CASE(test_top),
		CASE(test_completion),
		cmocka_unit_test(test_no_daemon),
		CASE(test_denied),
		cmocka_unit_test(test_bad_daemon),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
