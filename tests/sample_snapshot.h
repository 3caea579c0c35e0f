/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample_snapshot.h - a snapshot of an imaginary daemon, for the tests of everything that reads snapshots:
 * service "dns" (UDP, two healthy backends) and "web" (TCP, IPv4 and IPv6; one backend healthy, one down, one
 * drained by the operator, one in slow start with an overridden weight).
 */
#pragma once
#include "core/snapshot.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLE_NOW_NS 1772357400123456789ull /* 2026-03-01T09:30:00.123Z */

__attribute__((unused)) static struct lb_addr sample_addr(const char *text)
{
	struct lb_addr a = {0};

	if (addr_parse(text, &a))
		abort();
	return a;
}

static struct snapshot_backend sample_backend(const char *name, const char *addr, __u16 bidx,
					      enum admission_state state)
{
	struct snapshot_backend b = {
		.addr = sample_addr(addr),
		.bidx = bidx,
		.weight = 100,
		.weight_override = -1,
		.forward = LB_FORWARD_IPIP,
		.encap = LB_ENCAP_IP4,
		.state = state,
		.admission = 65536,
		.own_slots = 1000,
		.slots = 1000,
		.generation = 1,
		.since_ns = SAMPLE_NOW_NS - 3600000000000ull,
		.reason = "probe: 3 of 3 succeeded",
		.probe_type = PROBE_HTTP,
		.active = HEALTH_UP,
		.rise = 3,
		.fall = 3,
		.last_probe = {.outcome = PROBE_OUTCOME_OK, .latency_us = 850, .detail = "HTTP 200"},
		.checks = 1800,
		.next_probe_ms = 1200,
		.nexthop_ok = true,
		.nexthop = "eth1 via 10.0.2.1 (02:00:00:00:02:01)",
		.mtu = 1480,
		.packets = 1000000ull * bidx,
		.bytes = 64000000ull * bidx,
	};

	snprintf(b.name, sizeof(b.name), "%s", name);
	return b;
}

static void sample_web(struct snapshot_service *s)
{
	struct snapshot_backend *b = calloc(4, sizeof(*b));

	*s = (struct snapshot_service){
		.name = "web",
		.sid = 2,
		.vips = {sample_addr("203.0.113.10"), sample_addr("2001:db8::10")},
		.n_vips = 2,
		.port = 443,
		.protocol = IPPROTO_TCP,
		.m = 4093,
		.digest = 0xfedcba9876543210ull,
		.slots = {.settled = 4000, .p1 = 90, .p2 = 3},
		.grace_s = 900,
		.flows = 42,
		.packets = 18000000,
		.bytes = 1152000000,
		.steer = {[LB_STEER_LOOKUP] = 500, [LB_STEER_HIT] = 420, [LB_STEER_BUDGET] = 1},
		.backends = b,
		.n_backends = 4,
	};
	b[0] = sample_backend("web1", "10.0.1.11", 3, ADMISSION_HEALTHY);
	b[0].slots = 3069;
	b[1] = sample_backend("web2", "10.0.1.12", 4, ADMISSION_DOWN);
	b[1].slots = 0;
	b[1].admission = 0;
	b[1].active = HEALTH_DOWN;
	b[1].failures = 7;
	b[1].last_probe =
		(struct probe_result){PROBE_OUTCOME_TIMEOUT, 1000000, "connect: no answer in 1000 ms"};
	snprintf(b[1].reason, sizeof(b[1].reason), "probe: 3 of 3 failed: connect: no answer in 1000 ms");
	b[2] = sample_backend("web3", "10.0.1.13", 5, ADMISSION_DRAINED);
	b[2].slots = 0;
	b[2].admission = 0;
	b[2].admin = LB_ADMIN_DRAIN;
	snprintf(b[2].reason, sizeof(b[2].reason), "drained by the operator");
	b[3] = sample_backend("web4", "2001:db8::14", 6, ADMISSION_SLOW_START);
	b[3].slots = 1024;
	b[3].own_slots = 1093;
	b[3].admission = 16384;
	b[3].weight_override = 50;
	b[3].encap = LB_ENCAP_IP6;
	b[3].next_ns = SAMPLE_NOW_NS + 22000000000ull;
	snprintf(b[3].reason, sizeof(b[3].reason), "slow start: 25%%");
}

static void sample_dns(struct snapshot_service *s)
{
	struct snapshot_backend *b = calloc(2, sizeof(*b));

	*s = (struct snapshot_service){
		.name = "dns",
		.sid = 1,
		.vips = {sample_addr("203.0.113.53")},
		.n_vips = 1,
		.port = 53,
		.protocol = IPPROTO_UDP,
		.m = 4093,
		.digest = 0x0123456789abcdefull,
		.slots = {.settled = 4093},
		.grace_s = 900,
		.packets = 3000000,
		.bytes = 192000000,
		.backends = b,
		.n_backends = 2,
	};
	b[0] = sample_backend("10.0.1.21", "10.0.1.21", 1, ADMISSION_HEALTHY);
	b[1] = sample_backend("10.0.1.22", "10.0.1.22", 2, ADMISSION_HEALTHY);
	b[0].own_slots = b[0].slots = 2047;
	b[1].own_slots = b[1].slots = 2046;
	b[0].probe_type = b[1].probe_type = PROBE_NONE;
}

__attribute__((unused)) static void sample_snapshot(struct snapshot *s)
{
	*s = (struct snapshot){
		.version = "0.1.0",
		.config_file = "/etc/lbd/lbd.yaml",
		.now_ns = SAMPLE_NOW_NS,
		.started_ns = SAMPLE_NOW_NS - 90061000000000ull,
		.loaded_ns = SAMPLE_NOW_NS - 7200000000000ull,
		.reloads = 2,
		.kernel = "6.1.0-18-amd64",
		.interfaces = {{"eth0", "native", true}, {"eth1", "none", false}},
		.n_interfaces = 2,
		.pin_dir = "/sys/fs/bpf/lbd",
		.outcomes = {[LB_OUTCOME_PASS_NOT_VIP] = 12345,
			     [LB_OUTCOME_DROP_TOO_BIG] = 7,
			     [LB_OUTCOME_TX_ECHO_REPLY] = 3},
		.map_bytes = 33554432,
		.services = calloc(2, sizeof(struct snapshot_service)),
		.n_services = 2,
	};
	sample_dns(&s->services[0]);
	sample_web(&s->services[1]);
}
