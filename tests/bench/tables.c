// SPDX-License-Identifier: Apache-2.0
/* tables.c - time to build a table, to overlay it after a health change, and to write its slots. Medians of several runs. */
#include "core/cleanup.h"
#include "core/maglev.h"
#include "core/overlay.h"
#include "core/slots.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define RUNS 15

static const struct maglev_seed seed = { { 1, 2 } };

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(bool json, const char *name, unsigned int n, __u32 m, double *ms)
{
	qsort(ms, RUNS, sizeof(*ms), by_value);
	if (json)
		printf("{\"case\": \"%s\", \"backends\": %u, \"slots\": %u, \"ms\": %.3f}\n", name, n, m, ms[RUNS / 2]);
	else
		printf("%-16s %5u backends %7u slots %9.3f ms\n", name, n, m, ms[RUNS / 2]);
}

struct tables {
	struct maglev_backend *b;
	__u16 *table, *owner;
	__u32 *admission;
	struct lb_slot_line *lines;
	struct lb_slot_x *x;
	__u16 *live;
	__u8 *gen;
};

static void measure(bool json, unsigned int n, __u32 m, struct tables *t)
{
	double build[RUNS], overlay[RUNS], write[RUNS], fresh[RUNS];
	struct slots_view v = { .lines = t->lines, .x = t->x, .live = t->live, .m = m, .gen = t->gen };
	struct slots_counts counts;

	for (unsigned int i = 0; i < n; i++) {
		addr_from_v4_be(&t->b[i].addr, __builtin_bswap32(0x0a000001u + i));
		t->b[i].weight = 100;
		t->admission[i] = OVERLAY_FULL;
	}
	for (unsigned int r = 0; r < RUNS; r++) {
		struct overlay *o = NULL;
		double at = now_ms();

		if (maglev_build(t->b, n, m, &seed, t->table))
			return;
		build[r] = now_ms() - at;
		at = now_ms();
		if (overlay_new(&o, t->b, n, t->table, m, &seed))
			return;
		fresh[r] = now_ms() - at;
		slots_set_owners(&v, t->table, 0, true, &counts);
		t->admission[r % n] = 0;
		at = now_ms();
		(void)overlay_apply(o, t->admission, t->owner);
		overlay[r] = now_ms() - at;
		t->admission[r % n] = OVERLAY_FULL;
		at = now_ms();
		slots_set_owners(&v, t->owner, 0, false, &counts);
		write[r] = now_ms() - at;
		overlay_free(o);
	}
	report(json, "maglev-build", n, m, build);
	report(json, "second-choice", n, m, fresh);
	report(json, "overlay-apply", n, m, overlay);
	report(json, "slots-write", n, m, write);
}

int main(int argc, char **argv)
{
	static const struct {
		unsigned int n;
		__u32 m;
	} sizes[] = { { 10, 4093 }, { 100, 16381 }, { 1000, 65537 }, { 1000, 655373 } };
	bool json = argc > 1 && !strcmp(argv[1], "--json");

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		__u32 m = sizes[i].m, lines = m / LB_SLOTS_PER_LINE + 1;
		struct tables t = {
			.b = calloc(sizes[i].n, sizeof(*t.b)),
			.table = calloc(m, sizeof(*t.table)),
			.owner = calloc(m, sizeof(*t.owner)),
			.admission = calloc(sizes[i].n, sizeof(*t.admission)),
			.lines = calloc(lines, sizeof(*t.lines)),
			.x = calloc((size_t)lines * LB_SLOTS_PER_LINE, sizeof(*t.x)),
			.live = calloc((size_t)lines * LB_SLOTS_PER_LINE, sizeof(*t.live)),
			.gen = calloc(LB_BIDX_MAX + 1, 1),
		};

		if (t.b && t.table && t.owner && t.admission && t.lines && t.x && t.live && t.gen)
			measure(json, sizes[i].n, m, &t);
		free(t.b);
		free(t.table);
		free(t.owner);
		free(t.admission);
		free(t.lines);
		free(t.x);
		free(t.live);
		free(t.gen);
	}
	return 0;
}
