// SPDX-License-Identifier: Apache-2.0
/* request.c - see request.h. */
#include "core/request.h"
#include "core/document.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- framing ---- */

void framer_done(struct framer *f)
{
	free(f->buf);
	*f = (struct framer){0};
}

int framer_add(struct framer *f, const char *bytes, size_t n)
{
	size_t size = f->size ? f->size : 1024;
	char *buf;

	if (!n)
		return 0;
	while (size < f->len + n)
		size *= 2;
	if (size != f->size) {
		buf = realloc(f->buf, size);
		if (!buf)
			return -ENOMEM;
		f->buf = buf;
		f->size = size;
	}
	memcpy(f->buf + f->len, bytes, n);
	f->len += n;
	return 0;
}

enum framer_result framer_next(struct framer *f, const char **line, size_t *len)
{
	const char *nl = NULL;

	if (f->len > f->scanned)
		nl = memchr(f->buf + f->scanned, '\n', f->len - f->scanned);
	/* A line that was found stays unscanned: asking again finds it again. */
	if (!nl)
		f->scanned = f->len;
	if ((nl ? (size_t)(nl - f->buf) : f->len) > REQUEST_LINE_MAX)
		return FRAMER_TOO_LONG;
	if (!nl)
		return FRAMER_MORE;
	*line = f->buf;
	*len = (size_t)(nl - f->buf);
	return FRAMER_LINE;
}

void framer_drop(struct framer *f, size_t len)
{
	f->len -= len + 1;
	memmove(f->buf, f->buf + len + 1, f->len);
	f->scanned = 0;
}

/* ---- requests ---- */

static int check_members(const json_t *root, struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)root, key, value)
		if (strcmp(key, "v") && strcmp(key, "verb") && strcmp(key, "args"))
			return err_set(err, -EINVAL, "request: unknown member \"%.40s\"", key);
	return 0;
}

static int decode_object(json_t *root, struct request *out, struct err *err)
{
	json_t *v = json_object_get(root, "v"), *verb = json_object_get(root, "verb");
	json_t *args = json_object_get(root, "args");
	int r;

	if (!json_is_object(root))
		return err_set(err, -EINVAL, "request: not a JSON object");
	if (!json_is_integer(v))
		return err_set(err, -EINVAL, "request: no protocol version: \"v\":%d is missing",
			       REQUEST_PROTOCOL);
	if (json_integer_value(v) != REQUEST_PROTOCOL)
		return err_set(err, -EINVAL, "request: this lbd speaks version %d of the protocol, not %lld",
			       REQUEST_PROTOCOL, (long long)json_integer_value(v));
	if (!json_is_string(verb) || !json_string_length(verb))
		return err_set(err, -EINVAL, "request: no \"verb\"");
	if (json_string_length(verb) >= sizeof(out->verb))
		return err_set(err, -EINVAL, "request: a verb has at most %zu characters",
			       sizeof(out->verb) - 1);
	if (args && !json_is_object(args))
		return err_set(err, -EINVAL, "request: \"args\" is not an object");
	r = check_members(root, err);
	if (r)
		return r;
	out->args = args ? json_incref(args) : json_object();
	if (!out->args)
		return err_set(err, -ENOMEM, "request: out of memory");
	snprintf(out->verb, sizeof(out->verb), "%s", json_string_value(verb));
	return 0;
}

int request_decode(const char *line, size_t len, struct request *out, struct err *err)
{
	json_error_t where;
	json_t *root;
	int r;

	*out = (struct request){0};
	if (len > REQUEST_LINE_MAX)
		return err_set(err, -EINVAL, "request: longer than %d bytes", REQUEST_LINE_MAX);
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
	if (!root) {
		if (json_error_code(&where) == json_error_out_of_memory)
			return err_set(err, -ENOMEM, "request: out of memory");
		err_set(err, -EINVAL, "request: not JSON: %s (byte %d)", where.text, where.position);
		err_hint(err, "a request is one line such as {\"v\":1,\"verb\":\"status\"}; see lbctl(8)");
		return -EINVAL;
	}
	r = decode_object(root, out, err);
	json_decref(root);
	return r;
}

void request_done(struct request *r)
{
	json_decref(r->args);
	*r = (struct request){0};
}

int request_unpack(json_t *args, struct err *err, const char *fmt, ...)
{
	json_error_t where;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = json_vunpack_ex(args, &where, JSON_STRICT, fmt, ap);
	va_end(ap);
	if (r == 0)
		return 0;
	return err_set(err, -EINVAL, "arguments: %s", where.text);
}

/* ---- answers ---- */

const char *response_code(int err)
{
	switch (err < 0 ? -err : err) {
	case EINVAL:
		return "invalid";
	case ENOENT:
		return "not_found";
	case EPERM:
	case EACCES:
		return "denied";
	case EBUSY:
		return "busy";
	default:
		return "internal";
	}
}

json_t *response_ok(json_t *data)
{
	return json_pack("{s:i, s:b, s:o}", "v", REQUEST_PROTOCOL, "ok", 1, "data",
			 data ? data : json_object());
}

json_t *response_error(const struct err *err, json_t *details)
{
	json_t *e = json_object();

	if (json_object_set_new(e, "code", json_string(response_code(err->code))) ||
	    json_object_set_new(e, "message", document_text(err->msg[0] ? err->msg : "unknown failure")) ||
	    (err->hint[0] && json_object_set_new(e, "hint", document_text(err->hint))) ||
	    (json_is_object(details) && json_object_update_missing(e, details))) {
		json_decref(e);
		e = NULL;
	}
	json_decref(details);
	return e ? json_pack("{s:i, s:b, s:o}", "v", REQUEST_PROTOCOL, "ok", 0, "error", e) : NULL;
}

struct text {
	char *p; /* owned */
	size_t len, size;
};

/* jansson hands the text over in pieces of a few bytes; doubling keeps the copies few. */
static int append(const char *bytes, size_t n, void *userdata)
{
	struct text *t = userdata;

	if (t->size - t->len < n) {
		size_t size = t->size ? t->size : 1024;
		char *p;

		while (size - t->len < n)
			size *= 2;
		p = realloc(t->p, size);
		if (!p)
			return -1;
		t->p = p;
		t->size = size;
	}
	memcpy(t->p + t->len, bytes, n);
	t->len += n;
	return 0;
}

char *response_line(const json_t *j, size_t *len)
{
	struct text t = {0};

	if (json_dump_callback(j, append, &t, JSON_COMPACT | JSON_REAL_PRECISION(9)) || append("\n", 2, &t)) {
		free(t.p);
		return NULL;
	}
	*len = t.len - 1; /* the NUL is there, and not counted */
	return t.p;
}
