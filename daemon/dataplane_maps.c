// SPDX-License-Identifier: Apache-2.0
/*
 * dataplane_maps.c - which maps there are, how large, which of them this process maps, what a larger set takes over.
 *
 * Mapping a BPF array makes all its pages resident at once (the kernel inserts them eagerly), so only what the daemon
 * writes is mapped. The flow table and the SYN filter are not: they are the largest, and only packets touch them. The
 * side tables of the slots are mapped where they are in use (dataplane_lines.c).
 */
#include "dataplane_priv.h"
#include "core/cleanup.h"
#include "lb/flow.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE(field) offsetof(struct dataplane_sizes, field)

#define DAEMON(map, carry_, struct_, field, per)                                                               \
	{                                                                                                    \
		.name = #map, .carry = DP_CARRY_##carry_, .value_size = sizeof(struct_), .size_field = field, \
		.per_size = per, .pointer = offsetof(struct dataplane_maps, map)                              \
	}
#define PACKETS(map, carry_, struct_, field, keyed_)                                                           \
	{                                                                                                    \
		.name = #map, .carry = DP_CARRY_##carry_, .value_size = sizeof(struct_), .size_field = field, \
		.per_size = 1, .pointer = -1, .packets_write = true, .keyed = keyed_                          \
	}

const struct dp_map_spec dp_map_specs[DP_KNOWN_MAX] = {
	[DP_SVC4] = DAEMON(svc4, BUCKETS, struct lb_svc4_bucket, SIZE(svc_buckets), 1),
	[DP_SVC6] = DAEMON(svc6, BUCKETS, struct lb_svc6_bucket, SIZE(svc_buckets), 1),
	[DP_SLOTS] = DAEMON(slots, COPY, struct lb_slot_line, SIZE(slot_lines), 1),
	[DP_SLOT_X] = DAEMON(slot_x, COPY, struct lb_slot_x, SIZE(slot_lines), LB_SLOTS_PER_LINE),
	[DP_SLOT_LIVE] = DAEMON(slot_live, COPY, struct lb_slot_live_line, SIZE(slot_lines), 1),
	[DP_BACKENDS] = DAEMON(backends, COPY, struct lb_backend, SIZE(backends), 1),
	[DP_BACKEND_SPARES] = DAEMON(backend_spares, COPY, struct lb_backend, SIZE(backends), 1),
	[DP_BACKEND_INFO] = DAEMON(backend_info, COPY, struct lb_backend_info, SIZE(backends), 1),
	[DP_SERVICES] = DAEMON(services, COPY, struct lb_service, SIZE(services), 1),
	[DP_META] = DAEMON(meta, COPY, struct lb_meta, -1, 1),
	[DP_BACKEND_STATS] = PACKETS(backend_stats, STATS, struct lb_counter, SIZE(backends), true),
	[DP_OUTCOMES] = PACKETS(outcomes, STATS, __u64, -1, false),
	[DP_STEER_STATS] = PACKETS(steer_stats, STATS, struct lb_steer_stats, SIZE(services), true),
	[DP_STEER_BUDGET] = PACKETS(steer_budget, STATS, __u64, SIZE(services), true),
	[DP_FLOWS] = PACKETS(flows, SHARE, struct lb_flow_bucket, SIZE(flow_buckets), true),
	[DP_SYN_SEEN] = PACKETS(syn_seen, SHARE, struct lb_flow_bucket, SIZE(syn_buckets), true),
	[DP_TX_PORTS] = {.name = "tx_ports", .carry = DP_CARRY_SHARE, .size_field = -1, .pointer = -1},
	/* By service id: under another seed ids are handed out anew. */
	[DP_ACL] = {.name = "acl", .carry = DP_CARRY_SHARE, .size_field = -1, .pointer = -1, .keyed = true},
};

static __u32 size_of(const struct dataplane_sizes *s, ptrdiff_t field)
{
	__u32 v;

	memcpy(&v, (const char *)s + field, sizeof(v));
	return v;
}

static void *pointer_of(const struct dataplane_maps *m, ptrdiff_t field)
{
	void *p;

	memcpy(&p, (const char *)m + field, sizeof(p));
	return p;
}

static void set_pointer(struct dataplane_maps *m, ptrdiff_t field, void *p)
{
	memcpy((char *)m + field, &p, sizeof(p));
}

__u32 dp_map_entries(enum dp_map_id id, const struct dataplane_sizes *s)
{
	const struct dp_map_spec *spec = &dp_map_specs[id];

	return spec->size_field < 0 ? 0 : size_of(s, spec->size_field) * spec->per_size;
}

void dp_sizes_of(const struct dp_pins *pins, struct dataplane_sizes *out)
{
	*out = (struct dataplane_sizes){
		.slot_lines = pins->info[DP_SLOTS].max_entries,
		.svc_buckets = pins->info[DP_SVC4].max_entries,
		.backends = pins->info[DP_BACKENDS].max_entries,
		.services = pins->info[DP_SERVICES].max_entries,
		.flow_buckets = pins->info[DP_FLOWS].max_entries,
		.syn_buckets = pins->info[DP_SYN_SEEN].max_entries,
	};
}

