// SPDX-License-Identifier: Apache-2.0
/* setup.c - loads the benchmark's object and writes its maps for a case: services, backends, tables, transitions. */
#include "bench.h"
#include "core/cleanup.h"
#include "core/maglev.h"
#include "core/svcmap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const __u64 seed[2] = { 0x0123456789abcdefull, 0xfedcba9876543210ull };

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int print_errors(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, args) : 0;
}

static void *map_memory(struct bpf_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);
	void *p = mmap(NULL, (len + page - 1) / page * page, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (p == MAP_FAILED)
		die(bpf_map__name(map));
	return p;
}

static void set_sizes(struct bench_bpf *s)
{
	bpf_map__set_max_entries(s->maps.svc4, BENCH_SVC_BUCKETS);
	bpf_map__set_max_entries(s->maps.svc6, BENCH_SVC_BUCKETS);
	bpf_map__set_max_entries(s->maps.slots, BENCH_SLOT_LINES);
	bpf_map__set_max_entries(s->maps.slot_x, BENCH_SLOT_LINES * LB_SLOTS_PER_LINE);
	bpf_map__set_max_entries(s->maps.slot_live, BENCH_SLOT_LINES);
	bpf_map__set_max_entries(s->maps.backends, BENCH_BACKENDS);
	bpf_map__set_max_entries(s->maps.backend_spares, BENCH_BACKENDS);
	bpf_map__set_max_entries(s->maps.backend_info, BENCH_BACKENDS);
	bpf_map__set_max_entries(s->maps.backend_stats, BENCH_BACKENDS);
	bpf_map__set_max_entries(s->maps.services, BENCH_SERVICES + 1);
	bpf_map__set_max_entries(s->maps.steer_stats, BENCH_SERVICES + 1);
	bpf_map__set_max_entries(s->maps.steer_budget, BENCH_SERVICES + 1);
	bpf_map__set_max_entries(s->maps.flows, BENCH_FLOW_BUCKETS);
	bpf_map__set_max_entries(s->maps.syn_seen, 8192);
}

static __u32 kernel_hz(void)
{
	struct timespec ts;

	clock_getres(CLOCK_MONOTONIC_COARSE, &ts);
	return (__u32)(1000000000 / ts.tv_nsec);
}

void bench_load(struct bench *b, bool lru)
{
	struct lb_params_input in = { .seed = { seed[0], seed[1] }, .svc_seed = 1, .svc_buckets = BENCH_SVC_BUCKETS,
				      .flow_buckets = BENCH_FLOW_BUCKETS, .syn_buckets = 8192, .hz = kernel_hz(),
				      .cpu_insert_budget = ~0u };

	libbpf_set_print(print_errors);
	b->skel = bench_bpf__open();
	if (!b->skel)
		die("the object can not be opened");
	set_sizes(b->skel);
	/* As many flows as our own table has ways. That is 300 MB each: only when they are measured. */
	if (lru) {
		bpf_map__set_max_entries(b->skel->maps.lru_common, BENCH_FLOW_BUCKETS * LB_FLOW_WAYS);
		bpf_map__set_max_entries(b->skel->maps.lru_percpu, BENCH_FLOW_BUCKETS * LB_FLOW_WAYS);
	}
	lb_params_init(&b->params, &in);
	memcpy((void *)&b->skel->rodata->lb_params, &b->params, sizeof(b->params));
	if (bench_bpf__load(b->skel))
		die("the object can not be loaded (root is needed)");
	b->svc4 = map_memory(b->skel->maps.svc4);
	b->svc6 = map_memory(b->skel->maps.svc6);
	b->slots = map_memory(b->skel->maps.slots);
	b->slot_x = map_memory(b->skel->maps.slot_x);
	b->backends = map_memory(b->skel->maps.backends);
	b->services = map_memory(b->skel->maps.services);
	b->flows = map_memory(b->skel->maps.flows);
	b->syn_seen = map_memory(b->skel->maps.syn_seen);
}

void bench_clear_flows(struct bench *b)
{
	memset(b->flows, 0, BENCH_FLOW_BUCKETS * sizeof(*b->flows));
}

