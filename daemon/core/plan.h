/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - the difference between two states as an ordered list of operations, printable and testable.
 *
 * Pure. The order is right at every instant: what a packet may read is written before anything that leads to it
 * (backends, then the service's settings, then its slots, then its keys); removals go the other way round (keys, then a
 * wait until no packet can still be using them, then the service). So a crash between two operations leaves a state
 * that is right to forward with, and from which a restarted daemon reaches the same end.
 */
#pragma once
#include "core/state.h"

#define PLAN_OPS(X)                                                                       \
	X(BACKEND_ADD, "backend-add")       /* new id: line, info, counters from 0 */     \
	X(BACKEND_CHANGE, "backend-change") /* weight, name or forwarding */              \
	X(BACKEND_RETIRE, "backend-retire") /* left the configuration: no new flows */    \
	X(SERVICE_ADD, "service-add")       /* settings written; table filled, settled */ \
	X(SERVICE_CHANGE, "service-change") /* settings */                                \
	X(TABLE_REPLACE, "table-replace")   /* another table size: new lines, settled */  \
	X(TABLE_UPDATE, "table-update")     /* membership or weights: by transitions */   \
	X(KEY_ADD, "key-add")               /* VIP:port/protocol leads to the service */  \
	X(KEY_CHANGE, "key-change")                                                       \
	X(KEY_REMOVE, "key-remove")                                                       \
	X(QUIESCE, "quiesce")               /* wait for packets in flight */              \
	X(SERVICE_REMOVE, "service-remove")
enum plan_op_kind {
#define X(id, name) PLAN_##id,
	PLAN_OPS(X)
#undef X
	PLAN_OP_MAX
};

struct plan_op {
	enum plan_op_kind kind;
	const struct state_service *service; /* in `to`, or in `from` for removals; borrowed */
	const struct state_backend *backend; /* for backend operations; borrowed */
	const struct state_service *old_service; /* in `from`; NULL for additions */
	const struct state_backend *old_backend;
	struct lb_addr vip; /* for key operations; all zero in the last KEY_* of an address: see plan.c */
};

struct plan {
	struct plan_op *ops; /* owned */
	unsigned int n;
	unsigned int size;
};

/* Diff @from (may be NULL) to @to. The plan borrows from both: it must die before them. 0 or -ENOMEM. */
int plan_build(const struct state *from, const struct state *to, struct plan *out);
void plan_done(struct plan *p);
/* One line per operation, for `lbctl diff`, logs and tests. @buf is cut to @size. Returns @buf. */
const char *plan_op_format(const struct plan_op *op, char *buf, size_t size);
