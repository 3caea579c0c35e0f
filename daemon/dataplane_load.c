// SPDX-License-Identifier: Apache-2.0
/*
 * dataplane_load.c - from the skeleton to a loaded program: map sizes, maps taken over, rodata.
 *
 * The object is freed as soon as the descriptors are in hand: ELF, BTF and relocations would only cost memory.
 */
#include "dataplane_priv.h"
#include "core/cleanup.h"
#include "lb/params.h"

#include "lb.skel.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- maps -------------------------------------------------------------------------------------------------- */
static bool reuse_known(const struct dataplane *d, enum dp_map_id id)
{
	const struct dp_map_spec *spec = &dp_map_specs[id];

	switch (d->origin) {
	case DP_ORIGIN_NEW:
		return false;
	case DP_ORIGIN_ADOPT:
		return true;
	case DP_ORIGIN_RESEED:
		return !spec->keyed && (spec->carry == DP_CARRY_SHARE || spec->carry == DP_CARRY_STATS);
	case DP_ORIGIN_GROW:
		return spec->carry == DP_CARRY_SHARE ||
		       (spec->carry == DP_CARRY_STATS &&
			d->previous.info[id].max_entries >= dp_map_entries(id, &d->maps.sizes));
	}
	return false;
}

/* Everything but the number of entries. */
static bool same_kind(const struct bpf_map_info *i, const struct bpf_map *map)
{
	/* The kernel adds this one by itself. */
	__u32 implied = i->type == BPF_MAP_TYPE_DEVMAP ? BPF_F_RDONLY_PROG : 0;

	return i->type == bpf_map__type(map) && i->key_size == bpf_map__key_size(map) &&
	       i->value_size == bpf_map__value_size(map) && (i->map_flags & ~implied) == bpf_map__map_flags(map);
}

/* A pinned map is compared even if a larger one replaces it: its content will be copied. */
static int check_known(struct dataplane *d, enum dp_map_id id, struct bpf_object *obj, struct bpf_map *map,
		       struct err *err)
{
	const struct bpf_map_info *info = &d->previous.info[id];
	char what[160];

	if (!d->previous.present || (same_kind(info, map) && dp_same_btf(info, bpf_object__btf(obj),
									 bpf_map__btf_value_type_id(map))))
		return 0;
	snprintf(what, sizeof(what), "has another layout: \"%s\" is not the map that this lbd means",
		 dp_map_specs[id].name);
	return dp_stale(err, d->pin_dir, what, -EUCLEAN);
}

/* Set up one known map: taken over, or sized. */
static int prepare_known(struct dataplane *d, enum dp_map_id id, struct bpf_object *obj, struct err *err)
{
	const char *name = dp_map_specs[id].name;
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);
	__u32 entries = dp_map_entries(id, &d->maps.sizes);
	int rc;

	if (!map)
		return err_set(err, -ENOENT, "the program has no map \"%s\"", name);
	snprintf(d->map[id].name, sizeof(d->map[id].name), "%s", name);
	rc = check_known(d, id, obj, map, err);
	if (rc)
		return rc;
	d->map[id].adopted = reuse_known(d, id);
	if (d->map[id].adopted)
		rc = bpf_map__reuse_fd(map, d->previous.fd[id]);
	else if (entries)
		rc = bpf_map__set_max_entries(map, entries);
	return rc ? err_set(err, rc, "BPF map \"%s\": %s", name, strerror(-rc)) : 0;
}

/*
 * A map that only the program uses (fragments, rate limits). Kept over an upgrade when it is defined alike. Tables of
 * programs for tail calls are never kept: the old program must go on calling its own parts until it is replaced.
 */
static int prepare_other(struct dataplane *d, struct dp_map *slot, struct bpf_map *map)
{
	_cleanup_close_ int fd = -1;
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	char path[DP_PATH_MAX];
	int rc;

	rc = dp_path(path, d->pin_dir, bpf_map__name(map));
	if (rc || d->origin == DP_ORIGIN_NEW || bpf_map__type(map) == BPF_MAP_TYPE_PROG_ARRAY)
		return rc;
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || !same_kind(&info, map) ||
	    info.max_entries != bpf_map__max_entries(map))
		return 0;
	slot->adopted = true;
	return bpf_map__reuse_fd(map, fd);
}

static int prepare_maps(struct dataplane *d, struct bpf_object *obj, struct err *err)
{
	struct bpf_map *map;
	int rc;

	d->n_maps = DP_KNOWN_MAX;
	for (int id = 0; id < DP_KNOWN_MAX; id++) {
		rc = prepare_known(d, id, obj, err);
		if (rc)
			return rc;
	}
	bpf_object__for_each_map(map, obj) {
		struct dp_map *slot = &d->map[d->n_maps];
		bool known = bpf_map__is_internal(map);

		for (int id = 0; id < DP_KNOWN_MAX && !known; id++)
			known = strcmp(bpf_map__name(map), dp_map_specs[id].name) == 0;
		if (known)
			continue;
		if (d->n_maps == DP_MAPS_MAX)
			return err_set(err, -E2BIG, "the program has more than %d maps", DP_MAPS_MAX);
		snprintf(slot->name, sizeof(slot->name), "%s", bpf_map__name(map));
		rc = prepare_other(d, slot, map);
		if (rc)
			return err_set(err, rc, "BPF map \"%s\": %s", slot->name, strerror(-rc));
		d->n_maps++;
	}
	return 0;
}

