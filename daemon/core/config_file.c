// SPDX-License-Identifier: Apache-2.0
/* config_file.c - reads a configuration file; the one part of the configuration that is not pure. */
#include "core/config_private.h"
#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int cannot(struct diags *diags, const char *path, const char *hint, const char *what)
{
	static const struct diag_mark whole = {0, 0, 0};

	if (diags_set_source(diags, path, NULL, 0))
		return -ENOMEM;
	diags_add(diags, DIAG_ERROR, whole, hint, "%s", what);
	return -EINVAL;
}

/* Up to @size bytes of @fd into @buf. Bytes read, or negative errno. */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t r = read(fd, buf + n, size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (!r)
			break;
		n += (size_t)r;
	}
	return (ssize_t)n;
}

int config_load_file(const char *path, struct config **out, struct diags *diags)
{
	/* O_NONBLOCK: opening a FIFO must not hang the daemon. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return cannot(diags, path, errno == EACCES ? "run as a user who may read it" : NULL,
			      strerror(errno));
	if (fstat(fd, &st) < 0)
		return cannot(diags, path, NULL, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return cannot(diags, path, "name a regular file", "this is not a file to read");
	if (st.st_size > (off_t)CFG_TEXT_MAX)
		return cannot(diags, path, "the limit is 16 MiB", "the file is too large");
	/* One byte more than there should be, so that growth in the meantime is noticed. */
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return cannot(diags, path, NULL, "out of memory"), -ENOMEM;
	n = read_all(fd, text, (size_t)st.st_size + 1);
	if (n < 0)
		return cannot(diags, path, NULL, strerror((int)-n));
	if (n > st.st_size)
		return cannot(diags, path, "try again", "the file grew while it was read");
	return config_parse(path, text, (size_t)n, out, diags);
}
