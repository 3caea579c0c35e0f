// SPDX-License-Identifier: Apache-2.0
/*
 * dataplane_pin.c - the pin directory, and the switch from one set of pins to the next.
 *
 *   <pin_dir>/<map>, prog          the set in force
 *   <pin_dir>/link-<interface>     attachments
 *   <pin_dir>/next/                being prepared: worthless until it is complete
 *   <pin_dir>/new/                 complete and decided: what is in it belongs in <pin_dir>
 *
 * A switch is: fill next/ -> rename next/ to new/ (the decision, one atomic step) -> update the links -> rename every
 * new/x over <pin_dir>/x -> remove new/. Wherever a crash falls, dp_pin_prepare() of the next start reaches one of the
 * two ends, and packets always meet one complete set, since a loaded program holds its own maps whatever the pins say:
 *   before the decision   next/ is thrown away; the old set is adopted;
 *   after it              new/ is moved into place; the new set is adopted, and links that still run the old program
 *                         are updated when the interfaces are attached.
 * The first start works in the same way, with nothing to replace.
 */
#include "dataplane_priv.h"
#include "core/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DEFAULT_BPFFS "/sys/fs/bpf"

void (*dp_step_hook)(const char *step);

void dp_step(const char *step)
{
	if (dp_step_hook)
		dp_step_hook(step);
}

