// SPDX-License-Identifier: Apache-2.0
/* The control socket from outside: framing, rights, limits, events, and everything that a bad client can do.
 */
#include "core/cleanup.h"
#include "core/document.h"
#include "core/request.h"
#include "fake_server.h"

#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <cmocka.h>

#define GROUP "daemon" /* a group that every system has */

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

static int run_big(void *userdata, json_t *args, json_t **data, struct err *err)
{
	json_int_t bytes = 0;
	int r = request_unpack(args, err, "{s:I}", "bytes", &bytes);
	char *text;

	if (r)
		return r;
	text = malloc((size_t)bytes + 1);
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
	{"echo", false, run_echo},   {"change", true, run_change},      {"big", false, run_big},
	{"flood", false, run_flood}, {"bad-text", false, run_bad_text}, {NULL, false, NULL},
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

static int start_with(void **state, const struct control_limits *limits)
{
	static struct fake_server s;
	const struct control_options o = {.group = GROUP, .verbs = verbs, .limits = *limits};

	*state = &s;
	return fake_start(&s, o, setup);
}

static int start(void **state)
{
	return start_with(state, &small);
}

static int start_quick(void **state)
{
	return start_with(state, &quick);
}

static int stop(void **state)
{
	return fake_stop(*state);
}

/* ---- a client ---- */

static int try_connect(const struct fake_server *s)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", s->path);
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -errno;
}

static int client(const struct fake_server *s)
{
	int fd = try_connect(s);

	assert_true(fd >= 0);
	return fd;
}

static void put(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t done = send(fd, bytes, n, MSG_NOSIGNAL);

		if (done < 0)
			return; /* the server may have hung up: the answer tells */
		bytes += done;
		n -= (size_t)done;
	}
}

static void say(int fd, const char *line)
{
	put(fd, line, strlen(line));
	put(fd, "\n", 1);
}

/* One line without its newline (malloc'd), or NULL at the end; fails the test after 5 s of silence. */
static char *hear(int fd)
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

static json_t *hear_json(int fd)
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
static void expect_error(int fd, const char *code, const char *text)
{
	json_t *j = hear_json(fd), *e = json_object_get(j, "error");

	assert_true(json_is_false(json_object_get(j, "ok")));
	assert_string_equal(json_string_value(json_object_get(e, "code")), code);
	if (!strstr(json_string_value(json_object_get(e, "message")), text))
		fail_msg("\"%s\" is not in \"%s\"", text, json_string_value(json_object_get(e, "message")));
	json_decref(j);
}

static void expect_end(int fd)
{
	char *line = hear(fd);

	assert_null(line);
	close(fd);
}

/* The server is alive and answers others. */
static void assert_alive(const struct fake_server *s)
{
	int fd = client(s);
	char *line;

	say(fd, "{\"v\":1,\"verb\":\"echo\",\"args\":{\"n\":7}}");
	line = hear(fd);
	assert_string_equal(line, "{\"v\":1,\"ok\":true,\"data\":{\"n\":7}}");
	free(line);
	close(fd);
}

/* ---- tests ---- */

static void test_answers_in_order(void **state)
{
	const char text[] = "{\"v\":1,\"verb\":\"echo\",\"args\":{\"n\":1}}\n{\"v\":1,\"verb\":\"echo\","
			    "\"args\":{\"n\":2}}\r\n"
			    "{\"v\":1,\"verb\":\"echo\"}\n";
	int fd = client(*state);
	char *line;

	put(fd, text, sizeof(text) - 1);
	for (int i = 0; i < 3; i++) {
		static const char *const want[] = {"{\"v\":1,\"ok\":true,\"data\":{\"n\":1}}",
						   "{\"v\":1,\"ok\":true,\"data\":{\"n\":2}}",
						   "{\"v\":1,\"ok\":true,\"data\":{}}"};

		line = hear(fd);
		assert_string_equal(line, want[i]);
		free(line);
	}
	/* A client that is done sending still gets its answer: printf ... | nc -N -U */
	say(fd, "{\"v\":1,\"verb\":\"echo\"}");
	shutdown(fd, SHUT_WR);
	line = hear(fd);
	assert_non_null(line);
	free(line);
	expect_end(fd);
}

