// SPDX-License-Identifier: Apache-2.0
/* client.c - see client.h. */
#include "client.h"
#include "show.h"
#include "core/cleanup.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#define ANSWER_LIMIT_S 30

/* ---- connecting ---- */

static int no_daemon(const struct lbctl *ctx, const char *what)
{
	return lbctl_fail(LBCTL_UNREACHABLE,
			  "start it with `systemctl start lbd` or `lbd -c " LBCTL_CONFIG_DEFAULT
			  "`; or name its socket with --socket or $LBD_SOCKET",
			  "lbd is not running, or uses another socket: %s: %s", ctx->socket, what);
}

static int no_permission(const struct lbctl *ctx)
{
	const struct passwd *pw = getpwuid(geteuid());
	const struct group *gr = NULL;
	char user[64], hint[200];
	struct stat st;

	snprintf(user, sizeof(user), "%s", pw ? pw->pw_name : "you");
	if (stat(ctx->socket, &st) == 0 && st.st_gid != 0)
		gr = getgrgid(st.st_gid);
	if (!gr)
		return lbctl_fail(LBCTL_DENIED,
				  "use sudo; or let lbd share its socket with a group (`control: group` in "
				  "its configuration)",
				  "%s: permission denied: only root may use it", ctx->socket);
	snprintf(hint, sizeof(hint), "use sudo; or `usermod -aG %s %s` as root, then log in again",
		 gr->gr_name, user);
	return lbctl_fail(LBCTL_DENIED, hint, "%s: permission denied: user \"%s\" is not in group \"%s\"",
			  ctx->socket, user, gr->gr_name);
}

int client_open(const struct lbctl *ctx, struct client *c)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};

	*c = CLIENT_INIT;
	if (strlen(ctx->socket) >= sizeof(sa.sun_path))
		return lbctl_fail(LBCTL_USAGE, NULL, "a socket's path has at most %zu characters",
				  sizeof(sa.sun_path) - 1);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", ctx->socket);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return lbctl_fail(LBCTL_FAILED, NULL, "socket: %s", strerror(errno));
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(c->fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return LBCTL_OK;
	if (errno == EACCES || errno == EPERM)
		return no_permission(ctx);
	return no_daemon(ctx, errno == ENOENT         ? "there is no such socket"
			      : errno == ECONNREFUSED ? "nobody answers on it"
						      : strerror(errno));
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->buf);
	*c = CLIENT_INIT;
}

/* ---- lines ---- */

static int make_room(struct client *c)
{
	char *buf;

	if (c->at) {
		memmove(c->buf, c->buf + c->at, c->len - c->at);
		c->len -= c->at;
		c->at = 0;
	}
	if (c->len + 1 < c->size)
		return 0;
	if (c->size >= CLIENT_ANSWER_MAX)
		return -EMSGSIZE;
	buf = realloc(c->buf, c->size ? c->size * 2 : 16384);
	if (!buf)
		return -ENOMEM;
	c->size = c->size ? c->size * 2 : 16384;
	c->buf = buf;
	return 0;
}

/* 1: *line is the next one; 0: the other side ended; negative errno. */
static int next_line(struct client *c, char **line)
{
	size_t scanned = c->at;

	for (;;) {
		char *nl = c->len > scanned ? memchr(c->buf + scanned, '\n', c->len - scanned) : NULL;
		ssize_t n;
		int r;

		if (nl) {
			*nl = '\0';
			*line = c->buf + c->at;
			c->at = (size_t)(nl - c->buf) + 1;
			return 1;
		}
		scanned = c->len - c->at; /* where it will be when make_room() has moved it to the front */
		r = make_room(c);
		if (r)
			return r;
		n = recv(c->fd, c->buf + c->len, c->size - c->len, 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			c->len += (size_t)n;
	}
}

/*
 * The socket's own time limit is for answers; events may be hours apart. Whoever reads our output may leave
 * meanwhile
 * (`lbctl events -f | head`): poll tells of that too.
 */
static bool wait_for_bytes(const struct client *c)
{
	struct pollfd p[] = {{.fd = c->fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};

	while (!p[0].revents) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return false;
		if (p[1].revents)
			return false;
	}
	return true;
}

int client_line(const struct lbctl *ctx, struct client *c, char **line)
{
	int r;

	*line = NULL;
	do {
		if (!memchr(c->buf + c->at, '\n', c->len - c->at) && !wait_for_bytes(c))
			return LBCTL_OK;
		r = next_line(c, line);
	} while (r == -EAGAIN);
	if (r < 0)
		return lbctl_fail(LBCTL_FAILED, NULL, "reading from lbd: %s", strerror(-r));
	return r ? LBCTL_OK
		 : lbctl_fail(LBCTL_UNREACHABLE, NULL, "lbd ended, or this reader was too slow for it");
}

/* ---- asking ---- */

static bool send_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t done = send(fd, bytes, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		bytes += done;
		n -= (size_t)done;
	}
	return true;
}

