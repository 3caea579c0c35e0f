// SPDX-License-Identifier: Apache-2.0
/*
 * probe_connect.c - the TCP handshake of a probe, on up to four sockets (see PROBE_TRIES).
 *
 * The first socket that connects decides for good. One that fails with an answer (a reset, an ICMP error)
 * decides as well: the target or the network has spoken.
 */
#include "probe_run.h"

#include <errno.h>
#include <netinet/in.h>

static void connected(struct probe_run *r, struct probe_try *t)
{
	if (r->spec->type == PROBE_TCP) {
		probe_run_finish(r, PROBE_OUTCOME_OK, "connected");
		return;
	}
	for (unsigned int i = 0; i < PROBE_TRIES; i++)
		if (&r->tries[i] != t)
			probe_loop_close(r->loop, &r->tries[i].io);
	probe_loop_stop_timer(r->loop, &r->retry);
	probe_http_start(r, &t->io);
}

static void on_connect(struct probe_io *io, __u32 events)
{
	struct probe_try *t = probe_container(io, struct probe_try, io);
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	if (error)
		probe_run_finish_errno(t->run, "connect", error, false);
	else
		connected(t->run, t);
}

/* 0, or a negative errno of a call of ours; -ECONNREFUSED and the like when the kernel knows at once. */
static int try_connect(struct probe_run *r)
{
	struct probe_try *t = &r->tries[r->n_tries];
	struct sockaddr_storage ss;
	socklen_t len = probe_run_sockaddr(r, &ss);
	int error = probe_run_open(r, SOCK_STREAM, on_connect);

	if (error)
		return error;
	if (connect(t->io.fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS)
		error = -errno;
	else
		/* A handshake that is complete already shows as writable, too. */
		error = probe_loop_watch(r->loop, &t->io, EPOLLOUT);
	if (error) {
		probe_loop_close(r->loop, &t->io);
		return error;
	}
	r->n_tries++;
	return 0;
}

void probe_connect_start(struct probe_run *r)
{
	int error = try_connect(r);

	if (error)
		probe_run_finish_errno(r, "connect", -error, true);
}

void probe_connect_retry(struct probe_run *r)
{
	/* Without a free descriptor the first try goes on alone. */
	(void)try_connect(r);
}
