// SPDX-License-Identifier: Apache-2.0
/*
 * probe_udp.c - send a datagram, expect one that begins as configured.
 *
 * The socket is connected, so the kernel delivers only answers of the target, and port unreachable as an
 * error. The request is repeated on the same socket: an answer to any of them counts.
 */
#include "probe_run.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static void check_answer(struct probe_run *r, const void *answer, size_t len)
{
	const struct probe_spec *s = r->spec;

	if (len < s->expect_len || memcmp(answer, s->expect_data, s->expect_len))
		probe_run_finish(r, PROBE_OUTCOME_BAD_BODY,
				 "the answer (%zu bytes) does not begin with the %u expected", len,
				 s->expect_len);
	else
		probe_run_finish(r, PROBE_OUTCOME_OK, "answer of %zu bytes", len);
}

static void on_answer(struct probe_io *io, __u32 events)
{
	struct probe_try *t = probe_container(io, struct probe_try, io);
	__u8 answer[PROBE_DATA_MAX];
	ssize_t n;

	/* MSG_TRUNC: the real length, though only the part that can be compared is copied. */
	n = recv(io->fd, answer, sizeof(answer), MSG_TRUNC);
	if (n >= 0)
		check_answer(t->run, answer, (size_t)n);
	else if (errno != EAGAIN && errno != EINTR) /* a wrong checksum wakes us up for nothing */
		probe_run_finish_errno(t->run, "receive", errno, false);
}

static int send_request(struct probe_run *r)
{
	if (send(r->tries[0].io.fd, r->spec->send, r->spec->send_len, MSG_NOSIGNAL) < 0)
		return -errno;
	r->n_tries++;
	return 0;
}

void probe_udp_start(struct probe_run *r)
{
	struct sockaddr_storage ss;
	socklen_t len = probe_run_sockaddr(r, &ss);
	int error = probe_run_open(r, SOCK_DGRAM, on_answer);

	if (!error && connect(r->tries[0].io.fd, (struct sockaddr *)&ss, len))
		error = -errno;
	if (!error)
		error = probe_loop_watch(r->loop, &r->tries[0].io, EPOLLIN);
	if (!error)
		error = send_request(r);
	if (error)
		probe_run_finish_errno(r, "send", -error, true);
}

void probe_udp_retry(struct probe_run *r)
{
	int error = send_request(r);

	/* send() reports a pending ICMP error of the request before; shortage of buffers only costs this
	 * repetition. */
	if (error && probe_outcome_of_errno(-error, true) != PROBE_OUTCOME_LOCAL)
		probe_run_finish_errno(r, "send", -error, false);
}
