// SPDX-License-Identifier: Apache-2.0
/* probe_path.c - see probe_path.h. */
#include "probe_path.h"

#include "core/cleanup.h"
#include "dataplane_priv.h"
#include "lb/abi.h"
#include "probe.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define INTERFACES_MAX LB_TX_PORTS_MAX
#define HANDLE 1
#define ATTACH_TCX_EGRESS 47 /* BPF_TCX_EGRESS, since Linux 6.6; Debian 12's headers are older */

struct attachment {
	char ifname[IF_NAMESIZE]; /* empty: not in use */
	unsigned int ifindex;
	int link_fd; /* tcx; -1: clsact */
};

struct probe_path {
	struct probe_bpf *skel;
	bool no_tcx;
	struct attachment at[INTERFACES_MAX];
};

/* ---- loading ---------------------------------------------------------------------------------- */

static int share_map(struct bpf_map *map, const char *pin_dir, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char path[256];
	int r;

	snprintf(path, sizeof(path), "%s/%s", pin_dir, bpf_map__name(map));
	fd = bpf_obj_get(path);
	if (fd < 0)
		return err_set(err, -errno, "probe path: %s: %s", path, strerror(errno));
	r = bpf_map__reuse_fd(map, fd); /* duplicates it */
	return r ? err_set(err, r, "probe path: %s: %s", path, strerror(-r)) : 0;
}

int probe_path_set_port(struct probe_path *p, __u32 port, __u32 ifindex)
{
	return bpf_map_update_elem(bpf_map__fd(p->skel->maps.probe_ports), &port, &ifindex, 0) ? -errno : 0;
}

static int copy_ports(struct probe_path *p, const char *pin_dir, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char path[256];

	snprintf(path, sizeof(path), "%s/tx_ports", pin_dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return err_set(err, -errno, "probe path: %s: %s", path, strerror(errno));
	for (__u32 port = 1, ifindex; port < LB_TX_PORTS_MAX; port++)
		if (!bpf_map_lookup_elem(fd, &port, &ifindex) && probe_path_set_port(p, port, ifindex))
			return err_set(err, -errno, "probe path: ports: %s", strerror(errno));
	return 0;
}

static int load(struct probe_path *p, const char *pin_dir, struct err *err)
{
	int r;

	p->skel = probe_bpf__open();
	if (!p->skel)
		return err_set(err, -errno, "probe path: %s", strerror(errno));
	r = share_map(p->skel->maps.backends, pin_dir, err);
	if (!r)
		r = share_map(p->skel->maps.backend_spares, pin_dir, err);
	if (r)
		return r;
	dp_listen();
	r = probe_bpf__load(p->skel);
	return r ? dp_load_failed(r, "way of the probes", err) : copy_ports(p, pin_dir, err);
}

int probe_path_open(struct probe_path **out, const char *pin_dir, bool no_tcx, struct err *err)
{
	struct probe_path *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < INTERFACES_MAX; i++)
		p->at[i].link_fd = -1;
	p->no_tcx = no_tcx;
	r = load(p, pin_dir, err);
	if (r) {
		probe_path_close(p);
		return r;
	}
	*out = p;
	return 0;
}

int probe_path_read_stats(const struct probe_path *p, struct probe_path_stats *out)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ __u64 *n = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*n));

	if (cpus < 0 || !n)
		return -ENOMEM;
	memset(out, 0, sizeof(*out));
	for (__u32 key = 0; key < LB_PROBE_STATS; key++) {
		if (bpf_map_lookup_elem(bpf_map__fd(p->skel->maps.probe_stats), &key, n))
			return -errno;
		for (int i = 0; i < cpus; i++)
			out->n[key] += n[i];
	}
	return 0;
}

/* ---- tcx -------------------------------------------------------------------------------------- */

/* By the bare system call: libbpf 1.1 does not know tcx. Negative errno, or the link. */
static int tcx_link(int prog_fd, unsigned int ifindex)
{
	union bpf_attr attr;
	long fd;

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (__u32)prog_fd;
	attr.link_create.target_ifindex = ifindex;
	attr.link_create.attach_type = ATTACH_TCX_EGRESS;
	fd = syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : (int)fd;
}

