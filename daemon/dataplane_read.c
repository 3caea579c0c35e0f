// SPDX-License-Identifier: Apache-2.0
/* dataplane_read.c - counters (sums over CPUs), egress ports, memory. */
#include "dataplane_priv.h"
#include "core/cleanup.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>

#define FLOW_WINDOW DATAPLANE_FLOW_WINDOW
#define CHUNK 64u /* entries read by one system call; the buffer for them is made once, at open */

static unsigned int entries_of(const struct dataplane *d, enum dp_map_id id)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(d->map[id].fd, &info, &len) ? 0 : info.max_entries;
}

/* Read entries [*cursor, *cursor + n) of all CPUs into d->values. Kernels before 5.13 lack the batched call. */
static int read_chunk(struct dataplane *d, int fd, __u32 first, __u32 n, size_t stride)
{
	__u32 keys[CHUNK], next, in = first - 1, count = n;
	int rc;

	rc = bpf_map_lookup_batch(fd, first ? &in : NULL, &next, keys, d->values, &count, NULL);
	if ((!rc || rc == -ENOENT) && count == n)
		return 0;
	for (__u32 i = 0; i < n; i++) {
		__u32 key = first + i;

		rc = bpf_map_lookup_elem(fd, &key, (char *)d->values + i * stride * d->n_cpus);
		if (rc)
			return rc;
	}
	return 0;
}

/* Sum @words 64-bit words of each entry over the CPUs. */
static int read_sums(struct dataplane *d, enum dp_map_id id, __u64 *out, unsigned int n, unsigned int words)
{
	size_t stride = words * sizeof(__u64);
	int rc;

	for (__u32 first = 0; first < n; first += CHUNK) {
		__u32 count = n - first < CHUNK ? n - first : CHUNK;
		const __u64 *value = d->values;

		rc = read_chunk(d, d->map[id].fd, first, count, stride);
		if (rc)
			return rc;
		for (__u32 i = 0; i < count; i++) {
			__u64 *sum = out + (size_t)(first + i) * words;

			memset(sum, 0, stride);
			for (unsigned int cpu = 0; cpu < d->n_cpus; cpu++)
				for (unsigned int w = 0; w < words; w++)
					sum[w] += *value++;
		}
	}
	return 0;
}

int dp_values_new(struct dataplane *d)
{
	int n = libbpf_num_possible_cpus();

	if (n < 0)
		return n;
	d->n_cpus = (unsigned int)n;
	d->values = calloc((size_t)CHUNK * d->n_cpus, sizeof(struct lb_steer_stats));
	return d->values ? 0 : -ENOMEM;
}

int dataplane_read_outcomes(struct dataplane *d, __u64 *out, unsigned int n)
{
	return n > LB_OUTCOME_SLOTS ? -ERANGE : read_sums(d, DP_OUTCOMES, out, n, 1);
}

int dataplane_read_backend_stats(struct dataplane *d, struct lb_counter *out, unsigned int n)
{
	return n > d->maps.sizes.backends ? -ERANGE : read_sums(d, DP_BACKEND_STATS, (__u64 *)out, n, 2);
}

int dataplane_read_steer_stats(struct dataplane *d, struct lb_steer_stats *out, unsigned int n)
{
	return n > d->maps.sizes.services ? -ERANGE :
					    read_sums(d, DP_STEER_STATS, (__u64 *)out, n, sizeof(*out) / sizeof(__u64));
}

int dataplane_reset_backend_stats(struct dataplane *d, __u16 bidx)
{
	__u32 key = bidx;

	memset(d->values, 0, d->n_cpus * sizeof(struct lb_counter));
	return bpf_map_update_elem(d->map[DP_BACKEND_STATS].fd, &key, d->values, BPF_ANY);
}

/*
 * The devmap is the record of who has which port, so a restarted daemon finds the ports of the adopted backends. The
 * kernel empties the entry of an interface that is deleted; a packet for it is dropped until its backends are rewritten.
 */
int dataplane_tx_port(struct dataplane *d, unsigned int ifindex, __u8 *port, struct err *err)
{
	int fd = d->map[DP_TX_PORTS].fd, rc;
	unsigned int n = entries_of(d, DP_TX_PORTS);
	struct bpf_devmap_val v;
	__u32 free_port = 0;

	*port = 0;
	if (n > LB_TX_PORTS_MAX)
		n = LB_TX_PORTS_MAX;
	for (__u32 i = 1; i < n; i++) {
		v = (struct bpf_devmap_val){0};
		rc = bpf_map_lookup_elem(fd, &i, &v);
		if (!rc && v.ifindex == ifindex) {
			*port = (__u8)i;
			return 0;
		}
		if ((rc == -ENOENT || (!rc && !v.ifindex)) && !free_port)
			free_port = i;
	}
	if (!free_port)
		return err_set(err, -ENOSPC, "all %u egress ports are in use (interface number %u needs one)", n - 1,
			       ifindex);
	v = (struct bpf_devmap_val){.ifindex = ifindex};
	rc = bpf_map_update_elem(fd, &free_port, &v, BPF_ANY);
	if (rc)
		return err_set(err, rc, "interface number %u can not be an egress port: %s", ifindex, strerror(-rc));
	*port = (__u8)free_port;
	return 0;
}

static void window_close(struct dataplane *d)
{
	if (d->window)
		munmap(d->window, d->window_bytes);
	d->window = NULL;
}

struct lb_flow_bucket *dataplane_flow_window(struct dataplane *d, __u32 first, __u32 *n)
{
	__u32 total = d->maps.sizes.flow_buckets;
	void *p;

	window_close(d);
	*n = first < total ? total - first : 0;
	if (*n > FLOW_WINDOW)
		*n = FLOW_WINDOW;
	if (!*n || first % FLOW_WINDOW)
		return NULL;
	d->window_bytes = (size_t)*n * sizeof(struct lb_flow_bucket);
	p = mmap(NULL, d->window_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, d->map[DP_FLOWS].fd,
		 (off_t)first * (off_t)sizeof(struct lb_flow_bucket));
	d->window = p == MAP_FAILED ? NULL : p;
	return d->window;
}

/* The kernel's own account of a map, from its descriptor's fdinfo; 0 when it can not be had. */
static __u64 memlock_of(int fd)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long bytes = 0;
	char path[64], line[128];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	return bytes;
}

void dp_measure_maps(struct dataplane *d)
{
	d->map_bytes = 0;
	for (unsigned int i = 0; i < d->n_maps; i++)
		d->map_bytes += memlock_of(d->map[i].fd);
}

__u64 dataplane_map_bytes(const struct dataplane *d)
{
	return d->map_bytes;
}
