/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.h - who serves each slot now, given how much of its slots each backend is admitted to.
 *
 * Pure; a function of (T, weights, seed, admissions) alone. docs/steering.md tells the method: a backend keeps its own
 * slot s iff u(s) < admission; a slot not kept goes to its second choice, else along a short rehash chain, always to an
 * eligible backend with room under the cap, so that a failure moves only the failed backend's slots.
 */
#pragma once
#include "core/maglev.h"

#define OVERLAY_FULL 65536u /* admission 1.0 */

/* Per-service precomputation (the second choice S2 and u(s)); owned, free with overlay_free. */
struct overlay;

/*
 * @table is what maglev_build made of (@b, @n, @m, @seed). It and @b are copied; 6 bytes a slot. -EINVAL as maglev_order
 * or when @table can not be of that set; -ENOMEM. Once per configuration: about 3 ms at m = 65537.
 */
int overlay_new(struct overlay **out, const struct maglev_backend *b, unsigned int n, const __u16 *table, __u32 m,
		const struct maglev_seed *seed);
void overlay_free(struct overlay *o);

/*
 * @admission[n]: 0..OVERLAY_FULL per ordinal. Writes @current[m] (ordinals).
 *
 * A backend is eligible for others' slots iff its admission is at least the *bar*, and keeps its own slot s iff
 * u(s) < admission / bar. The bar is OVERLAY_FULL as long as fully admitted backends hold at least half of all admitted
 * weight (sum of weight * admission); else it is the weighted median of the admissions, so that after a mass return the
 * first to finish its slow start is not handed everybody else's share. Counting what is above the bar as the bar, no
 * backend gets more than (1 + largest admission / bar) times its part of the admitted weight (and the caps' 2%).
 * When no backend with weight is admitted at all, @current is MAGLEV_NONE everywhere.
 *
 * No eligible backend b serves more than overlay_cap slots (or its own quota, if that is more: quotas are rounded).
 * 0 or -ENOMEM (@current is then untouched). About 0.3 ms for m = 65537.
 */
int overlay_apply(const struct overlay *o, const __u32 *admission, __u16 *current);

/* ceil(1.02 x @shared x @weight / @total): @shared slots are divided among eligible backends of @total weight. */
__u32 overlay_cap(__u32 shared, __u32 weight, __u64 total);
/* The bar for these admissions; 0 when nobody with weight is admitted. */
__u32 overlay_bar(const struct overlay *o, const __u32 *admission);
