// SPDX-License-Identifier: Apache-2.0
/* The control socket's file: who may use it, who holds it, what is replaced and what is left alone. */
#include "control_client.h"

#include <grp.h>
#include <sys/stat.h>

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
	assert_non_null(strstr(err.msg, "it holds the lock")); /* also one that is too busy to answer */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_rights),
		CASE(test_in_use),
		cmocka_unit_test(test_stale_and_foreign_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