/* ---- clsact ------------------------------------------------------------------------------------ */

static int clsact_attach(int prog_fd, unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .handle = HANDLE, .priority = PROBE_PATH_PRIORITY,
		    .flags = BPF_TC_F_REPLACE);
	int r = bpf_tc_hook_create(&hook);

	/* The qdisc may be there already, perhaps somebody else's; it is never removed. */
	return r && r != -EEXIST ? r : bpf_tc_attach(&hook, &opts);
}

/* Id of the program of our handle and priority, 0 when there is none. */
static __u32 clsact_prog(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PROBE_PATH_PRIORITY);

	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

static __u32 own_prog(const struct probe_path *p)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_program__fd(p->skel->progs.lb_probe), &info, &len) ? 0 : info.id;
}

static int clsact_detach(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PROBE_PATH_PRIORITY);

	return bpf_tc_detach(&hook, &opts);
}

int probe_path_remove(const char *ifname, struct err *err)
{
	unsigned int ifindex = if_nametoindex(ifname);
	int r;

	dp_listen(); /* libbpf would print that there is none */
	r = ifindex ? clsact_detach(ifindex) : 0;

	if (!r || r == -ENOENT || r == -EINVAL) /* EINVAL: no clsact there */
		return 0;
	return err_set(err, r, "probe path: removing the filter from %s: %s", ifname, strerror(-r));
}

/* ---- interfaces ---------------------------------------------------------------------------------- */

static struct attachment *find(struct probe_path *p, const char *ifname)
{
	for (unsigned int i = 0; i < INTERFACES_MAX; i++)
		if (!strcmp(p->at[i].ifname, ifname))
			return &p->at[i];
	return NULL;
}

/* A filter that another object of ours has taken over (the maps grew) stays. */
static void detach(const struct probe_path *p, struct attachment *a)
{
	if (a->link_fd >= 0)
		cleanup_closep(&a->link_fd);
	else if (if_nametoindex(a->ifname) == a->ifindex && clsact_prog(a->ifindex) == own_prog(p))
		(void)clsact_detach(a->ifindex);
	*a = (struct attachment){.link_fd = -1};
}

static int attach(struct probe_path *p, struct attachment *a, const char *ifname, unsigned int ifindex)
{
	int prog_fd = bpf_program__fd(p->skel->progs.lb_probe);
	int fd = p->no_tcx ? -EINVAL : tcx_link(prog_fd, ifindex);
	int r;

	if (fd < 0) {
		r = clsact_attach(prog_fd, ifindex);
		if (r)
			return r;
	}
	a->link_fd = fd < 0 ? -1 : fd;
	a->ifindex = ifindex;
	snprintf(a->ifname, sizeof(a->ifname), "%s", ifname);
	return 0;
}

int probe_path_attach(struct probe_path *p, const char *ifname, struct err *err)
{
	unsigned int ifindex = if_nametoindex(ifname);
	struct attachment *a = find(p, ifname);
	int r;

	if (!ifindex)
		return err_set(err, -ENODEV, "probe path: there is no interface %s", ifname);
	if (a && a->ifindex == ifindex)
		return 0;
	if (a)
		detach(p, a);
	else
		a = find(p, "");
	if (!a)
		return err_set(err, -ENOSPC, "probe path: more than %u interfaces", INTERFACES_MAX);
	r = attach(p, a, ifname, ifindex);
	if (!r)
		return 0;
	err_set(err, r, "probe path: attaching to the egress of %s: %s", ifname, strerror(-r));
	err_hint(err,
		 "needs tcx (Linux 6.6) or the clsact qdisc (CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF)");
	return r;
}

void probe_path_detach(struct probe_path *p, const char *ifname)
{
	struct attachment *a = *ifname ? find(p, ifname) : NULL;

	if (a)
		detach(p, a);
}

void probe_path_close(struct probe_path *p)
{
	if (!p)
		return;
	for (unsigned int i = 0; i < INTERFACES_MAX; i++)
		if (p->at[i].ifname[0])
			detach(p, &p->at[i]);
	probe_bpf__destroy(p->skel);
	free(p);
}
