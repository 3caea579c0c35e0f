// SPDX-License-Identifier: Apache-2.0
/*
 * backend_vip.c - the VIPs on lo: /32 and /128, so that packets to them are ours and no route appears. IPv6
 * without duplicate address detection: every backend has the same address, that is the idea.
 */
#include "backend.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <netlink/cache.h>
#include <netlink/route/addr.h>
#include <string.h>

static struct nl_addr *to_nl(const struct lb_addr *a)
{
	bool v4 = addr_is_v4(a);
	struct nl_addr *out =
		nl_addr_build(v4 ? AF_INET : AF_INET6, (void *)(a->b + (v4 ? 12 : 0)), v4 ? 4 : 16);

	if (out)
		nl_addr_set_prefixlen(out, v4 ? 32 : 128);
	return out;
}

static int parse(const char *name, struct lb_addr *a, struct err *err)
{
	if (addr_parse(name, a))
		return err_set(err, -EINVAL, "'%s' is not an address", name);
	return 0;
}

/* Where the address is: "lo" when it is there (among others), else the first interface that has it. */
static int get(struct backend_host *h, const char *name, char value[BACKEND_VALUE_MAX], struct err *err)
{
	struct nl_cache *cache = NULL;
	char ifname[IF_NAMESIZE];
	struct lb_addr want;
	int r = parse(name, &want, err);

	if (r)
		return r;
	r = rtnl_addr_alloc_cache(h->nl, &cache);
	if (r < 0)
		return err_set(err, -EIO, "listing the addresses: %s", nl_geterror(r));
	snprintf(value, BACKEND_VALUE_MAX, BACKEND_ABSENT);
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_addr *a = (struct rtnl_addr *)o;
		struct nl_addr *local = rtnl_addr_get_local(a);
		bool v4 = addr_is_v4(&want);

		if (!local || nl_addr_get_len(local) != (v4 ? 4 : 16) ||
		    memcmp(nl_addr_get_binary_addr(local), want.b + (v4 ? 12 : 0), v4 ? 4 : 16) != 0)
			continue;
		if (!if_indextoname((unsigned int)rtnl_addr_get_ifindex(a), ifname))
			continue;
		if (strcmp(value, "lo") != 0)
			snprintf(value, BACKEND_VALUE_MAX, "%s", ifname);
	}
	nl_cache_free(cache);
	return 0;
}

static struct rtnl_addr *build(const struct lb_addr *a)
{
	struct rtnl_addr *out = rtnl_addr_alloc();
	struct nl_addr *local = to_nl(a);

	if (!out || !local || rtnl_addr_set_local(out, local) < 0) {
		rtnl_addr_put(out);
		out = NULL;
	} else {
		rtnl_addr_set_ifindex(out, (int)if_nametoindex("lo"));
		if (!addr_is_v4(a))
			rtnl_addr_set_flags(out, IFA_F_NODAD);
	}
	nl_addr_put(local);
	return out;
}

static int set(struct backend_host *h, const char *name, const char *value, struct err *err)
{
	char now[BACKEND_VALUE_MAX];
	struct rtnl_addr *a;
	struct lb_addr addr;
	bool add = strcmp(value, "lo") == 0;
	int r = parse(name, &addr, err);

	if (r == 0)
		r = get(h, name, now, err);
	if (r)
		return r;
	if (add && strcmp(now, BACKEND_ABSENT) != 0 && strcmp(now, "lo") != 0) {
		err_set(err, -EEXIST, "%s is an address of %s", name, now);
		err_hint(err,
			 "a VIP there is answered by ARP or ND and draws its traffic past the balancers: "
			 "`ip address del %s dev %s`, then try again",
			 name, now);
		return -EEXIST;
	}
	if (!add && strcmp(now, "lo") != 0)
		return 0;
	a = build(&addr);
	if (!a)
		return err_set(err, -ENOMEM, "out of memory");
	r = add ? rtnl_addr_add(h->nl, a, NLM_F_CREATE | NLM_F_EXCL) : rtnl_addr_delete(h->nl, a, 0);
	rtnl_addr_put(a);
	if (r < 0) {
		r = err_set(err, -EIO, "%s %s on lo: %s", add ? "adding" : "removing", name, nl_geterror(r));
		if (!addr_is_v4(&addr))
			err_hint(err, "is IPv6 switched off (net.ipv6.conf.lo.disable_ipv6)?");
	}
	return r;
}

static void by_hand(const char *name, const char *value, char *out, size_t size)
{
	bool v4 = !strchr(name, ':');

	if (strcmp(value, "lo") == 0)
		snprintf(out, size, "ip address add %s/%s dev lo%s", name, v4 ? "32" : "128",
			 v4 ? "" : " nodad");
	else
		snprintf(out, size, "ip address del %s/%s dev lo", name, v4 ? "32" : "128");
}

const struct backend_kind_ops backend_vip_ops = {"vip", get, set, by_hand};
