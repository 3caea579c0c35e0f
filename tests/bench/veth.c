// SPDX-License-Identifier: Apache-2.0
/*
 * veth.c - packets per second: generator -> veth -> program under test -> back over the veth -> counted and dropped, all
 * on one CPU. The floor and the balancer take turns.
 */
#include "bench.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PACKETS 400000 /* about a tenth of a second: short enough to fit between disturbances */
#define ROUNDS 31

static void attach(const char *ifname, struct bpf_program *prog)
{
	int r = bpf_xdp_attach((int)if_nametoindex(ifname), bpf_program__fd(prog), XDP_FLAGS_DRV_MODE, NULL);

	if (r) {
		fprintf(stderr, "bench: XDP on %s: %s\n", ifname, strerror(-r));
		exit(1);
	}
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Million packets per second that came back. */
static double round_trip(struct bench *b, struct bpf_program *prog, const char *far)
{
	struct bench_cfg *cfg = &b->skel->bss->cfg;
	struct xdp_md ctx = { .data_end = cfg->len, .ingress_ifindex = 1 };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = cfg->frame, .data_size_in = cfg->len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = PACKETS, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	double start, end;

	attach(far, prog);
	b->skel->bss->sunk = 0;
	start = now_s();
	if (bpf_prog_test_run_opts(bpf_program__fd(b->skel->progs.generate), &o)) {
		fprintf(stderr, "bench: live frames: %s\n", strerror(errno));
		exit(1);
	}
	end = now_s();
	if (b->skel->bss->sunk < PACKETS * 99ull / 100) {
		fprintf(stderr, "bench: of %d packets %llu came back: not a valid measurement\n", PACKETS,
			(unsigned long long)b->skel->bss->sunk);
		exit(1);
	}
	return (double)b->skel->bss->sunk / (end - start) / 1e6;
}

void bench_veth(struct bench *b, const char *near, const char *far, bool json)
{
	static const __u32 flows[] = { 1, 10000, 1000000 };
	struct bench_cfg *cfg = &b->skel->bss->cfg;
	double mpps[ROUNDS], floor[ROUNDS], tx[ROUNDS];

	bench_fill(b, &bench_cases[0]);
	attach(near, b->skel->progs.drain);
	for (unsigned int i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		double a, c, t;

		frame_make(cfg, FRAME_TCP4, 1);
		cfg->flows = flows[i];
		cfg->ifindex = if_nametoindex(near);
		for (unsigned int k = 0; k < ROUNDS; k++) {
			tx[k] = round_trip(b, b->skel->progs.wire_nothing, far);
			floor[k] = round_trip(b, b->skel->progs.wire_constant, far);
			mpps[k] = round_trip(b, b->skel->progs.wire_balancer, far);
		}
		a = median(mpps, ROUNDS);
		c = median(floor, ROUNDS);
		t = median(tx, ROUNDS);
		if (json)
			printf("{\"case\": \"veth-tcp4-ipip\", \"flows\": %u, \"mpps\": %.3f, \"floor_mpps\": %.3f, "
			       "\"tx_mpps\": %.3f, \"ratio\": %.3f}\n", flows[i], a, c, t, a / c);
		else
			printf("veth: %u flows: %.2f Mpps; constant IPIP %.2f, XDP_TX alone %.2f; %.1f%% of constant IPIP\n",
			       flows[i], a, c, t, 100 * a / c);
		fflush(stdout);
	}
}
