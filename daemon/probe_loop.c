// SPDX-License-Identifier: Apache-2.0
/* probe_loop.c - see probe_loop.h. */
#include "probe_loop.h"

#include "core/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

/* 0 would mean sd-event's default of 250 ms. 500: probes start 0.4 to 0.6 ms late; 1000 saves 5% CPU, 250 costs 50%. */
#define ACCURACY_US 500

__u64 probe_loop_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000000000ull + (__u64)ts.tv_nsec;
}

/* Tell sd-event when the heap wants to be looked at. */
static int arm(struct probe_loop *l)
{
	const struct timer *t = timerheap_first(&l->heap);
	int r;

	if (!t)
		return sd_event_source_set_enabled(l->timer_source, SD_EVENT_OFF);
	/* Rounded up: a timer that fires before its time would only be set again. */
	r = sd_event_source_set_time(l->timer_source, (t->at_ns + 999) / 1000);
	return r < 0 ? r : sd_event_source_set_enabled(l->timer_source, SD_EVENT_ONESHOT);
}

/* One batch of socket events; false when there may be more. */
static bool run_io(struct probe_loop *l)
{
	bool drained;

	l->batch_n = epoll_wait(l->epoll_fd, l->batch, PROBE_LOOP_BATCH, 0);
	drained = l->batch_n < PROBE_LOOP_BATCH;
	for (l->batch_at = 0; l->batch_at < l->batch_n; l->batch_at++) {
		struct probe_io *io = l->batch[l->batch_at].data.ptr;

		if (io)
			io->fn(io, l->batch[l->batch_at].events);
	}
	l->batch_n = 0;
	return drained;
}

static void run_timers(struct probe_loop *l)
{
	__u64 now = probe_loop_now_ns();

	for (int i = 0; i < PROBE_LOOP_BATCH; i++) {
		struct timer *t = timerheap_first(&l->heap);
		struct probe_timer *pt = (struct probe_timer *)t;

		if (!t || t->at_ns > now)
			break;
		timerheap_remove(&l->heap, t);
		pt->fn(pt, now);
	}
}

/* Answers first: after the process was held up, a deadline has passed whose answer has been waiting for long. */
static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct probe_loop *l = userdata;

	if (run_io(l))
		run_timers(l);
	return arm(l);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct probe_loop *l = userdata;

	(void)run_io(l);
	return arm(l);
}

/* Keep a quarter of the descriptors for the rest of the daemon. */
static unsigned int socket_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur == RLIM_INFINITY || rl.rlim_cur > (1u << 20))
		return (1u << 20) / 4 * 3;
	return (unsigned int)(rl.rlim_cur / 4 * 3);
}

int probe_loop_init(struct probe_loop *l, sd_event *event, struct err *err)
{
	int r;

	memset(l, 0, sizeof(*l));
	l->max_sockets = socket_limit();
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return err_set(err, -errno, "prober: epoll: %s", strerror(errno));
	r = sd_event_add_io(event, &l->io_source, l->epoll_fd, EPOLLIN, on_io, l);
	if (r >= 0)
		r = sd_event_add_time(event, &l->timer_source, CLOCK_MONOTONIC, 0, ACCURACY_US, on_timer, l);
	if (r >= 0)
		r = sd_event_source_set_enabled(l->timer_source, SD_EVENT_OFF);
	if (r >= 0) {
		(void)sd_event_source_set_description(l->io_source, "probe-io");
		(void)sd_event_source_set_description(l->timer_source, "probe-timer");
		return 0;
	}
	probe_loop_done(l);
	return err_set(err, r, "prober: event loop: %s", strerror(-r));
}

void probe_loop_done(struct probe_loop *l)
{
	sd_event_source_disable_unref(l->timer_source);
	sd_event_source_disable_unref(l->io_source);
	l->timer_source = l->io_source = NULL;
	cleanup_closep(&l->epoll_fd);
	l->epoll_fd = -1;
	timerheap_done(&l->heap);
}

int probe_loop_reserve(struct probe_loop *l, int n)
{
	int r = timerheap_reserve(&l->heap, l->n_timers + (unsigned int)n);

	if (!r)
		l->n_timers += (unsigned int)n;
	return r;
}

int probe_loop_watch(struct probe_loop *l, struct probe_io *io, __u32 epoll_events)
{
	struct epoll_event ev = {.events = epoll_events, .data.ptr = io};

	if (epoll_ctl(l->epoll_fd, io->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, io->fd, &ev))
		return -errno;
	io->added = true;
	return 0;
}

/* Events of this batch that were fetched before must not reach it any more. */
static void forget(struct probe_loop *l, struct probe_io *io)
{
	io->added = false;
	for (int i = l->batch_at + 1; i < l->batch_n; i++)
		if (l->batch[i].data.ptr == io)
			l->batch[i].data.ptr = NULL;
}

void probe_loop_unwatch(struct probe_loop *l, struct probe_io *io)
{
	if (!io->added)
		return;
	forget(l, io);
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
}

void probe_loop_set_timer(struct probe_loop *l, struct probe_timer *t, __u64 at_ns)
{
	const struct timer *first;

	timerheap_set(&l->heap, &t->t, at_ns);
	first = timerheap_first(&l->heap);
	if (first == &t->t)
		(void)arm(l);
}

void probe_loop_stop_timer(struct probe_loop *l, struct probe_timer *t)
{
	/* sd-event may still wake up for it: run_timers() then finds nothing due. */
	timerheap_remove(&l->heap, &t->t);
}

int probe_loop_socket(struct probe_loop *l, int family, int type, __u32 mark)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	int fd, r;

	if (l->n_sockets >= l->max_sockets)
		return -EMFILE;
	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* The side that closes first keeps the port in TIME_WAIT for a minute: 28,000 probes later no port is
	 * left. */
	r = type == SOCK_STREAM ? setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) : 0;
	if (!r && mark)
		r = setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	if (r) {
		r = -errno;
		close(fd);
		return r;
	}
	l->n_sockets++;
	return fd;
}

void probe_loop_close(struct probe_loop *l, struct probe_io *io)
{
	if (io->fd < 0)
		return;
	if (io->added) /* closing takes it out of the epoll set as well: one system call less */
		forget(l, io);
	close(io->fd);
	io->fd = -1;
	l->n_sockets--;
}
