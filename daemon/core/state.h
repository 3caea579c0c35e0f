/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - the desired state: services and backends with their stable ids and their place in the maps.
 *
 * Pure. A `struct state` is made from a configuration and the state that is in force (state_build), or read back from
 * pinned maps by the engine. Whatever stays the same over a reload or a restart keeps its id: service by name, backend
 * by (service, address). Services are sorted by name, backends by address.
 *
 * A backend that left the configuration is not forgotten at once: it stays as `retired` (weight 0, no new flows) so
 * that its established flows end in peace; the engine drops it when no slot and no flow can name it any more.
 */
#pragma once
#include "core/config.h"
#include "core/err.h"

struct state_backend {
	char name[LB_NAME_MAX];
	struct lb_addr addr;
	__u16 bidx;
	__u32 weight;
	enum lb_forward forward;
	bool retired;
};

struct state_service {
	char name[LB_NAME_MAX];
	__u16 sid;
	struct lb_addr vips[CONFIG_VIPS_MAX];
	unsigned int n_vips;
	__u16 port;
	__u8 protocol;
	__u8 flags; /* enum lb_svc_flag */
	__u32 m;
	__u32 line; /* first line of its slots */
	__u32 grace_s;
	__u32 flow_idle_s;
	__u32 udp_idle_s;
	__u32 new_flow_limit;
	__u32 source_limit;
	__u64 acl_digest; /* of the prefix lists, which the configuration holds; 0 = none */
	struct state_backend *backends; /* owned */
	unsigned int n_backends;
};

struct state {
	struct state_service *services; /* owned */
	unsigned int n_services;
};

struct state_capacity {
	__u32 slot_lines;
	__u32 backends; /* bidx must be below */
	__u32 services; /* sid must be below */
};

/*
 * The state that @cfg asks for, with ids continued from @old (may be NULL). Ids and slot lines in use in @old are not
 * handed to anything new, so a plan never reuses what it frees. A service keeps its table size unless the configuration
 * names another one (it then gets new lines). -ENOSPC with @err when an id space or the slot lines are used up.
 */
int state_build(const struct config *cfg, const struct state *old, const struct state_capacity *cap, struct state **out,
		struct err *err);
/* Slot lines, services and backends that @cfg needs at least (for sizing the maps at load). */
void state_need(const struct config *cfg, struct state_capacity *need);

struct state *state_copy(const struct state *s); /* NULL when out of memory */
void state_free(struct state *s);
static inline void state_freep(struct state **s)
{
	state_free(*s);
}

struct state_service *state_find_service(const struct state *s, const char *name);
struct state_backend *state_find_backend(const struct state_service *s, const struct lb_addr *addr);
/* By configured name or by address text. */
struct state_backend *state_find_backend_named(const struct state_service *s, const char *name_or_address);
__u64 state_service_val(const struct state_service *s);
static inline __u32 state_lines_for(__u32 m)
{
	return (m + LB_SLOTS_PER_LINE - 1) / LB_SLOTS_PER_LINE;
}
