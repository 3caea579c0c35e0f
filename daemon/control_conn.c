// SPDX-License-Identifier: Apache-2.0
/*
 * control_conn.c - one client: its bytes in, its bytes out, its deadlines.
 *
 * One request is answered at a time, and none is read while an answer is unsent: a client that does not read
 * can make us hold one answer, never more. Every state but "following with nothing to send" has a deadline,
 * so that silent clients do not use up the places. All functions may be called from within a handler of
 * another connection.
 */
#include "control_internal.h"
#include "core/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define READ_CHUNK 16384
#define OUT_KEEP 65536 /* a larger buffer is given back when it is empty */

void control_conn_free(struct control_conn *k)
{
	if (!k)
		return;
	LIST_REMOVE(k, link);
	k->control->n_conns--;
	sd_event_source_disable_unref(k->io);
	sd_event_source_disable_unref(k->timer);
	close(k->fd);
	framer_done(&k->in);
	free(k->out);
	free(k);
}
static void conn_freep(struct control_conn **k)
{
	control_conn_free(*k);
}

static size_t unsent(const struct control_conn *k)
{
	return k->out_len - k->out_sent;
}

static int queue(struct control_conn *k, const char *bytes, size_t n)
{
	size_t size = k->out_size ? k->out_size : 4096;
	char *out;

	if (k->out_sent) {
		memmove(k->out, k->out + k->out_sent, unsent(k));
		k->out_len -= k->out_sent;
		k->out_sent = 0;
	}
	while (size < k->out_len + n)
		size *= 2;
	if (size != k->out_size) {
		out = realloc(k->out, size);
		if (!out)
			return -ENOMEM;
		k->out = out;
		k->out_size = size;
	}
	memcpy(k->out + k->out_len, bytes, n);
	k->out_len += n;
	return 0;
}

