// SPDX-License-Identifier: Apache-2.0
/*
 * test_config_limits.c - configurations at each limit are accepted and one beyond is refused, in bounded time
 * and memory. Too large for files in the tree: they are written here.
 */
#include "config_util.h"

#include <errno.h>
#include <time.h>

struct text {
	FILE *f;
	char *s;
	size_t size;
};

static void text_begin(struct text *t, const char *head)
{
	t->f = open_memstream(&t->s, &t->size);
	assert_non_null(t->f);
	fputs(head, t->f);
}

static const char *text_end(struct text *t)
{
	fclose(t->f);
	return t->s;
}

/* @n services with @backends each, on distinct VIPs when @vips, else on one VIP and different ports. */
static void write_services(struct text *t, const char *head, unsigned int n, unsigned int backends, bool vips)
{
	text_begin(t, head);
	fputs("services:\n", t->f);
	for (unsigned int i = 0; i < n; i++) {
		fprintf(t->f, "- name: s%u\n  vip: 192.%u.%u.%u\n  port: %u\n  backends:\n", i,
			vips ? 100 + i / 65536 : 0, vips ? i / 256 % 256 : 2, vips ? i % 256 : 1,
			vips ? 80 : 1 + i);
		for (unsigned int j = 0; j < backends; j++)
			fprintf(t->f, "  - {address: 10.%u.%u.%u}\n", j / 65536, j / 256 % 256, j % 256);
	}
	text_end(t);
}

static void accept_services(const char *head, unsigned int n, unsigned int backends, bool vips)
{
	struct config *c;
	struct text t;

	write_services(&t, head, n, backends, vips);
	c = parse_good(t.s);
	assert_int_equal(c->n_services, n);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(c->services[i].n_backends, backends);
	config_free(c);
	free(t.s);
}

static void refuse_services(const char *head, unsigned int n, unsigned int backends, bool vips,
			    const char *part)
{
	struct text t;

	write_services(&t, head, n, backends, vips);
	find_diag(t.s, DIAG_ERROR, part);
	free(t.s);
}

#define SMALL HEAD "defaults: {table-size: 4093}\n"
#define LARGE HEAD "defaults: {table-size: 65537}\n"

static void test_services(void **state)
{
	accept_services(SMALL, LB_SID_MAX, 1, true);
	refuse_services(SMALL, LB_SID_MAX + 1, 1, true, "4096 are too many");
}

static void test_backends(void **state)
{
	accept_services(LARGE, 1, LB_BIDX_MAX, true);
	refuse_services(LARGE, 1, LB_BIDX_MAX + 1, true, "32768 backends in all are too many");
	accept_services(SMALL, 3, LB_BIDX_MAX / 9, true);
	refuse_services(LARGE, 3, LB_BIDX_MAX / 3 + 1, true, "32769 backends in all are too many");
	accept_services(SMALL, 1, 4093, true);
	refuse_services(SMALL, 1, 4094, true, "4093 slots are too few for 4094 backends");
}

/* 16 VIPs and one port make 16 keys and 16 VIPs: 512 such services have 16384. */
static void test_keys(void **state)
{
	for (unsigned int n = 512; n <= 513; n++) {
		struct text t;

		text_begin(&t, SMALL "services:\n");
		for (unsigned int i = 0; i < n; i++) {
			fprintf(t.f, "- {name: s%u, port: 80, backends: [{address: 10.0.0.1}], vip: [", i);
			for (unsigned int j = 0; j < CONFIG_VIPS_MAX; j++)
				fprintf(t.f, "%s192.%u.%u.%u", j ? ", " : "", 100 + i / 256, i % 256, j);
			fputs("]}\n", t.f);
		}
		if (n == 512)
			config_free(parse_good(text_end(&t)));
		else
			find_diag(text_end(&t), DIAG_ERROR,
				  "16416 look-up keys are too many, the limit is 16384");
		free(t.s);
	}
}

static void test_slots(void **state)
{
	/* 655373 slots are 20481 lines: 102 such tables fit 67108864 slots, 103 do not. */
	accept_services(HEAD "defaults: {table-size: 655373}\n", 102, 1, true);
	refuse_services(HEAD "defaults: {table-size: 655373}\n", 103, 1, true, "the limit is 67108864");
	/* By rule one backend gets the smallest table. */
	accept_services("dataplane: {interfaces: a, max-slots: 4096}\n", 1, 1, true);
	refuse_services("dataplane: {interfaces: a, max-slots: 4096}\n", 2, 1, true,
			"dataplane.max-slots is 4096");
	/* 16381 slots take 512 lines of 32. */
	accept_services("dataplane: {interfaces: a, max-slots: 16384}\ndefaults: {table-size: 16381}\n", 1, 1,
			true);
	refuse_services("dataplane: {interfaces: a, max-slots: 16383}\ndefaults: {table-size: 16381}\n", 1, 1,
			true, "take 16384 slots, but dataplane.max-slots is 16383");
}

