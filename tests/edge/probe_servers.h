/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_servers.h - real servers on loopback for the prober's tests, in the same event loop, each with one
 * habit. Included by one test file each; everything is static.
 */
#pragma once
#include "core/cleanup.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

enum habit {
	ACCEPT,     /* takes connections and closes them at the client's end */
	SILENT,     /* its queue is full: SYNs are dropped */
	REPLY,      /* reads a request, answers `reply`, closes */
	REPLY_OPEN, /* the same, without closing */
	GREET, /* sends `reply` at once, whatever the client wants */
	MUTE,       /* takes connections, never says anything */
	SLAM,       /* closes with a reset as soon as a request is there */
	TRICKLE,    /* `reply`, one byte every 20 ms */
	FLOOD,      /* `reply`, then for ever `flood` */
	UDP_REPLY,  /* answers every datagram by `reply` */
	UDP_SECOND, /* answers only every second datagram */
	UDP_MUTE,
};

#define SERVER_CONNS 64

struct server {
	sd_event *event;
	enum habit habit;
	int family;
	int fd;
	__u16 port;
	const char *reply;
	size_t reply_len; /* 0: strlen */
	const char *flood;
	unsigned int accepted, datagrams;
	char request[4096]; /* of the last connection that spoke */
	sd_event_source *source;
	struct conn {
		struct server *server;
		int fd;
		size_t sent, got;
		sd_event_source *io, *timer;
	} conns[SERVER_CONNS];
	int fillers[8];
};

static void conn_close(struct conn *c)
{
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->timer);
	c->io = c->timer = NULL;
	cleanup_closep(&c->fd);
	c->fd = -1;
}

static size_t reply_len(const struct server *s)
{
	return s->reply_len ? s->reply_len : strlen(s->reply);
}

static int on_trickle(sd_event_source *es, uint64_t usec, void *userdata)
{
	struct conn *c = userdata;

	if (c->sent >= reply_len(c->server) ||
	    send(c->fd, c->server->reply + c->sent++, 1, MSG_NOSIGNAL) != 1)
		return 0;
	sd_event_source_set_time_relative(es, 20000);
	return sd_event_source_set_enabled(es, SD_EVENT_ONESHOT);
}

static void conn_flood(struct conn *c)
{
	char chunk[4096] = "";
	size_t len = strlen(c->server->flood), n = 0;

	for (; n + len < sizeof(chunk); n += len)
		memcpy(chunk + n, c->server->flood, len);
	if (send(c->fd, chunk, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
		conn_close(c);
}

static void conn_answer(struct conn *c)
{
	struct server *s = c->server;
	const struct linger reset = {.l_onoff = 1};

	switch (s->habit) {
	case REPLY:
	case REPLY_OPEN:
	case FLOOD:
		if (send(c->fd, s->reply, reply_len(s), MSG_NOSIGNAL) < 0 || s->habit == REPLY)
			conn_close(c);
		else if (s->habit == FLOOD)
			sd_event_source_set_io_events(c->io, EPOLLOUT);
		break;
	case SLAM:
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		conn_close(c);
		break;
	case TRICKLE:
		sd_event_add_time_relative(s->event, &c->timer, CLOCK_MONOTONIC, 1000, 1000, on_trickle, c);
		break;
	default:
		break;
	}
}

static int on_conn(sd_event_source *es, int fd, uint32_t revents, void *userdata)
{
	struct conn *c = userdata;
	struct server *s = c->server;
	ssize_t n;

	if (revents & EPOLLOUT) {
		conn_flood(c);
		return 0;
	}
	n = recv(fd, s->request + c->got, sizeof(s->request) - 1 - c->got, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		conn_close(c);
		return 0;
	}
	c->got += (size_t)n;
	s->request[c->got] = 0;
	if (strstr(s->request, "\r\n\r\n"))
		conn_answer(c);
	return 0;
}

static int on_accept(sd_event_source *es, int fd, uint32_t revents, void *userdata)
{
	struct server *s = userdata;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (conn < 0)
		return 0;
	s->accepted++;
	for (int i = 0; i < SERVER_CONNS; i++) {
		struct conn *c = &s->conns[i];

		if (c->fd >= 0)
			continue;
		*c = (struct conn){.server = s, .fd = conn};
		if (s->habit == GREET)
			(void)!send(conn, s->reply, reply_len(s), MSG_NOSIGNAL);
		return sd_event_add_io(s->event, &c->io, conn, EPOLLIN, on_conn, c);
	}
	close(conn);
	return 0;
}

static int on_datagram(sd_event_source *es, int fd, uint32_t revents, void *userdata)
{
	struct server *s = userdata;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, s->request, sizeof(s->request) - 1, MSG_DONTWAIT, (struct sockaddr *)&from,
			     &len);

	if (n < 0)
		return 0;
	s->request[n] = 0;
	s->datagrams++;
	if (s->habit == UDP_REPLY || (s->habit == UDP_SECOND && s->datagrams % 2 == 0))
		sendto(fd, s->reply, reply_len(s), 0, (struct sockaddr *)&from, len);
	return 0;
}

static socklen_t loopback(int family, __u16 port, struct sockaddr_storage *ss)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		sin->sin_port = htons(port);
		sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*sin);
	}
	sin6->sin6_port = htons(port);
	sin6->sin6_addr = in6addr_loopback;
	return sizeof(*sin6);
}

