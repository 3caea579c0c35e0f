// SPDX-License-Identifier: Apache-2.0
/* doctor_facts.c - see doctor_facts.h. */
#include "doctor_facts.h"

#include "core/cleanup.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/magic.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#define LOOKED_AT_MAX 4096 /* VIPs; each costs two system calls */

/* A number from a file of /proc/sys; -1 when it can not be read. */
static int read_number(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	int n;

	return f && fscanf(f, "%d", &n) == 1 ? n : -1;
}

void doctor_look_at_kernel(struct doctor_facts *f)
{
	struct statfs fs;

	f->btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
	f->bpffs = statfs(f->s->pin_dir, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

/* By ioctl: /sys may belong to another network namespace. */
void doctor_look_at_interface(struct doctor_interface *out)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { 0 };
	char path[80];
	int all;

	memcpy(req.ifr_name, out->name, sizeof(req.ifr_name));
	out->exists = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &req) == 0;
	out->up = out->exists && req.ifr_flags & IFF_UP;
	out->running = out->exists && req.ifr_flags & IFF_RUNNING;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", out->name);
	out->rp_filter = read_number(path);
	/* The kernel goes by the larger of the interface's and that of "all". */
	all = read_number("/proc/sys/net/ipv4/conf/all/rp_filter");
	if (all > out->rp_filter)
		out->rp_filter = all;
}

/* The source that the kernel would take to talk to one of its own addresses is that address. Nothing is sent. */
static bool is_local(const struct lb_addr *a)
{
	bool v4 = addr_is_v4(a);
	_cleanup_close_ int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to = { 0 }, from = { 0 };
	socklen_t len = sizeof(from);

	if (v4) {
		to.in.sin_family = AF_INET;
		to.in.sin_port = htons(9);
		to.in.sin_addr.s_addr = addr_v4_be(a);
	} else {
		to.in6.sin6_family = AF_INET6;
		to.in6.sin6_port = htons(9);
		memcpy(&to.in6.sin6_addr, a->b, 16);
	}
	if (fd < 0 || connect(fd, &to.sa, v4 ? sizeof(to.in) : sizeof(to.in6)) < 0 || getsockname(fd, &from.sa, &len) < 0)
		return false;
	if (v4)
		return from.in.sin_addr.s_addr == to.in.sin_addr.s_addr;
	return !memcmp(&from.in6.sin6_addr, &to.in6.sin6_addr, 16);
}

static void name_holder(const struct ifaddrs *list, struct doctor_local_vip *out)
{
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct lb_addr a;

		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET) {
			addr_from_v4_be(&a, ((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr.s_addr);
		} else if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6) {
			memcpy(a.b, &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr, 16);
		} else {
			continue;
		}
		if (!addr_cmp(&a, &out->vip))
			snprintf(out->ifname, sizeof(out->ifname), "%s", i->ifa_name);
	}
}

void doctor_look_at_vips(struct doctor_facts *f)
{
	unsigned int looked = 0;
	struct ifaddrs *list;

	if (getifaddrs(&list) < 0)
		list = NULL;
	for (unsigned int i = 0; i < f->s->n_services; i++) {
		const struct snapshot_service *svc = &f->s->services[i];

		for (unsigned int k = 0; k < svc->n_vips && f->n_local < DOCTOR_LOCAL_MAX; k++) {
			struct doctor_local_vip *out = &f->local[f->n_local];

			if (looked++ >= LOOKED_AT_MAX || !is_local(&svc->vips[k]))
				continue;
			*out = (struct doctor_local_vip){ .vip = svc->vips[k] };
			name_holder(list, out);
			f->n_local++;
		}
	}
	if (list)
		freeifaddrs(list);
}