int dp_path(char *buf, const char *dir, const char *name)
{
	int n = snprintf(buf, DP_PATH_MAX, "%s/%s", dir, name);

	return n < 0 || n >= DP_PATH_MAX ? -ENAMETOOLONG : 0;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

static bool under(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* @path's parent directory into @buf. */
static void parent_of(const char *path, char *buf)
{
	char *slash;

	snprintf(buf, DP_PATH_MAX, "%s", path);
	for (size_t n = strlen(buf); n > 1 && buf[n - 1] == '/'; n--)
		buf[n - 1] = '\0';
	slash = strrchr(buf, '/');
	if (!slash)
		snprintf(buf, DP_PATH_MAX, ".");
	else
		slash[slash == buf] = '\0';
}

/* bpffs is not mounted at boot on every system. Its usual place is ours to mount; any other is the operator's. */
static int ensure_bpffs(const char *dir, struct err *err)
{
	int rc;

	if (is_bpffs(dir))
		return 0;
	if (under(dir, DEFAULT_BPFFS) && !is_bpffs(DEFAULT_BPFFS)) {
		if (mount("bpf", DEFAULT_BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") == 0)
			return 0;
		rc = err_set(err, -errno, "no BPF file system at " DEFAULT_BPFFS ", and mounting one failed: %m");
		err_hint(err, "mount -t bpf bpf " DEFAULT_BPFFS);
		return rc;
	}
	rc = err_set(err, -ENOTDIR, "%s is not on a BPF file system, pins can not live there", dir);
	err_hint(err, "mount -t bpf bpf DIRECTORY and set dataplane.pin-dir below it, or use " DEFAULT_BPFFS "/lbd");
	return rc;
}

/* Make the directories of @path that lack on the BPF file system; intermediate ones too. */
static int make_dirs(const char *path, struct err *err)
{
	char parent[DP_PATH_MAX];
	struct stat st;
	int rc;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : err_set(err, -ENOTDIR, "%s is not a directory", path);
	parent_of(path, parent);
	if (strcmp(parent, path) == 0)
		return err_set(err, -ENOENT, "%s does not exist", path);
	rc = make_dirs(parent, err);
	if (rc)
		return rc;
	if (!is_bpffs(parent))
		rc = ensure_bpffs(parent, err);
	if (rc)
		return rc;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(err, -errno, "cannot create %s: %m", path);
	return 0;
}

/* A directory that is a mount point may hold other programs' pins, and removing "everything below" would hit them. */
int dp_check_own_dir(const char *dir, struct err *err)
{
	char parent[DP_PATH_MAX];
	struct stat a, b;
	int rc;

	parent_of(dir, parent);
	if (stat(dir, &a) < 0 || stat(parent, &b) < 0)
		return err_set(err, -errno, "cannot look at %s: %m", dir);
	if (a.st_dev == b.st_dev)
		return 0;
	rc = err_set(err, -EINVAL, "%s is a mount point: pins need a directory of their own", dir);
	err_hint(err, "set dataplane.pin-dir to %s/lbd", dir);
	return rc;
}

int dp_pin_prepare(const char *dir, struct err *err)
{
	int rc;

	rc = make_dirs(dir, err);
	if (!rc)
		rc = ensure_bpffs(dir, err);
	if (!rc)
		rc = dp_check_own_dir(dir, err);
	if (!rc)
		rc = dp_pin_finish(dir, err);
	if (rc)
		return rc;
	rc = dp_remove_dir(dir, "next");
	if (rc)
		return err_set(err, rc, "cannot remove %s/next, left by an interrupted start: %s", dir, strerror(-rc));
	return 0;
}

int dp_each(const char *dir, const char *prefix, int (*fn)(const char *dir, const char *name, void *arg), void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!rc && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (strncmp(e->d_name, prefix, strlen(prefix)) == 0)
			rc = fn(dir, e->d_name, arg);
	}
	closedir(d);
	return rc;
}

static int remove_pin(const char *dir, const char *name, void *unused)
{
	char path[DP_PATH_MAX];
	int rc = dp_path(path, dir, name);

	if (!rc && unlink(path) < 0 && errno != ENOENT)
		rc = -errno;
	return rc;
}

int dp_remove_dir(const char *dir, const char *name)
{
	char path[DP_PATH_MAX];
	int rc = dp_path(path, dir, name);

	if (!rc)
		rc = dp_each(path, "", remove_pin, NULL);
	if (!rc && rmdir(path) < 0 && errno != ENOENT)
		rc = -errno;
	return rc;
}

static int pin_one(int fd, const char *dir, const char *name, struct err *err)
{
	char path[DP_PATH_MAX];
	int rc = dp_path(path, dir, name);

	if (!rc)
		rc = bpf_obj_pin(fd, path);
	return rc ? err_set(err, rc, "cannot pin \"%s\" in %s: %s", name, dir, strerror(-rc)) : 0;
}

int dp_pin_next(struct dataplane *d, struct err *err)
{
	char next[DP_PATH_MAX];
	int rc = dp_path(next, d->pin_dir, "next");

	if (!rc && mkdir(next, 0700) < 0)
		rc = -errno;
	if (rc)
		return err_set(err, rc, "cannot create %s: %s", next, strerror(-rc));
	d->next_made = true;
	for (unsigned int i = 0; i < d->n_maps && !rc; i++) {
		if (d->map[i].adopted)
			continue;
		rc = pin_one(d->map[i].fd, next, d->map[i].name, err);
		dp_step("pinned one");
	}
	if (!rc)
		rc = pin_one(d->prog_fd, next, "prog", err);
	return rc;
}

int dp_pin_commit(const char *dir, struct err *err)
{
	char next[DP_PATH_MAX], new[DP_PATH_MAX];

	if (dp_path(next, dir, "next") || dp_path(new, dir, "new"))
		return err_set(err, -ENAMETOOLONG, "pin directory %s: the path is too long", dir);
	if (rename(next, new) < 0)
		return err_set(err, -errno, "cannot rename %s to %s: %m", next, new);
	return 0;
}

static int move_up(const char *new, const char *name, void *arg)
{
	const char *dir = arg;
	char from[DP_PATH_MAX], to[DP_PATH_MAX];

	if (dp_path(from, new, name) || dp_path(to, dir, name))
		return -ENAMETOOLONG;
	if (rename(from, to) < 0)
		return -errno;
	dp_step("moved one");
	return 0;
}

int dp_pin_finish(const char *dir, struct err *err)
{
	char new[DP_PATH_MAX];
	int rc = dp_path(new, dir, "new");

	if (!rc)
		rc = dp_each(new, "", move_up, (void *)dir);
	if (!rc && rmdir(new) < 0 && errno != ENOENT)
		rc = -errno;
	return rc ? err_set(err, rc, "cannot move the pins of %s into place: %s", new, strerror(-rc)) : 0;
}

static __u32 id_of(int fd)
{
	/* Programs, maps: both informations have the id second. */
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 ? info.id : 0;
}

static bool is_pinned(const struct dataplane *d, const char *name, int fd)
{
	char path[DP_PATH_MAX];
	__u32 id = 0;
	int pin;

	if (dp_path(path, d->pin_dir, name))
		return false;
	pin = bpf_obj_get(path);
	if (pin >= 0) {
		id = id_of(pin);
		close(pin);
	}
	return id && id == id_of(fd);
}

unsigned int dataplane_check_pins(const struct dataplane *d, char *name, size_t size)
{
	unsigned int bad = 0;

	for (unsigned int i = 0; i <= d->n_maps; i++) {
		const char *pin = i < d->n_maps ? d->map[i].name : "prog";

		if (is_pinned(d, pin, i < d->n_maps ? d->map[i].fd : d->prog_fd))
			continue;
		if (!bad++)
			snprintf(name, size, "%s", pin);
	}
	return bad;
}
