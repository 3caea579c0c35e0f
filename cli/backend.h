/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h - making this host a backend for direct server return, checking it, and undoing it.
 *
 * Everything that a backend needs is an item: a kind ("sysctl"), a name ("net/ipv4/conf/all/arp_ignore") and
 * a value in words ("1"). A kind can read the value and set it; that is all the rest needs:
 *
 *     options + host -> plan (items with the wanted value) -> apply / check / undo, each one loop over items
 *
 * What was there before goes into the state file before anything is changed, so that undo is exact whatever
 * happened in between, kill -9 included. A reboot clears both the state file (/run) and all that it is about.
 */
#pragma once
#include "core/addr.h"
#include "core/err.h"
#include <net/if.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stdio.h>

#define BACKEND_VIPS_MAX 64
#define BACKEND_INTERFACES_MAX 8
#define BACKEND_NAME_MAX 128
#define BACKEND_VALUE_MAX 64
#define BACKEND_ABSENT "absent" /* there is no such object (now) */

/* ---- options
 * -------------------------------------------------------------------------------------------------- */

enum backend_mode { BACKEND_IPIP, BACKEND_GUE, BACKEND_L2, BACKEND_MODE_MAX };
enum backend_decap { BACKEND_DECAP_AUTO, BACKEND_DECAP_KERNEL, BACKEND_DECAP_XDP, BACKEND_DECAP_MAX };
extern const char *const backend_mode_names[BACKEND_MODE_MAX];
extern const char *const backend_decap_names[BACKEND_DECAP_MAX];
#define BACKEND_MSS_AUTO (-1)
#define BACKEND_MSS_OFF 0
#define BACKEND_PIN_DIR "/sys/fs/bpf/lbd-backend"

struct backend_options {
	struct lb_addr vips[BACKEND_VIPS_MAX];
	unsigned int n_vips;
	char interfaces[BACKEND_INTERFACES_MAX][IF_NAMESIZE]; /* where the balancers' packets arrive */
	unsigned int n_interfaces;
	enum backend_mode mode;
	enum backend_decap decap;
	int mss; /* of IPv4; IPv6 gets 20 less. Or BACKEND_MSS_AUTO, BACKEND_MSS_OFF */
	unsigned int gue_port;
	char pin_dir[128]; /* where the XDP decapsulation program is pinned */
};

/* ---- this host
 * ------------------------------------------------------------------------------------------------ */

struct backend_host {
	struct nl_sock *nl;   /* rtnetlink */
	struct nl_sock *genl; /* generic netlink; opened when first needed */
	const char *pin_dir;  /* see backend_options; borrowed */
};
int backend_host_open(struct backend_host *h, const char *pin_dir, struct err *err);
void backend_host_close(struct backend_host *h);

/* ---- items
 * ---------------------------------------------------------------------------------------------------- */

enum backend_kind {
	BACKEND_SYSCTL,    /* name: path below /proc/sys; value: as in the file */
	BACKEND_ROUTE_MSS, /* name: backend_route_name(); value: advmss, or "none" */
	BACKEND_LINK,      /* name: interface; value: "up", "down" */
	BACKEND_FOU,       /* name: "ipv4 PORT", "ipv6 PORT"; value: "gue" */
	BACKEND_DECAP,     /* name: interface; value: "gue-port N" of the XDP program attached there */
	BACKEND_DECAP_VIP, /* name: "INTERFACE ADDRESS"; value: "unpacked" */
	BACKEND_VIP,       /* name: address; value: the interface that has it ("lo" is wanted) */
	BACKEND_KIND_MAX
};

struct backend_kind_ops {
	const char *name;
	/* The value now, BACKEND_ABSENT when there is no such object. Negative only when that cannot be
	 * known. */
	int (*get)(struct backend_host *h, const char *name, char value[BACKEND_VALUE_MAX], struct err *err);
	/* Make it so; @value may be BACKEND_ABSENT. */
	int (*set)(struct backend_host *h, const char *name, const char *value, struct err *err);
	/* The same by hand, as a shell command. */
	void (*by_hand)(const char *name, const char *value, char *out, size_t size);
};
extern const struct backend_kind_ops backend_sysctl_ops, backend_route_ops, backend_link_ops, backend_fou_ops,
	backend_decap_ops, backend_decap_vip_ops, backend_vip_ops;
const struct backend_kind_ops *backend_ops(enum backend_kind kind);

