/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flowlist.h - words of the flow table as people read them: whose flow, how long silent, how long remembered.
 *
 * Pure. The engine walks the table by windows and feeds words in; a page holds at most its limit of entries but counts
 * all that it has seen, so that a large table is read in several calls, none of which takes long.
 */
#pragma once
#include "core/addr.h"
#include "core/err.h"
#include "lb/flow.h"
#include <jansson.h>
#include <stdbool.h>

#define FLOWLIST_LIMIT_DEFAULT 1000u
#define FLOWLIST_LIMIT_MAX 10000u /* of one answer: some 2 MB of JSON */

struct flowlist_entry {
	char service[LB_NAME_MAX]; /* empty: the backend id is nobody's any more */
	char backend[LB_NAME_MAX];
	struct lb_addr addr;
	__u16 bidx;
	__u32 tag;
	__u8 generation; /* when the entry was made */
	bool valid;      /* neither dead nor of a former generation: it decides for its flow's packets */
	enum lb_flow_life life;
	__u32 age_s;    /* since it was last written; a FIN or RST writes an older time: see dies_s */
	__u32 dies_s;   /* until it is dead, unless a packet comes; 0 when it is */
};

struct flowlist {
	struct flowlist_entry *entries; /* owned, n of @limit */
	__u32 n, limit;
	__u64 total;  /* entries seen, listed or not */
	__u64 valid;  /* of these */
	__u32 from;   /* first bucket that was looked at */
	__u32 next;   /* where to go on; 0: the end of the table was reached */
};

/* @limit: at most FLOWLIST_LIMIT_MAX. 0 or -ENOMEM. Free with flowlist_done(). */
int flowlist_init(struct flowlist *l, __u32 limit, __u32 from);
void flowlist_done(struct flowlist *l);
/*
 * What word @w (not 0) says at @tick. @idle_ticks: lb_flow_idle_ticks() of the service; @gen: the backend's present
 * generation. Fills all but the names and the address.
 */
void flowlist_decode(__u64 w, __u32 tick, __u32 idle_ticks, __u8 gen, struct flowlist_entry *out);
/* Count @entry and list it if there is room. */
void flowlist_add(struct flowlist *l, const struct flowlist_entry *entry);
/* The document "flows" (docs/control-protocol.md); shape as in report.h. */
int flowlist_report(const struct flowlist *l, __u64 now_ns, json_t **data, struct err *err);