bool dp_sizes_cover(const struct dataplane_sizes *have, const struct dataplane_sizes *want)
{
	/* A flow table that is smaller than wanted does not count: replacing it would forget the flows at risk. */
	return have->slot_lines >= want->slot_lines && have->svc_buckets >= want->svc_buckets &&
	       have->backends >= want->backends && have->services >= want->services;
}

static size_t page_round(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

int dp_mmap(const int fds[DP_KNOWN_MAX], const struct dataplane_sizes *sizes, bool whole, struct dataplane_maps *maps,
	    size_t bytes[DP_KNOWN_MAX], struct err *err)
{
	*maps = (struct dataplane_maps){.sizes = *sizes};
	memset(bytes, 0, sizeof(size_t) * DP_KNOWN_MAX);
	for (int id = 0; id < DP_KNOWN_MAX; id++) {
		const struct dp_map_spec *spec = &dp_map_specs[id];
		__u32 entries = dp_map_entries(id, sizes);
		size_t len;
		void *p;

		if (spec->pointer < 0)
			continue;
		len = page_round((size_t)(entries ? entries : 1) * spec->value_size);
		if (dp_is_lazy(id) && !whole)
			p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		else
			p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fds[id], 0);
		if (p == MAP_FAILED) {
			int rc = err_set(err, -errno, "cannot map BPF map \"%s\" (%zu bytes): %m", spec->name, len);

			dp_munmap(maps, bytes);
			return rc;
		}
		set_pointer(maps, spec->pointer, p);
		bytes[id] = len;
	}
	return 0;
}

void dp_munmap(struct dataplane_maps *maps, size_t bytes[DP_KNOWN_MAX])
{
	for (int id = 0; id < DP_KNOWN_MAX; id++) {
		if (!bytes[id])
			continue;
		munmap(pointer_of(maps, dp_map_specs[id].pointer), bytes[id]);
		set_pointer(maps, dp_map_specs[id].pointer, NULL);
		bytes[id] = 0;
	}
}

/* Copy the values of all CPUs, entry by entry: this runs once, when a set of maps has been outgrown. */
static int copy_percpu(int from, int to, __u32 entries, __u32 value_size, unsigned int n_cpus)
{
	size_t stride = (value_size + 7u) / 8 * 8;
	_cleanup_free_ void *values = calloc(n_cpus, stride);
	int rc = 0;

	if (!values)
		return -ENOMEM;
	for (__u32 i = 0; i < entries && !rc; i++) {
		rc = bpf_map_lookup_elem(from, &i, values);
		if (!rc)
			rc = bpf_map_update_elem(to, &i, values, BPF_ANY);
	}
	return rc;
}

static int carry_stats(struct dataplane *d)
{
	int rc = 0;

	for (int id = 0; id < DP_KNOWN_MAX && !rc; id++) {
		const struct dp_map_spec *spec = &dp_map_specs[id];

		if (spec->carry != DP_CARRY_STATS || d->map[id].adopted)
			continue;
		rc = copy_percpu(d->previous.fd[id], d->map[id].fd, d->previous.info[id].max_entries, spec->value_size,
				 d->n_cpus);
	}
	return rc;
}

/* Of two times at which a slot was last live, the later one: packets wrote the old map, the daemon the new one. */
static int merge_slot_live(struct dataplane *d)
{
	__u16 now = (__u16)lb_flow_tick(dataplane_clock_ds(d));
	int rc = dataplane_need_lines(d, 0, d->previous.sizes.slot_lines);

	if (rc)
		return rc;
	for (__u32 line = 0; line < d->previous.sizes.slot_lines; line++) {
		const __u16 *old = d->previous_maps.slot_live[line].tick;
		__u16 *new = d->maps.slot_live[line].tick;

		for (unsigned int i = 0; i < LB_SLOTS_PER_LINE; i++)
			if ((__u16)(now - old[i]) < (__u16)(now - new[i]))
				new[i] = old[i];
	}
	return 0;
}

int dp_carry_late(struct dataplane *d)
{
	int rc = merge_slot_live(d);

	return rc ? rc : carry_stats(d);
}

int dp_carry_over(struct dataplane *d, struct err *err)
{
	int rc = dataplane_need_lines(d, 0, d->previous.sizes.slot_lines);

	if (rc)
		return err_set(err, rc, "cannot map the larger slot tables: %s", strerror(-rc));

	for (int id = 0; id < DP_KNOWN_MAX; id++) {
		const struct dp_map_spec *spec = &dp_map_specs[id];
		__u32 have = d->previous.info[id].max_entries;
		bool moved = have != dp_map_entries(id, &d->maps.sizes) ||
			     d->previous.meta.svc_seed != d->options.svc_seed;

		if (spec->pointer < 0 || d->map[id].adopted || (spec->carry == DP_CARRY_BUCKETS && moved))
			continue;
		memcpy(pointer_of(&d->maps, spec->pointer), pointer_of(&d->previous_maps, spec->pointer),
		       (size_t)have * spec->value_size);
	}
	rc = carry_stats(d);
	if (rc)
		return err_set(err, rc, "cannot copy the counters to the larger maps: %s", strerror(-rc));
	return 0;
}
