/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_internal.h - what the files of doctor share. */
#pragma once
#include "core/doctor.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_ERROR, DOCTOR_SKIPPED, DOCTOR_LEVEL_MAX };

struct doctor {
	const struct doctor_facts *f;
	json_t *checks;
	unsigned int n[DOCTOR_LEVEL_MAX];
};

/* @object: an interface, a backend; "" for none. @hint: what to do; NULL for none. */
void doctor_add(struct doctor *d, enum doctor_level level, const char *name, const char *object, const char *hint,
		const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* After a check of many objects, of which @bad failed (and DOCTOR_LISTED_MAX at most were added): @fine when none did. */
void doctor_sum_up(struct doctor *d, const char *name, unsigned int bad, const char *fine);

/* doctor_pools.c */
void doctor_check_services(struct doctor *d);