struct backend_item {
	enum backend_kind kind;
	char name[BACKEND_NAME_MAX];
	char want[BACKEND_VALUE_MAX];
	char old[BACKEND_VALUE_MAX]; /* in the state: the value before the first setup */
};
struct backend_items {
	struct backend_item *v; /* owned */
	unsigned int n, cap;
};
void backend_items_done(struct backend_items *l);
/* Appends; NULL when out of memory. Name and value are printed as given. */
struct backend_item *backend_items_add(struct backend_items *l, enum backend_kind kind, const char *want,
				       const char *name_fmt, ...) __attribute__((format(printf, 4, 5)));
struct backend_item *backend_items_find(const struct backend_items *l, enum backend_kind kind,
					const char *name);
void backend_items_remove(struct backend_items *l, struct backend_item *item);

/* ---- plan
 * ----------------------------------------------------------------------------------------------------- */

/*
 * What @o means on this host, in the order in which it must be done (the VIPs last: before arp_ignore is set,
 * a VIP on lo would be announced by ARP and draw traffic away from the balancers). @o->decap AUTO becomes
 * KERNEL or XDP.
 */
int backend_plan(struct backend_host *h, struct backend_options *o, struct backend_items *out,
		 struct err *err);
/*
 * The largest TCP segment that a client may send: the packet of @family (4 or 6), wrapped by the balancer,
 * must fit
 * @mtu. @outer6: the balancer reaches this host over IPv6. 0 when nothing useful is left.
 */
unsigned int backend_mss(enum backend_mode mode, unsigned int mtu, int family, bool outer6);

/* ---- routes (backend_route.c)
 * --------------------------------------------------------------------------------- */

struct backend_route {
	int family; /* AF_INET, AF_INET6 */
	char name[BACKEND_NAME_MAX];
	unsigned int ifindex; /* 0: several next hops */
	unsigned int mtu;     /* RTAX_MTU, 0 = none */
	bool from_ra;         /* made by a router advertisement: cannot be changed lastingly */
};
/* Unicast routes of the main table by which replies may leave (not lo, not link-local). *@out is owned by the
 * caller. */
int backend_routes(struct backend_host *h, int family, struct backend_route **out, unsigned int *n,
		   struct err *err);

/* ---- links and addresses (backend_link.c)
 * --------------------------------------------------------------------- */

struct backend_link {
	unsigned int ifindex, mtu;
	bool up;
	bool has4, has6; /* it has a global address of the family */
};
/* -ENODEV when there is none. */
int backend_link_get(struct backend_host *h, const char *ifname, struct backend_link *out, struct err *err);
int backend_link_mtu(struct backend_host *h, unsigned int ifindex, unsigned int *mtu);
/* Could the kernel's own tunnels do it (loaded, or a module that can be)? */
bool backend_kernel_can(struct backend_host *h, const char *ifname);
bool backend_kernel_can_gue(struct backend_host *h);
/* The tunnel device for outer IPv6: made by us, since ip6tnl0 takes only IPv6 inside. */
#define BACKEND_TUNNEL6 "lbd6"

/* ---- XDP (backend_decap.c)
 * ------------------------------------------------------------------------------------ */

/* Is ours pinned for @ifname (attached or not)? */
bool backend_decap_is_pinned(const struct backend_host *h, const char *ifname);

/* ---- state (backend_state.c)
 * ---------------------------------------------------------------------------------- */

struct backend_state {
	char path[256];
	int lock_fd;  /* one lbctl at a time */
	bool exists;  /* there was a file, or there is one now */
	bool settled; /* a setup went through: the file stays even when it had nothing to change */
	struct backend_options options; /* of the last setup that was begun */
	struct backend_items items;     /* what was changed, in the order of changes */
};
/* Take the lock and read the file, if there is one. A file that makes no sense is an error, never
 * overwritten. */
int backend_state_open(struct backend_state *s, const char *path, struct err *err);
/* Write it, whole or not at all; without items, unless it is settled, the file is removed. */
int backend_state_save(struct backend_state *s, struct err *err);
void backend_state_close(struct backend_state *s);

/* ---- doing it (backend_apply.c)
 * ------------------------------------------------------------------------------- */

/* Told of every change that was made (or would be, in a dry run): @was and @is differ. */
typedef void (*backend_change_fn)(const struct backend_item *item, const char *was, const char *is,
				  void *userdata);
/*
 * Bring the host to @plan, which was made from @o. What earlier setups did and @plan no longer has is put
 * back. When something fails, all that this call changed is put back and the error returned.
 */
int backend_apply(struct backend_host *h, struct backend_state *s, const struct backend_options *o,
		  const struct backend_items *plan, bool dry_run, backend_change_fn fn, void *userdata,
		  struct err *err);
/* Put everything back. Goes on after failures; what could not be put back stays in the state. The first
 * error. */
int backend_undo(struct backend_host *h, struct backend_state *s, bool dry_run, backend_change_fn fn,
		 void *userdata, struct err *err);
