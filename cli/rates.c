// SPDX-License-Identifier: Apache-2.0
/* rates.c - see rates.h. */
#include "rates.h"
#include "show.h"

#include <stdlib.h>
#include <string.h>

void rates_done(struct rates *r)
{
	free(r->row);
	*r = (struct rates){0};
}

static bool same_backend(const json_t *a, const json_t *b)
{
	return !strcmp(show_get_text(a, "service"), show_get_text(b, "service")) &&
	       !strcmp(show_get_text(a, "address"), show_get_text(b, "address"));
}

/* Both lists have the same order as long as the configuration is the same: look at the same place first. */
static const json_t *find(const json_t *list, size_t at, const json_t *b)
{
	const json_t *x = json_array_get(list, at);
	size_t i;

	if (x && same_backend(x, b))
		return x;
	json_array_foreach ((json_t *)list, i, x)
		if (same_backend(x, b))
			return x;
	return NULL;
}

static double per_second(const json_t *before, const json_t *after, const char *key, double seconds)
{
	int64_t then = show_get_int(before, key), now = show_get_int(after, key);

	if (now < then)
		then = 0;
	return seconds > 0 ? (double)(now - then) / seconds : 0;
}

static int by_name(const void *a, const void *b)
{
	const struct rates_row *x = a, *y = b;
	int r = strcmp(x->service, y->service);

	return r ? r : strcmp(x->backend, y->backend);
}

static int by_packets(const void *a, const void *b)
{
	const struct rates_row *x = a, *y = b;

	return x->pps > y->pps ? -1 : x->pps < y->pps ? 1 : by_name(a, b);
}

static int by_state(const void *a, const void *b)
{
	const struct rates_row *x = a, *y = b;
	/* What is wrong stands first. */
	int r = !strcmp(x->state, "healthy") - !strcmp(y->state, "healthy");

	r = r ? r : strcmp(x->state, y->state);
	return r ? r : by_name(a, b);
}

static void traffic_shares(struct rates *r)
{
	for (size_t i = 0; i < r->n; i++) {
		double all = 0;

		for (size_t k = 0; k < r->n; k++)
			if (!strcmp(r->row[k].service, r->row[i].service))
				all += r->row[k].pps;
		r->row[i].traffic_share = all > 0 ? r->row[i].pps / all : 0;
	}
}

void rates_build(struct rates *r, const json_t *before, const json_t *after, enum rates_order order)
{
	static int (*const compare[])(const void *, const void *) = {by_name, by_packets, by_state};
	const json_t *old = json_object_get(before, "backends"), *new = json_object_get(after, "backends");
	double s = (double)(show_get_int(after, "time_ns") - show_get_int(before, "time_ns")) / 1e9;
	struct rates_row *row = realloc(r->row, (json_array_size(new) + 1) * sizeof(*row));
	const json_t *b;
	size_t i;

	r->n = 0;
	r->pps = r->bps = 0;
	if (!row)
		return;
	r->row = row;
	json_array_foreach ((json_t *)new, i, b) {
		const json_t *was = find(old, i, b);

		row = &r->row[r->n++];
		*row = (struct rates_row){.slot_share = show_get_real(b, "share")};
		snprintf(row->service, sizeof(row->service), "%s", show_get_text(b, "service"));
		snprintf(row->backend, sizeof(row->backend), "%s", show_get_text(b, "name"));
		snprintf(row->address, sizeof(row->address), "%s", show_get_text(b, "address"));
		snprintf(row->state, sizeof(row->state), "%s", show_get_text(b, "state"));
		row->pps = per_second(was, b, "packets", s);
		row->bps = per_second(was, b, "bytes", s) * 8;
		r->pps += row->pps;
		r->bps += row->bps;
	}
	traffic_shares(r);
	qsort(r->row, r->n, sizeof(*r->row), compare[order]);
}
