// SPDX-License-Identifier: Apache-2.0
/*
 * http.c - see http.h.
 *
 * libmicrohttpd runs nothing by itself here: whenever its epoll descriptor is readable, or the time-out that
 * it names has come, MHD_run() is called. After each call its next time-out goes into our timer: without
 * that, idle connections would only end when another request arrives.
 */
#include "http.h"
#include "core/cleanup.h"
#include "core/metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct http {
	struct MHD_Daemon *daemon;
	sd_event_source *io, *timer;
	struct http_options o;
	__u16 port;
};

/* ---- answers ---- */

static enum MHD_Result reply(struct MHD_Connection *conn, unsigned int status, const char *type, char *text,
			     size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result ok;

	if (!r) {
		free(text);
		return MHD_NO;
	}
	ok = MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (ok && status == MHD_HTTP_METHOD_NOT_ALLOWED)
		ok = MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (ok)
		ok = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result reply_line(struct MHD_Connection *conn, unsigned int status, const char *line)
{
	char *text;

	if (asprintf(&text, "%s\n", line) < 0)
		return MHD_NO;
	return reply(conn, status, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result serve_metrics(struct http *h, struct MHD_Connection *conn)
{
	size_t len = 0;
	char *text = h->o.metrics(h->o.userdata, &len);

	if (!text)
		return reply_line(conn, MHD_HTTP_INTERNAL_SERVER_ERROR, "no numbers: out of memory");
	return reply(conn, MHD_HTTP_OK, METRICS_CONTENT_TYPE, text, len);
}

static enum MHD_Result serve_health(struct http *h, struct MHD_Connection *conn)
{
	char why[256] = "";

	if (!h->o.healthy || h->o.healthy(h->o.userdata, why, sizeof(why)))
		return reply_line(conn, MHD_HTTP_OK, "ok");
	return reply_line(conn, MHD_HTTP_SERVICE_UNAVAILABLE, why);
}

static enum MHD_Result serve(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
			     const char *version, const char *body, size_t *body_size, void **con_cls)
{
	static int headers_seen;
	struct http *h = cls;

	/* First call: headers only. Answering now would close the connection under a body still on its way.
	 */
	if (!*con_cls) {
		*con_cls = &headers_seen;
		return MHD_YES;
	}
	if (*body_size) { /* nobody needs to send us anything: read and forget */
		*body_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return reply_line(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET");
	if (!strcmp(url, "/metrics"))
		return serve_metrics(h, conn);
	if (!strcmp(url, "/healthz"))
		return serve_health(h, conn);
	return reply_line(conn, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz");
}

/* ---- event loop ---- */

static int run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;

	(void)MHD_run(h->daemon);
	if (MHD_get_timeout(h->daemon, &ms) != MHD_YES)
		return sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	(void)sd_event_source_set_time_relative(h->timer, (uint64_t)ms * 1000);
	return sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	return run(userdata);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	return run(userdata);
}

/* ---- set-up ---- */

union any_addr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6; /* "::" listens for IPv4 as well */
};

/* Returns the length of the address. */
static socklen_t fill_addr(union any_addr *sa, const struct lb_addr *a, __u16 port)
{
	memset(sa, 0, sizeof(*sa));
	if (addr_is_v4(a)) {
		sa->v4.sin_family = AF_INET;
		sa->v4.sin_port = htons(port);
		sa->v4.sin_addr.s_addr = addr_v4_be(a);
		return sizeof(sa->v4);
	}
	sa->v6.sin6_family = AF_INET6;
	sa->v6.sin6_port = htons(port);
	memcpy(&sa->v6.sin6_addr, a->b, sizeof(sa->v6.sin6_addr));
	return sizeof(sa->v6);
}

static int listen_on(const struct http_options *o, __u16 *port, struct err *err)
{
	union any_addr sa;
	socklen_t len = fill_addr(&sa, &o->addr, o->port);
	char text[ADDR_STRLEN];
	_cleanup_close_ int fd = -1;
	int on = 1, r;

	fd = socket(sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "metrics: socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &sa.any, len) || listen(fd, 64)) {
		r = -errno;
		if (r == -EADDRINUSE)
			err_hint(err, "ss -ltnp 'sport = :%u' shows who has it; or change `metrics: listen`",
				 o->port);
		return err_set(err, r, "metrics: listen on %s port %u: %s", addr_format(&o->addr, text),
			       o->port, strerror(-r));
	}
	len = sizeof(sa);
	if (getsockname(fd, &sa.any, &len))
		return err_set(err, -errno, "metrics: getsockname: %s", strerror(errno));
	/* The port stands at the same place in both families. */
	*port = ntohs(sa.v4.sin_port);
	return take_fd(fd);
}

static void http_freep(struct http **h)
{
	http_free(*h);
}

static int start_daemon(struct http *h, struct err *err)
{
	const struct http_limits *l = &h->o.limits;
	int fd = listen_on(&h->o, &h->port, err);

	if (fd < 0)
		return fd;
	h->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, serve, h, MHD_OPTION_LISTEN_SOCKET,
		fd, MHD_OPTION_CONNECTION_LIMIT, l->connections ? l->connections : 32u,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, l->connections_per_ip ? l->connections_per_ip : 16u,
		MHD_OPTION_CONNECTION_TIMEOUT, l->idle_s ? l->idle_s : 10u,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384, MHD_OPTION_END);
	if (!h->daemon) {
		close(fd);
		return err_set(err, -EIO, "metrics: the HTTP server did not start");
	}
	return 0;
}

int http_new(struct http **out, sd_event *event, const struct http_options *o, struct err *err)
{
	_cleanup_(http_freep) struct http *h = NULL;
	const union MHD_DaemonInfo *info;
	int r;

	h = calloc(1, sizeof(*h));
	if (!h)
		return err_set(err, -ENOMEM, "metrics: out of memory");
	h->o = *o;
	r = start_daemon(h, err);
	if (r)
		return r;
	info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return err_set(err, -ENOTSUP, "metrics: libmicrohttpd has no epoll here");
	r = sd_event_add_io(event, &h->io, info->epoll_fd, EPOLLIN, on_io, h);
	/* Accuracy 10 ms: 0 would mean a quarter of a second. */
	if (r >= 0)
		r = sd_event_add_time_relative(event, &h->timer, CLOCK_MONOTONIC, 0, 10000, on_timer, h);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	if (r < 0)
		return err_set(err, r, "metrics: event loop: %s", strerror(-r));
	/* Scrapes can wait; packets' tables and probes can not. */
	(void)sd_event_source_set_priority(h->io, SD_EVENT_PRIORITY_NORMAL + 10);
	*out = take_ptr(h);
	return 0;
}

__u16 http_port(const struct http *h)
{
	return h->port;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	sd_event_source_disable_unref(h->io);
	sd_event_source_disable_unref(h->timer);
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	free(h);
}
