/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_client.h - for the tests of the control socket: a fake daemon with verbs that do what a test wants,
 * and a client that speaks bytes. A line that does not come within 5 s fails the test.
 */
#pragma once
#include "core/cleanup.h"
#include "core/request.h"
#include "fake_server.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>

#define GROUP "daemon" /* a group that every system has */
#define CASE(f) cmocka_unit_test_setup_teardown(f, start, stop)
#define QUICK(f) cmocka_unit_test_setup_teardown(f, start_quick, stop)

/* ---- the fake daemon ---- */

static struct control *the_control;

static int run_echo(void *userdata, json_t *args, json_t **data, struct err *err)
{
	*data = json_incref(args);
	return 0;
}

static int run_change(void *userdata, json_t *args, json_t **data, struct err *err)
{
	const char *service;
	int r = request_unpack(args, err, "{s:s}", "service", &service);

	if (r)
		return r;
	if (strcmp(service, "web")) {
		*data = json_pack("{s:[s]}", "candidates", "web");
		err_hint(err, "did you mean \"web\"?");
		return err_set(err, -ENOENT, "no service \"%s\"", service);
	}
	json_t *event = json_pack("{s:s, s:s}", "event", "changed", "service", service);

	control_event(the_control, event);
	json_decref(event);
	return 0;
}

static int big_runs;

static int run_runs(void *userdata, json_t *args, json_t **data, struct err *err)
{
	*data = json_pack("{s:i}", "runs", big_runs);
	return 0;
}

static int run_big(void *userdata, json_t *args, json_t **data, struct err *err)
{
	json_int_t bytes = 0;
	int r = request_unpack(args, err, "{s:I}", "bytes", &bytes);
	char *text;

	if (r)
		return r;
	text = malloc((size_t)bytes + 1);
	big_runs++;
	memset(text, 'x', (size_t)bytes);
	text[bytes] = '\0';
	*data = json_pack("{s:s}", "text", text);
	free(text);
	return 0;
}

static int run_flood(void *userdata, json_t *args, json_t **data, struct err *err)
{
	json_int_t n = 0;
	int r = request_unpack(args, err, "{s:I}", "n", &n);

	for (json_int_t i = 0; !r && i < n; i++) {
		json_t *event =
			json_pack("{s:s, s:I, s:s}", "event", "flood", "i", i, "pad",
				  "........................................................................");

		control_event(the_control, event);
		json_decref(event);
	}
	return r;
}

static int run_bad_text(void *userdata, json_t *args, json_t **data, struct err *err)
{
	return err_set(err, -EIO, "server said \xff\xfe and left");
}

static const struct control_verb verbs[] = {
	{"echo", false, run_echo}, {"change", true, run_change}, {"runs", false, run_runs},
	{"big", false, run_big},   {"flood", false, run_flood},  {"bad-text", false, run_bad_text},
	{NULL, false, NULL},
};

static void setup(struct control *c, sd_event *event)
{
	the_control = c;
	fake_handle_term(event);
}

/* Small sizes and the real times; `quick` is for the tests of the times. */
static const struct control_limits small = {
	.clients = 8, .answer_bytes = 4u << 20, .follower_bytes = 256u << 10};
static const struct control_limits quick = {.line_ms = 150, .idle_ms = 400, .send_ms = 300};

__attribute__((unused)) static int start_with(void **state, const struct control_limits *limits)
{
	static struct fake_server s;
	const struct control_options o = {.group = GROUP, .verbs = verbs, .limits = *limits};

	*state = &s;
	return fake_start(&s, o, setup);
}

__attribute__((unused)) static int start(void **state)
{
	return start_with(state, &small);
}

__attribute__((unused)) static int start_quick(void **state)
{
	return start_with(state, &quick);
}

__attribute__((unused)) static int stop(void **state)
{
	return fake_stop(*state);
}

/* ---- a client ---- */

__attribute__((unused)) static int try_connect(const struct fake_server *s)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", s->path);
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -errno;
}

__attribute__((unused)) static int client(const struct fake_server *s)
{
	int fd = try_connect(s);

	assert_true(fd >= 0);
	return fd;
}

__attribute__((unused)) static void put(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t done = send(fd, bytes, n, MSG_NOSIGNAL);

		if (done < 0)
			return; /* the server may have hung up: the answer tells */
		bytes += done;
		n -= (size_t)done;
	}
}

__attribute__((unused)) static void say(int fd, const char *line)
{
	put(fd, line, strlen(line));
	put(fd, "\n", 1);
}

/* One line without its newline (malloc'd), or NULL at the end; fails the test after 5 s of silence. */
__attribute__((unused)) static char *hear(int fd)
{
	size_t len = 0, size = 1 << 16;
	char *line = malloc(size + 1), *nl;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&p, 1, 5000), 1);
		/* Look first, so that the next line stays where it is. */
		n = recv(fd, line + len, size - len, MSG_PEEK);
		if (n <= 0)
			break;
		nl = memchr(line + len, '\n', (size_t)n);
		n = recv(fd, line + len, nl ? (size_t)(nl - line) + 1 - len : (size_t)n, 0);
		if (nl) {
			*nl = '\0';
			return line;
		}
		len += (size_t)n;
		if (len == size) {
			size *= 2;
			line = realloc(line, size + 1);
		}
	}
	free(line);
	return NULL;
}

__attribute__((unused)) static json_t *hear_json(int fd)
{
	char *line = hear(fd);
	json_t *j;

	assert_non_null(line);
	j = json_loads(line, 0, NULL);
	assert_non_null(j);
	free(line);
	return j;
}

/* The next line is an error with @code whose message contains @text. */
__attribute__((unused)) static void expect_error(int fd, const char *code, const char *text)
{
	json_t *j = hear_json(fd), *e = json_object_get(j, "error");

	assert_true(json_is_false(json_object_get(j, "ok")));
	assert_string_equal(json_string_value(json_object_get(e, "code")), code);
	if (!strstr(json_string_value(json_object_get(e, "message")), text))
		fail_msg("\"%s\" is not in \"%s\"", text, json_string_value(json_object_get(e, "message")));
	json_decref(j);
}

__attribute__((unused)) static void expect_end(int fd)
{
	char *line = hear(fd);

	assert_null(line);
	close(fd);
}

/* The server is alive and answers others. */
__attribute__((unused)) static void assert_alive(const struct fake_server *s)
{
	int fd = client(s);
	char *line;

	say(fd, "{\"v\":1,\"verb\":\"echo\",\"args\":{\"n\":7}}");
	line = hear(fd);
	assert_string_equal(line, "{\"v\":1,\"ok\":true,\"data\":{\"n\":7}}");
	free(line);
	close(fd);
}
