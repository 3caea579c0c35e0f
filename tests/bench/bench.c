// SPDX-License-Identifier: Apache-2.0
/*
 * bench.c - nanoseconds per packet of the data path, beside our own floor programs in the same run.
 *
 * Each round runs the driver alone (`nothing`), the floor (`constant`: parse and a constant IPIP header) and the balancer,
 * in turn; the driver's own time of the same round is subtracted; medians over the rounds are printed. A round whose
 * packets did not all end as they must is an error, not a number. One buffer stays in the cache all the time: that is
 * kinder than a network card; hence also the packets per second over veth.
 */
#include "bench.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <argp.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 101

static struct {
	unsigned int rounds;
	unsigned int packets;
	bool json;
	const char *only;
	const char *near, *far;
	int cpu;
} arg = { .rounds = 11, .packets = 200000, .cpu = 1 };

double median(double *v, unsigned int n)
{
	for (unsigned int i = 1; i < n; i++)
		for (unsigned int k = i; k && v[k - 1] > v[k]; k--) {
			double t = v[k];

			v[k] = v[k - 1];
			v[k - 1] = t;
		}
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static __u64 cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (__u64)ts.tv_sec * 1000000000u + (__u64)ts.tv_nsec;
}

/* One run of @packets packets: nanoseconds of CPU time for each. */
static double run(struct bench *b, struct bpf_program *prog, unsigned int packets)
{
	struct bench_cfg *cfg = &b->skel->bss->cfg;
	char out[512];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = cfg->frame, .data_size_in = cfg->len, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = (int)packets);
	__u64 start;

	memset(b->skel->data->state.verdicts, 0, sizeof(b->skel->data->state.verdicts));
	b->skel->data->state.grown = 0;
	start = cpu_ns();
	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &o)) {
		fprintf(stderr, "bench: test run: %s\n", strerror(errno));
		exit(1);
	}
	return (double)(cpu_ns() - start) / packets;
}

static void check(struct bench *b, const char *name, unsigned int packets, int verdict, int grown)
{
	const struct bench_state *s = &b->skel->data->state;

	if (s->errors || s->verdicts[verdict & 7] != packets || s->grown != (__s64)packets * grown) {
		fprintf(stderr, "bench: %s: of %u packets %llu ended as they must (%llu aborted, %llu dropped, %llu passed, "
			"%llu sent, %llu redirected), %lld bytes were added: not a valid measurement\n", name, packets,
			(unsigned long long)s->verdicts[verdict & 7], (unsigned long long)s->verdicts[0],
			(unsigned long long)s->verdicts[1], (unsigned long long)s->verdicts[2],
			(unsigned long long)s->verdicts[3], (unsigned long long)s->verdicts[4], (long long)s->grown);
		exit(1);
	}
}

/* The floor always encapsulates plain TCP over IPv4, whatever the case is about. */
static double run_floor(struct bench *b, struct bpf_program *prog, const struct bench_cfg *like, int grown)
{
	struct bench_cfg *cfg = &b->skel->bss->cfg;
	double ns;

	frame_make(cfg, FRAME_TCP4, like->vips);
	cfg->flows = like->flows;
	cfg->first = like->first;
	cfg->sequential = like->sequential;
	ns = run(b, prog, arg.packets);
	check(b, "floor", arg.packets, XDP_TX, grown);
	return ns;
}

static void report(const char *name, __u32 flows, double ns, double floor)
{
	if (arg.json)
		printf("{\"case\": \"%s\", \"flows\": %u, \"ns\": %.1f, \"floor_ns\": %.1f, \"ratio\": %.2f}\n", name, flows, ns,
		       floor, ns / floor);
	else
		printf("%-32s %9u %8.1f %8.1f %7.2fx\n", name, flows, ns, floor, ns / floor);
	fflush(stdout);
}

