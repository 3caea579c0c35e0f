// SPDX-License-Identifier: Apache-2.0
/*
 * backend_decap.c - the project's own decapsulation (bpf/decap.bpf.c): loaded, attached by a pinned link,
 * looked at and removed. Pins, per interface: <pin_dir>/<interface>/{link,vips,decap_stats,rodata}. The link
 * is pinned last and unpinned first: while there is a link, all that describes it is there.
 */
#include "backend.h"
#include "core/cleanup.h"
#include "decap.skel.h"
#include "lb/decap.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#define PATH_BYTES 256
#define BUSY_TRIES 15 /* 0.3 s */

static const char *const pins[] = {"vips", "decap_stats", "rodata"};

static const char *pin_path(const struct backend_host *h, const char *ifname, const char *what,
			    char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/%s/%s", h->pin_dir, ifname, what);
	return path;
}

static int open_pin(const struct backend_host *h, const char *ifname, const char *what)
{
	char path[PATH_BYTES];

	return bpf_obj_get(pin_path(h, ifname, what, path));
}

bool backend_decap_is_pinned(const struct backend_host *h, const char *ifname)
{
	char path[PATH_BYTES];

	return access(pin_path(h, ifname, "link", path), F_OK) == 0;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* ---- reading
 * --------------------------------------------------------------------------------------------------- */

static bool link_is_on(int link_fd, const char *ifname)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(link_fd, &info, &len) == 0 && info.type == BPF_LINK_TYPE_XDP &&
	       info.xdp.ifindex && info.xdp.ifindex == if_nametoindex(ifname);
}

/* The program's read-only data is a map of one element; gue_port is the only 16-bit member. */
static int read_gue_port(const struct backend_host *h, const char *ifname, unsigned int *port)
{
	struct decap_bpf__rodata data;
	_cleanup_close_ int fd = open_pin(h, ifname, "rodata");
	__u32 zero = 0;

	if (fd < 0 || bpf_map_lookup_elem(fd, &zero, &data))
		return -errno;
	*port = data.gue_port;
	return 0;
}

static int get(struct backend_host *h, const char *name, char value[BACKEND_VALUE_MAX], struct err *err)
{
	_cleanup_close_ int fd = open_pin(h, name, "link");
	unsigned int port = 0;

	if (fd < 0 && errno != ENOENT)
		return err_set(err, -errno, "%s/%s/link: %s", h->pin_dir, name, strerror(errno));
	if (fd < 0)
		snprintf(value, BACKEND_VALUE_MAX, BACKEND_ABSENT);
	else if (!link_is_on(fd, name) || read_gue_port(h, name, &port))
		snprintf(value, BACKEND_VALUE_MAX,
			 "detached"); /* the interface was removed, or the pins are damaged */
	else
		snprintf(value, BACKEND_VALUE_MAX, "gue-port %u", port);
	return 0;
}

/* ---- changing
 * -------------------------------------------------------------------------------------------------- */

static void unpin(const struct backend_host *h, const char *ifname)
{
	_cleanup_close_ int link = open_pin(h, ifname, "link");
	char path[PATH_BYTES];

	if (link >= 0)
		(void)bpf_link_detach(
			link); /* at once; the kernel would do it some time after the last reference went */
	unlink(pin_path(h, ifname, "link", path));
	for (unsigned int i = 0; i < ARRAY_SIZE(pins); i++)
		unlink(pin_path(h, ifname, pins[i], path));
	rmdir(pin_path(h, ifname, "", path));
	rmdir(h->pin_dir); /* when this was the last interface */
}

static int make_pin_dir(const struct backend_host *h, const char *ifname, struct err *err)
{
	char path[PATH_BYTES];
	struct statfs fs;

	if (mkdir(h->pin_dir, 0700) < 0 && errno != EEXIST)
		goto failed;
	if (statfs(h->pin_dir, &fs) < 0)
		goto failed;
	if (fs.f_type != BPF_FS_MAGIC) {
		rmdir(h->pin_dir);
		err_set(err, -EMEDIUMTYPE, "%s is not on a BPF file system", h->pin_dir);
		err_hint(err, "`mount -t bpf bpf /sys/fs/bpf`, then try again");
		return -EMEDIUMTYPE;
	}
	if (mkdir(pin_path(h, ifname, "", path), 0700) == 0 || errno == EEXIST)
		return 0;
failed:
	err_set(err, -errno, "%s: %s", h->pin_dir, strerror(errno));
	err_hint(err, "is there a BPF file system? `mount -t bpf bpf /sys/fs/bpf`");
	return err ? err->code : -EIO;
}