static void test_byte_by_byte(void **state)
{
	const char text[] = "{\"v\":1,\"verb\":\"echo\"}\n";
	int fd = client(*state);
	char *line;

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		put(fd, text + i, 1);
	line = hear(fd);
	assert_string_equal(line, "{\"v\":1,\"ok\":true,\"data\":{}}");
	free(line);
	close(fd);
}

static void test_bad_requests(void **state)
{
	static const struct {
		const char *line, *code, *text;
	} cases[] = {
		{"", "invalid", "not JSON"},
		{"hello", "invalid", "not JSON"},
		{"{\"v\":1,\"verb\":", "invalid", "not JSON"},
		{"[]", "invalid", "not a JSON object"},
		{"{}", "invalid", "version"},
		{"{\"v\":2,\"verb\":\"echo\"}", "invalid", "version 1 of the protocol, not 2"},
		{"{\"v\":1}", "invalid", "no \"verb\""},
		{"{\"v\":1,\"verb\":\"\"}", "invalid", "no \"verb\""},
		{"{\"v\":1,\"verb\":3}", "invalid", "no \"verb\""},
		{"{\"v\":1,\"verb\":\"echo\",\"verb\":\"echo\"}", "invalid", "duplicate"},
		{"{\"v\":1,\"verb\":\"echo\",\"arg\":{}}", "invalid", "unknown member \"arg\""},
		{"{\"v\":1,\"verb\":\"echo\",\"args\":[]}", "invalid", "not an object"},
		{"{\"v\":1,\"verb\":\"eco\"}", "invalid", "no verb \"eco\""},
		{"{\"v\":1,\"verb\":\"e\\u0000cho\"}", "invalid", "not JSON"},
		{"{\"v\":1,\"verb\":\"big\",\"args\":{\"bytes\":\"x\"}}", "invalid", "arguments"},
		{"{\"v\":1,\"verb\":\"events\",\"args\":{\"since\":-1}}", "invalid", "not negative"},
		{"{\"v\":1,\"verb\":\"events\",\"args\":{\"folow\":true}}", "invalid", "folow"},
		{"{\"v\":1,\"verb\":\"change\",\"args\":{\"service\":\"wbe\"}}", "not_found", "no service"},
		{"{\"v\":1,\"verb\":\"bad-text\"}", "internal", "server said ?? and left"},
	};
	int fd = client(*state);

	/* All on one connection: a bad request harms nobody, not even its own connection. */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		say(fd, cases[i].line);
		expect_error(fd, cases[i].code, cases[i].text);
	}
	close(fd);
	assert_alive(*state);
}

static void test_candidates(void **state)
{
	int fd = client(*state);
	json_t *j, *e;

	say(fd, "{\"v\":1,\"verb\":\"change\",\"args\":{\"service\":\"wbe\"}}");
	say(fd, "{\"v\":1,\"verb\":\"chnge\"}");
	for (int i = 0; i < 2; i++) {
		j = hear_json(fd);
		e = json_object_get(j, "error");
		assert_string_equal(json_string_value(json_array_get(json_object_get(e, "candidates"), 0)),
				    i ? "change" : "web");
		assert_non_null(json_object_get(e, "hint"));
		json_decref(j);
	}
	close(fd);
}

static void test_nul_and_binary(void **state)
{
	static const char nul[] = "{\"v\":1,\0\"verb\":\"echo\"}\n";
	char noise[4096];
	int fd = client(*state);

	put(fd, nul, sizeof(nul) - 1);
	expect_error(fd, "invalid", "not JSON");
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * 37 + 11);
	noise[sizeof(noise) - 1] = '\n';
	put(fd, noise, sizeof(noise));
	close(fd);
	assert_alive(*state);
}

static void test_deep_nesting(void **state)
{
	char deep[60000];
	int fd = client(*state);

	memset(deep, '[', sizeof(deep));
	deep[sizeof(deep) - 1] = '\n';
	put(fd, deep, sizeof(deep));
	expect_error(fd, "invalid", "not JSON");
	close(fd);
	assert_alive(*state);
}

