// SPDX-License-Identifier: Apache-2.0
/*
 * probe_http.c - HTTP and HTTPS probes by libcurl, on sockets that probe_connect.c has connected.
 *
 * libcurl speaks HTTP and TLS; it opens no socket and resolves no name: CURLOPT_CONNECT_TO holds an address
 * literal (c-ares or a resolver thread never come into play), and the open-socket callback hands it our
 * connected socket. So marks, repeated SYNs, limits and the meaning of errors are the same as for tcp. Every
 * exchange has its own connection.
 *
 * What a server sends is bounded: 64 KiB of header, 64 KiB of body; what comes later is not read.
 * Our code is never called back by libcurl in a state where libcurl may not be called, except on_socket and
 * on_timer, which only touch the loop.
 */
#include "probe_run.h"

#include <curl/curl.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MAX (64u << 10)
#define BODY_MAX (64u << 10)
#define EXCHANGES_MAX 4096u /* at a time; each costs 20 to 100 KiB */
#define EXCHANGES_KEPT 64u  /* idle ones kept for the next probes */

struct probe_curl {
	CURLM *multi;
	struct probe_loop *loop;
	struct probe_timer timer;
	struct probe_http *idle;
	unsigned int n_idle, n_busy;
};

struct probe_http {
	struct probe_curl *curl;
	struct probe_run *run;
	struct probe_http *next; /* idle list */
	CURL *easy;
	struct curl_slist *connect_to, *headers;
	struct probe_io io;
	bool given;     /* the socket belongs to libcurl, until it calls on_close */
	__u64 received; /* bytes, when libcurl closed the socket */
	size_t header_len, body_len;
	bool body_found, body_full;
	char *body; /* BODY_MAX, when the spec wants to find something in it */
	char error[CURL_ERROR_SIZE];
};

/* ---- libcurl's callbacks -------------------------------------------------------------------- */

static curl_socket_t on_open(void *userdata, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct probe_http *h = userdata;

	if (h->given || h->io.fd < 0)
		return CURL_SOCKET_BAD; /* a second connection for one probe: never */
	h->given = true;
	return h->io.fd;
}

static int on_sockopt(void *userdata, curl_socket_t fd, curlsocktype purpose)
{
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static int on_close(void *userdata, curl_socket_t fd)
{
	struct probe_http *h = userdata;

	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (h->io.fd != fd)
		return 0;
	if (!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		h->received = info.tcpi_bytes_received;
	probe_loop_close(h->curl->loop, &h->io);
	return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_userdata)
{
	struct probe_curl *c = userdata;
	struct probe_http *h = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &h);
	if (!h || h->io.fd != fd)
		return 0;
	if (what == CURL_POLL_REMOVE)
		probe_loop_unwatch(c->loop, &h->io);
	else
		(void)probe_loop_watch(c->loop, &h->io,
				       (what & CURL_POLL_IN ? EPOLLIN : 0u) |
					       (what & CURL_POLL_OUT ? EPOLLOUT : 0u));
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *userdata)
{
	struct probe_curl *c = userdata;

	if (timeout_ms < 0)
		probe_loop_stop_timer(c->loop, &c->timer);
	else
		probe_loop_set_timer(c->loop, &c->timer,
				     probe_loop_now_ns() + (__u64)timeout_ms * 1000000ull);
	return 0;
}

static size_t on_header(char *data, size_t size, size_t n, void *userdata)
{
	struct probe_http *h = userdata;

	h->header_len += size * n;
	return h->header_len > HEADER_MAX ? 0 : size * n;
}

static bool body_has(struct probe_http *h, size_t new_bytes)
{
	const char *want = h->run->spec->body;
	size_t len = strlen(want), from;

	/* only where the new bytes take part */
	from = h->body_len - new_bytes > len - 1 ? h->body_len - new_bytes - (len - 1) : 0;
	return memmem(h->body + from, h->body_len - from, want, len) != NULL;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
	struct probe_http *h = userdata;
	size_t len = size * n, fits = BODY_MAX - h->body_len < len ? BODY_MAX - h->body_len : len;

	if (h->body)
		memcpy(h->body + h->body_len, data, fits);
	h->body_len += fits;
	h->body_full = fits < len;
	if (h->body && !h->body_found && fits)
		h->body_found = body_has(h, fits);
	/* Anything but `len` makes libcurl end the transfer with CURLE_WRITE_ERROR. */
	return h->body_full ? 0 : len;
}

/* ---- the verdict ---------------------------------------------------------------------------- */

static bool is_expected(const struct probe_spec *s, long status)
{
	if (!s->n_expect)
		return status >= 200 && status <= 399;
	for (unsigned int i = 0; i < s->n_expect && i < PROBE_RANGES_MAX; i++)
		if (status >= s->expect[i].from && status <= s->expect[i].to)
			return true;
	return false;
}

static enum probe_outcome outcome_of_curl(CURLcode code)
{
	switch (code) {
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return PROBE_OUTCOME_RESET;
	case CURLE_OPERATION_TIMEDOUT:
		return PROBE_OUTCOME_STALLED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return PROBE_OUTCOME_TLS;
	case CURLE_UNSUPPORTED_PROTOCOL: /* an answer without a status line: "HTTP/0.9" */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_WRITE_ERROR: /* our own callbacks: header too long */
	case CURLE_HTTP2:
		return PROBE_OUTCOME_PROTOCOL;
	default: /* out of memory, a URL that libcurl does not take, no CA file ... */
		return PROBE_OUTCOME_LOCAL;
	}
}

static void give_verdict(struct probe_run *r, CURLcode code)
{
	struct probe_http *h = r->http;
	long status = 0;

	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	/* libcurl calls a line of more than 100 KB "out of memory", and does not show us its beginning. */
	if (h->header_len > HEADER_MAX || (code == CURLE_OUT_OF_MEMORY && h->received > HEADER_MAX))
		probe_run_finish(r, PROBE_OUTCOME_PROTOCOL, "the header is longer than %u KiB",
				 HEADER_MAX >> 10);
	else if (code && !h->body_full)
		probe_run_finish(r, outcome_of_curl(code), "%s",
				 h->error[0] ? h->error : curl_easy_strerror(code));
	else if (!is_expected(r->spec, status))
		probe_run_finish(r, PROBE_OUTCOME_BAD_STATUS, "HTTP %ld", status);
	else if (h->body && !h->body_found)
		probe_run_finish(r, PROBE_OUTCOME_BAD_BODY,
				 "HTTP %ld, but \"%.40s\" is not in the first %zu bytes", status,
				 r->spec->body, h->body_len);
	else
		probe_run_finish(r, PROBE_OUTCOME_OK, "HTTP %ld", status);
}

/* Results of everything that the last call of libcurl completed. */
static void reap(struct probe_curl *c)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(c->multi, &left))) {
		struct probe_http *h = NULL;
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &h);
		if (h && h->run)
			give_verdict(h->run, code);
	}
}

