/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - the real program, loaded small and private, for tests that write its maps themselves.
 *
 * Opens the skeleton directly (no daemon code), sizes the maps, fills the parameters, maps the arrays into memory and
 * runs frames through BPF_PROG_TEST_RUN. Needs root; fixture_up() ends the test program with 77 (skip) without it.
 */
#pragma once
#include "lb/abi.h"
#include "lb/backend.h"
#include "lb/hash.h"
#include "lb/params.h"
#include "lb.skel.h" /* needs the types above */
#include "pkt.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef FIX_SLOT_LINES /* a test that needs more says so before it includes this */
#define FIX_SLOT_LINES 64u
#endif
#define FIX_SVC_BUCKETS 64u
#ifndef FIX_BACKENDS
#define FIX_BACKENDS 64u
#endif
#define FIX_SERVICES 16u
#ifndef FIX_FLOW_BUCKETS
#define FIX_FLOW_BUCKETS 64u
#endif
#define FIX_SEED { 0x0123456789abcdefull, 0xfedcba9876543210ull }

struct fixture {
	struct lb_bpf *skel;
	struct lb_params params;
	struct lb_svc4_bucket *svc4;
	struct lb_svc6_bucket *svc6;
	struct lb_slot_line *slots;
	struct lb_slot_x *slot_x;
	struct lb_slot_live_line *slot_live;
	struct lb_backend *backends;
	struct lb_backend *backend_spares;
	struct lb_service *services;
	struct lb_flow_bucket *flows;
	struct lb_flow_bucket *syn_seen;
	int cpus;
};

struct fixture_options {
	__u32 features;
	__u32 cpu_insert_budget; /* 0 = plenty */
	__u32 rules_off;         /* enum lb_rule */
	__u32 clock_speed;       /* 0: the LB clock runs as it should, else so many times as fast */
	__u32 echo_rate;         /* 0: the default */
	__u32 error_rate;
	bool clock_stands;       /* the LB clock is always 0: time passes by ageing what is stored */
};

static inline void *fixture_map(struct bpf_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);
	void *p = mmap(NULL, (len + page - 1) / page * page, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (p == MAP_FAILED) {
		fprintf(stderr, "mmap of %s: %s\n", bpf_map__name(map), strerror(errno));
		exit(1);
	}
	return p;
}

static inline void fixture_sizes(struct lb_bpf *s)
{
	bpf_map__set_max_entries(s->maps.svc4, FIX_SVC_BUCKETS);
	bpf_map__set_max_entries(s->maps.svc6, FIX_SVC_BUCKETS);
	bpf_map__set_max_entries(s->maps.slots, FIX_SLOT_LINES);
	bpf_map__set_max_entries(s->maps.slot_x, FIX_SLOT_LINES * LB_SLOTS_PER_LINE);
	bpf_map__set_max_entries(s->maps.slot_live, FIX_SLOT_LINES);
	bpf_map__set_max_entries(s->maps.backends, FIX_BACKENDS);
	bpf_map__set_max_entries(s->maps.backend_spares, FIX_BACKENDS);
	bpf_map__set_max_entries(s->maps.backend_info, FIX_BACKENDS);
	bpf_map__set_max_entries(s->maps.backend_stats, FIX_BACKENDS);
	bpf_map__set_max_entries(s->maps.services, FIX_SERVICES);
	bpf_map__set_max_entries(s->maps.steer_stats, FIX_SERVICES);
	bpf_map__set_max_entries(s->maps.steer_budget, FIX_SERVICES);
	bpf_map__set_max_entries(s->maps.flows, FIX_FLOW_BUCKETS);
	bpf_map__set_max_entries(s->maps.syn_seen, FIX_FLOW_BUCKETS);
}

static inline __u32 fixture_hz(void)
{
	struct timespec ts;

	clock_getres(CLOCK_MONOTONIC_COARSE, &ts);
	return (__u32)(1000000000 / ts.tv_nsec);
}

/* The verifier's log can be a million lines: its end says what is wrong. */
static int fixture_print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	static char text[1 << 24];
	int len;

	if (level == LIBBPF_DEBUG)
		return 0;
	len = vsnprintf(text, sizeof(text), fmt, args);
	return fprintf(stderr, "%s", len > 3000 && len < (int)sizeof(text) ? text + len - 3000 : text);
}

