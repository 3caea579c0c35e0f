// SPDX-License-Identifier: Apache-2.0
/*
 * backend_fou.c - the kernel's GUE receiver: a UDP port whose packets the fou module unwraps and hands to
 * tunl0, sit0 and our IPv6 tunnel. Generic netlink by hand: a family look-up and three messages are no reason
 * for another library.
 */
#include "backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fou.h>
#include <linux/genetlink.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

static int parse_name(const char *name, int *family, unsigned int *port)
{
	char version;

	if (sscanf(name, "ipv%c %u", &version, port) != 2 || *port > 65535)
		return -EINVAL;
	*family = version == '6' ? AF_INET6 : AF_INET;
	return 0;
}

static int open_genl(struct backend_host *h, struct err *err)
{
	int r;

	if (h->genl)
		return 0;
	h->genl = nl_socket_alloc();
	if (!h->genl)
		return err_set(err, -ENOMEM, "out of memory");
	r = nl_connect(h->genl, NETLINK_GENERIC);
	if (r < 0) {
		nl_socket_free(h->genl);
		h->genl = NULL;
		return err_set(err, -EIO, "generic netlink socket: %s", nl_geterror(r));
	}
	return 0;
}

static struct nl_msg *new_message(int family_id, int flags, __u8 command, __u8 version)
{
	struct genlmsghdr g = {.cmd = command, .version = version};
	struct nl_msg *msg = nlmsg_alloc_simple(family_id, flags);

	if (msg && nlmsg_append(msg, &g, sizeof(g), NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static int on_end(struct nl_msg *msg, void *arg)
{
	*(bool *)arg = true;
	return NL_STOP;
}

/* Send @msg (freed here), hand the answers to @fn (NULL: none), return when the kernel says that this was
 * all. */
static int ask(struct backend_host *h, struct nl_msg *msg, nl_recvmsg_msg_cb_t fn, void *arg)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int r = -NLE_NOMEM;
	bool end = false;

	if (cb && msg) {
		if (fn)
			nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, fn, arg);
		nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, &end);
		nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, &end);
		r = nl_send_auto(h->genl, msg);
		while (r >= 0 && !end)
			r = nl_recvmsgs(h->genl, cb);
	}
	nlmsg_free(msg);
	nl_cb_put(cb);
	return r;
}

static int on_family(struct nl_msg *msg, void *arg)
{
	struct nlattr *tb[CTRL_ATTR_MAX + 1];

	if (nlmsg_parse(nlmsg_hdr(msg), GENL_HDRLEN, tb, CTRL_ATTR_MAX, NULL) >= 0 && tb[CTRL_ATTR_FAMILY_ID])
		*(int *)arg = nla_get_u16(tb[CTRL_ATTR_FAMILY_ID]);
	return NL_OK;
}

/* 0 when the kernel does not have it (the name look-up loads the module if there is one). */
static int family_id(struct backend_host *h)
{
	struct nl_msg *msg = new_message(GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK, CTRL_CMD_GETFAMILY, 1);
	int id = 0;

	if (msg)
		nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, FOU_GENL_NAME);
	if (ask(h, msg, on_family, &id) < 0)
		return 0;
	return id;
}

struct listing {
	int family;
	unsigned int port;
	int type; /* FOU_ENCAP_*, 0 when there is no such port */
};

static int on_port(struct nl_msg *msg, void *arg)
{
	struct nlattr *tb[FOU_ATTR_MAX + 1];
	struct listing *l = arg;

	if (nlmsg_parse(nlmsg_hdr(msg), GENL_HDRLEN, tb, FOU_ATTR_MAX, NULL) < 0 || !tb[FOU_ATTR_PORT] ||
	    !tb[FOU_ATTR_AF] || !tb[FOU_ATTR_TYPE])
		return NL_OK;
	if (nla_get_u8(tb[FOU_ATTR_AF]) == l->family && ntohs(nla_get_u16(tb[FOU_ATTR_PORT])) == l->port)
		l->type = nla_get_u8(tb[FOU_ATTR_TYPE]);
	return NL_OK;
}

static int get(struct backend_host *h, const char *name, char value[BACKEND_VALUE_MAX], struct err *err)
{
	struct listing l = {0};
	int id, r = parse_name(name, &l.family, &l.port);

	if (r)
		return err_set(err, r, "'%s' is no receiver", name);
	r = open_genl(h, err);
	if (r)
		return r;
	snprintf(value, BACKEND_VALUE_MAX, BACKEND_ABSENT);
	id = family_id(h);
	if (!id)
		return 0;
	r = ask(h, new_message(id, NLM_F_REQUEST | NLM_F_DUMP, FOU_CMD_GET, FOU_GENL_VERSION), on_port, &l);
	if (r < 0)
		return err_set(err, -EIO, "listing the fou ports: %s", nl_geterror(r));
	if (l.type == FOU_ENCAP_GUE)
		snprintf(value, BACKEND_VALUE_MAX, "gue");
	else if (l.type)
		snprintf(value, BACKEND_VALUE_MAX, "fou");
	return 0;
}

static int set(struct backend_host *h, const char *name, const char *value, struct err *err)
{
	bool add = strcmp(value, "gue") == 0;
	unsigned int port = 0;
	struct nl_msg *msg;
	int family = 0, id, r = parse_name(name, &family, &port);

	if (r == 0)
		r = open_genl(h, err);
	if (r)
		return r;
	id = family_id(h);
	if (!id && !add)
		return 0;
	if (!id) {
		err_set(err, -EOPNOTSUPP, "the kernel has no fou (GUE) receiver");
		err_hint(err, "`modprobe fou` says why; --decap xdp needs no module");
		return -EOPNOTSUPP;
	}
	msg = new_message(id, NLM_F_REQUEST | NLM_F_ACK, add ? FOU_CMD_ADD : FOU_CMD_DEL, FOU_GENL_VERSION);
	if (!msg)
		return err_set(err, -ENOMEM, "out of memory");
	nla_put_u16(msg, FOU_ATTR_PORT, htons((__u16)port));
	nla_put_u8(msg, FOU_ATTR_AF, (__u8)family);
	if (add)
		nla_put_u8(msg, FOU_ATTR_TYPE, FOU_ENCAP_GUE);
	r = ask(h, msg, NULL, NULL);
	if (r < 0) {
		err_set(err, -EIO, "%s GUE on UDP port %u: %s", add ? "receiving" : "closing", port,
			nl_geterror(r));
		err_hint(err, "`ss -ulnp sport = :%u` shows who has the port; --gue-port chooses another",
			 port);
		return -EIO;
	}
	return 0;
}

static void by_hand(const char *name, const char *value, char *out, size_t size)
{
	const char *port = strchr(name, ' ');
	bool v6 = strncmp(name, "ipv6", 4) == 0;

	if (strcmp(value, "gue") == 0)
		snprintf(out, size, "modprobe fou; ip%s fou add port%s gue", v6 ? " -6" : "",
			 port ? port : "");
	else
		snprintf(out, size, "ip%s fou del port%s", v6 ? " -6" : "", port ? port : "");
}

const struct backend_kind_ops backend_fou_ops = {"fou", get, set, by_hand};
