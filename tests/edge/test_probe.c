// SPDX-License-Identifier: Apache-2.0
/* test_probe.c - every outcome of every kind of probe, against real servers on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "probe_fixture.h"

#define OK200 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define HEAD200 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
#define NONE -1 /* nobody listens */

static const struct {
	const char *name;
	enum probe_type type;
	int habit; /* enum habit or NONE */
	const char *reply;
	const char *words; /* tweaks of the spec, see tweak() */
	enum probe_outcome outcome;
	const char *detail;  /* must be in it */
	const char *request; /* must be in what the server got; NULL: not looked at */
} cases[] = {
	{"tcp", PROBE_TCP, ACCEPT, NULL, "", PROBE_OUTCOME_OK, "connected", NULL},
	{"tcp refused", PROBE_TCP, NONE, NULL, "", PROBE_OUTCOME_REFUSED, "connect: Connection refused",
	 NULL},
	{"tcp silent", PROBE_TCP, SILENT, NULL, "", PROBE_OUTCOME_TIMEOUT,
	 "no answer in 500 ms (SYNs sent: 2)", NULL},
	{"tcp mute server", PROBE_TCP, MUTE, NULL, "", PROBE_OUTCOME_OK, "connected", NULL},

	{"http 200", PROBE_HTTP, REPLY, OK200, "", PROBE_OUTCOME_OK, "HTTP 200", "GET / HTTP/1.1\r\n"},
	{"http 200, kept open", PROBE_HTTP, REPLY_OPEN, OK200, "", PROBE_OUTCOME_OK, "HTTP 200",
	 "Connection: close\r\n"},
	{"http 204", PROBE_HTTP, REPLY, "HTTP/1.1 204 No Content\r\n\r\n", "", PROBE_OUTCOME_OK, "HTTP 204",
	 NULL},
	{"http chunked", PROBE_HTTP, REPLY, CHUNKED, "body=hello", PROBE_OUTCOME_OK, "HTTP 200", NULL},
	{"http 503", PROBE_HTTP, REPLY, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "",
	 PROBE_OUTCOME_BAD_STATUS, "HTTP 503", NULL},
	{"http 302 is not followed", PROBE_HTTP, REPLY,
	 "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n", "",
	 PROBE_OUTCOME_OK, "HTTP 302", NULL},
	{"http 302 not expected", PROBE_HTTP, REPLY,
	 "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n", "range",
	 PROBE_OUTCOME_BAD_STATUS, "HTTP 302", NULL},
	{"http 404 expected", PROBE_HTTP, REPLY, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "range",
	 PROBE_OUTCOME_OK, "HTTP 404", NULL},
	{"http path, host", PROBE_HTTP, REPLY, OK200, "path=/a/../b?c=d%20e host=www.example.com",
	 PROBE_OUTCOME_OK, "HTTP 200", "GET /a/../b?c=d%20e HTTP/1.1\r\nHost: www.example.com\r\n"},
	{"http host with a port", PROBE_HTTP, REPLY, OK200, "host=www.example.com:8080", PROBE_OUTCOME_OK,
	 "HTTP 200", "Host: www.example.com:8080\r\n"},
	{"http host is an IPv6 literal", PROBE_HTTP, REPLY, OK200, "host=2001:db8::1", PROBE_OUTCOME_OK,
	 "HTTP 200", "Host: [2001:db8::1]\r\n"},
	{"http host is an IPv6 literal with a port", PROBE_HTTP, REPLY, OK200, "host=[2001:db8::1]:81",
	 PROBE_OUTCOME_OK, "HTTP 200", "Host: [2001:db8::1]:81\r\n"},
	{"http HEAD", PROBE_HTTP, REPLY, HEAD200, "method=HEAD", PROBE_OUTCOME_OK, "HTTP 200",
	 "HEAD / HTTP/1.1\r\n"},
	{"http body", PROBE_HTTP, REPLY, OK200, "body=ell", PROBE_OUTCOME_OK, "HTTP 200", NULL},
	{"http body missing", PROBE_HTTP, REPLY, OK200, "body=bye", PROBE_OUTCOME_BAD_BODY,
	 "HTTP 200, but \"bye\" is not in the first 5 bytes", NULL},
	{"http body beyond the limit", PROBE_HTTP, FLOOD, "HTTP/1.1 200 OK\r\n\r\n", "body=needle flood=hay",
	 PROBE_OUTCOME_BAD_BODY, "is not in the first 65536 bytes", NULL},
	{"http endless body", PROBE_HTTP, FLOOD, "HTTP/1.1 200 OK\r\n\r\n", "flood=hay", PROBE_OUTCOME_OK,
	 "HTTP 200", NULL},
	{"http endless header", PROBE_HTTP, FLOOD, "HTTP/1.1 200 OK\r\n", "flood=A:b\r\n",
	 PROBE_OUTCOME_PROTOCOL, "the header is longer than 64 KiB", NULL},
	{"http endless header line", PROBE_HTTP, FLOOD, "HTTP/1.1 200 OK\r\nX: ", "flood=AAAA",
	 PROBE_OUTCOME_PROTOCOL, "longer than 64 KiB", NULL},
	{"http garbage", PROBE_HTTP, REPLY, "SSH-2.0-OpenSSH_9.2\r\n", "", PROBE_OUTCOME_PROTOCOL, "HTTP/0.9",
	 NULL},
	{"http nothing", PROBE_HTTP, REPLY, "", "", PROBE_OUTCOME_RESET, "Empty reply", NULL},
	{"http reset", PROBE_HTTP, SLAM, NULL, "", PROBE_OUTCOME_RESET, "", NULL},
	{"http body cut short", PROBE_HTTP, REPLY, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "",
	 PROBE_OUTCOME_RESET, "", NULL},
	{"http mute", PROBE_HTTP, MUTE, NULL, "", PROBE_OUTCOME_STALLED,
	 "connected, but no complete answer in 500 ms", NULL},
	{"http trickle", PROBE_HTTP, TRICKLE, OK200, "", PROBE_OUTCOME_STALLED, "no complete answer", NULL},
	{"http refused", PROBE_HTTP, NONE, NULL, "", PROBE_OUTCOME_REFUSED, "connect: Connection refused",
	 NULL},
	{"http silent", PROBE_HTTP, SILENT, NULL, "", PROBE_OUTCOME_TIMEOUT, "no answer in 500 ms", NULL},
	{"https to a server that does not speak TLS", PROBE_HTTPS, REPLY, OK200, "fast",
	 PROBE_OUTCOME_STALLED, "", NULL},

	{"https to a server that speaks plain HTTP", PROBE_HTTPS, GREET, "HTTP/1.1 400 Bad Request\r\n\r\n", "",
	 PROBE_OUTCOME_TLS, "wrong version number", NULL},
	{"http to a server that speaks first", PROBE_HTTP, GREET, "220 mail.example.com ESMTP\r\n", "",
	 PROBE_OUTCOME_PROTOCOL, "HTTP/0.9", NULL},

	{"udp", PROBE_UDP, UDP_REPLY, "PONG 1", "send=PING expect=PONG", PROBE_OUTCOME_OK,
	 "answer of 6 bytes", "PING"},
	{"udp, any answer", PROBE_UDP, UDP_REPLY, "whatever", "send=PING", PROBE_OUTCOME_OK,
	 "answer of 8 bytes", "PING"},
	{"udp, wrong answer", PROBE_UDP, UDP_REPLY, "PUNG", "send=PING expect=PONG", PROBE_OUTCOME_BAD_BODY,
	 "the answer (4 bytes) does not begin with the 4 expected", NULL},
	{"udp, answer too short", PROBE_UDP, UDP_REPLY, "PON", "send=PING expect=PONG",
	 PROBE_OUTCOME_BAD_BODY, "(3 bytes)", NULL},
	{"udp, one datagram lost", PROBE_UDP, UDP_SECOND, "PONG", "send=PING expect=PONG", PROBE_OUTCOME_OK,
	 "answer of 4", NULL},
	{"udp refused", PROBE_UDP, NONE, NULL, "send=PING", PROBE_OUTCOME_REFUSED,
	 "receive: Connection refused", NULL},
	{"udp mute", PROBE_UDP, UDP_MUTE, NULL, "send=PING", PROBE_OUTCOME_TIMEOUT,
	 "no answer in 500 ms (requests sent: 2)", NULL},
};

