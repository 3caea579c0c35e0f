/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_loop.h - sockets and timers of the prober, behind two sd-event sources.
 *
 * A probe lives for a few hundred microseconds and has a socket and two timers. An sd-event source for each would cost
 * more than the probe, so the prober has an epoll set and a timer heap of its own; the event loop sees one fd and one
 * timer. A batch of work is bounded (PROBE_LOOP_BATCH), so the rest of the daemon is never kept waiting.
 * Callbacks may add, change and remove any io or timer, their own too.
 */
#pragma once
#include "core/err.h"
#include "core/timerheap.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#define PROBE_LOOP_BATCH 64

/* The struct that @ptr is the @member of. */
#define probe_container(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

struct probe_io {
	int fd; /* -1: not in use; owned by the user of the io */
	bool added;
	void (*fn)(struct probe_io *io, __u32 epoll_events);
};

struct probe_timer {
	struct timer t;
	void (*fn)(struct probe_timer *t, __u64 now_ns);
};

struct probe_loop {
	sd_event_source *io_source, *timer_source;
	int epoll_fd;
	struct timerheap heap;
	unsigned int n_timers; /* that may be set at a time: probe_loop_reserve() */
	unsigned int n_sockets, max_sockets;
	struct epoll_event batch[PROBE_LOOP_BATCH];
	int batch_at, batch_n;
};

int probe_loop_init(struct probe_loop *l, sd_event *event, struct err *err);
void probe_loop_done(struct probe_loop *l);
/* CLOCK_MONOTONIC */
__u64 probe_loop_now_ns(void);
/* Room for @n more (or fewer: negative) timers. 0 or -ENOMEM. */
int probe_loop_reserve(struct probe_loop *l, int n);

/* Watch io->fd for @epoll_events, or change what is watched. 0 or negative errno. */
int probe_loop_watch(struct probe_loop *l, struct probe_io *io, __u32 epoll_events);
/* Stop watching; does not close. */
void probe_loop_unwatch(struct probe_loop *l, struct probe_io *io);

void probe_loop_set_timer(struct probe_loop *l, struct probe_timer *t, __u64 at_ns);
void probe_loop_stop_timer(struct probe_loop *l, struct probe_timer *t);

/* A socket within the prober's limit (-EMFILE above it): CLOEXEC, non-blocking, marked, closing with a reset. */
int probe_loop_socket(struct probe_loop *l, int family, int type, __u32 mark);
/* Stop watching and close; io->fd becomes -1. Nothing happens when it is -1 already. */
void probe_loop_close(struct probe_loop *l, struct probe_io *io);
