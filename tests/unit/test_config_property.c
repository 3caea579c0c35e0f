// SPDX-License-Identifier: Apache-2.0
/*
 * test_config_property.c - over many random configurations: the order of keys, lists and services in the file
 * has no effect on anything, and what is printed parses back to the same.
 *
 * A configuration is written from two random streams: one decides what is in it, the other only in which
 * order it is written. LBD_TEST_SEED and LBD_TEST_CASES repeat or prolong a run; a failure prints both seeds.
 */
#include "config_util.h"

#include <stdio.h>

struct stream {
	__u64 s;
};

static __u32 next(struct stream *r)
{
	/* splitmix64 */
	__u64 z = r->s += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (__u32)((z ^ (z >> 31)) >> 32);
}

static __u32 below(struct stream *r, __u32 n)
{
	return next(r) % n;
}

/* ---- a text made of parts in random order ------------------------------------------------------- */
#define PARTS_MAX 24
struct parts {
	char *v[PARTS_MAX]; /* owned */
	unsigned int n;
};

__attribute__((format(printf, 2, 3))) static void add(struct parts *p, const char *fmt, ...)
{
	va_list ap;

	assert_true(p->n < PARTS_MAX);
	va_start(ap, fmt);
	assert_true(vasprintf(&p->v[p->n++], fmt, ap) >= 0);
	va_end(ap);
}

/* "{a, b}" or "[b, a]" of the parts, which it frees. */
static char *join(struct parts *p, const char *braces, struct stream *order)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	assert_non_null(f);
	for (unsigned int i = p->n; i > 1; i--) {
		unsigned int j = below(order, i);
		char *t = p->v[i - 1];

		p->v[i - 1] = p->v[j];
		p->v[j] = t;
	}
	fputc(braces[0], f);
	for (unsigned int i = 0; i < p->n; i++) {
		fprintf(f, "%s%s", i ? (below(order, 4) ? ", " : ",\n   ") : "", p->v[i]);
		free(p->v[i]);
	}
	fputc(braces[1], f);
	fclose(f);
	p->n = 0;
	return out;
}

static void add_joined(struct parts *to, const char *key, struct parts *p, const char *braces,
		       struct stream *order)
{
	char *text = join(p, braces, order);

	add(to, "%s%s", key, text);
	free(text);
}

/* ---- random content ------------------------------------------------------------------------------ */
static void add_shared(struct parts *p, struct stream *r)
{
	static const char *const forwards[] = {"ipip", "gue"};

	if (!below(r, 3))
		add(p, "forward: %s", forwards[below(r, 2)]);
	if (!below(r, 3))
		add(p, "hash: %s", below(r, 2) ? "source" : "5-tuple");
	if (!below(r, 3))
		add(p, "table-size: %s", below(r, 2) ? "4093" : "auto");
	if (!below(r, 3))
		add(p, "gue-port: %u", 6080 + below(r, 3));
	if (!below(r, 3))
		add(p, "grace: %us", below(r, 86401));
	if (!below(r, 3))
		add(p, "slow-start: %ums", below(r, 100000));
	if (!below(r, 3))
		add(p, "drain-timeout: %us", below(r, 1000));
	if (!below(r, 3))
		add(p, "drain-ramp: %ums", below(r, 100000));
	if (!below(r, 3))
		add(p, "panic-threshold: %u%%", below(r, 101));
	if (!below(r, 3))
		add(p, "init: %s", below(r, 2) ? "up" : "down");
	if (!below(r, 3))
		add(p, "hard-down: %ums", below(r, 100000));
	if (!below(r, 3))
		add(p, "mass-failure: %u%%", below(r, 101));
	if (!below(r, 3))
		add(p, "mass-failure-window: %us", 1 + below(r, 100));
	if (!below(r, 3))
		add(p, "mass-failure-hold: %us", below(r, 100));
	if (!below(r, 3))
		add(p, "flap-damping: %us", below(r, 1000));
	if (!below(r, 3))
		add(p, "udp: %s", below(r, 2) ? "none" : "track");
	if (!below(r, 3))
		add(p, "udp-idle: %us", 1 + below(r, 3600));
}

static void add_probe(struct parts *to, struct stream *r, struct stream *order)
{
	struct parts p = {.n = 0}, list = {.n = 0};
	__u32 type = below(r, 5);
	static const char *const types[] = {"none", "tcp", "http", "https", "udp"};

	add(&p, "type: %s", types[type]);
	if (type && below(r, 2)) {
		add(&p, "interval: %ums", 1000 + below(r, 5000));
		add(&p, "timeout: %ums", 10 + below(r, 900));
		add(&p, "fast-interval: %ums", 50 + below(r, 900));
	}
	if (type && below(r, 2))
		add(&p, "jitter: %u%%", below(r, 51));
	if (type && below(r, 2))
		add(&p, "rise: %u", 1 + below(r, 100));
	if (type && !below(r, 3))
		add(&p, "via: %s", below(r, 2) ? "vip" : "backend");
	if (type == 4 || (type && !below(r, 3)))
		add(&p, "port: %u", 1 + below(r, 65535));
	if ((type == 2 || type == 3) && below(r, 2)) {
		for (__u32 i = 0, n = 1 + below(r, 8); i < n; i++) {
			__u32 from = 100 + below(r, 500);

			if (below(r, 2))
				add(&list, "%u", from);
			else
				add(&list, "%u-%u", from, from + below(r, 600 - from));
		}
		add_joined(&p, "expect: ", &list, "[]", order);
		add(&p, "path: /p%u", below(r, 1000));
	}
	if (type == 4)
		add(&p, "send: 'hex:%08x'", next(r));
	add_joined(to, "probe: ", &p, "{}", order);
}

