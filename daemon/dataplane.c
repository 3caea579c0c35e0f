// SPDX-License-Identifier: Apache-2.0
/*
 * dataplane.c - open, commit, close: see dataplane.h.
 *
 * dataplane_open() changes nothing that packets see. It ends with a complete next set of pins (at least the program;
 * all maps when they are new), and dataplane_commit() puts it in force: dataplane_pin.c says how a crash in between ends.
 */
#include "dataplane_priv.h"
#include "core/cleanup.h"
#include "log.h"
#include "privilege.h"

#include <errno.h>
#include <string.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#define SLOT_LINES_MAX (1u << 24)          /* LB_SVC_LINE has 24 bits */
#define HASH_BUCKETS_MAX (1u << 24)
#define SYN_BUCKETS_DEFAULT 8192u          /* 65536 handshakes under way in slots in transition; 512 KiB */
#define CPU_INSERT_BUDGET_DEFAULT 100000u  /* flow entries per CPU and second: some ten milliseconds of its time */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static struct dataplane *dataplane_new(void)
{
	struct dataplane *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	for (unsigned int i = 0; i < DP_MAPS_MAX; i++)
		d->map[i].fd = -1;
	for (int id = 0; id < DP_KNOWN_MAX; id++)
		d->dry_fd[id] = -1;
	d->prog_fd = d->clock_fd = d->rcu_outer_fd = d->rcu_inner_fd = -1;
	d->dry_prog_fd = d->dry_cold_fd = -1;
	dp_pins_init(&d->previous);
	return d;
}

static void forget_previous(struct dataplane *d)
{
	dp_munmap(&d->previous_maps, d->previous_bytes);
	dp_pins_close(&d->previous);
}

void dataplane_close(struct dataplane *d)
{
	if (!d)
		return;
	if (d->next_made) /* never committed: its maps would stay in memory until the next start */
		(void)dp_remove_dir(d->pin_dir, "next");
	forget_previous(d);
	(void)dataplane_flow_window(d, d->maps.sizes.flow_buckets, &(__u32){0});
	dp_munmap(&d->maps, d->mapped_bytes);
	for (unsigned int i = 0; i < DP_MAPS_MAX; i++)
		close_fd(&d->map[i].fd);
	for (int id = 0; id < DP_KNOWN_MAX; id++)
		close_fd(&d->dry_fd[id]);
	close_fd(&d->dry_cold_fd);
	close_fd(&d->prog_fd);
	close_fd(&d->clock_fd);
	close_fd(&d->dry_prog_fd);
	close_fd(&d->rcu_outer_fd);
	close_fd(&d->rcu_inner_fd);
	free(d->values);
	free(d->block);
	free(d);
}

static void dataplane_closep(struct dataplane **d)
{
	dataplane_close(*d);
}

static __u32 max_u32(__u32 a, __u32 b)
{
	return a > b ? a : b;
}

static bool is_power_of_two(__u32 v)
{
	return v && !(v & (v - 1));
}

static int check_sizes(const struct dataplane_sizes *s, struct err *err)
{
	if (!s->slot_lines || s->slot_lines > SLOT_LINES_MAX || !s->backends || s->backends > LB_BIDX_MAX + 1 || !s->services ||
	    s->services > LB_SID_MAX + 1 || !is_power_of_two(s->svc_buckets) || s->svc_buckets < 2 ||
	    !is_power_of_two(s->flow_buckets) || s->flow_buckets > HASH_BUCKETS_MAX ||
	    !is_power_of_two(s->syn_buckets) || s->syn_buckets > HASH_BUCKETS_MAX)
		return err_set(err, -EINVAL,
			       "sizes of the data plane out of range: %u slot lines, %u service buckets, %u backends, "
			       "%u services, %u flow buckets, %u SYN buckets",
			       s->slot_lines, s->svc_buckets, s->backends, s->services, s->flow_buckets, s->syn_buckets);
	return 0;
}

