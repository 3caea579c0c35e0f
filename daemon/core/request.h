/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - from bytes on the control socket to a request, and from an outcome to the bytes of an answer.
 *
 * Pure, so that arbitrary bytes can be tried on it (tests/fuzz/fuzz_control.c). The protocol:
 * docs/control-protocol.md.
 */
#pragma once
#include "core/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define REQUEST_PROTOCOL 1     /* "v" of requests and answers */
#define REQUEST_LINE_MAX 65536 /* bytes of a request, without its newline */
#define REQUEST_VERB_MAX 32

/* ---- framing: a stream of bytes -> lines
 * ------------------------------------------------------------------- */
struct framer {
	char *buf;                 /* owned */
	size_t len, size, scanned; /* scanned: so far there is no newline */
};
void framer_done(struct framer *f);
/* Append @n bytes. 0 or -ENOMEM. The caller stops when framer_next() says FRAMER_TOO_LONG. */
int framer_add(struct framer *f, const char *bytes, size_t n);
enum framer_result { FRAMER_MORE, FRAMER_LINE, FRAMER_TOO_LONG };
/*
 * The first whole line (without its newline; it may hold any byte, also NUL), valid until framer_add() or
 * framer_drop(). Asking again gives the same line.
 */
enum framer_result framer_next(struct framer *f, const char **line, size_t *len);
/* Forget that line of @len bytes and its newline. */
void framer_drop(struct framer *f, size_t len);

/* ---- requests
 * ------------------------------------------------------------------------------------------------ */
struct request {
	char verb[REQUEST_VERB_MAX];
	json_t *args; /* owned; an object, empty when the request had none */
};
/*
 * Decode one line. On success 0, and @out is to be freed with request_done(). On failure -EINVAL (-ENOMEM),
 * @err says what is wrong and where, @out is empty. Bounded: jansson refuses more than 2048 levels, we more
 * than 64 KiB.
 */
int request_decode(const char *line, size_t len, struct request *out, struct err *err);
void request_done(struct request *r);
/*
 * For handlers: json_unpack_ex() of @args with JSON_STRICT, a complaint being an EINVAL that names the
 * argument. With
 * "{s:s, s?b}" unknown arguments are refused; optional ones ("s?") leave their variable as it was.
 */
int request_unpack(json_t *args, struct err *err, const char *fmt, ...);

/* ---- answers
 * ------------------------------------------------------------------------------------------------- */
/* EINVAL -> "invalid", ENOENT -> "not_found", EPERM/EACCES -> "denied", EBUSY -> "busy", others ->
 * "internal". */
const char *response_code(int err);
/* {"v":1,"ok":true,"data":...}; takes @data (NULL: {}). NULL when out of memory. */
json_t *response_ok(json_t *data);
/*
 * {"v":1,"ok":false,"error":{...}}. The members of @details (taken; an object or NULL), for instance
 * "candidates" or "diagnostics", are put beside code, message and hint.
 */
json_t *response_error(const struct err *err, json_t *details);
/* One line of compact JSON with its newline; malloc'd, *len without the NUL. NULL when out of memory. */
char *response_line(const json_t *j, size_t *len);
