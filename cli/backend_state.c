// SPDX-License-Identifier: Apache-2.0
/* backend_state.c - what was changed on this host and what was there before, as a JSON file below /run. */
#include "backend.h"
#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define STATE_VERSION 1

static void json_freep(json_t **j)
{
	json_decref(*j);
}

static int find_name(const char *const *names, unsigned int n, const char *name)
{
	for (unsigned int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

static int kind_by_name(const char *name)
{
	for (unsigned int i = 0; i < BACKEND_KIND_MAX; i++)
		if (strcmp(backend_ops((enum backend_kind)i)->name, name) == 0)
			return (int)i;
	return -1;
}

static json_t *options_to_json(const struct backend_options *o)
{
	json_t *vips = json_array(), *interfaces = json_array();
	char text[ADDR_STRLEN];

	for (unsigned int i = 0; i < o->n_vips; i++)
		json_array_append_new(vips, json_string(addr_format(&o->vips[i], text)));
	for (unsigned int i = 0; i < o->n_interfaces; i++)
		json_array_append_new(interfaces, json_string(o->interfaces[i]));
	return json_pack("{s:o, s:o, s:s, s:s, s:i, s:i, s:s}", "vips", vips, "interfaces", interfaces,
			 "mode", backend_mode_names[o->mode], "decap", backend_decap_names[o->decap], "mss",
			 o->mss, "gue-port", (int)o->gue_port, "pin-dir", o->pin_dir);
}

static int options_from_json(json_t *j, struct backend_options *o)
{
	json_t *vips, *interfaces, *e;
	const char *mode, *decap, *pin_dir;
	int port, m, d;
	size_t i;

	memset(o, 0, sizeof(*o));
	if (json_unpack(j, "{s:o, s:o, s:s, s:s, s:i, s:i, s:s !}", "vips", &vips, "interfaces", &interfaces,
			"mode", &mode, "decap", &decap, "mss", &o->mss, "gue-port", &port, "pin-dir",
			&pin_dir))
		return -EINVAL;
	m = find_name(backend_mode_names, BACKEND_MODE_MAX, mode);
	d = find_name(backend_decap_names, BACKEND_DECAP_MAX, decap);
	if (m < 0 || d < 0 || strlen(pin_dir) >= sizeof(o->pin_dir) ||
	    json_array_size(vips) > BACKEND_VIPS_MAX || json_array_size(interfaces) > BACKEND_INTERFACES_MAX)
		return -EINVAL;
	o->mode = (enum backend_mode)m;
	o->decap = (enum backend_decap)d;
	o->gue_port = (unsigned int)port;
	strcpy(o->pin_dir, pin_dir);
	json_array_foreach (vips, i, e) {
		if (!json_is_string(e) || addr_parse(json_string_value(e), &o->vips[i]))
			return -EINVAL;
		o->n_vips++;
	}
	json_array_foreach (interfaces, i, e) {
		if (!json_is_string(e) || json_string_length(e) >= IF_NAMESIZE)
			return -EINVAL;
		strcpy(o->interfaces[o->n_interfaces++], json_string_value(e));
	}
	return 0;
}

static int item_from_json(json_t *j, struct backend_items *items)
{
	const char *kind, *name, *want, *old;
	struct backend_item *item;
	int k;

	if (json_unpack(j, "{s:s, s:s, s:s, s:s !}", "kind", &kind, "name", &name, "want", &want, "old",
			&old))
		return -EINVAL;
	k = kind_by_name(kind);
	if (k < 0 || strlen(name) >= BACKEND_NAME_MAX || strlen(want) >= BACKEND_VALUE_MAX ||
	    strlen(old) >= BACKEND_VALUE_MAX)
		return -EINVAL;
	item = backend_items_add(items, (enum backend_kind)k, want, "%s", name);
	if (!item)
		return -ENOMEM;
	snprintf(item->old, sizeof(item->old), "%s", old);
	return 0;
}

static int read_state(struct backend_state *s, struct err *err)
{
	_cleanup_(json_freep) json_t *doc = NULL;
	json_t *options, *items, *e;
	json_error_t at;
	int version, r;
	size_t i;

	doc = json_load_file(s->path, JSON_REJECT_DUPLICATES, &at);
	r = !doc ||
	    json_unpack(doc, "{s:i, s:o, s:o !}", "v", &version, "options", &options, "items", &items);
	if (r == 0)
		r = version != STATE_VERSION || options_from_json(options, &s->options);
	if (r == 0)
		json_array_foreach (items, i, e)
			r = r ? r : item_from_json(e, &s->items);
	if (r) {
		err_set(err, -EINVAL, "%s: not a state file of this version", s->path);
		err_hint(err, "look at it, put back by hand what it lists, and remove it");
		return -EINVAL;
	}
	s->exists = true;
	s->settled = true;
	return 0;
}

static int open_lock(struct backend_state *s, struct err *err)
{
	char path[sizeof(s->path) + 8];
	char *slash;

	snprintf(path, sizeof(path), "%s", s->path);
	slash = strrchr(path, '/');
	if (slash && slash != path) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_set(err, -errno, "%s: %s", path, strerror(errno));
	}
	snprintf(path, sizeof(path), "%s.lock", s->path);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		err_set(err, -EBUSY, "another lbctl is changing this host (%s is locked)", path);
		err_hint(err, "try again when it is done");
		return -EBUSY;
	}
	return 0;
}

int backend_state_open(struct backend_state *s, const char *path, struct err *err)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->lock_fd = -1;
	if ((size_t)snprintf(s->path, sizeof(s->path), "%s", path) >= sizeof(s->path))
		return err_set(err, -ENAMETOOLONG, "%s: the name is too long", path);
	r = open_lock(s, err);
	if (r == 0 && access(s->path, F_OK) == 0)
		r = read_state(s, err);
	if (r)
		backend_state_close(s);
	return r;
}

int backend_state_save(struct backend_state *s, struct err *err)
{
	char tmp[sizeof(s->path) + 8];
	_cleanup_(json_freep) json_t *doc = NULL;
	json_t *items;

	if (!s->items.n && !s->settled) {
		s->exists = false;
		if (unlink(s->path) < 0 && errno != ENOENT)
			return err_set(err, -errno, "%s: %s", s->path, strerror(errno));
		return 0;
	}
	items = json_array();
	for (unsigned int i = 0; i < s->items.n; i++) {
		const struct backend_item *it = &s->items.v[i];

		json_array_append_new(items,
				      json_pack("{s:s, s:s, s:s, s:s}", "kind", backend_ops(it->kind)->name,
						"name", it->name, "want", it->want, "old", it->old));
	}
	doc = json_pack("{s:i, s:o, s:o}", "v", STATE_VERSION, "options", options_to_json(&s->options),
			"items", items);
	if (!doc)
		return err_set(err, -ENOMEM, "out of memory");
	snprintf(tmp, sizeof(tmp), "%s.new", s->path);
	if (json_dump_file(doc, tmp, JSON_INDENT(1)) < 0 || rename(tmp, s->path) < 0) {
		err_set(err, errno ? -errno : -EIO, "%s: %s", s->path,
			errno ? strerror(errno) : "cannot be written");
		err_hint(err, "nothing is changed on this host unless it can be noted here first");
		return -EIO;
	}
	s->exists = true;
	return 0;
}

void backend_state_close(struct backend_state *s)
{
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	s->lock_fd = -1;
	backend_items_done(&s->items);
}
