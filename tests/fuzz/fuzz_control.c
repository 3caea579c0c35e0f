// SPDX-License-Identifier: Apache-2.0
/*
 * The control socket's path from bytes to requests (core/request). The first byte chooses how the rest is cut
 * into pieces, as a socket would; what is decoded must not depend on that. Promises checked: a refusal has a
 * message, a request has a verb and an object of arguments, an answer that quotes either is one line of JSON
 * that reads back.
 */
#include "core/request.h"
#include "fuzz.h"

#include <errno.h>
#include <string.h>

/* FNV-1a over everything that came out. */
static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull;
	return h;
}

static uint64_t check_answer(json_t *doc, uint64_t h)
{
	size_t len = 0;
	char *line = doc ? response_line(doc, &len) : NULL;
	json_t *back;

	FUZZ_CHECK(line);
	FUZZ_CHECK(strlen(line) == len && line[len - 1] == '\n' && memchr(line, '\n', len) == line + len - 1);
	back = json_loadb(line, len, 0, NULL);
	FUZZ_CHECK(back && json_equal(back, doc));
	h = mix(h, line, len);
	json_decref(back);
	json_decref(doc);
	free(line);
	return h;
}

static uint64_t check_line(const char *line, size_t len, uint64_t h)
{
	struct request r;
	struct err err = {0};
	int e = request_decode(line, len, &r, &err);

	if (e) {
		FUZZ_CHECK(e == -EINVAL && err.code == e && err.msg[0] && !r.args);
		h = check_answer(response_error(&err, NULL), h);
	} else {
		FUZZ_CHECK(!err.code && r.verb[0] && memchr(r.verb, 0, sizeof(r.verb)));
		FUZZ_CHECK(json_is_object(r.args));
		h = mix(h, r.verb, strlen(r.verb));
		h = check_answer(response_ok(json_incref(r.args)), h);
	}
	request_done(&r);
	return h;
}

static uint64_t feed(const uint8_t *data, size_t size, size_t piece)
{
	struct framer f = {0};
	uint64_t h = 0xcbf29ce484222325ull;
	enum framer_result r = FRAMER_MORE;
	const char *line;
	size_t len;

	for (size_t at = 0; at < size && r != FRAMER_TOO_LONG; at += piece) {
		FUZZ_CHECK(!framer_add(&f, (const char *)data + at, size - at < piece ? size - at : piece));
		while ((r = framer_next(&f, &line, &len)) == FRAMER_LINE) {
			FUZZ_CHECK(len <= REQUEST_LINE_MAX && !memchr(line, '\n', len));
			h = check_line(line, len, h);
			framer_drop(&f, len);
		}
		FUZZ_CHECK(f.len <= REQUEST_LINE_MAX || r == FRAMER_TOO_LONG);
	}
	if (r == FRAMER_TOO_LONG)
		h = mix(h, "long", 4);
	framer_done(&f);
	return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {1, 2, 3, 7, 64, 1000, 16384, 65537};
	size_t piece;

	if (!size)
		return 0;
	piece = pieces[data[0] % 8];
	/* A piece at a time is quadratic in nothing, but slow for big inputs. */
	if (size > 20000 && piece < 64)
		piece = 64;
	FUZZ_CHECK(feed(data + 1, size - 1, piece) == feed(data + 1, size - 1, size));
	return 0;
}