static void on_io(struct probe_io *io, __u32 events)
{
	struct probe_http *h = probe_container(io, struct probe_http, io);
	struct probe_curl *c = h->curl;
	int mask = 0, running;

	mask |= events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0;
	mask |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
	mask |= events & EPOLLERR ? CURL_CSELECT_ERR : 0;
	curl_multi_socket_action(c->multi, io->fd, mask, &running);
	reap(c);
}

static void on_multi_timer(struct probe_timer *t, __u64 now_ns)
{
	struct probe_curl *c = probe_container(t, struct probe_curl, timer);
	int running;

	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(c);
}

/* ---- an exchange ---------------------------------------------------------------------------- */

static void http_free(struct probe_http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->easy);
	free(h->body);
	free(h);
}

static struct probe_http *http_take(struct probe_curl *c)
{
	struct probe_http *h = c->idle;

	if (h) {
		c->idle = h->next;
		c->n_idle--;
	} else {
		h = calloc(1, sizeof(*h));
		if (h)
			h->easy = curl_easy_init();
		if (!h || !h->easy) {
			http_free(h);
			return NULL;
		}
		h->curl = c;
	}
	c->n_busy++;
	h->io.fd = -1;
	return h;
}

static void http_put(struct probe_http *h)
{
	struct probe_curl *c = h->curl;

	curl_easy_reset(h->easy);
	curl_slist_free_all(h->connect_to);
	curl_slist_free_all(h->headers);
	free(h->body);
	*h = (struct probe_http){.curl = c, .easy = h->easy, .io.fd = -1};
	c->n_busy--;
	if (c->n_idle >= EXCHANGES_KEPT) {
		http_free(h);
		return;
	}
	h->next = c->idle;
	c->idle = h;
	c->n_idle++;
}

static int append(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*list, text);

	if (!longer)
		return -ENOMEM;
	*list = longer;
	return 0;
}