static const char *word(const char *words, const char *key)
{
	const char *p = strstr(words, key);
	static char value[256];

	if (!p)
		return NULL;
	snprintf(value, sizeof(value), "%s", p + strlen(key));
	value[strcspn(value, " ")] = 0;
	return value;
}

static void tweak(struct probe_spec *s, const char *words)
{
	const char *v;

	if (strstr(words, "range")) {
		s->n_expect = 2;
		s->expect[0].from = s->expect[0].to = 404;
		s->expect[1].from = 200;
		s->expect[1].to = 204;
	}
	if ((v = word(words, "path=")))
		snprintf(s->path, sizeof(s->path), "%s", v);
	if ((v = word(words, "host=")))
		snprintf(s->host, sizeof(s->host), "%s", v);
	if ((v = word(words, "method=")))
		snprintf(s->method, sizeof(s->method), "%.7s", v);
	if ((v = word(words, "body=")))
		snprintf(s->body, sizeof(s->body), "%.120s", v);
	if ((v = word(words, "send=")))
		memcpy(s->send, v, s->send_len = (__u32)strlen(v));
	if ((v = word(words, "expect=")))
		memcpy(s->expect_data, v, s->expect_len = (__u32)strlen(v));
}

static void run_case(size_t i, int family)
{
	bool udp = cases[i].type == PROBE_UDP;
	struct server *s = calloc(1, sizeof(*s));
	char flood[64] = "";
	struct probe_target t;
	struct fixture f;
	int placeholder = -1;
	__u16 port;

	fixture_open(&f);
	s->reply = cases[i].reply;
	if (word(cases[i].words, "flood="))
		snprintf(flood, sizeof(flood), "%s", word(cases[i].words, "flood="));
	s->flood = flood;
	if (cases[i].habit == NONE)
		placeholder = closed_port(family, udp ? SOCK_DGRAM : SOCK_STREAM, &port);
	else
		server_start(s, f.event, family, (enum habit)cases[i].habit);
	t = target_of(1, family, cases[i].habit == NONE ? port : s->port, cases[i].type);
	tweak(&t.spec, cases[i].words);
	sync_targets(&f, &t, 1);
	run_until_results(&f, 1, 1);
	if (f.last[1].last.outcome != cases[i].outcome || !strstr(f.last[1].last.detail, cases[i].detail))
		fail_msg("%s (%s): %s: \"%s\"", cases[i].name, family == AF_INET ? "IPv4" : "IPv6",
			 probe_outcome_name(f.last[1].last.outcome), f.last[1].last.detail);
	if (cases[i].request && !strstr(s->request, cases[i].request))
		fail_msg("%s: the server got \"%s\"", cases[i].name, s->request);
	if (cases[i].outcome == PROBE_OUTCOME_OK && f.last[1].state != HEALTH_UP)
		fail_msg("%s: not up", cases[i].name);
	fixture_close(&f);
	if (cases[i].habit != NONE)
		server_stop(s);
	cleanup_closep(&placeholder);
	free(s);
}

static void test_cases(void **state)
{
	unsigned int fds;

	run_case(0, AF_INET); /* libraries open what they keep */
	run_case(4, AF_INET);
	fds = count_fds();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		run_case(i, AF_INET);
		run_case(i, AF_INET6);
		if (count_fds() != fds)
			fail_msg("%s: %u descriptors were %u before", cases[i].name, count_fds(), fds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
