/* SPDX-License-Identifier: Apache-2.0 */
/* probe_fixture.h - an event loop, a prober, and what it reported. Included by the prober's tests after
 * cmocka. */
#pragma once
#include "probe.h"
#include "probe_servers.h"
#include <dirent.h>
#include <time.h>

#define IDS 64

struct fixture {
	sd_event *event;
	struct prober *prober;
	unsigned int results[IDS], ups[IDS], downs[IDS], total;
	struct health last[IDS];
	__u64 last_ns[IDS], gap_min_ns[IDS], gap_max_ns[IDS];
	void (*on_result)(struct fixture *f, __u32 id);
};

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000000000ull + (__u64)ts.tv_nsec;
}

static void note_result(__u32 id, const struct health *h, enum health_event ev, void *userdata)
{
	struct fixture *f = userdata;
	__u64 now = now_ns(), gap = now - f->last_ns[id % IDS];

	id %= IDS;
	if (f->results[id]++) {
		if (!f->gap_min_ns[id] || gap < f->gap_min_ns[id])
			f->gap_min_ns[id] = gap;
		if (gap > f->gap_max_ns[id])
			f->gap_max_ns[id] = gap;
	}
	f->last_ns[id] = now;
	f->total++;
	f->ups[id] += ev == HEALTH_WENT_UP;
	f->downs[id] += ev == HEALTH_WENT_DOWN;
	f->last[id] = *h;
	if (f->on_result)
		f->on_result(f, id);
}

static void fixture_open(struct fixture *f)
{
	struct err err = {0};

	memset(f, 0, sizeof(*f));
	assert_int_equal(sd_event_new(&f->event), 0);
	assert_int_equal(prober_new(&f->prober, f->event, note_result, f, &err), 0);
}

static void fixture_close(struct fixture *f)
{
	prober_free(f->prober);
	f->prober = NULL;
	f->event = sd_event_unref(f->event);
}

static inline void run_for(struct fixture *f, unsigned int ms)
{
	__u64 end = now_ns() + ms * 1000000ull;

	while (now_ns() < end)
		sd_event_run(f->event, (end - now_ns()) / 1000 + 1);
}

/* Until target @id has @n results; fails after 10 s. */
static inline void run_until_results(struct fixture *f, __u32 id, unsigned int n)
{
	__u64 end = now_ns() + 10000000000ull;

	while (f->results[id] < n) {
		if (now_ns() > end)
			fail_msg("target %u has %u of %u results after 10 s", id, f->results[id], n);
		sd_event_run(f->event, 100000);
	}
}

static struct probe_target target_of(__u32 id, int family, __u16 port, enum probe_type type)
{
	struct probe_target t = {.id = id, .port = port};

	t.spec = (struct probe_spec){.type = type,
				     .interval_ms = 100,
				     .fast_interval_ms = 50,
				     .down_interval_ms = 100,
				     .timeout_ms = 500,
				     .rise = 2,
				     .fall = 2};
	assert_int_equal(addr_parse(family == AF_INET ? "127.0.0.1" : "::1", &t.addr), 0);
	return t;
}

static void sync_targets(struct fixture *f, const struct probe_target *t, unsigned int n)
{
	struct err err = {0};

	if (prober_sync(f->prober, t, n, &err))
		fail_msg("prober_sync: %s", err.msg);
}

static inline unsigned int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}