/* Connections that nobody accepts fill the queue; the kernel then drops further SYNs, as a dead host would.
 */
static void fill_queue(struct server *s)
{
	struct sockaddr_storage ss;
	socklen_t len = loopback(s->family, s->port, &ss);

	for (size_t i = 0; i < ARRAY_SIZE(s->fillers); i++) {
		s->fillers[i] = socket(s->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(s->fillers[i], (struct sockaddr *)&ss, len);
	}
}

static inline void server_start(struct server *s, sd_event *event, int family, enum habit habit)
{
	bool udp = habit >= UDP_REPLY;
	struct sockaddr_storage ss;
	socklen_t len = loopback(family, 0, &ss);
	int r;

	s->event = event;
	s->habit = habit;
	s->family = family;
	for (int i = 0; i < SERVER_CONNS; i++)
		s->conns[i].fd = -1;
	memset(s->fillers, -1, sizeof(s->fillers));
	s->fd = socket(family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	r = bind(s->fd, (struct sockaddr *)&ss, len);
	assert_int_equal(r, 0);
	len = sizeof(ss);
	r = getsockname(s->fd, (struct sockaddr *)&ss, &len);
	assert_int_equal(r, 0);
	s->port = ntohs(((struct sockaddr_in *)&ss)->sin_port);
	if (!udp)
		r = listen(s->fd, habit == SILENT ? 0 : 1024);
	assert_int_equal(r, 0);
	if (habit == SILENT)
		fill_queue(s);
	else
		sd_event_add_io(event, &s->source, s->fd, EPOLLIN, udp ? on_datagram : on_accept, s);
}

static inline void server_stop(struct server *s)
{
	sd_event_source_disable_unref(s->source);
	s->source = NULL;
	for (int i = 0; i < SERVER_CONNS; i++)
		conn_close(&s->conns[i]);
	for (size_t i = 0; i < ARRAY_SIZE(s->fillers); i++)
		cleanup_closep(&s->fillers[i]);
	cleanup_closep(&s->fd);
	s->fd = -1;
}

/* A port on which nobody listens: bound, so that nobody else gets it, and not listening. */
static inline int closed_port(int family, int type, __u16 *port)
{
	struct sockaddr_storage ss;
	socklen_t len = loopback(family, 0, &ss);
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	int r = bind(fd, (struct sockaddr *)&ss, len);

	assert_int_equal(r, 0);
	len = sizeof(ss);
	r = getsockname(fd, (struct sockaddr *)&ss, &len);
	assert_int_equal(r, 0);
	*port = ntohs(((struct sockaddr_in *)&ss)->sin_port);
	/* A bound datagram socket would take the datagram. */
	if (type == SOCK_DGRAM)
		cleanup_closep(&fd);
	return fd;
}
