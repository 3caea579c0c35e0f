/* SPDX-License-Identifier: Apache-2.0 */
/* rates.h - two "backends" documents -> packets and bits per second of each backend. No I/O. */
#pragma once
#include <jansson.h>
#include <stddef.h>

enum rates_order { RATES_BY_NAME, RATES_BY_PACKETS, RATES_BY_STATE, RATES_ORDER_MAX };

struct rates_row {
	char service[64], backend[64], address[48], state[24];
	double pps, bps;
	double traffic_share; /* of the service's packets in that time, 0..1 */
	double slot_share;    /* of the service's slots now */
};

struct rates {
	struct rates_row *row; /* owned */
	size_t n;
	double pps, bps; /* of all */
};

/*
 * What happened between @before and @after. A backend that is only in @after, and counters that went back
 * (the maps are new), count from 0. Reuses @r's memory; on lack of memory rows are missing.
 */
void rates_build(struct rates *r, const json_t *before, const json_t *after, enum rates_order order);
void rates_done(struct rates *r);