static void test_line_too_long(void **state)
{
	size_t n = 200000;
	char *line = malloc(n);
	int fd = client(*state);

	memset(line, ' ', n);
	put(fd, line, n);
	expect_error(fd, "invalid", "64 KiB");
	expect_end(fd);
	free(line);
	assert_alive(*state);
}

/* The longest allowed line is still served. */
static void test_longest_line(void **state)
{
	const char text[] = "{\"v\":1,\"verb\":\"echo\"}";
	char *line = malloc(REQUEST_LINE_MAX + 1), *got;
	int fd = client(*state);

	memset(line, ' ', REQUEST_LINE_MAX);
	memcpy(line, text, sizeof(text) - 1);
	line[REQUEST_LINE_MAX] = '\n';
	put(fd, line, REQUEST_LINE_MAX + 1);
	got = hear(fd);
	assert_string_equal(got, "{\"v\":1,\"ok\":true,\"data\":{}}");
	free(got);
	free(line);
	close(fd);
}

static void test_half_line(void **state)
{
	int fd = client(*state);

	put(fd, "{\"v\":1", 6);
	shutdown(fd, SHUT_WR);
	expect_error(fd, "invalid", "ends without a newline");
	expect_end(fd);
	/* Gone without a word. */
	fd = client(*state);
	put(fd, "{\"v\":1", 6);
	close(fd);
	assert_alive(*state);
}

static void test_slow_line(void **state)
{
	int fd = client(*state);

	put(fd, "{\"v\":1", 6);
	expect_error(fd, "internal", "not complete in time");
	expect_end(fd);
}

static void test_idle(void **state)
{
	expect_end(client(*state));
}

static void test_too_many_clients(void **state)
{
	int fd[8], extra;

	for (int i = 0; i < 8; i++)
		fd[i] = client(*state);
	extra = client(*state);
	expect_error(extra, "busy", "too many clients");
	expect_end(extra);
	for (int i = 0; i < 8; i++)
		close(fd[i]);
	assert_alive(*state);
}

/* Asks for megabytes, again and again, and reads nothing: dropped, while the others are served. */
static void test_never_reads(void **state)
{
	int fd = client(*state);

	for (int i = 0; i < 20; i++)
		say(fd, "{\"v\":1,\"verb\":\"big\",\"args\":{\"bytes\":2000000}}");
	assert_alive(*state);
	for (;;) {
		struct pollfd p = {.fd = fd, .events = 0};

		assert_int_equal(poll(&p, 1, 5000), 1);
		if (p.revents & POLLHUP)
			break;
	}
	close(fd);
	assert_alive(*state);
}

static void test_big_answer(void **state)
{
	int fd = client(*state);
	char *line;

	say(fd, "{\"v\":1,\"verb\":\"big\",\"args\":{\"bytes\":3000000}}");
	line = hear(fd);
	assert_true(strlen(line) > 3000000);
	free(line);
	say(fd, "{\"v\":1,\"verb\":\"big\",\"args\":{\"bytes\":5000000}}");
	expect_error(fd, "internal", "larger than");
	expect_end(fd);
}

/* ---- rights ---- */

/* Run one request as another user; exit status 0: done, 1: denied, 2: could not connect, 3: something else.
 */
