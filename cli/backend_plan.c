// SPDX-License-Identifier: Apache-2.0
/* backend_plan.c - what a backend needs, as items in the order of doing. The arithmetic of docs/backends.md
 * is here. */
#include "backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
#define UDP_HEADER 8u /* GUE variant 1 has no header of its own */
#define TCP_HEADER 20u
#define MSS4_MIN 536u  /* RFC 879: every host can do this */
#define MSS6_MIN 1220u /* 1280 less the headers: IPv6 links carry no less */

struct facts {
	bool vip4, vip6;
	bool outer4, outer6; /* the balancers may reach us over this */
	unsigned int mtu;    /* the smallest of the interfaces */
};

unsigned int backend_mss(enum backend_mode mode, unsigned int mtu, int family, bool outer6)
{
	unsigned int less = TCP_HEADER + (family == 6 ? IPV6_HEADER : IPV4_HEADER);

	if (mode != BACKEND_L2)
		less += outer6 ? IPV6_HEADER : IPV4_HEADER;
	if (mode == BACKEND_GUE)
		less += UDP_HEADER;
	return mtu >= less + (family == 6 ? MSS6_MIN : MSS4_MIN) ? mtu - less : 0;
}

static int out_of_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

static int learn(struct backend_host *h, const struct backend_options *o, struct facts *f, struct err *err)
{
	memset(f, 0, sizeof(*f));
	for (unsigned int i = 0; i < o->n_vips; i++) {
		f->vip4 |= addr_is_v4(&o->vips[i]);
		f->vip6 |= !addr_is_v4(&o->vips[i]);
	}
	for (unsigned int i = 0; i < o->n_interfaces; i++) {
		struct backend_link l;
		int r = backend_link_get(h, o->interfaces[i], &l, err);

		if (r)
			return r;
		if (!l.up) {
			err_set(err, -ENETDOWN, "interface %s is down", o->interfaces[i]);
			err_hint(err, "`ip link set %s up`, then try again", o->interfaces[i]);
			return -ENETDOWN;
		}
		f->outer4 |= l.has4;
		f->outer6 |= l.has6;
		f->mtu = f->mtu && f->mtu < l.mtu ? f->mtu : l.mtu;
	}
	if (o->mode != BACKEND_L2 && !f->outer4 && !f->outer6) {
		err_set(err, -EADDRNOTAVAIL,
			"no interface given has an address that a balancer could send to");
		err_hint(err, "give %s its address first, or name the interface that has it",
			 o->interfaces[0]);
		return -EADDRNOTAVAIL;
	}
	return 0;
}

/* ---- decapsulation
 * --------------------------------------------------------------------------------------------- */

/* The tunnel devices that these families need: what is inside, and what is outside. */
static unsigned int tunnel_devices(const struct facts *f, const char *out[3])
{
	unsigned int n = 0;

	if (f->outer4 && f->vip4)
		out[n++] = "tunl0";
	if (f->outer4 && f->vip6)
		out[n++] = "sit0";
	if (f->outer6)
		out[n++] = BACKEND_TUNNEL6;
	return n;
}

static enum backend_decap choose_decap(struct backend_host *h, const struct backend_options *o,
				       const struct facts *f)
{
	const char *devices[3];
	unsigned int n = tunnel_devices(f, devices);

	/* What is in use goes on being used. */
	for (unsigned int i = 0; i < o->n_interfaces; i++)
		if (backend_decap_is_pinned(h, o->interfaces[i]))
			return BACKEND_DECAP_XDP;
	for (unsigned int i = 0; i < n; i++)
		if (!backend_kernel_can(h, devices[i]))
			return BACKEND_DECAP_XDP;
	if (o->mode == BACKEND_GUE && !backend_kernel_can_gue(h))
		return BACKEND_DECAP_XDP;
	return BACKEND_DECAP_KERNEL;
}

static bool plan_kernel_decap(const struct backend_options *o, const struct facts *f,
			      struct backend_items *out)
{
	const char *devices[3];
	unsigned int n = tunnel_devices(f, devices);
	bool ok = true;

	for (unsigned int i = 0; i < n; i++) {
		ok = ok && backend_items_add(out, BACKEND_LINK, "up", "%s", devices[i]);
		if (f->vip4 && strcmp(devices[i], "sit0") != 0)
			ok = ok && backend_items_add(out, BACKEND_SYSCTL, "0", "net/ipv4/conf/%s/rp_filter",
						     devices[i]);
	}
	if (o->mode == BACKEND_GUE && f->outer4)
		ok = ok && backend_items_add(out, BACKEND_FOU, "gue", "ipv4 %u", o->gue_port);
	if (o->mode == BACKEND_GUE && f->outer6)
		ok = ok && backend_items_add(out, BACKEND_FOU, "gue", "ipv6 %u", o->gue_port);
	return ok;
}

static bool plan_xdp_decap(const struct backend_options *o, struct backend_items *out)
{
	char vip[ADDR_STRLEN], port[BACKEND_VALUE_MAX];
	bool ok = true;

	snprintf(port, sizeof(port), "gue-port %u", o->gue_port);
	for (unsigned int i = 0; i < o->n_interfaces; i++) {
		ok = ok && backend_items_add(out, BACKEND_DECAP, port, "%s", o->interfaces[i]);
		for (unsigned int v = 0; v < o->n_vips; v++)
			ok = ok && backend_items_add(out, BACKEND_DECAP_VIP, "unpacked", "%s %s",
						     o->interfaces[i], addr_format(&o->vips[v], vip));
	}
	return ok;
}

