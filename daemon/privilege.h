/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege.h - what this process may do, and giving up what it does not need.
 *
 * After start the daemon keeps CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_NET_RAW, and its user id: the files below
 * /sys/fs/bpf and the control socket belong to root, and their owner needs no capability to use them.
 */
#pragma once
#include "core/err.h"
#include <stddef.h>

/*
 * Names of the capabilities that loading and attaching need and this process lacks, as "CAP_BPF, CAP_NET_ADMIN", into
 * @buf; empty when none is missing. CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON, as in the kernel.
 * Returns how many are missing.
 */
int privilege_missing(char *buf, size_t size);
/*
 * Drop every capability but the four above (fewer when they were not there), from all sets of the process, including
 * the bounding set, and forbid gaining any by exec (no_new_privs). Do first what needs more: reading files of other
 * users, chown of the control socket, mounting bpffs, naming a foreign XDP program. Idempotent.
 */
int privilege_drop(struct err *err);