static int ask_as(const struct fake_server *s, uid_t uid, gid_t gid, gid_t extra, const char *line)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		char answer[512] = {0};
		int fd;

		if (setgroups(extra ? 1 : 0, &extra) || setgid(gid) || setuid(uid))
			_exit(3);
		fd = try_connect(s);
		if (fd < 0)
			_exit(fd == -EACCES ? 2 : 3);
		say(fd, line);
		if (recv(fd, answer, sizeof(answer) - 1, 0) <= 0)
			_exit(3);
		_exit(strstr(answer, "\"ok\":true") ? 0 : strstr(answer, "\"denied\"") ? 1 : 3);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void test_rights(void **state)
{
	static const char change[] = "{\"v\":1,\"verb\":\"change\",\"args\":{\"service\":\"web\"}}";
	static const char look[] = "{\"v\":1,\"verb\":\"echo\"}";
	const struct fake_server *s = *state;
	const struct group *gr = getgrnam(GROUP);
	struct stat st;

	if (geteuid() != 0 || !gr)
		skip();
	assert_int_equal(stat(s->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, gr->gr_gid);

	assert_int_equal(ask_as(s, 0, 0, 0, change), 0);
	assert_int_equal(ask_as(s, 65534, gr->gr_gid, 0, change), 0);     /* primary group */
	assert_int_equal(ask_as(s, 65534, 65534, gr->gr_gid, change), 0); /* supplementary group */
	assert_int_equal(ask_as(s, 65534, 65534, 0, look), 2);            /* the file's mode keeps them out */
	/* An administrator may open the file to everybody: then they may look, and still not touch. */
	assert_int_equal(chmod(s->path, 0666), 0);
	assert_int_equal(ask_as(s, 65534, 65534, 0, look), 0);
	assert_int_equal(ask_as(s, 65534, 65534, 0, change), 1);
	assert_int_equal(ask_as(s, 65534, 65534, 12345, change), 1);
}

/* ---- the file ---- */

static int open_again(const char *path, const char *group, struct err *err)
{
	const struct control_options o = {.path = path, .group = group, .verbs = verbs};
	struct control *c = NULL;
	sd_event *event = NULL;
	int r;

	assert_true(sd_event_new(&event) >= 0);
	r = control_new(&c, event, &o, err);
	if (!r)
		assert_int_equal(access(path, F_OK), 0);
	control_free(c);
	sd_event_unref(event);
	return r;
}

static void test_in_use(void **state)
{
	const struct fake_server *s = *state;
	struct err err = {0};
	char lock[128];

	assert_int_equal(open_again(s->path, NULL, &err), -EADDRINUSE);
	assert_non_null(strstr(err.msg, "another lbd runs on"));
	assert_alive(s);
	/* Somebody who holds no lock, but answers. */
	snprintf(lock, sizeof(lock), "%s.lock", s->path);
	assert_int_equal(unlink(lock), 0);
	err = (struct err){0};
	assert_int_equal(open_again(s->path, NULL, &err), -EADDRINUSE);
	assert_non_null(strstr(err.msg, "it answers"));
	assert_alive(s);
}

static void test_stale_and_foreign_files(void **state)
{
	char dir[] = "/tmp/lbd-test-XXXXXX", path[64], lock[80];
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct err err = {0};
	FILE *f;
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/run/lbd.sock", dir); /* the directory is made */
	snprintf(lock, sizeof(lock), "%s.lock", path);
	assert_int_equal(open_again(path, NULL, &err), 0);
	assert_int_equal(access(path, F_OK), -1); /* and the file is gone afterwards */

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd); /* killed: the file stays, nobody answers */
	assert_int_equal(open_again(path, NULL, &err), 0);

	f = fopen(path, "w");
	fputs("precious\n", f);
	fclose(f);
	assert_int_equal(open_again(path, NULL, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "is not a socket"));
	assert_int_equal(access(path, F_OK), 0);

	err = (struct err){0};
	assert_int_equal(open_again(path, "no-such-group-here", &err), -ENOENT);
	assert_non_null(strstr(err.hint, "groupadd"));
	err = (struct err){0};
	assert_int_equal(open_again("", NULL, &err), -ENAMETOOLONG);
	err = (struct err){0};
	assert_int_equal(open_again("/nowhere/at/all/lbd.sock", NULL, &err), -ENOENT);

	unlink(path);
	unlink(lock);
	snprintf(path, sizeof(path), "%s/run", dir);
	rmdir(path);
	rmdir(dir);
}

/* ---- events ---- */

