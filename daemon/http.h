/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - a small HTTP server for scrapers: GET /metrics and GET /healthz, nothing else. libmicrohttpd's
 * epoll descriptor sits in the event loop; no threads.
 */
#pragma once
#include "core/addr.h"
#include "core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

struct http;

struct http_limits {                     /* 0: the number in the comment */
	unsigned int connections;        /* 32 */
	unsigned int connections_per_ip; /* 16 */
	unsigned int idle_s;             /* 10: of a connection, also between requests */
};

struct http_options {
	struct lb_addr addr; /* unspecified (:: or 0.0.0.0): all */
	__u16 port;          /* 0: any, see http_port() */
	/* Text of /metrics, malloc'd (the server frees it), *len its length; NULL -> 500. */
	char *(*metrics)(void *userdata, size_t *len);
	/* /healthz: true -> 200 "ok"; false -> 503 with @why (one line, filled in by the callee). NULL:
	 * always 200. */
	bool (*healthy)(void *userdata, char *why, size_t size);
	void *userdata;
	struct http_limits limits;
};
int http_new(struct http **out, sd_event *event, const struct http_options *o, struct err *err);
void http_free(struct http *h);
__u16 http_port(const struct http *h);
