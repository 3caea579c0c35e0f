/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h - the run() functions that verbs.c puts into the table, by the file that has them. */
#pragma once
#include "lbctl.h"

#define LBCTL_RUN(name) int name(int argc, char **argv, struct lbctl *ctx)

/* main.c */
LBCTL_RUN(verb_help);
/* show_status.c */
LBCTL_RUN(verb_status);
LBCTL_RUN(verb_stats);
LBCTL_RUN(verb_version);
/* show_pools.c */
LBCTL_RUN(verb_services);
LBCTL_RUN(verb_backends);
LBCTL_RUN(verb_table);
/* top.c */
LBCTL_RUN(verb_top);
/* events.c */
LBCTL_RUN(verb_events);
/* inspect.c */
LBCTL_RUN(verb_explain);
LBCTL_RUN(verb_flows);
LBCTL_RUN(verb_doctor);
/* probe.c */
LBCTL_RUN(verb_probe);
/* change.c */
LBCTL_RUN(verb_drain);
LBCTL_RUN(verb_undrain);
LBCTL_RUN(verb_weight);
LBCTL_RUN(verb_disable);
LBCTL_RUN(verb_enable);
/* configure.c */
LBCTL_RUN(verb_check);
LBCTL_RUN(verb_diff);
LBCTL_RUN(verb_reload);
/* backend.c */
LBCTL_RUN(verb_backend_setup);
LBCTL_RUN(verb_backend_check);
LBCTL_RUN(verb_backend_undo);
