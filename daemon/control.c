// SPDX-License-Identifier: Apache-2.0
/* control.c - see control.h: accepting, dispatching requests to the table of verbs, sending events. */
#include "control_internal.h"
#include "core/cleanup.h"
#include "core/diag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define VERBS_MAX 64
#define ACCEPTS_PER_SECOND 1000

/* ---- dispatch ---- */

static const struct control_verb *find_verb(const struct control *c, const char *name)
{
	for (const struct control_verb *v = c->verbs; v->name; v++)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

static int unknown_verb(const struct control *c, const char *name, json_t **details, struct err *err)
{
	const char *names[VERBS_MAX + 2] = {"events"};
	unsigned int n = 1;
	const char *near;

	for (const struct control_verb *v = c->verbs; v->name && n <= VERBS_MAX; v++)
		names[n++] = v->name;
	near = diag_suggest(name, names);
	if (near) {
		*details = json_pack("{s:[s]}", "candidates", near);
		err_hint(err, "did you mean \"%s\"?", near);
	}
	return err_set(err, -EINVAL, "this lbd knows no verb \"%s\"", name);
}

static int denied(const struct control_conn *k, const char *verb, struct err *err)
{
	const struct control_socket *s = &k->control->socket;

	err_set(err, -EPERM, "\"%s\" changes the balancer: user id %u may only look", verb, k->peer.uid);
	if (s->group[0])
		err_hint(err,
			 "become root, or a member of group \"%s\" (usermod -aG %s USER, then log in again)",
			 s->group, s->group);
	else
		err_hint(err, "become root; or name a group by `control: group` in the configuration");
	return -EPERM;
}

static int run_events(struct control_conn *k, json_t *args, json_t **data, struct err *err)
{
	json_int_t since = 0, last = CONTROL_EVENTS;
	int follow = 0, r;

	r = request_unpack(args, err, "{s?b, s?I, s?I}", "follow", &follow, "since", &since, "last", &last);
	if (r)
		return r;
	if (since < 0 || last < 0)
		return err_set(err, -EINVAL, "arguments: \"since\" and \"last\" are not negative");
	*data = control_events_document(&k->control->events, (uint64_t)since, (uint64_t)last);
	if (!*data)
		return err_set(err, -ENOMEM, "out of memory");
	k->following = follow;
	return 0;
}

static int run_request(struct control_conn *k, const struct request *req, json_t **data, struct err *err)
{
	const struct control_verb *v = find_verb(k->control, req->verb);

	if (!v && !strcmp(req->verb, "events"))
		return run_events(k, req->args, data, err);
	if (!v)
		return unknown_verb(k->control, req->verb, data, err);
	if (v->changes && !k->peer.may_change)
		return denied(k, v->name, err);
	return v->run(k->control->userdata, req->args, data, err);
}

json_t *control_serve(struct control_conn *k, const char *line, size_t len)
{
	struct err err = {0};
	struct request req;
	json_t *data = NULL;
	int r;

	r = request_decode(line, len, &req, &err);
	if (!r)
		r = run_request(k, &req, &data, &err);
	request_done(&req);
	if (!r)
		return response_ok(data);
	err_set(&err, r, "%s", strerror(-r));
	return response_error(&err, data);
}

/* ---- events ---- */

void control_event(struct control *c, json_t *event)
{
	struct control_conn *k, *next;
	const char *line;
	size_t len;

	if (!c)
		return;
	line = control_events_add(&c->events, event, &len);
	if (!line)
		return;
	for (k = LIST_FIRST(&c->conns); k; k = next) {
		next = LIST_NEXT(k, link);
		if (k->following)
			control_conn_push(k, line, len);
	}
}

/* ---- listening ---- */

/* Say why, if it fits into the socket's buffer, and hang up. */
static void turn_away(int fd)
{
	struct err err = {0};
	_cleanup_free_ char *line = NULL;
	json_t *doc;
	size_t len;

	err_set(&err, -EBUSY, "too many clients are connected to lbd");
	err_hint(&err, "end some of them (ss -xp shows who they are) and try again");
	doc = response_error(&err, NULL);
	line = doc ? response_line(doc, &len) : NULL;
	json_decref(doc);
	if (line)
		(void)!send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static int on_accept(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct control *c = userdata;
	struct control_peer peer;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	/* Out of descriptors, or the peer left already: both pass; the loop comes back while somebody waits.
	 */
	if (conn < 0)
		return 0;
	if (c->n_conns >= c->limits.clients) {
		turn_away(conn);
		return 0;
	}
	if (control_peer_get(&c->socket, conn, &peer)) {
		close(conn);
		return 0;
	}
	(void)control_conn_new(c, conn, &peer);
	return 0;
}

static void set_limits(struct control_limits *l)
{
#define DEFAULT(field, value) l->field = l->field ? l->field : (value)
	DEFAULT(clients, 64);
	DEFAULT(line_ms, 10000);
	DEFAULT(idle_ms, 60000);
	DEFAULT(send_ms, 10000);
	DEFAULT(answer_bytes, 64u << 20);
	DEFAULT(follower_bytes, 8u << 20);
#undef DEFAULT
}

static void controlp_free(struct control **c)
{
	control_free(*c);
}

int control_new(struct control **out, sd_event *event, const struct control_options *o, struct err *err)
{
	_cleanup_(controlp_free) struct control *c = NULL;
	int r;

	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(err, -ENOMEM, "control: out of memory");
	c->socket = (struct control_socket){.fd = -1, .lock_fd = -1};
	c->verbs = o->verbs;
	c->userdata = o->userdata;
	c->limits = o->limits;
	set_limits(&c->limits);
	LIST_INIT(&c->conns);
	control_events_init(&c->events);
	c->event = sd_event_ref(event);
	r = control_socket_open(&c->socket, o->path, o->group, err);
	if (r)
		return r;
	r = sd_event_add_io(event, &c->accept, c->socket.fd, EPOLLIN, on_accept, c);
	if (r < 0)
		return err_set(err, r, "control: event loop: %s", strerror(-r));
	/* After the clients: those who leave make room before new ones are counted. */
	(void)sd_event_source_set_priority(c->accept, SD_EVENT_PRIORITY_NORMAL + 10);
	(void)sd_event_source_set_ratelimit(c->accept, 1000000, ACCEPTS_PER_SECOND);
	*out = take_ptr(c);
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (!LIST_EMPTY(&c->conns))
		control_conn_free(LIST_FIRST(&c->conns));
	sd_event_source_disable_unref(c->accept);
	sd_event_unref(c->event);
	control_socket_close(&c->socket);
	control_events_done(&c->events);
	free(c);
}
