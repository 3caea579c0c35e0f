// SPDX-License-Identifier: Apache-2.0
/*
 * dataplane_link.c - interfaces: one pinned bpf_link each, so that the program stays when the daemon goes.
 *
 * The pin is the only reference: nothing here depends on descriptors of an earlier process, and a pin removed by hand
 * shows up as "none" in dataplane_check() and is healed by the next attach. A foreign program is never evicted.
 */
#include "dataplane_priv.h"
#include "core/cleanup.h"
#include "log.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

/* bpffs refuses dots in names, interface names refuse colons: eth0.100 is pinned as link-eth0:100. */
static int link_path(char *buf, const char *dir, const char *ifname)
{
	char name[sizeof(DP_LINK_PREFIX) + IF_NAMESIZE];

	if (strlen(ifname) >= IF_NAMESIZE || !*ifname)
		return -EINVAL;
	snprintf(name, sizeof(name), DP_LINK_PREFIX "%s", ifname);
	for (char *p = name; *p; p++)
		if (*p == '.')
			*p = ':';
	return dp_path(buf, dir, name);
}

static int find_interface(const char *ifname, unsigned int *ifindex, struct err *err)
{
	int rc;

	*ifindex = if_nametoindex(ifname);
	if (*ifindex)
		return 0;
	rc = err_set(err, -ENODEV, "interface %s does not exist", ifname);
	err_hint(err, "see `ip -br link`; lbd attaches as soon as it appears");
	return rc;
}

/* XDP on one interface as the kernel reports it. */
struct xdp_state {
	__u32 prog_id; /* 0: none */
	__u8 mode;     /* XDP_ATTACHED_* */
};

static int query(unsigned int ifindex, struct xdp_state *out)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int rc = bpf_xdp_query((int)ifindex, 0, &opts);

	*out = (struct xdp_state){0};
	if (rc)
		return rc;
	out->mode = opts.attach_mode;
	out->prog_id = opts.prog_id;
	if (opts.attach_mode == XDP_ATTACHED_MULTI)
		out->prog_id = opts.drv_prog_id ? opts.drv_prog_id : opts.skb_prog_id;
	return 0;
}

static const char *mode_word(__u8 mode)
{
	switch (mode) {
	case XDP_ATTACHED_NONE:
		return "none";
	case XDP_ATTACHED_SKB:
		return "generic";
	default:
		return "native";
	}
}

/* Looking a program up by id needs CAP_SYS_ADMIN, which is dropped after start; the id alone must do then. */
static void program_name(__u32 id, char *buf, size_t size)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		snprintf(buf, size, "program %u \"%s\"", id, info.name);
	else
		snprintf(buf, size, "program %u", id);
}

static int held_by_other(const char *ifname, const struct xdp_state *now, struct err *err)
{
	char who[64];
	int rc;

	program_name(now->prog_id, who, sizeof(who));
	rc = err_set(err, -EBUSY, "interface %s: XDP is held by %s (%s); lbd does not evict it", ifname, who,
		     mode_word(now->mode));
	err_hint(err, "`bpftool prog show id %u` and `bpftool link` say whose it is; stop its owner, or `ip link set dev %s "
		      "xdp off`",
		 now->prog_id, ifname);
	return rc;
}

/* ---- creating ------------------------------------------------------------------------------------------------ */
static int create_link(const struct dataplane *d, unsigned int ifindex, __u32 flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);

	return bpf_link_create(d->prog_fd, (int)ifindex, BPF_XDP, &opts);
}

/* Errors that another mode would meet as well. */
static bool is_final(int rc)
{
	return rc == -EBUSY || rc == -EEXIST || rc == -EPERM || rc == -ENODEV;
}

static int create_in_mode(struct dataplane *d, const char *ifname, unsigned int ifindex, struct err *err)
{
	int fd, rc;

	if (d->options.xdp_mode == CONFIG_XDP_GENERIC) {
		fd = create_link(d, ifindex, XDP_FLAGS_SKB_MODE);
		return fd >= 0 ? fd : err_set(err, fd, "interface %s: cannot attach XDP (generic): %s", ifname,
					      strerror(-fd));
	}
	fd = create_link(d, ifindex, XDP_FLAGS_DRV_MODE);
	if (fd >= 0)
		return fd;
	if (d->options.xdp_mode == CONFIG_XDP_NATIVE || is_final(fd)) {
		rc = err_set(err, fd, "interface %s: cannot attach XDP (native): %s", ifname, strerror(-fd));
		err_hint(err, fd == -ERANGE ? "its MTU is too large for native XDP: lower it, or use xdp-mode: generic" :
					      "its driver may lack native XDP: use xdp-mode: auto or generic");
		return rc;
	}
	rc = fd;
	fd = create_link(d, ifindex, XDP_FLAGS_SKB_MODE);
	if (fd < 0)
		return err_set(err, fd, "interface %s: cannot attach XDP, neither native (%s) nor generic (%s)", ifname,
			       strerror(-rc), strerror(-fd));
	log_event(LOG_LEVEL_WARNING, "xdp_generic", "native XDP refused, generic XDP in use: slower by far", "interface",
		  ifname, "reason", strerror(-rc), NULL);
	return fd;
}