/* Where to connect (a literal), what to ask for, and what name to use in TLS and in the Host header. */
static int set_address(struct probe_http *h, const struct probe_run *r)
{
	const struct probe_spec *s = r->spec;
	char literal[ADDR_STRLEN + 2], host[sizeof(s->host) + 2], name[sizeof(host)], url[1024], text[1024];
	char buf[ADDR_STRLEN];
	struct lb_addr a;
	char *colon; /* or the bracket behind which one may stand */

	snprintf(literal, sizeof(literal), addr_is_v4(&r->addr) ? "%s" : "[%s]", addr_format(&r->addr, buf));
	snprintf(host, sizeof(host), addr_parse(s->host, &a) || addr_is_v4(&a) ? "%s" : "[%s]", s->host);
	snprintf(name, sizeof(name), "%s", host[0] ? host : literal);
	/* "name:8443" is a Host header; the certificate and SNI know the name alone. */
	colon = strrchr(name, name[0] == '[' ? ']' : ':');
	if (colon)
		colon[name[0] == '['] = 0;
	snprintf(url, sizeof(url), "%s://%s:%u%s%s", s->type == PROBE_HTTPS ? "https" : "http", name, r->port,
		 s->path[0] == '/' ? "" : "/", s->path);
	snprintf(text, sizeof(text), "::%s:%u", literal, r->port);
	if (append(&h->connect_to, text))
		return -ENOMEM;
	snprintf(text, sizeof(text), "Host: %s", host);
	if (host[0] && append(&h->headers, text))
		return -ENOMEM;
	if (append(&h->headers, "Connection: close") || append(&h->headers, "Accept: */*"))
		return -ENOMEM;
	return curl_easy_setopt(h->easy, CURLOPT_URL, url) ? -ENOMEM : 0;
}

/* Options whose failure cannot matter (a constant that this libcurl does not know is a build error). */
static void set_options(struct probe_http *h, const struct probe_spec *s)
{
	CURL *e = h->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, h);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, s->type == PROBE_HTTPS ? "https" : "http");
	curl_easy_setopt(e, CURLOPT_PROXY, ""); /* whatever http_proxy says */
	curl_easy_setopt(e, CURLOPT_CONNECT_TO, h->connect_to);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, h->headers);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "lbd/" LBD_VERSION " (health check)");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 4096L);
	/* Our own deadline ends it; this one, a little later, only makes sure that libcurl agrees. */
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)h->run->timeout_ms + 1000);
	if (!strcmp(s->method, "HEAD"))
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	else if (s->method[0] && strcmp(s->method, "GET") != 0)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, s->method);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, h);
	curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_sockopt);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, h);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, h);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, h);
}

static void set_tls(CURL *e, const struct probe_spec *s)
{
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, s->tls_verify ? 1L : 0L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, s->tls_verify ? 2L : 0L);
	/* A resumed session would be another backend's: all of a service have the same name. */
	curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	if (s->tls_verify)
		return;
	/* libcurl reads the CA bundle (20 ms) even when nothing is verified by it. */
	curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
}

void probe_http_start(struct probe_run *r, struct probe_io *io)
{
	struct probe_http *h = r->curl->n_busy < EXCHANGES_MAX ? http_take(r->curl) : NULL;

	if (!h) {
		probe_run_finish(r, PROBE_OUTCOME_LOCAL, "out of memory, or %u HTTP probes hang at a time",
				 EXCHANGES_MAX);
		return;
	}
	r->http = h;
	h->run = r;
	probe_loop_unwatch(r->loop, io);
	h->io.fd = io->fd;
	h->io.fn = on_io;
	io->fd = -1;
	if (r->spec->body[0])
		h->body = malloc(BODY_MAX);
	if ((r->spec->body[0] && !h->body) || set_address(h, r)) {
		probe_run_finish(r, PROBE_OUTCOME_LOCAL, "out of memory");
		return;
	}
	set_options(h, r->spec);
	set_tls(h->easy, r->spec);
	if (curl_multi_add_handle(r->curl->multi, h->easy))
		probe_run_finish(r, PROBE_OUTCOME_LOCAL, "libcurl takes no more handles");
}

void probe_http_cancel(struct probe_run *r)
{
	struct probe_http *h = r->http;

	r->http = NULL;
	h->run = NULL;
	/* Fine for a handle that was never added. Closes the connection by on_close when libcurl has it. */
	curl_multi_remove_handle(h->curl->multi, h->easy);
	probe_loop_close(h->curl->loop, &h->io);
	http_put(h);
}

/* ---- shared state --------------------------------------------------------------------------- */

struct probe_curl *probe_curl_new(struct probe_loop *loop, struct err *err)
{
	struct probe_curl *c = calloc(1, sizeof(*c));

	if (!c || probe_loop_reserve(loop, 1)) {
		free(c);
		err_set(err, -ENOMEM, "prober: out of memory");
		return NULL;
	}
	c->loop = loop;
	c->timer.fn = on_multi_timer;
	if (!curl_global_init(CURL_GLOBAL_DEFAULT))
		c->multi = curl_multi_init();
	if (!c->multi) {
		probe_loop_reserve(loop, -1);
		free(c);
		err_set(err, -ENOMEM, "prober: libcurl does not start");
		return NULL;
	}
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	return c;
}

void probe_curl_free(struct probe_curl *c)
{
	if (!c)
		return;
	while (c->idle) {
		struct probe_http *h = c->idle;

		c->idle = h->next;
		http_free(h);
	}
	curl_multi_cleanup(c->multi);
	probe_loop_stop_timer(c->loop, &c->timer);
	probe_loop_reserve(c->loop, -1);
	free(c);
	curl_global_cleanup();
}
