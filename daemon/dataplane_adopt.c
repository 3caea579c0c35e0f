// SPDX-License-Identifier: Apache-2.0
/* dataplane_adopt.c - is what stands in the pin directory a data plane of ours that can be taken over? */
#include "dataplane_priv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void dp_pins_init(struct dp_pins *p)
{
	*p = (struct dp_pins){.present = false};
	for (int id = 0; id < DP_KNOWN_MAX; id++)
		p->fd[id] = -1;
}

void dp_pins_close(struct dp_pins *p)
{
	for (int id = 0; id < DP_KNOWN_MAX; id++)
		if (p->fd[id] >= 0)
			close(p->fd[id]);
	dp_pins_init(p);
}

int dp_stale(struct err *err, const char *dir, const char *what, int code)
{
	code = err_set(err, code, "the data plane pinned in %s %s", dir, what);
	err_hint(err, "lbd --detach removes it (traffic to the VIPs stops until lbd runs again)");
	return code;
}

static int pins_open_map(const char *dir, int id, struct dp_pins *p, struct err *err)
{
	const struct dp_map_spec *spec = &dp_map_specs[id];
	__u32 len = sizeof(p->info[id]);
	char path[DP_PATH_MAX], what[160];
	int rc;

	rc = dp_path(path, dir, spec->name);
	if (rc)
		return err_set(err, rc, "pin directory %s: the path is too long", dir);
	p->fd[id] = bpf_obj_get(path);
	if (p->fd[id] == -ENOENT) {
		snprintf(what, sizeof(what), "is incomplete: there is no \"%s\"", spec->name);
		return dp_stale(err, dir, what, -EUCLEAN);
	}
	if (p->fd[id] < 0)
		return err_set(err, p->fd[id], "cannot open pinned map %s: %s", path, strerror(-p->fd[id]));
	rc = bpf_obj_get_info_by_fd(p->fd[id], &p->info[id], &len);
	if (rc)
		return err_set(err, rc, "%s is not a BPF map: %s", path, strerror(-rc));
	if (spec->value_size && p->info[id].value_size != spec->value_size) {
		snprintf(what, sizeof(what), "has another layout: an entry of \"%s\" is %u bytes, not %u", spec->name,
			 p->info[id].value_size, spec->value_size);
		return dp_stale(err, dir, what, -EUCLEAN);
	}
	return 0;
}

static int check_sizes(const char *dir, struct dp_pins *p, struct err *err)
{
	char what[160];

	dp_sizes_of(p, &p->sizes);
	for (int id = 0; id < DP_KNOWN_MAX; id++) {
		__u32 entries = dp_map_entries(id, &p->sizes);

		if (!entries || entries == p->info[id].max_entries)
			continue;
		snprintf(what, sizeof(what), "contradicts itself: \"%s\" has %u entries where %u belong",
			 dp_map_specs[id].name, p->info[id].max_entries, entries);
		return dp_stale(err, dir, what, -EUCLEAN);
	}
	return 0;
}

static int any_name(const char *dir, const char *name, void *arg)
{
	return 1;
}

static int check_layout(const char *dir, struct dp_pins *p, struct err *err)
{
	char what[160];
	__u32 zero = 0;
	int rc;

	rc = bpf_map_lookup_elem(p->fd[DP_META], &zero, &p->meta);
	if (rc)
		return err_set(err, rc, "cannot read %s/meta: %s", dir, strerror(-rc));
	if (p->meta.layout == LB_LAYOUT_VERSION)
		return 0;
	snprintf(what, sizeof(what), "has layout %u (lbd %.31s), this lbd needs layout %u", p->meta.layout,
		 p->meta.version, LB_LAYOUT_VERSION);
	return dp_stale(err, dir, what, -EUCLEAN);
}

int dp_pins_open(const char *dir, struct dp_pins *p, struct err *err)
{
	int rc;

	dp_pins_init(p);
	if (!dp_each(dir, "", any_name, NULL))
		return 0;
	/* meta first: "another layout" explains more than a missing map does. */
	rc = pins_open_map(dir, DP_META, p, err);
	if (!rc)
		rc = check_layout(dir, p, err);
	for (int id = 0; id < DP_KNOWN_MAX && !rc; id++)
		if (id != DP_META)
			rc = pins_open_map(dir, id, p, err);
	if (!rc)
		rc = check_sizes(dir, p, err);
	if (rc)
		dp_pins_close(p);
	else
		p->present = true;
	return rc;
}

int dataplane_peek(const char *pin_dir, struct lb_meta *meta)
{
	struct bpf_map_info info = {0};
	__u32 zero = 0, len = sizeof(info);
	char path[DP_PATH_MAX];
	int fd, rc;

	/* After a crash behind the decision new/ holds what the next open will adopt. */
	rc = dp_path(path, pin_dir, "new/meta");
	if (rc)
		return rc;
	fd = bpf_obj_get(path);
	if (fd == -ENOENT) {
		(void)dp_path(path, pin_dir, "meta");
		fd = bpf_obj_get(path);
	}
	if (fd < 0)
		return fd;
	rc = bpf_obj_get_info_by_fd(fd, &info, &len);
	if (!rc)
		rc = info.value_size == sizeof(*meta) ? bpf_map_lookup_elem(fd, &zero, meta) : -EUCLEAN;
	close(fd);
	return rc;
}