static void add_service(struct parts *to, struct stream *r, struct stream *order, __u32 id)
{
	struct parts s = {.n = 0}, list = {.n = 0}, b = {.n = 0};

	add(&s, "name: s%u", id);
	add(&s, "port: %u", 1 + below(r, 65535));
	add(&s, "protocol: %s", below(r, 2) ? "tcp" : "udp");
	for (__u32 i = 0, n = 1 + below(r, 4); i < n; i++) {
		if (below(r, 2))
			add(&list, "192.0.%u.%u", id, i);
		else
			add(&list, "\"2001:db8:%x::%x\"", id, i);
	}
	add_joined(&s, "vip: ", &list, "[]", order);
	for (__u32 i = 0, n = 1 + below(r, 12); i < n; i++) {
		if (below(r, 2))
			add(&b, "address: 10.%u.0.%u", below(r, 250), i);
		else
			add(&b, "address: fd00::%x:%x", 1 + below(r, 60000), 1 + i);
		if (i == 0 || below(r, 2))
			add(&b, "weight: %u", i ? below(r, 3) : 1 + below(r, 500));
		if (below(r, 2))
			add(&b, "name: n%u", i);
		if (!below(r, 4))
			add(&b, "forward: %s", below(r, 2) ? "gue" : "ipip");
		add_joined(&list, "", &b, "{}", order);
	}
	add_joined(&s, "backends: ", &list, "[]", order);
	add_shared(&s, r);
	add_probe(&s, r, order);
	add_joined(to, "", &s, "{}", order);
}

static char *generate(__u64 content_seed, __u64 order_seed)
{
	struct stream content = {content_seed}, order = {order_seed}, *r = &content;
	struct parts top = {.n = 0}, p = {.n = 0}, list = {.n = 0};

	for (__u32 i = 0, n = 1 + below(r, 5); i < n; i++)
		add(&list, "eth%u", i);
	add_joined(&p, "interfaces: ", &list, "[]", &order);
	if (below(r, 2)) {
		add(&list, "10.0.0.1");
		add(&list, "2001:db8::1");
		add_joined(&p, "source: ", &list, "[]", &order);
	}
	add(&p, "max-flows: %u", 1024 + below(r, 100000));
	add_joined(&top, "dataplane: ", &p, "{}", &order);
	if (below(r, 2))
		add(&top, "metrics: {listen: \"127.0.0.1:%u\"}", 1 + below(r, 65535));
	add_shared(&p, r);
	if (below(r, 2))
		add(&p, "weight: %u", 1 + below(r, 65535));
	if (below(r, 2))
		add_probe(&p, r, &order);
	add_joined(&top, "defaults: ", &p, "{}", &order);
	for (__u32 i = 0, n = below(r, 8); i < n; i++)
		add_service(&list, r, &order, i);
	add_joined(&top, "services: ", &list, "[]", &order);
	return join(&top, "{}", &order);
}

static __u64 number_from_env(const char *name, __u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void test_order_has_no_effect(void **state)
{
	__u64 seed = number_from_env("LBD_TEST_SEED", 0x5eed), n = number_from_env("LBD_TEST_CASES", 2000);

	for (__u64 i = 0; i < n; i++) {
		char *one = generate(seed + i, 2 * i), *two = generate(seed + i, 2 * i + 1), *text_one,
		     *text_two;
		struct config *a = parse_good(one), *b = parse_good(two), *again;

		text_one = config_describe(a);
		text_two = config_describe(b);
		if (!config_equal(a, b) || strcmp(text_one, text_two) != 0)
			fail_msg("LBD_TEST_SEED=%llu LBD_TEST_CASES=1: order matters between\n%s\nand\n%s",
				 (unsigned long long)(seed + i), one, two);
		again = parse_good(text_one);
		if (!config_equal(a, again))
			fail_msg("LBD_TEST_SEED=%llu LBD_TEST_CASES=1: not the same when printed:\n%s\n%s",
				 (unsigned long long)(seed + i), one, text_one);
		config_free(a);
		config_free(b);
		config_free(again);
		free(one);
		free(two);
		free(text_one);
		free(text_two);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_has_no_effect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