static inline void fixture_up(struct fixture *f, const struct fixture_options *o)
{
	struct lb_params_input in = {
		.seed = FIX_SEED,
		.svc_seed = 1,
		.svc_buckets = FIX_SVC_BUCKETS,
		.flow_buckets = FIX_FLOW_BUCKETS,
		.syn_buckets = FIX_FLOW_BUCKETS,
		.hz = fixture_hz(),
		.cpu_insert_budget = o && o->cpu_insert_budget ? o->cpu_insert_budget : 1000000,
		.features = o ? o->features : 0,
		.echo_rate = o ? o->echo_rate : 0,
		.error_rate = o ? o->error_rate : 0,
	};
	int err;

	memset(f, 0, sizeof(*f));
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root\n");
		exit(77);
	}
	libbpf_set_print(fixture_print);
	f->skel = lb_bpf__open();
	if (!f->skel) {
		fprintf(stderr, "cannot open the skeleton\n");
		exit(1);
	}
	fixture_sizes(f->skel);
	lb_params_init(&f->params, &in);
	if (o && (o->clock_speed || o->clock_stands))
		f->params.clock_mul *= o->clock_stands ? 0 : o->clock_speed;
	f->skel->rodata->lb_rules_off = o ? o->rules_off : 0;
	memcpy((void *)&f->skel->rodata->lb_params, &f->params, sizeof(f->params));
	err = lb_bpf__load(f->skel);
	if (err == -EPERM) {
		fprintf(stderr, "skipped: may not load BPF programs\n");
		exit(77);
	}
	if (err) {
		fprintf(stderr, "load: %s\n", strerror(-err));
		exit(1);
	}
	f->svc4 = fixture_map(f->skel->maps.svc4);
	f->svc6 = fixture_map(f->skel->maps.svc6);
	f->slots = fixture_map(f->skel->maps.slots);
	f->slot_x = fixture_map(f->skel->maps.slot_x);
	f->slot_live = fixture_map(f->skel->maps.slot_live);
	f->backends = fixture_map(f->skel->maps.backends);
	f->backend_spares = fixture_map(f->skel->maps.backend_spares);
	f->services = fixture_map(f->skel->maps.services);
	f->flows = fixture_map(f->skel->maps.flows);
	f->syn_seen = fixture_map(f->skel->maps.syn_seen);
	f->cpus = libbpf_num_possible_cpus();
}

static inline void fixture_down(struct fixture *f)
{
	lb_bpf__destroy(f->skel); /* the mappings go with the process */
	f->skel = NULL;
}

/* ---- services and backends ----------------------------------------------------------------------------------- */
/* Add a key for VIP text @vip; @port 0 and @proto 0: "is a VIP". */
static inline void fixture_key(struct fixture *f, const char *vip, __u16 port, __u8 proto, __u64 val)
{
	__u8 a[16];
	unsigned int i;

	if (inet_pton(AF_INET, vip, a) == 1) {
		__u32 addr;
		__u64 key;

		memcpy(&addr, a, 4);
		key = LB_SVC4_KEY(addr, htons(port), proto);
		for (i = 0; i < 4; i++) {
			struct lb_svc4 *e = &f->svc4[lb_svc4_bucket(&f->params.svc, key)].e[i];

			if (e->key && e->key != key)
				continue;
			e->val = val;
			__atomic_store_n(&e->key, key, __ATOMIC_RELEASE);
			return;
		}
	} else if (inet_pton(AF_INET6, vip, a) == 1) {
		__u64 hi, lo, key = LB_SVC4_KEY(0, htons(port), proto);

		memcpy(&hi, a, 8);
		memcpy(&lo, a + 8, 8);
		for (i = 0; i < 2; i++) {
			struct lb_svc6 *e = &f->svc6[lb_svc6_bucket(&f->params.svc, hi, lo, key)].e[i];

			if (e->key && (e->key != key || e->vip_hi != hi || e->vip_lo != lo))
				continue;
			e->vip_hi = hi;
			e->vip_lo = lo;
			e->val = val;
			__atomic_store_n(&e->key, key, __ATOMIC_RELEASE);
			return;
		}
	}
	fprintf(stderr, "no room for %s:%u\n", vip, port);
	exit(1);
}

/* Service @sid on the default VIPs of both families, @port and @proto, @m slots from line @line on. */
static inline void fixture_service(struct fixture *f, __u16 sid, __u16 port, __u8 proto, __u32 flags, __u32 m,
				   __u32 line)
{
	__u64 val = LB_SVC_VAL(sid, flags, m, line);

	f->services[sid].val = val;
	f->services[sid].grace_s = 900;
	f->services[sid].flow_idle_s = 900;
	f->services[sid].udp_idle_s = 60;
	f->services[sid].insert_budget = 1000000;
	fixture_key(f, "203.0.113.10", 0, 0, 0);
	fixture_key(f, "2001:db8:ffff::10", 0, 0, 0);
	fixture_key(f, "203.0.113.10", port, proto, val);
	fixture_key(f, "2001:db8:ffff::10", port, proto, val);
}

static inline void fixture_slots(struct fixture *f, __u32 line, __u32 m, __u16 word)
{
	__u32 i;

	for (i = 0; i < m; i++)
		f->slots[line + i / LB_SLOTS_PER_LINE].s[i % LB_SLOTS_PER_LINE] = word;
}