/* Each text at its longest; one byte more is among the golden tests. */
static void test_texts(void **state)
{
	struct config *c;
	struct text t;

	text_begin(&t, HEAD);
	fprintf(t.f, "control: {socket: /%0106u, group: %031u}\n", 1, 2);
	fprintf(t.f, "services: [{name: %063u, vip: 192.0.2.1, port: 80, backends: [{address: 10.0.0.1}],\n",
		3);
	fprintf(t.f, " probe: {type: http, path: /%0254u, host: %0255u, body: %0127u}}]\n", 4, 5, 6);
	c = parse_good(text_end(&t));
	assert_int_equal(strlen(c->control_socket), 107);
	assert_int_equal(strlen(c->control_group), 31);
	assert_int_equal(strlen(c->services[0].name), 63);
	assert_int_equal(strlen(c->services[0].probe.path), 255);
	assert_int_equal(strlen(c->services[0].probe.host), 255);
	assert_int_equal(strlen(c->services[0].probe.body), 127);
	config_free(c);
	free(t.s);
}

static void test_nodes(void **state)
{
	struct text t;
	struct diag_mark m;

	/* Root, key, list and the items: the millionth and first value is the item of line 999,999. */
	text_begin(&t, "x:\n");
	for (unsigned int i = 0; i < 1100000; i++)
		fputs("- a\n", t.f);
	m = find_diag(text_end(&t), DIAG_ERROR, "too many values");
	assert_int_equal(m.line, 999999);
	free(t.s);
}

static void test_depth(void **state)
{
	char text[80];

	/* The root mapping is one level. */
	for (int n = 31; n <= 32; n++) {
		memset(text, 0, sizeof(text));
		memcpy(text, "x: ", 3);
		memset(text + 3, '[', n);
		memset(text + 3 + n, ']', n);
		find_diag(text, DIAG_ERROR, n == 31 ? "unknown key 'x'" : "nested too deeply");
	}
}

static void test_size(void **state)
{
	size_t max = 16u << 20;
	char *text = malloc(max + 2);
	struct config *c = NULL;
	struct diags d;

	memset(text, '\n', max + 2);
	memcpy(text, HEAD, strlen(HEAD));
	text[max + 1] = '\0';
	diags_init(&d);
	assert_int_equal(config_parse("f", text, max, &c, &d), 0);
	config_free(c);
	diags_done(&d);
	find_diag(text, DIAG_ERROR, "16777217 bytes are too many");
	free(text);
}

/* Shapes that cost a careless parser quadratic time: each of 16 MiB, all together in seconds. */
static const struct {
	const char *begin, *repeat;
} hostile[] = {
	{"", "["},
	{"", "{"},
	{"", "- "},
	{"", "? "},
	{"[", "[],"},
	{"a: ", "x"},
	{"a: ", "x\n "},
	{"a: \"", "x"},
	{"", "#\n"},
	{"#", "x"},
	{"", " "},
	{"", "?\n"},
	{"", "a:"},
	{"", "\"k\": "},
	{"", "'"},
	{"a: >\n", " x\n"},
	{"", "- |\n"},
	{"", "!"},
	{"- !<", "x"},
	{"[", "\"aaaaaaaaaaaaaaaaaa\","},
	{"", "a: &a b\n"},
	{"", "- *a\n"},
	{"", "---\n"},
	{"", "%"},
	{"{", "a: b, "},
	{"services: [", "{},"},
	{"services: [{backends: [", "{},"},
	{"services: [{vip: [", "1.1.1.1,"},
	{"dataplane: {interfaces: [", "eth0,"},
};

static void test_hostile(void **state)
{
	size_t size = 4u << 20; /* a quarter, to keep the test short under sanitizers */
	char *text = malloc(size + 1);
	clock_t begin = clock();

	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		size_t n = strlen(hostile[i].begin), step = strlen(hostile[i].repeat);
		struct config *c = NULL;
		struct diags d;
		FILE *null = fopen("/dev/null", "w");

		memcpy(text, hostile[i].begin, n);
		for (; n + step <= size; n += step)
			memcpy(text + n, hostile[i].repeat, step);
		diags_init(&d);
		assert_int_equal(config_parse("f", text, n, &c, &d), -EINVAL);
		diags_print(&d, null);
		fclose(null);
		diags_done(&d);
	}
	free(text);
	/* 1.5 s were measured; a quadratic step would take hours. */
	assert_true((clock() - begin) / CLOCKS_PER_SEC < 120);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_services), cmocka_unit_test(test_backends),
		cmocka_unit_test(test_keys),     cmocka_unit_test(test_slots),
		cmocka_unit_test(test_texts),    cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_depth),    cmocka_unit_test(test_size),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
