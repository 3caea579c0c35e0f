// SPDX-License-Identifier: Apache-2.0
/*
 * control_socket.c - the socket's file: who holds it, who owns it, and what a peer may do.
 *
 * Two daemons never share a path: the holder keeps PATH.lock locked for as long as it lives, so that a stale
 * file can be replaced without a race. A socket that answers although nobody holds the lock is left alone as
 * well.
 */
#include "control_internal.h"
#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>

static int look_up_group(struct control_socket *s, const char *group, struct err *err)
{
	struct group gr, *found = NULL;
	_cleanup_free_ char *buf = NULL;
	size_t size = 1024;
	int r;

	if (!group || !*group)
		return 0;
	do {
		free(buf);
		size *= 4;
		buf = malloc(size);
		if (!buf)
			return err_set(err, -ENOMEM, "control: out of memory");
		r = getgrnam_r(group, &gr, buf, size, &found);
	} while (r == ERANGE && size < (1u << 22));
	if (!found) {
		err_set(err, -ENOENT, "control: there is no group \"%s\"", group);
		err_hint(err, "make it with: groupadd --system %s; or remove `group` from the configuration",
			 group);
		return -ENOENT;
	}
	snprintf(s->group, sizeof(s->group), "%s", group);
	s->gid = gr.gr_gid;
	return 0;
}

static int make_directory(const char *path, struct err *err)
{
	char dir[sizeof(((struct control_socket *)0)->path)];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	if (mkdir(dir, 0755) && errno != EEXIST)
		return err_set(err, -errno, "control: directory %s of the socket: %s", dir, strerror(errno));
	return 0;
}

static int in_use(struct err *err, const char *path, const char *how)
{
	err_set(err, -EADDRINUSE, "another lbd runs on %s (%s)", path, how);
	err_hint(err, "stop it first, or give this one another `control: socket`");
	return -EADDRINUSE;
}

static int take_lock(struct control_socket *s, struct err *err)
{
	char path[sizeof(s->path) + 8];

	snprintf(path, sizeof(path), "%s.lock", s->path);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return err_set(err, -errno, "control: lock file %s: %s", path, strerror(errno));
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return in_use(err, s->path, "it holds the lock");
	return err_set(err, -errno, "control: lock file %s: %s", path, strerror(errno));
}

/* Remove a socket file that nobody answers on. 0 when the path is free now. */
static int clear_path(const struct control_socket *s, const struct sockaddr_un *sa, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(s->path, &st)) {
		if (errno == ENOENT)
			return 0;
		return err_set(err, -errno, "control: %s: %s", s->path, strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode)) {
		err_set(err, -EEXIST, "control: %s is there and is not a socket", s->path);
		err_hint(err, "move it away, or give another `control: socket`");
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "control: socket: %s", strerror(errno));
	/* EAGAIN: its backlog is full, so somebody listens. */
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN)
		return in_use(err, s->path, "it answers");
	if (errno != ECONNREFUSED)
		return err_set(err, -errno, "control: %s: %s", s->path, strerror(errno));
	if (unlink(s->path) && errno != ENOENT)
		return err_set(err, -errno, "control: stale socket %s: %s", s->path, strerror(errno));
	return 0;
}

static int bind_and_listen(struct control_socket *s, const struct sockaddr_un *sa, struct err *err)
{
	struct stat st;

	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return err_set(err, -errno, "control: socket: %s", strerror(errno));
	/* bind() gives the file the socket's own mode: nobody gets in before the group is right. */
	if (fchmod(s->fd, 0600) || bind(s->fd, (const struct sockaddr *)sa, sizeof(*sa)))
		return err_set(err, -errno, "control: %s: %s", s->path, strerror(errno));
	if (lstat(s->path, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	if (s->group[0] && chown(s->path, (uid_t)-1, s->gid))
		return err_set(err, -errno, "control: give %s to group \"%s\": %s", s->path, s->group,
			       strerror(errno));
	if (chmod(s->path, 0660))
		return err_set(err, -errno, "control: mode of %s: %s", s->path, strerror(errno));
	if (listen(s->fd, 64))
		return err_set(err, -errno, "control: listen on %s: %s", s->path, strerror(errno));
	return 0;
}

int control_socket_open(struct control_socket *s, const char *path, const char *group, struct err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int r;

	*s = (struct control_socket){.fd = -1, .lock_fd = -1};
	if (!path || !*path || strlen(path) >= sizeof(s->path))
		return err_set(err, -ENAMETOOLONG, "control: the socket's path must have 1 to %zu characters",
			       sizeof(s->path) - 1);
	snprintf(s->path, sizeof(s->path), "%s", path);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	r = look_up_group(s, group, err);
	if (!r)
		r = make_directory(path, err);
	if (!r)
		r = take_lock(s, err);
	if (!r)
		r = clear_path(s, &sa, err);
	if (!r)
		r = bind_and_listen(s, &sa, err);
	if (r)
		control_socket_close(s);
	return r;
}

void control_socket_close(struct control_socket *s)
{
	struct stat st;

	if (s->ino && lstat(s->path, &st) == 0 && st.st_ino == s->ino && st.st_dev == s->dev)
		(void)unlink(s->path);
	/* PATH.lock stays: removing a lock file lets two others each lock "their" file. */
	if (s->fd >= 0)
		close(s->fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	*s = (struct control_socket){.fd = -1, .lock_fd = -1};
}

/* Is @gid among the supplementary groups that the peer had when it connected? */
static bool has_group(int fd, gid_t gid)
{
	_cleanup_free_ gid_t *groups = NULL;
	socklen_t len = 0;

	/* With no room the kernel says how much it takes. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
		return false;
	groups = malloc(len);
	if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
		return false;
	for (size_t i = 0; i < len / sizeof(*groups); i++)
		if (groups[i] == gid)
			return true;
	return false;
}

int control_peer_get(const struct control_socket *s, int fd, struct control_peer *out)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	out->uid = cred.uid;
	out->pid = cred.pid;
	out->may_change = cred.uid == 0 || (s->group[0] && (cred.gid == s->gid || has_group(fd, s->gid)));
	return 0;
}
