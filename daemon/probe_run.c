// SPDX-License-Identifier: Apache-2.0
/* probe_run.c - what all kinds of probes share: start, deadline, retries, the end; see probe_run.h. */
#include "probe_run.h"

#include "core/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define HELD_UP_MS 100 /* a deadline seen so late: other work kept this process from running */

socklen_t probe_run_sockaddr(const struct probe_run *r, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (addr_is_v4(&r->addr)) {
		struct sockaddr_in *sin = (struct sockaddr_in *)ss;

		sin->sin_family = AF_INET;
		sin->sin_port = htons(r->port);
		sin->sin_addr.s_addr = addr_v4_be(&r->addr);
		return sizeof(*sin);
	}
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;

	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(r->port);
	memcpy(&sin6->sin6_addr, r->addr.b, sizeof(sin6->sin6_addr));
	return sizeof(*sin6);
}

/*
 * The ICMP errors arrive as errnos (net/ipv4/icmp.c, icmp_err_convert). Only those that the network reports
 * are evidence about the target; the same numbers from our own call mean that nothing was sent.
 */
enum probe_outcome probe_outcome_of_errno(int error, bool local)
{
	switch (error) {
	case ECONNREFUSED:
	case ENOPROTOOPT: /* protocol unreachable: the host itself said so */
		return PROBE_OUTCOME_REFUSED;
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
		return PROBE_OUTCOME_RESET;
	case ETIMEDOUT:
		return PROBE_OUTCOME_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case ENETDOWN:
		return PROBE_OUTCOME_UNREACHABLE;
	case EACCES: /* ICMPv6 administratively prohibited; locally: a broadcast address or a policy */
	case EPERM:
		return local ? PROBE_OUTCOME_LOCAL : PROBE_OUTCOME_UNREACHABLE;
	default:
		return PROBE_OUTCOME_LOCAL;
	}
}

static const char *advice(int error)
{
	switch (error) {
	case EMFILE:
		return " (too many probe sockets: raise LimitNOFILE of the service)";
	case ENFILE:
		return " (the whole system has too many open files)";
	case EADDRNOTAVAIL:
		return " (no free local port or address)";
	case EAFNOSUPPORT:
		return " (this host has the address family switched off)";
	case EPERM:
	case EACCES:
		return " (a local firewall, or SO_MARK without CAP_NET_ADMIN)";
	default:
		return "";
	}
}

void probe_run_finish_errno(struct probe_run *r, const char *what, int error, bool local)
{
	enum probe_outcome o = probe_outcome_of_errno(error, local);

	/* No route to the VIP is this host's fault; of the backend behind the tunnel it says nothing. */
	if (local && r->mark && o == PROBE_OUTCOME_UNREACHABLE)
		o = PROBE_OUTCOME_LOCAL;

	probe_run_finish(r, o, "%s: %s%s", what, strerrordesc_np(error), local ? advice(error) : "");
}

static void release(struct probe_run *r)
{
	probe_loop_stop_timer(r->loop, &r->deadline);
	probe_loop_stop_timer(r->loop, &r->retry);
	for (unsigned int i = 0; i < PROBE_TRIES; i++)
		probe_loop_close(r->loop, &r->tries[i].io);
	if (r->http)
		probe_http_cancel(r);
	r->running = false;
}

void probe_run_finish(struct probe_run *r, enum probe_outcome outcome, const char *fmt, ...)
{
	struct probe_result result = {.outcome = outcome};
	__u64 us = (probe_loop_now_ns() - r->start_ns) / 1000;
	va_list ap;

	if (!r->running)
		return;
	result.latency_us = us < ~0u ? (__u32)us : ~0u;
	va_start(ap, fmt);
	vsnprintf(result.detail, sizeof(result.detail), fmt, ap);
	va_end(ap);
	release(r);
	r->done(r, &result);
}

/* Send again what may have been lost. */
static void repeat(struct probe_run *r)
{
	if (r->spec->type == PROBE_UDP)
		probe_udp_retry(r);
	else
		probe_connect_retry(r);
}

/* 0.2, 0.6, 1.4 s after the start */
static void on_retry(struct probe_timer *t, __u64 now_ns)
{
	struct probe_run *r = probe_container(t, struct probe_run, retry);

	if (r->n_tries >= PROBE_TRIES)
		return;
	probe_loop_set_timer(r->loop, &r->retry, now_ns + ((__u64)PROBE_RETRY_MS << r->n_tries) * NS_PER_MS);
	repeat(r);
}

/*
 * This process was not running when it should have repeated the request, or for a good part of the time to wait: it
 * waits a little longer for the answer to a repetition, once.
 */
static bool is_held_up(struct probe_run *r, __u64 now_ns)
{
	if (r->extended || r->http || now_ns - r->deadline.t.at_ns < HELD_UP_MS * NS_PER_MS)
		return false;
	r->extended = true;
	probe_loop_set_timer(r->loop, &r->deadline, now_ns + PROBE_RETRY_MS * NS_PER_MS);
	if (r->n_tries == 1)
		repeat(r);
	return true;
}

static void on_deadline(struct probe_timer *t, __u64 now_ns)
{
	struct probe_run *r = probe_container(t, struct probe_run, deadline);

	if (is_held_up(r, now_ns))
		return;
	if (r->http)
		probe_run_finish(r, PROBE_OUTCOME_STALLED, "connected, but no complete answer in %u ms",
				 r->timeout_ms);
	else
		probe_run_finish(r, PROBE_OUTCOME_TIMEOUT, "no answer in %u ms (%s sent: %u)", r->timeout_ms,
				 r->spec->type == PROBE_UDP ? "requests" : "SYNs", r->n_tries);
}

int probe_run_open(struct probe_run *r, int type, void (*fn)(struct probe_io *io, __u32 events))
{
	struct probe_try *t = &r->tries[r->n_tries];
	int fd = probe_loop_socket(r->loop, addr_is_v4(&r->addr) ? AF_INET : AF_INET6, type, r->mark);

	if (fd < 0)
		return fd;
	t->io.fd = fd;
	t->io.fn = fn;
	return 0;
}

void probe_run_init(struct probe_run *r, struct probe_loop *loop)
{
	memset(r, 0, sizeof(*r));
	r->loop = loop;
	r->deadline.fn = on_deadline;
	r->retry.fn = on_retry;
	for (unsigned int i = 0; i < PROBE_TRIES; i++) {
		r->tries[i].run = r;
		r->tries[i].io.fd = -1;
	}
}

void probe_run_start(struct probe_run *r, __u64 now_ns)
{
	r->running = true;
	r->start_ns = now_ns;
	r->timeout_ms = r->spec->timeout_ms ? r->spec->timeout_ms : 1000;
	r->n_tries = 0;
	r->extended = false;
	probe_loop_set_timer(r->loop, &r->deadline, now_ns + r->timeout_ms * NS_PER_MS);
	probe_loop_set_timer(r->loop, &r->retry, now_ns + PROBE_RETRY_MS * NS_PER_MS);
	if (r->spec->type == PROBE_UDP)
		probe_udp_start(r);
	else
		probe_connect_start(r);
}

void probe_run_cancel(struct probe_run *r)
{
	if (r->running)
		release(r);
}
