/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnl_socket.h - questions to rtnetlink, and a socket that hears its events.
 *
 * The kernel answers a request inside the sendmsg() that carries it, so a question is asked and its answer
 * read in one go: that waits for nothing but the kernel's own locks. Events come by a socket of their own, so
 * that an overrun there never loses an answer.
 */
#pragma once
#include "core/err.h"
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <stdbool.h>

struct rtnl_socket {
	struct mnl_socket *nl;
	unsigned int seq;
	char *buf; /* of RTNL_BUF_BYTES */
};
#define RTNL_BUF_BYTES 32768

/* Open for questions. */
int rtnl_open(struct rtnl_socket *s, struct err *err);
/* Open non-blocking for events of @groups (RTNLGRP_*, @n of them), with a receive buffer of @rcvbuf_bytes if
 * we may. */
int rtnl_open_events(struct rtnl_socket *s, const unsigned int *groups, unsigned int n, int rcvbuf_bytes,
		     struct err *err);
void rtnl_close(struct rtnl_socket *s);

/* A message that is part of the answer. A negative return ends the question with that result. */
typedef int (*rtnl_message_fn)(const struct nlmsghdr *h, void *userdata);
/*
 * Send @req and hand every message of the answer to @fn (NULL: there is none but the acknowledgement).
 * Sequence number and NLM_F_REQUEST | NLM_F_ACK are set here. Returns 0, the kernel's negative errno, or
 * -EINTR for a dump that changed while it was read (NLM_F_DUMP_INTR): ask again.
 */
int rtnl_ask(struct rtnl_socket *s, struct nlmsghdr *req, rtnl_message_fn fn, void *userdata);
/*
 * Read what has come in, at most @max_reads buffers full; @fn for each message. 0: nothing left; 1: there is
 * more; -ENOBUFS: events were lost; other negative errno: the socket is unusable.
 */
int rtnl_read_events(struct rtnl_socket *s, unsigned int max_reads, rtnl_message_fn fn, void *userdata);
