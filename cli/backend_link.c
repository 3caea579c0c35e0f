// SPDX-License-Identifier: Apache-2.0
/*
 * backend_link.c - interfaces: what the plan must know of them, and the kernel's tunnel devices.
 *
 * tunl0 and sit0 come with their modules and take what no other tunnel takes: 4in4 and 6in4 from anywhere.
 * ip6tnl0 takes 6in6 only, so for IPv6 outside we make a device of our own that takes all ("external", mode
 * any).
 */
#include "backend.h"

#include <errno.h>
#include <linux/if_tunnel.h>
#include <netlink/cache.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static const struct {
	const char *ifname, *module;
} tunnels[] = {
	{"tunl0", "ipip"},
	{"sit0", "sit"},
	{BACKEND_TUNNEL6, "ip6_tunnel"},
};

static const char *module_of(const char *ifname)
{
	for (unsigned int i = 0; i < sizeof(tunnels) / sizeof(tunnels[0]); i++)
		if (strcmp(tunnels[i].ifname, ifname) == 0)
			return tunnels[i].module;
	return NULL;
}

/* Load a module, or only find out whether it could be. */
static bool modprobe(const char *module, bool dry_run)
{
	char *argv[] = {(char *)"modprobe", (char *)"-q", (char *)(dry_run ? "-n" : "--"), (char *)module,
			NULL};
	static const char *const paths[] = {"/sbin/modprobe", "/usr/sbin/modprobe"};
	int status;
	pid_t pid;

	for (unsigned int i = 0; i < 2; i++)
		if (posix_spawn(&pid, paths[i], NULL, NULL, argv, environ) == 0 &&
		    waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return true;
	return false;
}

static bool module_is_loaded(const char *module)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return access(path, F_OK) == 0;
}

static int get_link(struct backend_host *h, unsigned int ifindex, const char *ifname, struct rtnl_link **out)
{
	int r = rtnl_link_get_kernel(h->nl, (int)ifindex, ifname, out);

	if (r == -NLE_NODEV || r == -NLE_OBJ_NOTFOUND)
		return -ENODEV;
	return r < 0 ? -EIO : 0;
}

/* By netlink: if_nametoindex("tunl0") would load the module ipip, as a look at a host must not. */
static bool link_exists(struct backend_host *h, const char *ifname)
{
	struct rtnl_link *link;

	if (get_link(h, 0, ifname, &link))
		return false;
	rtnl_link_put(link);
	return true;
}

bool backend_kernel_can(struct backend_host *h, const char *ifname)
{
	const char *module = module_of(ifname);

	return link_exists(h, ifname) || (module && (module_is_loaded(module) || modprobe(module, true)));
}

bool backend_kernel_can_gue(struct backend_host *h)
{
	return module_is_loaded("fou") || modprobe("fou", true);
}

static int read_families(struct backend_host *h, struct backend_link *l, struct err *err)
{
	struct nl_cache *cache = NULL;
	int r = rtnl_addr_alloc_cache(h->nl, &cache);

	if (r < 0)
		return err_set(err, -EIO, "listing the addresses: %s", nl_geterror(r));
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_addr *a = (struct rtnl_addr *)o;

		if ((unsigned int)rtnl_addr_get_ifindex(a) != l->ifindex || rtnl_addr_get_scope(a) != 0)
			continue;
		l->has4 |= rtnl_addr_get_family(a) == AF_INET;
		l->has6 |= rtnl_addr_get_family(a) == AF_INET6;
	}
	nl_cache_free(cache);
	return 0;
}

int backend_link_get(struct backend_host *h, const char *ifname, struct backend_link *out, struct err *err)
{
	struct rtnl_link *link;
	int r = get_link(h, 0, ifname, &link);

	memset(out, 0, sizeof(*out));
	if (r == -ENODEV) {
		err_set(err, r, "there is no interface '%s'", ifname);
		err_hint(
			err,
			"`ip -brief link` lists them; --interface names where the balancers' packets arrive");
	}
	if (r)
		return err_set(err, r, "reading interface %s: %s", ifname, strerror(-r));
	out->ifindex = (unsigned int)rtnl_link_get_ifindex(link);
	out->mtu = rtnl_link_get_mtu(link);
	out->up = rtnl_link_get_flags(link) & IFF_UP;
	rtnl_link_put(link);
	return read_families(h, out, err);
}

int backend_link_mtu(struct backend_host *h, unsigned int ifindex, unsigned int *mtu)
{
	struct rtnl_link *link;
	int r = get_link(h, ifindex, NULL, &link);

	if (r)
		return r;
	*mtu = rtnl_link_get_mtu(link);
	rtnl_link_put(link);
	return 0;
}