/* Flows that are tracked are made so before the clock starts. */
static void warm_up(struct bench *b, const struct bench_case *c, __u32 flows)
{
	struct bench_cfg *cfg = &b->skel->bss->cfg;

	frame_make(cfg, c->frame, c->services);
	cfg->flows = flows;
	cfg->sequential = 1;
	b->skel->data->state.next = 0;
	(void)run(b, b->skel->progs.bench_balancer, flows > arg.packets ? flows : arg.packets);
}

static void measure(struct bench *b, const struct bench_case *c, __u32 flows)
{
	double base[ROUNDS_MAX], floor[ROUNDS_MAX], ns[ROUNDS_MAX];
	struct bench_cfg *cfg = &b->skel->bss->cfg, own;

	bench_fill(b, c);
	if (!c->once)
		warm_up(b, c, flows);
	for (unsigned int i = 0; i < arg.rounds; i++) {
		frame_make(&own, c->frame, c->services);
		own.flows = c->once ? ~0u : flows;
		own.sequential = c->once;
		own.first = c->once ? (i + 1) * arg.packets : 0;
		base[i] = run_floor(b, b->skel->progs.bench_nothing, &own, 0);
		floor[i] = run_floor(b, b->skel->progs.bench_constant, &own, 20) - base[i];
		*cfg = own;
		b->skel->data->state.next = 0;
		if (c->transition == P1_INSERT)
			bench_clear_flows(b);
		/* The driver's cost depends on how much header it restores. */
		base[i] = run(b, b->skel->progs.bench_nothing, arg.packets);
		b->skel->data->state.next = 0;
		ns[i] = run(b, b->skel->progs.bench_balancer, arg.packets) - base[i];
		check(b, c->name, arg.packets, c->verdict, c->grown);
	}
	report(c->name, flows, median(ns, arg.rounds), median(floor, arg.rounds));
}

static void measure_floors(struct bench *b)
{
	static const char *const names[] = { "floor-driver", "floor-parse", "floor-constant-ipip" };
	struct bpf_program *const progs[] = { b->skel->progs.bench_nothing, b->skel->progs.bench_parse,
					      b->skel->progs.bench_constant };
	double ns[3][ROUNDS_MAX], floor;
	struct bench_cfg own;

	frame_make(&own, FRAME_TCP4, 1);
	own.flows = 1;
	for (unsigned int i = 0; i < arg.rounds; i++)
		for (int k = 0; k < 3; k++)
			ns[k][i] = run_floor(b, progs[k], &own, k == 2 ? 20 : 0) - (k ? ns[0][i] : 0);
	floor = median(ns[2], arg.rounds);
	for (int k = 0; k < 3; k++)
		report(names[k], 1, median(ns[k], arg.rounds), floor);
}

/*
 * Our flow table beside the kernel's LRU maps, each on the floor's path. @flows 0: every packet a new flow; our own table
 * is emptied for each round, the others have room for all rounds together.
 */
static void measure_table(struct bench *b, const char *name, struct bpf_program *prog, __u32 flows)
{
	struct bench_cfg *cfg = &b->skel->bss->cfg;
	double ns[ROUNDS_MAX], floor[ROUNDS_MAX], base;

	bench_fill(b, &bench_cases[0]);
	frame_make(cfg, FRAME_TCP4, 1);
	cfg->flows = flows ? flows : ~0u;
	cfg->sequential = 1;
	if (flows) {
		b->skel->data->state.next = 0;
		(void)run(b, prog, flows > arg.packets ? flows : arg.packets);
	}
	for (unsigned int i = 0; i < arg.rounds; i++) {
		cfg->sequential = !flows;
		cfg->first = flows ? 0 : (i + 11) * arg.packets;
		b->skel->data->state.next = 0;
		base = run(b, b->skel->progs.bench_nothing, arg.packets);
		b->skel->data->state.next = 0;
		floor[i] = run(b, b->skel->progs.bench_constant, arg.packets) - base;
		if (!flows)
			bench_clear_flows(b);
		b->skel->data->state.next = 0;
		ns[i] = run(b, prog, arg.packets) - base;
		check(b, name, arg.packets, XDP_TX, 20);
	}
	report(name, flows ? flows : arg.packets, median(ns, arg.rounds), median(floor, arg.rounds));
}