/* What to make of the pinned set, if any; and the sizes of the set to load. */
static void choose_origin(struct dataplane *d)
{
	const struct dataplane_sizes *want = &d->options.sizes, *have = &d->previous.sizes;
	struct dataplane_sizes *s = &d->maps.sizes;

	if (!d->options.svc_seed && d->previous.present)
		d->options.svc_seed = d->previous.meta.svc_seed;
	*s = *want;
	if (!d->previous.present) {
		d->origin = DP_ORIGIN_NEW;
		return;
	}
	if (memcmp(d->previous.meta.seed, d->options.seed, sizeof(d->options.seed))) {
		d->origin = DP_ORIGIN_RESEED;
		return;
	}
	d->origin = dp_sizes_cover(have, want) && d->previous.meta.svc_seed == d->options.svc_seed ? DP_ORIGIN_ADOPT :
												    DP_ORIGIN_GROW;
	s->slot_lines = max_u32(have->slot_lines, want->slot_lines);
	s->svc_buckets = max_u32(have->svc_buckets, want->svc_buckets);
	s->backends = max_u32(have->backends, want->backends);
	s->services = max_u32(have->services, want->services);
	s->flow_buckets = have->flow_buckets;
	s->syn_buckets = have->syn_buckets;
}

static int map_memory(struct dataplane *d, struct err *err)
{
	struct dataplane_sizes sizes = d->maps.sizes;
	int fds[DP_KNOWN_MAX], rc;

	for (int id = 0; id < DP_KNOWN_MAX; id++)
		fds[id] = d->map[id].fd;
	rc = dp_mmap(fds, &sizes, false, &d->maps, d->mapped_bytes, err);
	if (!rc && dp_lines_init(d))
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc || d->origin == DP_ORIGIN_NEW || d->origin == DP_ORIGIN_ADOPT)
		return rc;
	rc = dp_mmap(d->previous.fd, &d->previous.sizes, true, &d->previous_maps, d->previous_bytes, err);
	if (rc || d->origin == DP_ORIGIN_RESEED)
		return rc;
	return dp_carry_over(d, err);
}

static void write_meta(struct dataplane *d)
{
	struct lb_meta *m = d->maps.meta;

	m->layout = LB_LAYOUT_VERSION;
	m->features = d->features;
	memcpy(m->seed, d->options.seed, sizeof(m->seed));
	m->svc_seed = d->options.svc_seed;
	m->n_slot_lines = d->maps.sizes.slot_lines;
	m->n_svc_buckets = d->maps.sizes.svc_buckets;
	m->n_backends = d->maps.sizes.backends;
	m->n_flow_buckets = d->maps.sizes.flow_buckets;
	m->hz = d->hz;
	snprintf(m->version, sizeof(m->version), "%s", LBD_VERSION);
}

static int check_privileges(struct err *err)
{
	char missing[80];
	int rc;

	if (!privilege_missing(missing, sizeof(missing)))
		return 0;
	rc = err_set(err, -EPERM, "not allowed to load BPF programs: this process lacks %s", missing);
	err_hint(err, "run lbd as root, or as a service with AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON CAP_NET_RAW");
	return rc;
}

static int open_steps(struct dataplane *d, struct err *err)
{
	int rc;

	rc = dp_pin_prepare(d->pin_dir, err);
	if (!rc)
		rc = dp_pins_open(d->pin_dir, &d->previous, err);
	if (rc)
		return rc;
	choose_origin(d);
	rc = dp_load(d, err);
	if (!rc)
		rc = dp_quiesce_init(d, err);
	if (!rc && dp_values_new(d))
		rc = err_set(err, -ENOMEM, "out of memory");
	if (!rc)
		rc = map_memory(d, err);
	if (rc)
		return rc;
	if (d->origin != DP_ORIGIN_ADOPT)
		write_meta(d);
	dp_measure_maps(d);
	rc = dp_pin_next(d, err);
	if (!rc)
		d->pending = true;
	dp_step("opened");
	return rc;
}