static int get(struct backend_host *h, const char *name, char value[BACKEND_VALUE_MAX], struct err *err)
{
	struct rtnl_link *link;
	int r = get_link(h, 0, name, &link);

	snprintf(value, BACKEND_VALUE_MAX, BACKEND_ABSENT);
	if (r == -ENODEV)
		return 0;
	if (r)
		return err_set(err, r, "reading interface %s: %s", name, strerror(-r));
	snprintf(value, BACKEND_VALUE_MAX, "%s", rtnl_link_get_flags(link) & IFF_UP ? "up" : "down");
	rtnl_link_put(link);
	return 0;
}

/* libnl has no words for an "external" tunnel. */
static int create_tunnel6(struct backend_host *h)
{
	struct ifinfomsg m = {.ifi_family = AF_UNSPEC};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *info, *data;

	if (!msg)
		return -NLE_NOMEM;
	nlmsg_append(msg, &m, sizeof(m), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, BACKEND_TUNNEL6);
	info = nla_nest_start(msg, IFLA_LINKINFO);
	nla_put_string(msg, IFLA_INFO_KIND, "ip6tnl");
	data = nla_nest_start(msg, IFLA_INFO_DATA);
	nla_put_u8(msg, IFLA_IPTUN_PROTO, 0); /* IPv4 and IPv6 inside */
	nla_put_flag(msg, IFLA_IPTUN_COLLECT_METADATA);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return nl_send_sync(h->nl, msg); /* frees msg */
}

/* Make the device exist. tunl0 and sit0 appear with their modules. */
static int create(struct backend_host *h, const char *name, struct err *err)
{
	const char *module = module_of(name);
	int r;

	if (!module)
		return err_set(err, -ENODEV, "there is no interface '%s'", name);
	(void)modprobe(module, false);
	if (strcmp(name, BACKEND_TUNNEL6) == 0) {
		r = create_tunnel6(h);
		if (r < 0)
			err_set(err, -EIO, "creating the tunnel device %s: %s", name, nl_geterror(r));
	}
	if (link_exists(h, name))
		return 0;
	err_set(err, -ENODEV, "the kernel module %s did not bring the device %s", module, name);
	err_hint(err, "`modprobe %s` says why; --decap xdp needs no module", module);
	return err ? err->code : -ENODEV;
}

static int change_flags(struct backend_host *h, const char *name, bool up, struct err *err)
{
	struct rtnl_link *link, *change = rtnl_link_alloc();
	int r = get_link(h, 0, name, &link);

	if (r == 0 && change) {
		if (up)
			rtnl_link_set_flags(change, IFF_UP);
		else
			rtnl_link_unset_flags(change, IFF_UP);
		r = rtnl_link_change(h->nl, link, change, 0);
		if (r < 0)
			err_set(err, -EIO, "setting %s %s: %s", name, up ? "up" : "down", nl_geterror(r));
		rtnl_link_put(link);
	}
	rtnl_link_put(change);
	return r < 0 ? -EIO : 0;
}

static int set(struct backend_host *h, const char *name, const char *value, struct err *err)
{
	struct rtnl_link *link;
	int r;

	if (strcmp(value, BACKEND_ABSENT) != 0) {
		if (!link_exists(h, name) && (r = create(h, name, err)) != 0)
			return r;
		return change_flags(h, name, strcmp(value, "up") == 0, err);
	}
	/* A device that came with its module stays with it, but down, as when it came. */
	if (strcmp(name, BACKEND_TUNNEL6) != 0)
		return link_exists(h, name) ? change_flags(h, name, false, err) : 0;
	if (get_link(h, 0, name, &link))
		return 0;
	r = rtnl_link_delete(h->nl, link);
	rtnl_link_put(link);
	return r < 0 ? err_set(err, -EIO, "deleting %s: %s", name, nl_geterror(r)) : 0;
}

static void by_hand(const char *name, const char *value, char *out, size_t size)
{
	const char *module = module_of(name);

	if (strcmp(name, BACKEND_TUNNEL6) == 0 && strcmp(value, "up") == 0)
		snprintf(out, size, "ip link add %s type ip6tnl mode any external; ip link set %s up", name,
			 name);
	else if (strcmp(name, BACKEND_TUNNEL6) == 0)
		snprintf(out, size, "ip link del %s", name);
	else if (strcmp(value, "up") == 0)
		snprintf(out, size, "modprobe %s; ip link set %s up", module ? module : "?", name);
	else
		snprintf(out, size, "ip link set %s down", name);
}

const struct backend_kind_ops backend_link_ops = {"link", get, set, by_hand};
