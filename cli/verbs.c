// SPDX-License-Identifier: Apache-2.0
/*
 * verbs.c - the table of verbs, in the order of `lbctl --help`. To add one: declare its run() in verbs.h, add
 * a line here. The help and the completion read this table; nothing else lists verbs.
 */
#include "verbs.h"

#include <stddef.h>

/* clang-format off: a table */
const struct lbctl_verb lbctl_verbs[] = {
	{"status", LBCTL_LOOK, "the daemon, its services and backends at a glance, and what is wrong",
	 verb_status},
	{"services", LBCTL_LOOK, "services: what they listen on, how they fare, their tables", verb_services},
	{"backends", LBCTL_LOOK, "backends: who serves, how much, and why the others do not", verb_backends},
	{"table", LBCTL_LOOK, "how a service's lookup table is shared out", verb_table},
	{"top", LBCTL_LOOK, "live rates per backend", verb_top},
	{"stats", LBCTL_LOOK, "packet counters by service and by outcome", verb_stats},
	{"events", LBCTL_LOOK, "what happened; with --follow, what happens", verb_events},
	{"explain", LBCTL_LOOK, "where a packet would go, and why", verb_explain},
	{"flows", LBCTL_LOOK, "tracked flows: those that a change has put at risk", verb_flows},
	{"probe", LBCTL_LOOK, "probe a backend now and show the result", verb_probe},
	{"doctor", LBCTL_LOOK, "check what lbd needs from this host and its network", verb_doctor},
	{"drain", LBCTL_CHANGE, "no new connections to a backend; established ones stay", verb_drain},
	{"undrain", LBCTL_CHANGE, "take a drained backend back in", verb_undrain},
	{"weight", LBCTL_CHANGE, "override a backend's weight, or go back to the configured one",
	 verb_weight},
	{"disable", LBCTL_CHANGE, "take a backend out at once, connections and all", verb_disable},
	{"enable", LBCTL_CHANGE, "undo a disable", verb_enable},
	{"reload", LBCTL_CHANGE, "read the configuration again and apply what differs", verb_reload},
	{"check", LBCTL_CONFIGURE, "check a configuration file; needs no daemon", verb_check},
	{"diff", LBCTL_CONFIGURE, "what a reload would change, in services and slots", verb_diff},
	{"backend-setup", LBCTL_HOST, "make this host a backend: VIPs, sysctls, MSS, decapsulation",
	 verb_backend_setup},
	{"backend-check", LBCTL_HOST, "is this host still set up as a backend?", verb_backend_check},
	{"backend-undo", LBCTL_HOST, "put back what backend-setup changed", verb_backend_undo},
	{"version", LBCTL_HOST, "versions of lbctl and of the running daemon", verb_version},
	{"help", LBCTL_HOST, "explain a verb: lbctl help VERB", verb_help},
	{NULL, LBCTL_GROUP_MAX, NULL, NULL},
};
/* clang-format on */
