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
int overlay_new(struct overlay **out, const struct maglev_backend *b, unsigned int n, const __u16 *table, __u32 m,
		const struct maglev_seed *seed);
void overlay_free(struct overlay *o);

/*
 * @admission[n]: 0..OVERLAY_FULL per ordinal. A backend is eligible for others' slots iff its admission is
 * OVERLAY_FULL (a ramping one must not be handed more than its own). When none is full but some are above 0, those
 * are eligible; when all are 0, @current is MAGLEV_NONE everywhere. Writes @current[m] (ordinals).
 * Under 1 ms for m = 65537. 0 or -ENOMEM.
 */
int overlay_apply(const struct overlay *o, const __u32 *admission, __u16 *current);