static void make_backend(struct lb_backend *to, enum lb_encap encap, unsigned int sid, unsigned int n)
{
	bool v6 = encap == LB_ENCAP_IP6 || encap == LB_ENCAP_GUE6;
	struct lb_backend_spec s = { .encap = encap, .sid = (__u16)sid, .link_mtu = 9000, .gue_port = 6080,
				     .dst_mac = { 2, 0, 0, 0, 1, 1 }, .src_mac = { 2, 0, 0, 0, 0, 1 } };
	struct lb_addr a;
	char text[64];

	snprintf(text, sizeof(text), v6 ? "fd00::%x" : "10.1.%u.%u", v6 ? n : n >> 8, n & 255);
	addr_parse(text, &a);
	memcpy(s.dst, a.b, sizeof(s.dst));
	addr_parse(v6 ? "fd00:1::1" : "10.2.0.1", &a);
	memcpy(s.src, a.b, sizeof(s.src));
	lb_backend_build(to, &s);
}

static void set_keys(struct bench *b, unsigned int sid, __u64 val)
{
	struct svcmap map;
	char text[64];

	svcmap_init(&map, b->svc4, b->svc6, BENCH_SVC_BUCKETS, 1);
	for (int v6 = 0; v6 < 2; v6++) {
		struct lb_addr vip;

		snprintf(text, sizeof(text), v6 ? "2001:db8:ffff::%x" : "203.0.113.%u", sid - 1);
		if (addr_parse(text, &vip) || svcmap_set(&map, &vip, 80, 6, val) || svcmap_set(&map, &vip, 80, 17, val) ||
		    svcmap_set(&map, &vip, 0, 0, LB_SVC_VAL(0, 0, 0, 0)))
			die("no room for a service");
	}
}

static void set_slots(struct bench *b, const struct bench_case *c, __u32 line, const __u16 *table, unsigned int first)
{
	enum lb_phase phase = c->transition == P2_MISS ? LB_PHASE_P2 : LB_PHASE_P1;

	for (__u32 i = 0; i < c->m; i++) {
		unsigned int owner = first + table[i], alt = first + (table[i] + 1u) % c->backends;
		bool moved = (i * 2654435761u >> 16) % 100 < c->percent;

		if (moved)
			b->slot_x[line * LB_SLOTS_PER_LINE + i].a = LB_SLOTX_A(alt, 0, phase, 1, 0);
		b->slots[line + i / LB_SLOTS_PER_LINE].s[i % LB_SLOTS_PER_LINE] =
			(__u16)(owner | (moved ? LB_SLOT_TRANSITION : 0));
	}
}

void bench_fill(struct bench *b, const struct bench_case *c)
{
	_cleanup_free_ struct maglev_backend *mb = calloc(c->backends, sizeof(*mb));
	_cleanup_free_ __u16 *table = malloc(c->m * sizeof(*table));
	struct maglev_seed mseed = { { seed[0], seed[1] } };
	__u32 line = 0;

	if (!mb || !table)
		die("memory");
	memset(b->svc4, 0, BENCH_SVC_BUCKETS * sizeof(*b->svc4));
	memset(b->svc6, 0, BENCH_SVC_BUCKETS * sizeof(*b->svc6));
	for (unsigned int sid = 1; sid <= c->services; sid++) {
		unsigned int first = 1 + (sid - 1) * c->backends;
		__u64 val = LB_SVC_VAL(sid, 0, c->m, line);

		for (unsigned int k = 0; k < c->backends; k++) {
			addr_from_v4_be(&mb[k].addr, __builtin_bswap32(0x0a010000u + first + k));
			mb[k].weight = 100;
			make_backend(&b->backends[first + k], c->encap, sid, first + k);
		}
		if (maglev_build(mb, c->backends, c->m, &mseed, table))
			die("table");
		b->services[sid] = (struct lb_service){ .val = val, .grace_s = 900, .flow_idle_s = 900, .udp_idle_s = 60,
							.insert_budget = ~0u };
		set_slots(b, c, line, table, first);
		set_keys(b, sid, val);
		line += (c->m + LB_SLOTS_PER_LINE - 1) / LB_SLOTS_PER_LINE;
	}
	bench_clear_flows(b);
}