static int refused(const struct lbctl *ctx, const json_t *answer)
{
	const json_t *e = json_object_get(answer, "error");
	const char *code = show_get_text(e, "code"), *hint = show_get_text(e, "hint");
	int exit_code = !strcmp(code, "denied")                                  ? LBCTL_DENIED
			: !strcmp(code, "invalid") || !strcmp(code, "not_found") ? LBCTL_INVALID
										 : LBCTL_FAILED;

	if (ctx->json)
		show_json(answer);
	show_diags(json_object_get(e, "diagnostics"), stderr);
	return lbctl_fail(exit_code, hint, "%s", show_get_text(e, "message"));
}

static int read_answer(const struct lbctl *ctx, struct client *c, json_t **data)
{
	json_error_t where;
	json_t *answer;
	char *line;
	int r = next_line(c, &line);

	if (r == -EAGAIN)
		return lbctl_fail(LBCTL_UNREACHABLE,
				  "is it stopped, or very busy? see `systemctl status lbd`",
				  "lbd did not answer within %d seconds", ANSWER_LIMIT_S);
	if (r < 0)
		return lbctl_fail(LBCTL_FAILED, NULL, "reading from lbd: %s", strerror(-r));
	if (r == 0)
		return lbctl_fail(LBCTL_UNREACHABLE, "see its log: journalctl -u lbd",
				  "lbd hung up without an answer");
	answer = json_loads(line, 0, &where);
	if (!json_is_object(answer) || json_integer_value(json_object_get(answer, "v")) != 1) {
		json_decref(answer);
		return lbctl_fail(LBCTL_FAILED, "are lbctl and lbd of the same version?",
				  "%s: what answers there does not speak lbd's protocol", ctx->socket);
	}
	if (json_is_true(json_object_get(answer, "ok"))) {
		*data = json_incref(json_object_get(answer, "data"));
		r = LBCTL_OK;
	} else {
		r = refused(ctx, answer);
	}
	json_decref(answer);
	return r;
}

int client_ask(const struct lbctl *ctx, struct client *c, const char *verb, json_t *args, json_t **data)
{
	json_t *request =
		json_pack("{s:i, s:s, s:o}", "v", 1, "verb", verb, "args", args ? args : json_object());
	_cleanup_free_ char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;

	json_decref(request);
	*data = NULL;
	if (!line)
		return lbctl_fail(LBCTL_FAILED, NULL, "out of memory");
	/* When sending fails the daemon may have said why before it hung up: look for an answer all the same.
	 */
	if (send_all(c->fd, line, strlen(line)))
		(void)send_all(c->fd, "\n", 1);
	return read_answer(ctx, c, data);
}

int client_call(const struct lbctl *ctx, const char *verb, json_t *args, json_t **data)
{
	_cleanup_(client_closep) struct client c = CLIENT_INIT;
	int r = client_open(ctx, &c);

	*data = NULL;
	if (r) {
		json_decref(args);
		return r;
	}
	return client_ask(ctx, &c, verb, args, data);
}

int client_show(struct lbctl *ctx, const char *verb, json_t *args,
		void (*print)(const json_t *doc, struct lbctl *ctx))
{
	json_t *doc;
	int r = client_call(ctx, verb, args, &doc);

	if (r)
		return r;
	if (ctx->json)
		show_json(doc);
	else
		print(doc, ctx);
	json_decref(doc);
	return LBCTL_OK;
}
