// SPDX-License-Identifier: Apache-2.0
/* The scraper's server: the two pages, everything else refused, limits, and bad clients. The loop runs in a
 * child. */
#include "http.h"
#include "core/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct server {
	pid_t pid;
	__u16 port;
};

/* Healthy for the first two questions, then not. */
static bool healthy(void *userdata, char *why, size_t size)
{
	static int asked;

	snprintf(why, size, "service web: no backend serves");
	return asked++ < 2;
}

static char *metrics(void *userdata, size_t *len)
{
	static const char text[] = "# TYPE lbd_x gauge\nlbd_x 1\n";

	*len = sizeof(text) - 1;
	return strdup(text);
}

static void serve(struct http_options *o, int ready)
{
	struct http *h = NULL;
	struct err err = {0};
	sd_event *event = NULL;
	sigset_t set;
	__u16 port;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (sd_event_new(&event) < 0 || http_new(&h, event, o, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		_exit(1);
	}
	(void)sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	port = http_port(h);
	if (write(ready, &port, sizeof(port)) != sizeof(port))
		_exit(1);
	(void)sd_event_loop(event);
	http_free(h);
	sd_event_unref(event);
}

static int start(void **state)
{
	static struct server s;
	struct http_options o = {.metrics = metrics,
				 .healthy = healthy,
				 .limits = {.connections = 4, .connections_per_ip = 3, .idle_s = 1}};
	int ready[2];

	addr_from_v4_be(&o.addr, htonl(INADDR_LOOPBACK));
	if (pipe(ready))
		return -1;
	fflush(NULL);
	s.pid = fork();
	if (s.pid == 0) {
		close(ready[0]);
		serve(&o, ready[1]);
		exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &s.port, sizeof(s.port)) != sizeof(s.port))
		return -1;
	close(ready[0]);
	*state = &s;
	return 0;
}

static int stop(void **state)
{
	const struct server *s = *state;
	int status;

	kill(s->pid, SIGTERM);
	waitpid(s->pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int dial(const struct server *s)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(s->port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Everything until the server hangs up. Returns the length; fails after 5 s of silence. */
static size_t drain(int fd, char *buf, size_t size)
{
	size_t len = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&p, 1, 5000), 1);
		n = recv(fd, buf + len, size - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	close(fd);
	return len;
}

static void ask(const struct server *s, const char *request, char *buf, size_t size)
{
	int fd = dial(s);

	(void)send(fd, request, strlen(request), MSG_NOSIGNAL);
	(void)drain(fd, buf, size);
}

#define TAIL " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void test_pages(void **state)
{
	static const struct {
		const char *request, *status, *contains;
	} cases[] = {
		{"GET /metrics" TAIL, "HTTP/1.1 200", "\r\n\r\n# TYPE lbd_x gauge\nlbd_x 1\n"},
		{"GET /metrics?name=x" TAIL, "HTTP/1.1 200", "text/plain; version=0.0.4"},
		{"HEAD /metrics" TAIL, "HTTP/1.1 200", "Content-Length: 27\r\n"},
		{"GET /healthz" TAIL, "HTTP/1.1 200", "\r\n\r\nok\n"},
		{"GET /healthz" TAIL, "HTTP/1.1 200", "\r\n\r\nok\n"},
		{"GET /healthz" TAIL, "HTTP/1.1 503", "\r\n\r\nservice web: no backend serves\n"},
		{"GET /" TAIL, "HTTP/1.1 404", "/metrics"},
		{"GET /metrics/../../etc/passwd" TAIL, "HTTP/1.1 404", "/metrics"},
		{"DELETE /metrics" TAIL, "HTTP/1.1 405", "Allow: GET"},
		{"POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
		 "HTTP/1.1 405", "only GET"},
		{"GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.", "lbd_x 1"},
	};
	char buf[4096];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ask(*state, cases[i].request, buf, sizeof(buf));
		if (strncmp(buf, cases[i].status, strlen(cases[i].status)) || !strstr(buf, cases[i].contains))
			fail_msg("%s: got %s", cases[i].request, buf);
	}
}

static void test_keep_alive(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = dial(*state);
	char buf[2048];

	/* Two requests on one connection; then the server hangs up by its own time-out. */
	for (int i = 0; i < 2; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		(void)send(fd, request, sizeof(request) - 1, 0);
		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_true(recv(fd, buf, sizeof(buf), 0) > 0);
	}
	assert_int_equal(drain(fd, buf, sizeof(buf)), 0);
}

static void test_silent_client_is_dropped(void **state)
{
	char buf[256];
	int fd = dial(*state);

	(void)send(fd, "GET /met", 8, 0);
	(void)drain(fd, buf, sizeof(buf));
	ask(*state, "GET /metrics" TAIL, buf, sizeof(buf));
	assert_non_null(strstr(buf, "200"));
}

static void test_connection_limit(void **state)
{
	char buf[1024];
	int fd[3];

	for (int i = 0; i < 3; i++)
		fd[i] = dial(*state);
	/* One more from this address is hung up on; when one leaves there is room again. */
	ask(*state, "GET /metrics" TAIL, buf, sizeof(buf));
	assert_null(strstr(buf, "200"));
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	for (int tries = 0; tries < 50; tries++) {
		ask(*state, "GET /metrics" TAIL, buf, sizeof(buf));
		if (strstr(buf, "200"))
			return;
		(void)poll(NULL, 0, 20);
	}
	fail_msg("no room after the others left");
}

static void test_nonsense(void **state)
{
	char buf[1024];

	/* libmicrohttpd hangs up on what has not even the shape of a request. */
	ask(*state, "nonsense\r\n\r\n", buf, sizeof(buf));
	assert_null(strstr(buf, "200"));
	ask(*state, "GET /metrics" TAIL, buf, sizeof(buf));
	assert_non_null(strstr(buf, "200"));
}

static void test_giant_header(void **state)
{
	size_t n = 100000;
	char *request = malloc(n), buf[4096];
	int fd = dial(*state);

	memset(request, 'a', n);
	memcpy(request, "GET /", 5);
	(void)send(fd, request, n, MSG_NOSIGNAL);
	(void)drain(fd, buf, sizeof(buf));
	free(request);
	ask(*state, "GET /metrics" TAIL, buf, sizeof(buf));
	assert_non_null(strstr(buf, "200"));
}

static void test_port_in_use(void **state)
{
	const struct server *s = *state;
	struct http_options o = {.metrics = metrics, .port = s->port};
	struct http *h = NULL;
	struct err err = {0};
	sd_event *event = NULL;

	addr_from_v4_be(&o.addr, htonl(INADDR_LOOPBACK));
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(http_new(&h, event, &o, &err), -EADDRINUSE);
	assert_non_null(strstr(err.msg, "127.0.0.1"));
	assert_non_null(strstr(err.hint, "ss -ltnp"));
	sd_event_unref(event);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		CASE(test_pages),
		CASE(test_keep_alive),
		CASE(test_silent_client_is_dropped),
		CASE(test_connection_limit),
		CASE(test_giant_header),
		CASE(test_nonsense),
		CASE(test_port_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