static int dup_cloexec(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

static int take_fds(struct dataplane *d, struct lb_bpf *skel)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	for (unsigned int i = 0; i < d->n_maps; i++) {
		d->map[i].fd = dup_cloexec(bpf_object__find_map_fd_by_name(skel->obj, d->map[i].name));
		if (d->map[i].fd < 0)
			return d->map[i].fd;
	}
	d->prog_fd = dup_cloexec(bpf_program__fd(skel->progs.lb_xdp));
	d->clock_fd = dup_cloexec(bpf_program__fd(skel->progs.lb_clock));
	if (d->prog_fd < 0 || d->clock_fd < 0)
		return -EMFILE;
	if (bpf_obj_get_info_by_fd(d->prog_fd, &info, &len) == 0)
		d->prog_id = info.id;
	return 0;
}

/* ---- loading ------------------------------------------------------------------------------------------------- */
static void set_params(const struct dataplane *d, struct lb_bpf *skel)
{
	const struct dataplane_sizes *s = &d->maps.sizes;
	const struct lb_params_input in = {
		.seed = {d->options.seed[0], d->options.seed[1]},
		.svc_seed = d->options.svc_seed,
		.svc_buckets = s->svc_buckets,
		.flow_buckets = s->flow_buckets,
		.syn_buckets = s->syn_buckets,
		.hz = d->hz,
		.cpu_insert_budget = d->options.cpu_insert_budget,
		.features = d->features,
	};

	/* Read-only to the program only: until the load it is plain memory. */
	lb_params_init((struct lb_params *)&skel->rodata->lb_params, &in);
}

static int open_object(struct lb_bpf **skel, struct err *err)
{
	dp_listen();
	*skel = lb_bpf__open();
	return *skel ? 0 : dp_load_failed(-errno, "opening the object", err);
}

static void skel_destroyp(struct lb_bpf **skel)
{
	lb_bpf__destroy(*skel);
}

int dp_load(struct dataplane *d, struct err *err)
{
	_cleanup_(skel_destroyp) struct lb_bpf *skel = NULL;
	int rc;

	d->features = d->options.vip_echo ? LB_FEATURE_VIP_ECHO : 0;
	rc = open_object(&skel, err);
	if (!rc)
		rc = prepare_maps(d, skel->obj, err);
	if (rc)
		return rc;
	set_params(d, skel);
	rc = lb_bpf__load(skel);
	if (rc)
		return dp_load_failed(rc, "loading", err);
	rc = take_fds(d, skel);
	return rc ? err_set(err, rc, "cannot keep the descriptors of the program: %s", strerror(-rc)) : 0;
}

/* ---- the instance for test runs ---------------------------------------------------------------------------------- */
static int prepare_dry_maps(struct dataplane *d, struct bpf_object *obj)
{
	int rc = 0;

	for (int id = 0; id < DP_KNOWN_MAX && !rc; id++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, dp_map_specs[id].name);
		__u32 entries = dp_map_entries(id, &d->maps.sizes);

		/* slot_live is mapped by the daemon and still written by packets. */
		if (!dp_map_specs[id].packets_write && id != DP_SLOT_LIVE)
			rc = bpf_map__reuse_fd(map, d->map[id].fd);
		else if (entries)
			rc = bpf_map__set_max_entries(map, entries);
	}
	return rc;
}

static int take_dry_fds(struct dataplane *d, struct lb_bpf *skel)
{
	for (int id = 0; id < DP_KNOWN_MAX; id++) {
		if (!dp_map_specs[id].packets_write)
			continue;
		d->dry_fd[id] = dup_cloexec(bpf_object__find_map_fd_by_name(skel->obj, dp_map_specs[id].name));
		if (d->dry_fd[id] < 0)
			return d->dry_fd[id];
	}
	d->dry_cold_fd = dup_cloexec(bpf_map__fd(skel->maps.cold));
	if (d->dry_cold_fd < 0)
		return d->dry_cold_fd;
	d->dry_prog_fd = dup_cloexec(bpf_program__fd(skel->progs.lb_xdp));
	return d->dry_prog_fd < 0 ? d->dry_prog_fd : 0;
}

int dp_load_dry(struct dataplane *d, struct err *err)
{
	_cleanup_(skel_destroyp) struct lb_bpf *skel = NULL;
	int rc = open_object(&skel, err);

	if (rc)
		return rc;
	rc = prepare_dry_maps(d, skel->obj);
	if (rc)
		return err_set(err, rc, "cannot share the maps with a second instance: %s", strerror(-rc));
	set_params(d, skel);
	rc = lb_bpf__load(skel);
	if (rc)
		return dp_load_failed(rc, "loading an instance for test runs", err);
	rc = take_dry_fds(d, skel);
	return rc ? err_set(err, rc, "cannot keep the descriptors of the program: %s", strerror(-rc)) : 0;
}
