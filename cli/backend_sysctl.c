// SPDX-License-Identifier: Apache-2.0
/* backend_sysctl.c - items below /proc/sys, written directly: no file of sysctl.d is touched. */
#include "backend.h"
#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void path_of(const char *name, char path[BACKEND_NAME_MAX + 16])
{
	snprintf(path, BACKEND_NAME_MAX + 16, "/proc/sys/%s", name);
}

static int get(struct backend_host *h, const char *name, char value[BACKEND_VALUE_MAX], struct err *err)
{
	char path[BACKEND_NAME_MAX + 16];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	path_of(name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENODEV)) {
		snprintf(value, BACKEND_VALUE_MAX, BACKEND_ABSENT);
		return 0;
	}
	n = fd < 0 ? -1 : read(fd, value, BACKEND_VALUE_MAX - 1);
	if (n < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	value[n] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return 0;
}

static int set(struct backend_host *h, const char *name, const char *value, struct err *err)
{
	char path[BACKEND_NAME_MAX + 16];
	_cleanup_close_ int fd = -1;
	size_t len = strlen(value);
	int r;

	if (strcmp(value, BACKEND_ABSENT) == 0)
		return 0; /* it went with its interface */
	path_of(name, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, value, len) == (ssize_t)len)
		return 0;
	r = err_set(err, -errno, "%s: writing %s: %s", path, value, strerror(errno));
	if (err && err->code == -ENOENT)
		err_hint(err, "the interface or the address family is not there (IPv6 switched off?)");
	else
		err_hint(err, "run as root; in a container /proc/sys must be writable");
	return r;
}

static void by_hand(const char *name, const char *value, char *out, size_t size)
{
	snprintf(out, size, "sysctl -w %s=%s", name, value);
}

const struct backend_kind_ops backend_sysctl_ops = {"sysctl", get, set, by_hand};