/* One of the two programs: with multi-buffer frames (large MTU) when the kernel has them (5.18). */
static struct decap_bpf *load_one(const struct backend_host *h, const char *ifname, unsigned int gue_port,
				  bool frags)
{
	struct decap_bpf *skel = decap_bpf__open();
	_cleanup_close_ int vips = -1;

	if (!skel)
		return NULL;
	skel->rodata->gue_port = (__u16)gue_port;
	bpf_program__set_autoload(skel->progs.decap_xdp_frags, frags);
	bpf_program__set_autoload(skel->progs.decap_xdp, !frags);
	vips = open_pin(h, ifname, "vips"); /* replaced in place: goes on with the same VIPs */
	if (vips >= 0 && bpf_map__reuse_fd(skel->maps.vips, vips)) {
		decap_bpf__destroy(skel);
		return NULL;
	}
	if (decap_bpf__load(skel) == 0)
		return skel;
	decap_bpf__destroy(skel);
	return NULL;
}

static int pin_maps(const struct backend_host *h, const char *ifname, struct decap_bpf *skel, struct err *err)
{
	struct bpf_map *const maps[] = {skel->maps.vips, skel->maps.decap_stats, skel->maps.rodata};
	char path[PATH_BYTES];

	for (unsigned int i = 0; i < ARRAY_SIZE(pins); i++) {
		unlink(pin_path(h, ifname, pins[i], path));
		if (bpf_obj_pin(bpf_map__fd(maps[i]), path))
			return err_set(err, -errno, "pinning %s: %s", path, strerror(errno));
	}
	return 0;
}

/* A new link: native mode if the driver can, else generic. */
static int create_link_once(int prog, unsigned int ifindex)
{
	static const __u32 modes[] = {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE};
	int fd = -1;

	for (unsigned int i = 0; i < ARRAY_SIZE(modes) && fd < 0; i++) {
		LIBBPF_OPTS(bpf_link_create_opts, o, .flags = modes[i]);

		fd = bpf_link_create(prog, (int)ifindex, BPF_XDP, &o);
		if (fd < 0 && (errno == EBUSY || errno == EEXIST))
			break;
	}
	return fd;
}

static int create_link(int prog, const char *ifname, struct err *err)
{
	const struct timespec moment = {.tv_nsec = 20 * 1000 * 1000};
	unsigned int ifindex = if_nametoindex(ifname);
	int fd, tries = 0;

	if (!ifindex)
		return err_set(err, -ENODEV, "there is no interface '%s'", ifname);
	/* The link of a set-up that was killed before it was pinned is taken down by the kernel, but not at
	 * once. */
	while ((fd = create_link_once(prog, ifindex)) < 0 && (errno == EBUSY || errno == EEXIST) &&
	       ++tries < BUSY_TRIES)
		nanosleep(&moment, NULL);
	if (fd >= 0)
		return fd;
	if (errno == EBUSY || errno == EEXIST) {
		err_set(err, -EBUSY, "another XDP program is on %s", ifname);
		err_hint(err, "`bpftool net show dev %s` names it; remove it, or use --decap kernel", ifname);
		return -EBUSY;
	}
	return err_set(err, -errno, "attaching to %s: %s", ifname, strerror(errno));
}

static int attach(const struct backend_host *h, const char *ifname, struct decap_bpf *skel, bool frags,
		  struct err *err)
{
	int prog = bpf_program__fd(frags ? skel->progs.decap_xdp_frags : skel->progs.decap_xdp);
	_cleanup_close_ int link = open_pin(h, ifname, "link");
	char path[PATH_BYTES];
	int r;

	if (link >= 0 && link_is_on(link, ifname)) {
		r = pin_maps(h, ifname, skel, err);
		if (r == 0 && bpf_link_update(link, prog, NULL))
			r = err_set(err, -errno, "replacing the program on %s: %s", ifname, strerror(errno));
		return r;
	}
	unlink(pin_path(h, ifname, "link", path)); /* of an interface that is gone */
	cleanup_closep(&link);
	link = -1;
	r = pin_maps(h, ifname, skel, err);
	if (r)
		return r;
	link = create_link(prog, ifname, err);
	if (link < 0)
		return link;
	if (bpf_obj_pin(link, pin_path(h, ifname, "link", path)))
		return err_set(err, -errno, "pinning %s: %s", path, strerror(errno));
	return 0;
}

