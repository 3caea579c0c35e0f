/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show.h - how documents look to people: tables, numbers with units, times as distances, colours. What comes
 * from the daemon may quote what strangers sent, so text is printed without control characters.
 */
#pragma once
#include "lbctl.h"
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* ---- members of documents: forgiving, so that an older or newer daemon only costs a column ---- */
const char *show_get_text(const json_t *o, const char *key); /* "" when missing */
int64_t show_get_int(const json_t *o, const char *key);      /* 0 when missing */
double show_get_real(const json_t *o, const char *key);

/* ---- printing ---- */
void show_json(const json_t *doc); /* on stdout, one line, or indented on a terminal */
void show_text(const char *s, FILE *out);
/* Diagnostics in the shape of core/diag.h, from report_diags()'s JSON. */
void show_diags(const json_t *o, FILE *out);

/* ---- values as text, malloc'd (NULL: out of memory) ---- */
char *show_count(uint64_t n);                    /* 9500, 12.3k, 4.56M */
char *show_bytes(uint64_t n);                    /* 950 B, 12.3 KiB */
char *show_percent(double share);                /* 0.25 -> 25.0% */
char *show_age(int64_t then_ns, int64_t now_ns); /* 45s, 12m, 3h05m, 2d04h; "-" when @then_ns is 0 */
/* The colour for a state or severity, as libsmartcols takes it; NULL: none. */
const char *show_state_colour(const char *state);

/* ---- tables ---- */
struct show_table; /* wraps libsmartcols */
enum show_column_flag { SHOW_RIGHT = 1, SHOW_TRUNCATE = 2 };
struct show_column {
	const char *name;
	int flags;
};
/* @columns ends with name == NULL. */
struct show_table *show_table_new(const struct lbctl *ctx, const struct show_column *columns);
void show_table_row(struct show_table *t);
/* Fill the row's next column. show_put takes @text (malloc'd, NULL is empty), show_put_text copies. */
void show_put(struct show_table *t, char *text);
void show_put_text(struct show_table *t, const char *text);
void show_put_state(struct show_table *t, const char *state); /* coloured */
void show_put_state_as(struct show_table *t, const char *text,
		       const char *state); /* @text in the colour of @state */
/* Print and free. */
void show_table_print(struct show_table *t);