static inline void fixture_mapped(__u8 out[16], const char *text)
{
	memset(out, 0, 16);
	if (inet_pton(AF_INET, text, out + 12) == 1) {
		out[10] = out[11] = 0xff;
		return;
	}
	pkt_require(inet_pton(AF_INET6, text, out) == 1, text);
}

/* ---- running ------------------------------------------------------------------------------------------------- */
/* Run one frame. Returns the XDP action; @out is the frame as it left. */
static inline int fixture_run(struct fixture *f, const struct pkt *in, struct pkt *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->b, .data_size_in = in->len, .data_out = out->b,
		    .data_size_out = sizeof(out->b), .repeat = 1);
	int err = bpf_prog_test_run_opts(bpf_program__fd(f->skel->progs.lb_xdp), &opts);

	if (err) {
		fprintf(stderr, "test run of %u bytes: %s\n", in->len, strerror(-err));
		exit(1);
	}
	out->len = opts.data_size_out;
	return (int)opts.retval;
}

static inline __u32 fixture_clock_ds(struct fixture *f)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err = bpf_prog_test_run_opts(bpf_program__fd(f->skel->progs.lb_clock), &opts);

	if (err) {
		fprintf(stderr, "clock: %s\n", strerror(-err));
		exit(1);
	}
	return opts.retval;
}

/* ---- counters, summed over CPUs ------------------------------------------------------------------------------- */
static inline void fixture_percpu(const struct fixture *f, struct bpf_map *map, __u32 key, __u64 *sum, unsigned int words)
{
	__u64 buf[64 * 32] = { 0 };
	unsigned int i;
	int cpu;

	pkt_require((unsigned int)f->cpus * words <= sizeof(buf) / 8, "too many CPUs");
	memset(sum, 0, words * 8);
	if (bpf_map_lookup_elem(bpf_map__fd(map), &key, buf)) {
		fprintf(stderr, "reading %s[%u]: %s\n", bpf_map__name(map), key, strerror(errno));
		exit(1);
	}
	for (cpu = 0; cpu < f->cpus; cpu++)
		for (i = 0; i < words; i++)
			sum[i] += buf[(unsigned int)cpu * words + i];
}

static inline void fixture_outcomes(struct fixture *f, __u64 out[LB_OUTCOME_MAX])
{
	__u32 i;

	for (i = 0; i < LB_OUTCOME_MAX; i++)
		fixture_percpu(f, f->skel->maps.outcomes, i, &out[i], 1);
}

static inline struct lb_counter fixture_counter(struct fixture *f, __u32 bidx)
{
	struct lb_counter c;

	fixture_percpu(f, f->skel->maps.backend_stats, bidx, (__u64 *)&c, 2);
	return c;
}

static inline struct lb_steer_stats fixture_steer(struct fixture *f, __u32 sid)
{
	struct lb_steer_stats s;

	fixture_percpu(f, f->skel->maps.steer_stats, sid, s.n, 16);
	return s;
}

/* Where a packet was counted: an outcome, or the backend it was sent to. */
struct fixture_ledger {
	__u64 outcomes[LB_OUTCOME_MAX];
	struct lb_counter backends[FIX_BACKENDS];
};

static inline void fixture_ledger(struct fixture *f, struct fixture_ledger *l)
{
	__u32 i;

	fixture_outcomes(f, l->outcomes);
	for (i = 0; i < FIX_BACKENDS; i++)
		l->backends[i] = fixture_counter(f, i);
}

/*
 * What one packet between @a and @b was counted as: an outcome, or LB_OUTCOME_MAX + bidx. -1 unless exactly one
 * counter moved, by one.
 */
static inline int fixture_counted(const struct fixture_ledger *a, const struct fixture_ledger *b)
{
	int found = -1, moved = 0, i;

	for (i = 0; i < LB_OUTCOME_MAX; i++) {
		moved += (int)(b->outcomes[i] - a->outcomes[i]);
		if (b->outcomes[i] != a->outcomes[i])
			found = i;
	}
	for (i = 0; i < (int)FIX_BACKENDS; i++) {
		moved += (int)(b->backends[i].packets - a->backends[i].packets);
		if (b->backends[i].packets != a->backends[i].packets)
			found = LB_OUTCOME_MAX + i;
	}
	return moved == 1 ? found : -1;
}

static inline const char *fixture_outcome_name(int outcome)
{
	static const char *const names[] = {
#define X(id, name) [LB_OUTCOME_##id] = name,
		LB_OUTCOMES(X)
#undef X
	};

	return outcome >= 0 && outcome < LB_OUTCOME_MAX ? names[outcome] : outcome < 0 ? "not one counter" : "sent";
}
