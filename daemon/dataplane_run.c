// SPDX-License-Identifier: Apache-2.0
/* dataplane_run.c - the program's clock, grace periods, runs of the program on a given packet. */
#include "dataplane_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/*
 * The coarse clocks advance once per jiffy and say by how much: exact for any CONFIG_HZ, without /proc/config.gz.
 * (1e9 / 3333333 ns = 300.00003, 1e9 / 976563 ns = 1023.9997: rounding is enough.)
 */
__u32 dp_kernel_hz(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) < 0 || tick.tv_sec || tick.tv_nsec <= 0)
		return 0;
	return (__u32)((1000000000 + tick.tv_nsec / 2) / tick.tv_nsec);
}

/*
 * Asks the kernel each time: a run of the clock program, a handful of instructions, costs 0.2 us on the machine this was
 * written on, and unlike an offset kept beside CLOCK_MONOTONIC it can not disagree with what packets see.
 */
__u32 dataplane_clock_ds(struct dataplane *d)
{
	LIBBPF_OPTS(bpf_test_run_opts, run);

	if (bpf_prog_test_run_opts(d->clock_fd, &run) == 0)
		d->last_clock_ds = run.retval;
	return d->last_clock_ds;
}

int dp_quiesce_init(struct dataplane *d, struct err *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lbd_rcu_inner", sizeof(__u32), sizeof(__u32), 1, NULL);

	if (fd < 0)
		return err_set(err, fd, "cannot create a BPF map: %s", strerror(-fd));
	d->rcu_inner_fd = fd;
	opts.inner_map_fd = (__u32)fd;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "lbd_rcu", sizeof(__u32), sizeof(__u32), 1, &opts);
	if (fd < 0)
		return err_set(err, fd, "cannot create a BPF map: %s", strerror(-fd));
	d->rcu_outer_fd = fd;
	return 0;
}

/*
 * User space can not call synchronize_rcu(), but the kernel does so on our behalf at the end of every update of a map
 * of maps (maybe_wait_bpf_programs(), since 4.20), so that "the old inner map is no longer in use" holds on return.
 * XDP programs run with bottom halves disabled, which such a grace period waits for too. membarrier() would not do: on
 * a machine with one CPU it returns at once. About 9 ms.
 */
int dataplane_quiesce(struct dataplane *d)
{
	__u32 zero = 0;

	return bpf_map_update_elem(d->rcu_outer_fd, &zero, &d->rcu_inner_fd, BPF_ANY);
}

/* ---- test runs --------------------------------------------------------------------------------------------------- */
/* Copy a mmapable array of cache lines by windows: mapped pages count as resident memory. */
static int copy_lines(int from, int to, __u32 lines)
{
	const size_t window = 1u << 20;
	size_t total = (size_t)lines * sizeof(struct lb_flow_bucket);

	for (size_t at = 0; at < total; at += window) {
		size_t len = total - at < window ? total - at : window;
		void *src = mmap(NULL, len, PROT_READ, MAP_SHARED, from, (off_t)at);
		void *dst = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, to, (off_t)at);
		int rc = src == MAP_FAILED || dst == MAP_FAILED ? -errno : 0;

		if (!rc)
			memcpy(dst, src, len);
		if (src != MAP_FAILED)
			munmap(src, len);
		if (dst != MAP_FAILED)
			munmap(dst, len);
		if (rc)
			return rc;
	}
	return 0;
}

/* The first entry of a per-CPU map of counters that is not all zero: its sums to @sum, and it is made zero again. */
static int take_moved(struct dataplane *d, enum dp_map_id id, __u32 entries, unsigned int words, __u64 *sum)
{
	int fd = d->dry_fd[id], found = -1;

	memset(sum, 0, words * sizeof(*sum));
	for (__u32 key = 0; key < entries; key++) {
		const __u64 *value = d->values;
		__u64 any = 0;

		if (bpf_map_lookup_elem(fd, &key, d->values))
			continue;
		for (unsigned int i = 0; i < words * d->n_cpus; i++) {
			any |= value[i];
			if (found < 0)
				sum[i % words] += value[i];
		}
		if (!any)
			continue;
		if (found < 0)
			found = (int)key;
		memset(d->values, 0, words * d->n_cpus * sizeof(__u64));
		(void)bpf_map_update_elem(fd, &key, d->values, BPF_ANY);
	}
	return found;
}

static int prepare_run(struct dataplane *d, struct err *err)
{
	int rc;

	if (d->dry_prog_fd < 0) {
		rc = dp_load_dry(d, err);
		if (rc)
			return rc;
	}
	rc = copy_lines(d->map[DP_FLOWS].fd, d->dry_fd[DP_FLOWS], d->maps.sizes.flow_buckets);
	if (!rc)
		rc = copy_lines(d->map[DP_SYN_SEEN].fd, d->dry_fd[DP_SYN_SEEN], d->maps.sizes.syn_buckets);
	return rc ? err_set(err, rc, "cannot copy the flow table for a test run: %s", strerror(-rc)) : 0;
}

int dataplane_trace(struct dataplane *d, const void *frame, __u32 len, void *out, __u32 *out_size,
		    struct dataplane_trace *trace, struct err *err)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = len, .data_out = out,
		    .data_size_out = *out_size, .repeat = 1);
	struct lb_steer_stats steer;
	struct lb_counter counter;
	__u64 one;
	int rc;

	*trace = (struct dataplane_trace){.outcome = -1};
	rc = prepare_run(d, err);
	if (rc)
		return rc;
	rc = bpf_prog_test_run_opts(d->dry_prog_fd, &run);
	if (rc)
		return err_set(err, rc, "cannot run the program on a packet of %u bytes: %s", len, strerror(-rc));
	*out_size = run.data_size_out;
	trace->verdict = run.retval;
	trace->outcome = take_moved(d, DP_OUTCOMES, LB_OUTCOME_SLOTS, 1, &one);
	rc = take_moved(d, DP_BACKEND_STATS, d->maps.sizes.backends, 2, (__u64 *)&counter);
	trace->bidx = rc > 0 ? (__u16)rc : 0;
	rc = take_moved(d, DP_STEER_STATS, d->maps.sizes.services, sizeof(steer) / sizeof(__u64), steer.n);
	trace->in_transition = rc >= 0;
	(void)take_moved(d, DP_STEER_BUDGET, d->maps.sizes.services, 1, &one); /* each run has a full one */
	trace->steer = steer;
	return 0;
}

int dataplane_test_run(struct dataplane *d, const void *frame, __u32 len, void *out, __u32 *out_size, __u32 *verdict,
		       struct err *err)
{
	struct dataplane_trace trace;
	int rc = dataplane_trace(d, frame, len, out, out_size, &trace, err);

	if (!rc)
		*verdict = trace.verdict;
	return rc;
}
