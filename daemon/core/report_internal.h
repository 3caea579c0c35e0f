/* SPDX-License-Identifier: Apache-2.0 */
/* report_internal.h - what the files of report share. */
#pragma once
#include "core/report.h"

/* The last step of each report: NULL (out of memory somewhere) becomes an error. Takes @doc. */
int report_finish(json_t *doc, json_t **data, struct err *err);
json_t *report_steering(const struct snapshot_service *svc);
