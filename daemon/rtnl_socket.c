// SPDX-License-Identifier: Apache-2.0
/* rtnl_socket.c - see rtnl_socket.h. */
#include "rtnl_socket.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static int open_common(struct rtnl_socket *s, int flags, struct err *err)
{
	memset(s, 0, sizeof(*s));
	s->buf = malloc(RTNL_BUF_BYTES);
	if (!s->buf)
		return err_set(err, -ENOMEM, "netlink: out of memory");
	s->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
	if (!s->nl || mnl_socket_bind(s->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		err_set(err, -errno, "netlink socket: %s", strerror(errno));
		err_hint(err, "the kernel must offer rtnetlink, and a sandbox (RestrictAddressFamilies=) "
			      "must allow "
			      "AF_NETLINK");
		rtnl_close(s);
		return err ? err->code : -EIO;
	}
	return 0;
}

int rtnl_open(struct rtnl_socket *s, struct err *err)
{
	/* A safety net: an answer is there when the request has been sent. */
	struct timeval patience = {.tv_sec = 1};
	int r = open_common(s, 0, err), one = 1;

	if (r)
		return r;
	/* Refusals then carry the header of the request only: they fit our buffer whatever was asked. */
	(void)mnl_socket_setsockopt(s->nl, NETLINK_CAP_ACK, &one, sizeof(one));
	(void)setsockopt(mnl_socket_get_fd(s->nl), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return 0;
}

int rtnl_open_events(struct rtnl_socket *s, const unsigned int *groups, unsigned int n, int rcvbuf_bytes,
		     struct err *err)
{
	int r = open_common(s, SOCK_NONBLOCK, err), fd;

	if (r)
		return r;
	fd = mnl_socket_get_fd(s->nl);
	/* The forced kind goes above net.core.rmem_max, with CAP_NET_ADMIN; else as much as that allows. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf_bytes, sizeof(rcvbuf_bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf_bytes, sizeof(rcvbuf_bytes));
	for (unsigned int i = 0; i < n; i++) {
		int group = (int)groups[i];

		if (mnl_socket_setsockopt(s->nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0) {
			r = err_set(err, -errno, "netlink: joining event group %d: %s", group,
				    strerror(errno));
			rtnl_close(s);
			return r;
		}
	}
	return 0;
}

void rtnl_close(struct rtnl_socket *s)
{
	if (s->nl)
		mnl_socket_close(s->nl);
	free(s->buf);
	s->nl = NULL;
	s->buf = NULL;
}

/* One message of an answer. 1: the answer is complete; 0: more to come; negative: failed. */
static int take_answer(const struct nlmsghdr *h, rtnl_message_fn fn, void *userdata)
{
	if (h->nlmsg_type == NLMSG_DONE) {
		const int *error = mnl_nlmsg_get_payload(h); /* a dump that failed says so here */

		return mnl_nlmsg_get_payload_len(h) >= sizeof(*error) && *error < 0 ? *error : 1;
	}
	if (h->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

		if (mnl_nlmsg_get_payload_len(h) < sizeof(*e))
			return -EBADMSG;
		return e->error ? e->error : 1;
	}
	return fn ? fn(h, userdata) : 0;
}

/* All messages of one datagram; the same results as take_answer(). */
static int take_datagram(struct rtnl_socket *s, int len, rtnl_message_fn fn, void *userdata,
			 bool *interrupted)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)s->buf;
	int r;

	for (; mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len)) {
		if (h->nlmsg_seq != s->seq)
			continue; /* left over from a question that was given up */
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			*interrupted = true;
		r = take_answer(h, fn, userdata);
		if (r)
			return r;
	}
	return 0;
}

int rtnl_ask(struct rtnl_socket *s, struct nlmsghdr *req, rtnl_message_fn fn, void *userdata)
{
	bool interrupted = false;
	int r = 0;

	req->nlmsg_seq = ++s->seq;
	req->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_sendto(s->nl, req, req->nlmsg_len) < 0)
		return -errno;
	while (r == 0) {
		ssize_t len = mnl_socket_recvfrom(s->nl, s->buf, RTNL_BUF_BYTES);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		r = take_datagram(s, (int)len, fn, userdata, &interrupted);
	}
	if (r > 0)
		return interrupted ? -EINTR : 0;
	return r;
}

int rtnl_read_events(struct rtnl_socket *s, unsigned int max_reads, rtnl_message_fn fn, void *userdata)
{
	for (unsigned int i = 0; i < max_reads; i++) {
		ssize_t got = mnl_socket_recvfrom(s->nl, s->buf, RTNL_BUF_BYTES);
		const struct nlmsghdr *h = (const struct nlmsghdr *)s->buf;
		int len = (int)got, r;

		if (got < 0) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN ? 0 : -errno;
		}
		for (; mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len)) {
			r = fn(h, userdata);
			if (r)
				return r;
		}
	}
	return 1;
}
