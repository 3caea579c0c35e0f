// SPDX-License-Identifier: Apache-2.0
/* The log's lines: form, levels, and that no value can forge a line. stderr is a pipe here. */
#include "log.h"
#include "core/cleanup.h"

#include <errno.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static int real_stderr, pipe_read;

static int capture(void **state)
{
	int fds[2];

	real_stderr = dup(STDERR_FILENO);
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	pipe_read = fds[0];
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	close(fds[1]);
	unsetenv("JOURNAL_STREAM");
	log_open(LOG_LEVEL_INFO);
	return 0;
}

static int restore(void **state)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(pipe_read);
	return 0;
}

/* What was written since, without the time; the time's form is checked. */
static const char *line(void)
{
	static char text[4096];
	ssize_t n = read(pipe_read, text, sizeof(text) - 1);

	if (n < 0)
		return "";
	text[n] = '\0';
	assert_true(n > 25 && text[4] == '-' && text[10] == 'T' && text[19] == '.' && text[23] == 'Z' && text[24] == ' ');
	return text + 25;
}

static void test_form(void **state)
{
	struct err e = {0};

	log_event(LOG_LEVEL_WARNING, "backend_state", "went down", "service", "web", "why", "no answer", NULL);
	assert_string_equal(line(), "warning backend_state went down service=web why=\"no answer\"\n");
	log_info("started with %d services", 3);
	assert_string_equal(line(), "info message started with 3 services\n");
	log_err(&e);
	assert_string_equal(line(), "");
	err_set(&e, -EINVAL, "port 0 is no port");
	log_err(&e);
	assert_string_equal(line(), "error error port 0 is no port\n");
	err_hint(&e, "use 1 to 65535");
	log_err(&e);
	assert_string_equal(line(), "error error port 0 is no port hint=\"use 1 to 65535\"\n");
}

static void test_levels(void **state)
{
	log_event(LOG_LEVEL_DEBUG, "x", "y", NULL);
	assert_string_equal(line(), "");
	log_open(LOG_LEVEL_DEBUG);
	log_event(LOG_LEVEL_DEBUG, "x", "y", NULL);
	assert_string_equal(line(), "debug x y\n");
	log_open(LOG_LEVEL_ERROR);
	log_warning("no");
	assert_string_equal(line(), "");
}

static void test_values(void **state)
{
	static const struct {
		const char *value, *shown;
	} cases[] = {
		{"plain", "plain"},
		{"", "\"\""},
		{"a b", "\"a b\""},
		{"k=v", "\"k=v\""},
		{"say \"hi\" \\ now", "\"say \\\"hi\\\" \\\\ now\""},
		{"two\nlines", "two\\x0alines"},
		{"esc\033[31m", "esc\\x1b[31m"},
		{"gr\303\274n", "gr\303\274n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char want[128];

		snprintf(want, sizeof(want), "info e m v=%s\n", cases[i].shown);
		log_event(LOG_LEVEL_INFO, "e", "m", "v", cases[i].value, NULL);
		assert_string_equal(line(), want);
	}
	log_event(LOG_LEVEL_INFO, "e", "forged\n2026 error", NULL);
	assert_string_equal(line(), "info e forged\\x0a2026 error\n");
}

static void test_too_long(void **state)
{
	char big[9000];
	const char *l;

	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_event(LOG_LEVEL_INFO, "e", big, "k", big, NULL);
	l = line();
	assert_int_equal(strlen(l) + 25, 2047);
	assert_non_null(strchr(l, '\n'));
	assert_int_equal(strchr(l, '\n')[1], '\0');
	log_msg(LOG_LEVEL_INFO, "%s", big);
	assert_int_equal(strlen(line()) + 25, 2047);
}

/* The variable alone is no proof: a shell below a unit inherits it. */
static void test_foreign_journal_stream(void **state)
{
	struct stat st;
	char value[64];

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(value, sizeof(value), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino + 1);
	for (int i = 0; i < 2; i++) {
		setenv("JOURNAL_STREAM", i ? "nonsense" : value, 1);
		log_open(LOG_LEVEL_INFO);
		log_event(LOG_LEVEL_INFO, "e", "m", NULL);
		assert_string_equal(line(), "info e m\n");
	}
	snprintf(value, sizeof(value), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", value, 1);
	log_open(LOG_LEVEL_INFO);
	log_event(LOG_LEVEL_INFO, "e", "m", "bad key!", "v", NULL); /* to the journal, whether there is one or not */
	assert_string_equal(line(), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, capture, restore)
	const struct CMUnitTest tests[] = {
		TEST(test_form),   TEST(test_levels),		      TEST(test_values),
		TEST(test_too_long), TEST(test_foreign_journal_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