int dataplane_open(struct dataplane **out, const struct dataplane_options *o, bool *adopted, struct err *err)
{
	_cleanup_(dataplane_closep) struct dataplane *d = NULL;
	int rc;

	rc = check_privileges(err);
	if (rc)
		return rc;
	d = dataplane_new();
	if (!d)
		return err_set(err, -ENOMEM, "out of memory");
	d->options = *o;
	d->options.pin_dir = NULL;
	if (!o->sizes.syn_buckets)
		d->options.sizes.syn_buckets = SYN_BUCKETS_DEFAULT;
	if (!o->cpu_insert_budget)
		d->options.cpu_insert_budget = CPU_INSERT_BUDGET_DEFAULT;
	if ((size_t)snprintf(d->pin_dir, sizeof(d->pin_dir), "%s", o->pin_dir) > sizeof(d->pin_dir) - 100)
		return err_set(err, -ENAMETOOLONG, "pin directory %s: the path is too long", o->pin_dir);
	rc = check_sizes(&d->options.sizes, err);
	if (rc)
		return rc;
	d->hz = dp_kernel_hz();
	if (!d->hz)
		return err_set(err, -ENOTSUP, "cannot tell the length of a jiffy: clock_getres failed");
	rc = open_steps(d, err);
	if (rc)
		return rc;
	*adopted = d->origin == DP_ORIGIN_ADOPT || d->origin == DP_ORIGIN_GROW;
	*out = take_ptr(d);
	return 0;
}

/* The point of no return, once. */
static int decide(struct dataplane *d, struct err *err)
{
	int rc;

	if (d->origin == DP_ORIGIN_GROW) {
		rc = dp_carry_late(d);
		if (rc)
			return err_set(err, rc, "cannot copy the counters to the larger maps: %s", strerror(-rc));
	}
	dp_step("before the decision");
	rc = dp_pin_commit(d->pin_dir, err);
	if (rc)
		return rc;
	d->next_made = false;
	dp_step("decided");
	return 0;
}

int dataplane_commit(struct dataplane *d, struct err *err)
{
	int rc = 0;

	if (!d->pending)
		return 0;
	if (d->next_made)
		rc = decide(d, err);
	/* Decided: from here on every failure leaves work that the next commit, or the next start, completes. */
	if (!rc)
		rc = dp_links_update(d, err);
	if (!rc)
		rc = dp_pin_finish(d->pin_dir, err);
	if (rc)
		return rc;
	dp_step("finished");
	if (d->origin == DP_ORIGIN_ADOPT)
		write_meta(d); /* version, features and hz of the program that is in force now */
	forget_previous(d);
	d->pending = false;
	return 0;
}

const struct dataplane_maps *dataplane_maps(const struct dataplane *d)
{
	return &d->maps;
}

const struct dataplane_maps *dataplane_previous(const struct dataplane *d)
{
	return d->pending && d->origin == DP_ORIGIN_RESEED ? &d->previous_maps : NULL;
}

static int remove_name(const char *dir, const char *name, void *unused)
{
	char path[DP_PATH_MAX];
	int rc;

	if (strcmp(name, "next") == 0 || strcmp(name, "new") == 0)
		return dp_remove_dir(dir, name);
	rc = dp_path(path, dir, name);
	return rc ? rc : unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int dataplane_detach_all(const char *pin_dir, struct err *err)
{
	struct statfs fs;
	int rc;

	if (statfs(pin_dir, &fs) < 0)
		return errno == ENOENT ? 0 : err_set(err, -errno, "cannot look at %s: %m", pin_dir);
	if (fs.f_type != BPF_FS_MAGIC)
		return err_set(err, -EINVAL, "%s is not on a BPF file system: nothing removed", pin_dir);
	rc = dp_check_own_dir(pin_dir, err);
	if (rc)
		return rc;
	/* Links first: when this is interrupted, no interface is left with a program whose maps are unpinned. */
	rc = dp_each(pin_dir, DP_LINK_PREFIX, dp_link_remove, NULL);
	if (!rc)
		rc = dp_each(pin_dir, "", remove_name, NULL);
	if (!rc && rmdir(pin_dir) < 0 && errno != ENOENT)
		rc = -errno;
	return rc ? err_set(err, rc, "cannot remove the data plane pinned in %s: %s", pin_dir, strerror(-rc)) : 0;
}