/* ---- MSS
 * ------------------------------------------------------------------------------------------------------- */

/* For one family; 0 when it is impossible. */
static unsigned int wanted_mss(const struct backend_options *o, const struct facts *f, int family)
{
	if (o->mss > 0)
		return family == 6 ? (unsigned int)o->mss - (IPV6_HEADER - IPV4_HEADER)
				   : (unsigned int)o->mss;
	return backend_mss(o->mode, f->mtu, family, f->outer6);
}

static int plan_route(struct backend_host *h, const struct backend_route *r, unsigned int mss,
		      struct backend_items *out, struct err *err)
{
	unsigned int mtu = r->mtu, own;
	char value[BACKEND_VALUE_MAX];

	if (r->from_ra && strstr(r->name, " default ")) {
		err_set(err, -EOPNOTSUPP,
			"the IPv6 default route comes from router advertisements, which take an MSS "
			"away again");
		err_hint(err, "add a static default route with a smaller metric, or use --mss off and let "
			      "the router "
			      "advertise a smaller MTU");
		return -EOPNOTSUPP;
	}
	if (r->from_ra)
		return 0;
	if (!mtu && r->ifindex && backend_link_mtu(h, r->ifindex, &mtu))
		mtu = 0;
	/* Never more than what the kernel would announce by itself. */
	own = mtu ? mtu - TCP_HEADER - (r->family == AF_INET6 ? IPV6_HEADER : IPV4_HEADER) : mss;
	snprintf(value, sizeof(value), "%u", mss < own ? mss : own);
	return backend_items_add(out, BACKEND_ROUTE_MSS, value, "%s", r->name) ? 0 : out_of_memory(err);
}

static int plan_mss(struct backend_host *h, const struct backend_options *o, const struct facts *f,
		    int family, struct backend_items *out, struct err *err)
{
	unsigned int n = 0, mss = wanted_mss(o, f, family);
	struct backend_route *routes = NULL;
	int r;

	if (!mss) {
		err_set(err, -EMSGSIZE, "MTU %u leaves no room for IPv%d inside the tunnel", f->mtu, family);
		err_hint(err, "raise the MTU between balancer and backend (1500 is enough, 1560 best), or "
			      "--mss off");
		return -EMSGSIZE;
	}
	r = backend_routes(h, family == 6 ? AF_INET6 : AF_INET, &routes, &n, err);
	for (unsigned int i = 0; i < n && r == 0; i++)
		if (!backend_items_find(out, BACKEND_ROUTE_MSS, routes[i].name))
			r = plan_route(h, &routes[i], mss, out, err);
	free(routes);
	return r;
}

/* ---- all
 * ------------------------------------------------------------------------------------------------------- */

static bool plan_sysctls(const struct backend_options *o, const struct facts *f, struct backend_items *out)
{
	bool ok = true;

	if (!f->vip4)
		return true; /* IPv6 answers for an address only on the interface that has it, and has no
				rp_filter */
	ok = ok && backend_items_add(out, BACKEND_SYSCTL, "1", "net/ipv4/conf/all/arp_ignore");
	ok = ok && backend_items_add(out, BACKEND_SYSCTL, "2", "net/ipv4/conf/all/arp_announce");
	ok = ok && backend_items_add(out, BACKEND_SYSCTL, "0", "net/ipv4/conf/all/rp_filter");
	for (unsigned int i = 0; i < o->n_interfaces; i++)
		ok = ok && backend_items_add(out, BACKEND_SYSCTL, "0", "net/ipv4/conf/%s/rp_filter",
					     o->interfaces[i]);
	return ok;
}

int backend_plan(struct backend_host *h, struct backend_options *o, struct backend_items *out,
		 struct err *err)
{
	char vip[ADDR_STRLEN];
	struct facts f;
	bool ok;
	int r = learn(h, o, &f, err);

	if (r)
		return r;
	if (!plan_sysctls(o, &f, out))
		return out_of_memory(err);
	if (o->mode != BACKEND_L2) {
		if (o->mss != BACKEND_MSS_OFF && f.vip4)
			r = plan_mss(h, o, &f, 4, out, err);
		if (r == 0 && o->mss != BACKEND_MSS_OFF && f.vip6)
			r = plan_mss(h, o, &f, 6, out, err);
		if (r)
			return r;
		if (o->decap == BACKEND_DECAP_AUTO)
			o->decap = choose_decap(h, o, &f);
		ok = o->decap == BACKEND_DECAP_XDP ? plan_xdp_decap(o, out) : plan_kernel_decap(o, &f, out);
		if (!ok)
			return out_of_memory(err);
	}
	for (unsigned int i = 0; i < o->n_vips; i++)
		if (!backend_items_add(out, BACKEND_VIP, "lo", "%s", addr_format(&o->vips[i], vip)))
			return out_of_memory(err);
	return 0;
}