static int attach_new(struct dataplane *d, const char *ifname, unsigned int ifindex, const char *path,
		      struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct xdp_state now;
	int rc;

	rc = query(ifindex, &now);
	if (rc)
		return err_set(err, rc, "interface %s: cannot ask for its XDP program: %s", ifname, strerror(-rc));
	if (now.prog_id)
		return held_by_other(ifname, &now, err);
	fd = create_in_mode(d, ifname, ifindex, err);
	if (fd < 0)
		return fd;
	dp_step("link made");
	rc = bpf_obj_pin(fd, path);
	if (rc) /* closing the descriptor detaches again: no attachment that nobody could find */
		return err_set(err, rc, "interface %s: cannot pin its XDP link at %s: %s", ifname, path, strerror(-rc));
	return 0;
}

/* ---- adopting ------------------------------------------------------------------------------------------------ */
static int detach_link(const char *path, int fd)
{
	int rc = bpf_link_detach(fd); /* at once; unpinning alone detaches some time later */

	if (rc == -ENOLINK)
		rc = 0; /* its interface is gone */
	if (unlink(path) < 0 && errno != ENOENT && !rc)
		rc = -errno;
	return rc;
}

static bool mode_fits(enum config_xdp_mode want, __u8 mode)
{
	if (want == CONFIG_XDP_AUTO)
		return true;
	return (want == CONFIG_XDP_GENERIC) == (mode == XDP_ATTACHED_SKB);
}

/*
 * Does the pinned link really hold this interface, in the mode that is wanted? Not when the interface was deleted
 * (ifindex 0), when another one has the name by now, or when it was moved into another network namespace.
 */
static bool link_serves(const struct dataplane *d, int fd, unsigned int ifindex)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);
	struct xdp_state now;

	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.type != BPF_LINK_TYPE_XDP ||
	    info.xdp.ifindex != ifindex)
		return false;
	return query(ifindex, &now) == 0 && now.prog_id == info.prog_id && mode_fits(d->options.xdp_mode, now.mode);
}

int dataplane_attach(struct dataplane *d, const char *ifname, struct err *err)
{
	_cleanup_close_ int fd = -1;
	unsigned int ifindex;
	char path[DP_PATH_MAX];
	int rc;

	rc = dataplane_commit(d, err);
	if (!rc)
		rc = find_interface(ifname, &ifindex, err);
	if (rc)
		return rc;
	rc = link_path(path, d->pin_dir, ifname);
	if (rc)
		return err_set(err, rc, "interface name \"%s\" is not usable", ifname);
	fd = bpf_obj_get(path);
	if (fd == -ENOENT)
		return attach_new(d, ifname, ifindex, path, err);
	if (fd < 0)
		return err_set(err, fd, "cannot open pinned link %s: %s", path, strerror(-fd));
	if (link_serves(d, fd, ifindex)) {
		rc = bpf_link_update(fd, d->prog_fd, NULL);
		return rc ? err_set(err, rc, "interface %s: cannot replace its XDP program: %s", ifname, strerror(-rc)) : 0;
	}
	rc = detach_link(path, fd);
	if (rc)
		return err_set(err, rc, "interface %s: cannot remove its old XDP link: %s", ifname, strerror(-rc));
	return attach_new(d, ifname, ifindex, path, err);
}

static int update_one(const char *dir, const char *name, void *arg)
{
	struct dataplane *d = arg;
	_cleanup_close_ int fd = -1;
	char path[DP_PATH_MAX];
	int rc = dp_path(path, dir, name);

	if (rc)
		return rc;
	fd = bpf_obj_get(path);
	rc = fd < 0 ? fd : bpf_link_update(fd, d->prog_fd, NULL);
	dp_step("link updated");
	if (rc == -ENOLINK || rc == -ENOENT)
		return 0;
	if (rc)
		log_event(LOG_LEVEL_ERROR, "xdp_update", "an interface goes on with the old program", "pin", name, "reason",
			  strerror(-rc), NULL);
	return 0; /* the others shall have the new program nevertheless; dataplane_attach() reports this one again */
}

int dp_links_update(struct dataplane *d, struct err *err)
{
	int rc = dp_each(d->pin_dir, DP_LINK_PREFIX, update_one, d);

	return rc ? err_set(err, rc, "cannot list the pinned links of %s: %s", d->pin_dir, strerror(-rc)) : 0;
}

int dp_link_remove(const char *dir, const char *name, void *unused)
{
	_cleanup_close_ int fd = -1;
	char path[DP_PATH_MAX];
	int rc = dp_path(path, dir, name);

	if (rc)
		return rc;
	fd = bpf_obj_get(path);
	if (fd == -ENOENT)
		return 0;
	return fd < 0 ? fd : detach_link(path, fd);
}

int dataplane_detach_interface(struct dataplane *d, const char *ifname, struct err *err)
{
	char path[DP_PATH_MAX];
	int rc = link_path(path, d->pin_dir, ifname);

	if (!rc)
		rc = dp_link_remove(d->pin_dir, strrchr(path, '/') + 1, NULL);
	return rc ? err_set(err, rc, "interface %s: cannot detach XDP: %s", ifname, strerror(-rc)) : 0;
}

int dataplane_check(struct dataplane *d, const char *ifname, const char **mode, struct err *err)
{
	struct xdp_state now;
	unsigned int ifindex;
	int rc;

	*mode = mode_word(XDP_ATTACHED_NONE);
	rc = find_interface(ifname, &ifindex, err);
	if (rc)
		return rc;
	rc = query(ifindex, &now);
	if (rc)
		return err_set(err, rc, "interface %s: cannot ask for its XDP program: %s", ifname, strerror(-rc));
	if (now.prog_id && now.prog_id == d->prog_id)
		*mode = mode_word(now.mode);
	return 0;
}

int dataplane_is_jited(const struct dataplane *d)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(d->prog_fd, &info, &len))
		return -1;
	return info.jited_prog_len > 0;
}
