/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - the active-probe state machine of one target: rise / fall over consecutive results.
 *
 * Pure: (machine, result, now) -> new machine, and when to probe next. It knows nothing of admission or slots.
 */
#pragma once
#include "core/probe_spec.h"

/* What one probe found. Refusals and wrong answers prove that the host is alive; silence proves nothing. */
#define PROBE_OUTCOMES(X)                                                                        \
	X(OK, "ok")                                                                              \
	X(REFUSED, "refused")           /* RST or ICMP port unreachable */                       \
	X(UNREACHABLE, "unreachable")   /* ICMP host or net unreachable, no route */             \
	X(TIMEOUT, "timeout")           /* nothing came back at all */                           \
	X(STALLED, "stalled")           /* connected, but no whole answer in time: the host lives */ \
	X(RESET, "reset")               /* connection broken after it was made */                \
	X(BAD_STATUS, "bad_status")     /* HTTP status outside the expected ranges */            \
	X(BAD_BODY, "bad_body")                                                                  \
	X(TLS, "tls")                                                                            \
	X(PROTOCOL, "protocol")         /* not the protocol that was asked for */                \
	X(LOCAL, "local")               /* the prober itself failed (no fd, no memory): says nothing of the target */
enum probe_outcome {
#define X(id, name) PROBE_OUTCOME_##id,
	PROBE_OUTCOMES(X)
#undef X
	PROBE_OUTCOME_MAX
};
const char *probe_outcome_name(enum probe_outcome o);
/* Silence: nothing came back, so the host may be dead. Everything else but LOCAL is an answer of a living host. */
static inline bool probe_outcome_is_silence(enum probe_outcome o)
{
	return o == PROBE_OUTCOME_TIMEOUT || o == PROBE_OUTCOME_UNREACHABLE;
}

struct probe_result {
	enum probe_outcome outcome;
	__u32 latency_us;
	char detail[120]; /* in words: "HTTP 503", "connect: Connection refused" */
};

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

struct health {
	enum health_state state;
	__u32 streak;      /* consecutive results that contradict `state` */
	__u64 since_ns;    /* of the state */
	__u64 checks, failures; /* totals, without LOCAL results */
	__u64 locals;      /* LOCAL results: probes that say nothing of the target */
	struct probe_result last; /* that was not LOCAL */
};

const char *health_state_name(enum health_state s); /* "unknown", "up", "down" */

enum health_event { HEALTH_NOCHANGE, HEALTH_WENT_UP, HEALTH_WENT_DOWN };

void health_init(struct health *h, enum health_state initial, __u64 now_ns);
/*
 * Feed one result. From UNKNOWN the first OK is UP and `fall` failures are DOWN; from UP `fall` failures in a row are
 * DOWN; from DOWN `rise` successes in a row are UP. A LOCAL outcome is counted and changes nothing, not even a streak.
 * A rise or fall of 0 counts as 1.
 * @now_ns: CLOCK_MONOTONIC, must not run backwards.
 */
enum health_event health_step(struct health *h, const struct probe_spec *spec, const struct probe_result *r, __u64 now_ns);
/*
 * Time from the start of the last probe to the next: interval, fast_interval while a change is being confirmed (or
 * UNKNOWN), down_interval while down; with +-jitter from @random (any 32 random bits).
 */
__u32 health_next_ms(const struct health *h, const struct probe_spec *spec, __u32 random);
