// SPDX-License-Identifier: Apache-2.0
/* backend_items.c - the list of items, the kinds, and the connection to the kernel. See backend.h. */
#include "backend.h"

#include <errno.h>
#include <netlink/socket.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *const backend_mode_names[BACKEND_MODE_MAX] = {
	[BACKEND_IPIP] = "ipip",
	[BACKEND_GUE] = "gue",
	[BACKEND_L2] = "l2",
};
const char *const backend_decap_names[BACKEND_DECAP_MAX] = {
	[BACKEND_DECAP_AUTO] = "auto",
	[BACKEND_DECAP_KERNEL] = "kernel",
	[BACKEND_DECAP_XDP] = "xdp",
};

const struct backend_kind_ops *backend_ops(enum backend_kind kind)
{
	static const struct backend_kind_ops *const table[BACKEND_KIND_MAX] = {
		[BACKEND_SYSCTL] = &backend_sysctl_ops, [BACKEND_ROUTE_MSS] = &backend_route_ops,
		[BACKEND_LINK] = &backend_link_ops,     [BACKEND_FOU] = &backend_fou_ops,
		[BACKEND_DECAP] = &backend_decap_ops,   [BACKEND_DECAP_VIP] = &backend_decap_vip_ops,
		[BACKEND_VIP] = &backend_vip_ops,
	};

	return table[kind];
}

void backend_items_done(struct backend_items *l)
{
	free(l->v);
	memset(l, 0, sizeof(*l));
}

struct backend_item *backend_items_add(struct backend_items *l, enum backend_kind kind, const char *want,
				       const char *name_fmt, ...)
{
	struct backend_item *item;
	va_list ap;

	if (l->n == l->cap) {
		unsigned int cap = l->cap ? 2 * l->cap : 16;
		struct backend_item *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return NULL;
		l->v = v;
		l->cap = cap;
	}
	item = &l->v[l->n++];
	memset(item, 0, sizeof(*item));
	item->kind = kind;
	snprintf(item->want, sizeof(item->want), "%s", want);
	va_start(ap, name_fmt);
	vsnprintf(item->name, sizeof(item->name), name_fmt, ap);
	va_end(ap);
	return item;
}

struct backend_item *backend_items_find(const struct backend_items *l, enum backend_kind kind,
					const char *name)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (l->v[i].kind == kind && strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	return NULL;
}

void backend_items_remove(struct backend_items *l, struct backend_item *item)
{
	memmove(item, item + 1, (size_t)(l->v + l->n - (item + 1)) * sizeof(*item));
	l->n--;
}

int backend_host_open(struct backend_host *h, const char *pin_dir, struct err *err)
{
	int r;

	memset(h, 0, sizeof(*h));
	h->pin_dir = pin_dir;
	h->nl = nl_socket_alloc();
	if (!h->nl)
		return err_set(err, -ENOMEM, "out of memory");
	r = nl_connect(h->nl, NETLINK_ROUTE);
	if (r < 0) {
		backend_host_close(h);
		return err_set(err, -EIO, "rtnetlink socket: %s", nl_geterror(r));
	}
	return 0;
}

void backend_host_close(struct backend_host *h)
{
	nl_socket_free(h->nl);
	nl_socket_free(h->genl);
	h->nl = NULL;
	h->genl = NULL;
}
