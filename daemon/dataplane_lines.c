// SPDX-License-Identifier: Apache-2.0
/*
 * dataplane_lines.c - the side tables of the slots (slot_x, slot_live) are mapped only where they are in use.
 *
 * Mapped pages of a BPF array count as resident, and the side tables are most of what the slots need: 10 of 12 bytes a
 * slot, 6 MB for 600,000 slots, all of it untouched while the slots are settled. So their address space is reserved
 * whole, which costs nothing, and blocks of lines are mapped into it when the daemon says that it needs them, and given
 * back when it has not said so for a while. Pointers stay the same throughout.
 */
#include "dataplane_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK_LINES_MIN 256u

enum block_state { BLOCK_AWAY, BLOCK_IDLE, BLOCK_USED };

static const enum dp_map_id lazy[] = {DP_SLOT_X, DP_SLOT_LIVE};

static size_t line_bytes(enum dp_map_id id)
{
	return (size_t)dp_map_specs[id].value_size * dp_map_specs[id].per_size;
}

/* Blocks begin on page borders of both tables, whatever the size of pages is. */
static __u32 block_lines(void)
{
	__u32 lines = (__u32)sysconf(_SC_PAGESIZE) / (__u32)sizeof(struct lb_slot_live_line);

	return lines > BLOCK_LINES_MIN ? lines : BLOCK_LINES_MIN;
}

static char *base_of(const struct dataplane *d, enum dp_map_id id)
{
	return id == DP_SLOT_X ? (char *)d->maps.slot_x : (char *)d->maps.slot_live;
}

/* Place and length of block @b of table @id. */
static char *block_place(const struct dataplane *d, enum dp_map_id id, __u32 b, size_t *offset, size_t *len)
{
	*offset = (size_t)b * d->block_lines * line_bytes(id);
	*len = (size_t)d->block_lines * line_bytes(id);
	if (*offset + *len > d->mapped_bytes[id])
		*len = d->mapped_bytes[id] - *offset;
	return base_of(d, id) + *offset;
}

static void reserve(char *at, size_t len)
{
	/* Over what is there; can not fail in a way that would matter: the pages stay then. */
	(void)mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static void put_away(struct dataplane *d, __u32 b)
{
	for (size_t i = 0; i < sizeof(lazy) / sizeof(lazy[0]); i++) {
		size_t offset, len;
		char *at = block_place(d, lazy[i], b, &offset, &len);

		reserve(at, len);
	}
	d->block[b] = BLOCK_AWAY;
}

static int fetch(struct dataplane *d, __u32 b)
{
	for (size_t i = 0; i < sizeof(lazy) / sizeof(lazy[0]); i++) {
		size_t offset, len;
		char *at = block_place(d, lazy[i], b, &offset, &len);

		if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, d->map[lazy[i]].fd, (off_t)offset) ==
		    MAP_FAILED) {
			int rc = -errno;

			put_away(d, b);
			return rc;
		}
	}
	return 0;
}

bool dp_is_lazy(enum dp_map_id id)
{
	return id == DP_SLOT_X || id == DP_SLOT_LIVE;
}

int dp_lines_init(struct dataplane *d)
{
	d->block_lines = block_lines();
	d->n_blocks = (d->maps.sizes.slot_lines + d->block_lines - 1) / d->block_lines;
	d->block = calloc(d->n_blocks, sizeof(*d->block));
	return d->block ? 0 : -ENOMEM;
}

int dataplane_need_lines(struct dataplane *d, __u32 first, __u32 n)
{
	if (!n)
		return 0;
	if (first >= d->maps.sizes.slot_lines || n > d->maps.sizes.slot_lines - first)
		return -ERANGE;
	for (__u32 b = first / d->block_lines; b <= (first + n - 1) / d->block_lines; b++) {
		int rc = d->block[b] == BLOCK_AWAY ? fetch(d, b) : 0;

		if (rc)
			return rc;
		d->block[b] = BLOCK_USED;
	}
	return 0;
}

void dataplane_trim_lines(struct dataplane *d)
{
	for (__u32 b = 0; b < d->n_blocks; b++) {
		if (d->block[b] == BLOCK_USED)
			d->block[b] = BLOCK_IDLE;
		else if (d->block[b] == BLOCK_IDLE)
			put_away(d, b);
	}
}
