// SPDX-License-Identifier: Apache-2.0
/*
 * dataplane_btf.c - does a pinned map hold the structs that this program means?
 *
 * Sizes and the layout number catch most differences. This catches the one that a developer makes by swapping two
 * fields of the same size and forgetting to bump LB_LAYOUT_VERSION: names, offsets and sizes of all members are
 * compared. Reading the BTF of a loaded map needs CAP_SYS_ADMIN; without it (after privilege_drop()) there is nothing
 * to compare, and the map was checked by the same daemon when it started.
 */
#include "dataplane_priv.h"

#include <bpf/btf.h>
#include <string.h>

#define DEPTH_MAX 8

static bool same_type(const struct btf *a, __u32 ia, const struct btf *b, __u32 ib, int depth);

static bool same_name(const struct btf *a, __u32 off_a, const struct btf *b, __u32 off_b)
{
	const char *na = btf__name_by_offset(a, off_a), *nb = btf__name_by_offset(b, off_b);

	return na && nb && strcmp(na, nb) == 0;
}

static bool same_members(const struct btf *a, const struct btf_type *ta, const struct btf *b, const struct btf_type *tb,
			 int depth)
{
	const struct btf_member *ma = btf_members(ta), *mb = btf_members(tb);

	for (__u32 i = 0; i < btf_vlen(ta); i++)
		if (!same_name(a, ma[i].name_off, b, mb[i].name_off) ||
		    btf_member_bit_offset(ta, i) != btf_member_bit_offset(tb, i) ||
		    !same_type(a, ma[i].type, b, mb[i].type, depth + 1))
			return false;
	return true;
}

static bool same_type(const struct btf *a, __u32 ia, const struct btf *b, __u32 ib, int depth)
{
	const struct btf_type *ta = btf__type_by_id(a, (__u32)btf__resolve_type(a, ia));
	const struct btf_type *tb = btf__type_by_id(b, (__u32)btf__resolve_type(b, ib));

	if (!ta || !tb || depth > DEPTH_MAX)
		return ta == tb || depth > DEPTH_MAX;
	if (btf_kind(ta) != btf_kind(tb) || btf_vlen(ta) != btf_vlen(tb))
		return false;
	if (btf_is_array(ta))
		return btf_array(ta)->nelems == btf_array(tb)->nelems &&
		       same_type(a, btf_array(ta)->type, b, btf_array(tb)->type, depth + 1);
	if (btf_is_composite(ta))
		return ta->size == tb->size && same_members(a, ta, b, tb, depth);
	return !btf_is_int(ta) || ta->size == tb->size;
}

bool dp_same_btf(const struct bpf_map_info *pinned, const struct btf *ours, __u32 our_value_type)
{
	struct btf *theirs;
	bool same;

	if (!pinned->btf_id || !pinned->btf_value_type_id || !ours || !our_value_type)
		return true;
	theirs = btf__load_from_kernel_by_id(pinned->btf_id);
	if (!theirs)
		return true; /* not allowed to look */
	same = same_type(theirs, pinned->btf_value_type_id, ours, our_value_type, 0);
	btf__free(theirs);
	return same;
}
