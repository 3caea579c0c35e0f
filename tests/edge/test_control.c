// SPDX-License-Identifier: Apache-2.0
/* The control socket from outside: framing, limits, and everything that a bad client can do. */
#include "control_client.h"

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

static int runs_of_big(int fd)
{
	json_t *j;
	int runs;

	say(fd, "{\"v\":1,\"verb\":\"runs\"}");
	j = hear_json(fd);
	runs = (int)json_integer_value(json_object_get(json_object_get(j, "data"), "runs"));
	json_decref(j);
	return runs;
}

/* A client that reads slowly makes us hold one answer, however many it asked for. */
static void test_no_answer_ahead_of_its_reader(void **state)
{
	int greedy = client(*state), fd = client(*state);
	char byte[10000];
	size_t got = 0;

	for (int i = 0; i < 20; i++)
		say(greedy, "{\"v\":1,\"verb\":\"big\",\"args\":{\"bytes\":2000000}}");
	while (got < 1000000) {
		ssize_t n = recv(greedy, byte, sizeof(byte), 0);

		assert_true(n > 0);
		got += (size_t)n;
		assert_int_equal(runs_of_big(fd), 1);
	}
	/* When it does read, it gets them all. */
	for (int i = 0; i < 20; i++)
		free(hear(greedy));
	assert_int_equal(runs_of_big(fd), 20);
	close(greedy);
	close(fd);
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

int main(void)
{
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
		CASE(test_no_answer_ahead_of_its_reader),
		CASE(test_big_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