static void test_events(void **state)
{
	int follower = client(*state), fd = client(*state);
	json_t *j, *list;

	say(follower, "{\"v\":1,\"verb\":\"events\",\"args\":{\"follow\":true}}");
	j = hear_json(follower);
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "data"), "events")), 0);
	json_decref(j);
	for (int i = 1; i <= 3; i++) {
		say(fd, "{\"v\":1,\"verb\":\"change\",\"args\":{\"service\":\"web\"}}");
		json_decref(hear_json(fd));
		j = hear_json(follower);
		assert_int_equal(json_integer_value(json_object_get(j, "seq")), i);
		assert_string_equal(json_string_value(json_object_get(j, "service")), "web");
		assert_non_null(json_object_get(j, "time"));
		assert_non_null(json_object_get(j, "time_ns"));
		json_decref(j);
	}
	/* What a follower says is not listened to. */
	say(follower, "{\"v\":1,\"verb\":\"echo\"}");
	say(fd, "{\"v\":1,\"verb\":\"events\",\"args\":{\"since\":1}}");
	j = hear_json(fd);
	list = json_object_get(json_object_get(j, "data"), "events");
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "seq")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "data"), "next")), 4);
	json_decref(j);
	say(fd, "{\"v\":1,\"verb\":\"events\",\"args\":{\"last\":1}}");
	j = hear_json(fd);
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "data"), "events")), 1);
	json_decref(j);
	/* A number from before a restart of the daemon: everything is new. */
	say(fd, "{\"v\":1,\"verb\":\"events\",\"args\":{\"since\":5000}}");
	j = hear_json(fd);
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "data"), "events")), 3);
	json_decref(j);
	close(fd);
	close(follower);
}

/* A follower has no deadline while it is quiet, also when it said that it will say no more. */
static void test_quiet_follower(void **state)
{
	const struct timespec longer_than_idle = {.tv_nsec = 600000000};
	int follower = client(*state), fd;

	say(follower, "{\"v\":1,\"verb\":\"events\",\"args\":{\"follow\":true}}");
	json_decref(hear_json(follower));
	shutdown(follower, SHUT_WR);
	nanosleep(&longer_than_idle, NULL);
	fd = client(*state);
	say(fd, "{\"v\":1,\"verb\":\"flood\",\"args\":{\"n\":1}}");
	json_decref(hear_json(fd));
	json_decref(hear_json(follower));
	close(fd);
	close(follower);
}

static void test_ring(void **state)
{
	int fd = client(*state);
	json_t *j, *list;

	say(fd, "{\"v\":1,\"verb\":\"flood\",\"args\":{\"n\":2500}}");
	json_decref(hear_json(fd));
	say(fd, "{\"v\":1,\"verb\":\"events\"}");
	j = hear_json(fd);
	list = json_object_get(json_object_get(j, "data"), "events");
	assert_int_equal(json_array_size(list), 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(json_integer_value(json_object_get(json_array_get(list, i), "seq")),
				 1501 + i);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "data"), "oldest")), 1501);
	json_decref(j);
	close(fd);
}

/* Events come faster than a follower reads: it is dropped; one that reads gets them all. */
static void test_slow_follower(void **state)
{
	int slow = client(*state), good = client(*state), fd = client(*state);
	unsigned int seen = 0;

	say(slow, "{\"v\":1,\"verb\":\"events\",\"args\":{\"follow\":true}}");
	json_decref(hear_json(slow));
	say(good, "{\"v\":1,\"verb\":\"events\",\"args\":{\"follow\":true}}");
	json_decref(hear_json(good));
	for (int i = 0; i < 20; i++) {
		say(fd, "{\"v\":1,\"verb\":\"flood\",\"args\":{\"n\":500}}");
		json_decref(hear_json(fd));
		for (int k = 0; k < 500; k++, seen++)
			free(hear(good));
	}
	assert_int_equal(seen, 10000);
	for (unsigned int n = 0;; n++) {
		char *line = hear(slow);

		if (!line)
			break;
		assert_true(n < 10000);
		free(line);
	}
	close(slow);
	close(good);
	close(fd);
	assert_alive(*state);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, start, stop)
#define QUICK(f) cmocka_unit_test_setup_teardown(f, start_quick, stop)
	const struct CMUnitTest tests[] = {
		CASE(test_answers_in_order),
		CASE(test_byte_by_byte),
		CASE(test_bad_requests),
		CASE(test_candidates),
		CASE(test_nul_and_binary),
		CASE(test_deep_nesting),
		CASE(test_line_too_long),
		CASE(test_longest_line),
		CASE(test_half_line),
		QUICK(test_slow_line),
		QUICK(test_idle),
		CASE(test_too_many_clients),
		QUICK(test_never_reads),
		CASE(test_big_answer),
		CASE(test_rights),
		CASE(test_in_use),
		cmocka_unit_test(test_stale_and_foreign_files),
		CASE(test_events),
		QUICK(test_quiet_follower),
		CASE(test_ring),
		CASE(test_slow_follower),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