/* Send what the socket takes now. Negative errno when the peer is gone. */
static int send_some(struct control_conn *k)
{
	while (unsent(k)) {
		ssize_t n = send(k->fd, k->out + k->out_sent, unsent(k), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		k->out_sent += (size_t)n;
	}
	k->out_sent = k->out_len = 0;
	if (k->out_size > OUT_KEEP) {
		free(k->out);
		k->out = NULL;
		k->out_size = 0;
	}
	return 0;
}

/* ---- deadlines and readiness ---- */

static unsigned int wait_ms(const struct control_conn *k)
{
	switch (k->wait) {
	case CONN_WAIT_IDLE:
		return k->control->limits.idle_ms;
	case CONN_WAIT_LINE:
		return k->control->limits.line_ms;
	default:
		return k->control->limits.send_ms;
	}
}

/* Go on waiting for @wait; the time begins anew when it is something else than before, or @progress was made.
 */
static int conn_wait(struct control_conn *k, enum conn_wait wait, bool progress)
{
	int r;

	if (wait == k->wait && !progress)
		return 0;
	k->wait = wait;
	if (wait == CONN_WAIT_FOLLOW)
		return sd_event_source_set_enabled(k->timer, SD_EVENT_OFF);
	r = sd_event_source_set_time_relative(k->timer, (uint64_t)wait_ms(k) * 1000);
	return r < 0 ? r : sd_event_source_set_enabled(k->timer, SD_EVENT_ONESHOT);
}

static bool line_ready(struct control_conn *k)
{
	const char *line;
	size_t len;

	return !k->closing && !k->following && framer_next(&k->in, &line, &len) == FRAMER_LINE;
}

/* What to wait for after something happened. Negative: the connection is over. */
static int conn_settle(struct control_conn *k, size_t unsent_before)
{
	bool sending = unsent(k) > 0, more = line_ready(k);
	uint32_t events = 0;
	int r;

	if (!sending && (k->closing || (k->eof && !more && !k->following)))
		return -ECONNRESET;
	/* A further request already here: come back by way of the loop, so that others get their turn. */
	if (sending || more)
		events |= EPOLLOUT;
	if (!k->eof && !k->closing && (!sending || k->following))
		events |= EPOLLIN;
	r = sd_event_source_set_io_events(k->io, events);
	if (r < 0)
		return r;
	if (sending)
		return conn_wait(k, CONN_WAIT_SEND, unsent(k) < unsent_before);
	if (k->following)
		return conn_wait(k, CONN_WAIT_FOLLOW, false);
	return conn_wait(k, k->in.len ? CONN_WAIT_LINE : CONN_WAIT_IDLE, more);
}

/* ---- requests ---- */

static int answer(struct control_conn *k, json_t *doc)
{
	_cleanup_free_ char *line = NULL;
	size_t len;

	line = doc ? response_line(doc, &len) : NULL;
	json_decref(doc);
	if (!line)
		return -ENOMEM;
	return queue(k, line, len);
}

static int answer_error(struct control_conn *k, int code, const char *message, const char *hint)
{
	struct err err = {0};

	err_set(&err, code, "%s", message);
	if (hint)
		err_hint(&err, "%s", hint);
	k->closing = true;
	return answer(k, response_error(&err, NULL));
}

static int serve_line(struct control_conn *k, const char *line, size_t len)
{
	_cleanup_free_ char *out = NULL;
	json_t *doc = control_serve(k, line, len);
	size_t n = 0;

	framer_drop(&k->in, len);
	out = doc ? response_line(doc, &n) : NULL;
	json_decref(doc);
	if (!out)
		return -ENOMEM;
	if (n > k->control->limits.answer_bytes)
		return answer_error(k, -EMSGSIZE, "the answer is larger than the control socket allows",
				    "ask for one service");
	return queue(k, out, n);
}

/* At most one request per turn. */
static int serve_next(struct control_conn *k)
{
	const char *line;
	size_t len;

	if (k->closing || k->following || unsent(k))
		return 0;
	switch (framer_next(&k->in, &line, &len)) {
	case FRAMER_LINE:
		return serve_line(k, line, len);
	case FRAMER_TOO_LONG:
		return answer_error(k, -EINVAL, "request: longer than 64 KiB", NULL);
	case FRAMER_MORE:
		break;
	}
	if (k->eof && k->in.len)
		return answer_error(k, -EINVAL, "request: it ends without a newline", NULL);
	return 0;
}

/* ---- the loop's callbacks ---- */

static int read_some(struct control_conn *k)
{
	char chunk[READ_CHUNK];
	ssize_t n = recv(k->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0) {
		k->eof = true;
		return 0;
	}
	/* A follower has nothing more to say: read, so that it does not wake us again, and forget. */
	return k->following ? 0 : framer_add(&k->in, chunk, (size_t)n);
}

static int conn_turn(struct control_conn *k, uint32_t revents)
{
	size_t before = unsent(k);
	int r = 0;

	/* Both directions are shut: nobody is there to read an answer. */
	if (revents & (EPOLLHUP | EPOLLERR))
		return -ECONNRESET;
	if (revents & EPOLLIN)
		r = read_some(k);
	if (!r)
		r = send_some(k);
	if (!r)
		r = serve_next(k);
	if (!r)
		r = send_some(k);
	return r ? r : conn_settle(k, before);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct control_conn *k = userdata;

	if (conn_turn(k, revents) < 0)
		control_conn_free(k);
	return 0;
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct control_conn *k = userdata;
	int r = -ETIMEDOUT;

	if (k->wait == CONN_WAIT_LINE) {
		size_t before = unsent(k);

		r = answer_error(k, -ETIMEDOUT, "request: not complete in time",
				 "end each request with a newline");
		if (!r)
			r = send_some(k);
		if (!r)
			r = conn_settle(k, before);
	}
	if (r < 0)
		control_conn_free(k);
	return 0;
}

void control_conn_push(struct control_conn *k, const char *line, size_t len)
{
	size_t before = unsent(k);

	if (before + len > k->control->limits.follower_bytes || queue(k, line, len) || send_some(k) ||
	    conn_settle(k, before) < 0)
		control_conn_free(k);
}

int control_conn_new(struct control *c, int fd, const struct control_peer *peer)
{
	_cleanup_(conn_freep) struct control_conn *k = NULL;
	int r;

	k = calloc(1, sizeof(*k));
	if (!k) {
		close(fd);
		return -ENOMEM;
	}
	k->control = c;
	k->fd = fd;
	k->peer = *peer;
	k->wait = CONN_WAIT_IDLE;
	LIST_INSERT_HEAD(&c->conns, k, link);
	c->n_conns++;
	r = sd_event_add_io(c->event, &k->io, fd, EPOLLIN, on_io, k);
	if (r >= 0)
		r = sd_event_add_time_relative(c->event, &k->timer, CLOCK_MONOTONIC,
					       (uint64_t)wait_ms(k) * 1000, 10000, on_deadline, k);
	if (r < 0)
		return r;
	(void)take_ptr(k);
	return 0;
}
