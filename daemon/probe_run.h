/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_run.h - one probe in flight, of any kind; used by probe.c and the probe_*.c files only.
 *
 * probe_run_start() leads to exactly one call of `done`, perhaps before it returns; probe_run_cancel() to none. A run is
 * reused for the next probe. @spec must stay until then.
 *
 *     tcp:        connect -> done                        (probe_connect.c)
 *     http(s):    connect -> hand the socket to libcurl -> done   (probe_http.c)
 *     udp:        send, again after 0.2 s, 0.6 s -> answer -> done (probe_udp.c)
 */
#pragma once
#include "core/addr.h"
#include "core/health.h"
#include "probe_loop.h"
#include <sys/socket.h>

/*
 * The kernel repeats a SYN after 1 s, so with a time-out of 1 s one lost packet would be a failed probe. No socket
 * option changes that, so the prober sends its own second, third and fourth SYN from further sockets; the first that is
 * answered wins. UDP requests are repeated at the same times.
 */
#define PROBE_TRIES 4
#define PROBE_RETRY_MS 200 /* then twice as long each time */

struct probe_curl; /* the shared libcurl state, see probe_http.c */
struct probe_http; /* one HTTP exchange */

struct probe_try {
	struct probe_io io;
	struct probe_run *run;
};

struct probe_run {
	struct probe_loop *loop;
	/* Set by the caller before each start. */
	struct probe_curl *curl; /* for http and https */
	struct lb_addr addr;
	__u16 port;
	__u32 mark;
	const struct probe_spec *spec;
	void (*done)(struct probe_run *run, const struct probe_result *result);
	/* Private. */
	bool running;
	bool extended; /* the deadline was put off, once */
	__u64 start_ns;
	__u32 timeout_ms;
	struct probe_timer deadline, retry;
	struct probe_try tries[PROBE_TRIES]; /* tcp: sockets; udp: one socket, the others are only counted */
	unsigned int n_tries;
	struct probe_http *http; /* from connected to done */
};
#define PROBE_RUN_TIMERS 2

/* The loop must have room for PROBE_RUN_TIMERS more timers. */
void probe_run_init(struct probe_run *r, struct probe_loop *loop);
void probe_run_start(struct probe_run *r, __u64 now_ns);
void probe_run_cancel(struct probe_run *r);

/* ---- between the files of the prober -------------------------------------------------------- */
/* End the run: release everything, then call done. */
void probe_run_finish(struct probe_run *r, enum probe_outcome outcome, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* End it by an errno of @what. @local: a call of ours failed, else the network reported it: EACCES differs. */
void probe_run_finish_errno(struct probe_run *r, const char *what, int error, bool local);
enum probe_outcome probe_outcome_of_errno(int error, bool local);
socklen_t probe_run_sockaddr(const struct probe_run *r, struct sockaddr_storage *ss);
/* Open a socket for the next try. Negative errno, with tries[n_tries] untouched. */
int probe_run_open(struct probe_run *r, int type, void (*fn)(struct probe_io *io, __u32 events));

void probe_connect_start(struct probe_run *r);
void probe_connect_retry(struct probe_run *r);
void probe_udp_start(struct probe_run *r);
void probe_udp_retry(struct probe_run *r);

/* NULL and a reason when libcurl cannot start. */
struct probe_curl *probe_curl_new(struct probe_loop *loop, struct err *err);
void probe_curl_free(struct probe_curl *c);
/* Go on with the connected socket in @io, which is taken over (io->fd becomes -1). */
void probe_http_start(struct probe_run *r, struct probe_io *io);
void probe_http_cancel(struct probe_run *r);
