// SPDX-License-Identifier: Apache-2.0
/*
 * dataplane_load.c - from the skeleton to a loaded program: map sizes, maps taken over, rodata, and when the kernel
 * refuses, one message that a person can act on in place of a thousand lines of verifier log.
 *
 * The object is freed as soon as the descriptors are in hand: ELF, BTF and relocations would only cost memory.
 */
#include "dataplane_priv.h"
#include "core/cleanup.h"
#include "lb/params.h"
#include "privilege.h"

#include "lb.skel.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LOG_TAIL_BYTES 4096
#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

/* ---- what libbpf says: kept, not printed ------------------------------------------------------------------- */
/* libbpf has one print function per process; so there is one buffer. Only the tail of the text is kept. */
static char libbpf_text[LOG_TAIL_BYTES + 1];

static int keep_text(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;
	size_t have = strlen(libbpf_text), len, keep;

	if (level == LIBBPF_DEBUG || vasprintf(&text, fmt, ap) < 0)
		return 0;
	len = strlen(text);
	if (len >= LOG_TAIL_BYTES) {
		memcpy(libbpf_text, text + len - LOG_TAIL_BYTES, LOG_TAIL_BYTES + 1);
		return 0;
	}
	keep = have + len > LOG_TAIL_BYTES ? LOG_TAIL_BYTES - len : have;
	memmove(libbpf_text, libbpf_text + have - keep, keep);
	memcpy(libbpf_text + keep, text, len + 1);
	return 0;
}

/* Lines that only frame or count; the reason stands before them. */
static bool is_noise(const char *line)
{
	static const char *const noise[] = {"processed ", "-- END PROG LOAD LOG", "failed to load", "-- BEGIN PROG",
					    "verification time", "stack depth", "RLIMIT_MEMLOCK", "ulimit"};

	if (!*line)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
		if (strstr(line, noise[i]))
			return true;
	return false;
}

/* The last two telling lines of what libbpf said, as one line. Eats the text. */
static void last_words(char *buf, size_t size)
{
	const char *last = NULL, *before = NULL;
	char *end = libbpf_text + strlen(libbpf_text);

	while (end > libbpf_text && !before) {
		char *line;

		while (end > libbpf_text && end[-1] == '\n')
			*--end = '\0';
		for (line = end; line > libbpf_text && line[-1] != '\n'; line--)
			;
		if (!is_noise(line)) {
			before = last ? line : NULL;
			last = last ? last : line;
		}
		end = line;
	}
	if (!last)
		snprintf(buf, size, "no further words from the kernel");
	else
		snprintf(buf, size, "%s%s%s", before ? before : "", before ? " / " : "", last);
}

static int load_failed(int code, const char *what, struct err *err)
{
	char words[220], missing[80];
	struct utsname u;

	last_words(words, sizeof(words));
	uname(&u);
	err_set(err, code, "the kernel (Linux %s) refuses the XDP program: %s: %s: %s", u.release, what, strerror(-code),
		words);
	if (privilege_missing(missing, sizeof(missing)))
		err_hint(err, "missing: %s; run as root or grant them to the service", missing);
	else if (access(KERNEL_BTF, R_OK) < 0)
		err_hint(err, "this kernel has no BTF (%s); use one built with CONFIG_DEBUG_INFO_BTF", KERNEL_BTF);
	else if (code == -EPERM)
		err_hint(err, "inside a container or user namespace BPF needs the capabilities of the initial one");
	else
		err_hint(err, "lbd is tested on Linux 6.1 and later; please report this message");
	return code;
}

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

/* Set up one known map: taken over, or sized. */
static int prepare_known(struct dataplane *d, enum dp_map_id id, struct bpf_map *map)
{
	__u32 entries = dp_map_entries(id, &d->maps.sizes);

	if (reuse_known(d, id)) {
		d->map[id].adopted = true;
		return bpf_map__reuse_fd(map, d->previous.fd[id]);
	}
	return entries ? bpf_map__set_max_entries(map, entries) : 0;
}

static bool same_definition(const struct bpf_map_info *i, const struct bpf_map *map)
{
	return i->type == bpf_map__type(map) && i->key_size == bpf_map__key_size(map) &&
	       i->value_size == bpf_map__value_size(map) && i->max_entries == bpf_map__max_entries(map) &&
	       i->map_flags == bpf_map__map_flags(map);
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
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || !same_definition(&info, map))
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
		const char *name = dp_map_specs[id].name;

		map = bpf_object__find_map_by_name(obj, name);
		rc = map ? prepare_known(d, id, map) : -ENOENT;
		if (rc)
			return err_set(err, rc, "BPF map \"%s\": %s", name, strerror(-rc));
		snprintf(d->map[id].name, sizeof(d->map[id].name), "%s", name);
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
	libbpf_set_print(keep_text);
	libbpf_text[0] = '\0';
	*skel = lb_bpf__open();
	return *skel ? 0 : load_failed(-errno, "opening the object", err);
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
		return load_failed(rc, "loading", err);
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
		return load_failed(rc, "loading an instance for test runs", err);
	rc = take_dry_fds(d, skel);
	return rc ? err_set(err, rc, "cannot keep the descriptors of the program: %s", strerror(-rc)) : 0;
}