static int set(struct backend_host *h, const char *name, const char *value, struct err *err)
{
	struct decap_bpf *skel;
	unsigned int port;
	bool frags = true;
	int r;

	if (sscanf(value, "gue-port %u", &port) !=
	    1) { /* "absent", or "detached": neither is worth restoring */
		unpin(h, name);
		return 0;
	}
	r = make_pin_dir(h, name, err);
	if (r)
		return r;
	libbpf_set_print(quiet);
	skel = load_one(h, name, port, true);
	if (!skel) {
		frags = false;
		skel = load_one(h, name, port, false);
	}
	if (!skel) {
		r = err_set(err, -errno, "the kernel does not load the decapsulation program: %s",
			    strerror(errno));
		err_hint(err, "it needs Linux 5.10 or later with BPF, and CAP_BPF, CAP_NET_ADMIN; or --decap "
			      "kernel");
	} else {
		r = attach(h, name, skel, frags, err);
	}
	decap_bpf__destroy(skel);
	if (r && !backend_decap_is_pinned(h, name))
		unpin(h, name);
	return r;
}

static void by_hand(const char *name, const char *value, char *out, size_t size)
{
	if (strncmp(value, "gue-port", 8) == 0)
		snprintf(out, size, "lbctl backend-setup (loads and attaches the program to %s)", name);
	else
		snprintf(out, size, "rm -r " BACKEND_PIN_DIR "/%s", name);
}

const struct backend_kind_ops backend_decap_ops = {"decap", get, set, by_hand};

/* ---- the addresses it unpacks
 * ------------------------------------------------------------------------------------ */

static int parse_vip(const char *name, char ifname[IF_NAMESIZE], struct lb_addr *addr, struct err *err)
{
	char text[ADDR_STRLEN];

	_Static_assert(IF_NAMESIZE == 16 && ADDR_STRLEN == 46, "the widths below");
	if (sscanf(name, "%15s %45s", ifname, text) != 2 || addr_parse(text, addr))
		return err_set(err, -EINVAL, "'%s' is no interface and address", name);
	return 0;
}

static int get_vip(struct backend_host *h, const char *name, char value[BACKEND_VALUE_MAX], struct err *err)
{
	_cleanup_close_ int fd = -1;
	char ifname[IF_NAMESIZE];
	struct lb_addr addr;
	__u32 one;
	int r = parse_vip(name, ifname, &addr, err);

	if (r)
		return r;
	fd = open_pin(h, ifname, "vips");
	if (fd < 0 && errno != ENOENT)
		return err_set(err, -errno, "%s/%s/vips: %s", h->pin_dir, ifname, strerror(errno));
	if (fd >= 0 && bpf_map_lookup_elem(fd, &addr, &one) == 0)
		snprintf(value, BACKEND_VALUE_MAX, "unpacked");
	else
		snprintf(value, BACKEND_VALUE_MAX, BACKEND_ABSENT);
	return 0;
}

static int set_vip(struct backend_host *h, const char *name, const char *value, struct err *err)
{
	bool add = strcmp(value, "unpacked") == 0;
	_cleanup_close_ int fd = -1;
	char ifname[IF_NAMESIZE];
	struct lb_addr addr;
	__u32 one = 1;
	int r = parse_vip(name, ifname, &addr, err);

	if (r)
		return r;
	fd = open_pin(h, ifname, "vips");
	if (fd < 0)
		return add ? err_set(err, -errno, "%s/%s/vips: %s", h->pin_dir, ifname, strerror(errno)) : 0;
	r = add ? bpf_map_update_elem(fd, &addr, &one, BPF_ANY) : bpf_map_delete_elem(fd, &addr);
	if (r && !(errno == ENOENT && !add))
		return err_set(err, -errno, "%s/%s/vips: %s", h->pin_dir, ifname, strerror(errno));
	return 0;
}

static void by_hand_vip(const char *name, const char *value, char *out, size_t size)
{
	char ifname[IF_NAMESIZE];
	struct lb_addr addr;
	size_t at;

	if (parse_vip(name, ifname, &addr, NULL)) {
		snprintf(out, size, "-");
		return;
	}
	at = (size_t)snprintf(out, size, "bpftool map %s pinned " BACKEND_PIN_DIR "/%s/vips key hex",
			      strcmp(value, "unpacked") == 0 ? "update" : "delete", ifname);
	for (unsigned int i = 0; i < 16 && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, " %02x", addr.b[i]);
	if (strcmp(value, "unpacked") == 0 && at < size)
		snprintf(out + at, size - at, " value 1 0 0 0");
}

const struct backend_kind_ops backend_decap_vip_ops = {"decap-vip", get_vip, set_vip, by_hand_vip};
