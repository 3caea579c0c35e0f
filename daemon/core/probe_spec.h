/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_spec.h - how a backend is probed: plain data, comparable by probe_spec_equal(). Times in ms.
 *
 * A complete spec (as in a parsed configuration) holds a usable value in every field; fields that its type
 * has no use for hold their defaults, so that equal probes are equal in every byte that matters.
 */
#pragma once
#include <linux/types.h>
#include <stdbool.h>

enum probe_via { PROBE_VIA_VIP, PROBE_VIA_BACKEND };
enum probe_type { PROBE_NONE, PROBE_TCP, PROBE_HTTP, PROBE_HTTPS, PROBE_UDP, PROBE_TYPE_MAX };

#define PROBE_RANGES_MAX 8
#define PROBE_DATA_MAX 512

struct probe_spec {
	enum probe_type type;
	__u32 interval_ms;      /* default 2000 */
	__u32 fast_interval_ms; /* while changing state: default interval / 4, at least 50 */
	__u32 down_interval_ms; /* while down: default 5000, or interval if that is longer */
	__u32 timeout_ms;       /* below interval_ms; default 1000, or interval / 2 if that is shorter */
	__u32 rise, fall;       /* 3, 3 */
	__u32 jitter_pct;       /* 10 */
	__u16 port;             /* 0: the service's port */
	enum probe_via via;     /* to the VIP as clients' packets go, or to the backend's own address; default vip */
	/* http, https */
	char path[256];  /* default "/" */
	char host[256];  /* Host header and SNI; empty: the VIP */
	char method[8];  /* GET or HEAD */
	char body[128];  /* the answer must contain this; empty: not looked at */
	bool tls_verify; /* default false: probes are about liveness */
	struct {
		__u16 from, to;
	} expect[PROBE_RANGES_MAX]; /* accepted status codes, ascending and apart; default 200-399 */
	unsigned int n_expect;      /* 0: the type has no status codes */
	/* udp */
	__u8 send[PROBE_DATA_MAX], expect_data[PROBE_DATA_MAX];
	__u32 send_len, expect_len; /* expect_len 0: any answer; the answer must begin with expect_data */
};

/* The spec of a probe of @type with every default. */
void probe_spec_init(struct probe_spec *s, enum probe_type type);
/* Would both probes do the same? Two probes of type none always would. */
bool probe_spec_equal(const struct probe_spec *a, const struct probe_spec *b);
const char *probe_type_name(enum probe_type t);
const char *probe_via_name(enum probe_via v); /* "vip", "backend" */