static void measure_tables(struct bench *b)
{
	const struct {
		const char *name;
		struct bpf_program *prog;
	} tables[] = {
		{ "flowtable-own", b->skel->progs.bench_flowtable_own },
		{ "flowtable-lru", b->skel->progs.bench_flowtable_lru },
		{ "flowtable-lru-percpu", b->skel->progs.bench_flowtable_lru_percpu },
	};
	static const __u32 flows[] = { 1, 10000, 1000000, 0 };
	char name[64];

	for (unsigned int i = 0; i < 3; i++)
		for (unsigned int k = 0; k < 4; k++) {
			snprintf(name, sizeof(name), "%s%s", tables[i].name, flows[k] ? "" : "-insert");
			if (!arg.only || strstr(name, arg.only))
				measure_table(b, name, tables[i].prog, flows[k]);
		}
}

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "One JSON object a line", 0 },
	{ "rounds", 'r', "N", 0, "Rounds (default 11)", 0 },
	{ "packets", 'n', "N", 0, "Packets of a round (default 200000)", 0 },
	{ "only", 'o', "TEXT", 0, "Only cases with TEXT in their name", 0 },
	{ "cpu", 'c', "N", 0, "CPU to run on (default 1)", 0 },
	{ "veth", 'v', "NEAR,FAR", 0, "Packets per second over this veth pair instead", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	char *comma;

	switch (key) {
	case 'j':
		arg.json = true;
		return 0;
	case 'r':
		arg.rounds = (unsigned int)atoi(value);
		if (arg.rounds < 1 || arg.rounds > ROUNDS_MAX)
			argp_error(state, "--rounds: 1 to %d", ROUNDS_MAX);
		return 0;
	case 'n':
		arg.packets = (unsigned int)atoi(value);
		if (arg.packets < 1000 || arg.packets > 10000000)
			argp_error(state, "--packets: 1000 to 10000000");
		return 0;
	case 'o':
		arg.only = value;
		return 0;
	case 'c':
		arg.cpu = atoi(value);
		return 0;
	case 'v':
		comma = strchr(value, ',');
		if (!comma)
			argp_error(state, "--veth: two names, with a comma between them");
		*comma = 0;
		arg.near = value;
		arg.far = comma + 1;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void pin_to_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)arg.cpu % (size_t)sysconf(_SC_NPROCESSORS_ONLN), &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { .options = options, .parser = parse_option,
					  .doc = "Nanoseconds per packet, net of the harness; medians; ratios to a program "
						 "that stamps a constant IPIP header on every packet." };
	struct bench b = { 0 };
	struct utsname u;
	bool tables;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	pin_to_cpu();
	tables = !arg.near && (!arg.only || strstr("flowtable-own flowtable-lru-percpu-insert", arg.only));
	bench_load(&b, tables);
	uname(&u);
	if (!arg.json)
		printf("Linux %s, compiled by %s, %u rounds of %u packets\n", u.release, LBD_CLANG_VERSION, arg.rounds, arg.packets);
	if (arg.near) {
		bench_veth(&b, arg.near, arg.far, arg.json);
		return 0;
	}
	if (!arg.json)
		printf("%-32s %9s %8s %8s %8s\n", "case", "flows", "ns", "floor ns", "ratio");
	measure_floors(&b);
	for (const struct bench_case *c = bench_cases; c->name; c++)
		for (unsigned int i = 0; c->flows[i] && (!arg.only || strstr(c->name, arg.only)); i++)
			measure(&b, c, c->flows[i]);
	if (tables)
		measure_tables(&b);
	return 0;
}
